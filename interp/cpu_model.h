/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPU models that a guest can be shown: identity and features as data
 * (features.def, cpu_models.def). Knows nothing of what an instruction does.
 */
#ifndef INTERP_CPU_MODEL_H
#define INTERP_CPU_MODEL_H

#include "machine/types.h"

enum feature {
	F_NONE,			/* every model has it */
#define FEATURE(symbol, ...)	F_##symbol,
#include "interp/features.def"
#undef FEATURE
	F_NEVER,		/* no model has it */
	F_EVERY,		/* in a model's list: all that features.def calls YES */
	F_COUNT
};

struct cpu_model {
	const char *name;
	const char *vendor;		/* 12 characters */
	const char *brand;		/* up to 47 characters, NULL: no extended leaves */
	uint16_t family, model;
	uint8_t stepping;
	uint64_t has[(F_COUNT + 63) / 64];	/* enum feature */
};

/*
 * spec: MODEL[,+FEATURE|-FEATURE|FEATURE=on|FEATURE=off]..., or NULL for the default
 * model. What a feature asked for needs comes with it; what needs one taken away goes
 * with it, unless it was asked for. NAME alone is NAME=on. false: why says in one line what is wrong.
 */
bool cpu_model_parse(struct cpu_model *m, const char *spec, char *why, size_t size);

/* The model that spec means, in place until the next call; NULL if there is none. */
const struct cpu_model *cpu_model_find(const char *spec);

/* Names for --cpu=help, with what each is: NULL after the last one. */
const char *cpu_model_name(unsigned i, const char **what);
/* Features that can be asked for; NULL after the last one. */
const char *cpu_feature_name(unsigned i, const char **what);

static inline bool cpu_model_has(const struct cpu_model *m, unsigned feature)
{
	return feature == F_NONE || (m->has[feature / 64] >> (feature % 64) & 1);
}

#endif

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
#define FEATURE(id, name, leaf, reg, bit, have)	F_##id,
#include "interp/features.def"
#undef FEATURE
	F_NEVER,		/* no model has it */
	F_COUNT
};

struct cpu_model {
	const char *name;
	const char *vendor;		/* 12 characters */
	const char *brand;		/* up to 47 characters, NULL: no extended leaves */
	uint16_t family, model;
	uint8_t stepping;
	uint64_t has[(F_COUNT + 63) / 64];	/* by enum feature */
};

/*
 * A model as the user names it: MODEL[,+FEATURE|,-FEATURE|,FEATURE=on|,FEATURE=off]..., NULL
 * for the default. What a feature builds on comes and goes with it. False: why says what is
 * wrong with which word.
 */
bool cpu_model_parse(struct cpu_model *m, const char *spec, char *why, size_t size);

/* One without changes: NULL if there is none of that name. */
const struct cpu_model *cpu_model_find(const char *name);
/* For lists: NULL after the last one. */
const struct cpu_model *cpu_model_at(unsigned i);
/* Name of a feature that hemi has; NULL for one that it lacks. f in F_NONE+1 ... F_NEVER-1. */
const char *cpu_feature_name(unsigned f);

static inline bool cpu_model_has(const struct cpu_model *m, unsigned feature)
{
	return feature == F_NONE || (m->has[feature / 64] >> (feature % 64) & 1);
}

#endif

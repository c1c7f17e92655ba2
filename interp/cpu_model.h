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
#define FEATURE(name, leaf, reg, bit)	F_##name,
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
	uint8_t nfeatures;
	const uint8_t *features;	/* enum feature */
	uint64_t has[(F_COUNT + 63) / 64];	/* the same as a bit set, by cpu_model_find() */
};

/* The model of that name, NULL for the default one; NULL if there is none. */
const struct cpu_model *cpu_model_find(const char *name);
/* Names for --help and --list: NULL after the last one. */
const char *cpu_model_name(unsigned i);

static inline bool cpu_model_has(const struct cpu_model *m, unsigned feature)
{
	return feature == F_NONE || (m->has[feature / 64] >> (feature % 64) & 1);
}

#endif

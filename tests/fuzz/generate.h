/* SPDX-License-Identifier: BSD-2-Clause */
/* Random user programs for the guest of guest.h. */
#ifndef TESTS_FUZZ_GENERATE_H
#define TESTS_FUZZ_GENERATE_H

#include "tests/fuzz/guest.h"

#define INSNS_MAX	50

struct program {
	uint8_t code[CODE_SIZE + 16], data[DATA_SIZE];
	unsigned n, at[INSNS_MAX + 1];		/* instructions lie at code + at[i] */
	unsigned entry;
	uint64_t gpr[16];
	uint32_t flags, mxcsr;
	struct fpu fpu;
};

/* A function of width and seed alone. */
void program_make(struct program *p, bool wide, uint64_t seed);
/* One whose instructions are n slots of 15 bytes, hardly ever what they seem; bits: 16, 32, 64. */
void program_make_noise(struct program *p, unsigned bits, uint64_t seed);
/* Into memory and registers; code false: it is there already. */
void program_load(struct guest *g, const struct program *p, bool code);
/* Offset of the instruction after the one at rip; 0: none. */
unsigned program_next(const struct program *p, uint64_t rip);
/* Disassembled, on stderr. */
void program_show(const struct program *p, bool wide);

#endif

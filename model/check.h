/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random programs, each on the bare machine and under monitors (compare.h). A program is
 * named by its number and seed, so what one run found another shows again.
 */
#ifndef MODEL_CHECK_H
#define MODEL_CHECK_H

#include "model/compare.h"

#define CHECK_Q_MIN	20u
#define CHECK_Q_MAX	52u
#define CHECK_STEPS	200u

struct check {
	enum monitor_kind kind;
	unsigned depth, with;
	uint64_t programs, seed;
	/* Results. */
	uint64_t done, steps, host_steps, diverged;
	uint64_t shortest, shortest_steps;	/* the program that diverged first, and when */
	uint64_t traps[PG_TRAPS];
	/* Steps by the opcode at P and the mode; what trapped instead is not counted. */
	uint64_t executed[256][2];
};

/* The machine of program number n; e has CHECK_Q_MAX cells. */
void check_program(struct pg *m, uint64_t *e, uint64_t seed, uint64_t n, unsigned with);
/* All programs: 0, or -ENOMEM. */
int check_run(struct check *c);
/* One program again, to its end: 0, and compare_free() is the caller's; or -ENOMEM. */
int check_replay(const struct check *c, uint64_t n, struct compare *cmp);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest time, in nanoseconds since reset, and one-shot timers on it. By default
 * it follows the host's monotonic clock; with --clock=instructions it is
 * derived from the count of retired instructions (1 instruction = 1 ns; idle
 * time jumps to the next timer), so that a run can be repeated exactly.
 */
#ifndef MACHINE_CLOCK_H
#define MACHINE_CLOCK_H

#include "machine/types.h"

struct timer {
	void (*fire)(void *arg, int64_t now);
	void *arg;
	int64_t when;		/* guest ns; INT64_MAX = not armed */
	const char *name;
};

struct clock {
	bool by_instructions;
	bool stopped;			/* guest time stands still, */
	int64_t stopped_at;		/* at this */
	int64_t epoch;			/* host ns at guest time 0 */
	const int64_t *retired;		/* by_instructions: the vCPU's counter */
	int64_t skipped;		/* by_instructions: idle time jumped over */
	int64_t next;			/* earliest armed timer */
	bool firing;			/* in clock_run() */
	/* By instructions: a timer was armed that is due before all others. Or NULL. */
	void (*sooner)(void *arg);
	void *sooner_arg;
	struct timer *timers[16];
	unsigned ntimers;
};

/* At guest time 0, without timers. clock_now(): guest ns; it never goes back. */
void clock_init(struct clock *c, bool by_instructions);
int64_t clock_now(struct clock *c);
void clock_set_now(struct clock *c, int64_t now);	/* after a restore */
/* Guest time stands still; and goes on from there. By instructions it does so by itself. */
void clock_stop(struct clock *c);
void clock_cont(struct clock *c);
void clock_add(struct clock *c, struct timer *t);	/* registers, unarmed */
void clock_arm(struct clock *c, struct timer *t, int64_t when);
void clock_disarm(struct clock *c, struct timer *t);
void clock_remove(struct clock *c, struct timer *t);
/* Fires what is due; returns ns until the next one (INT64_MAX: none). */
int64_t clock_run(struct clock *c);
/* The vCPU waits for an interrupt: ns that the host may sleep (0: call clock_run
 * again; INT64_MAX: no timer). By instructions, time jumps to the next timer. */
int64_t clock_idle(struct clock *c);

#endif

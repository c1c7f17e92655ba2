/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual machine map f, checked: a bare machine and the same program under monitors,
 * instruction by instruction. f takes the bare state S to the host's state in which the
 * innermost virtual machine is in state S and every monitor in control; it is a homomorphism
 * if f(S) is followed by f(i(S)), for every instruction i that the program comes to.
 */
#ifndef MODEL_COMPARE_H
#define MODEL_COMPARE_H

#include "model/monitor.h"

struct compare {
	struct pg bare;
	struct monitor_nest nest;
	uint64_t *memory;
	uint64_t steps;
	bool rest;	/* the state is its own successor */
	enum pg_trap cause;	/* of the last step, on the bare machine */
	/* What the last step executed, and where from. */
	struct pg_psw before;
	bool fetched;
	uint64_t word;
	/* NULL, or what differs after the last step. */
	const char *differs;
	struct pg guest;	/* the virtual machine after it */
	unsigned cell;		/* the first cell that differs, or q */
};

/* Copies the machine, which is not changed. 0 or -ENOMEM. */
int compare_init(struct compare *c, const struct pg *machine, enum monitor_kind kind,
		 unsigned depth);
void compare_free(struct compare *c);
/* One instruction on both. False once there is nothing more to do: rest or a difference. */
bool compare_step(struct compare *c);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One user instruction done by two engines from one state: are the results the same?
 * Who runs them is vmexit/lockstep.c's business.
 */
#ifndef DEBUG_LOCKSTEP_H
#define DEBUG_LOCKSTEP_H

#include "machine/journal.h"
#include "machine/machine.h"

enum lockstep_direct {
	LOCKSTEP_DONE,		/* the direct engine did the instruction */
	LOCKSTEP_STOPPED,	/* it left it to the interpreter: system call, exception, #UD ... */
	LOCKSTEP_FAULTED,	/* page fault that is the guest's own */
};

struct lockstep_case {
	const struct cpu *before;
	const struct cpu *interp;
	const struct cpu *direct;
	enum lockstep_direct ended;
	const struct journal *stores;	/* RAM holds what the direct engine stored */
	const uint8_t *bytes;
	unsigned n;
};

/* False: the same, but for what the architecture leaves open. True: *what* differs. */
bool lockstep_differs(struct machine *m, const struct lockstep_case *k, char *what, size_t size);
/* The whole story, on stderr. */
void lockstep_report(const struct lockstep_case *k, const char *what);

#endif

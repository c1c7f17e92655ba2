/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control programs of the theorems, as programs of the machine in model/pg.h.
 *
 * A monitor lives at the bottom of the memory of its machine, whose trap PSW it owns:
 *
 *	0	old PSW
 *	1	new PSW = (supervisor, 4, all of E)
 *	2	the PSW to go on with
 *	3	the virtual PSW (its P is that of the machine while the guest runs directly)
 *	4	the dispatcher, entered by every trap
 *	5	LPSW 2
 *	6	the interpreter of virtual supervisor code (hybrid monitor)
 *	7	a cell that must keep its value
 *	8...	the memory of the virtual machine, and one more cell that must keep its value
 *
 * The cells 4 and 6 stand for whole routines of innocuous instructions: each is one
 * instruction that has the effect of the C function in monitor.c on E through R, and on P.
 * The privileged instruction that ends them, cell 5, is a real one. So a monitor under a
 * monitor needs nothing of its own: its routines run in user mode and its LPSW traps.
 */
#ifndef MODEL_MONITOR_H
#define MODEL_MONITOR_H

#include "model/pg.h"

enum monitor_kind {
	MONITOR_VMM,	/* Theorems 1 and 2: the guest runs directly in user mode, always */
	MONITOR_HYBRID,	/* Theorem 3: virtual supervisor code is interpreted */
};

enum monitor_cell {
	MONITOR_SAVE = 2, MONITOR_VIRTUAL, MONITOR_DISPATCH, MONITOR_RESUME, MONITOR_INTERPRET,
	MONITOR_GUARD, MONITOR_REGION,
};
#define MONITOR_CELLS	(MONITOR_REGION + 1)	/* what a monitor takes from its guest */
#define MONITOR_DEPTH_MAX	16

struct monitor_level {
	enum monitor_kind kind;
	uint64_t *e;		/* memory of the machine that this monitor runs on */
	unsigned q, guest_q;
};

/* Monitors in monitors: level[0] runs on the host, the guest on the last one's machine. */
struct monitor_nest {
	struct pg_control control;
	struct pg host;
	unsigned depth;
	struct monitor_level level[MONITOR_DEPTH_MAX];
	uint64_t steps;		/* instructions of the host */
	/* Of the first monitor: entries of its dispatcher, and instructions that it interpreted. */
	uint64_t traps, interpreted;
};

/* How many cells a host needs for a guest of q cells under depth monitors. */
unsigned monitor_host_q(unsigned q, unsigned depth);
/*
 * Puts depth monitors and, in the last one's machine, a copy of the guest's memory into
 * host_e, which has monitor_host_q() cells. The guest begins at psw.
 */
void monitor_nest_init(struct monitor_nest *n, enum monitor_kind kind, unsigned depth,
		       const struct pg *guest, uint64_t *host_e);
/* The allocator: the real (M, P, R) that a virtual one runs with. */
struct pg_psw monitor_allocate(const struct monitor_level *lv, struct pg_psw virtual);
/*
 * The virtual machine at the innermost level, if the host is between two instructions of it;
 * false while a monitor works.
 */
bool monitor_guest(const struct monitor_nest *n, struct pg *guest);
/*
 * One instruction of the guest: host instructions until monitor_guest() holds again. False if
 * it never does, which no correct monitor lets happen.
 */
bool monitor_step(struct monitor_nest *n);
/* The host's state proves the monitors in control; else what does not, for a person. */
const char *monitor_violation(const struct monitor_nest *n);

#endif

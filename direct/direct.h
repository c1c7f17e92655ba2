/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A direct engine runs guest user code on the host processor. It never computes
 * guest semantics: it loads the vCPU's state, runs in one address space until
 * something happens, stores the state back and says what stopped it. RIP is
 * then at the instruction that could not be done (except where said), so that
 * the interpreter can go on from there.
 */
#ifndef DIRECT_DIRECT_H
#define DIRECT_DIRECT_H

#include "machine/machine.h"
#include "machine/sink.h"

enum direct_exit_kind {
	DEXIT_FAULT,	/* memory access or fetch failed at `gva`; RIP at the instruction */
	DEXIT_INTN,	/* INT n or another software trap: RIP at the instruction */
	DEXIT_SYSCALL,	/* SYSCALL or SYSENTER; RIP at the instruction if `rip_known` */
	DEXIT_TRAP,	/* any other instruction the host refused (#UD, #GP, #DE, #MF, #XM, #AC ...) */
	DEXIT_GUARD,	/* an instruction breakpoint of the scanner: RIP at the instruction */
	DEXIT_SEGMENT,	/* a selector that the monitor did not load was found in `segreg`/`sel`;
			 * RIP is after the load */
	DEXIT_KICK,	/* direct_kick(), the preemption timer, a host signal */
	DEXIT_STEP,	/* step(): one instruction is done */
	DEXIT_HOST,	/* host failure, err = -errno; failure() says which */
};
#define DEXIT_KINDS (DEXIT_HOST + 1)

struct direct_exit {
	enum direct_exit_kind kind;
	gva_t gva;
	uint32_t vectors;	/* DEXIT_TRAP: which exceptions it may be, a bit each; 0: not known */
	bool rip_known;
	bool sysenter;	/* DEXIT_SYSCALL without rip_known: which of the two it was */
	uint8_t segreg;
	uint16_t sel;
	/* DEXIT_SEGMENT: all registers so found, a bit each; segreg is the lowest. */
	uint8_t segmask;
	uint16_t sels[SEG_GS + 1];
	bool fpu_away;	/* after fpu_lazy(true): c->fpu is out of date */
	int err;
	bool lost;	/* DEXIT_HOST: the vCPU's state could not be had. Else *cpu is at an instruction's start */
};

struct direct_engine {
	const char *name;
	/* Opens the engine on this host; on failure -errno and one line in why[]. */
	int (*open)(void **self, struct machine *m, char why[static 128]);
	void (*close)(void *self);
	/* The shadow's side. */
	struct sink (*sink)(void *self);
	/* NULL if this state's segments can be run, else why not (a static string). */
	const char *(*refuses)(void *self, const struct cpu *c);
	/* NULL, or answers NULL: it runs every kind of user code. Else what it does not run. */
	const char *(*complete)(void *self);
	/* Runs c's user code in space until something happens. */
	void (*run)(void *self, struct space *, struct cpu *c, struct direct_exit *exit);
	/* The same for one instruction (or one iteration of a repeated one). */
	void (*step)(void *self, struct space *, struct cpu *c, struct direct_exit *exit);
	/* Any thread or signal handler: make run() return soon (or not start). */
	void (*kick)(void *self);
	/* The host failure that was met, one line to be reported; NULL: it has been reported. */
	const char *(*failure)(void *self);
	/* Optional. fpu_lazy(true): run() may leave the FPU state with the engine and sets
	 * exit->fpu_away; then fpu_fetch() comes before anybody looks at c->fpu (the next
	 * run() needs none). Off at first: c->fpu is right after every run(). */
	void (*fpu_lazy)(void *self, bool on);
	void (*fpu_fetch)(void *self, struct cpu *c);
	/* Counters for --stats and tests: live address spaces (stubs), made so far. */
	void (*counts)(void *self, unsigned *live, unsigned *made);
};

extern const struct direct_engine direct_ring3, direct_kvm;

#endif

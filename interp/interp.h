/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interpreter, as the rest of the monitor sees it: the authority on what a
 * guest instruction means. The vCPU's state is embedded in it.
 */
#ifndef INTERP_INTERP_H
#define INTERP_INTERP_H

#include "machine/machine.h"

struct interp;

/* Makes the interpreter and its vCPU, and sets m->cpu. */
int interp_create(struct interp **out, struct machine *m);
void interp_destroy(struct interp *v);
/* Forget everything derived (after a restore or a change of the CPU by others). */
void interp_flush(struct interp *v);

enum interp_stop {
	ISTOP_BUDGET,	/* the instructions asked for are done */
	ISTOP_HALT,	/* HLT, waiting for an interrupt */
	ISTOP_USER,	/* at CPL 3 (RUN_UNTIL_USER, or the watch says so), at an instruction boundary */
	ISTOP_KERNEL,	/* user code was left (asked for by until_kernel) */
	ISTOP_POWER,	/* machine->power is not POWER_ON any more */
	ISTOP_ATTENTION,/* machine->attention is set */
};
enum { RUN_UNTIL_USER = 1, RUN_UNTIL_KERNEL = 2, RUN_ONE = 4 /* exactly one instruction */,
       RUN_BURSTS = 8 /* user code too, as far as the watch below allows */ };

/* Bursts of user code, each from one entry to the next exit, with RUN_BURSTS. */
struct user_watch {
	/* One begins at rip: instructions it may take here, 0: none; then ISTOP_USER. */
	int64_t (*entered)(void *self, uint64_t rip);
	void (*left)(void *self);	/* it took fewer */
	void *self;
};
void interp_watch(struct interp *v, const struct user_watch *w);

/* Delivers pending interrupts and runs until something stops it. */
enum interp_stop interp_run(struct interp *v, int64_t budget, unsigned how);

/* Instructions retired so far, split by the privilege they ran at; exceptions raised by
 * instructions, and of these the page faults of user code: the guest's own, wherever the
 * access was tried first. */
struct interp_counts { int64_t supervisor, user; uint64_t faults, user_page_faults; uint8_t last_fault; };
void interp_counts(const struct interp *v, struct interp_counts *out);
/* What the trace cache did. */
struct trace_counts { uint64_t built, decoded, flushed, dropped; };
void interp_trace_counts(const struct interp *v, struct trace_counts *out);
/* The vCPU's clock of retired instructions (for --clock=instructions). */
const int64_t *interp_retired(const struct interp *v);

/* Length of the instruction at p in 64- or 32-bit code, 0 if it is none (arg: the
 * interpreter). */
unsigned interp_insn_length(void *arg, const uint8_t *p, unsigned avail, bool code64);

/* Entry points for what a direct engine cannot name an instruction for. */
void interp_raise_soft(struct interp *v, unsigned vector, bool has_code, uint32_t code);
void interp_sysenter(struct interp *v);
/* A selector load that direct code did behind our back (DEXIT_SEGMENT): does what
 * the guest's own tables say; RIP stays. */
void interp_load_segment(struct interp *v, enum segreg s, uint16_t sel);

#endif

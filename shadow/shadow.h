/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shadow: what a direct engine has mapped for user code, kept an exact function
 * of the guest's own page tables.
 *
 * The guest kernel is interpreted, so every store to a page table is seen. The
 * shadow marks each table page it has read (PG_TABLE), notes stores to it in a ring,
 * and drains the ring before user code is entered. INVLPG and CR3 loads need no work
 * of their own: there is nothing stale to drop, and another CR3 is another root.
 */
#ifndef SHADOW_SHADOW_H
#define SHADOW_SHADOW_H

#include "machine/machine.h"
#include "machine/sink.h"

struct shadow;

/* max_roots: address spaces kept at a time. 0 or -errno. */
int shadow_create(struct shadow **out, struct machine *m, const struct sink *sink, unsigned max_roots);
void shadow_destroy(struct shadow *s);
/* Lets the scanner tell instructions from bytes inside them (scan.h). */
typedef unsigned insn_length_fn(void *arg, const uint8_t *p, unsigned avail, bool code64);
void shadow_set_decoder(struct shadow *s, insn_length_fn *length, void *arg);
/* Another engine's side beside the first, which is number 0; its number. Everything is
 * forgotten, since the scanner may have more to look for. */
unsigned shadow_add_sink(struct shadow *s, const struct sink *sink);
/* Whose address spaces shadow_enter() gives from now on: each engine has its own. */
void shadow_choose(struct shadow *s, unsigned side);
/* Forget the address spaces of an engine that has failed. */
void shadow_drop_spaces(struct shadow *s, unsigned side);
/* Forget every root (after a reset or restore). */
void shadow_flush(struct shadow *s);

/* The address space for the vCPU's CR3 and paging mode, brought up to date. NULL and
 * *err = -errno on a host failure, 0 if this space has no room for the engine. */
struct space *shadow_enter(struct shadow *s, int *err);

/* Is it known that the code at rip cannot run directly in the space entered last? Then a crossing
 * would be in vain. */
bool shadow_in_vain(struct shadow *s, gva_t rip);

enum shadow_answer {
	SHADOW_RETRY,		/* filled: run again; the guest never learns of this fault */
	SHADOW_GUEST,		/* the guest's own: interpret the instruction, which raises it */
	SHADOW_INTERPRET,	/* cannot be mapped, or not be run, directly here */
	SHADOW_HOST,		/* host failure, *err */
};
/* User code at linear address rip could not access gva in the space entered last. The
 * kind of access is not known. */
enum shadow_answer shadow_fault(struct shadow *s, gva_t gva, gva_t rip, int *err);

struct shadow_counts {
	uint64_t fills, true_faults, hidden_faults, ad_faults, table_writes, code_writes, device_faults;
	/* Of those left out of prefilling to see (1 in 64): how many, and how many were missed. */
	uint64_t sampled, sampled_used;
	uint64_t prefilled, unmapped, roots, evictions, sink_calls, sink_ops;
	uint64_t moves;		/* of the engine's own pages, out of the guest's way */
	uint64_t pages_scanned, pages_refused, guards, guard_evictions, flips;
};
void shadow_counts(const struct shadow *s, struct shadow_counts *out);

#endif

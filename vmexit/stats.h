/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a run cost, and why: filled by vmm_stats(), printed by cli/stats.c.
 * Plain numbers only. Names are static strings of whoever counts; a NULL name
 * ends a list.
 */
#ifndef VMEXIT_STATS_H
#define VMEXIT_STATS_H

#include "machine/types.h"

struct stats_count {
	const char *name;
	uint64_t count;
};

struct stats {
	const char *engine;		/* what was asked for: hybrid, interp, full */
	const char *direct;		/* the direct engines that served, or NULL */

	struct { double total, interpreter, direct, crossing, idle; } seconds;
	/* Retired by the interpreter, by the privilege they ran at. */
	struct { int64_t supervisor, user_interpreted; } instructions;

	uint64_t crossings;		/* entries into the direct engine */
	struct stats_count by_reason[16];	/* what ended them */
	struct stats_count by_engine[4];	/* the engine that was entered */
	struct stats_count gate_refusals[32];

	struct {
		uint64_t fills;		/* mappings made on a fault */
		uint64_t true_faults;	/* the guest's own, of user code on either engine */
		uint64_t hidden_faults;	/* the guest's tables allowed it: it never saw them */
		uint64_t ad_faults;	/* only to set accessed or dirty */
		uint64_t device_faults;	/* no memory there */
		uint64_t table_writes, code_writes;	/* stores noted by the interpreter */
		uint64_t prefilled;	/* mappings made before anybody missed them */
		uint64_t prefill_sampled;	/* one in 64 that was not made, to see */
		uint64_t sampled_used, sampled_wasted;	/* was it missed? */
		uint64_t unmapped;
		uint64_t roots;		/* address spaces made */
		uint64_t moves;		/* the engine's pages were where the guest wanted its own */
		uint64_t sink_calls, sink_ops;
	} shadow;
	/* Adaptive gate: bursts that ran where they should, crossed in vain, or should have crossed at
	 * once, in hindsight; what the second kind lost. */
	struct { uint64_t right, too_early, too_late; double lost; } gate;
	struct { uint64_t pages_scanned, pages_refused, guards_hit; } scanner;
	struct { unsigned live, made; } stubs;
	struct { uint64_t traces, decoded, flushes; } interpreter;
};

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* From a decoded instruction to an operation: picks the handler, packs the operands. */
#ifndef INTERP_LOWER_H
#define INTERP_LOWER_H

#include "interp/decode.h"

/* What trace_build.c must know of a lowered operation besides the operation itself. */
struct lowered {
	bool end;		/* control never falls through to the next operation */
	bool pure;		/* cannot fault, leave or store: flags may stay dead across it */
	bool straight;		/* always returns the operation behind it, or raises */
	op_fn *no_flags;	/* the handler to use when its flags are dead, or NULL */
	uint32_t reads, kills;	/* arithmetic flags read; certainly overwritten */
	uint32_t open;		/* flags that it leaves undefined: a host may keep them */
};

/* off: page offset of the instruction. single: no links, no in-page forms. */
void lower(const struct cpu_model *model, uint32_t hflags, const struct insn *in, unsigned off,
	   bool single, struct op *op, struct lowered *out);
/* The end of a trace that was no branch: goes on at off. */
void lower_goto(uint32_t hflags, unsigned off, struct op *op);

#endif

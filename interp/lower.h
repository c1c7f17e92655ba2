/* SPDX-License-Identifier: BSD-2-Clause */
/* From a decoded instruction to an operation: picks the handler, packs the operands. */
#ifndef INTERP_LOWER_H
#define INTERP_LOWER_H

#include "interp/decode.h"

/* What trace.c must know of a lowered operation besides the operation itself. */
struct lowered {
	bool end;		/* control never falls through to the next operation */
	bool pure;		/* cannot fault, leave or store: flags may stay dead across it */
	op_fn *no_flags;	/* the handler to use when its flags are dead, or NULL */
	uint32_t reads, kills;	/* arithmetic flags read; certainly overwritten */
	uint8_t fuse;		/* 1 + ALU op if CMP/TEST rr or ri that a Jcc may fuse with */
	bool fuse_imm;
	int8_t cc;		/* condition if it is a Jcc "in", else -1 */
	uint16_t target;	/* its page offset */
};

/* off: page offset of the instruction. single: no links, no in-page forms. */
void lower(const struct cpu_model *model, uint32_t hflags, const struct insn *in, unsigned off,
	   bool single, struct op *op, struct lowered *out);
/* Fuses cmp (lowered as `c`) with the Jcc behind it; false if there is no such handler. */
bool lower_fuse(struct op *cmp, const struct lowered *c, const struct op *jcc, const struct lowered *j);

#endif

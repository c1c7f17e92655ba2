/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the handlers of system instructions share: privilege tests, and the ways
 * on after the processor's mode may have changed.
 */
#ifndef INTERP_SYSTEM_OPS_H
#define INTERP_SYSTEM_OPS_H

#include "interp/cpu_model.h"
#include "interp/descriptor.h"
#include "interp/tables.h"

static inline void need_cpl0(struct interp *v)
{
	if (v->cpu.cpl != 0)
		raise_gp0(v);
}
static inline void need_protected(struct interp *v)
{
	if (!cpu_protected(&v->cpu))
		raise_ud(v);
}
/* SGDT, SIDT, SLDT, STR, SMSW in user code. */
static inline void need_no_umip(struct interp *v)
{
	if ((v->cpu.cr4 & CR4_UMIP) && v->cpu.cpl != 0)
		raise_gp0(v);
}

static inline uint64_t next_rip(const struct interp *v, const struct op *op)
{
	uint64_t rip = OP_NEXT_RIP(v, op);

	return v->hflags & HF_CS64 ? rip : (uint32_t)rip;
}

/* On to cpu.rip, in whatever mode the processor is now. */
static inline const struct op *resume(struct interp *v, const struct op *op)
{
	interp_update(v);
	if (unlikely(must_leave(v)))
		return op_leave_at(v, op, v->cpu.rip);
	JUMP(v, op, v->cpu.rip);
}

/* On to the next instruction, which may have to be looked up or decoded anew. */
static inline const struct op *resume_next(struct interp *v, const struct op *op)
{
	v->cpu.rip = next_rip(v, op);
	return resume(v, op);
}

/* The r/m16 operand of LLDT, LMSW, LAR and the like. */
static inline uint16_t operand16(struct interp *v, const struct op *op, unsigned reg)
{
	return op->flags & OPF_MEM ? (uint16_t)mem_read(v, op->seg, ea_offset(v, op), 2)
				   : REG16(v, reg);
}

#endif

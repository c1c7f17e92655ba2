/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers that move segment registers: MOV, PUSH, POP, and the far-pointer
 * loads. What a selector may be is decided in segment.c. SDM 2.
 */
#include "interp/fast.h"
#include "interp/system_ops.h"

/* After a load: SS holds off interrupts and traps for one instruction, which only
 * matters when there are any; LSS, which is SEG_COUNT here, does not. A load that leaves
 * the meaning of code as it was goes on within the trace. */
static const struct op *segment_loaded(struct interp *v, const struct op *op, unsigned s)
{
	uint32_t hflags = v->hflags;

	if (s == SEG_SS || s == SEG_COUNT)
		interp_update(v);
	else
		interp_update_data(v, s);
	if (s == SEG_SS && unlikely(must_leave(v) || v->special)) {
		v->cpu.int_shadow = true;
		v->tf_step = false;
		return op_leave_after(v, op);
	}
	if (unlikely(v->hflags != hflags))
		return resume_next(v, op);
	NEXT_CHECKED(v, op);
}

HANDLER(h_mov_to_sreg)
{
	SYNC(v, op);
	if (op->a == SEG_CS)
		raise_ud(v);
	seg_load(v, op->a, operand16(v, op, op->b));
	return segment_loaded(v, op, op->a);
}

HANDLER(h_mov_from_sreg)
{
	SYNC(v, op);
	if (op->flags & OPF_MEM) {
		mem_write(v, op->seg, ea_offset(v, op), 2, v->cpu.seg[op->a].sel);
		NEXT_CHECKED(v, op);
	}
	reg_set(v, op->a, op->osize, v->cpu.seg[op->b].sel);
	NEXT(v, op);
}

static HANDLER(push_sreg_slow)
{
	uint64_t sp = (v->cpu.gpr[RSP] - op->osize) & stack_mask(&v->cpu);

	SYNC(v, op);
	mem_write(v, SEG_SS, sp, op->osize, v->cpu.seg[op->a].sel);
	stack_drop(v, -op->osize);
	NEXT_CHECKED(v, op);
}

/* The stack that 32-bit kernels push their segments to at each entry. */
static inline bool stack_is_flat32(const struct interp *v, const struct op *op)
{
	const uint32_t flat = HF_SS_FLAT | HF_SS32;

	return op->osize == 4 && (v->hflags & (flat | HF_CS64)) == flat;
}

HANDLER(h_push_sreg)
{
	if (!stack_is_flat32(v, op))
		return push_sreg_slow(v, op);
	GUEST(uint32_t, p, wr, (uint32_t)(v->cpu.gpr[RSP] - 4), 1, return push_sreg_slow(v, op));
	*p = v->cpu.seg[op->a].sel;
	v->cpu.gpr[RSP] = p_at;
	NEXT(v, op);
}

static HANDLER(pop_sreg_slow)
{
	SYNC(v, op);
	uint16_t sel = (uint16_t)stack_peek(v, 0, op->osize);
	uint64_t mask = stack_mask(&v->cpu), sp;

	seg_load(v, op->a, sel);
	/* The stack-address size is that of the SS which was popped from. */
	sp = v->cpu.gpr[RSP] + op->osize;
	v->cpu.gpr[RSP] = mask == 0xffff ? (v->cpu.gpr[RSP] & ~mask) | (sp & mask) : sp & mask;
	return segment_loaded(v, op, op->a);
}

HANDLER(h_pop_sreg)
{
	if (!stack_is_flat32(v, op))
		return pop_sreg_slow(v, op);
	GUEST(uint32_t, p, rd, (uint32_t)v->cpu.gpr[RSP], 1, return pop_sreg_slow(v, op));
	SYNC(v, op);
	seg_load(v, op->a, (uint16_t)*p);
	v->cpu.gpr[RSP] = (uint32_t)(p_at + 4);
	return segment_loaded(v, op, op->a);
}

static const struct op *far_pointer_load(struct interp *v, const struct op *op, enum segreg s)
{
	SYNC(v, op);
	uint64_t ea = ea_offset(v, op), mask = ~0ull, off;

	if (!(op->flags & OPF_A64))
		mask = op->flags & OPF_A16 ? 0xffff : 0xffffffff;
	off = mem_read(v, op->seg, ea, op->osize);
	seg_load(v, s, (uint16_t)mem_read(v, op->seg, (ea + op->osize) & mask, 2));
	reg_set(v, op->a, op->osize, off);
	return segment_loaded(v, op, s == SEG_SS ? SEG_COUNT : s);
}

HANDLER(h_les) { return far_pointer_load(v, op, SEG_ES); }
HANDLER(h_lss) { return far_pointer_load(v, op, SEG_SS); }
HANDLER(h_lds) { return far_pointer_load(v, op, SEG_DS); }
HANDLER(h_lfs) { return far_pointer_load(v, op, SEG_FS); }
HANDLER(h_lgs) { return far_pointer_load(v, op, SEG_GS); }

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Near jumps. Three kinds of direct jump: to the same page of a flat code segment
 * ("near"), to another page of it ("far"), both linked trace to trace, and all
 * others ("slow": width and limit checked).
 */
#include "interp/tables.h"

/* imm is the width mask of RIP. */
static inline uint64_t target_rip(struct interp *v, const struct op *op)
{
	return (OP_NEXT_RIP(v, op) + (uint64_t)(int64_t)op->disp) & op->imm;
}

static void check_target(struct interp *v, uint64_t rip)
{
	if (v->hflags & HF_CS64) {
		if ((int64_t)(rip << 16) >> 16 != (int64_t)rip)
			raise_gp0(v);
	} else if (rip > v->cpu.seg[SEG_CS].limit) {
		raise_gp0(v);
	}
}

HANDLER(h_jmp_near)
{
	BRANCH_NEAR(v, op);
}

/* A jump to another page, or the end of a trace that was not a branch. */
HANDLER(h_goto_linked)
{
	BRANCH_FAR(v, op);
}

HANDLER(h_jmp_slow)
{
	uint64_t rip = target_rip(v, op);

	SYNC(v, op);
	check_target(v, rip);
	JUMP(v, op, rip);
}

HANDLER(h_jmp_r)
{
	uint64_t rip = reg_get(v, op->a, op->osize);

	SYNC(v, op);
	check_target(v, rip);
	JUMP(v, op, rip);
}

HANDLER(h_jmp_m)
{
	SYNC(v, op);
	uint64_t rip = mem_read(v, op->seg, ea_offset(v, op), op->osize);

	check_target(v, rip);
	JUMP(v, op, rip);
}

/* The end of a trace that was not a branch, in a segment that is not flat. */
HANDLER(h_goto)
{
	uint64_t rip = OP_RIP(v, op);

	JUMP(v, op, v->hflags & HF_CS64 ? rip : (uint32_t)rip);
}

#define JMP_M(W, form)									\
	static HANDLER(jmp_m_##form)							\
	{ GUEST(uint##W##_t, p, rd, ea_##form(v, op), 1, return h_jmp_m(v, op));	\
	  uint##W##_t rip = *p;								\
	  if (W == 64 && unlikely((int64_t)((uint64_t)rip << 16) >> 16 != (int64_t)rip)) \
		return h_jmp_m(v, op);							\
	  JUMP_FLAT(v, op, rip); }
JMP_M(32, f32) JMP_M(32, d32) JMP_M(64, f64) JMP_M(64, d64)
op_fn *const jmp_m[EA_FORMS] = {
	[EA_F32] = jmp_m_f32, [EA_D32] = jmp_m_d32, [EA_F64] = jmp_m_f64, [EA_D64] = jmp_m_d64,
};

#define JCC(cc, n, cond)								\
	static HANDLER(jcc_near_##cc)							\
	{ unsigned f = v->cpu.arith;							\
	  if (cond) BRANCH_NEAR(v, op);							\
	  NEXT(v, op); }								\
	static HANDLER(jcc_far_##cc)							\
	{ unsigned f = v->cpu.arith;							\
	  if (cond) BRANCH_FAR(v, op);							\
	  NEXT(v, op); }								\
	static HANDLER(jcc_slow_##cc)							\
	{ unsigned f = v->cpu.arith;							\
	  if (cond) return h_jmp_slow(v, op);						\
	  NEXT(v, op); }
CC_LIST(JCC)

#define JCC_NEAR(cc, n, cond)	[n] = jcc_near_##cc,
#define JCC_FAR(cc, n, cond)	[n] = jcc_far_##cc,
#define JCC_SLOW(cc, n, cond)	[n] = jcc_slow_##cc,
op_fn *const jcc_near[16] = { CC_LIST(JCC_NEAR) };
op_fn *const jcc_far[16] = { CC_LIST(JCC_FAR) };
op_fn *const jcc_slow[16] = { CC_LIST(JCC_SLOW) };

/* LOOP, LOOPE, LOOPNE: a = 0, 1, 2. The counter's width is the address size. */
HANDLER(h_loop)
{
	unsigned n = op->flags & OPF_A64 ? 8 : op->flags & OPF_A16 ? 2 : 4;
	uint64_t rip = target_rip(v, op), c = reg_get(v, 8 * RCX, n) - 1;
	bool zf = v->cpu.arith & AR_ZF;
	bool taken = (n == 8 ? c : n == 4 ? (uint32_t)c : (uint16_t)c) != 0 &&
		     (op->a == 0 || (op->a == 1) == zf);

	SYNC(v, op);
	if (taken)
		check_target(v, rip);
	reg_set(v, 8 * RCX, n, c);
	if (taken)
		JUMP(v, op, rip);
	NEXT(v, op);
}

/* JCXZ, JECXZ, JRCXZ: a = width of the counter. */
HANDLER(h_jcxz)
{
	uint64_t rip = target_rip(v, op);

	if (reg_get(v, 8 * RCX, op->a) != 0)
		NEXT(v, op);
	SYNC(v, op);
	check_target(v, rip);
	JUMP(v, op, rip);
}

/* BOUND r, m: lower and upper limit follow each other in memory, signed. */
HANDLER(h_bound)
{
	SYNC(v, op);
	unsigned n = op->osize, sh = 64 - 8 * n;
	uint64_t off = ea_offset(v, op);
	int64_t lo = (int64_t)(mem_read(v, op->seg, off, n) << sh) >> sh;
	int64_t hi = (int64_t)(mem_read(v, op->seg, off + n, n) << sh) >> sh;
	int64_t x = (int64_t)(reg_get(v, op->a, n) << sh) >> sh;

	if (x < lo || x > hi)
		raise_fault(v, VEC_BR);
	NEXT(v, op);
}

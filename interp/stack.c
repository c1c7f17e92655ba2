/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PUSH, POP, near CALL and RET, PUSHA, POPA, ENTER, LEAVE. The stack comes in
 * three kinds (enum stack_kind): flat 32-bit, 64-bit, and any other, which takes
 * the slow functions.
 */
#include "interp/tables.h"

/* A target of a near transfer must lie inside CS (SDM 2 JMP, CALL, RET). */
static void check_target(struct interp *v, uint64_t rip)
{
	if (v->hflags & HF_CS64) {
		if ((int64_t)(rip << 16) >> 16 != (int64_t)rip)
			raise_gp0(v);
	} else if (rip > v->cpu.seg[SEG_CS].limit) {
		raise_gp0(v);
	}
}

/* --- Slow: any stack, any width ------------------------------------------------ */

static HANDLER(push_r_slow)
{
	SYNC(v, op);
	sp_push(v, op->osize, reg_get(v, op->a, op->osize));
	NEXT_CHECKED(v, op);
}

static HANDLER(push_i_slow)
{
	SYNC(v, op);
	sp_push(v, op->osize, op->imm);
	NEXT_CHECKED(v, op);
}

static HANDLER(pop_r_slow)
{
	SYNC(v, op);
	uint64_t x = sp_peek(v, 0, op->osize);

	sp_set(v, v->cpu.gpr[RSP] + op->osize);
	reg_set(v, op->a, op->osize, x);
	NEXT(v, op);
}

HANDLER(h_push_m)
{
	SYNC(v, op);
	sp_push(v, op->osize, mem_read(v, op->seg, ea_offset(v, op), op->osize));
	NEXT_CHECKED(v, op);
}

/* An address with ESP as base uses its value after the pop. */
HANDLER(h_pop_m)
{
	SYNC(v, op);
	uint64_t x = sp_peek(v, 0, op->osize), old = v->cpu.gpr[RSP], off;

	sp_set(v, old + op->osize);
	off = ea_offset(v, op);
	v->cpu.gpr[RSP] = old;
	mem_write(v, op->seg, off, op->osize, x);
	sp_set(v, old + op->osize);
	NEXT_CHECKED(v, op);
}

static uint64_t near_width(const struct op *op, uint64_t rip)
{
	return op->osize == 2 ? (uint16_t)rip : op->osize == 4 ? (uint32_t)rip : rip;
}

/* Near call to a relative target (disp), register or memory; the last two by flags. */
HANDLER(h_call_slow)
{
	SYNC(v, op);
	uint64_t next = OP_NEXT_RIP(v, op), rip = near_width(op, next + (uint64_t)(int64_t)op->disp);

	check_target(v, rip);
	sp_push(v, op->osize, next);
	JUMP(v, op, rip);
}

/* The same whose displacement was made a page offset (flat or 64-bit code). */
static HANDLER(call_linked_slow)
{
	SYNC(v, op);
	uint64_t rip = near_width(op, v->cpu.gpr[R_PAGE] + (uint64_t)(int64_t)op->disp);

	check_target(v, rip);
	sp_push(v, op->osize, OP_NEXT_RIP(v, op));
	JUMP(v, op, rip);
}

static HANDLER(call_r_slow)
{
	SYNC(v, op);
	uint64_t rip = reg_get(v, op->a, op->osize);

	check_target(v, rip);
	sp_push(v, op->osize, OP_NEXT_RIP(v, op));
	JUMP(v, op, rip);
}

HANDLER(h_call_m)
{
	SYNC(v, op);
	uint64_t rip = mem_read(v, op->seg, ea_offset(v, op), op->osize);

	check_target(v, rip);
	sp_push(v, op->osize, OP_NEXT_RIP(v, op));
	JUMP(v, op, rip);
}

/* imm: bytes of arguments to drop. */
HANDLER(h_ret_slow)
{
	SYNC(v, op);
	uint64_t rip = sp_peek(v, 0, op->osize);

	check_target(v, rip);
	sp_set(v, v->cpu.gpr[RSP] + op->osize + (uint16_t)op->imm);
	JUMP(v, op, rip);
}

/* --- Fast: flat 32-bit stack, 64-bit stack --------------------------------------- */

#define SP_32	((uint32_t)v->cpu.gpr[RSP])
#define SP_64	v->cpu.gpr[RSP]

static inline bool canonical(uint64_t a)
{
	return (int64_t)(a << 16) >> 16 == (int64_t)a;
}

#define STACK_FAST(W, T, suffix)							\
	static HANDLER(push_r_##suffix)							\
	{ GUEST(T, p, wr, (T)(SP_##W - W / 8), 1, return push_r_slow(v, op));		\
	  *p = *(T *)((char *)v->cpu.gpr + op->a); v->cpu.gpr[RSP] = p_at; NEXT(v, op); } \
	static HANDLER(push_i_##suffix)							\
	{ GUEST(T, p, wr, (T)(SP_##W - W / 8), 1, return push_i_slow(v, op));		\
	  *p = (T)op->imm; v->cpu.gpr[RSP] = p_at; NEXT(v, op); }			\
	static HANDLER(push_m_##suffix)							\
	{ GUEST(T, q, rd, ea_d##W(v, op), 1, return h_push_m(v, op));			\
	  T x = *q;									\
	  GUEST(T, p, wr, (T)(SP_##W - W / 8), 1, return h_push_m(v, op));		\
	  *p = x; v->cpu.gpr[RSP] = p_at; NEXT(v, op); }				\
	static HANDLER(pop_r_##suffix)							\
	{ GUEST(T, p, rd, SP_##W, 1, return pop_r_slow(v, op));				\
	  v->cpu.gpr[RSP] = (T)(p_at + W / 8); REG64(v, op->a) = *p; NEXT(v, op); }	\
	static HANDLER(call_near_##suffix)						\
	{ GUEST(T, p, wr, (T)(SP_##W - W / 8), 1, return call_linked_slow(v, op));	\
	  *p = (T)OP_NEXT_RIP(v, op); v->cpu.gpr[RSP] = p_at; BRANCH_NEAR(v, op); }	\
	static HANDLER(call_far_##suffix)						\
	{ GUEST(T, p, wr, (T)(SP_##W - W / 8), 1, return call_linked_slow(v, op));	\
	  *p = (T)OP_NEXT_RIP(v, op); v->cpu.gpr[RSP] = p_at; BRANCH_FAR(v, op); }	\
	static HANDLER(call_r_##suffix)							\
	{ T rip = *(T *)((char *)v->cpu.gpr + op->a);					\
	  if (W == 64 && unlikely(!canonical(rip))) return call_r_slow(v, op);		\
	  GUEST(T, p, wr, (T)(SP_##W - W / 8), 1, return call_r_slow(v, op));		\
	  *p = (T)OP_NEXT_RIP(v, op); v->cpu.gpr[RSP] = p_at; JUMP_FLAT(v, op, rip); }	\
	static HANDLER(ret_##suffix)							\
	{ GUEST(T, p, rd, SP_##W, 1, return h_ret_slow(v, op));				\
	  T rip = *p;									\
	  if (W == 64 && unlikely(!canonical(rip))) return h_ret_slow(v, op);		\
	  v->cpu.gpr[RSP] = (T)(p_at + W / 8 + (uint16_t)op->imm); JUMP_FLAT(v, op, rip); }

STACK_FAST(32, uint32_t, f32)
STACK_FAST(64, uint64_t, f64)

op_fn *const push_r[STACK_KINDS] = { push_r_slow, push_r_f32, push_r_f64 };
op_fn *const push_i[STACK_KINDS] = { push_i_slow, push_i_f32, push_i_f64 };
op_fn *const push_m[STACK_KINDS] = { h_push_m, push_m_f32, push_m_f64 };
op_fn *const pop_r[STACK_KINDS] = { pop_r_slow, pop_r_f32, pop_r_f64 };
op_fn *const call_near[STACK_KINDS] = { call_linked_slow, call_near_f32, call_near_f64 };
op_fn *const call_far[STACK_KINDS] = { call_linked_slow, call_far_f32, call_far_f64 };
op_fn *const call_r[STACK_KINDS] = { call_r_slow, call_r_f32, call_r_f64 };
op_fn *const ret_near[STACK_KINDS] = { h_ret_slow, ret_f32, ret_f64 };

/* --- Frames ------------------------------------------------------------------------ */

HANDLER(h_pusha)
{
	SYNC(v, op);
	unsigned n = op->osize;
	uint64_t m = sp_mask(v), sp = v->cpu.gpr[RSP];

	/* All eight must be storable before the first is stored. */
	for (int i = 1; i <= 8; i++)
		mem_probe_write(v, SEG_SS, (sp - (unsigned)i * n) & m, n);
	for (unsigned i = 0; i < 8; i++)
		mem_write(v, SEG_SS, (sp - (i + 1) * n) & m, n, v->cpu.gpr[i]);
	sp_set(v, sp - 8 * n);
	NEXT_CHECKED(v, op);
}

HANDLER(h_popa)
{
	SYNC(v, op);
	unsigned n = op->osize;
	uint64_t x[8];

	for (unsigned i = 0; i < 8; i++)
		x[i] = sp_peek(v, i * n, n);
	sp_set(v, v->cpu.gpr[RSP] + 8 * n);
	for (unsigned i = 0; i < 8; i++)
		if (7 - i != RSP)
			reg_set(v, 8 * (7 - i), n, x[i]);
	NEXT(v, op);
}

/* ENTER imm16, imm8: imm = size | level << 16 (SDM 2 ENTER). */
HANDLER(h_enter)
{
	SYNC(v, op);
	unsigned n = op->osize, level = op->imm >> 16 & 31;
	uint64_t m = sp_mask(v), sp = v->cpu.gpr[RSP], bp = v->cpu.gpr[RBP], frame;

	sp = (sp - n) & m;
	mem_write(v, SEG_SS, sp, n, bp);
	frame = (v->cpu.gpr[RSP] & ~m) | sp;	/* as wide as the operand, not as the stack */
	for (unsigned i = 1; i < level; i++) {
		bp = (bp - n) & m;
		sp = (sp - n) & m;
		mem_write(v, SEG_SS, sp, n, mem_read(v, SEG_SS, bp, n));
	}
	if (level) {
		sp = (sp - n) & m;
		mem_write(v, SEG_SS, sp, n, frame);
	}
	sp = (sp - (uint16_t)op->imm) & m;
	mem_probe_write(v, SEG_SS, sp, n);
	sp_set(v, sp);
	reg_set(v, 8 * RBP, n, frame);
	NEXT_CHECKED(v, op);
}

HANDLER(h_leave)
{
	SYNC(v, op);
	uint64_t m = sp_mask(v), bp = v->cpu.gpr[RBP] & m;
	uint64_t x = mem_read(v, SEG_SS, bp, op->osize);

	sp_set(v, bp + op->osize);
	reg_set(v, 8 * RBP, op->osize, x);
	NEXT(v, op);
}

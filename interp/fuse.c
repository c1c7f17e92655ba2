/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fused handlers, and the table that says which handlers may be replaced by one.
 * CMP and TEST with the Jcc behind them (flags are stored all the same: code at either
 * target may look at them), and runs of PUSH or POP in one page.
 */
#include <stddef.h>

#include "interp/fuse.h"
#include "interp/tables.h"

/* --- CMP, TEST and Jcc ---------------------------------------------------------------- */

#define GET_8(o)	REG8(v, o)
#define GET_32(o)	REG32(v, o)
#define GET_64(o)	REG64(v, o)

/* The comparison sets the host's flags, which LAHF and SETO keep. */
#define FUSED_BODY(insn, sfx, cc, d, s)							\
	uint16_t f;									\
	bool taken;									\
	asm(#insn #sfx " %3, %2" ASM_SAVE : "=&a"(f), "=@cc" #cc(taken) : "q"(d), "q"(s)); \
	v->cpu.arith = f;								\
	if (taken)									\
		BRANCH(v, op + 1);							\
	NEXT_AFTER(v, op, 1);

#define FUSED_REG(insn, W, sfx, cc)							\
	static HANDLER(insn##W##_rr_j##cc)						\
	{ uint##W##_t d = GET_##W(op->a), s = GET_##W(op->b); FUSED_BODY(insn, sfx, cc, d, s) } \
	static HANDLER(insn##W##_ri_j##cc)						\
	{ uint##W##_t d = GET_##W(op->a), s = (uint##W##_t)op->imm; FUSED_BODY(insn, sfx, cc, d, s) }

/* One address form; the slow way is the unfused handler of form EA_SLOW. */
#define FUSED_MEM(insn, ALU, W, w, sfx, cc, form)					\
	static HANDLER(insn##W##_mr_##form##_j##cc)					\
	{ GUEST(uint##W##_t, p, rd, ea_##form(v, op), 1, return alu_rows[ALU][w].mr[EA_SLOW](v, op)); \
	  uint##W##_t d = *p, s = GET_##W(op->b); FUSED_BODY(insn, sfx, cc, d, s) }	\
	static HANDLER(insn##W##_mi_##form##_j##cc)					\
	{ GUEST(uint##W##_t, p, rd, ea_##form(v, op), 1, return alu_rows[ALU][w].mi[EA_SLOW](v, op)); \
	  uint##W##_t d = *p, s = (uint##W##_t)op->imm; FUSED_BODY(insn, sfx, cc, d, s) }
#define FUSED_CMP_RM(W, w, sfx, cc, form)						\
	static HANDLER(cmp##W##_rm_##form##_j##cc)					\
	{ GUEST(uint##W##_t, p, rd, ea_##form(v, op), 1, return alu_rows[ALU_CMP][w].rm[EA_SLOW](v, op)); \
	  uint##W##_t d = GET_##W(op->a), s = *p; FUSED_BODY(cmp, sfx, cc, d, s) }

#define FUSED_WIDTH(cc, W, w, sfx)							\
	FUSED_REG(cmp, W, sfx, cc) FUSED_REG(test, W, sfx, cc)				\
	FUSED_MEM(cmp, ALU_CMP, W, w, sfx, cc, d32) FUSED_MEM(cmp, ALU_CMP, W, w, sfx, cc, d64)	\
	FUSED_MEM(test, ALU_TEST, W, w, sfx, cc, d32) FUSED_MEM(test, ALU_TEST, W, w, sfx, cc, d64) \
	FUSED_CMP_RM(W, w, sfx, cc, d32) FUSED_CMP_RM(W, w, sfx, cc, d64)

#define ALL_CC(X)	X(o, 0) X(no, 1) X(b, 2) X(ae, 3) X(e, 4) X(ne, 5) X(be, 6) X(a, 7) X(s, 8)	\
			X(ns, 9) X(p, 10) X(np, 11) X(l, 12) X(ge, 13) X(le, 14) X(g, 15)
#define FUSED_CC(cc, n)	FUSED_WIDTH(cc, 8, 0, b) FUSED_WIDTH(cc, 32, 2, l) FUSED_WIDTH(cc, 64, 3, q)
ALL_CC(FUSED_CC)

#define CC_NAMES(x) { x##o, x##no, x##b, x##ae, x##e, x##ne, x##be, x##a, x##s, x##ns, x##p, x##np,	\
	x##l, x##ge, x##le, x##g }

/* The unfused handler is named by its place in alu_rows. */
static const struct fused_compare {
	uint8_t alu, width;
	uint16_t place;		/* offset in struct binary_row */
	op_fn *by_cc[16];
} compares[] = {
#define ROW(A, w, where, name)	{ A, w, offsetof(struct binary_row, where), CC_NAMES(name) }
#define ROWS_W(W, w)									\
	ROW(ALU_CMP, w, rr, cmp##W##_rr_j), ROW(ALU_CMP, w, ri, cmp##W##_ri_j),		\
	ROW(ALU_TEST, w, rr, test##W##_rr_j), ROW(ALU_TEST, w, ri, test##W##_ri_j),	\
	ROW(ALU_CMP, w, mr[EA_D32], cmp##W##_mr_d32_j), ROW(ALU_CMP, w, mr[EA_D64], cmp##W##_mr_d64_j), \
	ROW(ALU_CMP, w, mi[EA_D32], cmp##W##_mi_d32_j), ROW(ALU_CMP, w, mi[EA_D64], cmp##W##_mi_d64_j), \
	ROW(ALU_CMP, w, rm[EA_D32], cmp##W##_rm_d32_j), ROW(ALU_CMP, w, rm[EA_D64], cmp##W##_rm_d64_j), \
	ROW(ALU_TEST, w, mr[EA_D32], test##W##_mr_d32_j), ROW(ALU_TEST, w, mr[EA_D64], test##W##_mr_d64_j), \
	ROW(ALU_TEST, w, mi[EA_D32], test##W##_mi_d32_j), ROW(ALU_TEST, w, mi[EA_D64], test##W##_mi_d64_j)
	ROWS_W(8, 0), ROWS_W(32, 2), ROWS_W(64, 3),
};

/* --- Runs of PUSH and POP ------------------------------------------------------------ */

#define SP_32	((uint32_t)v->cpu.gpr[RSP])
#define SP_64	v->cpu.gpr[RSP]
#define REG_T(T, o)	(*(T *)((char *)v->cpu.gpr + (o)))

/* The lowest address is that of the last one pushed. */
#define PUSH_RUN(W, T, suffix, n, kind)							\
	static HANDLER(push##n##_##suffix)						\
	{ GUEST(T, p, wr, (T)(SP_##W - (n) * W / 8), n, return push_r[kind](v, op));	\
	  _Pragma("GCC unroll 8")							\
	  for (int i = 0; i < (n); i++) p[(n) - 1 - i] = REG_T(T, op[i].a);		\
	  v->cpu.gpr[RSP] = p_at; NEXT_AFTER(v, op, (n) - 1); }
#define POP_RUN(W, T, suffix, n, kind)							\
	static HANDLER(pop##n##_##suffix)						\
	{ GUEST(T, p, rd, SP_##W, n, return pop_r[kind](v, op));			\
	  _Pragma("GCC unroll 8")							\
	  for (int i = 0; i < (n); i++) REG64(v, op[i].a) = p[i];			\
	  v->cpu.gpr[RSP] = (T)(p_at + (n) * W / 8); NEXT_AFTER(v, op, (n) - 1); }
#define RUN_LENGTHS(X, W, T, suffix, kind)						\
	X(W, T, suffix, 2, kind) X(W, T, suffix, 3, kind) X(W, T, suffix, 4, kind)	\
	X(W, T, suffix, 5, kind) X(W, T, suffix, 6, kind)
RUN_LENGTHS(PUSH_RUN, 32, uint32_t, f32, STK_FLAT32)
RUN_LENGTHS(PUSH_RUN, 64, uint64_t, f64, STK_64)
RUN_LENGTHS(POP_RUN, 32, uint32_t, f32, STK_FLAT32)
RUN_LENGTHS(POP_RUN, 64, uint64_t, f64, STK_64)

#define RUN_MAX 6
#define RUN(name, suffix) { name##2_##suffix, name##3_##suffix, name##4_##suffix, name##5_##suffix, name##6_##suffix }
static op_fn *const push_runs[STACK_KINDS][RUN_MAX - 1] = { [STK_FLAT32] = RUN(push, f32), [STK_64] = RUN(push, f64) };
static op_fn *const pop_runs[STACK_KINDS][RUN_MAX - 1] = { [STK_FLAT32] = RUN(pop, f32), [STK_64] = RUN(pop, f64) };

/* --- Which handlers begin one, by hash of their address ------------------------------- */

#define FUSE_HASH	512

enum fuse_kind { FUSE_NONE, FUSE_JCC, FUSE_COMPARE, FUSE_PUSH, FUSE_POP };
static struct fusible {
	op_fn *fn;
	enum fuse_kind kind;
	unsigned arg;		/* condition; index in compares[]; stack kind */
} fusibles[FUSE_HASH];

static struct fusible *fusible_find(op_fn *fn)
{
	unsigned h = (unsigned)((uintptr_t)fn >> 4) * 2654435761u >> 23;

	while (fusibles[h].fn && fusibles[h].fn != fn)
		h = (h + 1) & (FUSE_HASH - 1);
	return &fusibles[h];
}

static void fusible_add(op_fn *fn, enum fuse_kind kind, unsigned arg)
{
	*fusible_find(fn) = (struct fusible){ fn, kind, arg };
}

static void fusibles_init(void)
{
	for (unsigned cc = 0; cc < 16; cc++) {
		fusible_add(jcc_near[cc], FUSE_JCC, cc);
		fusible_add(jcc_far[cc], FUSE_JCC, cc);
	}
	for (unsigned i = 0; i < ARRAY_LEN(compares); i++) {
		const struct fused_compare *f = &compares[i];

		fusible_add(*(op_fn *const *)((const char *)&alu_rows[f->alu][f->width] + f->place),
			    FUSE_COMPARE, i);
	}
	for (unsigned k = STK_FLAT32; k <= STK_64; k++) {
		fusible_add(push_r[k], FUSE_PUSH, k);
		fusible_add(pop_r[k], FUSE_POP, k);
	}
}

/* The stack pointer itself is no operand of a run: pushed it must be the old one at its
 * turn, popped it is the next address. */
static bool in_run(const struct op *op, const struct fusible *f)
{
	return (f->kind == FUSE_PUSH || f->kind == FUSE_POP) && op->a != 8 * RSP;
}

void fuse(struct op *ops, unsigned n, struct stride *s)
{
	static const struct fusible none;
	struct fusible next = none;	/* of the operation behind, unfused */
	unsigned run = 0;		/* length of the run of its kind that begins there */

	if (!fusible_find(jcc_near[0])->fn)
		fusibles_init();
	for (unsigned i = n; i-- > 0;) {
		struct op *op = &ops[i];
		struct fusible f = *fusible_find(op->fn);

		s[i].span = 1;
		run = !in_run(op, &f) ? 0 : f.fn == next.fn && run ? run + 1 : 1;
		if (f.kind == FUSE_COMPARE && next.kind == FUSE_JCC) {
			op->fn = compares[f.arg].by_cc[next.arg];
			s[i] = (struct stride){ .span = 2 };
		} else if (run >= 2) {
			s[i] = (struct stride){ .span = (uint8_t)(run < RUN_MAX ? run : RUN_MAX) };
			op->fn = (f.kind == FUSE_PUSH ? push_runs : pop_runs)[f.arg][s[i].span - 2];
		}
		next = f;
	}
}

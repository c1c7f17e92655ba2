/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CMP or TEST fused with the Jcc behind it: one dispatch for two instructions,
 * when the target lies in the same page and the code segment is flat. Flags are
 * stored all the same: code at either target may look at them.
 */
#include "interp/tables.h"

#define GET_8(o)	REG8(v, o)
#define GET_32(o)	REG32(v, o)
#define GET_64(o)	REG64(v, o)

/*
 * The target's page offset is in base | index << 8, the immediate in disp; link
 * is the target trace. Falls through to the next operation when not taken.
 */
#define FUSED(name, W, sfx, cc, form, SRC, cond)					\
	static HANDLER(name##W##_##form##_j##cc)					\
	{ uint##W##_t d = GET_##W(op->a), s = (uint##W##_t)(SRC);			\
	  uint16_t f;									\
	  asm(#name #sfx " %2, %1" ASM_SAVE : "=&a"(f) : "q"(d), "q"(s) : "cc");	\
	  v->cpu.arith = f;								\
	  if (cond) DISPATCH(v, trace_link(v, op, op->base | op->index << 8));		\
	  NEXT(v, op); }
#define FUSED_CC(name, W, sfx)								\
	FUSED_LIST(name, W, sfx, rr, GET_##W(op->b))					\
	FUSED_LIST(name, W, sfx, ri, op->disp)
#define FUSED_LIST(name, W, sfx, form, SRC)						\
	FUSED(name, W, sfx, o, form, SRC, (f & AR_OF)) FUSED(name, W, sfx, no, form, SRC, !(f & AR_OF)) \
	FUSED(name, W, sfx, b, form, SRC, (f & AR_CF)) FUSED(name, W, sfx, ae, form, SRC, !(f & AR_CF)) \
	FUSED(name, W, sfx, e, form, SRC, (f & AR_ZF)) FUSED(name, W, sfx, ne, form, SRC, !(f & AR_ZF)) \
	FUSED(name, W, sfx, be, form, SRC, (f & (AR_CF | AR_ZF)))			\
	FUSED(name, W, sfx, a, form, SRC, !(f & (AR_CF | AR_ZF)))			\
	FUSED(name, W, sfx, s, form, SRC, (f & AR_SF)) FUSED(name, W, sfx, ns, form, SRC, !(f & AR_SF)) \
	FUSED(name, W, sfx, p, form, SRC, (f & AR_PF)) FUSED(name, W, sfx, np, form, SRC, !(f & AR_PF)) \
	FUSED(name, W, sfx, l, form, SRC, ((f >> 15 ^ f) & 1))				\
	FUSED(name, W, sfx, ge, form, SRC, !((f >> 15 ^ f) & 1))			\
	FUSED(name, W, sfx, le, form, SRC, ((f & AR_ZF) || ((f >> 15 ^ f) & 1)))	\
	FUSED(name, W, sfx, g, form, SRC, !((f & AR_ZF) || ((f >> 15 ^ f) & 1)))

FUSED_CC(cmp, 8, b)
FUSED_CC(cmp, 32, l)
FUSED_CC(cmp, 64, q)
FUSED_CC(test, 8, b)
FUSED_CC(test, 32, l)
FUSED_CC(test, 64, q)

#define FUSED_NAMES(x) { x##o, x##no, x##b, x##ae, x##e, x##ne, x##be, x##a, x##s, x##ns, x##p,	\
	x##np, x##l, x##ge, x##le, x##g }
#define FUSED_ROW(name, form) { FUSED_NAMES(name##8_##form##_j), FUSED_NAMES(name##32_##form##_j), \
	FUSED_NAMES(name##64_##form##_j) }

op_fn *const fused_jcc[2][2][3][16] = {
	{ FUSED_ROW(cmp, rr), FUSED_ROW(cmp, ri) },
	{ FUSED_ROW(test, rr), FUSED_ROW(test, ri) },
};

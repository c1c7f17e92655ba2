/* SPDX-License-Identifier: BSD-2-Clause */
/* Data movement: MOV, MOVZX, MOVSX, MOVSXD, LEA, CMOVcc, SETcc, XCHG, BSWAP, XLAT, MOVBE. */
#include "interp/tables.h"

#define SET_8(o, x)	(REG8(v, o) = (uint8_t)(x))
#define SET_16(o, x)	(REG16(v, o) = (uint16_t)(x))
#define SET_32(o, x)	SET32(v, o, x)
#define SET_64(o, x)	(REG64(v, o) = (x))
#define GET_8(o)	REG8(v, o)
#define GET_16(o)	REG16(v, o)
#define GET_32(o)	REG32(v, o)
#define GET_64(o)	REG64(v, o)

#define MOV_WIDTH(W)									\
	static HANDLER(mov##W##_rr) { SET_##W(op->a, GET_##W(op->b)); NEXT(v, op); }	\
	static HANDLER(mov##W##_ri) { SET_##W(op->a, (uint##W##_t)op->imm); NEXT(v, op); } \
	LOAD_FORMS(mov##W##_rm, uint##W##_t, SET_##W(op->a, s);)			\
	STORE_FORMS(mov##W##_mr, uint##W##_t, GET_##W(op->b))				\
	STORE_FORMS(mov##W##_mi, uint##W##_t, op->imm)

MOV_WIDTH(8)
MOV_WIDTH(16)
MOV_WIDTH(32)
MOV_WIDTH(64)

#define ROW(W) { mov##W##_rr, mov##W##_ri, mov##W##_rr, mov##W##_ri,			\
	FORMS(mov##W##_rm), FORMS(mov##W##_mr), FORMS(mov##W##_mi) }
const struct binary_row mov_rows[4] = { ROW(8), ROW(16), ROW(32), ROW(64) };

/* Extensions: S source width, D destination width. */
#define EXTEND(sgn, C, S, D)								\
	static HANDLER(ext_##sgn##S##_##D##_r)						\
	{ SET_##D(op->a, (uint##D##_t)(C##D##_t)(C##S##_t)GET_##S(op->b)); NEXT(v, op); } \
	LOAD_FORMS(ext_##sgn##S##_##D##_m, C##S##_t,					\
		SET_##D(op->a, (uint##D##_t)(C##D##_t)s);)
#define EXTEND_SIGN(sgn, C)								\
	EXTEND(sgn, C, 8, 16) EXTEND(sgn, C, 8, 32) EXTEND(sgn, C, 8, 64)		\
	EXTEND(sgn, C, 16, 16) EXTEND(sgn, C, 16, 32) EXTEND(sgn, C, 16, 64)		\
	EXTEND(sgn, C, 32, 32) EXTEND(sgn, C, 32, 64)
EXTEND_SIGN(z, uint)
EXTEND_SIGN(s, int)

#define EROW(sgn, S, D) { ext_##sgn##S##_##D##_r, FORMS(ext_##sgn##S##_##D##_m) }
#define EROWS(sgn) {									\
	{ [1] = EROW(sgn, 8, 16), EROW(sgn, 8, 32), EROW(sgn, 8, 64) },			\
	{ [1] = EROW(sgn, 16, 16), EROW(sgn, 16, 32), EROW(sgn, 16, 64) },		\
	{ [2] = EROW(sgn, 32, 32), EROW(sgn, 32, 64) } }
const struct extend_row extend_rows[2][3][4] = { EROWS(z), EROWS(s) };

/* LEA never looks at the segment. */
#define LEA(W)										\
	static HANDLER(lea##W##_a32) { SET_##W(op->a, (uint##W##_t)(uint32_t)ea_sum(v, op)); NEXT(v, op); } \
	static HANDLER(lea##W##_a64) { SET_##W(op->a, (uint##W##_t)ea_sum(v, op)); NEXT(v, op); }
LEA(16)
LEA(32)
LEA(64)
op_fn *const lea_forms[4][2] = {
	[1] = { lea16_a32, lea16_a64 }, [2] = { lea32_a32, lea32_a64 }, [3] = { lea64_a32, lea64_a64 },
};
HANDLER(h_lea_slow)
{
	reg_set(v, op->a, op->osize, ea_offset(v, op));
	NEXT(v, op);
}

/* SETcc r/m8; CMOVcc r, r/m: the load happens whatever the condition, and a
 * 32-bit destination is zero-extended in both cases. */
#define CC_HANDLERS(cc, n, cond)							\
	static HANDLER(set##cc##_r) { unsigned f = v->cpu.arith; REG8(v, op->a) = !!(cond); NEXT(v, op); } \
	static HANDLER(set##cc##_m)							\
	{ unsigned f = v->cpu.arith; SYNC(v, op);					\
	  mem_write(v, op->seg, ea_offset(v, op), 1, !!(cond)); NEXT_CHECKED(v, op); }	\
	static HANDLER(cmov##cc##16_r)							\
	{ unsigned f = v->cpu.arith; if (cond) REG16(v, op->a) = REG16(v, op->b); NEXT(v, op); } \
	static HANDLER(cmov##cc##32_r)							\
	{ unsigned f = v->cpu.arith; uint32_t x = REG32(v, op->a), y = REG32(v, op->b);	\
	  SET32(v, op->a, (cond) ? y : x); NEXT(v, op); }				\
	static HANDLER(cmov##cc##64_r)							\
	{ unsigned f = v->cpu.arith; if (cond) REG64(v, op->a) = REG64(v, op->b); NEXT(v, op); } \
	static HANDLER(cmov##cc##16_m)							\
	{ unsigned f = v->cpu.arith; SYNC(v, op);					\
	  uint64_t s = mem_read(v, op->seg, ea_offset(v, op), 2);			\
	  REG16(v, op->a) = (cond) ? (uint16_t)s : REG16(v, op->a); NEXT(v, op); }	\
	LOAD_FORMS(cmov##cc##32_m, uint32_t, unsigned f = v->cpu.arith;			\
		uint32_t x = REG32(v, op->a); SET32(v, op->a, (cond) ? s : x);)		\
	LOAD_FORMS(cmov##cc##64_m, uint64_t, unsigned f = v->cpu.arith;			\
		if (cond) REG64(v, op->a) = s;)
CC_LIST(CC_HANDLERS)

#define SETCC_R(cc, n, cond)	[n] = set##cc##_r,
#define SETCC_M(cc, n, cond)	[n] = set##cc##_m,
#define CMOV_R(cc, n, cond)	[n] = { NULL, cmov##cc##16_r, cmov##cc##32_r, cmov##cc##64_r },
#define CMOV_M(cc, n, cond)	[n] = { { NULL }, EVERY_FORM(cmov##cc##16_m),		\
	FORMS(cmov##cc##32_m), FORMS(cmov##cc##64_m) },
op_fn *const setcc_r[16] = { CC_LIST(SETCC_R) };
op_fn *const setcc_m[16] = { CC_LIST(SETCC_M) };
op_fn *const cmov_r[16][4] = { CC_LIST(CMOV_R) };
op_fn *const cmov_m[16][4][EA_FORMS] = { CC_LIST(CMOV_M) };

HANDLER(h_xchg_r)
{
	uint64_t x = reg_get(v, op->a, op->osize), y = reg_get(v, op->b, op->osize);

	reg_set(v, op->a, op->osize, y);
	reg_set(v, op->b, op->osize, x);
	NEXT(v, op);
}

HANDLER(h_xchg_m)
{
	SYNC(v, op);
	uint64_t off = ea_offset(v, op);
	uint64_t old = mem_read_rmw(v, op->seg, off, op->osize);

	mem_write(v, op->seg, off, op->osize, reg_get(v, op->a, op->osize));
	reg_set(v, op->a, op->osize, old);
	NEXT_CHECKED(v, op);
}

/* XCHG m, r where the page is at hand. */
#define XCHG_M(W, w, form)								\
	static HANDLER(xchg##W##_m_##form)						\
	{ GUEST(uint##W##_t, p, wr, ea_##form(v, op), 1, return h_xchg_m(v, op));	\
	  uint##W##_t d = *p; *p = GET_##W(op->a); SET_##W(op->a, d); NEXT(v, op); }
XCHG_M(32, 2, d32) XCHG_M(32, 2, d64) XCHG_M(64, 3, d64)
op_fn *const xchg_m[4][EA_FORMS] = {
	[2] = { [EA_D32] = xchg32_m_d32, [EA_D64] = xchg32_m_d64 }, [3] = { [EA_D64] = xchg64_m_d64 },
};

HANDLER(h_bswap)
{
	if (op->osize == 8)
		REG64(v, op->a) = __builtin_bswap64(REG64(v, op->a));
	else if (op->osize == 4)
		SET32(v, op->a, __builtin_bswap32(REG32(v, op->a)));
	else	/* undefined by the manual; processors give zero */
		REG16(v, op->a) = 0;
	NEXT(v, op);
}

HANDLER(h_movbe)
{
	SYNC(v, op);
	unsigned shift = 64 - 8 * op->osize;

	if (op->flags & OPF_MEM_DST) {
		mem_write(v, op->seg, ea_offset(v, op), op->osize,
			  __builtin_bswap64(reg_get(v, op->a, op->osize)) >> shift);
		NEXT_CHECKED(v, op);
	}
	reg_set(v, op->a, op->osize,
		__builtin_bswap64(mem_read(v, op->seg, ea_offset(v, op), op->osize)) >> shift);
	NEXT(v, op);
}

HANDLER(h_xlat)
{
	uint64_t off = v->cpu.gpr[RBX] + REG8(v, 8 * RAX);

	SYNC(v, op);
	off = op->flags & OPF_A64 ? off : op->flags & OPF_A16 ? (uint16_t)off : (uint32_t)off;
	REG8(v, 8 * RAX) = (uint8_t)mem_read(v, op->seg, off, 1);
	NEXT(v, op);
}

/* MOV between the accumulator and a 64-bit absolute offset (imm). */
HANDLER(h_mov_moffs)
{
	SYNC(v, op);
	if (op->flags & OPF_MEM_DST) {
		mem_write(v, op->seg, op->imm, op->osize, reg_get(v, op->a, op->osize));
		NEXT_CHECKED(v, op);
	}
	reg_set(v, op->a, op->osize, mem_read(v, op->seg, op->imm, op->osize));
	NEXT(v, op);
}

HANDLER(h_nop)
{
	NEXT(v, op);
}

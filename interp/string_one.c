/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MOVS CMPS STOS LODS SCAS without a prefix, over flat segments: one element by way of
 * the soft TLB. What misses there goes to string.c's handlers, which begin again.
 */
#include "interp/tables.h"

#define INDEX_32(r)	((uint32_t)v->cpu.gpr[r])
#define INDEX_64(r)	(v->cpu.gpr[r])
#define ADVANCE(A, r)	(v->cpu.gpr[r] = (uint##A##_t)(v->cpu.gpr[r] + (v->cpu.eflags & FL_DF ?	\
				-sizeof(T) : sizeof(T))))

#define COMPARE_8(x, y)		COMPARE(b, x, y)
#define COMPARE_16(x, y)	COMPARE(w, x, y)
#define COMPARE_32(x, y)	COMPARE(l, x, y)
#define COMPARE_64(x, y)	COMPARE(q, x, y)
#define COMPARE(sfx, x, y)								\
	uint16_t f;									\
	asm("cmp" #sfx " %2, %1" ASM_SAVE : "=&a"(f) : "q"(x), "q"(y) : "cc");		\
	v->cpu.arith = f

#define ACC_8		REG8(v, 8 * RAX)
#define ACC_16		REG16(v, 8 * RAX)
#define ACC_32		REG32(v, 8 * RAX)
#define ACC_64		REG64(v, 8 * RAX)
#define SET_ACC_8(x)	(REG8(v, 8 * RAX) = (x))
#define SET_ACC_16(x)	(REG16(v, 8 * RAX) = (x))
#define SET_ACC_32(x)	SET32(v, 8 * RAX, x)
#define SET_ACC_64(x)	(REG64(v, 8 * RAX) = (x))

/* One width W of data with one width A of addresses. */
#define ONE(W, A)									\
	static HANDLER(movs##W##_##A)							\
	{ typedef uint##W##_t T;							\
	  GUEST(T, s, rd, INDEX_##A(RSI), 1, return h_movs(v, op));			\
	  GUEST(T, d, wr, INDEX_##A(RDI), 1, return h_movs(v, op));			\
	  *d = *s; ADVANCE(A, RSI); ADVANCE(A, RDI); NEXT(v, op); }			\
	static HANDLER(cmps##W##_##A)							\
	{ typedef uint##W##_t T;							\
	  GUEST(T, s, rd, INDEX_##A(RSI), 1, return h_cmps(v, op));			\
	  GUEST(T, d, rd, INDEX_##A(RDI), 1, return h_cmps(v, op));			\
	  T x = *s, y = *d; COMPARE_##W(x, y);						\
	  ADVANCE(A, RSI); ADVANCE(A, RDI); NEXT(v, op); }				\
	static HANDLER(stos##W##_##A)							\
	{ typedef uint##W##_t T;							\
	  GUEST(T, d, wr, INDEX_##A(RDI), 1, return h_stos(v, op));			\
	  *d = ACC_##W; ADVANCE(A, RDI); NEXT(v, op); }					\
	static HANDLER(lods##W##_##A)							\
	{ typedef uint##W##_t T;							\
	  GUEST(T, s, rd, INDEX_##A(RSI), 1, return h_lods(v, op));			\
	  SET_ACC_##W(*s); ADVANCE(A, RSI); NEXT(v, op); }				\
	static HANDLER(scas##W##_##A)							\
	{ typedef uint##W##_t T;							\
	  GUEST(T, d, rd, INDEX_##A(RDI), 1, return h_scas(v, op));			\
	  T x = ACC_##W, y = *d; COMPARE_##W(x, y); ADVANCE(A, RDI); NEXT(v, op); }
#define BOTH(W)	ONE(W, 32) ONE(W, 64)
BOTH(8) BOTH(16) BOTH(32) BOTH(64)

#define WIDTHS(name)									\
	{ { name##8_32, name##8_64 }, { name##16_32, name##16_64 },			\
	  { name##32_32, name##32_64 }, { name##64_32, name##64_64 } }
op_fn *const string_one[STRINGS][4][2] = {
	[STRING_MOVS] = WIDTHS(movs), [STRING_CMPS] = WIDTHS(cmps), [STRING_STOS] = WIDTHS(stos),
	[STRING_LODS] = WIDTHS(lods), [STRING_SCAS] = WIDTHS(scas),
};

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ADD OR ADC SBB AND SUB XOR CMP TEST, INC DEC NEG NOT in every width and operand
 * form. The host's own instruction does the arithmetic and delivers the flags
 * (LAHF and SETO, kept in that form), so results and flags are the processor's.
 */
#include "interp/tables.h"

/* asm suffix, C type, register constraint and register store by width. */
#define SET_8(o, x)	(REG8(v, o) = (x))
#define SET_16(o, x)	(REG16(v, o) = (x))
#define SET_32(o, x)	SET32(v, o, x)
#define SET_64(o, x)	(REG64(v, o) = (x))
#define GET_8(o)	REG8(v, o)
#define GET_16(o)	REG16(v, o)
#define GET_32(o)	REG32(v, o)
#define GET_64(o)	REG64(v, o)

/* d = d OP s with flags. Two flavours: plain, and with the guest's CF as input. */
#define DO_ALU(insn, sfx, d, s)	do { uint16_t f_;					\
	asm(insn #sfx " %2, %0" ASM_SAVE : "+q"(d), "=&a"(f_) : "q"(s) : "cc");		\
	v->cpu.arith = f_; } while (0)
#define DO_ALU_CF(insn, sfx, d, s) do { uint16_t f_;					\
	asm("btw $8, %3\n\t" insn #sfx " %2, %0" ASM_SAVE				\
	    : "+q"(d), "=&a"(f_) : "q"(s), "m"(v->cpu.arith) : "cc");			\
	v->cpu.arith = f_; } while (0)

#define DO_add(sfx, d, s)	DO_ALU("add", sfx, d, s)
#define DO_or(sfx, d, s)	DO_ALU("or", sfx, d, s)
#define DO_and(sfx, d, s)	DO_ALU("and", sfx, d, s)
#define DO_sub(sfx, d, s)	DO_ALU("sub", sfx, d, s)
#define DO_xor(sfx, d, s)	DO_ALU("xor", sfx, d, s)
#define DO_adc(sfx, d, s)	DO_ALU_CF("adc", sfx, d, s)
#define DO_sbb(sfx, d, s)	DO_ALU_CF("sbb", sfx, d, s)
#define DO_cmp(sfx, d, s)	DO_ALU("cmp", sfx, d, s)
#define DO_test(sfx, d, s)	DO_ALU("test", sfx, d, s)

/* Families that write their destination. */
#define ALU_WRITE(name, W, sfx)								\
	static HANDLER(name##W##_rr)							\
	{ uint##W##_t d = GET_##W(op->a), s = GET_##W(op->b);				\
	  DO_##name(sfx, d, s); SET_##W(op->a, d); NEXT(v, op); }			\
	static HANDLER(name##W##_ri)							\
	{ uint##W##_t d = GET_##W(op->a), s = (uint##W##_t)op->imm;			\
	  DO_##name(sfx, d, s); SET_##W(op->a, d); NEXT(v, op); }			\
	LOAD_FORMS(name##W##_rm, uint##W##_t,						\
		uint##W##_t d = GET_##W(op->a); DO_##name(sfx, d, s); SET_##W(op->a, d);) \
	RMW_FORMS(name##W##_mr, uint##W##_t,						\
		uint##W##_t s = GET_##W(op->b); DO_##name(sfx, d, s);)			\
	RMW_FORMS(name##W##_mi, uint##W##_t,						\
		uint##W##_t s = (uint##W##_t)op->imm; DO_##name(sfx, d, s);)
/* The same when nobody looks at the flags: plain C. */
#define ALU_NF(name, W, c_op)								\
	static HANDLER(name##W##_rr_nf)							\
	{ uint##W##_t d = GET_##W(op->a), s = GET_##W(op->b);				\
	  SET_##W(op->a, (uint##W##_t)(d c_op s)); NEXT(v, op); }			\
	static HANDLER(name##W##_ri_nf)							\
	{ uint##W##_t d = GET_##W(op->a), s = (uint##W##_t)op->imm;			\
	  SET_##W(op->a, (uint##W##_t)(d c_op s)); NEXT(v, op); }
/* CMP and TEST: nothing written; rm serves memory on either side. */
#define ALU_COMPARE(name, W, sfx)							\
	static HANDLER(name##W##_rr)							\
	{ uint##W##_t d = GET_##W(op->a), s = GET_##W(op->b);				\
	  DO_##name(sfx, d, s); NEXT(v, op); }						\
	static HANDLER(name##W##_ri)							\
	{ uint##W##_t d = GET_##W(op->a), s = (uint##W##_t)op->imm;			\
	  DO_##name(sfx, d, s); NEXT(v, op); }						\
	LOAD_FORMS(name##W##_rm, uint##W##_t,						\
		uint##W##_t d = GET_##W(op->a); DO_##name(sfx, d, s);)			\
	LOAD_FORMS(name##W##_mr, uint##W##_t,						\
		uint##W##_t r = GET_##W(op->b); DO_##name(sfx, s, r);)			\
	LOAD_FORMS(name##W##_mi, uint##W##_t,						\
		uint##W##_t i = (uint##W##_t)op->imm; DO_##name(sfx, s, i);)

#define ALU_WIDTH(W, sfx)								\
	ALU_WRITE(add, W, sfx) ALU_NF(add, W, +) ALU_WRITE(or, W, sfx) ALU_NF(or, W, |)	\
	ALU_WRITE(adc, W, sfx) ALU_WRITE(sbb, W, sfx)					\
	ALU_WRITE(and, W, sfx) ALU_NF(and, W, &) ALU_WRITE(sub, W, sfx) ALU_NF(sub, W, -) \
	ALU_WRITE(xor, W, sfx) ALU_NF(xor, W, ^)					\
	ALU_COMPARE(cmp, W, sfx) ALU_COMPARE(test, W, sfx)

ALU_WIDTH(8, b)
ALU_WIDTH(16, w)
ALU_WIDTH(32, l)
ALU_WIDTH(64, q)

#define ROW(name, W, nf) { name##W##_rr, name##W##_ri, name##W##_rr##nf, name##W##_ri##nf,	\
	FORMS(name##W##_rm), FORMS(name##W##_mr), FORMS(name##W##_mi) }
#define ROWS(name, nf) { ROW(name, 8, nf), ROW(name, 16, nf), ROW(name, 32, nf), ROW(name, 64, nf) }

const struct binary_row alu_rows[ALU_OPS][4] = {
	[ALU_ADD] = ROWS(add, _nf), [ALU_OR] = ROWS(or, _nf), [ALU_ADC] = ROWS(adc, ),
	[ALU_SBB] = ROWS(sbb, ), [ALU_AND] = ROWS(and, _nf), [ALU_SUB] = ROWS(sub, _nf),
	[ALU_XOR] = ROWS(xor, _nf), [ALU_CMP] = ROWS(cmp, ), [ALU_TEST] = ROWS(test, ),
};

/* INC and DEC keep CF: it is put into the host's before. */
#define DO_UNARY(insn, sfx, d)	do { uint16_t f_;					\
	asm("btw $8, %2\n\t" insn #sfx " %0" ASM_SAVE					\
	    : "+q"(d), "=&a"(f_) : "m"(v->cpu.arith) : "cc");				\
	v->cpu.arith = f_; } while (0)
#define DO_inc(sfx, d)	DO_UNARY("inc", sfx, d)
#define DO_dec(sfx, d)	DO_UNARY("dec", sfx, d)
#define DO_neg(sfx, d)	DO_UNARY("neg", sfx, d)
#define DO_not(sfx, d)	(d = (__typeof__(d))~d)
#define NF_inc(d)	(d + 1)
#define NF_dec(d)	(d - 1)
#define NF_neg(d)	(0 - d)
#define NF_not(d)	(~d)

#define UNARY(name, W, sfx)								\
	static HANDLER(name##W##_r)							\
	{ uint##W##_t d = GET_##W(op->a); DO_##name(sfx, d); SET_##W(op->a, d); NEXT(v, op); } \
	static HANDLER(name##W##_r_nf)							\
	{ uint##W##_t d = GET_##W(op->a); SET_##W(op->a, (uint##W##_t)NF_##name(d)); NEXT(v, op); } \
	RMW_FORMS(name##W##_m, uint##W##_t, DO_##name(sfx, d);)
#define UNARY_WIDTH(W, sfx) UNARY(inc, W, sfx) UNARY(dec, W, sfx) UNARY(neg, W, sfx) UNARY(not, W, sfx)

UNARY_WIDTH(8, b)
UNARY_WIDTH(16, w)
UNARY_WIDTH(32, l)
UNARY_WIDTH(64, q)

#define UROW(name, W)	{ name##W##_r, name##W##_r_nf, FORMS(name##W##_m) }
#define UROWS(name)	{ UROW(name, 8), UROW(name, 16), UROW(name, 32), UROW(name, 64) }

const struct unary_row unary_rows[UNARY_OPS][4] = {
	[UN_INC] = UROWS(inc), [UN_DEC] = UROWS(dec), [UN_NEG] = UROWS(neg), [UN_NOT] = UROWS(not),
};

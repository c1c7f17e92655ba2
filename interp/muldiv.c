/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MUL IMUL DIV IDIV, and the decimal adjustments DAA DAS AAA AAS AAM AAD (which
 * 64-bit hosts lack, so they follow the manual's pseudo-code, SDM 2).
 */
#include "interp/tables.h"

static inline uint64_t rm_value(struct interp *v, const struct op *op, unsigned reg)
{
	return op->flags & OPF_MEM ? mem_read(v, op->seg, ea_offset(v, op), op->osize)
				   : reg_get(v, reg, op->osize);
}

/* Widening multiplications: RDX:RAX = RAX * r/m (AX = AL * r/m8). CF = OF = the
 * upper half says more than the lower; SF ZF AF PF are the host's. */
static inline __attribute__((always_inline)) uint16_t mul_wide(uint64_t a, uint64_t b, unsigned size, bool sgn, uint64_t *lo, uint64_t *hi,
			 uint16_t arith)
{
	uint64_t l = a, h = 0;

#define CASE(n, insn)	case n:									\
	asm("movzwl %w[f], %%eax\n\t" ASM_LOAD "movq %[l], %%rax\n\t" insn "\n\t"		\
	    "movq %%rax, %[l]" ASM_SAVE "\n\tmovw %%ax, %w[f]"					\
	    : [l]"+&r"(l), "=&d"(h), [f]"+&r"(arith) : [s]"r"(b) : "rax", "cc"); break;
	switch (size << 1 | sgn) {
	CASE(2, "mulb %b[s]") CASE(3, "imulb %b[s]")
	CASE(4, "mulw %w[s]") CASE(5, "imulw %w[s]")
	CASE(8, "mull %k[s]") CASE(9, "imull %k[s]")
	CASE(16, "mulq %[s]") CASE(17, "imulq %[s]")
	}
#undef CASE
	*lo = l;
	*hi = h;
	return arith;
}

static const struct op *mul1(struct interp *v, const struct op *op, bool sgn)
{
	SYNC(v, op);
	uint64_t lo, hi, s = rm_value(v, op, op->a);

	v->cpu.arith = mul_wide(reg_get(v, 8 * RAX, op->osize), s, op->osize, sgn, &lo, &hi,
				v->cpu.arith);
	if (op->osize == 1) {
		REG16(v, 8 * RAX) = (uint16_t)lo;
	} else {
		reg_set(v, 8 * RAX, op->osize, lo);
		reg_set(v, 8 * RDX, op->osize, hi);
	}
	NEXT(v, op);
}

/* --- The same in the widths and forms that compilers use -------------------------------- */

#define SET_32(o, x)	SET32(v, o, x)
#define SET_64(o, x)	(REG64(v, o) = (x))
#define GET_32(o)	REG32(v, o)
#define GET_64(o)	REG64(v, o)

/* s: the operand. The size is a constant, so mul_wide() becomes its one case. */
#define DO_MUL(W, sgn)									\
	uint64_t lo; uint64_t hi;							\
	v->cpu.arith = mul_wide(GET_##W(8 * RAX), s, W / 8, sgn, &lo, &hi, v->cpu.arith); \
	SET_##W(8 * RAX, lo); SET_##W(8 * RDX, hi);
#define MUL(name, W, sgn)								\
	static HANDLER(name##W##_r) { uint##W##_t s = GET_##W(op->a); DO_MUL(W, sgn) NEXT(v, op); } \
	LOAD_FORMS(name##W##_m, uint##W##_t, DO_MUL(W, sgn))
MUL(mul, 32, false)
MUL(mul, 64, false)
MUL(imul, 32, true)
MUL(imul, 64, true)

#define MUL_ROW(name, W)	{ name##W##_r, name##W##_r, FORMS(name##W##_m) }
const struct unary_row mul_rows[2][4] = {
	{ [2] = MUL_ROW(mul, 32), MUL_ROW(mul, 64) }, { [2] = MUL_ROW(imul, 32), MUL_ROW(imul, 64) },
};

/* IMUL r, r/m and r, r/m, imm. */
#define DO_IMUL_TO(sfx, d, s) do { uint16_t f_ = v->cpu.arith;				\
	asm(ASM_LOAD "imul" #sfx " %2, %0" ASM_SAVE : "+r"(d), "+a"(f_) : "r"(s) : "cc");	\
	v->cpu.arith = f_; } while (0)
#define IMUL(W, sfx)									\
	static HANDLER(imul2_##W##_r)							\
	{ uint##W##_t d = GET_##W(op->a), s = GET_##W(op->b);				\
	  DO_IMUL_TO(sfx, d, s); SET_##W(op->a, d); NEXT(v, op); }			\
	static HANDLER(imul2_##W##_r_nf)						\
	{ SET_##W(op->a, GET_##W(op->a) * GET_##W(op->b)); NEXT(v, op); }		\
	LOAD_FORMS(imul2_##W##_m, uint##W##_t,						\
		uint##W##_t d = GET_##W(op->a); DO_IMUL_TO(sfx, d, s); SET_##W(op->a, d);)	\
	static HANDLER(imul3_##W##_r)							\
	{ uint##W##_t d = GET_##W(op->b), s = (uint##W##_t)op->imm;			\
	  DO_IMUL_TO(sfx, d, s); SET_##W(op->a, d); NEXT(v, op); }			\
	static HANDLER(imul3_##W##_r_nf)						\
	{ SET_##W(op->a, GET_##W(op->b) * (uint##W##_t)op->imm); NEXT(v, op); }		\
	LOAD_FORMS(imul3_##W##_m, uint##W##_t,						\
		uint##W##_t d = (uint##W##_t)op->imm; DO_IMUL_TO(sfx, d, s); SET_##W(op->a, d);)
IMUL(32, l)
IMUL(64, q)

#define IMUL_ROW(name)	{ name##_r, name##_r_nf, FORMS(name##_m) }
const struct unary_row imul_rows[2][4] = {
	{ [2] = IMUL_ROW(imul2_32), IMUL_ROW(imul2_64) }, { [2] = IMUL_ROW(imul3_32), IMUL_ROW(imul3_64) },
};

/* --- Any other ------------------------------------------------------------------------- */

HANDLER(h_mul) { return mul1(v, op, false); }
HANDLER(h_imul1) { return mul1(v, op, true); }

#define DO_IMUL(sfx, T, d, s) do { uint16_t f_ = v->cpu.arith; T d_ = (T)(d), s_ = (T)(s);	\
	asm(ASM_LOAD "imul" #sfx " %2, %0" ASM_SAVE : "+r"(d_), "+a"(f_) : "r"(s_) : "cc");	\
	v->cpu.arith = f_; reg_set(v, op->a, sizeof(T), d_); } while (0)

static const struct op *imul_to_reg(struct interp *v, const struct op *op, uint64_t x, uint64_t y)
{
	switch (op->osize) {
	case 2: DO_IMUL(w, uint16_t, x, y); break;
	case 4: DO_IMUL(l, uint32_t, x, y); break;
	default: DO_IMUL(q, uint64_t, x, y); break;
	}
	NEXT(v, op);
}

HANDLER(h_imul2)
{
	SYNC(v, op);
	return imul_to_reg(v, op, reg_get(v, op->a, op->osize), rm_value(v, op, op->b));
}

HANDLER(h_imul3)
{
	SYNC(v, op);
	return imul_to_reg(v, op, rm_value(v, op, op->b), op->imm);
}

/*
 * Divisions that cannot fault: the host does them, for the flags, which the manual leaves undefined.
 * *lo and *hi are the dividend, then quotient and remainder.
 */
static inline uint16_t divide(uint64_t *lo, uint64_t *hi, uint64_t s, unsigned size, bool sgn, uint16_t arith)
{
	uint64_t l = *lo, h = *hi, ax;

#define CASE(n, insn)	case n:									\
	asm("movzwl %w[f], %%eax\n\t" ASM_LOAD "movq %[l], %%rax\n\t" insn "\n\t"		\
	    "movq %%rax, %[l]" ASM_SAVE "\n\tmovw %%ax, %w[f]"					\
	    : [l]"+&r"(l), "+&d"(h), [f]"+&r"(arith), "=&a"(ax) : [s]"r"(s) : "cc"); break;
	switch (size << 1 | sgn) {
	CASE(2, "divb %b[s]") CASE(3, "idivb %b[s]")
	CASE(4, "divw %w[s]") CASE(5, "idivw %w[s]")
	CASE(8, "divl %k[s]") CASE(9, "idivl %k[s]")
	CASE(16, "divq %[s]") CASE(17, "idivq %[s]")
	}
#undef CASE
	*lo = l;
	*hi = h;
	return arith;
}

/* The dividend is in DX:AX of the width, in AX of the narrowest. */
static const struct op *quotient(struct interp *v, const struct op *op, uint64_t s, bool sgn)
{
	unsigned n = op->osize;
	uint64_t lo = reg_get(v, 8 * RAX, n == 1 ? 2 : n), hi = reg_get(v, 8 * RDX, n);

	v->cpu.arith = divide(&lo, &hi, s, n, sgn, v->cpu.arith);
	if (n == 1) {
		REG16(v, 8 * RAX) = (uint16_t)lo;
	} else {
		reg_set(v, 8 * RAX, n, lo);
		reg_set(v, 8 * RDX, n, hi);
	}
	NEXT(v, op);
}

HANDLER(h_div)
{
	SYNC(v, op);
	unsigned n = op->osize;
	uint64_t s = rm_value(v, op, op->a);

	/* The upper half of the dividend says whether the quotient fits. */
	if ((n == 1 ? (uint64_t)REG16(v, 8 * RAX) >> 8 : reg_get(v, 8 * RDX, n)) >= s)
		raise_fault(v, VEC_DE);
	return quotient(v, op, s, false);
}

HANDLER(h_idiv)
{
	SYNC(v, op);
	unsigned n = op->osize, bits = 8 * n;
	int64_t s = (int64_t)(rm_value(v, op, op->a) << (64 - bits)) >> (64 - bits);
	__int128 x, q;

	if (s == 0)
		raise_fault(v, VEC_DE);
	if (n == 1)
		x = (int16_t)REG16(v, 8 * RAX);
	else if (n == 8)
		x = (__int128)((unsigned __int128)v->cpu.gpr[RDX] << 64 | v->cpu.gpr[RAX]);
	else
		x = (int64_t)((reg_get(v, 8 * RDX, n) << bits | reg_get(v, 8 * RAX, n)) << (64 - 2 * bits))
		    >> (64 - 2 * bits);
	/* The most negative dividend by -1 overflows even 128 bits. */
	if (s == -1 && (unsigned __int128)x == (unsigned __int128)1 << 127)
		raise_fault(v, VEC_DE);
	q = n == 8 ? x / s : s == -1 ? -x : (__int128)((int64_t)x / s);
	if (q != (__int128)((int64_t)((uint64_t)q << (64 - bits)) >> (64 - bits)))
		raise_fault(v, VEC_DE);
	return quotient(v, op, (uint64_t)s, true);
}

/* --- Decimal ------------------------------------------------------------- */

/* SF ZF PF of a byte; the others as given. */
static void byte_flags(struct interp *v, uint8_t r, bool cf, bool af)
{
	uint32_t fl = (cf ? FL_CF : 0) | (af ? FL_AF : 0) | (r ? 0 : FL_ZF) | (r & 0x80 ? FL_SF : 0);

	if (!__builtin_parity(r))
		fl |= FL_PF;
	v->cpu.arith = flags_to_arith(fl);
}

static void decimal_adjust(struct interp *v, int sign)
{
	uint8_t al = REG8(v, 8 * RAX), old = al;
	bool old_cf = v->cpu.arith & AR_CF, cf = false, af = false;

	if ((al & 15) > 9 || (v->cpu.arith & AR_AF)) {
		cf = old_cf || (sign > 0 ? al > 0xff - 6 : al < 6);
		al = (uint8_t)(al + sign * 6);
		af = true;
	}
	if (old > 0x99 || old_cf) {
		al = (uint8_t)(al + sign * 0x60);
		cf = true;
	} else if (sign > 0) {
		cf = false;
	}
	REG8(v, 8 * RAX) = al;
	byte_flags(v, al, cf, af);
}

HANDLER(h_daa) { decimal_adjust(v, 1); NEXT(v, op); }
HANDLER(h_das) { decimal_adjust(v, -1); NEXT(v, op); }

static void ascii_adjust(struct interp *v, int sign)
{
	bool adjust = (REG8(v, 8 * RAX) & 15) > 9 || (v->cpu.arith & AR_AF);

	if (adjust)
		REG16(v, 8 * RAX) = (uint16_t)(REG16(v, 8 * RAX) + sign * 0x106);
	REG8(v, 8 * RAX) &= 15;
	byte_flags(v, REG8(v, 8 * RAX), adjust, adjust);
}

HANDLER(h_aaa) { ascii_adjust(v, 1); NEXT(v, op); }
HANDLER(h_aas) { ascii_adjust(v, -1); NEXT(v, op); }

HANDLER(h_aam)
{
	uint8_t al = REG8(v, 8 * RAX), base = (uint8_t)op->imm;

	SYNC(v, op);
	if (base == 0)
		raise_fault(v, VEC_DE);
	REG16(v, 8 * RAX) = (uint16_t)((al / base) << 8 | al % base);
	byte_flags(v, REG8(v, 8 * RAX), false, false);
	NEXT(v, op);
}

HANDLER(h_aad)
{
	uint8_t al = (uint8_t)(REG8(v, 8 * RAX) + REG8(v, 8 * RAX + 1) * (uint8_t)op->imm);

	REG16(v, 8 * RAX) = al;
	byte_flags(v, al, false, false);
	NEXT(v, op);
}

/* CBW CWDE CDQE; CWD CDQ CQO. osize is the destination's. */
HANDLER(h_cbw)
{
	switch (op->osize) {
	case 2: REG16(v, 8 * RAX) = (uint16_t)(int8_t)REG8(v, 8 * RAX); break;
	case 4: SET32(v, 8 * RAX, (int16_t)REG16(v, 8 * RAX)); break;
	default: REG64(v, 8 * RAX) = (uint64_t)(int32_t)REG32(v, 8 * RAX); break;
	}
	NEXT(v, op);
}

HANDLER(h_cwd)
{
	switch (op->osize) {
	case 2: REG16(v, 8 * RDX) = (uint16_t)((int16_t)REG16(v, 8 * RAX) >> 15); break;
	case 4: SET32(v, 8 * RDX, (int32_t)REG32(v, 8 * RAX) >> 31); break;
	default: REG64(v, 8 * RDX) = (uint64_t)((int64_t)REG64(v, 8 * RAX) >> 63); break;
	}
	NEXT(v, op);
}

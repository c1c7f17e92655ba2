/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIMD floating point with unmasked exceptions. The host computed with all of them
 * masked; what the guest's masks would have made of it differs in three ways (SDM 1
 * 11.5.2, 4.9.1): an exception found before the computation suppresses those found
 * after it; underflow is signalled although the result is exact; and inexactness then
 * means that of a result with an unbounded exponent. For the last two every element
 * is computed again in x87, whose exponents never end here.
 */
#include "interp/sse_fp.h"

#define PRE_COMPUTATION	(SW_IE | SW_DE | SW_ZE)

union lanes { __m128i v; uint32_t d[4]; uint64_t q[2]; };

/* An element's operation: operands as they lie in a register, 8 bytes or 4. */
struct element {
	uint64_t x, y;
	enum sse_op op;		/* SSE_ADD to SSE_DIV */
	bool wide, wide_result;
};

static union fpreg extend(uint64_t x, bool wide)
{
	union fpreg r = { .q = { 0 } };

	if (wide)
		__asm__ volatile("fldl %1\n\tfstpt %0" : "=m"(r) : "m"(x) : "st");
	else
		__asm__ volatile("flds %1\n\tfstpt %0" : "=m"(r) : "m"(x) : "st");
	return r;
}

/* d = d OP s with the flags of the operation alone. */
#define COMPUTE(insn, d, s, sw)								\
	__asm__ volatile("fnclex\n\tfldt %2\n\tfldt %1\n\t" insn " %%st(1), %%st\n\t"	\
			 "fnstsw %%ax\n\tfstpt %1\n\tfstp %%st(0)\n\tfnclex"		\
			 : "=&a"(sw), "+m"(d) : "m"(s) : "st", "st(1)")

/* The flags found after the computation of one element. */
static uint32_t element_flags(uint32_t mxcsr, const struct element *e)
{
	uint16_t cw = (uint16_t)(CW_MASKS | CW_FIXED | (e->wide_result ? 0x200 : 0) |
				 (mxcsr >> 3 & 0xc00));
	uint16_t init = CW_INIT, op_sw, store_sw;
	int min_exp = 0x3fff - (e->wide_result ? 1022 : 126);
	union fpreg r = extend(e->x, e->wide), y = extend(e->y, e->wide);
	uint64_t stored;

	__asm__ volatile("fldcw %0" : : "m"(cw));
	switch (e->op) {
	case SSE_ADD: COMPUTE("fadd", r, y, op_sw); break;
	case SSE_SUB: COMPUTE("fsub", r, y, op_sw); break;
	case SSE_DIV: COMPUTE("fdiv", r, y, op_sw); break;
	default: COMPUTE("fmul", r, y, op_sw); break;
	}
	if (e->wide_result)
		__asm__ volatile("fldt %2\n\tfstpl %1\n\tfnstsw %%ax"
				 : "=&a"(store_sw), "=m"(stored) : "m"(r) : "st");
	else
		__asm__ volatile("fldt %2\n\tfstps %1\n\tfnstsw %%ax"
				 : "=&a"(store_sw), "=m"(stored) : "m"(r) : "st");
	__asm__ volatile("fnclex\n\tfldcw %0" : : "m"(init));
	x87_host_flags = 0;

	if (store_sw & SW_OE)
		return SW_OE | (mxcsr & SW_OE << 7 ? SW_PE : op_sw & SW_PE);
	if ((r.w[4] & 0x7fff) < min_exp && r.q[0]) {
		if (!(mxcsr & SW_UE << 7))
			return SW_UE | (op_sw & SW_PE);
		if (((op_sw | store_sw) & SW_PE) || (mxcsr & MXCSR_FTZ))
			return SW_UE | SW_PE;
		return 0;
	}
	return op_sw & SW_PE;
}

static uint64_t operand(const union lanes *x, unsigned i, bool wide, bool daz)
{
	if (wide)
		return daz && !(x->q[i] & 0x7ff0000000000000) ? 0 : x->q[i];
	return daz && !(x->d[i] & 0x7f800000) ? 0 : x->d[i];
}

static uint32_t post_flags(uint32_t mxcsr, __m128i a, __m128i b, unsigned kind)
{
	union lanes x = { .v = a }, y = { .v = b };
	enum sse_op op = kind & SSE_OP;
	bool wide = (kind & SSE_WIDE) || op == SSE_NARROW, daz = mxcsr & MXCSR_DAZ;
	unsigned n = kind & SSE_PACKED ? (wide ? 2 : 4) : 1;
	uint32_t flags = 0;

	for (unsigned i = 0; i < n; i++) {
		struct element e = { .op = op, .wide = wide, .wide_result = kind & SSE_WIDE };
		const union lanes *from = i < n / 2 ? &x : &y;
		unsigned pair = 2 * i % n;

		e.x = operand(&x, i, wide, daz);
		e.y = operand(&y, i, wide, daz);
		switch (op) {
		case SSE_ADDSUB:
			e.op = i & 1 ? SSE_ADD : SSE_SUB;
			break;
		case SSE_NARROW:	/* times one, rounded to the narrow precision */
			e.op = SSE_MUL;
			e.x = 0x3ff0000000000000;
			break;
		case SSE_HADD: case SSE_HSUB:
			e.op = op == SSE_HADD ? SSE_ADD : SSE_SUB;
			e.x = operand(from, pair, wide, daz);
			e.y = operand(from, pair + 1, wide, daz);
			break;
		default:
			break;
		}
		flags |= element_flags(mxcsr, &e);
	}
	return flags;
}

static void settle(struct interp *v, uint32_t flags, __m128i a, __m128i b, unsigned kind)
{
	struct fpu *f = &v->cpu.fpu;
	uint32_t unmasked = ~f->mxcsr >> 7 & SW_FLAGS;

	if (flags & unmasked & PRE_COMPUTATION)
		flags &= PRE_COMPUTATION;
	else if ((kind & SSE_OP) && (unmasked & (SW_OE | SW_UE)))
		flags = (flags & PRE_COMPUTATION) | post_flags(f->mxcsr, a, b, kind);
	f->mxcsr |= flags;
	if (flags & unmasked)
		raise_fault(v, v->cpu.cr4 & CR4_OSXMMEXCPT ? VEC_XM : VEC_UD);
}

/* A dot product is a multiplication and one or two rounds of additions; the first of
 * them that finds an unmasked exception ends it. */
#define STEP(insn, a, b, kind) do {					\
	__m128i r_ = (a);						\
	mxcsr_begin(v);							\
	__asm__ volatile(insn " %1, %0" : "+x"(r_) : "x"(b));		\
	settle(v, mxcsr_end(), a, b, kind);				\
	(a) = r_;							\
} while (0)

static void dot_product(struct interp *v, __m128i a, __m128i b, bool wide)
{
	unsigned select = v->op->imm >> 4 & 15;
	union lanes m;

	for (unsigned i = 0; i < 4; i++)
		m.d[i] = select >> (wide ? i / 2 : i) & 1 ? ~0u : 0;
	a = _mm_and_si128(a, m.v);
	b = _mm_and_si128(b, m.v);
	if (wide) {
		STEP("mulpd", a, b, SSE_PD | SSE_MUL);
		b = a;
		STEP("haddpd", a, b, SSE_PD | SSE_HADD);
		return;
	}
	STEP("mulps", a, b, SSE_PS | SSE_MUL);
	b = a;
	STEP("haddps", a, b, SSE_PS | SSE_HADD);
	b = a;
	STEP("haddps", a, b, SSE_PS | SSE_HADD);
}

void sse_unmasked(struct interp *v, uint32_t flags, __m128i b, unsigned kind)
{
	/* A conversion to a general register names that one, and has no first operand. */
	__m128i a = xmm_get(v, v->op->a & 15);

	if ((kind & SSE_OP) == SSE_DP)
		dot_product(v, a, b, kind & SSE_WIDE);
	else
		settle(v, flags, a, b, kind);
}

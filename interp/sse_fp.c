/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIMD floating point: arithmetic, conversion, comparison; and what an unmasked
 * exception does. The host computes with all exceptions masked; from its flags
 * and result follows what the guest's masks would have made of it. SDM 1 11.5.
 */
#include "config.h"

#include "interp/sse_fp.h"

#define GEN(m, h)
#define GEN2(m, mmx, xmm)
#define GEN3(m, mmx, xmm, gpr)

/* --- Unmasked exceptions ------------------------------------------------------------- */

#define PRE_COMPUTATION	(SW_IE | SW_DE | SW_ZE)

static bool is_tiny32(uint32_t x)
{
	return !(x & 0x7f800000) && (x & 0x007fffff);
}
static bool is_tiny64(uint64_t x)
{
	return !(x & 0x7ff0000000000000) && (x & 0x000fffffffffffff);
}

/* An exact denormal result raises no flag under a mask, but does without one. */
static bool has_tiny(__m128i result, enum tiny tiny)
{
	union { __m128i v; uint32_t d[4]; uint64_t q[2]; } r = { .v = result };

	switch (tiny) {
	case TINY_NONE: return false;
	case TINY_SS: return is_tiny32(r.d[0]);
	case TINY_SD: return is_tiny64(r.q[0]);
	case TINY_PD: return is_tiny64(r.q[0]) || is_tiny64(r.q[1]);
	case TINY_PS:
		return is_tiny32(r.d[0]) || is_tiny32(r.d[1]) || is_tiny32(r.d[2]) || is_tiny32(r.d[3]);
	}
	return false;
}

void sse_unmasked(struct interp *v, uint32_t flags, __m128i result, enum tiny tiny)
{
	struct fpu *f = &v->cpu.fpu;
	uint32_t unmasked = ~f->mxcsr >> 7;

	if (flags & unmasked & PRE_COMPUTATION)
		flags &= PRE_COMPUTATION;
	else if ((unmasked & SW_UE) && has_tiny(result, tiny))
		flags |= SW_UE;
	f->mxcsr |= flags;
	if (flags & unmasked)
		raise_fault(v, v->cpu.cr4 & CR4_OSXMMEXCPT ? VEC_XM : VEC_UD);
}

/* --- Two operands ------------------------------------------------------------------------ */

#define FLOAT(m, name, tiny)						\
HANDLER(h_xmm_##name)							\
{									\
	__m128i a, b;							\
									\
	SSE_ENTER(v, op);						\
	b = sse_source(v, op, true);					\
	a = xmm_get(v, op->a);						\
	mxcsr_begin(v);							\
	__asm__ volatile(#name " %1, %0" : "+x"(a) : "x"(b));		\
	sse_report(v, mxcsr_end(), a, tiny);				\
	xmm_set(v, op->a, a);						\
	NEXT(v, op);							\
}
#define COMPARE(m, name)						\
HANDLER(h_xmm_##name)							\
{									\
	__m128i b;							\
	uint16_t flags;							\
									\
	SSE_ENTER(v, op);						\
	b = sse_source(v, op, true);					\
	mxcsr_begin(v);							\
	__asm__ volatile(#name " %2, %1" ASM_SAVE			\
			 : "=a"(flags) : "x"(xmm_get(v, op->a)), "x"(b) : "cc"); \
	sse_report(v, mxcsr_end(), b, TINY_NONE);			\
	v->cpu.arith = flags;						\
	NEXT(v, op);							\
}
#include "interp/ops_sse.def"

/* --- Integers in general registers -------------------------------------------------------- */

#define FROM_GPR(name)							\
HANDLER(h_##name)							\
{									\
	__m128i a;							\
	uint64_t b;							\
									\
	SSE_ENTER(v, op);						\
	b = op->flags & OPF_MEM ? fpu_load(v, op, op->osize) : REG64(v, op->b); \
	a = xmm_get(v, op->a);						\
	mxcsr_begin(v);							\
	if (op->osize == 8)						\
		__asm__ volatile(#name "q %1, %0" : "+x"(a) : "r"(b));	\
	else								\
		__asm__ volatile(#name "l %k1, %0" : "+x"(a) : "r"(b));	\
	sse_report(v, mxcsr_end(), a, TINY_NONE);			\
	xmm_set(v, op->a, a);						\
	NEXT(v, op);							\
}
FROM_GPR(cvtsi2ss)
FROM_GPR(cvtsi2sd)

#define TO_GPR(name)							\
HANDLER(h_##name)							\
{									\
	uint64_t r;							\
	__m128i b;							\
									\
	SSE_ENTER(v, op);						\
	b = sse_source(v, op, true);					\
	mxcsr_begin(v);							\
	if (op->imm & 0x100)						\
		__asm__ volatile(#name " %1, %0" : "=r"(r) : "x"(b));	\
	else								\
		__asm__ volatile(#name " %1, %k0" : "=r"(r) : "x"(b));	\
	sse_report(v, mxcsr_end(), b, TINY_NONE);			\
	REG64(v, op->a) = r;						\
	NEXT(v, op);							\
}
TO_GPR(cvtss2si)
TO_GPR(cvttss2si)
TO_GPR(cvtsd2si)
TO_GPR(cvttsd2si)

/* --- Integers in MMX registers ---------------------------------------------------------------- */

/* The host's MMX registers are x87's: EMMS follows. */
#define FROM_MMX(name, transition)					\
HANDLER(h_##name)							\
{									\
	bool from_mmx = !(op->flags & OPF_MEM);				\
	__m128i a;							\
	uint64_t b;							\
									\
	SSE_ENTER(v, op);						\
	if ((from_mmx || (transition)) && unlikely(v->cpu.fpu.sw & SW_ES)) \
		return x87_pending(v, op);				\
	b = mmx_source(v, op);						\
	a = xmm_get(v, op->a);						\
	mxcsr_begin(v);							\
	__asm__ volatile("movq %1, %%mm0\n\t" #name " %%mm0, %0\n\temms" \
			 : "+x"(a) : "m"(b) : "mm0", "st");		\
	sse_report(v, mxcsr_end(), a, TINY_NONE);			\
	xmm_set(v, op->a, a);						\
	if (from_mmx || (transition))					\
		mmx_begin(&v->cpu.fpu);					\
	NEXT(v, op);							\
}
FROM_MMX(cvtpi2ps, true)
FROM_MMX(cvtpi2pd, false)

#define TO_MMX(name)							\
HANDLER(h_##name)							\
{									\
	__m128i b;							\
	uint64_t r;							\
									\
	SSE_MMX_ENTER(v, op);						\
	b = sse_source(v, op, true);					\
	mxcsr_begin(v);							\
	__asm__ volatile(#name " %1, %%mm0\n\tmovq %%mm0, %0\n\temms"	\
			 : "=m"(r) : "x"(b) : "mm0", "st");		\
	sse_report(v, mxcsr_end(), b, TINY_NONE);			\
	mmx_set(&v->cpu.fpu, op->a, r);					\
	NEXT(v, op);							\
}
TO_MMX(cvtps2pi)
TO_MMX(cvttps2pi)
TO_MMX(cvtpd2pi)
TO_MMX(cvttpd2pi)

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIMD floating point: arithmetic, conversion, comparison. The host computes
 * with all exceptions masked; sse_unmasked.c says what follows if they are not.
 * SDM 1 11.5.
 */
#include "interp/sse_fp.h"

#define GEN(m, h)
#define GEN2(m, mmx, xmm)
#define GEN3(m, mmx, xmm, gpr)

/* --- Two operands ------------------------------------------------------------------------ */

#define FLOAT(m, name, kind)						\
HANDLER(h_xmm_##name)							\
{									\
	__m128i a, b;							\
									\
	SSE_ENTER(v, op);						\
	b = sse_source(v, op, true);					\
	a = xmm_get(v, op->a);						\
	mxcsr_begin(v);							\
	__asm__ volatile(#name " %1, %0" : "+x"(a) : "x"(b));		\
	sse_report(v, mxcsr_end(), b, kind);				\
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
	sse_report(v, mxcsr_end(), b, SSE_NONE);			\
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
	sse_report(v, mxcsr_end(), a, SSE_NONE);			\
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
	sse_report(v, mxcsr_end(), b, SSE_NONE);			\
	REG64(v, op->a) = r;						\
	NEXT(v, op);							\
}
TO_GPR(cvtss2si)
TO_GPR(cvttss2si)
TO_GPR(cvtsd2si)
TO_GPR(cvttsd2si)

/* --- Integers in MMX registers ---------------------------------------------------------------- */

static uint64_t slot;	/* as mxcsr_slot */

/* The host's MMX registers are x87's: EMMS follows. */
#define FROM_MMX(name)							\
HANDLER(h_##name)							\
{									\
	bool from_mmx = !(op->flags & OPF_MEM);				\
	__m128i a;							\
									\
	SSE_ENTER(v, op);						\
	if (from_mmx && unlikely(v->cpu.fpu.sw & SW_ES)) \
		return x87_pending(v, op);				\
	slot = mmx_source(v, op);					\
	a = xmm_get(v, op->a);						\
	mxcsr_begin(v);							\
	__asm__ volatile("movq %1, %%mm0\n\t" #name " %%mm0, %0\n\temms" \
			 : "+x"(a) : "m"(slot) : "mm0", "st");		\
	if (from_mmx)							\
		mmx_begin(&v->cpu.fpu);					\
	sse_report(v, mxcsr_end(), a, SSE_NONE);			\
	xmm_set(v, op->a, a);						\
	NEXT(v, op);							\
}
FROM_MMX(cvtpi2ps)
FROM_MMX(cvtpi2pd)

#define TO_MMX(name)							\
HANDLER(h_##name)							\
{									\
	__m128i b;							\
									\
	SSE_MMX_ENTER(v, op);						\
	b = sse_source(v, op, true);					\
	mxcsr_begin(v);							\
	__asm__ volatile(#name " %1, %%mm0\n\tmovq %%mm0, %0\n\temms"	\
			 : "=m"(slot) : "x"(b) : "mm0", "st");		\
	mmx_begin(&v->cpu.fpu);						\
	sse_report(v, mxcsr_end(), b, SSE_NONE);			\
	mmx_set(&v->cpu.fpu, op->a, slot);				\
	NEXT(v, op);							\
}
TO_MMX(cvtps2pi)
TO_MMX(cvttps2pi)
TO_MMX(cvtpd2pi)
TO_MMX(cvttpd2pi)

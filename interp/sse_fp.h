/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIMD floating point: how the host computes under the guest's MXCSR, and how
 * exceptions come back. SDM 1 11.5.
 */
#ifndef INTERP_SSE_FP_H
#define INTERP_SSE_FP_H

#include "interp/fpu.h"

/* Which elements of a result can be denormal because the operation underflowed. */
enum tiny { TINY_NONE, TINY_SS, TINY_PS, TINY_SD, TINY_PD };

/*
 * The host runs with everything masked and no flag set; an unmasked underflow makes
 * FTZ ineffective. Between begin and end only the operation itself may use the unit.
 */
static inline void mxcsr_begin(const struct interp *v)
{
	uint32_t x = (v->cpu.fpu.mxcsr | MXCSR_MASKS) & ~SW_FLAGS;

	if (!(v->cpu.fpu.mxcsr & SW_UE << 7))
		x &= ~MXCSR_FTZ;
	__asm__ volatile("ldmxcsr %0" : : "m"(x) : "memory");
}
/* The flags that the operation raised. */
static inline uint32_t mxcsr_end(void)
{
	static const uint32_t init = MXCSR_INIT;
	uint32_t x;

	__asm__ volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(x) : "m"(init) : "memory");
	return x & SW_FLAGS;
}

/* What is left to do when some exception is unmasked: raises #XM if one occurred. */
void sse_unmasked(struct interp *v, uint32_t flags, __m128i result, enum tiny tiny);

/* After an operation, before its result is stored: sets the flags, may raise. */
static inline void sse_report(struct interp *v, uint32_t flags, __m128i result, enum tiny tiny)
{
	if (unlikely(~v->cpu.fpu.mxcsr & MXCSR_MASKS))
		sse_unmasked(v, flags, result, tiny);
	else
		v->cpu.fpu.mxcsr |= flags;
}

#endif

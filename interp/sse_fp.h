/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIMD floating point: how the host computes under the guest's MXCSR, and how
 * exceptions come back. SDM 1 11.5.
 */
#ifndef INTERP_SSE_FP_H
#define INTERP_SSE_FP_H

#include "interp/fpu.h"

/*
 * Operations that may overflow or underflow, by what they do to which elements;
 * SSE_NONE for all others. SSE_NARROW makes single from double precision.
 */
enum sse_op { SSE_NONE, SSE_ADD, SSE_SUB, SSE_MUL, SSE_DIV, SSE_ADDSUB, SSE_HADD, SSE_HSUB,
	      SSE_NARROW, SSE_DP };
#define SSE_OP		0x0f
#define SSE_WIDE	0x10u	/* the result is double precision */
#define SSE_PACKED	0x20u
#define SSE_SS		0u
#define SSE_SD		SSE_WIDE
#define SSE_PS		SSE_PACKED
#define SSE_PD		(SSE_PACKED | SSE_WIDE)

static uint32_t mxcsr_slot;	/* for asm; a local variable would prevent tail calls */

/*
 * The host runs with everything masked and no flag set; an unmasked underflow makes
 * FTZ ineffective. Between begin and end only the operation itself may use the unit.
 */
static inline void mxcsr_begin(const struct interp *v)
{
	uint32_t x = (v->cpu.fpu.mxcsr | MXCSR_MASKS) & ~SW_FLAGS;

	if (!(v->cpu.fpu.mxcsr & SW_UE << 7))
		x &= ~MXCSR_FTZ;
	mxcsr_slot = x;
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr_slot));
}
/* The flags that the operation raised. */
static inline uint32_t mxcsr_end(void)
{
	static const uint32_t init = MXCSR_INIT;

	__asm__ volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(mxcsr_slot) : "m"(init));
	return mxcsr_slot & SW_FLAGS;
}

/* What is left to do when some exception is unmasked: raises #XM if one occurred.
 * The first operand is still in its register, b is the second. */
void sse_unmasked(struct interp *v, uint32_t flags, __m128i b, unsigned kind);

/* After an operation, before its result is stored: sets the flags, may raise. */
static inline void sse_report(struct interp *v, uint32_t flags, __m128i b, unsigned kind)
{
	if (unlikely(~v->cpu.fpu.mxcsr & MXCSR_MASKS))
		sse_unmasked(v, flags, b, kind);
	else
		v->cpu.fpu.mxcsr |= flags;
}

#endif

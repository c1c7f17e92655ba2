/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XMM instructions on integers and bits: the host's instruction does each of them.
 * Nothing here looks at MXCSR. SDM 1 11.4, 12.
 */
#include "interp/decode.h"
#include "interp/fpu.h"

#define GEN(m, h)
#define GEN2(m, mmx, xmm)
#define GEN3(m, mmx, xmm, gpr)

#define XMM(m, name)							\
HANDLER(h_xmm_##name)							\
{									\
	__m128i a, b;							\
									\
	SSE_ENTER(v, op);						\
	b = sse_source(v, op, true);					\
	a = xmm_get(v, op->a);						\
	__asm__(#name " %1, %0" : "+x"(a) : "x"(b));			\
	xmm_set(v, op->a, a);						\
	NEXT(v, op);							\
}
#define BOTH(m, name)	XMM(m, name)
/* A count in an immediate means the same as in the low quadword of a register. */
#define SHIFT(m, name)							\
HANDLER(h_xmm_##name)							\
{									\
	__m128i a, b;							\
									\
	SSE_ENTER(v, op);						\
	if (!(op->flags & OPF_MEM) && op->index == OPD_IMM)		\
		b = _mm_cvtsi32_si128((uint8_t)op->imm);		\
	else								\
		b = sse_source(v, op, true);				\
	a = xmm_get(v, op->a);						\
	__asm__(#name " %1, %0" : "+x"(a) : "x"(b));			\
	xmm_set(v, op->a, a);						\
	NEXT(v, op);							\
}
#include "interp/ops_sse.def"

/* --- Byte shifts ------------------------------------------------------------------ */

/* bits 0-127: a 128-bit shift; both counts stay below 64 in each branch. */
HANDLER(h_xmm_pslldq)
{
	unsigned n = 8 * (uint8_t)op->imm;
	unsigned __int128 x;

	SSE_ENTER(v, op);
	x = (unsigned __int128)xmm_get(v, op->a);
	xmm_set(v, op->a, (__m128i)(n > 127 ? 0 : x << n));
	NEXT(v, op);
}

HANDLER(h_xmm_psrldq)
{
	unsigned n = 8 * (uint8_t)op->imm;
	unsigned __int128 x;

	SSE_ENTER(v, op);
	x = (unsigned __int128)xmm_get(v, op->a);
	xmm_set(v, op->a, (__m128i)(n > 127 ? 0 : x >> n));
	NEXT(v, op);
}

/* --- With the implicit operand XMM0 --------------------------------------------------- */

#define BLENDV(name)							\
HANDLER(h_xmm_##name)							\
{									\
	__m128i a, b;							\
									\
	SSE_ENTER(v, op);						\
	b = sse_source(v, op, true);					\
	a = xmm_get(v, op->a);						\
	__asm__(#name " %%xmm0, %1, %0" : "+x"(a) : "x"(b), "Yz"(xmm_get(v, 0))); \
	xmm_set(v, op->a, a);						\
	NEXT(v, op);							\
}
BLENDV(pblendvb)
BLENDV(blendvps)
BLENDV(blendvpd)

HANDLER(h_xmm_ptest)
{
	__m128i b;
	uint16_t flags;

	SSE_ENTER(v, op);
	b = sse_source(v, op, true);
	__asm__("ptest %2, %1\n\tmovl $0, %%eax" ASM_SAVE
		: "=&a"(flags) : "x"(xmm_get(v, op->a)), "x"(b) : "cc");
	v->cpu.arith = flags;
	NEXT(v, op);
}

/* --- Caches and order --------------------------------------------------------------------- */

/* One processor, and devices that act at once: memory is always in order. */
HANDLER(h_fence)
{
	SYNC(v, op);
	NEXT(v, op);
}

/* There is no cache, but the address must be readable (SDM 2 CLFLUSH). */
HANDLER(h_clflush)
{
	SYNC(v, op);
	mem_read(v, op->seg, ea_offset(v, op), 1);
	NEXT(v, op);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves of XMM registers, whole and in part, to and from memory, MMX and general
 * registers. SDM 1 10.4.1, 11.4.1.
 */
#include "interp/decode.h"
#include "interp/fpu.h"

#define X(r)	(&v->cpu.fpu.xmm[r])

HANDLER(h_mov_aligned)
{
	SSE_ENTER(v, op);
	if (op->flags & OPF_MEM_DST) {
		sse_store16(v, op, xmm_get(v, op->a), true);
		NEXT_CHECKED(v, op);
	}
	xmm_set(v, op->a, sse_source(v, op, true));
	NEXT(v, op);
}

HANDLER(h_mov_unaligned)
{
	SSE_ENTER(v, op);
	if (op->flags & OPF_MEM_DST) {
		sse_store16(v, op, xmm_get(v, op->a), false);
		NEXT_CHECKED(v, op);
	}
	xmm_set(v, op->a, sse_source(v, op, false));
	NEXT(v, op);
}

/* From memory the rest of the register is cleared, from a register it is kept. */
#define MOV_SCALAR(name, part, size)					\
HANDLER(h_##name)							\
{									\
	SSE_ENTER(v, op);						\
	if (op->flags & OPF_MEM_DST) {					\
		fpu_store(v, op, size, X(op->a)->part[0]);		\
		NEXT_CHECKED(v, op);					\
	}								\
	if (op->flags & OPF_MEM)					\
		xmm_set(v, op->a, _mm_cvtsi64_si128((int64_t)fpu_load(v, op, size))); \
	else								\
		X(op->a)->part[0] = X(op->b)->part[0];			\
	NEXT(v, op);							\
}
MOV_SCALAR(movss, d, 4)
MOV_SCALAR(movsd, q, 8)

/* MOVQ, and MOVD with memory: the rest is always cleared. */
HANDLER(h_xmm_movq)
{
	SSE_ENTER(v, op);
	if (op->flags & OPF_MEM_DST) {
		fpu_store(v, op, op->osize, X(op->a)->q[0]);
		NEXT_CHECKED(v, op);
	}
	xmm_set(v, op->a, _mm_move_epi64(sse_source(v, op, true)));
	NEXT(v, op);
}

#define MOV_HALF(name, half)						\
HANDLER(h_mov_##name)							\
{									\
	SSE_ENTER(v, op);						\
	if (op->flags & OPF_MEM_DST) {					\
		fpu_store(v, op, 8, X(op->a)->q[half]);			\
		NEXT_CHECKED(v, op);					\
	}								\
	X(op->a)->q[half] = fpu_load(v, op, 8);				\
	NEXT(v, op);							\
}
MOV_HALF(low, 0)
MOV_HALF(high, 1)

HANDLER(h_movhlps)
{
	SSE_ENTER(v, op);
	X(op->a)->q[0] = X(op->b)->q[1];
	NEXT(v, op);
}

HANDLER(h_movlhps)
{
	SSE_ENTER(v, op);
	X(op->a)->q[1] = X(op->b)->q[0];
	NEXT(v, op);
}

/* --- To and from general registers ---------------------------------------------------- */

/* MOVD and MOVQ with a general register: either direction, MMX or XMM. */
HANDLER(h_mov_gpr)
{
	bool to_gpr = op->base == OPD_GPR;
	unsigned kind = to_gpr ? op->index : op->base;

	if (kind == OPD_MMX)
		MMX_ENTER(v, op);
	else
		SSE_ENTER(v, op);
	if (to_gpr) {
		reg_set(v, op->a, op->osize,
			kind == OPD_MMX ? v->cpu.fpu.st[op->b].q[0] : X(op->b)->q[0]);
		if (kind == OPD_MMX)
			mmx_begin(&v->cpu.fpu);
	} else if (kind == OPD_MMX) {
		mmx_set(&v->cpu.fpu, op->a, reg_get(v, op->b, op->osize));
	} else {
		xmm_set(v, op->a, _mm_cvtsi64_si128((int64_t)reg_get(v, op->b, op->osize)));
	}
	NEXT(v, op);
}

/* Not an SSE instruction as CR0 and CR4 see it. */
HANDLER(h_movnti)
{
	SYNC(v, op);
	fpu_store(v, op, op->osize, REG64(v, op->a));
	NEXT_CHECKED(v, op);
}

#define MOVE_MASK(name, EXPR)						\
HANDLER(h_##name)							\
{									\
	__m128i x;							\
									\
	SSE_ENTER(v, op);						\
	x = xmm_get(v, op->b);						\
	SET32(v, op->a, EXPR);						\
	NEXT(v, op);							\
}
MOVE_MASK(movmskps, _mm_movemask_ps(_mm_castsi128_ps(x)))
MOVE_MASK(movmskpd, _mm_movemask_pd(_mm_castsi128_pd(x)))
MOVE_MASK(xmm_pmovmskb, _mm_movemask_epi8(x))

/* One element to a general register (zero-extended) or memory, and from there. */
#define ELEMENT(suffix, part, mask, size)				\
HANDLER(h_xmm_pextr##suffix)						\
{									\
	SSE_ENTER(v, op);						\
	if (op->flags & OPF_MEM_DST) {					\
		store_element(v, op, size, X(op->a)->part[op->imm & (mask)]); \
		NEXT_CHECKED(v, op);					\
	}								\
	REG64(v, op->a) = X(op->b)->part[op->imm & (mask)];		\
	NEXT(v, op);							\
}									\
HANDLER(h_xmm_pinsr##suffix)						\
{									\
	uint64_t x;							\
									\
	SSE_ENTER(v, op);						\
	if (op->flags & OPF_MEM)					\
		x = mem_read(v, op->seg, ea_offset(v, op), size);	\
	else								\
		x = REG64(v, op->b);					\
	X(op->a)->part[op->imm & (mask)] = (__typeof__(X(0)->part[0]))x; \
	NEXT(v, op);							\
}
static inline void store_element(struct interp *v, const struct op *op, unsigned size, uint64_t x)
{
	mem_write(v, op->seg, ea_offset(v, op), size, x);
}
ELEMENT(b, b, 15, 1)
ELEMENT(w, w, 7, 2)
ELEMENT(d, d, 3, 4)
ELEMENT(q, q, 1, 8)

/* --- To and from MMX registers --------------------------------------------------------- */

HANDLER(h_movq2dq)
{
	SSE_MMX_ENTER(v, op);
	xmm_set(v, op->a, _mm_cvtsi64_si128((int64_t)v->cpu.fpu.st[op->b].q[0]));
	mmx_begin(&v->cpu.fpu);
	NEXT(v, op);
}

HANDLER(h_movdq2q)
{
	SSE_MMX_ENTER(v, op);
	mmx_set(&v->cpu.fpu, op->a, X(op->b)->q[0]);
	NEXT(v, op);
}

/* --- Byte-masked stores ------------------------------------------------------------------ */

/* Faults for the whole operand, whichever bytes are chosen, and not at all if none is (both
 * may be, SDM 2 MASKMOVQ); then stores them one by one. The address is DS:rDI. */
static __attribute__((noinline)) void masked_store(struct interp *v, const struct op *op,
						   const uint8_t *src, const uint8_t *mask,
						   unsigned n)
{
	uint64_t off = v->cpu.gpr[RDI];
	uint64_t width = op->flags & OPF_A64 ? ~0ull : op->flags & OPF_A16 ? 0xffffu : 0xffffffffu;
	bool any = false;

	off &= width;
	for (unsigned i = 0; i < n; i++)
		any |= mask[i] >> 7;
	if (!any)
		return;
	mem_probe_write(v, op->seg, off, n);
	for (unsigned i = 0; i < n; i++)
		if (mask[i] & 0x80)
			mem_write(v, op->seg, (off + i) & width, 1, src[i]);
}

HANDLER(h_maskmovq)
{
	struct fpu *f = &v->cpu.fpu;

	MMX_ENTER(v, op);
	masked_store(v, op, f->st[op->a].b, f->st[op->b].b, 8);
	mmx_begin(f);
	NEXT_CHECKED(v, op);
}

HANDLER(h_maskmovdqu)
{
	SSE_ENTER(v, op);
	masked_store(v, op, X(op->a)->b, X(op->b)->b, 16);
	NEXT_CHECKED(v, op);
}

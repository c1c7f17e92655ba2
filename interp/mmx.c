/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MMX instructions, and those of SSE to SSSE3 that work on MMX registers only. The
 * host's MMX unit computes; each use ends in EMMS, since the registers are those of
 * x87. SDM 1 ch. 9.
 */
#include "interp/decode.h"
#include "interp/fpu.h"

#define GEN(m, h)
#define GEN2(m, mmx, xmm)
#define GEN3(m, mmx, xmm, gpr)

/* Not a local variable: one whose address an asm has seen prevents tail calls. */
static uint64_t slot;

/* Register a, slot: a = a OP slot. */
#define MMX_OP(v, insn, a) do {						\
	union fpreg *r_ = &(v)->cpu.fpu.st[a];				\
									\
	__asm__ volatile("movq %0, %%mm0\n\t" insn " %1, %%mm0\n\t"	\
			 "movq %%mm0, %0\n\temms"			\
			 : "+m"(r_->q[0]) : "m"(slot) : "mm0", "st");	\
	r_->q[1] = 0xffff;						\
	mmx_begin(&(v)->cpu.fpu);					\
} while (0)

#define BOTH(m, name)							\
HANDLER(h_mmx_##name)							\
{									\
	MMX_ENTER(v, op);						\
	slot = mmx_source(v, op);					\
	MMX_OP(v, #name, op->a);					\
	NEXT(v, op);							\
}
#define SHIFT(m, name)							\
HANDLER(h_mmx_##name)							\
{									\
	MMX_ENTER(v, op);						\
	if (!(op->flags & OPF_MEM) && op->index == OPD_IMM)		\
		slot = (uint8_t)op->imm;				\
	else								\
		slot = mmx_source(v, op);				\
	MMX_OP(v, #name, op->a);					\
	NEXT(v, op);							\
}
#include "interp/ops_sse.def"

HANDLER(h_mmx_pshufw)
{
	uint64_t b, r = 0;

	MMX_ENTER(v, op);
	b = mmx_source(v, op);
	for (unsigned i = 0; i < 4; i++)
		r |= (b >> 16 * (op->imm >> 2 * i & 3) & 0xffff) << 16 * i;
	mmx_set(&v->cpu.fpu, op->a, r);
	NEXT(v, op);
}

HANDLER(h_mmx_palignr)
{
	unsigned n = 8 * (uint8_t)op->imm;
	unsigned __int128 x;

	MMX_ENTER(v, op);
	x = mmx_source(v, op);
	x |= (unsigned __int128)v->cpu.fpu.st[op->a].q[0] << 64;
	mmx_set(&v->cpu.fpu, op->a, n > 127 ? 0 : (uint64_t)(x >> n));
	NEXT(v, op);
}

/* MOVD, MOVQ and MOVNTQ between MMX registers and memory. */
HANDLER(h_mmx_mov)
{
	struct fpu *f = &v->cpu.fpu;

	MMX_ENTER(v, op);
	if (op->flags & OPF_MEM_DST) {
		fpu_store(v, op, op->osize, f->st[op->a].q[0]);
		mmx_begin(f);
		NEXT_CHECKED(v, op);
	}
	mmx_set(f, op->a, mmx_source(v, op));
	NEXT(v, op);
}

HANDLER(h_mmx_pmovmskb)
{
	struct fpu *f = &v->cpu.fpu;

	MMX_ENTER(v, op);
	SET32(v, op->a, _mm_movemask_epi8(_mm_cvtsi64_si128((int64_t)f->st[op->b].q[0])));
	mmx_begin(f);
	NEXT(v, op);
}

HANDLER(h_mmx_pextrw)
{
	struct fpu *f = &v->cpu.fpu;

	MMX_ENTER(v, op);
	SET32(v, op->a, f->st[op->b].w[op->imm & 3]);
	mmx_begin(f);
	NEXT(v, op);
}

HANDLER(h_mmx_pinsrw)
{
	struct fpu *f = &v->cpu.fpu;
	uint16_t w;

	MMX_ENTER(v, op);
	w = op->flags & OPF_MEM ? (uint16_t)fpu_load(v, op, 2) : REG16(v, op->b);
	f->st[op->a].w[op->imm & 3] = w;
	mmx_set(f, op->a, f->st[op->a].q[0]);
	NEXT(v, op);
}

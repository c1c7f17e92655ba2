/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XSAVE, XSAVEOPT and XRSTOR for the two states that hemi has, x87 and SSE: the
 * standard format, SDM 1 13.4-13.9. The area is the image of FXSAVE and a header of
 * 64 bytes: XSTATE_BV, XCOMP_BV, reserved. There is no compacted format: XSAVEC,
 * XSAVES and their XRSTOR are not offered (CPUID 0xd, sub-leaf 1).
 */
#include <string.h>

#include "interp/fpu.h"

#define LEGACY_SIZE	512u
#define FX_MXCSR	24u	/* MXCSR and MXCSR_MASK: belong to SSE */
#define FX_STACK	32u	/* ST0-ST7 */
#define FX_XMM		160u
#define XSTATE_BV	512u
#define XCOMP_BV	520u
#define HEADER_RESERVED	528u	/* must be zero up to byte 24 of the header, SDM 1 13.8.2 */

static unsigned xmm_size(const struct interp *v)
{
	return 16 * (v->hflags & HF_CS64 ? 16 : 8);
}

static bool all_zero(const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		if (b[i])
			return false;
	return true;
}

/* XINUSE, SDM 1 13.6: which states are not in their initial configuration. */
static uint64_t in_use(const struct interp *v)
{
	const struct fpu *f = &v->cpu.fpu;
	uint64_t used = 0;
	bool x87 = f->cw != CW_INIT || f->sw || f->tags || f->fop || f->fip || f->fdp ||
		   f->fcs || f->fds;

	for (unsigned i = 0; i < 8 && !x87; i++)
		x87 = !all_zero(f->st[i].b, 10);
	if (x87)
		used |= XCR0_X87;
	if (!all_zero(f->xmm, xmm_size(v)))
		used |= XCR0_SSE;
	return used;
}

/* Where the area is, and the states asked for (RFBM). CR0.EM does not count here. */
static uint64_t enter(struct interp *v, const struct op *op, unsigned access, uint64_t *rfbm)
{
	struct cpu *c = &v->cpu;
	uint64_t off;

	if (!(c->cr4 & CR4_OSXSAVE))
		raise_ud(v);
	if (c->cr0 & CR0_TS)
		raise_fault(v, VEC_NM);
	off = ea_offset(v, op);
	if (seg_linear(v, op->seg, off, XSAVE_SIZE, access) & 63)
		raise_gp0(v);
	*rfbm = c->xcr0 & (c->gpr[RDX] << 32 | (uint32_t)c->gpr[RAX]);
	return off;
}

/* All that will be written is written, or nothing: a fault on the second page comes first. */
static __attribute__((noinline)) void save(struct interp *v, const struct op *op, bool wide,
					   bool opt)
{
	const struct fpu *f = &v->cpu.fpu;
	uint64_t rfbm, off = enter(v, op, ACC_WRITE, &rfbm), used = in_use(v), write, bv;
	uint8_t image[LEGACY_SIZE];

	mem_probe_write(v, op->seg, off, XSAVE_SIZE);
	fpu_to_fxsave(f, image, wide);
	memcpy(image + FX_XMM, f->xmm, sizeof(f->xmm));
	bv = mem_read(v, op->seg, off + XSTATE_BV, 8);
	write = opt ? rfbm & used : rfbm;	/* the init optimisation, SDM 1 13.9 */
	if (write & XCR0_X87) {
		mem_write_bytes(v, op->seg, off, image, FX_MXCSR);
		mem_write_bytes(v, op->seg, off + FX_STACK, image + FX_STACK, FX_XMM - FX_STACK);
	}
	if (rfbm & XCR0_SSE)
		mem_write_bytes(v, op->seg, off + FX_MXCSR, image + FX_MXCSR, 8);
	if (write & XCR0_SSE)
		mem_write_bytes(v, op->seg, off + FX_XMM, image + FX_XMM, xmm_size(v));
	mem_write(v, op->seg, off + XSTATE_BV, 8, (bv & ~rfbm) | (used & rfbm));
}

/* NULL: the initial configuration, SDM 1 13.6. */
static void restore_x87(struct fpu *f, const uint8_t *image, bool wide)
{
	struct fpu next = { .cw = CW_INIT };

	if (image)
		fpu_from_fxsave(&next, image, wide);
	next.cw = (uint16_t)((next.cw & CW_KEEP) | CW_FIXED);
	next.fop &= 0x7ff;
	if (wide) {	/* the addresses become canonical */
		next.fip = (uint64_t)((int64_t)(next.fip << 16) >> 16);
		next.fdp = (uint64_t)((int64_t)(next.fdp << 16) >> 16);
	}
	x87_summarize(&next);
	next.mxcsr = f->mxcsr;
	memcpy(next.xmm, f->xmm, sizeof(f->xmm));
	*f = next;
}

static __attribute__((noinline)) void restore(struct interp *v, const struct op *op, bool wide)
{
	struct fpu *f = &v->cpu.fpu;
	uint64_t rfbm, off = enter(v, op, ACC_READ, &rfbm), bv;
	uint8_t area[XSAVE_SIZE];
	uint32_t mxcsr;

	mem_read_bytes(v, op->seg, off, area, sizeof(area));
	memcpy(&bv, area + XSTATE_BV, 8);
	memcpy(&mxcsr, area + FX_MXCSR, 4);
	/* XCOMP_BV and eight bytes more: bit 63 would ask for the compacted format. */
	if ((bv & ~v->cpu.xcr0) || !all_zero(area + XCOMP_BV, HEADER_RESERVED + 8 - XCOMP_BV))
		raise_gp0(v);
	/* MXCSR comes from memory even if the XMM registers do not. */
	if ((rfbm & XCR0_SSE) && (mxcsr & ~MXCSR_VALID))
		raise_gp0(v);
	if (rfbm & XCR0_X87)
		restore_x87(f, bv & XCR0_X87 ? area : NULL, wide);
	if (!(rfbm & XCR0_SSE))
		return;
	f->mxcsr = mxcsr;
	if (bv & XCR0_SSE)
		memcpy(f->xmm, area + FX_XMM, xmm_size(v));
	else
		memset(f->xmm, 0, xmm_size(v));
}

#define XSAVE_OP(name, call)							\
	HANDLER(name)								\
	{ SYNC(v, op); call; NEXT_CHECKED(v, op); }
XSAVE_OP(h_xsave, save(v, op, false, false))
XSAVE_OP(h_xsave64, save(v, op, true, false))
XSAVE_OP(h_xsaveopt, save(v, op, false, true))
XSAVE_OP(h_xsaveopt64, save(v, op, true, true))
XSAVE_OP(h_xrstor, restore(v, op, false))
XSAVE_OP(h_xrstor64, restore(v, op, true))

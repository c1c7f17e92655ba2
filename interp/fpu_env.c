/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The x87 and SSE state as a whole: control words, environments and images in all
 * their formats (SDM 1 8.1.10, 10.5), and who may touch the units at all. No
 * arithmetic here.
 */
#include <string.h>

#include "interp/fpu.h"
#include "machine/machine.h"

/* --- May it run? ----------------------------------------------------------- */

#define FERR_IRQ	13

const struct op *x87_pending(struct interp *v, const struct op *op)
{
	if (v->cpu.cr0 & CR0_NE)
		raise_fault(v, VEC_MF);
	irq_set(v->m, FERR_IRQ, true);
	return op_leave_at(v, op, OP_RIP(v, op));
}

void mmx_unavailable(struct interp *v)
{
	raise_fault(v, v->cpu.cr0 & CR0_EM ? VEC_UD : VEC_NM);
}

void sse_unavailable(struct interp *v)
{
	if ((v->cpu.cr0 & CR0_EM) || !(v->cpu.cr4 & CR4_OSFXSR))
		raise_ud(v);
	raise_fault(v, VEC_NM);
}

/* --- 16-byte operands, the complete way ---------------------------------------- */

static void check_aligned(struct interp *v, const struct op *op, uint64_t off, unsigned access)
{
	if (seg_linear(v, op->seg, off, 16, access) & 15)
		raise_gp0(v);
}

__m128i sse_load16_slow(struct interp *v, const struct op *op, bool aligned)
{
	uint64_t off = ea_offset(v, op);
	union xmmreg x;

	if (aligned)
		check_aligned(v, op, off, ACC_READ);
	mem_read_bytes(v, op->seg, off, &x, 16);
	return _mm_loadu_si128((const __m128i *)&x);
}

void sse_store16_slow(struct interp *v, const struct op *op, __m128i val, bool aligned)
{
	uint64_t off = ea_offset(v, op);

	if (aligned)
		check_aligned(v, op, off, ACC_WRITE);
	mem_write_bytes(v, op->seg, off, &val, 16);
}

/* --- Control and status words ------------------------------------------------------ */

HANDLER(h_fwait)
{
	SYNC(v, op);
	if (unlikely((v->cpu.cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)))
		raise_fault(v, VEC_NM);
	if (unlikely(v->cpu.fpu.sw & SW_ES))
		return x87_pending(v, op);
	NEXT(v, op);
}

static void x87_init(struct fpu *f)
{
	f->cw = CW_INIT;
	f->sw = 0;
	f->tags = 0;
	f->fop = 0;
	f->fip = f->fdp = 0;
	f->fcs = f->fds = 0;
}

HANDLER(h_fninit)
{
	X87_ENTER_NOWAIT(v, op);
	x87_init(&v->cpu.fpu);
	NEXT(v, op);
}

HANDLER(h_fnclex)
{
	X87_ENTER_NOWAIT(v, op);
	v->cpu.fpu.sw &= (uint16_t)~(SW_FLAGS | SW_SF | SW_ES | SW_B);
	NEXT(v, op);
}

/* The 8087 and 287 instructions that later processors ignore. */
HANDLER(h_x87_ignored)
{
	X87_ENTER_NOWAIT(v, op);
	NEXT(v, op);
}

HANDLER(h_fldcw)
{
	struct fpu *f = &v->cpu.fpu;

	X87_ENTER(v, op);
	f->cw = (uint16_t)((fpu_load(v, op, 2) & CW_KEEP) | CW_FIXED);
	x87_summarize(f);
	NEXT(v, op);
}

HANDLER(h_fnstcw)
{
	X87_ENTER_NOWAIT(v, op);
	fpu_store(v, op, 2, v->cpu.fpu.cw);
	NEXT_CHECKED(v, op);
}

HANDLER(h_fnstsw_m)
{
	X87_ENTER_NOWAIT(v, op);
	fpu_store(v, op, 2, v->cpu.fpu.sw);
	NEXT_CHECKED(v, op);
}

HANDLER(h_fnstsw_ax)
{
	X87_ENTER_NOWAIT(v, op);
	reg_set(v, 8 * RAX, 2, v->cpu.fpu.sw);
	NEXT(v, op);
}

/* --- The environment ----------------------------------------------------------------- */

#define ENV_16	14u
#define ENV_32	28u

/* One environment in memory: seven fields, 16 or 32 bits apart. */
struct env { uint32_t w[7]; };
enum env_field { E_CW, E_SW, E_TAGS, E_IP, E_CS_OP, E_DP, E_DS };

/* Two bits a register: valid, zero, special, empty. */
static uint16_t full_tags(const struct fpu *f)
{
	uint16_t t = 0;

	for (unsigned i = 0; i < 8; i++) {
		unsigned exp = f->st[i].w[4] & 0x7fff;
		uint64_t sig = f->st[i].q[0];
		unsigned tag = 2;

		if (!(f->tags >> i & 1))
			tag = 3;
		else if (exp == 0 && sig == 0)
			tag = 1;
		else if (exp != 0 && exp != 0x7fff && sig >> 63)
			tag = 0;
		t |= (uint16_t)(tag << 2 * i);
	}
	return t;
}

static uint8_t short_tags(uint16_t full)
{
	uint8_t t = 0;

	for (unsigned i = 0; i < 8; i++)
		if ((full >> 2 * i & 3) != 3)
			t |= (uint8_t)(1u << i);
	return t;
}

/*
 *   protected, 32 bits: IP | CS, opcode << 16 | DP | DS      16 bits: IP | CS | DP | DS
 *   real and V86: linear addresses, 32 bits: IP 15-0 | IP 31-16 << 12, opcode | DP ...
 *                                   16 bits: IP 15-0 | IP 19-16 << 12, opcode | DP ...
 */
static void env_pack(const struct interp *v, bool wide, struct env *e)
{
	const struct fpu *f = &v->cpu.fpu;
	uint32_t ip = (uint32_t)f->fip, dp = (uint32_t)f->fdp;
	uint32_t high = wide ? 0xffff0000u : 0;

	e->w[E_CW] = f->cw | high;
	e->w[E_SW] = f->sw | high;
	e->w[E_TAGS] = full_tags(f) | high;
	if (v->hflags & HF_PE) {
		e->w[E_IP] = ip;
		e->w[E_CS_OP] = f->fcs | (uint32_t)f->fop << 16;
		e->w[E_DP] = dp;
		e->w[E_DS] = f->fds | high;
		return;
	}
	ip += (uint32_t)f->fcs << 4;
	dp += (uint32_t)f->fds << 4;
	e->w[E_IP] = (ip & 0xffff) | high;
	e->w[E_CS_OP] = ip >> 16 << 12 | f->fop;
	e->w[E_DP] = (dp & 0xffff) | high;
	e->w[E_DS] = dp >> 16 << 12;
	if (wide) {
		e->w[E_CS_OP] &= 0x0fffffff;
		e->w[E_DS] &= 0x0fffffff;
	}
}

static void env_unpack(struct interp *v, bool wide, const struct env *e)
{
	struct fpu *f = &v->cpu.fpu;

	f->cw = (uint16_t)((e->w[E_CW] & CW_KEEP) | CW_FIXED);
	f->sw = (uint16_t)e->w[E_SW];
	f->tags = short_tags((uint16_t)e->w[E_TAGS]);
	x87_summarize(f);
	if (v->hflags & HF_PE) {
		f->fip = e->w[E_IP];
		f->fcs = (uint16_t)e->w[E_CS_OP];
		/* The 16-bit format has no opcode. */
		f->fop = wide ? e->w[E_CS_OP] >> 16 & 0x7ff : 0;
		f->fdp = e->w[E_DP];
		f->fds = (uint16_t)e->w[E_DS];
		return;
	}
	f->fip = (e->w[E_IP] & 0xffff) | (e->w[E_CS_OP] & 0x0ffff000) << 4;
	f->fop = e->w[E_CS_OP] & 0x7ff;
	f->fdp = (e->w[E_DP] & 0xffff) | (e->w[E_DS] & 0x0ffff000) << 4;
	f->fcs = f->fds = 0;
}

static unsigned env_to_bytes(const struct env *e, bool wide, uint8_t *p)
{
	for (unsigned i = 0; i < 7; i++)
		memcpy(p + i * (wide ? 4 : 2), &e->w[i], wide ? 4 : 2);
	return wide ? ENV_32 : ENV_16;
}

static unsigned env_from_bytes(struct env *e, bool wide, const uint8_t *p)
{
	memset(e, 0, sizeof(*e));
	for (unsigned i = 0; i < 7; i++)
		memcpy(&e->w[i], p + i * (wide ? 4 : 2), wide ? 4 : 2);
	return wide ? ENV_32 : ENV_16;
}

static bool env_is_wide(const struct op *op)
{
	return op->osize != ENV_16 && op->osize != ENV_16 + 80;
}

static __attribute__((noinline)) void env_store(struct interp *v, const struct op *op,
						bool with_stack)
{
	struct fpu *f = &v->cpu.fpu;
	uint8_t buf[ENV_32 + 80];
	bool wide = env_is_wide(op);
	struct env e;
	unsigned n;

	env_pack(v, wide, &e);
	n = env_to_bytes(&e, wide, buf);
	for (unsigned i = 0; with_stack && i < 8; i++, n += 10)
		memcpy(buf + n, f->st[(x87_top(f) + i) & 7].b, 10);
	mem_write_bytes(v, op->seg, ea_offset(v, op), buf, n);
	if (with_stack) {
		x87_init(f);
	} else {
		f->cw |= CW_MASKS;
		x87_summarize(f);
	}
}

static __attribute__((noinline)) void env_load(struct interp *v, const struct op *op,
					       bool with_stack)
{
	struct fpu *f = &v->cpu.fpu;
	uint8_t buf[ENV_32 + 80];
	bool wide = env_is_wide(op);
	struct env e;
	unsigned n = wide ? ENV_32 : ENV_16;

	mem_read_bytes(v, op->seg, ea_offset(v, op), buf, with_stack ? n + 80 : n);
	env_from_bytes(&e, wide, buf);
	env_unpack(v, wide, &e);
	for (unsigned i = 0; with_stack && i < 8; i++, n += 10) {
		union fpreg *r = &f->st[(x87_top(f) + i) & 7];

		r->q[1] = 0;
		memcpy(r->b, buf + n, 10);
	}
}

HANDLER(h_fnstenv)
{
	X87_ENTER_NOWAIT(v, op);
	env_store(v, op, false);
	NEXT_CHECKED(v, op);
}

HANDLER(h_fnsave)
{
	X87_ENTER_NOWAIT(v, op);
	env_store(v, op, true);
	NEXT_CHECKED(v, op);
}

HANDLER(h_fldenv)
{
	X87_ENTER(v, op);
	env_load(v, op, false);
	NEXT(v, op);
}

HANDLER(h_frstor)
{
	X87_ENTER(v, op);
	env_load(v, op, true);
	NEXT(v, op);
}

/* --- FXSAVE, FXRSTOR, MXCSR ------------------------------------------------------------ */

#define FX_SIZE		512u
#define FX_XMM		160u	/* offset of XMM0 */
#define FX_MXCSR	24u

/* How much is written: all sixteen XMM registers in 64-bit mode only. */
static unsigned fx_used(const struct interp *v)
{
	return FX_XMM + 16 * (v->hflags & HF_CS64 ? 16 : 8);
}

static uint64_t fx_address(struct interp *v, const struct op *op, unsigned access)
{
	uint64_t off = ea_offset(v, op);

	if (seg_linear(v, op->seg, off, FX_SIZE, access) & 15)
		raise_gp0(v);
	return off;
}

static __attribute__((noinline)) void fx_save(struct interp *v, const struct op *op, bool wide)
{
	uint64_t off = fx_address(v, op, ACC_WRITE);
	uint8_t image[FX_SIZE];

	fpu_to_fxsave(&v->cpu.fpu, image, wide);
	memcpy(image + FX_XMM, v->cpu.fpu.xmm, sizeof(v->cpu.fpu.xmm));
	mem_probe_write(v, op->seg, off, FX_SIZE);	/* all of the operand, and before any of it */
	mem_write_bytes(v, op->seg, off, image, fx_used(v));
}

static __attribute__((noinline)) void fx_restore(struct interp *v, const struct op *op, bool wide)
{
	uint64_t off = fx_address(v, op, ACC_READ);
	struct fpu *f = &v->cpu.fpu, old = *f;
	uint8_t image[FX_SIZE];
	uint32_t mxcsr;

	mem_read_bytes(v, op->seg, off, image, FX_SIZE);
	memcpy(&mxcsr, image + FX_MXCSR, 4);
	if (mxcsr & ~MXCSR_VALID)
		raise_gp0(v);
	fpu_from_fxsave(f, image, wide);
	f->cw = (uint16_t)((f->cw & CW_KEEP) | CW_FIXED);
	f->fop &= 0x7ff;
	if (wide) {	/* the addresses become canonical */
		f->fip = (uint64_t)((int64_t)(f->fip << 16) >> 16);
		f->fdp = (uint64_t)((int64_t)(f->fdp << 16) >> 16);
	}
	x87_summarize(f);
	memcpy(f->xmm, image + FX_XMM, fx_used(v) - FX_XMM);
	if (!(v->hflags & HF_CS64))
		memcpy(f->xmm + 8, old.xmm + 8, sizeof(f->xmm) / 2);
}

HANDLER(h_fxsave)
{
	X87_ENTER_NOWAIT(v, op);
	fx_save(v, op, false);
	NEXT_CHECKED(v, op);
}

HANDLER(h_fxsave64)
{
	X87_ENTER_NOWAIT(v, op);
	fx_save(v, op, true);
	NEXT_CHECKED(v, op);
}

HANDLER(h_fxrstor)
{
	X87_ENTER_NOWAIT(v, op);
	fx_restore(v, op, false);
	NEXT(v, op);
}

HANDLER(h_fxrstor64)
{
	X87_ENTER_NOWAIT(v, op);
	fx_restore(v, op, true);
	NEXT(v, op);
}

HANDLER(h_ldmxcsr)
{
	uint32_t x;

	SSE_ENTER(v, op);
	x = (uint32_t)fpu_load(v, op, 4);
	if (x & ~MXCSR_VALID)
		raise_gp0(v);
	v->cpu.fpu.mxcsr = x;
	NEXT(v, op);
}

HANDLER(h_stmxcsr)
{
	SSE_ENTER(v, op);
	fpu_store(v, op, 4, v->cpu.fpu.mxcsr);
	NEXT_CHECKED(v, op);
}

HANDLER(h_emms)
{
	MMX_ENTER(v, op);
	v->cpu.fpu.sw &= (uint16_t)~SW_TOP;
	v->cpu.fpu.tags = 0;
	NEXT(v, op);
}

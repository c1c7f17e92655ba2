/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What x87, MMX and SSE handlers share: when such an instruction may run at all
 * (SDM 3A 2.5, table 2-4; 13.1), the bits of the status and control registers, and
 * how an operand is fetched. Knows nothing of any one instruction.
 *
 * A handler never gives the address of a local variable to a function: the compiler
 * could not end it in a tail call. Such work sits in a noinline function of its own.
 */
#ifndef INTERP_FPU_H
#define INTERP_FPU_H

#include <emmintrin.h>

#include "interp/fast.h"

/* x87 status word, SDM 1 8.1.3; the low six bits are also those of MXCSR. */
enum fpu_status {
	SW_IE = 0x01, SW_DE = 0x02, SW_ZE = 0x04, SW_OE = 0x08, SW_UE = 0x10, SW_PE = 0x20,
	SW_FLAGS = 0x3f,
	SW_SF = 0x40, SW_ES = 0x80,
	SW_C0 = 0x100, SW_C1 = 0x200, SW_C2 = 0x400, SW_C3 = 0x4000,
	SW_CC = SW_C0 | SW_C1 | SW_C2 | SW_C3,
	SW_TOP = 0x3800, SW_B = 0x8000,
};
#define SW_TOP_SHIFT	11

#define CW_MASKS	0x003fu
#define CW_KEEP		0x1f3fu		/* bits that FLDCW can change; bit 6 reads as 1 */
#define CW_FIXED	0x0040u
#define CW_INIT		0x037fu		/* FNINIT; also the host's, as its ABI has it */

#define MXCSR_DAZ	0x0040u
#define MXCSR_MASKS	0x1f80u
#define MXCSR_FTZ	0x8000u
#define MXCSR_INIT	0x1f80u		/* reset; also the host's */
#define MXCSR_VALID	0xffffu		/* MXCSR_MASK of FXSAVE */
/* An exception's flag and its mask are seven bits apart. */
#define MXCSR_UNMASKED(m)	((m) & ~((m) >> 7) & SW_FLAGS)

static inline unsigned x87_top(const struct fpu *f)
{
	return f->sw >> SW_TOP_SHIFT & 7;
}
static inline void x87_set_top(struct fpu *f, unsigned top)
{
	f->sw = (uint16_t)((f->sw & ~SW_TOP) | (top & 7) << SW_TOP_SHIFT);
}
/* ES and B say whether an unmasked exception is pending. */
static inline void x87_summarize(struct fpu *f)
{
	f->sw &= (uint16_t)~(SW_ES | SW_B);
	if (f->sw & ~f->cw & CW_MASKS)
		f->sw |= SW_ES | SW_B;
}

/* --- May it run? ----------------------------------------------------------- */

/*
 * An unmasked x87 exception is pending: raises #MF or, with CR0.NE clear, drives
 * IRQ 13 as the PC's FERR# wiring does, and leaves with this instruction not done
 * (the processor freezes before it until an interrupt comes).
 */
const struct op *x87_pending(struct interp *v, const struct op *op);

#define X87_NM(v) do {								\
	if (unlikely((v)->cpu.cr0 & (CR0_EM | CR0_TS)))				\
		raise_fault(v, VEC_NM);						\
} while (0)
/* Begins a waiting x87 instruction, a non-waiting one, an MMX one, an SSE one. */
#define X87_ENTER(v, op) do {							\
	SYNC(v, op);								\
	X87_NM(v);								\
	if (unlikely((v)->cpu.fpu.sw & SW_ES))					\
		return x87_pending(v, op);					\
} while (0)
#define X87_ENTER_NOWAIT(v, op) do { SYNC(v, op); X87_NM(v); } while (0)
#define MMX_ENTER(v, op) do {							\
	SYNC(v, op);								\
	if (unlikely((v)->cpu.cr0 & (CR0_EM | CR0_TS)))				\
		mmx_unavailable(v);						\
	if (unlikely((v)->cpu.fpu.sw & SW_ES))					\
		return x87_pending(v, op);					\
} while (0)
#define SSE_ENTER(v, op) do {							\
	SYNC(v, op);								\
	if (unlikely(((v)->cpu.cr0 & (CR0_EM | CR0_TS)) ||			\
		     !((v)->cpu.cr4 & CR4_OSFXSR)))				\
		sse_unavailable(v);						\
} while (0)
/* One of the SSE instructions that touch MMX registers. */
#define SSE_MMX_ENTER(v, op) do {						\
	SSE_ENTER(v, op);							\
	if (unlikely((v)->cpu.fpu.sw & SW_ES))					\
		return x87_pending(v, op);					\
} while (0)
_Noreturn void mmx_unavailable(struct interp *v);
_Noreturn void sse_unavailable(struct interp *v);

/* Any MMX instruction but EMMS makes the whole stack valid and TOP 0, SDM 1 9.5.1. */
static inline void mmx_begin(struct fpu *f)
{
	f->sw &= (uint16_t)~SW_TOP;
	f->tags = 0xff;
}
/* A written MMX register has all ones where the x87 exponent and sign are. */
static inline void mmx_set(struct fpu *f, unsigned r, uint64_t val)
{
	mmx_begin(f);
	f->st[r].q[0] = val;
	f->st[r].q[1] = 0xffff;
}

/* --- Operands ----------------------------------------------------------------- */

/* Host address of the memory operand if the soft TLB has it and its segment needs
 * no checks, else NULL. */
static inline void *fpu_fast(struct interp *v, const struct op *op, unsigned size, bool write)
{
	uint64_t off = ea_offset(v, op);
	gva_t gva = off;

	if (v->hflags & HF_CS64) {
		if (op->seg >= SEG_FS)
			gva += v->cpu.seg[op->seg].base;
	} else {
		if (unlikely(v->plain[op->seg] < 1 + write || off + size - 1 > 0xffffffffu))
			return NULL;
		gva = (uint32_t)(off + v->cpu.seg[op->seg].base);
	}
	return write ? tlb_write(v, gva, size) : tlb_read(v, gva, size);
}

/* Integers of 2, 4 or 8 bytes, at any address. */
typedef uint16_t any_u16 __attribute__((aligned(1)));
typedef uint32_t any_u32 __attribute__((aligned(1)));
typedef uint64_t any_u64 __attribute__((aligned(1)));

static inline uint64_t fpu_load(struct interp *v, const struct op *op, unsigned size)
{
	const void *p = fpu_fast(v, op, size, false);

	if (likely(p))
		return size == 2 ? *(const any_u16 *)p : size == 4 ? *(const any_u32 *)p
								  : *(const any_u64 *)p;
	return mem_read(v, op->seg, ea_offset(v, op), size);
}
static inline void fpu_store(struct interp *v, const struct op *op, unsigned size, uint64_t val)
{
	void *p = fpu_fast(v, op, size, true);

	if (unlikely(!p))
		mem_write(v, op->seg, ea_offset(v, op), size, val);
	else if (size == 2)
		*(any_u16 *)p = (uint16_t)val;
	else if (size == 4)
		*(any_u32 *)p = (uint32_t)val;
	else
		*(any_u64 *)p = val;
}

/* 16 bytes; with `aligned`, #GP if they are not (SDM 3A 6.15, #GP). */
__m128i sse_load16_slow(struct interp *v, const struct op *op, bool aligned);
void sse_store16_slow(struct interp *v, const struct op *op, __m128i val, bool aligned);

static inline __m128i sse_load16(struct interp *v, const struct op *op, bool aligned)
{
	const void *p = fpu_fast(v, op, 16, false);

	/* A page's offset is the same on both sides, so the host address tells. */
	if (likely(p && !(aligned && ((uintptr_t)p & 15))))
		return _mm_loadu_si128(p);
	return sse_load16_slow(v, op, aligned);
}
static inline void sse_store16(struct interp *v, const struct op *op, __m128i val, bool aligned)
{
	void *p = fpu_fast(v, op, 16, true);

	if (likely(p && !(aligned && ((uintptr_t)p & 15))))
		_mm_storeu_si128(p, val);
	else
		sse_store16_slow(v, op, val, aligned);
}

static inline __m128i xmm_get(const struct interp *v, unsigned r)
{
	return _mm_load_si128((const __m128i *)&v->cpu.fpu.xmm[r]);
}
static inline void xmm_set(struct interp *v, unsigned r, __m128i x)
{
	_mm_store_si128((__m128i *)&v->cpu.fpu.xmm[r], x);
}

/* The second operand of an XMM instruction: register, or memory of op->osize bytes,
 * zero-extended. aligned: what a 16-byte one must be. */
static inline __m128i sse_source(struct interp *v, const struct op *op, bool aligned)
{
	if (!(op->flags & OPF_MEM))
		return xmm_get(v, op->b);
	if (op->osize == 16)
		return sse_load16(v, op, aligned);
	return _mm_cvtsi64_si128((int64_t)fpu_load(v, op, op->osize));
}
/* The second operand of an MMX instruction. */
static inline uint64_t mmx_source(struct interp *v, const struct op *op)
{
	if (!(op->flags & OPF_MEM))
		return v->cpu.fpu.st[op->b].q[0];
	return fpu_load(v, op, op->osize);
}

/* --- The host's units ------------------------------------------------------------ */

/* Exception flags that the host's x87 status word holds now; see x87.c. */
extern uint16_t x87_host_flags;

/* Executes an x87 instruction with the whole guest state on the host; *arith: flags
 * in and out (FCMOVcc, FCOMI). fop: as op->imm. mem: its operand, at most 16 bytes. */
void x87_host_run(struct fpu *f, unsigned fop, void *mem, uint16_t *arith);

/* The handler of an x87 opcode (ops_x87.def); never NULL. */
op_fn *x87_handler(unsigned fop);

#endif

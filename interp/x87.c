/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x87 instructions: the short way for the common ones, and the choice of handler
 * by opcode. The short way is taken when all exceptions are masked and the registers
 * are neither empty (source) nor full (destination of a load): then the
 * host's instruction, given the guest's control word, computes value, flags and C1.
 * Everything else goes to x87_host.c. SDM 1 ch. 8.
 */
#include <string.h>

#include "interp/fpu.h"

#define M(esc, reg, handler)	HANDLER(handler);
#define R(esc, reg, handler)	HANDLER(handler);
#define ONE(esc, op, handler)	HANDLER(handler);
#include "interp/x87_opcodes.def"
#undef M
#undef R
#undef ONE

/* --- The complete way ------------------------------------------------------------ */

/* Among the odd first bytes, these reg fields store (environments are not ours). */
static bool is_store(unsigned fop)
{
	return (fop & 0xc0) != 0xc0 && (fop & 0x100) && (0xce >> (fop >> 3 & 7) & 1);
}

static inline void track(struct interp *v, const struct op *op)
{
	struct fpu *f = &v->cpu.fpu;

	f->fop = (uint16_t)op->imm;
	f->fip = OP_RIP(v, op);
	f->fcs = v->cpu.seg[SEG_CS].sel;
}
static inline void track_mem(struct interp *v, const struct op *op)
{
	struct fpu *f = &v->cpu.fpu;

	track(v, op);
	f->fdp = ea_offset(v, op);
	f->fds = v->cpu.seg[op->seg].sel;
}

/*
 * A store: an unmasked invalid operation, overflow or underflow stores nothing, and so
 * does not touch memory (Intel's processors; AMD's report a page fault first). The
 * other way round, the registers stay as they were where the store itself faults.
 */
static void x87_store(struct interp *v, const struct op *op, uint64_t off)
{
	struct fpu *f = &v->cpu.fpu, before = *f;
	uint16_t arith = v->cpu.arith;
	uint8_t buf[16] = { 0 };

	x87_host_run(f, (unsigned)op->imm, buf, &arith);
	if (f->sw & ~f->cw & (SW_IE | SW_OE | SW_UE))
		return;

	struct fpu after = *f;

	*f = before;
	mem_write_bytes(v, op->seg, off, buf, op->osize);
	*f = after;
}

static __attribute__((noinline)) void x87_complete(struct interp *v, const struct op *op)
{
	struct fpu *f = &v->cpu.fpu;
	unsigned fop = (unsigned)op->imm;
	bool mem = op->flags & OPF_MEM;
	uint64_t off = mem ? ea_offset(v, op) : 0;
	uint8_t buf[16] = { 0 };

	if (is_store(fop)) {
		x87_store(v, op, off);
	} else {
		if (mem)
			mem_read_bytes(v, op->seg, off, buf, op->osize);
		x87_host_run(f, fop, buf, &v->cpu.arith);
	}
	if (mem)
		track_mem(v, op);
	else
		track(v, op);
}

static HANDLER(h_x87_any)
{
	X87_ENTER(v, op);
	x87_complete(v, op);
	NEXT_CHECKED(v, op);
}

/* --- The short way ------------------------------------------------------------------- */

static inline bool is_valid(const struct fpu *f, unsigned i)
{
	return f->tags >> ((x87_top(f) + i) & 7) & 1;
}
static inline union fpreg *st(struct fpu *f, unsigned i)
{
	return &f->st[(x87_top(f) + i) & 7];
}
static inline bool all_masked(const struct fpu *f)
{
	return (f->cw & CW_MASKS) == CW_MASKS;
}
static inline void pop(struct fpu *f)
{
	unsigned top = x87_top(f);

	f->tags &= (uint8_t)~(1u << top);
	x87_set_top(f, top + 1);
}
static inline union fpreg *push(struct fpu *f)
{
	unsigned top = (x87_top(f) - 1) & 7;

	f->tags |= (uint8_t)(1u << top);
	x87_set_top(f, top);
	return &f->st[top];
}
/* An operand on its way to or from the host's x87. Not a local variable: one whose
 * address an asm has seen keeps the compiler from making tail calls. */
static union { uint64_t m64; int64_t m64i; } slot;

#define STI(op)	((unsigned)(op)->imm & 7)
#define COMPLETE_UNLESS(cond) do {	\
	if (unlikely(!(cond)))		\
		return h_x87_any(v, op);	\
} while (0)

/*
 * The host's x87 has the guest's control word between begin and end. Its exception
 * flags are sticky and costly to clear, so they are left as long as they are a
 * subset of the guest's; x87_host_flags remembers them.
 */
static inline void host_begin(const struct fpu *f)
{
	if (unlikely(x87_host_flags & ~f->sw))
		__asm__ volatile("fnclex");
	if (f->cw != CW_INIT)
		__asm__ volatile("fldcw %0" : : "m"(f->cw));
}
/* sw: what FNSTSW gave after the operation. */
static inline void host_leave(const struct fpu *f, uint16_t sw)
{
	static const uint16_t init = CW_INIT;

	if (f->cw != CW_INIT)
		__asm__ volatile("fldcw %0" : : "m"(init));
	x87_host_flags = sw & SW_FLAGS;
}
/* cc: the condition bits that the operation defines. */
static inline void host_report(struct fpu *f, uint16_t sw, uint16_t cc)
{
	f->sw = (uint16_t)((f->sw & ~cc) | (sw & (SW_FLAGS | cc)));
}
static inline void host_end(struct fpu *f, uint16_t sw, uint16_t cc)
{
	host_leave(f, sw);
	host_report(f, sw, cc);
}

/*
 * d = d OP s: for two registers, and for one of the four memory operands. T is the
 * operand's type, m its mnemonic.
 */
#define ARITH_REG(name, insn)						\
static inline void name##_reg(struct fpu *f, union fpreg *d, const union fpreg *s) \
{									\
	uint16_t sw;							\
									\
	host_begin(f);							\
	__asm__ volatile("fldt %2\n\tfldt %1\n\t" insn " %%st(1), %%st\n\t" \
			 "fnstsw %%ax\n\tfstpt %1\n\tfstp %%st(0)"	\
			 : "=&a"(sw), "+m"(*d) : "m"(*s) : "st", "st(1)"); \
	host_end(f, sw, SW_C1);						\
}									\
HANDLER(h_x87_##name##_st0)						\
{									\
	struct fpu *f = &v->cpu.fpu;					\
									\
	X87_ENTER(v, op);						\
	COMPLETE_UNLESS(all_masked(f) && is_valid(f, 0) && is_valid(f, STI(op))); \
	name##_reg(f, st(f, 0), st(f, STI(op)));			\
	track(v, op);							\
	NEXT(v, op);							\
}									\
HANDLER(h_x87_##name##_sti)						\
{									\
	struct fpu *f = &v->cpu.fpu;					\
									\
	X87_ENTER(v, op);						\
	COMPLETE_UNLESS(all_masked(f) && is_valid(f, 0) && is_valid(f, STI(op))); \
	name##_reg(f, st(f, STI(op)), st(f, 0));			\
	track(v, op);							\
	NEXT(v, op);							\
}									\
HANDLER(h_x87_##name##_pop)						\
{									\
	struct fpu *f = &v->cpu.fpu;					\
									\
	X87_ENTER(v, op);						\
	COMPLETE_UNLESS(all_masked(f) && is_valid(f, 0) && is_valid(f, STI(op))); \
	name##_reg(f, st(f, STI(op)), st(f, 0));			\
	pop(f);								\
	track(v, op);							\
	NEXT(v, op);							\
}
#define ARITH_MEM(name, suffix, T, insn)				\
HANDLER(h_x87_##name##_##suffix)					\
{									\
	struct fpu *f = &v->cpu.fpu;					\
	uint16_t sw;							\
									\
	X87_ENTER(v, op);						\
	COMPLETE_UNLESS(all_masked(f) && is_valid(f, 0));		\
	slot.m64 = fpu_load(v, op, sizeof(T));				\
	host_begin(f);							\
	__asm__ volatile("fldt %1\n\t" insn " %2\n\tfnstsw %%ax\n\tfstpt %1"	\
			 : "=&a"(sw), "+m"(*st(f, 0)) : "m"(slot) : "st");	\
	host_end(f, sw, SW_C1);						\
	track_mem(v, op);						\
	NEXT(v, op);							\
}
#define ARITH(name)							\
	ARITH_REG(name, "f" #name)					\
	ARITH_MEM(name, m32, uint32_t, "f" #name "s")			\
	ARITH_MEM(name, m64, uint64_t, "f" #name "l")			\
	ARITH_MEM(name, m16i, uint16_t, "fi" #name "s")			\
	ARITH_MEM(name, m32i, uint32_t, "fi" #name "l")

ARITH(add)
ARITH(mul)
ARITH(sub)
ARITH(subr)
ARITH(div)
ARITH(divr)

/* --- Comparison ------------------------------------------------------------------------ */

static inline void compare(struct fpu *f, const union fpreg *s, bool quiet)
{
	uint16_t sw;

	host_begin(f);
	if (quiet)
		__asm__ volatile("fldt %2\n\tfldt %1\n\tfucompp\n\tfnstsw %%ax"
				 : "=&a"(sw) : "m"(*st(f, 0)), "m"(*s) : "st", "st(1)");
	else
		__asm__ volatile("fldt %2\n\tfldt %1\n\tfcompp\n\tfnstsw %%ax"
				 : "=&a"(sw) : "m"(*st(f, 0)), "m"(*s) : "st", "st(1)");
	host_end(f, sw, SW_CC);
}

#define COMPARE(name, operand, quiet, pops)				\
HANDLER(h_x87_##name)							\
{									\
	struct fpu *f = &v->cpu.fpu;					\
									\
	X87_ENTER(v, op);						\
	COMPLETE_UNLESS(all_masked(f) && is_valid(f, 0) && is_valid(f, operand)); \
	compare(f, st(f, operand), quiet);				\
	for (int i = 0; i < (pops); i++)				\
		pop(f);							\
	track(v, op);							\
	NEXT(v, op);							\
}
COMPARE(com, STI(op), false, 0)
COMPARE(comp, STI(op), false, 1)
COMPARE(compp, 1, false, 2)
COMPARE(ucom, STI(op), true, 0)
COMPARE(ucomp, STI(op), true, 1)
COMPARE(ucompp, 1, true, 2)

#define COMPARE_MEM(name, T, insn, pops)				\
HANDLER(h_x87_##name)							\
{									\
	struct fpu *f = &v->cpu.fpu;					\
	uint16_t sw;							\
									\
	X87_ENTER(v, op);						\
	COMPLETE_UNLESS(all_masked(f) && is_valid(f, 0));		\
	slot.m64 = fpu_load(v, op, sizeof(T));				\
	host_begin(f);							\
	__asm__ volatile("fldt %1\n\t" insn " %2\n\tfnstsw %%ax"	\
			 : "=&a"(sw) : "m"(*st(f, 0)), "m"(slot) : "st");	\
	host_end(f, sw, SW_CC);						\
	if (pops)							\
		pop(f);							\
	track_mem(v, op);						\
	NEXT(v, op);							\
}
COMPARE_MEM(com_m32, uint32_t, "fcomps", 0)
COMPARE_MEM(comp_m32, uint32_t, "fcomps", 1)
COMPARE_MEM(com_m64, uint64_t, "fcompl", 0)
COMPARE_MEM(comp_m64, uint64_t, "fcompl", 1)

/* Whether FCOMI clears C1, as Intel says, or leaves it, differs between processors. */
static __attribute__((noinline)) uint16_t comi_clears(void)
{
	static int clears = -1;
	struct fpu t = { .cw = CW_INIT, .sw = SW_C1, .tags = 0xff };
	uint16_t flags = 0;

	if (unlikely(clears < 0)) {
		x87_host_run(&t, 0x3f0, NULL, &flags);
		clears = ~t.sw & SW_C1;
	}
	return (uint16_t)clears;
}

#define COMPARE_FLAGS(name, insn, pops)					\
HANDLER(h_x87_##name)							\
{									\
	struct fpu *f = &v->cpu.fpu;					\
	uint16_t sw, flags;						\
									\
	X87_ENTER(v, op);						\
	COMPLETE_UNLESS(all_masked(f) && is_valid(f, 0) && is_valid(f, STI(op))); \
	host_begin(f);							\
	__asm__ volatile("fldt %3\n\tfldt %2\n\t" ASM_LOAD insn " %%st(1), %%st"	\
			 ASM_SAVE "\n\tmovw %%ax, %1\n\tfnstsw %%ax\n\tfstp %%st(0)" \
			 : "=&a"(sw), "=&r"(flags)			\
			 : "m"(*st(f, 0)), "m"(*st(f, STI(op))), "0"(v->cpu.arith) \
			 : "st", "st(1)", "cc");			\
	host_end(f, sw & SW_FLAGS, comi_clears());			\
	v->cpu.arith = flags;						\
	if (pops)							\
		pop(f);							\
	track(v, op);							\
	NEXT(v, op);							\
}
COMPARE_FLAGS(comi, "fcomip", 0)
COMPARE_FLAGS(comip, "fcomip", 1)
COMPARE_FLAGS(ucomi, "fucomip", 0)
COMPARE_FLAGS(ucomip, "fucomip", 1)

/* --- Loads -------------------------------------------------------------------------------- */

#define LOAD_REAL(name, T, insn)					\
HANDLER(h_x87_##name)							\
{									\
	struct fpu *f = &v->cpu.fpu;					\
	uint16_t sw;							\
									\
	X87_ENTER(v, op);						\
	COMPLETE_UNLESS(all_masked(f) && !is_valid(f, 7));		\
	slot.m64 = fpu_load(v, op, sizeof(T));				\
	host_begin(f);							\
	__asm__ volatile(insn " %2\n\tfnstsw %%ax\n\tfstpt %1"		\
			 : "=&a"(sw), "=m"(*push(f)) : "m"(slot) : "st");	\
	host_end(f, sw, SW_C1);						\
	track_mem(v, op);						\
	NEXT(v, op);							\
}
LOAD_REAL(fld_m32, uint32_t, "flds")
LOAD_REAL(fld_m64, uint64_t, "fldl")

#define LOAD_INT(name, T)						\
HANDLER(h_x87_##name)							\
{									\
	struct fpu *f = &v->cpu.fpu;					\
									\
	X87_ENTER(v, op);						\
	COMPLETE_UNLESS(!is_valid(f, 7));				\
	slot.m64i = (T)fpu_load(v, op, sizeof(T));			\
	__asm__ volatile("fildll %1\n\tfstpt %0" : "=m"(*push(f)) : "m"(slot) : "st"); \
	f->sw &= (uint16_t)~SW_C1;					\
	track_mem(v, op);						\
	NEXT(v, op);							\
}
LOAD_INT(fild_m16, int16_t)
LOAD_INT(fild_m32, int32_t)
LOAD_INT(fild_m64, int64_t)

HANDLER(h_x87_fld_m80)
{
	struct fpu *f = &v->cpu.fpu;
	const char *p;
	union fpreg *d;

	X87_ENTER(v, op);
	p = fpu_fast(v, op, 10, false);
	COMPLETE_UNLESS(p && !is_valid(f, 7));
	d = push(f);
	memcpy(&d->q[0], p, 8);
	memcpy(&d->w[4], p + 8, 2);
	f->sw &= (uint16_t)~SW_C1;
	track_mem(v, op);
	NEXT(v, op);
}

/* The mantissa's integer bit, and the exponent and sign. */
#define LOAD_CONST(name, mantissa, exponent)				\
HANDLER(h_x87_##name)							\
{									\
	struct fpu *f = &v->cpu.fpu;					\
	union fpreg *d;							\
									\
	X87_ENTER(v, op);						\
	COMPLETE_UNLESS(!is_valid(f, 7));				\
	d = push(f);							\
	d->q[0] = mantissa;						\
	d->w[4] = exponent;						\
	f->sw &= (uint16_t)~SW_C1;					\
	track(v, op);							\
	NEXT(v, op);							\
}
LOAD_CONST(fld1, 1ull << 63, 0x3fff)
LOAD_CONST(fldz, 0, 0)

/* --- Stores ----------------------------------------------------------------------------------- */

/* T: a host integer of the operand's size; the value goes through it. */
#define STORE(name, T, insn, pops)					\
HANDLER(h_x87_##name)							\
{									\
	struct fpu *f = &v->cpu.fpu;					\
	uint16_t sw;							\
									\
	X87_ENTER(v, op);						\
	COMPLETE_UNLESS(all_masked(f) && is_valid(f, 0));		\
	host_begin(f);							\
	__asm__ volatile("fldt %2\n\t" insn " %1\n\tfnstsw %%ax"	\
			 : "=&a"(sw), "=m"(slot) : "m"(*st(f, 0)) : "st");	\
	host_leave(f, sw);						\
	fpu_store(v, op, sizeof(T), slot.m64);				\
	host_report(f, sw, SW_C1);					\
	if (pops)							\
		pop(f);							\
	track_mem(v, op);						\
	NEXT_CHECKED(v, op);						\
}
STORE(fst_m32, uint32_t, "fstps", 0)
STORE(fstp_m32, uint32_t, "fstps", 1)
STORE(fst_m64, uint64_t, "fstpl", 0)
STORE(fstp_m64, uint64_t, "fstpl", 1)
STORE(fistp_m32, uint32_t, "fistpl", 1)
STORE(fistp_m64, uint64_t, "fistpll", 1)
STORE(fisttp_m32, uint32_t, "fisttpl", 1)
STORE(fisttp_m64, uint64_t, "fisttpll", 1)

HANDLER(h_x87_fstp_m80)
{
	struct fpu *f = &v->cpu.fpu;
	char *p;

	X87_ENTER(v, op);
	p = fpu_fast(v, op, 10, true);
	COMPLETE_UNLESS(p && is_valid(f, 0));
	memcpy(p, &st(f, 0)->q[0], 8);
	memcpy(p + 8, &st(f, 0)->w[4], 2);
	f->sw &= (uint16_t)~SW_C1;
	pop(f);
	track_mem(v, op);
	NEXT_CHECKED(v, op);
}

/* --- Registers ----------------------------------------------------------------------- */

HANDLER(h_x87_fld_sti)
{
	struct fpu *f = &v->cpu.fpu;
	union fpreg *s;

	X87_ENTER(v, op);
	COMPLETE_UNLESS(is_valid(f, STI(op)) && !is_valid(f, 7));
	s = st(f, STI(op));
	*push(f) = *s;
	f->sw &= (uint16_t)~SW_C1;
	track(v, op);
	NEXT(v, op);
}

HANDLER(h_x87_fxch)
{
	struct fpu *f = &v->cpu.fpu;
	union fpreg t;

	X87_ENTER(v, op);
	COMPLETE_UNLESS(is_valid(f, 0) && is_valid(f, STI(op)));
	t = *st(f, 0);
	*st(f, 0) = *st(f, STI(op));
	*st(f, STI(op)) = t;
	f->sw &= (uint16_t)~SW_C1;
	track(v, op);
	NEXT(v, op);
}

#define COPY_REGISTER(name, pops)					\
HANDLER(h_x87_##name)							\
{									\
	struct fpu *f = &v->cpu.fpu;					\
									\
	X87_ENTER(v, op);						\
	COMPLETE_UNLESS(is_valid(f, 0));				\
	*st(f, STI(op)) = *st(f, 0);					\
	f->tags |= (uint8_t)(1u << ((x87_top(f) + STI(op)) & 7));	\
	f->sw &= (uint16_t)~SW_C1;					\
	if (pops)							\
		pop(f);							\
	track(v, op);							\
	NEXT(v, op);							\
}
COPY_REGISTER(fst_sti, 0)
COPY_REGISTER(fstp_sti, 1)

#define CHANGE_SIGN(name, EXPR)						\
HANDLER(h_x87_##name)							\
{									\
	struct fpu *f = &v->cpu.fpu;					\
	uint16_t e;							\
									\
	X87_ENTER(v, op);						\
	COMPLETE_UNLESS(is_valid(f, 0));				\
	e = st(f, 0)->w[4];						\
	st(f, 0)->w[4] = (uint16_t)(EXPR);				\
	f->sw &= (uint16_t)~SW_C1;					\
	track(v, op);							\
	NEXT(v, op);							\
}
CHANGE_SIGN(fchs, e ^ 0x8000)
CHANGE_SIGN(fabs, e & 0x7fff)

#define UNARY(name)							\
HANDLER(h_x87_##name)							\
{									\
	struct fpu *f = &v->cpu.fpu;					\
	uint16_t sw;							\
									\
	X87_ENTER(v, op);						\
	COMPLETE_UNLESS(all_masked(f) && is_valid(f, 0));		\
	host_begin(f);							\
	__asm__ volatile("fldt %1\n\t" #name "\n\tfnstsw %%ax\n\tfstpt %1"	\
			 : "=&a"(sw), "+m"(*st(f, 0)) : : "st");		\
	host_end(f, sw, SW_C1);						\
	track(v, op);							\
	NEXT(v, op);							\
}
UNARY(fsqrt)
UNARY(frndint)

/* --- Which handler -------------------------------------------------------------------- */

op_fn *x87_handler(unsigned fop)
{
	static op_fn *const memory[64] = {
#define M(esc, reg, handler)	[((esc) & 7) << 3 | (reg)] = handler,
#define R(esc, reg, handler)
#define ONE(esc, op, handler)
#include "interp/x87_opcodes.def"
#undef M
#undef R
#undef ONE
	};
	static op_fn *const registers[512] = {
#define M(esc, reg, handler)
#define GROUP(esc, reg)		(((esc) & 7) << 6 | (reg) << 3)
#define R(esc, reg, handler)	[GROUP(esc, reg) ... GROUP(esc, reg) | 7] = handler,
#define ONE(esc, op, handler)	[((esc) & 7) << 6 | ((op) & 63)] = handler,
#include "interp/x87_opcodes.def"
#undef M
#undef R
#undef ONE
	};
	op_fn *fn = (fop & 0xc0) == 0xc0 ? registers[(fop >> 8 & 7) << 6 | (fop & 63)]
					 : memory[(fop >> 8 & 7) << 3 | (fop >> 3 & 7)];

	return fn ? fn : h_x87_any;
}

HANDLER(h_x87)
{
	return x87_handler((unsigned)op->imm)(v, op);
}

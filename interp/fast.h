/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What hot handlers are made of: address forms, the inline soft-TLB path, and
 * the macros that stamp out one handler for each address form.
 *
 * A memory handler exists in five forms (enum ea_form). The four fast ones
 * compute the address inline, look into the soft TLB, and on any miss call the
 * slow form of themselves in tail position, which starts the instruction again
 * with the complete checks of mem.c. So a fast form contains no call, needs no
 * stack frame, and never raises. Budget: load = 1 compare, 1 branch.
 */
#ifndef INTERP_FAST_H
#define INTERP_FAST_H

#include "interp/core.h"

enum ea_form {
	EA_SLOW,	/* any segment, any address size */
	EA_F32,		/* flat segment, 32-bit address */
	EA_B32,		/* segment with a base but no effective limit, 32-bit address */
	EA_F64,		/* 64-bit code, base 0 */
	EA_B64,		/* 64-bit code, FS or GS */
	EA_D32,		/* as F32, F64, B64 without an index register */
	EA_D64,
	EA_S64,
	EA_FORMS
};

#define HANDLER(name)	const struct op *name(struct interp *v, const struct op *op)

static inline uint64_t ea_sum(const struct interp *v, const struct op *op)
{
	return v->cpu.gpr[op->base] + (v->cpu.gpr[op->index] << op->scale) + (int64_t)op->disp;
}
static inline gva_t ea_f32(const struct interp *v, const struct op *op)
{
	return (uint32_t)ea_sum(v, op);
}
static inline gva_t ea_b32(const struct interp *v, const struct op *op)
{
	return (uint32_t)(ea_sum(v, op) + v->cpu.seg[op->seg].base);
}
static inline gva_t ea_f64(const struct interp *v, const struct op *op)
{
	return ea_sum(v, op);
}
static inline gva_t ea_b64(const struct interp *v, const struct op *op)
{
	return ea_sum(v, op) + v->cpu.seg[op->seg].base;
}

static inline uint64_t base_disp(const struct interp *v, const struct op *op)
{
	return v->cpu.gpr[op->base] + (uint64_t)(int64_t)op->disp;
}
static inline gva_t ea_d32(const struct interp *v, const struct op *op)
{
	return (uint32_t)base_disp(v, op);
}
static inline gva_t ea_d64(const struct interp *v, const struct op *op)
{
	return base_disp(v, op);
}
static inline gva_t ea_s64(const struct interp *v, const struct op *op)
{
	return base_disp(v, op) + v->cpu.seg[op->seg].base;
}

/* Host address of [gva, gva+size), or NULL: miss, page crossing, or special. */
static inline void *tlb_read(const struct interp *v, gva_t gva, unsigned size)
{
	const struct tlb_entry *e = &v->tlb[gva >> PAGE_SHIFT & (TLB_SIZE - 1)];

	return likely(e->rd == ((gva + size - 1) & PAGE_MASK)) ? (void *)(gva + e->add) : NULL;
}
static inline void *tlb_write(const struct interp *v, gva_t gva, unsigned size)
{
	const struct tlb_entry *e = &v->tlb[gva >> PAGE_SHIFT & (TLB_SIZE - 1)];

	return likely(e->wr == ((gva + size - 1) & PAGE_MASK)) ? (void *)(gva + e->add) : NULL;
}

/*
 * The same for handlers: declares p, a pointer to guest data of type T at gva (which may have any alignment),
 * for reading (tag rd) or writing (wr); does `otherwise` on a miss, where the data
 * crosses a page, and where accesses are special. n: how many T.
 */
#define GUEST(T, p, tag, gva, n, otherwise)						\
	typedef T p##_any __attribute__((aligned(1), may_alias));			\
	gva_t p##_at = (gva);								\
	const struct tlb_entry *p##_e = &v->tlb[p##_at >> PAGE_SHIFT & (TLB_SIZE - 1)];	\
	if (unlikely(p##_e->tag != ((p##_at + (n) * sizeof(T) - 1) & PAGE_MASK)))	\
		otherwise;								\
	p##_any *p = (p##_any *)(p##_at + p##_e->add)

/* Is the segment usable without limit or type checks? Only B32 has to ask. */
#define PLAIN_F32(v, op, w)	true
#define PLAIN_B32(v, op, w)	likely((v)->plain[(op)->seg] >= 1 + (w))
#define PLAIN_F64(v, op, w)	true
#define PLAIN_B64(v, op, w)	true
#define PLAIN_D32(v, op, w)	true
#define PLAIN_D64(v, op, w)	true
#define PLAIN_S64(v, op, w)	true

/* Stack pointer access by mode; see stack.c. */
#define PLAIN_READ 0
#define PLAIN_WRITE 1

/*
 * One fast form: FORM is an address form, form its lower-case twin. T is the
 * memory type, p points to the operand in the body.
 */
#define FAST_FORM(name, FORM, form, T, tag, w, BODY)			\
	static HANDLER(name##_##form)					\
	{								\
		if (!PLAIN_##FORM(v, op, w))				\
			return name##_slow(v, op);			\
		GUEST(T, p, tag, ea_##form(v, op), 1, return name##_slow(v, op)); \
		BODY							\
		NEXT(v, op);						\
	}
#define FAST_FORMS(name, T, tag, w, BODY)				\
	FAST_FORM(name, F32, f32, T, tag, w, BODY)			\
	FAST_FORM(name, B32, b32, T, tag, w, BODY)			\
	FAST_FORM(name, F64, f64, T, tag, w, BODY)			\
	FAST_FORM(name, B64, b64, T, tag, w, BODY)			\
	FAST_FORM(name, D32, d32, T, tag, w, BODY)			\
	FAST_FORM(name, D64, d64, T, tag, w, BODY)			\
	FAST_FORM(name, S64, s64, T, tag, w, BODY)

/* A handler that reads memory: the body uses `s`. */
#define LOAD_FORMS(name, T, BODY)					\
	static HANDLER(name##_slow)					\
	{								\
		SYNC(v, op);						\
		T s = (T)mem_read(v, op->seg, ea_offset(v, op), sizeof(T)); \
		BODY							\
		NEXT(v, op);						\
	}								\
	FAST_FORMS(name, T, rd, PLAIN_READ, T s = *p; BODY)
/* One that changes memory in place: the body reads and writes `d`. Its fast form
 * is atomic enough for a LOCK prefix: there is one processor. */
#define RMW_FORMS(name, T, BODY)					\
	static HANDLER(name##_slow)					\
	{								\
		SYNC(v, op);						\
		uint64_t off = ea_offset(v, op);			\
		T d = (T)mem_read_rmw(v, op->seg, off, sizeof(T));	\
		BODY							\
		mem_write(v, op->seg, off, sizeof(T), d);		\
		NEXT_CHECKED(v, op);					\
	}								\
	FAST_FORMS(name, T, wr, PLAIN_WRITE, T d = *p; BODY *p = d;)
/* One that stores the value of an expression. */
#define STORE_FORMS(name, T, EXPR)					\
	static HANDLER(name##_slow)					\
	{								\
		SYNC(v, op);						\
		mem_write(v, op->seg, ea_offset(v, op), sizeof(T), (T)(EXPR)); \
		NEXT_CHECKED(v, op);					\
	}								\
	FAST_FORMS(name, T, wr, PLAIN_WRITE, *p = (T)(EXPR);)

#define EVERY_FORM(fn) { fn, fn, fn, fn, fn, fn, fn, fn }
#define FORMS(name) { name##_slow, name##_f32, name##_b32, name##_f64, name##_b64, name##_d32,	\
	name##_d64, name##_s64 }

/* --- Condition codes over cpu.arith (LAHF << 8 | SETO) ---------------------- */

#define AR_CF	0x0100u
#define AR_PF	0x0400u
#define AR_AF	0x1000u
#define AR_ZF	0x4000u
#define AR_SF	0x8000u
#define AR_OF	0x0001u

#define CC_LIST(X) \
	X(o,  0, (f & AR_OF))			X(no, 1, !(f & AR_OF)) \
	X(b,  2, (f & AR_CF))			X(ae, 3, !(f & AR_CF)) \
	X(e,  4, (f & AR_ZF))			X(ne, 5, !(f & AR_ZF)) \
	X(be, 6, (f & (AR_CF | AR_ZF)))		X(a,  7, !(f & (AR_CF | AR_ZF))) \
	X(s,  8, (f & AR_SF))			X(ns, 9, !(f & AR_SF)) \
	X(p, 10, (f & AR_PF))			X(np, 11, !(f & AR_PF)) \
	X(l, 12, ((f >> 15 ^ f) & 1))		X(ge, 13, !((f >> 15 ^ f) & 1)) \
	X(le, 14, ((f & AR_ZF) || ((f >> 15 ^ f) & 1))) \
	X(g, 15, !((f & AR_ZF) || ((f >> 15 ^ f) & 1)))

/* --- Host flags -------------------------------------------------------------- */

/* After an instruction: AX = LAHF << 8 | SETO. Before one: the same, loaded. */
#define ASM_SAVE	"\n\tlahf\n\tseto %%al"
#define ASM_LOAD	"addb $0x7f, %%al\n\tsahf\n\t"

#endif

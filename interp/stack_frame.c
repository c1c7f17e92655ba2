/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stack frames of far transfers and events: where the inner stack is, whether
 * the frame fits, and how it is written or read. It decides no privilege
 * question but the validity of the stack a TSS names. SDM 3A 5.8.5, 6.12, 7.7.
 */
#include "interp/descriptor.h"

uint64_t stack_mask(const struct cpu *c)
{
	if (cpu_code64(c))
		return ~0ull;
	return c->seg[SEG_SS].attr & SEG_D ? 0xffffffffu : 0xffffu;
}

uint64_t stack_peek(struct interp *v, unsigned skip, unsigned size)
{
	return mem_read(v, SEG_SS, (v->cpu.gpr[RSP] + skip) & stack_mask(&v->cpu), size);
}

static void rsp_set(struct cpu *c, uint64_t mask, uint64_t sp)
{
	if (mask == 0xffff)
		c->gpr[RSP] = (c->gpr[RSP] & ~mask) | (sp & mask);
	else
		c->gpr[RSP] = sp & mask;
}

void stack_drop(struct interp *v, int bytes)
{
	rsp_set(&v->cpu, stack_mask(&v->cpu), v->cpu.gpr[RSP] + (int64_t)bytes);
}

void stack_current(struct interp *v, unsigned size, uint32_t code, struct stack *st)
{
	const struct cpu *c = &v->cpu;

	*st = (struct stack){ .ss = c->seg[SEG_SS], .sp = c->gpr[RSP], .mask = stack_mask(c),
			      .size = size, .access = c->cpl == 3 ? ACC_USER : 0, .code = code,
			      .flat64 = cpu_code64(c) };
}

void stack_inner(struct interp *v, unsigned dpl, unsigned size, unsigned ext, struct stack *st,
		 struct desc *d)
{
	struct cpu *c = &v->cpu;
	const struct segment *tr = &c->seg[SEG_TR];
	bool tss32 = tr->attr & SYS_IS32;
	uint32_t at = tss32 ? dpl * 8 + 4 : dpl * 4 + 2;
	uint16_t ss;

	if (at + (tss32 ? 5 : 3) > tr->limit)
		sel_fault(v, VEC_TS, tr->sel, ext);
	if (tss32) {
		st->sp = lin_read(v, (uint32_t)(tr->base + at), 4, ACC_READ);
		ss = (uint16_t)lin_read(v, (uint32_t)(tr->base + at + 4), 2, ACC_READ);
	} else {
		st->sp = lin_read(v, (uint32_t)(tr->base + at), 2, ACC_READ);
		ss = (uint16_t)lin_read(v, (uint32_t)(tr->base + at + 2), 2, ACC_READ);
	}
	if (sel_null(ss))
		sel_fault(v, VEC_TS, ss, ext);
	desc_fetch(v, ss, VEC_TS, ext, d);
	if ((ss & 3u) != dpl || desc_dpl(d) != dpl || !desc_is_writable_data(d))
		sel_fault(v, VEC_TS, ss, ext);
	if (!desc_present(d))
		sel_fault(v, VEC_SS, ss, ext);
	seg_set(&st->ss, ss, d);
	st->ss.attr |= SEG_A;
	st->mask = st->ss.attr & SEG_D ? 0xffffffffu : 0xffffu;
	st->size = size;
	st->access = 0;
	st->code = (ss & 0xfffcu) | ext;
	st->flat64 = false;
}

void stack_inner64(struct interp *v, unsigned dpl, unsigned ist, unsigned ext, struct stack *st)
{
	struct cpu *c = &v->cpu;
	const struct segment *tr = &c->seg[SEG_TR];
	uint32_t at = ist ? ist * 8 + 28 : dpl * 8 + 4;

	if (at + 7 > tr->limit)
		sel_fault(v, VEC_TS, tr->sel, ext);
	st->sp = lin_read(v, tr->base + at, 8, ACC_READ);
	if (!canonical(st->sp))
		raise_code(v, VEC_SS, ext);
	seg_set_null_ss(&st->ss, (uint16_t)dpl, dpl);
	st->mask = ~0ull;
	st->size = 8;
	st->access = 0;
	st->code = ext;
	st->flat64 = true;
}

static gva_t stack_linear(const struct stack *st, uint64_t off)
{
	return st->flat64 ? off : (uint32_t)(st->ss.base + off);
}

/* One block, unless it wraps around the end of the stack-address size. */
static bool stack_in_one(const struct stack *st, unsigned bytes, uint64_t *lo)
{
	*lo = (st->sp - bytes) & st->mask;
	return *lo + bytes - 1 <= st->mask && *lo + bytes - 1 >= *lo;
}

void stack_room(struct interp *v, const struct stack *st, unsigned pushes)
{
	uint64_t lo;

	if (stack_in_one(st, pushes * st->size, &lo)) {
		bool ok = st->flat64 ? canonical(lo) && canonical(lo + pushes * st->size - 1)
				     : seg_limit_ok(&st->ss, lo, pushes * st->size);

		if (!ok)
			raise_code(v, VEC_SS, st->code);
		return;
	}
	for (unsigned i = 1; i <= pushes; i++)
		if (!seg_limit_ok(&st->ss, (st->sp - i * st->size) & st->mask, st->size))
			raise_code(v, VEC_SS, st->code);
}

/* In the order of the pushes, so that CR2 names the first that fails; one look is
 * enough while the frame lies in one page. */
void stack_probe(struct interp *v, const struct stack *st, unsigned pushes)
{
	uint64_t lo, top = (st->sp - st->size) & st->mask;
	bool one = stack_in_one(st, pushes * st->size, &lo);
	gva_t first = stack_linear(st, lo), last = stack_linear(st, top) + st->size - 1;

	lin_probe(v, stack_linear(st, top), st->size, ACC_WRITE | st->access);
	if (one && !((first ^ last) & PAGE_MASK))
		return;
	for (unsigned i = 2; i <= pushes; i++)
		lin_probe(v, stack_linear(st, (st->sp - i * st->size) & st->mask), st->size,
			  ACC_WRITE | st->access);
}

void stack_push(struct interp *v, struct stack *st, uint64_t val)
{
	uint64_t off = (st->sp - st->size) & st->mask;

	lin_write(v, stack_linear(st, off), st->size, val, ACC_WRITE | st->access);
	st->sp = st->mask == 0xffff ? (st->sp & ~st->mask) | off : off;
}

void stack_commit(struct interp *v, const struct stack *st)
{
	v->cpu.gpr[RSP] = st->sp;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MOVS CMPS STOS LODS SCAS INS OUTS with every prefix (SDM 2 REP). Each finished
 * iteration is visible in the registers, so a fault or an interrupt between two
 * iterations resumes at the instruction. Ascending MOVS and STOS over plain memory
 * go a page at a time, and INS as much at once as the device has ready.
 */
#include <string.h>

#include "interp/system.h"
#include "interp/tables.h"

/* Iterations done one by one, or pages done at once, before the run loop may look. */
#define STRING_BURST	256

static inline uint64_t addr_mask(const struct op *op)
{
	return op->flags & OPF_A64 ? ~0ull : op->flags & OPF_A16 ? 0xffffu : 0xffffffffu;
}
static inline uint64_t index_get(struct interp *v, const struct op *op, enum gpr r)
{
	return v->cpu.gpr[r] & addr_mask(op);
}
static inline void index_add(struct interp *v, const struct op *op, enum gpr r, int64_t delta)
{
	uint64_t m = addr_mask(op), x = v->cpu.gpr[r] + (uint64_t)delta;

	v->cpu.gpr[r] = m == 0xffff ? (v->cpu.gpr[r] & ~m) | (x & m) : x & m;
}
static inline int64_t step(const struct interp *v, const struct op *op)
{
	return v->cpu.eflags & FL_DF ? -(int64_t)op->osize : op->osize;
}
static inline bool repeated(const struct op *op)
{
	return op->flags & (OPF_REP | OPF_REPNE);
}
static inline uint64_t count_left(struct interp *v, const struct op *op)
{
	return repeated(op) ? index_get(v, op, RCX) : 1;
}
static inline void count_down(struct interp *v, const struct op *op, uint64_t n)
{
	if (repeated(op))
		index_add(v, op, RCX, -(int64_t)n);
}

/* After an iteration or a burst that left some: may an interrupt come in? By instructions
 * no time passes meanwhile, and how much a burst can do depends on what is cached, which
 * is not for the guest to see. */
static inline const struct op *pause_string(struct interp *v, const struct op *op)
{
	return op_leave_at(v, op, OP_RIP(v, op));
}
static inline bool must_pause(struct interp *v, unsigned done)
{
	return (done >= STRING_BURST && !v->m->clock.by_instructions) || v->broke ||
	       v->m->attention ||
	       (v->m->intr && (v->cpu.eflags & FL_IF)) || (v->cpu.eflags & FL_TF) || v->special;
}

/* How many elements may be done at once from an index on without wrapping it. */
static inline unsigned burst_bytes(struct interp *v, const struct op *op, enum gpr r, uint64_t left)
{
	uint64_t room = addr_mask(op) - index_get(v, op, r);
	uint64_t bytes = left > PAGE_SIZE ? PAGE_SIZE : left * op->osize;

	if (bytes > PAGE_SIZE)
		bytes = PAGE_SIZE;
	return room < bytes ? 0 : (unsigned)bytes;
}

/* Copies upwards that overlap replicate: element by element, each read whole before it is
 * written. No memcpy(), to which the operands may not overlap. */
static void copy_elements(uint8_t *dst, const uint8_t *src, unsigned n, unsigned size)
{
#define COPY_AS(T) do {									\
	typedef T any __attribute__((aligned(1), may_alias));				\
	for (unsigned i = 0; i < n; i += sizeof(T))					\
		*(any *)(dst + i) = *(const any *)(src + i);				\
	} while (0)
	switch (size) {
	case 1: COPY_AS(uint8_t); break;
	case 2: COPY_AS(uint16_t); break;
	case 4: COPY_AS(uint32_t); break;
	default: COPY_AS(uint64_t); break;
	}
#undef COPY_AS
}

/* One bulk step of MOVS; elements moved, 0 if it must be done singly. */
static unsigned movs_bulk(struct interp *v, const struct op *op, uint64_t left)
{
	unsigned n1 = burst_bytes(v, op, RSI, left), n2 = burst_bytes(v, op, RDI, left), n;
	const uint8_t *src;
	uint8_t *dst;

	if (!n1 || !n2)
		return 0;
	n = n1 < n2 ? n1 : n2;
	src = mem_span(v, op->seg, index_get(v, op, RSI), op->osize, &n, ACC_READ);
	if (!src)
		return 0;
	dst = mem_span(v, SEG_ES, index_get(v, op, RDI), op->osize, &n, ACC_WRITE);
	if (!dst || n == 0)
		return 0;
	if ((uintptr_t)dst - (uintptr_t)src < n)
		copy_elements(dst, src, n, op->osize);
	else
		memmove(dst, src, n);
	return n / op->osize;
}

HANDLER(h_movs)
{
	SYNC(v, op);
	unsigned done = 0;

	for (uint64_t left = count_left(v, op); left; done++) {
		unsigned n = 0;

		if (repeated(op) && !(v->cpu.eflags & FL_DF) && !v->special)
			n = movs_bulk(v, op, left);
		if (!n) {
			uint64_t x = mem_read(v, op->seg, index_get(v, op, RSI), op->osize);

			mem_write(v, SEG_ES, index_get(v, op, RDI), op->osize, x);
			n = 1;
		}
		index_add(v, op, RSI, step(v, op) * n);
		index_add(v, op, RDI, step(v, op) * n);
		count_down(v, op, n);
		left -= n;
		if (left && must_pause(v, done))
			return pause_string(v, op);
	}
	NEXT_CHECKED(v, op);
}

static unsigned stos_bulk(struct interp *v, const struct op *op, uint64_t left)
{
	unsigned n = burst_bytes(v, op, RDI, left);
	uint64_t x = v->cpu.gpr[RAX];
	uint8_t *dst;

	if (!n)
		return 0;
	dst = mem_span(v, SEG_ES, index_get(v, op, RDI), op->osize, &n, ACC_WRITE);
	if (!dst)
		return 0;
	if (op->osize == 1 || x == 0)
		memset(dst, (int)(x & 0xff), n);
	else
		for (unsigned i = 0; i < n; i += op->osize)
			memcpy(dst + i, &x, op->osize);
	return n / op->osize;
}

HANDLER(h_stos)
{
	SYNC(v, op);
	unsigned done = 0;

	for (uint64_t left = count_left(v, op); left; done++) {
		unsigned n = 0;

		if (repeated(op) && !(v->cpu.eflags & FL_DF) && !v->special)
			n = stos_bulk(v, op, left);
		if (!n) {
			mem_write(v, SEG_ES, index_get(v, op, RDI), op->osize, v->cpu.gpr[RAX]);
			n = 1;
		}
		index_add(v, op, RDI, step(v, op) * n);
		count_down(v, op, n);
		left -= n;
		if (left && must_pause(v, done))
			return pause_string(v, op);
	}
	NEXT_CHECKED(v, op);
}

HANDLER(h_lods)
{
	SYNC(v, op);
	unsigned done = 0;

	for (uint64_t left = count_left(v, op); left; done++) {
		reg_set(v, 8 * RAX, op->osize, mem_read(v, op->seg, index_get(v, op, RSI), op->osize));
		index_add(v, op, RSI, step(v, op));
		count_down(v, op, 1);
		if (--left && must_pause(v, done))
			return pause_string(v, op);
	}
	NEXT(v, op);
}

static uint16_t compare(uint64_t x, uint64_t y, unsigned size)
{
	uint16_t f;

#define CMP(n, T, sfx)	case n: asm("cmp" #sfx " %2, %1" ASM_SAVE : "=&a"(f)			\
		: "q"((T)x), "q"((T)y) : "cc"); return f;
	switch (size) {
	CMP(1, uint8_t, b) CMP(2, uint16_t, w) CMP(4, uint32_t, l)
	default: CMP(8, uint64_t, q)
	}
#undef CMP
}

/* CMPS and SCAS: REPE stops at the first difference, REPNE at the first match. */
static const struct op *compare_string(struct interp *v, const struct op *op, bool cmps)
{
	SYNC(v, op);
	unsigned done = 0;

	for (uint64_t left = count_left(v, op); left; done++) {
		uint64_t x = cmps ? mem_read(v, op->seg, index_get(v, op, RSI), op->osize)
				  : reg_get(v, 8 * RAX, op->osize);
		uint64_t y = mem_read(v, SEG_ES, index_get(v, op, RDI), op->osize);

		v->cpu.arith = compare(x, y, op->osize);
		if (cmps)
			index_add(v, op, RSI, step(v, op));
		index_add(v, op, RDI, step(v, op));
		count_down(v, op, 1);
		left--;
		if ((op->flags & OPF_REP && x != y) || (op->flags & OPF_REPNE && x == y))
			break;
		if (left && must_pause(v, done))
			return pause_string(v, op);
	}
	NEXT(v, op);
}

HANDLER(h_cmps) { return compare_string(v, op, true); }
HANDLER(h_scas) { return compare_string(v, op, false); }

/* A device may raise an interrupt or end the run: look after each burst. */
static const struct op *after_io(struct interp *v, const struct op *op)
{
	if (v->m->power != POWER_ON || v->m->attention || (v->m->intr && (v->cpu.eflags & FL_IF)))
		return op_leave_after(v, op);
	NEXT_CHECKED(v, op);
}

/* The port's next values into plain memory; elements moved, 0 if it must be done singly. */
static unsigned ins_bulk(struct interp *v, const struct op *op, uint16_t port, uint64_t left)
{
	unsigned n = burst_bytes(v, op, RDI, left);
	uint8_t *dst;

	if (!n)
		return 0;
	dst = mem_span(v, SEG_ES, index_get(v, op, RDI), op->osize, &n, ACC_WRITE);
	return dst ? bus_in_block(v->m->bus, port, op->osize, dst, n / op->osize) : 0;
}

HANDLER(h_ins)
{
	SYNC(v, op);
	unsigned done = 0;
	uint16_t port = REG16(v, 8 * RDX);

	io_check(v, port, op->osize);
	clock_sync(v);
	for (uint64_t left = count_left(v, op); left; done++) {
		uint64_t off = index_get(v, op, RDI);
		unsigned n = 0;

		if (repeated(op) && !(v->cpu.eflags & FL_DF) && !v->special)
			n = ins_bulk(v, op, port, left);
		if (!n) {
			mem_probe_write(v, SEG_ES, off, op->osize);
			mem_write(v, SEG_ES, off, op->osize, bus_in(v->m->bus, port, op->osize));
			n = 1;
		}
		index_add(v, op, RDI, step(v, op) * n);
		count_down(v, op, n);
		left -= n;
		if (left && must_pause(v, done))
			return pause_string(v, op);
	}
	return after_io(v, op);
}

HANDLER(h_outs)
{
	SYNC(v, op);
	unsigned done = 0;
	uint16_t port = REG16(v, 8 * RDX);

	io_check(v, port, op->osize);
	clock_sync(v);
	for (uint64_t left = count_left(v, op); left; done++) {
		uint64_t x = mem_read(v, op->seg, index_get(v, op, RSI), op->osize);

		bus_out(v->m->bus, port, (uint32_t)x, op->osize);
		index_add(v, op, RSI, step(v, op));
		count_down(v, op, 1);
		if (--left && (must_pause(v, done) || v->m->power != POWER_ON))
			return pause_string(v, op);
	}
	return after_io(v, op);
}

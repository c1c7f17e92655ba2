/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building traces: from a linear address over the bytes of one or two pages to operations.
 */
#include <string.h>

#include "interp/cpu_model.h"
#include "interp/fuse.h"
#include "interp/lower.h"
#include "interp/tables.h"
#include "interp/trace_parts.h"

#define TRACE_MAX	40
#define INSN_MAX	15

/* --- Fetching -------------------------------------------------------------------------- */

void itlb_fill(struct interp *v, gva_t lip, struct itlb_entry *e)
{
	struct walk w;
	uint32_t err;

	/* Walked into, from the end of the lower half: #GP, not #PF (SDM 3A 6.15, vector 13). */
	if (v->hflags & HF_CS64 && (uint64_t)((int64_t)(lip << 16) >> 16) != lip)
		raise_gp0(v);
	err = paging_access(&v->m->mem, &v->cpu, lip, ACC_EXEC | (v->user ? ACC_USER : 0), &w);

	if (err)
		raise_pf(v, lip, err & ~PF_NOT);
	if (w.page_shift != PAGE_SHIFT)
		tlb_note_large(v, lip, w.page_shift);
	e->tag = lip & PAGE_MASK;
	e->page = (w.gpa & PAGE_MASK) | (w.global ? TLB_GLOBAL : 0);
}

/* The bytes of a page as the decoder may read them: RAM, ROM, or copied from a device. */
static const uint8_t *page_bytes(struct interp *v, gpa_t page, uint8_t buf[PAGE_SIZE])
{
	const uint8_t *hva = memory_code_hva(&v->m->mem, page);

	if (hva)
		return hva;
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		buf[i] = (uint8_t)phys_read(&v->m->mem, page + i, 1);
	return buf;
}

/* Turns a decoder's verdict into an operation. */
static void lower_result(struct interp *v, enum decode_result r, const struct insn *in, unsigned off,
			 bool single, struct op *op, struct lowered *lo)
{
	if (r == DECODE_OK) {
		lower(v->model, v->hflags, in, off, single, op, lo);
		return;
	}
	memset(op, 0, sizeof(*op));
	memset(lo, 0, sizeof(*lo));
	op->fn = r == DECODE_INVALID ? h_invalid : h_too_long;
	op->off = (uint16_t)off;
	lo->end = true;
}

static void terminate(struct op *op, unsigned off, op_fn *fn)
{
	memset(op, 0, sizeof(*op));
	op->fn = fn;
	op->off = (uint16_t)off;
}

/* How many bytes may be fetched from lip on before CS ends; raises #GP if none. */
static unsigned fetch_room(struct interp *v)
{
	uint64_t limit = v->cpu.seg[SEG_CS].limit;

	if (v->hflags & (HF_CS64 | HF_CS_FLAT))
		return INSN_MAX;
	if (v->cpu.rip > limit)
		raise_gp0(v);
	return limit - v->cpu.rip >= INSN_MAX ? INSN_MAX : (unsigned)(limit - v->cpu.rip + 1);
}

/* Gathers up to `room` bytes at lip for one instruction, from one or two pages.
 * The second page is only touched if the first does not hold all of it. */
static enum decode_result decode_at(struct interp *v, gva_t lip, gpa_t gpa, unsigned room,
				    struct insn *in, gpa_t *gpa2)
{
	uint8_t dev[PAGE_SIZE], bytes[INSN_MAX + 1];
	unsigned off = gpa & ~PAGE_MASK, n = (unsigned)(PAGE_SIZE - off);
	const uint8_t *p = page_bytes(v, gpa & PAGE_MASK, dev);
	enum decode_result r;

	*gpa2 = 0;
	v->traces->counts.decoded++;
	if (n > room)
		n = room;
	r = decode(v->decoder, v->hflags, p + off, n, in);
	if (r != DECODE_MORE)
		return r;
	if (n == room)		/* the segment or the 15 bytes end here */
		return DECODE_TOO_LONG;
	memcpy(bytes, p + off, n);
	gva_t next = (lip | ~PAGE_MASK) + 1;

	*gpa2 = fetch_translate(v, v->hflags & HF_CS64 ? next : (uint32_t)next) & PAGE_MASK;
	p = page_bytes(v, *gpa2, dev);
	memcpy(bytes + n, p, room - n);
	r = decode(v->decoder, v->hflags, bytes, room, in);
	return r == DECODE_MORE ? DECODE_TOO_LONG : r;
}

const struct op *trace_single(struct interp *v)
{
	struct trace *t = v->traces->scratch;
	struct lowered lo;
	struct insn in;
	gva_t lip = v->cpu.rip + v->cpu.seg[SEG_CS].base;

	v->op = NULL;
	if (!(v->hflags & HF_CS64))
		lip = (uint32_t)lip;
	unsigned room = fetch_room(v);
	gpa_t gpa = fetch_translate(v, lip), gpa2;
	unsigned off = lip & ~PAGE_MASK;
	enum decode_result r = decode_at(v, lip, gpa, room, &in, &gpa2);

	lower_result(v, r, &in, off, true, &t->ops[0], &lo);
	terminate(&t->ops[1], off + t->ops[0].len, h_stop);
	t->ops[0].done = t->ops[1].done = 1;
	t->count = 1;
	t->hflags = v->hflags;
	return trace_enter(v, t, v->cpu.rip - off);
}

/* Dead-flag elimination, backwards: a pure operation whose flags are all rewritten
 * before anybody can look takes its flagless form. */
static void drop_dead_flags(struct op *ops, struct lowered *lo, unsigned n)
{
	uint32_t live = FL_ARITH;

	for (unsigned i = n; i-- > 0;) {
		if (!lo[i].pure) {
			live = FL_ARITH;
			continue;
		}
		if (lo[i].no_flags && lo[i].kills && !((lo[i].kills | lo[i].open) & live))
			ops[i].fn = lo[i].no_flags;
		live = (live & ~lo[i].kills) | lo[i].reads;
	}
}

/* Decodes from off on; ops has room for TRACE_MAX + 1. Returns operations made,
 * *count instructions, *end the offset behind the last. */
static unsigned build_ops(struct interp *v, const uint8_t *page, unsigned off, struct op *ops,
			  struct stride *strides, unsigned *count, unsigned *end)
{
	struct lowered lo[TRACE_MAX + 1];
	unsigned n = 0, insns = 0;
	bool ended = false;

	while (insns < TRACE_MAX && off < PAGE_SIZE && !ended) {
		struct insn in;
		unsigned room = (unsigned)(PAGE_SIZE - off);
		enum decode_result r = decode(v->decoder, v->hflags, page + off,
					      room > INSN_MAX ? INSN_MAX : room, &in);

		if (r == DECODE_MORE && room < INSN_MAX)
			break;
		lower_result(v, r == DECODE_MORE ? DECODE_TOO_LONG : r, &in, off, false, &ops[n], &lo[n]);
		v->traces->counts.decoded++;
		insns++;
		ended = lo[n].end;
		/* What is no instruction may become one by a change of any byte looked at. */
		off += ops[n].len ? ops[n].len : room < INSN_MAX ? room : INSN_MAX;
		ops[n].done = (uint8_t)insns;
		strides[n] = (struct stride){ .straight = lo[n].straight };
		if (ops[n].fn != h_nop)
			n++;
	}
	drop_dead_flags(ops, lo, n);
	if (!ended) {
		lower_goto(v->hflags, off, &ops[n]);
		strides[n] = (struct stride){ .straight = false };
		ops[n++].done = (uint8_t)insns;
	}
	fuse(ops, n, strides);
	*count = insns;
	*end = off;
	return n;
}

struct trace *trace_build(struct interp *v, gva_t lip, gpa_t gpa)
{
	struct op ops[TRACE_MAX + 2];
	struct stride strides[TRACE_MAX + 2];
	const uint8_t *page = memory_code_hva(&v->m->mem, gpa & PAGE_MASK);
	unsigned off = gpa & ~PAGE_MASK, count, end, n;
	gpa_t gpa2 = 0;

	if (!page)
		return NULL;
	n = build_ops(v, page, off, ops, strides, &count, &end);
	if (count == 0) {
		struct lowered lo;
		struct insn in;
		enum decode_result r = decode_at(v, lip, gpa, INSN_MAX, &in, &gpa2);

		/* Not in the lists of two pages: one that is both of them, or page 0, which
		 * as gpa2 means none. */
		if (!gpa2 || gpa2 == (gpa & PAGE_MASK) || !memory_code_hva(&v->m->mem, gpa2))
			return NULL;
		lower_result(v, r, &in, off, true, &ops[0], &lo);
		end = off + (ops[0].len ? ops[0].len : INSN_MAX);
		lower_goto(v->hflags, end, &ops[1]);
		ops[0].done = ops[1].done = 1;
		strides[0] = strides[1] = (struct stride){ .straight = false };
		count = 1;
		n = lo.end ? 1 : 2;
	}
	struct trace *t = trace_alloc(v, n);

	memset(t, 0, sizeof(*t));
	t->lip = ~0ull;
	memcpy(t->ops, ops, n * sizeof(*ops));
	t->gpa = gpa;
	t->gpa2 = gpa2;
	t->hflags = v->hflags;
	t->count = (uint16_t)count;
	t->nops = n;
	t->bytes = (uint16_t)(end - off ? end - off : 1);
	if (v->traces->threads && !thread_trace(v->traces->threads, t, n, strides))
		trace_start_over(v);
	trace_add(v, t);
	return t;
}

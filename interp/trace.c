/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building, finding and dropping traces.
 *
 * A trace is a straight piece of one physical page: it runs past conditional
 * branches and ends at an unconditional one, at the page's end, or after
 * TRACE_MAX instructions. An instruction that straddles two pages is a trace of
 * its own with two keys. Traces live in one arena that is emptied as a whole when
 * full; a dropped trace stays in memory with its first operation turned into
 * h_dead, so links to it need no search, and says what took its place.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "interp/cpu_model.h"
#include "interp/fuse.h"
#include "interp/lower.h"
#include "interp/tables.h"
#include "interp/trace.h"

#define TRACE_MAX	40
#define INSN_MAX	15
#define ARENA_SIZE	((size_t)96 << 20)
#define HASH_BITS	16

/* What is decoded in a page: traces, and a bit for each granule of GRANULE bytes. */
#define GRANULE_SHIFT	5
struct codepage {
	struct trace *traces;
	uint64_t granules[2];
};

struct traces {
	uint8_t *arena;
	size_t arena_size, used;
	struct trace *hash[1u << HASH_BITS];
	struct codepage **pages;	/* by RAM page number */
	size_t npages;
	struct trace_counts counts;
	/* One instruction and what follows it, for steps and uncached code. */
	struct trace *scratch;
	/* Nothing more to run now: the state is synced. */
	struct trace *leave;
	struct threads *threads;	/* or NULL */
};

static HANDLER(h_leave_run)
{
	(void)v;
	(void)op;
	return NULL;
}

void traces_destroy(struct traces *t)
{
	if (!t)
		return;
	for (size_t i = 0; t->pages && i < t->npages; i++)
		free(t->pages[i]);
	free(t->pages);
	free(t->scratch);
	free(t->leave);
	if (!t->threads && t->arena != MAP_FAILED)
		munmap(t->arena, t->arena_size);
	free(t);
}

int traces_create(struct traces **out, struct machine *m, struct threads *threads)
{
	struct traces *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->npages = (m->mem.low_size + m->mem.high_size) >> PAGE_SHIFT;
	t->pages = calloc(t->npages, sizeof(*t->pages));
	t->scratch = calloc(1, sizeof(struct trace) + 2 * sizeof(struct op));
	t->leave = calloc(1, sizeof(struct trace) + sizeof(struct op));
	t->threads = threads;
	t->arena_size = ARENA_SIZE;
	if (threads)
		t->arena = threads_arena(threads, &t->arena_size);
	else
		t->arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!t->pages || !t->scratch || !t->leave || t->arena == MAP_FAILED) {
		traces_destroy(t);
		return -ENOMEM;
	}
	madvise(t->arena, t->arena_size, MADV_HUGEPAGE);	/* much of the waiting is for the host's TLB */
	t->leave->ops[0].fn = h_leave_run;
	if (threads)
		t->scratch->code = t->leave->code = thread_unrowed(threads);
	*out = t;
	return 0;
}

void interp_trace_counts(const struct interp *v, struct trace_counts *out)
{
	*out = v->traces->counts;
}

/* --- Finding ------------------------------------------------------------------- */

static unsigned trace_hash(gpa_t gpa, uint32_t hflags)
{
	return (unsigned)((gpa ^ gpa >> HASH_BITS ^ hflags * 2654435761u) & ((1u << HASH_BITS) - 1));
}

static struct trace *trace_find(const struct traces *c, gpa_t gpa, uint32_t hflags)
{
	struct trace *t = c->hash[trace_hash(gpa, hflags)];

	while (t && (t->gpa != gpa || t->hflags != hflags))
		t = t->hash_next;
	return t;
}

static void trace_unhash(struct traces *c, struct trace *t)
{
	struct trace **p = &c->hash[trace_hash(t->gpa, t->hflags)];

	while (*p && *p != t)
		p = &(*p)->hash_next;
	if (*p)
		*p = t->hash_next;
}

/* --- Dropping --------------------------------------------------------------------- */

struct trace no_trace = { .lip = ~0ull };

HANDLER(h_dead)
{
	struct trace *dead = (struct trace *)((char *)op - offsetof(struct trace, ops));
	uint64_t rip = v->cpu.gpr[R_PAGE] + (dead->gpa & ~PAGE_MASK);

	while (dead->forward && dead->forward->dead && dead->forward->forward)
		dead->forward = dead->forward->forward;
	if (dead->forward && !dead->forward->dead)
		DISPATCH(v, dead->forward->ops);

	const struct op *next = trace_jump_slow(v, v->hflags & HF_CS64 ? rip : (uint32_t)rip);
	struct trace *t = v->trace;

	if (next == t->ops && !t->gpa2 && t->gpa == dead->gpa && t->hflags == dead->hflags)
		dead->forward = t;
	DISPATCH(v, next);
}

static void trace_kill(struct interp *v, struct trace *t)
{
	trace_unhash(v->traces, t);
	t->dead = true;
	t->gen = 0;
	t->ops[0].fn = h_dead;
	if (v->traces->threads)
		t->code = thread_unrowed(v->traces->threads);
	/* Only the one that stores has to be left. Whether there are others depends on what was
	 * decoded since when, which must not show in where interrupts come. */
	if (v->op >= t->ops && v->op < t->ops + t->nops)
		v->broke = true;
	v->traces->counts.dropped++;
}

static struct codepage **codepage_of(const struct interp *v, gpa_t gpa)
{
	int64_t off = memory_offset(&v->m->mem, gpa);

	return off < 0 ? NULL : &v->traces->pages[off >> PAGE_SHIFT];
}

static void granules_mark(struct codepage *p, unsigned first, unsigned last)
{
	for (unsigned g = first >> GRANULE_SHIFT; g <= last >> GRANULE_SHIFT; g++)
		p->granules[g >> 6] |= 1ull << (g & 63);
}

static bool granules_test(const struct codepage *p, unsigned first, unsigned last)
{
	for (unsigned g = first >> GRANULE_SHIFT; g <= last >> GRANULE_SHIFT; g++)
		if (p->granules[g >> 6] >> (g & 63) & 1)
			return true;
	return false;
}

/* The part of a trace that lies in the page at `page`: first and last offset. */
static void trace_extent(const struct trace *t, gpa_t page, unsigned *first, unsigned *last)
{
	unsigned off = t->gpa & ~PAGE_MASK, in_first = (unsigned)(PAGE_SIZE - off);

	if ((t->gpa & PAGE_MASK) == page) {
		*first = off;
		*last = t->gpa2 ? (unsigned)PAGE_SIZE - 1 : off + t->bytes - 1;
	} else {
		*first = 0;
		*last = t->bytes - in_first - 1;
	}
}

/* A straddling trace sits in the lists of both pages through page_next[0/1]. */
static struct trace **page_link(struct trace *t, gpa_t page)
{
	return &t->page_next[(t->gpa & PAGE_MASK) != page];
}

static void page_unlink(struct interp *v, gpa_t page, struct trace *t)
{
	struct codepage **p = codepage_of(v, page);

	if (!p || !*p)
		return;
	for (struct trace **q = &(*p)->traces; *q; q = page_link(*q, page))
		if (*q == t) {
			*q = *page_link(t, page);
			return;
		}
}

void traces_stored(struct interp *v, gpa_t gpa, unsigned len)
{
	struct codepage **pp = codepage_of(v, gpa), *p = pp ? *pp : NULL;
	gpa_t page = gpa & PAGE_MASK;
	unsigned first = gpa & ~PAGE_MASK, last = first + len - 1;
	bool killed = false;

	if (!p || !granules_test(p, first, last))
		return;
	for (struct trace **q = &p->traces, *t; (t = *q);) {
		unsigned a, b;

		trace_extent(t, page, &a, &b);
		if (b < first || a > last) {
			q = page_link(t, page);
			continue;
		}
		*q = *page_link(t, page);
		if (t->gpa2)
			page_unlink(v, (t->gpa & PAGE_MASK) == page ? t->gpa2 : t->gpa & PAGE_MASK, t);
		trace_kill(v, t);
		killed = true;
	}
	if (!killed)
		return;
	p->granules[0] = p->granules[1] = 0;
	for (struct trace *t = p->traces; t; t = *page_link(t, page)) {
		unsigned a, b;

		trace_extent(t, page, &a, &b);
		granules_mark(p, a, b);
	}
	if (!p->traces)
		memory_clear_flags(&v->m->mem, page, PG_CODE);
}

void traces_flush(struct interp *v)
{
	struct traces *c = v->traces;

	c->counts.flushed++;
	if (!c->used)
		return;		/* nothing was decoded since the last time */
	memset(c->hash, 0, sizeof(c->hash));
	for (size_t i = 0; i < c->npages; i++) {
		if (!c->pages[i])
			continue;
		uint64_t off = (uint64_t)i << PAGE_SHIFT;

		memory_clear_flags(&v->m->mem, off < v->m->mem.low_size
				   ? off : off - v->m->mem.low_size + 0x100000000ull, PG_CODE);
		free(c->pages[i]);
		c->pages[i] = NULL;
	}
	for (unsigned i = 0; i < JC_SIZE; i++)
		v->jc[i] = &no_trace;
	c->used = 0;
	if (c->threads)
		threads_flush(c->threads);
}

/* --- Building ------------------------------------------------------------------------ */

/* The translation of lip, into its place in the instruction TLB. */
static void itlb_fill(struct interp *v, gva_t lip, struct itlb_entry *e)
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

/* Physical address of code at lip, which a context will know; raises #PF. */
static gpa_t fetch_translate(struct interp *v, gva_t lip)
{
	struct itlb_entry *e = &v->itlb[v->user][lip >> PAGE_SHIFT & (ITLB_SIZE - 1)];

	if (unlikely(e->tag != (lip & PAGE_MASK)))
		itlb_fill(v, lip, e);
	tlb_note_code(v, lip, e->page & TLB_GLOBAL);
	return (e->page & PAGE_MASK) | (lip & ~PAGE_MASK);
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

/* The arena is full, and the running trace is in it. RIP is right. */
static _Noreturn void start_over(struct interp *v)
{
	traces_flush(v);
	longjmp(*v->escape, ESCAPE_FLUSHED);
}

static struct trace *trace_alloc(struct interp *v, unsigned nops)
{
	struct traces *c = v->traces;
	size_t size = sizeof(struct trace) + nops * sizeof(struct op);

	if (c->used + size > c->arena_size)
		start_over(v);
	struct trace *t = (struct trace *)(c->arena + c->used);

	c->used += (size + 63) & ~(size_t)63;
	return t;
}

static void page_enlist(struct interp *v, struct trace *t, gpa_t page)
{
	struct codepage **p = codepage_of(v, page);
	unsigned a, b;

	if (!p)
		return;		/* ROM */
	if (!*p) {
		*p = calloc(1, sizeof(**p));
		if (!*p)
			bug("out of memory for code pages");
	}
	*page_link(t, page) = (*p)->traces;
	(*p)->traces = t;
	trace_extent(t, page, &a, &b);
	granules_mark(*p, a, b);
	if (!(memory_flags(&v->m->mem, page) & PG_CODE))
		memory_set_flags(&v->m->mem, page, PG_CODE);
}

/* The trace for code at gpa (lip is its linear address), or NULL: run singly. */
static struct trace *trace_build(struct interp *v, gva_t lip, gpa_t gpa)
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
		start_over(v);
	t->hash_next = v->traces->hash[trace_hash(gpa, v->hflags)];
	v->traces->hash[trace_hash(gpa, v->hflags)] = t;
	page_enlist(v, t, gpa & PAGE_MASK);
	if (gpa2)
		page_enlist(v, t, gpa2);
	v->traces->counts.built++;
	return t;
}

/* --- Entering ----------------------------------------------------------------------------- */

static struct trace *trace_get(struct interp *v, gva_t lip, gpa_t gpa)
{
	struct trace *t = trace_find(v->traces, gpa, v->hflags);

	if (likely(t && !t->gpa2))
		return t;
	if (t) {	/* is its second half still behind the first? */
		gva_t next = (lip | ~PAGE_MASK) + 1;

		if (t->gpa2 == (fetch_translate(v, v->hflags & HF_CS64 ? next : (uint32_t)next) & PAGE_MASK))
			return t;
		page_unlink(v, t->gpa & PAGE_MASK, t);
		page_unlink(v, t->gpa2, t);
		trace_kill(v, t);
	}
	return trace_build(v, lip, gpa);
}

const struct op *trace_jump_slow(struct interp *v, uint64_t rip)
{
	v->op = NULL;
	v->cpu.rip = rip;
	if (v->budget <= 0 || v->special)
		return v->traces->leave->ops;

	gva_t lip = rip + v->cpu.seg[SEG_CS].base;

	if (!(v->hflags & HF_CS64))
		lip = (uint32_t)lip;
	gpa_t gpa = fetch_translate(v, lip);
	struct trace *t = trace_get(v, lip, gpa);

	v->broke = false;
	if (!t || (!(v->hflags & (HF_CS_FLAT | HF_CS64)) && rip + t->bytes - 1 > v->cpu.seg[SEG_CS].limit))
		return trace_single(v);
	t->lip = lip;
	t->gen = v->gen;
	*jc_slot(v, lip) = t;
	return trace_enter(v, t, rip - (lip & ~PAGE_MASK));
}

HANDLER(h_branch_slow)
{
	uint64_t rip = v->cpu.gpr[R_PAGE] + (uint64_t)(int64_t)op->disp;
	gpa_t target = (v->trace->gpa & PAGE_MASK) + (uint64_t)(int64_t)op->disp;
	const struct op *next;

	if (!(v->hflags & HF_CS64))
		rip = (uint32_t)rip;
	next = trace_jump_flat(v, op, rip);

	struct trace *t = v->trace;

	if (next != t->ops || t->dead || !trace_valid(v, t, rip))
		DISPATCH(v, next);
	if (!(op->flags & OPF_NEAR) || (t->gpa == target && !t->gpa2))
		((struct op *)op)->link = t;
	DISPATCH(v, next);
}

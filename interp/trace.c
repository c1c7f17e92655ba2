/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding, adding and dropping traces.
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

#include "interp/tables.h"
#include "interp/trace_parts.h"

#define ARENA_SIZE	((size_t)96 << 20)

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

/* --- Adding -------------------------------------------------------------------------- */

/* The arena is full, and the running trace is in it. RIP is right. */
_Noreturn void trace_start_over(struct interp *v)
{
	traces_flush(v);
	longjmp(*v->escape, ESCAPE_FLUSHED);
}

struct trace *trace_alloc(struct interp *v, unsigned nops)
{
	struct traces *c = v->traces;
	size_t size = sizeof(struct trace) + nops * sizeof(struct op);

	if (c->used + size > c->arena_size)
		trace_start_over(v);
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

void trace_add(struct interp *v, struct trace *t)
{
	struct trace **head = &v->traces->hash[trace_hash(t->gpa, t->hflags)];

	t->hash_next = *head;
	*head = t;
	page_enlist(v, t, t->gpa & PAGE_MASK);
	if (t->gpa2)
		page_enlist(v, t, t->gpa2);
	v->traces->counts.built++;
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

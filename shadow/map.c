/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is mapped in each root, and the batch of changes on its way to the engine.
 * Knows entries and counts; what should be mapped is decided elsewhere.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/internal.h"

static unsigned chunk_hash(gva_t base)
{
	return (unsigned)(base >> CHUNK_SHIFT) & (CHUNK_HASH - 1);
}

static struct chunk *chunk_find(const struct root *r, gva_t base)
{
	struct chunk *c = r->chunks[chunk_hash(base)];

	while (c && c->base != base)
		c = c->next;
	return c;
}

static struct chunk *chunk_of(struct root *r, gva_t gva, bool make)
{
	gva_t base = gva >> CHUNK_SHIFT << CHUNK_SHIFT;
	struct chunk *c = chunk_find(r, base);

	if (c || !make)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	r->nchunks++;
	c->base = base;
	c->next = r->chunks[chunk_hash(base)];
	r->chunks[chunk_hash(base)] = c;
	return c;
}

struct entry *root_entry(struct root *r, gva_t gva, bool make)
{
	struct chunk *c = chunk_of(r, gva, make);

	return c ? &c->e[gva >> PAGE_SHIFT & (CHUNK_PAGES - 1)] : NULL;
}

/* fn may change entries and add chunks; chunks go in root_clear() alone. */
void root_each(struct root *r, gva_t base, uint64_t size, entry_fn *fn, struct shadow *s)
{
	for (unsigned h = 0; h < CHUNK_HASH; h++)
		for (struct chunk *c = r->chunks[h]; c; c = c->next) {
			if (!c->mapped || c->base + ((gva_t)1 << CHUNK_SHIFT) <= base ||
			    (c->base > base && c->base - base >= size))
				continue;
			for (unsigned i = 0; i < CHUNK_PAGES; i++) {
				gva_t gva = c->base + ((gva_t)i << PAGE_SHIFT);

				if (c->e[i].prot && gva - base < size)
					fn(s, r, gva, &c->e[i]);
			}
		}
}

void root_each_stale(struct root *r, entry_fn *fn, struct shadow *s)
{
	for (unsigned h = 0; h < CHUNK_HASH; h++)
		for (struct chunk *c = r->chunks[h]; c; c = c->next)
			for (unsigned i = 0; c->stale && i < CHUNK_PAGES; i++)
				if (c->e[i].stale)
					fn(s, r, c->base + ((gva_t)i << PAGE_SHIFT), &c->e[i]);
}

/* --- Runs: consecutive pages with consecutive offsets are one mapping of the host --- */

static bool run_starts(const struct entry *left, const struct entry *e)
{
	if (!e || !e->prot)
		return false;
	return !left || left->prot != e->prot || left->page + 1 != e->page;
}

/* How many runs begin at gva and at the page behind it. */
static unsigned runs_at(struct root *r, gva_t gva, const struct entry *e)
{
	const struct entry *left = gva ? root_entry(r, gva - PAGE_SIZE, false) : NULL;
	const struct entry *right = root_entry(r, gva + PAGE_SIZE, false);

	return run_starts(left, e) + run_starts(e, right);
}

static void count_page(struct shadow *s, const struct entry *e, int delta)
{
	if (e->prot & SINK_W)
		s->pages[e->page].writable += (unsigned)delta;
	if (e->prot & SINK_X)
		s->pages[e->page].executable += (unsigned)delta;
}

/* A stale entry is looked at again before it can be used, so it does not count. */
void entry_mark_stale(struct shadow *s, struct root *r, gva_t gva, struct entry *e)
{
	if (e->stale)
		return;
	count_page(s, e, -1);
	e->stale = true;
	r->stale++;
	chunk_of(r, gva, false)->stale++;
}

static void entry_unmark(struct shadow *s, struct root *r, struct chunk *c, struct entry *e)
{
	if (!e->stale)
		return;
	count_page(s, e, 1);
	e->stale = false;
	r->stale--;
	c->stale--;
}

/* --- Changes ------------------------------------------------------------------------- */

static int batch_add(struct shadow *s, struct root *r, gva_t gva, uint32_t page, unsigned prot)
{
	struct sink_op *o = s->nbatch ? &s->batch[s->nbatch - 1] : NULL;

	/* The common case: the next page of the run that is being described. */
	if (o && o->prot == prot && o->gva + (o->pages << PAGE_SHIFT) == gva &&
	    (!prot || o->offset + (int64_t)(o->pages << PAGE_SHIFT) == (int64_t)page << PAGE_SHIFT)) {
		o->pages++;
		return 0;
	}
	if (s->nbatch == BATCH_SIZE) {
		int err = map_flush(s, r);

		if (err || r->all_stale)
			return err;
	}
	s->batch[s->nbatch++] = (struct sink_op){ .gva = gva, .pages = 1, .prot = (uint8_t)prot,
						  .offset = (int64_t)page << PAGE_SHIFT };
	return 0;
}

/* Too many mappings: start over, faults refill. The caller may hold entries, so the
 * root is cleared later. */
static void no_room(struct shadow *s, struct root *r)
{
	s->counts.evictions++;
	r->all_stale = true;
}

int map_flush(struct shadow *s, struct root *r)
{
	int err;

	if (!s->nbatch)
		return 0;
	s->counts.sink_calls++;
	s->counts.sink_ops += s->nbatch;
	err = root_sink(s, r)->apply(root_sink(s, r)->engine, r->space, s->batch, s->nbatch);
	s->nbatch = 0;
	if (err != -ENOMEM)
		return err;
	no_room(s, r);
	return 0;
}

int map_set(struct shadow *s, struct root *r, gva_t gva, uint32_t page, unsigned prot)
{
	struct chunk *c;
	struct entry *e, old;
	unsigned before, after;

	if (r->all_stale)
		return 0;
	c = chunk_of(r, gva, prot != 0 && r->nchunks < CHUNKS_MAX);
	if (!c) {
		if (!prot)
			return 0;
		if (r->nchunks < CHUNKS_MAX)
			return -ENOMEM;
		no_room(s, r);
		return 0;
	}
	e = &c->e[gva >> PAGE_SHIFT & (CHUNK_PAGES - 1)];
	entry_unmark(s, r, c, e);
	if (e->prot == prot && (!prot || e->page == page))
		return 0;
	old = *e;
	before = runs_at(r, gva, e);
	e->page = page;
	e->prot = (uint8_t)prot;
	after = runs_at(r, gva, e);
	if (after > before && r->runs + after - before > s->max_runs) {
		*e = old;
		no_room(s, r);
		return 0;
	}
	count_page(s, &old, -1);
	count_page(s, e, 1);
	if ((old.prot & SINK_X) && !(prot & SINK_X))
		exec_unguard(r, gva);	/* of another page's guards, page_prot() took care */
	r->runs += after - before;
	if (!old.prot != !prot) {
		c->mapped += prot ? 1u : -1u;
		r->mapped += prot ? 1u : -1u;
	}
	return batch_add(s, r, gva, page, prot);
}

int map_drop(struct shadow *s, struct root *r, gva_t gva)
{
	s->counts.unmapped++;
	return map_set(s, r, gva, 0, 0);
}

/* Forgets everything that is mapped in r, in the engine too. */
int root_clear(struct shadow *s, struct root *r)
{
	for (unsigned h = 0; h < CHUNK_HASH; h++) {
		for (struct chunk *c = r->chunks[h], *next; c; c = next) {
			next = c->next;
			for (unsigned i = 0; c->mapped && i < CHUNK_PAGES; i++)
				if (c->e[i].prot) {
					if (!c->e[i].stale)
						count_page(s, &c->e[i], -1);
					c->mapped--;
				}
			free(c);
		}
		r->chunks[h] = NULL;
	}
	s->counts.unmapped += r->mapped;
	r->nchunks = r->mapped = r->stale = r->runs = 0;
	r->all_stale = false;
	r->guards_changed = true;
	memset(r->guarded, 0, sizeof(r->guarded));
	track_forget(s, r);
	s->nbatch = 0;
	return root_sink(s, r)->space_clear(root_sink(s, r)->engine, r->space);
}

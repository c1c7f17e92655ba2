/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From stores to what they change. Each table page that a walk has read is marked
 * PG_TABLE and remembered with the region it serves; a store to it is noted, and
 * drained before user code is entered.
 *
 * The root that is about to run is brought up to date at once. In the others the
 * pages concerned are only marked stale: most belong to processes that are exiting.
 *
 * What holds while user code runs: in its root no entry is stale. What holds always: each
 * table on the way to an entry that is not stale has a use, so a change cannot go unnoticed.
 */
#include <stdlib.h>

#include "shadow/internal.h"

const struct paging_shape paging_shapes[] = {
	[PAGING_32] = { 2, 4, { 22, 12 }, 10 },
	[PAGING_PAE] = { 3, 8, { 30, 21, 12 }, 9 },
	[PAGING_4LEVEL] = { 4, 8, { 39, 30, 21, 12 }, 9 },
};

enum paging_mode root_mode(const struct root *r)
{
	if (!r->key.cr0)
		return PAGING_NONE;
	if (!(r->key.cr4 & CR4_PAE))
		return PAGING_32;
	return r->key.efer & EFER_LMA ? PAGING_4LEVEL : PAGING_PAE;
}

/* --- Uses --------------------------------------------------------------------- */

static unsigned use_hash(gpa_t table)
{
	return (unsigned)(table >> PAGE_SHIFT) & (USE_HASH - 1);
}

static void use_add(struct shadow *s, gpa_t table, struct root *r, gva_t base, unsigned level)
{
	struct use **head = &s->uses[use_hash(table)];

	for (struct use *u = *head; u; u = u->next)
		if (u->table == table && u->root == r && u->base == base && u->level == level)
			return;

	struct use *u = malloc(sizeof(*u));

	if (!u) {	/* without a way back nothing may be kept: rebuild at every entry */
		r->all_stale = true;
		return;
	}
	*u = (struct use){ .next = *head, .table = table, .root = r, .base = base,
			   .level = (uint8_t)level, .next_of_root = r->uses };
	*head = u;
	r->uses = u;
	s->nuses++;
	memory_set_flags(&s->m->mem, table, PG_TABLE);
}

void track_walk(struct shadow *s, struct root *r, gva_t gva, const struct walk *w)
{
	enum paging_mode mode = root_mode(r);

	for (unsigned i = mode == PAGING_PAE; i < w->depth; i++) {
		unsigned span = paging_shapes[mode].shift[i] + paging_shapes[mode].index_bits;

		use_add(s, w->entry[i] & PAGE_MASK, r, gva >> span << span, i);
	}
}

/* The last use gone, a table is a page like any other. */
static void use_unlink(struct shadow *s, const struct use *gone)
{
	bool other = false;

	for (struct use **p = &s->uses[use_hash(gone->table)], *u; (u = *p);) {
		if (u == gone) {
			*p = u->next;
			continue;
		}
		other |= u->table == gone->table;
		p = &u->next;
	}
	if (!other)
		memory_clear_flags(&s->m->mem, gone->table, PG_TABLE);
	s->nuses--;
}

/* Drops the uses of r at this level or deeper that begin in the region. */
static void uses_drop(struct shadow *s, struct root *r, gva_t base, uint64_t size, unsigned level)
{
	for (struct use **p = &r->uses, *u; (u = *p);) {
		if (u->level < level || u->base - base >= size) {
			p = &u->next_of_root;
			continue;
		}
		*p = u->next_of_root;
		use_unlink(s, u);
		free(u);
	}
}

void track_forget(struct shadow *s, struct root *r)
{
	uses_drop(s, r, 0, ~0ull, 0);
}

/* --- Noting ------------------------------------------------------------------------ */

/* The region that the entry at `at` serves in its use u. False: not the user's. */
static bool use_region(const struct use *u, gpa_t at, gva_t *gva, unsigned *shift)
{
	enum paging_mode mode = root_mode(u->root);

	*shift = paging_shapes[mode].shift[u->level];
	*gva = u->base + ((gva_t)((at & ~PAGE_MASK) / paging_shapes[mode].entry_size) << *shift);
	return !(*gva >> (mode == PAGING_4LEVEL ? 47 : 32));
}

static void mark_region(struct shadow *s, struct root *r, gva_t gva, unsigned shift)
{
	struct entry *e = shift == PAGE_SHIFT ? root_entry(r, gva, false) : NULL;

	if (shift != PAGE_SHIFT)
		root_each(r, gva, 1ull << shift, entry_mark_stale, s);
	else if (e && e->prot)
		entry_mark_stale(s, r, gva, e);
}

/* Nothing of it is left to use: gone before its tables become ordinary pages. */
static void root_forget(struct shadow *s, struct root *r)
{
	track_forget(s, r);
	r->all_stale = true;
}

/*
 * The ring is full: many stores and no entry. Makes room by marking now instead of looking later.
 * Roots whose tables are stored to that much without being used are forgotten: their tables
 * are other pages by now, perhaps, and each store to them takes the slow way.
 */
static void ring_spill(struct shadow *s)
{
	unsigned shift;
	gva_t gva;

	for (unsigned i = 0; i < s->ring_len; i++) {
		gpa_t table = s->ring[i] & PAGE_MASK;

		for (struct use *u = s->uses[use_hash(table)]; u; u = u->next)
			if (u->table == table && use_region(u, s->ring[i], &gva, &shift)) {
				mark_region(s, u->root, gva, shift);
				u->root->spilled++;
			}
	}
	s->ring_len = 0;
	for (unsigned i = 0; i < s->max_roots; i++) {
		struct root *r = &s->roots[i];

		if (r->stamp && !r->all_stale && (r->spilled > SPILLED_MAX || r->stale == r->mapped))
			root_forget(s, r);
		r->spilled = 0;
	}
}

void shadow_stored(void *self, gpa_t gpa, unsigned len, unsigned flags)
{
	struct shadow *s = self;
	uint32_t page = (uint32_t)(memory_offset(&s->m->mem, gpa) >> PAGE_SHIFT);

	if (flags & PG_EXEC)
		exec_revoke(s, page);
	if (s->m->cpu->cpl != 3)
		s->pages[page].flips = 0;
	if (!(flags & PG_TABLE) || s->in_walk)
		return;
	s->counts.table_writes++;
	for (gpa_t a = gpa & ~3ull; a < gpa + len; a += 4) {
		if (s->ring_len && s->ring[s->ring_len - 1] == a)
			continue;
		if (s->ring_len == RING_SIZE)
			ring_spill(s);
		s->ring[s->ring_len++] = a;
	}
}

void shadow_protect(void *self, gpa_t gpa, unsigned flags)
{
	struct shadow *s = self;
	int64_t off = memory_offset(&s->m->mem, gpa);

	(void)flags;
	if (off >= 0 && s->pages[off >> PAGE_SHIFT].writable)
		s->protect_all = true;
}

/* --- Draining ------------------------------------------------------------------------ */

/* Makes the mapping of gva what the guest's tables say now. */
/* Is this page one that is left out? */
static bool prefill_sampled(struct shadow *s, struct root *r, gva_t gva, struct entry *e)
{
	if (e && e->sample)
		return true;
	if (++s->prefills % PREFILL_SAMPLE)
		return false;
	e = root_entry(r, gva, r->nchunks < CHUNKS_MAX);
	if (!e)
		return false;
	e->sample = true;
	s->counts.sampled++;
	return true;
}

int revalidate(struct shadow *s, struct root *r, gva_t gva, bool prefill)
{
	struct entry *e = root_entry(r, gva, false);
	struct cpu c;
	struct walk w;
	int64_t off;

	if (!(e && e->prot) && !prefill)
		return 0;
	root_cpu(r, &c);
	if (paging_walk(&s->m->mem, &c, gva, &w) || !w.user ||
	    (off = memory_offset(&s->m->mem, w.gpa)) < 0)
		return e && e->prot ? map_drop(s, r, gva) : 0;
	/* What was not accessed yet must fault, so that the A bits get set. */
	for (unsigned i = root_mode(r) == PAGING_PAE; i < w.depth; i++)
		if (!(w.value[i] & PTE_A))
			return e && e->prot ? map_drop(s, r, gva) : 0;

	uint32_t page = (uint32_t)(off >> PAGE_SHIFT);

	if (!(e && e->prot)) {
		const struct sink *sink = root_sink(s, r);

		if (gva < sink->floor(sink->engine) || gva >= sink->ceiling(sink->engine) ||
		    r->runs + 2 > s->max_runs || r->nchunks == CHUNKS_MAX)
			return 0;
		if (prefill_sampled(s, r, gva, e))
			return 0;
		s->counts.prefilled++;
	}
	track_walk(s, r, gva, &w);
	return map_set(s, r, gva, page, page_prot(s, r, gva, &w, page));
}

static void revalidate_one(struct shadow *s, struct root *r, gva_t gva, struct entry *e)
{
	(void)e;
	if (!s->failed)
		s->failed = revalidate(s, r, gva, false);
}

/* The entry at `at` changed, in its use u. */
static void drain_use(struct shadow *s, const struct use *u, gpa_t at)
{
	struct root *r = u->root;
	unsigned shift;
	gva_t gva;

	if (r->all_stale || !use_region(u, at, &gva, &shift))
		return;
	/* Whatever is mapped in the region is walked again before it is used. */
	if (shift != PAGE_SHIFT)
		uses_drop(s, r, gva, 1ull << shift, u->level + 1u);
	if (r != s->current) {
		mark_region(s, r, gva, shift);
		if (r->stale == r->mapped)
			root_forget(s, r);
	} else if (shift == PAGE_SHIFT) {
		s->failed = revalidate(s, r, gva, true);
	} else {
		root_each(r, gva, 1ull << shift, revalidate_one, s);
	}
}

/* before: the entry drained just before; the halves of 64-bit entries come in pairs. */
static void drain_entry(struct shadow *s, gpa_t at, gpa_t before)
{
	gpa_t table = at & PAGE_MASK;
	bool half = (at ^ before) < 8;
	struct use found[64];
	unsigned n = 0;

	/* Copied, since revalidating adds and drops uses. */
	for (struct use *u = s->uses[use_hash(table)]; u; u = u->next) {
		if (u->table != table || (half && paging_shapes[root_mode(u->root)].entry_size == 8))
			continue;
		if (n < ARRAY_LEN(found))
			found[n++] = *u;
		else
			u->root->all_stale = true;
	}
	for (unsigned i = 0; i < n && !s->failed; i++)
		drain_use(s, &found[i], at);
}

/* A page that was mapped writable got flags; one that was mapped executable lost PG_EXEC. */
static void sweep_entry(struct shadow *s, struct root *r, gva_t gva, struct entry *e)
{
	unsigned flags, wrong = 0;

	if (s->failed || e->stale)
		return;
	flags = memory_flags(&s->m->mem, page_gpa(s, e->page));
	if (flags)
		wrong |= e->prot & SINK_W;
	if (!(flags & PG_EXEC))
		wrong |= e->prot & SINK_X;
	if (!wrong)
		return;
	if (r != s->current)
		entry_mark_stale(s, r, gva, e);
	else
		s->failed = map_set(s, r, gva, e->page, e->prot & ~wrong);
}

static void sweep(struct shadow *s)
{
	for (unsigned i = 0; i < s->max_roots; i++)
		if (s->roots[i].stamp && !s->roots[i].all_stale)
			root_each(&s->roots[i], 0, ~0ull, sweep_entry, s);
}

int track_drain(struct shadow *s)
{
	struct root *r = s->current;

	s->failed = 0;
	if (s->nuses > USES_MAX)
		for (unsigned i = 0; i < s->max_roots; i++)
			root_forget(s, &s->roots[i]);
	for (unsigned i = 0; i < s->ring_len && !s->failed; i++)
		drain_entry(s, s->ring[i], i ? s->ring[i - 1] : ~0ull);
	s->ring_len = 0;
	if (!s->failed && (r->all_stale || (r->stale && r->stale == r->mapped)))
		s->failed = root_clear(s, r);
	if (!s->failed && r->stale)
		root_each_stale(r, revalidate_one, s);
	/* After the above: revalidating may have read tables that were mapped writable. */
	if (!s->failed && (s->protect_all || s->unscan_any)) {
		s->protect_all = s->unscan_any = false;
		sweep(s);
	}
	return s->failed;
}

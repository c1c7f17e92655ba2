/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From stores to what they change. Each table page that a walk has read is marked
 * PG_TABLE and remembered with the region it serves; a store to it is noted, and
 * drained before user code is entered.
 *
 * The root that is about to run is brought up to date at once. In the others the
 * pages concerned are only marked stale: most belong to processes that are exiting.
 */
#include <stdlib.h>

#include "shadow/internal.h"

/* Size of the region that one entry serves, by mode and level (root first). */
static const struct { uint8_t levels, entry_size, shift[4], index_bits; } modes[] = {
	[PAGING_32] = { 2, 4, { 22, 12 }, 10 },
	[PAGING_PAE] = { 3, 8, { 30, 21, 12 }, 9 },
	[PAGING_4LEVEL] = { 4, 8, { 39, 30, 21, 12 }, 9 },
};

static enum paging_mode root_mode(const struct root *r)
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
			   .level = (uint8_t)level };
	*head = u;
	s->nuses++;
	memory_set_flags(&s->m->mem, table, PG_TABLE);
}

void track_walk(struct shadow *s, struct root *r, gva_t gva, const struct walk *w)
{
	enum paging_mode mode = root_mode(r);

	for (unsigned i = mode == PAGING_PAE; i < w->depth; i++) {
		unsigned span = modes[mode].shift[i] + modes[mode].index_bits;

		use_add(s, w->entry[i] & PAGE_MASK, r, gva >> span << span, i);
	}
}

/* Drops the uses for which match() holds; a table that nobody uses is a page again. */
static void uses_drop(struct shadow *s, const struct root *r, gva_t base, uint64_t size, unsigned level)
{
	for (unsigned h = 0; h < USE_HASH; h++)
		for (struct use **p = &s->uses[h], *u; (u = *p);) {
			if (u->root != r || u->level < level || u->base - base >= size) {
				p = &u->next;
				continue;
			}
			*p = u->next;
			free(u);
			s->nuses--;
		}
}

void track_forget(struct shadow *s, const struct root *r)
{
	uses_drop(s, r, 0, ~0ull, 0);
}

/* --- Noting ------------------------------------------------------------------------ */

void shadow_stored(void *self, gpa_t gpa, unsigned len, unsigned flags)
{
	struct shadow *s = self;

	if (flags & PG_EXEC) {
		int64_t off = memory_offset(&s->m->mem, gpa);

		exec_revoke(s, (uint32_t)(off >> PAGE_SHIFT));
		s->pages[off >> PAGE_SHIFT].flips = 0;
	}
	if (!(flags & PG_TABLE) || s->in_walk)
		return;
	s->counts.table_writes++;
	for (gpa_t a = gpa & ~3ull; a < gpa + len; a += 4) {
		if (s->ring_len && s->ring[s->ring_len - 1] == a)
			continue;
		if (s->ring_len == RING_SIZE) {
			s->ring_overflow = true;
			return;
		}
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
	/* A page that was not accessed yet must fault, so that the A bit gets set. */
	if (w.depth && !(w.value[w.depth - 1] & PTE_A))
		return e && e->prot ? map_drop(s, r, gva) : 0;

	uint32_t page = (uint32_t)(off >> PAGE_SHIFT);

	if (!(e && e->prot)) {
		if (gva < s->sink.floor(s->sink.engine) || gva >= s->sink.ceiling(s->sink.engine))
			return 0;
		s->counts.prefilled++;
	}
	track_walk(s, r, gva, &w);
	return map_set(s, r, gva, page, page_prot(s, r, gva, &w, page));
}

static void mark_stale(struct shadow *s, struct root *r, gva_t gva, struct entry *e)
{
	(void)s;
	(void)gva;
	if (!e->stale) {
		e->stale = true;
		r->stale++;
	}
}

static void revalidate_one(struct shadow *s, struct root *r, gva_t gva, struct entry *e)
{
	(void)e;
	if (!s->failed)
		s->failed = revalidate(s, r, gva, false);
}

static void revalidate_stale(struct shadow *s, struct root *r, gva_t gva, struct entry *e)
{
	if (e->stale)
		revalidate_one(s, r, gva, e);
}

/* The entry at `at` changed, in its use u. */
static void drain_use(struct shadow *s, struct use u, gpa_t at)
{
	enum paging_mode mode = root_mode(u.root);
	unsigned shift = modes[mode].shift[u.level];
	gva_t gva = u.base + ((gva_t)((at & ~PAGE_MASK) / modes[mode].entry_size) << shift);

	if (mode == PAGING_4LEVEL && gva >> 47)
		return;		/* the upper half is not the user's */
	if (mode != PAGING_4LEVEL && gva >> 32)
		return;
	if (u.root != s->current) {
		struct entry *e = shift == PAGE_SHIFT ? root_entry(u.root, gva, false) : NULL;

		if (shift != PAGE_SHIFT)
			root_each(u.root, gva, 1ull << shift, mark_stale, s);
		else if (e && e->prot)
			mark_stale(s, u.root, gva, e);
		return;
	}
	if (shift == PAGE_SHIFT)
		s->failed = revalidate(s, u.root, gva, true);
	else
		root_each(u.root, gva, 1ull << shift, revalidate_one, s);
}

static void drain_entry(struct shadow *s, gpa_t at)
{
	gpa_t table = at & PAGE_MASK;
	struct use found[64];
	unsigned n = 0;
	bool any = false;

	/* Copied, since revalidating adds uses. */
	for (struct use *u = s->uses[use_hash(table)]; u; u = u->next)
		if (u->table == table) {
			any = true;
			if (n < ARRAY_LEN(found))
				found[n++] = *u;
			else
				u->root->all_stale = true;
		}
	for (unsigned i = 0; i < n && !s->failed; i++)
		drain_use(s, found[i], at);
	if (!any)
		memory_clear_flags(&s->m->mem, table, PG_TABLE);
}

static void write_protect(struct shadow *s, struct root *r, gva_t gva, struct entry *e)
{
	if (!s->failed && (e->prot & SINK_W) && memory_flags(&s->m->mem, page_gpa(s, e->page)))
		s->failed = map_set(s, r, gva, e->page, e->prot & ~SINK_W);
}

static void drop_exec(struct shadow *s, struct root *r, gva_t gva, struct entry *e)
{
	if (!s->failed && (e->prot & SINK_X) &&
	    !(memory_flags(&s->m->mem, page_gpa(s, e->page)) & PG_EXEC))
		s->failed = map_set(s, r, gva, e->page, e->prot & ~SINK_X);
}

/* Other roots learn of it through staleness; the one that runs next, now. */
static void sweep(struct shadow *s, void (*fn)(struct shadow *, struct root *, gva_t, struct entry *))
{
	for (unsigned i = 0; i < s->max_roots; i++) {
		struct root *r = &s->roots[i];

		if (r->stamp && r != s->current)
			root_each(r, 0, ~0ull, mark_stale, s);
	}
	root_each(s->current, 0, ~0ull, fn, s);
}

int track_drain(struct shadow *s)
{
	struct root *r = s->current;

	s->failed = 0;
	if (s->ring_overflow || s->nuses > USES_MAX) {
		for (unsigned i = 0; i < s->max_roots; i++)
			s->roots[i].all_stale = true;
		s->ring_overflow = false;
		s->ring_len = 0;
	}
	for (unsigned i = 0; i < s->ring_len && !s->failed; i++)
		drain_entry(s, s->ring[i]);
	s->ring_len = 0;
	if (!s->failed && (r->all_stale || (r->stale && r->stale == r->mapped)))
		s->failed = root_clear(s, r);
	if (!s->failed && r->stale)
		root_each(r, 0, ~0ull, revalidate_stale, s);
	/* After the above: revalidating may have read tables that were mapped writable. */
	if (!s->failed && s->protect_all) {
		s->protect_all = false;
		sweep(s, write_protect);
	}
	if (!s->failed && s->unscan_any) {
		s->unscan_any = false;
		sweep(s, drop_exec);
	}
	return s->failed;
}

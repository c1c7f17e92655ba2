/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Executable pages. A page is mapped executable after a scan, and then never
 * writable: a store to it revokes the permission, wherever it is mapped. Sensitive
 * instructions in it are guarded by the four breakpoints, which belong to the pages
 * that ran last.
 */
#include "shadow/internal.h"

/* User stores between executions after which a page is taken to mix code and data: its
 * code is interpreted from then on, until the kernel writes the page anew. */
#define FLIPS_MAX	16
/* Evictions of guards in a row after which guarded pages are interpreted for a while. */
#define THRASH_MAX	64

void exec_unguard(struct root *r, gva_t gva)
{
	for (unsigned i = 0; i < GUARDS; i++)
		if (r->guarded[i].n && r->guarded[i].gva == gva) {
			r->guarded[i].n = 0;
			r->guards_changed = true;
		}
}

static struct guarded *guarded_find(struct root *r, gva_t gva)
{
	for (unsigned i = 0; i < GUARDS; i++)
		if (r->guarded[i].n && r->guarded[i].gva == gva)
			return &r->guarded[i];
	return NULL;
}

/* Room for n breakpoints: pages that were guarded longest ago lose theirs, and with
 * them the right to execute. */
static bool guards_reserve(struct shadow *s, struct root *r, gva_t gva, unsigned n)
{
	struct guarded *g = guarded_find(r, gva);

	while (!g) {
		struct guarded *old = NULL, *free_slot = NULL;
		unsigned used = 0;

		for (unsigned i = 0; i < GUARDS; i++) {
			struct guarded *x = &r->guarded[i];

			used += x->n;
			if (!x->n)
				free_slot = x;
			else if (!old || x->stamp < old->stamp)
				old = x;
		}
		if (used + n <= GUARDS && free_slot) {
			g = free_slot;
			*g = (struct guarded){ .gva = gva, .n = n };
			r->guards_changed = true;
			break;
		}
		if (++r->thrash > THRASH_MAX) {
			r->thrash = THRASH_MAX / 2;
			return false;
		}
		struct entry *e = root_entry(r, old->gva, false);

		s->failed = map_set(s, r, old->gva, e->page, e->prot & ~SINK_X);
		if (s->failed)
			return false;
	}
	g->stamp = ++s->clock;
	return true;
}

/* Scans if need be. False: code of this page must be interpreted. */
bool exec_allow(struct shadow *s, struct root *r, gva_t gva, uint32_t page)
{
	struct page *p = &s->pages[page];
	gpa_t gpa = page_gpa(s, page);

	if (p->flips >= FLIPS_MAX)
		return false;
	if (!(memory_flags(&s->m->mem, gpa) & PG_EXEC)) {
		unsigned classes = s->classes, n;

		if (r->key.efer & EFER_LMA)
			classes |= SCAN_REX;
		n = scan_page(memory_hva(&s->m->mem, gpa), classes, p->guards);
		s->counts.pages_scanned++;
		p->nguards = (uint8_t)(n > SCAN_MAX ? SCAN_MAX + 1 : n);
		memory_set_flags(&s->m->mem, gpa, PG_EXEC);
	}
	if (p->nguards > SCAN_MAX) {
		s->counts.pages_refused++;
		return false;
	}
	return !p->nguards || guards_reserve(s, r, gva, p->nguards);
}

/* The page is about to be written, or was: it must not run as it was scanned. */
void exec_revoke(struct shadow *s, uint32_t page)
{
	memory_clear_flags(&s->m->mem, page_gpa(s, page), PG_EXEC);
	if (s->pages[page].executable)
		s->unscan_any = true;
}

int exec_guards_apply(struct shadow *s, struct root *r)
{
	gva_t at[GUARDS];
	unsigned n = 0;

	if (!r->guards_changed)
		return 0;
	r->guards_changed = false;
	for (unsigned i = 0; i < GUARDS; i++) {
		const struct guarded *g = &r->guarded[i];
		const struct entry *e = g->n ? root_entry(r, g->gva, false) : NULL;

		for (unsigned k = 0; e && k < g->n; k++)
			at[n++] = g->gva + s->pages[e->page].guards[k];
	}
	s->counts.guards += n;
	return s->sink.guard(s->sink.engine, r->space, at, n);
}

/* Executable only where it already is: that right is given by an execute fault. */
unsigned page_prot(struct shadow *s, struct root *r, gva_t gva, const struct walk *w, uint32_t page)
{
	unsigned flags = memory_flags(&s->m->mem, page_gpa(s, page)), prot = SINK_R;
	const struct entry *e = root_entry(r, gva, false);

	if (w->write && w->dirty && !flags)
		prot |= SINK_W;
	if (e && (e->prot & SINK_X) && e->page == page && w->exec && (flags & PG_EXEC))
		prot |= SINK_X;
	return prot;
}

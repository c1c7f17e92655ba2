/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Executable pages. A page is mapped executable after a scan, and then never
 * writable: a store to it revokes the permission, wherever it is mapped. Sensitive
 * instructions in it are guarded by the four breakpoints, which belong to the pages
 * that ran last.
 */
#include <string.h>

#include "shadow/internal.h"

/* User stores between executions after which a page is taken to mix code and data: its
 * code is interpreted from then on, until the kernel writes the page anew. */
#define FLIPS_MAX	16
/* Evictions of guards in a row after which guarded pages are interpreted for a while. */
#define THRASH_MAX	64

void exec_unguard(struct root *r, gva_t gva)
{
	for (unsigned i = 0; i < GUARDS; i++)
		if (r->guarded[i].used && r->guarded[i].gva == gva) {
			r->guarded[i].used = false;
			r->guards_changed = true;
		}
}

static struct guarded *guarded_find(struct root *r, gva_t gva)
{
	for (unsigned i = 0; i < GUARDS; i++)
		if (r->guarded[i].used && r->guarded[i].gva == gva)
			return &r->guarded[i];
	return NULL;
}

static unsigned guards_free(const struct root *r)
{
	unsigned n = GUARDS;

	for (unsigned i = 0; i < GUARDS; i++)
		n -= r->guarded[i].used ? r->guarded[i].n : 0;
	return n;
}

static struct guarded *guarded_slot(struct root *r)
{
	for (unsigned i = 0; i < GUARDS; i++)
		if (!r->guarded[i].used)
			return &r->guarded[i];
	return NULL;
}

/* Takes back the breakpoints that are only nice to have. */
static void guards_shrink(struct root *r)
{
	for (unsigned i = 0; i < GUARDS; i++) {
		struct guarded *g = &r->guarded[i];

		if (g->used && g->n > g->hard) {
			g->n = g->hard;
			g->used = g->hard;
			r->guards_changed = true;
		}
	}
}

/* The page guarded longest ago loses its breakpoints, and the right to execute. */
static bool guards_evict(struct shadow *s, struct root *r)
{
	struct guarded *old = NULL;

	if (++r->thrash > THRASH_MAX) {
		r->thrash = THRASH_MAX / 2;
		return false;
	}
	for (unsigned i = 0; i < GUARDS; i++)
		if (r->guarded[i].used && (!old || r->guarded[i].stamp < old->stamp))
			old = &r->guarded[i];

	struct entry *e = root_entry(r, old->gva, false);

	s->counts.guard_evictions++;
	s->failed = map_set(s, r, old->gva, e->page, e->prot & ~SINK_X);
	exec_unguard(r, old->gva);	/* in a root that is to be cleared nothing changed */
	return !s->failed;
}

static bool guards_reserve(struct shadow *s, struct root *r, gva_t gva, uint32_t page)
{
	const struct page *p = &s->pages[page];
	const struct scan *scan = &p->scan;
	struct guarded *g = guarded_find(r, gva);

	if (!g && scan->hard) {
		if (guards_free(r) < scan->hard || !guarded_slot(r))
			guards_shrink(r);
		while (guards_free(r) < scan->hard)
			if (!guards_evict(s, r))
				return false;
	}
	if (!g) {
		unsigned n = guards_free(r), want = scan->hard + scan->soft;

		g = guarded_slot(r);
		n = n < want ? n : want;
		if (!g || !n)
			return true;	/* soft ones only: nothing to spare */
		*g = (struct guarded){ .gva = gva, .used = true, .hard = scan->hard,
				       .n = (uint8_t)n, .page = page, .version = p->version };
		memcpy(g->at, scan->at, sizeof(g->at));
		r->guards_changed = true;
	}
	g->stamp = ++s->clock;
	return true;
}

/* What lies in front of gva in the guest's address space, if it is code too that the user cannot
 * change; else NULL. */
static const uint8_t *bytes_below(const struct shadow *s, const struct root *r, gva_t gva)
{
	struct cpu c;
	struct walk w;
	int64_t off;

	root_cpu(r, &c);
	if (gva < PAGE_SIZE || paging_walk(&s->m->mem, &c, gva - PAGE_SIZE, &w) || !w.user || !w.exec || w.write)
		return NULL;
	off = memory_offset(&s->m->mem, w.gpa);
	return off < 0 ? NULL : s->m->mem.ram + off + PAGE_SIZE - SCAN_BELOW;
}

static uint32_t below_hash(const uint8_t *below)
{
	uint64_t h = 0;

	for (unsigned i = 0; below && i < SCAN_BELOW; i += 8) {
		uint64_t v;

		memcpy(&v, below + i, 8);
		h = (h ^ v) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	return below ? (uint32_t)(h >> 32) | 1 : 0;
}

/*
 * A scan for 64-bit code serves 32-bit code too, but not the other way round. One that depends on
 * what lies below serves where that is the same, or is not known while this was.
 */
static bool scan_valid(const struct shadow *s, const struct root *r, gva_t gva, uint32_t page)
{
	const struct page *p = &s->pages[page];
	const uint8_t *below;

	if (!(memory_flags(&s->m->mem, page_gpa(s, page)) & PG_EXEC) || (!p->rex && (r->key.efer & EFER_LMA)))
		return false;
	if (!p->scan.early)
		return true;
	below = bytes_below(s, r, gva);
	return !below || below_hash(below) == p->below;
}

static struct scan_how scan_how(const struct shadow *s, const struct root *r)
{
	struct scan_how how = s->scan;

	if (r->key.efer & EFER_LMA)
		how.classes |= SCAN_REX;
	else if (s->exact_engine)	/* its CPUID is that of 64-bit code, which alone reports SYSCALL */
		how.classes |= SCAN_CPUID;
	if (cpu_code64(s->m->cpu) && !(how.classes & SCAN_STRICT))
		how.classes &= ~(unsigned)SCAN_SYSCALL;	/* 64-bit SYSCALL traps */
	return how;
}

/* Two pages of which a sensitive instruction has a piece each are never executable at
 * once: its fetch faults in the middle, and it is interpreted. */
static bool is_joint(const struct shadow *s, struct root *r, gva_t gva, uint32_t page)
{
	const struct entry *below = root_entry(r, gva - PAGE_SIZE, false);
	const struct entry *above = root_entry(r, gva + PAGE_SIZE, false);
	const uint8_t *ram = s->m->mem.ram;
	struct scan_how how = scan_how(s, r);

	return (below && (below->prot & SINK_X) &&
		scan_joint(ram + ((uint64_t)below->page << PAGE_SHIFT),
			   ram + ((uint64_t)page << PAGE_SHIFT), &how)) ||
	       (above && (above->prot & SINK_X) &&
		scan_joint(ram + ((uint64_t)page << PAGE_SHIFT),
			   ram + ((uint64_t)above->page << PAGE_SHIFT), &how));
}

static void exec_scan(struct shadow *s, const struct root *r, gva_t gva, uint32_t page)
{
	struct page *p = &s->pages[page];
	struct scan_how how = scan_how(s, r);
	gpa_t gpa = page_gpa(s, page);

	if (scan_valid(s, r, gva, page))
		return;
	p->rex = how.classes & SCAN_REX;
	how.below = bytes_below(s, r, gva);
	p->below = below_hash(how.below);
	scan_page(memory_hva(&s->m->mem, gpa), &how, &p->scan);
	p->version++;
	p->ran = false;
	s->counts.pages_scanned++;
	memory_set_flags(&s->m->mem, gpa, PG_EXEC);
}

/* Does the user change this code himself? What he may not write he cannot. */
static bool flips_too_often(const struct page *p, const struct walk *w)
{
	return w->write && p->flips >= FLIPS_MAX;
}

/* Scans if need be. False: code of this page must be interpreted. */
bool exec_allow(struct shadow *s, struct root *r, gva_t gva, const struct walk *w, uint32_t page)
{
	struct page *p = &s->pages[page];
	unsigned guards_max = s->sides[r->key.sink].guards_max;

	if (flips_too_often(p, w))
		return false;
	exec_scan(s, r, gva, page);
	if (p->scan.hard > guards_max || is_joint(s, r, gva, page)) {
		s->counts.pages_refused++;
		return false;
	}
	exec_unguard(r, gva);
	p->ran = true;
	return !(p->scan.hard + p->scan.soft) || !guards_max || guards_reserve(s, r, gva, page);
}

/* Neither is the page scanned for it nor anything else done: what is not known is tried. */
bool shadow_in_vain(struct shadow *s, gva_t rip)
{
	struct root *r = s->current;
	const struct entry *e = root_entry(r, rip & PAGE_MASK, false);
	const struct page *p;

	if (!e || !e->prot || e->stale || (e->prot & SINK_X))
		return false;
	p = &s->pages[e->page];
	return scan_valid(s, r, rip & PAGE_MASK, e->page) && p->scan.hard > s->sides[r->key.sink].guards_max;
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

		for (unsigned k = 0; g->used && k < g->n; k++)
			at[n++] = g->gva + g->at[k];
	}
	s->counts.guards += n;
	return root_sink(s, r)->guard(root_sink(s, r)->engine, r->space, at, n);
}

/*
 * Executable where it already is, and where a scan found nothing that needs a guard:
 * program text is shared, so most pages of a new process are known. Around a fetch, and
 * where the interpreter has met code, read-only pages are scanned ahead.
 */
unsigned page_prot(struct shadow *s, struct root *r, gva_t gva, const struct walk *w, uint32_t page)
{
	const struct page *p = &s->pages[page];
	const struct guarded *g = guarded_find(r, gva);
	gpa_t gpa = page_gpa(s, page);
	bool decoded = memory_flags(&s->m->mem, gpa) & PG_CODE;
	unsigned prot = SINK_R;

	if (g && (g->page != page || g->version != p->version)) {	/* of what was there before */
		exec_unguard(r, gva);
		g = NULL;
	}
	if ((s->scan_ahead || decoded) && w->exec && !w->write && !p->writable)
		exec_scan(s, r, gva, page);
	/* Code that ran in another process, or in the interpreter, is likely to run here, too. */
	if ((s->scan_ahead || decoded) && !g && (p->ran || decoded) && w->exec && scan_valid(s, r, gva, page) && p->scan.hard &&
	    p->scan.hard <= s->sides[r->key.sink].guards_max && p->scan.hard <= guards_free(r) && guarded_slot(r) &&
	    guards_reserve(s, r, gva, page))
		g = guarded_find(r, gva);
	if (w->exec && scan_valid(s, r, gva, page) && !flips_too_often(p, w) && (p->scan.hard == 0 || g) &&
	    !is_joint(s, r, gva, page))
		prot |= SINK_X;
	if (w->write && w->dirty && !memory_flags(&s->m->mem, gpa))
		prot |= SINK_W;
	return prot;
}

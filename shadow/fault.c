/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entering, and what a failed access of direct code means. The host does not say what
 * kind of access it was, so it follows from what is mapped: nothing - fill; readable -
 * a store; at RIP and not executable - a fetch. An access that the mapping should have
 * allowed is the interpreter's to explain.
 */
#include "shadow/internal.h"

#define INSN_MAX	15
#define AROUND		16	/* pages of fault-around: the aligned window */
#define REPEATS_MAX	4	/* of one instruction's faults before the interpreter must do it */

static int finish(struct shadow *s, struct root *r)
{
	int err = r->all_stale ? 0 : map_flush(s, r);

	if (!err && r->all_stale)
		err = root_clear(s, r);
	return err ? err : exec_guards_apply(s, r);
}

/* The engine may have done some of it. */
static void abandon(struct shadow *s, struct root *r)
{
	s->nbatch = 0;
	r->all_stale = true;
}

#define MOVES_MAX	16

/*
 * The engine lives in the address space too (sink.h). Where the guest's tables map one of
 * its pages for user code, that code would see the engine's instead and not even fault, so the
 * engine moves. False: wherever it would go, the guest is there already.
 */
static bool engine_placed(struct shadow *s, struct root *r)
{
	const struct sink *sink = root_sink(s, r);
	uint64_t size;
	struct walk w;

	if (!sink->home || !(s->m->cpu->efer & EFER_LMA))
		return true;
	for (unsigned i = 0; i < MOVES_MAX; i++) {
		gva_t home = sink->home(sink->engine, r->space, &size);
		bool wanted = false;

		for (gva_t at = home; at < home + size; at += PAGE_SIZE)
			wanted |= !paging_walk(&s->m->mem, s->m->cpu, at, &w) && w.user;
		if (!wanted)
			return true;
		s->counts.moves++;
		sink->move(sink->engine, r->space);
		r->all_stale = true;
	}
	return false;
}

struct space *shadow_enter(struct shadow *s, int *err)
{
	struct root *r = root_get(s, err);

	if (!r)
		return NULL;
	s->current = r;
	if (!engine_placed(s, r))
		return NULL;
	*err = track_drain(s);
	if (!*err && !r->mapped) {
		*err = root_populate(s, r);
		if (!*err)	/* a table that it read may have been mapped writable */
			*err = track_drain(s);
	}
	if (!*err)
		*err = finish(s, r);
	if (!*err)
		return r->space;
	abandon(s, r);
	return NULL;
}

/* Maps what the guest's tables already map around gva, as far as it needs no A or D. Around a
 * fetch, what is mapped and was not scanned yet becomes executable. */
static int fill_around(struct shadow *s, struct root *r, gva_t gva)
{
	gva_t first = gva & ~((gva_t)AROUND * PAGE_SIZE - 1);
	int err = 0;

	for (unsigned i = 0; i < AROUND && !err; i++) {
		gva_t near = first + i * PAGE_SIZE;
		struct entry *e = root_entry(r, near, false);

		if (near != gva && !(e && e->prot && (!s->scan_ahead || (e->prot & (SINK_X | SINK_W)))))
			err = revalidate(s, r, near, true);
	}
	return err;
}

/* Sets A (and D) as the access would, and maps. */
static int fill(struct shadow *s, struct root *r, gva_t gva, unsigned access, bool exec)
{
	struct walk w;
	int64_t off;

	s->in_walk = true;
	if (paging_access(&s->m->mem, s->m->cpu, gva, access | ACC_USER, &w))
		bug("the page at %#llx is gone", (unsigned long long)gva);
	s->in_walk = false;
	off = memory_offset(&s->m->mem, w.gpa);
	track_walk(s, r, gva, &w);

	uint32_t page = (uint32_t)(off >> PAGE_SHIFT);
	unsigned prot = page_prot(s, r, gva, &w, page);

	/* A page that is one of its own tables was just changed. */
	if (exec && (memory_flags(&s->m->mem, page_gpa(s, page)) & PG_EXEC))
		prot = (prot | SINK_X) & ~SINK_W;
	s->counts.fills++;
	return map_set(s, r, gva, page, prot);
}

static enum shadow_answer failed(struct shadow *s, int *err, int code)
{
	abandon(s, s->current);
	*err = code;
	return SHADOW_HOST;
}

static enum shadow_answer answer(struct shadow *s, struct root *r, int code, int *err)
{
	/* A table page that was read just now may have been mapped writable. */
	if (!code)
		code = track_drain(s);
	if (!code)
		code = finish(s, r);
	if (code)
		return failed(s, err, code);
	if (s->sampled)
		s->counts.sampled_used++;
	else
		s->counts.hidden_faults++;
	return SHADOW_RETRY;
}

/* A store to a page that is mapped read-only, though the guest allows it. */
static enum shadow_answer store_fault(struct shadow *s, struct root *r, gva_t gva, const struct walk *w,
				      uint32_t page, int *err)
{
	gpa_t gpa = page_gpa(s, page);
	unsigned flags = memory_flags(&s->m->mem, gpa);

	if (flags & (PG_TABLE | PG_ROM)) {
		s->counts.table_writes++;
		return SHADOW_INTERPRET;
	}
	if (flags & PG_EXEC) {
		exec_revoke(s, page);
		s->counts.flips++;
		if (s->pages[page].flips < 255)
			s->pages[page].flips++;
	}
	if (flags & PG_CODE) {
		s->counts.code_writes++;
		memory_note_store(&s->m->mem, gpa, PAGE_SIZE);
		if (memory_flags(&s->m->mem, gpa))
			return SHADOW_INTERPRET;
	}
	if (!w->dirty)
		s->counts.ad_faults++;
	return answer(s, r, fill(s, r, gva, ACC_WRITE, false), err);
}

/* Does an instruction fault again and again on the same few pages? */
static bool repeats(struct shadow *s, gva_t page, gva_t rip)
{
	if (rip != s->last_rip) {
		s->last_rip = rip;
		s->nseen = s->repeats = 0;
	}
	for (unsigned i = 0; i < SEEN && i < s->nseen; i++) {
		if (s->seen[i] != page)
			continue;
		if (++s->repeats <= REPEATS_MAX)
			return false;
		s->nseen = s->repeats = 0;
		return true;
	}
	s->seen[s->nseen++ % SEEN] = page;
	return false;
}

enum shadow_answer shadow_fault(struct shadow *s, gva_t gva, gva_t rip, int *err)
{
	struct root *r = s->current;
	gva_t at = gva & PAGE_MASK;
	struct entry *e;
	struct walk w;
	int64_t off;

	if (paging_walk(&s->m->mem, s->m->cpu, gva, &w) || !w.user) {
		s->counts.true_faults++;
		return SHADOW_GUEST;
	}
	off = memory_offset(&s->m->mem, w.gpa);
	s->counts.device_faults += off < 0;
	if (off < 0 || at < root_sink(s, r)->floor(root_sink(s, r)->engine) ||
	    at >= root_sink(s, r)->ceiling(root_sink(s, r)->engine) ||
	    repeats(s, at, rip))
		return SHADOW_INTERPRET;

	uint32_t page = (uint32_t)(off >> PAGE_SHIFT);

	e = root_entry(r, at, false);
	s->sampled = e && e->sample;
	if (s->sampled)
		e->sample = false;
	if (gva - rip < INSN_MAX && !(e && (e->prot & SINK_X))) {
		bool readable = e && e->prot;

		if (!w.exec) {
			s->counts.true_faults++;
			return SHADOW_GUEST;
		}
		if (exec_allow(s, r, at, &w, page)) {
			int code = fill(s, r, at, ACC_EXEC, true);

			s->scan_ahead = true;
			if (!code)
				code = fill_around(s, r, at);
			s->scan_ahead = false;
			return answer(s, r, code, err);
		}
		if (s->failed)
			return failed(s, err, s->failed);
		/* Perhaps it was no fetch but data close behind the code. */
		if (readable || gva == rip || (rip & PAGE_MASK) == at)
			return SHADOW_INTERPRET;
	}
	if (!(e && e->prot)) {
		int code = fill(s, r, at, ACC_READ, false);

		if (!code)
			code = fill_around(s, r, at);
		return answer(s, r, code, err);
	}
	if (!(e->prot & SINK_W)) {
		if (w.write)
			return store_fault(s, r, at, &w, page, err);
		s->counts.true_faults++;
		return SHADOW_GUEST;
	}
	return SHADOW_GUEST;
}

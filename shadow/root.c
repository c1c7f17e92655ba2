/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Roots: one for each (CR3, paging mode) that user code ran under lately. The least
 * recently used one is recycled, so the number of address spaces is bounded whatever
 * the guest does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/internal.h"

#define CR4_KEY		(CR4_PSE | CR4_PAE)
#define MAX_MAP_COUNT	65530
/* Mappings left to the stub's own pages, and to what one batch may add before it merges. */
#define MAP_RESERVE	(2 * BATCH_SIZE + 64)

static void key_of(const struct cpu *c, unsigned side, struct root_key *k)
{
	memset(k, 0, sizeof(*k));
	k->sink = side;
	k->cr0 = c->cr0 & CR0_PG;
	if (!k->cr0)
		return;
	k->cr4 = c->cr4 & CR4_KEY;
	k->efer = c->efer & (EFER_LMA | EFER_NXE);
	k->cr3 = c->cr3 & ~0xfffull;
	if (paging_mode(c) == PAGING_PAE) {
		k->cr3 = c->cr3 & ~0x1full;
		memcpy(k->pdpte, c->pdpte, sizeof(k->pdpte));
	}
}

void root_cpu(const struct root *r, struct cpu *c)
{
	c->cr0 = r->key.cr0 | CR0_PE | CR0_WP;
	c->cr3 = r->key.cr3;
	c->cr4 = r->key.cr4;
	c->efer = r->key.efer;
	c->cpl = 3;
	c->eflags = 0;
	memcpy(c->pdpte, r->key.pdpte, sizeof(c->pdpte));
}

/* All its tables changed: its process is gone. */
static bool is_dead(const struct root *r)
{
	return r->all_stale || r->stale == r->mapped;
}

/* A root to make anew: a free one, an empty one, or the least recently used. */
static struct root *root_victim(struct shadow *s)
{
	struct root *best = NULL;

	for (unsigned i = 0; i < s->max_roots; i++) {
		struct root *r = &s->roots[i];

		if (!r->stamp)
			return r;
		if (!best || is_dead(r) > is_dead(best) ||
		    (is_dead(r) == is_dead(best) && r->stamp < best->stamp))
			best = r;
	}
	return best;
}

static void space_end(struct shadow *s, struct root *r)
{
	root_sink(s, r)->space_destroy(root_sink(s, r)->engine, r->space);
	r->space = NULL;
	r->stamp = 0;
}

struct root *root_get(struct shadow *s, int *err)
{
	struct root_key key;
	struct root *r;

	key_of(s->m->cpu, s->side, &key);
	for (unsigned i = 0; i < s->max_roots; i++) {
		r = &s->roots[i];
		if (r->stamp && memcmp(&r->key, &key, sizeof(key)) == 0)
			goto found;
	}
	r = root_victim(s);
	if (r->space) {
		*err = root_clear(s, r);
		if (*err)
			return NULL;
		if (r->key.sink != key.sink)
			space_end(s, r);
	}
	if (!r->space) {
		const struct sink *sink = &s->sides[key.sink].sink;

		r->space = sink->space_create(sink->engine, err);
		if (!r->space)
			return NULL;
	}
	s->counts.roots++;
	r->key = key;
	r->thrash = 0;
found:
	r->stamp = ++s->clock;
	return r;
}

static unsigned map_limit(void)
{
	unsigned n = MAX_MAP_COUNT;
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");

	if (f) {
		if (fscanf(f, "%u", &n) != 1)
			n = MAX_MAP_COUNT;
		fclose(f);
	}
	if (n > 1u << 20)
		n = 1u << 20;
	return n > 2 * MAP_RESERVE ? n - MAP_RESERVE : n / 2;
}

/* Does the model lack TSC, CMOV, SSE3, or LAHF in 64-bit code? */
static bool is_old(const struct machine *m)
{
	uint32_t max[4], one[4], ext[4];

	m->cpuid(m->cpuid_self, 0x80000000, 0, max);
	m->cpuid(m->cpuid_self, 1, 0, one);
	m->cpuid(m->cpuid_self, 0x80000001, 0, ext);
	return !(one[3] & 1u << 4) || !(one[3] & 1u << 15) || !(one[2] & 1) ||
	       (max[0] >= 0x80000001 && (ext[3] & 1u << 29) && !(ext[2] & 1));
}

/* What the scanner must look for on this engine. */
static unsigned classes_of(const struct sink *sink, const struct machine *m)
{
	bool strict = m->config && m->config->strict;

	return scan_classes(sink->needs_guard(sink->engine), strict, strict && is_old(m));
}

/* The scanner's findings are kept for all engines, so it looks for what any of them needs. */
unsigned shadow_add_sink(struct shadow *s, const struct sink *sink)
{
	unsigned needs = sink->needs_guard(sink->engine);

	bug_on(s->nsides == SIDES);
	s->sides[s->nsides] = (struct side){ .sink = *sink, .guards_max = needs & SINK_GUARD_CANNOT ? 0 : SCAN_MAX };
	s->exact_engine |= !!(needs & SINK_GUARD_NOTHING);
	s->scan.classes |= classes_of(sink, s->m);
	if (s->nsides)
		shadow_flush(s);
	return s->nsides++;
}

void shadow_choose(struct shadow *s, unsigned side)
{
	bug_on(side >= s->nsides);
	s->side = side;
}

void shadow_drop_spaces(struct shadow *s, unsigned side)
{
	for (unsigned i = 0; i < s->max_roots; i++) {
		struct root *r = &s->roots[i];

		if (!r->space || r->key.sink != side)
			continue;
		root_clear(s, r);
		space_end(s, r);
		if (s->current == r)
			s->current = NULL;
	}
	s->nbatch = 0;
	s->failed = 0;
}

int shadow_create(struct shadow **out, struct machine *m, const struct sink *sink, unsigned max_roots)
{
	struct shadow *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->m = m;
	s->max_roots = max_roots;
	s->max_runs = map_limit();
	s->npages = (m->mem.low_size + m->mem.high_size) >> PAGE_SHIFT;
	s->roots = calloc(max_roots, sizeof(*s->roots));
	s->pages = calloc(s->npages, sizeof(*s->pages));
	if (!s->roots || !s->pages) {
		free(s->roots);
		free(s->pages);
		free(s);
		return -ENOMEM;
	}
	shadow_add_sink(s, sink);
	memory_add_listener(&m->mem, &(struct memory_listener){
		.protect = shadow_protect, .stored = shadow_stored, .self = s });
	*out = s;
	return 0;
}

void shadow_set_decoder(struct shadow *s, insn_length_fn *length, void *arg)
{
	s->scan.length = length;
	s->scan.arg = arg;
}

void shadow_flush(struct shadow *s)
{
	for (unsigned i = 0; i < s->max_roots; i++)
		if (s->roots[i].space) {
			root_clear(s, &s->roots[i]);
			s->roots[i].stamp = 0;
		}
	/* Memory may have been filled past the listeners. */
	for (size_t i = 0; i < s->npages; i++)
		memory_clear_flags(&s->m->mem, page_gpa(s, (uint32_t)i), PG_TABLE | PG_EXEC);
	s->ring_len = 0;
	s->current = NULL;
}

void shadow_destroy(struct shadow *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->max_roots; i++)
		if (s->roots[i].space) {
			root_clear(s, &s->roots[i]);
			space_end(s, &s->roots[i]);
		}
	free(s->roots);
	free(s->pages);
	free(s);
}

void shadow_counts(const struct shadow *s, struct shadow_counts *out)
{
	*out = s->counts;
}

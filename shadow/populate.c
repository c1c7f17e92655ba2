/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A root that is about to run for the first time is filled with what its process has used
 * already: the user pages whose accessed bits are set on every level. It was interpreted
 * until then, so most of what it needs next is among them, and each window of pages left to
 * be found by a fault costs a crossing. SDM 3A 4.3-4.5, 4.8.
 */
#include "shadow/internal.h"

#define POPULATE_MAX	1024	/* pages: the rest is left to faults */
#define WANTED		(PTE_P | PTE_U | PTE_A)

struct populate {
	struct shadow *s;
	struct root *r;
	unsigned left;
	int err;
};

static uint64_t entry_read(const uint8_t *table, unsigned i, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, table + i * size, size);
	return v;
}

/* Large pages are left to faults as well. */
static void populate_table(struct populate *p, gpa_t table, unsigned level, gva_t base)
{
	const struct paging_shape *m = &paging_shapes[root_mode(p->r)];
	const uint8_t *t = memory_offset(&p->s->m->mem, table) < 0 ? NULL : memory_hva(&p->s->m->mem, table);
	unsigned n = m->shift[level] + m->index_bits > 47 ? 256 : 1u << m->index_bits;

	for (unsigned i = 0; t && i < n && p->left && !p->err; i++) {
		uint64_t v = entry_read(t, i, m->entry_size);
		gva_t gva = base + ((gva_t)i << m->shift[level]);

		if ((v & WANTED) != WANTED)
			continue;
		if (level + 1u == m->levels) {
			p->err = revalidate(p->s, p->r, gva, true);
			p->left--;
		} else if (!(v & PTE_PS) || level + 2u < m->levels) {
			populate_table(p, v & PTE_ADDR, level + 1, gva);
		}
	}
}

int root_populate(struct shadow *s, struct root *r)
{
	struct populate p = { .s = s, .r = r, .left = POPULATE_MAX };

	s->scan_ahead = true;
	switch (root_mode(r)) {
	case PAGING_NONE:
		break;
	case PAGING_PAE:	/* its pointers have no bits but P */
		for (unsigned i = 0; i < 4; i++)
			if (r->key.pdpte[i] & PTE_P)
				populate_table(&p, r->key.pdpte[i] & PTE_ADDR, 1, (gva_t)i << 30);
		break;
	default:
		populate_table(&p, r->key.cr3, 0, 0);
	}
	s->scan_ahead = false;
	return p.err;
}

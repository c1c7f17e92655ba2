/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest page tables, as SDM 3A chapter 4 defines them. This file decides what a
 * guest PTE means; it must never know who asks or what they cache.
 *
 * The three formats differ in the width of an entry, in the bits of the address
 * that index each level, in which levels may map a page themselves (PS), and in
 * the reserved bits. That is the table below; one loop walks them all.
 *
 * PDPTEs of PAE paging are special: they live in registers (cpu->pdpte), are
 * checked when CR3 is loaded and not when used, hold no permissions and have no
 * accessed flag (4.4.1).
 */
#include "machine/paging.h"

#define BITS(hi, lo)	((~0ull >> (63 - (hi))) & (~0ull << (lo)))
#define RSVD_PAE	BITS(62, PHYS_BITS)	/* PAE: everything above the address */
#define RSVD_4L		BITS(51, PHYS_BITS)	/* 4-level: 62:52 are free for software */

struct level {
	uint8_t shift;		/* of the region one entry maps */
	uint8_t index_bits;
	bool may_map;		/* PS maps a page here (32-bit: if CR4.PSE) */
	uint64_t rsvd;		/* reserved in an entry that points to a table */
	uint64_t rsvd_page;	/* reserved in an entry that maps a page */
};

struct format {
	uint8_t depth, entry_size;
	struct level level[4];	/* root first */
};

static const struct format formats[] = {
	/* 4 MiB page: address 31:22 in place, 39:32 in bits 20:13 (PSE-36), table 4-4. */
	[PAGING_32] = { 2, 4, {
		{ 22, 10, true, 0, BITS(21, 21) },
		{ 12, 10, true, 0, 0 } } },
	[PAGING_PAE] = { 3, 8, {
		{ 30, 2, false, 0, 0 },
		{ 21, 9, true, RSVD_PAE, RSVD_PAE | BITS(20, 13) },
		{ 12, 9, true, 0, RSVD_PAE } } },
	[PAGING_4LEVEL] = { 4, 8, {
		{ 39, 9, false, RSVD_4L | PTE_PS, 0 },
		{ 30, 9, true, RSVD_4L, RSVD_4L | BITS(29, 13) },
		{ 21, 9, true, RSVD_4L, RSVD_4L | BITS(20, 13) },
		{ 12, 9, true, 0, RSVD_4L } } },
};

enum paging_mode paging_mode(const struct cpu *c)
{
	if (!(c->cr0 & CR0_PG))
		return PAGING_NONE;
	if (!(c->cr4 & CR4_PAE))
		return PAGING_32;
	return c->efer & EFER_LMA ? PAGING_4LEVEL : PAGING_PAE;
}

static uint64_t entry_read(struct memory *m, gpa_t gpa, unsigned size)
{
	const uint8_t *p = memory_hva(m, gpa);

	if (unlikely(!p))
		return phys_read(m, gpa, size);
	return size == 4 ? *(const uint32_t *)p : *(const uint64_t *)p;
}

static bool entry_maps_page(const struct level *l, const struct cpu *c, uint64_t e, unsigned size)
{
	if (l->shift == 12)
		return true;
	return l->may_map && e & PTE_PS && (size == 8 || c->cr4 & CR4_PSE);
}

static gpa_t page_base(const struct level *l, uint64_t e, unsigned size)
{
	if (size == 8)
		return e & BITS(PHYS_BITS - 1, l->shift);
	if (l->shift == 22)
		return (e & BITS(31, 22)) | (e & BITS(20, 13)) << 19;
	return e & BITS(31, 12);
}

static gpa_t root_table(const struct cpu *c, enum paging_mode mode)
{
	if (mode == PAGING_PAE)
		return c->cr3 & BITS(31, 5);
	if (mode == PAGING_32)
		return c->cr3 & BITS(31, 12);
	return c->cr3 & BITS(PHYS_BITS - 1, 12);
}

static void walk_identity(struct walk *w, gva_t gva)
{
	*w = (struct walk){ .gpa = (uint32_t)gva, .page_shift = 32,
			    .user = true, .write = true, .exec = true, .dirty = true };
}

uint32_t paging_walk(struct memory *m, const struct cpu *c, gva_t gva, struct walk *w)
{
	enum paging_mode mode = paging_mode(c);
	const struct format *f = &formats[mode];
	uint64_t nx = c->efer & EFER_NXE ? 0 : PTE_NX;	/* reserved while NXE is off */
	gpa_t table;

	if (mode == PAGING_NONE) {
		walk_identity(w, gva);
		return 0;
	}
	if (mode != PAGING_4LEVEL)
		gva = (uint32_t)gva;
	table = root_table(c, mode);
	*w = (struct walk){ .user = true, .write = true, .exec = true };

	for (unsigned i = 0; i < f->depth; i++) {
		const struct level *l = &f->level[i];
		unsigned index = gva >> l->shift & ((1u << l->index_bits) - 1);
		bool in_register = mode == PAGING_PAE && i == 0;
		uint64_t e, rsvd;

		w->entry[i] = table + index * f->entry_size;
		e = in_register ? c->pdpte[index] : entry_read(m, w->entry[i], f->entry_size);
		w->value[i] = e;
		w->depth = (uint8_t)(i + 1);
		w->page_shift = l->shift;
		if (!(e & PTE_P))
			return PF_NOT;
		if (in_register) {
			table = e & BITS(PHYS_BITS - 1, 12);
			continue;
		}

		bool page = entry_maps_page(l, c, e, f->entry_size);
		rsvd = page ? l->rsvd_page : l->rsvd;
		if (f->entry_size == 8)
			rsvd |= nx;
		if (unlikely(e & rsvd))
			return PF_NOT | PF_P | PF_RSVD;
		w->user &= !!(e & PTE_U);
		w->write &= !!(e & PTE_W);
		w->exec &= !(f->entry_size == 8 && e & PTE_NX);
		if (page) {
			w->gpa = page_base(l, e, f->entry_size) | (gva & BITS(l->shift - 1, 0));
			w->dirty = e & PTE_D;
			w->global = e & PTE_G && c->cr4 & CR4_PGE;
			return 0;
		}
		table = page_base(&f->level[f->depth - 1], e, f->entry_size);
	}
	bug("page walk of %#llx found no leaf", (unsigned long long)gva);
}

/* The bits of the error code that describe the access, SDM 3A 4.7. */
static uint32_t access_bits(const struct cpu *c, unsigned access)
{
	uint32_t code = 0;

	if (access & ACC_WRITE)
		code |= PF_W;
	if (access & ACC_USER)
		code |= PF_U;
	if (access & ACC_EXEC &&
	    (c->cr4 & CR4_SMEP || (c->cr4 & CR4_PAE && c->efer & EFER_NXE)))
		code |= PF_I;
	return code;
}

/* SDM 3A 4.6.1. A supervisor access while CPL is 3 is an implicit one (descriptor
 * tables and the like): SMAP refuses it whatever EFLAGS.AC says. */
static bool access_allowed(const struct cpu *c, const struct walk *w, unsigned access)
{
	if (access & ACC_EXEC && !w->exec)
		return false;
	if (access & ACC_USER)
		return w->user && (w->write || !(access & ACC_WRITE));
	if (access & ACC_EXEC)
		return !(w->user && c->cr4 & CR4_SMEP);
	if (w->user && c->cr4 & CR4_SMAP && (c->cpl == 3 || !(c->eflags & FL_AC)))
		return false;
	return w->write || !(access & ACC_WRITE) || !(c->cr0 & CR0_WP);
}

uint32_t paging_check(const struct cpu *c, const struct walk *w, unsigned access)
{
	/* Without paging there are no rights to check (and no #PF). */
	if (!(c->cr0 & CR0_PG) || likely(access_allowed(c, w, access)))
		return 0;
	return PF_P | access_bits(c, access);
}

/* A and D live in the low dword of either entry size. */
static void entry_set(struct memory *m, struct walk *w, unsigned i, uint64_t bits)
{
	if ((w->value[i] & bits) == bits)
		return;
	w->value[i] |= bits;
	phys_write(m, w->entry[i], (uint32_t)w->value[i], 4);
}

uint32_t paging_access(struct memory *m, const struct cpu *c, gva_t gva, unsigned access,
		       struct walk *w)
{
	uint32_t code = paging_walk(m, c, gva, w);

	if (code)
		return code | access_bits(c, access);
	code = paging_check(c, w, access);
	if (code)
		return PF_NOT | code;
	if (!w->depth)
		return 0;

	for (unsigned i = paging_mode(c) == PAGING_PAE; i + 1u < w->depth; i++)
		entry_set(m, w, i, PTE_A);
	entry_set(m, w, w->depth - 1u, access & ACC_WRITE ? PTE_A | PTE_D : PTE_A);
	w->dirty |= !!(access & ACC_WRITE);
	return 0;
}

bool paging_load_pdpte(struct memory *m, struct cpu *c, uint64_t cr3)
{
	const uint64_t rsvd = BITS(63, PHYS_BITS) | BITS(8, 5) | BITS(2, 1);
	gpa_t table = cr3 & BITS(31, 5);
	uint64_t e[4];

	for (unsigned i = 0; i < 4; i++) {
		e[i] = entry_read(m, table + 8 * i, 8);
		if (e[i] & PTE_P && e[i] & rsvd)
			return false;
	}
	for (unsigned i = 0; i < 4; i++)
		c->pdpte[i] = e[i];
	return true;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory as an instruction sees it: segment checks (SDM 3A 5.3, 5.5), alignment,
 * data breakpoints, paging through the soft TLB, and whatever lies behind a
 * physical address. The complete and slow way; fast.h holds the short cut.
 */
#include <string.h>

#include "interp/fast.h"
#include "machine/journal.h"
#include "machine/legacy.h"

/* --- The soft TLB ---------------------------------------------------------- */

static void tlb_drop(struct tlb_entry *e)
{
	e->rd = e->wr = TLB_NONE;
}

void tlb_flush(struct interp *v)
{
	for (unsigned i = 0; i < TLB_SIZE; i++) {
		tlb_drop(&v->tlbs[0][i]);
		tlb_drop(&v->tlbs[1][i]);
	}
	memset(v->itlb, 0xff, sizeof(v->itlb));
	memset(v->large_seen, 0, sizeof(v->large_seen));
	contexts_forget(v, true);
}

static void tlb_drop_local(struct tlb_entry *e)
{
	if (!(e->page & TLB_GLOBAL))
		tlb_drop(e);
}

/* MOV CR3 leaves global pages alone (SDM 3A 4.10.4.1). */
void tlb_flush_local(struct interp *v)
{
	struct tlb_locals *l = &v->locals;

	if (l->n <= ARRAY_LEN(l->at))
		for (unsigned i = 0; i < l->n; i++)
			tlb_drop_local(&v->tlbs[l->at[i] / TLB_SIZE][l->at[i] % TLB_SIZE]);
	else
		for (unsigned i = 0; i < 2 * TLB_SIZE; i++)
			tlb_drop_local(&v->tlbs[i / TLB_SIZE][i % TLB_SIZE]);
	l->n = 0;
	for (int u = 0; u < 2; u++)
		for (unsigned i = 0; i < ITLB_SIZE; i++)
			if (!(v->itlb[u][i].page & TLB_GLOBAL))
				v->itlb[u][i].tag = TLB_NONE;
	contexts_forget(v, false);
}

/*
 * Large pages sit in the TLB in pieces of 4 KiB, and INVLPG takes out all of one. A
 * filter tells where it need not search: a bit for each region of 2 MiB and of 1 GiB
 * that a large page may be in, by hash.
 */
static unsigned region_bit(gva_t gva, unsigned shift)
{
	return (unsigned)(((gva >> shift) * 0x9e3779b97f4a7c15ull + shift) >> 52);
}

static bool filter_test(const uint64_t *filter, unsigned bit)
{
	return filter[bit >> 6] >> (bit & 63) & 1;
}

static void filter_set(uint64_t *filter, unsigned bit)
{
	filter[bit >> 6] |= 1ull << (bit & 63);
}

void tlb_note_large(struct interp *v, gva_t gva, unsigned page_shift)
{
	if (page_shift >= 32)		/* no paging: nothing to invalidate */
		return;
	if (page_shift == 30) {
		filter_set(v->large_seen, region_bit(gva, 30));
		return;
	}
	for (gva_t part = gva >> page_shift << page_shift; part >> page_shift == gva >> page_shift;
	     part += 1u << 21)
		filter_set(v->large_seen, region_bit(part, 21));
}

static void tlb_flush_region(struct interp *v, gva_t gva, unsigned shift)
{
	for (int u = 0; u < 2; u++) {
		for (unsigned i = 0; i < TLB_SIZE; i++)
			if (v->tlbs[u][i].rd >> shift == gva >> shift)
				tlb_drop(&v->tlbs[u][i]);
		for (unsigned i = 0; i < ITLB_SIZE; i++)
			if (v->itlb[u][i].tag >> shift == gva >> shift)
				v->itlb[u][i].tag = TLB_NONE;
	}
	contexts_forget(v, true);
}

void tlb_flush_page(struct interp *v, gva_t gva)
{
	for (int u = 0; u < 2; u++) {
		struct tlb_entry *e = &v->tlbs[u][gva >> PAGE_SHIFT & (TLB_SIZE - 1)];
		struct itlb_entry *f = &v->itlb[u][gva >> PAGE_SHIFT & (ITLB_SIZE - 1)];

		if (e->rd == (gva & PAGE_MASK))
			tlb_drop(e);
		if (f->tag == (gva & PAGE_MASK))
			f->tag = TLB_NONE;
	}
	if (filter_test(v->large_seen, region_bit(gva, 21)))
		tlb_flush_region(v, gva, 22);	/* 4 MiB is the largest that this can be */
	if (unlikely(filter_test(v->large_seen, region_bit(gva, 30))))
		tlb_flush_region(v, gva, 30);
	if (filter_test(v->code_seen, region_bit(gva, PAGE_SHIFT)))
		contexts_forget(v, true);
}

void tlb_note_code(struct interp *v, gva_t gva, bool global)
{
	filter_set(v->code_seen, region_bit(gva, PAGE_SHIFT));
	if (!v->user && !global)
		v->local_code = true;
}

/* Stores to this physical page must be noted from now on. */
void tlb_protect(struct interp *v, gpa_t page)
{
	for (int u = 0; u < 2; u++)
		for (unsigned i = 0; i < TLB_SIZE; i++)
			if ((v->tlbs[u][i].page & PAGE_MASK) == page)
				v->tlbs[u][i].wr = TLB_NONE;
}

/* A translated address: host memory, or a physical address to be asked for. */
struct place { uint8_t *hva; gpa_t gpa; };

static struct place translate_slow(struct interp *v, gva_t gva, unsigned access)
{
	struct memory *mem = &v->m->mem;
	struct walk w;
	uint32_t err = paging_access(mem, &v->cpu, gva, access & (ACC_WRITE | ACC_USER), &w);

	if (err)
		raise_pf(v, gva, err & ~PF_NOT);

	uint8_t *hva = memory_hva(mem, w.gpa);
	struct tlb_entry *e = &v->tlbs[!!(access & ACC_USER)][gva >> PAGE_SHIFT & (TLB_SIZE - 1)];

	if (w.page_shift != PAGE_SHIFT)
		tlb_note_large(v, gva, w.page_shift);
	if (!hva) {
		if (unlikely(mem->journal))	/* a device's access cannot be taken back */
			mem->journal->final = true;
		return (struct place){ NULL, w.gpa };
	}
	uint64_t page = gva & PAGE_MASK;
	bool writable = (access & ACC_WRITE) || (e->rd == page && e->wr == page);

	e->rd = page;
	e->add = (uintptr_t)hva - gva;
	e->page = (w.gpa & PAGE_MASK) | (w.global ? TLB_GLOBAL : 0);
	if (!w.global && ++v->locals.n <= ARRAY_LEN(v->locals.at))
		v->locals.at[v->locals.n - 1] = (uint16_t)(e - &v->tlbs[0][0]);
	e->wr = writable && memory_flags(mem, w.gpa) == 0 ? page : TLB_NONE;
	return (struct place){ hva, w.gpa };
}

static inline struct place translate(struct interp *v, gva_t gva, unsigned access)
{
	const struct tlb_entry *e = &v->tlbs[!!(access & ACC_USER)][gva >> PAGE_SHIFT & (TLB_SIZE - 1)];
	uint64_t page = gva & PAGE_MASK;

	if (likely((access & ACC_WRITE ? e->wr : e->rd) == page))
		return (struct place){ (uint8_t *)(gva + e->add),
				      (e->page & PAGE_MASK) | (gva & ~PAGE_MASK) };
	return translate_slow(v, gva, access);
}

/* --- Physical access behind a translation ------------------------------------ */

static uint64_t place_read(struct interp *v, struct place p, unsigned size)
{
	uint64_t x = 0;

	if (unlikely(!p.hva)) {
		clock_sync(v);
		return phys_read(&v->m->mem, p.gpa, size);
	}
	switch (size) {		/* each a plain load */
	case 1: memcpy(&x, p.hva, 1); break;
	case 2: memcpy(&x, p.hva, 2); break;
	case 4: memcpy(&x, p.hva, 4); break;
	default: memcpy(&x, p.hva, 8); break;
	}
	return x;
}

static void store_ram(struct interp *v, struct place p, const void *buf, unsigned n)
{
	unsigned flags = memory_flags(&v->m->mem, p.gpa);

	if (unlikely(flags & PG_ROM)) {
		legacy_store_rom(&v->m->mem, p.gpa, buf, n);
		return;
	}
	if (unlikely(v->m->mem.journal))
		journal_note(v->m->mem.journal, &v->m->mem, p.gpa);
	memcpy(p.hva, buf, n);
	if (unlikely(flags))
		memory_note_store(&v->m->mem, p.gpa, n);
}

static void place_write(struct interp *v, struct place p, unsigned size, uint64_t val)
{
	if (unlikely(!p.hva)) {
		clock_sync(v);
		phys_write(&v->m->mem, p.gpa, val, size);
		if (must_leave(v))	/* the device has raised an interrupt */
			v->broke = true;
		return;
	}
	store_ram(v, p, &val, size);
}

/* Is the page a device or nothing? Bytes then go one access each. */
static void copy_page(struct interp *v, struct place p, uint8_t *buf, unsigned n, bool write)
{
	if (p.hva) {
		if (!write) {
			memcpy(buf, p.hva, n);
			return;
		}
		store_ram(v, p, buf, n);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		if (write)
			phys_write(&v->m->mem, p.gpa + i, buf[i], 1);
		else
			buf[i] = (uint8_t)phys_read(&v->m->mem, p.gpa + i, 1);
}

/* --- By linear address ---------------------------------------------------------- */

static inline gva_t wrap(const struct interp *v, gva_t gva)
{
	return v->cpu.efer & EFER_LMA ? gva : (uint32_t)gva;
}

uint64_t lin_read(struct interp *v, gva_t gva, unsigned size, unsigned access)
{
	unsigned room = (unsigned)(PAGE_SIZE - (gva & ~PAGE_MASK));
	struct place p = translate(v, gva, access), q;

	if (likely(size <= room))
		return place_read(v, p, size);
	q = translate(v, wrap(v, gva + room), access);

	uint64_t x = 0;
	copy_page(v, p, (uint8_t *)&x, room, false);
	copy_page(v, q, (uint8_t *)&x + room, size - room, false);
	return x;
}

void lin_write(struct interp *v, gva_t gva, unsigned size, uint64_t val, unsigned access)
{
	unsigned room = (unsigned)(PAGE_SIZE - (gva & ~PAGE_MASK));
	struct place p = translate(v, gva, access | ACC_WRITE), q;

	if (likely(size <= room)) {
		place_write(v, p, size, val);
		return;
	}
	q = translate(v, wrap(v, gva + room), access | ACC_WRITE);
	copy_page(v, p, (uint8_t *)&val, room, true);
	copy_page(v, q, (uint8_t *)&val + room, size - room, true);
}

void lin_probe(struct interp *v, gva_t gva, unsigned n, unsigned access)
{
	translate(v, gva, access);
	if ((gva & ~PAGE_MASK) + n > PAGE_SIZE)
		translate(v, wrap(v, (gva | ~PAGE_MASK) + 1), access);
}

/* --- By segment ------------------------------------------------------------------- */

static _Noreturn void raise_segment(struct interp *v, unsigned seg)
{
	raise_code(v, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
}

static void check_segment(struct interp *v, unsigned seg, uint64_t off, unsigned size, unsigned access)
{
	const struct segment *s = &v->cpu.seg[seg];
	uint64_t last = off + size - 1;

	if (!(s->attr & SEG_P))
		raise_segment(v, seg);
	if (s->attr & SEG_CODE) {
		if (access & ACC_WRITE || !(s->attr & SEG_R))
			raise_segment(v, seg);
	} else if ((access & ACC_WRITE) && !(s->attr & SEG_W)) {
		raise_segment(v, seg);
	}
	if (!(s->attr & SEG_CODE) && (s->attr & SEG_E)) {
		uint64_t top = s->attr & SEG_D ? 0xffffffffu : 0xffffu;

		if (off <= s->limit || last > top)
			raise_segment(v, seg);
	} else if (last > s->limit) {
		raise_segment(v, seg);
	}
}

gva_t seg_linear(struct interp *v, unsigned seg, uint64_t off, unsigned size, unsigned access)
{
	if (v->hflags & HF_CS64) {
		gva_t gva = seg >= SEG_FS && seg <= SEG_GS ? off + v->cpu.seg[seg].base : off;
		gva_t last = gva + size - 1;

		if ((int64_t)(gva << 16) >> 16 != (int64_t)gva || (int64_t)(last << 16) >> 16 != (int64_t)last)
			raise_segment(v, seg);
		return gva;
	}
	if (unlikely(v->plain[seg] < 1 + (access & ACC_WRITE)) || off + size - 1 > 0xffffffffu)
		check_segment(v, seg, off, size, access);
	return (uint32_t)(off + v->cpu.seg[seg].base);
}

/* Data breakpoints (SDM 3B 17.2.4); reported after the instruction. */
static void check_breakpoints(struct interp *v, gva_t gva, unsigned size, unsigned access)
{
	static const uint8_t length[4] = { 1, 2, 8, 4 };

	for (unsigned i = 0; i < 4; i++) {
		unsigned rw = v->cpu.dr[7] >> (16 + 4 * i) & 3;
		unsigned len = length[v->cpu.dr[7] >> (18 + 4 * i) & 3];
		gva_t at = v->cpu.dr[i] & ~(uint64_t)(len - 1);

		if (!(v->cpu.dr[7] >> (2 * i) & 3) || !(rw & 1) || (rw == 1 && !(access & ACC_WRITE)))
			continue;
		if (gva < at + len && at < gva + size)
			v->cpu.pending_dbg |= 1ull << i;
	}
}

/* What every data access of an instruction passes through. */
static inline gva_t data_linear(struct interp *v, unsigned seg, uint64_t off, unsigned size,
				unsigned access)
{
	gva_t gva = seg_linear(v, seg, off, size, access);

	if (unlikely(v->tlb == v->tlb_never)) {
		if (v->user && (v->cpu.eflags & FL_AC) && (v->cpu.cr0 & CR0_AM) && size <= 8 &&
		    (gva & (size - 1)))
			raise_code(v, VEC_AC, 0);
		if (v->cpu.dr[7] & 0xff)
			check_breakpoints(v, gva, size, access);
	}
	return gva;
}

static inline unsigned privilege(const struct interp *v)
{
	return v->user ? ACC_USER : 0;
}

uint64_t mem_read(struct interp *v, unsigned seg, uint64_t off, unsigned size)
{
	return lin_read(v, data_linear(v, seg, off, size, ACC_READ), size, privilege(v));
}

void mem_write(struct interp *v, unsigned seg, uint64_t off, unsigned size, uint64_t val)
{
	lin_write(v, data_linear(v, seg, off, size, ACC_WRITE), size, val, privilege(v));
}

uint64_t mem_read_rmw(struct interp *v, unsigned seg, uint64_t off, unsigned size)
{
	gva_t gva = data_linear(v, seg, off, size, ACC_WRITE);

	lin_probe(v, gva, size, privilege(v) | ACC_WRITE);
	return lin_read(v, gva, size, privilege(v));
}

void mem_probe_write(struct interp *v, unsigned seg, uint64_t off, unsigned n)
{
	lin_probe(v, seg_linear(v, seg, off, n, ACC_WRITE), n, privilege(v) | ACC_WRITE);
}

static void copy_bytes(struct interp *v, unsigned seg, uint64_t off, uint8_t *buf, unsigned n,
		       unsigned access)
{
	gva_t gva = data_linear(v, seg, off, n, access);
	unsigned room = (unsigned)(PAGE_SIZE - (gva & ~PAGE_MASK));
	struct place p = translate(v, gva, access | privilege(v)), q = p;

	if (n > room)
		q = translate(v, wrap(v, gva + room), access | privilege(v));
	copy_page(v, p, buf, n > room ? room : n, access & ACC_WRITE);
	if (n > room)
		copy_page(v, q, buf + room, n - room, access & ACC_WRITE);
}

void mem_read_bytes(struct interp *v, unsigned seg, uint64_t off, void *buf, unsigned n)
{
	copy_bytes(v, seg, off, buf, n, ACC_READ);
}

void mem_write_bytes(struct interp *v, unsigned seg, uint64_t off, const void *buf, unsigned n)
{
	copy_bytes(v, seg, off, (uint8_t *)buf, n, ACC_WRITE);
}

uint8_t *mem_span(struct interp *v, unsigned seg, uint64_t off, unsigned unit, unsigned *len,
		  unsigned access)
{
	gva_t gva = seg_linear(v, seg, off, unit, access);
	unsigned room = (unsigned)(PAGE_SIZE - (gva & ~PAGE_MASK));

	if (v->tlb == v->tlb_never || room < unit)
		return NULL;
	if (*len > room)
		*len = room;
	*len -= *len % unit;
	/* The rest of the run must be inside the segment too. */
	if (!(v->hflags & HF_CS64) && !v->plain[seg]) {
		const struct segment *s = &v->cpu.seg[seg];

		if ((s->attr & (SEG_CODE | SEG_E)) == SEG_E || off + *len - 1 > s->limit)
			return NULL;
	}
	struct place p = translate(v, gva, access | privilege(v));

	if (!p.hva || ((access & ACC_WRITE) && memory_flags(&v->m->mem, p.gpa)))
		return NULL;
	return p.hva;
}

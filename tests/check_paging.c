/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest page tables against SDM 3A chapter 4. */
#include <stdlib.h>
#include <string.h>

#include "machine/paging.h"
#include "tests/suite.h"

static struct memory mem;
static struct cpu cpu;
static struct walk w;

static unsigned noted;
static gpa_t noted_gpa;

static void note(void *self, gpa_t gpa, unsigned len, unsigned flags)
{
	(void)self;
	ck_assert_uint_eq(flags, PG_TABLE);
	ck_assert_uint_le(len, 8);
	noted++;
	noted_gpa = gpa;
}

static void setup(void)
{
	const struct memory_listener l = { .stored = note };

	ck_assert_int_eq(memory_create(&mem, 16 << 20), 0);
	memory_add_listener(&mem, &l);
	memset(&cpu, 0, sizeof(cpu));
	noted = 0;
}

static void teardown(void)
{
	memory_destroy(&mem);
}

static void pte32(gpa_t table, unsigned i, uint32_t val)
{
	memcpy(mem.ram + table + 4 * i, &val, 4);
}

static void pte64(gpa_t table, unsigned i, uint64_t val)
{
	memcpy(mem.ram + table + 8 * i, &val, 8);
}

static uint64_t entry(gpa_t gpa, unsigned size)
{
	return phys_read(&mem, gpa, size);
}

/* Directory at 0x1000, table at 0x2000, page 0x5000 at linear 0xc0403000. */
static void two_level(uint32_t pde, uint32_t pte)
{
	cpu.cr0 = CR0_PE | CR0_PG;
	cpu.cr4 = 0;
	cpu.efer = 0;
	cpu.cr3 = 0x1000;
	pte32(0x1000, 0x301, 0x2000 | pde);
	pte32(0x2000, 3, 0x5000 | pte);
}

/* PDPT at 0x1020 (32-byte aligned), directory 0x2000, table 0x3000; linear 0x80603abc. */
static void pae(uint64_t pde, uint64_t pte)
{
	cpu.cr0 = CR0_PE | CR0_PG;
	cpu.cr4 = CR4_PAE;
	cpu.efer = EFER_NXE;
	cpu.cr3 = 0x1020;
	pte64(0x1020, 2, 0x2000 | PTE_P);
	pte64(0x2000, 3, 0x3000 | pde);
	pte64(0x3000, 3, 0x5000 | pte);
	ck_assert(paging_load_pdpte(&mem, &cpu, cpu.cr3));
}

/* Tables 0x1000 to 0x4000; linear 0xffff_8080_8060_3abc. */
#define GVA4	0xffff808080603abcull
static void four_level(uint64_t upper, uint64_t pte)
{
	cpu.cr0 = CR0_PE | CR0_PG;
	cpu.cr4 = CR4_PAE;
	cpu.efer = EFER_NXE | EFER_LME | EFER_LMA;
	cpu.cr3 = 0x1000;
	pte64(0x1000, 257, 0x2000 | upper);
	pte64(0x2000, 2, 0x3000 | upper);
	pte64(0x3000, 3, 0x4000 | upper);
	pte64(0x4000, 3, 0x5000 | pte);
}

static uint32_t walk(gva_t gva)
{
	return paging_walk(&mem, &cpu, gva, &w);
}

static uint32_t try(gva_t gva, unsigned access)
{
	struct walk found;

	return paging_access(&mem, &cpu, gva, access, &found);
}

START_TEST(no_paging)
{
	ck_assert_int_eq(paging_mode(&cpu), PAGING_NONE);
	ck_assert_uint_eq(walk(0x123456789), 0);
	ck_assert_uint_eq(w.gpa, 0x23456789);
	ck_assert_uint_eq(w.page_shift, 32);
	ck_assert_uint_eq(w.depth, 0);
	cpu.cr4 = CR4_SMEP | CR4_SMAP;
	ck_assert_uint_eq(try(0x1000, ACC_WRITE), 0);
	ck_assert_uint_eq(try(0x1000, ACC_EXEC), 0);
	ck_assert_uint_eq(try(0x1000, ACC_WRITE | ACC_USER), 0);
}
END_TEST

START_TEST(two_level_walk)
{
	two_level(PTE_P | PTE_W | PTE_U, PTE_P | PTE_U | PTE_D | PTE_G);
	ck_assert_int_eq(paging_mode(&cpu), PAGING_32);
	ck_assert_uint_eq(walk(0xffffffffc0403abc), 0);
	ck_assert_uint_eq(w.gpa, 0x5abc);
	ck_assert_uint_eq(w.page_shift, 12);
	ck_assert_uint_eq(w.depth, 2);
	ck_assert_uint_eq(w.entry[0], 0x1000 + 0x301 * 4);
	ck_assert_uint_eq(w.entry[1], 0x200c);
	ck_assert(w.user && !w.write && w.exec && w.dirty && !w.global);
	cpu.cr4 = CR4_PGE;
	walk(0xc0403abc);
	ck_assert(w.global);
	ck_assert_uint_eq(noted, 0);
	ck_assert_uint_eq(entry(0x200c, 4) & PTE_A, 0);	/* a walk changes nothing */
}
END_TEST

START_TEST(not_present)
{
	two_level(PTE_P | PTE_W | PTE_U, 0);
	ck_assert_uint_eq(walk(0xc0403abc), PF_NOT);
	ck_assert_uint_eq(w.depth, 2);
	ck_assert_uint_eq(try(0xc0403abc, ACC_READ), PF_NOT);
	ck_assert_uint_eq(try(0xc0403abc, ACC_WRITE | ACC_USER), PF_NOT | PF_W | PF_U);
	ck_assert_uint_eq(try(0xc0403abc, ACC_EXEC | ACC_USER), PF_NOT | PF_U);
	cpu.cr4 |= CR4_SMEP;				/* then fetches are told apart */
	ck_assert_uint_eq(try(0xc0403abc, ACC_EXEC | ACC_USER), PF_NOT | PF_U | PF_I);
	two_level(0, PTE_P);
	ck_assert_uint_eq(walk(0xc0403abc), PF_NOT);
	ck_assert_uint_eq(w.depth, 1);
}
END_TEST

START_TEST(big_pages)
{
	two_level(PTE_P, PTE_P);
	pte32(0x1000, 0x301, 0x00c02000 | PTE_P | PTE_W | PTE_U | PTE_PS);
	/* PS means nothing without CR4.PSE: then this is a table at 0xc02000. */
	pte32(0xc02000, 3, 0x7000 | PTE_P);
	ck_assert_uint_eq(walk(0xc0403abc), 0);
	ck_assert_uint_eq(w.gpa, 0x7abc);
	cpu.cr4 = CR4_PSE;
	ck_assert_uint_eq(walk(0xc0403abc), 0);
	ck_assert_uint_eq(w.gpa, 0x100c03abcull);	/* bit 13 is address bit 32 */
	ck_assert_uint_eq(w.page_shift, 22);
	ck_assert_uint_eq(w.depth, 1);
	/* PSE-36: bits 20:13 are address bits 39:32; 21 is reserved. */
	pte32(0x1000, 0x301, 0x00c00000 | 0xff << 13 | PTE_P | PTE_PS);
	ck_assert_uint_eq(walk(0xc0403abc), 0);
	ck_assert_uint_eq(w.gpa, 0xff00c03abcull);
	pte32(0x1000, 0x301, 0x00c00000 | 1 << 21 | PTE_P | PTE_PS);
	ck_assert_uint_eq(walk(0xc0403abc), PF_NOT | PF_P | PF_RSVD);
	ck_assert_uint_eq(try(0xc0403abc, ACC_USER), PF_NOT | PF_P | PF_RSVD | PF_U);
	/* Bit 12 is PAT, not address. */
	pte32(0x1000, 0x301, 0x00c00000 | 1 << 12 | PTE_P | PTE_PS);
	ck_assert_uint_eq(walk(0xc0403abc), 0);
	ck_assert_uint_eq(w.gpa, 0xc03abc);
}
END_TEST

/* SDM 3A table 5-3: page-directory entry, page-table entry, combined. */
START_TEST(permissions)
{
	static const struct { unsigned pde, pte; bool user, write; } rows[] = {
		{ PTE_U | PTE_W, PTE_U | PTE_W, true, true },
		{ PTE_U, PTE_U | PTE_W, true, false },
		{ PTE_U | PTE_W, PTE_U, true, false },
		{ PTE_U | PTE_W, PTE_W, false, true },
		{ PTE_W, PTE_U | PTE_W, false, true },
		{ 0, PTE_U | PTE_W, false, false },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		bool u = rows[i].user, wr = rows[i].write;

		two_level(PTE_P | rows[i].pde, PTE_P | rows[i].pte);
		ck_assert_uint_eq(try(0xc0403000, ACC_READ), 0);
		ck_assert_uint_eq(try(0xc0403000, ACC_WRITE), 0);	/* WP = 0 */
		ck_assert_uint_eq(!try(0xc0403000, ACC_USER), u);
		ck_assert_uint_eq(!try(0xc0403000, ACC_USER | ACC_WRITE), u && wr);
		ck_assert_uint_eq(!try(0xc0403000, ACC_USER | ACC_EXEC), u);
		cpu.cr0 |= CR0_WP;
		ck_assert_uint_eq(try(0xc0403000, ACC_WRITE), wr ? 0 : PF_NOT | PF_P | PF_W);
		/* SMEP and SMAP: supervisors stay out of user pages. */
		cpu.cr4 = CR4_SMEP | CR4_SMAP;
		ck_assert_uint_eq(try(0xc0403000, ACC_EXEC), u ? PF_NOT | PF_P | PF_I : 0);
		ck_assert_uint_eq(try(0xc0403000, ACC_READ), u ? PF_NOT | PF_P : 0);
		cpu.eflags = FL_AC;
		ck_assert_uint_eq(try(0xc0403000, ACC_READ), 0);
		cpu.cpl = 3;		/* implicit supervisor access */
		ck_assert_uint_eq(try(0xc0403000, ACC_READ), u ? PF_NOT | PF_P : 0);
		ck_assert_uint_eq(!try(0xc0403000, ACC_USER), u);
		cpu.cpl = 0;
		cpu.eflags = 0;
	}
}
END_TEST

START_TEST(accessed_and_dirty)
{
	struct walk found;

	two_level(PTE_P | PTE_W, PTE_P | PTE_W);
	memory_set_flags(&mem, 0x1000, PG_TABLE);
	memory_set_flags(&mem, 0x2000, PG_TABLE);
	ck_assert_uint_eq(try(0xc0403000, ACC_USER), PF_NOT | PF_P | PF_U);
	ck_assert_uint_eq(noted, 0);			/* a fault sets nothing */
	ck_assert_uint_eq(paging_access(&mem, &cpu, 0xc0403000, ACC_READ, &found), 0);
	ck_assert_uint_eq(noted, 2);
	ck_assert_uint_eq(entry(0x1c04, 4), 0x2000 | PTE_P | PTE_W | PTE_A);
	ck_assert_uint_eq(entry(0x200c, 4), 0x5000 | PTE_P | PTE_W | PTE_A);
	ck_assert(!found.dirty);
	ck_assert_uint_eq(found.value[1], 0x5000 | PTE_P | PTE_W | PTE_A);
	ck_assert_uint_eq(try(0xc0403000, ACC_READ), 0);
	ck_assert_uint_eq(noted, 2);			/* nothing changed: nobody is told */
	ck_assert_uint_eq(paging_access(&mem, &cpu, 0xc0403000, ACC_WRITE, &found), 0);
	ck_assert_uint_eq(noted, 3);
	ck_assert_uint_eq(noted_gpa, 0x200c);
	ck_assert(found.dirty);
	ck_assert_uint_eq(entry(0x200c, 4), 0x5000 | PTE_P | PTE_W | PTE_A | PTE_D);
	ck_assert_uint_eq(entry(0x1c04, 4) & PTE_D, 0);
}
END_TEST

START_TEST(pae_walk)
{
	pae(PTE_P | PTE_W | PTE_U, PTE_P | PTE_W | PTE_U | PTE_NX);
	ck_assert_int_eq(paging_mode(&cpu), PAGING_PAE);
	ck_assert_uint_eq(walk(0x80603abc), 0);
	ck_assert_uint_eq(w.gpa, 0x5abc);
	ck_assert_uint_eq(w.depth, 3);
	ck_assert_uint_eq(w.entry[0], 0x1030);
	ck_assert_uint_eq(w.entry[2], 0x3018);
	ck_assert(w.user && w.write && !w.exec);
	ck_assert_uint_eq(try(0x80603abc, ACC_EXEC | ACC_USER), PF_NOT | PF_P | PF_U | PF_I);
	ck_assert_uint_eq(try(0x80603abc, ACC_WRITE), 0);
	ck_assert_uint_eq(entry(0x1030, 8), 0x2000 | PTE_P);	/* a PDPTE has no A flag */
	ck_assert_uint_eq(entry(0x2018, 8) & (PTE_A | PTE_D), PTE_A);
	ck_assert_uint_eq(entry(0x3018, 8) & (PTE_A | PTE_D), PTE_A | PTE_D);
	ck_assert_uint_eq(entry(0x3018, 8) >> 63, 1);
	/* NX is reserved while EFER.NXE is off. */
	cpu.efer = 0;
	ck_assert_uint_eq(walk(0x80603abc), PF_NOT | PF_P | PF_RSVD);
	ck_assert_uint_eq(try(0x80603abc, ACC_EXEC), PF_NOT | PF_P | PF_RSVD);
	/* NX in the directory counts too. */
	pae(PTE_P | PTE_NX, PTE_P);
	ck_assert_uint_eq(walk(0x80603abc), 0);
	ck_assert(!w.exec && !w.user && !w.write);
}
END_TEST

START_TEST(pae_reserved)
{
	for (unsigned bit = 12; bit < 63; bit++) {
		bool rsvd = bit >= PHYS_BITS;

		pae(PTE_P | (bit < PHYS_BITS ? 0 : 1ull << bit), PTE_P);
		ck_assert_uint_eq(walk(0x80603abc), rsvd ? PF_NOT | PF_P | PF_RSVD : 0);
		pae(PTE_P, PTE_P | 1ull << bit);
		ck_assert_uint_eq(walk(0x80603abc), rsvd ? PF_NOT | PF_P | PF_RSVD : 0);
		/* 2 MiB page: 20:13 are reserved as well, 12 is PAT. */
		pae(PTE_P, PTE_P);
		pte64(0x2000, 3, 0x400000 | PTE_P | PTE_PS | 1ull << bit);
		rsvd |= bit >= 13 && bit <= 20;
		ck_assert_uint_eq(walk(0x80603abc), rsvd ? PF_NOT | PF_P | PF_RSVD : 0);
		if (!rsvd)
			ck_assert_uint_eq(w.page_shift, 21);
		if (bit == 12)
			ck_assert_uint_eq(w.gpa, 0x403abc);
		if (bit == 39)
			ck_assert_uint_eq(w.gpa, 0x8000403abcull);
	}
	pae(PTE_P, PTE_P);
	pte64(0x3000, 3, 0);		/* not present: reserved bits do not matter */
	pte64(0x3000, 3, 1ull << 50);
	ck_assert_uint_eq(walk(0x80603abc), PF_NOT);
}
END_TEST

START_TEST(pae_registers)
{
	uint64_t old;

	pae(PTE_P, PTE_P);
	/* A change in memory means nothing before CR3 is loaded. */
	pte64(0x1020, 2, 0);
	ck_assert_uint_eq(walk(0x80603abc), 0);
	ck_assert(paging_load_pdpte(&mem, &cpu, 0x1020));
	ck_assert_uint_eq(walk(0x80603abc), PF_NOT);
	ck_assert_uint_eq(w.depth, 1);
	/* Reserved: 2:1, 8:5, and above the address; nothing is loaded then. */
	for (unsigned bit = 1; bit < 64; bit++) {
		bool rsvd = bit <= 2 || (bit >= 5 && bit <= 8) || bit >= PHYS_BITS;

		pte64(0x1020, 0, 0x7000 | PTE_P | 1ull << bit);
		old = cpu.pdpte[0] = 0x1234;
		ck_assert_int_eq(paging_load_pdpte(&mem, &cpu, 0x1020), !rsvd);
		if (rsvd)
			ck_assert_uint_eq(cpu.pdpte[0], old);
	}
	pte64(0x1020, 0, ~0ull & ~1ull);	/* not present: anything goes */
	ck_assert(paging_load_pdpte(&mem, &cpu, 0x1020 | 0x1f));
}
END_TEST

START_TEST(four_level_walk)
{
	const uint64_t all = PTE_P | PTE_W | PTE_U;

	four_level(all, all);
	ck_assert_int_eq(paging_mode(&cpu), PAGING_4LEVEL);
	ck_assert_uint_eq(walk(GVA4), 0);
	ck_assert_uint_eq(w.gpa, 0x5abc);
	ck_assert_uint_eq(w.depth, 4);
	ck_assert(w.user && w.write && w.exec);
	ck_assert_uint_eq(try(GVA4, ACC_WRITE | ACC_USER), 0);
	ck_assert_uint_eq(entry(0x1000 + 257 * 8, 8) & (PTE_A | PTE_D), PTE_A);
	ck_assert_uint_eq(entry(0x4018, 8) & (PTE_A | PTE_D), PTE_A | PTE_D);
	/* Every level's word counts. */
	static const gpa_t entries[] = { 0x1000 + 257 * 8, 0x2010, 0x3018, 0x4018 };
	for (unsigned i = 0; i < 4; i++) {
		four_level(all, all);
		phys_write(&mem, entries[i], entry(entries[i], 8) & ~(uint64_t)PTE_U, 8);
		ck_assert_uint_eq(try(GVA4, ACC_USER), PF_NOT | PF_P | PF_U);
		four_level(all, all);
		phys_write(&mem, entries[i], entry(entries[i], 8) & ~(uint64_t)PTE_W, 8);
		ck_assert_uint_eq(try(GVA4, ACC_USER | ACC_WRITE), PF_NOT | PF_P | PF_U | PF_W);
		four_level(all, all);
		phys_write(&mem, entries[i], entry(entries[i], 8) | PTE_NX, 8);
		ck_assert_uint_eq(try(GVA4, ACC_USER | ACC_EXEC),
				  PF_NOT | PF_P | PF_U | PF_I);
		four_level(all, all);
		phys_write(&mem, entries[i], 0, 8);
		ck_assert_uint_eq(walk(GVA4), PF_NOT);
		ck_assert_uint_eq(w.depth, i + 1);
		/* Software may use 62:52, not 51:40. */
		four_level(all, all);
		phys_write(&mem, entries[i], entry(entries[i], 8) | 0x7ffull << 52, 8);
		ck_assert_uint_eq(walk(GVA4), 0);
		phys_write(&mem, entries[i], entry(entries[i], 8) | 1ull << 45, 8);
		ck_assert_uint_eq(walk(GVA4), PF_NOT | PF_P | PF_RSVD);
	}
}
END_TEST

START_TEST(four_level_big)
{
	four_level(PTE_P, PTE_P);
	pte64(0x3000, 3, 0x600000 | PTE_P | PTE_PS);
	ck_assert_uint_eq(walk(GVA4), 0);
	ck_assert_uint_eq(w.gpa, 0x603abc);
	ck_assert_uint_eq(w.page_shift, 21);
	pte64(0x2000, 2, 0x40000000 | PTE_P | PTE_PS);
	ck_assert_uint_eq(walk(GVA4), 0);
	ck_assert_uint_eq(w.gpa, 0x40603abc);
	ck_assert_uint_eq(w.page_shift, 30);
	pte64(0x2000, 2, 0x40000000 | 1 << 29 | PTE_P | PTE_PS);
	ck_assert_uint_eq(walk(GVA4), PF_NOT | PF_P | PF_RSVD);
	four_level(PTE_P, PTE_P);
	pte64(0x1000, 257, 0x2000 | PTE_P | PTE_PS);	/* no page is that big */
	ck_assert_uint_eq(walk(GVA4), PF_NOT | PF_P | PF_RSVD);
}
END_TEST

/* Tables outside of RAM read as ones: everything reserved, nothing breaks. */
START_TEST(tables_nowhere)
{
	two_level(PTE_P, PTE_P);
	cpu.cr3 = 0xfffff000;
	cpu.cr4 = CR4_PSE;
	ck_assert_uint_eq(walk(0xc0403abc), PF_NOT | PF_P | PF_RSVD);
	cpu.cr4 = CR4_PAE;
	ck_assert(!paging_load_pdpte(&mem, &cpu, 0xfffff000));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("paging");
	TCase *t = tcase_create("paging");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, no_paging);
	tcase_add_test(t, two_level_walk);
	tcase_add_test(t, not_present);
	tcase_add_test(t, big_pages);
	tcase_add_test(t, permissions);
	tcase_add_test(t, accessed_and_dirty);
	tcase_add_test(t, pae_walk);
	tcase_add_test(t, pae_reserved);
	tcase_add_test(t, pae_registers);
	tcase_add_test(t, four_level_walk);
	tcase_add_test(t, four_level_big);
	tcase_add_test(t, tables_nowhere);
	suite_add_tcase(s, t);
	return suite_run(s);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shadow under random guests, which edit their tables, switch and go astray: whenever user code
 * runs, what is mapped is what a walk allows, and no more.
 */
#include "tests/shadow_fixture.h"

#define TABLES	40	/* PT(0..39); the first 8 are roots */
#define NDATA	48

/* Entries that lie on the way to some area, in any mode. */
static unsigned random_index(void)
{
	static const uint16_t some[] = { 0, 1, 2, 3, 254, 255, 256, 510, 511, 767, 1023 };

	return rnd(4) ? some[rnd(ARRAY_LEN(some))] : rnd(24);
}

/* Mostly tables of level n point to tables of level n + 1 and the last ones to data. */
static uint64_t random_entry(enum paging_mode mode, unsigned table)
{
	static const uint8_t depths[] = { 1, 2, 3, 4 };
	unsigned depth = depths[mode], each = TABLES / depth, level = table / each;
	uint64_t e = USER | PTE_W;

	if (mode == PAGING_PAE && level == 0)	/* in registers: no permissions */
		return PTE_P | PT(each + rnd(each));
	switch (rnd(24)) {
	case 0: e |= (uint64_t)rnd(4) << 22 | PTE_PS; break;
	case 1: e |= (uint64_t)rnd(8) << 21 | PTE_PS; break;
	case 2: case 3: e |= DATA(rnd(NDATA)); break;
	case 4: e |= rnd(2) ? 0xa0000 : RAM_SIZE; break;
	case 5: e |= PT(rnd(TABLES)); break;
	default: e |= level + 1 < depth ? PT((level + 1) * each + rnd(each)) : DATA(rnd(NDATA));
	}
	e |= rnd(3) ? PTE_D : 0;
	if (!rnd(12))
		e &= ~(uint64_t)(1u << rnd(12));
	if (!rnd(12))
		e &= ~(uint64_t)PTE_A;
	if (mode != PAGING_32 && !rnd(8))
		e |= PTE_NX;
	return rnd(10) ? e : 0;
}

static void random_edit(enum paging_mode mode)
{
	unsigned n = 1 + rnd(6), i = random_index(), t = rnd(TABLES);
	gpa_t table = PT(t);

	if (!rnd(300)) {
		static const uint8_t zero[PAGE_SIZE];

		plant(table, (const char *)zero, PAGE_SIZE);
		return;
	}
	if (!rnd(40)) {
		cpu.cpl = 0;
		phys_write(&machine.mem, table + rnd(4096), rnd(256), 1);
		cpu.cpl = 3;
		return;
	}
	while (n--)
		put(table, i++ % (mode == PAGING_32 ? 1024 : 512), random_entry(mode, t));
}

static void random_plant(void)
{
	static const char *const bytes[] = { "\x0f\xa2", "\x8e\xe8", "\x66\x8e\xe0", "\x90\x90", "\x0f\x01\xf9" };
	const char *b = bytes[rnd(ARRAY_LEN(bytes))];
	gpa_t page = rnd(8) ? DATA(rnd(NDATA)) : PT(rnd(TABLES));

	if (rnd(3))
		plant(page + rnd(6) * 600, b, (unsigned)strlen(b));
	else
		plant(page, (const char [PAGE_SIZE]){ 0 }, PAGE_SIZE);
}

static gva_t random_gva(enum paging_mode mode)
{
	unsigned n = ARRAY_LEN(areas) - (mode != PAGING_4LEVEL);
	unsigned i = rnd(3) ? rnd(24) : rnd(1024);

	return areas[rnd(n)] + (gva_t)i * PAGE_SIZE + rnd(4000);
}

static void random_user(enum paging_mode mode)
{
	gva_t rip = random_gva(mode);
	struct touch a[3] = { { rip, ACC_EXEC }, { random_gva(mode), ACC_READ },
			       { random_gva(mode), ACC_WRITE } };
	unsigned first = rnd(3), n = 1 + rnd(3 - first);

	user_does(&a[first], n, rip);
}

static void random_step(enum paging_mode mode)
{
	switch (rnd(16)) {
	case 0:
		cpu_cr3(PT(rnd(8)));
		break;
	case 1:
		random_plant();
		break;
	case 2:
		memory_set_flags(&machine.mem, rnd(2) ? DATA(rnd(NDATA)) : PT(rnd(TABLES)), PG_CODE);
		break;
	case 3:
		mock.fail = !rnd(20);
		break;
	case 4: case 5: case 6: case 7:
		random_edit(mode);
		break;
	default:
		random_user(mode);
	}
}

static void random_guest(enum paging_mode mode, unsigned steps)
{
	struct shadow_counts c;

	cpu_mode(mode);
	for (unsigned i = 0; i < 4000; i++)
		random_edit(mode);
	cpu_cr3(PT(0));
	for (unsigned i = 0; i < steps; i++)
		random_step(mode);
	shadow_counts(shadow, &c);
	ck_assert_uint_gt(c.hidden_faults, steps / 50);
	ck_assert_uint_gt(c.roots, 8);
}

static const enum paging_mode modes[] = { PAGING_32, PAGING_PAE, PAGING_4LEVEL };

START_TEST(test_random)
{
	seed = (unsigned)_i + 1;
	random_guest(modes[_i % 3], 6000);
}
END_TEST

START_TEST(test_random_tight)
{
	seed = (unsigned)_i + 100;
	shadow->max_runs = mock.limit = 6 + rnd(40);
	random_guest(modes[_i % 3], 4000);
}
END_TEST

/* One guest that changes its paging mode, as a boot loader would. */
START_TEST(test_random_modes)
{
	seed = 1000;
	for (unsigned k = 0; k < 40; k++) {
		enum paging_mode mode = (enum paging_mode)rnd(4);

		cpu_mode(mode);
		for (unsigned i = 0; mode && i < 1000; i++)
			random_edit(mode);
		cpu_cr3(PT(rnd(8)));
		for (unsigned i = 0; i < 200; i++)
			if (mode || rnd(2))
				random_step(mode);
	}
}
END_TEST

static void set_up(void)
{
	machine_set_up(4);
}

int main(void)
{
	Suite *s = suite_create("random shadow");
	TCase *t = tcase_create("random");

	tcase_add_checked_fixture(t, set_up, machine_tear_down);
	tcase_add_loop_test(t, test_random, 0, 12);
	tcase_add_loop_test(t, test_random_tight, 0, 6);
	tcase_add_test(t, test_random_modes);
	tcase_set_timeout(t, 120);
	suite_add_tcase(s, t);
	return suite_run(s);
}

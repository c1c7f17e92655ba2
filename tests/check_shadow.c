/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shadow against the guest's own tables: whatever the guest does to them, what is
 * mapped when user code runs is what a walk allows then, and no more: what each optimisation
 * promises. Random guests are tests/check_shadow_random.c.
 */
#include "tests/shadow_fixture.h"

/* A two-level space: PT(n) is the directory, PT(n + 1) serves 0x400000-0x7fffff. */
static void two_level(unsigned n)
{
	cpu_mode(PAGING_32);
	put(PT(n), 1, PT(n + 1) | RW);
	cpu_cr3(PT(n));
}

#define AT(i)	(0x400000ull + (gva_t)(i) * PAGE_SIZE)

static void four_level(gva_t gva)
{
	cpu_mode(PAGING_4LEVEL);
	for (unsigned i = 0; i < 3; i++)
		put(PT(i), gva >> (39 - 9 * i) & 511, PT(i + 1) | RW);
	cpu_cr3(PT(0));
}

START_TEST(test_fed)
{
	struct shadow_counts c;

	two_level(0);
	put(PT(1), 0, DATA(0) | (RW & ~PTE_A));
	ck_assert_int_eq(user_access(AT(0), ACC_WRITE), SHADOW_RETRY);
	shadow_counts(shadow, &c);
	ck_assert_uint_eq(c.hidden_faults, 1);
	/* New, changed and removed entries need no fault. */
	for (unsigned i = 1; i < 200; i++)
		put(PT(1), i, DATA(i % 7) | RW);
	put(PT(1), 3, DATA(9) | USER);
	put(PT(1), 4, 0);
	ck_assert(allows(enter(), AT(199), ACC_WRITE));
	ck_assert(allows(enter(), AT(3), ACC_READ) && !allows(enter(), AT(3), ACC_WRITE));
	ck_assert(!allows(enter(), AT(4), ACC_READ));
	ck_assert_int_eq(user_access(AT(4), ACC_READ), SHADOW_GUEST);
	ck_assert_int_eq(user_access(AT(3), ACC_WRITE), SHADOW_GUEST);
	shadow_counts(shadow, &c);
	ck_assert_uint_eq(c.hidden_faults, 1);
	ck_assert_uint_eq(c.true_faults, 2);
	/* Not accessed, not dirty: those must fault. */
	put(PT(1), 5, DATA(5) | (RW & ~PTE_A));
	put(PT(1), 6, DATA(6) | (RW & ~PTE_D));
	ck_assert(!allows(enter(), AT(5), ACC_READ) && !allows(enter(), AT(6), ACC_WRITE));
	ck_assert_int_eq(user_access(AT(5), ACC_READ), SHADOW_RETRY);
	ck_assert_int_eq(user_access(AT(6), ACC_WRITE), SHADOW_RETRY);
	ck_assert_uint_eq(phys_read(&machine.mem, PT(1) + 20, 4), DATA(5) | RW);
	ck_assert_uint_eq(phys_read(&machine.mem, PT(1) + 24, 4), DATA(6) | RW);
}
END_TEST

/* The engine's page moves until it is where the guest maps nothing for user code; what
 * was mapped comes back. */
START_TEST(test_engine_moves)
{
	unsigned first = HOME >> PAGE_SHIFT & 511;
	struct shadow_counts c;
	int err = 0;

	mock.home = HOME;
	four_level(HOME);
	put(PT(3), first - 1, DATA(1) | RW);
	ck_assert_int_eq(user_access(HOME - PAGE_SIZE, ACC_WRITE), SHADOW_RETRY);
	ck_assert_uint_eq(mock.moves, 0);
	for (unsigned i = 0; i < 3; i++)
		put(PT(3), first + i, DATA(2 + i) | RW);
	put(PT(3), first + 3, DATA(6) | (RW & ~PTE_U));
	enter();
	ck_assert_uint_eq(mock.home, HOME + 3 * PAGE_SIZE);
	ck_assert_uint_eq(mock.clears, 1);
	for (int i = -1; i < 3; i++)
		ck_assert_int_eq(user_access(HOME + (gva_t)i * PAGE_SIZE, ACC_WRITE), SHADOW_RETRY);
	ck_assert(allows(enter(), HOME, ACC_WRITE));
	/* Nowhere to go: no direct execution until there is. */
	for (unsigned i = 0; i < 40; i++)
		put(PT(3), first + i, DATA(2) | RW);
	ck_assert_ptr_null(shadow_enter(shadow, &err));
	ck_assert_int_eq(err, 0);
	put(PT(3), (mock.home >> PAGE_SHIFT & 511) + 1, 0);
	enter();
	shadow_counts(shadow, &c);
	ck_assert_uint_eq(c.moves, mock.moves);
}
END_TEST

START_TEST(test_switch_is_free)
{
	unsigned applies;

	for (unsigned n = 0; n < 6; n += 2) {
		two_level(n);
		put(PT(n + 1), n, DATA(n) | RW);
		ck_assert_int_eq(user_access(AT(n), ACC_WRITE), SHADOW_RETRY);
	}
	applies = mock.applies + mock.clears;
	for (unsigned k = 0; k < 30; k++) {
		unsigned n = k % 3 * 2;

		cpu_cr3(PT(n));
		ck_assert(allows(enter(), AT(n), ACC_WRITE));
	}
	ck_assert_uint_eq(mock.applies + mock.clears, applies);
}
END_TEST

/* The data page of one space becomes a table of another, and data again. */
START_TEST(test_data_becomes_table)
{
	two_level(2);
	put(PT(3), 0, DATA(0) | RW);
	put(PT(3), 1, DATA(0) | RW);
	ck_assert_int_eq(user_access(AT(0), ACC_WRITE), SHADOW_RETRY);
	ck_assert_int_eq(user_access(AT(1), ACC_WRITE), SHADOW_RETRY);

	two_level(0);
	put(PT(0), 1, DATA(0) | RW);
	put(DATA(0), 8, DATA(8) | RW);
	ck_assert_int_eq(user_access(AT(8), ACC_WRITE), SHADOW_RETRY);
	ck_assert_uint_eq(memory_flags(&machine.mem, DATA(0)), PG_TABLE);

	cpu_cr3(PT(2));
	ck_assert(!allows(enter(), AT(0), ACC_WRITE) && !allows(enter(), AT(1), ACC_WRITE));
	ck_assert_int_eq(user_access(AT(0), ACC_WRITE), SHADOW_INTERPRET);

	/* Unhooked from the directory it is a page like any other. */
	put(PT(0), 1, 0);
	enter();
	ck_assert_uint_eq(memory_flags(&machine.mem, DATA(0)) & PG_TABLE, 0);
	ck_assert_int_eq(user_access(AT(0), ACC_WRITE), SHADOW_RETRY);
	cpu_cr3(PT(0));
	ck_assert(!allows(enter(), AT(8), ACC_READ));
}
END_TEST

/* A process ends: its pages are unmapped, and its tables are the next one's data. */
START_TEST(test_end_of_process)
{
	two_level(2);
	two_level(0);
	for (unsigned i = 0; i < 32; i++)
		put(PT(1), i, DATA(i) | RW);
	ck_assert_int_eq(user_access(AT(0), ACC_WRITE), SHADOW_RETRY);
	for (unsigned i = 0; i < 32; i++)
		put(PT(1), i, 0);
	cpu_cr3(PT(2));
	put(PT(3), 0, PT(0) | RW);
	put(PT(3), 1, PT(1) | RW);
	ck_assert_int_eq(user_access(AT(0), ACC_WRITE), SHADOW_RETRY);
	ck_assert(allows(enter(), AT(1), ACC_WRITE));
	ck_assert_uint_eq(memory_flags(&machine.mem, PT(0)) | memory_flags(&machine.mem, PT(1)), 0);
}
END_TEST

START_TEST(test_ring_spills)
{
	for (unsigned n = 0; n < 6; n += 2) {
		two_level(n);
		for (unsigned i = 0; i < 64; i++)
			put(PT(n + 1), i, DATA(i) | RW);
		ck_assert_int_eq(user_access(AT(0), ACC_WRITE), SHADOW_RETRY);
		ck_assert_int_eq(user_access(AT(40), ACC_WRITE), SHADOW_RETRY);
	}
	for (unsigned i = 0; i < 3 * RING_SIZE; i++)
		put(PT(1 + 2 * rnd(2)), 64 + i % 900, rnd(4) ? 0 : DATA(rnd(32)) | RW);
	put(PT(1), 40, DATA(41) | RW);
	put(PT(3), 40, DATA(42) | USER);
	for (unsigned i = 0; i < 2 * RING_SIZE; i++)
		put(PT(3), 64 + i % 900, 0);
	cpu_cr3(PT(0));
	enter();
	cpu_cr3(PT(2));
	ck_assert(!allows(enter(), AT(40), ACC_WRITE));
	cpu_cr3(PT(4));		/* nothing happened there, and nothing was lost */
	mock.applies = mock.clears = 0;
	ck_assert(allows(enter(), AT(40), ACC_WRITE));
	ck_assert_uint_eq(mock.applies + mock.clears, 0);
}
END_TEST

START_TEST(test_no_room)
{
	struct touch a[3] = { { AT(0), ACC_EXEC }, { AT(33), ACC_READ }, { AT(77), ACC_WRITE } };
	struct shadow_counts c;

	two_level(0);
	for (unsigned i = 0; i < 1024; i += 2)		/* no two pages join */
		put(PT(1), i, DATA(i % 13) | RW);
	for (unsigned i = 1; i < 1024; i += 2)
		put(PT(1), i, DATA(20 + i % 13) | RW);
	/* The host refuses now and then. */
	for (unsigned i = 0; i < 200; i++) {
		mock.fail = !rnd(3);
		ck_assert_int_eq(user_access(AT(rnd(1024)), rnd(2) ? ACC_READ : ACC_WRITE), SHADOW_RETRY);
	}
	/* It always refuses: the interpreter has to do it. */
	shadow_flush(shadow);
	mock.fail = ~0u;
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(user_does(a, 3, AT(0)), SHADOW_INTERPRET);
	mock.fail = 0;
	ck_assert_int_eq(user_does(a, 3, AT(0)), SHADOW_RETRY);
	/* It has room for a few: never asked for more. */
	shadow_flush(shadow);
	shadow->max_runs = mock.limit = 24;
	for (unsigned i = 0; i < 500; i++)
		ck_assert_int_eq(user_access(AT(rnd(1024)), rnd(2) ? ACC_READ : ACC_WRITE), SHADOW_RETRY);
	shadow_counts(shadow, &c);
	ck_assert_uint_gt(c.evictions, 10);
	/* For too few to make an instruction. */
	shadow_flush(shadow);
	shadow->max_runs = mock.limit = 2;
	ck_assert_int_eq(user_does(a, 3, AT(0)), SHADOW_INTERPRET);
}
END_TEST

START_TEST(test_host_failure)
{
	int err = 0;

	two_level(0);
	put(PT(1), 0, DATA(0) | (RW & ~PTE_A));
	enter();
	mock.other = -ESRCH;
	ck_assert_int_eq(shadow_fault(shadow, AT(0), 0x10, &err), SHADOW_HOST);
	ck_assert_int_eq(err, -ESRCH);
	mock.other = 0;
	ck_assert_int_eq(user_access(AT(0), ACC_WRITE), SHADOW_RETRY);
}
END_TEST

START_TEST(test_write_or_execute)
{
	two_level(0);
	put(PT(1), 0, DATA(0) | RW);
	put(PT(1), 64, DATA(0) | RW);
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_int_eq(user_access(AT(0), ACC_EXEC), SHADOW_RETRY);
		ck_assert(!allows(enter(), AT(64), ACC_WRITE));
		ck_assert_int_eq(user_access(AT(64), ACC_WRITE), SHADOW_RETRY);
		ck_assert(!allows(enter(), AT(0), ACC_EXEC));
	}
	for (unsigned i = 0; i < 20; i++) {	/* enough is enough */
		user_access(AT(0), ACC_EXEC);
		user_access(AT(64), ACC_WRITE);
	}
	ck_assert_int_eq(user_access(AT(0), ACC_EXEC), SHADOW_INTERPRET);
	cpu.cpl = 0;
	phys_write(&machine.mem, DATA(0), 0x90, 1);	/* PG_CODE is set: the kernel is seen */
	cpu.cpl = 3;
	ck_assert_int_eq(user_access(AT(0), ACC_EXEC), SHADOW_RETRY);
}
END_TEST

static bool guarded(const struct space *sp, gva_t gva)
{
	for (unsigned i = 0; i < sp->nguards; i++)
		if (sp->guard[i] == gva)
			return true;
	return false;
}

/* The code changes while another space has it executable. */
START_TEST(test_guards_follow_content)
{
	for (unsigned n = 0; n < 4; n += 2) {
		two_level(n);
		put(PT(n + 1), 0, DATA(0) | USER);
	}
	plant(DATA(0) + 0x100, "\x0f\xa2", 2);
	cpu_cr3(PT(0));
	ck_assert_int_eq(user_access(AT(0), ACC_EXEC), SHADOW_RETRY);
	ck_assert(guarded(enter(), AT(0) + 0x100));
	cpu_cr3(PT(2));
	ck_assert_int_eq(user_access(AT(0), ACC_EXEC), SHADOW_RETRY);
	plant(DATA(0) + 0x100, "\x90\x90", 2);
	plant(DATA(0) + 0x200, "\x0f\xa2", 2);
	ck_assert(!allows(enter(), AT(0), ACC_EXEC));
	ck_assert_int_eq(user_access(AT(0), ACC_EXEC), SHADOW_RETRY);
	cpu_cr3(PT(0));
	ck_assert_int_eq(user_access(AT(0), ACC_EXEC), SHADOW_RETRY);
	ck_assert(guarded(enter(), AT(0) + 0x200) && !guarded(enter(), AT(0) + 0x100));
}
END_TEST

/* What traps by itself takes no breakpoint, nor keeps neighbours from running. */
START_TEST(test_guards_only_where_needed)
{
	struct shadow *asked = shadow;
	struct sink sink = asked->sides[0].sink;

	two_level(0);
	for (unsigned i = 0; i < 2; i++)
		put(PT(1), i, DATA(i) | USER);
	for (unsigned k = 0; k < 5; k++)
		plant(DATA(0) + 0x100 + k * 64, "\x0f\xa2", 2);
	plant(DATA(0) + 0x800, "\x0f\x01\xf9", 3);	/* RDTSCP */
	plant(DATA(0) + 0xfff, "\x0f\xa2", 2);
	mock_needs = 0;
	ck_assert_int_eq(shadow_create(&shadow, &machine, &sink, 4), 0);
	ck_assert_int_eq(user_access(AT(0), ACC_EXEC), SHADOW_RETRY);
	ck_assert_int_eq(user_access(AT(1), ACC_EXEC), SHADOW_RETRY);
	ck_assert(allows(enter(), AT(0), ACC_EXEC) && allows(enter(), AT(1), ACC_EXEC));
	ck_assert_uint_eq(enter()->nguards, 1);
	ck_assert(guarded(enter(), AT(0) + 0x800));
	shadow_destroy(shadow);
	shadow = asked;
	mock_needs = SINK_GUARD_SYSCALL | SINK_GUARD_SYSENTER | SINK_GUARD_CPUID;
}
END_TEST

/* Two engines: address spaces of their own, page states in common. */
START_TEST(test_two_engines)
{
	struct space *first, *second;
	unsigned side;

	two_level(0);
	put(PT(1), 0, DATA(0) | RW);
	put(PT(1), 1, DATA(1) | RW);
	side = shadow_add_sink(shadow, &shadow->sides[0].sink);
	ck_assert_int_eq(user_access(AT(0), ACC_WRITE), SHADOW_RETRY);
	first = enter();
	shadow_choose(shadow, side);
	second = enter();
	ck_assert(second != first && allows(second, AT(0), ACC_READ));	/* as it was used already */
	ck_assert_int_eq(user_access(AT(0), ACC_WRITE), SHADOW_RETRY);
	ck_assert(allows(enter(), AT(0), ACC_WRITE) && allows(first, AT(0), ACC_WRITE));
	/* Code that the second may run the first may not write. */
	ck_assert_int_eq(user_access(AT(0), ACC_EXEC), SHADOW_RETRY);
	ck_assert(allows(enter(), AT(0), ACC_EXEC));
	shadow_choose(shadow, 0);
	ck_assert(enter() == first && !allows(first, AT(0), ACC_WRITE));
	ck_assert_int_eq(user_access(AT(0), ACC_WRITE), SHADOW_RETRY);
	shadow_choose(shadow, side);
	ck_assert(enter() == second && !allows(second, AT(0), ACC_EXEC));
	/* An entry that goes, goes from both. */
	put(PT(1), 0, 0);
	ck_assert(!allows(enter(), AT(0), ACC_READ));
	shadow_choose(shadow, 0);
	ck_assert(!allows(enter(), AT(0), ACC_READ));
	/* One fails: the other has all it had. */
	ck_assert_int_eq(user_access(AT(1), ACC_WRITE), SHADOW_RETRY);
	shadow_drop_spaces(shadow, side);
	ck_assert(!second->live && enter() == first && allows(first, AT(1), ACC_WRITE));
}
END_TEST

START_TEST(test_guards_are_few)
{
	struct touch both[2] = { { AT(0) + 0xffe, ACC_EXEC }, { AT(1), ACC_EXEC } };
	struct shadow_counts c;

	two_level(0);
	for (unsigned i = 0; i < 3; i++) {
		put(PT(1), i, DATA(i) | USER);
		for (unsigned k = 0; k < 3 + i; k++)
			plant(DATA(i) + 0x100 + k * 64, "\x0f\xa2", 2);
		ck_assert_int_eq(user_access(AT(i), ACC_EXEC), i < 2 ? SHADOW_RETRY : SHADOW_INTERPRET);
	}
	ck_assert(!allows(enter(), AT(0), ACC_EXEC));	/* page 1 needed all four */
	shadow_counts(shadow, &c);
	ck_assert_uint_eq(c.guard_evictions, 1);
	/* An instruction across the two can never run. */
	ck_assert_int_eq(user_does(both, 2, both[0].gva), SHADOW_INTERPRET);
}
END_TEST

START_TEST(test_recursive_directory)
{
	two_level(0);
	put(PT(0), 0x3fc / 4, PT(0) | RW);	/* tables at 0x3fc00000 */
	put(PT(1), 5, DATA(0) | RW);
	ck_assert_int_eq(user_access(AT(5), ACC_WRITE), SHADOW_RETRY);
	ck_assert_int_eq(user_access(0x3fc01000, ACC_READ), SHADOW_RETRY);
	ck_assert_int_eq(user_access(0x3fc01000, ACC_WRITE), SHADOW_INTERPRET);
	/* Another table there, which nothing was read from yet. */
	put(PT(0), 1, PT(2) | RW);
	ck_assert_int_eq(user_access(0x3fc01000, ACC_WRITE), SHADOW_RETRY);
	ck_assert(!allows(enter(), AT(5), ACC_READ));
	ck_assert_int_eq(user_access(AT(5), ACC_READ), SHADOW_GUEST);
	put(PT(2), 5, DATA(1) | RW);
	ck_assert_int_eq(user_access(AT(5), ACC_READ), SHADOW_RETRY);
	ck_assert(!allows(enter(), 0x3fc01000, ACC_WRITE));
}
END_TEST

START_TEST(test_many_uses)
{
	cpu_mode(PAGING_4LEVEL);
	cpu_cr3(PT(0));
	put(PT(0), 0, PT(1) | RW);
	for (unsigned i = 0; i < 512; i++) {		/* one table everywhere */
		put(PT(1), i, PT(2) | RW);
		put(PT(2), i, PT(3) | RW);
		put(PT(3), i, DATA(i & 7) | RW);
	}
	for (unsigned i = 0; i < 300; i++) {
		put(PT(3), rnd(512), rnd(4) ? DATA(rnd(8)) | RW : 0);
		user_access(index_page(rnd(NPAGES - AREA_PAGES)) | 1, rnd(2) ? ACC_READ : ACC_WRITE);
	}
	shadow->nuses += USES_MAX;		/* as if */
	enter();
	shadow->nuses -= USES_MAX;
	for (unsigned i = 0; i < 100; i++)
		user_access(index_page(rnd(NPAGES - AREA_PAGES)), ACC_READ);
}
END_TEST

static void set_up(void)
{
	machine_set_up(4);
}

int main(void)
{
	Suite *s = suite_create("shadow");
	TCase *t = tcase_create("promises");

	tcase_add_checked_fixture(t, set_up, machine_tear_down);
	tcase_add_test(t, test_fed);
	tcase_add_test(t, test_two_engines);
	tcase_add_test(t, test_engine_moves);
	tcase_add_test(t, test_switch_is_free);
	tcase_add_test(t, test_data_becomes_table);
	tcase_add_test(t, test_end_of_process);
	tcase_add_test(t, test_ring_spills);
	tcase_add_test(t, test_no_room);
	tcase_add_test(t, test_host_failure);
	tcase_add_test(t, test_write_or_execute);
	tcase_add_test(t, test_guards_follow_content);
	tcase_add_test(t, test_guards_only_where_needed);
	tcase_add_test(t, test_guards_are_few);
	tcase_add_test(t, test_recursive_directory);
	tcase_add_test(t, test_many_uses);
	suite_add_tcase(s, t);
	return suite_run(s);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shadow against the guest's own tables: whatever the guest does to them, what is
 * mapped when user code runs is what a walk allows then, and no more. First what each
 * optimisation promises, then random guests.
 */
#include "tests/shadow_fixture.h"

#define PT(i)		(0x10000ull + (gpa_t)(i) * PAGE_SIZE)
#define DATA(i)		(0x40000ull + (gpa_t)(i) * PAGE_SIZE)
#define USER		(PTE_P | PTE_U | PTE_A)
#define RW		(USER | PTE_W | PTE_D)

static void put(gpa_t table, unsigned i, uint64_t value)
{
	unsigned size = paging_mode(&cpu) == PAGING_32 ? 4 : 8;

	cpu.cpl = 0;
	phys_write(&machine.mem, table + i * size, value, size);
	cpu.cpl = 3;
}

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

/* --- What is promised --------------------------------------------------------------- */

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

static void plant(gpa_t gpa, const char *bytes, unsigned n)
{
	cpu.cpl = 0;
	ck_assert(phys_write_bulk(&machine.mem, gpa, bytes, n));
	cpu.cpl = 3;
}

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

/* --- Random guests ---------------------------------------------------------------------- */

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

	t = tcase_create("random");
	tcase_add_checked_fixture(t, set_up, machine_tear_down);
	tcase_add_loop_test(t, test_random, 0, 12);
	tcase_add_loop_test(t, test_random_tight, 0, 6);
	tcase_add_test(t, test_random_modes);
	tcase_set_timeout(t, 120);
	suite_add_tcase(s, t);
	return suite_run(s);
}

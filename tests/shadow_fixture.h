/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the shadow needs around it: a few megabytes of memory, a vCPU by hand, an engine
 * that remembers what it was told, and a listener that plays the interpreter's part.
 *
 * The pages that tests use lie in a handful of areas, so that a space is an array; behind
 * them are pages elsewhere, which random tables map too.
 */
#ifndef TESTS_SHADOW_FIXTURE_H
#define TESTS_SHADOW_FIXTURE_H

#include <errno.h>
#include <string.h>

#include "shadow/internal.h"
#include "tests/suite.h"

#define RAM_SIZE	(8ull << 20)
#define FLOOR		0x4000ull
#define CEILING		0x7ffffffff000ull
#define HOME		0x7fffffc10000ull	/* the mock engine's page at first */
#define AREA_PAGES	1024u
#define MAX_SPACES	16

static const gva_t areas[] = { 0, 0x00400000, 0x3fc00000, 0x40000000, 0xbfc00000, 0x7fffffc00000 };
#define NPAGES		(ARRAY_LEN(areas) * AREA_PAGES)
#define OTHERS		8192u
#define ALL_PAGES	(NPAGES + OTHERS)

struct space {
	bool live;
	int64_t off[ALL_PAGES];
	uint8_t prot[ALL_PAGES];
	gva_t guard[GUARDS];
	unsigned nguards;
};

static struct machine machine;
static struct cpu cpu;
static struct shadow *shadow;
static struct space spaces[MAX_SPACES];
static struct mock {
	unsigned creates, clears, applies, ops, fail;	/* fail: so many applies, -ENOMEM */
	unsigned limit;					/* runs a space can hold; 0: any number */
	gva_t home;					/* 0: the engine has no page of its own */
	unsigned moves;
	int other;					/* any other -errno */
} mock;
static uint64_t seed;
static gva_t others[OTHERS];
static unsigned nothers;

static inline uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % n;
}

static bool other_used(unsigned i)
{
	for (unsigned k = 0; k < MAX_SPACES; k++)
		if (spaces[k].live && spaces[k].prot[NPAGES + i])
			return true;
	return false;
}

static inline unsigned page_index(gva_t gva)
{
	static unsigned last;

	for (unsigned i = 0; i < ARRAY_LEN(areas); i++)
		if (gva - areas[i] < AREA_PAGES * PAGE_SIZE)
			return i * AREA_PAGES + (unsigned)((gva - areas[i]) >> PAGE_SHIFT);
	for (unsigned i = 0; i < nothers; i++)
		if (others[i] == gva)
			return NPAGES + i;
	if (nothers < OTHERS) {
		others[nothers] = gva;
		return NPAGES + nothers++;
	}
	for (unsigned i = 0; i < OTHERS; i++) {
		last = (last + 1) % OTHERS;
		if (!other_used(last)) {
			others[last] = gva;
			return NPAGES + last;
		}
	}
	ck_abort_msg("too many pages");
}

static inline gva_t index_page(unsigned i)
{
	if (i >= NPAGES)
		return others[i - NPAGES];
	return areas[i / AREA_PAGES] + (gva_t)(i % AREA_PAGES) * PAGE_SIZE;
}

static inline unsigned space_runs(const struct space *sp)
{
	unsigned n = 0;

	for (unsigned i = 0; i < NPAGES; i++)	/* tests of limits use no others */
		n += sp->prot[i] && !(i && index_page(i - 1) + PAGE_SIZE == index_page(i) &&
				      sp->prot[i - 1] == sp->prot[i] &&
				      sp->off[i - 1] + (int64_t)PAGE_SIZE == sp->off[i]);
	return n;
}

/* --- The engine ------------------------------------------------------------------ */

static struct space *mock_create(void *engine, int *err)
{
	(void)engine;
	*err = 0;
	mock.creates++;
	for (unsigned i = 0; i < MAX_SPACES; i++)
		if (!spaces[i].live) {
			spaces[i] = (struct space){ .live = true };
			return &spaces[i];
		}
	*err = -EAGAIN;
	return NULL;
}

static void mock_destroy(void *engine, struct space *sp)
{
	(void)engine;
	sp->live = false;
}

static int mock_clear(void *engine, struct space *sp)
{
	(void)engine;
	mock.clears++;
	*sp = (struct space){ .live = true };
	return 0;
}

static int mock_apply(void *engine, struct space *sp, const struct sink_op *ops, size_t n)
{
	(void)engine;
	mock.applies++;
	mock.ops += (unsigned)n;
	if (mock.other)
		return mock.other;
	for (size_t k = 0; k < n; k++) {
		if (mock.fail && k == n / 2) {	/* halfway: what is left is anybody's guess */
			mock.fail--;
			return -ENOMEM;
		}
		for (uint64_t p = 0; p < ops[k].pages; p++) {
			unsigned i = page_index(ops[k].gva + (p << PAGE_SHIFT));

			sp->prot[i] = ops[k].prot;
			sp->off[i] = ops[k].offset + (int64_t)(p << PAGE_SHIFT);
		}
		if (mock.limit)
			ck_assert_uint_le(space_runs(sp), mock.limit);
	}
	return 0;
}

static int mock_guard(void *engine, struct space *sp, const gva_t *at, unsigned n)
{
	(void)engine;
	ck_assert_uint_le(n, GUARDS);
	for (unsigned i = 0; i < n; i++)
		sp->guard[i] = at[i];
	sp->nguards = n;
	return 0;
}

static gva_t mock_floor(void *engine)
{
	(void)engine;
	return FLOOR;
}

static gva_t mock_home(void *engine, const struct space *sp, uint64_t *size)
{
	(void)engine;
	(void)sp;
	*size = mock.home ? PAGE_SIZE : 0;
	return mock.home;
}

static void mock_move(void *engine, struct space *sp)
{
	(void)engine;
	(void)sp;
	mock.moves++;
	mock.home += PAGE_SIZE;
}

static gva_t mock_ceiling(void *engine)
{
	(void)engine;
	return CEILING;
}

static unsigned mock_needs = SINK_GUARD_SYSCALL | SINK_GUARD_SYSENTER | SINK_GUARD_CPUID;

static unsigned mock_needs_guard(void *engine)
{
	(void)engine;
	return mock_needs;
}

/* --- The interpreter's part -------------------------------------------------------- */

static void code_stored(void *self, gpa_t gpa, unsigned len, unsigned flags)
{
	(void)self;
	if ((flags & PG_CODE) && (len == PAGE_SIZE || !rnd(2)))
		memory_clear_flags(&machine.mem, gpa, PG_CODE);
}

/* --- The machine --------------------------------------------------------------------- */

static inline void machine_set_up(unsigned max_roots)
{
	static const struct sink sink = {
		mock_create, mock_destroy, mock_clear, mock_apply, mock_guard, mock_floor,
		mock_ceiling, mock_home, mock_move, mock_needs_guard, NULL };

	memset(&machine, 0, sizeof(machine));
	memset(&cpu, 0, sizeof(cpu));
	memset(&mock, 0, sizeof(mock));
	memset(spaces, 0, sizeof(spaces));
	nothers = 0;
	machine.cpu = &cpu;
	seed = 1;
	ck_assert_int_eq(memory_create(&machine.mem, RAM_SIZE), 0);
	memory_add_listener(&machine.mem, &(struct memory_listener){ .stored = code_stored });
	ck_assert_int_eq(shadow_create(&shadow, &machine, &sink, max_roots), 0);
}

static inline void machine_tear_down(void)
{
	shadow_destroy(shadow);
	for (unsigned i = 0; i < MAX_SPACES; i++)
		ck_assert(!spaces[i].live);
	memory_destroy(&machine.mem);
}

static inline void cpu_mode(enum paging_mode mode)
{
	cpu.cr0 = CR0_PE | CR0_WP | (mode == PAGING_NONE ? 0 : CR0_PG);
	cpu.cr4 = mode == PAGING_32 ? CR4_PSE : CR4_PAE;
	cpu.efer = (mode == PAGING_32 ? 0 : EFER_NXE) | (mode == PAGING_4LEVEL ? EFER_LMA : 0);
	cpu.cpl = 3;
}

static inline void cpu_cr3(gpa_t table)
{
	if (paging_mode(&cpu) == PAGING_PAE && !paging_load_pdpte(&machine.mem, &cpu, table))
		return;
	cpu.cr3 = table;
}

/* --- What must hold when user code is about to run -------------------------------------- */

/* Check's own assertions write a message each time. */
#define MUST(cond)	do { \
		if (!(cond)) \
			ck_abort_msg("at %#llx: %s", (unsigned long long)gva, #cond); \
	} while (0)

static inline void check_guards(const struct space *sp, gva_t gva, const uint8_t *page)
{
	struct scan_how how = shadow->scan;
	struct scan now;

	if (cpu.efer & EFER_LMA)
		how.classes |= SCAN_REX;
	scan_page(page, &how, &now);
	MUST(now.hard <= SCAN_MAX);
	for (unsigned i = 0; i < now.hard; i++) {
		bool guarded = false;

		for (unsigned k = 0; k < sp->nguards; k++)
			guarded |= sp->guard[k] == gva + now.at[i];
		MUST(guarded);
	}
}

static inline void check_space(const struct space *sp)
{
	for (unsigned i = 0; i < NPAGES + nothers; i++) {
		gva_t gva = index_page(i);
		unsigned prot = sp->prot[i], flags;
		struct walk w;

		if (!prot)
			continue;
		MUST(!paging_walk(&machine.mem, &cpu, gva, &w) && w.user);
		MUST(memory_offset(&machine.mem, w.gpa) == sp->off[i]);
		for (unsigned k = paging_mode(&cpu) == PAGING_PAE; k < w.depth; k++)
			MUST(w.value[k] & PTE_A);
		MUST(prot & SINK_R);
		MUST(gva >= FLOOR && gva < CEILING);
		flags = memory_flags(&machine.mem, w.gpa);
		if (prot & SINK_W)
			MUST(w.write && w.dirty && !flags && !(prot & SINK_X));
		if (prot & SINK_X) {
			MUST(w.exec && (flags & PG_EXEC));
			check_guards(sp, gva, memory_hva(&machine.mem, w.gpa));
			if (i < NPAGES && i % AREA_PAGES && (sp->prot[i - 1] & SINK_X))
				MUST(!scan_joint(machine.mem.ram + sp->off[i - 1],
						 machine.mem.ram + sp->off[i], &shadow->scan));
		}
	}
}

static inline struct space *enter(void)
{
	int err = 0;
	struct space *sp = shadow_enter(shadow, &err);

	ck_assert_int_eq(err, 0);
	ck_assert_ptr_nonnull(sp);
	check_space(sp);
	return sp;
}

static inline bool allows(const struct space *sp, gva_t gva, unsigned access)
{
	unsigned prot = sp->prot[page_index(gva)];

	return access == ACC_WRITE ? prot & SINK_W : access == ACC_EXEC ? prot & SINK_X : prot;
}

/* --- A user ------------------------------------------------------------------------------ */

#define RETRIES_MAX	64

struct touch { gva_t gva; unsigned how; };

/* The interpreter does the access, or raises the fault. */
static inline void interpret(const struct touch *a)
{
	struct walk w;

	if (paging_access(&machine.mem, &cpu, a->gva, a->how | ACC_USER, &w))
		return;
	if (a->how == ACC_WRITE)
		phys_write(&machine.mem, w.gpa, rnd(256), 1);
	if (a->how == ACC_EXEC)
		memory_set_flags(&machine.mem, w.gpa, PG_CODE);
}

/* One instruction: it makes all its accesses in one go or none. The last answer. */
static inline enum shadow_answer user_does(const struct touch *a, unsigned n, gva_t rip)
{
	for (unsigned tries = 0; tries < RETRIES_MAX; tries++) {
		struct space *sp = enter();
		enum shadow_answer answer;
		unsigned i = 0;
		struct walk w;
		int err = 0;

		while (i < n && allows(sp, a[i].gva, a[i].how))
			i++;
		if (i == n) {
			for (i = 0; i < n; i++)
				if (a[i].how == ACC_WRITE) {	/* nobody is told of it */
					unsigned k = page_index(a[i].gva);

					machine.mem.ram[sp->off[k] + (a[i].gva & 0xfff)] ^= 1;
				}
			return SHADOW_RETRY;
		}
		answer = shadow_fault(shadow, a[i].gva, rip, &err);
		ck_assert_int_eq(err, 0);
		ck_assert_int_ne(answer, SHADOW_HOST);
		if (answer == SHADOW_RETRY)
			continue;
		if (answer == SHADOW_GUEST)
			ck_assert(paging_walk(&machine.mem, &cpu, a[i].gva, &w) || !w.user ||
				  (a[i].how == ACC_WRITE && !w.write) ||
				  (a[i].how == ACC_EXEC && !w.exec));
		for (i = 0; i < n; i++)
			interpret(&a[i]);
		return answer;
	}
	ck_abort_msg("rip %#llx makes no progress", (unsigned long long)rip);
}

static inline enum shadow_answer user_access(gva_t gva, unsigned how)
{
	struct touch a = { gva, how };
	static gva_t rip = 0x10;

	return user_does(&a, 1, how == ACC_EXEC ? gva : (rip ^= 0x20));
}

/* --- What the guest stores: entries of its tables, and code -------------------------- */

#define PT(i)		(0x10000ull + (gpa_t)(i) * PAGE_SIZE)
#define DATA(i)		(0x40000ull + (gpa_t)(i) * PAGE_SIZE)
#define USER		(PTE_P | PTE_U | PTE_A)
#define RW		(USER | PTE_W | PTE_D)

static inline void put(gpa_t table, unsigned i, uint64_t value)
{
	unsigned size = paging_mode(&cpu) == PAGING_32 ? 4 : 8;

	cpu.cpl = 0;
	phys_write(&machine.mem, table + i * size, value, size);
	cpu.cpl = 3;
}

static inline void plant(gpa_t gpa, const char *bytes, unsigned n)
{
	cpu.cpl = 0;
	ck_assert(phys_write_bulk(&machine.mem, gpa, bytes, n));
	cpu.cpl = 3;
}

#endif

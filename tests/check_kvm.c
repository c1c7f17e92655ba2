/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The KVM engine by itself, kicked at random moments: user code runs in the address space that it
 * was given, whatever became of the attempt before. And states that the shim's IRETQ could not
 * enter are refused, not tried. Skipped where there is no such KVM.
 */
#include <check.h>
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "direct/direct.h"
#include "tests/suite.h"

#define PML4		0x1000u		/* the guest's own tables: one page of 2 MiB */
#define GDT		0x4000u
#define CODE		0x10000u
#define DATA		0x20000u
#define SPACES		3u
#define SECONDS		2

static struct machine m;
static struct cpu c;
static void *engine;
static struct space *spaces[SPACES];
static unsigned long kicks;
static bool must_kick;

static void host_cpuid(void *self, uint32_t leaf, uint32_t sub, uint32_t r[static 4])
{
	(void)self;
	__cpuid_count(leaf, sub, r[0], r[1], r[2], r[3]);
	if (leaf == 0)
		r[0] = 1;
	if (leaf == 0x80000000u && r[0] > 0x80000008u)
		r[0] = 0x80000008u;
}

static void put64(gpa_t at, uint64_t x)
{
	memcpy(m.mem.ram + at, &x, 8);
}

static void guest_make(void)
{
	put64(PML4, (PML4 + 0x1000) | 7);
	put64(PML4 + 0x1000, (PML4 + 0x2000) | 7);
	put64(PML4 + 0x2000, 0xe7);
	put64(GDT + 0x28, 0x00cff3000000ffffull);
	put64(GDT + 0x30, 0x00affb000000ffffull);
	memcpy(m.mem.ram + CODE, "\x8b\x04\x25\x00\x00\x02\x00\x0f\x0b", 9);	/* MOV EAX, [DATA]; UD2 */
}

static void user_make(void)
{
	static const struct segment data = { .sel = 0x2b, .attr = 0xc0f3, .limit = 0xffffffff };

	cpu_reset(&c);
	c.msr_apic_base |= APIC_BASE_ENABLE;	/* as the host's CPUID says */
	memset(c.gpr, 0, sizeof(c.gpr));
	c.cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP | CR0_MP;
	c.cr3 = PML4;
	c.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	c.efer = EFER_LME | EFER_LMA | EFER_NXE;
	c.cpl = 3;
	c.rip = CODE;
	cpu_set_eflags(&c, FL_IF | FL_1);
	for (unsigned s = 0; s <= SEG_GS; s++)
		c.seg[s] = s == SEG_FS || s == SEG_GS ? (struct segment){ 0 } : data;
	c.seg[SEG_CS] = (struct segment){ .sel = 0x33, .attr = 0xa0fb, .limit = 0xffffffff };
	c.gdtr = (struct dtable){ .base = GDT, .limit = 0x37 };
	c.gpr[RSP] = DATA + 0x800;
	c.fpu.cw = 0x37f;
	c.fpu.mxcsr = 0x1f80;
}

static void on_timer(int sig)
{
	(void)sig;
	if (must_kick)
		direct_kvm.kick(engine);
}

/* One attempt; false: kicked before its end. */
static bool attempt(unsigned i)
{
	struct direct_exit x;

	ck_assert_ptr_null(direct_kvm.refuses(engine, &c));
	direct_kvm.run(engine, spaces[i], &c, &x);
	if (x.kind == DEXIT_KICK) {
		kicks++;
		return false;
	}
	ck_assert_int_eq(x.kind, DEXIT_TRAP);
	ck_assert_uint_eq(c.rip, CODE + 7);
	ck_assert_uint_eq(c.gpr[RAX], 0x1000 + i);
	return true;
}

/* What a run takes here, undisturbed. */
static long run_ns(void)
{
	struct timespec a, b;
	long least = 1000000000;

	for (unsigned i = 0; i < 20; i++) {
		user_make();
		clock_gettime(CLOCK_MONOTONIC, &a);
		attempt(i % SPACES);
		clock_gettime(CLOCK_MONOTONIC, &b);
		long ns = (b.tv_sec - a.tv_sec) * 1000000000l + b.tv_nsec - a.tv_nsec;

		least = ns < least ? ns : least;
	}
	return least;
}

START_TEST(kicked)
{
	const long usual = run_ns();
	struct sigaction sa = { .sa_handler = on_timer };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	unsigned done = 0, at = 0;
	uint32_t seed = 1;
	timer_t timer;
	time_t end;

	sigaction(SIGALRM, &sa, NULL);
	ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &ev, &timer), 0);
	must_kick = true;
	for (end = time(NULL) + SECONDS; time(NULL) < end;) {
		struct itimerspec it = { 0 };

		seed = seed * 1103515245 + 12345;
		at = (at + 1 + (seed >> 30 & 1)) % SPACES;
		it.it_value.tv_nsec = 1 + (long)(seed >> 8) % (2 * usual) % 1000000000;
		timer_settime(timer, 0, &it, NULL);
		user_make();
		done += attempt(at);	/* if not, somebody else's turn */
	}
	must_kick = false;
	timer_delete(timer);
	printf("%u runs, %lu kicks\n", done, kicks);
	ck_assert_uint_gt(done, 0);
	ck_assert_uint_gt(kicks, 0);
}
END_TEST

/* SYSEXIT and SYSRET load CS and SS without a look at the table, code may run off the end. */
START_TEST(unenterable)
{
	static const struct { bool wide; uint64_t cs, ss, rip; } states[] = {
		{ true, 0x00aff3000000ffffull, 0, CODE },	/* data */
		{ true, 0x00af9b000000ffffull, 0, CODE },	/* DPL 0 */
		{ true, 0x00af7b000000ffffull, 0, CODE },	/* not present */
		{ true, 0x00effb000000ffffull, 0, CODE },	/* L and D */
		{ true, 0, 0x00cff1000000ffffull, CODE },	/* read-only */
		{ true, 0, 0x00cffb000000ffffull, CODE },	/* code */
		{ true, 0, 0x00cf93000000ffffull, CODE },	/* DPL 0 */
		{ true, 0, 0, 0x800000000000ull },
		{ false, 0x00cff3000000ffffull, 0, CODE },	/* data */
		{ false, 0x00affb000000ffffull, 0, CODE },	/* 64-bit */
		{ false, 0x0040fb000000ffffull, 0, CODE },	/* CODE is beyond the limit */
		{ false, 0x00cffb000000ffffull, 0x00cff1000000ffffull, CODE },
	};

	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		struct direct_exit x;

		user_make();
		c.rip = states[i].rip;
		if (!states[i].wide)
			c.seg[SEG_CS].attr = 0xc0fb;
		guest_make();
		if (states[i].cs)
			put64(GDT + 0x30, states[i].cs);
		if (states[i].ss)
			put64(GDT + 0x28, states[i].ss);
		if (direct_kvm.refuses(engine, &c))
			continue;
		direct_kvm.run(engine, spaces[0], &c, &x);
		ck_assert_msg(x.kind != DEXIT_HOST, "state %zu", i);
	}
	guest_make();
	user_make();
	ck_assert_ptr_null(direct_kvm.refuses(engine, &c));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kvm");
	TCase *tc = tcase_create("kvm");
	struct sink sink;
	char why[128];
	int err;

	m.cpu = &c;
	m.cpuid = host_cpuid;
	if (memory_create(&m.mem, 4 << 20))
		return 99;
	if (direct_kvm.open(&engine, &m, why)) {
		printf("skipped: %s\n", why);
		return 77;
	}
	guest_make();
	sink = direct_kvm.sink(engine);
	for (unsigned i = 0; i < SPACES; i++) {
		const struct sink_op ops[] = {
			{ CODE, 1, CODE, SINK_R | SINK_X },
			{ DATA, 1, DATA + i * PAGE_SIZE, SINK_R | SINK_W },
		};

		put64(DATA + i * PAGE_SIZE, 0x1000 + i);
		spaces[i] = sink.space_create(sink.engine, &err);
		if (!spaces[i] || sink.apply(sink.engine, spaces[i], ops, ARRAY_LEN(ops)))
			return 99;
	}
	tcase_add_test(tc, kicked);
	tcase_add_test(tc, unenterable);
	suite_add_tcase(s, tc);
	setenv("CK_FORK", "no", 1);	/* a virtual machine belongs to one process */
	err = suite_run(s);
	for (unsigned i = 0; i < SPACES; i++)
		sink.space_destroy(sink.engine, spaces[i]);
	direct_kvm.close(engine);
	memory_destroy(&m.mem);
	return err;
}

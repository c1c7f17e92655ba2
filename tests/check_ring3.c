/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring3 engine runs user code and reports every stop with the state of the
 * instruction that could not be done. Segments, x87 and SSE, hostile code:
 * check_ring3_seg.c, check_ring3_fpu.c, check_ring3_wall.c.
 */
#include "tests/ring3_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

START_TEST(int_0x80)
{
	c.gpr[RCX] = 7;
	c.gpr[RBX] = 0xdeadbeef;
	RUN(0x41, 0xb8, DWORD(20), 0xcd, 0x80);		/* inc ecx; mov eax, 20; int 0x80 */
	EXPECT(DEXIT_INTN, 6);
	ck_assert_uint_eq(c.gpr[RAX], 20);
	ck_assert_uint_eq(c.gpr[RCX], 8);
	ck_assert_uint_eq(c.gpr[RBX], 0xdeadbeef);
	ck_assert_uint_eq(c.gpr[RSP], STACK + PAGE_SIZE);
	/* The same again: nothing was restarted or lost. */
	run();
	EXPECT(DEXIT_INTN, 6);
	ck_assert_uint_eq(c.gpr[RAX], 20);
	/* The kernel's restart codes are not special in RAX. */
	c.gpr[RAX] = (uint32_t)-512;
	run();
	ck_assert_uint_eq(c.gpr[RAX], (uint32_t)-512);
	ck_assert_uint_eq(c.rip, CODE + 6);
}
END_TEST

static const struct {
	uint8_t code[8];
	enum direct_exit_kind kind;
	unsigned at;
	uint32_t flags;
} stops[] = {
	{ { 0x90, 0x0f, 0x0b }, DEXIT_TRAP, 1, 0 },		/* ud2 */
	{ { 0x90, 0xcc }, DEXIT_INTN, 1, 0 },			/* int3 */
	{ { 0x90, 0xcd, 3 }, DEXIT_INTN, 1, 0 },
	{ { 0x90, 0xf1 }, DEXIT_INTN, 1, 0 },			/* int1 */
	{ { 0x90, 0xce }, DEXIT_INTN, 1, FL_OF },		/* into */
	{ { 0x90, 0xce, 0xf4 }, DEXIT_TRAP, 2, 0 },		/* into that does not; hlt */
	{ { 0x90, 0xce, 0x0f, 0x0b }, DEXIT_INTN, 1, FL_OF },	/* into; ud2 */
	{ { 0x90, 0xce, 0x0f, 0x30 }, DEXIT_TRAP, 2, 0 },	/* into that does not; wrmsr */
	{ { 0x90, 0xcd, 4 }, DEXIT_INTN, 1, 0 },
	{ { 0x90, 0xcd, 4, 0x0f, 0xb6, 0xc0 }, DEXIT_INTN, 1, 0 },	/* movzx after it */
	{ { 0x90, 0xcd, 1 }, DEXIT_TRAP, 1, 0 },
	{ { 0x90, 0xcd, 0x21 }, DEXIT_TRAP, 1, 0 },
	{ { 0x90, 0xcd, 0xff }, DEXIT_TRAP, 1, 0 },
	{ { 0x90, 0xf4 }, DEXIT_TRAP, 1, 0 },			/* hlt */
	{ { 0x90, 0xfa }, DEXIT_TRAP, 1, 0 },			/* cli */
	{ { 0x90, 0xfb }, DEXIT_TRAP, 1, 0 },			/* sti */
	{ { 0x90, 0xec }, DEXIT_TRAP, 1, 0 },			/* in al, dx */
	{ { 0x90, 0xee }, DEXIT_TRAP, 1, 0 },
	{ { 0x90, 0x0f, 0x20, 0xc0 }, DEXIT_TRAP, 1, 0 },	/* mov eax, cr0 */
	{ { 0x90, 0x0f, 0x30 }, DEXIT_TRAP, 1, 0 },		/* wrmsr */
	{ { 0x90, 0xf7, 0xf1 }, DEXIT_TRAP, 1, 0 },		/* div ecx, by zero */
	{ { 0x90, 0xcf }, DEXIT_FAULT, 1, 0 },			/* iret beyond the stack */
	{ { 0x90, 0x0f, 0x0f, 0, 0xff }, DEXIT_TRAP, 1, 0 },
	{ { 0x90, 0x8e, 0xd8 }, DEXIT_TRAP, 1, 0 },		/* mov ds, ax: no such selector */
};

START_TEST(instruction_that_stops)
{
	c.gpr[RAX] = 0x1f3b;
	cpu_set_eflags(&c, FL_IF | stops[_i].flags);
	place(stops[_i].code, sizeof(stops[_i].code));
	run();
	EXPECT(stops[_i].kind, stops[_i].at);
	ck_assert_uint_eq(c.gpr[RAX], 0x1f3b);
}
END_TEST

START_TEST(faults)
{
	RUN(0xa1, DWORD(0x12345678));			/* mov eax, [..] */
	EXPECT(DEXIT_FAULT, 0);
	ck_assert_uint_eq(x.gva, 0x12345678);
	RUN(0xa3, DWORD(CODE + 0x10));			/* a store to a read-only page */
	EXPECT(DEXIT_FAULT, 0);
	ck_assert_uint_eq(x.gva, CODE + 0x10);
	RUN(0xbb, DWORD(0x40000000), 0xff, 0xe3);	/* mov ebx, ..; jmp ebx */
	ck_assert_int_eq(x.kind, DEXIT_FAULT);
	ck_assert_uint_eq(x.gva, 0x40000000);
	ck_assert_uint_eq(c.rip, 0x40000000);
	RUN(0xbb, DWORD(DATA + 8), 0xff, 0xe3);		/* a page without SINK_X */
	ck_assert_int_eq(x.kind, DEXIT_FAULT);
	ck_assert_uint_eq(c.rip, DATA + 8);
	ck_assert_uint_eq(x.gva, DATA + 8);
	/* A string instruction stops in its middle, restartable. */
	c.gpr[RDI] = DATA + PAGE_SIZE - 8;
	c.gpr[RCX] = 4;
	c.gpr[RAX] = 0x55;
	RUN(0xf3, 0xab);				/* rep stosd */
	EXPECT(DEXIT_FAULT, 0);
	ck_assert_uint_eq(x.gva, DATA + PAGE_SIZE);
	ck_assert_uint_eq(c.gpr[RCX], 2);
	map_at(DATA + PAGE_SIZE, DATA_RAM + PAGE_SIZE, 1, SINK_R | SINK_W);
	RUN(0xf3, 0xab, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 2);
	ck_assert_uint_eq(data32(PAGE_SIZE + 4), 0x55);
}
END_TEST

START_TEST(mappings_change)
{
	const struct sink_op ops[] = {
		{ 0x50000000, 1, 0x400000, SINK_R | SINK_W },
		{ 0x50001000, 1, 0x401000, SINK_R | SINK_W },
		{ 0x50002000, 1, 0x500000, SINK_R | SINK_W },
		{ 0x50001000, 1, 0, 0 },
		{ 0x50002000, 1, 0x500000, SINK_R },
	};

	memset(m.mem.ram + 0x400000, 0x11, 4);
	memset(m.mem.ram + 0x500000, 0x22, 4);
	ck_assert_int_eq(sink.apply(sink.engine, space, ops, ARRAY_LEN(ops)), 0);
	RUN(0xa1, DWORD(0x50000000), 0x8b, 0x1d, DWORD(0x50002000), 0xa3, DWORD(0x50002000));
	EXPECT(DEXIT_FAULT, 11);
	ck_assert_uint_eq(c.gpr[RAX], 0x11111111);
	ck_assert_uint_eq(c.gpr[RBX], 0x22222222);
	RUN(0xa1, DWORD(0x50001000));
	EXPECT(DEXIT_FAULT, 0);
	ck_assert_int_eq(sink.space_clear(sink.engine, space), 0);
	run();
	ck_assert_int_eq(x.kind, DEXIT_FAULT);
	ck_assert_uint_eq(x.gva, CODE);
}
END_TEST

/* Alternating pages cannot be merged by the host: it runs out of mappings and says so,
 * and a cleared space works again. */
START_TEST(mappings_run_out)
{
	enum { N = 70000 };
	struct sink_op *ops = calloc(N, sizeof(*ops));
	int err;

	for (int i = 0; i < N; i++)
		ops[i] = (struct sink_op){ 0x40000000ull + (uint64_t)i * 0x1000, 1,
			(i & 1) * 0x1000, SINK_R };
	err = sink.apply(sink.engine, space, ops, N);
	free(ops);
	if (!err)
		return;	/* a host with a larger vm.max_map_count */
	ck_assert_int_eq(err, -ENOMEM);
	ck_assert_int_eq(sink.space_clear(sink.engine, space), 0);
	space_fill();
	RUN(0xcd, 0x80);
	EXPECT(DEXIT_INTN, 0);
}
END_TEST

START_TEST(flags)
{
	/* Everything that user code may set comes back, and pushf shows the guest's view. */
	cpu_set_eflags(&c, FL_IF | FL_CF | FL_DF | FL_OF | FL_ID | FL_NT | FL_AC | FL_RF);
	RUN(0x9c, 0x58, 0xcd, 0x80);			/* pushf; pop eax; int 0x80 */
	EXPECT(DEXIT_INTN, 2);
	ck_assert_uint_eq(c.gpr[RAX], FL_IF | FL_1 | FL_CF | FL_DF | FL_OF | FL_ID | FL_NT | FL_AC);
	ck_assert_uint_eq(cpu_eflags(&c), c.gpr[RAX]);
	cpu_set_eflags(&c, FL_IF | FL_ZF);
	RUN(0x9c, 0x58, 0xcd, 0x80);
	ck_assert_uint_eq(c.gpr[RAX], FL_IF | FL_1 | FL_ZF);
	/* POPF cannot change IF or IOPL, can change ID. */
	c.gpr[RAX] = FL_ID | FL_IOPL | FL_CF;
	RUN(0x50, 0x9d, 0xcd, 0x80);			/* push eax; popf; int 0x80 */
	ck_assert_uint_eq(cpu_eflags(&c), FL_ID | FL_CF | FL_IF | FL_1);
	/* POPF that sets TF: the debug trap comes after the next instruction. */
	c.gpr[RAX] = FL_TF;
	RUN(0x50, 0x9d, 0x90, 0x90);
	EXPECT(DEXIT_TRAP, 3);
	ck_assert_uint_eq(c.pending_dbg, 0x4000);
	ck_assert(cpu_eflags(&c) & FL_TF);
}
END_TEST

START_TEST(alignment_check)
{
	cpu_set_eflags(&c, FL_IF | FL_AC);
	RUN(0xa1, DWORD(DATA + 1));
	EXPECT(DEXIT_TRAP, 0);
}
END_TEST

START_TEST(guards)
{
	const gva_t at[] = { CODE + 4, CODE + 1, CODE + 0x20 };

	/* nop; mov ax, 0x1234 (a guard in its middle); nop; int 0x80 */
	ck_assert_int_eq(sink.guard(sink.engine, space, at + 1, 2), 0);
	RUN(0xb8, DWORD(0x1234), 0x90, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 6);
	ck_assert_int_eq(sink.guard(sink.engine, space, at, 3), 0);
	RUN(0x90, 0x90, 0x90, 0xcc, 0x0f, 0xa2);
	EXPECT(DEXIT_GUARD, 1);
	ck_assert_uint_eq(x.gva, CODE + 1);
	c.rip = CODE + 2;
	run();
	EXPECT(DEXIT_INTN, 3);	/* an int3 right before a guard is still an int3 */
	c.rip = CODE + 4;
	c.eflags |= FL_RF;
	run();
	EXPECT(DEXIT_GUARD, 4);	/* the guest's RF does not suppress ours */
	ck_assert(!(cpu_eflags(&c) & FL_RF));
	ck_assert_int_eq(sink.guard(sink.engine, space, NULL, 0), 0);
	RUN(0x90, 0x90, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 2);
}
END_TEST

static void *kicker(void *arg)
{
	const struct timespec t = { 0, 2000000 };

	nanosleep(&t, NULL);
	direct_ring3.kick(arg);
	return NULL;
}

START_TEST(kick_ends_a_loop)
{
	pthread_t thread;

	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, kicker, engine), 0);
		RUN(0x40, 0xeb, 0xfd);		/* inc eax; jmp */
		ck_assert_int_eq(x.kind, DEXIT_KICK);
		ck_assert(c.rip >= CODE && c.rip <= CODE + 1);
		pthread_join(thread, NULL);
	}
	/* A kick before the run is not lost, and is used up by it. */
	direct_ring3.kick(engine);
	RUN(0xeb, 0xfe);
	EXPECT(DEXIT_KICK, 0);
	RUN(0xcd, 0x80);
	EXPECT(DEXIT_INTN, 0);
}
END_TEST

static atomic_bool storm_ends;

static void *storm(void *arg)
{
	while (!atomic_load(&storm_ends))
		direct_ring3.kick(arg);
	return NULL;
}

/* Kicks at any moment, also within batches, change nothing of what the guest computes. */
START_TEST(kick_storm)
{
	pthread_t thread;
	unsigned done = 0;

	atomic_store(&storm_ends, false);
	ck_assert_int_eq(pthread_create(&thread, NULL, storm, engine), 0);
	PLACE(0x40, 0x3d, DWORD(5000000), 0x75, 0xf8, 0xcd, 0x80);
	for (int i = 0; i < 20000 && done < 3; i++) {
		map_at(0x50000000 + (gva_t)(i & 15) * 0x1000, 0x400000, 1, SINK_R);
		run();
		ck_assert(x.kind == DEXIT_KICK || x.kind == DEXIT_INTN);
		if (x.kind == DEXIT_INTN) {
			EXPECT(DEXIT_INTN, 8);
			ck_assert_uint_eq(c.gpr[RAX], 5000000);
			c.gpr[RAX] = 0;
			c.rip = CODE;
			done++;
		}
	}
	atomic_store(&storm_ends, true);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(tsc_traps_when_it_must)
{
	RUN(0x0f, 0x31, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 2);
	c.cr4 |= CR4_TSD;
	RUN(0x0f, 0x31, 0xcd, 0x80);
	EXPECT(DEXIT_TRAP, 0);
	c.cr4 &= ~(uint64_t)CR4_TSD;
	c.tsc_offset = 5;
	RUN(0x0f, 0x31, 0xcd, 0x80);
	EXPECT(DEXIT_TRAP, 0);
	c.tsc_offset = 0;
	RUN(0x0f, 0x31, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 2);
}
END_TEST

/* Every width and any prefix; in every stub, a used one as well. Where the host does it, the
 * sink must say so. */
START_TEST(cpuid_traps_or_is_guarded)
{
	static const uint8_t code[] = { 0x0f, 0xa2, 0x0f, 0x0b }, prefixed[] = { 0x66, 0xf2, 0x0f,
		0xa2, 0x0f, 0x0b };
	bool native = sink.needs_guard(sink.engine) & SINK_GUARD_CPUID;
	struct space *first = space, *second;
	int err;

	second = sink.space_create(sink.engine, &err);
	ck_assert_ptr_nonnull(second);
	for (unsigned i = 0; i < 12; i++) {
		bool prefix = i & 1;

		space = i < 6 ? first : second;
		if (i == 6)
			space_fill();
		if (i / 2 % 3 == 2)
			user64();
		else
			user32();
		if (i / 2 % 3 == 1)
			c.seg[SEG_CS] = SEGMENT(0x73, CODE, 0xffff, FLAT_CODE & ~(SEG_D | SEG_G));
		c.gpr[RAX] = 0x80000000;
		memcpy(m.mem.ram + CODE_RAM, prefix ? prefixed : code, sizeof(prefixed) - 2 * !prefix);
		c.rip = i / 2 % 3 == 1 ? 0 : CODE;
		run();
		ck_assert_int_eq(x.kind, DEXIT_TRAP);
		ck_assert_uint_eq(c.rip & 0xfff, native ? 2 + 2 * prefix : 0);
		ck_assert_int_eq(c.gpr[RAX] == 0x80000000, !native);
	}
	sink.space_destroy(sink.engine, second);
	second = sink.space_create(sink.engine, &err);
	space = second;
	ck_assert_ptr_nonnull(space);
	space_fill();
	user32();
	RUN(0x0f, 0xa2, 0x0f, 0x0b);
	EXPECT(DEXIT_TRAP, native ? 2 : 0);
	/* Guest code cannot ask for it back: arch_prctl(ARCH_SET_CPUID, 1) is not done. */
	user64();
	c.gpr[RAX] = 158;
	c.gpr[RDI] = 0x1012;
	c.gpr[RSI] = 1;
	RUN(0x0f, 0x05);
	EXPECT(DEXIT_SYSCALL, 0);
	RUN(0x0f, 0xa2, 0x0f, 0x0b);
	EXPECT(DEXIT_TRAP, native ? 2 : 0);
	sink.space_destroy(sink.engine, second);
	space = first;
}
END_TEST

START_TEST(code64)
{
	user64();
	c.seg[SEG_FS].base = DATA + 0x100;
	c.seg[SEG_GS].base = 0x7ffff0000000;
	c.gpr[R8] = 0x123456789abcdef0;
	memset(m.mem.ram + DATA_RAM + 0x100, 0x77, 8);
	/* mov rax, fs:[0]; mov r9, r8; mov rsi, gs; syscall */
	RUN(0x64, 0x48, 0x8b, 0x04, 0x25, DWORD(0), 0x4d, 0x89, 0xc1, 0x0f, 0x05);
	EXPECT(DEXIT_SYSCALL, 12);
	ck_assert(x.rip_known);
	ck_assert_uint_eq(c.gpr[RAX], 0x7777777777777777);
	ck_assert_uint_eq(c.gpr[R9], 0x123456789abcdef0);
	ck_assert_uint_eq(c.seg[SEG_FS].base, DATA + 0x100);
	ck_assert_uint_eq(c.seg[SEG_GS].base, 0x7ffff0000000);
	RUN(0x48, 0xa1, DWORD(0), DWORD(0x8000));	/* mov rax, [..]: not canonical */
	EXPECT(DEXIT_TRAP, 0);
	RUN(0x48, 0xa1, DWORD(0), DWORD(0xffff8000));	/* kernel half */
	EXPECT(DEXIT_FAULT, 0);
	ck_assert_uint_eq(x.gva, 0xffff800000000000);
	c.gpr[RAX] = 5;
	RUN(0xcd, 0x80);
	EXPECT(DEXIT_INTN, 0);
	ck_assert_uint_eq(c.gpr[RAX], 5);
	/* A guest whose selectors are not Linux's. */
	c.seg[SEG_CS].sel = 0x43;
	c.seg[SEG_SS].sel = c.seg[SEG_DS].sel = 0x3b;
	c.seg[SEG_DS].attr = c.seg[SEG_SS].attr;
	RUN(0x0f, 0x05);
	EXPECT(DEXIT_SYSCALL, 0);
	ck_assert_uint_eq(c.seg[SEG_CS].sel, 0x43);
	ck_assert_uint_eq(c.seg[SEG_SS].sel, 0x3b);
	/* High mappings, right up to the ceiling. */
	map_at(sink.ceiling(sink.engine) - PAGE_SIZE, DATA_RAM, 1, SINK_R | SINK_W);
	c.gpr[RBX] = sink.ceiling(sink.engine) - 8;
	RUN(0x48, 0x89, 0x1b, 0x0f, 0x05);
	EXPECT(DEXIT_SYSCALL, 3);
	ck_assert_uint_eq(data32(PAGE_SIZE - 8), (uint32_t)c.gpr[RBX]);
}
END_TEST

/* The engine's own pages go elsewhere, and what was there is the guest's. */
START_TEST(home_moves)
{
	uint64_t size;
	gva_t home = sink.home(sink.engine, space, &size);

	user64();
	for (gva_t at = home; at < home + size; at += PAGE_SIZE) {
		sink.move(sink.engine, space);
		ck_assert_uint_ne(sink.home(sink.engine, space, &size), home);
		ck_assert_int_eq(sink.space_clear(sink.engine, space), 0);
		space_fill();
		map_at(at, DATA_RAM, 1, SINK_R | SINK_W);
		c.gpr[RBX] = at + 24;
		c.gpr[RCX]++;
		RUN(0x48, 0x89, 0x1b, 0x0f, 0x05);	/* mov %rbx, (%rbx); syscall */
		EXPECT(DEXIT_SYSCALL, 3);
		ck_assert_uint_eq(data32(24), (uint32_t)c.gpr[RBX]);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ring3");
	TCase *t = tcase_create("run");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, int_0x80);
	tcase_add_loop_test(t, instruction_that_stops, 0, (int)ARRAY_LEN(stops));
	tcase_add_test(t, faults);
	tcase_add_test(t, mappings_change);
	tcase_add_test(t, mappings_run_out);
	tcase_add_test(t, flags);
	tcase_add_test(t, alignment_check);
	tcase_add_test(t, guards);
	tcase_add_test(t, kick_ends_a_loop);
	tcase_add_test(t, kick_storm);
	tcase_add_test(t, tsc_traps_when_it_must);
	tcase_add_test(t, cpuid_traps_or_is_guarded);
	tcase_add_test(t, code64);
	tcase_add_test(t, home_moves);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return ring3_main(suite);
}

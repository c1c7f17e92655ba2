/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What guest code cannot do from a stub: make a host system call by any door, find
 * anything of the monitor, outlive it; and what the monitor does when a stub dies.
 */
#include "tests/ring3_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* System calls whose effect would show: from 32-bit code (their i386 numbers). */
static const uint32_t calls32[] = { 1 /* exit */, 2 /* fork */, 252 /* exit_group */,
	120 /* clone */, 190 /* vfork */, 91 /* munmap */, 6 /* close */, 37 /* kill */,
	119 /* sigreturn */, 11 /* execve */, 26 /* ptrace */, 0xffffffff, 173 /* rt_sigreturn */ };

static bool alive(void)
{
	return !kill(space->pid, 0);
}

START_TEST(int_0x80_has_no_effect)
{
	c.gpr[RAX] = calls32[_i];
	c.gpr[RBX] = 0;
	RUN(0xcd, 0x80);
	EXPECT(DEXIT_INTN, 0);
	ck_assert_uint_eq(c.gpr[RAX], calls32[_i]);
	RUN(0x90, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 1);
	ck_assert(alive());
}
END_TEST

static const uint32_t calls64[] = { 60 /* exit */, 231, 57 /* fork */, 56 /* clone */,
	11 /* munmap */, 9 /* mmap */, 10 /* mprotect */, 3 /* close */, 62 /* kill */,
	154 /* modify_ldt */, 15 /* rt_sigreturn */, 59 /* execve */, 0x40000000 + 39, 0xffffffff };

/* From 32-bit code that jumps to the host's 64-bit segment. */
START_TEST(syscall_has_no_effect)
{
	c.gpr[RAX] = calls64[_i];
	c.gpr[RDI] = 0;
	c.gpr[RSI] = 0x1000000;
	RUN(0xea, DWORD(CODE + 7), 0x33, 0, 0x0f, 0x05);
	EXPECT(DEXIT_SEGMENT, 7);
	ck_assert_uint_eq(x.segreg, SEG_CS);
	ck_assert_uint_eq(x.sel, 0x33);
	ck_assert(alive());
	user32();
	RUN(0xcd, 0x80);
	EXPECT(DEXIT_INTN, 0);
}
END_TEST

/* The same through the stub's own SYSCALL instruction and its batch routine. */
START_TEST(stub_code_has_no_effect)
{
	const uint32_t at[] = { stub_at_syscall, stub_at_batch, stub_at_done, stub_at_flags,
		stub_at_return, 0 };

	for (unsigned i = 0; i < ARRAY_LEN(at); i++) {
		uint64_t to = (space->home + STUB_TEXT_AT) + at[i];

		user64();
		c.gpr[RAX] = calls64[_i];
		c.gpr[RDI] = CODE;
		c.gpr[RSI] = 0x1000;
		c.gpr[RBX] = space->home;
		c.gpr[RBP] = space->home + STUB_REQ_SIZE;
		c.gpr[RCX] = to;
		RUN(0xff, 0xe1);	/* jmp rcx */
		ck_assert_int_ne(x.kind, DEXIT_HOST);
		ck_assert(alive());
	}
	user32();
	RUN(0x0f, 0x0b);
	EXPECT(DEXIT_TRAP, 0);
}
END_TEST

/* The fast doors of 32-bit code. Which exists depends on the host's maker. */
START_TEST(fast_calls_have_no_effect)
{
	c.gpr[RAX] = 252;
	c.gpr[RBP] = STACK + 0x800;
	RUN(0x0f, 0x34);	/* sysenter */
	ck_assert(x.kind == DEXIT_SYSCALL || x.kind == DEXIT_TRAP);
	if (x.kind == DEXIT_SYSCALL)
		ck_assert(!x.rip_known && x.sysenter);
	ck_assert_uint_eq(c.gpr[RAX], 252);
	ck_assert_uint_eq(c.gpr[RBP], STACK + 0x800);
	ck_assert_uint_eq(c.seg[SEG_CS].sel, 0x73);
	ck_assert(alive());
	user32();
	c.gpr[RAX] = 252;
	c.gpr[RBP] = 0x1234;
	c.gpr[RSP] = STACK + 0x800;
	RUN(0x0f, 0x05);	/* syscall */
	ck_assert(x.kind == DEXIT_SYSCALL || x.kind == DEXIT_TRAP);
	if (x.kind == DEXIT_SYSCALL)
		ck_assert(!x.rip_known && !x.sysenter);
	ck_assert_uint_eq(c.gpr[RAX], 252);
	ck_assert_uint_eq(c.gpr[RBP], 0x1234);
	ck_assert_uint_eq(c.gpr[RSP], STACK + 0x800);
	ck_assert(alive());
	/* Without a stack the host fails the call by itself: it shows in CS. */
	c.gpr[RSP] = 8;
	c.gpr[RBP] = 8;
	RUN(0x0f, 0x05);
	ck_assert(x.kind == DEXIT_TRAP || (x.kind == DEXIT_SEGMENT && x.segreg == SEG_CS));
	user32();
	c.gpr[RBP] = 8;
	RUN(0x0f, 0x34);
	ck_assert(x.kind == DEXIT_TRAP || (x.kind == DEXIT_SEGMENT && x.segreg == SEG_CS));
	ck_assert(alive());
	user64();
	c.gpr[RAX] = 252;
	c.gpr[RBP] = 8;
	RUN(0x0f, 0x34);
	ck_assert(x.kind == DEXIT_TRAP || (x.kind == DEXIT_SEGMENT && x.segreg == SEG_CS));
	user64();
	c.gpr[RAX] = 252;
	c.gpr[RBP] = STACK + 0x800;
	RUN(0x0f, 0x34);
	ck_assert(x.kind == DEXIT_SYSCALL || x.kind == DEXIT_TRAP);
	ck_assert(alive());
}
END_TEST

/* A call into the host's vsyscall page is a page fault there. */
START_TEST(vsyscall)
{
	for (unsigned i = 0; i < 3; i++) {
		user64();
		c.gpr[RDI] = DATA;
		c.gpr[RCX] = 0xffffffffff600000 + 0x400 * i;
		RUN(0xff, 0xd1, 0x0f, 0x05);	/* call rcx */
		ck_assert(x.kind == DEXIT_FAULT || x.kind == DEXIT_TRAP);
		ck_assert_uint_eq(c.rip, 0xffffffffff600000 + 0x400 * i);
		if (x.kind == DEXIT_FAULT)
			ck_assert_uint_eq(x.gva, c.rip);
		ck_assert_uint_eq(c.gpr[RSP], STACK + PAGE_SIZE - 8);
		ck_assert_uint_eq(data32(0), 0);
	}
}
END_TEST

/* Registers that 32-bit code does not have hold nothing, and come back as nothing. */
START_TEST(hidden_registers)
{
	c.gpr[RAX] = 0;
	/* jump to 64 bits; or all of r8-r15 into rax; mov r8, rsp; shl rsp, 8; syscall */
	RUN(0xea, DWORD(CODE + 7), 0x33, 0,
	    0x4c, 0x09, 0xc0, 0x4c, 0x09, 0xc8, 0x4c, 0x09, 0xd0, 0x4c, 0x09, 0xd8,
	    0x4c, 0x09, 0xe0, 0x4c, 0x09, 0xe8, 0x4c, 0x09, 0xf0, 0x4c, 0x09, 0xf8,
	    0x49, 0x89, 0xe0, 0x48, 0xc1, 0xe4, 0x10, 0x0f, 0x05);
	ck_assert_int_eq(x.kind, DEXIT_SEGMENT);
	ck_assert_uint_eq(c.gpr[RAX], 0);
	for (unsigned i = R8; i <= R15; i++)
		ck_assert_uint_eq(c.gpr[i], 0);
	ck_assert(c.gpr[RSP] <= 0xffffffff);
	ck_assert(c.rip <= 0xffffffff);
}
END_TEST

/* Writing nonsense into the exchange page changes nothing for the monitor. */
START_TEST(exchange_page_is_worthless)
{
	user64();
	c.gpr[RDI] = space->home;
	c.gpr[RAX] = 0x3c;
	c.gpr[RCX] = 0x1000;
	RUN(0xf3, 0xaa, 0x0f, 0x05);	/* rep stosb; syscall */
	EXPECT(DEXIT_SYSCALL, 2);
	map_at(0x50000000, DATA_RAM, 1, SINK_R);
	user32();
	RUN(0xa1, DWORD(0x50000000), 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 5);
}
END_TEST

/* The second wall without the first: resumed as if PTRACE_SYSEMU did not exist. */
static int resume_unguarded(uint64_t rip, uint64_t nr, uint64_t flags)
{
	struct user_regs_struct r;
	int status;

	ck_assert_int_eq(ptrace(PTRACE_GETREGS, space->pid, NULL, &r), 0);
	r.rip = rip;
	r.cs = HOST_CS64;
	r.ss = HOST_DS;
	r.rax = nr;
	r.orig_rax = -1ul;
	r.rdi = DATA, r.rsi = PAGE_SIZE, r.rdx = PROT_READ | PROT_WRITE;
	r.r10 = flags, r.r8 = STUB_RAM_FD, r.r9 = 0;
	r.rbx = 0, r.rbp = STUB_REQ_SIZE;	/* one call, then INT3 */
	ck_assert_int_eq(ptrace(PTRACE_SETREGS, space->pid, NULL, &r), 0);
	ck_assert_int_eq(ptrace(PTRACE_CONT, space->pid, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(space->pid, &status, __WALL), space->pid);
	ck_assert(WIFSTOPPED(status));
	return WSTOPSIG(status);
}

START_TEST(filter_alone)
{
	const uint64_t call = (space->home + STUB_TEXT_AT) + stub_at_syscall;
	const uint64_t shared = MAP_SHARED | MAP_FIXED;

	PLACE(0x0f, 0x05, 0x0f, 0x0b);
	ck_assert_int_eq(resume_unguarded(CODE, SYS_getpid, 0), SIGSYS);
	ck_assert_int_eq(resume_unguarded(CODE, SYS_exit_group, 0), SIGSYS);
	ck_assert_int_eq(resume_unguarded(CODE, SYS_mmap, shared), SIGSYS);
	ck_assert_int_eq(resume_unguarded(call, SYS_mmap, shared), SIGTRAP);
	ck_assert_int_eq(resume_unguarded(call, SYS_mmap, shared | MAP_ANONYMOUS), SIGSYS);
	ck_assert_int_eq(resume_unguarded(call, SYS_mmap, MAP_PRIVATE | MAP_FIXED), SIGSYS);
	ck_assert_int_eq(resume_unguarded(call, SYS_prctl, 0), SIGSYS);
	ck_assert_int_eq(resume_unguarded(call, SYS_clone, 0), SIGSYS);
	PLACE(0xcd, 0x80, 0x0f, 0x0b);
	ck_assert_int_eq(resume_unguarded(CODE, 20, 0), SIGSYS);
}
END_TEST

/* --- What a stub holds ---------------------------------------------------------- */

static const char *const mappings[] = {	/* docs/ring3.md lists the same */
	"/memfd:hemi-ram (deleted)", "/memfd:hemi-exchange (deleted)", "/memfd:hemi-stub (deleted)",
	"[vsyscall]",
};

static void check_maps(void)
{
	char name[64], line[512];
	bool seen[ARRAY_LEN(mappings)] = { 0 };
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/maps", space->pid);
	f = fopen(name, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long from, to;
		char prot[8];
		int path = 0;
		size_t i;

		line[strcspn(line, "\n")] = 0;
		ck_assert_int_eq(sscanf(line, "%lx-%lx %7s %*x %*s %*u %n", &from, &to, prot,
					&path), 3);
		for (i = 0; i < ARRAY_LEN(mappings); i++)
			if (!strcmp(line + path, mappings[i]))
				break;
		ck_assert_msg(i < ARRAY_LEN(mappings), "stub maps %s", line);
		if (i == 1)
			ck_assert(from == space->home && to == from + PAGE_SIZE && prot[2] == '-');
		if (i == 2)
			ck_assert(from == (space->home + STUB_TEXT_AT) && to == from + PAGE_SIZE && prot[1] == '-');
		ck_assert(i == 0 || !seen[i]);
		seen[i] = true;
	}
	fclose(f);
}

START_TEST(mappings_and_descriptors)
{
	char name[64], target[256];
	unsigned n = 0;
	struct dirent *d;
	DIR *dir;

	check_maps();
	RUN(0x0f, 0x0b);
	check_maps();
	snprintf(name, sizeof(name), "/proc/%d/fd", space->pid);
	dir = opendir(name);
	ck_assert_ptr_nonnull(dir);
	while ((d = readdir(dir))) {
		ssize_t len;

		if (d->d_name[0] == '.')
			continue;
		len = readlinkat(dirfd(dir), d->d_name, target, sizeof(target) - 1);
		ck_assert_int_gt(len, 0);
		target[len] = 0;
		ck_assert_str_eq(d->d_name, "0");
		ck_assert_str_eq(target, "/memfd:hemi-ram (deleted)");
		n++;
	}
	closedir(dir);
	ck_assert_uint_eq(n, 1);
	/* Nothing on the command line or in the environment but its name. */
	snprintf(name, sizeof(name), "/proc/%d/environ", space->pid);
	FILE *f = fopen(name, "r");
	ck_assert_int_eq(fgetc(f), EOF);
	fclose(f);
}
END_TEST

static void status_has(const char *want)
{
	char name[64], line[256];
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/status", space->pid);
	f = fopen(name, "r");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, want, strlen(want))) {
			fclose(f);
			return;
		}
	ck_abort_msg("no line %s", want);
}

START_TEST(confined)
{
	status_has("NoNewPrivs:\t1");
	status_has("Seccomp:\t2");
	status_has("Threads:\t1");
}
END_TEST

/* --- Life and death ------------------------------------------------------------- */

START_TEST(five_thousand_spaces)
{
	unsigned live, made;
	int err;

	for (int i = 0; i < 5000; i += 3) {
		struct space *s[3];

		for (int k = 0; k < 3; k++) {
			s[k] = sink.space_create(sink.engine, &err);
			ck_assert_ptr_nonnull(s[k]);
		}
		for (int k = 0; k < 3; k++)
			sink.space_destroy(sink.engine, s[k]);
		direct_ring3.counts(engine, &live, &made);
		ck_assert_uint_le(live, 12);
		if (i > 10)
			ck_assert_uint_le(made, 20);
	}
	/* A recycled one holds nothing of its past. */
	sink.guard(sink.engine, space, &(gva_t){ CODE }, 1);
	sink.space_destroy(sink.engine, space);
	space = sink.space_create(sink.engine, &err);
	map_at(CODE, CODE_RAM, 1, SINK_R | SINK_X);
	RUN(0x90, 0xa1, DWORD(DATA));
	EXPECT(DEXIT_FAULT, 1);
}
END_TEST

START_TEST(too_many_spaces)
{
	struct space *s[STUBS_MAX];
	unsigned n = 0;
	int err = 0;

	while (n < STUBS_MAX && (s[n] = sink.space_create(sink.engine, &err)))
		n++;
	ck_assert_uint_lt(n, STUBS_MAX);
	ck_assert_int_lt(err, 0);
	while (n)
		sink.space_destroy(sink.engine, s[--n]);
	s[0] = sink.space_create(sink.engine, &err);
	ck_assert_ptr_nonnull(s[0]);
	sink.space_destroy(sink.engine, s[0]);
}
END_TEST

START_TEST(killed_from_outside)
{
	const struct sink_op op = { DATA, 1, DATA_RAM, SINK_R };
	int quiet = open("/dev/null", O_WRONLY), saved = dup(2);

	RUN(0xcd, 0x80);
	fflush(stderr);
	dup2(quiet, 2);
	kill(space->pid, SIGKILL);
	run();
	ck_assert_int_eq(x.kind, DEXIT_HOST);
	ck_assert_int_eq(x.err, -ESRCH);
	run();
	ck_assert_int_eq(x.kind, DEXIT_HOST);
	dup2(saved, 2);
	ck_assert_int_eq(sink.apply(sink.engine, space, &op, 1), -ESRCH);
	ck_assert_int_eq(sink.guard(sink.engine, space, NULL, 0), -ESRCH);
	/* Clearing gives it a new process. */
	ck_assert_int_eq(sink.space_clear(sink.engine, space), 0);
	space_fill();
	c.fpu.xmm[1].d[0] = 5;
	RUN(0xcd, 0x80);
	EXPECT(DEXIT_INTN, 0);
	ck_assert_uint_eq(c.fpu.xmm[1].d[0], 5);
	/* Killed when it is about to do the monitor's calls. */
	dup2(quiet, 2);
	kill(space->pid, SIGKILL);
	ck_assert_int_eq(sink.apply(sink.engine, space, &op, 1), -ESRCH);
	dup2(saved, 2);
}
END_TEST

/* Signals from outside are no guest events. */
START_TEST(foreign_signals)
{
	static const int sig[] = { SIGINT, SIGTERM, SIGSEGV, SIGTRAP, SIGFPE, SIGCONT, SIGUSR1,
		SIGSYS };

	for (unsigned i = 0; i < ARRAY_LEN(sig); i++) {
		kill(space->pid, sig[i]);
		PLACE(0xcd, 0x80);
		for (int k = 0; k < 3; k++) {
			run();
			if (x.kind == DEXIT_INTN)
				break;
			ck_assert(x.kind == DEXIT_KICK || x.kind == DEXIT_TRAP);
			ck_assert_uint_eq(c.rip, CODE);
		}
		EXPECT(DEXIT_INTN, 0);
	}
}
END_TEST

/* Stubs die with the monitor, however it dies. */
START_TEST(dies_with_the_monitor)
{
	int pipefd[2], status;
	pid_t child, stub;

	ck_assert_int_eq(pipe(pipefd), 0);
	child = fork();
	if (!child) {
		int err;
		char why[128];

		if (direct_ring3.open(&engine, &m, why))
			_exit(1);
		space = direct_ring3.sink(engine).space_create(engine, &err);
		if (write(pipefd[1], &space->pid, sizeof(pid_t)) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	ck_assert_int_eq(read(pipefd[0], &stub, sizeof(stub)), sizeof(stub));
	waitpid(child, &status, 0);
	for (int i = 0; i < 500; i++) {
		char name[64], line[256] = "";
		FILE *f;

		snprintf(name, sizeof(name), "/proc/%d/stat", stub);
		f = fopen(name, "r");
		if (!f)
			return;
		if (fgets(line, sizeof(line), f) && strstr(line, ") Z ")) {
			fclose(f);
			return;	/* dead, whoever inherits it has not looked yet */
		}
		fclose(f);
		usleep(10000);
	}
	ck_abort_msg("stub %d outlives its monitor", stub);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ring3_wall");
	TCase *t = tcase_create("wall");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, int_0x80_has_no_effect, 0, (int)ARRAY_LEN(calls32));
	tcase_add_loop_test(t, syscall_has_no_effect, 0, (int)ARRAY_LEN(calls64));
	tcase_add_loop_test(t, stub_code_has_no_effect, 0, (int)ARRAY_LEN(calls64));
	tcase_add_test(t, fast_calls_have_no_effect);
	tcase_add_test(t, vsyscall);
	tcase_add_test(t, hidden_registers);
	tcase_add_test(t, exchange_page_is_worthless);
	tcase_add_test(t, filter_alone);
	tcase_add_test(t, mappings_and_descriptors);
	tcase_add_test(t, confined);
	tcase_add_test(t, five_thousand_spaces);
	tcase_add_test(t, too_many_spaces);
	tcase_add_test(t, killed_from_outside);
	tcase_add_test(t, foreign_signals);
	tcase_add_test(t, dies_with_the_monitor);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return ring3_main(suite);
}

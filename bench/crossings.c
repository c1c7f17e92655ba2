/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crossings: what a crossing between monitor and user code costs: user code causes an event,
 * the other process sees its registers, sets them, and it goes on. Bare, in the ways a host
 * offers, and through the ring3 engine, in alternation:
 *
 *	ptrace1, ptrace2	SETREGS, SYSEMU, waitpid, GETREGS; on one processor, on two
 *	signal1			a signal handler and a shared page, handed over by futex, one processor
 *	spin2			the same, each spinning on a processor of its own
 *	ring3			direct_ring3.run(): state in, segments, FPU, classification, audit
 *
 * Prints EVENT, the least of the rounds for each in ns, and ring3 as a multiple of ptrace1,
 * which it is made of.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "direct/ring3.h"

#define ROUNDS	15
#define COUNT	1000
#define AT	0x100000ull

static const struct event {
	const char *name;
	bool wide;
	uint8_t code[8];
} events[] = {
	{ "fault64", true, { 0x8b, 0x03 } },		/* mov (%rbx),%eax */
	{ "syscall64", true, { 0x0f, 0x05 } },
	{ "ud2-64", true, { 0x0f, 0x0b } },
	{ "fault32", false, { 0x8b, 0x03 } },
	{ "int80-32", false, { 0xcd, 0x80 } },
	{ "ud2-32", false, { 0x0f, 0x0b } },
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int cpus[2], ncpus;

static void pin(int i)
{
	cpu_set_t s;

	CPU_ZERO(&s);
	CPU_SET(cpus[i], &s);
	sched_setaffinity(0, sizeof(s), &s);
}

static void die(const char *what)
{
	fprintf(stderr, "crossings: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- ptrace ------------------------------------------------------------------------- */

static double by_ptrace(const struct event *e, int where)
{
	struct user_regs_struct start, r;
	int status;
	double t;
	pid_t p = fork();

	if (p < 0)
		die("fork");
	if (!p) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		pin(where);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(1);
	}
	pin(0);
	if (waitpid(p, &status, 0) < 0 || ptrace(PTRACE_GETREGS, p, NULL, &start) < 0 ||
	    ptrace(PTRACE_SETOPTIONS, p, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD) < 0)
		die("ptrace");
	start.rip = AT;
	start.rbx = 16;
	start.orig_rax = -1ul;
	if (!e->wide)
		start.cs = HOST_CS32, start.ss = start.ds = start.es = HOST_DS;
	t = now();
	for (unsigned i = 0; i < COUNT; i++)
		if (ptrace(PTRACE_SETREGS, p, NULL, &start) < 0 || ptrace(PTRACE_SYSEMU, p, NULL, NULL) < 0 ||
		    waitpid(p, &status, __WALL) < 0 || ptrace(PTRACE_GETREGS, p, NULL, &r) < 0)
			die("ptrace");
	t = now() - t;
	kill(p, SIGKILL);
	waitpid(p, &status, 0);
	return t / COUNT;
}

/* --- A signal handler and a shared page --------------------------------------------- */

static struct shared {
	_Atomic uint32_t turn;		/* 0: the monitor's, 1: the other's */
	greg_t regs[NGREG];
} *shared;
static bool spins;

static void give(uint32_t to)
{
	atomic_store(&shared->turn, to);
	if (!spins)
		syscall(SYS_futex, &shared->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void take(uint32_t me)
{
	while (atomic_load(&shared->turn) != me)
		if (spins)
			__builtin_ia32_pause();
		else
			syscall(SYS_futex, &shared->turn, FUTEX_WAIT, !me, NULL, NULL, 0);
}

static void handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)sig;
	(void)info;
	memcpy(shared->regs, u->uc_mcontext.gregs, sizeof(shared->regs));
	give(0);
	take(1);
	memcpy(u->uc_mcontext.gregs, shared->regs, sizeof(shared->regs));
}

static double by_signal(int where)
{
	double t;
	pid_t p;

	atomic_store(&shared->turn, 1);
	p = fork();
	if (p < 0)
		die("fork");
	if (!p) {
		static uint8_t stack[65536];
		struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		pin(where);
		sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) }, NULL);
		sigaction(SIGSEGV, &sa, NULL);
		sigaction(SIGILL, &sa, NULL);
		raise(SIGSEGV);
		_exit(1);
	}
	pin(0);
	take(0);
	shared->regs[REG_RIP] = (greg_t)AT;
	shared->regs[REG_RBX] = 16;
	t = now();
	for (unsigned i = 0; i < COUNT; i++) {
		give(1);
		take(0);
	}
	t = now() - t;
	kill(p, SIGKILL);
	waitpid(p, NULL, 0);
	return t / COUNT;
}

/* --- The engine ---------------------------------------------------------------------- */

static struct machine machine;
static struct cpu cpu;
static void *engine;
static struct space *space;

static bool engine_open(uint8_t *ram, int fd)
{
	char why[128];
	int err;

	machine.mem.ram = ram;
	machine.mem.fd = fd;
	machine.mem.low_size = 1u << 20;
	if (direct_ring3.open(&engine, &machine, why)) {
		fprintf(stderr, "crossings: ring3: %s\n", why);
		return false;
	}
	struct sink sink = direct_ring3.sink(engine);

	space = sink.space_create(engine, &err);
	return space && !sink.apply(engine, space, &(struct sink_op){ AT, 1, 0, SINK_R | SINK_X }, 1);
}

static double by_ring3(const struct event *e)
{
	struct direct_exit x;
	double t;

	pin(0);
	cpu_reset(&cpu);
	cpu.cr0 |= CR0_PE | CR0_PG;
	cpu.cr4 |= CR4_PAE | CR4_OSFXSR;
	cpu.efer = e->wide ? EFER_LME | EFER_LMA : 0;
	cpu.cpl = 3;
	cpu_set_eflags(&cpu, FL_IF);
	for (unsigned i = 0; i <= SEG_GS; i++)
		cpu.seg[i] = (struct segment){ .sel = HOST_DS, .limit = 0xffffffff,
			.attr = SEG_G | SEG_D | SEG_P | 3 << 5 | SEG_S | SEG_W | SEG_A };
	cpu.seg[SEG_FS] = cpu.seg[SEG_GS] = (struct segment){ 0 };
	cpu.seg[SEG_CS].sel = e->wide ? HOST_CS64 : HOST_CS32;
	cpu.seg[SEG_CS].attr = SEG_G | SEG_P | 3 << 5 | SEG_S | SEG_CODE | SEG_R | SEG_A |
			       (e->wide ? SEG_L : SEG_D);
	t = now();
	for (unsigned i = 0; i < COUNT; i++) {
		cpu.rip = AT;
		cpu.gpr[RBX] = 16;
		direct_ring3.run(engine, space, &cpu, &x);
		if (x.kind == DEXIT_HOST || x.kind == DEXIT_KICK || cpu.rip != AT)
			die(e->name);
	}
	return (now() - t) / COUNT;
}

/* --- All of it ------------------------------------------------------------------------ */

enum { PTRACE1, PTRACE2, SIGNAL1, SPIN2, RING3, WAYS };

static double measure(const struct event *e, unsigned way)
{
	bool signals = e->wide && e->code[1] != 0x05;

	switch (way) {
	case PTRACE1: return by_ptrace(e, 0);
	case PTRACE2: return ncpus > 1 ? by_ptrace(e, 1) : 0;
	case SIGNAL1: return spins = false, signals ? by_signal(0) : 0;
	case SPIN2: return spins = true, signals && ncpus > 1 ? by_signal(1) : 0;
	default: return engine ? by_ring3(e) : 0;
	}
}

int main(void)
{
	static const char *const names[] = { "ptrace1", "ptrace2", "signal1", "spin2", "ring3" };
	int fd = memfd_create("ram", MFD_CLOEXEC);
	cpu_set_t all;
	uint8_t *ram;

	if (fd < 0 || ftruncate(fd, 1 << 20) < 0)
		die("memfd_create");
	ram = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	shared = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED || shared == MAP_FAILED ||
	    mmap((void *)AT, PAGE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		die("mmap");
	sched_getaffinity(0, sizeof(all), &all);
	for (int i = 0; i < CPU_SETSIZE && ncpus < 2; i++)
		if (CPU_ISSET(i, &all))
			cpus[ncpus++] = i;
	pin(0);
	if (!engine_open(ram, fd))
		engine = NULL;
	printf("%-10s", "event");
	for (unsigned w = 0; w < WAYS; w++)
		printf(" %8s", names[w]);
	printf("   ring3/ptrace1\n");
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		double best[WAYS] = { 0 };

		memcpy(ram, events[i].code, sizeof(events[i].code));
		for (unsigned round = 0; round < ROUNDS; round++)
			for (unsigned w = 0; w < WAYS; w++) {
				double t = measure(&events[i], w);

				if (!round || t < best[w])
					best[w] = t;
			}
		printf("%-10s", events[i].name);
		for (unsigned w = 0; w < WAYS; w++)
			if (best[w] > 0)
				printf(" %8.0f", best[w]);
			else
				printf(" %8s", "-");
		if (best[RING3] > 0)
			printf("   %.2f", best[RING3] / best[PTRACE1]);
		printf("\n");
		fflush(stdout);
	}
	if (engine)
		direct_ring3.close(engine);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random bytes executed in random states: real mode, ring 0 and ring 3 with and
 * without paging, virtual-8086, and the same in 64-bit code. Whatever they do, the
 * monitor stays alive, ends within its budget, and keeps what it promises about the
 * state (check_state). With --lockstep each state runs twice, by traces and by single
 * steps, and both must end alike.
 *
 * usage: fuzz_code [--runs N] [--lockstep] [--verbose] [SEED...]
 *
 * A seed is one run; without one, --runs N takes the seeds 1 to N. The runs are done
 * in a child, so that a seed that ends it is named whichever way it does.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dev/table.h"
#include "interp/interp.h"
#include "machine/paging.h"

#define RAM_SIZE	(2ull << 20)
#define BUDGET		10000
#define HANG_SECONDS	60

/* Where things lie, in physical memory: paging maps all of it one to one. */
enum {
	AT_IDT = 0x0000, AT_GDT = 0x1000, AT_LDT = 0x2000, AT_TSS = 0x3000, AT_TABLES = 0x4000,
	AT_CODE = 0x10000, CODE_SIZE = 0x2000, AT_DATA = 0x20000, DATA_SIZE = 0x10000,
};

/* The descriptors that a state begins with; those from SEL_OTHER on are any. */
enum { SEL_CODE0 = 1, SEL_DATA0, SEL_CODE3, SEL_DATA3, SEL_TSS, SEL_TSS_HIGH, SEL_LDT,
       SEL_LDT_HIGH, SEL_OTHER, SEL_COUNT = 40 };

enum { M_PE = 1, M_USER = 2, M_PG = 4, M_PAE = 8, M_VM = 16, M_LONG = 32, M_COMPAT = 64 };
static const struct mode { const char *name; unsigned is; } modes[] = {
	{ "real", 0 },
	{ "ring0", M_PE },
	{ "ring3", M_PE | M_USER },
	{ "paged-ring0", M_PE | M_PG },
	{ "paged-ring3", M_PE | M_PG | M_USER },
	{ "pae-ring0", M_PE | M_PG | M_PAE },
	{ "pae-ring3", M_PE | M_PG | M_PAE | M_USER },
	{ "v86", M_PE | M_PG | M_VM | M_USER },
	{ "long-ring0", M_PE | M_PG | M_PAE | M_LONG },
	{ "long-ring3", M_PE | M_PG | M_PAE | M_LONG | M_USER },
	{ "compat-ring3", M_PE | M_PG | M_PAE | M_LONG | M_COMPAT | M_USER },
};

/* The PC without what writes to this program's own output. */
static const struct device_ops *const devices[] = {
	&pic_device, &pit_device, &rtc_device, &i8042_device, &uart_device, &port92_device,
	&cf9_device, &post_device, NULL
};

static struct shared { uint64_t seed; char mode[16]; } *now;	/* seen by the parent */
static uint64_t rng;

static uint64_t rnd(void)
{
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return rng * 0x2545f4914f6cdd1dull;
}
static unsigned below(unsigned n) { return (unsigned)((rnd() >> 32) % n); }
static bool one_in(unsigned n) { return below(n) == 0; }

/* --- Memory ------------------------------------------------------------------------ */

/* Bytes that begin something: noise alone hardly gets past the first few. */
static const uint8_t starters[] = {
	0x01, 0x03, 0x09, 0x0b, 0x0f, 0x0f, 0x0f, 0x11, 0x19, 0x21, 0x29, 0x31, 0x33, 0x39, 0x3b, 0x40,
	0x48, 0x50, 0x55, 0x58, 0x5d, 0x60, 0x61, 0x66, 0x67, 0x68, 0x6a, 0x70, 0x74, 0x75, 0x7c, 0x80,
	0x81, 0x83, 0x85, 0x86, 0x88, 0x89, 0x8a, 0x8b, 0x8d, 0x8e, 0x90, 0x99, 0x9c, 0x9d, 0xa4, 0xa5,
	0xa6, 0xaa, 0xab, 0xac, 0xae, 0xb0, 0xb8, 0xbb, 0xc1, 0xc3, 0xc6, 0xc7, 0xc8, 0xc9, 0xcd, 0xcf,
	0xd1, 0xd3, 0xd8, 0xd9, 0xdb, 0xdd, 0xdf, 0xe2, 0xe4, 0xe6, 0xe8, 0xeb, 0xec, 0xee, 0xf2, 0xf3,
	0xf6, 0xf7, 0xf8, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0xff, 0x26, 0x2e, 0x36, 0x64, 0x65, 0xf0,
};

static void fill_code(uint8_t *p, size_t n)
{
	bool noise = one_in(4);

	for (size_t i = 0; i < n; i++)
		p[i] = noise || one_in(2) ? (uint8_t)rnd() : starters[below(sizeof(starters))];
}

static uint64_t address(void)
{
	switch (below(8)) {
	case 0: return AT_CODE + below(CODE_SIZE);
	case 1: return RAM_SIZE - below(16);
	case 2: return below(0x8000);
	case 3: return rnd();
	case 4: return 0 - (uint64_t)below(64);
	default: return AT_DATA + below(DATA_SIZE);
	}
}

static void put(uint8_t *ram, uint64_t at, uint64_t val, unsigned size)
{
	memcpy(ram + at, &val, size);
}

static uint64_t descriptor(uint32_t base, uint32_t limit, unsigned attr)
{
	if (attr & SEG_G)
		limit >>= 12;
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)attr << 40 |
	       (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)(base >> 24) << 56;
}

/* A call, interrupt, trap or task gate, or what looks like one. */
static uint64_t gate(unsigned type, bool to_user)
{
	unsigned sel = one_in(8) ? below(SEL_COUNT) * 8 + below(8) :
		       to_user ? SEL_CODE3 * 8 + 3 : SEL_CODE0 * 8;
	uint64_t off = AT_CODE + below(CODE_SIZE), attr = SEG_P | type | below(4) << 5;

	return (off & 0xffff) | (uint64_t)sel << 16 | attr << 40 | off >> 16 << 48;
}

static uint64_t any_descriptor(void)
{
	static const uint8_t gates[] = { 4, 5, 6, 7, 12, 14, 15 };

	switch (below(4)) {
	case 0:	/* a segment somewhere */
		return descriptor((uint32_t)address(), (uint32_t)address(),
				  SEG_P | SEG_S | below(16) | below(4) << 5 | below(16) << 12);
	case 1: return gate(gates[below(sizeof(gates))], one_in(2));
	case 2: return descriptor(AT_TSS + below(256), 0x67 + below(64), SEG_P | below(16) | below(4) << 5);
	default: return rnd();
	}
}

static void fill_tables(uint8_t *ram, unsigned is)
{
	unsigned wide = is & M_LONG ? SEG_L : SEG_D;

	for (unsigned i = 1; i < SEL_COUNT; i++)
		put(ram, AT_GDT + 8 * i, any_descriptor(), 8);
	for (unsigned i = 0; i < 32; i++)
		put(ram, AT_LDT + 8 * i, any_descriptor(), 8);
	put(ram, AT_GDT + 8 * SEL_CODE0, descriptor(0, ~0u, SEG_G | SEG_P | SEG_S | wide | 0xb), 8);
	put(ram, AT_GDT + 8 * SEL_DATA0, descriptor(0, ~0u, SEG_G | SEG_P | SEG_S | SEG_D | 0x3), 8);
	if (is & M_COMPAT)
		wide = one_in(3) ? 0 : SEG_D;
	put(ram, AT_GDT + 8 * SEL_CODE3, descriptor(0, ~0u, SEG_G | SEG_P | SEG_S | wide | 0x60 | 0xb), 8);
	put(ram, AT_GDT + 8 * SEL_DATA3, descriptor(0, ~0u, SEG_G | SEG_P | SEG_S | SEG_D | 0x60 | 3), 8);
	put(ram, AT_GDT + 8 * SEL_TSS, descriptor(AT_TSS, 0x1000, SEG_P | 0xb), 8);
	put(ram, AT_GDT + 8 * SEL_LDT, descriptor(AT_LDT, 0xff, SEG_P | 0x2), 8);
	if (is & M_LONG) {
		put(ram, AT_GDT + 8 * SEL_TSS_HIGH, 0, 8);
		put(ram, AT_GDT + 8 * SEL_LDT_HIGH, 0, 8);
	}
	for (unsigned i = 0; i < 256; i++) {
		uint64_t g = one_in(16) ? any_descriptor() : gate(one_in(2) ? 14 : 15, one_in(8));

		if (!(is & M_PE)) {
			put(ram, AT_IDT + 4 * i, (AT_CODE >> 4) << 16 | below(CODE_SIZE), 4);
		} else if (is & M_LONG) {
			put(ram, AT_IDT + 16 * i, g, 8);
			put(ram, AT_IDT + 16 * i + 8, one_in(16) ? rnd() : 0, 8);
		} else {
			put(ram, AT_IDT + 8 * i, g, 8);
		}
	}
	for (unsigned i = 0; i < 0x1000; i += 8)
		put(ram, AT_TSS + i, one_in(8) ? rnd() : 0, 8);
	for (unsigned i = 4; i < 0x5c; i += is & M_LONG ? 8 : 4)	/* stacks, and a task's registers */
		put(ram, AT_TSS + i, address(), is & M_LONG ? 8 : 4);
	if (!(is & M_LONG))
		put(ram, AT_TSS + 8, SEL_DATA0 * 8, 4);
	put(ram, AT_TSS + 0x66, below(0x200), 2);
}

static unsigned leaf_bits(void)
{
	return one_in(40) ? (unsigned)rnd() & 0x1ff : PTE_P | PTE_U | (one_in(8) ? 0 : PTE_W);
}

static void fill_paging(uint8_t *ram, struct cpu *c, unsigned is)
{
	unsigned size = is & M_PAE ? 8 : 4, per = (unsigned)PAGE_SIZE / size;
	uint64_t at = AT_TABLES, all = PTE_P | PTE_W | PTE_U;

	c->cr3 = at;
	if (is & M_LONG) {
		put(ram, at, (at + 0x1000) | all, 8);
		at += 0x1000;
	}
	if (is & M_PAE) {
		put(ram, at, (at + 0x1000) | (is & M_LONG ? all : PTE_P), 8);
		at += 0x1000;
		c->pdpte[0] = is & M_LONG ? 0 : at | PTE_P;
	}
	for (unsigned i = 0; i < per; i++)
		put(ram, at + size * i, i < 1 ? (at + 0x1000) | all :
		    one_in(4) ? rnd() & ~0x7ffffe00000ull : 0, size);
	at += 0x1000;
	for (unsigned i = 0; i < per; i++)
		put(ram, at + size * i, ((uint64_t)i << PAGE_SHIFT) % RAM_SIZE | leaf_bits(), size);
}

/* --- The processor ------------------------------------------------------------------ */

static void load_segment(struct cpu *c, const uint8_t *ram, enum segreg s, unsigned index, unsigned rpl)
{
	uint64_t d;

	memcpy(&d, ram + AT_GDT + 8 * index, 8);
	c->seg[s] = (struct segment){
		.sel = (uint16_t)(index * 8 + rpl), .attr = (uint16_t)(d >> 40 & 0xf0ff),
		.limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000)),
		.base = (d >> 16 & 0xffffff) | (d >> 56) << 24,
	};
	if (c->seg[s].attr & SEG_G)
		c->seg[s].limit = c->seg[s].limit << 12 | 0xfff;
}

static void fill_segments(struct cpu *c, const uint8_t *ram, unsigned is)
{
	unsigned rpl = is & M_USER ? 3 : 0;

	if (!(is & M_PE) || (is & M_VM)) {
		for (unsigned s = 0; s < 6; s++) {
			unsigned sel = s == SEG_CS ? AT_CODE >> 4 : below(0x10000);

			c->seg[s] = (struct segment){ (uint16_t)sel, is & M_VM ? 0xf3 : 0x93, 0xffff, sel * 16 };
		}
		c->rip -= AT_CODE;
	} else {
		for (unsigned s = 0; s < 6; s++)
			load_segment(c, ram, s, rpl ? SEL_DATA3 : SEL_DATA0, rpl);
		load_segment(c, ram, SEG_CS, rpl ? SEL_CODE3 : SEL_CODE0, rpl);
		if (one_in(2))	/* one with a base, within RAM or not */
			c->seg[SEG_FS].base = address() & 0xffffffff;
	}
	if (is & M_PE) {
		load_segment(c, ram, SEG_TR, SEL_TSS, 0);
		load_segment(c, ram, SEG_LDTR, SEL_LDT, 0);
	}
	c->cpl = (uint8_t)rpl;
	c->gdtr = (struct dtable){ AT_GDT, 8 * SEL_COUNT - 1 };
	c->idtr = (struct dtable){ AT_IDT, is & M_LONG ? 0xfff : is & M_PE ? 0x7ff : 0x3ff };
}

static void fill_fpu(struct fpu *f)
{
	uint8_t image[512];

	for (unsigned i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)rnd();
	put(image, 24, one_in(2) ? 0x1f80 : rnd() & 0xffbf, 4);	/* MXCSR */
	if (one_in(2))
		put(image, 0, 0x037f, 2);
	fpu_from_fxsave(f, image, true);
}

static void fill_cpu(struct cpu *c, uint8_t *ram, unsigned is)
{
	for (unsigned r = RAX; r <= (is & M_LONG ? R15 : RDI); r++)
		c->gpr[r] = is & M_LONG ? address() : (uint32_t)address();
	c->gpr[RSP] = AT_DATA + below(DATA_SIZE);
	if (one_in(4))
		c->gpr[RCX] = below(3000);
	c->rip = AT_CODE + below(CODE_SIZE);
	c->cr0 = CR0_ET | (is & M_PE ? CR0_PE : 0) | (is & M_PG ? CR0_PG : 0) |
		 (one_in(4) ? rnd() & (CR0_TS | CR0_EM | CR0_MP | CR0_NE | CR0_WP | CR0_AM) : CR0_NE);
	c->cr4 = (is & M_PAE ? CR4_PAE : 0) | CR4_OSFXSR | CR4_OSXMMEXCPT |
		 (one_in(2) ? rnd() & (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PGE) : 0);
	if (is & M_LONG)
		c->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
	fill_segments(c, ram, is);
	cpu_set_eflags(c, (uint32_t)rnd() & (FL_ARITH | FL_DF | FL_IF | FL_IOPL | FL_NT | FL_ID |
					     (one_in(8) ? FL_TF | FL_AC | FL_RF : 0)));
	if (is & M_VM)
		c->eflags |= FL_VM;
	if (one_in(8)) {	/* breakpoints */
		for (unsigned i = 0; i < 4; i++)
			c->dr[i] = address();
		c->dr[7] = 0x400 | (rnd() & 0xffff03ff);
	}
	c->msr_sysenter_cs = one_in(2) ? SEL_CODE0 * 8 : 0;
	c->msr_sysenter_eip = c->msr_lstar = AT_CODE + below(CODE_SIZE);
	c->msr_sysenter_esp = AT_DATA + below(DATA_SIZE);
	c->msr_star = (uint64_t)(SEL_CODE0 * 8) << 32 | (uint64_t)(SEL_DATA0 * 8 + 3) << 48;
	fill_fpu(&c->fpu);
}

/* --- One run ------------------------------------------------------------------------- */

struct subject { struct machine m; struct interp *v; };

static void check_state(const struct cpu *c)
{
	bug_on(c->gpr[R_ZERO]);
	bug_on(c->cpl > 3);
	bug_on(!(c->eflags & FL_1) || (c->eflags & FL_ARITH));
	bug_on((c->cr0 & CR0_PG) && !(c->cr0 & CR0_PE));
	bug_on((c->eflags & FL_VM) && c->cpl != 3);
	if (c->efer & EFER_LMA)
		return;
	for (unsigned r = RAX; r <= RDI; r++)
		bug_on(c->gpr[r] >> 32);
	bug_on(c->rip >> 32);
}

static void subject_create(struct subject *s, const struct config *cfg, unsigned is, uint64_t seed)
{
	uint8_t *ram;
	int err = machine_create(&s->m, cfg);

	if (!err)
		err = interp_create(&s->v, &s->m);
	if (!err)
		err = machine_add_devices(&s->m, devices);
	if (err) {
		fprintf(stderr, "fuzz_code: %s\n", strerror(-err));
		_exit(EXIT_FAILURE);
	}
	s->m.clock.retired = interp_retired(s->v);
	machine_reset(&s->m);

	rng = seed * 0x9e3779b97f4a7c15ull | 1;
	for (int i = 0; i < 8; i++)
		rnd();
	ram = s->m.mem.ram;
	for (unsigned i = 0; i < DATA_SIZE; i += 8)
		put(ram, AT_DATA + i, one_in(2) ? address() : rnd(), 8);
	fill_tables(ram, is);
	if (is & M_PG)
		fill_paging(ram, s->m.cpu, is);
	fill_code(ram + AT_CODE, CODE_SIZE);
	fill_cpu(s->m.cpu, ram, is);
	interp_flush(s->v);
}

static void subject_destroy(struct subject *s)
{
	interp_destroy(s->v);
	machine_destroy(&s->m);
}

/* Runs until the budget is used up, the machine stops, or waits for good. */
static void subject_run(struct subject *s, int64_t budget)
{
	const int64_t *retired = interp_retired(s->v);

	for (int i = 0; i < BUDGET && *retired < budget && s->m.power == POWER_ON; i++) {
		if (interp_run(s->v, budget - *retired, 0) == ISTOP_HALT)
			s->m.cpu->halted = false;
		atomic_store(&s->m.attention, 0);
	}
	check_state(s->m.cpu);
}

/* What must be the same however the instructions were reached. */
static bool same(const struct subject *a, const struct subject *b)
{
	struct cpu x = *a->m.cpu, y = *b->m.cpu;

	x.gpr[R_PAGE] = y.gpr[R_PAGE] = 0;
	return !memcmp(&x, &y, sizeof(x)) && !memcmp(a->m.mem.ram, b->m.mem.ram, RAM_SIZE);
}

/* Steps b to where a is. A repeated string instruction takes several steps, none of
 * which but the last counts. */
static bool follow(struct subject *a, struct subject *b)
{
	const int64_t *end = interp_retired(a->v), *at = interp_retired(b->v);

	for (int more = 0; b->m.power == POWER_ON && *at <= *end && more < 70000; ) {
		if (*at == *end && same(a, b))
			return true;
		if (interp_run(b->v, 1, RUN_ONE) == ISTOP_HALT)
			b->m.cpu->halted = false;
		atomic_store(&b->m.attention, 0);
		more += *at == *end;
	}
	return same(a, b);
}

static void run_seed(uint64_t seed, bool lockstep)
{
	static const char *const models[] = { "hemi32", "486", "pentium3" };
	const struct mode *mode = &modes[seed % ARRAY_LEN(modes)];
	struct config cfg = {
		.memory = RAM_SIZE, .clock_instructions = true, .rtc_base = 1000000000,
		.cpu_model = mode->is & M_LONG ? "x86-64-v2" : models[seed / ARRAY_LEN(modes) % 3],
	};
	struct subject a = { 0 }, b = { 0 };

	now->seed = seed;
	snprintf(now->mode, sizeof(now->mode), "%s", mode->name);
	alarm(HANG_SECONDS);
	subject_create(&a, &cfg, mode->is, seed);
	if (lockstep) {
		subject_create(&b, &cfg, mode->is, seed);
		subject_run(&a, 1 + below(below(2) ? 40 : BUDGET));
		if (!follow(&a, &b)) {
			fprintf(stderr, "by traces, %lld instructions:\n",
				(long long)*interp_retired(a.v));
			cpu_dump(a.m.cpu, stderr);
			fprintf(stderr, "by steps, %lld instructions:\n",
				(long long)*interp_retired(b.v));
			cpu_dump(b.m.cpu, stderr);
			_exit(EXIT_FAILURE);
		}
		subject_destroy(&b);
	} else {
		subject_run(&a, BUDGET);
	}
	subject_destroy(&a);
	alarm(0);
}

/* --- All runs ------------------------------------------------------------------------- */

static void child(int argc, char **argv, uint64_t runs, bool lockstep, bool verbose)
{
	uint64_t n = argc ? (uint64_t)argc : runs;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t seed = argc ? strtoull(argv[i], NULL, 0) : i + 1;

		if (verbose)
			fprintf(stderr, "seed %llu (%s)\n", (unsigned long long)seed,
				modes[seed % ARRAY_LEN(modes)].name);
		run_seed(seed, lockstep);
	}
	exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "runs", required_argument, NULL, 'r' }, { "lockstep", no_argument, NULL, 'l' },
		{ "verbose", no_argument, NULL, 'v' }, { 0 }
	};
	uint64_t runs = 200;
	bool lockstep = false, verbose = false;
	int status, c;

	while ((c = getopt_long(argc, argv, "r:lv", options, NULL)) != -1) {
		switch (c) {
		case 'r': runs = strtoull(optarg, NULL, 0); break;
		case 'l': lockstep = true; break;
		case 'v': verbose = true; break;
		default: return 2;
		}
	}
	now = mmap(NULL, sizeof(*now), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (now == MAP_FAILED) {
		perror("fuzz_code: mmap");
		return EXIT_FAILURE;
	}
	pid_t pid = fork();

	if (pid == 0)
		child(argc - optind, argv + optind, runs, lockstep, verbose);
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		perror("fuzz_code: child");
		return EXIT_FAILURE;
	}
	if (status == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "fuzz_code: seed %llu (%s): %s\n", (unsigned long long)now->seed, now->mode,
		!WIFSIGNALED(status) ? "failed" : WTERMSIG(status) == SIGALRM ? "hangs" :
		strsignal(WTERMSIG(status)));
	return EXIT_FAILURE;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does this host allow what the ring3 engine needs, and what is dear? Answered by doing it: a
 * stub is started and runs two instructions in a 32-bit and in a 16-bit segment. The
 * test program borrows the first page of guest RAM and puts back what was there.
 */
#include "direct/ring3.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CROSSINGS	32
#define PROBE_AT	0x100000	/* above any mmap_min_addr in use */

static const uint8_t code32[] = { 0xb8, 0x34, 0x12, 0xcd, 0xab, 0xcd, 0x80 };
static const uint8_t code16[] = { 0xb8, 0x34, 0x12, 0xcd, 0x80 };

static void user_state(struct cpu *c, bool wide)
{
	cpu_reset(c);
	c->cr0 |= CR0_PE | CR0_PG;
	c->cpl = 3;
	cpu_set_eflags(c, FL_IF);
	for (unsigned i = 0; i < SEG_USER; i++)
		c->seg[i] = (struct segment){ .sel = 0x7b, .limit = 0xffffffff,
			.attr = SEG_G | SEG_D | SEG_P | 3 << 5 | SEG_S | SEG_W | SEG_A };
	c->seg[SEG_CS] = (struct segment){ .sel = 0x73, .base = PROBE_AT, .limit = 0xffff,
		.attr = SEG_P | 3 << 5 | SEG_S | SEG_CODE | SEG_R | SEG_A | (wide ? SEG_D : 0) };
	c->rip = 0;
}

static int try_segment(struct ring3 *e, struct space *s, bool wide, char *why)
{
	const char *name = wide ? "32-bit" : "16-bit";
	uint32_t want = wide ? 0xabcd1234 : 0x1234;
	struct direct_exit x;
	struct cpu c;
	int err;

	user_state(&c, wide);
	memcpy(e->m->mem.ram, wide ? code32 : code16, wide ? sizeof(code32) : sizeof(code16));
	err = seg_load_all(s, &c);
	if (err) {
		snprintf(why, 128, "modify_ldt, %s segment: %s", name, strerror(-err));
		return err;
	}
	ring3_run(e, s, &c, &x);
	if (x.kind == DEXIT_HOST) {
		snprintf(why, 128, "PTRACE_SYSEMU of %s code: %s", name, strerror(-x.err));
		return x.err;
	}
	if (x.kind != DEXIT_INTN || c.gpr[RAX] != want) {
		snprintf(why, 128, "%s code in the stub does not run (exit %d, rip %#llx)", name,
			 x.kind, (unsigned long long)c.rip);
		return -ENOEXEC;
	}
	return 0;
}

/* Habits of processors and hypervisors that decide how a stop is read. */
static void measure_habits(struct ring3 *e, struct space *s)
{
	uint8_t *code = e->m->mem.ram;
	struct direct_exit x;
	struct cpu c;

	user_state(&c, true);
	code[0] = 0xf1;		/* int1 */
	ring3_run(e, s, &c, &x);
	e->int1_len = x.kind == DEXIT_INTN && c.rip == 1;

	user_state(&c, true);
	code[0] = 0x0f, code[1] = 0x05;	/* syscall */
	ring3_run(e, s, &c, &x);
	e->syscall32 = x.kind != DEXIT_TRAP;

	user_state(&c, true);
	code[1] = 0x34;		/* sysenter */
	ring3_run(e, s, &c, &x);
	e->sysenter = x.kind != DEXIT_TRAP;

	user_state(&c, true);
	code[1] = 0xa2;		/* cpuid */
	code[2] = 0x0f, code[3] = 0x0b;	/* ud2 */
	ring3_run(e, s, &c, &x);
	e->cpuid_traps = x.kind == DEXIT_TRAP && c.rip == 0;
}

/* A page fault and back, the cheapest of several, ns. */
static int64_t crossing_ns(struct ring3 *e, struct space *s)
{
	uint8_t *code = e->m->mem.ram;
	int64_t best = INT64_MAX;
	struct direct_exit x;
	struct timespec t[2];
	struct cpu c;

	user_state(&c, true);
	code[0] = 0x8a, code[1] = 0x03;	/* mov (%ebx),%al */
	c.seg[SEG_DS].base = 0;
	c.gpr[RBX] = PROBE_AT + PAGE_SIZE;
	for (unsigned i = 0; i < CROSSINGS; i++) {
		clock_gettime(CLOCK_MONOTONIC, &t[0]);
		ring3_run(e, s, &c, &x);
		clock_gettime(CLOCK_MONOTONIC, &t[1]);

		int64_t ns = (t[1].tv_sec - t[0].tv_sec) * 1000000000ll + t[1].tv_nsec - t[0].tv_nsec;

		if (ns < best)
			best = ns;
	}
	return best;
}

static int find_floor(struct ring3 *e, struct space *s, char *why)
{
	static const gva_t try[] = { 0, 0x1000, 0x10000, PROBE_AT };
	struct sink sink = ring3_sink(e);
	int err = -EPERM;

	for (size_t i = 0; err && i < ARRAY_LEN(try); i++) {
		const struct sink_op op = { try[i], 1, 0, SINK_R | SINK_W | SINK_X };

		err = sink.apply(e, s, &op, 1);
		e->floor = try[i];
	}
	if (err)
		snprintf(why, 128, "mmap of guest RAM in the stub: %s", strerror(-err));
	return err;
}

/* A stub with a page of guest RAM at PROBE_AT. */
static int probe_start(struct ring3 *e, struct space *s, char *why)
{
	const struct sink_op op = { PROBE_AT, 1, 0, SINK_R | SINK_W | SINK_X };
	struct sink sink = ring3_sink(e);
	const char *what;
	int err = stub_start(e, s, &what);

	if (err) {
		snprintf(why, 128, "%s: %s", what, strerror(-err));
		return err;
	}
	err = sink.apply(e, s, &op, 1);
	if (err)
		snprintf(why, 128, "mmap of guest RAM in the stub: %s", strerror(-err));
	return err;
}

/* Not kept: the thread that opens need not be the one that runs. */
static void probe_end(struct space *s)
{
	stub_kill(s);
	seg_forget(s);
	memset(s, 0, sizeof(*s));
}

/*
 * CPUID faulting is a bit in a model-specific register that differs between monitor and stub:
 * each switch of process writes it, which a hypervisor may intercept, at several times the
 * price of the rest of a crossing. Breakpoints do the same for less there.
 */
static int price_cpuid(struct ring3 *e, struct space *s, char *why)
{
	int64_t with, without;
	int err;

	with = crossing_ns(e, s);
	probe_end(s);
	e->cpuid_left = true;
	e->cpuid_traps = false;
	err = probe_start(e, s, why);
	if (err)
		return err;
	without = crossing_ns(e, s);
	if (with > without + without / 2)
		return 0;
	e->cpuid_left = false;
	e->cpuid_traps = true;
	return 0;
}

static int probe_run(struct ring3 *e, struct space *s, char *why)
{
	int err = fpu_measure(s);

	if (err < 0) {
		snprintf(why, 128, "PTRACE_GETREGSET: %s", strerror(-err));
		return err;
	}
	e->xstate_size = (unsigned)err;
	err = find_floor(e, s, why);
	if (!err)
		err = try_segment(e, s, true, why);
	if (!err)
		err = try_segment(e, s, false, why);
	if (err)
		return err;
	measure_habits(e, s);
	return e->cpuid_traps ? price_cpuid(e, s, why) : 0;
}

int ring3_probe(struct ring3 *e, char why[static 128])
{
	uint8_t saved[sizeof(code32)];
	struct space s = { 0 };
	cpu_set_t affinity;
	bool pinned = !sched_getaffinity(0, sizeof(affinity), &affinity);
	int err;

	memcpy(saved, e->m->mem.ram, sizeof(saved));
	e->complained = true;	/* the caller says why */
	ring3_pin(e);
	err = probe_start(e, &s, why);
	if (!err) {
		err = probe_run(e, &s, why);
		probe_end(&s);
	}
	/* The thread that runs will be pinned where it is. */
	e->pinned = false;
	if (pinned)
		sched_setaffinity(0, sizeof(affinity), &affinity);
	e->complained = false;
	memcpy(e->m->mem.ram, saved, sizeof(saved));
	return err;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this KVM really does with user code, found by running some before the guest: is it a
 * processor that runs it, of which kinds; what traps, what shows the host (docs/kvm.md).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "direct/kvm.h"

#define FAIL(k_err, ...) do { snprintf(why, 128, __VA_ARGS__); return (k_err); } while (0)

#define TRY_GVA		0x10000u
#define LOOPS		20000u
#define FEW_LOOPS	2000u
#define SEL_CODE32	0x23u
#define SEL_OTHER64	0x43u
#define TRIES		2
#define EMULATED_NS	5000000		/* for 20,000 iterations: 250 ns each */

struct trial { struct kvm *k; struct space *space; uint8_t *page; unsigned code64; };

/* Runs at most 15 bytes of user code and what follows, UD2. */
static void try_code(struct trial *t, bool wide, const char *code, size_t n, struct cpu *c,
		     struct direct_exit *x)
{
	static const struct segment data = { .sel = KVM_HOST_DS, .attr = 0xc0f3, .limit = 0xffffffff };

	memcpy(t->page, code, n);
	memcpy(t->page + n, "\x0f\x0b", 2);
	cpu_reset(c);
	c->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	c->efer = EFER_LME | EFER_LMA;
	c->cpl = 3;
	c->rip = TRY_GVA;
	c->fpu.cw = 0x37f;
	c->fpu.mxcsr = 0x1f80;
	cpu_set_eflags(c, FL_IF | FL_1);
	for (unsigned s = 0; s <= SEG_GS; s++)
		c->seg[s] = s == SEG_FS || s == SEG_GS ? (struct segment){ 0 } : data;
	c->seg[SEG_CS] = (struct segment){ .sel = (uint16_t)(wide ? t->code64 : SEL_CODE32), .limit = 0xffffffff,
					   .attr = wide ? 0xa0fb : 0xc0fb };
	kvm_gdt_put(t->k, SEL_CODE32 >> 3, 0x00cffb000000ffffull);
	kvm_gdt_put(t->k, KVM_HOST_DS >> 3, 0x00cff3000000ffffull);
	kvm_gdt_put(t->k, t->code64 >> 3, 0x00affb000000ffffull);
	kvm_run_user(t->k, t->space, c, x);
}

/* The same loop on the host itself. */
static int64_t host_loop_ns(uint32_t n)
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n));
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec + 1;
}

static int64_t loop_ns(struct trial *t, bool wide, uint32_t n)
{
	char code[] = "\xb9....\xff\xc9\x75\xfc";	/* MOV ECX, n; DEC ECX; JNZ */
	struct timespec a, b;
	struct direct_exit x;
	struct cpu c;

	memcpy(code + 1, &n, 4);
	clock_gettime(CLOCK_MONOTONIC, &a);
	try_code(t, wide, code, 9, &c, &x);
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (x.kind != DEXIT_TRAP || c.rip != TRY_GVA + 9)
		return INT64_MAX;
	return (b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec;
}

/* What disturbs only adds, and the first run is the dearest: the least of a few, unless it is soon
 * clear that a processor runs it. */
static int64_t loop_least_ns(struct trial *t, bool wide, uint32_t n, int64_t enough)
{
	int64_t least = loop_ns(t, wide, n);

	for (unsigned i = 0; i < TRIES && least > enough; i++) {
		int64_t ns = loop_ns(t, wide, n);

		least = ns < least ? ns : least;
	}
	return least;
}

/* Did it trap, at the instruction? */
static bool traps(struct trial *t, const char *code, size_t n)
{
	struct direct_exit x;
	struct cpu c;

	try_code(t, true, code, n, &c, &x);
	return (x.kind == DEXIT_TRAP || x.kind == DEXIT_INTN || x.kind == DEXIT_SYSCALL) && c.rip == TRY_GVA;
}

/* CPUID traps or shows the guest's processor. */
static bool cpuid_agrees(struct trial *t)
{
	const struct machine *m = t->k->m;

	for (uint32_t leaf = 0; leaf < 2; leaf++) {
		char code[] = "\xb8\x00\x00\x00\x00\x31\xc9\x0f\xa2";	/* MOV EAX; XOR ECX,ECX; CPUID */
		struct direct_exit x;
		uint32_t want[4];
		struct cpu c;

		code[1] = (char)leaf;
		try_code(t, true, code, 9, &c, &x);
		if (x.kind == DEXIT_TRAP && c.rip == TRY_GVA + 7)
			continue;
		m->cpuid(m->cpuid_self, leaf, 0, want);
		if (x.kind != DEXIT_TRAP || c.rip != TRY_GVA + 9 || c.gpr[RAX] != want[0] ||
		    c.gpr[RBX] != want[1] || c.gpr[RCX] != want[2] || c.gpr[RDX] != want[3])
			return false;
	}
	return true;
}

static bool tsc_is_host(struct trial *t)
{
	uint64_t before = __rdtsc(), after, tsc;
	struct direct_exit x;
	struct cpu c;

	try_code(t, true, "\x0f\x31", 2, &c, &x);
	after = __rdtsc();
	tsc = c.gpr[RDX] << 32 | (uint32_t)c.gpr[RAX];
	return x.kind == DEXIT_TRAP && c.rip == TRY_GVA + 2 && tsc >= before && tsc <= after;
}

static bool tsd_works(struct trial *t)
{
	bool traps_now, as_found = t->k->tsc_traps;

	t->k->tsc_traps = true;
	traps_now = traps(t, "\x0f\x31", 2);
	t->k->tsc_traps = as_found;
	return traps_now;
}

/* A breakpoint stops before its instruction. */
static bool guard_works(struct trial *t)
{
	struct direct_exit x;
	struct cpu c;

	t->space->guard[0] = TRY_GVA + 1;
	t->space->nguard = 1;
	try_code(t, true, "\x90\x90\x90", 3, &c, &x);
	t->space->nguard = 0;
	return x.kind == DEXIT_GUARD && c.rip == TRY_GVA + 1;
}

/* Does code see the selectors that it was given? */
static bool replaces_selectors(struct trial *t)
{
	struct direct_exit x;
	struct cpu c;

	t->code64 = SEL_OTHER64;
	try_code(t, true, "\x8c\xc8", 2, &c, &x);	/* MOV EAX, CS */
	t->code64 = KVM_HOST_CS64;
	return x.kind != DEXIT_TRAP || c.rip != TRY_GVA + 2 || (uint16_t)c.gpr[RAX] != SEL_OTHER64;
}

/* Are descriptors those of the VM's table? Selector 0x7b is in Linux's, and not in this one. */
static bool tables_are_ours(struct trial *t)
{
	struct direct_exit x;
	struct cpu c;

	try_code(t, true, "\xb9\x7b\x00\x00\x00\x0f\x03\xc1", 8, &c, &x);	/* MOV ECX; LSL EAX, ECX */
	if (!(x.kind == DEXIT_TRAP && c.rip == TRY_GVA + 8) || (cpu_eflags(&c) & FL_ZF))
		return false;
	try_code(t, true, "\xb9\x7b\x00\x00\x00\x8e\xe1", 7, &c, &x);		/* MOV FS, ECX */
	return x.kind == DEXIT_TRAP && c.rip == TRY_GVA + 5;
}

static int try_all(struct trial *t, char *why)
{
	struct kvm *k = t->k;
	int64_t wide, few, narrow;

	wide = loop_least_ns(t, true, LOOPS, 0);
	if (wide == INT64_MAX)
		FAIL(-ENOTSUP, "this KVM does not run 64-bit user code (exit %u)", k->run->exit_reason);
	if (wide > EMULATED_NS)
		FAIL(-ENOTSUP, "this KVM emulates 64-bit user code");
	few = loop_least_ns(t, true, FEW_LOOPS, 0);
	narrow = loop_least_ns(t, false, FEW_LOOPS, few + EMULATED_NS / 5);	/* emulated it takes 3 us each */
	k->wide32 = narrow < few + EMULATED_NS / 5;
	if (narrow == INT64_MAX)
		snprintf(k->why32, sizeof(k->why32), "32-bit code, which this KVM does not run");
	else
		snprintf(k->why32, sizeof(k->why32), "32-bit code, which this KVM emulates, %lld times slower",
			 (long long)((narrow - few) * (LOOPS / FEW_LOOPS) / host_loop_ns(LOOPS)));
	for (unsigned n = 0; n <= 0x80; n = n == 0x2f ? 0x80 : n + 1)
		if (!traps(t, (char[]){ (char)0xcd, (char)n }, 2)) {
			if ((n & 0xf0) != 0x10)
				FAIL(-ENOTSUP, "this KVM lets user code pass over INT %u", n);
			k->passes_ints = true;
		}
	k->vmcall = !traps(t, "\x0f\x01\xc1", 3) || !traps(t, "\x0f\x01\xd9", 3);
	if (!traps(t, "\x0f\x05", 2))
		FAIL(-ENOTSUP, "this KVM lets user code make system calls");
	k->tsc_traps = k->tsc_traps || !tsc_is_host(t);
	k->no_tsd = !tsd_works(t);
	k->own_tables = tables_are_ours(t);
	k->exact = k->own_tables && cpuid_agrees(t) && traps(t, "\x0f\x01\xd0", 3);
	k->own_selectors = replaces_selectors(t);
	k->has_guards = guard_works(t);
	return 0;
}

int kvm_try(struct kvm *k, char why[static 128])
{
	const struct sink_op op = { TRY_GVA, 1, 0, SINK_R | SINK_X };
	struct sink sink = kvm_sink(k);
	struct trial t = { .k = k, .page = k->m->mem.ram, .code64 = KVM_HOST_CS64 };
	uint8_t saved[32];
	int err = 0;

	memcpy(saved, t.page, sizeof(saved));
	t.space = sink.space_create(k, &err);
	if (t.space)
		err = sink.apply(k, t.space, &op, 1);
	if (err)
		snprintf(why, 128, "KVM: page tables: %s", strerror(-err));
	k->trying = true;
	if (!err)
		err = try_all(&t, why);
	k->trying = false;
	k->failure[0] = '\0';
	if (t.space)
		sink.space_destroy(k, t.space);
	memcpy(t.page, saved, sizeof(saved));
	k->live = k->made = 0;
	return err;
}

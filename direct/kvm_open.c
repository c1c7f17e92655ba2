/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM: guest RAM (file offset = its physical address there), the shim and its tables, one
 * processor with the guest's CPUID. Opened, it is tried: what user code can do in it that
 * it should not, how time and 32-bit code behave. A KVM that cannot serve is an error with
 * the reason; one that breaks later, a host failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "direct/kvm.h"

#define FAIL(k_err, ...) do { snprintf(why, 128, __VA_ARGS__); return (k_err); } while (0)

void kvm_failed(struct kvm *k, const char *what, int err)
{
	if (k->failure[0])
		return;
	if (err == -EPROTO)
		snprintf(k->failure, sizeof(k->failure), "KVM: the virtual machine stopped: exit reason %u",
			 k->run->exit_reason);
	else
		snprintf(k->failure, sizeof(k->failure), "KVM: %s: %s", what, strerror(-err));
}

/* --- The parts ------------------------------------------------------------------------ */

static int open_device(struct kvm *k, char *why)
{
	static const struct { int cap; const char *what; } needed[] = {
		{ KVM_CAP_USER_MEMORY, "user memory" }, { KVM_CAP_SYNC_REGS, "shared registers" },
		{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit" }, { KVM_CAP_EXT_CPUID, "CPUID" },
	};

	k->fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (k->fd < 0)
		FAIL(-errno, "/dev/kvm: %s", strerror(errno));
	if (ioctl(k->fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		FAIL(-ENOTSUP, "/dev/kvm: not the stable API");
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (ioctl(k->fd, KVM_CHECK_EXTENSION, needed[i].cap) <= 0)
			FAIL(-ENOTSUP, "/dev/kvm: too old: no %s", needed[i].what);
	k->vm = ioctl(k->fd, KVM_CREATE_VM, 0);
	if (k->vm < 0)
		FAIL(-errno, "KVM_CREATE_VM: %s", strerror(errno));
	k->vcpu = ioctl(k->vm, KVM_CREATE_VCPU, 0);
	if (k->vcpu < 0)
		FAIL(-errno, "KVM_CREATE_VCPU: %s", strerror(errno));
	k->run_size = (size_t)ioctl(k->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	k->run = mmap(NULL, k->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, k->vcpu, 0);
	if (k->run == MAP_FAILED) {
		k->run = NULL;
		FAIL(-errno, "KVM: the shared page: %s", strerror(errno));
	}
	return 0;
}

static int open_memory(struct kvm *k, char *why)
{
	uint64_t ram = k->m->mem.low_size + k->m->mem.high_size;
	struct kvm_userspace_memory_region slots[2] = {
		{ .slot = 0, .memory_size = ram, .userspace_addr = (uintptr_t)k->m->mem.ram },
		{ .slot = 1, .guest_phys_addr = KVM_SHIM_GPA, .memory_size = KVM_REGION_SIZE },
	};

	k->region = mmap(NULL, KVM_REGION_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	k->tables = mmap(NULL, KVM_POOL_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	k->pool_free = calloc(KVM_POOL_PAGES, sizeof(*k->pool_free));
	if (k->region == MAP_FAILED || (void *)k->tables == MAP_FAILED || !k->pool_free)
		FAIL(-ENOMEM, "KVM: out of memory");
	k->shim = (struct kvm_shim *)k->region;
	slots[1].userspace_addr = (uintptr_t)k->region;
	for (size_t i = 0; i < ARRAY_LEN(slots); i++)
		if (ioctl(k->vm, KVM_SET_USER_MEMORY_REGION, &slots[i]) < 0)
			FAIL(-errno, "KVM_SET_USER_MEMORY_REGION: %s", strerror(errno));
	return 0;
}

/* Pool pages 0, 1, 2: a root with the shim alone, and the tables that map the region. */
static void make_tables(struct kvm *k)
{
	enum { P = 1, W = 2, PS = 0x80, A = 0x20, D = 0x40 };

	k->tables[0][511] = kvm_table_gpa(1) | P | W | A;
	k->tables[1][0] = kvm_table_gpa(2) | P | W | A;
	for (uint64_t i = 0; i < KVM_REGION_SIZE >> 21; i++)
		k->tables[2][i] = (KVM_SHIM_GPA + (i << 21)) | P | W | PS | A | D;
	memcpy(k->region + (kvm_table_gpa(0) - KVM_SHIM_GPA), k->tables, 3 * PAGE_SIZE);
	k->pool_next = 3;
}

void kvm_shim_fill(struct kvm_shim *s)
{
	const uint64_t tss = KVM_SHIM_GVA + offsetof(struct kvm_shim, tss);
	const uint64_t stack = KVM_SHIM_GVA + offsetof(struct kvm_shim, stack[512]);

	memcpy(s->text, kvm_shim_text, (size_t)(kvm_shim_text_end - kvm_shim_text));
	for (uint64_t i = 0; i < KVM_VECTORS; i++) {	/* interrupt gates, DPL 0 */
		uint64_t at = KVM_SHIM_GVA + kvm_shim_at_stubs + 16 * i;

		s->idt[i].low = (at & 0xffff) | (uint64_t)KVM_SEL_CODE << 16 | 0x8e00ull << 32 |
				(at >> 16 & 0xffff) << 48;
		s->idt[i].high = at >> 32;
	}
	memcpy(s->tss + 4, &stack, 8);
	s->tss[0x66] = 0x68;		/* beyond the limit: no port is allowed */
	s->gdt[KVM_SEL_CODE >> 3] = 0x00af9b000000ffffull;
	s->gdt[KVM_SEL_DATA >> 3] = 0x00cf93000000ffffull;
	s->gdt[KVM_SEL_TSS >> 3] = 0x00008b0000000067ull | (tss & 0xffffff) << 16 | (tss >> 24 & 0xff) << 56;
	s->gdt[(KVM_SEL_TSS >> 3) + 1] = tss >> 32;
}

static int set_cpuid(struct kvm *k, char *why)
{
	enum { ROOM = 64 };
	static union {
		struct kvm_cpuid2 head;
		uint8_t room[sizeof(struct kvm_cpuid2) + ROOM * sizeof(struct kvm_cpuid_entry2)];
	} all;
	const struct machine *m = k->m;
	uint32_t r[4];

	all.head.nent = 0;
	for (uint32_t base = 0;; base = 0x80000000u) {
		m->cpuid(m->cpuid_self, base, 0, r);
		uint32_t last = r[0] < base ? base : r[0] > base + 0x1f ? base + 0x1f : r[0];

		for (uint32_t leaf = base; leaf <= last; leaf++)
			for (uint32_t sub = 0; sub <= (leaf == 0xd ? 2u : 0u); sub++) {
				struct kvm_cpuid_entry2 *e = &all.head.entries[all.head.nent++];

				bug_on(all.head.nent > ROOM);
				m->cpuid(m->cpuid_self, leaf, sub, r);
				*e = (struct kvm_cpuid_entry2){ .function = leaf, .index = sub,
					.flags = leaf == 7 || leaf == 0xd ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
					.eax = r[0], .ebx = r[1], .ecx = r[2], .edx = r[3] };
			}
		if (base)
			break;
	}
	if (ioctl(k->vcpu, KVM_SET_CPUID2, &all) < 0)
		FAIL(-errno, "KVM_SET_CPUID2: %s", strerror(errno));
	return 0;
}

/* LSTAR, CSTAR, FMASK, SYSENTER_CS */
const struct kvm_msr_entry kvm_shim_msrs[KVM_SHIM_MSRS] = {
	{ .index = 0xc0000082, .data = KVM_LSTAR }, { .index = 0xc0000083, .data = KVM_LSTAR },
	{ .index = 0xc0000084, .data = 0 }, { .index = 0x174, .data = 0 },
};

static int set_registers(struct kvm *k, char *why)
{
	struct { struct kvm_msrs head; struct kvm_msr_entry e[KVM_SHIM_MSRS]; } msrs = {
		.head.nmsrs = KVM_SHIM_MSRS };
	struct kvm_sregs *s = &k->kernel;
	struct kvm_segment data = { .selector = KVM_SEL_DATA, .limit = 0xffffffff, .type = 3, .present = 1,
				    .db = 1, .s = 1, .g = 1 };

	memcpy(msrs.head.entries, kvm_shim_msrs, sizeof(kvm_shim_msrs));
	if (ioctl(k->vcpu, KVM_GET_SREGS, s) < 0)
		FAIL(-errno, "KVM_GET_SREGS: %s", strerror(errno));
	s->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	s->cr3 = k->cr3 = kvm_table_gpa(0);
	s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	s->efer = EFER_LME | EFER_LMA | EFER_NXE;
	s->apic_base &= ~0x800ull;	/* disabled, or CPUID would show one */
	s->cs = (struct kvm_segment){ .selector = KVM_SEL_CODE, .limit = 0xffffffff, .type = 11, .present = 1,
				      .s = 1, .l = 1, .g = 1 };
	s->ss = s->ds = s->es = s->fs = s->gs = data;
	s->tr = (struct kvm_segment){ .selector = KVM_SEL_TSS, .limit = 0x67, .type = 11, .present = 1,
				      .base = KVM_SHIM_GVA + offsetof(struct kvm_shim, tss) };
	s->ldt = (struct kvm_segment){ .unusable = 1, .type = 2 };
	s->gdt.base = KVM_SHIM_GVA + offsetof(struct kvm_shim, gdt);
	s->gdt.limit = 0xffff;
	s->idt.base = KVM_SHIM_GVA + offsetof(struct kvm_shim, idt);
	s->idt.limit = KVM_VECTORS * 16 - 1;
	if (ioctl(k->vcpu, KVM_SET_SREGS, s) < 0)
		FAIL(-errno, "KVM_SET_SREGS: %s", strerror(errno));
	memcpy(msrs.e, kvm_shim_msrs, sizeof(msrs.e));
	if (ioctl(k->vcpu, KVM_SET_MSRS, &msrs) < 0)
		FAIL(-errno, "KVM_SET_MSRS: %s", strerror(errno));
	k->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	return 0;
}

/* The guest's TSC is the host's. False: RDTSC has to trap. */
static bool share_tsc(struct kvm *k)
{
#ifdef KVM_VCPU_TSC_CTRL
	uint64_t zero = 0;
	struct kvm_device_attr a = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
				     .addr = (uintptr_t)&zero };

	return ioctl(k->vcpu, KVM_SET_DEVICE_ATTR, &a) == 0;
#else
	(void)k;
	return false;
#endif
}

/* --- The trial -------------------------------------------------------------------------- */

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
	k->own_tables = tables_are_ours(t);
	k->exact = k->own_tables && cpuid_agrees(t) && traps(t, "\x0f\x01\xd0", 3);
	k->own_selectors = replaces_selectors(t);
	k->has_guards = guard_works(t);
	return 0;
}

static int try_vm(struct kvm *k, char *why)
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

/* --- Opening and closing ------------------------------------------------------------------ */

static void on_kick(int sig)
{
	(void)sig;
}

void kvm_close(void *self)
{
	struct kvm *k = self;

	if (k->made) {
		const char *what = kvm_differs(k);

		if (what)
			bug("KVM: user code has changed %s", what);
	}
	if (k->run)
		munmap(k->run, k->run_size);
	if (k->vcpu >= 0)
		close(k->vcpu);
	if (k->vm >= 0)
		close(k->vm);
	if (k->fd >= 0)
		close(k->fd);
	if (k->region && k->region != MAP_FAILED)
		munmap(k->region, KVM_REGION_SIZE);
	if (k->tables && (void *)k->tables != MAP_FAILED)
		munmap(k->tables, KVM_POOL_PAGES * PAGE_SIZE);
	free(k->pool_free);
	free(k);
}

int kvm_open(void **self, struct machine *m, char why[static 128])
{
	struct sigaction sa = { .sa_handler = on_kick };	/* without SA_RESTART: KVM_RUN returns */
	struct kvm *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		FAIL(-ENOMEM, "out of memory");
	k->m = m;
	k->fd = k->vm = k->vcpu = -1;
	sigaction(SIGUSR1, &sa, NULL);
	err = open_device(k, why);
	if (!err)
		err = open_memory(k, why);
	if (!err) {
		make_tables(k);
		kvm_shim_fill(k->shim);
		err = set_cpuid(k, why);
	}
	if (!err)
		err = set_registers(k, why);
	if (!err) {
		k->tsc_traps = !share_tsc(k);
		err = try_vm(k, why);
	}
	if (err) {
		kvm_close(k);
		return err;
	}
	*self = k;
	return 0;
}

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
#include <unistd.h>

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
	m->cpuid(m->cpuid_self, 0x80000001, 0, r);
	if (!(r[3] & 1u << 29))
		FAIL(-ENOTSUP, "KVM: the VM is in long mode, which the guest's CPU (--cpu) has "
			       "not");
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
	uint32_t leaf1[4];

	memcpy(msrs.head.entries, kvm_shim_msrs, sizeof(kvm_shim_msrs));
	if (ioctl(k->vcpu, KVM_GET_SREGS, s) < 0)
		FAIL(-errno, "KVM_GET_SREGS: %s", strerror(errno));
	s->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	s->cr3 = k->cr3 = kvm_table_gpa(0);
	s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	s->efer = EFER_LME | EFER_LMA | EFER_NXE;
	/* The VM has none, but its CPUID shows one while it is on. */
	k->m->cpuid(k->m->cpuid_self, 1, 0, leaf1);
	s->apic_base &= ~(uint64_t)APIC_BASE_ENABLE;
	s->apic_base |= leaf1[3] >> 9 & 1 ? APIC_BASE_ENABLE : 0;
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
	sigaction(KVM_KICK_SIGNAL, &sa, NULL);
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
		err = kvm_try(k, why);
	}
	if (err) {
		kvm_close(k);
		return err;
	}
	*self = k;
	return 0;
}

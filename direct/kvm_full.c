/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM as the whole processor. There is no interrupt controller in the kernel: ours says
 * when there is an interrupt, and KVM_INTERRUPT is its INTA cycle (Linux,
 * Documentation/virt/kvm/api.rst). The local APIC is ours too; KVM keeps its CR8 and base.
 * Nothing here knows what a device is.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "direct/kvm_full.h"
#include "direct/kvm_kick.h"

/* Four pages that VT-x without unrestricted guest needs somewhere (SDM 3C 26.3.1.2 wants
 * a TSS and page tables even in real mode): in the hole below the BIOS. */
#define VMX_IDENTITY	0xfffbc000ull
#define VMX_TSS		0xfffbd000ul
#define MAX_CPUID	128

int full_complain(const char *what, int err)
{
	fprintf(stderr, "hemi: KVM: %s: %s\n", what, strerror(-err));
	return err;
}

/* --- The virtual machine ------------------------------------------------------------------ */

int full_vm_make(struct full_vm *vm, int dev, const char **what)
{
	uint64_t identity = VMX_IDENTITY;
	int size = ioctl(dev, KVM_GET_VCPU_MMAP_SIZE, 0);

	*vm = (struct full_vm){ .fd = -1, .vcpu = -1 };
	*what = "KVM_CREATE_VM";
	vm->fd = ioctl(dev, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return -errno;
	/* Not every KVM has the two, or needs them. */
	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 ||
	    ioctl(vm->fd, KVM_SET_TSS_ADDR, VMX_TSS) < 0)
		errno = 0;
	*what = "KVM_CREATE_VCPU";
	vm->vcpu = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
	if (vm->vcpu >= 0 && size > 0) {
		vm->run_size = (size_t)size;
		vm->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
		if (vm->run != MAP_FAILED)
			return 0;
		vm->run = NULL;
	}
	int err = errno ? -errno : -ENOTSUP;

	full_vm_drop(vm);
	return err;
}

void full_vm_drop(struct full_vm *vm)
{
	if (vm->run)
		munmap(vm->run, vm->run_size);
	if (vm->vcpu >= 0)
		close(vm->vcpu);
	if (vm->fd >= 0)
		close(vm->fd);
	*vm = (struct full_vm){ .fd = -1, .vcpu = -1 };
}

static int slot_add(struct full *f, unsigned *n, gpa_t gpa, uint64_t size, void *hva,
		    unsigned flags)
{
	struct kvm_userspace_memory_region r = { .slot = *n, .flags = flags, .guest_phys_addr = gpa,
		.memory_size = size, .userspace_addr = (uintptr_t)hva };

	++*n;
	return ioctl(f->vm.fd, KVM_SET_USER_MEMORY_REGION, &r) < 0 ?
		full_complain("KVM_SET_USER_MEMORY_REGION", -errno) : 0;
}

/* The first byte at or above gpa that belongs to a range or to legacy video; that hole's end. */
static gpa_t hole_next(const struct memory *mem, gpa_t gpa, gpa_t end, gpa_t *hole_end)
{
	gpa_t found = end;

	*hole_end = end;
	if (gpa < 0xc0000 && end > 0xa0000) {
		found = gpa > 0xa0000 ? gpa : 0xa0000;
		*hole_end = 0xc0000;
	}
	for (unsigned i = 0; i < mem->nranges; i++) {
		const struct range *r = &mem->ranges[i];
		gpa_t base = r->base & PAGE_MASK;
		gpa_t last = (r->base + r->size + PAGE_SIZE - 1) & PAGE_MASK;

		if (r->off || last <= gpa || base >= found)
			continue;
		found = base > gpa ? base : gpa;
		*hole_end = last;
	}
	return found;
}

static int map_ram(struct full *f, unsigned *n, gpa_t gpa, gpa_t end)
{
	const struct memory *mem = &f->m->mem;

	while (gpa < end) {
		gpa_t hole_end, hole = hole_next(mem, gpa, end, &hole_end);
		int err = hole > gpa ? slot_add(f, n, gpa, hole - gpa, memory_hva(mem, gpa), 0) : 0;

		if (err)
			return err;
		gpa = hole_end;
	}
	return 0;
}

/* RAM where it is RAM; what is left out comes back as an access to a device. */
static int map_memory(struct full *f)
{
	const struct memory *mem = &f->m->mem;
	unsigned n = 0;
	int err = map_ram(f, &n, 0, mem->low_size);

	if (!err)
		err = map_ram(f, &n, 1ull << 32, (1ull << 32) + mem->high_size);
	for (unsigned i = 0; i < mem->nranges && !err; i++) {
		const struct range *r = &mem->ranges[i];

		if (r->kind == RANGE_ROM && !((r->base | r->size | (uintptr_t)r->rom) & 0xfff))
			err = slot_add(f, &n, r->base, r->size, r->rom, KVM_MEM_READONLY);
	}
	f->mapped = !err;
	return err;
}

/* --- CPUID ---------------------------------------------------------------------------------- */

static struct kvm_cpuid2 *cpuid_alloc(unsigned n)
{
	struct kvm_cpuid2 *all = calloc(1, sizeof(*all) + n * sizeof(all->entries[0]));

	if (all)
		all->nent = n;
	return all;
}

uint32_t full_offers(struct full *f, uint32_t leaf, uint32_t sub, unsigned reg)
{
	for (unsigned i = 0; i < f->offers->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &f->offers->entries[i];
		const uint32_t regs[] = { e->eax, e->ebx, e->ecx, e->edx };

		if (e->function == leaf && e->index == sub)
			return regs[reg];
	}
	return 0;
}

static void cpuid_leaf(struct full *f, struct kvm_cpuid2 *all, uint32_t leaf, uint32_t sub,
		       uint32_t flags)
{
	uint32_t r[4];

	f->m->cpuid(f->m->cpuid_self, leaf, sub, r);
	if (all->nent < MAX_CPUID)
		all->entries[all->nent++] = (struct kvm_cpuid_entry2){
			.function = leaf, .index = sub,
			.flags = flags, .eax = r[0], .ebx = r[1], .ecx = r[2], .edx = r[3] };
}

static int cpuid_load(struct full *f)
{
	struct kvm_cpuid2 *all = cpuid_alloc(MAX_CPUID);
	int err = 0;

	if (!all)
		return -ENOMEM;
	all->nent = 0;
	for (unsigned high = 0; high < 2; high++) {
		uint32_t base = high ? 0x80000000u : 0, r[4];

		f->m->cpuid(f->m->cpuid_self, base, 0, r);
		/* A model without extended leaves answers with something else. */
		for (uint32_t leaf = base; leaf <= r[0] && leaf - base < 0x20; leaf++)
			for (uint32_t sub = 0; sub < (leaf == 0xd ? 2u : 1u); sub++)
				cpuid_leaf(f, all, leaf, sub, leaf == 7 || leaf == 0xd ?
					   KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0);
	}
	if (ioctl(f->vm.vcpu, KVM_SET_CPUID2, all) < 0)
		err = -errno;
	free(all);
	return err;
}

/* --- Opening and closing -------------------------------------------------------------------- */

static void on_kick(int sig)
{
	(void)sig;
}

static int open_dev(struct full *f, char *why)
{
	static const struct { int cap; const char *what; } needed[] = {
		{ KVM_CAP_USER_MEMORY, "user memory" }, { KVM_CAP_EXT_CPUID, "CPUID" },
		{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit" },
		{ KVM_CAP_READONLY_MEM, "read-only memory" },
		{ KVM_CAP_XSAVE, "XSAVE" }, { KVM_CAP_VCPU_EVENTS, "events" },
		{ KVM_CAP_DEBUGREGS, "debug registers" },
	};
	const char *bad;

	f->dev = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (f->dev < 0) {
		snprintf(why, 128, "/dev/kvm: %s", strerror(errno));
		return -errno;
	}
	if (ioctl(f->dev, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
		snprintf(why, 128, "/dev/kvm: not the stable API");
		return -ENOTSUP;
	}
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (ioctl(f->dev, KVM_CHECK_EXTENSION, needed[i].cap) <= 0) {
			snprintf(why, 128, "/dev/kvm: too old: no %s", needed[i].what);
			return -ENOTSUP;
		}
	bad = full_probe(f->dev);
	if (bad)
		snprintf(why, 128, "%s", bad);
	return bad ? -ENOTSUP : 0;
}

static int open_vm(struct full *f, char *why)
{
	const char *what = "KVM_GET_SUPPORTED_CPUID";
	int err = -ENOMEM;

	f->offers = cpuid_alloc(MAX_CPUID);
	if (f->offers)
		err = ioctl(f->dev, KVM_GET_SUPPORTED_CPUID, f->offers) < 0 ? -errno : 0;
	if (!err)
		err = full_vm_make(&f->vm, f->dev, &what);
	if (!err) {
		what = "KVM_SET_CPUID2";
		err = cpuid_load(f);
	}
	if (err)
		snprintf(why, 128, "KVM: %s: %s", what, strerror(-err));
	return err;
}

int full_open(struct full **out, struct machine *m, char why[static 128])
{
	/* Without SA_RESTART, so KVM_RUN returns. */
	struct sigaction sa = { .sa_handler = on_kick };
	struct full *f = calloc(1, sizeof(*f));
	int err;

	if (!f) {
		snprintf(why, 128, "out of memory");
		return -ENOMEM;
	}
	f->m = m;
	f->dev = f->vm.fd = f->vm.vcpu = -1;
	f->tid = (pid_t)syscall(SYS_gettid);
	sigaction(KVM_KICK_SIGNAL, &sa, NULL);
	err = open_dev(f, why);
	if (!err)
		err = open_vm(f, why);
	if (err) {
		full_close(f);
		return err;
	}
	*out = f;
	return 0;
}

void full_close(struct full *f)
{
	full_vm_drop(&f->vm);
	if (f->dev >= 0)
		close(f->dev);
	free(f->offers);
	free(f);
}

/* --- Running -------------------------------------------------------------------------------- */

int full_load(struct full *f, const struct cpu *c)
{
	int err = f->mapped ? 0 : map_memory(f);

	f->tid = (pid_t)syscall(SYS_gettid);
	f->vm.run->ready_for_interrupt_injection = 0;
	return err ? err : full_state_load(f, c);
}

/* An access that a device has answered is not done before the processor is entered again. */
int full_store(struct full *f, struct cpu *c)
{
	f->vm.run->immediate_exit = 1;
	if (ioctl(f->vm.vcpu, KVM_RUN, 0) < 0 && errno != EINTR)
		return full_complain("KVM_RUN", -errno);
	f->vm.run->immediate_exit = 0;
	return full_state_store(f, c);
}

void full_kick(struct full *f)
{
	__atomic_store_n(&f->vm.run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if ((pid_t)syscall(SYS_gettid) != f->tid)
		syscall(SYS_tgkill, getpid(), f->tid, KVM_KICK_SIGNAL);
}

bool full_interruptible(const struct full *f)
{
	return f->vm.run->if_flag;
}

static enum full_exit do_port(struct full *f)
{
	struct kvm_run *run = f->vm.run;
	uint8_t *at = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, at += run->io.size) {
		uint32_t val = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&val, at, run->io.size);
			bus_out(f->m->bus, run->io.port, val, run->io.size);
		} else {
			val = bus_in(f->m->bus, run->io.port, run->io.size);
			memcpy(at, &val, run->io.size);
		}
	}
	return FULL_IO;
}

/* Up to 8 bytes within a page, of any length. */
static enum full_exit do_mmio(struct full *f)
{
	struct kvm_run *run = f->vm.run;
	unsigned len = run->mmio.len;
	unsigned size = len == 1 || len == 2 || len == 4 || len == 8 ? len : 1;

	for (unsigned i = 0; i < len; i += size) {
		uint64_t val = 0;

		if (run->mmio.is_write) {
			memcpy(&val, run->mmio.data + i, size);
			phys_write(&f->m->mem, run->mmio.phys_addr + i, val, size);
		} else {
			val = phys_read(&f->m->mem, run->mmio.phys_addr + i, size);
			memcpy(run->mmio.data + i, &val, size);
		}
	}
	return FULL_MMIO;
}

static enum full_exit broken(const struct kvm_run *run)
{
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		fprintf(stderr, "hemi: KVM: internal error %u%s\n", run->internal.suberror,
			run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION ?
			": an instruction that it cannot emulate" : "");
	else if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		fprintf(stderr, "hemi: KVM: the processor refused the state: %#llx\n",
			(unsigned long long)run->fail_entry.hardware_entry_failure_reason);
	else
		fprintf(stderr, "hemi: KVM: exit reason %u\n", run->exit_reason);
	return FULL_HOST;
}

/* A processor without an APIC in the kernel tells us of these two at each exit. */
static void apic_sync(struct full *f)
{
	struct kvm_run *run = f->vm.run;
	struct cpu *c = f->m->cpu;

	if (c->cr8 != run->cr8) {
		c->cr8 = run->cr8;
		irq_tpr_written(f->m);
	}
	if (c->msr_apic_base != run->apic_base) {
		c->msr_apic_base = run->apic_base;
		irq_apic_base_written(f->m);
	}
}

/* An NMI is the processor's to keep until it can take it. */
static int offer_nmi(struct full *f)
{
	if (!f->m->cpu->nmi_pending)
		return 0;
	f->m->cpu->nmi_pending = false;
	return ioctl(f->vm.vcpu, KVM_NMI) < 0 ? full_complain("KVM_NMI", -errno) : 0;
}

/* The INTA cycle, if the processor would take the interrupt now; else an exit once it would. */
static int offer_interrupt(struct full *f)
{
	struct kvm_run *run = f->vm.run;
	struct kvm_interrupt irq;

	run->request_interrupt_window = 0;
	if (!f->m->intr)
		return 0;
	if (!run->ready_for_interrupt_injection || !run->if_flag) {
		run->request_interrupt_window = 1;
		return 0;
	}
	irq.irq = (uint32_t)irq_acknowledge(f->m);
	run->ready_for_interrupt_injection = 0;
	run->request_interrupt_window = f->m->intr;
	if (ioctl(f->vm.vcpu, KVM_INTERRUPT, &irq) < 0)
		return full_complain("KVM_INTERRUPT", -errno);
	return 0;
}

enum full_exit full_run(struct full *f)
{
	struct kvm_run *run = f->vm.run;

	if (offer_nmi(f) || offer_interrupt(f))
		return FULL_HOST;
	run->cr8 = f->m->cpu->cr8;
	if (ioctl(f->vm.vcpu, KVM_RUN, 0) < 0) {
		int err = errno;

		apic_sync(f);
		__atomic_store_n(&run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (err == EINTR || err == EAGAIN)
			return FULL_KICK;
		full_complain("KVM_RUN", -err);
		return FULL_HOST;
	}
	apic_sync(f);
	switch (run->exit_reason) {
	case KVM_EXIT_SET_TPR:		/* CR8 is lower now */
		return FULL_MMIO;
	case KVM_EXIT_IO:
		return do_port(f);
	case KVM_EXIT_MMIO:
		return do_mmio(f);
	case KVM_EXIT_HLT:
		return FULL_HLT;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return FULL_WINDOW;
	case KVM_EXIT_INTR:
		return FULL_KICK;
	case KVM_EXIT_SHUTDOWN:
		return FULL_SHUTDOWN;
	default:
		return broken(run);
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /dev/kvm says nothing about what is behind it: a KVM without VT-x or SVM may run user
 * code alone, or emulate the rest a thousand times slower. So two micro-guests are run: one in
 * real mode, where every PC starts, and a loop in 64-bit supervisor code, which is timed
 * against the same loop in this process. A third does nothing but leave: what KVM_RUN costs
 * by itself here, for the price of a crossing to be compared with.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "direct/kvm_full.h"
#include "direct/probe.h"

#define CODE		0x1000u
#define TABLES		0x2000u		/* PML4, PDPT, PD with one page of 2 MiB */
#define MEMORY		0x6000u
#define DONE_PORT	0xe9u
#define LOOPS		200000u
/* Time slices lost to others, and processors that start slowly. */
#define PATIENCE_NS	20000000ll
#define TRIES		3

/* MOV AX, CS; MOV DS, AX; MOV AL, 42h; OUT E9h, AL; HLT */
static const uint8_t real_code[] = { 0x8c, 0xc8, 0x8e, 0xd8, 0xb0, 0x42, 0xe6, DONE_PORT, 0xf4 };
/* MOV ECX, LOOPS; DEC ECX; JNZ; MOV RAX, CR3; MOV AL, 64h; OUT E9h, AL; HLT */
static const uint8_t long_code[] = { 0xb9, LOOPS & 0xff, LOOPS >> 8 & 0xff, LOOPS >> 16, 0,
	0xff, 0xc9, 0x75, 0xfc, 0x0f, 0x20, 0xd8, 0xb0, 0x64, 0xe6, DONE_PORT, 0xf4 };

/* OUT E9h, AL; JMP to it */
static const uint8_t exit_code[] = { 0xe6, DONE_PORT, 0xeb, 0xfc };

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int64_t host_loop_ns(void)
{
	int64_t before = now_ns();
	uint32_t n = LOOPS;

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n) : : "cc");
	return now_ns() - before;
}

/* Runs to the OUT; its AL, or -1. */
static int run_to_port(struct full_vm *vm)
{
	struct kvm_run *run = vm->run;

	for (unsigned i = 0; i < 100; i++) {
		if (ioctl(vm->vcpu, KVM_RUN, 0) < 0 || run->exit_reason == KVM_EXIT_INTR)
			continue;
		if (run->exit_reason != KVM_EXIT_IO || run->io.port != DONE_PORT)
			return -1;
		return *((uint8_t *)run + run->io.data_offset);
	}
	return -1;
}

static bool start(struct full_vm *vm, uint8_t *mem, const uint8_t *code, size_t len, bool wide)
{
	struct kvm_regs regs = { .rip = CODE, .rsp = CODE, .rflags = FL_1 };
	struct kvm_sregs s;
	uint64_t entry[] = { (TABLES + 0x1000) | 3, (TABLES + 0x2000) | 3, 0x83 };

	memcpy(mem + CODE, code, len);
	if (ioctl(vm->vcpu, KVM_GET_SREGS, &s) < 0)
		return false;
	s.cs.base = 0;
	s.cs.selector = 0;
	if (wide) {
		for (unsigned i = 0; i < 3; i++)
			memcpy(mem + TABLES + i * 0x1000, &entry[i], 8);
		s.cs = (struct kvm_segment){ .selector = 8, .limit = 0xffffffff, .type = 11,
					     .present = 1, .s = 1, .l = 1, .g = 1 };
		s.ds = s.es = s.ss = s.fs = s.gs = (struct kvm_segment){ .selector = 16,
			.limit = 0xffffffff, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1 };
		s.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
		s.cr3 = TABLES;
		s.cr4 = CR4_PAE;
		s.efer = EFER_LME | EFER_LMA;
	}
	return ioctl(vm->vcpu, KVM_SET_SREGS, &s) >= 0 && ioctl(vm->vcpu, KVM_SET_REGS, &regs) >= 0;
}

static const char *probe_one(int dev, uint8_t *mem, bool wide)
{
	struct kvm_userspace_memory_region slot = { .memory_size = MEMORY,
						    .userspace_addr = (uintptr_t)mem };
	struct full_vm vm;
	const char *what, *bad = wide ? "no VT-x or SVM: this host's KVM runs user code only"
				      : "this host's KVM does not run real-mode code";
	int64_t host = host_loop_ns(), before;

	if (full_vm_make(&vm, dev, &what))
		return "/dev/kvm makes no virtual machines";
	if (ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &slot) >= 0 &&
	    start(&vm, mem, wide ? long_code : real_code,
		  wide ? sizeof(long_code) : sizeof(real_code), wide)) {
		before = now_ns();
		if (run_to_port(&vm) == (wide ? 0x64 : 0x42))
			bad = wide && now_ns() - before > 20 * host + PATIENCE_NS ?
				"no VT-x or SVM: this host's KVM emulates supervisor code" : NULL;
	}
	full_vm_drop(&vm);
	return bad;
}

const char *full_probe(int dev)
{
	uint8_t *mem = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	const char *bad = "";

	if (mem == MAP_FAILED)
		return "out of memory";
	for (unsigned i = 0; i < TRIES && bad; i++)	/* a busy host is slow, but not always */
		bad = probe_one(dev, mem, true);
	if (!bad)
		bad = probe_one(dev, mem, false);
	munmap(mem, MEMORY);
	return bad;
}

/* --- KVM_RUN by itself ---------------------------------------------------------------------- */

#define EXITS	501

static int compare_ns(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The median, less what it costs to look at the clock; 0: an exit was another one. */
static double exit_us(struct full_vm *vm)
{
	int64_t all[EXITS], clock[EXITS];

	for (unsigned i = 0; i < EXITS; i++) {
		int64_t before = now_ns();

		if (run_to_port(vm) < 0)
			return 0;
		all[i] = now_ns() - before;
		before = now_ns();
		clock[i] = now_ns() - before;
	}
	qsort(all, EXITS, sizeof(all[0]), compare_ns);
	qsort(clock, EXITS, sizeof(clock[0]), compare_ns);
	return (double)(all[EXITS / 2] - clock[EXITS / 2]) / 1e3;
}

static double exit_measure(int dev, uint8_t *mem, char *why)
{
	struct kvm_userspace_memory_region slot = { .memory_size = MEMORY,
						    .userspace_addr = (uintptr_t)mem };
	struct full_vm vm;
	const char *what;
	double us = 0;
	int err = full_vm_make(&vm, dev, &what);

	if (err) {
		snprintf(why, 128, "KVM: %s: %s", what, strerror(-err));
		return 0;
	}
	if (ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &slot) >= 0 &&
	    start(&vm, mem, exit_code, sizeof(exit_code), true))
		us = exit_us(&vm);
	full_vm_drop(&vm);
	if (us <= 0)
		snprintf(why, 128, "this host's KVM does not run 64-bit supervisor code");
	return us;
}

double probe_bare_exit_us(char why[static 128])
{
	int dev = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	uint8_t *mem;
	double us = 0;

	if (dev < 0) {
		snprintf(why, 128, "/dev/kvm: %s", strerror(errno));
		return 0;
	}
	mem = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED) {
		snprintf(why, 128, "out of memory");
	} else {
		us = exit_measure(dev, mem, why);
		munmap(mem, MEMORY);
	}
	close(dev);
	return us;
}

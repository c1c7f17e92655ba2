/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the full engine: one VM with the guest's physical memory, one processor.
 *
 *	kvm_full.c		open, run, what an exit asks for
 *	kvm_full_state.c	struct cpu in and out
 *	kvm_full_probe.c	can this KVM run supervisor code?
 */
#ifndef DIRECT_KVM_FULL_H
#define DIRECT_KVM_FULL_H

#include <linux/kvm.h>
#include <sys/types.h>
#undef PAGE_SHIFT
#undef PAGE_SIZE
#undef PAGE_MASK

#include "direct/full.h"

struct full_vm {
	int fd, vcpu;
	struct kvm_run *run;
	size_t run_size;
};

struct full {
	struct machine *m;
	int dev;			/* /dev/kvm */
	struct full_vm vm;
	bool mapped;			/* the memory slots are there */
	pid_t tid;			/* the vCPU's thread; for full_kick() */
	struct kvm_cpuid2 *offers;
};

/* 0, or -errno with the name of the call in *what. */
int full_vm_make(struct full_vm *vm, int dev, const char **what);
void full_vm_drop(struct full_vm *vm);
/* Reports a failed call once, gives err back. */
int full_complain(const char *what, int err);
/* kvm_full_state.c */
int full_state_load(struct full *f, const struct cpu *c);
int full_state_store(struct full *f, struct cpu *c);
/* NULL, or what this KVM cannot do (a static string). */
const char *full_probe(int dev);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the monitor puts into the VM beside guest RAM: the shim, in one struct of whole
 * pages, and behind it the page tables. User code can reach none of it: it is mapped at
 * the top of the address space, for ring 0 alone.
 */
#ifndef DIRECT_KVM_SHIM_H
#define DIRECT_KVM_SHIM_H

#define KVM_VECTORS	32
#define KVM_SHIM_PORT	0x80

#ifndef __ASSEMBLER__
#include "machine/types.h"

#define KVM_SHIM_GVA	0xffffff8000000000ull	/* the last entry of every root */
#define KVM_SHIM_GPA	0x4000000000ull		/* above any guest RAM */
#define KVM_REGION_SIZE	(128ull << 20)
#define KVM_EDITS	2048
/* Where SYSCALL goes on a host whose KVM does not make it fault: nothing is there. */
#define KVM_LSTAR	(KVM_SHIM_GVA - PAGE_SIZE)

/* The guest's selectors come first; the shim's own are the last ones of the table. */
#define KVM_GDT_ENTRIES	8192
#define KVM_SEL_CODE	(8188 << 3)
#define KVM_SEL_DATA	(8189 << 3)
#define KVM_SEL_TSS	(8190 << 3)
#define KVM_GDT_GUEST	8188

struct kvm_shim {
	uint8_t text[PAGE_SIZE];
	struct { uint64_t low, high; } idt[256];
	uint8_t tss[PAGE_SIZE];			/* the I/O bitmap lies beyond its limit: no ports */
	uint64_t stack[512];			/* frames are at its top */
	struct kvm_edit { uint64_t at, value; } edits[KVM_EDITS];
	uint64_t gdt[KVM_GDT_ENTRIES];
};
_Static_assert(offsetof(struct kvm_shim, idt) == 1 * PAGE_SIZE, "each on a page of its own");
_Static_assert(offsetof(struct kvm_shim, tss) == 2 * PAGE_SIZE, "");
_Static_assert(offsetof(struct kvm_shim, stack) == 3 * PAGE_SIZE, "");
_Static_assert(offsetof(struct kvm_shim, edits) == 4 * PAGE_SIZE, "");
_Static_assert(offsetof(struct kvm_shim, gdt) == 12 * PAGE_SIZE, "");
_Static_assert(sizeof(struct kvm_shim) == 28 * PAGE_SIZE, "whole pages");

/* A frame as the stubs leave it, at the top of the stack. */
struct kvm_frame { uint64_t vector, error, rip, cs, rflags, rsp, ss; };

extern const uint8_t kvm_shim_text[], kvm_shim_text_end[];
extern const uint32_t kvm_shim_at_enter, kvm_shim_at_edit, kvm_shim_at_stubs, kvm_shim_at_done;
#endif

#endif

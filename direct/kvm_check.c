/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is the VM as the monitor has made it? Everything in it that is not guest RAM is compared with
 * what it was filled with or with what the monitor keeps outside of the VM. User code must not
 * have reached any of it, whatever it did, so a difference is a bug of this engine (or of KVM).
 *
 * Not compared, since it changes by right: the frame on the stack and what `edit` keeps below it,
 * bits that the processor sets by itself (accessed, in descriptors), the queue of edits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "direct/kvm.h"

#define GDT_A	(1ull << 40)
/* Five words for IRETQ, vector and error, the five registers of `edit`, and the frame of an
 * exception in ring 0, aligned: kvm_shim.S. */
#define STACK_USED	32

static bool gdt_same(const struct kvm *k, const struct kvm_shim *was)
{
	for (unsigned i = 0; i < KVM_GDT_GUEST; i++)
		if ((k->shim->gdt[i] | GDT_A) != (k->gdt[i] | GDT_A))
			return false;
	for (unsigned i = KVM_GDT_GUEST; i < KVM_GDT_ENTRIES; i++)
		if (i < (KVM_SEL_TSS >> 3) ? (k->shim->gdt[i] | GDT_A) != (was->gdt[i] | GDT_A) :
					     k->shim->gdt[i] != was->gdt[i])
			return false;
	return true;
}

static const char *shim_differs(const struct kvm *k)
{
	const struct kvm_shim *s = k->shim;
	struct kvm_shim *was = calloc(1, sizeof(*was));
	const char *what = NULL;

	if (!was)
		return NULL;
	kvm_shim_fill(was);
	if (memcmp(was->text, s->text, sizeof(s->text)))
		what = "the shim's code";
	else if (memcmp(was->idt, s->idt, sizeof(s->idt)))
		what = "the IDT";
	else if (memcmp(was->tss, s->tss, sizeof(s->tss)))
		what = "the TSS";
	else if (memcmp(was->stack, s->stack, sizeof(s->stack) - STACK_USED * sizeof(s->stack[0])))
		what = "the shim's stack";
	else if (!gdt_same(k, was))
		what = "the GDT";
	free(was);
	return what;
}

/* Is the entry at `at` (linear, in the VM) about to be changed, or half changed by a run that
 * was interrupted? */
static bool is_queued(const struct kvm *k, uint64_t at)
{
	for (unsigned i = 0; i < k->nedits; i++)
		if (k->shim->edits[i].at == at)
			return true;
	return false;
}

static const char *tables_differ(const struct kvm *k)
{
	for (uint32_t page = 0; page < k->pool_next; page++) {
		const uint64_t *real = (const uint64_t *)(k->region + (kvm_table_gpa(page) - KVM_SHIM_GPA));

		if (!memcmp(real, k->tables[page], PAGE_SIZE))
			continue;
		for (unsigned i = 0; i < 512; i++)
			if (real[i] != k->tables[page][i] && !is_queued(k, kvm_region_gva(k, &real[i])))
				return "a page table";
	}
	return NULL;
}

/* Behind the tables in use there is memory that nobody has touched; what is not resident is 0. */
static const char *rest_differs(const struct kvm *k)
{
	size_t pages = KVM_POOL_PAGES - k->pool_next;
	uint8_t *rest = k->region + (kvm_table_gpa(k->pool_next) - KVM_SHIM_GPA);
	unsigned char *resident = malloc(pages + 1);
	static const uint8_t zero[PAGE_SIZE];
	const char *what = NULL;

	if (!resident || mincore(rest, pages * PAGE_SIZE, resident) < 0)
		pages = 0;
	for (size_t i = 0; i < pages && !what; i++)
		if ((resident[i] & 1) && memcmp(rest + i * PAGE_SIZE, zero, PAGE_SIZE))
			what = "memory behind the page tables";
	free(resident);
	return what;
}

static bool table_same(const struct kvm_dtable *a, const struct kvm_dtable *b)
{
	return a->base == b->base && a->limit == b->limit;
}

static const char *registers_differ(const struct kvm *k)
{
	struct { struct kvm_msrs head; struct kvm_msr_entry e[KVM_SHIM_MSRS]; } msrs = {
		.head.nmsrs = KVM_SHIM_MSRS };
	const struct kvm_sregs *want = &k->kernel;
	struct kvm_sregs s;

	if (ioctl(k->vcpu, KVM_GET_SREGS, &s) < 0)
		return NULL;		/* it is broken, and has been reported */
	if (!table_same(&s.gdt, &want->gdt))
		return "GDTR";
	if (!table_same(&s.idt, &want->idt))
		return "IDTR";
	if (s.tr.selector != want->tr.selector || s.tr.base != want->tr.base || s.tr.limit != want->tr.limit)
		return "TR";
	if (!s.ldt.unusable && s.ldt.selector)
		return "LDTR";
	if (s.cr3 != want->cr3)
		return "CR3";
	if (s.cr0 != want->cr0)
		return "CR0";
	if (s.cr4 != want->cr4)
		return "CR4";
	if (s.efer != want->efer)
		return "EFER";
	if (s.apic_base != want->apic_base)
		return "the APIC's base";
	for (unsigned i = 0; i < KVM_SHIM_MSRS; i++)
		msrs.e[i].index = kvm_shim_msrs[i].index;
	if (ioctl(k->vcpu, KVM_GET_MSRS, &msrs) != KVM_SHIM_MSRS)
		return NULL;
	for (unsigned i = 0; i < KVM_SHIM_MSRS; i++)
		if (msrs.e[i].data != kvm_shim_msrs[i].data)
			return "an MSR";
	return NULL;
}

const char *kvm_differs(const struct kvm *k)
{
	const char *what = shim_differs(k);

	if (!what)
		what = tables_differ(k);
	if (!what)
		what = rest_differs(k);
	return what || k->failure[0] ? what : registers_differ(k);
}

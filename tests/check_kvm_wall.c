/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The comparison that proves that user code reached nothing of the VM but guest RAM: it holds after
 * a run, and names each part that is changed on purpose, down to a bit.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "direct/kvm.h"
#include "direct/probe.h"
#include "interp/interp.h"
#include "tests/suite.h"

static struct machine m;
static struct interp *interp;
static struct kvm *k;

static void setup(void)
{
	static struct config cfg = { .memory = PROBE_RAM, .serial = "none" };
	struct probe_crossing crossings[PROBE_CODES];
	char why[128];
	void *self;

	ck_assert_int_eq(machine_create(&m, &cfg), 0);
	ck_assert_int_eq(interp_create(&interp, &m), 0);
	ck_assert_msg(!direct_kvm.open(&self, &m, why), "%s", why);
	k = self;
	probe_crossings(&direct_kvm, self, &m, crossings);
	ck_assert(crossings[PROBE_64].us > 0);
	ck_assert_ptr_null(kvm_differs(k));
}

static void teardown(void)
{
	ck_assert_ptr_null(kvm_differs(k));
	direct_kvm.close(k);
	interp_destroy(interp);
	machine_destroy(&m);
}

/* A bit of it, there and back. */
static void flip(void *at, unsigned bit, const char *name)
{
	const char *what;

	((uint8_t *)at)[bit / 8] ^= (uint8_t)(1 << bit % 8);
	what = kvm_differs(k);
	((uint8_t *)at)[bit / 8] ^= (uint8_t)(1 << bit % 8);
	ck_assert_msg(what, "no difference in %s", name);
	ck_assert_str_eq(what, name);
	ck_assert_ptr_null(kvm_differs(k));
}

START_TEST(memory)
{
	struct kvm_shim *s = k->shim;
	uint8_t *tables = k->region + (kvm_table_gpa(0) - KVM_SHIM_GPA);

	flip(s->text, 0, "the shim's code");
	flip(&s->text[PAGE_SIZE - 1], 7, "the shim's code");	/* behind the last instruction */
	flip(&s->idt[14], 46, "the IDT");			/* its DPL */
	flip(&s->idt[255], 127, "the IDT");
	flip(s->tss, 40, "the TSS");				/* RSP0 */
	flip(&s->tss[PAGE_SIZE - 1], 0, "the TSS");
	flip(&s->stack[0], 0, "the shim's stack");
	flip(&s->gdt[1], 41, "the GDT");
	flip(&s->gdt[KVM_HOST_CS64 >> 3], 45, "the GDT");	/* the guest's: DPL */
	flip(&s->gdt[4000], 47, "the GDT");
	flip(&s->gdt[KVM_SEL_CODE >> 3], 46, "the GDT");
	flip(&s->gdt[KVM_SEL_TSS >> 3], 20, "the GDT");
	flip(&s->gdt[KVM_GDT_ENTRIES - 1], 0, "the GDT");
	flip(tables + 511 * 8, 2, "a page table");		/* the shim, for user code */
	flip(tables + 2 * PAGE_SIZE, 12, "a page table");
	flip(tables + (uint64_t)k->pool_next * PAGE_SIZE - 8, 0, "a page table");
	flip(tables + (uint64_t)k->pool_next * PAGE_SIZE, 0, "memory behind the page tables");
	flip(k->region + KVM_REGION_SIZE - 1, 7, "memory behind the page tables");
}
END_TEST

START_TEST(registers)
{
	static const struct { size_t at; unsigned bit; const char *name; } all[] = {
		{ offsetof(struct kvm_sregs, gdt.base), 12, "GDTR" }, { offsetof(struct kvm_sregs, gdt.limit), 4, "GDTR" },
		{ offsetof(struct kvm_sregs, idt.base), 12, "IDTR" }, { offsetof(struct kvm_sregs, idt.limit), 9, "IDTR" },
		{ offsetof(struct kvm_sregs, tr.base), 12, "TR" },
		{ offsetof(struct kvm_sregs, cr0), 18, "CR0" },		/* AM */
		{ offsetof(struct kvm_sregs, cr4), 2, "CR4" },		/* TSD */
		{ offsetof(struct kvm_sregs, efer), 0, "EFER" },	/* SCE */
	};
	struct kvm_sregs s, good;

	ck_assert_int_eq(ioctl(k->vcpu, KVM_GET_SREGS, &good), 0);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		const char *what;

		s = good;
		((uint8_t *)&s)[all[i].at + all[i].bit / 8] ^= (uint8_t)(1 << all[i].bit % 8);
		ck_assert_msg(ioctl(k->vcpu, KVM_SET_SREGS, &s) == 0, "%s", all[i].name);
		what = kvm_differs(k);
		ck_assert_int_eq(ioctl(k->vcpu, KVM_SET_SREGS, &good), 0);
		ck_assert_msg(what, "no difference in %s", all[i].name);
		ck_assert_str_eq(what, all[i].name);
	}
}
END_TEST

START_TEST(msrs)
{
	for (unsigned i = 0; i < KVM_SHIM_MSRS; i++) {
		struct { struct kvm_msrs head; struct kvm_msr_entry e[1]; } one = {
			.head.nmsrs = 1, .e = { kvm_shim_msrs[i] } };
		const char *what;

		one.e[0].data ^= 0x1000;
		ck_assert_int_eq(ioctl(k->vcpu, KVM_SET_MSRS, &one), 1);
		what = kvm_differs(k);
		one.e[0].data ^= 0x1000;
		ck_assert_int_eq(ioctl(k->vcpu, KVM_SET_MSRS, &one), 1);
		ck_assert_msg(what && !strcmp(what, "an MSR"), "MSR %x", kvm_shim_msrs[i].index);
	}
}
END_TEST

/* Closing compares, and a difference ends the monitor. */
START_TEST(closing)
{
	k->shim->idt[3].low ^= 3ull << 45;
	direct_kvm.close(k);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kvm");
	TCase *checked = tcase_create("changed"), *closed = tcase_create("closed");
	static struct config cfg = { .memory = PROBE_RAM, .serial = "none" };
	char why[128];
	void *self;

	if (machine_create(&m, &cfg) || interp_create(&interp, &m))
		return 99;
	if (direct_kvm.open(&self, &m, why)) {
		printf("check_kvm: skipped: %s\n", why);
		return 77;
	}
	direct_kvm.close(self);
	interp_destroy(interp);
	machine_destroy(&m);
	tcase_add_checked_fixture(checked, setup, teardown);
	tcase_add_test(checked, memory);
	tcase_add_test(checked, registers);
	tcase_add_test(checked, msrs);
	suite_add_tcase(s, checked);
	tcase_add_checked_fixture(closed, setup, NULL);
	tcase_add_test_raise_signal(closed, closing, SIGABRT);
	suite_add_tcase(s, closed);
	return suite_run(s);
}

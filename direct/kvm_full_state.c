/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * struct cpu to KVM's pieces and back: general and segment registers, FPU, MSRs, debug
 * registers, pending events. Model-specific registers are a table.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <x86intrin.h>

#include "direct/kvm_full.h"

#define IA32_TSC	0x10u

struct msr_row { uint32_t index; uint16_t at, count; };
#define ROW(index, field, n)	{ index, offsetof(struct cpu, field), n }
/* A KVM that lacks one (an old one, no RDTSCP) keeps it at zero, as the guest's model does. */
static const struct msr_row msrs[] = {
	ROW(0x174, msr_sysenter_cs, 1), ROW(0x175, msr_sysenter_esp, 1),
	ROW(0x176, msr_sysenter_eip, 1), ROW(0xc0000081, msr_star, 1),
	ROW(0xc0000082, msr_lstar, 1), ROW(0xc0000083, msr_cstar, 1),
	ROW(0xc0000084, msr_sfmask, 1), ROW(0xc0000102, msr_kernel_gs_base, 1),
	ROW(0xc0000103, msr_tsc_aux, 1), ROW(0x277, msr_pat, 1),
	ROW(0x1a0, msr_misc_enable, 1), ROW(0x2ff, msr_mtrr_def, 1),
	ROW(0x250, msr_mtrr_fixed[0], 1), ROW(0x258, msr_mtrr_fixed[1], 2),
	ROW(0x268, msr_mtrr_fixed[3], 8), ROW(0x200, msr_mtrr_var, 16),
};

union one_msr {
	struct kvm_msrs list;
	uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
};

static bool msr_do(struct full *f, unsigned long how, uint32_t index, uint64_t *val)
{
	union one_msr one = { .room = { 0 } };
	struct kvm_msr_entry *e = one.list.entries;

	one.list.nmsrs = 1;
	e->index = index;
	e->data = *val;

	if (ioctl(f->vm.vcpu, how, &one) != 1)
		return false;
	*val = e->data;
	return true;
}

static void msrs_do(struct full *f, unsigned long how, struct cpu *c)
{
	for (size_t i = 0; i < ARRAY_LEN(msrs); i++)
		for (unsigned j = 0; j < msrs[i].count; j++)
			msr_do(f, how, msrs[i].index + j, (uint64_t *)((char *)c + msrs[i].at) + j);
}

/* The guest's TSC is the host's, moved. */
static void tsc_load(struct full *f, const struct cpu *c)
{
	uint64_t val;
#ifdef KVM_VCPU_TSC_CTRL
	uint64_t offset = c->tsc_offset;
	struct kvm_device_attr a = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
				     .addr = (uintptr_t)&offset };

	if (ioctl(f->vm.vcpu, KVM_SET_DEVICE_ATTR, &a) == 0)
		return;
#endif
	val = __rdtsc() + c->tsc_offset;
	msr_do(f, KVM_SET_MSRS, IA32_TSC, &val);
}

static void tsc_store(struct full *f, struct cpu *c)
{
	uint64_t val = 0;
#ifdef KVM_VCPU_TSC_CTRL
	struct kvm_device_attr a = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
				     .addr = (uintptr_t)&val };

	if (ioctl(f->vm.vcpu, KVM_GET_DEVICE_ATTR, &a) == 0) {
		c->tsc_offset = val;
		return;
	}
#endif
	if (msr_do(f, KVM_GET_MSRS, IA32_TSC, &val))
		c->tsc_offset = val - __rdtsc();
}

/* --- Segments ------------------------------------------------------------------------ */

static struct kvm_segment segment_out(const struct segment *s)
{
	unsigned a = s->attr;

	return (struct kvm_segment){
		.base = s->base, .limit = s->limit, .selector = s->sel, .type = a & SEG_TYPE,
		.s = !!(a & SEG_S), .dpl = SEG_DPL(a), .present = !!(a & SEG_P), .avl = a >> 12 & 1,
		.l = !!(a & SEG_L), .db = !!(a & SEG_D), .g = !!(a & SEG_G),
		.unusable = !(a & SEG_P),
	};
}

static void segment_in(struct segment *s, const struct kvm_segment *k)
{
	s->base = k->base;
	s->limit = k->limit;
	s->sel = k->selector;
	s->attr = k->unusable ? 0 : (uint16_t)(k->type | (k->s ? SEG_S : 0) | k->dpl << 5 |
		(k->present ? SEG_P : 0) | k->avl << 12 | (k->l ? SEG_L : 0) |
		(k->db ? SEG_D : 0) | (k->g ? SEG_G : 0));
}

static struct kvm_segment *segment_at(struct kvm_sregs *s, unsigned i)
{
	struct kvm_segment *const at[SEG_COUNT] = {
		[SEG_ES] = &s->es, [SEG_CS] = &s->cs, [SEG_SS] = &s->ss, [SEG_DS] = &s->ds,
		[SEG_FS] = &s->fs, [SEG_GS] = &s->gs, [SEG_LDTR] = &s->ldt, [SEG_TR] = &s->tr,
	};

	return at[i];
}

static int sregs_load(struct full *f, const struct cpu *c)
{
	struct kvm_sregs s;

	if (ioctl(f->vm.vcpu, KVM_GET_SREGS, &s) < 0)
		return full_complain("KVM_GET_SREGS", -errno);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		*segment_at(&s, i) = segment_out(&c->seg[i]);
	s.gdt.base = c->gdtr.base;
	s.gdt.limit = c->gdtr.limit;
	s.idt.base = c->idtr.base;
	s.idt.limit = c->idtr.limit;
	s.cr0 = c->cr0;
	s.cr2 = c->cr2;
	s.cr3 = c->cr3;
	s.cr4 = c->cr4;
	s.cr8 = c->cr8;
	s.efer = c->efer;
	s.apic_base = c->msr_apic_base;
	memset(s.interrupt_bitmap, 0, sizeof(s.interrupt_bitmap));
	if (ioctl(f->vm.vcpu, KVM_SET_SREGS, &s) < 0)
		return full_complain("KVM_SET_SREGS", -errno);
	return 0;
}

static int sregs_store(struct full *f, struct cpu *c)
{
	struct kvm_sregs s;

	if (ioctl(f->vm.vcpu, KVM_GET_SREGS, &s) < 0)
		return full_complain("KVM_GET_SREGS", -errno);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		segment_in(&c->seg[i], segment_at(&s, i));
	c->gdtr = (struct dtable){ s.gdt.base, s.gdt.limit };
	c->idtr = (struct dtable){ s.idt.base, s.idt.limit };
	c->cr0 = s.cr0;
	c->cr2 = s.cr2;
	c->cr3 = s.cr3;
	c->cr4 = s.cr4;
	c->cr8 = s.cr8;
	c->msr_apic_base = s.apic_base;
	c->efer = s.efer;
	c->cpl = !(s.cr0 & CR0_PE) ? 0 : c->eflags & FL_VM ? 3 : s.ss.dpl;
	return 0;
}

/* --- General registers ------------------------------------------------------------------- */

#define REGS_EACH(X) X(RAX, rax) X(RCX, rcx) X(RDX, rdx) X(RBX, rbx) X(RSP, rsp) X(RBP, rbp) \
	X(RSI, rsi) X(RDI, rdi) X(R8, r8) X(R9, r9) X(R10, r10) X(R11, r11) X(R12, r12) \
	X(R13, r13) X(R14, r14) X(R15, r15)

static int regs_load(struct full *f, const struct cpu *c)
{
	struct kvm_regs r = { .rip = c->rip, .rflags = cpu_eflags(c) };

#define X(i, name) r.name = c->gpr[i];
	REGS_EACH(X)
#undef X
	return ioctl(f->vm.vcpu, KVM_SET_REGS, &r) < 0 ? full_complain("KVM_SET_REGS", -errno) : 0;
}

static int regs_store(struct full *f, struct cpu *c)
{
	struct kvm_regs r;

	if (ioctl(f->vm.vcpu, KVM_GET_REGS, &r) < 0)
		return full_complain("KVM_GET_REGS", -errno);
#define X(i, name) c->gpr[i] = r.name;
	REGS_EACH(X)
#undef X
	c->rip = r.rip;
	cpu_set_eflags(c, (uint32_t)r.rflags);
	return 0;
}

/* --- The rest ------------------------------------------------------------------------------ */

/* An XSAVE area in the standard format, SDM 1 13.4: FXSAVE's image, XSTATE_BV at 512. */
static int fpu_load(struct full *f, const struct cpu *c)
{
	struct kvm_xsave x = { 0 };
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = c->xcr0 };

	fpu_to_fxsave(&c->fpu, (uint8_t *)x.region, true);
	x.region[512 / 4] = XCR0_X87 | XCR0_SSE;
	if (ioctl(f->vm.vcpu, KVM_SET_XSAVE, &x) < 0)
		return full_complain("KVM_SET_XSAVE", -errno);
	/* A host without XSAVE has no XCR0, and its guests neither. */
	if (ioctl(f->vm.vcpu, KVM_SET_XCRS, &xcrs) < 0 && errno != EINVAL)
		return full_complain("KVM_SET_XCRS", -errno);
	return 0;
}

static int fpu_store(struct full *f, struct cpu *c)
{
	struct kvm_xcrs xcrs = { 0 };
	struct kvm_xsave x;

	if (ioctl(f->vm.vcpu, KVM_GET_XSAVE, &x) < 0)
		return full_complain("KVM_GET_XSAVE", -errno);
	fpu_from_fxsave(&c->fpu, (const uint8_t *)x.region, true);
	if (ioctl(f->vm.vcpu, KVM_GET_XCRS, &xcrs) == 0 && xcrs.nr_xcrs)
		c->xcr0 = xcrs.xcrs[0].value;
	return 0;
}

static int events_load(struct full *f, const struct cpu *c)
{
	struct kvm_debugregs d = { .db = { c->dr[0], c->dr[1], c->dr[2], c->dr[3] },
				   .dr6 = c->dr[6], .dr7 = c->dr[7] };
	struct kvm_vcpu_events e = { .nmi = { .pending = c->nmi_pending, .masked = c->nmi_blocked },
		.interrupt.shadow = c->int_shadow ? KVM_X86_SHADOW_INT_STI : 0,
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW };

	if (ioctl(f->vm.vcpu, KVM_SET_DEBUGREGS, &d) < 0)
		return full_complain("KVM_SET_DEBUGREGS", -errno);
	return ioctl(f->vm.vcpu, KVM_SET_VCPU_EVENTS, &e) < 0 ?
		full_complain("KVM_SET_VCPU_EVENTS", -errno) : 0;
}

static int events_store(struct full *f, struct cpu *c)
{
	struct kvm_debugregs d;
	struct kvm_vcpu_events e;

	if (ioctl(f->vm.vcpu, KVM_GET_DEBUGREGS, &d) < 0)
		return full_complain("KVM_GET_DEBUGREGS", -errno);
	if (ioctl(f->vm.vcpu, KVM_GET_VCPU_EVENTS, &e) < 0)
		return full_complain("KVM_GET_VCPU_EVENTS", -errno);
	memcpy(c->dr, d.db, sizeof(d.db));
	c->dr[6] = d.dr6;
	c->dr[7] = d.dr7;
	c->nmi_pending = e.nmi.pending;
	c->nmi_blocked = e.nmi.masked;
	c->int_shadow = e.interrupt.shadow;
	return 0;
}

/* EFER and CR4 before the MSRs and flags that depend on them. */
int full_state_load(struct full *f, const struct cpu *c)
{
	struct cpu copy = *c;		/* one walker for both directions */
	int err = sregs_load(f, c);

	if (!err)
		err = regs_load(f, c);
	if (!err)
		err = fpu_load(f, c);
	if (!err)
		err = events_load(f, c);
	msrs_do(f, KVM_SET_MSRS, &copy);
	tsc_load(f, c);
	return err;
}

int full_state_store(struct full *f, struct cpu *c)
{
	int err = regs_store(f, c);

	if (!err)
		err = sregs_store(f, c);
	if (!err)
		err = fpu_store(f, c);
	if (!err)
		err = events_store(f, c);
	msrs_do(f, KVM_GET_MSRS, c);
	tsc_store(f, c);
	return err;
}

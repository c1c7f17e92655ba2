/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vCPU in a snapshot: the fields in this table, in this order, then the
 * segments and an FXSAVE image. Derived fields (R_ZERO, R_PAGE) are left out.
 */
#include "machine/cpu_state.h"

#include <errno.h>
#include <string.h>

#define CPU_VERSION	1

struct field {
	uint16_t offset;
	uint8_t size;		/* of one element */
	uint8_t count;
};
#define F(name)		{ offsetof(struct cpu, name), sizeof(((struct cpu *)0)->name), 1 }
#define ARRAY(name, n)	{ offsetof(struct cpu, name), sizeof(((struct cpu *)0)->name[0]), n }

static const struct field fields[] = {
	ARRAY(gpr, 16), F(rip), F(eflags), F(arith), F(cpl),
	F(int_shadow), F(halted), F(nmi_blocked), F(nmi_pending), F(pending_dbg),
	F(gdtr.base), F(gdtr.limit), F(idtr.base), F(idtr.limit),
	F(cr0), F(cr2), F(cr3), F(cr4), F(cr8), F(efer), F(xcr0),
	ARRAY(dr, 8), ARRAY(pdpte, 4), F(tsc_offset),
	F(msr_sysenter_cs), F(msr_sysenter_esp), F(msr_sysenter_eip),
	F(msr_star), F(msr_lstar), F(msr_cstar), F(msr_sfmask), F(msr_kernel_gs_base),
	F(msr_pat), F(msr_tsc_aux), F(msr_apic_base), F(msr_misc_enable), F(msr_misc_features), F(msr_mtrr_def),
	ARRAY(msr_mtrr_fixed, 11), ARRAY(msr_mtrr_var, 16),
	F(fpu.fcs), F(fpu.fds),		/* a wide FXSAVE image lacks these two */
};

/* A short element is stored as its low bytes; both sides are little-endian. */
static void field_save(const struct cpu *c, const struct field *f, struct state *s)
{
	for (unsigned i = 0; i < f->count; i++) {
		uint64_t v = 0;

		memcpy(&v, (const char *)c + f->offset + i * f->size, f->size);
		state_put_u64(s, v);
	}
}

static void field_restore(struct cpu *c, const struct field *f, struct state *s)
{
	for (unsigned i = 0; i < f->count; i++) {
		uint64_t v = state_get_u64(s);

		memcpy((char *)c + f->offset + i * f->size, &v, f->size);
	}
}

void cpu_save(const struct cpu *c, struct state *s)
{
	uint8_t image[512];

	state_begin(s, "cpu", CPU_VERSION);
	for (unsigned i = 0; i < ARRAY_LEN(fields); i++)
		field_save(c, &fields[i], s);
	for (unsigned i = 0; i < SEG_COUNT; i++) {
		state_put_u64(s, c->seg[i].sel);
		state_put_u64(s, c->seg[i].attr);
		state_put_u64(s, c->seg[i].limit);
		state_put_u64(s, c->seg[i].base);
	}
	fpu_to_fxsave(&c->fpu, image, true);
	state_put(s, image, sizeof(image));
}

/* A bool holding anything but 0 and 1 is undefined behaviour to read as a bool. */
static bool bools_valid(const struct cpu *c)
{
	static const size_t bools[] = {
		offsetof(struct cpu, int_shadow), offsetof(struct cpu, halted),
		offsetof(struct cpu, nmi_blocked), offsetof(struct cpu, nmi_pending),
	};

	for (unsigned i = 0; i < ARRAY_LEN(bools); i++)
		if (((const uint8_t *)c)[bools[i]] > 1)
			return false;
	return true;
}

/* States that no sequence of instructions leads to, and that engines rely on. */
static bool cpu_valid(const struct cpu *c)
{
	if (c->cpl > 3 || (c->cr0 & CR0_PG && !(c->cr0 & CR0_PE)))
		return false;
	if (c->efer & EFER_LMA && !(c->cr0 & CR0_PG && c->cr4 & CR4_PAE && c->efer & EFER_LME))
		return false;
	return true;
}

int cpu_restore(struct cpu *c, struct state *s)
{
	struct cpu n = { 0 };
	uint8_t image[512];
	uint16_t fcs, fds;

	if (state_enter(s, "cpu") != CPU_VERSION)
		return -EINVAL;
	for (unsigned i = 0; i < ARRAY_LEN(fields); i++)
		field_restore(&n, &fields[i], s);
	for (unsigned i = 0; i < SEG_COUNT; i++) {
		n.seg[i].sel = (uint16_t)state_get_u64(s);
		n.seg[i].attr = (uint16_t)state_get_u64(s);
		n.seg[i].limit = (uint32_t)state_get_u64(s);
		n.seg[i].base = state_get_u64(s);
	}
	state_get(s, image, sizeof(image));
	fcs = n.fpu.fcs;
	fds = n.fpu.fds;
	fpu_from_fxsave(&n.fpu, image, true);
	n.fpu.fcs = fcs;
	n.fpu.fds = fds;
	n.fpu.mxcsr &= 0xffff;
	cpu_set_eflags(&n, cpu_eflags(&n));
	if (s->bad || !bools_valid(&n) || !cpu_valid(&n))
		return -EINVAL;
	*c = n;
	return 0;
}

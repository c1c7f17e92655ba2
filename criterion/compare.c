/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may differ and what may not. Each component of a state has a row; it is a resource or
 * the program's own. Results of a pair may differ in a component only as the states did.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "criterion/world.h"

struct component {
	const char *name;
	uint16_t at, size;	/* in struct cpu */
	bool resource;
};

#define C(name_, field, res) \
	{ name_, offsetof(struct cpu, field), sizeof(((struct cpu *)0)->field), res }
#define GPR(name_, n)	{ name_, offsetof(struct cpu, gpr) + 8 * (n), 8, false }
#define SEGMENT(n, s)	C(s ".selector", seg[n].sel, true), C(s ".base", seg[n].base, true), \
			C(s ".limit", seg[n].limit, true), C(s ".rights", seg[n].attr, true)

static const struct component components[] = {
	C("the mode (CPL)", cpl, true),
	SEGMENT(SEG_ES, "ES"), SEGMENT(SEG_CS, "CS"), SEGMENT(SEG_SS, "SS"), SEGMENT(SEG_DS, "DS"),
	SEGMENT(SEG_FS, "FS"), SEGMENT(SEG_GS, "GS"), SEGMENT(SEG_LDTR, "LDTR"), SEGMENT(SEG_TR, "TR"),
	C("GDTR.base", gdtr.base, true), C("GDTR.limit", gdtr.limit, true),
	C("IDTR.base", idtr.base, true), C("IDTR.limit", idtr.limit, true),
	C("CR0", cr0, true), C("CR2", cr2, true), C("CR3", cr3, true), C("CR4", cr4, true),
	C("CR8", cr8, true), C("EFER", efer, true), C("XCR0", xcr0, true),
	C("DR0", dr[0], true), C("DR1", dr[1], true), C("DR2", dr[2], true), C("DR3", dr[3], true),
	C("DR6", dr[6], true), C("DR7", dr[7], true),
	C("SYSENTER_CS", msr_sysenter_cs, true), C("SYSENTER_ESP", msr_sysenter_esp, true),
	C("SYSENTER_EIP", msr_sysenter_eip, true), C("STAR", msr_star, true), C("LSTAR", msr_lstar, true),
	C("CSTAR", msr_cstar, true), C("SFMASK", msr_sfmask, true),
	C("KERNEL_GS_BASE", msr_kernel_gs_base, true), C("PAT", msr_pat, true), C("TSC_AUX", msr_tsc_aux, true),
	C("APIC_BASE", msr_apic_base, true), C("MISC_ENABLE", msr_misc_enable, true),
	C("MISC_FEATURES", msr_misc_features, true),
	C("MTRRs", msr_mtrr_fixed, true), C("MTRRs", msr_mtrr_var, true), C("MTRRs", msr_mtrr_def, true),
	C("halted", halted, true), C("NMIs blocked", nmi_blocked, true),
	C("RIP", rip, false),
	GPR("RAX", RAX), GPR("RCX", RCX), GPR("RDX", RDX), GPR("RBX", RBX), GPR("RSP", RSP), GPR("RBP", RBP),
	GPR("RSI", RSI), GPR("RDI", RDI), GPR("R8", R8), GPR("R9", R9), GPR("R10", R10), GPR("R11", R11),
	GPR("R12", R12), GPR("R13", R13), GPR("R14", R14), GPR("R15", R15),
	{ "the FPU", offsetof(struct cpu, fpu), offsetof(struct fpu, fcs), false },
	{ "the FPU", offsetof(struct cpu, fpu.mxcsr), sizeof(struct fpu) - offsetof(struct fpu, mxcsr), false },
	C("a pending debug trap", pending_dbg, false),
};

static const struct { const char *name; uint32_t bits; bool resource; } flag_groups[] = {
	{ "IF", FL_IF, true }, { "IOPL", FL_IOPL, true }, { "VM", FL_VM, true },
	{ "the virtual interrupt flag", FL_VIF | FL_VIP, true },
	{ "EFLAGS", FL_ARITH | FL_DF | FL_TF | FL_NT | FL_AC | FL_ID, false },
};

static uint64_t value(const struct cpu *c, const struct component *k)
{
	uint64_t v = 0;

	memcpy(&v, (const uint8_t *)c + k->at, k->size < 8 ? k->size : 8);
	return v;
}

static bool same(const struct cpu *a, const struct cpu *b, const struct component *k)
{
	return !memcmp((const uint8_t *)a + k->at, (const uint8_t *)b + k->at, k->size);
}

static bool note(struct witness *w, const char *what, uint64_t a, uint64_t b)
{
	snprintf(w->what, sizeof(w->what), "%s", what);
	w->value[0] = a;
	w->value[1] = b;
	return true;
}

/* Both results are what both states were, or they are equal. */
static bool allowed(uint64_t a, uint64_t ra, uint64_t b, uint64_t rb)
{
	return ra == rb || (ra == a && rb == b);
}

static bool memory_differs(const uint8_t *a, const uint8_t *b, size_t n, const char *what, struct witness *w)
{
	for (size_t i = 0; memcmp(a, b, n) && i < n; i++)
		if (a[i] != b[i]) {
			uint32_t va = 0, vb = 0;

			memcpy(&va, a + i, n - i < 4 ? n - i : 4);
			memcpy(&vb, b + i, n - i < 4 ? n - i : 4);
			return note(w, what, va, vb);
		}
	return false;
}

bool outcomes_differ(const struct state *a, const struct outcome *ra, const struct state *b,
		     const struct outcome *rb, struct witness *w)
{
	const struct cpu *ca = &ra->after.cpu, *cb = &rb->after.cpu;
	uint32_t fa = cpu_eflags(ca), fb = cpu_eflags(cb);

	for (size_t i = 0; i < ARRAY_LEN(components); i++) {
		const struct component *k = &components[i];

		if (same(ca, cb, k) || (same(ca, &a->cpu, k) && same(cb, &b->cpu, k)))
			continue;
		/* A segment register loaded with what lies elsewhere by just so much. */
		if (k->resource && k->size == 8 && !memcmp(k->name + 2, ".base", 5) &&
		    value(ca, k) - value(&a->cpu, k) == value(cb, k) - value(&b->cpu, k))
			continue;
		return note(w, k->name, value(ca, k), value(cb, k));
	}
	/* Where the last x87 instruction was: CS itself, which the states had otherwise. */
	if (ca->fpu.fcs != cb->fpu.fcs && (ca->fpu.fcs != a->cpu.seg[SEG_CS].sel || cb->fpu.fcs != b->cpu.seg[SEG_CS].sel))
		return note(w, "the FPU's code selector", ca->fpu.fcs, cb->fpu.fcs);
	if (ca->fpu.fds != cb->fpu.fds)
		return note(w, "the FPU's data selector", ca->fpu.fds, cb->fpu.fds);
	for (size_t i = 0; i < ARRAY_LEN(flag_groups); i++) {
		uint32_t m = flag_groups[i].bits;

		if (!allowed(cpu_eflags(&a->cpu) & m, fa & m, cpu_eflags(&b->cpu) & m, fb & m))
			return note(w, flag_groups[i].name, fa & m, fb & m);
	}
	if (ra->port_count != rb->port_count || ra->written != rb->written)
		return note(w, "what the port was sent", ra->written, rb->written);
	if (!allowed(a->tsc, ra->after.tsc, b->tsc, rb->after.tsc))
		return note(w, "the time-stamp counter", ra->after.tsc, rb->after.tsc);
	if (memory_differs(ra->after.user, rb->after.user, USER_SIZE, "memory", w))
		return true;
	/* Descriptors were not alike to begin with. */
	return !b->bounds_b && !b->rights_b &&
	       memory_differs(ra->tables, rb->tables, TABLES_SIZE, "the descriptor tables", w);
}

bool resource_changed(const struct state *s, const struct outcome *o, struct witness *w)
{
	const struct cpu *c = &o->after.cpu;
	uint32_t before = cpu_eflags(&s->cpu), after = cpu_eflags(c);

	for (size_t i = 0; i < ARRAY_LEN(components); i++) {
		const struct component *k = &components[i];

		if (k->resource && !same(c, &s->cpu, k))
			return note(w, k->name, value(&s->cpu, k), value(c, k));
	}
	for (size_t i = 0; i < ARRAY_LEN(flag_groups); i++) {
		uint32_t m = flag_groups[i].bits;

		if (flag_groups[i].resource && (before ^ after) & m)
			return note(w, flag_groups[i].name, before & m, after & m);
	}
	if (o->port_count)
		return note(w, "a port", 0, o->port_count);
	if (o->after.tsc != s->tsc)
		return note(w, "the time-stamp counter", s->tsc, o->after.tsc);
	return o->how == ENDED_SHUTDOWN && note(w, "the machine, which stopped", 0, 1);
}

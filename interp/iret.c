/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IRET in all its modes: real, V86 (with and without VME), protected to the
 * same or an outer level or to V86, the return from a nested task, long mode.
 * What the flags image may change is decided here; POPF's rules are in
 * control.c. SDM 2 IRET.
 */
#include "interp/descriptor.h"

#define IRET_ALWAYS	(FL_ARITH | FL_TF | FL_DF | FL_NT)
#define IRET_WIDE	(FL_RF | FL_AC | FL_ID)

static void iret_real(struct interp *v, unsigned osize)
{
	struct cpu *c = &v->cpu;
	bool vm = c->eflags & FL_VM, virtual_if = false;
	uint64_t rip = stack_peek(v, 0, osize);
	uint16_t sel = (uint16_t)stack_peek(v, osize, osize);
	uint32_t fl = (uint32_t)stack_peek(v, 2 * osize, osize);
	uint32_t mask = IRET_ALWAYS | FL_IF | (osize > 2 ? IRET_WIDE : 0);
	struct segment s = c->seg[SEG_CS];

	if (vm) {
		seg_set_v86(&s, sel);
		virtual_if = (c->eflags & FL_IOPL) != FL_IOPL;
	} else {
		seg_set_real(&s, sel);
		mask |= FL_IOPL;
	}
	rip_check(v, &s, rip, 0);
	if (virtual_if) {
		if ((fl & FL_TF) || ((fl & FL_IF) && (c->eflags & FL_VIP)))
			raise_gp0(v);
		mask = (mask & ~FL_IF) | FL_VIF;
		fl = fl & FL_IF ? fl | FL_VIF : fl & ~FL_VIF;
	}
	stack_drop(v, 3 * (int)osize);
	c->seg[SEG_CS] = s;
	c->rip = rip;
	flags_merge(c, fl, mask);
}

static void iret_to_v86(struct interp *v, uint32_t fl, uint16_t cs, uint64_t rip)
{
	static const uint8_t order[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	struct cpu *c = &v->cpu;
	uint64_t sp = stack_peek(v, 12, 4);
	uint16_t ss = (uint16_t)stack_peek(v, 16, 4), sel[4];
	struct segment s;

	for (unsigned i = 0; i < 4; i++)
		sel[i] = (uint16_t)stack_peek(v, 20 + 4 * i, 4);
	seg_set_v86(&s, cs);
	rip_check(v, &s, rip, 0);

	c->seg[SEG_CS] = s;
	c->rip = rip;
	seg_set_v86(&c->seg[SEG_SS], ss);
	for (unsigned i = 0; i < 4; i++)
		seg_set_v86(&c->seg[order[i]], sel[i]);
	c->gpr[RSP] = sp;
	c->cpl = 3;
	flags_merge(c, fl, IRET_ALWAYS | IRET_WIDE | FL_IF | FL_IOPL | FL_VM | FL_VIF | FL_VIP);
}

static void iret_task(struct interp *v, uint64_t next)
{
	static const struct task_error none = { false, 0, 0 };
	const struct segment *tr = &v->cpu.seg[SEG_TR];

	if (cpu_long_mode(&v->cpu))
		raise_gp0(v);
	uint16_t link = (uint16_t)lin_read(v, (uint32_t)tr->base, 2, ACC_READ);

	task_enter(v, link, TASK_IRET, next, none, 0);
}

void far_iret(struct interp *v, unsigned osize, uint64_t next)
{
	struct cpu *c = &v->cpu;
	struct desc cs;

	/* NMIs are taken again even if the rest faults (SDM 3A 6.7.1). */
	c->nmi_blocked = false;
	if ((c->eflags & FL_VM) && (c->eflags & FL_IOPL) != FL_IOPL &&
	    (!(c->cr4 & CR4_VME) || osize != 2))
		raise_gp0(v);
	if (!cpu_protected(c)) {
		iret_real(v, osize);
		return;
	}
	if (c->eflags & FL_NT) {
		iret_task(v, next);
		return;
	}

	uint64_t rip = stack_peek(v, 0, osize);
	uint16_t sel = (uint16_t)stack_peek(v, osize, osize);
	uint32_t fl = (uint32_t)stack_peek(v, 2 * osize, osize), mask = IRET_ALWAYS;

	if (osize == 4 && (fl & FL_VM) && c->cpl == 0 && !cpu_long_mode(c)) {
		iret_to_v86(v, fl, sel, rip);
		return;
	}
	/* The flags that the old CPL and the old IOPL let it change. */
	if (c->cpl <= (c->eflags & FL_IOPL) >> 12)
		mask |= FL_IF;
	if (c->cpl == 0)
		mask |= FL_IOPL;
	if (osize > 2)
		mask |= IRET_WIDE | (c->cpl == 0 ? FL_VIF | FL_VIP : 0);

	far_return_cs(v, sel, &cs);
	if ((sel & 3u) > c->cpl || cpu_code64(c))
		far_return_outer(v, sel, &cs, rip, osize, 3 * osize, 0);
	else
		far_return_same(v, sel, &cs, rip, 3 * osize);
	flags_merge(c, fl, mask);
}

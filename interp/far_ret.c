/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Far returns, and the half of IRET that is the same: where a return address may
 * lead, to the same level or to an outer one, and what an outer level keeps.
 * SDM 2 RET, IRET; SDM 3A 5.8.6.
 */
#include "interp/descriptor.h"

void far_return_cs(struct interp *v, uint16_t sel, struct desc *cs)
{
	unsigned rpl = sel & 3;

	if (sel_null(sel))
		raise_gp0(v);
	desc_fetch(v, sel, VEC_GP, 0, cs);
	if (!desc_is_code(cs) || rpl < v->cpu.cpl ||
	    (desc_conforming(cs) ? desc_dpl(cs) > rpl : desc_dpl(cs) != rpl) ||
	    (cpu_long_mode(&v->cpu) && desc_long(cs) && desc_big(cs)))
		sel_fault(v, VEC_GP, sel, 0);
	if (!desc_present(cs))
		sel_fault(v, VEC_NP, sel, 0);
}

void far_return_same(struct interp *v, uint16_t sel, struct desc *cs, uint64_t rip, unsigned skip)
{
	struct segment s;

	seg_set(&s, sel, cs);
	rip_check(v, &s, rip, 0);
	desc_touch(v, cs);
	stack_drop(v, (int)skip);
	seg_set(&v->cpu.seg[SEG_CS], sel, cs);
	v->cpu.rip = rip;
}

void far_return_outer(struct interp *v, uint16_t sel, struct desc *cs, uint64_t rip,
		      unsigned osize, unsigned skip, unsigned release)
{
	struct cpu *c = &v->cpu;
	unsigned rpl = sel & 3;
	uint64_t sp = stack_peek(v, skip, osize);
	uint16_t ss = (uint16_t)stack_peek(v, skip + osize, osize);
	bool to64 = cpu_long_mode(c) && desc_long(cs), outer = rpl > c->cpl;
	struct segment s;
	struct desc d;

	if (!sel_null(ss)) {
		desc_fetch(v, ss, VEC_GP, 0, &d);
		if ((ss & 3u) != rpl || !desc_is_writable_data(&d) || desc_dpl(&d) != rpl)
			sel_fault(v, VEC_GP, ss, 0);
		if (!desc_present(&d))
			sel_fault(v, VEC_SS, ss, 0);
	} else if (!to64 || rpl == 3) {
		raise_gp0(v);
	}
	seg_set(&s, sel, cs);
	rip_check(v, &s, rip, 0);
	desc_touch(v, cs);
	if (!sel_null(ss))
		desc_touch(v, &d);

	seg_set(&c->seg[SEG_CS], sel, cs);
	c->rip = rip;
	c->cpl = (uint8_t)rpl;
	if (sel_null(ss))
		seg_set_null_ss(&c->seg[SEG_SS], ss, rpl);
	else
		seg_set(&c->seg[SEG_SS], ss, &d);
	/* A 16-bit stack takes SP only: the rest of ESP shines through, as it does in
	 * every processor. */
	sp += release;
	if (to64)
		c->gpr[RSP] = sp;
	else if (c->seg[SEG_SS].attr & SEG_D)
		c->gpr[RSP] = (uint32_t)sp;
	else
		c->gpr[RSP] = (c->gpr[RSP] & ~0xffffull) | (sp & 0xffff);
	if (outer)
		seg_drop_inner(v);
}

static void ret_real(struct interp *v, unsigned osize, unsigned pop_bytes)
{
	struct cpu *c = &v->cpu;
	uint64_t rip = stack_peek(v, 0, osize);
	uint16_t sel = (uint16_t)stack_peek(v, osize, osize);
	struct segment s = c->seg[SEG_CS];

	if (c->eflags & FL_VM)
		seg_set_v86(&s, sel);
	else
		seg_set_real(&s, sel);
	rip_check(v, &s, rip, 0);
	c->seg[SEG_CS] = s;
	c->rip = rip;
	stack_drop(v, (int)(2 * osize + pop_bytes));
}

void far_ret(struct interp *v, unsigned osize, unsigned pop_bytes)
{
	struct desc cs;

	if (!cpu_protected(&v->cpu)) {
		ret_real(v, osize, pop_bytes);
		return;
	}
	uint64_t rip = stack_peek(v, 0, osize);
	uint16_t sel = (uint16_t)stack_peek(v, osize, osize);

	far_return_cs(v, sel, &cs);
	if ((sel & 3u) > v->cpu.cpl)
		far_return_outer(v, sel, &cs, rip, osize, 2 * osize + pop_bytes, pop_bytes);
	else
		far_return_same(v, sel, &cs, rip, 2 * osize + pop_bytes);
}

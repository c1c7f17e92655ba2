/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Far jumps and calls: to code segments, through call gates (with a change of
 * stack and copied parameters), to tasks. It sets CS:RIP, SS:RSP, CPL and the
 * stack's contents; every check comes before the first change. SDM 2 JMP, CALL;
 * SDM 3A 5.8.
 */
#include "interp/descriptor.h"

static void cs_set(struct interp *v, uint16_t sel, struct desc *d, unsigned cpl, uint64_t rip)
{
	struct cpu *c = &v->cpu;

	seg_set(&c->seg[SEG_CS], (uint16_t)((sel & ~3u) | cpl), d);
	c->cpl = (uint8_t)cpl;
	c->rip = rip;
}

/* Real and V86 mode: what CS would become; the offset is checked against it. */
static struct segment cs_real(struct interp *v, uint16_t sel, uint64_t off)
{
	struct segment cs = v->cpu.seg[SEG_CS];

	if (v->cpu.eflags & FL_VM)
		seg_set_v86(&cs, sel);
	else
		seg_set_real(&cs, sel);
	rip_check(v, &cs, off, 0);
	return cs;
}

/* A code segment named by the instruction itself. */
static void code_check(struct interp *v, uint16_t sel, const struct desc *d)
{
	unsigned cpl = v->cpu.cpl, dpl = desc_dpl(d), rpl = sel & 3;

	if (!desc_is_code(d) || (cpu_long_mode(&v->cpu) && desc_long(d) && desc_big(d)))
		sel_fault(v, VEC_GP, sel, 0);
	if (desc_conforming(d) ? dpl > cpl : rpl > cpl || dpl != cpl)
		sel_fault(v, VEC_GP, sel, 0);
	if (!desc_present(d))
		sel_fault(v, VEC_NP, sel, 0);
}

/* Gates and TSS descriptors may be used by CPL and RPL not above their DPL. */
static void gate_check(struct interp *v, uint16_t sel, const struct desc *d)
{
	if (desc_dpl(d) < v->cpu.cpl || desc_dpl(d) < (sel & 3u))
		sel_fault(v, VEC_GP, sel, 0);
	if (!desc_present(d))
		sel_fault(v, VEC_NP, sel, 0);
}

/* Checks a call gate and the code segment it names, which is left in *cs. */
static void call_gate_check(struct interp *v, uint16_t sel, struct desc *gate, bool call,
			    struct desc *cs)
{
	bool lm = cpu_long_mode(&v->cpu);
	unsigned cpl = v->cpu.cpl;
	uint16_t csel = gate_sel(gate);

	if (lm)
		desc_fetch_high(v, sel, VEC_GP, 0, gate);
	gate_check(v, sel, gate);
	if (sel_null(csel))
		raise_gp0(v);
	desc_fetch(v, csel, VEC_GP, 0, cs);
	if (!desc_is_code(cs) || desc_dpl(cs) > cpl ||
	    (!call && !desc_conforming(cs) && desc_dpl(cs) != cpl) ||
	    (lm && (!desc_long(cs) || desc_big(cs))))
		sel_fault(v, VEC_GP, csel, 0);
	if (!desc_present(cs))
		sel_fault(v, VEC_NP, csel, 0);
}

static uint64_t call_gate_off(const struct desc *gate)
{
	return desc_type(gate) & SYS_IS32 ? gate_off(gate) : gate->lo & 0xffff;
}

/* Task gate or TSS: the same for jumps and calls. */
static void to_task(struct interp *v, uint16_t sel, struct desc *d, enum task_how how,
		    uint64_t next)
{
	static const struct task_error none = { false, 0, 0 };

	if (desc_type(d) == SYS_TASK_GATE) {
		gate_check(v, sel, d);
		task_enter(v, gate_sel(d), how, next, none, 0);
		return;
	}
	if (desc_dpl(d) < v->cpu.cpl || desc_dpl(d) < (sel & 3u))
		sel_fault(v, VEC_GP, sel, 0);
	task_enter(v, sel, how, next, none, 0);
}

enum target { TO_CODE, TO_CALL_GATE, TO_TASK };

static enum target target_fetch(struct interp *v, uint16_t sel, struct desc *d)
{
	bool lm = cpu_long_mode(&v->cpu);

	if (sel_null(sel))
		raise_gp0(v);
	desc_fetch(v, sel, VEC_GP, 0, d);
	if (desc_is_segment(d)) {
		code_check(v, sel, d);
		return TO_CODE;
	}
	switch (desc_type(d)) {
	case SYS_CALL32:
		return TO_CALL_GATE;
	case SYS_CALL16:
		if (!lm)
			return TO_CALL_GATE;
		break;
	case SYS_TSS16: case SYS_TSS32: case SYS_TASK_GATE:
		if (!lm)
			return TO_TASK;
		break;
	}
	sel_fault(v, VEC_GP, sel, 0);
}

void far_jump(struct interp *v, uint16_t sel, uint64_t off, unsigned osize, uint64_t next)
{
	struct cpu *c = &v->cpu;
	struct desc d, cs;
	struct segment s;

	if (osize == 2)
		off &= 0xffff;
	if (!cpu_protected(c)) {
		c->seg[SEG_CS] = cs_real(v, sel, off);
		c->rip = off;
		return;
	}
	switch (target_fetch(v, sel, &d)) {
	case TO_CODE:
		seg_set(&s, sel, &d);
		rip_check(v, &s, off, 0);
		desc_touch(v, &d);
		cs_set(v, sel, &d, c->cpl, off);
		return;
	case TO_CALL_GATE:
		call_gate_check(v, sel, &d, false, &cs);
		off = call_gate_off(&d);
		seg_set(&s, sel, &cs);
		rip_check(v, &s, off, 0);
		desc_touch(v, &cs);
		cs_set(v, gate_sel(&d), &cs, c->cpl, off);
		return;
	case TO_TASK:
		to_task(v, sel, &d, TASK_JMP, next);
		return;
	}
}

/* CS and the return address on the current stack; target is what CS becomes. */
static void push_return(struct interp *v, struct stack *st, const struct segment *target,
			uint64_t off, struct desc *cs, uint64_t next)
{
	stack_room(v, st, 2);
	rip_check(v, target, off, 0);
	stack_probe(v, st, 2);
	if (cs)
		desc_touch(v, cs);
	stack_push(v, st, v->cpu.seg[SEG_CS].sel);
	stack_push(v, st, next);
	stack_commit(v, st);
}

static void call_inner(struct interp *v, const struct desc *gate, struct desc *cs, uint64_t next)
{
	struct cpu *c = &v->cpu;
	bool lm = cpu_long_mode(c);
	unsigned dpl = desc_dpl(cs), params = lm ? 0 : gate->hi & 31;
	unsigned size = lm ? 8 : desc_type(gate) & SYS_IS32 ? 4 : 2;
	uint64_t off = call_gate_off(gate), param[31];
	struct stack st;
	struct desc ss;
	struct segment s;

	if (lm)
		stack_inner64(v, dpl, 0, 0, &st);
	else
		stack_inner(v, dpl, size, 0, &st, &ss);
	stack_room(v, &st, 4 + params);
	seg_set(&s, 0, cs);
	rip_check(v, &s, off, 0);
	for (unsigned i = 0; i < params; i++)
		param[i] = stack_peek(v, i * size, size);
	stack_probe(v, &st, 4 + params);
	if (!lm)
		desc_touch(v, &ss);
	desc_touch(v, cs);

	stack_push(v, &st, c->seg[SEG_SS].sel);
	stack_push(v, &st, c->gpr[RSP]);
	while (params)
		stack_push(v, &st, param[--params]);
	stack_push(v, &st, c->seg[SEG_CS].sel);
	stack_push(v, &st, next);
	stack_commit(v, &st);
	c->seg[SEG_SS] = st.ss;
	cs_set(v, gate_sel(gate), cs, dpl, off);
}

static void call_gate(struct interp *v, uint16_t sel, struct desc *gate, uint64_t next)
{
	struct cpu *c = &v->cpu;
	struct desc cs;
	struct segment s;
	struct stack st;
	bool lm = cpu_long_mode(c);

	call_gate_check(v, sel, gate, true, &cs);
	if (!desc_conforming(&cs) && desc_dpl(&cs) < c->cpl) {
		call_inner(v, gate, &cs, next);
		return;
	}
	stack_current(v, lm ? 8 : desc_type(gate) & SYS_IS32 ? 4 : 2, 0, &st);
	if (lm) {	/* the target is 64-bit code, and its stack is 64-bit from here on */
		st.flat64 = true;
		st.mask = ~0ull;
	}
	seg_set(&s, 0, &cs);
	push_return(v, &st, &s, call_gate_off(gate), &cs, next);
	cs_set(v, gate_sel(gate), &cs, c->cpl, call_gate_off(gate));
}

void far_call(struct interp *v, uint16_t sel, uint64_t off, unsigned osize, uint64_t next)
{
	struct cpu *c = &v->cpu;
	struct desc d;
	struct segment s;
	struct stack st;

	if (osize == 2)
		off &= 0xffff;
	if (!cpu_protected(c)) {
		s = cs_real(v, sel, 0);
		stack_current(v, osize, 0, &st);
		push_return(v, &st, &s, off, NULL, next);
		c->seg[SEG_CS] = s;
		c->rip = off;
		return;
	}
	switch (target_fetch(v, sel, &d)) {
	case TO_CODE:
		seg_set(&s, sel, &d);
		stack_current(v, osize, 0, &st);
		push_return(v, &st, &s, off, &d, next);
		cs_set(v, sel, &d, c->cpl, off);
		return;
	case TO_CALL_GATE:
		call_gate(v, sel, &d, next);
		return;
	case TO_TASK:
		to_task(v, sel, &d, TASK_CALL, next);
		return;
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Delivery of interrupts and exceptions: through the real-mode vector table,
 * through gates of the IDT (interrupt, trap, task; long mode with IST), and
 * inside V86 mode under VME. It decides neither what is delivered nor when, nor
 * what follows from a fault during delivery, except for the table of double
 * faults. Nothing changes before the last check. SDM 3A ch. 6, 20; SDM 2 INT.
 */
#include "debug/disasm.h"
#include "interp/descriptor.h"

bool event_double_fault(int first, int second)
{
	static const uint32_t contributory =
		1u << VEC_DE | 1u << VEC_TS | 1u << VEC_NP | 1u << VEC_SS | 1u << VEC_GP;

	if (first < 0 || first > 31 || second < 0 || second > 31)
		return false;
	if (contributory >> first & 1)
		return contributory >> second & 1;
	if (first == VEC_PF)
		return second == VEC_PF || (contributory >> second & 1);
	return false;
}

/*
 * RF in the image is set for faults, so that the handler's IRET does not run into
 * the same instruction breakpoint (SDM 3B 17.3.1.1).
 */
static uint32_t flags_image(const struct cpu *c, unsigned vector, enum event_kind kind)
{
	uint32_t fl = cpu_eflags(c);

	if (kind == EV_FAULT && vector != VEC_DB && vector != VEC_DF && vector != VEC_NMI)
		fl |= FL_RF;
	return fl;
}

/* Error code of a fault that names an IDT entry. */
_Noreturn static void idt_fault(struct interp *v, int vec, unsigned vector, unsigned ext)
{
	raise_code(v, vec, vector << 3 | 2 | ext);
}

/* --- Real mode, and V86 mode with redirection ------------------------------- */

static void deliver_ivt(struct interp *v, gva_t entry, uint32_t image, uint32_t clear)
{
	struct cpu *c = &v->cpu;
	bool vm = c->eflags & FL_VM;
	uint32_t raw = (uint32_t)lin_read(v, entry, 4, ACC_READ | (vm ? ACC_USER : 0));
	struct segment cs = c->seg[SEG_CS];
	struct stack st;

	stack_current(v, 2, 0, &st);
	stack_room(v, &st, 3);
	if (vm)
		seg_set_v86(&cs, (uint16_t)(raw >> 16));
	else
		seg_set_real(&cs, (uint16_t)(raw >> 16));
	rip_check(v, &cs, raw & 0xffff, 0);
	stack_probe(v, &st, 3);
	stack_push(v, &st, image);
	stack_push(v, &st, c->seg[SEG_CS].sel);
	stack_push(v, &st, c->rip);
	stack_commit(v, &st);
	c->seg[SEG_CS] = cs;
	c->rip = raw & 0xffff;
	flags_merge(c, 0, clear);
}

static void deliver_real(struct interp *v, unsigned vector, uint32_t image, unsigned ext)
{
	const struct dtable *idt = &v->cpu.idtr;

	if (vector * 4 + 3 > idt->limit)
		idt_fault(v, VEC_GP, vector, ext);
	deliver_ivt(v, (uint32_t)(idt->base + vector * 4), image, FL_IF | FL_TF | FL_AC | FL_RF);
}

/* The bit of the 32 bytes below the I/O map: clear means "handled in V86 mode". */
static bool vme_redirects(struct interp *v, unsigned vector)
{
	const struct segment *tr = &v->cpu.seg[SEG_TR];

	if ((tr->attr & 0x1d) != SYS_TSS32 || tr->limit < 103)
		raise_gp0(v);
	uint32_t map = (uint32_t)lin_read(v, (uint32_t)(tr->base + 102), 2, ACC_READ);
	uint32_t at = map - 32 + vector / 8;

	if (map < 32 || at > tr->limit)
		raise_gp0(v);
	return !(lin_read(v, (uint32_t)(tr->base + at), 1, ACC_READ) >> (vector & 7) & 1);
}

/* INT n in V86 mode (SDM 3B table 20-2). True: done here. */
static bool deliver_v86_soft(struct interp *v, unsigned vector)
{
	struct cpu *c = &v->cpu;
	bool iopl3 = (c->eflags & FL_IOPL) == FL_IOPL;
	uint32_t image = cpu_eflags(c);

	if (!(c->cr4 & CR4_VME) || !vme_redirects(v, vector)) {
		if (!iopl3)
			raise_gp0(v);
		return false;
	}
	if (!iopl3)
		image = (image & ~FL_IF) | FL_IOPL | (image & FL_VIF ? FL_IF : 0);
	deliver_ivt(v, vector * 4, image, FL_TF | FL_RF | (iopl3 ? FL_IF : FL_VIF));
	return true;
}

/* --- Gates ------------------------------------------------------------------- */

struct gate {
	struct desc d, cs;
	uint16_t sel;
	uint64_t off;
	unsigned size;		/* bytes a push */
	unsigned ist;
	unsigned cpl;		/* of the handler */
	bool trap;
};

/* The IDT entry, with the checks that do not depend on what it points to. */
static void gate_read(struct interp *v, unsigned vector, enum event_kind kind, unsigned ext,
		      struct gate *g)
{
	struct cpu *c = &v->cpu;
	bool lm = cpu_long_mode(c);
	unsigned bytes = lm ? 16 : 8, type;
	gva_t at = c->idtr.base + vector * bytes;
	uint64_t raw;

	if (vector * bytes + bytes - 1 > c->idtr.limit)
		idt_fault(v, VEC_GP, vector, ext);
	if (!lm)
		at = (uint32_t)at;
	raw = lin_read(v, at, 8, ACC_READ);
	g->d.lo = (uint32_t)raw;
	g->d.hi = (uint32_t)(raw >> 32);
	g->d.lo2 = lm ? (uint32_t)lin_read(v, at + 8, 4, ACC_READ) : 0;

	type = desc_type(&g->d);
	if (desc_is_segment(&g->d) ||
	    !(type == SYS_INT32 || type == SYS_TRAP32 ||
	      (!lm && (type == SYS_INT16 || type == SYS_TRAP16 || type == SYS_TASK_GATE))))
		idt_fault(v, VEC_GP, vector, ext);
	if ((kind == EV_SOFT || kind == EV_INT3_INTO) && desc_dpl(&g->d) < c->cpl)
		idt_fault(v, VEC_GP, vector, ext);
	if (!desc_present(&g->d))
		idt_fault(v, VEC_NP, vector, ext);
	g->sel = gate_sel(&g->d);
	g->size = lm ? 8 : type & SYS_IS32 ? 4 : 2;
	g->off = type & SYS_IS32 ? gate_off(&g->d) : g->d.lo & 0xffff;
	g->trap = type & 1;
	g->ist = lm ? g->d.hi & 7 : 0;
}

/* The handler's code segment, and with it the level it runs at. */
static void gate_code(struct interp *v, unsigned ext, struct gate *g)
{
	struct cpu *c = &v->cpu;
	bool lm = cpu_long_mode(c), vm = c->eflags & FL_VM;
	unsigned dpl;

	if (sel_null(g->sel))
		raise_code(v, VEC_GP, ext);
	desc_fetch(v, g->sel, VEC_GP, ext, &g->cs);
	dpl = desc_dpl(&g->cs);
	if (!desc_is_code(&g->cs) || dpl > c->cpl ||
	    (lm && (!desc_long(&g->cs) || desc_big(&g->cs))))
		sel_fault(v, VEC_GP, g->sel, ext);
	if (!desc_present(&g->cs))
		sel_fault(v, VEC_NP, g->sel, ext);
	g->cpl = desc_conforming(&g->cs) ? c->cpl : dpl;
	if (vm && g->cpl != 0)
		sel_fault(v, VEC_GP, g->sel, ext);
}

/* The stack of the handler; true if it is another one than the current. */
static bool gate_stack(struct interp *v, unsigned ext, const struct gate *g, struct stack *st,
		       struct desc *ss)
{
	struct cpu *c = &v->cpu;
	bool inner = g->cpl < c->cpl;

	if (cpu_long_mode(c)) {
		if (inner || g->ist) {
			stack_inner64(v, g->cpl, g->ist, ext, st);
		} else {
			stack_current(v, 8, ext, st);
			st->flat64 = true;
			st->mask = ~0ull;
		}
		if (!inner)
			st->ss = c->seg[SEG_SS];
		st->access = g->cpl == 3 ? ACC_USER : 0;
		st->sp &= ~15ull;
	} else if (inner) {
		stack_inner(v, g->cpl, g->size, ext, st, ss);
	} else {
		stack_current(v, g->size, ext, st);
	}
	return inner;
}

static void deliver_gate(struct interp *v, struct gate *g, uint32_t image, struct task_error err,
			 unsigned ext)
{
	static const uint8_t v86_segs[] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };
	struct cpu *c = &v->cpu;
	bool lm = cpu_long_mode(c), vm = c->eflags & FL_VM;
	struct stack st;
	struct desc ss;
	struct segment cs;

	gate_code(v, ext, g);
	bool inner = gate_stack(v, ext, g, &st, &ss);
	unsigned pushes = 3 + (inner || lm ? 2 : 0) + (vm ? 4 : 0) + err.present;

	stack_room(v, &st, pushes);
	seg_set(&cs, (uint16_t)((g->sel & ~3u) | g->cpl), &g->cs);
	cs.attr |= SEG_A;
	rip_check(v, &cs, g->off, ext);
	stack_probe(v, &st, pushes);
	if (inner && !lm)
		desc_touch(v, &ss);
	desc_touch(v, &g->cs);

	if (vm)
		for (unsigned i = 0; i < 4; i++)
			stack_push(v, &st, c->seg[v86_segs[i]].sel);
	if (inner || lm) {
		stack_push(v, &st, c->seg[SEG_SS].sel);
		stack_push(v, &st, c->gpr[RSP]);
	}
	stack_push(v, &st, image);
	stack_push(v, &st, c->seg[SEG_CS].sel);
	stack_push(v, &st, c->rip);
	if (err.present)
		stack_push(v, &st, err.code);
	stack_commit(v, &st);
	if (vm)
		for (unsigned i = 0; i < 4; i++)
			seg_set_null(&c->seg[v86_segs[i]], 0);
	c->seg[SEG_SS] = st.ss;
	c->seg[SEG_CS] = cs;
	c->rip = g->off;
	c->cpl = (uint8_t)g->cpl;
	flags_merge(c, 0, FL_TF | FL_NT | FL_VM | FL_RF | (g->trap ? 0 : FL_IF));
}

void event_deliver(struct interp *v, unsigned vector, enum event_kind kind, bool has_code,
		   uint32_t code)
{
	struct cpu *c = &v->cpu;
	unsigned ext = kind != EV_SOFT && kind != EV_INT3_INTO;
	uint32_t image = flags_image(c, vector, kind);
	struct task_error err = { has_code, code, image & FL_RF };
	struct gate g;

	trace_line(v->m, TRACE_EVENT, "event %02x kind %d code %x at %04x:%llx cr2 %llx\n", vector,
		   (int)kind, code, c->seg[SEG_CS].sel, (unsigned long long)c->rip,
		   (unsigned long long)c->cr2);
	c->int_shadow = false;
	v->tf_step = false;	/* INT n takes the place of the step's trap */
	if (unlikely(kind == EV_ICEBP)) {	/* a #DB takes along what a load of SS held off */
		c->dr[6] |= c->pending_dbg;
		c->pending_dbg = 0;
	}
	if (!(c->cr0 & CR0_PE)) {
		deliver_real(v, vector, image, ext);
		return;
	}
	if ((c->eflags & FL_VM) && kind == EV_SOFT && deliver_v86_soft(v, vector))
		return;
	gate_read(v, vector, kind, ext, &g);
	if (desc_type(&g.d) == SYS_TASK_GATE) {
		task_enter(v, g.sel, TASK_EVENT, c->rip, err, ext);
		return;
	}
	deliver_gate(v, &g, image, err, ext);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hardware task switch (SDM 3A 7.3): the running task into its TSS, the new
 * one out of its own. Faults before the commit point belong to the old task;
 * from there on they belong to the new one, whose RIP and flags are loaded.
 *
 *   16-bit TSS                    32-bit TSS
 *   00 link                       00 link    04..18 ESP0 SS0 .. SS2
 *   02..0c SP0 SS0 .. SS2         1c CR3  20 EIP  24 EFLAGS
 *   0e IP  10 FLAGS               28 EAX ECX EDX EBX ESP EBP ESI EDI
 *   12 AX CX DX BX SP BP SI DI    48 ES CS SS DS FS GS   60 LDTR
 *   22 ES CS SS DS  2a LDTR       64 T   66 I/O map base
 */
#include "interp/descriptor.h"

struct layout {
	uint8_t size;		/* of a register */
	uint8_t ip, flags, gpr, seg, nseg, ldt;
	uint8_t seg_step;
	uint8_t limit;		/* least valid limit */
	uint8_t end;		/* first byte after what a switch stores */
};
static const struct layout layouts[] = {
	{ 2, 0x0e, 0x10, 0x12, 0x22, 4, 0x2a, 2, 0x2b, 0x2a },
	{ 4, 0x20, 0x24, 0x28, 0x48, 6, 0x60, 4, 0x67, 0x60 },
};

struct tss_image {
	uint32_t cr3, ip, flags, gpr[8];
	uint16_t seg[6], ldt;
	bool trap;
};

static uint32_t tss_get(struct interp *v, gva_t base, unsigned off, unsigned size)
{
	return (uint32_t)lin_read(v, (uint32_t)(base + off), size, ACC_READ);
}

static void tss_put(struct interp *v, gva_t base, unsigned off, unsigned size, uint32_t val)
{
	lin_write(v, (uint32_t)(base + off), size, val, ACC_WRITE);
}

static void tss_read(struct interp *v, const struct layout *l, gva_t base, struct tss_image *t)
{
	*t = (struct tss_image){ 0 };
	t->ip = tss_get(v, base, l->ip, l->size);
	t->flags = tss_get(v, base, l->flags, l->size);
	for (unsigned i = 0; i < 8; i++)
		t->gpr[i] = tss_get(v, base, l->gpr + i * l->size, l->size);
	for (unsigned i = 0; i < l->nseg; i++)
		t->seg[i] = (uint16_t)tss_get(v, base, l->seg + i * l->seg_step, 2);
	t->ldt = (uint16_t)tss_get(v, base, l->ldt, 2);
	if (l->size == 4) {
		t->cr3 = tss_get(v, base, 0x1c, 4);
		t->trap = tss_get(v, base, 0x64, 2) & 1;
	}
}

static void tss_save(struct interp *v, const struct layout *l, gva_t base, uint32_t flags,
		     uint32_t ip)
{
	const struct cpu *c = &v->cpu;

	tss_put(v, base, l->ip, l->size, ip);
	tss_put(v, base, l->flags, l->size, flags);
	for (unsigned i = 0; i < 8; i++)
		tss_put(v, base, l->gpr + i * l->size, l->size, (uint32_t)c->gpr[i]);
	for (unsigned i = 0; i < l->nseg; i++)
		tss_put(v, base, l->seg + i * l->seg_step, 2, c->seg[i].sel);
}

/* The descriptor of the task to go to, fit for this kind of switch. */
static const struct layout *target_check(struct interp *v, uint16_t sel, enum task_how how,
					 unsigned ext, struct desc *d)
{
	int vec = how == TASK_IRET ? VEC_TS : VEC_GP;
	unsigned busy = how == TASK_IRET ? SYS_BUSY : 0;
	struct segment s;

	if (sel & 4)
		sel_fault(v, vec, sel, ext);
	desc_fetch(v, sel, vec, ext, d);
	if (desc_is_segment(d) || (desc_type(d) & ~SYS_IS32) != (SYS_TSS16 | busy))
		sel_fault(v, vec, sel, ext);
	if (!desc_present(d))
		sel_fault(v, VEC_NP, sel, ext);
	const struct layout *l = &layouts[(desc_type(d) & SYS_IS32) != 0];

	seg_set(&s, sel, d);
	if (s.limit < l->limit)
		sel_fault(v, VEC_TS, sel, ext);
	return l;
}

static void load_ldt(struct interp *v, uint16_t sel, unsigned ext)
{
	struct desc d;

	if (sel_null(sel))
		return;
	if (sel & 4)
		sel_fault(v, VEC_TS, sel, ext);
	desc_fetch(v, sel, VEC_TS, ext, &d);
	if (desc_is_segment(&d) || desc_type(&d) != SYS_LDT || !desc_present(&d))
		sel_fault(v, VEC_TS, sel, ext);
	seg_set(&v->cpu.seg[SEG_LDTR], sel, &d);
}

static void load_code(struct interp *v, uint16_t sel, unsigned ext)
{
	struct desc d;

	if (sel_null(sel))
		sel_fault(v, VEC_TS, sel, ext);
	desc_fetch(v, sel, VEC_TS, ext, &d);
	if (!desc_is_code(&d) ||
	    (desc_conforming(&d) ? desc_dpl(&d) > (sel & 3u) : desc_dpl(&d) != (sel & 3u)))
		sel_fault(v, VEC_TS, sel, ext);
	if (!desc_present(&d))
		sel_fault(v, VEC_NP, sel, ext);
	desc_touch(v, &d);
	seg_set(&v->cpu.seg[SEG_CS], sel, &d);
}

static void load_stack(struct interp *v, uint16_t sel, unsigned ext)
{
	struct desc d;

	if (sel_null(sel))
		sel_fault(v, VEC_TS, sel, ext);
	desc_fetch(v, sel, VEC_TS, ext, &d);
	if (!desc_is_writable_data(&d) || (sel & 3u) != v->cpu.cpl || desc_dpl(&d) != v->cpu.cpl)
		sel_fault(v, VEC_TS, sel, ext);
	if (!desc_present(&d))
		sel_fault(v, VEC_SS, sel, ext);
	desc_touch(v, &d);
	seg_set(&v->cpu.seg[SEG_SS], sel, &d);
}

static void load_data(struct interp *v, enum segreg s, uint16_t sel, unsigned ext)
{
	struct desc d;

	if (sel_null(sel))
		return;
	desc_fetch(v, sel, VEC_TS, ext, &d);
	if (!desc_is_readable(&d) ||
	    (!(desc_is_code(&d) && desc_conforming(&d)) &&
	     (desc_dpl(&d) < (sel & 3u) || desc_dpl(&d) < v->cpu.cpl)))
		sel_fault(v, VEC_TS, sel, ext);
	if (!desc_present(&d))
		sel_fault(v, VEC_NP, sel, ext);
	desc_touch(v, &d);
	seg_set(&v->cpu.seg[s], sel, &d);
}

/* The registers that cannot fail: from here on the new task is the one that faults. */
static void commit_image(struct interp *v, const struct layout *l, const struct tss_image *t,
			 bool nested)
{
	struct cpu *c = &v->cpu;

	for (unsigned i = 0; i < 8; i++)
		c->gpr[i] = t->gpr[i];
	cpu_set_eflags(c, t->flags | (nested ? FL_NT : 0));
	c->rip = t->ip;
	for (unsigned i = 0; i < 6; i++)
		seg_set_null(&c->seg[i], i < l->nseg ? t->seg[i] : 0);
	seg_set_null(&c->seg[SEG_LDTR], t->ldt);
	c->cpl = c->eflags & FL_VM ? 3 : t->seg[SEG_CS] & 3;
	c->cr0 |= CR0_TS;
	c->dr[7] &= ~0x155ull;	/* local breakpoints and LE */
	v->op = NULL;		/* RIP is right as it is */
}

static void load_segments(struct interp *v, const struct tss_image *t, unsigned ext)
{
	static const uint8_t data[] = { SEG_DS, SEG_ES, SEG_FS, SEG_GS };
	struct cpu *c = &v->cpu;

	load_ldt(v, t->ldt, ext);
	if (c->eflags & FL_VM) {
		for (unsigned i = 0; i < 6; i++)
			seg_set_v86(&c->seg[i], t->seg[i]);
		return;
	}
	load_code(v, t->seg[SEG_CS], ext);
	load_stack(v, t->seg[SEG_SS], ext);
	for (size_t i = 0; i < ARRAY_LEN(data); i++)
		load_data(v, data[i], t->seg[data[i]], ext);
}

static void push_error(struct interp *v, unsigned size, uint32_t code, unsigned ext)
{
	struct stack st;

	stack_current(v, size, ext, &st);
	stack_room(v, &st, 1);
	stack_probe(v, &st, 1);
	stack_push(v, &st, code);
	stack_commit(v, &st);
}

void task_enter(struct interp *v, uint16_t sel, enum task_how how, uint64_t next,
		struct task_error err, unsigned ext)
{
	struct cpu *c = &v->cpu;
	struct segment *tr = &c->seg[SEG_TR];
	bool nested = how == TASK_CALL || how == TASK_EVENT;
	const struct layout *lold = &layouts[(tr->attr & SYS_IS32) != 0];
	struct desc dnew, dold;
	struct tss_image t;
	struct segment snew;
	uint32_t flags = cpu_eflags(c) | err.rf;

	const struct layout *lnew = target_check(v, sel, how, ext, &dnew);

	if (tr->limit < lold->limit)
		sel_fault(v, VEC_TS, tr->sel, ext);
	seg_set(&snew, sel, &dnew);
	tss_read(v, lnew, snew.base, &t);
	lin_probe(v, (uint32_t)(tr->base + lold->ip), lold->end - lold->ip, ACC_WRITE);
	if (nested)
		lin_probe(v, (uint32_t)snew.base, 2, ACC_WRITE);
	else
		desc_fetch(v, tr->sel, VEC_TS, ext, &dold);
	lin_probe(v, dnew.at + 5, 1, ACC_WRITE);

	if (!nested)
		desc_set_type(v, &dold, desc_type(&dold) & ~SYS_BUSY);
	if (how == TASK_IRET)
		flags &= ~FL_NT;
	tss_save(v, lold, tr->base, flags, (uint32_t)next);
	if (nested)
		tss_put(v, snew.base, 0, 2, tr->sel);
	if (how != TASK_IRET)
		desc_set_type(v, &dnew, desc_type(&dnew) | SYS_BUSY);

	seg_set(tr, sel, &dnew);
	commit_image(v, lnew, &t, nested);
	if (lnew->size == 4 && (c->cr0 & CR0_PG))
		cr3_load(v, t.cr3);
	load_segments(v, &t, ext);
	if (t.trap)
		c->pending_dbg |= 1u << 15;	/* BT */
	if (err.present)
		push_error(v, lnew->size, err.code, ext);
	rip_check(v, &c->seg[SEG_CS], c->rip, ext);
}

void task_switch(struct interp *v, uint16_t sel, enum task_how how, uint64_t next,
		 bool has_code, uint32_t code)
{
	task_enter(v, sel, how, next, (struct task_error){ has_code, code, 0 }, 0);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segment registers: how a selector becomes a loaded segment in each mode, and
 * which selectors may be loaded where. It never looks at an instruction. SDM 3A
 * 3.4, 5.4-5.7; SDM 2 MOV, LLDT, LTR.
 */
#include "interp/descriptor.h"

void sel_fault(struct interp *v, int vec, uint16_t sel, unsigned ext)
{
	raise_code(v, vec, (sel & 0xfffcu) | ext);
}

static bool desc_locate(const struct cpu *c, uint16_t sel, unsigned bytes, gva_t *at)
{
	uint32_t off = sel & 0xfff8u;
	const struct segment *ldt = &c->seg[SEG_LDTR];

	if (sel & 4) {
		if (!(ldt->attr & SEG_P) || off + bytes - 1 > ldt->limit)
			return false;
		*at = ldt->base + off;
	} else {
		if (off + bytes - 1 > c->gdtr.limit)
			return false;
		*at = c->gdtr.base + off;
	}
	if (!cpu_long_mode(c))
		*at = (uint32_t)*at;
	return true;
}

bool desc_find(struct interp *v, uint16_t sel, struct desc *d)
{
	if (!desc_locate(&v->cpu, sel, 8, &d->at))
		return false;
	uint64_t raw = lin_read(v, d->at, 8, ACC_READ);

	d->lo = (uint32_t)raw;
	d->hi = (uint32_t)(raw >> 32);
	d->lo2 = d->hi2 = 0;
	return true;
}

void desc_fetch(struct interp *v, uint16_t sel, int vec, unsigned ext, struct desc *d)
{
	if (!desc_find(v, sel, d))
		sel_fault(v, vec, sel, ext);
}

void desc_fetch_high(struct interp *v, uint16_t sel, int vec, unsigned ext, struct desc *d)
{
	gva_t at;

	if (!desc_locate(&v->cpu, sel, 16, &at))
		sel_fault(v, vec, sel, ext);
	uint64_t raw = lin_read(v, at + 8, 8, ACC_READ);

	d->lo2 = (uint32_t)raw;
	d->hi2 = (uint32_t)(raw >> 32);
	if (d->hi2 & 0x1f00)
		sel_fault(v, vec, sel, ext);
}

void desc_set_type(struct interp *v, struct desc *d, unsigned type)
{
	d->hi = (d->hi & ~0xf00u) | type << 8;
	lin_write(v, d->at + 5, 1, d->hi >> 8 & 0xff, ACC_WRITE);
}

void desc_touch(struct interp *v, struct desc *d)
{
	if (!(d->hi >> 8 & SEG_A))
		desc_set_type(v, d, desc_type(d) | SEG_A);
}

void seg_set(struct segment *s, uint16_t sel, const struct desc *d)
{
	uint32_t limit = (d->lo & 0xffff) | (d->hi & 0xf0000);

	s->sel = sel;
	s->attr = desc_attr(d);
	s->limit = s->attr & SEG_G ? limit << 12 | 0xfff : limit;
	s->base = (uint64_t)d->lo2 << 32 | (d->hi & 0xff000000) | (d->hi & 0xff) << 16 |
		  d->lo >> 16;
}

void seg_set_null(struct segment *s, uint16_t sel)
{
	*s = (struct segment){ .sel = sel };
}

void seg_set_null_ss(struct segment *s, uint16_t sel, unsigned dpl)
{
	*s = (struct segment){ .sel = sel, .limit = 0xffffffff,
			       .attr = (uint16_t)(SEG_G | SEG_D | SEG_P | dpl << 5 | SEG_S | SEG_W |
						  SEG_A) };
}

/* Limit and size stay as they were: what protected mode left is kept in real mode. */
void seg_set_real(struct segment *s, uint16_t sel)
{
	s->sel = sel;
	s->base = (uint32_t)sel << 4;
	s->attr = (s->attr & (SEG_G | SEG_D)) | SEG_P | SEG_S | SEG_W | SEG_A;
}

void seg_set_v86(struct segment *s, uint16_t sel)
{
	*s = (struct segment){ .sel = sel, .base = (uint32_t)sel << 4, .limit = 0xffff,
			       .attr = SEG_P | 3 << 5 | SEG_S | SEG_W | SEG_A };
}

bool seg_limit_ok(const struct segment *s, uint64_t off, unsigned n)
{
	uint64_t last = off + n - 1;

	if ((s->attr & (SEG_S | SEG_CODE | SEG_E)) == (SEG_S | SEG_E))
		return off > s->limit && last <= (s->attr & SEG_D ? 0xffffffffu : 0xffffu);
	return last <= s->limit;
}

void rip_check(struct interp *v, const struct segment *cs, uint64_t rip, unsigned ext)
{
	if (cpu_long_mode(&v->cpu) && (cs->attr & SEG_L)) {
		if (!canonical(rip))
			raise_code(v, VEC_GP, ext);
	} else if (rip > cs->limit) {
		raise_code(v, VEC_GP, ext);
	}
}

static void seg_load_ss(struct interp *v, uint16_t sel)
{
	struct cpu *c = &v->cpu;
	unsigned rpl = sel & 3;
	struct desc d;

	if (sel_null(sel)) {
		if (!cpu_code64(c) || c->cpl == 3 || rpl != c->cpl)
			raise_gp0(v);
		seg_set_null_ss(&c->seg[SEG_SS], sel, c->cpl);
		return;
	}
	desc_fetch(v, sel, VEC_GP, 0, &d);
	if (rpl != c->cpl || !desc_is_writable_data(&d) || desc_dpl(&d) != c->cpl)
		sel_fault(v, VEC_GP, sel, 0);
	if (!desc_present(&d))
		sel_fault(v, VEC_SS, sel, 0);
	desc_touch(v, &d);
	seg_set(&c->seg[SEG_SS], sel, &d);
}

void seg_load(struct interp *v, enum segreg s, uint16_t sel)
{
	struct cpu *c = &v->cpu;
	unsigned rpl = sel & 3;
	struct desc d;

	if (!(c->cr0 & CR0_PE)) {
		seg_set_real(&c->seg[s], sel);
		return;
	}
	if (c->eflags & FL_VM) {
		seg_set_v86(&c->seg[s], sel);
		return;
	}
	if (s == SEG_SS) {
		seg_load_ss(v, sel);
		return;
	}
	if (sel_null(sel)) {
		seg_set_null(&c->seg[s], sel);
		return;
	}
	desc_fetch(v, sel, VEC_GP, 0, &d);
	if (!desc_is_readable(&d))
		sel_fault(v, VEC_GP, sel, 0);
	if (!(desc_is_code(&d) && desc_conforming(&d)) &&
	    (rpl > desc_dpl(&d) || c->cpl > desc_dpl(&d)))
		sel_fault(v, VEC_GP, sel, 0);
	if (!desc_present(&d))
		sel_fault(v, VEC_NP, sel, 0);
	desc_touch(v, &d);
	seg_set(&c->seg[s], sel, &d);
}

void seg_drop_inner(struct interp *v)
{
	static const uint8_t data[] = { SEG_ES, SEG_FS, SEG_GS, SEG_DS };
	struct cpu *c = &v->cpu;

	for (size_t i = 0; i < ARRAY_LEN(data); i++) {
		struct segment *s = &c->seg[data[i]];

		if ((s->attr & (SEG_S | SEG_CODE | SEG_C)) == (SEG_S | SEG_CODE | SEG_C))
			continue;
		if (sel_null(s->sel) || SEG_DPL(s->attr) < c->cpl) {
			/* The base stays: in 64-bit mode FS and GS go on to use it. */
			s->sel = 0;
			s->attr = 0;
			s->limit = 0;
		}
	}
}

/* LDT and TSS descriptors have 16 bytes in 64-bit mode, with a 64-bit base. */
static void fetch_system(struct interp *v, uint16_t sel, struct desc *d)
{
	if (sel & 4)
		sel_fault(v, VEC_GP, sel, 0);
	desc_fetch(v, sel, VEC_GP, 0, d);
}

static void fetch_system_high(struct interp *v, uint16_t sel, struct desc *d)
{
	if (!cpu_code64(&v->cpu))
		return;
	desc_fetch_high(v, sel, VEC_GP, 0, d);

	struct segment s;

	seg_set(&s, sel, d);
	if (!canonical(s.base))
		sel_fault(v, VEC_GP, sel, 0);
}

void seg_load_ldtr(struct interp *v, uint16_t sel)
{
	struct desc d;

	if (sel_null(sel)) {
		seg_set_null(&v->cpu.seg[SEG_LDTR], sel);
		return;
	}
	fetch_system(v, sel, &d);
	if (desc_is_segment(&d) || desc_type(&d) != SYS_LDT)
		sel_fault(v, VEC_GP, sel, 0);
	fetch_system_high(v, sel, &d);
	if (!desc_present(&d))
		sel_fault(v, VEC_NP, sel, 0);
	seg_set(&v->cpu.seg[SEG_LDTR], sel, &d);
}

void seg_load_tr(struct interp *v, uint16_t sel)
{
	struct desc d;

	if (sel_null(sel))
		raise_gp0(v);
	fetch_system(v, sel, &d);
	unsigned type = desc_type(&d);

	if (desc_is_segment(&d) ||
	    (type != SYS_TSS32 && (type != SYS_TSS16 || cpu_long_mode(&v->cpu))))
		sel_fault(v, VEC_GP, sel, 0);
	fetch_system_high(v, sel, &d);
	if (!desc_present(&d))
		sel_fault(v, VEC_NP, sel, 0);
	desc_set_type(v, &d, type | SYS_BUSY);
	seg_set(&v->cpu.seg[SEG_TR], sel, &d);
}

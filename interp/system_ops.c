/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers of the instructions that only an operating system needs: control and
 * debug registers, descriptor-table registers, TLB and caches, HLT. What a write
 * means is decided in control.c and segment.c. SDM 2; SDM 3A 2.8.
 */
#include "interp/system_ops.h"

/* --- Control registers ------------------------------------------------------- */

HANDLER(h_mov_from_cr)
{
	const struct cpu *c = &v->cpu;
	uint64_t val;

	SYNC(v, op);
	need_cpl0(v);
	switch (op->b) {
	case 0: val = c->cr0; break;
	case 2: val = c->cr2; break;
	case 3: val = c->cr3; break;
	case 4: val = c->cr4; break;
	case 8: val = c->cr8; break;
	default: raise_ud(v);
	}
	reg_set(v, op->a, cpu_code64(c) ? 8 : 4, val);
	NEXT(v, op);
}

HANDLER(h_mov_to_cr)
{
	SYNC(v, op);
	need_cpl0(v);
	cr_write(v, op->a, reg_get(v, op->b, cpu_code64(&v->cpu) ? 8 : 4));
	return resume_next(v, op);
}

HANDLER(h_clts)
{
	SYNC(v, op);
	need_cpl0(v);
	v->cpu.cr0 &= ~(uint64_t)CR0_TS;
	NEXT(v, op);
}

HANDLER(h_lmsw)
{
	const uint64_t low = CR0_PE | CR0_MP | CR0_EM | CR0_TS;
	uint64_t cr0 = v->cpu.cr0;

	SYNC(v, op);
	need_cpl0(v);
	/* PE can be set, never cleared. */
	cr_write(v, 0, (cr0 & ~(low & ~(uint64_t)CR0_PE)) | (operand16(v, op, op->a) & low));
	return resume_next(v, op);
}

/* A memory operand is always 16 bits wide. */
static const struct op *store_sel(struct interp *v, const struct op *op, uint64_t val)
{
	if (op->flags & OPF_MEM) {
		mem_write(v, op->seg, ea_offset(v, op), 2, val & 0xffff);
		NEXT_CHECKED(v, op);
	}
	reg_set(v, op->a, op->osize, val);
	NEXT(v, op);
}

HANDLER(h_smsw)
{
	SYNC(v, op);
	need_no_umip(v);
	return store_sel(v, op, v->cpu.cr0);
}

/* --- Debug registers ------------------------------------------------------------ */

#define DR6_FIXED	0xffff0ff0u
#define DR6_KNOWN	0x0000e00fu
#define DR6_BD		0x00002000u
#define DR7_FIXED	0x00000400u
#define DR7_KNOWN	0xffff23ffu
#define DR7_GD		0x00002000u

/* The register meant, after all checks of an access to it. */
static unsigned debug_register(struct interp *v, unsigned n)
{
	struct cpu *c = &v->cpu;

	if (n == 4 || n == 5) {
		if (c->cr4 & CR4_DE)
			raise_ud(v);
		n += 2;
	}
	need_cpl0(v);
	if (c->dr[7] & DR7_GD) {
		c->dr[7] &= ~(uint64_t)DR7_GD;
		c->dr[6] |= DR6_BD;
		raise_fault(v, VEC_DB);
	}
	return n;
}

HANDLER(h_mov_from_dr)
{
	SYNC(v, op);
	unsigned n = debug_register(v, op->b);

	reg_set(v, op->a, cpu_code64(&v->cpu) ? 8 : 4, v->cpu.dr[n]);
	NEXT(v, op);
}

HANDLER(h_mov_to_dr)
{
	SYNC(v, op);
	unsigned n = debug_register(v, op->a);
	uint64_t val = reg_get(v, op->b, cpu_code64(&v->cpu) ? 8 : 4);

	if (n >= 6 && val >> 32)
		raise_gp0(v);
	if (n == 6)
		val = (val & DR6_KNOWN) | DR6_FIXED;
	else if (n == 7)
		val = (val & DR7_KNOWN) | DR7_FIXED;
	v->cpu.dr[n] = val;
	return resume_next(v, op);
}

/* --- Descriptor-table registers -------------------------------------------------- */

static const struct op *table_load(struct interp *v, const struct op *op, struct dtable *t)
{
	bool code64 = cpu_code64(&v->cpu);
	uint8_t image[10] = { 0 };
	uint64_t off, base = 0;

	SYNC(v, op);
	need_cpl0(v);
	off = ea_offset(v, op);
	mem_read_bytes(v, op->seg, off, image, code64 ? 10 : 6);
	for (int i = 9; i >= 2; i--)
		base = base << 8 | image[i];
	if (code64 ? !canonical(base) : false)
		raise_gp0(v);
	if (!code64 && op->osize == 2)
		base &= 0xffffff;
	t->limit = (uint16_t)(image[0] | image[1] << 8);
	t->base = base;
	NEXT(v, op);
}

static const struct op *table_store(struct interp *v, const struct op *op, const struct dtable *t)
{
	uint8_t image[10] = { (uint8_t)t->limit, (uint8_t)(t->limit >> 8) };

	SYNC(v, op);
	need_no_umip(v);
	for (int i = 0; i < 8; i++)
		image[2 + i] = (uint8_t)(t->base >> (8 * i));
	mem_write_bytes(v, op->seg, ea_offset(v, op), image, cpu_code64(&v->cpu) ? 10 : 6);
	NEXT_CHECKED(v, op);
}

HANDLER(h_lgdt) { return table_load(v, op, &v->cpu.gdtr); }
HANDLER(h_lidt) { return table_load(v, op, &v->cpu.idtr); }
HANDLER(h_sgdt) { return table_store(v, op, &v->cpu.gdtr); }
HANDLER(h_sidt) { return table_store(v, op, &v->cpu.idtr); }

HANDLER(h_lldt)
{
	SYNC(v, op);
	need_protected(v);
	need_cpl0(v);
	seg_load_ldtr(v, operand16(v, op, op->a));
	NEXT(v, op);
}

HANDLER(h_ltr)
{
	SYNC(v, op);
	need_protected(v);
	need_cpl0(v);
	seg_load_tr(v, operand16(v, op, op->a));
	NEXT_CHECKED(v, op);
}

HANDLER(h_sldt)
{
	SYNC(v, op);
	need_protected(v);
	need_no_umip(v);
	return store_sel(v, op, v->cpu.seg[SEG_LDTR].sel);
}

HANDLER(h_str)
{
	SYNC(v, op);
	need_protected(v);
	need_no_umip(v);
	return store_sel(v, op, v->cpu.seg[SEG_TR].sel);
}

/* --- TLB, caches, waiting ------------------------------------------------------------ */

HANDLER(h_invlpg)
{
	struct cpu *c = &v->cpu;
	gva_t gva;

	SYNC(v, op);
	need_cpl0(v);
	/* No limit or type checks: nothing is accessed. */
	gva = ea_offset(v, op);
	if (!cpu_code64(c))
		gva = (uint32_t)(gva + c->seg[op->seg].base);
	else if (op->seg == SEG_FS || op->seg == SEG_GS)
		gva += c->seg[op->seg].base;
	if (canonical(gva))
		tlb_flush_page(v, gva);
	return resume_next(v, op);
}

/* INVD, WBINVD: there is no cache whose contents a guest could miss. */
HANDLER(h_cache)
{
	SYNC(v, op);
	need_cpl0(v);
	NEXT(v, op);
}

HANDLER(h_hlt)
{
	SYNC(v, op);
	need_cpl0(v);
	v->cpu.halted = true;
	return op_leave_after(v, op);
}

HANDLER(h_monitor)
{
	SYNC(v, op);
	if (v->cpu.cpl != 0)
		raise_ud(v);
	if (v->cpu.gpr[RCX])
		raise_gp0(v);
	NEXT(v, op);
}

HANDLER(h_mwait)
{
	SYNC(v, op);
	if (v->cpu.cpl != 0)
		raise_ud(v);
	if (v->cpu.gpr[RCX] & ~1ull)
		raise_gp0(v);
	/* Any store may be the one waited for: waking at once is always allowed. */
	return op_leave_after(v, op);
}

/* UD0, UD1, UD2, and RSM outside system-management mode. */
HANDLER(h_ud)
{
	SYNC(v, op);
	raise_ud(v);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control registers, EFLAGS and I/O permission: which writes are allowed, and
 * what they drag along (TLB, PDPTEs, EFER.LMA). It never looks at an
 * instruction's encoding. SDM 3A 2.5, 4.4.1, 10.8.5; SDM 2 MOV CR, POPF; SDM 1 19.5.
 */
#include "interp/cpu_model.h"
#include "interp/descriptor.h"

void flags_merge(struct cpu *c, uint32_t fl, uint32_t mask)
{
	cpu_set_eflags(c, (cpu_eflags(c) & ~mask) | (fl & mask));
}

/* --- Control registers -------------------------------------------------------- */

#define CR0_KNOWN	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | \
			 CR0_NW | CR0_CD | CR0_PG)
/* Bits whose change makes cached translations wrong. */
#define CR0_FLUSH	(CR0_PE | CR0_WP | CR0_PG)
#define CR4_FLUSH	(CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP)
/* Bits whose change reloads the PDPTEs. */
#define CR0_PDPTE	(CR0_CD | CR0_NW | CR0_PG)
#define CR4_PDPTE	(CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP)

static const struct { uint32_t bit; uint8_t feature; } cr4_bits[] = {
	{ CR4_VME | CR4_PVI, F_VME }, { CR4_TSD, F_TSC }, { CR4_DE, F_DE }, { CR4_PSE, F_PSE },
	{ CR4_PAE, F_PAE }, { CR4_MCE, F_MCE }, { CR4_PGE, F_PGE }, { CR4_PCE, F_MMX },
	{ CR4_OSFXSR, F_FXSR }, { CR4_OSXMMEXCPT, F_SSE }, { CR4_UMIP, F_UMIP },
	{ CR4_FSGSBASE, F_FSGSBASE }, { CR4_OSXSAVE, F_XSAVE }, { CR4_SMEP, F_SMEP },
	{ CR4_SMAP, F_SMAP },
};

static uint64_t cr4_allowed(const struct interp *v)
{
	uint64_t allowed = 0;

	for (size_t i = 0; i < ARRAY_LEN(cr4_bits); i++)
		if (model_has(v, cr4_bits[i].feature))
			allowed |= cr4_bits[i].bit;
	return allowed;
}

/* PAE paging without long mode keeps its four root entries in registers. */
static bool pae_roots(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA);
}

static void pdpte_load(struct interp *v, uint64_t cr3)
{
	if (!paging_load_pdpte(&v->m->mem, &v->cpu, cr3))
		raise_gp0(v);
}

/* EFER.LMA after a change of CR0.PG (SDM 3A 10.8.5). */
static uint64_t long_mode_switch(struct interp *v, uint64_t cr0)
{
	const struct cpu *c = &v->cpu;

	if (!((c->cr0 ^ cr0) & CR0_PG) || !(c->efer & EFER_LME))
		return c->efer;
	if (!(cr0 & CR0_PG)) {
		if (cpu_code64(c))
			raise_gp0(v);
		return c->efer & ~(uint64_t)EFER_LMA;
	}
	if (!(c->cr4 & CR4_PAE) || (c->seg[SEG_CS].attr & SEG_L) ||
	    !(c->seg[SEG_TR].attr & SYS_IS32))
		raise_gp0(v);
	return c->efer | EFER_LMA;
}

static void cr0_write(struct interp *v, uint64_t val)
{
	struct cpu *c = &v->cpu;
	uint64_t changed, efer;

	if (val >> 32)
		raise_gp0(v);
	val = (val & CR0_KNOWN) | CR0_ET;
	if (((val & CR0_PG) && !(val & CR0_PE)) || ((val & CR0_NW) && !(val & CR0_CD)))
		raise_gp0(v);
	changed = c->cr0 ^ val;
	efer = long_mode_switch(v, val);
	if ((changed & CR0_PDPTE) && pae_roots(val, c->cr4, efer))
		pdpte_load(v, c->cr3);
	c->cr0 = val;
	c->efer = efer;
	if (changed & CR0_FLUSH)
		tlb_flush(v);
}

void cr3_load(struct interp *v, uint64_t val)
{
	struct cpu *c = &v->cpu;

	if (!cpu_long_mode(c))
		val = (uint32_t)val;
	else if (val >> PHYS_BITS)
		raise_gp0(v);
	if (pae_roots(c->cr0, c->cr4, c->efer))
		pdpte_load(v, val);
	c->cr3 = val;
	tlb_flush_local(v);
}

static void cr4_write(struct interp *v, uint64_t val)
{
	struct cpu *c = &v->cpu;
	uint64_t changed = c->cr4 ^ val;

	if (val & ~cr4_allowed(v))
		raise_gp0(v);
	if ((c->efer & EFER_LMA) && !(val & CR4_PAE))
		raise_gp0(v);
	if ((changed & CR4_PDPTE) && pae_roots(c->cr0, val, c->efer))
		pdpte_load(v, c->cr3);
	c->cr4 = val;
	if (changed & CR4_FLUSH)
		tlb_flush(v);
}

void cr_write(struct interp *v, unsigned n, uint64_t val)
{
	switch (n) {
	case 0:
		cr0_write(v, val);
		break;
	case 2:
		v->cpu.cr2 = val;
		break;
	case 3:
		cr3_load(v, val);
		break;
	case 4:
		cr4_write(v, val);
		break;
	case 8:
		if (val & ~15ull)
			raise_gp0(v);
		v->cpu.cr8 = val;
		irq_tpr_written(v->m);
		break;
	default:
		raise_ud(v);
	}
}

/* --- EFLAGS --------------------------------------------------------------------- */

void flags_write(struct interp *v, uint32_t fl, unsigned osize)
{
	struct cpu *c = &v->cpu;
	unsigned iopl = (c->eflags & FL_IOPL) >> 12;
	uint32_t mask = FL_ARITH | FL_TF | FL_DF | FL_NT | FL_RF;

	fl &= ~FL_RF;
	if (osize > 2)
		mask |= FL_AC | FL_ID;
	if ((c->eflags & FL_VM) && iopl < 3) {
		if (!(c->cr4 & CR4_VME) || osize != 2 || (fl & FL_TF) ||
		    ((fl & FL_IF) && (c->eflags & FL_VIP)))
			raise_gp0(v);
		fl = fl & FL_IF ? fl | FL_VIF : fl & ~FL_VIF;
		mask |= FL_VIF;
	} else if (c->cpl == 0) {
		mask |= FL_IF | FL_IOPL;
	} else if (c->cpl <= iopl) {
		mask |= FL_IF;
	}
	flags_merge(c, fl, mask);
}

/* --- I/O permission ---------------------------------------------------------------- */

void io_check(struct interp *v, uint16_t port, unsigned size)
{
	const struct cpu *c = &v->cpu;
	const struct segment *tr = &c->seg[SEG_TR];
	gva_t wrap = cpu_long_mode(c) ? ~0ull : 0xffffffffu;

	if (!(c->cr0 & CR0_PE) ||
	    (!(c->eflags & FL_VM) && c->cpl <= (c->eflags & FL_IOPL) >> 12))
		return;
	if (!(tr->attr & SEG_P) || !(tr->attr & SYS_IS32) || tr->limit < 103)
		raise_gp0(v);
	uint32_t map = (uint32_t)lin_read(v, (tr->base + 102) & wrap, 2, ACC_READ);
	uint32_t at = map + port / 8;

	/* Two bytes are always read: a port's bits may straddle, and so the map must end
	 * with a byte of ones. */
	if (at + 1 > tr->limit)
		raise_gp0(v);
	uint32_t bits = (uint32_t)lin_read(v, (tr->base + at) & wrap, 2, ACC_READ) >> (port & 7);

	if (bits & ((1u << size) - 1))
		raise_gp0(v);
}

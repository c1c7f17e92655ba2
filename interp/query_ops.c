/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers that ask or set what the processor is: CPUID, MSRs, time stamp,
 * performance counters, XCR0, FS and GS bases, and the instructions that look at
 * a descriptor without loading it. SDM 2.
 */
#include "interp/system_ops.h"

HANDLER(h_cpuid)
{
	struct cpuid_regs r;

	SYNC(v, op);
	/* CPUID faulting, SDM 3B MISC_FEATURES_ENABLES; virtual-8086 mode is CPL 3. */
	if ((v->cpu.msr_misc_features & 1) && v->cpu.cpl > 0)
		raise_gp0(v);
	model_cpuid(v, (uint32_t)v->cpu.gpr[RAX], (uint32_t)v->cpu.gpr[RCX], &r);
	v->cpu.gpr[RAX] = r.eax;
	v->cpu.gpr[RBX] = r.ebx;
	v->cpu.gpr[RCX] = r.ecx;
	v->cpu.gpr[RDX] = r.edx;
	NEXT(v, op);
}

static void set_edx_eax(struct interp *v, uint64_t val)
{
	v->cpu.gpr[RAX] = (uint32_t)val;
	v->cpu.gpr[RDX] = val >> 32;
}

static uint64_t get_edx_eax(const struct interp *v)
{
	return v->cpu.gpr[RDX] << 32 | (uint32_t)v->cpu.gpr[RAX];
}

HANDLER(h_rdmsr)
{
	SYNC(v, op);
	need_cpl0(v);
	set_edx_eax(v, msr_read(v, (uint32_t)v->cpu.gpr[RCX]));
	NEXT(v, op);
}

HANDLER(h_wrmsr)
{
	SYNC(v, op);
	need_cpl0(v);
	uint64_t efer = v->cpu.efer;

	msr_write(v, (uint32_t)v->cpu.gpr[RCX], get_edx_eax(v));
	if (v->cpu.efer != efer)
		return resume_next(v, op);
	NEXT(v, op);
}

HANDLER(h_rdtsc)
{
	SYNC(v, op);
	if ((v->cpu.cr4 & CR4_TSD) && v->cpu.cpl != 0)
		raise_gp0(v);
	set_edx_eax(v, tsc_read(v));
	NEXT(v, op);
}

HANDLER(h_rdtscp)
{
	SYNC(v, op);
	if ((v->cpu.cr4 & CR4_TSD) && v->cpu.cpl != 0)
		raise_gp0(v);
	set_edx_eax(v, tsc_read(v));
	v->cpu.gpr[RCX] = (uint32_t)v->cpu.msr_tsc_aux;
	NEXT(v, op);
}

HANDLER(h_rdpid)
{
	SYNC(v, op);
	reg_set(v, op->a, cpu_code64(&v->cpu) ? 8 : 4, v->cpu.msr_tsc_aux);
	NEXT(v, op);
}

/* Two counters that never count. */
HANDLER(h_rdpmc)
{
	SYNC(v, op);
	if (v->cpu.cpl != 0 && !(v->cpu.cr4 & CR4_PCE))
		raise_gp0(v);
	if ((uint32_t)v->cpu.gpr[RCX] > 1)
		raise_gp0(v);
	set_edx_eax(v, 0);
	NEXT(v, op);
}

/* --- XCR0 --------------------------------------------------------------------- */

HANDLER(h_xgetbv)
{
	SYNC(v, op);
	if (!(v->cpu.cr4 & CR4_OSXSAVE))
		raise_ud(v);
	if ((uint32_t)v->cpu.gpr[RCX] != 0)
		raise_gp0(v);
	set_edx_eax(v, v->cpu.xcr0);
	NEXT(v, op);
}

HANDLER(h_xsetbv)
{
	SYNC(v, op);
	if (!(v->cpu.cr4 & CR4_OSXSAVE))
		raise_ud(v);
	need_cpl0(v);
	uint64_t val = get_edx_eax(v);

	if ((uint32_t)v->cpu.gpr[RCX] != 0 || !(val & XCR0_X87) ||
	    (val & ~(uint64_t)(XCR0_X87 | XCR0_SSE)))
		raise_gp0(v);
	v->cpu.xcr0 = val;
	return resume_next(v, op);
}

/* --- FS and GS bases -------------------------------------------------------------- */

HANDLER(h_swapgs)
{
	uint64_t base = v->cpu.seg[SEG_GS].base;

	SYNC(v, op);
	if (!cpu_code64(&v->cpu))
		raise_ud(v);
	need_cpl0(v);
	v->cpu.seg[SEG_GS].base = v->cpu.msr_kernel_gs_base;
	v->cpu.msr_kernel_gs_base = base;
	NEXT(v, op);
}

static void need_fsgsbase(struct interp *v)
{
	if (!cpu_code64(&v->cpu) || !(v->cpu.cr4 & CR4_FSGSBASE))
		raise_ud(v);
}

static const struct op *base_read(struct interp *v, const struct op *op, enum segreg s)
{
	SYNC(v, op);
	need_fsgsbase(v);
	reg_set(v, op->a, op->osize, v->cpu.seg[s].base);
	NEXT(v, op);
}

static const struct op *base_write(struct interp *v, const struct op *op, enum segreg s)
{
	uint64_t base = reg_get(v, op->a, op->osize);

	SYNC(v, op);
	need_fsgsbase(v);
	if (!canonical(base))
		raise_gp0(v);
	v->cpu.seg[s].base = base;
	NEXT(v, op);
}

HANDLER(h_rdfsbase) { return base_read(v, op, SEG_FS); }
HANDLER(h_rdgsbase) { return base_read(v, op, SEG_GS); }
HANDLER(h_wrfsbase) { return base_write(v, op, SEG_FS); }
HANDLER(h_wrgsbase) { return base_write(v, op, SEG_GS); }

/* --- Looking at descriptors ---------------------------------------------------------- */

static void set_zf(struct interp *v, bool on)
{
	v->cpu.arith = (uint16_t)(on ? v->cpu.arith | AR_ZF : v->cpu.arith & ~AR_ZF);
}

/* System descriptors that LAR and LSL know, by type; LM: in long mode. */
#define TYPES(...)	(0u __VA_ARGS__)
#define T(n)		| 1u << (n)
#define LAR_TYPES	TYPES(T(1) T(2) T(3) T(4) T(5) T(9) T(11) T(12))
#define LAR_TYPES_LM	TYPES(T(2) T(9) T(11) T(12))
#define LSL_TYPES	TYPES(T(1) T(2) T(3) T(9) T(11))
#define LSL_TYPES_LM	TYPES(T(2) T(9) T(11))

/* Is the descriptor there, of a known type, and visible at CPL and RPL? */
static bool look(struct interp *v, uint16_t sel, uint32_t types, struct desc *d)
{
	unsigned dpl;

	if (sel_null(sel) || !desc_find(v, sel, d))
		return false;
	if (!desc_is_segment(d) && !(types >> desc_type(d) & 1))
		return false;
	if (desc_is_code(d) && desc_conforming(d))
		return true;
	dpl = desc_dpl(d);
	return v->cpu.cpl <= dpl && (sel & 3u) <= dpl;
}

HANDLER(h_lar)
{
	struct desc d;

	SYNC(v, op);
	need_protected(v);
	uint16_t sel = operand16(v, op, op->b);
	bool ok = look(v, sel, cpu_long_mode(&v->cpu) ? LAR_TYPES_LM : LAR_TYPES, &d);

	if (ok)
		reg_set(v, op->a, op->osize, d.hi & (op->osize == 2 ? 0xff00u : 0x00ffff00u));
	set_zf(v, ok);
	NEXT(v, op);
}

HANDLER(h_lsl)
{
	struct desc d;
	struct segment s;

	SYNC(v, op);
	need_protected(v);
	uint16_t sel = operand16(v, op, op->b);
	bool ok = look(v, sel, cpu_long_mode(&v->cpu) ? LSL_TYPES_LM : LSL_TYPES, &d);

	if (ok) {
		seg_set(&s, sel, &d);
		reg_set(v, op->a, op->osize, s.limit);
	}
	set_zf(v, ok);
	NEXT(v, op);
}

HANDLER(h_verr)
{
	struct desc d;

	SYNC(v, op);
	need_protected(v);
	set_zf(v, look(v, operand16(v, op, op->a), 0, &d) && desc_is_readable(&d));
	NEXT(v, op);
}

HANDLER(h_verw)
{
	struct desc d;

	SYNC(v, op);
	need_protected(v);
	set_zf(v, look(v, operand16(v, op, op->a), 0, &d) && desc_is_writable_data(&d));
	NEXT(v, op);
}

/* Stores only what it changes (SDM 2): a selector that is right may be read-only. */
HANDLER(h_arpl)
{
	bool mem = op->flags & OPF_MEM;
	uint64_t off = 0;
	uint16_t dst, rpl;

	SYNC(v, op);
	need_protected(v);
	if (mem) {
		off = ea_offset(v, op);
		dst = (uint16_t)mem_read(v, op->seg, off, 2);
		rpl = REG16(v, op->a) & 3;
	} else {
		dst = REG16(v, op->a);
		rpl = REG16(v, op->b) & 3;
	}
	bool raised = (dst & 3) < rpl;

	if (raised) {
		dst = (uint16_t)((dst & ~3u) | rpl);
		if (mem)
			mem_write(v, op->seg, off, 2, dst);
		else
			REG16(v, op->a) = dst;
	}
	set_zf(v, raised);
	NEXT_CHECKED(v, op);
}

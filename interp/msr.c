/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model-specific registers: a table (msrs.def) and a walker. An index that the
 * CPU model does not have raises #GP, as the manual says, and is named once under
 * --verbose. SDM 4; SDM 2 RDMSR, WRMSR.
 */
#include <stdio.h>
#include <x86intrin.h>

#include "interp/cpu_model.h"
#include "interp/descriptor.h"

/* Eight variable ranges, fixed ranges, write combining. */
#define MTRR_CAP	0x508

enum msr_kind { MSR_FIELD, MSR_ADDR, MSR_CONST, MSR_FUNC };

struct msr {
	uint32_t index;
	uint16_t count;
	uint8_t feature;
	uint8_t kind;
	uint64_t arg;		/* offset in struct cpu, or the constant */
	uint64_t (*read)(struct interp *v);
	void (*write)(struct interp *v, uint64_t val);
};

/* Time stamp: the host's, moved, or guest time when that is counted in instructions. */
uint64_t tsc_read(const struct interp *v)
{
	const struct clock *k = &v->m->clock;
	uint64_t now;

	if (k->by_instructions)	/* a trace is paid for when it is left */
		now = (uint64_t)(v->retired + v->slice - v->budget - v->held - v->kept + k->skipped +
				 (v->op ? v->op->done : 0));
	else
		now = __rdtsc();
	return now + v->cpu.tsc_offset;
}

static uint64_t msr_tsc_read(struct interp *v)
{
	return tsc_read(v);
}

static void msr_tsc_write(struct interp *v, uint64_t val)
{
	v->cpu.tsc_offset += val - tsc_read(v);
}

/* The revision is in the upper half; software writes 0 before CPUID loads it. */
static uint64_t msr_microcode_read(struct interp *v)
{
	(void)v;
	return 1ull << 32;
}

static void msr_microcode_write(struct interp *v, uint64_t val)
{
	(void)v;
	(void)val;
}

/* CPUID faulting alone. */
static uint64_t msr_misc_features_read(struct interp *v)
{
	return v->cpu.msr_misc_features;
}

static void msr_misc_features_write(struct interp *v, uint64_t val)
{
	if (val & ~1ull)
		raise_gp0(v);
	v->cpu.msr_misc_features = val;
}

static uint64_t msr_apic_base_read(struct interp *v)
{
	return v->cpu.msr_apic_base;
}

/* SDM 3A 10.4.4: where it is and whether it is on; that this is the first processor stays. A
 * machine without one cannot turn it on. */
static void msr_apic_base_write(struct interp *v, uint64_t val)
{
	struct cpu *c = &v->cpu;

	if (val & ~(APIC_BASE_BSP | APIC_BASE_ENABLE | (((1ull << PHYS_BITS) - 1) & PAGE_MASK)))
		raise_gp0(v);
	if (!v->m->apic.self)
		val &= ~(uint64_t)APIC_BASE_ENABLE;
	c->msr_apic_base = val | APIC_BASE_BSP;
	irq_apic_base_written(v->m);
}

static uint64_t msr_pat_read(struct interp *v)
{
	return v->cpu.msr_pat;
}

static void msr_pat_write(struct interp *v, uint64_t val)
{
	for (unsigned i = 0; i < 64; i += 8) {
		unsigned type = val >> i & 0xff;

		if (type > 7 || type == 2 || type == 3)
			raise_gp0(v);
	}
	v->cpu.msr_pat = val;
}

static uint64_t msr_efer_read(struct interp *v)
{
	return v->cpu.efer;
}

static void msr_efer_write(struct interp *v, uint64_t val)
{
	struct cpu *c = &v->cpu;
	uint64_t allowed = (model_has(v, F_SYSCALL) ? EFER_SCE : 0u) |
			   (model_has(v, F_NX) ? EFER_NXE : 0u) |
			   (model_has(v, F_LM) ? EFER_LME | EFER_LMA : 0u);

	if (val & ~allowed)
		raise_gp0(v);
	val = (val & ~(uint64_t)EFER_LMA) | (c->efer & EFER_LMA);
	if (((val ^ c->efer) & EFER_LME) && (c->cr0 & CR0_PG))
		raise_gp0(v);
	if ((val ^ c->efer) & EFER_NXE) {
		c->efer = val;
		tlb_flush(v);
	}
	c->efer = val;
}

#define MSR_ROW_FIELD(field)	MSR_FIELD, offsetof(struct cpu, field), NULL, NULL
#define MSR_ROW_ADDR(field)	MSR_ADDR, offsetof(struct cpu, field), NULL, NULL
#define MSR_ROW_CONST(value)	MSR_CONST, value, NULL, NULL
#define MSR_ROW_FUNC(name)	MSR_FUNC, 0, msr_##name##_read, msr_##name##_write
static const struct msr msrs[] = {
#define MSR(index, count, feature, kind, arg) { index, count, feature, MSR_ROW_##kind(arg) },
#include "interp/msrs.def"
#undef MSR
};

static void msr_unknown(struct interp *v, uint32_t index, const char *what)
{
	static uint32_t seen[16];
	static unsigned nseen;

	if (!v->m->config || !v->m->config->verbose)
		raise_gp0(v);
	for (unsigned i = 0; i < nseen; i++)
		if (seen[i] == index)
			raise_gp0(v);
	if (nseen < ARRAY_LEN(seen)) {
		seen[nseen++] = index;
		fprintf(stderr, "hemi: %s of MSR %#x, which the CPU model does not have: #GP\n",
			what, index);
	}
	raise_gp0(v);
}

static const struct msr *msr_find(struct interp *v, uint32_t index, const char *what)
{
	for (size_t i = 0; i < ARRAY_LEN(msrs); i++)
		if (index - msrs[i].index < msrs[i].count && model_has(v, msrs[i].feature))
			return &msrs[i];
	msr_unknown(v, index, what);
	return NULL;
}

static uint64_t *msr_field(struct interp *v, const struct msr *m, uint32_t index)
{
	return (uint64_t *)((char *)&v->cpu + m->arg) + (index - m->index);
}

uint64_t msr_read(struct interp *v, uint32_t index)
{
	const struct msr *m = msr_find(v, index, "read");

	switch (m->kind) {
	case MSR_CONST:
		return m->arg;
	case MSR_FUNC:
		return m->read(v);
	default:
		return *msr_field(v, m, index);
	}
}

void msr_write(struct interp *v, uint32_t index, uint64_t val)
{
	const struct msr *m = msr_find(v, index, "write");

	switch (m->kind) {
	case MSR_CONST:
		break;
	case MSR_FUNC:
		m->write(v, val);
		break;
	case MSR_ADDR:
		if (!canonical(val))
			raise_gp0(v);
		/* fall through */
	default:
		*msr_field(v, m, index) = val;
	}
}

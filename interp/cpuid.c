/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What CPUID says: the model's identity and feature table, packed into leaves,
 * and the few bits that mirror control registers (SDM 2A CPUID). It must never
 * ask the host: the guest sees the same processor on every host and engine.
 */
#include <string.h>

#include "interp/cpu_model.h"
#include "interp/system.h"

enum reg { EAX, EBX, ECX, EDX };

static const struct { uint32_t leaf; uint8_t reg, bit; } feature_bit[F_COUNT] = {
#define FEATURE(symbol, kind, name, leaf, reg, bit, ...)	[F_##symbol] = { leaf, reg, bit },
#include "interp/features.def"
#undef FEATURE
};

bool model_has(const struct interp *v, unsigned feature)
{
	return cpu_model_has(v->model, feature);
}

static uint32_t features_of(const struct cpu_model *m, uint32_t leaf, enum reg reg)
{
	uint32_t bits = 0;

	for (unsigned f = 0; f < F_COUNT; f++)
		if (feature_bit[f].leaf == leaf && feature_bit[f].reg == reg && cpu_model_has(m, f))
			bits |= 1u << feature_bit[f].bit;
	return bits;
}

static uint32_t signature(const struct cpu_model *m)
{
	uint32_t family = m->family > 15 ? 15 : m->family;
	uint32_t xfamily = m->family > 15 ? m->family - 15u : 0;

	return xfamily << 20 | (m->model >> 4) << 16 | family << 8 | (m->model & 15u) << 4 |
	       m->stepping;
}

static uint32_t word(const char *s, size_t at)
{
	uint32_t w;

	memcpy(&w, s + at, 4);
	return w;
}

static uint32_t leaf_max(const struct cpu_model *m)
{
	if (cpu_model_has(m, F_XSAVE))
		return 0xd;
	if (features_of(m, 7, EBX) || features_of(m, 7, ECX))
		return 7;
	return m->family >= 6 ? 2 : 1;
}

static uint32_t xleaf_max(const struct cpu_model *m)
{
	if (!m->brand)
		return 0;
	return cpu_model_has(m, F_LM) || features_of(m, 0x80000007, EDX) ? 0x80000008 : 0x80000004;
}

static void leaf_features(const struct interp *v, struct cpuid_regs *out)
{
	const struct cpu_model *m = v->model;

	out->eax = signature(m);
	out->ebx = cpu_model_has(m, F_CLFLUSH) ? 64 / 8 << 8 : 0;
	out->ecx = features_of(m, 1, ECX);
	if (cpu_model_has(m, F_XSAVE) && (v->cpu.cr4 & CR4_OSXSAVE))
		out->ecx |= 1u << 27;
	out->edx = features_of(m, 1, EDX);
	/* SDM 3A 10.4.3: an APIC that is turned off is not there. */
	if (!(v->cpu.msr_apic_base & APIC_BASE_ENABLE))
		out->edx &= ~(1u << 9);
}

static void leaf_brand(const struct cpu_model *m, unsigned part, struct cpuid_regs *out)
{
	char brand[48] = "";

	strncpy(brand, m->brand, sizeof(brand) - 1);
	out->eax = word(brand, part * 16);
	out->ebx = word(brand, part * 16 + 4);
	out->ecx = word(brand, part * 16 + 8);
	out->edx = word(brand, part * 16 + 12);
}

static void cpuid_answer(const struct interp *v, bool code64, uint32_t leaf, uint32_t sub, struct cpuid_regs *out)
{
	const struct cpu_model *m = v->model;
	uint32_t top = leaf & 0x80000000 ? xleaf_max(m) : leaf_max(m);

	*out = (struct cpuid_regs){ 0 };
	/* Beyond the end, Intel's processors answer with the last basic leaf. */
	if (leaf > top)
		leaf = leaf_max(m);
	switch (leaf) {
	case 0:
		out->eax = leaf_max(m);
		out->ebx = word(m->vendor, 0);
		out->edx = word(m->vendor, 4);
		out->ecx = word(m->vendor, 8);
		break;
	case 1:
		leaf_features(v, out);
		break;
	case 2:		/* 32 KiB L1 data and instruction, 2 MiB L2 */
		out->eax = 0x00000001;
		out->edx = 0x002c307d;
		break;
	case 7:
		if (sub == 0) {
			out->ebx = features_of(m, 7, EBX);
			out->ecx = features_of(m, 7, ECX);
		}
		break;
	case 0xd:	/* x87 and SSE state, in an area of the legacy region and a header */
		if (sub == 0) {
			out->eax = XCR0_X87 | XCR0_SSE;
			out->ebx = out->ecx = XSAVE_SIZE;
		} else if (sub == 1) {
			out->eax = features_of(m, 0xd, EAX);
		}
		break;
	case 0x80000000:
		out->eax = xleaf_max(m);
		break;
	case 0x80000001:
		out->ecx = features_of(m, leaf, ECX);
		out->edx = features_of(m, leaf, EDX);
		/* Intel's report SYSCALL only while 64-bit code asks. */
		if (!code64)
			out->edx &= ~(1u << 11);
		break;
	case 0x80000002: case 0x80000003: case 0x80000004:
		leaf_brand(m, leaf - 0x80000002, out);
		break;
	case 0x80000006:
		out->ecx = 2048u << 16 | 6u << 12 | 64;
		break;
	case 0x80000007:
		out->edx = features_of(m, leaf, EDX);
		break;
	case 0x80000008:
		out->eax = (cpu_model_has(m, F_LM) ? 48u : 32u) << 8 | PHYS_BITS;
		break;
	}
}

void model_cpuid(struct interp *v, uint32_t leaf, uint32_t sub, struct cpuid_regs *out)
{
	cpuid_answer(v, cpu_code64(&v->cpu), leaf, sub, out);
}

void interp_cpuid(void *self, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
	struct cpuid_regs r;

	cpuid_answer(self, true, leaf, sub, &r);
	out[0] = r.eax;
	out[1] = r.ebx;
	out[2] = r.ecx;
	out[3] = r.edx;
}

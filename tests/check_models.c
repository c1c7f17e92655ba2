/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU models: what --cpu makes of a specification; and every instruction form that
 * Zydis knows against every model and mode: a form of an instruction set that the
 * model offers has a handler, one of a set that it does not offer is invalid.
 */
#include <stdio.h>
#include <string.h>
#include <Zydis/Zydis.h>

#include "interp/cpu_model.h"
#include "interp/decode.h"
#include "interp/lower.h"
#include "interp/system.h"
#include "interp/tables.h"
#include "tests/suite.h"

/* --- Specifications ------------------------------------------------------------ */

static char why[256];

static bool parse(const char *spec, struct cpu_model *m)
{
	*why = '\0';
	return cpu_model_parse(m, spec, why, sizeof(why));
}

START_TEST(accepted)
{
	static const struct { const char *spec; unsigned with, without; } rows[] = {
		{ NULL, F_LM, F_SSSE3 },
		{ "hemi32", F_NX, F_LM },
		{ "NEHALEM,SSE4_1", F_POPCNT, F_AES },
		{ "486", F_FPU, F_TSC },
		{ "486", F_FPU, F_CX8 },
		{ "pentium", F_TSC, F_CMOV },
		{ "pentium2", F_FXSR, F_SSE },
		{ "pentium3", F_SSE, F_SSE2 },
		{ "core2duo", F_SSSE3, F_SSE41 },
		{ "Nehalem", F_POPCNT, F_AES },
		{ "Westmere", F_AES, F_XSAVE },
		{ "kvm64", F_LM, F_LAHF },
		{ "max", F_XSAVEOPT, F_AVX },
		{ "max", F_FSGSBASE, F_MONITOR },
		{ "pentium3,+ssse3", F_SSE3, F_SSE41 },		/* with what it needs */
		{ "x86-64-v2,-sse3", F_SSE2, F_SSE42 },		/* with what needs it */
		{ "hemi32,lm=on", F_SYSCALL, F_SSE3 },
		{ "hemi64,lm=off", F_PAE, F_FSGSBASE },
		{ "hemi64,+aes,-aes", F_LM, F_AES },		/* the last word counts */
		{ "hemi64,-aes,+aes", F_AES, F_XSAVE },
		{ "core2,+sse4_1,+monitor", F_MONITOR, F_SSE42 },
	};
	struct cpu_model m;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_msg(parse(rows[i].spec, &m), "%s: %s", rows[i].spec, why);
		ck_assert_msg(cpu_model_has(&m, rows[i].with), "%s lacks something", rows[i].spec);
		ck_assert_msg(!cpu_model_has(&m, rows[i].without), "%s has too much", rows[i].spec);
	}
}
END_TEST

START_TEST(refused)
{
	static const struct { const char *spec, *says; } rows[] = {
		{ "z80", "unknown model 'z80'; --cpu=help" },
		{ "nehalim", "did you mean Nehalem?" },
		{ "", "unknown model ''" },
		{ "pentium,", "say +FEATURE" },
		{ "pentium,+", "unknown feature ''" },
		{ "pentium,sse=yes", "say +FEATURE" },
		{ "pentium,+sse=on", "unknown feature '+sse'" },
		{ "core2,+ssee3", "did you mean sse3?" },
		{ "core2,+avx", "does not implement avx" },
		{ "core2,+avx512f", "does not implement avx512f" },
		{ "core2,+svm", "does not implement svm" },
		{ "core2,-sse2,+ssse3", "sse3 needs sse2, which is taken away" },
		{ "core2,-pae,+lm", "lm needs pae, which is taken away" },
	};
	struct cpu_model m;
	char longest[1000];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_msg(!parse(rows[i].spec, &m), "%s", rows[i].spec);
		ck_assert_msg(strstr(why, rows[i].says), "%s: %s", rows[i].spec, why);
	}
	ck_assert(parse("core2,-avx", &m));	/* it never had it */
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	ck_assert(!parse(longest, &m));
	memcpy(longest, "core2,+", 7);
	longest[300] = '\0';
	ck_assert(!parse(longest, &m));
}
END_TEST

/* Every feature that can be asked for can be given and taken; what is left is consistent. */
START_TEST(each_feature)
{
	const char *name, *what, *model;
	struct cpu_model m;
	char spec[100];

	for (unsigned k = 0; (model = cpu_model_name(k, NULL)); k++)
		for (unsigned i = 0; (name = cpu_feature_name(i, &what)); i++) {
			snprintf(spec, sizeof(spec), "%s,+%s", model, name);
			ck_assert_msg(parse(spec, &m), "%s: %s", spec, why);
			snprintf(spec, sizeof(spec), "%s,-%s", model, name);
			ck_assert_msg(parse(spec, &m), "%s: %s", spec, why);
			snprintf(spec, sizeof(spec), "%s,-%s,%s=off", model, name, name);
			ck_assert_msg(parse(spec, &m), "%s: %s", spec, why);
		}
}
END_TEST

/* What a feature builds on comes and goes with it. */
START_TEST(cpu_features)
{
	struct cpu_model m;

	ck_assert(parse("pentium3,+SSE4_1", &m));
	ck_assert(cpu_model_has(&m, F_SSE41) && cpu_model_has(&m, F_SSSE3) && cpu_model_has(&m, F_SSE2));
	ck_assert(!cpu_model_has(&m, F_SSE42));
	ck_assert(parse("core2,-sse2,nx=off", &m));
	ck_assert(!cpu_model_has(&m, F_SSSE3) && !cpu_model_has(&m, F_LM) && !cpu_model_has(&m, F_NX));
	ck_assert(cpu_model_has(&m, F_SSE) && cpu_model_has(&m, F_SYSCALL));
	ck_assert(!cpu_model_has(cpu_model_find("pentium3"), F_SSE41));
	ck_assert(!parse("core2,+avx", &m));
	ck_assert_ptr_nonnull(strstr(why, "does not implement avx"));
	ck_assert(!parse("core2,nx=maybe", &m));
	ck_assert(!parse("core2,", &m));
	ck_assert(!parse("", &m));
}
END_TEST

/* What CPUID says of one (SDM 2, CPUID). */
START_TEST(cpu_models)
{
	static struct interp vm;
	struct cpuid_regs r;

	vm.model = cpu_model_find("hemi32");
	model_cpuid(&vm, 0, 0, &r);
	ck_assert_uint_eq(r.ebx, 0x756e6547);
	ck_assert_uint_eq(r.edx, 0x49656e69);
	ck_assert_uint_eq(r.ecx, 0x6c65746e);
	model_cpuid(&vm, 1, 0, &r);
	ck_assert_uint_eq(r.eax >> 8 & 15, 6);
	ck_assert_uint_eq(r.edx & (1u << 9), 0);
	ck_assert_uint_eq(r.edx >> 26 & 1, model_has(&vm, F_SSE2));
	model_cpuid(&vm, 0x80000001, 0, &r);
	ck_assert_uint_eq(r.edx, 1u << 20);
	ck_assert_ptr_null(cpu_model_find("8086"));
	for (unsigned i = 0; cpu_model_name(i, NULL); i++)
		ck_assert_ptr_nonnull(cpu_model_find(cpu_model_name(i, NULL)));
}
END_TEST

/* --- Every form ------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint32_t hflags;
	ZydisMachineMode mode;
	ZydisStackWidth width;
} modes[] = {
	{ "real", 0, ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16 },
	{ "16", HF_PE, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
	{ "32", HF_PE | HF_CS32, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
	{ "64", HF_PE | HF_CS64, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
};

/* Sets that every model has. */
static const uint8_t base_set[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
	[ZYDIS_ISA_SET_I86] = 1, [ZYDIS_ISA_SET_I186] = 1, [ZYDIS_ISA_SET_I286PROTECTED] = 1,
	[ZYDIS_ISA_SET_I286REAL] = 1, [ZYDIS_ISA_SET_I386] = 1, [ZYDIS_ISA_SET_I486] = 1,
	[ZYDIS_ISA_SET_I486REAL] = 1, [ZYDIS_ISA_SET_PENTIUMREAL] = 1, [ZYDIS_ISA_SET_PPRO] = 1,
	[ZYDIS_ISA_SET_FAT_NOP] = 1, [ZYDIS_ISA_SET_PAUSE] = 1, [ZYDIS_ISA_SET_LAHF] = 1,
	[ZYDIS_ISA_SET_PREFETCH_NOP] = 1,
};

HANDLER(h_ud);

/* Handlers that raise #UD in all circumstances are for these. */
static bool always_ud(ZydisMnemonic m)
{
	return m == ZYDIS_MNEMONIC_UD0 || m == ZYDIS_MNEMONIC_UD1 || m == ZYDIS_MNEMONIC_UD2 ||
	       m == ZYDIS_MNEMONIC_RSM;
}

static const uint16_t set_feature[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
#define ISA(set, feature)	[ZYDIS_ISA_SET_##set] = feature,
#define ONE(m, feature)
#define ONE64(m, feature)
#include "interp/isa_sets.def"
#undef ISA
#undef ONE
#undef ONE64
};

/* Instructions whose CPUID bit is not that of their set, SDM 2; written apart from isa_sets.def. */
static unsigned needed(const ZydisDecodedInstruction *z, bool code64)
{
	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_CMPXCHG8B: return F_CX8;
	case ZYDIS_MNEMONIC_RDTSC: return F_TSC;
	case ZYDIS_MNEMONIC_RDMSR: case ZYDIS_MNEMONIC_WRMSR: return F_MSR;
	case ZYDIS_MNEMONIC_SYSENTER: case ZYDIS_MNEMONIC_SYSEXIT: return F_SEP;
	case ZYDIS_MNEMONIC_SYSCALL: case ZYDIS_MNEMONIC_SYSRET: return F_SYSCALL;
	case ZYDIS_MNEMONIC_FCOMI: case ZYDIS_MNEMONIC_FCOMIP:
	case ZYDIS_MNEMONIC_FUCOMI: case ZYDIS_MNEMONIC_FUCOMIP: return F_CMOV;
	case ZYDIS_MNEMONIC_LAHF: case ZYDIS_MNEMONIC_SAHF: return code64 ? F_LAHF : F_NONE;
	default: break;
	}
	if (set_feature[z->meta.isa_set])
		return set_feature[z->meta.isa_set];
	return base_set[z->meta.isa_set] ? F_NONE : F_NEVER;
}

static struct cpu_model all[64];
static unsigned nmodels, forms, wrong;

static void one_form(struct decoder *d, unsigned mode, const ZydisDecodedInstruction *z,
		     const uint8_t *bytes)
{
	struct insn in;
	unsigned need = needed(z, modes[mode].hflags & HF_CS64);
	enum decode_result r = decode(d, modes[mode].hflags, bytes, z->length, &in);

	if (always_ud(z->mnemonic) || r != DECODE_OK)
		return;
	forms++;
	for (unsigned i = 0; i < nmodels; i++) {
		struct op op;
		struct lowered out;
		bool have;

		lower(&all[i], modes[mode].hflags, &in, 0x100, false, &op, &out);
		have = op.fn != h_invalid && op.fn != h_ud;
		if (have == cpu_model_has(&all[i], need))
			continue;
		if (wrong++ < 60)
			fprintf(stderr, "%s, %s bits: %s (%s): %s\t%02x %02x %02x %02x %02x\n",
				all[i].name, modes[mode].name, ZydisMnemonicGetString(z->mnemonic),
				ZydisISASetGetString(z->meta.isa_set),
				have ? "has a handler" : "has none",
				bytes[0], bytes[1], bytes[2], bytes[3], bytes[4]);
		break;
	}
}

/* Prefix, REX, map, opcode, ModRM: a memory form and the register forms that matter. A
 * form is what Zydis' tables tell apart: mnemonic, set, mod, and prefixes. */
static void each_opcode(struct decoder *d, unsigned mode, const ZydisDecoder *zd)
{
	static const uint8_t prefixes[] = { 0, 0x66, 0xf2, 0xf3 };
	static const uint8_t maps[][2] = { { 0, 0 }, { 0x0f, 0 }, { 0x0f, 0x38 }, { 0x0f, 0x3a } };
	bool code64 = modes[mode].hflags & HF_CS64;

	for (size_t p = 0; p < ARRAY_LEN(prefixes); p++)
		for (unsigned rex = 0; rex < (code64 ? 2u : 1u); rex++)
			for (size_t m = 0; m < ARRAY_LEN(maps); m++)
				for (unsigned k = 0; k < 0x10000; k++) {
					uint8_t b[16] = { 0 };
					unsigned n = 0;
					ZydisDecodedInstruction z;

					if (prefixes[p])
						b[n++] = prefixes[p];
					if (rex)
						b[n++] = 0x48;
					for (unsigned i = 0; i < 2; i++)
						if (maps[m][i])
							b[n++] = maps[m][i];
					b[n++] = (uint8_t)(k >> 8);
					b[n++] = (uint8_t)k;
					if (ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(zd, NULL, b,
										       sizeof(b), &z)))
						one_form(d, mode, &z, b);
				}
}

START_TEST(each_form)
{
	struct decoder *d = decoder_create();
	ZydisDecoder zd;
	static const char *const extra[] = { "max,+monitor", "486,-fpu", "hemi64,-lm", "core2,-cx8",
					     "hemi64,-syscall", "max,-xsaveopt", "max,-sse" };
	unsigned mode = (unsigned)_i;

	for (nmodels = 0; cpu_model_name(nmodels, NULL); nmodels++)
		ck_assert(parse(cpu_model_name(nmodels, NULL), &all[nmodels]));
	for (size_t i = 0; i < ARRAY_LEN(extra); i++)
		ck_assert_msg(parse(extra[i], &all[nmodels++]), "%s", why);
	/* As decode.c has it, but written apart: these turn older encodings into newer ones. */
	ZydisDecoderInit(&zd, modes[mode].mode, modes[mode].width);
	ZydisDecoderEnableMode(&zd, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
	ZydisDecoderEnableMode(&zd, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
	ZydisDecoderEnableMode(&zd, ZYDIS_DECODER_MODE_LZCNT, ZYAN_FALSE);
	ZydisDecoderEnableMode(&zd, ZYDIS_DECODER_MODE_TZCNT, ZYAN_FALSE);
	ZydisDecoderEnableMode(&zd, ZYDIS_DECODER_MODE_WBNOINVD, ZYAN_FALSE);
	ZydisDecoderEnableMode(&zd, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
	each_opcode(d, mode, &zd);
	ck_assert_uint_gt(forms, 10000);
	ck_assert_msg(!wrong, "%u of %u forms are wrong", wrong, forms);
	decoder_destroy(d);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("models");
	TCase *t = tcase_create("specifications"), *f = tcase_create("forms");

	tcase_add_test(t, accepted);
	tcase_add_test(t, refused);
	tcase_add_test(t, each_feature);
	tcase_add_test(t, cpu_features);
	tcase_add_test(t, cpu_models);
	suite_add_tcase(s, t);
	tcase_add_loop_test(f, each_form, 0, ARRAY_LEN(modes));
	suite_add_tcase(s, f);
	return suite_run(s);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Zydis decodes; this file translates its answer into struct insn and knows
 * nothing of handlers. SDM 2 ch. 2 is the format; what is invalid in which mode
 * is Zydis' knowledge, which CPU model has it is the model's (insn.feature).
 */
#include <stdlib.h>
#include <string.h>
#include <Zydis/Zydis.h>

#include "interp/cpu_model.h"
#include "interp/decode.h"

enum { DM_REAL16, DM_LEGACY16, DM_LEGACY32, DM_COMPAT16, DM_COMPAT32, DM_LONG64, DM_COUNT };

struct decoder { ZydisDecoder z[DM_COUNT]; };

static const struct { ZydisMachineMode mode; ZydisStackWidth width; } machine_modes[DM_COUNT] = {
	[DM_REAL16]   = { ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16 },
	[DM_LEGACY16] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
	[DM_LEGACY32] = { ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
	[DM_COMPAT16] = { ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_STACK_WIDTH_16 },
	[DM_COMPAT32] = { ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32 },
	[DM_LONG64]   = { ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
};

static const uint16_t mnem_of[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#define INT(m, lower, arg)	[ZYDIS_MNEMONIC_##m] = M_##m,
#define STR(m, lower, arg)
#define SYS(m, handler, end)	[ZYDIS_MNEMONIC_##m] = M_##m,
#define GEN(m, handler)		[ZYDIS_MNEMONIC_##m] = M_##m,
#define GEN2(m, mmx, xmm)	[ZYDIS_MNEMONIC_##m] = M_##m,
#define GEN3(m, mmx, xmm, gpr)	[ZYDIS_MNEMONIC_##m] = M_##m,
#include "interp/ops_int.def"
#include "interp/ops_sys.def"
#include "interp/ops_x87.def"
#include "interp/ops_sse.def"
#undef INT
#undef STR
#undef SYS
#undef GEN
#undef GEN2
#undef GEN3
};

/* String instructions share names with SSE2 ones (MOVSD, CMPSD), so they are
 * told apart by category and renamed by family. */
static const struct { uint16_t zydis, mnem; uint8_t size; } string_of[] = {
#define FAMILY(x) { ZYDIS_MNEMONIC_##x##B, M_STR_##x, 1 }, { ZYDIS_MNEMONIC_##x##W, M_STR_##x, 2 }, \
	{ ZYDIS_MNEMONIC_##x##D, M_STR_##x, 4 }
	FAMILY(MOVS), FAMILY(CMPS), FAMILY(STOS), FAMILY(LODS), FAMILY(SCAS), FAMILY(INS), FAMILY(OUTS),
	{ ZYDIS_MNEMONIC_MOVSQ, M_STR_MOVS, 8 }, { ZYDIS_MNEMONIC_CMPSQ, M_STR_CMPS, 8 },
	{ ZYDIS_MNEMONIC_STOSQ, M_STR_STOS, 8 }, { ZYDIS_MNEMONIC_LODSQ, M_STR_LODS, 8 },
	{ ZYDIS_MNEMONIC_SCASQ, M_STR_SCAS, 8 },
#undef FAMILY
};

static const struct { uint64_t attribute; uint8_t seg; } segment_prefix[] = {
	{ ZYDIS_ATTRIB_HAS_SEGMENT_ES, SEG_ES }, { ZYDIS_ATTRIB_HAS_SEGMENT_CS, SEG_CS },
	{ ZYDIS_ATTRIB_HAS_SEGMENT_SS, SEG_SS }, { ZYDIS_ATTRIB_HAS_SEGMENT_DS, SEG_DS },
	{ ZYDIS_ATTRIB_HAS_SEGMENT_FS, SEG_FS }, { ZYDIS_ATTRIB_HAS_SEGMENT_GS, SEG_GS },
};

/* Which model feature an instruction-set extension needs. */
static const uint8_t feature_of[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
#define ISA(set, feature)	[ZYDIS_ISA_SET_##set] = feature,
#define ONE(m, feature)
#define ONE64(m, feature)
#include "interp/isa_sets.def"
#undef ISA
#undef ONE
#undef ONE64
};

/* The same for single instructions: in all modes, and in 64-bit code. */
static const uint8_t feature_of_one[ZYDIS_MNEMONIC_MAX_VALUE + 1][2] = {
#define ISA(set, feature)
#define ONE(m, feature)		[ZYDIS_MNEMONIC_##m] = { feature, feature },
#define ONE64(m, feature)	[ZYDIS_MNEMONIC_##m] = { F_NONE, feature },
#include "interp/isa_sets.def"
#undef ISA
#undef ONE
#undef ONE64
};

struct decoder *decoder_create(void)
{
	struct decoder *d = calloc(1, sizeof(*d));

	for (int i = 0; d && i < DM_COUNT; i++) {
		ZydisDecoderInit(&d->z[i], machine_modes[i].mode, machine_modes[i].width);
		/* Off: they turn older encodings into newer instructions. */
		ZydisDecoderEnableMode(&d->z[i], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
		ZydisDecoderEnableMode(&d->z[i], ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
		ZydisDecoderEnableMode(&d->z[i], ZYDIS_DECODER_MODE_LZCNT, ZYAN_FALSE);
		ZydisDecoderEnableMode(&d->z[i], ZYDIS_DECODER_MODE_TZCNT, ZYAN_FALSE);
		ZydisDecoderEnableMode(&d->z[i], ZYDIS_DECODER_MODE_WBNOINVD, ZYAN_FALSE);
		ZydisDecoderEnableMode(&d->z[i], ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
	}
	return d;
}

void decoder_destroy(struct decoder *d)
{
	free(d);
}

static int decoder_mode(uint32_t hflags)
{
	if (hflags & HF_CS64)
		return DM_LONG64;
	if (!(hflags & HF_PE))
		return DM_REAL16;	/* V86 too: the same encodings are invalid */
	return hflags & HF_CS32 ? DM_LEGACY32 : DM_LEGACY16;
}

/* Zydis' flag masks have EFLAGS' own bit positions. */
static void insn_flags(const ZydisDecodedInstruction *z, struct insn *out)
{
	const ZydisAccessedFlags *f = z->cpu_flags;

	out->fl_read = out->fl_write = 0;
	if (!f)
		return;
	out->fl_read = f->tested & FL_ARITH;
	out->fl_write = (f->modified | f->set_0 | f->set_1 | f->undefined) & FL_ARITH;
}

static uint8_t gpr_number(ZydisRegister r)
{
	if (r == ZYDIS_REGISTER_NONE)
		return R_ZERO;
	ZyanI8 id = ZydisRegisterGetId(r);

	return id < 0 ? R_ZERO : (uint8_t)id;
}

static void insn_register(ZydisRegister r, unsigned bits, struct opnd *o)
{
	ZydisRegisterClass cls = ZydisRegisterGetClass(r);
	ZyanI8 id = ZydisRegisterGetId(r);

	o->size = (uint8_t)(bits / 8);
	o->reg = (uint8_t)id;
	switch (cls) {
	case ZYDIS_REGCLASS_GPR8:
		o->kind = OPD_GPR;
		if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH)
			o->reg = (uint8_t)(8 * (r - ZYDIS_REGISTER_AH) + 1);
		else if (r <= ZYDIS_REGISTER_BL)
			o->reg = (uint8_t)(8 * (r - ZYDIS_REGISTER_AL));
		else
			o->reg = (uint8_t)(8 * (r - ZYDIS_REGISTER_SPL + 4));
		break;
	case ZYDIS_REGCLASS_GPR16: case ZYDIS_REGCLASS_GPR32: case ZYDIS_REGCLASS_GPR64:
		o->kind = OPD_GPR;
		o->reg = (uint8_t)(8 * id);
		break;
	case ZYDIS_REGCLASS_SEGMENT:
		/* Zydis numbers them as the encoding does: ES CS SS DS FS GS. */
		o->kind = OPD_SREG;
		break;
	case ZYDIS_REGCLASS_CONTROL: o->kind = OPD_CR; break;
	case ZYDIS_REGCLASS_DEBUG: o->kind = OPD_DR; break;
	case ZYDIS_REGCLASS_X87: o->kind = OPD_ST; break;
	case ZYDIS_REGCLASS_MMX: o->kind = OPD_MMX; break;
	case ZYDIS_REGCLASS_XMM: o->kind = OPD_XMM; break;
	default: o->kind = OPD_NONE; break;
	}
}

static void insn_memory(const ZydisDecodedInstruction *z, const ZydisDecodedOperandMem *m, struct insn *out)
{
	out->rip_rel = m->base == ZYDIS_REGISTER_RIP || m->base == ZYDIS_REGISTER_EIP;
	out->base = out->rip_rel ? R_ZERO : gpr_number(m->base);
	out->index = gpr_number(m->index);
	out->scale = m->scale ? (uint8_t)__builtin_ctz(m->scale) : 0;
	out->disp = m->disp.value;
	out->seg = (uint8_t)ZydisRegisterGetId(m->segment);
	if (m->segment == ZYDIS_REGISTER_NONE)
		out->seg = SEG_DS;
	/* No base but a displacement, whatever REX.B says (SDM 2 2.2.1.2); Zydis 4.0 makes R13D of
	 * it under a 32-bit address size. */
	if (z->attributes & ZYDIS_ATTRIB_HAS_SIB && z->raw.modrm.mod == 0 && z->raw.sib.base == 5) {
		out->base = R_ZERO;
		out->disp = z->raw.disp.value;
	}
}

static void insn_operands(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *ops,
			  struct insn *out)
{
	unsigned n = z->operand_count_visible;
	bool have_imm = false;

	memset(out->o, 0, sizeof(out->o));
	out->nopnd = (uint8_t)(n > 4 ? 4 : n);
	for (unsigned i = 0; i < out->nopnd; i++) {
		struct opnd *o = &out->o[i];
		const ZydisDecodedOperand *zo = &ops[i];

		o->size = (uint8_t)(zo->size / 8 > 255 ? 255 : zo->size / 8);
		switch (zo->type) {
		case ZYDIS_OPERAND_TYPE_REGISTER:
			insn_register(zo->reg.value, zo->size, o);
			break;
		case ZYDIS_OPERAND_TYPE_MEMORY:
			o->kind = OPD_MEM;
			insn_memory(z, &zo->mem, out);
			break;
		case ZYDIS_OPERAND_TYPE_POINTER:
			o->kind = OPD_FAR;
			out->imm = (uint64_t)zo->ptr.segment << 32 | zo->ptr.offset;
			break;
		case ZYDIS_OPERAND_TYPE_IMMEDIATE:
			o->kind = zo->imm.is_relative ? OPD_REL : OPD_IMM;
			if (have_imm)	/* ENTER: imm16, imm8 */
				out->imm = (out->imm & 0xffff) | zo->imm.value.u << 16;
			else
				out->imm = zo->imm.value.u;
			have_imm = true;
			break;
		default:
			o->kind = OPD_NONE;
		}
	}
}

enum decode_result decode(struct decoder *d, uint32_t hflags, const uint8_t *bytes, unsigned avail,
			  struct insn *out)
{
	ZydisDecodedInstruction z;
	ZydisDecoderContext ctx;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	const ZydisDecoder *dec = &d->z[decoder_mode(hflags)];
	ZyanStatus st = ZydisDecoderDecodeInstruction(dec, &ctx, bytes, avail, &z);

	if (st == ZYDIS_STATUS_NO_MORE_DATA)
		return DECODE_MORE;
	if (st == ZYDIS_STATUS_INSTRUCTION_TOO_LONG)
		return DECODE_TOO_LONG;
	if (!ZYAN_SUCCESS(st))
		return DECODE_INVALID;
	if (z.operand_count_visible &&
	    !ZYAN_SUCCESS(ZydisDecoderDecodeOperands(dec, &ctx, &z, ops, z.operand_count_visible)))
		return DECODE_INVALID;

	out->mnem = mnem_of[z.mnemonic];
	out->feature = feature_of_one[z.mnemonic][(hflags & HF_CS64) != 0];
	if (!out->feature)
		out->feature = feature_of[z.meta.isa_set];
	out->len = z.length;
	out->osize = z.operand_width / 8;
	out->asize = z.address_width / 8;
	out->rip_rel = false;
	out->base = out->index = R_ZERO;
	out->scale = 0;
	out->seg = SEG_DS;
	out->disp = 0;
	out->imm = 0;
	out->lock = z.attributes & ZYDIS_ATTRIB_HAS_LOCK;
	out->rep = z.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE);
	out->repne = z.attributes & ZYDIS_ATTRIB_HAS_REPNE;
	out->has_rex_w = z.raw.rex.W;
	out->far = z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
	for (size_t i = 0; i < ARRAY_LEN(segment_prefix); i++)
		if (z.attributes & segment_prefix[i].attribute)
			out->seg = segment_prefix[i].seg;
	out->x87 = z.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (z.opcode & 0xf8) == 0xd8;
	out->fop = (uint16_t)((z.opcode & 7) << 8 | z.raw.modrm.mod << 6 | z.raw.modrm.reg << 3 | z.raw.modrm.rm);
	insn_operands(&z, ops, out);
	insn_flags(&z, out);
	/* MOVSXD r16, r/m16 extends nothing and reads no more than it keeps (SDM 2). */
	if (out->mnem == M_MOVSXD && out->o[0].size == 2) {
		out->mnem = M_MOV;
		out->o[1].size = 2;
	}

	if (z.meta.category == ZYDIS_CATEGORY_STRINGOP || z.meta.category == ZYDIS_CATEGORY_IOSTRINGOP)
		for (size_t i = 0; i < ARRAY_LEN(string_of); i++)
			if (string_of[i].zydis == z.mnemonic) {
				out->mnem = string_of[i].mnem;
				out->osize = string_of[i].size;
				break;
			}
	return DECODE_OK;
}

unsigned interp_insn_length(void *arg, const uint8_t *p, unsigned avail, bool code64)
{
	struct interp *v = arg;
	ZydisDecodedInstruction z;

	return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&v->decoder->z[code64 ? DM_LONG64 : DM_LEGACY32],
							  NULL, p, avail, &z)) ? z.length : 0;
}

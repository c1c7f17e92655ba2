/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All forms, found by asking Zydis what each encoding is: prefix, map, opcode, ModRM.reg,
 * register or memory. Two encodings are one form if nothing but an operand register
 * differs. The name groups forms: the mnemonic, and which kind of operand makes it special.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <Zydis/Zydis.h>

#include "criterion/world.h"
#include "interp/cpu_model.h"

#define FORMS_MAX	16384

struct enumeration {
	struct world *w;
	ZydisDecoder z;
	struct form *f;
	unsigned n;
};

static unsigned encode_opcode(const struct form *f, uint8_t *p)
{
	unsigned n = 0;

	if (f->prefix)
		p[n++] = f->prefix;
	if (f->rexw)
		p[n++] = 0x48;
	if (f->map)
		p[n++] = 0x0f;
	if (f->map >= 2)
		p[n++] = f->map == 2 ? 0x38 : 0x3a;
	p[n++] = f->opcode;
	return n;
}

/* What the 80386 had. */
static bool is_386(ZydisISASet set)
{
	switch (set) {
	case ZYDIS_ISA_SET_I86: case ZYDIS_ISA_SET_I186: case ZYDIS_ISA_SET_I286PROTECTED:
	case ZYDIS_ISA_SET_I286REAL: case ZYDIS_ISA_SET_I386:
		return true;
	default:
		return false;
	}
}

static void name_form(struct form *f, const struct insn *in, ZydisMnemonic m)
{
	const char *special = in->far ? " far" : "";

	for (int i = 0; i < in->nopnd; i++)
		switch (in->o[i].kind) {
		case OPD_SREG: special = " Sreg"; break;
		case OPD_CR: special = " CR"; break;
		case OPD_DR: special = " DR"; break;
		case OPD_FAR: special = " far"; break;
		}
	snprintf(f->name, sizeof(f->name), "%s%s", ZydisMnemonicGetString(m), special);
	for (char *c = f->name; *c && *c != ' '; c++)
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 32);
}

static void form_add(struct enumeration *e, const struct form *proto, unsigned reg, bool mem)
{
	const struct world *w = e->w;
	struct form f = *proto;
	uint8_t bytes[16] = { 0 };
	unsigned n = encode_opcode(&f, bytes);
	ZydisDecodedInstruction z;
	struct insn in;
	ZyanStatus st;

	bytes[n] = (uint8_t)(mem ? 0x47 | reg << 3 : 0xc1 | reg << 3);	/* [edi+8], ECX */
	bytes[n + 1] = 8;
	if (decode(w->decoder, world_hflags(w), bytes, 15, &in) != DECODE_OK ||
	    !cpu_model_has(cpu_model_find(w->of->cpu), in.feature))
		return;
	st = ZydisDecoderDecodeInstruction(&e->z, NULL, bytes, 15, &z);
	if (!ZYAN_SUCCESS(st) || (w->of->only_386 && !is_386(z.meta.isa_set)))
		return;
	if (!(z.attributes & ZYDIS_ATTRIB_HAS_MODRM) && (mem || reg))
		return;
	name_form(&f, &in, z.mnemonic);
	f.mnem = in.mnem;
	f.mem = mem;
	f.reg = (int8_t)reg;
	for (unsigned i = e->n; i-- > 0;) {
		struct form *g = &e->f[i];

		if (g->prefix != f.prefix || g->map != f.map || g->opcode != f.opcode)
			break;
		if (g->mem == f.mem && g->rexw == f.rexw && !strcmp(g->name, f.name)) {
			g->reg = -1;
			return;
		}
	}
	if (e->n < FORMS_MAX)
		e->f[e->n++] = f;
}

struct form *forms_all(struct world *w, unsigned *n)
{
	static const uint8_t prefixes[] = { 0, 0x66, 0xf2, 0xf3 };
	static const uint8_t skip[] = { 0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 };
	struct enumeration e = { .w = w, .f = calloc(FORMS_MAX, sizeof(struct form)) };
	const bool wide = w->of->kind == WORLD_L64;

	if (!e.f)
		return NULL;
	ZydisDecoderInit(&e.z, wide ? ZYDIS_MACHINE_MODE_LONG_64 : w->of->kind == WORLD_V86 ?
			 ZYDIS_MACHINE_MODE_REAL_16 : ZYDIS_MACHINE_MODE_LEGACY_32,
			 wide ? ZYDIS_STACK_WIDTH_64 : w->of->kind == WORLD_V86 ? ZYDIS_STACK_WIDTH_16 :
			 ZYDIS_STACK_WIDTH_32);
	for (unsigned map = 0; map < 4; map++)
		for (unsigned op = 0; op < 256; op++)
			for (unsigned p = 0; p < ARRAY_LEN(prefixes); p++) {
				struct form f = { .prefix = prefixes[p], .map = (uint8_t)map, .opcode = (uint8_t)op };

				if ((map == 0 && memchr(skip, (int)op, sizeof(skip))) ||
				    (map == 1 && (op == 0x38 || op == 0x3a)) ||
				    (wide && map == 0 && (op & 0xf0) == 0x40))
					continue;
				for (unsigned reg = 0; reg < (wide ? 16u : 8u); reg++) {
					f.rexw = reg >= 8;
					form_add(&e, &f, reg & 7, false);
					form_add(&e, &f, reg & 7, true);
				}
			}
	*n = e.n;
	return e.f;
}

unsigned form_encode(struct world *w, const struct form *f, uint64_t *seed, uint8_t bytes[16])
{
	uint8_t b[24];
	unsigned n = encode_opcode(f, b), modrm;
	struct insn in;

	for (unsigned i = n; i < sizeof(b); i++)
		b[i] = (uint8_t)(rnd(seed) >> 40);
	if (w->of->kind == WORLD_V86)	/* [BX+disp8] and the like */
		modrm = f->mem ? 0x47 : 0xc0 | (b[n] & 7u);
	else	/* [EDI+disp8] */
		modrm = f->mem ? 0x47 : 0xc0 | (b[n] & 7u);
	modrm |= (f->reg >= 0 ? (unsigned)f->reg : b[n] >> 3 & 7u) << 3;
	b[n] = (uint8_t)modrm;
	if (f->mem)
		b[n + 1] &= 0x3c;	/* where words of the data begin */
	/* Immediate operands: an address of the program with a selector, a port. */
	if (f->map == 0 && (f->opcode == 0x9a || f->opcode == 0xea) && rnd_below(seed, 4)) {
		bool v86 = w->of->kind == WORLD_V86;
		unsigned size = v86 != (f->prefix == 0x66) ? 2 : 4;
		uint16_t sel = v86 ? 0x1000 : world_selectors[rnd_below(seed, SELECTORS)];

		memcpy(b + n, &(uint32_t){ (v86 ? 0 : USER_GVA) + CODE_AT }, size);
		memcpy(b + n + size, &sel, 2);
	}
	if (f->map == 0 && f->opcode >= 0xe4 && f->opcode <= 0xe7)
		b[n] = PORT;
	if (decode(w->decoder, world_hflags(w), b, 15, &in) != DECODE_OK || in.mnem != f->mnem)
		return 0;
	memset(bytes, 0x90, 16);
	memcpy(bytes, b, in.len);
	return in.len;
}

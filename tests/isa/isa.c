/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every user-level instruction form, found by enumerating encodings (not listed by
 * hand), from random states, on the interpreter and on the host.
 *
 *   isa [--width 32|64] [--states N] [--seed S] [--part I/N] [--only OPCODE]
 *
 * --part takes every Nth form, so that processes can share the work; a form's states
 * are the same in any part. OPCODE is hexadecimal, with 100, 200, 300 added for the
 * maps 0F, 0F 38, 0F 3A. README has the rest.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "debug/disasm.h"
#include "debug/newer.h"
#include "interp/cpu_model.h"
#include "tests/host_has.h"
#include "tests/isa/isa.h"

#define MAX_FORMS	8192
#define MAX_REPORTS	40

/* A form: the encoding's fixed part, and what decodes as the same thing. */
struct form {
	uint8_t prefix, map, opcode;
	int8_t rexw;		/* 64-bit code: REX.W; -1: it makes no difference */
	int8_t reg;		/* ModRM.reg where it is part of the opcode, else -1 */
	bool mem;
	struct insn in;
	unsigned good, faulted, bad;
};

static struct form forms[MAX_FORMS];
static unsigned nforms;

/* --- What there is to compare --------------------------------------------------------- */

static struct cpu_model model;

static uint32_t mode(const struct bench *b)
{
	return HF_PE | (b->wide ? HF_CS64 : HF_CS32 | HF_SS32);
}

/* --- Encodings ------------------------------------------------------------------- */

/* Writes prefix, map and opcode; returns the length. */
static unsigned encode_opcode(const struct form *f, uint8_t *p)
{
	unsigned n = 0;

	if (f->prefix)
		p[n++] = f->prefix;
	if (f->rexw > 0)
		p[n++] = 0x48;
	if (f->map)
		p[n++] = 0x0f;
	if (f->map == 2)
		p[n++] = 0x38;
	if (f->map == 3)
		p[n++] = 0x3a;
	p[n++] = f->opcode;
	return n;
}

static bool same_operands(const struct insn *a, const struct insn *b)
{
	if (a->mnem != b->mnem || a->osize != b->osize || a->nopnd != b->nopnd)
		return false;
	for (int i = 0; i < a->nopnd; i++)
		if (a->o[i].kind != b->o[i].kind || a->o[i].size != b->o[i].size)
			return false;
	return true;
}

static bool touches_system_register(const struct insn *in)
{
	for (int i = 0; i < in->nopnd; i++)
		if (in->o[i].kind == OPD_SREG || in->o[i].kind == OPD_CR || in->o[i].kind == OPD_DR ||
		    in->o[i].kind == OPD_FAR)
			return true;
	return in->far;
}

static void form_add(struct bench *b, const struct form *proto, int reg, bool mem)
{
	struct form f = *proto;
	uint8_t bytes[16] = { 0 };
	unsigned n = encode_opcode(&f, bytes);

	/* [ebx+8], or a register other than the accumulator */
	bytes[n] = (uint8_t)(mem ? 0x43 | reg << 3 : 0xc1 | reg << 3);
	bytes[n + 1] = 8;
	if (decode(b->decoder, mode(b), bytes, 15, &f.in) != DECODE_OK ||
	    is_excluded(f.in.mnem) || touches_system_register(&f.in))
		return;
	if (!cpu_model_has(&model, f.in.feature) || !host_has(f.in.feature))
		return;
	/* Encodings that mean something else to newer processors than to the model:
	 * REP BSF and REP BSR (TZCNT, LZCNT), and 0F 0D with a register. */
	if (f.map == 1 && ((f.prefix == 0xf3 && (f.opcode & 0xfe) == 0xbc) || (f.opcode == 0x0d && !mem)))
		return;
	f.reg = (int8_t)reg;
	f.mem = mem;
	for (unsigned i = 0; i < nforms; i++) {
		struct form *g = &forms[i];

		if (g->prefix == f.prefix && g->map == f.map && g->opcode == f.opcode &&
		    g->mem == f.mem && same_operands(&g->in, &f.in)) {
			if (g->reg != f.reg)
				g->reg = -1;	/* ModRM.reg is an operand, or there is no ModRM */
			if (g->rexw != f.rexw)
				g->rexw = -1;
			return;
		}
	}
	if (nforms < MAX_FORMS)
		forms[nforms++] = f;
}

static void forms_enumerate(struct bench *b)
{
	static const uint8_t prefixes[] = { 0, 0x66, 0xf2, 0xf3 };
	static const uint8_t skip[] = { 0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0,
					0xf2, 0xf3, 0xc4, 0xc5, 0x62 };

	for (unsigned p = 0; p < ARRAY_LEN(prefixes); p++)
		for (unsigned map = 0; map < 4; map++)
			for (unsigned op = 0; op < 256; op++) {
				struct form f = { .prefix = prefixes[p], .map = (uint8_t)map,
						  .opcode = (uint8_t)op };

				if (map == 0 && memchr(skip, (int)op, sizeof(skip)))
					continue;
				if (map == 1 && (op == 0x38 || op == 0x3a))
					continue;
				if (b->wide && map == 0 && (op & 0xf0) == 0x40)
					continue;
				for (int reg = 0; reg < 16; reg++) {
					f.rexw = b->wide && reg >= 8;
					if (reg >= 8 && !b->wide)
						break;
					form_add(b, &f, reg & 7, false);
					form_add(b, &f, reg & 7, true);
				}
			}
}

/* What comes before the opcode in 64-bit code: REX, mostly. */
static unsigned encode_rex(const struct form *f, uint8_t *p)
{
	unsigned w = f->rexw < 0 ? rnd_below(2) : (unsigned)f->rexw;

	if (!w && rnd_below(4) == 0)
		return 0;
	p[0] = (uint8_t)(0x40 | w << 3 | rnd_below(8));
	return 1;
}

static uint32_t near_data(void)
{
	return DATA_GVA + rnd_below(DATA_SIZE);
}

/* Displacements that mostly lead to the data; rip: about where the instruction ends. */
static void aim(const struct bench *b, const struct form *f, uint8_t *p, unsigned modrm, uint32_t rip)
{
	bool sib = modrm >> 6 != 3 && (modrm & 7) == 4;
	uint64_t to = near_data();

	if (f->map == 0 && (f->opcode & 0xfc) == 0xa0)		/* moffs */
		memcpy(p, &to, b->wide ? 8 : 4);
	else if (modrm >> 6 == 2)
		memcpy(p + 1 + sib, &(uint32_t){ rnd_below(256) - 128 }, 4);
	else if (modrm >> 6 == 0 && (modrm & 7) == 5)
		memcpy(p + 1, &(uint32_t){ (uint32_t)to - (b->wide ? rip : 0) }, 4);
	else if (modrm >> 6 == 0 && sib && (p[1] & 7) == 5)
		memcpy(p + 2, &to, 4);
}

/* A random encoding of the form at p, which will be at rip; its length, or 0 if this try missed. */
static unsigned form_encode(struct bench *b, const struct form *f, uint8_t *p, uint32_t rip, struct insn *in)
{
	static const uint8_t extra[] = { 0x2e, 0x36, 0x3e, 0x26, 0x67, 0xf0, 0x64, 0x65 };
	struct form plain = *f;
	uint8_t bytes[24];
	unsigned n = 0, modrm;

	if (rnd_below(16) == 0)
		bytes[n++] = extra[rnd_below(b->wide ? 8 : 6)];
	if (b->wide) {
		plain.rexw = 0;
		if (f->prefix)
			bytes[n++] = f->prefix;
		plain.prefix = 0;
		n += encode_rex(f, bytes + n);
	}
	n += encode_opcode(&plain, bytes + n);
	for (unsigned i = n; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)rnd();
	modrm = bytes[n];
	modrm = f->mem ? (modrm >> 6 == 3 ? modrm & 0x3f : modrm) : modrm | 0xc0;
	if (f->reg >= 0)
		modrm = (modrm & ~0x38u) | (unsigned)f->reg << 3;
	bytes[n] = (uint8_t)modrm;
	aim(b, f, bytes + n, modrm, rip + n + 6);
	if (decode(b->decoder, mode(b), bytes, 15, in) != DECODE_OK || !same_operands(in, &f->in))
		return 0;
	/* A branch into its own middle goes on there natively before it can be stopped. */
	if (in->nopnd && in->o[0].kind == OPD_REL && -(uint32_t)in->imm - 1 < in->len)
		return 0;
	memcpy(p, bytes, in->len);
	return in->len;
}

/* --- The run ----------------------------------------------------------------------------- */

static unsigned reports;

static void report(const struct form *f, const uint8_t *bytes, unsigned n, const struct state_all *s,
		   const char *what)
{
	char text[96];

	if (f->bad > 2 || reports++ >= MAX_REPORTS)
		return;
	disasm(bytes, n, (uint32_t)s->cpu.rip, s->cpu.efer & EFER_LMA ? 64 : 32, text, sizeof(text));
	printf("# ");
	for (unsigned i = 0; i < n; i++)
		printf("%02x", bytes[i]);
	printf("  %s: %s\n#   ", text, what);
	for (int r = 0; r < 16; r++)
		printf(" %" PRIx64, s->cpu.gpr[r]);
	printf("\n#    fl %x cw %x sw %x tags %x mxcsr %x\n", cpu_eflags(&s->cpu), s->cpu.fpu.cw,
	       s->cpu.fpu.sw, s->cpu.fpu.tags, s->cpu.fpu.mxcsr);
}

static void form_run(struct bench *b, struct form *f, unsigned states)
{
	static struct state_all s;
	static struct outcome host, interp;
	/* In the middle of the first code page, or across its end. */
	for (unsigned tries = 0; tries < 4 * states && f->good < states; tries++) {
		unsigned off = rnd_below(8) ? 0x800 : 0x1000 - 1 - rnd_below(10), n;
		struct insn in;
		char what[200];

		memset(b->code + off, 0xcc, 16);
		n = form_encode(b, f, b->code + off, CODE_GVA + off, &in);
		if (n && vendor_meaning(b->code + off, n, b->wide ? 64 : 32)) {
			memset(b->code + off, 0xcc, 16);
			continue;
		}
		if (!n)
			continue;
		random_state(b, &s, &in, CODE_GVA + off);
		bench_host(b, &s, &host);
		if (host.endless)
			continue;
		bench_interp(b, &s, in.rep || in.repne, &interp);
		/* Whether a store of nothing faults is the processor's choice. */
		if ((in.mnem == M_MASKMOVQ || in.mnem == M_MASKMOVDQU) &&
		    host.faulted != interp.faulted)
			continue;
		settle_choices(&in, &host, &interp);
		if (outcome_differs(&host, &interp, flags_undefined(&in), what, sizeof(what))) {
			f->bad++;
			report(f, b->code + off, n, &s, what);
		}
		if (host.faulted)
			f->faulted++;
		else
			f->good++;
		memset(b->code + off, 0xcc, 16);
	}
}

int main(int argc, char **argv)
{
	unsigned states = 1000, part = 1, parts = 1, bad = 0, thin = 0, ran = 0, width = 32;
	char why[128];
	uint64_t total = 0, seed = isa_seed;
	struct bench b;
	int only = -1, r;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--states"))
			states = (unsigned)atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--width"))
			width = (unsigned)atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--only"))
			only = (int)strtol(argv[i + 1], NULL, 16);
		else if (strcmp(argv[i], "--part") ||
			 sscanf(argv[i + 1], "%u/%u", &part, &parts) != 2 || !parts ||
			 part < 1 || part > parts) {
			fprintf(stderr, "isa: what is %s %s?\n", argv[i], argv[i + 1]);
			return 2;
		}
	}
	if (width != 32 && width != 64) {
		fprintf(stderr, "isa: --width is 32 or 64\n");
		return 2;
	}
	bug_on(!cpu_model_parse(&model, ISA_MODEL, why, sizeof(why)));
	r = bench_open(&b, width == 64);
	if (r)
		return r;
	memset(b.code, 0xcc, 2 * PAGE_SIZE);
	forms_enumerate(&b);
	for (unsigned i = 0; i < nforms; i++) {
		struct form *f = &forms[i];

		if (only >= 0 ? (f->map << 8 | f->opcode) != only : i % parts != part - 1)
			continue;
		isa_seed = (seed << 32 | (i + 1)) * 0x9e3779b97f4a7c15ull;
		ran++;
		form_run(&b, f, states);
		total += f->good + f->faulted;
		bad += f->bad != 0;
		thin += f->good < states;
		if (f->bad)
			printf("DIFFERS prefix %02x map %u opcode %02x /%d%s %s: %u of %u\n", f->prefix, f->map,
			       f->opcode, f->reg, f->rexw > 0 ? " REX.W" : "", f->mem ? "mem" : "reg", f->bad,
			       f->good + f->faulted);
	}
	printf("%u-bit: %u forms, %" PRIu64 " states, %u forms differ, %u with fewer than %u unfaulted states\n",
	       width, ran, total, bad, thin, states);
	bench_close(&b);
	return bad != 0;
}

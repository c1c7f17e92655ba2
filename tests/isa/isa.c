/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every user-level instruction form, found by enumerating encodings (not listed by
 * hand), from random states, on the interpreter and on the host.
 *
 *   isa [--states N] [--seed S] [--part I/N] [--only OPCODE]
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
#include "interp/cpu_model.h"
#include "tests/isa/isa.h"

#define MAX_FORMS	8192
#define MAX_REPORTS	40

/* A form: the encoding's fixed part, and what decodes as the same thing. */
struct form {
	uint8_t prefix, map, opcode;
	int8_t reg;		/* ModRM.reg where it is part of the opcode, else -1 */
	bool mem;
	struct insn in;
	unsigned good, faulted, bad;
};

static struct form forms[MAX_FORMS];
static unsigned nforms;

/* What cannot be compared one instruction at a time: system instructions (their own
 * tests), time, random numbers, and images that hold instruction pointers, which
 * processors save differently. */
static const uint16_t excluded[] = {
#define SYS(m, handler, end) M_##m,
#include "interp/ops_sys.def"
#undef SYS
	M_RDRAND, M_RDSEED, M_STR_INS, M_STR_OUTS,
	M_FNSAVE, M_FNSTENV, M_FLDENV, M_FRSTOR, M_FXSAVE, M_FXRSTOR,
};

/* Flags that SDM 2 leaves undefined and our C code does not take from the host. */
static const struct { uint16_t mnem; uint32_t undefined; } undefined_flags[] = {
	{ M_DIV, FL_ARITH }, { M_IDIV, FL_ARITH },
	{ M_DAA, FL_OF }, { M_DAS, FL_OF },
	{ M_AAA, FL_OF | FL_SF | FL_ZF | FL_PF }, { M_AAS, FL_OF | FL_SF | FL_ZF | FL_PF },
	{ M_AAM, FL_OF | FL_AF | FL_CF }, { M_AAD, FL_OF | FL_AF | FL_CF },
	{ M_BT, FL_OF | FL_SF | FL_AF | FL_PF }, { M_BTS, FL_OF | FL_SF | FL_AF | FL_PF },
	{ M_BTR, FL_OF | FL_SF | FL_AF | FL_PF }, { M_BTC, FL_OF | FL_SF | FL_AF | FL_PF },
	{ M_LZCNT, FL_OF | FL_SF | FL_AF | FL_PF }, { M_TZCNT, FL_OF | FL_SF | FL_AF | FL_PF },
};

static bool is_excluded(unsigned mnem)
{
	for (size_t i = 0; i < ARRAY_LEN(excluded); i++)
		if (excluded[i] == mnem)
			return true;
	return mnem == M_INVALID;
}

static uint32_t flags_undefined(const struct insn *in)
{
	for (size_t i = 0; i < ARRAY_LEN(undefined_flags); i++)
		if (undefined_flags[i].mnem == in->mnem)
			return undefined_flags[i].undefined;
	/* OF after a rotate by more than one: ours is that of a rotate by CL, and some of
	 * Intel's processors leave it alone when the count is an immediate. A count of 0
	 * changes no flag, and by one OF is defined (SDM 2 RCL/RCR/ROL/ROR). */
	if ((in->mnem == M_ROL || in->mnem == M_ROR) && in->o[1].kind == OPD_IMM &&
	    (in->imm & 31) > 1)
		return FL_OF;
	return 0;
}

/* D9 /2 /3, DB /1-/3 /7, DD /1-/3, DF /1-/3 /6 /7 of memory: what stores a number. The
 * environments (D9 /6, DD /6) and control and status words are not among them. */
static bool is_x87_store(unsigned fop)
{
	static const uint8_t stores[8] = {
		[1] = 0x0c, [3] = 0x8e, [5] = 0x0e, [7] = 0xce,
	};

	return (fop & 0xc0) != 0xc0 && stores[fop >> 8 & 7] >> (fop >> 3 & 7) & 1;
}

/*
 * What processors do differently when a memory access fails, or would: hides the
 * difference if it is one of these. Both ways are allowed; hemi's is named first.
 */
static void settle_choices(const struct insn *in, struct outcome *host, struct outcome *interp)
{
	bool both = host->faulted && interp->faulted;
	bool masked_store = in->mnem == M_MASKMOVQ || in->mnem == M_MASKMOVDQU;
	bool mmx = false;

	for (int i = 0; i < in->nopnd; i++)
		mmx |= in->o[i].kind == OPD_MMX;
	/* Which of two failing accesses is reported; the first byte stored, or the first of all. */
	if (both && (in->mnem == M_STR_CMPS || masked_store || host->fault_gva >= 0xfffffff0u))
		interp->page_fault = host->page_fault, interp->fault_gva = host->fault_gva;
	/* The x87 state stays, or TOP became 0 or all registers valid before the access failed. */
	if (both && mmx && !(host->s.cpu.fpu.sw & 0x3800))
		interp->s.cpu.fpu.sw &= (uint16_t)~0x3800;
	if (both && mmx && host->s.cpu.fpu.tags == 0xff)
		interp->s.cpu.fpu.tags = 0xff;
	/* An x87 store that an unmasked exception suppresses does not touch memory (Intel), or
	 * its page fault comes first (AMD): an Intel host has no choice to settle. */
	if (!__builtin_cpu_is("intel") && is_x87_store(in->fop) &&
	    host->page_fault && !interp->faulted &&
	    (interp->s.cpu.fpu.sw & ~interp->s.cpu.fpu.cw & 0x19))
		*interp = *host;
}

/* --- Encodings ------------------------------------------------------------------- */

/* Writes prefix, map and opcode; returns the length. */
static unsigned encode_opcode(const struct form *f, uint8_t *p)
{
	unsigned n = 0;

	if (f->prefix)
		p[n++] = f->prefix;
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
	if (decode(b->decoder, HF_PE | HF_CS32 | HF_SS32, bytes, 15, &f.in) != DECODE_OK ||
	    is_excluded(f.in.mnem) || touches_system_register(&f.in))
		return;
	if (!cpu_model_has(cpu_model_find(b->cfg.cpu_model), f.in.feature))
		return;
	/* Encodings that mean something else to newer processors than to the model:
	 * REP BSF and REP BSR (TZCNT, LZCNT), and 0F 0D with a register. */
	if (f.map == 1 && ((f.prefix == 0xf3 && (f.opcode & 0xfe) == 0xbc) || (f.opcode == 0x0d && !mem)))
		return;
	/* LOOPE and LOOPNE: some AMD processors let a REP prefix turn the condition. */
	if (f.map == 0 && f.prefix >= 0xf2 && (f.opcode & 0xfe) == 0xe0)
		return;
	f.reg = (int8_t)reg;
	f.mem = mem;
	for (unsigned i = 0; i < nforms; i++) {
		struct form *g = &forms[i];

		if (g->prefix == f.prefix && g->map == f.map && g->opcode == f.opcode &&
		    g->mem == f.mem && same_operands(&g->in, &f.in)) {
			g->reg = -1;	/* ModRM.reg is an operand, or there is no ModRM */
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
				for (int reg = 0; reg < 8; reg++) {
					form_add(b, &f, reg, false);
					form_add(b, &f, reg, true);
				}
			}
}

/* A random encoding of the form at p; its length, or 0 if this try missed. */
static unsigned form_encode(struct bench *b, const struct form *f, uint8_t *p, struct insn *in)
{
	static const uint8_t extra[] = { 0x2e, 0x36, 0x3e, 0x26, 0x67, 0xf0 };
	uint8_t bytes[24];
	unsigned n = 0, modrm;
	uint32_t disp;

	if (rnd_below(16) == 0)
		bytes[n++] = extra[rnd_below(ARRAY_LEN(extra))];
	n += encode_opcode(f, bytes + n);
	for (unsigned i = n; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)rnd();
	modrm = bytes[n];
	modrm = f->mem ? (modrm >> 6 == 3 ? modrm & 0x3f : modrm) : modrm | 0xc0;
	if (f->reg >= 0)
		modrm = (modrm & ~0x38u) | (unsigned)f->reg << 3;
	bytes[n] = (uint8_t)modrm;
	/* Keep displacements near the data. */
	if (modrm >> 6 == 2) {
		disp = (uint32_t)(rnd_below(256) - 128);
		memcpy(bytes + n + 1 + ((modrm & 7) == 4), &disp, 4);
	} else if (modrm >> 6 == 0 && (modrm & 7) == 5) {
		disp = DATA_GVA + rnd_below(DATA_SIZE);
		memcpy(bytes + n + 1, &disp, 4);
	}
	if (decode(b->decoder, HF_PE | HF_CS32 | HF_SS32, bytes, 15, in) != DECODE_OK ||
	    !same_operands(in, &f->in))
		return 0;
	/* A branch into its own middle goes on there natively before it can be stopped. */
	if (in->nopnd && in->o[0].kind == OPD_REL && -(uint32_t)in->imm - 1 < in->len)
		return 0;
	memcpy(p, bytes, in->len);
	return in->len;
}

/* --- States ------------------------------------------------------------------------ */

static uint32_t random_value(void)
{
	static const uint32_t special[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000,
					    0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe };

	switch (rnd_below(4)) {
	case 0: return special[rnd_below(ARRAY_LEN(special))];
	case 1: return rnd_below(64);
	case 2: return DATA_GVA + 0x400 + rnd_below(DATA_SIZE - 0x800);
	default: return (uint32_t)rnd();
	}
}

/* 80-bit patterns of every class: zero, denormal, normal, infinity, NaNs, unsupported. */
static void random_st(union fpreg *r)
{
	static const uint16_t exponents[] = { 0, 1, 0x3ffe, 0x3fff, 0x4000, 0x403e, 0x7ffe, 0x7fff };
	static const uint64_t mantissas[] = { 0, 1, 1ull << 63, 3ull << 62, ~0ull, 1ull << 62 };

	memset(r, 0, sizeof(*r));
	r->q[0] = rnd_below(3) ? rnd() | 1ull << 63 : mantissas[rnd_below(ARRAY_LEN(mantissas))];
	r->w[4] = (uint16_t)(rnd_below(2) ? 0x3fc0 + rnd_below(128) : exponents[rnd_below(ARRAY_LEN(exponents))]);
	r->w[4] |= (uint16_t)(rnd() & 0x8000);
}

static uint64_t random_double(void)
{
	static const uint64_t special[] = { 0, 1ull << 63, 0x3ff0000000000000, 0x7ff0000000000000,
		0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001, 1, 0x000fffffffffffff,
		0x0010000000000000, 0x7fefffffffffffff, 0x41dfffffffc00000, 0xc1e0000000000000 };
	static const uint32_t single[] = { 0, 0x80000000, 0x3f800000, 0x7f800000, 0xff800000, 0x7fc00000,
		0x7f800001, 1, 0x007fffff, 0x00800000, 0x7f7fffff, 0x4effffff, 0xcf000000 };

	switch (rnd_below(4)) {
	case 0: return special[rnd_below(ARRAY_LEN(special))];
	case 1: return (uint64_t)single[rnd_below(ARRAY_LEN(single))] << 32 | single[rnd_below(ARRAY_LEN(single))];
	case 2: return (rnd() & 0x800fffffffffffffull) | (uint64_t)(0x3f0 + rnd_below(32)) << 52;
	default: return rnd();
	}
}

static void random_state(struct bench *b, struct state_all *s, const struct insn *in, uint32_t rip)
{
	struct cpu *c = &s->cpu;

	bench_user_state(b, c, rip);
	for (int r = 0; r < 8; r++)
		c->gpr[r] = random_value();
	if (rnd_below(8))
		c->gpr[RSP] = DATA_GVA + 0x400 + rnd_below(DATA_SIZE - 0x800);
	if (in->rep || in->repne) {
		c->gpr[RCX] = rnd_below(40);
		c->gpr[RSI] = DATA_GVA + 0x800 + rnd_below(0x1000);
		c->gpr[RDI] = rnd_below(2) ? DATA_GVA + 0x800 + rnd_below(0x1000)
					   : c->gpr[RSI] + rnd_below(64) - 32;
	}
	cpu_set_eflags(c, ((uint32_t)rnd() & (FL_ARITH | FL_DF)) | FL_IF | FL_1);
	c->fpu.cw = (uint16_t)(0x40 | (rnd_below(4) ? 0x3f : rnd() & 0x3f) | (rnd() & 0xf00));
	c->fpu.sw = (uint16_t)((rnd() & 0x7f00) & ~0x0000);
	c->fpu.tags = (uint8_t)(rnd_below(3) ? 0xff : rnd());
	c->fpu.mxcsr = (uint32_t)((rnd_below(4) ? 0x1f80 : rnd() & 0x1f80) | (rnd() & 0xe07f & (rnd_below(2) ? ~0u : 0xe000u)));
	for (int r = 0; r < 8; r++) {
		random_st(&c->fpu.st[r]);
		for (int h = 0; h < 2; h++)
			c->fpu.xmm[r].q[h] = random_double();
	}
	for (unsigned i = 0; i < DATA_SIZE; i += 8) {
		uint64_t x = i & 64 ? random_double() : rnd();

		memcpy(s->data + i, &x, 8);
	}
}

/* --- The run ----------------------------------------------------------------------------- */

static unsigned reports;

static void report(const struct form *f, const uint8_t *bytes, unsigned n, const struct state_all *s,
		   const char *what)
{
	char text[96];

	if (f->bad > 2 || reports++ >= MAX_REPORTS)
		return;
	disasm(bytes, n, CODE_GVA, 32, text, sizeof(text));
	printf("# ");
	for (unsigned i = 0; i < n; i++)
		printf("%02x", bytes[i]);
	printf("  %s: %s\n#    eax %x ecx %x edx %x ebx %x esp %x ebp %x esi %x edi %x fl %x cw %x sw %x tags %x mxcsr %x\n",
	       text, what, (unsigned)s->cpu.gpr[0], (unsigned)s->cpu.gpr[1], (unsigned)s->cpu.gpr[2],
	       (unsigned)s->cpu.gpr[3], (unsigned)s->cpu.gpr[4], (unsigned)s->cpu.gpr[5],
	       (unsigned)s->cpu.gpr[6], (unsigned)s->cpu.gpr[7], cpu_eflags(&s->cpu), s->cpu.fpu.cw,
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
		n = form_encode(b, f, b->code + off, &in);
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
	unsigned states = 1000, part = 1, parts = 1, bad = 0, thin = 0, ran = 0;
	uint64_t total = 0, seed = isa_seed;
	struct bench b;
	int only = -1, r;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--states"))
			states = (unsigned)atoi(argv[i + 1]);
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
	r = bench_open(&b);
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
			printf("DIFFERS prefix %02x map %u opcode %02x /%d %s: %u of %u\n", f->prefix, f->map,
			       f->opcode, f->reg, f->mem ? "mem" : "reg", f->bad, f->good + f->faulted);
	}
	printf("%u forms, %" PRIu64 " states, %u forms differ, %u with fewer than %u unfaulted states\n",
	       ran, total, bad, thin, states);
	bench_close(&b);
	return bad != 0;
}

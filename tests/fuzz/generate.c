/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The generator: instructions by weight from a table of opcodes, operands that mostly
 * lie in the guest's data, branches that mostly go a little ahead.
 */
#include <stdio.h>
#include <string.h>

#include "debug/disasm.h"
#include "tests/fuzz/generate.h"


static uint64_t rng;

static uint64_t rnd(void)
{
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return rng * 0x2545f4914f6cdd1dull;
}
static unsigned below(unsigned n) { return (unsigned)((rnd() >> 32) % n); }
static bool one_in(unsigned n) { return below(n) == 0; }

/* --- Instructions ---------------------------------------------------------------------- */

enum { RM = 1, IB = 2, IZ = 4, J8 = 8, J32 = 16, REP = 32, LOCK = 64, NARROW = 128, STEM = 256,
       IW = 512 };
/*
 * Opcodes first..last of a map (0, 1: 0F, 2: 0F 38, 3: 0F 3A) and what follows them:
 * RM ModRM, IB/IW/IZ an immediate, J8/J32 a branch; REP, LOCK: takes the prefix;
 * NARROW: 32-bit code only; STEM: one of the prefixes none, 66, F2, F3 selects the
 * instruction. Weights are relative.
 */
static const struct row { uint8_t map, first, last; uint16_t has; uint8_t weight; } rows[] = {
	{ 0, 0x00, 0x03, RM | LOCK, 2 }, { 0, 0x08, 0x0b, RM, 2 }, { 0, 0x10, 0x13, RM | LOCK, 2 },
	{ 0, 0x18, 0x1b, RM, 2 }, { 0, 0x20, 0x23, RM, 2 }, { 0, 0x28, 0x2b, RM | LOCK, 2 },
	{ 0, 0x30, 0x33, RM, 2 }, { 0, 0x38, 0x3b, RM, 2 }, { 0, 0x04, 0x04, IB, 1 },
	{ 0, 0x15, 0x15, IZ, 1 }, { 0, 0x27, 0x27, NARROW, 1 }, { 0, 0x2f, 0x2f, NARROW, 1 },
	{ 0, 0x37, 0x37, NARROW, 1 }, { 0, 0x3f, 0x3f, NARROW, 1 }, { 0, 0x40, 0x4f, NARROW, 2 },
	{ 0, 0x50, 0x5f, 0, 3 }, { 0, 0x60, 0x62, NARROW, 1 }, { 0, 0x63, 0x63, RM, 1 },
	{ 0, 0x68, 0x68, IZ, 1 }, { 0, 0x69, 0x69, RM | IZ, 1 }, { 0, 0x6a, 0x6a, IB, 1 },
	{ 0, 0x6b, 0x6b, RM | IB, 1 }, { 0, 0x70, 0x7f, J8, 4 }, { 0, 0x80, 0x80, RM | IB, 2 },
	{ 0, 0x81, 0x81, RM | IZ | LOCK, 3 }, { 0, 0x83, 0x83, RM | IB, 3 },
	{ 0, 0x84, 0x8b, RM, 5 }, { 0, 0x8d, 0x8d, RM, 2 }, { 0, 0x8f, 0x8f, RM, 1 },
	{ 0, 0x90, 0x99, 0, 2 }, { 0, 0x9c, 0x9f, 0, 3 }, { 0, 0xa4, 0xa7, REP, 4 },
	{ 0, 0xa8, 0xa8, IB, 1 }, { 0, 0xaa, 0xaf, REP, 5 }, { 0, 0xb0, 0xb7, IB, 2 },
	{ 0, 0xb8, 0xbf, IZ, 2 }, { 0, 0xc0, 0xc1, RM | IB, 4 }, { 0, 0xc6, 0xc6, RM | IB, 1 },
	{ 0, 0xc7, 0xc7, RM | IZ, 1 }, { 0, 0xc8, 0xc8, IW | IB, 1 }, { 0, 0xc9, 0xc9, 0, 1 },
	{ 0, 0xd0, 0xd3, RM, 4 }, { 0, 0xd4, 0xd5, IB | NARROW, 1 }, { 0, 0xd7, 0xd7, 0, 1 },
	{ 0, 0xd8, 0xdf, RM, 16 }, { 0, 0xe0, 0xe3, J8, 1 }, { 0, 0xe8, 0xe9, J32, 1 },
	{ 0, 0xeb, 0xeb, J8, 1 }, { 0, 0xf5, 0xf5, 0, 1 }, { 0, 0xf8, 0xf9, 0, 1 },
	{ 0, 0xfc, 0xfd, 0, 1 }, { 0, 0xf6, 0xf7, RM, 4 }, { 0, 0xfe, 0xff, RM | LOCK, 3 },
	{ 1, 0x40, 0x4f, RM, 3 }, { 1, 0x80, 0x8f, J32, 2 }, { 1, 0x90, 0x9f, RM, 2 },
	{ 1, 0xa3, 0xa3, RM, 1 }, { 1, 0xa4, 0xa4, RM | IB, 1 }, { 1, 0xa5, 0xa5, RM, 1 },
	{ 1, 0xab, 0xab, RM | LOCK, 1 }, { 1, 0xac, 0xac, RM | IB, 1 }, { 1, 0xad, 0xad, RM, 1 },
	{ 1, 0xaf, 0xb1, RM | LOCK, 2 }, { 1, 0xb3, 0xb3, RM, 1 }, { 1, 0xb6, 0xb7, RM, 1 },
	{ 1, 0xba, 0xba, RM | IB | LOCK, 2 }, { 1, 0xbb, 0xbf, RM, 3 }, { 1, 0xc0, 0xc1, RM | LOCK, 1 },
	{ 1, 0xc8, 0xcf, 0, 1 }, { 1, 0x10, 0x17, RM | STEM, 4 }, { 1, 0x28, 0x2f, RM | STEM, 5 },
	{ 1, 0x50, 0x6f, RM | STEM, 14 }, { 1, 0x70, 0x73, RM | STEM | IB, 4 },
	{ 1, 0x74, 0x76, RM | STEM, 2 }, { 1, 0x77, 0x77, 0, 1 }, { 1, 0x7c, 0x7f, RM | STEM, 2 },
	{ 1, 0xc2, 0xc2, RM | STEM | IB, 2 }, { 1, 0xc3, 0xc3, RM, 1 }, { 1, 0xc4, 0xc6, RM | STEM | IB, 2 },
	{ 1, 0xc7, 0xc7, RM, 1 }, { 1, 0xd0, 0xef, RM | STEM, 10 }, { 1, 0xf0, 0xfe, RM | STEM, 6 },
	{ 2, 0x00, 0x0b, RM | STEM, 3 }, { 2, 0x10, 0x17, RM | STEM, 2 }, { 2, 0x1c, 0x1e, RM | STEM, 1 },
	{ 2, 0x20, 0x25, RM | STEM, 2 }, { 2, 0x28, 0x2b, RM | STEM, 1 }, { 2, 0x30, 0x41, RM | STEM, 3 },
	{ 3, 0x08, 0x0f, RM | STEM | IB, 3 }, { 3, 0x14, 0x17, RM | STEM | IB, 1 },
	{ 3, 0x20, 0x22, RM | STEM | IB, 1 }, { 3, 0x40, 0x42, RM | STEM | IB, 1 },
	{ 3, 0x60, 0x63, RM | STEM | IB, 1 },
};

/* Groups of which some cannot be compared (images that hold instruction pointers), or whose
 * effect is a state that this test leaves out: unmasked x87 exceptions. */
static bool left_out(const struct row *row, unsigned op, unsigned modrm)
{
	unsigned reg = modrm >> 3 & 7;

	if (row->map == 0 && modrm < 0xc0 && op == 0xd9)	/* FLDENV FLDCW FNSTENV */
		return reg == 4 || reg == 5 || reg == 6;
	if (row->map == 0 && modrm < 0xc0 && op == 0xdd)	/* FRSTOR FNSAVE */
		return reg == 4 || reg == 6;
	if (row->map == 0 && op == 0xff)			/* far CALL and JMP */
		return reg == 3 || reg == 5;
	if (row->map == 1 && op == 0xc7)			/* RDRAND RDSEED */
		return reg != 1;
	/* They mean something else to newer processors than to the model. */
	return row->map == 1 && (op & 0xfe) == 0xbc && reg == 8;
}

static bool self_modifying;	/* this program may store to its own code */

static uint32_t place(void)
{
	switch (below(16)) {
	case 0: return READ_GVA + below(0x1010);
	case 1: return DATA_GVA + 0x1000 * (1 + below(3)) - below(20);
	case 2: return (self_modifying ? CODE_GVA : DATA_GVA) + below(256);
	case 3: return DATA_GVA - below(16);
	default: return DATA_GVA + (below(DATA_SIZE - 64) & (one_in(2) ? ~15u : ~0u));
	}
}

static unsigned put(uint8_t *p, uint64_t x, unsigned size)
{
	memcpy(p, &x, size);
	return size;
}

/* ModRM with what follows: a register, an absolute address, or a base with an offset. */
static unsigned put_modrm(uint8_t *p, bool wide, unsigned modrm)
{
	unsigned reg = modrm & 0x38;

	if (modrm >= 0xc0)
		return put(p, modrm, 1);
	if (one_in(2)) {
		unsigned n = put(p, wide ? reg | 4 : reg | 5, 1);

		if (wide)
			n += put(p + n, 0x25, 1);
		return n + put(p + n, place(), 4);
	}
	p[0] = (uint8_t)modrm;
	unsigned n = 1, base = modrm & 7;

	if (base == 4) {
		p[n++] = (uint8_t)(rnd() & (one_in(2) ? 0x27 : 0xff));
		base = p[1] & 7;
	}
	if (modrm >> 6 == 1)
		n += put(p + n, rnd() & 0x7f, 1);
	else if (modrm >> 6 == 2)
		n += put(p + n, below(512), 4);
	else if (base == 5)
		n += put(p + n, wide && (modrm & 7) == 5 ? below(512) : place(), 4);
	return n;
}

static const struct row *pick(bool wide)
{
	static unsigned total;

	if (!total)
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			total += rows[i].weight;
	for (;;) {
		unsigned at = below(total);
		const struct row *r = rows;

		while (at >= r->weight)
			at -= (r++)->weight;
		if (!wide || !(r->has & NARROW))
			return r;
	}
}

static unsigned insn_make(uint8_t *p, bool wide)
{
	static const uint8_t stems[4] = { 0, 0x66, 0xf2, 0xf3 };
	const struct row *r = pick(wide);
	unsigned n = 0, op = r->first + below(r->last - r->first + 1u), modrm, stem = 0;
	bool small = false, rexw = false;

	if (one_in(100)) {		/* anything */
		for (n = 0; n < 4; n++)
			p[n] = (uint8_t)rnd();
		return n;
	}
	do
		modrm = (unsigned)(rnd() & 0xff);
	while (left_out(r, op, modrm));
	if (r->has & STEM) {
		stem = stems[below(r->map == 1 ? 4 : 2)];
		if (stem)
			p[n++] = (uint8_t)stem;
	} else if (!(r->has & (J8 | J32)) && one_in(6)) {
		p[n++] = 0x66;
		small = true;
	}
	if ((r->has & REP) && one_in(2))
		p[n++] = one_in(3) ? 0xf2 : 0xf3;
	if ((r->has & LOCK) && modrm < 0xc0 && one_in(4))
		p[n++] = 0xf0;
	if (wide && one_in(3)) {
		p[n] = (uint8_t)(0x40 | below(16));
		rexw = p[n++] & 8;
	}
	if (r->map)
		p[n++] = 0x0f;
	if (r->map > 1)
		p[n++] = r->map == 2 ? 0x38 : 0x3a;
	p[n++] = (uint8_t)op;
	if (r->has & RM)
		n += put_modrm(p + n, wide, modrm);
	if (r->map == 0 && (op & 0xfe) == 0xf6 && (modrm & 0x30) == 0)	/* TEST */
		return n + put(p + n, rnd(), op == 0xf6 ? 1 : small && !rexw ? 2 : 4);
	if (r->has & IW)
		n += put(p + n, below(64), 2);
	if (r->has & IZ)
		n += put(p + n, one_in(2) ? place() : rnd(), rexw && r->map == 0 && (op & 0xf8) == 0xb8 ? 8 :
			 small && !rexw ? 2 : 4);
	if (r->has & IB)
		n += put(p + n, r->has & IW ? below(4) : rnd(), 1);
	if (r->has & J8)
		n += put(p + n, below(one_in(10) ? 256 : 24), 1);
	if (r->has & J32)
		n += put(p + n, below(24), 4);
	return n;
}

/* --- Programs ---------------------------------------------------------------------------- */

static uint64_t any_double(void)
{
	static const uint64_t special[] = { 0, 1ull << 63, 0x3ff0000000000000, 0x7ff0000000000000,
		0x7ff8000000000000, 0x7ff0000000000001, 1, 0x7fefffffffffffff, 0x41dfffffffc00000,
		0x3f8000007f800000, 0x7fc0000000000001, 0xff80000100800000 };

	return one_in(2) ? special[below(ARRAY_LEN(special))] :
	       one_in(2) ? rnd() : (rnd() & 0x800fffffffffffffull) | (uint64_t)(0x3f0 + below(32)) << 52;
}

void program_make(struct program *p, bool wide, uint64_t seed)
{
	unsigned end;

	rng = (seed << 1 | wide) * 0x9e3779b97f4a7c15ull | 1;
	for (int i = 0; i < 8; i++)
		rnd();
	memset(p, 0, sizeof(*p));
	self_modifying = one_in(4);
	for (unsigned i = 0; i < CODE_SIZE; i += 2)
		put(p->code + i, 0x0b0f, 2);	/* UD2 */
	p->n = 5 + below(INSNS_MAX - 4);
	/* Some across the end of the page. */
	p->entry = end = one_in(4) ? 0x1000 - below(120) : below(64);
	for (unsigned i = 0; i < p->n; i++) {
		p->at[i] = end;
		end += insn_make(p->code + end, wide);
	}
	p->at[p->n] = end;
	for (unsigned i = 0; i < DATA_SIZE; i += 8)
		put(p->data + i, i & 64 ? any_double() : one_in(4) ? place() : rnd(), 8);
	for (unsigned r = 0; r < (wide ? 16 : 8); r++)
		p->gpr[r] = one_in(2) ? place() : one_in(2) ? below(64) : wide ? rnd() : (uint32_t)rnd();
	p->gpr[RSP] = DATA_GVA + 0x2000 + below(0x400) * (one_in(8) ? 1 : 8);
	if (one_in(2))
		p->gpr[RCX] = below(20);
	p->flags = (uint32_t)(rnd() & FL_ARITH) | (one_in(4) ? FL_DF : 0) | FL_IF | FL_1;
	p->fpu.cw = (uint16_t)(0x7f | (rnd() & 0xf00));
	p->fpu.sw = (uint16_t)(rnd() & 0x7f00);
	p->fpu.tags = (uint8_t)(one_in(2) ? 0xff : rnd());
	p->fpu.mxcsr = (uint32_t)((one_in(4) ? rnd() & 0x1f80 : 0x1f80) | (rnd() & 0xe040));
	for (unsigned r = 0; r < 8; r++) {
		p->fpu.st[r].q[0] = rnd() | 1ull << 63;
		p->fpu.st[r].w[4] = (uint16_t)(one_in(4) ? rnd() : 0x3fc0 + below(128));
	}
	for (unsigned r = 0; r < (wide ? 16 : 8); r++)
		for (unsigned h = 0; h < 2; h++)
			p->fpu.xmm[r].q[h] = any_double();
}

/* --- Noise --------------------------------------------------------------------------------- */

#define SLOT	15u	/* the longest instruction */

/* ModRM of 16-bit addressing, often a displacement alone (SDM 2 table 2-1). */
static void put_modrm16(uint8_t *p)
{
	unsigned modrm = (unsigned)(rnd() & 0xff);

	if (modrm < 0xc0 && one_in(2))
		modrm = (modrm & 0x38) | 6;
	p[0] = (uint8_t)modrm;
	if (modrm >> 6 == 2 || (modrm & 0xc7) == 6)
		put(p + 1, modrm >> 6 == 2 ? below(512) : place() - DATA_GVA, 2);
}

/* Prefixes, any opcode of any map, and an operand that mostly lies in the data. */
static void put_opcode(uint8_t *p, unsigned bits)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0xf0 };
	unsigned n = 0, many = one_in(16) ? below(15) : one_in(2) ? 0 : below(3);

	while (n < many)
		p[n++] = prefixes[below(sizeof(prefixes))];
	if (bits == 64 && one_in(2))
		p[n++] = (uint8_t)(0x40 | below(16));
	if (!one_in(4)) {
		p[n++] = 0x0f;
		if (one_in(3))
			p[n++] = one_in(2) ? 0x38 : 0x3a;
	}
	p[n++] = (uint8_t)rnd();
	if (bits == 16)
		put_modrm16(p + n);
	else
		put_modrm(p + n, bits == 64, (unsigned)(rnd() & 0xff));
}

/* What pointed to the data is an offset in its segment; bits 31:16 must not matter, mostly. */
static void narrow_registers(struct program *p)
{
	for (unsigned r = 0; r < 8; r++) {
		if (p->gpr[r] - (DATA_GVA - PAGE_SIZE) < DATA_SIZE + 3 * PAGE_SIZE)
			p->gpr[r] = (p->gpr[r] - DATA_GVA) & 0xffff;
		if (one_in(4))
			p->gpr[r] = (p->gpr[r] & 0xffff) | (rnd() & 0xffff0000u);
	}
}

void program_make_noise(struct program *p, unsigned bits, uint64_t seed)
{
	bool wide = bits == 64;
	unsigned end;

	program_make(p, wide, seed);
	if (bits == 16)
		narrow_registers(p);
	self_modifying = false;
	p->n = INSNS_MAX;
	/* Now and then up to the end of the code, behind which nothing is mapped. */
	p->entry = end = one_in(8) ? CODE_SIZE - INSNS_MAX * SLOT + below(SLOT) : 0x1000 - below(INSNS_MAX * SLOT);
	for (unsigned i = 0; i < p->n; i++, end += SLOT) {
		uint8_t slot[64];
		unsigned kind = below(4);

		p->at[i] = end;
		for (unsigned k = 0; k < sizeof(slot); k++)
			slot[k] = (uint8_t)rnd();
		if (kind == 1 || kind == 2)
			put_opcode(slot, bits);
		if (kind == 3) {
			insn_make(slot, wide);
			slot[below(4)] ^= (uint8_t)(1u << below(8));
		}
		memcpy(p->code + end, slot, end + SLOT > CODE_SIZE ? CODE_SIZE - end : SLOT);
	}
	p->at[p->n] = end;
}

/* As a kernel would: the stores are seen by who holds code of these pages. */
void program_load(struct guest *g, const struct program *p, bool code)
{
	g->m.cpu->cpl = 0;
	if (code)
		phys_write_bulk(&g->m.mem, CODE_GVA, p->code, CODE_SIZE);
	phys_write_bulk(&g->m.mem, DATA_GVA, p->data, DATA_SIZE);
	guest_reset(g);
	for (unsigned r = 0; r < 16; r++)
		g->m.cpu->gpr[r] = p->gpr[r];
	cpu_set_eflags(g->m.cpu, p->flags);
	g->m.cpu->fpu = p->fpu;
	g->m.cpu->rip = guest_origin(g) + p->entry;
}

unsigned program_next(const struct program *p, uint64_t rip)
{
	for (unsigned i = 0; i + 1 < p->n; i++)
		if (CODE_GVA + p->at[i] == rip)
			return p->at[i + 1];
	return 0;
}

void program_show(const struct program *p, bool wide)
{
	char text[96];

	for (unsigned i = 0; i < p->n; i++) {
		const uint8_t *b = p->code + p->at[i];
		unsigned len = p->at[i + 1] - p->at[i];

		if (b[0] == 0x90 && len > 1 && b[1] == 0x90)
			continue;
		if (!disasm(b, 15, CODE_GVA + p->at[i], wide ? 64 : 32, text, sizeof(text)))
			snprintf(text, sizeof(text), "?");
		fprintf(stderr, "    %x  ", CODE_GVA + p->at[i]);
		for (unsigned k = 0; k < len; k++)
			fprintf(stderr, "%02x", b[k]);
		fprintf(stderr, "  %s\n", text);
	}
}

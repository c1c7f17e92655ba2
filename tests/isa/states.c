/* SPDX-License-Identifier: BSD-2-Clause */
/* Random states: values that make cases, addresses that mostly lie in the data. */
#include <string.h>

#include "tests/isa/isa.h"

static uint64_t random_value(bool wide)
{
	static const uint32_t special[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000,
					    0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe };

	switch (rnd_below(4)) {
	case 0: return wide && rnd_below(2) ? (uint64_t)(int32_t)special[rnd_below(ARRAY_LEN(special))]
					    : special[rnd_below(ARRAY_LEN(special))];
	case 1: return rnd_below(64);
	case 2: return DATA_GVA + 0x400 + (rnd_below(DATA_SIZE - 0x800) & (rnd_below(2) ? ~15u : ~0u));
	default: return wide ? rnd() : (uint32_t)rnd();
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

void random_state(struct bench *b, struct state_all *s, const struct insn *in, uint32_t rip)
{
	struct cpu *c = &s->cpu;

	bench_user_state(b, c, rip);
	for (int r = 0; r < (b->wide ? 16 : 8); r++)
		c->gpr[r] = random_value(b->wide);
	if (b->wide) {
		c->seg[SEG_FS].base = rnd_below(2) ? rnd_below(0x400) : 0;
		c->seg[SEG_GS].base = rnd_below(0x400);
	}
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
	for (int r = 0; r < 8; r++)
		random_st(&c->fpu.st[r]);
	for (int r = 0; r < (b->wide ? 16 : 8); r++)
		for (int h = 0; h < 2; h++)
			c->fpu.xmm[r].q[h] = random_double();
	for (unsigned i = 0; i < DATA_SIZE; i += 8) {
		uint64_t x = i & 64 ? random_double() : rnd();

		memcpy(s->data + i, &x, 8);
	}
}

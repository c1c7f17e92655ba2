/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every x87 instruction over all classes of operands, all roundings and precisions,
 * exceptions masked and not, registers empty and not: results, status word, tags and
 * memory are the host's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interp/fpu.h"
#include "tests/fpu_bench.h"
#include "tests/suite.h"

/* --- Classes of operands -------------------------------------------------------------- */

static const struct extended { uint16_t exponent; uint64_t fraction; } extended[] = {
	{ 0, 0 },					/* zero */
	{ 0, 1 }, { 0, 0x7fffffffffffffff },		/* denormals */
	{ 0, 0x8000000000000000 }, { 0, 0xc000000000000001 },	/* pseudo-denormals */
	{ 1, 0x8000000000000000 }, { 0x3fbe, 0xffffffffffffffff },	/* normals, small */
	{ 0x3f80, 0x8000000000000001 }, { 0x3ffd, 0x9a209a84fbcff799 },	/* lg 2 */
	{ 0x3ffe, 0x8000000000000000 }, { 0x3ffe, 0xffffffffffffffff },
	{ 0x3fff, 0x8000000000000000 }, { 0x3fff, 0x8000000000000001 }, { 0x3fff, 0xc000000000000000 },
	{ 0x4000, 0x8000000000000000 }, { 0x4000, 0xc90fdaa22168c235 },	/* pi */
	{ 0x400d, 0xfffe000000000000 }, { 0x401e, 0x8000000000000000 },	/* ends of the integers */
	{ 0x401d, 0xfffffffc00000000 }, { 0x403e, 0x8000000000000000 }, { 0x403d, 0xfffffffffffffffe },
	{ 0x403e, 0xde0b6b3a763ffff0 }, { 0x4040, 0xfedcba9876543211 },
	{ 0x407e, 0xffffff8000000000 }, { 0x43fe, 0xfffffffffffffc00 },	/* ends of float, double */
	{ 0x7ffe, 0xffffffffffffffff },
	{ 0x7fff, 0x8000000000000000 },			/* infinity */
	{ 0x7fff, 0x8000000000000001 }, { 0x7fff, 0xbfffffffffffffff },	/* signalling NaNs */
	{ 0x7fff, 0xc000000000000000 }, { 0x7fff, 0xffffffffffffffff },	/* quiet NaNs */
	{ 0x4000, 0x4000000000000000 }, { 1, 0 },	/* unnormals */
	{ 0x7fff, 0 }, { 0x7fff, 0x4000000000000001 },	/* pseudo-infinity, pseudo-NaN */
};
#define CLASSES	(2 * ARRAY_LEN(extended))	/* either sign */

static const uint64_t singles[] = { 0, 1, 0x007fffff, 0x00800000, 0x3f7fffff, 0x3f800000, 0x3f800001,
	0x40490fdb, 0x4effffff, 0x4f000000, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fc00000 };
static const uint64_t doubles[] = { 0, 1, 0x000fffffffffffff, 0x0010000000000000, 0x3fefffffffffffff,
	0x3ff0000000000000, 0x3ff0000000000001, 0x400921fb54442d18, 0x41dfffffffc00000,
	0x43e0000000000000, 0x7fefffffffffffff, 0x7ff0000000000000, 0x7ff0000000000001,
	0x7ff8000000000000 };
static const uint64_t integers[] = { 0, 1, 2, 3, 99, 0x7f, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
	0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff };
static const struct { uint64_t low; uint16_t high; } decimals[] = {
	{ 0, 0 }, { 0, 0x8000 }, { 1, 0 }, { 0x9999999999999999, 0x8099 }, { 0x1234567890123456, 0x0078 },
	{ 0xabcdef, 0x7f00 }, { 0, 0xffff },	/* what FBSTP stores for what it cannot */
};

static void put_extended(uint8_t *p, unsigned class)
{
	const struct extended *x = &extended[class / 2];
	uint16_t se = (uint16_t)(x->exponent | (class & 1) << 15);

	memcpy(p, &x->fraction, 8);
	memcpy(p + 8, &se, 2);
}

enum format { NONE, SINGLE, DOUBLE, EXTENDED, WORD, DWORD, QWORD, DECIMAL, CONTROL };

/* Of D8 to DF, by opcode and /reg (SDM 2 D.3); environments have tests of their own. */
static const uint8_t formats[8][8] = {
	{ SINGLE, SINGLE, SINGLE, SINGLE, SINGLE, SINGLE, SINGLE, SINGLE },
	{ SINGLE, NONE, SINGLE, SINGLE, NONE, CONTROL, NONE, CONTROL },
	{ DWORD, DWORD, DWORD, DWORD, DWORD, DWORD, DWORD, DWORD },
	{ DWORD, DWORD, DWORD, DWORD, NONE, EXTENDED, NONE, EXTENDED },
	{ DOUBLE, DOUBLE, DOUBLE, DOUBLE, DOUBLE, DOUBLE, DOUBLE, DOUBLE },
	{ DOUBLE, QWORD, DOUBLE, DOUBLE, NONE, NONE, NONE, CONTROL },
	{ WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD },
	{ WORD, WORD, WORD, WORD, DECIMAL, QWORD, DECIMAL, QWORD },
};

/* How many operands of that format there are; the k-th, at p. */
static unsigned memory_operand(enum format format, unsigned k, uint8_t *p)
{
	uint64_t x = 0;

	switch (format) {
	case SINGLE:
		x = singles[k / 2 % ARRAY_LEN(singles)] | (uint64_t)(k & 1) << 31;
		memcpy(p, &x, 4);
		return 2 * ARRAY_LEN(singles);
	case DOUBLE:
		x = doubles[k / 2 % ARRAY_LEN(doubles)] | (uint64_t)(k & 1) << 63;
		memcpy(p, &x, 8);
		return 2 * ARRAY_LEN(doubles);
	case EXTENDED:
		put_extended(p, k % CLASSES);
		return CLASSES;
	case WORD: case DWORD: case QWORD:
		memcpy(p, &integers[k % ARRAY_LEN(integers)], 8);
		return ARRAY_LEN(integers);
	case DECIMAL:
		memcpy(p, &decimals[k % ARRAY_LEN(decimals)].low, 8);
		memcpy(p + 8, &decimals[k % ARRAY_LEN(decimals)].high, 2);
		return ARRAY_LEN(decimals);
	case CONTROL:
		x = CW_FIXED | CW_MASKS | (k & 15) << 8;
		memcpy(p, &x, 2);
		return 16;
	case NONE:
		break;
	}
	return 0;
}

/* --- States --------------------------------------------------------------------------- */

/* Rounding and precision (24, 53, 64 bits); exceptions masked or none of them. */
static const uint16_t controls[] = {
	0x037f, 0x077f, 0x0b7f, 0x0f7f, 0x027f, 0x067f, 0x0a7f, 0x0e7f, 0x007f, 0x047f, 0x087f, 0x0c7f,
	0x0340, 0x0740, 0x0b40, 0x0f40, 0x0240, 0x0640, 0x0a40, 0x0e40, 0x0040, 0x0440, 0x0840, 0x0c40,
};
/* Which registers are valid, ST(0) at bit 0: one empty, all full, ST(0) or ST(1) empty, none. */
static const uint8_t valid[] = { 0x7f, 0xff, 0x7e, 0x7d, 0x00 };
#define TOP	3u

static void state_make(struct state *s, unsigned control, unsigned tags, unsigned st0, unsigned sti)
{
	uint16_t sw = TOP << SW_TOP_SHIFT | 0x4700;	/* condition codes set: who clears them is seen */
	uint32_t mxcsr = MXCSR_INIT;

	memset(s, 0, sizeof(*s));
	memcpy(s->fx, &controls[control], 2);
	memcpy(s->fx + 2, &sw, 2);
	s->fx[4] = (uint8_t)(valid[tags] << TOP | valid[tags] >> (8 - TOP));
	memcpy(s->fx + 24, &mxcsr, 4);
	for (unsigned i = 0; i < 8; i++)
		put_extended(s->fx + ST(i), i ? sti : st0);
	s->gpr[RSI] = s->gpr[RDI] = (uintptr_t)buffer + 64;
	s->arith = 0x200;
}

/* --- The comparison --------------------------------------------------------------------- */

static uint64_t states;
static unsigned differences;

static void try_state(const struct insn *in, const struct op *op, const struct state *before)
{
	static struct state host, guest;

	host = guest = *before;
	run_host(&host);
	run_guest(&guest, op);
	forget_pointers(in->mnem, &host, &guest);
	states++;
	if (memcmp(&host, &guest, sizeof(host)) == 0 || !compare(before, &host, &guest))
		return;
	differences++;
	fprintf(stderr, "%s, bytes %02x %02x", fpu_name(in->mnem), code[0], code[1]);
	hex("; state", before->fx, 28);
	hex("st0", before->fx + ST(0), 10);
	hex("st1", before->fx + ST(1), 10);
	hex("memory", before->mem + 64, 16);
}

/* All pairs of classes with the usual tags; the other tags with some. */
static void try_form(const struct insn *in, const struct op *op, enum format format, unsigned step)
{
	static struct state s;
	uint8_t scratch[16] = { 0 };
	unsigned others = format ? memory_operand(format, 0, scratch) : CLASSES;
	unsigned n = 0;

	for (unsigned tags = 0; tags < ARRAY_LEN(valid); tags++)
		for (unsigned control = 0; control < ARRAY_LEN(controls); control++)
			for (unsigned st0 = 0; st0 < CLASSES; st0++)
				for (unsigned k = 0; k < others && differences < 20; k++) {
					if (tags && (st0 + k + control) % 61)
						continue;
					if (n++ % step)
						continue;
					state_make(&s, control, tags, st0, format ? 22 : k);
					if (format)
						memory_operand(format, k, s.mem + 64);
					try_state(in, op, &s);
				}
}

/* Sanitizers make it some five times as slow, and hosts differ by as much. */
#ifdef __SANITIZE_ADDRESS__
#define STEP	31
#else
#define STEP	7
#endif

/* X87_STEP=n in the environment: every n-th state only; 1 is all of them. */
static unsigned step_wanted(void)
{
	const char *n = getenv("X87_STEP");

	return n && atoi(n) > 0 ? (unsigned)atoi(n) : STEP;
}

/* One opcode of the eight. */
START_TEST(classes)
{
	struct decoder *d = decoder_create();
	const unsigned opcode = (unsigned)_i;

	for (unsigned modrm = 0; modrm < 256; modrm++) {
		unsigned mod = modrm >> 6, reg = modrm >> 3 & 7, rm = modrm & 7;
		enum format format = mod == 3 ? NONE : (enum format)formats[opcode][reg];
		uint8_t b[16] = { (uint8_t)(0xd8 + opcode), (uint8_t)modrm };
		struct insn in;
		struct op op;

		if (mod == 3 ? rm > 1 && rm != 5 && !(opcode == 1 && reg >= 4) && opcode != 3
			     : mod != 0 || rm != 6 || !format)
			continue;
		if (decode(d, HF_CS64 | HF_PE, b, 15, &in) != DECODE_OK || !fpu_name(in.mnem))
			continue;
		lower_one(&in, b, &op);
		memcpy(code, b, in.len);
		code[in.len] = 0xc3;
		try_form(&in, &op, format, step_wanted());
	}
	decoder_destroy(d);
	ck_assert_uint_gt(states, 0);
	fprintf(stderr, "check_x87: D%X: %llu states\n", 8 + opcode, (unsigned long long)states);
	ck_assert_uint_eq(differences, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("x87");
	TCase *t = tcase_create("classes");

	tcase_set_timeout(t, 0);
	tcase_add_checked_fixture(t, fpu_bench_open, fpu_bench_close);
	tcase_add_loop_test(t, classes, 0, 8);
	suite_add_tcase(s, t);
	return suite_run(s);
}

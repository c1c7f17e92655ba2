/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every x87, MMX and SSE encoding, on the interpreter's handlers and on the host
 * CPU, from the same random state: all registers, flags, memory and faults must
 * agree, with exceptions masked and unmasked, all roundings and precisions, full and
 * empty stacks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interp/fpu.h"
#include "machine/machine.h"
#include "tests/fpu_bench.h"
#include "tests/host_has.h"
#include "tests/suite.h"

static unsigned differences;
static bool verbose;

/* --- Random states -------------------------------------------------------------------------- */

static uint64_t rnd_state = 88172645463325252ull;
static uint64_t rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state * 0x2545f4914f6cdd1dull;
}

static uint64_t rnd_bits(void)
{
	switch (rnd() >> 33 & 7) {
	case 0: return 0;
	case 1: return ~0ull;
	case 2: return 1ull << (rnd() & 63);
	case 3: return ~0ull << (rnd() & 63);
	case 4: return rnd() & 0xff;
	case 5: return rnd() & 0x00ff00ff00ff00ff;
	default: return rnd();
	}
}

/* A sign, an exponent near an end, near the middle or anywhere, and a fraction of
 * some shape; ebits and fbits are the format's. */
static uint64_t rnd_float(unsigned ebits, unsigned fbits)
{
	uint64_t emax = (1ull << ebits) - 1, e, f = rnd_bits() & ((1ull << fbits) - 1);

	switch (rnd() >> 33 & 7) {
	case 0: e = 0; break;
	case 1: e = emax; break;
	case 2: e = rnd() & 3; break;
	case 3: e = emax - (rnd() & 3); break;
	case 4: e = rnd() & emax; break;
	default: e = (emax >> 1) + (rnd() & 15) - 7; break;
	}
	return (rnd() >> 40 & 1) << (ebits + fbits) | e << fbits | f;
}

static uint64_t rnd_quad(void)
{
	switch (rnd() >> 33 & 3) {
	case 0: return rnd_bits();
	case 1: return rnd_float(11, 52);
	default: return rnd_float(8, 23) | rnd_float(8, 23) << 32;
	}
}

static void rnd_extended(uint8_t *p)
{
	uint64_t se = rnd_float(15, 0), frac = rnd_bits();
	unsigned kind = rnd() >> 33 & 15;

	if (kind < 3)		/* small integers, for conversions and remainders */
		se = 0x3fff + (rnd() & 63), frac = rnd();
	if (kind < 14 && (se & 0x7fff))	/* else unsupported */
		frac |= 1ull << 63;
	memcpy(p, &frac, 8);
	memcpy(p + 8, &se, 2);
}

static void set16(uint8_t *p, unsigned x) { uint16_t w = (uint16_t)x; memcpy(p, &w, 2); }

/* How much of the state is unusual. */
struct variety { bool unmasked, stack, pending, unaligned; };

static void rnd_state_make(struct state *s, const struct variety *y)
{
	struct fpu t = { 0 };
	uint64_t q;

	memset(s, 0, sizeof(*s));
	t.cw = (uint16_t)(CW_FIXED | CW_MASKS | (rnd() & 0x1f00));
	if (!(rnd() & 3))
		t.cw = CW_INIT;
	if (y->unmasked)
		t.cw &= (uint16_t)~(rnd() & rnd() & CW_MASKS);
	t.sw = (uint16_t)(rnd() & (SW_CC | SW_TOP));
	if (!(rnd() & 3))
		t.sw |= (uint16_t)(rnd() & (SW_FLAGS | SW_SF));
	if (!y->pending)
		t.sw &= (uint16_t)~(~t.cw & CW_MASKS);
	x87_summarize(&t);
	t.tags = y->stack ? (uint8_t)rnd() : (uint8_t)~(1u << ((x87_top(&t) - 1) & 7));
	set16(s->fx, t.cw);
	set16(s->fx + 2, t.sw);
	s->fx[4] = t.tags;
	set16(s->fx + 6, rnd() & 0x7ff);
	q = rnd() & 0xffffffff;
	memcpy(s->fx + 8, &q, 8);
	q = rnd() & 0xffffffff;
	memcpy(s->fx + 16, &q, 8);
	t.mxcsr = MXCSR_MASKS | (rnd() & (rnd() & 1 ? 0xe040 : 0xe07f));
	if (!(rnd() & 3))
		t.mxcsr = MXCSR_INIT;
	if (y->unmasked)
		t.mxcsr &= ~(uint32_t)(rnd() & rnd() & MXCSR_MASKS);
	memcpy(s->fx + 24, &t.mxcsr, 4);
	for (int i = 0; i < 8; i++)
		rnd_extended(s->fx + 32 + 16 * i);
	for (int i = 0; i < 32; i++) {
		q = rnd_quad();
		memcpy(s->fx + 160 + 8 * i, &q, 8);
	}
	for (unsigned i = 0; i < BUF_SIZE / 8; i++) {
		q = rnd_quad();
		memcpy(s->mem + 8 * i, &q, 8);
	}
	if (rnd() & 1)
		rnd_extended(s->mem + 64);
	if (rnd() & 1)	/* a valid MXCSR where FXRSTOR and LDMXCSR look */
		memset(s->mem + 64 + 26, 0, 2);
	if (rnd() & 1)
		memset(s->mem + 66, 0, 2);
	s->mem[64 + 26] &= 0xfd;	/* bit 17 is AMD's alone */
	s->mem[66] &= 0xfd;
	for (int i = 0; i < GPRS; i++)
		s->gpr[i] = rnd_quad();
	s->gpr[RSP] = s->gpr[RBP] = 0;
	s->gpr[RSI] = s->gpr[RDI] = (uintptr_t)buffer + 64;
	if (y->unaligned)
		s->gpr[RSI] += 4;
	s->arith = flags_to_arith((uint32_t)rnd() & FL_ARITH) | 0x200;
}

static void try_one(const struct insn *in, const uint8_t *bytes, const struct variety *y)
{
	static struct state before, host, guest;
	struct op op;

	lower_one(in, bytes, &op);
	rnd_state_make(&before, y);
	memcpy(code, bytes, in->len);
	code[in->len] = 0xc3;
	host = guest = before;
	run_host(&host);
	run_guest(&guest, &op);
	forget_pointers(in->mnem, &host, &guest);
	if (!compare(&before, &host, &guest))
		return;
	differences++;
	fprintf(stderr, "%s, bytes", fpu_name(in->mnem));
	for (unsigned i = 0; i < in->len; i++)
		fprintf(stderr, " %02x", bytes[i]);
	hex("; state", before.fx, 28);
	hex("st0", before.fx + 32, 10);
	hex("memory", before.mem + 64, 16);
}

/* Encodings to try: every opcode of the maps that these units live in. */
static void for_encodings(bool x87, unsigned times, const struct variety *y)
{
	static const char *const prefixes[] = { "", "\x66", "\xf3", "\xf2" };
	static const char *const maps[] = { "\x0f", "\x0f\x38", "\x0f\x3a" };
	struct decoder *d = decoder_create();
	struct insn in;
	uint8_t b[16];
	const char *only = getenv("FPU_ONLY");

	for (unsigned t = 0; t < times; t++)
	for (unsigned p = 0; p < (x87 ? 2 : 4); p++)
	for (unsigned rex = 0; rex < (x87 ? 1 : 2); rex++)
	for (unsigned m = 0; m < (x87 ? 1 : 3); m++)
	for (unsigned opcode = 0; opcode < (x87 ? 8 : 256); opcode++)
	for (unsigned modrm = 0; modrm < 256; modrm++) {
		unsigned n = 0, mod = modrm >> 6, rm = modrm & 7;
		unsigned before = differences;

		if (mod == 1 || mod == 2 || (mod == 0 && rm != 6))
			continue;
		if (!x87 && m == 0 && (opcode == 0x38 || opcode == 0x3a))
			continue;	/* these are the other maps */
		/* x87: all; else one of the registers that matter, chosen at random. */
		if (!x87 && (modrm & 0x20 || (mod == 3 && rm > 3)) && opcode != 0xae &&
		    (opcode < 0x71 || opcode > 0x73))
			continue;
		memset(b, 0, sizeof(b));
		for (const char *c = prefixes[p]; *c; c++)
			b[n++] = (uint8_t)*c;
		if (rex)
			b[n++] = 0x48;
		for (const char *c = maps[m]; !x87 && *c; c++)
			b[n++] = (uint8_t)*c;
		b[n++] = (uint8_t)(x87 ? 0xd8 + opcode : opcode);
		b[n++] = (uint8_t)modrm;
		b[n] = (uint8_t)rnd();
		if (decode(d, HF_CS64 | HF_PE, b, 15, &in) != DECODE_OK || !fpu_name(in.mnem) ||
		    in.feature == F_XSAVE || in.feature == F_XSAVEOPT ||	/* check_xsave.c's */
		    !host_has(in.feature))
			continue;
		if (only && strcmp(only, fpu_name(in.mnem)))
			continue;
		try_one(&in, b, y);
		if (differences != before && !verbose)
			break;
		if (differences > 20 && !verbose)
			goto out;
	}
out:
	decoder_destroy(d);
}

static void setup(void)
{
	fpu_bench_open();
	verbose = getenv("FPU_VERBOSE") != NULL;
}

/* FPU_TIMES=n in the environment makes the comparison n times as long. */
static unsigned times(void)
{
	const char *n = getenv("FPU_TIMES");

	return n ? (unsigned)atoi(n) : 1;
}

static const struct variety varieties[] = {
	{ 0 },
	{ .unmasked = true },
	{ .stack = true },
	{ .unmasked = true, .stack = true },
	{ .unmasked = true, .pending = true },
	{ .unaligned = true },
};

START_TEST(x87_agrees)
{
	differences = 0;
	for_encodings(true, 30 * times(), &varieties[_i]);
	ck_assert_uint_eq(differences, 0);
}
END_TEST

START_TEST(sse_agrees)
{
	differences = 0;
	for_encodings(false, 6 * times(), &varieties[_i]);
	ck_assert_uint_eq(differences, 0);
}
END_TEST

/* --- What a process cannot show: control registers and real-mode formats -------------- */

static void decode_one(const char *bytes, struct op *op)
{
	struct decoder *d = decoder_create();
	uint8_t b[16] = { 0 };
	struct insn in;

	memcpy(b, bytes, strlen(bytes));	/* none of them holds a zero */
	ck_assert_int_eq(decode(d, HF_CS64 | HF_PE, b, 15, &in), DECODE_OK);
	lower_one(&in, b, op);
	decoder_destroy(d);
}

static const struct gate {
	const char *name, *bytes;
	uint32_t cr0, cr4;	/* changed from the usual */
	bool pending;
	int vector;
} gates[] = {
	{ "fadd, EM", "\xd8\xc1", CR0_EM, 0, false, VEC_NM },
	{ "fadd, TS", "\xd8\xc1", CR0_TS, 0, false, VEC_NM },
	{ "fadd, pending", "\xd8\xc1", 0, 0, true, VEC_MF },
	{ "fnstsw, TS", "\xdf\xe0", CR0_TS, 0, false, VEC_NM },
	{ "fnstsw, pending", "\xdf\xe0", 0, 0, true, -1 },
	{ "fnclex, pending", "\xdb\xe2", 0, 0, true, -1 },
	{ "fnsave, pending", "\xdd\x36", 0, 0, true, -1 },
	{ "frstor, pending", "\xdd\x26", 0, 0, true, VEC_MF },
	{ "fwait, EM", "\x9b", CR0_EM, 0, false, -1 },
	{ "fwait, TS", "\x9b", CR0_TS, 0, false, VEC_NM },
	{ "fwait, TS without MP", "\x9b", CR0_TS | CR0_MP, 0, false, -1 },
	{ "fwait, pending", "\x9b", 0, 0, true, VEC_MF },
	{ "paddb mm, EM", "\x0f\xfc\xc1", CR0_EM | CR0_TS, 0, false, VEC_UD },
	{ "paddb mm, TS", "\x0f\xfc\xc1", CR0_TS, 0, true, VEC_NM },
	{ "paddb mm, pending", "\x0f\xfc\xc1", 0, 0, true, VEC_MF },
	{ "paddb xmm, EM", "\x66\x0f\xfc\xc1", CR0_EM, 0, false, VEC_UD },
	{ "paddb xmm, TS", "\x66\x0f\xfc\xc1", CR0_TS, 0, true, VEC_NM },
	{ "paddb xmm, no OSFXSR", "\x66\x0f\xfc\xc1", CR0_TS, CR4_OSFXSR, false, VEC_UD },
	{ "paddb xmm, pending", "\x66\x0f\xfc\xc1", 0, 0, true, -1 },
	{ "movq2dq, pending", "\xf3\x0f\xd6\xc1", 0, 0, true, VEC_MF },
	{ "divss, unmasked", "\xf3\x0f\x5e\xc1", 0, 0, false, VEC_XM },
	{ "divss, no OSXMMEXCPT", "\xf3\x0f\x5e\xc1", 0, CR4_OSXMMEXCPT, false, VEC_UD },
	{ "ldmxcsr, no OSFXSR", "\x0f\xae\x16", 0, CR4_OSFXSR, false, VEC_UD },
	{ "fxsave, TS", "\x0f\xae\x06", CR0_TS, 0, false, VEC_NM },
	{ "fxsave, no OSFXSR", "\x0f\xae\x06", 0, CR4_OSFXSR, true, -1 },
	{ "emms, EM", "\x0f\x77", CR0_EM, 0, false, VEC_UD },
	{ "movnti, TS", "\x0f\xc3\x06", CR0_TS | CR0_EM, CR4_OSFXSR, false, -1 },
	{ "sfence, TS", "\x0f\xae\xf8", CR0_TS | CR0_EM, CR4_OSFXSR, false, -1 },
};

/* One divided by zero in XMM, and a pending invalid operation in x87 if asked. */
static void plain_state(struct state *s, bool pending)
{
	struct fpu f = { .cw = 0x37e, .tags = 0xff, .mxcsr = MXCSR_INIT & ~(SW_ZE << 7) };

	if (pending)
		f.sw = SW_IE;
	x87_summarize(&f);
	f.xmm[0].d[0] = 0x3f800000;
	memset(s, 0, sizeof(*s));
	fpu_to_fxsave(&f, s->fx, true);
	s->gpr[RSI] = s->gpr[RDI] = (uintptr_t)buffer + 64;
}

START_TEST(control_registers)
{
	const struct gate *g = &gates[_i];
	struct state s;
	struct op op;

	decode_one(g->bytes, &op);
	plain_state(&s, g->pending);
	vm->cpu.cr0 ^= g->cr0;
	vm->cpu.cr4 ^= g->cr4;
	run_guest(&s, &op);
	ck_assert_msg(s.fault == g->vector, "%s: %d, not %d", g->name, s.fault, g->vector);
}
END_TEST

/* CR0.NE clear: FERR# drives IRQ 13, and the instruction waits. */
START_TEST(external_error)
{
	struct state s;
	struct op op;

	decode_one("\xd8\xc1", &op);
	plain_state(&s, true);
	vm->cpu.cr0 &= ~(uint64_t)CR0_NE;
	irq_line = -1;
	left_at = 0;
	run_guest(&s, &op);
	ck_assert_int_eq(s.fault, -1);
	ck_assert_int_eq(irq_line, 13);
	ck_assert_uint_eq(left_at, (uintptr_t)code);
}
END_TEST

/* Linear addresses 0x56789 and 0xf9876, opcode 0x123; 20 bits of them in 16-bit form. */
START_TEST(real_mode_environment)
{
	static const uint32_t wide[7] = { 0xffff037f, 0xffff3800, 0xffff7fff, 0xffff6789,
					  0x00005123, 0xffff9876, 0x0000f000 };
	static const uint16_t narrow[7] = { 0x037f, 0x3800, 0x7fff, 0x6789, 0x5123, 0x9876,
					    0xf000 };
	struct fpu *f = &vm->cpu.fpu;
	struct state s;
	struct op op;

	vm->hflags &= ~(uint32_t)HF_PE;
	for (int i = 0; i < 2; i++) {
		plain_state(&s, false);
		memset(f, 0, sizeof(*f));
		f->cw = CW_INIT;
		f->sw = 7 << SW_TOP_SHIFT;
		f->tags = 0x80;		/* and its register holds zero */
		f->fop = 0x123;
		f->fcs = 0x5000;
		f->fip = 0x6789;
		f->fds = 0xf000;
		f->fdp = 0x9876;
		memcpy(vm->cpu.gpr, s.gpr, sizeof(s.gpr));
		decode_one("\xd9\x36", &op);
		op.osize = i ? sizeof(narrow) : sizeof(wide);
		run_op(&op);
		ck_assert_mem_eq(buffer + 64, i ? (const void *)narrow : wide, op.osize);
		memset(f, 0, sizeof(*f));
		decode_one("\xd9\x26", &op);
		op.osize = i ? sizeof(narrow) : sizeof(wide);
		run_op(&op);
		ck_assert_uint_eq(f->fip, 0x56789);
		ck_assert_uint_eq(f->fdp, 0xf9876);
		ck_assert_uint_eq(f->fop, 0x123);
		ck_assert_uint_eq(f->tags, 0x80);
	}
}
END_TEST

/* Its operand is 512 bytes, whatever of them is written (SDM 2 FXSAVE): the host faults, and
 * then nothing was stored. */
START_TEST(fxsave_at_end_of_memory)
{
	struct state s;
	struct op op;

	plain_state(&s, false);
	memcpy(vm->cpu.gpr, s.gpr, sizeof(s.gpr));
	decode_one("\x0f\xae\x06", &op);
	for (unsigned room = 288; room <= 512; room += 16) {
		memset(buffer, 0x5a, BUF_SIZE);
		unwritable = (uintptr_t)buffer + 64 + room;
		ck_assert_int_eq(run_op(&op), room < 512 ? VEC_PF : -1);
		for (unsigned i = 0; room < 512 && i < BUF_SIZE; i++)
			ck_assert_uint_eq(buffer[i], 0x5a);
	}
	unwritable = 0;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fpu");
	TCase *tc = tcase_create("host");

	tcase_add_checked_fixture(tc, setup, fpu_bench_close);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, x87_agrees, 0, ARRAY_LEN(varieties));
	tcase_add_loop_test(tc, sse_agrees, 0, ARRAY_LEN(varieties));
	tcase_add_loop_test(tc, control_registers, 0, ARRAY_LEN(gates));
	tcase_add_test(tc, external_error);
	tcase_add_test(tc, real_mode_environment);
	tcase_add_test(tc, fxsave_at_end_of_memory);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}

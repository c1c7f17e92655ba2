/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x87 and SSE state under the ring3 engine: exact on the way in and out, left in the stub while nobody
 * needs it, and nothing of it for the next one.
 */
#include "tests/ring3_fixture.h"

START_TEST(fpu_exact)
{
	const uint8_t pattern[10] = { 1, 2, 3, 4, 5, 6, 7, 0x88, 0x23, 0xc1 };
	struct fpu before;

	for (int i = 0; i < 8; i++) {
		memcpy(c.fpu.st[i].b, pattern, 10);
		c.fpu.st[i].b[0] = (uint8_t)i;
		memset(c.fpu.xmm[i].b, 0x40 + i, 16);
	}
	c.fpu.tags = 0x5a;
	c.fpu.cw = 0x027f;
	c.fpu.sw = 3 << 11 | 0x4100;
	c.fpu.mxcsr = 0x3f80;
	before = c.fpu;
	RUN(0xcd, 0x80);
	ck_assert_mem_eq(c.fpu.st, before.st, sizeof(before.st));
	ck_assert_mem_eq(c.fpu.xmm, before.xmm, sizeof(before.xmm));
	ck_assert_uint_eq(c.fpu.tags, before.tags);
	ck_assert_uint_eq(c.fpu.cw, before.cw);
	ck_assert_uint_eq(c.fpu.sw, before.sw);
	ck_assert_uint_eq(c.fpu.mxcsr, before.mxcsr);

	/* fld1; fldpi; fstp [DATA] (80 bits); movd xmm0, eax */
	c.fpu.tags = 0;
	c.fpu.sw = 0;
	c.gpr[RAX] = 77;
	RUN(0xd9, 0xe8, 0xd9, 0xeb, 0xdb, 0x3d, DWORD(DATA), 0x66, 0x0f, 0x6e, 0xc0, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 14);
	ck_assert_mem_eq(m.mem.ram + DATA_RAM, "\x35\xc2\x68\x21\xa2\xda\x0f\xc9\x00\x40", 10);
	ck_assert_uint_eq(c.fpu.sw >> 11 & 7, 7);
	ck_assert_uint_eq(c.fpu.tags, 0x80);
	ck_assert_mem_eq(c.fpu.st[7].b, "\0\0\0\0\0\0\0\x80\xff\x3f", 10);
	ck_assert_uint_eq(c.fpu.xmm[0].q[0], 77);
	/* Two spaces in turn: the state follows the vCPU, not the process. */
	for (int i = 0; i < 4; i++) {
		struct space *other;
		int err;

		other = sink.space_create(sink.engine, &err);
		ck_assert_ptr_nonnull(other);
		c.fpu.xmm[3].q[1] += 5;
		before = c.fpu;
		struct space *first = space;

		space = other;
		space_fill();
		RUN(0x66, 0x0f, 0xfe, 0xc0, 0xcd, 0x80);	/* paddd xmm0, xmm0 */
		EXPECT(DEXIT_INTN, 4);
		ck_assert_uint_eq(c.fpu.xmm[0].q[0], before.xmm[0].q[0] * 2);
		ck_assert_mem_eq(&c.fpu.xmm[3], &before.xmm[3], 16);
		space = first;
		sink.space_destroy(sink.engine, other);
		RUN(0x66, 0x0f, 0xfe, 0xc0, 0xcd, 0x80);
		ck_assert_uint_eq(c.fpu.xmm[0].q[0], before.xmm[0].q[0] * 4);
	}
}
END_TEST

/* Left in the stub until asked for, or until another space or the owner's end needs it. */
START_TEST(fpu_lazily)
{
	struct space *first = space, *other;
	int err;

	direct_ring3.fpu_lazy(engine, true);
	c.fpu.xmm[0].q[0] = 5;
	RUN(0x66, 0x0f, 0xfe, 0xc0, 0xcd, 0x80);	/* paddd xmm0, xmm0 */
	ck_assert(x.fpu_away);
	ck_assert_uint_eq(c.fpu.xmm[0].q[0], 5);
	RUN(0x66, 0x0f, 0xfe, 0xc0, 0xcd, 0x80);
	direct_ring3.fpu_fetch(engine, &c);
	ck_assert_uint_eq(c.fpu.xmm[0].q[0], 20);
	c.fpu.xmm[0].q[0]++;
	RUN(0x66, 0x0f, 0xfe, 0xc0, 0xcd, 0x80);
	other = sink.space_create(sink.engine, &err);
	space = other;
	space_fill();
	RUN(0x66, 0x0f, 0xfe, 0xc0, 0xcd, 0x80);
	space = first;
	sink.space_destroy(sink.engine, other);
	ck_assert_uint_eq(c.fpu.xmm[0].q[0], 84);
	direct_ring3.kick(engine);
	RUN(0x66, 0x0f, 0xfe, 0xc0, 0xcd, 0x80);
	ck_assert_int_eq(x.kind, DEXIT_KICK);
	RUN(0x66, 0x0f, 0xfe, 0xc0, 0xcd, 0x80);
	direct_ring3.fpu_lazy(engine, false);
	ck_assert_uint_eq(c.fpu.xmm[0].q[0], 168);
}
END_TEST

START_TEST(fpu_exceptions)
{
	c.fpu.cw = 0x037b;	/* division by zero unmasked */
	/* fld1; fldz; fdivp; fwait */
	RUN(0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x9b);
	EXPECT(DEXIT_TRAP, 6);
	ck_assert(c.fpu.sw & 0x80);
	c.fpu.mxcsr = 0x1d80;
	c.fpu.sw = 0, c.fpu.tags = 0;
	c.fpu.xmm[0].d[0] = 0x3f800000;
	c.fpu.xmm[1].d[0] = 0;
	RUN(0xf3, 0x0f, 0x5e, 0xc1);	/* divss */
	EXPECT(DEXIT_TRAP, 0);
}
END_TEST

/* What one guest process left in the upper halves of the vector registers is gone when
 * another is loaded. */
START_TEST(avx_does_not_leak)
{
	struct space *other;
	int err;

	if (!__builtin_cpu_supports("avx"))
		return;
	/* vcmpps ymm1 (all ones), then vextractf128 [DATA], ymm1, 1 */
	RUN(0xc5, 0xf4, 0xc2, 0xc9, 0x0f, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 5);
	/* The same process goes on with its own. */
	RUN(0xc4, 0xe3, 0x7d, 0x19, 0x0d, DWORD(DATA), 1, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 10);
	ck_assert_uint_eq(data32(0), 0xffffffff);
	sink.space_destroy(sink.engine, space);
	other = sink.space_create(sink.engine, &err);	/* the same host process, recycled */
	space = other;
	space_fill();
	RUN(0xc4, 0xe3, 0x7d, 0x19, 0x0d, DWORD(DATA), 1, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 10);
	ck_assert_uint_eq(data32(0), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ring3 fpu");
	TCase *t = tcase_create("run");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, fpu_exact);
	tcase_add_test(t, fpu_lazily);
	tcase_add_test(t, fpu_exceptions);
	tcase_add_test(t, avx_does_not_leak);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return ring3_main(suite);
}

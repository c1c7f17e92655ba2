/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest segments in a stub: bases, limits, 16-bit code, names, and the audit. */
#include "tests/ring3_fixture.h"

#define DATA16		(SEG_P | 3 << 5 | SEG_S | SEG_W | SEG_A)
#define CODE16		(SEG_P | 3 << 5 | SEG_S | SEG_CODE | SEG_R | SEG_A)

START_TEST(tls_base)
{
	memset(m.mem.ram + DATA_RAM + 0x10, 0x5a, 4);
	c.seg[SEG_GS] = SEGMENT(0x33, DATA, 0xfff, FLAT_DATA & ~SEG_G);
	/* mov eax, gs:[0x10]; mov ecx, gs; mov edx, ds; int 0x80 */
	RUN(0x65, 0xa1, DWORD(0x10), 0x8c, 0xe9, 0x8c, 0xda, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 10);
	ck_assert_uint_eq(c.gpr[RAX], 0x5a5a5a5a);
	/* The index is the guest's own. */
	ck_assert_uint_eq(c.gpr[RCX] >> 3, 0x33 >> 3);
	ck_assert_uint_eq(c.gpr[RDX] >> 3, 0x7b >> 3);
	ck_assert_uint_eq(c.seg[SEG_GS].sel, 0x33);
	/* Another base under the same selector, as after a thread switch. */
	memset(m.mem.ram + DATA_RAM + 0x20, 0x6b, 4);
	c.seg[SEG_GS].base = DATA + 0x10;
	RUN(0x65, 0xa1, DWORD(0x10), 0xcd, 0x80);
	ck_assert_uint_eq(c.gpr[RAX], 0x6b6b6b6b);
	/* Beyond the limit. */
	RUN(0x65, 0xa1, DWORD(0xffd), 0xcd, 0x80);
	EXPECT(DEXIT_TRAP, 0);
	/* Null again. */
	c.seg[SEG_GS] = SEGMENT(0, 0, 0, 0);
	RUN(0x65, 0xa1, DWORD(0x10), 0xcd, 0x80);
	EXPECT(DEXIT_TRAP, 0);
}
END_TEST

/* 32-bit processes of a 64-bit Linux guest: every selector is the host's own. */
START_TEST(identical_selectors)
{
	user64();
	c.seg[SEG_CS] = SEGMENT(0x23, 0, 0xffffffff, FLAT_CODE);
	c.seg[SEG_DS] = c.seg[SEG_ES] = SEGMENT(0x2b, 0, 0xffffffff, FLAT_DATA);
	c.seg[SEG_GS] = SEGMENT(0x63, DATA, 0xfffff, FLAT_DATA & ~SEG_G);
	memset(m.mem.ram + DATA_RAM + 0x10, 0x5a, 4);
	RUN(0x65, 0xa1, DWORD(0x10), 0x8c, 0xe9, 0x8c, 0xda, 0x8c, 0xcb, 0x8c, 0xd6, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 14);
	ck_assert_uint_eq(c.gpr[RAX], 0x5a5a5a5a);
	ck_assert_uint_eq(c.gpr[RCX], 0x63);
	ck_assert_uint_eq(c.gpr[RDX], 0x2b);
	ck_assert_uint_eq(c.gpr[RBX], 0x23);
	ck_assert_uint_eq(c.gpr[RSI], 0x2b);
	/* Its far jump to 64-bit code is reported with the whole RIP. */
	RUN(0xea, DWORD(CODE + 7), 0x33, 0, 0x48, 0x89, 0xe0, 0x0f, 0x05);
	EXPECT(DEXIT_SEGMENT, 10);
	ck_assert_uint_eq(x.segreg, SEG_CS);
	ck_assert_uint_eq(x.sel, 0x33);
}
END_TEST

START_TEST(ldt_selector_is_its_own)
{
	c.seg[SEG_FS] = SEGMENT(0x1f, DATA + 4, 0xff, FLAT_DATA & ~SEG_G);
	memset(m.mem.ram + DATA_RAM + 4, 0x11, 4);
	RUN(0x64, 0xa1, DWORD(0), 0x8c, 0xe1, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 8);
	ck_assert_uint_eq(c.gpr[RAX], 0x11111111);
	ck_assert_uint_eq(c.gpr[RCX], 0x1f);
}
END_TEST

/* GDT and LDT selectors of one index, both in use, and back. */
START_TEST(index_collision)
{
	memset(m.mem.ram + DATA_RAM + 4, 0x11, 4);
	memset(m.mem.ram + DATA_RAM + 8, 0x22, 4);
	for (int i = 0; i < 3; i++) {
		c.seg[SEG_FS] = SEGMENT(0x1b, DATA + 4, 0xff, FLAT_DATA & ~SEG_G);
		c.seg[SEG_GS] = SEGMENT(0x1f, DATA + 8, 0xff, FLAT_DATA & ~SEG_G);
		RUN(0x64, 0xa1, DWORD(0), 0x65, 0x8b, 0x0d, DWORD(0), 0xcd, 0x80);
		EXPECT(DEXIT_INTN, 13);
		ck_assert_uint_eq(c.gpr[RAX], 0x11111111);
		ck_assert_uint_eq(c.gpr[RCX], 0x22222222);
		ck_assert_uint_eq(c.seg[SEG_FS].sel, 0x1b);
		ck_assert_uint_eq(c.seg[SEG_GS].sel, 0x1f);
	}
}
END_TEST

START_TEST(highest_index)
{
	c.seg[SEG_FS] = SEGMENT(0xfffb, DATA + 4, 0xff, FLAT_DATA & ~SEG_G);
	c.seg[SEG_GS] = SEGMENT(0xffff, DATA + 8, 0xff, FLAT_DATA & ~SEG_G);
	memset(m.mem.ram + DATA_RAM + 4, 0x11, 4);
	memset(m.mem.ram + DATA_RAM + 8, 0x22, 4);
	RUN(0x64, 0xa1, DWORD(0), 0x65, 0x8b, 0x0d, DWORD(0), 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 13);
	ck_assert_uint_eq(c.gpr[RAX], 0x11111111);
	ck_assert_uint_eq(c.gpr[RCX], 0x22222222);
}
END_TEST

START_TEST(code16)
{
	c.seg[SEG_CS] = SEGMENT(0x0f, CODE, 0xffff, CODE16);
	c.seg[SEG_DS] = SEGMENT(0x17, DATA, 0x7fff, DATA16);
	c.seg[SEG_SS] = SEGMENT(0x1f, STACK, 0xfff, DATA16);
	c.gpr[RSP] = 0xabcd0800;
	c.gpr[RAX] = 0x11112222;
	PLACE(0x50, 0xa3, 0x10, 0, 0x8c, 0xdb, 0xcd, 0x80);	/* push ax; mov [0x10], ax; .. */
	c.rip = 0;
	run();
	ck_assert_int_eq(x.kind, DEXIT_INTN);
	ck_assert_uint_eq(c.rip, 6);
	ck_assert_uint_eq(c.gpr[RSP], 0xabcd07fe);	/* the upper half stays */
	ck_assert_uint_eq(c.gpr[RBX], 0x17);
	ck_assert_uint_eq(data32(0x10) & 0xffff, 0x2222);
	ck_assert_mem_eq(m.mem.ram + STACK_RAM + 0x7fe, "\x22\x22", 2);
	/* Running off the end of the segment. */
	c.seg[SEG_CS].limit = 0;
	PLACE(0x90, 0x90);
	c.rip = 0;
	run();
	ck_assert_int_eq(x.kind, DEXIT_TRAP);
	ck_assert_uint_eq(c.rip, 1);
}
END_TEST

START_TEST(limits_and_types)
{
	/* Read-only data. */
	c.seg[SEG_ES] = SEGMENT(0x17, DATA, 0xfff, FLAT_DATA & ~(SEG_G | SEG_W));
	RUN(0x26, 0xa1, DWORD(4), 0x26, 0xa3, DWORD(4));
	EXPECT(DEXIT_TRAP, 6);
	/* Expand-down: valid above the limit. */
	c.seg[SEG_ES] = SEGMENT(0x17, DATA, 0x7ff, (FLAT_DATA & ~SEG_G) | SEG_E);
	RUN(0x26, 0xa1, DWORD(0x800), 0x26, 0xa1, DWORD(0x7fe));
	EXPECT(DEXIT_TRAP, 6);
	/* Byte limits are exact. */
	c.seg[SEG_ES] = SEGMENT(0x17, DATA, 0x103, FLAT_DATA & ~SEG_G);
	RUN(0x26, 0xa1, DWORD(0x100), 0x26, 0xa1, DWORD(0x101));
	EXPECT(DEXIT_TRAP, 6);
	/* So are page limits. */
	c.seg[SEG_ES] = SEGMENT(0x17, DATA - 0x300000, 0x300fff, FLAT_DATA);
	RUN(0x26, 0xa1, DWORD(0x300ffc), 0x26, 0xa1, DWORD(0x300ffd));
	EXPECT(DEXIT_TRAP, 6);
	/* Execute-only and conforming code. */
	c.seg[SEG_ES] = SEGMENT(0, 0, 0, 0);
	c.seg[SEG_CS] = SEGMENT(0x0f, 0, 0xffffffff, FLAT_CODE & ~SEG_R);
	RUN(0x2e, 0xa1, DWORD(CODE));
	EXPECT(DEXIT_TRAP, 0);
	c.seg[SEG_CS] = SEGMENT(0x0f, 0, 0xffffffff, (FLAT_CODE | SEG_C) & ~(3 << 5));
	RUN(0x2e, 0xa1, DWORD(CODE), 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 6);
}
END_TEST

START_TEST(refusals)
{
	ck_assert_ptr_null(direct_ring3.refuses(engine, &c));
	c.seg[SEG_SS] = SEGMENT(0, 0, 0, 0);
	ck_assert_ptr_nonnull(direct_ring3.refuses(engine, &c));
	user32();
	c.seg[SEG_DS].attr = FLAT_CODE & ~SEG_R;
	ck_assert_ptr_nonnull(direct_ring3.refuses(engine, &c));
	user32();
	c.seg[SEG_DS].limit = 0x1234567;
	ck_assert_ptr_nonnull(direct_ring3.refuses(engine, &c));
	user64();
	c.seg[SEG_GS].base = 0xffff800000000000;
	ck_assert_ptr_nonnull(direct_ring3.refuses(engine, &c));
	user64();
	c.rip = 0xffffffff81000000;
	ck_assert_ptr_nonnull(direct_ring3.refuses(engine, &c));
}
END_TEST

START_TEST(audit)
{
	c.seg[SEG_GS] = SEGMENT(0x33, DATA, 0xfff, FLAT_DATA & ~SEG_G);
	/* What it read from a register it may load into another: mov eax, gs; mov es, eax */
	RUN(0x8c, 0xe8, 0x8e, 0xc0, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 4);
	ck_assert_uint_eq(c.seg[SEG_ES].sel, 0x33);
	ck_assert_uint_eq(c.seg[SEG_ES].base, DATA);
	/* Null: xor eax, eax; mov gs, eax; mov eax, 3; mov es, eax */
	RUN(0x31, 0xc0, 0x8e, 0xe8, 0xb8, DWORD(3), 0x8e, 0xc0, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 11);
	ck_assert_uint_eq(c.seg[SEG_GS].sel, 0);
	ck_assert(!(c.seg[SEG_GS].attr & SEG_P));
	ck_assert_uint_eq(c.seg[SEG_ES].sel, 3);
	/* GS was in entry 6 in an earlier run; its descriptor may be out of date. */
	RUN(0xb8, DWORD(0x37), 0x8e, 0xe8, 0xcd, 0x80);
	EXPECT(DEXIT_SEGMENT, 7);
	ck_assert_uint_eq(x.segreg, SEG_GS);
	ck_assert_uint_eq(x.sel, 0x33);
	/* The host's flat segments, two at once: what glibc does with 0x33. */
	user32();
	RUN(0xb8, DWORD(0x33), 0x8e, 0xe8, 0xb8, DWORD(0x2b), 0x8e, 0xe0, 0xcd, 0x80);
	EXPECT(DEXIT_SEGMENT, 14);
	ck_assert_uint_eq(x.segreg, SEG_FS);
	ck_assert_uint_eq(x.sel, 0x2b);
	ck_assert_uint_eq(x.segmask, 1 << SEG_FS | 1 << SEG_GS);
	ck_assert_uint_eq(x.sels[SEG_GS], 0x33);
	/* The guest's DS under its own name is the host's CPU-number segment, which is
	 * read-only: the next store faults, and the exit names the selector. */
	user32();
	RUN(0xb8, DWORD(0x7b), 0x8e, 0xd8, 0xa3, DWORD(DATA));
	EXPECT(DEXIT_SEGMENT, 7);
	ck_assert_uint_eq(x.segreg, SEG_DS);
	ck_assert_uint_eq(x.sel, 0x7b);
}
END_TEST

/* push cs / far return and push ds / pop es with what the stub shows work natively. */
START_TEST(far_return_to_itself)
{
	RUN(0x0e, 0x68, DWORD(CODE + 7), 0xcb, 0x1e, 0x07, 0xcd, 0x80);
	EXPECT(DEXIT_INTN, 9);
	ck_assert_uint_eq(c.seg[SEG_CS].sel, 0x73);
	ck_assert_uint_eq(c.seg[SEG_ES].sel, 0x7b);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ring3_seg");
	TCase *t = tcase_create("segments");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, tls_base);
	tcase_add_test(t, identical_selectors);
	tcase_add_test(t, ldt_selector_is_its_own);
	tcase_add_test(t, index_collision);
	tcase_add_test(t, highest_index);
	tcase_add_test(t, code16);
	tcase_add_test(t, limits_and_types);
	tcase_add_test(t, refusals);
	tcase_add_test(t, audit);
	tcase_add_test(t, far_return_to_itself);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return ring3_main(suite);
}

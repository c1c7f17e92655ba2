/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which selectors may be loaded into which segment register (SDM 3A 5.5 to 5.8, 3.5), written a
 * second time as a predicate over CPL, RPL, DPL and type.
 */
#include "tests/suite.h"
#include "tests/system_fixture.h"

static void check_load(enum segreg s, unsigned cpl, unsigned rpl, unsigned dpl, unsigned s_type,
		       bool p)
{
	unsigned type = s_type & 15, is_seg = s_type >> 4;
	uint16_t sel = (uint16_t)(SLOT | rpl);
	int expect = -1, got;
	uint32_t code = SLOT;

	setup(cpl);
	describe(GDT + SLOT, 0x5000, 0x1234, (p ? SEG_P : 0) | dpl << 5 | is_seg << 4 | type);
	if (s == SEG_SS) {
		if (!is_seg || !in(type, "2367") || rpl != cpl || dpl != cpl)
			expect = VEC_GP;
		else if (!p)
			expect = VEC_SS;
	} else {
		if (!is_seg || !in(type, "01234567abef"))
			expect = VEC_GP;
		else if (!in(type, "ef") && MAX(cpl, rpl) > dpl)
			expect = VEC_GP;
		else if (!p)
			expect = VEC_NP;
	}
	got = try_seg_load(s, sel);
	ck_assert_msg(got == expect, "seg %d cpl %u rpl %u dpl %u type %#x p %d: %d, not %d", s,
		      cpl, rpl, dpl, s_type, p, got, expect);
	if (got >= 0) {
		ck_assert_uint_eq(vm.fault.code, code);
		return;
	}
	ck_assert_uint_eq(vm.cpu.seg[s].sel, sel);
	ck_assert_uint_eq(vm.cpu.seg[s].base, 0x5000);
	ck_assert_uint_eq(vm.cpu.seg[s].limit, 0x1234);
	ck_assert(mem[GDT + SLOT + 5] & 1);
	ck_assert(vm.cpu.seg[s].attr & SEG_A);
}

START_TEST(segment_loads)
{
	for (unsigned i = 0; i < 4 * 4 * 4 * 32 * 2; i++) {
		check_load(SEG_DS, i & 3, i >> 2 & 3, i >> 4 & 3, i >> 6 & 31, i >> 11);
		check_load(SEG_SS, i & 3, i >> 2 & 3, i >> 4 & 3, i >> 6 & 31, i >> 11);
	}
}
END_TEST

START_TEST(segment_edges)
{
	setup(0);
	ck_assert_int_eq(try_seg_load(SEG_SS, 0), VEC_GP);
	ck_assert_uint_eq(vm.fault.code, 0);
	ck_assert_int_eq(try_seg_load(SEG_FS, 3), -1);
	ck_assert_uint_eq(vm.cpu.seg[SEG_FS].sel, 3);
	ck_assert(!(vm.cpu.seg[SEG_FS].attr & SEG_P));
	ck_assert_int_eq(try_seg_load(SEG_ES, 0xa0), VEC_GP);	/* the GDT ends at 0x9f */
	ck_assert_uint_eq(vm.fault.code, 0xa0);
	describe(LDT + 0x10, 0x77000, 0xfffff, DATA_ATTR(3));
	ck_assert_int_eq(try_seg_load(SEG_ES, 0x17), -1);
	ck_assert_uint_eq(vm.cpu.seg[SEG_ES].base, 0x77000);
	ck_assert_uint_eq(vm.cpu.seg[SEG_ES].limit, 0xffffffff);
	ck_assert_int_eq(try_seg_load_ldtr(0), -1);
	ck_assert_int_eq(try_seg_load(SEG_ES, 0x17), VEC_GP);
	ck_assert_uint_eq(vm.fault.code, 0x14);
	ck_assert_int_eq(try_seg_load_tr(SEL_TSS), VEC_GP);		/* busy */
	ck_assert_int_eq(try_seg_load_tr(SEL_TSS_B), -1);
	ck_assert_uint_eq(mem[GDT + SEL_TSS_B + 5], 0x8b);

	vm.cpu.cr0 = 0;
	vm.cpu.seg[SEG_DS].limit = 0xffffffff;
	seg_load(&vm, SEG_DS, 0x1234);
	ck_assert_uint_eq(vm.cpu.seg[SEG_DS].base, 0x12340);
	ck_assert_uint_eq(vm.cpu.seg[SEG_DS].limit, 0xffffffff);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("segment");
	TCase *t = tcase_create("rules");

	tcase_add_test(t, segment_loads);
	tcase_add_test(t, segment_edges);
	suite_add_tcase(s, t);
	return suite_run(s);
}

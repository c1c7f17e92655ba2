/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Far jumps, calls and returns: to code, through call gates, and back (SDM 3A 5.8), written a second
 * time as a predicate over CPL, RPL, DPL and type.
 */
#include "tests/suite.h"
#include "tests/system_fixture.h"

START_TEST(far_code)
{
	for (unsigned i = 0; i < 4 * 4 * 4 * 32 * 2 * 2; i++) {
		unsigned cpl = i & 3, rpl = i >> 2 & 3, dpl = i >> 4 & 3, type = i >> 6 & 15;
		bool is_seg = i >> 10 & 1, p = i >> 11 & 1, call = i >> 12 & 1;
		uint16_t sel = (uint16_t)(SLOT | rpl);
		int expect = -1, got;

		if (!is_seg && in(type, "1459c"))
			continue;	/* gates and tasks have tests of their own */
		setup(cpl);
		describe(GDT + SLOT, 0, 0xfffff,
			 SEG_G | SEG_D | (p ? SEG_P : 0) | dpl << 5 | is_seg << 4 | type);
		if (!is_seg || type < 8)
			expect = VEC_GP;
		else if (type >= 12 ? dpl > cpl : rpl > cpl || dpl != cpl)
			expect = VEC_GP;
		else if (!p)
			expect = VEC_NP;
		if (call)
			got = try_far_call(sel, 0x4567, 4, 0x1111);
		else
			got = try_far_jump(sel, 0x4567, 4, 0x1111);
		ck_assert_msg(got == expect, "cpl %u rpl %u dpl %u type %#x p %d: %d, not %d", cpl,
			      rpl, dpl, type, p, got, expect);
		if (got >= 0) {
			ck_assert_uint_eq(vm.fault.code, SLOT);
			continue;
		}
		ck_assert_uint_eq(vm.cpu.seg[SEG_CS].sel, SLOT | cpl);
		ck_assert_uint_eq(vm.cpu.cpl, cpl);
		ck_assert_uint_eq(vm.cpu.rip, 0x4567);
		ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(cpl) - (call ? 8 : 0));
		if (call) {
			ck_assert_uint_eq(get(STACK(cpl) - 4, 4), CODE(cpl) | cpl);
			ck_assert_uint_eq(get(STACK(cpl) - 8, 4), 0x1111);
		}
	}
}
END_TEST

static void check_call_gate(unsigned i)
{
	unsigned cpl = i & 3, rpl = i >> 2 & 3, gdpl = i >> 4 & 3, cdpl = i >> 6 & 3;
	bool conforming = i >> 8 & 1, call = i >> 9 & 1, wide = i >> 10 & 1;
	unsigned size = wide ? 4 : 2, top;
	int expect = -1, got;
	uint32_t code = 0;

	setup(cpl);
	gate(GDT + SLOT, wide ? SYS_CALL32 : SYS_CALL16, gdpl, SLOT2 | 3, 0x4567, 2);
	describe(GDT + SLOT2, 0, 0xfffff, CODE_ATTR(cdpl) | (conforming ? SEG_C : 0));
	vm.cpu.gpr[RSP] -= 2 * size;
	put(STACK(cpl) - size, size, 0x2222);
	put(STACK(cpl) - 2 * size, size, 0x3333);

	if (MAX(cpl, rpl) > gdpl)
		expect = VEC_GP, code = SLOT;
	else if (cdpl > cpl || (!call && !conforming && cdpl != cpl))
		expect = VEC_GP, code = SLOT2;
	if (call)
		got = try_far_call((uint16_t)(SLOT | rpl), 0, 4, 0x1111);
	else
		got = try_far_jump((uint16_t)(SLOT | rpl), 0, 4, 0x1111);
	ck_assert_msg(got == expect, "cpl %u rpl %u gate %u code %u c %d call %d: %d, not %d", cpl,
		      rpl, gdpl, cdpl, conforming, call, got, expect);
	if (got >= 0) {
		ck_assert_uint_eq(vm.fault.code, code);
		return;
	}
	unsigned level = call && !conforming ? cdpl : cpl;

	ck_assert_uint_eq(vm.cpu.cpl, level);
	ck_assert_uint_eq(vm.cpu.seg[SEG_CS].sel, SLOT2 | level);
	ck_assert_uint_eq(vm.cpu.rip, 0x4567);
	if (!call)
		return;
	top = level < cpl ? STACK(level) : STACK(cpl) - 2 * size;
	if (level < cpl) {
		ck_assert_uint_eq(vm.cpu.seg[SEG_SS].sel, DATA(level) | level);
		ck_assert_uint_eq(get(top - size, size), DATA(cpl) | cpl);
		ck_assert_uint_eq(get(top - 2 * size, size), STACK(cpl) - 2 * size);
		ck_assert_uint_eq(get(top - 3 * size, size), 0x2222);
		ck_assert_uint_eq(get(top - 4 * size, size), 0x3333);
		top -= 4 * size;
	}
	ck_assert_uint_eq(get(top - size, size), CODE(cpl) | cpl);
	ck_assert_uint_eq(get(top - 2 * size, size), 0x1111);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], top - 2 * size);

	/* And back, releasing the parameters. */
	ck_assert_int_eq(try_far_ret(size, 2 * size), -1);
	ck_assert_uint_eq(vm.cpu.cpl, cpl);
	ck_assert_uint_eq(vm.cpu.seg[SEG_CS].sel, CODE(cpl) | cpl);
	ck_assert_uint_eq(vm.cpu.seg[SEG_SS].sel, DATA(cpl) | cpl);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(cpl));
	ck_assert_uint_eq(vm.cpu.rip, 0x1111);
}

START_TEST(call_gates)
{
	for (unsigned i = 0; i < 1u << 11; i++)
		check_call_gate(i);
}
END_TEST

START_TEST(far_returns)
{
	for (unsigned i = 0; i < 1u << 8; i++) {
		unsigned cpl = i & 3, rpl = i >> 2 & 3, dpl = i >> 4 & 3;
		bool conforming = i >> 6 & 1, p = i >> 7 & 1;
		int expect = -1, got;

		setup(cpl);
		describe(GDT + SLOT, 0, 0xfffff,
			 (CODE_ATTR(dpl) | (conforming ? SEG_C : 0)) & ~(p ? 0 : SEG_P));
		vm.cpu.gpr[RSP] -= 16;
		put(STACK(cpl) - 16, 4, 0x7777);
		put(STACK(cpl) - 12, 4, SLOT | rpl);
		put(STACK(cpl) - 8, 4, STACK(rpl) - 0x100);
		put(STACK(cpl) - 4, 4, DATA(rpl) | rpl);
		load_raw(SEG_ES, DATA0);
		load_raw(SEG_GS, DATA(3) | 3);
		if (rpl < cpl || (conforming ? dpl > rpl : dpl != rpl))
			expect = VEC_GP;
		else if (!p)
			expect = VEC_NP;
		got = try_far_ret(4, 0);
		ck_assert_msg(got == expect, "cpl %u rpl %u dpl %u c %d: %d, not %d", cpl, rpl,
			      dpl, conforming, got, expect);
		if (got >= 0)
			continue;
		ck_assert_uint_eq(vm.cpu.cpl, rpl);
		ck_assert_uint_eq(vm.cpu.rip, 0x7777);
		ck_assert_uint_eq(vm.cpu.gpr[RSP], rpl > cpl ? STACK(rpl) - 0x100 : STACK(cpl) - 8);
		ck_assert_uint_eq(vm.cpu.seg[SEG_ES].sel, rpl > cpl ? 0 : DATA0);
		ck_assert_uint_eq(vm.cpu.seg[SEG_GS].sel, DATA3 | 3);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("far");
	TCase *t = tcase_create("rules");

	tcase_add_test(t, far_code);
	tcase_add_test(t, call_gates);
	tcase_add_test(t, far_returns);
	suite_add_tcase(s, t);
	return suite_run(s);
}

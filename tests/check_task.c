/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a task switch leaves behind, by jump, call, event and IRET (SDM 3A 7.2 to 7.6).
 */
#include "tests/suite.h"
#include "tests/system_fixture.h"

static void task_b(uint32_t eflags, unsigned cpl)
{
	put(TSS_B + 0x20, 4, 0xabcd);
	put(TSS_B + 0x24, 4, eflags | FL_1);
	for (unsigned i = 0; i < 8; i++)
		put(TSS_B + 0x28 + 4 * i, 4, i == RSP ? STACK(cpl) - 0x200 : 0x1000 + i);
	for (unsigned i = 0; i < 6; i++)
		put(TSS_B + 0x48 + 4 * i, 2, DATA(cpl) | cpl);
	put(TSS_B + 0x4c, 2, CODE(cpl) | cpl);
	put(TSS_B + 0x60, 2, SEL_LDT);
}

START_TEST(task_jump)
{
	setup(0);
	task_b(FL_IF, 3);
	vm.cpu.gpr[RBX] = 0xbbbb;
	ck_assert_int_eq(try_far_jump(SEL_TSS_B, 0, 4, 0x1239), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0xabcd);
	ck_assert_uint_eq(vm.cpu.cpl, 3);
	ck_assert_uint_eq(vm.cpu.gpr[RBX], 0x1003);
	ck_assert_uint_eq(vm.cpu.seg[SEG_TR].sel, SEL_TSS_B);
	ck_assert_uint_eq(vm.cpu.seg[SEG_LDTR].base, LDT);
	ck_assert(vm.cpu.cr0 & CR0_TS);
	ck_assert(!(vm.cpu.eflags & FL_NT));
	ck_assert_uint_eq(mem[GDT + SEL_TSS + 5], 0x89);
	ck_assert_uint_eq(mem[GDT + SEL_TSS_B + 5], 0x8b);
	ck_assert_uint_eq(get(TSS_A + 0x20, 4), 0x1239);
	ck_assert_uint_eq(get(TSS_A + 0x34, 4), 0xbbbb);
	ck_assert_uint_eq(get(TSS_A + 0x4c, 2), CODE0);
}
END_TEST

START_TEST(task_call_and_return)
{
	setup(0);
	task_b(FL_IF, 0);
	gate(GDT + SLOT, SYS_TASK_GATE, 0, SEL_TSS_B, 0, 0);
	vm.cpu.gpr[RSI] = 0x5151;
	ck_assert_int_eq(try_far_call(SLOT, 0, 4, 0x1239), -1);
	ck_assert(vm.cpu.eflags & FL_NT);
	ck_assert_uint_eq(get(TSS_B, 2), SEL_TSS);
	ck_assert_uint_eq(mem[GDT + SEL_TSS + 5], 0x8b);
	ck_assert_uint_eq(mem[GDT + SEL_TSS_B + 5], 0x8b);
	ck_assert_int_eq(try_far_jump(SEL_TSS, 0, 4, 0), VEC_GP);	/* busy */
	vm.cpu.gpr[RSI] = 0;
	ck_assert_int_eq(try_far_iret(4, 0x4444), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0x1239);
	ck_assert_uint_eq(vm.cpu.gpr[RSI], 0x5151);
	ck_assert_uint_eq(vm.cpu.seg[SEG_TR].sel, SEL_TSS);
	ck_assert_uint_eq(mem[GDT + SEL_TSS_B + 5], 0x89);
	ck_assert_uint_eq(get(TSS_B + 0x20, 4), 0x4444);
	ck_assert(!(get(TSS_B + 0x24, 4) & FL_NT));
}
END_TEST

START_TEST(task_event)
{
	setup(3);
	task_b(0, 0);
	gate(IDT + 8 * 8, SYS_TASK_GATE, 0, SEL_TSS_B, 0, 0);
	ck_assert_int_eq(try_event_deliver(8, EV_SOFT, false, 0), VEC_GP);
	ck_assert_int_eq(try_event_deliver(8, EV_FAULT, true, 0), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0xabcd);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(0) - 0x204);
	ck_assert_uint_eq(get(TSS_A + 0x20, 4), 0x1234);
	ck_assert_uint_eq(vm.cpu.cpl, 0);

	/* A bad SS is found when the new task is the running one. */
	setup(3);
	task_b(0, 0);
	put(TSS_B + 0x50, 2, DATA3 | 3);
	gate(IDT + 9 * 8, SYS_TASK_GATE, 0, SEL_TSS_B, 0, 0);
	if (!setjmp(escape)) {
		event_deliver(&vm, 9, EV_EXTERNAL, false, 0);
		ck_abort();
	}
	ck_assert_int_eq(vm.fault.vec, VEC_TS);
	ck_assert_uint_eq(vm.fault.code, DATA3 | 1);
	ck_assert_uint_eq(vm.cpu.rip, 0xabcd);
	ck_assert_uint_eq(vm.cpu.seg[SEG_TR].sel, SEL_TSS_B);
	ck_assert_ptr_null(vm.op);

	/* Limit of the TSS, and a debug trap on entry. */
	setup(0);
	task_b(0, 0);
	describe(GDT + SEL_TSS_B, TSS_B, 0x66, SEG_P | SYS_TSS32);
	ck_assert_int_eq(try_far_jump(SEL_TSS_B, 0, 4, 0), VEC_TS);
	ck_assert_uint_eq(vm.fault.code, SEL_TSS_B);
	describe(GDT + SEL_TSS_B, TSS_B, 0x67, SEG_P | SYS_TSS32);
	put(TSS_B + 0x64, 2, 1);
	ck_assert_int_eq(try_far_jump(SEL_TSS_B, 0, 4, 0), -1);
	ck_assert_uint_eq(vm.cpu.pending_dbg, 1u << 15);
}
END_TEST

START_TEST(task_16)
{
	setup(0);
	put(TSS_16 + 0x0e, 2, 0xabcd);
	put(TSS_16 + 0x10, 2, FL_1);
	for (unsigned i = 0; i < 8; i++)
		put(TSS_16 + 0x12 + 2 * i, 2, 0x2000 + i);
	put(TSS_16 + 0x22, 2, DATA3 | 3);
	put(TSS_16 + 0x24, 2, CODE0);
	put(TSS_16 + 0x26, 2, DATA0);
	put(TSS_16 + 0x28, 2, DATA0);
	ck_assert_int_eq(try_far_call(SEL_TSS_16, 0, 4, 0x1239), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0xabcd);
	ck_assert_uint_eq(vm.cpu.gpr[RDI], 0x2007);
	ck_assert_uint_eq(vm.cpu.seg[SEG_FS].sel, 0);
	ck_assert_int_eq(try_far_iret(4, 0x4444), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0x1239);
	ck_assert_uint_eq(get(TSS_16 + 0x0e, 2), 0x4444);
	ck_assert_uint_eq(vm.cpu.seg[SEG_FS].sel, DATA3 | 3);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("task");
	TCase *t = tcase_create("rules");

	tcase_add_test(t, task_jump);
	tcase_add_test(t, task_call_and_return);
	tcase_add_test(t, task_event);
	tcase_add_test(t, task_16);
	suite_add_tcase(s, t);
	return suite_run(s);
}

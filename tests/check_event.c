/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts and exceptions: which gates may be used, what frames look like in every mode, and the way
 * back with IRET (SDM 3A 6.12 to 6.15).
 */
#include <string.h>

#include "tests/suite.h"
#include "tests/system_fixture.h"

#define ARMED(kind)	((kind) != EV_SOFT && (kind) != EV_INT3_INTO)

START_TEST(gate_privilege)
{
	static const enum event_kind kinds[] = { EV_FAULT, EV_EXTERNAL, EV_SOFT, EV_INT3_INTO,
						 EV_ICEBP };

	for (unsigned i = 0; i < 5u << 9; i++) {
		unsigned cpl = i & 3, gdpl = i >> 2 & 3, cdpl = i >> 4 & 3;
		bool conforming = i >> 6 & 1, p = i >> 7 & 1, trap = i >> 8 & 1;
		enum event_kind kind = kinds[i >> 9];
		unsigned ext = ARMED(kind), level, top;
		int expect = -1, got;
		uint32_t code = 0x80 * 8 + 2 + ext;

		setup(cpl);
		gate(IDT + 0x80 * 8, trap ? SYS_TRAP32 : SYS_INT32, gdpl, SLOT2, 0x4567, 0);
		mem[IDT + 0x80 * 8 + 5] &= p ? 0xff : 0x7f;
		describe(GDT + SLOT2, 0, 0xfffff, CODE_ATTR(cdpl) | (conforming ? SEG_C : 0));
		if (!ARMED(kind) && cpl > gdpl)
			expect = VEC_GP;
		else if (!p)
			expect = VEC_NP;
		else if (cdpl > cpl)
			expect = VEC_GP, code = SLOT2 | ext;
		got = try_event_deliver(0x80, kind, false, 0);
		ck_assert_msg(got == expect, "kind %d cpl %u gate %u code %u c %d p %d: %d, not %d",
			      kind, cpl, gdpl, cdpl, conforming, p, got, expect);
		if (got >= 0) {
			ck_assert_uint_eq(vm.fault.code, code);
			continue;
		}
		level = conforming ? cpl : cdpl;
		top = STACK(level);
		ck_assert_uint_eq(vm.cpu.cpl, level);
		ck_assert_uint_eq(vm.cpu.rip, 0x4567);
		ck_assert_int_eq(!!(vm.cpu.eflags & FL_IF), trap);
		if (level < cpl) {
			ck_assert_uint_eq(get(top - 4, 4), DATA(cpl) | cpl);
			ck_assert_uint_eq(get(top - 8, 4), STACK(cpl));
			top -= 8;
		}
		ck_assert_uint_eq(get(top - 4, 4), FL_IF | FL_1 | (kind == EV_FAULT ? FL_RF : 0));
		ck_assert_uint_eq(get(top - 8, 4), CODE(cpl) | cpl);
		ck_assert_uint_eq(get(top - 12, 4), 0x1234);
		ck_assert_uint_eq(vm.cpu.gpr[RSP], top - 12);
		ck_assert_int_eq(try_far_iret(4, 0), -1);
		ck_assert_uint_eq(vm.cpu.cpl, cpl);
		ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(cpl));
		ck_assert_uint_eq(vm.cpu.rip, 0x1234);
		ck_assert(vm.cpu.eflags & FL_IF || level > 0);
	}
}
END_TEST

/* Faults inside delivery: each with its code, and nothing changed. */
START_TEST(delivery_faults)
{
	setup(3);
	gate(IDT + 14 * 8, SYS_INT32, 0, CODE0, 0x4567, 0);
	absent = (STACK(0) - 1) >> 12;
	ck_assert_int_eq(try_event_deliver(14, EV_FAULT, true, 6), VEC_PF);
	absent = -1;
	put(TSS_A + 8, 2, DATA(1) | 1);
	ck_assert_int_eq(try_event_deliver(14, EV_FAULT, true, 6), VEC_TS);
	ck_assert_uint_eq(vm.fault.code, DATA(1) | 1);
	put(TSS_A + 8, 2, 0);
	ck_assert_int_eq(try_event_deliver(14, EV_FAULT, true, 6), VEC_TS);
	ck_assert_uint_eq(vm.fault.code, 1);
	put(TSS_A + 8, 2, DATA0);
	mem[GDT + DATA0 + 5] &= 0x7f;
	ck_assert_int_eq(try_event_deliver(14, EV_EXTERNAL, false, 0), VEC_SS);
	ck_assert_uint_eq(vm.fault.code, DATA0 | 1);
	mem[GDT + DATA0 + 5] |= 0x80;
	describe(GDT + DATA0, 0, STACK(0) - 13, DATA_ATTR(0) & ~SEG_G);
	ck_assert_int_eq(try_event_deliver(14, EV_FAULT, true, 6), VEC_SS);
	ck_assert_uint_eq(vm.fault.code, DATA0 | 1);
	vm.cpu.seg[SEG_TR].limit = 8;
	ck_assert_int_eq(try_event_deliver(14, EV_FAULT, true, 6), VEC_TS);
	ck_assert_uint_eq(vm.fault.code, SEL_TSS | 1);
	vm.cpu.idtr.limit = 14 * 8 + 6;
	ck_assert_int_eq(try_event_deliver(14, EV_FAULT, true, 6), VEC_GP);
	ck_assert_uint_eq(vm.fault.code, 14 * 8 + 3);
}
END_TEST

START_TEST(v86_and_back)
{
	static const uint8_t order[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	struct cpu saved;

	setup(3);
	gate(IDT + 13 * 8, SYS_INT32, 0, CODE0, 0x4567, 0);
	vm.cpu.eflags |= FL_VM;
	for (unsigned s = 0; s < 6; s++)
		seg_set_v86(&vm.cpu.seg[s], (uint16_t)(0x100 + s));
	vm.cpu.gpr[RSP] = 0x800;
	vm.cpu.rip = 0x321;
	saved = vm.cpu;
	ck_assert_int_eq(try_event_deliver(13, EV_FAULT, true, 0x55), -1);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(0) - 40);
	ck_assert_uint_eq(get(STACK(0) - 40, 4), 0x55);
	ck_assert_uint_eq(get(STACK(0) - 36, 4), 0x321);
	ck_assert_uint_eq(get(STACK(0) - 32, 4), 0x100 + SEG_CS);
	ck_assert_uint_eq(get(STACK(0) - 28, 4), FL_VM | FL_IF | FL_1 | FL_RF);
	ck_assert_uint_eq(get(STACK(0) - 24, 4), 0x800);
	ck_assert_uint_eq(get(STACK(0) - 20, 4), 0x100 + SEG_SS);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(get(STACK(0) - 16 + 4 * i, 4), 0x100u + order[i]);
		ck_assert_uint_eq(vm.cpu.seg[order[i]].sel, 0);
	}
	ck_assert(!(vm.cpu.eflags & (FL_VM | FL_IF)));
	ck_assert_uint_eq(vm.cpu.cpl, 0);
	vm.cpu.gpr[RSP] += 4;
	ck_assert_int_eq(try_far_iret(4, 0), -1);
	vm.cpu.eflags &= ~FL_RF;
	ck_assert(!memcmp(&saved, &vm.cpu, sizeof(saved)));

	/* INT n: IOPL decides, the redirection bitmap under VME. */
	gate(IDT + 0x21 * 8, SYS_INT32, 3, CODE0, 0x4567, 0);
	ck_assert_int_eq(try_event_deliver(0x21, EV_SOFT, false, 0), VEC_GP);
	ck_assert_uint_eq(vm.fault.code, 0);
	put(0x21 * 4, 4, 0x0200u << 16 | 0x44);
	vm.cpu.cr4 = CR4_VME;
	vm.cpu.eflags |= FL_VIF;
	ck_assert_int_eq(try_event_deliver(0x21, EV_SOFT, false, 0), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0x44);
	ck_assert_uint_eq(vm.cpu.seg[SEG_CS].base, 0x2000);
	ck_assert(!(vm.cpu.eflags & FL_VIF));
	ck_assert(vm.cpu.eflags & FL_VM);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], 0x800 - 6);
	ck_assert_uint_eq(get(saved.seg[SEG_SS].base + 0x800 - 2, 2), FL_IF | FL_IOPL | FL_1);
	ck_assert_int_eq(try_far_iret(2, 0), -1);
	ck_assert(vm.cpu.eflags & FL_VIF);
	ck_assert_uint_eq(vm.cpu.eflags & FL_IOPL, 0);
	ck_assert_uint_eq(vm.cpu.rip, 0x321);
}
END_TEST

START_TEST(real_mode)
{
	setup(0);
	vm.cpu.cr0 = CR0_ET;
	vm.cpu.idtr = (struct dtable){ 0, 0x3ff };
	for (unsigned s = 0; s < 6; s++) {
		seg_set_v86(&vm.cpu.seg[s], 0x300);
		vm.cpu.seg[s].attr &= (uint16_t)~(3u << 5);
	}
	put(0x10 * 4, 4, 0x0400u << 16 | 0x88);
	vm.cpu.gpr[RSP] = 2;		/* the frame wraps around the segment's end */
	ck_assert_int_eq(try_event_deliver(0x10, EV_SOFT, false, 0), VEC_PF);
	vm.cpu.gpr[RSP] = 0x800;
	ck_assert_int_eq(try_event_deliver(0x10, EV_FAULT, true, 9), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0x88);
	ck_assert_uint_eq(vm.cpu.seg[SEG_CS].base, 0x4000);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], 0x800 - 6);
	ck_assert_uint_eq(get(0x3000 + 0x7fa, 2), 0x1234);
	ck_assert_uint_eq(get(0x3000 + 0x7fc, 2), 0x300);
	ck_assert_int_eq(try_far_iret(2, 0), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0x1234);
	ck_assert_int_eq(try_far_jump(0x500, 0x10000, 4, 0), VEC_GP);
	ck_assert_int_eq(try_far_call(0x500, 0x123, 2, 0x999), -1);
	ck_assert_int_eq(try_far_ret(2, 4), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0x999);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], 0x804);
}
END_TEST

START_TEST(long_mode)
{
	struct cpu saved;

	setup(3);
	describe(GDT + CODE64, 0, 0, (CODE_ATTR(0) & ~SEG_D) | SEG_L);
	describe(GDT + SLOT2, 0, 0, (CODE_ATTR(3) & ~SEG_D) | SEG_L);
	vm.cpu.cr0 |= CR0_PG;
	vm.cpu.cr4 = CR4_PAE;
	vm.cpu.efer = EFER_LME | EFER_LMA | EFER_SCE;
	load_raw(SEG_CS, SLOT2 | 3);
	vm.cpu.gpr[RSP] = STACK(3) - 4;		/* misaligned on purpose */
	put(TSS_A + 4, 8, STACK(0));
	put(TSS_A + 0x24, 8, STACK(1) - 8);	/* IST 1 */
	gate(IDT + 14 * 16, SYS_INT32, 0, CODE64, 0x4567, 0);
	gate(IDT + 2 * 16, SYS_INT32, 0, CODE64, 0x4567, 1);
	put(IDT + 2 * 16 + 8, 4, 0xffff8000);
	saved = vm.cpu;
	ck_assert_int_eq(try_event_deliver(14, EV_FAULT, true, 7), -1);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(0) - 48);
	ck_assert_uint_eq(get(STACK(0) - 48, 4), 7);
	ck_assert_uint_eq(get(STACK(0) - 16, 4), STACK(3) - 4);
	ck_assert_uint_eq(get(STACK(0) - 8, 4), DATA3 | 3);
	ck_assert_uint_eq(vm.cpu.seg[SEG_SS].sel, 0);
	ck_assert_uint_eq(vm.cpu.cpl, 0);
	/* An NMI in the handler: another stack, same level, aligned. */
	ck_assert_int_eq(try_event_deliver(2, EV_EXTERNAL, false, 0), -1);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(1) - 16 - 40);
	ck_assert_uint_eq(vm.cpu.rip, 0xffff800000004567ull);
	ck_assert_int_eq(try_far_iret(8, 0), -1);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(0) - 48);
	vm.cpu.gpr[RSP] += 8;
	ck_assert_int_eq(try_far_iret(8, 0), -1);
	vm.cpu.eflags &= ~FL_RF;
	ck_assert(!memcmp(&saved, &vm.cpu, sizeof(saved)));

	/* A null SS is for inner levels only, and only with the right RPL. */
	ck_assert_int_eq(try_seg_load(SEG_SS, 0), VEC_GP);
	vm.cpu.cpl = 0;
	ck_assert_int_eq(try_seg_load(SEG_SS, 1), VEC_GP);
	ck_assert_int_eq(try_seg_load(SEG_SS, 0), -1);
	/* FS keeps its base when an outer return drops its selector. */
	vm.cpu.seg[SEG_FS] = (struct segment){ .base = 0x123456789abc };
	vm.cpu.cpl = 3;
	seg_drop_inner(&vm);
	ck_assert_uint_eq(vm.cpu.seg[SEG_FS].base, 0x123456789abcull);
}
END_TEST

/* SDM 3A table 6-5. */
START_TEST(double_faults)
{
	static const int contributory[] = { VEC_DE, VEC_TS, VEC_NP, VEC_SS, VEC_GP };

	for (int a = -1; a < 32; a++)
		for (int b = 0; b < 32; b++) {
			bool ca = false, cb = false, expect;

			for (size_t i = 0; i < ARRAY_LEN(contributory); i++) {
				ca |= a == contributory[i];
				cb |= b == contributory[i];
			}
			expect = (ca && cb) || (a == VEC_PF && (cb || b == VEC_PF));
			ck_assert_int_eq(event_double_fault(a, b), expect);
		}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("event");
	TCase *t = tcase_create("rules");

	tcase_add_test(t, gate_privilege);
	tcase_add_test(t, delivery_faults);
	tcase_add_test(t, v86_and_back);
	tcase_add_test(t, real_mode);
	tcase_add_test(t, long_mode);
	tcase_add_test(t, double_faults);
	suite_add_tcase(s, t);
	return suite_run(s);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may be written to the flags at each privilege (SDM 2 POPF, IRET), which ports may be used
 * (SDM 1 19.5), and what control registers and MSRs take (SDM 3A 2.5).
 */
#include "tests/suite.h"
#include "tests/system_fixture.h"

START_TEST(popf_and_iret_flags)
{
	const uint32_t plain = FL_ARITH | FL_TF | FL_DF | FL_NT, wide = FL_AC | FL_ID;

	for (unsigned i = 0; i < 32; i++) {
		unsigned cpl = i & 3, iopl = i >> 2 & 3, osize = i >> 4 ? 4 : 2;
		uint32_t may = plain | (osize == 4 ? wide : 0);

		if (cpl <= iopl)
			may |= FL_IF;
		if (cpl == 0)
			may |= FL_IOPL;
		setup(cpl);
		cpu_set_eflags(&vm.cpu, iopl << 12);
		flags_write(&vm, 0xffffffff, osize);
		ck_assert_uint_eq(cpu_eflags(&vm.cpu) & ~FL_1, may | iopl << 12);
		cpu_set_eflags(&vm.cpu, (0x3f7fd5 & ~(FL_VM | FL_IOPL | FL_RF)) | iopl << 12);
		uint32_t old = cpu_eflags(&vm.cpu);

		flags_write(&vm, 0, osize);
		ck_assert_uint_eq(cpu_eflags(&vm.cpu), (old & ~may) | FL_1);

		setup(cpl);
		cpu_set_eflags(&vm.cpu, iopl << 12);
		vm.cpu.gpr[RSP] -= 3 * osize;
		put(STACK(cpl) - 3 * osize, osize, 0x777);
		put(STACK(cpl) - 2 * osize, osize, CODE(cpl) | cpl);
		put(STACK(cpl) - osize, osize, 0xffffffff & ~FL_VM);
		ck_assert_int_eq(try_far_iret(osize, 0), -1);
		if (osize == 4)
			may |= FL_RF | (cpl == 0 ? FL_VIF | FL_VIP : 0);
		ck_assert_uint_eq(cpu_eflags(&vm.cpu) & 0x3f7fd5, may | iopl << 12);
	}
}
END_TEST

START_TEST(io_permission)
{
	setup(3);
	ck_assert_int_eq(try_io_check(0x3f8, 1), -1);	/* the map is all zeroes */
	mem[TSS_A + TSS_IOMAP + 0x3f8 / 8] = 0x04;
	ck_assert_int_eq(try_io_check(0x3f8, 2), -1);
	ck_assert_int_eq(try_io_check(0x3f8, 4), VEC_GP);
	ck_assert_int_eq(try_io_check(0x3fa, 1), VEC_GP);
	ck_assert_int_eq(try_io_check(0x3f7, 4), VEC_GP);	/* across bytes */
	ck_assert_int_eq(try_io_check(0x3fb, 4), -1);
	ck_assert_int_eq(try_io_check(0x1800, 1), VEC_GP);	/* past the limit */
	vm.cpu.eflags |= FL_IOPL;
	ck_assert_int_eq(try_io_check(0x3fa, 1), -1);
	vm.cpu.eflags |= FL_VM;
	ck_assert_int_eq(try_io_check(0x3fa, 1), VEC_GP);
}
END_TEST

START_TEST(control_registers)
{
	setup(0);
	ck_assert_int_eq(try_cr_write(0, CR0_PG), VEC_GP);
	ck_assert_int_eq(try_cr_write(0, CR0_PE | CR0_NW), VEC_GP);
	ck_assert_int_eq(try_cr_write(0, 1ull << 32 | CR0_PE), VEC_GP);
	ck_assert_int_eq(try_cr_write(4, 1u << 31), VEC_GP);
	ck_assert_int_eq(try_cr_write(8, 16), VEC_GP);
	ck_assert_int_eq(try_cr_write(5, 0), VEC_UD);
	/* Into long mode and out of it. */
	ck_assert_int_eq(try_msr_write(0xc0000080, EFER_LME | EFER_NXE), -1);
	ck_assert_int_eq(try_cr_write(0, CR0_PE | CR0_PG), VEC_GP);
	ck_assert_int_eq(try_cr_write(4, CR4_PAE), -1);
	ck_assert_int_eq(try_cr_write(0, CR0_PE | CR0_PG), -1);
	ck_assert(vm.cpu.efer & EFER_LMA);
	ck_assert_int_eq(try_msr_write(0xc0000080, 0), VEC_GP);
	ck_assert_int_eq(try_cr_write(4, 0), VEC_GP);
	ck_assert_int_eq(try_cr_write(0, CR0_PE), -1);
	ck_assert(!(vm.cpu.efer & EFER_LMA));
	ck_assert_uint_eq(vm.cpu.cr0, CR0_PE | CR0_ET);

	ck_assert_int_eq(try_msr_read(0x12345), VEC_GP);
	ck_assert_int_eq(try_msr_write(0x176, 1ull << 60), VEC_GP);
	ck_assert_int_eq(try_msr_write(0x277, 2), VEC_GP);
	ck_assert_int_eq(try_msr_write(0x20f, 0x42), -1);
	ck_assert_uint_eq(vm.cpu.msr_mtrr_var[15], 0x42);
	vm.model = cpu_model_find("pentium");
	ck_assert_int_eq(try_msr_read(0xc0000080), VEC_GP);
	ck_assert_int_eq(try_cr_write(4, CR4_PAE), VEC_GP);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control registers");
	TCase *t = tcase_create("rules");

	tcase_add_test(t, popf_and_iret_flags);
	tcase_add_test(t, io_permission);
	tcase_add_test(t, control_registers);
	suite_add_tcase(s, t);
	return suite_run(s);
}

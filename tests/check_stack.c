/* SPDX-License-Identifier: BSD-2-Clause */
/* Stack instructions where the widths of operand and stack differ. */
#include <string.h>

#include "tests/fuzz/guest.h"
#include "tests/suite.h"

/* What ENTER stores of its own frame is what it leaves in EBP: of ESP all 32 bits, though
 * the stack has 16. */
START_TEST(enter_of_32_bits_on_16_bit_stack)
{
	static const uint8_t enter[] = { 0x66, 0xc8, 0x10, 0, 1 };
	struct guest g;
	struct cpu *c;
	uint32_t stored[2];

	ck_assert_int_eq(guest_open_interp(&g, false), 0);
	g.narrow = true;
	guest_reset(&g);
	c = g.m.cpu;
	memcpy(g.m.mem.ram + CODE_GVA, enter, sizeof(enter));
	c->gpr[RSP] = 0xabcd1000;
	c->gpr[RBP] = 0x12345678;
	interp_run(g.interp, 1, RUN_ONE);
	ck_assert_uint_eq(c->rip, sizeof(enter));
	ck_assert_uint_eq(c->gpr[RBP], 0xabcd0ffc);
	ck_assert_uint_eq(c->gpr[RSP], 0xabcd0fe8);
	memcpy(stored, g.m.mem.ram + DATA_GVA + 0xff8, sizeof(stored));
	ck_assert_uint_eq(stored[0], 0xabcd0ffc);
	ck_assert_uint_eq(stored[1], 0x12345678);
	guest_close(&g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stack");
	TCase *t = tcase_create("stack");

	tcase_add_test(t, enter_of_32_bits_on_16_bit_stack);
	suite_add_tcase(s, t);
	return suite_run(s);
}

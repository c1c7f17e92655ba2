/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traces and the pages that they were made from: a store to either page of an instruction
 * across two is seen by its next execution, whatever physical pages these are.
 */
#include "tests/fuzz/guest.h"
#include "tests/suite.h"

#define SECOND	(CODE_GVA + PAGE_SIZE)

static void teach(struct guest *g, gpa_t second)
{
	/* mov al, 11h across the pages; then the loop: mov [its immediate], 22h; jmp back to it */
	static const uint8_t rest[] = {
		0x11,
		0xc6, 0x05, 0, 0x10, 0x10, 0, 0x22,
		0xe9, 0xf2, 0xff, 0xff, 0xff,
	};

	g->m.cpu->cpl = 0;
	phys_write(&g->m.mem, CODE_GVA + PAGE_SIZE - 1, 0xb0, 1);
	for (unsigned i = 0; i < sizeof(rest); i++)
		phys_write(&g->m.mem, second + i, rest[i], 1);
	guest_map(g, SECOND, second);
	guest_reset(g);
	g->m.cpu->rip = SECOND - 1;
}

/* Two virtual pages that are one physical page, page 0, and the usual case. */
static const gpa_t seconds[] = { CODE_GVA, 0, SECOND };

START_TEST(store_to_second_page)
{
	struct guest g;

	ck_assert_int_eq(guest_open_interp(&g, false), 0);
	teach(&g, seconds[_i]);
	interp_run(g.interp, 2, 0);
	ck_assert_uint_eq(g.m.cpu->gpr[RAX] & 0xff, 0x11);
	interp_run(g.interp, 12, 0);
	ck_assert_uint_eq(g.m.cpu->cpl, 3);
	ck_assert_uint_eq(g.m.cpu->gpr[RAX] & 0xff, 0x22);
	guest_close(&g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("traces");
	TCase *t = tcase_create("traces");

	tcase_add_loop_test(t, store_to_second_page, 0, ARRAY_LEN(seconds));
	suite_add_tcase(s, t);
	return suite_run(s);
}

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

/*
 * A data breakpoint that a load of SS hits is reported after the instruction behind the load, and
 * if that enters a handler, there (SDM 3A 6.8.3).
 */
static const struct { uint8_t behind; uint64_t at; } held[] = {
	{ 0x90, CODE_GVA + 8 }, { 0x06, HANDLER(VEC_UD) }, { 0xfa, HANDLER(VEC_GP) }, { 0xf1, CODE_GVA + 8 },
};

START_TEST(debug_trap_behind_mov_ss)
{
	static const uint8_t load[] = { 0x8e, 0x14, 0x25, 0, 0, 0x11, 0 };	/* mov ss, [DATA_GVA] */
	struct guest g;
	struct cpu *c;

	ck_assert_int_eq(guest_open_interp(&g, true), 0);
	for (unsigned i = 0; i < sizeof(load); i++)
		phys_write(&g.m.mem, CODE_GVA + i, load[i], 1);
	phys_write(&g.m.mem, CODE_GVA + sizeof(load), held[_i].behind, 1);
	guest_reset(&g);
	c = g.m.cpu;
	phys_write(&g.m.mem, DATA_GVA, c->seg[SEG_SS].sel, 2);
	c->dr[0] = DATA_GVA;
	c->dr[7] = 1 | 7u << 16;
	interp_run(g.interp, 1, 0);
	ck_assert_uint_eq(c->rip, CODE_GVA + sizeof(load));
	ck_assert_uint_eq(c->cpl, 3);
	for (unsigned i = 0; i < 2 && c->cpl == 3; i++)
		interp_run(g.interp, 1, RUN_UNTIL_KERNEL);
	ck_assert_uint_eq(c->rip, HANDLER(VEC_DB));
	ck_assert_uint_eq(guest_return(&g), held[_i].at);
	guest_close(&g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("traces");
	TCase *t = tcase_create("traces");

	tcase_add_loop_test(t, store_to_second_page, 0, ARRAY_LEN(seconds));
	tcase_add_loop_test(t, debug_trap_behind_mov_ss, 0, ARRAY_LEN(held));
	suite_add_tcase(s, t);
	return suite_run(s);
}

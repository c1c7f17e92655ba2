/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine of Popek and Goldberg, its assembler, its monitors, and what is told of them. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/asm.h"
#include "model/check.h"
#include "model/classify.h"
#include "tests/suite.h"

static struct model_program prog;
static char error[512];

static struct pg machine(const char *text, unsigned with)
{
	int err = model_assemble(&prog, "text", text, error, sizeof(error));

	ck_assert_msg(err == 0, "%s", error);
	return (struct pg){ .e = prog.e, .q = prog.size, .psw = pg_psw_start(prog.size),
		.with = with };
}

/* --- The machine ------------------------------------------------------------------ */

#define VECTORS	".word 0\n.psw supervisor, 5, 0, 9\n"

START_TEST(trap_swaps)
{
	static const struct { const char *insn; enum pg_trap cause; } rows[] = {
		{ "LPSW 2", PG_PRIVILEGED }, { "SETR 2", PG_PRIVILEGED },
		{ "GETR 2", PG_PRIVILEGED },
		{ "GETM 2", PG_PRIVILEGED }, { "HALT", PG_PRIVILEGED }, { "SVC 3", PG_SVC },
		{ ".word 0", PG_ILLEGAL }, { "JRST1 1", PG_ILLEGAL }, { "READM 1", PG_ILLEGAL },
		{ "MOV 2, 4", PG_MEMORY }, { "MOV 4, 2", PG_MEMORY }, { "LOAD 2, 3", PG_MEMORY },
		{ "STORE 3, 2", PG_MEMORY },
		/* The trap of the instruction comes before those of its operands. */
		{ "LPSW 9", PG_PRIVILEGED },
	};
	char text[200];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pg_psw user = { .user = true, .base = 4, .bound = 4 };
		struct pg m;

		snprintf(text, sizeof(text), VECTORS ".word 0, 0\n%s\n.word 7, 8, 4, 0\n",
			 rows[i].insn);
		m = machine(text, 0);
		m.psw = user;
		ck_assert_msg(pg_step(&m) == rows[i].cause, "%s", rows[i].insn);
		ck_assert_uint_eq(m.e[0], pg_psw_word(user, rows[i].cause));
		ck_assert_uint_eq(pg_psw_word(m.psw, PG_NONE), m.e[1]);
		ck_assert_uint_eq(m.e[6], 8);	/* nothing else has changed */
	}
}
END_TEST

START_TEST(bounds)
{
	struct pg m = machine(VECTORS ".word 0,0,0,0,0,0,0", 0);

	m.psw.base = 4;
	m.psw.bound = 3;
	ck_assert_ptr_eq(pg_cell(&m, 2), m.e + 6);
	ck_assert_ptr_null(pg_cell(&m, 3));
	m.psw.bound = 100;
	ck_assert_ptr_eq(pg_cell(&m, 4), m.e + 8);
	ck_assert_ptr_null(pg_cell(&m, 5));
	m.psw.base = 65535;
	ck_assert_ptr_null(pg_cell(&m, 3));
}
END_TEST

START_TEST(arithmetic)
{
	static const struct { const char *insn; uint64_t want; } rows[] = {
		{ "SET 6, 65535", 65535 }, { "MOV 6, 7", 12 }, { "ADD 6, 7, 8", 17 },
		{ "SUB 6, 8, 7", UINT64_MAX - 6 }, { "MUL 6, 7, 8", 60 }, { "AND 6, 7, 8", 4 },
		{ "OR 6, 7, 8", 13 }, { "XOR 6, 7, 8", 9 }, { "SHL 6, 7, 2", 48 },
		{ "SHR 6, 7, 2", 3 },
		{ "LT 6, 8, 7", 1 }, { "LT 6, 7, 8", 0 }, { "EQ 6, 7, 7", 1 }, { "EQ 6, 7, 8", 0 },
		{ "LOAD 6, 8", 99 }, { "GETM 6", 0 }, { "GETR 6", UINT64_C(9) << 32 },
	};
	char text[200];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pg m;

		snprintf(text, sizeof(text), VECTORS "%s\n.word 0, 0, 99, 0, 12, 5", rows[i].insn);
		m = machine(text, 0);
		ck_assert_int_eq(pg_step(&m), PG_NONE);
		ck_assert_msg(m.e[6] == rows[i].want, "%s", rows[i].insn);
		ck_assert_uint_eq(m.psw.p, 3);
	}
}
END_TEST

START_TEST(jumps)
{
	static const struct { const char *insn; unsigned p; bool user; } rows[] = {
		{ "JMP 7", 7, false }, { "JZ 4, 7", 7, false }, { "JZ 3, 7", 3, false },
		{ "JNZ 3, 7", 7, false }, { "JNZ 4, 7", 3, false }, { "JMPI 3", 6, false },
		{ "HALT", 2, false }, { "JRST1 7", 7, true }, { "LPSW 5", 1, true },
	};
	char text[200];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pg m;

		snprintf(text, sizeof(text), VECTORS "%s\n.word 6, 0\n.psw user, 1, 2, 3",
			 rows[i].insn);
		m = machine(text, PG_JRST1);
		ck_assert_int_eq(pg_step(&m), PG_NONE);
		ck_assert_msg(m.psw.p == rows[i].p && m.psw.user == rows[i].user, "%s",
			      rows[i].insn);
	}
}
END_TEST

/* --- The assembler ------------------------------------------------------------------ */

START_TEST(asm_accepts)
{
	struct pg m = machine("a: b: .word c, -1, ' '+1 ; comment\n.org 5\n.base\nd: SET d, e-1\n"
			      "e:\n.base 0\nc: jz 3, c+2\n.equ k, c - 1\n.fill 2\n"
			      ".word k, ';', ','", 0);

	ck_assert_uint_eq(m.q, 12);
	ck_assert_uint_eq(m.e[0], 6);
	ck_assert_uint_eq(m.e[1], UINT64_MAX);
	ck_assert_uint_eq(m.e[2], 33);
	ck_assert_uint_eq(m.e[3], 0);
	ck_assert_uint_eq(m.e[5], pg_word(PG_SET_OP, 0, 0, 0));
	ck_assert_uint_eq(m.e[6], pg_word(PG_JZ_OP, 3, 8, 0));
	ck_assert_uint_eq(m.e[9], 5);
	ck_assert_uint_eq(m.e[10], ';');
	ck_assert_uint_eq(m.e[11], ',');
	ck_assert_uint_eq(model_symbol_find(&prog, "d")->cell, 5);
}
END_TEST

START_TEST(asm_refuses)
{
	static const struct { const char *text, *want; } rows[] = {
		{ "\n\nFLY 1", "f:3: 'FLY' is no instruction" },
		{ "MOV 1", "f:1: MOV takes 2 operands, not 1" },
		{ "HALT 1", "f:1: HALT takes 0 operands, not 1" },
		{ "JMP nowhere", "f:1: 'nowhere' is not defined" },
		{ "a:\na:", "f:2: 'a' is defined twice" },
		{ "JMP 65536", "f:1: '65536' is not between 0 and 65535" },
		{ "JMP 1x", "f:1: '1x' is not a number" },
		{ "JMP 1 2", "f:1: '2' is left over" },
		{ "JMP", "f:1: JMP takes 1 operand, not 0" },
		{ "MOV 1,", "f:1: a number or a label is missing at ''" },
		{ ".psw root, 1, 2, 3", "f:1: .psw: the mode is user or supervisor, not 'root'" },
		{ ".fill later\nlater:", "f:1: 'later' must be defined before this line" },
		{ ".fill 5000", "f:1: the program does not fit into 4096 cells" },
		{ ".org 5000", "f:1: the program does not fit into 4096 cells" },
		{ ".what", "f:1: '.what' is no directive" },
		{ ".word 'ab'", "f:1: a character is written like 'x'" },
		{ ".word 1, 2", "f:1: no cell at 2, where the machine starts" },
		{ "!", "f:1: '!' is no instruction" },
		{ ".word", "f:1: .word: no value" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int err = model_assemble(&prog, "f", rows[i].text, error, sizeof(error));

		ck_assert_int_eq(err, -EINVAL);
		ck_assert_str_eq(error, rows[i].want);
	}
	ck_assert_int_eq(model_assemble_file(&prog, "/nowhere/f", error, sizeof(error)), -ENOENT);
}
END_TEST

/* --- The monitors -------------------------------------------------------------------- */

static struct check checked(enum monitor_kind kind, unsigned depth, unsigned with, unsigned n)
{
	struct check c = { .kind = kind, .depth = depth, .with = with, .programs = n, .seed = 7 };

	ck_assert_int_eq(check_run(&c), 0);
	return c;
}

START_TEST(allocator)
{
	const struct monitor_level lv = { .guest_q = 100 };
	static const struct { struct pg_psw virtual, real; } rows[] = {
		{ { .base = 0, .bound = 100 }, { .base = 8, .bound = 100 } },
		{ { .base = 10, .bound = 5 }, { .base = 18, .bound = 5 } },
		{ { .base = 10, .bound = 500 }, { .base = 18, .bound = 90 } },
		{ { .base = 100, .bound = 1 }, { .base = 8, .bound = 0 } },
		{ { .base = 65535, .bound = 65535 }, { .base = 8, .bound = 0 } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pg_psw r = monitor_allocate(&lv, rows[i].virtual);

		ck_assert(r.user);
		ck_assert_uint_eq(r.base, rows[i].real.base);
		ck_assert_uint_eq(r.bound, rows[i].real.bound);
	}
}
END_TEST

START_TEST(homomorphism)
{
	static const struct { enum monitor_kind kind; unsigned depth; } rows[] = {
		{ MONITOR_VMM, 1 }, { MONITOR_VMM, 2 }, { MONITOR_VMM, 4 }, { MONITOR_VMM, 6 },
		{ MONITOR_HYBRID, 1 }, { MONITOR_HYBRID, 4 }, { MONITOR_HYBRID, MONITOR_DEPTH_MAX },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct check c = checked(rows[i].kind, rows[i].depth, 0, 200);

		ck_assert_uint_eq(c.diverged, 0);
		ck_assert_uint_gt(c.host_steps, c.steps);
	}
}
END_TEST

/* The programs do what can go wrong: every instruction in each mode, every trap. */
START_TEST(programs_reach)
{
	struct check c = checked(MONITOR_HYBRID, 1, PG_JRST1 | PG_READM, 3000);

	for (unsigned i = 0; i < pg_ninsns; i++) {
		const struct pg_insn *insn = &pg_insns[i];

		if (insn->op == PG_SVC_OP || insn->class == PG_READR)
			continue;
		ck_assert_msg(c.executed[insn->op][0] > 20, "%s", insn->name);
		ck_assert_msg(insn->class == PG_PRIV || c.executed[insn->op][1] > 20, "%s",
			      insn->name);
	}
	for (unsigned t = PG_MEMORY; t < PG_TRAPS; t++)
		ck_assert_msg(c.traps[t] > 100, "%s", pg_trap_names[t]);
	ck_assert_uint_eq(c.diverged, 0);
}
END_TEST

START_TEST(difference_is_seen)
{
	struct pg m = machine(".word 0\n.psw supervisor, 2, 0, 5\nSET 4, 1\nJMP 2\n.word 0", 0);
	struct compare c;

	ck_assert_int_eq(compare_init(&c, &m, MONITOR_VMM, 2), 0);
	ck_assert(compare_step(&c));
	c.guest.e[4] ^= 1;
	ck_assert(!compare_step(&c));
	ck_assert_str_eq(c.differs, "E differs");
	ck_assert_uint_eq(c.cell, 4);
	compare_free(&c);
	/* Nor may anything of a monitor change, or lie beyond its guest. */
	for (unsigned at = 0; at < 3; at++) {
		const unsigned outside[] = { MONITOR_GUARD, MONITOR_REGION + PG_NEW, 0 };

		ck_assert_int_eq(compare_init(&c, &m, MONITOR_VMM, 2), 0);
		c.nest.host.e[outside[at] ? outside[at] : c.nest.host.q - 1] ^= 1;
		ck_assert(!compare_step(&c));
		ck_assert_ptr_nonnull(c.differs);
		compare_free(&c);
	}
}
END_TEST

/* --- The theorems --------------------------------------------------------------------- */

static const struct {
	unsigned with;
	bool holds[THEOREMS];
} theorem_rows[] = {
	{ 0, { true, true, true } },
	{ PG_JRST1, { false, false, true } },
	/* In user mode M is always user: there it tells nothing. */
	{ PG_READM, { false, false, true } },
	{ PG_READR, { false, false, false } },
	{ PG_EXTRAS, { false, false, false } },
};

START_TEST(theorems_and_programs_agree)
{
	static struct theorems t;
	unsigned with = theorem_rows[_i].with;
	static const struct { enum monitor_kind kind; unsigned depth; } monitors[THEOREMS] = {
		{ MONITOR_VMM, 1 }, { MONITOR_VMM, 2 }, { MONITOR_HYBRID, 1 },
	};

	theorems_judge(&t, with);
	for (unsigned th = 0; th < THEOREMS; th++) {
		struct check c = checked(monitors[th].kind, monitors[th].depth, with, 3000);

		ck_assert_msg(t.holds[th] == theorem_rows[_i].holds[th], "theorem %u", th + 1);
		ck_assert_msg(!c.diverged == t.holds[th], "theorem %u: %lu", th + 1,
			      (unsigned long)c.diverged);
	}
}
END_TEST

START_TEST(classes)
{
	static struct theorems t;

	theorems_judge(&t, PG_EXTRAS);
	ck_assert_uint_eq(t.n, pg_ninsns);
	for (unsigned i = 0; i < t.n; i++) {
		const struct classify *c = &t.insn[i];
		uint8_t op = c->insn->op;

		ck_assert_msg(c->privileged == (c->insn->class == PG_PRIV), "%s", c->insn->name);
		ck_assert_msg(c->control[0].found == (op == PG_LPSW_OP || op == PG_SETR_OP ||
						      op == PG_JRST1_OP), "%s", c->insn->name);
		ck_assert_msg(!c->control[1].found, "%s", c->insn->name);
		ck_assert_msg(c->location[0].found == (op == PG_GETR_OP || op == PG_READR_OP), "%s",
			      c->insn->name);
		ck_assert_msg(c->location[1].found == (op == PG_READR_OP), "%s", c->insn->name);
		ck_assert_msg(c->mode.found == (op == PG_READM_OP), "%s", c->insn->name);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("model");
	TCase *t = tcase_create("model");

	tcase_add_test(t, trap_swaps);
	tcase_add_test(t, bounds);
	tcase_add_test(t, arithmetic);
	tcase_add_test(t, jumps);
	tcase_add_test(t, asm_accepts);
	tcase_add_test(t, asm_refuses);
	tcase_add_test(t, allocator);
	tcase_add_test(t, homomorphism);
	tcase_add_test(t, programs_reach);
	tcase_add_test(t, difference_is_seen);
	tcase_add_loop_test(t, theorems_and_programs_agree, 0,
			    sizeof(theorem_rows) / sizeof(theorem_rows[0]));
	tcase_add_test(t, classes);
	suite_add_tcase(s, t);
	return suite_run(s);
}

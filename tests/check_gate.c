/* SPDX-License-Identifier: BSD-2-Clause */
/* Every state that the gate must refuse, with its reason, and the one it admits. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "direct/gate.h"
#include "tests/suite.h"

static struct machine m;
static struct cpu c;
static const char *segments;

static const char *refuses(void *self, const struct cpu *cpu)
{
	(void)self;
	ck_assert_ptr_eq(cpu, &c);
	return segments;
}

static const struct direct_engine fake = { .name = "fake", .refuses = refuses };

static void user_state(void)
{
	memset(&m, 0, sizeof(m));
	memset(&c, 0, sizeof(c));
	m.cpu = &c;
	segments = NULL;
	c.cr0 = CR0_PE | CR0_PG;
	c.cr4 = CR4_OSFXSR;
	c.cpl = 3;
	c.dr[7] = 0x400;
	cpu_set_eflags(&c, FL_IF);
}

static enum gate_reason ask(bool strict)
{
	return gate_refuses(&m, &fake, NULL, strict);
}

START_TEST(admits)
{
	user_state();
	ck_assert_int_eq(ask(true), GATE_OK);
	cpu_set_eflags(&c, FL_IF | FL_AC | FL_ID | FL_NT | FL_DF | FL_ARITH | FL_RF | 2 << 12);
	c.cr4 |= CR4_TSD;
	c.nmi_pending = c.nmi_blocked = true;
	ck_assert_int_eq(ask(true), GATE_OK);
	c.cr4 &= ~(uint64_t)CR4_OSFXSR;
	ck_assert_int_eq(ask(false), GATE_OK);
}
END_TEST

#define REFUSE(reason, change) do { user_state(); change; \
	ck_assert_int_eq(ask(true), reason); } while (0)

START_TEST(refuses_each)
{
	REFUSE(GATE_REAL, c.cr0 &= ~(uint64_t)CR0_PE);
	REFUSE(GATE_V86, c.eflags |= FL_VM);
	REFUSE(GATE_SUPERVISOR, c.cpl = 0);
	REFUSE(GATE_SUPERVISOR, c.cpl = 1);
	REFUSE(GATE_HALTED, c.halted = true);
	REFUSE(GATE_NOT_IF, c.eflags &= ~FL_IF);
	REFUSE(GATE_IOPL, c.eflags |= FL_IOPL);
	REFUSE(GATE_TF, c.eflags |= FL_TF);
	REFUSE(GATE_VIRTUAL_IF, c.eflags |= FL_VIF);
	REFUSE(GATE_VIRTUAL_IF, c.eflags |= FL_VIP);
	REFUSE(GATE_SHADOW, c.int_shadow = true);
	REFUSE(GATE_DEBUG_TRAP, c.pending_dbg = 0x4000);
	REFUSE(GATE_NMI, c.nmi_pending = true);
	REFUSE(GATE_INTERRUPT, m.intr = true);
	for (unsigned bit = 0; bit < 8; bit++)
		REFUSE(GATE_BREAKPOINT, c.dr[7] |= 1u << bit);
	REFUSE(GATE_FPU_EM, c.cr0 |= CR0_EM);
	REFUSE(GATE_SSE, c.cr4 = 0);
	REFUSE(GATE_SEGMENT, segments = "because");
	REFUSE(GATE_FPU_TS, c.cr0 |= CR0_TS);
	/* The one that the caller may resolve is asked last. */
	REFUSE(GATE_SEGMENT, c.cr0 |= CR0_TS; segments = "because");
}
END_TEST

START_TEST(every_reason_has_a_name)
{
	for (unsigned i = 0; i < GATE_REASONS; i++) {
		const char *name = gate_reason_name((enum gate_reason)i);

		ck_assert_ptr_nonnull(name);
		for (unsigned k = 0; k < i; k++)
			ck_assert_str_ne(name, gate_reason_name((enum gate_reason)k));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gate");
	TCase *t = tcase_create("gate");

	tcase_add_test(t, admits);
	tcase_add_test(t, refuses_each);
	tcase_add_test(t, every_reason_has_a_name);
	suite_add_tcase(s, t);
	return suite_run(s);
}

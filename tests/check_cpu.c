/* SPDX-License-Identifier: BSD-2-Clause */
/* Power-on state (SDM 3A table 9-1), flags, FXSAVE images, the dump, snapshots. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/cpu_state.h"
#include "tests/suite.h"

static struct cpu cpu;

START_TEST(power_on)
{
	memset(&cpu, 0xff, sizeof(cpu));
	cpu_reset(&cpu);
	ck_assert_uint_eq(cpu_eflags(&cpu), 0x00000002);
	ck_assert_uint_eq(cpu.rip, 0xfff0);
	ck_assert_uint_eq(cpu.seg[SEG_CS].sel, 0xf000);
	ck_assert_uint_eq(cpu.seg[SEG_CS].base, 0xffff0000);
	ck_assert_uint_eq(cpu.seg[SEG_CS].limit, 0xffff);
	ck_assert_uint_eq(cpu.seg[SEG_CS].attr, 0x9b);
	for (unsigned s = SEG_ES; s <= SEG_GS; s++) {
		if (s == SEG_CS)
			continue;
		ck_assert_uint_eq(cpu.seg[s].sel, 0);
		ck_assert_uint_eq(cpu.seg[s].base, 0);
		ck_assert_uint_eq(cpu.seg[s].limit, 0xffff);
		ck_assert_uint_eq(cpu.seg[s].attr, 0x93);
	}
	ck_assert_uint_eq(cpu.cr0, 0x60000010);
	ck_assert_uint_eq(cpu.cr2 | cpu.cr3 | cpu.cr4 | cpu.cr8 | cpu.efer, 0);
	ck_assert_uint_eq(cpu.gdtr.base | cpu.idtr.base, 0);
	ck_assert_uint_eq(cpu.gdtr.limit, 0xffff);
	ck_assert_uint_eq(cpu.idtr.limit, 0xffff);
	ck_assert_uint_eq(cpu.dr[6], 0xffff0ff0);
	ck_assert_uint_eq(cpu.dr[7], 0x400);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		ck_assert_uint_eq(cpu.gpr[i], 0);
	ck_assert_uint_eq(cpu.fpu.cw, 0x40);
	ck_assert_uint_eq(cpu.fpu.sw, 0);
	ck_assert_uint_eq(cpu.fpu.tags, 0xff);		/* FTW 5555H: all hold zero */
	ck_assert_uint_eq(cpu.fpu.mxcsr, 0x1f80);
	ck_assert_uint_eq(cpu.cpl, 0);
	ck_assert(!cpu.halted && !cpu.int_shadow && !cpu.nmi_pending && !cpu.nmi_blocked);
}
END_TEST

START_TEST(flags)
{
	for (unsigned i = 0; i < 64; i++) {
		uint32_t fl = FL_1 | (i & 1 ? FL_CF : 0) | (i & 2 ? FL_PF : 0) |
			(i & 4 ? FL_AF : 0) | (i & 8 ? FL_ZF : 0) | (i & 16 ? FL_SF : 0) |
			(i & 32 ? FL_OF : 0) | FL_IF | FL_ID | 0x3000;

		cpu_set_eflags(&cpu, fl);
		ck_assert_uint_eq(cpu_eflags(&cpu), fl);
		ck_assert_uint_eq(cpu.eflags & FL_ARITH, 0);
	}
}
END_TEST

/* The host's own FXSAVE is the judge. */
START_TEST(fxsave_like_the_host)
{
	static uint8_t host[512] __attribute__((aligned(16))), again[512], saved[512]
		__attribute__((aligned(16)));
	struct fpu f;

	memset(&f, 0x5a, sizeof(f));
	__asm__ volatile("fxsave64 %0" : "=m"(saved));
	__asm__ volatile("fninit; fld1; fldpi; fldz; fld1; fchs; ffree %%st(2);"
			 "pcmpeqd %%xmm9, %%xmm9; pxor %%xmm0, %%xmm0; fxsave64 %0; fxrstor64 %1"
			 : "=m"(host) : "m"(saved) : "xmm0", "xmm9");
	fpu_from_fxsave(&f, host, true);
	ck_assert_uint_eq(f.sw >> 11 & 7, 4);
	/* -1, 0, pi (freed), 1 from the top; physical registers 4 to 7. */
	ck_assert_uint_eq(f.tags, 0xb0);
	ck_assert_uint_eq(f.st[4].w[4], 0xbfff);
	ck_assert_uint_eq(f.st[5].q[0], 0);
	ck_assert_uint_eq(f.st[6].w[4], 0x4000);
	ck_assert_uint_eq(f.st[6].q[0], 0xc90fdaa22168c235);
	ck_assert_uint_eq(f.st[7].w[4], 0x3fff);
	ck_assert_uint_eq(f.st[7].q[0], 1ull << 63);
	ck_assert_uint_eq(f.xmm[9].q[0] & f.xmm[9].q[1], ~0ull);
	fpu_to_fxsave(&f, again, true);
	/* The mask at 28 is ours, 416 and up are free for software. */
	ck_assert_mem_eq(again, host, 28);
	ck_assert_mem_eq(again + 32, host + 32, 416 - 32);
}
END_TEST

START_TEST(fxsave_narrow)
{
	uint8_t image[512];
	struct fpu f = { .cw = 0x37f, .fip = 0x123456789a, .fdp = 0xabcdef0123, .fcs = 0x23,
			 .fds = 0x2b, .fop = 0x5d9, .mxcsr = 0x1fa0 }, g = { 0 };

	f.xmm[7].q[0] = 7;
	f.xmm[8].q[0] = 8;
	g.xmm[8].q[0] = 88;
	fpu_to_fxsave(&f, image, false);
	fpu_from_fxsave(&g, image, false);
	ck_assert_uint_eq(g.fip, 0x3456789a);
	ck_assert_uint_eq(g.fdp, 0xcdef0123);
	ck_assert_uint_eq(g.fcs, 0x23);
	ck_assert_uint_eq(g.fds, 0x2b);
	ck_assert_uint_eq(g.fop, 0x5d9);
	ck_assert_uint_eq(g.mxcsr, 0x1fa0);
	ck_assert_uint_eq(g.xmm[7].q[0], 7);
	ck_assert_uint_eq(g.xmm[8].q[0], 88);		/* not in a narrow image */
}
END_TEST

START_TEST(dump)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	cpu_reset(&cpu);
	cpu.gpr[RAX] = 0xfeedface;
	cpu.cr2 = 0xbadcafe0;
	cpu_dump(&cpu, f);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "rax 00000000feedface"));
	ck_assert_ptr_nonnull(strstr(text, "cr2 00000000badcafe0"));
	ck_assert_ptr_nonnull(strstr(text, "cs f000 base 00000000ffff0000"));
	free(text);
}
END_TEST

START_TEST(bug_aborts)
{
	cpu_reset(&cpu);
	hemi_bug_cpu(&cpu);
	bug("expected by the test %d", 1);
}
END_TEST

START_TEST(invalid_states)
{
	struct state s;
	struct cpu good, c;

	cpu_reset(&good);
	for (unsigned i = 0; i < 4; i++) {
		state_init(&s);
		c = good;
		if (i == 1)
			c.cpl = 4;
		if (i == 2)
			c.cr0 = CR0_PG;
		if (i == 3)
			c.efer = EFER_LMA;
		cpu_save(&c, &s);
		memset(&c, 0, sizeof(c));
		ck_assert_int_eq(cpu_restore(&c, &s), i ? -EINVAL : 0);
		ck_assert_uint_eq(c.rip, i ? 0 : 0xfff0);	/* refused: unchanged */
		state_free(&s);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cpu");
	TCase *t = tcase_create("cpu");

	tcase_add_test(t, power_on);
	tcase_add_test(t, flags);
	tcase_add_test(t, fxsave_like_the_host);
	tcase_add_test(t, fxsave_narrow);
	tcase_add_test(t, dump);
	tcase_add_test_raise_signal(t, bug_aborts, SIGABRT);
	tcase_add_test(t, invalid_states);
	suite_add_tcase(s, t);
	return suite_run(s);
}

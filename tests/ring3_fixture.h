/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine just large enough for the ring3 engine: RAM and a vCPU set up by hand,
 * no interpreter. Code is a list of bytes placed at CODE, which is mapped with the
 * DATA page and a stack in one address space.
 */
#ifndef TESTS_RING3_FIXTURE_H
#define TESTS_RING3_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "direct/ring3.h"
#include "tests/suite.h"

#define CODE		0x08048000u
#define DATA		0x20000000u
#define STACK		0x30000000u	/* one page, the stack starts at its end */
#define CODE_RAM	0x100000
#define DATA_RAM	0x200000
#define STACK_RAM	0x300000

#define FLAT_CODE	(SEG_G | SEG_D | SEG_P | 3 << 5 | SEG_S | SEG_CODE | SEG_R | SEG_A)
#define FLAT_DATA	(SEG_G | SEG_D | SEG_P | 3 << 5 | SEG_S | SEG_W | SEG_A)
#define SEGMENT(s, b, l, a) ((struct segment){ .sel = (s), .base = (b), .limit = (l), .attr = (a) })

static struct machine m;
static struct cpu c;
static void *engine;
static struct sink sink;
static struct space *space;
static struct direct_exit x;

static void map_at(gva_t gva, int64_t ram, unsigned pages, unsigned prot)
{
	struct sink_op op = { gva, pages, ram, (uint8_t)prot };

	ck_assert_int_eq(sink.apply(sink.engine, space, &op, 1), 0);
}

/* A 32-bit process of a Linux guest. */
static void user32(void)
{
	cpu_reset(&c);
	c.cr0 |= CR0_PE | CR0_PG | CR0_NE;
	c.cr4 |= CR4_OSFXSR;
	c.cpl = 3;
	cpu_set_eflags(&c, FL_IF);
	for (unsigned i = 0; i < SEG_USER; i++)
		c.seg[i] = SEGMENT(0x7b, 0, 0xffffffff, FLAT_DATA);
	c.seg[SEG_FS] = c.seg[SEG_GS] = SEGMENT(0, 0, 0, 0);
	c.seg[SEG_CS] = SEGMENT(0x73, 0, 0xffffffff, FLAT_CODE);
	memset(c.gpr, 0, sizeof(c.gpr));
	c.fpu.cw = 0x37f;	/* FNINIT: after a reset all registers are in use */
	c.fpu.sw = c.fpu.tags = 0;
	c.gpr[RSP] = STACK + PAGE_SIZE;
	c.rip = CODE;
}

/* A 64-bit process of a Linux guest. */
static inline void user64(void)
{
	user32();
	c.efer = EFER_LME | EFER_LMA | EFER_SCE;
	c.seg[SEG_CS] = SEGMENT(0x33, 0, 0xffffffff, (FLAT_CODE & ~SEG_D) | SEG_L);
	c.seg[SEG_SS] = SEGMENT(0x2b, 0, 0xffffffff, FLAT_DATA);
	c.seg[SEG_DS] = c.seg[SEG_ES] = SEGMENT(0, 0, 0, 0);
}

static void space_fill(void)
{
	map_at(CODE, CODE_RAM, 1, SINK_R | SINK_X);
	map_at(DATA, DATA_RAM, 1, SINK_R | SINK_W);
	map_at(STACK, STACK_RAM, 1, SINK_R | SINK_W);
}

static void setup(void)
{
	char why[128] = "";
	int err;

	memset(&m, 0, sizeof(m));
	m.cpu = &c;
	ck_assert_int_eq(memory_create(&m.mem, 64 << 20), 0);
	err = direct_ring3.open(&engine, &m, why);
	ck_assert_msg(!err, "open: %s", why);
	sink = direct_ring3.sink(engine);
	space = sink.space_create(sink.engine, &err);
	ck_assert_ptr_nonnull(space);
	space_fill();
	user32();
}

static void teardown(void)
{
	sink.space_destroy(sink.engine, space);
	direct_ring3.close(engine);
	memory_destroy(&m.mem);
}

static void run(void)
{
	const char *why = direct_ring3.refuses(engine, &c);

	ck_assert_msg(!why, "refused: %s", why);
	direct_ring3.run(engine, space, &c, &x);
}

static void place(const void *code, size_t n)
{
	memcpy(m.mem.ram + CODE_RAM, code, n);
	c.rip = CODE;
}

#define BYTES(...)	((const uint8_t[]){ __VA_ARGS__ })
#define PLACE(...)	place(BYTES(__VA_ARGS__), sizeof(BYTES(__VA_ARGS__)))
#define RUN(...)	do { PLACE(__VA_ARGS__); run(); } while (0)
#define DWORD(v)	(uint8_t)(v), (uint8_t)((v) >> 8), (uint8_t)((v) >> 16), \
			(uint8_t)((v) >> 24)
/* Stopped for this reason, at this distance from the start of the code. */
#define EXPECT(k, at)	do { ck_assert_int_eq(x.kind, k); ck_assert_uint_eq(c.rip, CODE + (at)); } \
	while (0)

static uint32_t data32(unsigned off)
{
	uint32_t v;

	memcpy(&v, m.mem.ram + DATA_RAM + off, 4);
	return v;
}

/* 77 with the reason where the host has no ring3. */
static int ring3_main(Suite *(*suite)(void))
{
	char why[128] = "no memory";

	m.cpu = &c;
	if (memory_create(&m.mem, 1 << 20) || direct_ring3.open(&engine, &m, why)) {
		printf("skipped: ring3: %s\n", why);
		return 77;
	}
	direct_ring3.close(engine);
	memory_destroy(&m.mem);
	return suite_run(suite());
}

#endif

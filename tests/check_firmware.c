/* SPDX-License-Identifier: BSD-2-Clause */
/* What a BIOS talks to: fw_cfg, power management, its debug port, CMOS. */
#include "tests/pc.h"

#include <unistd.h>

#define PM		0x80000b00u
#define BASE		0x600
#define HALF_NS		((int64_t)((((__int128)1 << 23) * SECOND + 3579544) / 3579545))

static int pipe_fds[2];

static void prepare(void)
{
	ck_assert_int_eq(pipe(pipe_fds), 0);
	pc.debugcon = pipe_fds[1];
}

static void cfg_write(unsigned off, uint32_t val, unsigned size)
{
	bus_out(pc.bus, 0xcf8, PM | (off & 0xfc), 4);
	bus_out(pc.bus, (uint16_t)(0xcfc + (off & 3)), val, size);
}

static void setup(void)
{
	pc_config.boot_order = "da";
	pc_prepare = prepare;
	pc_setup();
	pc_init_pics();
	cfg_write(0x40, BASE | 1, 4);
	cfg_write(0x80, 1, 1);
}

static void teardown(void)
{
	pc_teardown();
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static uint32_t in2(uint16_t port)
{
	return bus_in(pc.bus, port, 2);
}

static void out2(uint16_t port, uint16_t val)
{
	bus_out(pc.bus, port, val, 2);
}

/* --- fw_cfg ---------------------------------------------------------------------- */

static void take(uint8_t *to, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		to[i] = in(0x511);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The key of a file, and its size; 0 if there is none. */
static uint16_t file_find(const char *name, uint32_t *size)
{
	uint8_t n[4], e[64];

	out2(0x510, 0x19);
	take(n, 4);
	for (unsigned i = 0; i < be32(n); i++) {
		take(e, 64);
		if (strcmp((char *)e + 8, name) == 0) {
			*size = be32(e);
			return (uint16_t)(e[4] << 8 | e[5]);
		}
	}
	return 0;
}

START_TEST(items)
{
	uint8_t b[8];

	out2(0x510, 0);
	take(b, 5);
	ck_assert_mem_eq(b, "QEMU\0", 5);	/* zeros beyond the end */
	out2(0x510, 1);
	take(b, 4);
	ck_assert_uint_eq(b[0], 3);
	out2(0x510, 3);
	take(b, 8);
	ck_assert_mem_eq(b, "\0\0\x40\0\0\0\0\0", 8);	/* 4 MiB */
	out2(0x510, 0x7777);
	ck_assert_uint_eq(in(0x511), 0);
	ck_assert_uint_eq(bus_in(pc.bus, 0x514, 4), 0x554d4551);	/* "QEMU" */
	ck_assert_uint_eq(bus_in(pc.bus, 0x518, 4), 0x47464320);	/* " CFG" */
}
END_TEST

START_TEST(memory_map)
{
	static const uint8_t want[20] = { [10] = 0x40, [16] = 1 };
	uint32_t size = 0;
	uint16_t key = file_find("etc/e820", &size);
	uint8_t b[20];

	ck_assert_uint_ge(key, 0x20);
	ck_assert_uint_eq(size, sizeof(b));
	out2(0x510, key);
	take(b, sizeof(b));
	ck_assert_mem_eq(b, want, sizeof(b));
	ck_assert_uint_eq(file_find("etc/none", &size), 0);
}
END_TEST

/* A descriptor at 0x1000; what its control word has become. */
static uint32_t dma(uint32_t control, uint32_t len, uint64_t to)
{
	uint8_t d[16], back[4];

	for (unsigned i = 0; i < 4; i++) {
		d[i] = (uint8_t)(control >> (24 - 8 * i));
		d[4 + i] = (uint8_t)(len >> (24 - 8 * i));
	}
	for (unsigned i = 0; i < 8; i++)
		d[8 + i] = (uint8_t)(to >> (56 - 8 * i));
	ck_assert(phys_write_bulk(&pc.mem, 0x1000, d, sizeof(d)));
	bus_out(pc.bus, 0x514, 0, 4);
	bus_out(pc.bus, 0x518, __builtin_bswap32(0x1000), 4);
	ck_assert(phys_read_bulk(&pc.mem, 0x1000, back, 4));
	return be32(back);
}

START_TEST(items_by_dma)
{
	uint8_t b[8];

	memset(pc.mem.ram + 0x2000, 0xcc, 16);
	ck_assert_uint_eq(dma(0x0003000a, 8, 0x2000), 0);	/* select 3 and read */
	ck_assert(phys_read_bulk(&pc.mem, 0x2000, b, 8));
	ck_assert_mem_eq(b, "\0\0\x40\0\0\0\0\0", 8);
	ck_assert_uint_eq(pc.mem.ram[0x2008], 0xcc);
	ck_assert_uint_eq(dma(0x00000008, 0, 0), 0);		/* select 0, skip 2, read */
	ck_assert_uint_eq(dma(0x00000004, 2, 0), 0);
	ck_assert_uint_eq(dma(0x00000002, 3, 0x2000), 0);
	ck_assert_mem_eq(pc.mem.ram + 0x2000, "MU\0", 3);
	ck_assert_uint_eq(dma(0x00000004, ~0u, 0), 0);
	ck_assert_uint_eq(in(0x511), 0);
	ck_assert_uint_eq(dma(0x00000010, 4, 0x2000), 1);	/* writing is an error */
	ck_assert_uint_eq(dma(0x0000000a, 4, 0xfffff000), 1);	/* so is no memory */
	ck_assert_uint_eq(dma(0x0000000a, ~0u, ~0ull), 1);
	bus_out(pc.bus, 0x518, 0xffffffff, 4);			/* no descriptor there */
	pc_round_trip(&fw_cfg_device);
}
END_TEST

/* --- Power management ------------------------------------------------------------ */

START_TEST(pm_timer)
{
	uint32_t t = bus_in(pc.bus, BASE + 8, 4);

	pc_run_for(SECOND);
	ck_assert_uint_eq((bus_in(pc.bus, BASE + 8, 4) - t) & 0xffffff, 3579545);
	ck_assert_uint_eq(in2(BASE), 0);
	pc_run_to(HALF_NS - 1);
	ck_assert_uint_eq(in2(BASE), 0);
	pc_run_to(HALF_NS);
	ck_assert_uint_eq(in2(BASE), 1);		/* the top bit has changed */
	ck_assert_int_eq(pc_take(), -1);
	out2(BASE, 1);
	ck_assert_uint_eq(in2(BASE), 0);
	out2(BASE + 2, 1);				/* with an interrupt, in ACPI mode */
	pc_run_to(2 * HALF_NS);
	ck_assert_int_eq(pc_take(), -1);
	out(0xb2, 0xf1);
	ck_assert_uint_eq(in2(BASE + 4), 1);
	ck_assert_int_eq(pc_take(), 0x71);
	out2(BASE, 1);
	pc_run_to(3 * HALF_NS + MS);
	ck_assert_int_eq(pc_take(), 0x71);
	pc_round_trip(&piix4_pm_device);
	ck_assert_uint_eq(in2(BASE), 1);
	out(0xb2, 0xf0);
	ck_assert_uint_eq(in2(BASE + 4), 0);
}
END_TEST

START_TEST(power_button)
{
	ck_assert(!pc.power_button(pc.power_button_self));	/* nobody listens */
	ck_assert_uint_eq(in2(BASE), 0x100);
	out2(BASE, 0x100);
	ck_assert_uint_eq(in2(BASE), 0);
	out2(BASE + 2, 0x100);
	out(0xb2, 0xf1);
	ck_assert_int_eq(pc_take(), -1);
	ck_assert(pc.power_button(pc.power_button_self));
	ck_assert_int_eq(pc_take(), 0x71);
	out2(BASE, 0x100);
	ck_assert_int_eq(pc_take(), -1);
}
END_TEST

START_TEST(pm_moves)
{
	ck_assert_uint_ne(bus_in(pc.bus, BASE + 8, 4), ~0u);
	cfg_write(0x40, 0xb001, 4);
	ck_assert_uint_eq(bus_in(pc.bus, BASE + 8, 4), ~0u);
	ck_assert_uint_ne(bus_in(pc.bus, 0xb008, 4), ~0u);
	cfg_write(0x80, 0, 1);
	ck_assert_uint_eq(bus_in(pc.bus, 0xb008, 4), ~0u);
	bus_out(pc.bus, 0xcf8, PM | 0x40, 4);
	ck_assert_uint_eq(bus_in(pc.bus, 0xcfc, 4), 0xb001);
}
END_TEST

START_TEST(soft_off)
{
	out2(BASE + 4, 0x0001);
	ck_assert_int_eq(pc.power, POWER_ON);
	out2(BASE + 4, 0x2400);				/* S3 is not offered */
	ck_assert_int_eq(pc.power, POWER_ON);
	ck_assert_uint_eq(in2(BASE + 4), 0x0400);	/* SLP_EN reads as 0 */
	out2(BASE + 4, 0x2000);
	ck_assert_int_eq(pc.power, POWER_OFF);
	pc.power = POWER_ON;
	out(BASE + 5, 0x20);				/* a byte does as well */
	ck_assert_int_eq(pc.power, POWER_OFF);
}
END_TEST

START_TEST(general_purpose_events)
{
	ck_assert_uint_eq(bus_in(pc.bus, 0xafe0, 4), 0);
	bus_out(pc.bus, 0xafe2, 0x1234, 2);
	ck_assert_uint_eq(bus_in(pc.bus, 0xafe0, 4), 0x12340000);
	out(0xafe3, 0x56);
	ck_assert_uint_eq(in2(0xafe2), 0x5634);
}
END_TEST

/* --- The rest -------------------------------------------------------------------- */

START_TEST(debug_port)
{
	char line[8] = "";

	ck_assert_uint_eq(in(0x402), 0xe9);
	for (const char *p = "hello\n"; *p; p++)
		out(0x402, (uint8_t)*p);
	ck_assert_int_eq(read(pipe_fds[0], line, sizeof(line)), 6);
	ck_assert_str_eq(line, "hello\n");
}
END_TEST

START_TEST(boot_order)
{
	out(0x70, 0x3d);
	ck_assert_uint_eq(in(0x71), 0x13);		/* CD, floppy */
	out(0x70, 0x38);
	ck_assert_uint_eq(in(0x71), 0x00);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("firmware");
	TCase *t = tcase_create("firmware");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, items);
	tcase_add_test(t, memory_map);
	tcase_add_test(t, items_by_dma);
	tcase_add_test(t, pm_timer);
	tcase_add_test(t, pm_moves);
	tcase_add_test(t, power_button);
	tcase_add_test(t, soft_off);
	tcase_add_test(t, general_purpose_events);
	tcase_add_test(t, debug_port);
	tcase_add_test(t, boot_order);
	suite_add_tcase(s, t);
	return suite_run(s);
}

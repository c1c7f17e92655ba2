/* SPDX-License-Identifier: BSD-2-Clause */
/* The port bus: owners, splitting of wide accesses, ports that nobody owns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/bus.h"
#include "tests/suite.h"

static struct bus *bus;
static char seen[256];

static uint32_t dev_in(void *dev, uint16_t port, unsigned size)
{
	size_t n = strlen(seen);

	snprintf(seen + n, sizeof(seen) - n, "%s%x/%u ", (const char *)dev, port, size);
	return 0xf1f2f300u | (port & 0xff);
}

static void dev_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	size_t n = strlen(seen);

	snprintf(seen + n, sizeof(seen) - n, "%s%x/%u=%x ", (const char *)dev, port, size, val);
}

static unsigned dev_in_block(void *dev, uint16_t port, unsigned size, uint8_t *to, unsigned count)
{
	size_t n = strlen(seen);

	snprintf(seen + n, sizeof(seen) - n, "%s%x/%u*%u ", (const char *)dev, port, size, count);
	memset(to, 0x5a, size * count);
	return count;
}

static const struct device_ops mover = { .name = "mover", .in = dev_in, .in_block = dev_in_block };
static const struct device_ops ops = { .name = "test", .in = dev_in, .out = dev_out };
static const struct device_ops deaf = { .name = "deaf" };

static void setup(void)
{
	ck_assert_int_eq(bus_create(&bus), 0);
	bus_claim(bus, 0x100, 8, 1, &ops, "a");
	bus_claim(bus, 0x200, 8, 2, &ops, "b");
	bus_claim(bus, 0x300, 8, 4, &ops, "c");
	bus_claim(bus, 0x308, 8, 4, &ops, "d");
	bus_claim(bus, 0x400, 4, 4, &deaf, NULL);
	seen[0] = '\0';
}

static void teardown(void)
{
	bus_destroy(bus);
}

static void out_gives(uint16_t port, uint32_t val, unsigned size, const char *want)
{
	seen[0] = '\0';
	bus_out(bus, port, val, size);
	ck_assert_str_eq(seen, want);
}

static void in_gives(uint16_t port, unsigned size, uint32_t val, const char *want)
{
	seen[0] = '\0';
	ck_assert_uint_eq(bus_in(bus, port, size), val);
	ck_assert_str_eq(seen, want);
}

START_TEST(whole)
{
	out_gives(0x101, 0xabcdef12, 1, "a101/1=12 ");
	out_gives(0x202, 0xabcdef12, 2, "b202/2=ef12 ");
	out_gives(0x304, 0xabcdef12, 4, "c304/4=abcdef12 ");
	in_gives(0x304, 4, 0xf1f2f304, "c304/4 ");
	in_gives(0x304, 1, 0x04, "c304/1 ");
}
END_TEST

START_TEST(split)
{
	out_gives(0x100, 0x44332211, 4, "a100/1=11 a101/1=22 a102/1=33 a103/1=44 ");
	in_gives(0x100, 4, 0x03020100, "a100/1 a101/1 a102/1 a103/1 ");
	out_gives(0x200, 0x44332211, 4, "b200/2=2211 b202/2=4433 ");
	in_gives(0x203, 4, 0xf305f303, "b203/2 b205/2 ");
}
END_TEST

START_TEST(straddling)
{
	out_gives(0x306, 0x44332211, 4, "c306/2=2211 d308/2=4433 ");
	out_gives(0x307, 0x2211, 2, "c307/1=11 d308/1=22 ");
	out_gives(0x107, 0x2211, 2, "a107/1=11 ");
	in_gives(0x107, 2, 0xff07, "a107/1 ");
	in_gives(0xff, 2, 0x00ff, "a100/1 ");
}
END_TEST

START_TEST(nobody)
{
	in_gives(0x500, 1, 0xff, "");
	in_gives(0x500, 2, 0xffff, "");
	in_gives(0x500, 4, 0xffffffff, "");
	in_gives(0xffff, 4, 0xffffffff, "");
	out_gives(0xfffe, 0, 4, "");
	in_gives(0x400, 4, 0xffffffff, "");	/* owned, but without handlers */
	out_gives(0x400, 0, 4, "");
}
END_TEST

/* Only what the device would be given whole, and only one that can. */
START_TEST(blocks)
{
	uint8_t to[8];

	bus_claim(bus, 0x600, 2, 2, &mover, "m");
	ck_assert_uint_eq(bus_in_block(bus, 0x600, 2, to, 4), 4);
	ck_assert_str_eq(seen, "m600/2*4 ");
	ck_assert_uint_eq(to[7], 0x5a);
	ck_assert_uint_eq(bus_in_block(bus, 0x600, 4, to, 2), 0);
	ck_assert_uint_eq(bus_in_block(bus, 0x601, 2, to, 2), 0);
	ck_assert_uint_eq(bus_in_block(bus, 0x300, 4, to, 2), 0);
	ck_assert_uint_eq(bus_in_block(bus, 0x500, 1, to, 2), 0);
	ck_assert_str_eq(seen, "m600/2*4 ");
}
END_TEST

START_TEST(last_claim_wins)
{
	bus_claim(bus, 0x102, 2, 2, &ops, "x");
	out_gives(0x100, 0x44332211, 4, "a100/1=11 a101/1=22 x102/2=4433 ");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bus");
	TCase *t = tcase_create("bus");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, whole);
	tcase_add_test(t, split);
	tcase_add_test(t, straddling);
	tcase_add_test(t, nobody);
	tcase_add_test(t, blocks);
	tcase_add_test(t, last_claim_wins);
	suite_add_tcase(s, t);
	return suite_run(s);
}

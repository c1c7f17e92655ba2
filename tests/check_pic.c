/* SPDX-License-Identifier: BSD-2-Clause */
/* The 8259A pair against its data sheet. */
#include "tests/pc.h"

static void setup(void)
{
	pc_setup();
	pc_init_pics();
}

static void raise_line(unsigned line)
{
	irq_set(&pc, line, false);
	irq_set(&pc, line, true);
}

static uint8_t isr(uint16_t port)
{
	uint8_t val;

	out(port, 0x0b);
	val = in(port);
	out(port, 0x0a);
	return val;
}

static uint8_t irr(uint16_t port)
{
	out(port, 0x0a);
	return in(port);
}

START_TEST(vectors_and_eoi)
{
	ck_assert(!pc.intr);
	raise_line(3);
	ck_assert(pc.intr);
	ck_assert_uint_eq(irr(0x20), 0x08);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x0b);
	ck_assert(!pc.intr);
	ck_assert_uint_eq(irr(0x20), 0);
	ck_assert_uint_eq(isr(0x20), 0x08);
	out(0x20, 0x20);
	ck_assert_uint_eq(isr(0x20), 0);
	/* Edge-triggered: the line is still high and asks for nothing. */
	ck_assert(!pc.intr);
}
END_TEST

START_TEST(fixed_priority)
{
	raise_line(5);
	raise_line(1);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x09);
	ck_assert(!pc.intr);		/* 5 waits for the end of 1 */
	raise_line(0);			/* 0 does not */
	ck_assert(pc.intr);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x08);
	ck_assert_uint_eq(isr(0x20), 0x03);
	out(0x20, 0x20);		/* non-specific: the highest, 0 */
	ck_assert_uint_eq(isr(0x20), 0x02);
	out(0x20, 0x61);		/* specific: 1 */
	ck_assert_uint_eq(isr(0x20), 0x00);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x0d);
}
END_TEST

START_TEST(cascade)
{
	raise_line(12);
	raise_line(3);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x74);	/* IR2 beats IR3 */
	ck_assert_uint_eq(isr(0x20), 0x04);
	ck_assert_uint_eq(isr(0xa0), 0x10);
	/* Without special fully nested mode the slave waits for the master's EOI. */
	raise_line(8);
	ck_assert(!pc.intr);
	out(0x20, 0x20);
	ck_assert(pc.intr);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x70);
	out(0xa0, 0x20);
	ck_assert_uint_eq(isr(0xa0), 0x10);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x0b);
}
END_TEST

START_TEST(special_fully_nested)
{
	out(0x20, 0x11);
	out(0x21, 0x08);
	out(0x21, 0x04);
	out(0x21, 0x11);		/* SFNM on the master */
	raise_line(12);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x74);
	raise_line(8);
	ck_assert(pc.intr);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x70);
}
END_TEST

START_TEST(mask)
{
	out(0x21, 0x08);
	ck_assert_uint_eq(in(0x21), 0x08);
	raise_line(3);
	ck_assert(!pc.intr);
	ck_assert_uint_eq(irr(0x20), 0x08);
	out(0x21, 0x00);
	ck_assert(pc.intr);
	out(0xa1, 0xff);
	raise_line(9);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x0b);
	out(0x20, 0x20);
	ck_assert(!pc.intr);
	out(0xa1, 0xfd);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x71);
}
END_TEST

START_TEST(level_triggered)
{
	out(0x4d0, 0xff);
	out(0x4d1, 0xff);
	ck_assert_uint_eq(in(0x4d0), 0xf8);	/* 0, 1, 2 and 8, 13 are always edges */
	ck_assert_uint_eq(in(0x4d1), 0xde);
	irq_set(&pc, 10, true);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x72);
	ck_assert(!pc.intr);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	ck_assert(pc.intr);			/* still high: asks again */
	irq_set(&pc, 10, false);
	ck_assert(!pc.intr);
	/* On the edge-triggered line 8 a steady level is one request. */
	irq_set(&pc, 8, true);
	ck_assert_int_eq(pc_take(), 0x70);
	irq_set(&pc, 8, true);
	ck_assert(!pc.intr);
}
END_TEST

/* "If the IR input goes low before this time a DEFAULT IR7 will occur." */
START_TEST(spurious)
{
	raise_line(4);
	irq_set(&pc, 4, false);
	ck_assert(!pc.intr);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x0f);
	ck_assert_uint_eq(isr(0x20), 0);
}
END_TEST

START_TEST(special_mask)
{
	raise_line(1);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x09);
	raise_line(6);
	ck_assert(!pc.intr);
	out(0x21, 0x02);		/* mask the one in service */
	ck_assert(!pc.intr);
	out(0x20, 0x68);		/* enter special mask mode */
	ck_assert(pc.intr);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x0e);
	out(0x20, 0x20);		/* ends 6: 1 is masked, and passed over */
	ck_assert_uint_eq(isr(0x20), 0x02);
	out(0x20, 0x20);
	ck_assert_uint_eq(isr(0x20), 0x02);
	out(0x20, 0x48);		/* leave */
	out(0x20, 0x20);
	ck_assert_uint_eq(isr(0x20), 0);
}
END_TEST

START_TEST(automatic_eoi)
{
	out(0x20, 0x11);
	out(0x21, 0x20);
	out(0x21, 0x04);
	out(0x21, 0x03);
	raise_line(5);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x25);
	ck_assert_uint_eq(isr(0x20), 0);
	/* Rotate in automatic EOI: what was served becomes the lowest. */
	out(0x20, 0x80);
	raise_line(0);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x20);
	raise_line(0);
	raise_line(7);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x27);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x20);
}
END_TEST

START_TEST(rotation)
{
	raise_line(3);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x0b);
	out(0x20, 0xa0);		/* rotate on non-specific EOI: 3 is lowest, 4 highest */
	ck_assert_uint_eq(isr(0x20), 0);
	raise_line(3);
	raise_line(0);
	raise_line(4);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x0c);
	out(0x20, 0xe4);		/* rotate on specific EOI: 4 is lowest, 5 highest */
	ck_assert_int_eq(irq_acknowledge(&pc), 0x08);
	out(0x20, 0x20);
	out(0x20, 0xc2);		/* set priority: 2 is lowest, 3 highest */
	raise_line(1);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x0b);
}
END_TEST

START_TEST(poll)
{
	out(0x20, 0x0c);
	ck_assert_uint_eq(in(0x20), 0x00);
	raise_line(6);
	raise_line(4);
	out(0x20, 0x0c);
	ck_assert_uint_eq(in(0x20), 0x84);
	ck_assert_uint_eq(isr(0x20), 0x10);	/* the poll was the acknowledge */
	ck_assert(!pc.intr);
	out(0x20, 0x20);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x0e);
}
END_TEST

/* ICW1: IMR cleared, edge sense reset, IR7 lowest, special mask off, IRR selected. */
START_TEST(initialisation)
{
	raise_line(4);
	irq_acknowledge(&pc);
	raise_line(3);
	out(0x21, 0xf0);
	out(0x20, 0xc3);
	out(0x20, 0x0b);
	out(0x20, 0x11);
	ck_assert(!pc.intr);
	out(0x21, 0x48);
	out(0x21, 0x04);
	out(0x21, 0x01);
	ck_assert_uint_eq(in(0x21), 0);
	ck_assert_uint_eq(in(0x20), 0);		/* IRR: line 3 is high, but saw no edge */
	ck_assert_uint_eq(isr(0x20), 0);
	raise_line(3);
	raise_line(0);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x48);
}
END_TEST

START_TEST(round_trip)
{
	out(0x4d1, 0x02);
	irq_set(&pc, 9, true);
	raise_line(1);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x09);
	raise_line(6);
	out(0x21, 0x40);
	out(0x20, 0xc5);
	pc_round_trip(&pic_device);
	ck_assert_uint_eq(in(0x21), 0x40);
	ck_assert_uint_eq(in(0x4d1), 0x02);
	ck_assert_uint_eq(isr(0x20), 0x02);
	ck_assert_uint_eq(irr(0x20), 0x44);
	out(0x21, 0x00);
	out(0x20, 0x20);
	ck_assert_int_eq(irq_acknowledge(&pc), 0x0e);	/* IR5 is lowest, so 6 is highest */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pic");
	TCase *t = tcase_create("8259A");

	tcase_add_checked_fixture(t, setup, pc_teardown);
	tcase_add_test(t, vectors_and_eoi);
	tcase_add_test(t, fixed_priority);
	tcase_add_test(t, cascade);
	tcase_add_test(t, special_fully_nested);
	tcase_add_test(t, mask);
	tcase_add_test(t, level_triggered);
	tcase_add_test(t, spurious);
	tcase_add_test(t, special_mask);
	tcase_add_test(t, automatic_eoi);
	tcase_add_test(t, rotation);
	tcase_add_test(t, poll);
	tcase_add_test(t, initialisation);
	tcase_add_test(t, round_trip);
	suite_add_tcase(s, t);
	return suite_run(s);
}

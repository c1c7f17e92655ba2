/* SPDX-License-Identifier: BSD-2-Clause */
/* The 8254 against its data sheet, "Mode Definitions" and "Read-Back Command". */
#include "tests/pc.h"

#define HZ	1193182

static void setup(void)
{
	pc_setup();
	pc_init_pics();
}

/* Time stands exactly at this CLK tick. */
static void tick(int64_t t)
{
	pc_run_to((int64_t)(((__int128)t * SECOND + HZ - 1) / HZ));
}

static void program(unsigned counter, unsigned mode, unsigned count)
{
	out(0x43, (uint8_t)(counter << 6 | 0x30 | mode << 1));
	out((uint16_t)(0x40 + counter), (uint8_t)count);
	out((uint16_t)(0x40 + counter), (uint8_t)(count >> 8));
}

static unsigned count_of(unsigned counter)
{
	uint16_t port = (uint16_t)(0x40 + counter);
	unsigned low;

	out(0x43, (uint8_t)(counter << 6));
	low = in(port);
	return low | (unsigned)in(port) << 8;
}

static uint8_t status_of(unsigned counter)
{
	out(0x43, (uint8_t)(0xe0 | 2 << counter));
	return in((uint16_t)(0x40 + counter));
}

static bool out_of(unsigned counter)
{
	return status_of(counter) & 0x80;
}

static void gate2(bool level)
{
	out(0x61, level);
}

START_TEST(mode0)
{
	gate2(true);
	tick(100);
	program(2, 0, 4);
	ck_assert(!out_of(2));
	ck_assert_uint_eq(status_of(2), 0x40 | 0x30);	/* null count until the next CLK */
	tick(101);
	ck_assert_uint_eq(status_of(2), 0x30);
	ck_assert_uint_eq(count_of(2), 4);
	tick(104);
	ck_assert_uint_eq(count_of(2), 1);
	ck_assert(!out_of(2));
	tick(105);					/* N + 1 after the write */
	ck_assert_uint_eq(count_of(2), 0);
	ck_assert(out_of(2));
	ck_assert_uint_eq(in(0x61) & 0x20, 0x20);
	tick(106);
	ck_assert_uint_eq(count_of(2), 0xffff);
	ck_assert(out_of(2));
	/* GATE low holds the count. */
	program(2, 0, 10);
	tick(109);
	ck_assert_uint_eq(count_of(2), 8);
	gate2(false);
	tick(120);
	ck_assert_uint_eq(count_of(2), 8);
	gate2(true);
	tick(127);
	ck_assert(!out_of(2));
	tick(128);
	ck_assert(out_of(2));
	/* The first byte of a new count lowers OUT and stops counting. */
	out(0x42, 5);
	ck_assert(!out_of(2));
	tick(200);
	ck_assert(!out_of(2));
	out(0x42, 0);
	tick(206);
	ck_assert(out_of(2));
}
END_TEST

START_TEST(mode1)
{
	gate2(false);
	program(2, 1, 3);
	tick(50);
	ck_assert(out_of(2));
	ck_assert_uint_eq(status_of(2), 0xc0 | 0x30 | 2);
	gate2(true);
	tick(51);
	ck_assert(!out_of(2));
	gate2(false);				/* no effect */
	tick(53);
	ck_assert(!out_of(2));
	tick(54);
	ck_assert(out_of(2));
	/* Retriggerable: the pulse starts over. */
	gate2(true);
	tick(56);
	gate2(false);
	gate2(true);
	tick(59);
	ck_assert(!out_of(2));
	tick(60);
	ck_assert(out_of(2));
}
END_TEST

START_TEST(mode2)
{
	gate2(true);
	program(2, 2, 3);
	tick(1);
	for (unsigned period = 0; period < 3; period++) {
		tick(1 + 3 * period);
		ck_assert_uint_eq(count_of(2), 3);
		ck_assert(out_of(2));
		tick(2 + 3 * period);
		ck_assert_uint_eq(count_of(2), 2);
		ck_assert(out_of(2));
		tick(3 + 3 * period);
		ck_assert_uint_eq(count_of(2), 1);
		ck_assert(!out_of(2));
	}
	/* A new count waits for the end of the period. */
	tick(10);
	out(0x42, 5);
	out(0x42, 0);
	ck_assert_uint_eq(status_of(2) & 0x40, 0x40);
	tick(12);
	ck_assert_uint_eq(count_of(2), 1);
	tick(13);
	ck_assert_uint_eq(count_of(2), 5);
	tick(17);
	ck_assert(!out_of(2));
	/* GATE low raises OUT at once; a trigger reloads at the next CLK. */
	gate2(false);
	ck_assert(out_of(2));
	tick(30);
	gate2(true);
	tick(31);
	ck_assert_uint_eq(count_of(2), 5);
	tick(35);
	ck_assert_uint_eq(count_of(2), 1);
	ck_assert(!out_of(2));
}
END_TEST

START_TEST(mode3)
{
	static const uint16_t even[] = { 4, 2, 4, 2, 4 };
	static const bool even_out[] = { 1, 1, 0, 0, 1 };
	static const uint16_t odd[] = { 4, 2, 0, 4, 2, 4 };
	static const bool odd_out[] = { 1, 1, 1, 0, 0, 1 };

	gate2(true);
	program(2, 3, 4);
	for (unsigned i = 0; i < ARRAY_LEN(even); i++) {
		tick(1 + i);
		ck_assert_uint_eq(count_of(2), even[i]);
		ck_assert_int_eq(out_of(2), even_out[i]);
	}
	tick(100);
	program(2, 3, 5);
	for (unsigned i = 0; i < ARRAY_LEN(odd); i++) {
		tick(101 + i);
		ck_assert_uint_eq(count_of(2), odd[i]);
		ck_assert_int_eq(out_of(2), odd_out[i]);
	}
	/* A new count is loaded at the end of the half-cycle. */
	tick(200);
	program(2, 3, 8);
	tick(202);
	out(0x42, 20);
	out(0x42, 0);
	tick(204);
	ck_assert(out_of(2));
	tick(205);
	ck_assert(!out_of(2));
	ck_assert_uint_eq(count_of(2), 20);
	tick(214);
	ck_assert(!out_of(2));
	tick(215);
	ck_assert(out_of(2));
}
END_TEST

START_TEST(mode4)
{
	gate2(true);
	program(2, 4, 3);
	ck_assert(out_of(2));
	tick(3);
	ck_assert(out_of(2));
	tick(4);				/* N + 1: low for one CLK */
	ck_assert(!out_of(2));
	tick(5);
	ck_assert(out_of(2));
	ck_assert_uint_eq(count_of(2), 0xffff);
	tick(70000);
	ck_assert(out_of(2));
}
END_TEST

START_TEST(mode5)
{
	gate2(false);
	program(2, 5, 3);
	tick(40);
	ck_assert(out_of(2));
	gate2(true);
	tick(43);
	ck_assert(out_of(2));
	tick(44);
	ck_assert(!out_of(2));
	tick(45);
	ck_assert(out_of(2));
}
END_TEST

START_TEST(bcd)
{
	gate2(true);
	out(0x43, 0xb1);			/* counter 2, both bytes, mode 0, BCD */
	out(0x42, 0x00);
	out(0x42, 0x00);			/* 10,000 */
	tick(1);
	ck_assert_uint_eq(count_of(2), 0x0000);
	tick(2);
	ck_assert_uint_eq(count_of(2), 0x9999);
	tick(10000);
	ck_assert_uint_eq(count_of(2), 0x0001);
	ck_assert(!out_of(2));
	tick(10001);
	ck_assert(out_of(2));
	tick(10002);
	ck_assert_uint_eq(count_of(2), 0x9999);
}
END_TEST

START_TEST(access_and_latches)
{
	gate2(true);
	out(0x43, 0x94);			/* counter 2, low byte only, mode 2 */
	out(0x42, 200);
	tick(11);
	ck_assert_uint_eq(in(0x42), 190);
	out(0x43, 0xa4);			/* high byte only */
	out(0x42, 2);
	tick(12);
	ck_assert_uint_eq(in(0x42), 2);
	tick(13);
	ck_assert_uint_eq(in(0x42), 1);
	program(2, 2, 0x1234);
	tick(14);
	out(0x43, 0x80);			/* latch */
	tick(20);
	out(0x43, 0x80);			/* ignored: the first has not been read */
	ck_assert_uint_eq(in(0x42), 0x34);
	ck_assert_uint_eq(in(0x42), 0x12);
	ck_assert_uint_eq(in(0x42), 0x2e);	/* not latched any more */
	ck_assert_uint_eq(in(0x42), 0x12);
	/* Read-back of count and status: status is read first. */
	out(0x43, 0xc8);
	tick(30);
	ck_assert_uint_eq(in(0x42), 0x80 | 0x30 | 4);
	ck_assert_uint_eq(in(0x42), 0x2e);
	ck_assert_uint_eq(in(0x42), 0x12);
	ck_assert_uint_eq(in(0x43), 0xff);
}
END_TEST

START_TEST(interrupts)
{
	program(0, 2, 11932);			/* 100 Hz */
	ck_assert_int_eq(pc_take(), 0x08);	/* OUT rose as mode 0 was left */
	for (unsigned i = 1; i <= 10; i++) {
		tick(i * 11932);
		ck_assert_int_eq(pc_take(), -1);
		tick(1 + i * 11932);
		ck_assert_int_eq(pc_take(), 0x08);
		ck_assert_int_eq(pc_take(), -1);
	}
	/* Mode 4, as an operating system's one-shot. Its OUT was high already. */
	program(0, 4, 1000);
	pc_take();
	tick(119321 + 1001);
	ck_assert_int_eq(pc_take(), -1);
	pc_run_for(MS);
	ck_assert_int_eq(pc_take(), 0x08);
	pc_run_for(SECOND);
	ck_assert_int_eq(pc_take(), -1);
}
END_TEST

/* Over an hour not a tick is lost or gained. */
START_TEST(exact_rate)
{
	int64_t n = 0, hours_ticks = 3600ll * HZ;

	program(0, 3, 0);			/* 18.2 Hz */
	pc_take();
	while (pc.clock.next <= 3600 * SECOND) {
		pc_run_to(pc.clock.next);
		n += pc_take() == 0x08;
	}
	ck_assert_int_eq(n, (hours_ticks - 1) / 65536);
}
END_TEST

/* A monitor that slept gives some of what it owes, half a period apart, and no flood. */
START_TEST(slow_host)
{
	unsigned n = 0;
	int64_t last = 0;

	program(0, 2, 1193);			/* 1 kHz */
	pc_run_for(10 * MS);
	while (pc_take() >= 0)
		;
	pc_ns += 60 * SECOND;
	for (int64_t end = pc_ns + 8 * MS; pc_ns < end; pc_ns += 10000) {
		clock_run(&pc.clock);
		if (pc_take() == 0x08) {
			ck_assert(!n || pc_ns - last > MS * 4 / 10);
			last = pc_ns;
			n++;
		}
	}
	ck_assert_uint_ge(n, 15);
	ck_assert_uint_le(n, 17);
	pc_run_for(100 * MS);
	pc_take();
	n = 0;
	for (int64_t end = pc_ns + 100 * MS; pc_ns < end; pc_run_for(50000))
		n += pc_take() == 0x08;
	ck_assert_uint_ge(n, 99);
	ck_assert_uint_le(n, 101);
}
END_TEST

/* A guest that asks for 600 kHz does not keep the monitor busy. */
START_TEST(absurd_rate)
{
	unsigned n = 0;

	program(0, 2, 2);
	for (int64_t end = pc_ns + 10 * MS; pc.clock.next < end; n++) {
		pc_ns = pc.clock.next;
		clock_run(&pc.clock);
	}
	ck_assert_uint_le(n, 201);
	ck_assert_uint_ge(n, 150);
}
END_TEST

START_TEST(port_b)
{
	uint8_t first;
	unsigned toggles = 0;

	out(0x61, 0x03);
	ck_assert_uint_eq(in(0x61) & 0x0f, 0x03);
	first = in(0x61) & 0x10;
	for (unsigned i = 0; i < 100; i++) {
		pc_run_for(15085);
		if ((in(0x61) & 0x10) != first)
			toggles++;
		first = in(0x61) & 0x10;
	}
	ck_assert_uint_ge(toggles, 98);
}
END_TEST

START_TEST(round_trip)
{
	unsigned before;

	gate2(true);
	program(0, 2, 1000);
	program(2, 3, 5001);
	tick(777);
	out(0x42, 99);				/* half of a count */
	out(0x43, 0xc8);			/* status and count latched */
	before = in(0x42);
	pc_round_trip(&pit_device);
	ck_assert_uint_eq(before, 0x80 | 0x30 | 6);
	ck_assert_uint_eq(in(0x42), (5000 - 2 * 776) & 0xff);
	ck_assert_uint_eq(in(0x42), (5000 - 2 * 776) >> 8);
	ck_assert_uint_eq(count_of(0), 1000 - 776);
	pc_take();
	tick(1000);
	ck_assert_int_eq(pc_take(), -1);
	tick(1001);
	ck_assert_int_eq(pc_take(), 0x08);
	out(0x42, 0);				/* the other half */
	ck_assert_uint_eq(status_of(2) & 0x40, 0x40);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pit");
	TCase *t = tcase_create("8254");

	tcase_add_checked_fixture(t, setup, pc_teardown);
	tcase_add_test(t, mode0);
	tcase_add_test(t, mode1);
	tcase_add_test(t, mode2);
	tcase_add_test(t, mode3);
	tcase_add_test(t, mode4);
	tcase_add_test(t, mode5);
	tcase_add_test(t, bcd);
	tcase_add_test(t, access_and_latches);
	tcase_add_test(t, interrupts);
	tcase_add_test(t, exact_rate);
	tcase_add_test(t, slow_host);
	tcase_add_test(t, absurd_rate);
	tcase_add_test(t, port_b);
	tcase_add_test(t, round_trip);
	suite_add_tcase(s, t);
	return suite_run(s);
}

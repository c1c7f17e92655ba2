/* SPDX-License-Identifier: BSD-2-Clause */
/* The MC146818 against its data sheet, and what a BIOS reads from CMOS memory. */
#include "tests/pc.h"

#include "dev/rtc_time.h"

/* Tuesday, 2024-12-31 23:59:58 UTC. */
#define NEW_YEARS_EVE	1735689598

static void setup(void)
{
	pc_config.rtc_base = NEW_YEARS_EVE;
	pc_setup();
	pc_init_pics();
}

static uint8_t rd(uint8_t index)
{
	out(0x70, index);
	return in(0x71);
}

static void wr(uint8_t index, uint8_t val)
{
	out(0x70, index);
	out(0x71, val);
}

static void assert_time(unsigned h, unsigned m, unsigned s)
{
	ck_assert_uint_eq(rd(RTC_HOUR), h);
	ck_assert_uint_eq(rd(RTC_MIN), m);
	ck_assert_uint_eq(rd(RTC_SEC), s);
}

static void assert_date(unsigned dow, unsigned day, unsigned month, unsigned century, unsigned year)
{
	ck_assert_uint_eq(rd(RTC_DOW), dow);
	ck_assert_uint_eq(rd(RTC_DAY), day);
	ck_assert_uint_eq(rd(RTC_MONTH), month);
	ck_assert_uint_eq(rd(RTC_YEAR), year);
	ck_assert_uint_eq(rd(RTC_CENTURY), century);
}

START_TEST(calendar)
{
	assert_time(0x23, 0x59, 0x58);
	assert_date(3, 0x31, 0x12, 0x20, 0x24);
	pc_run_to(2 * SECOND - 1);
	assert_time(0x23, 0x59, 0x59);
	pc_run_to(2 * SECOND);
	assert_time(0, 0, 0);
	assert_date(4, 0x01, 0x01, 0x20, 0x25);
	pc_run_to((2 + 59 * 86400ll) * SECOND);		/* 2025 has no leap day */
	assert_date(7, 0x01, 0x03, 0x20, 0x25);
}
END_TEST

START_TEST(formats)
{
	wr(RTC_B, 0x06);				/* binary, 24 hours */
	assert_time(23, 59, 58);
	assert_date(3, 31, 12, 20, 24);
	wr(RTC_B, 0x04);				/* binary, 12 hours */
	assert_time(0x80 | 11, 59, 58);
	wr(RTC_B, 0x00);				/* BCD, 12 hours */
	assert_time(0x80 | 0x11, 0x59, 0x58);
	pc_run_to(2 * SECOND);
	assert_time(0x12, 0, 0);			/* midnight is 12 am */
	pc_run_to((2 + 12 * 3600) * SECOND);
	assert_time(0x92, 0, 0);			/* noon is 12 pm */
}
END_TEST

START_TEST(every_day)
{
	uint8_t cmos[128] = { 0 };

	for (int64_t s = 43200; s < 4102444800; s += 86400 * 3 + 12345) {
		rtc_time_encode(cmos, RTC_B_24H, s, 0);
		ck_assert_int_eq(rtc_time_decode(cmos, RTC_B_24H), s);
		ck_assert_uint_eq(rtc_time_dow_shift(cmos, RTC_B_24H), 0);
		rtc_time_encode(cmos, RTC_B_BINARY, s, 3);
		ck_assert_int_eq(rtc_time_decode(cmos, RTC_B_BINARY), s);
		ck_assert_uint_eq(rtc_time_dow_shift(cmos, RTC_B_BINARY), 3);
	}
}
END_TEST

START_TEST(set)
{
	wr(RTC_B, 0x82);				/* SET: updates stop */
	pc_run_for(5 * SECOND);
	assert_time(0x23, 0x59, 0x58);
	ck_assert_uint_eq(rd(RTC_A) & 0x80, 0);
	wr(RTC_HOUR, 0x11);
	wr(RTC_MIN, 0x22);
	wr(RTC_SEC, 0x33);
	wr(RTC_DAY, 0x29);
	wr(RTC_MONTH, 0x02);
	wr(RTC_DOW, 0x01);				/* wrong on purpose: it only counts */
	wr(RTC_B, 0x02);
	assert_time(0x11, 0x22, 0x33);
	pc_run_for(SECOND);
	assert_time(0x11, 0x22, 0x34);
	pc_run_for(86400 * SECOND);
	assert_time(0x11, 0x22, 0x34);
	assert_date(2, 0x01, 0x03, 0x20, 0x24);
}
END_TEST

/* Half a second after the divider is released comes the first update. */
START_TEST(divider)
{
	wr(RTC_A, 0x76);
	pc_run_for(10 * SECOND);
	assert_time(0x23, 0x59, 0x58);
	wr(RTC_A, 0x26);
	pc_run_for(SECOND / 2 - 1);
	assert_time(0x23, 0x59, 0x58);
	pc_run_for(1);
	assert_time(0x23, 0x59, 0x59);
}
END_TEST

START_TEST(update_in_progress)
{
	ck_assert_uint_eq(rd(RTC_A), 0x26);
	pc_run_to(SECOND - 2228000 - 1);
	ck_assert_uint_eq(rd(RTC_A) & 0x80, 0);
	pc_run_to(SECOND - 2228000);
	ck_assert_uint_eq(rd(RTC_A) & 0x80, 0x80);
	pc_run_to(SECOND - 1);
	ck_assert_uint_eq(rd(RTC_A) & 0x80, 0x80);
	pc_run_to(SECOND);
	ck_assert_uint_eq(rd(RTC_A) & 0x80, 0);
}
END_TEST

START_TEST(update_ended)
{
	rd(RTC_C);
	wr(RTC_B, 0x12);				/* UIE */
	pc_run_to(SECOND - 1);
	ck_assert_int_eq(pc_take(), -1);
	pc_run_to(SECOND);
	ck_assert_int_eq(pc_take(), 0x70);
	/* No further edge before C is read. */
	pc_run_to(5 * SECOND);
	ck_assert_int_eq(pc_take(), -1);
	ck_assert_uint_eq(rd(RTC_C) & 0xb0, 0xb0);	/* midnight was the alarm */
	ck_assert_uint_eq(rd(RTC_C), 0);
	pc_run_to(6 * SECOND);
	ck_assert_int_eq(pc_take(), 0x70);
	/* SET clears UIE. */
	rd(RTC_C);
	wr(RTC_B, 0x92);
	ck_assert_uint_eq(rd(RTC_B), 0x82);
}
END_TEST

START_TEST(alarm)
{
	wr(RTC_HOUR_ALARM, 0x00);
	wr(RTC_MIN_ALARM, 0x01);
	wr(RTC_SEC_ALARM, 0x05);
	rd(RTC_C);
	wr(RTC_B, 0x22);				/* AIE */
	pc_run_to((2 + 65) * SECOND - 1);
	ck_assert_int_eq(pc_take(), -1);
	pc_run_to((2 + 65) * SECOND);
	ck_assert_int_eq(pc_take(), 0x70);
	ck_assert_uint_eq(rd(RTC_C) & 0xb0, 0xb0);	/* UF is set without its enable */
	/* Don't care in hours and minutes: once a minute. */
	wr(RTC_HOUR_ALARM, 0xff);
	wr(RTC_MIN_ALARM, 0xc0);
	pc_run_to((2 + 125) * SECOND);
	ck_assert_int_eq(pc_take(), 0x70);
	/* Polled: AF without AIE. */
	wr(RTC_B, 0x02);
	rd(RTC_C);
	pc_run_for(59 * SECOND);
	ck_assert_uint_eq(rd(RTC_C) & 0x20, 0);
	pc_run_for(SECOND);
	ck_assert_uint_eq(rd(RTC_C), 0x20 | 0x10 | 0x40);
}
END_TEST

START_TEST(periodic)
{
	unsigned n = 0;

	rd(RTC_C);
	wr(RTC_A, 0x2f);				/* RS 15: 2 Hz */
	wr(RTC_B, 0x42);
	pc_run_to(SECOND / 2 - 1);
	ck_assert_int_eq(pc_take(), -1);
	pc_run_to(SECOND / 2);
	ck_assert_int_eq(pc_take(), 0x70);
	ck_assert_uint_eq(rd(RTC_C), 0xc0);
	wr(RTC_A, 0x26);				/* 1,024 Hz */
	for (int64_t end = pc_ns + SECOND; pc.clock.next <= end;) {
		pc_run_to(pc.clock.next);
		if (pc_take() == 0x70) {
			n++;
			rd(RTC_C);
		}
	}
	ck_assert_uint_eq(n, 1024);
	/* RS 1 and 2 are 256 and 128 Hz with this time base. */
	wr(RTC_A, 0x21);
	rd(RTC_C);
	n = 0;
	for (int64_t end = pc_ns + SECOND; pc.clock.next <= end;) {
		pc_run_to(pc.clock.next);
		n += pc_take() == 0x70;
		rd(RTC_C);
	}
	ck_assert_uint_ge(n, 255);
	ck_assert_uint_le(n, 257);
}
END_TEST

/* Enabling an interrupt whose flag is set raises it at once. */
START_TEST(late_enable)
{
	pc_run_to(SECOND);
	ck_assert_int_eq(pc_take(), -1);
	wr(RTC_B, 0x12);
	ck_assert_int_eq(pc_take(), 0x70);
	/* The RESET pin clears enables and flags, and no time. */
	machine_reset(&pc);
	ck_assert_uint_eq(rd(RTC_B), 0x02);
	ck_assert_uint_eq(rd(RTC_C), 0);
	assert_time(0x23, 0x59, 0x59);
}
END_TEST

START_TEST(cmos)
{
	unsigned sum = 0;

	ck_assert_uint_eq(rd(RTC_D), 0x80);
	ck_assert_uint_eq(rd(0x15) | rd(0x16) << 8, 640);
	ck_assert_uint_eq(rd(0x17) | rd(0x18) << 8, 3072);
	ck_assert_uint_eq(rd(0x30) | rd(0x31) << 8, 3072);
	ck_assert_uint_eq(rd(0x34) | rd(0x35) << 8, 0);
	ck_assert_uint_eq(rd(0x10), 0);
	ck_assert_uint_eq(rd(0x14) & 0x02, 0x02);
	for (uint8_t i = 0x10; i < 0x2e; i++)
		sum += rd(i);
	ck_assert_uint_eq(rd(0x2e) << 8 | rd(0x2f), sum);
	wr(0x0f, 0x0a);
	machine_reset(&pc);
	ck_assert_uint_eq(rd(0x0f), 0x0a);
	ck_assert_uint_eq(rd(0x8f), 0x0a);		/* bit 7 of the index masks NMI */
	ck_assert_uint_eq(in(0x70), 0xff);
}
END_TEST

START_TEST(big_memory)
{
	pc_teardown();
	pc_setup_with(200ull << 20, NULL);
	ck_assert_uint_eq(rd(0x30) | rd(0x31) << 8, 0xffff);
	ck_assert_uint_eq(rd(0x34) | rd(0x35) << 8, (200 - 16) * 16);
}
END_TEST

START_TEST(round_trip)
{
	wr(RTC_SEC_ALARM, 0x10);
	wr(RTC_A, 0x2e);
	wr(RTC_DOW, 7);
	pc_run_to(1500 * MS);
	wr(RTC_B, 0x52);
	wr(0x40, 0x5a);
	ck_assert(pc.intr);
	out(0x70, 0x80 | 0x40);
	pc_round_trip(&rtc_device);
	ck_assert_uint_eq(in(0x71), 0x5a);
	ck_assert_uint_eq(rd(RTC_A), 0x2e);
	ck_assert_uint_eq(rd(RTC_B), 0x52);
	ck_assert_uint_eq(rd(RTC_DOW), 7);
	assert_time(0x23, 0x59, 0x59);
	ck_assert(pc.intr);
	ck_assert_uint_eq(rd(RTC_C), 0xd0);
	irq_acknowledge(&pc);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	pc_run_to(1750 * MS);
	ck_assert_int_eq(pc_take(), 0x70);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rtc");
	TCase *t = tcase_create("MC146818");

	tcase_add_checked_fixture(t, setup, pc_teardown);
	tcase_add_test(t, calendar);
	tcase_add_test(t, formats);
	tcase_add_test(t, every_day);
	tcase_add_test(t, set);
	tcase_add_test(t, divider);
	tcase_add_test(t, update_in_progress);
	tcase_add_test(t, update_ended);
	tcase_add_test(t, alarm);
	tcase_add_test(t, periodic);
	tcase_add_test(t, late_enable);
	tcase_add_test(t, cmos);
	tcase_add_test(t, big_memory);
	tcase_add_test(t, round_trip);
	suite_add_tcase(s, t);
	return suite_run(s);
}

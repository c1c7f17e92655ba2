/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formats of the MC146818's time registers (data sheet, table 3): BCD or binary,
 * hours of 24 or of 12 with PM in bit 7. The century is not Motorola's but sits at
 * 0x32 by custom of the AT. Dates are Gregorian, in UTC.
 */
#include "dev/rtc_time.h"

#define DAY	86400

static uint8_t encode(unsigned v, uint8_t b)
{
	return (uint8_t)(b & RTC_B_BINARY ? v : v / 10 << 4 | v % 10);
}

static unsigned decode(uint8_t v, uint8_t b)
{
	return b & RTC_B_BINARY ? v : (v >> 4) * 10u + (v & 15);
}

static uint8_t encode_hour(unsigned h, uint8_t b)
{
	if (b & RTC_B_24H)
		return encode(h, b);
	return encode(h % 12 ? h % 12 : 12, b) | (h >= 12 ? 0x80 : 0);
}

static unsigned decode_hour(uint8_t v, uint8_t b)
{
	if (b & RTC_B_24H)
		return decode(v, b);
	return decode(v & 0x7f, b) % 12 + (v & 0x80 ? 12 : 0);
}

/* Days since 1970-01-01. Years begin in March here, so that a leap day is last. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	unsigned m = month <= 2 ? month + 9 : month - 3;

	return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static void date_of(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
	int64_t n = days + 719468;
	int64_t era = n / 146097, doe = n % 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = (unsigned)(doe - (365 * yoe + yoe / 4 - yoe / 100));
	unsigned m = (5 * doy + 2) / 153;

	*day = doy - (153 * m + 2) / 5 + 1;
	*month = m < 10 ? m + 3 : m - 9;
	*year = yoe + era * 400 + (*month <= 2);
}

static unsigned dow_of(int64_t days)
{
	return (unsigned)((days % 7 + 7 + 4) % 7);	/* 0 = Sunday; 1970-01-01: Thursday */
}

void rtc_time_encode(uint8_t *cmos, uint8_t b, int64_t seconds, unsigned dow_shift)
{
	int64_t days = seconds / DAY, year;
	unsigned s = (unsigned)(seconds % DAY), month, day;

	date_of(days, &year, &month, &day);
	cmos[RTC_SEC] = encode(s % 60, b);
	cmos[RTC_MIN] = encode(s / 60 % 60, b);
	cmos[RTC_HOUR] = encode_hour(s / 3600, b);
	cmos[RTC_DOW] = encode((dow_of(days) + dow_shift) % 7 + 1, b);
	cmos[RTC_DAY] = encode(day, b);
	cmos[RTC_MONTH] = encode(month, b);
	cmos[RTC_YEAR] = encode((unsigned)(year % 100), b);
	cmos[RTC_CENTURY] = encode((unsigned)(year / 100 % 100), b);
}

int64_t rtc_time_decode(const uint8_t *cmos, uint8_t b)
{
	unsigned month = decode(cmos[RTC_MONTH], b), day = decode(cmos[RTC_DAY], b);
	int64_t year = decode(cmos[RTC_CENTURY], b) * 100ll + decode(cmos[RTC_YEAR], b);
	int64_t days;

	if (year < 1970)
		year = 1970 + year % 100;
	month = month < 1 ? 1 : month > 12 ? 12 : month;
	days = days_of(year, month, day < 1 ? 1 : day);
	return days * DAY + decode_hour(cmos[RTC_HOUR], b) * 3600ll +
	       decode(cmos[RTC_MIN], b) * 60ll + decode(cmos[RTC_SEC], b);
}

unsigned rtc_time_dow_shift(const uint8_t *cmos, uint8_t b)
{
	unsigned dow = decode(cmos[RTC_DOW], b);

	return (dow + 6 + 7 - dow_of(rtc_time_decode(cmos, b) / DAY)) % 7;
}

bool rtc_time_alarm(const uint8_t *cmos, uint8_t b, int64_t seconds)
{
	unsigned s = (unsigned)(seconds % DAY);
	uint8_t sec = cmos[RTC_SEC_ALARM], min = cmos[RTC_MIN_ALARM], hour = cmos[RTC_HOUR_ALARM];

	return (sec >= 0xc0 || sec == encode(s % 60, b)) &&
	       (min >= 0xc0 || min == encode(s / 60 % 60, b)) &&
	       (hour >= 0xc0 || hour == encode_hour(s / 3600, b));
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The ten time registers of an MC146818 and seconds since 1970, both ways. */
#ifndef DEV_RTC_TIME_H
#define DEV_RTC_TIME_H

#include "machine/types.h"

enum rtc_reg { RTC_SEC, RTC_SEC_ALARM, RTC_MIN, RTC_MIN_ALARM, RTC_HOUR, RTC_HOUR_ALARM,
	       RTC_DOW, RTC_DAY, RTC_MONTH, RTC_YEAR, RTC_A, RTC_B, RTC_C, RTC_D,
	       RTC_CENTURY = 0x32 };

#define RTC_B_BINARY	0x04	/* DM */
#define RTC_B_24H	0x02

/* Writes the time registers in cmos, in the format that b (register B) chooses.
 * dow_shift is added to the true day of the week. */
void rtc_time_encode(uint8_t *cmos, uint8_t b, int64_t seconds, unsigned dow_shift);
/* Seconds since 1970; days beyond a month's end run on into the next one. */
int64_t rtc_time_decode(const uint8_t *cmos, uint8_t b);
/* What to add to the true day of the week to get the one in the registers. */
unsigned rtc_time_dow_shift(const uint8_t *cmos, uint8_t b);
/* Does this second match the three alarm registers (0xc0-0xff: don't care)? */
bool rtc_time_alarm(const uint8_t *cmos, uint8_t b, int64_t seconds);

#endif

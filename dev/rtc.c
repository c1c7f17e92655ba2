/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AT's clock and CMOS memory: an MC146818 behind ports 0x70 (index; bit 7 masks
 * NMI) and 0x71 (data). It decides the time of day, IRQ 8, and what the BIOS reads
 * about memory sizes.
 *
 * The time runs while the divider (A.DV) does and B.SET is clear. Running, it is
 * base + whole seconds of the guest's clock since `phase`; stopped, the registers
 * hold it. UIP is seen for the 244 us before an update and the 1,984 us of it, so
 * the second changes when UIP falls. Flags in C are brought up to date when they
 * can be seen or can interrupt; after that nothing more interrupts before C is
 * read, which is what keeps a slow guest from being flooded.
 */
#include "dev/disk.h"
#include "dev/rtc_time.h"
#include "dev/table.h"
#include "machine/machine.h"
#include "machine/snapshot.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define RTC_VERSION	1
#define RTC_LINE	8
#define NS_PER_S	1000000000ll
#define CLK_HZ		32768
#define UIP_NS		(244000 + 1984000)
#define ALARM_SCAN	86400		/* seconds: an alarm repeats daily at the latest */
#define FIXED_BASE	946684800	/* 2000-01-01: for runs that must repeat exactly */

#define A_UIP		0x80
#define A_DV		0x70
#define A_DV_RESET	0x60		/* 110 and 111 hold the divider */
#define A_RS		0x0f
#define B_SET		0x80
#define B_PIE		0x40
#define B_AIE		0x20
#define B_UIE		0x10
#define B_SQWE		0x08
#define C_IRQF		0x80
#define C_PF		0x40		/* PF, AF, UF lie where their enables do in B */
#define C_AF		0x20
#define C_UF		0x10
#define D_VRT		0x80
#define FLOPPY_1440K	4

struct rtc {
	struct machine *m;
	struct timer timer;
	uint8_t cmos[128];
	uint8_t index;
	bool nmi_masked;
	int64_t base;		/* running: the time at `phase`, seconds since 1970 */
	int64_t phase;		/* guest ns at which the divider chain was at 0 */
	uint8_t dow_shift;
	int64_t seen_second;	/* updates up to this one are in C */
	int64_t seen_period;	/* periodic ticks up to this one are in C */
};

static bool rtc_divides(const struct rtc *r)
{
	return (r->cmos[RTC_A] & A_DV_RESET) != A_DV_RESET;
}

static bool rtc_runs(const struct rtc *r)
{
	return rtc_divides(r) && !(r->cmos[RTC_B] & B_SET);
}

static int64_t rtc_seconds(const struct rtc *r, int64_t now)
{
	int64_t d = now - r->phase;

	return r->base + (d < 0 ? -1 : d / NS_PER_S);
}

static int64_t second_ns(const struct rtc *r, int64_t second)
{
	return r->phase + (second - r->base) * NS_PER_S;
}

/* A.RS in 32,768 Hz clocks (data sheet, table 5); 0: none. */
static int64_t rtc_period(const struct rtc *r)
{
	unsigned rs = r->cmos[RTC_A] & A_RS;

	if (!rs || !rtc_divides(r))
		return 0;
	return 1ll << (rs <= 2 ? rs + 6 : rs - 1);
}

static int64_t rtc_periods(const struct rtc *r, int64_t now)
{
	int64_t d = now - r->phase;
	int64_t clocks = (int64_t)((__int128)d * CLK_HZ / NS_PER_S);

	return d < 0 ? -1 : clocks / rtc_period(r);
}

static int64_t period_ns(const struct rtc *r, int64_t n)
{
	__int128 clocks = (__int128)n * rtc_period(r);

	return r->phase + (int64_t)((clocks * NS_PER_S + CLK_HZ - 1) / CLK_HZ);
}

/* Records in C what has happened since last time. */
static void rtc_catch_up(struct rtc *r, int64_t now)
{
	if (rtc_runs(r)) {
		int64_t s = rtc_seconds(r, now), from = r->seen_second;

		if (s > from)
			r->cmos[RTC_C] |= C_UF;
		if (from < s - ALARM_SCAN)
			from = s - ALARM_SCAN;
		while (++from <= s)
			if (rtc_time_alarm(r->cmos, r->cmos[RTC_B], from))
				r->cmos[RTC_C] |= C_AF;
		r->seen_second = s;
	}
	if (rtc_period(r)) {
		int64_t n = rtc_periods(r, now);

		if (n > r->seen_period)
			r->cmos[RTC_C] |= C_PF;
		r->seen_period = n;
	}
}

/* IRQF and the line follow C and B; the timer waits for what could raise them. */
static void rtc_update(struct rtc *r)
{
	uint8_t b = r->cmos[RTC_B];
	int64_t when = INT64_MAX;

	r->cmos[RTC_C] &= ~C_IRQF;
	if (r->cmos[RTC_C] & b & (C_PF | C_AF | C_UF)) {
		r->cmos[RTC_C] |= C_IRQF;
	} else {
		if (b & (B_UIE | B_AIE) && rtc_runs(r))
			when = second_ns(r, r->seen_second + 1);
		if (b & B_PIE && rtc_period(r)) {
			int64_t p = period_ns(r, r->seen_period + 1);

			when = p < when ? p : when;
		}
	}
	clock_arm(&r->m->clock, &r->timer, when);
	irq_set(r->m, RTC_LINE, r->cmos[RTC_C] & C_IRQF);
}

static void rtc_fire(void *arg, int64_t now)
{
	rtc_catch_up(arg, now);
	rtc_update(arg);
}

/* The registers show the present; if stopped, they already hold the time. */
static void rtc_show(struct rtc *r, int64_t now)
{
	if (rtc_runs(r))
		rtc_time_encode(r->cmos, r->cmos[RTC_B], rtc_seconds(r, now), r->dow_shift);
}

/* The registers become the time; the divider's phase stays as it is. */
static void rtc_take(struct rtc *r, int64_t now)
{
	int64_t second = rtc_time_decode(r->cmos, r->cmos[RTC_B]);
	int64_t d = now - r->phase;

	r->dow_shift = (uint8_t)rtc_time_dow_shift(r->cmos, r->cmos[RTC_B]);
	r->base = second - (d < 0 ? -1 : d / NS_PER_S);
	r->seen_second = second;
}

static void rtc_write_a(struct rtc *r, int64_t now, uint8_t val)
{
	bool divided = rtc_divides(r);

	rtc_show(r, now);
	r->cmos[RTC_A] = val & (A_DV | A_RS);
	/* The first update comes half a second after the divider is let go. */
	if (!divided && rtc_divides(r))
		r->phase = now - NS_PER_S / 2;
	if (rtc_runs(r))
		rtc_take(r, now);
	if (rtc_period(r))
		r->seen_period = rtc_periods(r, now);
}

static void rtc_write_b(struct rtc *r, int64_t now, uint8_t val)
{
	rtc_show(r, now);
	if (val & B_SET)
		val &= ~B_UIE;
	/* A change of format while running: the same time reads differently. */
	if (rtc_runs(r))
		rtc_time_encode(r->cmos, val, rtc_seconds(r, now), r->dow_shift);
	r->cmos[RTC_B] = val;
	if (rtc_runs(r))
		rtc_take(r, now);
}

static bool is_time(unsigned index)
{
	switch (index) {
	case RTC_SEC: case RTC_MIN: case RTC_HOUR: case RTC_DOW: case RTC_DAY: case RTC_MONTH:
	case RTC_YEAR: case RTC_CENTURY:
		return true;
	default:
		return false;
	}
}

static void rtc_write(struct rtc *r, uint8_t val)
{
	int64_t now = clock_now(&r->m->clock);

	rtc_catch_up(r, now);
	switch (r->index) {
	case RTC_A:
		rtc_write_a(r, now, val);
		break;
	case RTC_B:
		rtc_write_b(r, now, val);
		break;
	case RTC_C: case RTC_D:
		break;
	default:
		if (is_time(r->index))
			rtc_show(r, now);
		r->cmos[r->index] = val;
		if (is_time(r->index) && rtc_runs(r))
			rtc_take(r, now);
	}
	rtc_update(r);
}

static uint8_t rtc_read(struct rtc *r)
{
	int64_t now = clock_now(&r->m->clock);
	uint8_t val;

	switch (r->index) {
	case RTC_A:
		if (!rtc_runs(r))
			return r->cmos[RTC_A];
		val = second_ns(r, rtc_seconds(r, now) + 1) - now <= UIP_NS ? A_UIP : 0;
		return r->cmos[RTC_A] | val;
	case RTC_C:
		rtc_catch_up(r, now);
		rtc_update(r);
		val = r->cmos[RTC_C];
		r->cmos[RTC_C] = 0;
		rtc_update(r);
		return val;
	default:
		if (is_time(r->index))
			rtc_show(r, now);
		return r->cmos[r->index];
	}
}

static uint32_t rtc_in(void *dev, uint16_t port, unsigned size)
{
	(void)size;
	return port & 1 ? rtc_read(dev) : ~0u;
}

static void rtc_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct rtc *r = dev;

	(void)size;
	if (port & 1) {
		rtc_write(r, (uint8_t)val);
	} else {
		r->index = val & 0x7f;
		r->nmi_masked = val & 0x80;
	}
}

/* How the BIOS is to make up cylinders and heads, two bits a drive: 0 as they are, 1 by
 * LBA. A disk has 16 heads and 63 sectors; the BIOS's calls reach 1,024 cylinders. */
static uint8_t disk_translations(const struct machine *m)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < MACHINE_DISKS; i++)
		if (m->disks[i] && disk_size(m->disks[i]) / 512 > 1024 * 16 * 63)
			bits |= 1u << 2 * i;
	return (uint8_t)bits;
}

/* Kinds of drives in the order of booting, where Bochs' BIOS and its heirs look: 1 floppy,
 * 2 disk, 3 CD; the first in 3d 3-0, the second in 3d 7-4, the third in 38 7-4. */
static void cmos_boot_order(struct rtc *r)
{
	const char *order = r->m->config->boot_order ? r->m->config->boot_order : "cda";
	unsigned kinds = 0;

	for (unsigned i = 0; order[i] && i < 3; i++)
		kinds |= (order[i] == 'a' ? 1u : order[i] == 'c' ? 2u : 3u) << 4 * i;
	r->cmos[0x3d] = (uint8_t)kinds;
	r->cmos[0x38] = (uint8_t)(kinds >> 4 & 0xf0);
}

/*
 * What the BIOS finds. Sizes are little-endian and stop at 0xffff:
 *
 *   15-16 KiB below 640 K | 17-18, 30-31 KiB above 1 M | 34-35 64 KiB above 16 M
 *   5b-5d 64 KiB above 4 G | 39 disk translations, 3d and 38 boot order: see above
 */
static void cmos_fill(struct rtc *r)
{
	const struct memory *mem = &r->m->mem;
	uint64_t low = mem->low_size, high = mem->high_size >> 16;
	uint64_t above_1m = low > 0x100000 ? (low - 0x100000) >> 10 : 0;
	uint64_t above_16m = low > 0x1000000 ? (low - 0x1000000) >> 16 : 0;
	bool floppy = r->m->floppies[0] || r->m->config->floppy.file ||	/* emptied meanwhile */
		      r->m->config->floppy.empty;
	unsigned sum = 0;

	above_1m = above_1m > 0xffff ? 0xffff : above_1m;
	above_16m = above_16m > 0xffff ? 0xffff : above_16m;
	r->cmos[0x10] = floppy ? FLOPPY_1440K << 4 : 0;	/* the drive */
	r->cmos[0x14] = 0x02;		/* equipment: coprocessor, no monochrome display */
	if (floppy)
		r->cmos[0x14] |= 0x01;
	r->cmos[0x15] = 640 & 0xff;
	r->cmos[0x16] = 640 >> 8;
	r->cmos[0x17] = r->cmos[0x30] = (uint8_t)above_1m;
	r->cmos[0x18] = r->cmos[0x31] = (uint8_t)(above_1m >> 8);
	r->cmos[0x34] = (uint8_t)above_16m;
	r->cmos[0x35] = (uint8_t)(above_16m >> 8);
	r->cmos[0x5b] = (uint8_t)high;
	r->cmos[0x5c] = (uint8_t)(high >> 8);
	r->cmos[0x5d] = (uint8_t)(high >> 16);
	r->cmos[0x39] = disk_translations(r->m);
	cmos_boot_order(r);
	for (unsigned i = 0x10; i < 0x2e; i++)
		sum += r->cmos[i];
	r->cmos[0x2e] = (uint8_t)(sum >> 8);
	r->cmos[0x2f] = (uint8_t)sum;
}

static int64_t rtc_start_time(const struct config *cfg)
{
	if (cfg->rtc_base)
		return (int64_t)cfg->rtc_base;
	return cfg->clock_instructions ? FIXED_BASE : (int64_t)time(NULL);
}

/* The battery has kept the time and the memory: they survive every reset. */
static int rtc_init(void *dev, struct machine *m)
{
	struct rtc *r = dev;

	r->m = m;
	r->timer = (struct timer){ .fire = rtc_fire, .arg = r, .name = "rtc" };
	clock_add(&m->clock, &r->timer);
	bus_claim(m->bus, 0x70, 2, 1, &rtc_device, r);
	r->cmos[RTC_A] = 0x26;		/* 32,768 Hz time base, 1,024 Hz periodic rate */
	r->cmos[RTC_B] = RTC_B_24H;
	r->cmos[RTC_D] = D_VRT;
	r->base = r->seen_second = rtc_start_time(m->config);
	cmos_fill(r);
	return 0;
}

static void rtc_fini(void *dev)
{
	struct rtc *r = dev;

	clock_remove(&r->m->clock, &r->timer);
}

/* The RESET pin (data sheet, "RESET"). */
static void rtc_reset(void *dev)
{
	struct rtc *r = dev;

	r->cmos[RTC_B] &= (uint8_t)~(B_PIE | B_AIE | B_UIE | B_SQWE);
	r->cmos[RTC_C] = 0;
	r->index = 0;
	r->nmi_masked = false;
	rtc_update(r);
}

static void rtc_save(void *dev, struct state *s)
{
	struct rtc *r = dev;

	state_begin(s, rtc_device.name, RTC_VERSION);
	state_put(s, r->cmos, sizeof(r->cmos));
	state_put_u64(s, r->index | (r->nmi_masked ? 0x80 : 0));
	state_put_u64(s, (uint64_t)r->base);
	state_put_u64(s, (uint64_t)r->phase);
	state_put_u64(s, r->dow_shift);
	state_put_u64(s, (uint64_t)r->seen_second);
	state_put_u64(s, (uint64_t)r->seen_period);
}

static bool in_range(int64_t v, int64_t limit)
{
	return v >= -limit && v <= limit;
}

static int rtc_restore(void *dev, struct state *s)
{
	const int64_t many = 1ll << 40;		/* seconds: nothing overflows */
	struct rtc *r = dev, n = *r;
	uint64_t index;

	if (state_enter(s, rtc_device.name) != RTC_VERSION)
		return -EINVAL;
	state_get(s, n.cmos, sizeof(n.cmos));
	index = state_get_u64(s);
	n.index = index & 0x7f;
	n.nmi_masked = index & 0x80;
	n.base = (int64_t)state_get_u64(s);
	n.phase = (int64_t)state_get_u64(s);
	n.dow_shift = state_get_u64(s) % 7;
	n.seen_second = (int64_t)state_get_u64(s);
	n.seen_period = (int64_t)state_get_u64(s);
	if (s->bad || !in_range(n.base, many) || !in_range(n.phase, INT64_MAX / 4) ||
	    !in_range(n.seen_second, many) || !in_range(n.seen_second - n.base, 1ll << 32))
		return -EINVAL;
	*r = n;
	if (rtc_period(r)) {
		int64_t latest = rtc_periods(r, clock_now(&r->m->clock));

		if (r->seen_period > latest || r->seen_period < -1)
			r->seen_period = latest;
	}
	rtc_update(r);
	return 0;
}

const struct device_ops rtc_device = {
	.name = "rtc", .state_size = sizeof(struct rtc),
	.init = rtc_init, .reset = rtc_reset, .in = rtc_in, .out = rtc_out,
	.save = rtc_save, .restore = rtc_restore, .fini = rtc_fini,
};

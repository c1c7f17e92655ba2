/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A counter of the 8254 (Intel 8254 data sheet, "Mode Definitions"). Nothing ticks
 * here: with the tick at which the count was loaded, the count and OUT at any later
 * tick are arithmetic. A written count is loaded by the next CLK pulse, or, when
 * modes 2 and 3 are under way, at the end of the (half) period, or in modes 1 and
 * 5 by the trigger; counter_sync() makes such a load happen.
 */
#include "dev/pit_counter.h"

#define TICK_MAX	(INT64_MAX / 4)	/* of a restored counter: no sum overflows */

void counter_init(struct counter *c, bool gate)
{
	*c = (struct counter){ .access = PIT_BOTH, .gate = gate, .stopped = !gate,
			       .next_at = TICK_NEVER };
}

static bool mode_periodic(const struct counter *c)
{
	return c->mode == PIT_RATE || c->mode == PIT_SQUARE;
}

static bool mode_triggered(const struct counter *c)
{
	return c->mode == PIT_ONE_SHOT || c->mode == PIT_HARD_STROBE;
}

/* Mode 3: ticks that OUT is high. */
static int64_t high_ticks(uint32_t n)
{
	return (n + 1) / 2;
}

static void counter_sync(struct counter *c, int64_t t)
{
	if (!c->next || t < c->next_at)
		return;
	c->reload = c->next;
	c->start = c->next_at - (c->next_low ? high_ticks(c->next) : 0);
	c->held = 0;
	c->running = true;
	c->next = 0;
	c->next_low = false;
	c->next_at = TICK_NEVER;
}

static int64_t counter_elapsed(const struct counter *c, int64_t t)
{
	return c->stopped ? c->held : t - c->start;
}

static uint16_t to_bcd(unsigned v)
{
	return (uint16_t)(v / 1000 % 10 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10);
}

static unsigned from_bcd(uint16_t v)
{
	return (v >> 12) * 1000u + (v >> 8 & 15) * 100u + (v >> 4 & 15) * 10u + (v & 15);
}

/* Mode 3 counts by two, from N (even) or N - 1 (odd), once for each half. */
static int64_t square_count(uint32_t n, int64_t pos)
{
	int64_t high = high_ticks(n);

	return (n & ~1u) - 2 * (pos < high ? pos : pos - high);
}

static uint16_t counter_count(struct counter *c, int64_t t)
{
	const int64_t modulus = c->bcd ? 10000 : 65536;
	int64_t e, n, v;

	counter_sync(c, t);
	if (!c->running)
		return c->idle;
	e = counter_elapsed(c, t);
	n = c->reload;
	switch (c->mode) {
	case PIT_RATE:
		v = n - e % n;
		break;
	case PIT_SQUARE:
		v = square_count(c->reload, e % n);
		break;
	default:
		v = (n - e) % modulus + modulus;
	}
	v %= modulus;
	return c->bcd ? to_bcd((unsigned)v) : (uint16_t)v;
}

bool counter_out(struct counter *c, int64_t t)
{
	int64_t e, n;

	counter_sync(c, t);
	e = counter_elapsed(c, t);
	n = c->reload;
	switch (c->mode) {
	case PIT_TERMINAL:
		return c->running && e >= n;
	case PIT_ONE_SHOT:
		return !c->running || e >= n;
	case PIT_RATE:
		return !c->running || c->stopped || e % n != n - 1;
	case PIT_SQUARE:
		return !c->running || c->stopped || e % n < high_ticks(c->reload);
	default:
		return !c->running || e != n;
	}
}

void counter_control(struct counter *c, int64_t t, uint8_t word)
{
	c->idle = counter_count(c, t);
	c->access = word >> 4 & 3;
	c->mode = word >> 1 & 7;
	if (c->mode > 5)
		c->mode -= 4;		/* the high bit is ignored in modes 2 and 3 */
	c->bcd = word & 1;
	c->running = false;
	c->stopped = !c->gate && !mode_triggered(c);
	c->reload = c->next = 0;
	c->next_low = false;
	c->next_at = TICK_NEVER;
	c->held = 0;
	c->write_second = c->read_second = false;
	c->latched = c->status_latched = false;
}

/* When the count just written will be loaded. */
static void counter_schedule(struct counter *c, int64_t t)
{
	c->next_low = false;
	c->next_at = t + 1;
	if (mode_triggered(c)) {
		c->next_at = TICK_NEVER;
	} else if (mode_periodic(c) && c->running && !c->stopped) {
		int64_t e = t - c->start, n = c->reload;
		int64_t period = c->start + e / n * n;

		c->next_at = period + n;
		if (c->mode == PIT_SQUARE && n > 1 && e % n < high_ticks(c->reload)) {
			c->next_low = true;
			c->next_at = period + high_ticks(c->reload);
		}
	}
}

static void counter_load(struct counter *c, int64_t t, uint16_t count)
{
	unsigned n = c->bcd ? from_bcd(count) : count;

	c->next = n ? n : c->bcd ? 10000 : 65536;
	if (c->mode == PIT_TERMINAL && c->running) {
		c->idle = counter_count(c, t);
		c->running = false;	/* OUT falls now */
	}
	counter_schedule(c, t);
}

void counter_write(struct counter *c, int64_t t, uint8_t val)
{
	counter_sync(c, t);
	switch (c->access) {
	case PIT_LOW:
		counter_load(c, t, val);
		break;
	case PIT_HIGH:
		counter_load(c, t, (uint16_t)(val << 8));
		break;
	default:
		if (c->write_second) {
			c->write_second = false;
			counter_load(c, t, (uint16_t)(val << 8 | c->write_low));
			break;
		}
		c->write_low = val;
		c->write_second = true;
		if (c->mode == PIT_TERMINAL) {
			/* The first byte stops the count and lowers OUT. */
			c->idle = counter_count(c, t);
			c->running = false;
			c->next = 0;
		}
	}
}

uint8_t counter_read(struct counter *c, int64_t t)
{
	uint16_t count;
	bool high;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	count = c->latched ? c->latch : counter_count(c, t);
	high = c->access == PIT_HIGH || (c->access == PIT_BOTH && c->read_second);
	if (c->access == PIT_BOTH)
		c->read_second = !c->read_second;
	if (c->access != PIT_BOTH || !c->read_second)
		c->latched = false;
	return (uint8_t)(high ? count >> 8 : count);
}

/* A second latch command before the first is read is ignored, both kinds. */
void counter_latch(struct counter *c, int64_t t)
{
	if (c->latched)
		return;
	c->latch = counter_count(c, t);
	c->latched = true;
}

void counter_latch_status(struct counter *c, int64_t t)
{
	bool out = counter_out(c, t);
	bool null_count = c->next || !c->running;

	if (c->status_latched)
		return;
	c->status = (uint8_t)(out << 7 | null_count << 6 | c->access << 4 | c->mode << 1 | c->bcd);
	c->status_latched = true;
}

/* A rising GATE: starts again where it stopped (modes 0, 4) or from the count. */
static void counter_trigger(struct counter *c, int64_t t)
{
	if (c->mode == PIT_TERMINAL || c->mode == PIT_SOFT_STROBE) {
		c->start = t - c->held;
		c->stopped = false;
		return;
	}
	if (c->stopped) {
		c->start = t;
		c->stopped = false;
	}
	if (!c->next)
		c->next = c->reload;
	c->next_low = false;
	c->next_at = t + 1;
}

void counter_gate(struct counter *c, int64_t t, bool level)
{
	if (level == c->gate)
		return;
	counter_sync(c, t);
	c->gate = level;
	if (level) {
		counter_trigger(c, t);
	} else if (!mode_triggered(c)) {
		c->held = counter_elapsed(c, t);
		c->stopped = true;
		/* Nothing is under way any more whose end a new count could wait for. */
		if (c->next)
			c->next_at = t + 1;
		c->next_low = false;
	}
}

static int64_t loaded_next_rise(const struct counter *c, int64_t t)
{
	int64_t n = c->reload, rise;

	if (!c->running || c->stopped)
		return TICK_NEVER;
	if (mode_periodic(c))
		return c->start + ((t - c->start) / n + 1) * n;
	rise = c->start + n;
	if (c->mode == PIT_SOFT_STROBE || c->mode == PIT_HARD_STROBE)
		rise++;
	return rise > t ? rise : TICK_NEVER;
}

int64_t counter_next_rise(const struct counter *c, int64_t t)
{
	struct counter after = *c;

	counter_sync(&after, t);
	if (!after.next || after.next_at == TICK_NEVER)
		return loaded_next_rise(&after, t);
	/* The end of the period under way is a rise, whatever is loaded then. */
	if (mode_periodic(&after) && after.running && !after.stopped && !after.next_low)
		return after.next_at;
	t = after.next_at;
	counter_sync(&after, t);
	return loaded_next_rise(&after, t);
}

void counter_save(const struct counter *c, struct state *s)
{
	uint64_t v[] = {
		c->mode, c->access, c->bcd, c->gate, c->running, c->stopped, c->reload, c->next,
		c->next_low, (uint64_t)c->next_at, (uint64_t)c->start, (uint64_t)c->held, c->idle,
		c->write_low, c->write_second, c->read_second, c->latch, c->status, c->latched,
		c->status_latched,
	};

	for (unsigned i = 0; i < ARRAY_LEN(v); i++)
		state_put_u64(s, v[i]);
}

void counter_restore(struct counter *c, struct state *s)
{
	uint64_t v[20];

	for (unsigned i = 0; i < ARRAY_LEN(v); i++)
		v[i] = state_get_u64(s);
	*c = (struct counter){
		.mode = v[0] % 6, .access = v[1] & 3, .bcd = v[2], .gate = v[3],
		.running = v[4] && v[6], .stopped = v[5],
		.reload = v[6] <= 65536 ? (uint32_t)v[6] : 65536,
		.next = v[7] <= 65536 ? (uint32_t)v[7] : 65536, .next_low = v[8],
		.next_at = (int64_t)v[9], .start = (int64_t)v[10], .held = (int64_t)v[11],
		.idle = (uint16_t)v[12], .write_low = (uint8_t)v[13], .write_second = v[14],
		.read_second = v[15], .latch = (uint16_t)v[16], .status = (uint8_t)v[17],
		.latched = v[18], .status_latched = v[19],
	};
	if (c->start < -65536 || c->start > TICK_MAX || c->held < 0 || c->held > TICK_MAX ||
	    c->next_at < 0 || (c->next_at > TICK_MAX && c->next_at != TICK_NEVER))
		s->bad = true;
}

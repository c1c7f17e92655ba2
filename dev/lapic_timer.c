/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC's timer (SDM 3A 10.5.4): counts down from a start value at the bus clock
 * divided, once or again and again. The bus runs at 1 GHz, so that a count is a nanosecond
 * of guest time. Nothing happens while it counts: the counter is worked out when it is read,
 * and the clock is asked for a call only if there is an interrupt to be made.
 */
#include "dev/lapic.h"

#define PERIODIC(l)	((l)->lvt[LVT_TIMER] & LVT_PERIODIC)
/* Periods that are shorter give one interrupt for many: nothing could be done between them. */
#define SHORTEST_NS	20000

/* Bits 3, 1, 0: 0 means 2, 6 means 128, 7 means 1. */
static int64_t tick_ns(const struct lapic *l)
{
	unsigned n = (l->divide & 3) | (l->divide >> 1 & 4);

	return n == 7 ? 1 : 2 << n;
}

static int64_t ticks(const struct lapic *l)
{
	int64_t ns = clock_now(&l->m->clock) - l->started;

	return ns > 0 ? ns / tick_ns(l) : 0;
}

uint32_t lapic_timer_count(const struct lapic *l)
{
	int64_t done;

	if (!l->running)
		return 0;
	done = ticks(l);
	if (PERIODIC(l))
		return l->initial - (uint32_t)(done % l->initial);
	return done < l->initial ? l->initial - (uint32_t)done : 0;
}

void lapic_timer_arm(struct lapic *l)
{
	struct clock *c = &l->m->clock;
	int64_t period = l->initial * tick_ns(l), when = l->started + period;

	if (!l->running || l->lvt[LVT_TIMER] & LVT_MASKED) {
		clock_disarm(c, &l->timer);
		return;
	}
	if (PERIODIC(l)) {
		int64_t soonest = clock_now(c) + (period < SHORTEST_NS ? SHORTEST_NS : 0);

		if (when <= soonest)
			when += ((soonest - when) / period + 1) * period;
	}
	clock_arm(c, &l->timer, when);
}

void lapic_timer_fire(void *arg, int64_t now)
{
	struct lapic *l = arg;

	(void)now;
	if (!PERIODIC(l))
		l->running = false;
	lapic_timer_arm(l);
	lapic_local(l, LVT_TIMER);
}

/* How it counts is about to change: what it has come to stays. */
static uint32_t hold(struct lapic *l)
{
	int64_t now = clock_now(&l->m->clock);
	uint32_t count;

	if (l->timer.when <= now)	/* due, and the clock has not said so yet */
		lapic_timer_fire(l, now);
	count = lapic_timer_count(l);
	l->running = count;
	return count;
}

static void resume(struct lapic *l, uint32_t count)
{
	l->started = clock_now(&l->m->clock) - (l->initial - count) * tick_ns(l);
	lapic_timer_arm(l);
}

void lapic_timer_start(struct lapic *l, uint32_t initial)
{
	hold(l);
	l->initial = initial;
	l->running = initial;
	l->started = clock_now(&l->m->clock);
	lapic_timer_arm(l);
}

void lapic_timer_divide(struct lapic *l, uint8_t reg)
{
	uint32_t count = hold(l);

	l->divide = reg & 0xb;
	resume(l, count);
}

void lapic_timer_entry(struct lapic *l, uint32_t entry)
{
	uint32_t count = hold(l);

	l->lvt[LVT_TIMER] = entry;
	resume(l, count);
}

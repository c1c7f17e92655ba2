/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest time and its timers. It decides when a timer fires; what that means is
 * the device's business. A timer that re-arms itself in the past is fired again
 * in the same run, but only FIRE_MAX times, so that no device can keep the vCPU
 * from running.
 */
#include "machine/clock.h"

#include <string.h>
#include <time.h>

#define FIRE_MAX	64

static int64_t host_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

/* By instructions: time without the idle time that was jumped over. */
static int64_t clock_retired(const struct clock *c)
{
	return c->retired ? *c->retired : 0;
}

void clock_init(struct clock *c, bool by_instructions)
{
	memset(c, 0, sizeof(*c));
	c->by_instructions = by_instructions;
	c->epoch = host_ns();
	c->next = INT64_MAX;
}

int64_t clock_now(struct clock *c)
{
	if (c->by_instructions)
		return clock_retired(c) + c->skipped;
	return c->stopped ? c->stopped_at : host_ns() - c->epoch;
}

void clock_set_now(struct clock *c, int64_t now)
{
	if (c->by_instructions)
		c->skipped = now - clock_retired(c);
	else
		c->epoch = host_ns() - now;
	c->stopped_at = now;
}

void clock_stop(struct clock *c)
{
	if (c->stopped)
		return;
	c->stopped_at = clock_now(c);
	c->stopped = true;
}

void clock_cont(struct clock *c)
{
	if (!c->stopped)
		return;
	c->stopped = false;
	if (!c->by_instructions)
		c->epoch = host_ns() - c->stopped_at;
}

static void clock_find_next(struct clock *c)
{
	c->next = INT64_MAX;
	for (unsigned i = 0; i < c->ntimers; i++)
		if (c->timers[i]->when < c->next)
			c->next = c->timers[i]->when;
}

void clock_add(struct clock *c, struct timer *t)
{
	bug_on(c->ntimers == ARRAY_LEN(c->timers));
	t->when = INT64_MAX;
	c->timers[c->ntimers++] = t;
}

void clock_remove(struct clock *c, struct timer *t)
{
	for (unsigned i = 0; i < c->ntimers; i++) {
		if (c->timers[i] == t) {
			c->timers[i] = c->timers[--c->ntimers];
			break;
		}
	}
	clock_find_next(c);
}

void clock_arm(struct clock *c, struct timer *t, int64_t when)
{
	t->when = when;
	clock_find_next(c);
}

void clock_disarm(struct clock *c, struct timer *t)
{
	clock_arm(c, t, INT64_MAX);
}

static struct timer *clock_due(const struct clock *c)
{
	for (unsigned i = 0; i < c->ntimers; i++)
		if (c->timers[i]->when == c->next)
			return c->timers[i];
	bug("no timer at %lld", (long long)c->next);
}

int64_t clock_run(struct clock *c)
{
	int64_t now = clock_now(c);

	for (unsigned n = 0; c->next <= now && n < FIRE_MAX; n++) {
		struct timer *t = clock_due(c);

		clock_disarm(c, t);
		t->fire(t->arg, now);
	}
	if (c->next == INT64_MAX)
		return INT64_MAX;
	return c->next > now ? c->next - now : 0;
}

int64_t clock_idle(struct clock *c)
{
	int64_t now = clock_now(c);

	if (c->next == INT64_MAX)
		return INT64_MAX;
	if (c->next <= now)
		return 0;
	if (!c->by_instructions)
		return c->next - now;
	c->skipped += c->next - now;
	return 0;
}

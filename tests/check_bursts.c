/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The adaptive gate against bursts whose lengths are known: a model of a host in which an
 * interpreted instruction costs 2.4 ns, a native one 0.24, a crossing 5,000 and whatever
 * else comes with it, and in which the measured native time has noise of 3 us. What the gate
 * costs is compared with the better of crossing always and never.
 */
#include <stdlib.h>

#include "tests/suite.h"
#include "vmexit/burst.h"

#define INSN_NS		2.4
#define NATIVE_NS	0.24
#define CROSSING_NS	5000
#define NOISE_NS	3000

static struct bursts b;
static uint64_t seed;

static uint32_t rnd(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33);
}

struct cost { double gate, always, never; };

/* One burst of `length` at rip, where direct execution costs `more` ns besides a crossing. */
static void burst(struct cost *c, uint64_t rip, int64_t length, int64_t more)
{
	int64_t allowed = burst_allowance(&b, rip);
	double direct = CROSSING_NS + (double)more + (double)length * NATIVE_NS;

	c->always += direct;
	c->never += (double)length * INSN_NS;
	if (length < allowed) {
		c->gate += (double)length * INSN_NS;
		burst_interpreted(&b, rip, length);
		return;
	}
	int64_t useful = (int64_t)((double)(length - allowed) * NATIVE_NS) + rnd() % NOISE_NS;

	c->gate += (double)allowed * INSN_NS + CROSSING_NS + (double)more + (double)(length - allowed) * NATIVE_NS;
	burst_crossed(&b, rip, allowed, useful, CROSSING_NS + more);
	bursts_price(&b, CROSSING_NS, INSN_NS);
}

static void start(void)
{
	seed = 1;
	bursts_init(&b, GATE_ADAPTIVE);
	bursts_price(&b, CROSSING_NS, INSN_NS);
}

static double over_best(const struct cost *c)
{
	return c->gate / (c->always < c->never ? c->always : c->never);
}

/* Bursts of one length, from a few addresses. */
static const struct { int64_t length, more; } same[] = {
	{ 50, 0 }, { 500, 0 }, { 1500, 0 }, { 2500, 0 }, { 3500, 0 }, { 6000, 0 }, { 12000, 0 }, { 40000, 0 },
	{ 200000, 0 }, { 5000000, 0 }, { 3000, 20000 }, { 12000, 60000 }, { 40000, 60000 }, { 100000, 60000 },
};

START_TEST(bursts_of_one_length)
{
	struct cost c = { 0 };

	start();
	for (unsigned i = 0; i < 20000; i++)
		burst(&c, 0x1000 + rnd() % 16 * 64, same[_i].length, same[_i].more);
	/* Near the price itself both are as good, but which is which takes a while to learn. */
	ck_assert_msg(over_best(&c) < 1.10, "length %ld, more %ld: %.3f", (long)same[_i].length,
		      (long)same[_i].more, over_best(&c));
}
END_TEST

/* Long and short ones, each from addresses of their own: better than either extreme. */
START_TEST(bursts_told_by_address)
{
	struct cost c = { 0 };

	start();
	for (unsigned i = 0; i < 20000; i++) {
		burst(&c, 0x1000, 300, 0);
		if (i % 10 == 0)
			burst(&c, 0x2000, 200000, 0);
	}
	ck_assert_double_lt(over_best(&c), 0.8);
}
END_TEST

/* Nothing tells them apart: most short, a few long ones have most of the time. */
START_TEST(bursts_of_any_length)
{
	struct cost c = { 0 };

	start();
	for (unsigned i = 0; i < 50000; i++)
		burst(&c, 0x1000, rnd() % 16 ? 100 : 100000, 0);
	ck_assert_double_lt(over_best(&c), 1.10);
}
END_TEST

/* A program ends and another one comes, at the same addresses, again and again. */
START_TEST(bursts_that_change)
{
	struct cost c = { 0 };

	start();
	for (unsigned phase = 0; phase < 40; phase++)
		for (unsigned i = 0; i < 500; i++)
			burst(&c, 0x1000 + i % 4 * 16, phase % 2 ? 1000 : 100000, 0);
	ck_assert_double_lt(over_best(&c), 1.0);
}
END_TEST

/* What was dear once (new address spaces) does not stay dear. */
START_TEST(price_comes_down)
{
	struct cost c = { 0 };

	start();
	for (unsigned i = 0; i < 2000; i++)
		burst(&c, 0x1000 + i * 16, 60000, 100000);
	ck_assert_int_gt(b.price, 20000);
	for (unsigned i = 0; i < 3000; i++)
		burst(&c, 0x100000 + i % 8 * 16, 15000, 0);
	ck_assert_int_lt(b.price, 5000);
	ck_assert_int_eq(burst_allowance(&b, 0x100000), 0);
}
END_TEST

START_TEST(policies)
{
	bursts_init(&b, GATE_ALWAYS);
	ck_assert_int_eq(burst_allowance(&b, 1), 0);
	bursts_init(&b, GATE_NEVER);
	ck_assert(burst_allowance(&b, 1) == INT64_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bursts");
	TCase *t = tcase_create("bursts");

	tcase_add_loop_test(t, bursts_of_one_length, 0, ARRAY_LEN(same));
	tcase_add_test(t, bursts_told_by_address);
	tcase_add_test(t, bursts_of_any_length);
	tcase_add_test(t, bursts_that_change);
	tcase_add_test(t, price_comes_down);
	tcase_add_test(t, policies);
	suite_add_tcase(s, t);
	return suite_run(s);
}

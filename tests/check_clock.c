/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest time and timers, by instructions and by the host's clock. */
#include <stdlib.h>
#include <time.h>

#include "machine/clock.h"
#include "tests/suite.h"

static struct clock ck;
static int64_t retired;
static char order[64];
static unsigned fired;

static void fire(void *arg, int64_t now)
{
	(void)now;
	order[fired++] = *(const char *)arg;
	order[fired] = '\0';
}

static struct timer a = { .fire = fire, .arg = "a" }, b = { .fire = fire, .arg = "b" };

static void setup(void)
{
	clock_init(&ck, true);
	ck.retired = &retired;
	retired = 0;
	fired = 0;
	order[0] = '\0';
	clock_add(&ck, &a);
	clock_add(&ck, &b);
}

START_TEST(one_shot)
{
	ck_assert_int_eq(clock_run(&ck), INT64_MAX);
	clock_arm(&ck, &a, 100);
	clock_arm(&ck, &b, 50);
	ck_assert_int_eq(ck.next, 50);
	retired = 49;
	ck_assert_int_eq(clock_run(&ck), 1);
	ck_assert_uint_eq(fired, 0);
	retired = 60;
	ck_assert_int_eq(clock_run(&ck), 40);
	ck_assert_str_eq(order, "b");
	retired = 1000;
	ck_assert_int_eq(clock_run(&ck), INT64_MAX);
	ck_assert_str_eq(order, "ba");
}
END_TEST

START_TEST(in_order)
{
	clock_arm(&ck, &a, 20);
	clock_arm(&ck, &b, 10);
	retired = 30;
	clock_run(&ck);
	ck_assert_str_eq(order, "ba");
	clock_arm(&ck, &a, 40);
	clock_arm(&ck, &b, 50);
	clock_disarm(&ck, &a);
	ck_assert_int_eq(ck.next, 50);
	retired = 60;
	clock_run(&ck);
	ck_assert_str_eq(order, "bab");
}
END_TEST

static unsigned greedy;

static void again(void *arg, int64_t now)
{
	greedy++;
	clock_arm(&ck, arg, now - 1);
}

/* A timer that always asks for the past does not keep the vCPU from running. */
START_TEST(bounded)
{
	struct timer t = { .fire = again, .arg = &t };

	clock_add(&ck, &t);
	clock_arm(&ck, &t, 0);
	ck_assert_int_eq(clock_run(&ck), 0);
	ck_assert_uint_ge(greedy, 1);
	ck_assert_uint_le(greedy, 1000);
	clock_remove(&ck, &t);
	ck_assert_int_eq(clock_run(&ck), INT64_MAX);
}
END_TEST

START_TEST(idle_jumps)
{
	retired = 10;
	ck_assert_int_eq(clock_idle(&ck), INT64_MAX);
	clock_arm(&ck, &a, 500);
	ck_assert_int_eq(clock_idle(&ck), 0);
	ck_assert_int_eq(clock_now(&ck), 500);
	ck_assert_int_eq(clock_idle(&ck), 0);
	ck_assert_int_eq(clock_now(&ck), 500);
	clock_run(&ck);
	ck_assert_str_eq(order, "a");
	retired = 15;
	ck_assert_int_eq(clock_now(&ck), 505);
	clock_set_now(&ck, 77);
	ck_assert_int_eq(clock_now(&ck), 77);
}
END_TEST

START_TEST(host_time)
{
	struct clock h;
	int64_t t0, t1, wait;

	clock_init(&h, false);
	t0 = clock_now(&h);
	ck_assert_int_ge(t0, 0);
	ck_assert_int_lt(t0, 1000000000);
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	t1 = clock_now(&h);
	ck_assert_int_ge(t1 - t0, 5000000);
	clock_add(&h, &a);
	clock_arm(&h, &a, t1 + 3600000000000);
	wait = clock_idle(&h);
	ck_assert_int_gt(wait, 3500000000000);
	ck_assert_int_le(wait, 3600000000000);
	clock_set_now(&h, 0);
	ck_assert_int_lt(clock_now(&h), 1000000000);
	clock_stop(&h);
	t0 = clock_now(&h);
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	clock_stop(&h);
	ck_assert_int_eq(clock_now(&h), t0);
	clock_set_now(&h, 7000000000);
	ck_assert_int_eq(clock_now(&h), 7000000000);
	clock_cont(&h);
	ck_assert_int_ge(clock_now(&h), 7000000000);
	ck_assert_int_lt(clock_now(&h), 8000000000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("clock");
	TCase *t = tcase_create("clock");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, one_shot);
	tcase_add_test(t, in_order);
	tcase_add_test(t, bounded);
	tcase_add_test(t, idle_jumps);
	tcase_add_test(t, host_time);
	suite_add_tcase(s, t);
	return suite_run(s);
}

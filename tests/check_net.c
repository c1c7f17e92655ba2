/* SPDX-License-Identifier: BSD-2-Clause */
/* The cable: frames in order and whole, both ends full and empty, and nobody left asleep. */
#include <poll.h>
#include <pthread.h>

#include "dev/net.h"
#include "tests/pc.h"

static struct machine machine;
static struct net *n;
static unsigned called;

static void ready(void *arg)
{
	(void)arg;
	called++;
}

static void setup(void)
{
	ck_assert_int_eq(net_create(&n, &machine), 0);
	machine.net = n;
	net_attach(n, ready, NULL);
	called = 0;
}

static void teardown(void)
{
	net_destroy(n);
}

static bool readable(void)
{
	struct pollfd p = { .fd = net_host_fd(n), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

START_TEST(in_order)
{
	size_t len;

	ck_assert_ptr_null(net_peek(n, &len));
	ck_assert_ptr_null(net_host_peek(n, &len));
	for (unsigned round = 0; round < 5000; round++) {	/* round and round */
		for (unsigned i = 0; i < 5; i++) {
			size_t size = 1 + (round * 5 + i) * 37 % 1514;
			uint8_t *to = net_host_room(n, size);

			memset(to, (int)(round + i), size);
			net_host_put(n, size);
		}
		for (unsigned i = 0; i < 5; i++) {
			const uint8_t *p = net_peek(n, &len);

			ck_assert_ptr_nonnull(p);
			ck_assert_uint_eq(len, 1 + (round * 5 + i) * 37 % 1514);
			ck_assert_uint_eq(p[0], (uint8_t)(round + i));
			ck_assert_uint_eq(p[len - 1], (uint8_t)(round + i));
			net_next(n);
		}
		ck_assert_ptr_null(net_peek(n, &len));
	}
}
END_TEST

START_TEST(full)
{
	unsigned count = 0, taken = 0;
	size_t len;

	while (net_host_room(n, NET_FRAME_MAX)) {
		net_host_put(n, NET_FRAME_MAX);
		count++;
	}
	ck_assert_uint_ge(count, 8);
	ck_assert(net_host_crowded(n));
	ck_assert(!readable());
	while (net_peek(n, &len)) {
		net_next(n);
		taken++;
		if (taken < count / 2)
			ck_assert(!readable());
	}
	ck_assert_uint_eq(taken, count);
	ck_assert(readable());			/* the host's end is told that there is room */
	ck_assert(!net_host_crowded(n));

	while (net_room(n, NET_FRAME_MAX))
		net_put(n, NET_FRAME_MAX);
	while (net_host_peek(n, &len))
		net_host_next(n);
	ck_assert_uint_eq(atomic_load(&machine.attention), ATT_INPUT);
	net_deliver(&machine);
	ck_assert_uint_eq(called, 1);
}
END_TEST

START_TEST(waking)
{
	ck_assert(net_host_sleeps(n));
	net_flush(n);
	ck_assert(readable());
	net_host_wakes(n);
	ck_assert(!readable());
	net_flush(n);				/* awake: nothing to do */
	ck_assert(!readable());
	ck_assert_ptr_nonnull(net_room(n, 60));
	net_put(n, 60);
	ck_assert(!net_host_sleeps(n));		/* there is a frame already */
	net_host_flush(n);
	ck_assert_uint_eq(atomic_exchange(&machine.attention, 0), ATT_INPUT);
	net_host_flush(n);			/* it has not looked yet */
	ck_assert_uint_eq(atomic_exchange(&machine.attention, 0), 0);
	net_deliver(&machine);
	net_host_flush(n);
	ck_assert_uint_eq(atomic_exchange(&machine.attention, 0), ATT_INPUT);
}
END_TEST

/* Two threads, many frames through a ring that is often full: nothing is lost or late. */
#define FRAMES 300000u

static void *echo(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < FRAMES;) {
		struct pollfd p = { .fd = net_host_fd(n), .events = POLLIN };
		const uint8_t *f;
		size_t len;

		while ((f = net_host_peek(n, &len))) {
			uint8_t *to = net_host_room(n, len);

			if (!to)
				break;
			memcpy(to, f, len);
			net_host_put(n, len);
			net_host_next(n);
			i++;
		}
		net_host_flush(n);
		if (i < FRAMES && net_host_sleeps(n))
			ck_assert_int_eq(poll(&p, 1, 20000), 1);
		net_host_wakes(n);
	}
	return NULL;
}

START_TEST(two_threads)
{
	unsigned put = 0, got = 0;
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, echo, NULL), 0);
	while (got < FRAMES) {
		const uint8_t *f;
		uint8_t *to;
		size_t len;

		for (unsigned i = 0; i < 100 && put < FRAMES && (to = net_room(n, 8 + put % 1500)); i++) {
			memcpy(to, &put, sizeof(put));
			net_put(n, 8 + put % 1500);
			put++;
		}
		net_flush(n);
		while ((f = net_peek(n, &len))) {
			ck_assert_uint_eq(len, 8 + got % 1500);
			ck_assert_mem_eq(f, &got, sizeof(got));
			net_next(n);
			got++;
		}
		if (atomic_exchange(&machine.attention, 0))
			net_deliver(&machine);
	}
	pthread_join(t, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("net");
	TCase *t = tcase_create("cable");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, in_order);
	tcase_add_test(t, full);
	tcase_add_test(t, waking);
	tcase_add_test(t, two_threads);
	suite_add_tcase(s, t);
	return suite_run(s);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The state stream: what was put comes back, and nothing else is believed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine/snapshot.h"
#include "tests/suite.h"

static struct state s;

static void setup(void)
{
	state_init(&s);
}

static void teardown(void)
{
	state_free(&s);
}

START_TEST(round_trip)
{
	char buf[6];

	state_begin(&s, "first", 7);
	state_put_u64(&s, 0x1122334455667788);
	state_put(&s, "hello", 6);
	state_begin(&s, "second", 0xabcd);
	state_put_u64(&s, ~0ull);
	ck_assert_int_eq(state_enter(&s, "first"), 7);
	ck_assert_uint_eq(state_get_u64(&s), 0x1122334455667788);
	state_get(&s, buf, 6);
	ck_assert_str_eq(buf, "hello");
	ck_assert_int_eq(state_enter(&s, "second"), 0xabcd);
	ck_assert_uint_eq(state_get_u64(&s), ~0ull);
	ck_assert(!s.bad);
	ck_assert_uint_eq(s.pos, s.len);
}
END_TEST

START_TEST(layout)
{
	state_begin(&s, "ab", 0x0201);
	state_put_u64(&s, 0x0807060504030201);
	ck_assert_uint_eq(s.len, 15);
	ck_assert_mem_eq(s.buf, "HS\x01\x02\x02" "ab\x01\x02\x03\x04\x05\x06\x07\x08", 15);
}
END_TEST

START_TEST(wrong_section)
{
	state_begin(&s, "first", 1);
	state_put_u64(&s, 1);
	ck_assert_int_eq(state_enter(&s, "other"), -EINVAL);
	ck_assert(s.bad);
	ck_assert_uint_eq(state_get_u64(&s), 0);	/* zeros from here on */
	ck_assert_int_eq(state_enter(&s, "first"), -EINVAL);
}
END_TEST

START_TEST(short_read)
{
	uint8_t buf[32];

	state_begin(&s, "x", 1);
	state_put_u64(&s, ~0ull);
	state_enter(&s, "x");
	memset(buf, 0xaa, sizeof(buf));
	state_get(&s, buf, 9);
	ck_assert(s.bad);
	for (unsigned i = 0; i < 9; i++)
		ck_assert_uint_eq(buf[i], 0);
	ck_assert_uint_eq(buf[9], 0xaa);
}
END_TEST

/* A name that has a NUL inside must not match a shorter one. */
START_TEST(embedded_nul)
{
	state_put(&s, "HS\x01\x00\x05" "ab\0cd", 10);
	ck_assert_int_eq(state_enter(&s, "ab"), -EINVAL);
}
END_TEST

START_TEST(empty)
{
	ck_assert_int_eq(state_enter(&s, "x"), -EINVAL);
	ck_assert(s.bad);
}
END_TEST

START_TEST(grows)
{
	static uint8_t big[100000], back[100000];

	for (unsigned i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 13);
	for (unsigned i = 0; i < 5; i++)
		state_put(&s, big, sizeof(big));
	for (unsigned i = 0; i < 5; i++) {
		state_get(&s, back, sizeof(back));
		ck_assert_mem_eq(big, back, sizeof(big));
	}
	ck_assert(!s.bad);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot");
	TCase *t = tcase_create("snapshot");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, round_trip);
	tcase_add_test(t, layout);
	tcase_add_test(t, wrong_section);
	tcase_add_test(t, short_read);
	tcase_add_test(t, embedded_nul);
	tcase_add_test(t, empty);
	tcase_add_test(t, grows);
	suite_add_tcase(suite, t);
	return suite_run(suite);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each format that the kernel's build packs with comes back as it was; cut short at
 * every byte, or with any byte changed, it is refused or harmless (the sanitizer
 * build watches).
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "cli/unpack.h"
#include "tests/pack.h"
#include "tests/suite.h"

enum { SIZE = 20000, CAP = 40000, LIMIT = 1 << 20 };

static uint8_t plain[SIZE], packed[CAP];
static size_t npacked;

/* Text-like and noise-like stretches, with the magic number of the plain format. */
static void setup(void)
{
	uint32_t x = 2463534242u;

	for (size_t i = 0; i < SIZE; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		plain[i] = (uint8_t)(i / 2000 % 3 ? (uint32_t)"hemi"[i % 4] + (x % 16 == 0) : x);
	}
	memcpy(plain, "\177ELF", 4);
}

/* From an allocation of exactly len bytes, so that reading past it is seen. */
static int unpack(const uint8_t *src, size_t len, uint8_t **out, size_t *size, const char **format)
{
	uint8_t *copy = malloc(len + !len);
	int err;

	memcpy(copy, src, len);
	*out = NULL;
	err = unpack_payload(copy, len, LIMIT, NULL, out, size, format);
	free(copy);
	return err;
}

START_TEST(round_trip)
{
	const struct packer *p = &packers[_i];
	const char *format;
	uint8_t *out;
	size_t size;

	npacked = pack(p, plain, SIZE, packed, CAP);
	ck_assert_int_eq(unpack(packed, npacked, &out, &size, &format), 0);
	ck_assert_str_eq(format, p->name);
	ck_assert_uint_eq(size, SIZE);
	ck_assert_int_eq(memcmp(out, plain, SIZE), 0);
	free(out);
}
END_TEST

/* Two megabytes, which take every decoder more than one piece (but for what is not packed). */
static unsigned questions, patience;

static bool asked(const void *arg)
{
	ck_assert_ptr_eq(arg, plain);
	return questions++ == patience;
}

START_TEST(stopped)
{
	enum { LARGE = 2 << 20, ROOM = 3 << 20 };
	static uint8_t large[LARGE], room[ROOM];
	const struct unpack_stop stop = { asked, plain };
	const struct packer *p = &packers[_i];
	const char *format;
	uint8_t *out = NULL;
	size_t n, size;

	for (size_t at = 0; at < LARGE; at += SIZE)
		memcpy(large + at, plain, LARGE - at < SIZE ? LARGE - at : SIZE);
	n = pack(p, large, LARGE, room, ROOM);
	for (patience = 0; patience < (p->pack == pack_plain ? 1 : 3); patience++) {
		questions = 0;
		ck_assert_int_eq(unpack_payload(room, n, ROOM, &stop, &out, &size, &format), -EINTR);
		ck_assert_uint_eq(questions, patience + 1);
		ck_assert_ptr_null(out);
	}
	patience = UINT32_MAX;
	ck_assert_int_eq(unpack_payload(room, n, ROOM, &stop, &out, &size, &format), 0);
	ck_assert_uint_eq(size, LARGE);
	ck_assert_int_eq(memcmp(out, large, LARGE), 0);
	free(out);
}
END_TEST

/* The end of a shorter file is some other size; and, to be thorough, the right one. */
START_TEST(truncated)
{
	const struct packer *p = &packers[_i];
	const char *format;
	uint8_t *out;
	size_t size;

	npacked = pack(p, plain, SIZE, packed, CAP) - p->tail;
	for (size_t len = 0; len < npacked; len += len < 64 || len > npacked - 64 ? 1 : 61) {
		uint8_t saved[4];
		int err = unpack(packed, len, &out, &size, &format);

		if (err == 0 && p->tail == 0 && strcmp(p->name, "ELF") == 0) {
			free(out);	/* nothing says how long it should be */
			continue;
		}
		ck_assert_int_lt(err, 0);
		ck_assert_ptr_null(out);
		if (!p->tail)
			continue;
		memcpy(saved, packed + len, 4);
		pack_put(packed + len, SIZE, 4, false);
		err = unpack(packed, len + 4, &out, &size, &format);
		memcpy(packed + len, saved, 4);
		ck_assert_int_lt(err, 0);
		ck_assert_ptr_null(out);
	}
}
END_TEST

START_TEST(damaged)
{
	const struct packer *p = &packers[_i];
	const char *format;
	uint8_t *out;
	size_t size;

	npacked = pack(p, plain, SIZE, packed, CAP);
	for (size_t at = 0; at < npacked; at += at < 128 || at > npacked - 64 ? 1 : 37) {
		uint8_t saved = packed[at];

		packed[at] = (uint8_t)(at & 1 ? ~saved : saved ^ 1 << at % 8);
		if (unpack(packed, npacked, &out, &size, &format) == 0) {
			if (p->checked) {
				ck_assert_uint_eq(size, SIZE);
				ck_assert_int_eq(memcmp(out, plain, SIZE), 0);
			}
			free(out);
		}
		packed[at] = saved;
	}
}
END_TEST

/* More or less than it says; what follows the stream does not matter. */
START_TEST(other_size)
{
	const struct packer *p = &packers[_i];
	static const size_t wrong[] = { 0, 1, SIZE - 1, SIZE + 1, LIMIT };
	const char *format;
	uint8_t *out;
	size_t size;

	if (strcmp(p->name, "ELF") == 0)
		return;
	npacked = pack(p, plain, SIZE, packed, CAP);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		int err;

		pack_put(packed + npacked - 4, wrong[i], 4, false);
		err = unpack(packed, npacked, &out, &size, &format);
		ck_assert_msg(err == -EBADMSG || err == -ENODATA, "%s as %zu: %d", p->name, wrong[i],
			      err);
	}
	pack_put(packed + npacked - 4, LIMIT + 1, 4, false);
	ck_assert_int_eq(unpack(packed, npacked, &out, &size, &format), -EFBIG);
}
END_TEST

START_TEST(unknown)
{
	static const uint8_t nothing[64] = { 1, 2, 3 };
	const char *format = "";
	uint8_t *out;
	size_t size;

	ck_assert_int_eq(unpack(nothing, sizeof(nothing), &out, &size, &format), -ENOTSUP);
	ck_assert_ptr_null(format);
	ck_assert_int_eq(unpack(nothing, 0, &out, &size, &format), -ENOTSUP);
}
END_TEST

START_TEST(formats_are_those_tested)
{
	unsigned n = 0;

	while (unpack_format(n))
		n++;
	ck_assert_uint_eq(n, ARRAY_LEN(packers));
	for (unsigned i = 0; i < n; i++)
		ck_assert_str_eq(unpack_format(i), packers[i].name);
}
END_TEST

int main(void)
{
	const TTest *const each[] = { round_trip, stopped, truncated, damaged, other_size };
	Suite *s = suite_create("unpack");
	TCase *tc = tcase_create("unpack");

	tcase_add_checked_fixture(tc, setup, NULL);
	for (size_t i = 0; i < ARRAY_LEN(each); i++)
		tcase_add_loop_test(tc, each[i], 0, ARRAY_LEN(packers));
	tcase_add_test(tc, unknown);
	tcase_add_test(tc, formats_are_those_tested);
	suite_add_tcase(s, tc);
	return suite_run(s);
}

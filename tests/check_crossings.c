/* SPDX-License-Identifier: BSD-2-Clause */
/* The file of crossings: what is written can be read, a ring keeps the last, and damaged files are
 * told. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "debug/crossings.h"
#include "tests/suite.h"

#define SLOTS	1024u

static const char *const reasons[] = { "pf", "int", "syscall", NULL }, *const engines[] = { "ring3",
											    "kvm",
											    NULL };
static char file[64];

static void setup(void)
{
	snprintf(file, sizeof(file), "crossings.%d", (int)getpid());
}

static void teardown(void)
{
	unlink(file);
}

static struct crossing record(uint64_t i)
{
	return (struct crossing){
		.time = (int64_t)(1000 * i),
		.entered = 0x1000 + i,
		.left = 0x2000 + i,
		.cr3 = i % 7 << 12,
		.address = 0x3000 + i,
		.interpreted = 5 * i,
		.direct_ns = (uint32_t)(17 * i),
		.reason = (uint8_t)(i % 3),
		.engine = i & 1,
		.bits = 64,
		.length = 2,
		.bytes = { 0x0f, (uint8_t)i },
	};
}

static void write_records(uint64_t n)
{
	struct crossings *c;

	ck_assert_int_eq(crossings_create(&c, file, SLOTS, reasons, engines), 0);
	for (uint64_t i = 0; i < n; i++)
		*crossings_next(c) = record(i);
	ck_assert_int_eq(crossings_close(c), 0);
}

/* So many records, of which so many can be read, the last ones. */
static void expect(uint64_t total, uint64_t n)
{
	struct crossings_file f;
	struct crossing x, want;
	char why[160];

	ck_assert_int_eq(crossings_open(&f, file, why), 0);
	ck_assert_uint_eq(f.head.total, total);
	ck_assert_uint_eq(f.n, n);
	ck_assert_str_eq(f.head.reasons[2], "syscall");
	ck_assert_str_eq(f.head.engines[1], "kvm");
	for (uint64_t i = f.first; i < f.first + n; i++) {
		ck_assert(crossings_read(&f, i, &x));
		want = record(i);
		ck_assert_mem_eq(&x, &want, sizeof(x));
	}
	ck_assert(!crossings_read(&f, f.first + n, &x));
	ck_assert(!f.first || !crossings_read(&f, f.first - 1, &x));
	crossings_done(&f);
}

START_TEST(test_round_trip)
{
	static const uint64_t counts[] = { 0, 1, 511, 512, 513, 1023, 1024, 1025, 1536, 5000 };
	uint64_t n = counts[_i];

	write_records(n);
	expect(n, n < SLOTS ? n : SLOTS);
}
END_TEST

static void expect_wrong(const char *says)
{
	struct crossings_file f;
	char why[160];

	ck_assert_int_eq(crossings_open(&f, file, why), -1);
	ck_assert_msg(strstr(why, says) && strstr(why, file), "%s", why);
}

static void overwrite(off_t at, const void *bytes, size_t n)
{
	int fd = open(file, O_WRONLY);

	ck_assert_int_eq(pwrite(fd, bytes, n, at), (ssize_t)n);
	close(fd);
}

START_TEST(test_foreign)
{
	unlink(file);
	expect_wrong("No such file");
	write_records(3);
	ck_assert_int_eq(truncate(file, 100), 0);
	expect_wrong("too short");
	write_records(3);
	overwrite(0, "ELF", 3);
	expect_wrong("no file of crossings");
	write_records(3);
	overwrite(offsetof(struct crossings_head, version), "\x09", 1);
	expect_wrong("another version");
	write_records(3);
	overwrite(offsetof(struct crossings_head, slots), "\0\0\0\0", 4);
	expect_wrong("damaged");
	write_records(3);
	overwrite(offsetof(struct crossings_head, engines) + 11, "x", 1);
	expect_wrong("damaged");
}
END_TEST

START_TEST(test_truncated)
{
	struct crossings_file f;
	struct crossing x;
	char why[160];

	write_records(700);
	ck_assert_int_eq(
		truncate(file, (off_t)(sizeof(struct crossings_head) + 10 * sizeof(x) + 5)), 0);
	ck_assert_int_eq(crossings_open(&f, file, why), 0);
	ck_assert(f.truncated);
	ck_assert_uint_eq(f.n, 10);
	ck_assert(crossings_read(&f, 9, &x) && !crossings_read(&f, 10, &x));
	crossings_done(&f);
	/* A record that points out of the tables of names. */
	write_records(3);
	overwrite((off_t)(sizeof(struct crossings_head) + offsetof(struct crossing, reason)),
		  "\xff", 1);
	ck_assert_int_eq(crossings_open(&f, file, why), 0);
	ck_assert(!crossings_read(&f, 0, &x) && crossings_read(&f, 1, &x));
	crossings_done(&f);
}
END_TEST

START_TEST(test_disk_full)
{
	struct crossings *c;

	if (access("/dev/full", W_OK))
		return;
	ck_assert_int_eq(crossings_create(&c, "/nowhere/x", SLOTS, reasons, engines), -ENOENT);
	ck_assert_int_lt(crossings_create(&c, "/dev/full", SLOTS, reasons, engines), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("crossings");
	TCase *t = tcase_create("file");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_round_trip, 0, 10);
	tcase_add_test(t, test_foreign);
	tcase_add_test(t, test_truncated);
	tcase_add_test(t, test_disk_full);
	suite_add_tcase(s, t);
	return suite_run(s);
}

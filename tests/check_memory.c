/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest-physical memory: the map, ranges, page states, listeners, bulk access. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "machine/memory.h"
#include "tests/suite.h"

static struct memory mem;
static unsigned protects, stores;
static gpa_t last_gpa;
static unsigned last_len, last_flags;

static void protect(void *self, gpa_t page, unsigned flags)
{
	ck_assert_ptr_eq(self, &mem);
	protects++;
	last_gpa = page;
	last_flags = flags;
}

static void stored(void *self, gpa_t gpa, unsigned len, unsigned flags)
{
	ck_assert_ptr_eq(self, &mem);
	stores++;
	last_gpa = gpa;
	last_len = len;
	last_flags = flags;
}

static void setup(void)
{
	const struct memory_listener l = { protect, stored, &mem };

	ck_assert_int_eq(memory_create(&mem, 4 << 20), 0);
	memory_add_listener(&mem, &l);
	protects = stores = 0;
}

static void teardown(void)
{
	memory_destroy(&mem);
}

START_TEST(map)
{
	ck_assert_int_eq(memory_offset(&mem, 0), 0);
	ck_assert_int_eq(memory_offset(&mem, 0x9ffff), 0x9ffff);
	ck_assert_int_eq(memory_offset(&mem, 0xa0000), -1);
	ck_assert_int_eq(memory_offset(&mem, 0xbffff), -1);
	ck_assert_int_eq(memory_offset(&mem, 0xc0000), 0xc0000);
	ck_assert_int_eq(memory_offset(&mem, 0x3fffff), 0x3fffff);
	ck_assert_int_eq(memory_offset(&mem, 0x400000), -1);
	ck_assert_int_eq(memory_offset(&mem, 0x100000000), -1);
	ck_assert_int_eq(memory_offset(&mem, ~0ull), -1);
}
END_TEST

/* RAM is one file, and anybody who maps it sees the same bytes. */
START_TEST(shared_file)
{
	uint8_t *other = mmap(NULL, 4096, PROT_READ, MAP_SHARED, mem.fd, 0x123000);

	phys_write(&mem, 0x123456, 0xfeed, 2);
	ck_assert_uint_eq(other[0x456] | other[0x457] << 8, 0xfeed);
	munmap(other, 4096);
	ck_assert_int_lt(ftruncate(mem.fd, 4096), 0);	/* sealed */
	ck_assert_int_eq(fcntl(mem.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}
END_TEST

START_TEST(refusals)
{
	struct memory m;
	struct rlimit r;

	ck_assert_int_eq(memory_create(&m, 0), -EINVAL);
	ck_assert_int_eq(memory_create(&m, 4097), -EINVAL);
	ck_assert_int_eq(memory_create(&m, 1ull << 60), -EINVAL);
	ck_assert_int_eq(memory_create(&m, 1000ull << 30), -ENOMEM);
	getrlimit(RLIMIT_FSIZE, &r);
	r.rlim_cur = 1 << 20;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &r), 0);
	ck_assert_int_eq(memory_create(&m, 2 << 20), -EFBIG);	/* and no SIGXFSZ */
	ck_assert_int_eq(memory_create(&m, 1 << 20), 0);
	memory_destroy(&m);
}
END_TEST

START_TEST(widths)
{
	for (unsigned size = 1; size <= 8; size++) {
		uint64_t ones = ~0ull >> (64 - 8 * size);

		phys_write(&mem, 0x1000, ~0ull, 8);
		phys_write(&mem, 0x1000, 0, size);
		ck_assert_uint_eq(phys_read(&mem, 0x1000, 8), ~ones);
		phys_write(&mem, 0x1001, 0x1122334455667788, size);
		ck_assert_uint_eq(phys_read(&mem, 0x1001, size), 0x1122334455667788 & ones);
		ck_assert_uint_eq(phys_read(&mem, 0xffff0000, size), ones);
		phys_write(&mem, 0xffff0000, 0, size);
	}
	ck_assert_uint_eq(stores, 0);
}
END_TEST

START_TEST(flags)
{
	memory_set_flags(&mem, 0x5123, PG_CODE);
	ck_assert_uint_eq(protects, 1);
	ck_assert_uint_eq(last_gpa, 0x5000);
	ck_assert_uint_eq(last_flags, PG_CODE);
	memory_set_flags(&mem, 0x5000, PG_CODE);	/* not new */
	ck_assert_uint_eq(protects, 1);
	memory_set_flags(&mem, 0x5fff, PG_TABLE);
	ck_assert_uint_eq(protects, 2);
	ck_assert_uint_eq(memory_flags(&mem, 0x5800), PG_CODE | PG_TABLE);
	phys_write(&mem, 0x5ff8, 1, 4);
	ck_assert_uint_eq(stores, 1);
	ck_assert_uint_eq(last_gpa, 0x5ff8);
	ck_assert_uint_eq(last_len, 4);
	ck_assert_uint_eq(last_flags, PG_CODE | PG_TABLE);
	memory_clear_flags(&mem, 0x5000, PG_CODE | PG_TABLE);
	phys_write(&mem, 0x5ff8, 2, 4);
	ck_assert_uint_eq(stores, 1);
	ck_assert_uint_eq(memory_flags(&mem, 0xa0000), 0);
	memory_set_flags(&mem, 0xa0000, PG_CODE);	/* no RAM: nothing to mark */
	ck_assert_uint_eq(protects, 2);
}
END_TEST

static uint64_t dev_read(void *dev, uint64_t off, unsigned size)
{
	ck_assert_ptr_eq(dev, &mem);
	return off << 8 | size | ~0ull << 32;
}

static uint64_t written[4];
static unsigned nwritten;

static void dev_write(void *dev, uint64_t off, uint64_t val, unsigned size)
{
	ck_assert_ptr_eq(dev, &mem);
	if (nwritten < 4)
		written[nwritten] = off << 32 | size << 16 | val;
	nwritten++;
}

START_TEST(device_range)
{
	const struct range r = { .base = 0xa0000, .size = 0x20000, .kind = RANGE_DEVICE,
				 .name = "vga", .read = dev_read, .write = dev_write, .dev = &mem };

	memory_add_range(&mem, &r);
	ck_assert_uint_eq(phys_read(&mem, 0xa0010, 4), 0x1004);
	ck_assert_uint_eq(phys_read(&mem, 0xa0000, 3), 0x010101);
	ck_assert_uint_eq(phys_read(&mem, 0xbfffe, 2), 0x01fffe02 & 0xffff);
	phys_write(&mem, 0xa0004, 0x12345, 2);
	ck_assert_uint_eq(nwritten, 1);
	ck_assert_uint_eq(written[0], 0x400022345);
	phys_write(&mem, 0xa0000, 0x030201, 3);
	ck_assert_uint_eq(nwritten, 4);
	ck_assert_uint_eq(written[2], 0x100010002);
	ck_assert(!phys_read_bulk(&mem, 0xa0000, written, 8));
	ck_assert(!phys_write_bulk(&mem, 0xa0000, written, 8));
}
END_TEST

START_TEST(rom)
{
	static uint8_t image[0x2000];
	const struct range top = { .base = 0xffffe000, .size = 0x2000, .kind = RANGE_ROM,
				   .name = "bios", .rom = image };
	const struct range low = { .base = 0xfe000, .size = 0x2000, .kind = RANGE_ROM,
				   .name = "bios", .rom = image };
	uint8_t buf[4];

	memcpy(image + 0x1ff0, "\xea\x5b\xe0\x00", 4);
	memory_add_range(&mem, &top);
	memory_add_range(&mem, &low);
	ck_assert_uint_eq(phys_read(&mem, 0xfffffff0, 4), 0x00e05bea);
	ck_assert_uint_eq(phys_read(&mem, 0xffff0, 4), 0x00e05bea);
	phys_write(&mem, 0xfffffff0, 0, 4);
	phys_write(&mem, 0xffff0, 0, 4);
	ck_assert_uint_eq(phys_read(&mem, 0xfffffff0, 4), 0x00e05bea);
	ck_assert_uint_eq(phys_read(&mem, 0xffff0, 4), 0x00e05bea);
	ck_assert_uint_eq(memory_flags(&mem, 0xfe000), PG_ROM);
	ck_assert(phys_read_bulk(&mem, 0xfffffff0, buf, 4));
	ck_assert_mem_eq(buf, "\xea\x5b\xe0\x00", 4);
	ck_assert(!phys_write_bulk(&mem, 0xfdff8, image, 16));
	ck_assert_uint_eq(phys_read(&mem, 0xfdff8, 8), 0);	/* all or nothing */
	ck_assert_ptr_eq(memory_code_hva(&mem, 0xfffffff0), image + 0x1ff0);
	/* Past the end of the range is nowhere. */
	ck_assert_uint_eq(phys_read(&mem, 0xffffffff, 1), 0);
	ck_assert_uint_eq(phys_read(&mem, 0x100000000, 1), 0xff);
}
END_TEST

START_TEST(bulk)
{
	static uint8_t a[10000], b[10000];

	for (unsigned i = 0; i < sizeof(a); i++)
		a[i] = (uint8_t)(i * 7);
	memory_set_flags(&mem, 0x201000, PG_TABLE);
	ck_assert(phys_write_bulk(&mem, 0x200800, a, sizeof(a)));
	ck_assert_uint_eq(stores, 1);
	ck_assert_uint_eq(last_gpa, 0x201000);
	ck_assert_uint_eq(last_len, 4096);
	ck_assert(phys_read_bulk(&mem, 0x200800, b, sizeof(b)));
	ck_assert_mem_eq(a, b, sizeof(a));
	ck_assert(!phys_read_bulk(&mem, 0x3fffff, b, 2));
	ck_assert(phys_read_bulk(&mem, 0x3fffff, b, 1));
	ck_assert(!phys_write_bulk(&mem, 0x9fff0, a, 17));
	ck_assert(phys_write_bulk(&mem, 0x9fff0, a, 16));
	ck_assert(!phys_read_bulk(&mem, ~0ull, b, 2));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memory");
	TCase *t = tcase_create("memory");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, map);
	tcase_add_test(t, shared_file);
	tcase_add_test(t, refusals);
	tcase_add_test(t, widths);
	tcase_add_test(t, flags);
	tcase_add_test(t, device_range);
	tcase_add_test(t, rom);
	tcase_add_test(t, bulk);
	suite_add_tcase(s, t);
	return suite_run(s);
}

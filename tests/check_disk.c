/* SPDX-License-Identifier: BSD-2-Clause */
/* Images: what is refused, what a snapshot forgets, who may share one. */
#include "tests/image.h"
#include "tests/suite.h"

#include <errno.h>
#include <sys/resource.h>

#define SIZE	(100 * 4096 + 512)	/* the last block is not whole */

static void setup(void)
{
	image_make(SIZE);
}

static int open_as(struct disk **d, const char *file, bool readonly, bool snapshot, unsigned unit,
		   uint64_t max, const char *word)
{
	const struct config_disk c = { .file = file, .readonly = readonly, .snapshot = snapshot };
	char why[512] = "";
	int err = disk_open(d, "disk", &c, unit, max, why);

	if (err)
		ck_assert_msg(strstr(why, word) && strstr(why, file), "%s", why);
	return err;
}

START_TEST(refused)
{
	struct disk *d;

	ck_assert_int_eq(open_as(&d, "/nowhere/x", false, false, 512, 0, "No such file"), -ENOENT);
	ck_assert_int_eq(open_as(&d, "/tmp", true, false, 512, 0, "is a directory"), -EISDIR);
	ck_assert_int_eq(open_as(&d, "/tmp", false, false, 512, 0, "is a directory"), -EISDIR);
	ck_assert_int_eq(open_as(&d, "/dev/null", true, false, 512, 0, "neither"), -ENODEV);
	ck_assert_int_eq(open_as(&d, image_path, true, false, 2048, 0, "multiple"), -EINVAL);
	ck_assert_int_eq(open_as(&d, image_path, true, false, 512, SIZE - 1, "more than"), -EFBIG);
	ck_assert_int_eq(truncate(image_path, 0), 0);
	ck_assert_int_eq(open_as(&d, image_path, true, false, 512, 0, "empty"), -EINVAL);
}
END_TEST

START_TEST(locked)
{
	struct disk *a, *b;

	ck_assert_int_eq(open_as(&a, image_path, false, false, 512, 0, ""), 0);
	ck_assert_int_eq(open_as(&b, image_path, false, false, 512, 0, "in use"), -EBUSY);
	ck_assert_int_eq(open_as(&b, image_path, true, false, 512, 0, "in use"), -EBUSY);
	disk_close(a);
	ck_assert_int_eq(open_as(&a, image_path, true, false, 512, 0, ""), 0);
	ck_assert_int_eq(open_as(&b, image_path, false, true, 512, 0, ""), 0);	/* readers */
	disk_close(b);
	ck_assert_int_eq(open_as(&b, image_path, false, false, 512, 0, "in use"), -EBUSY);
	disk_close(a);
}
END_TEST

START_TEST(plain)
{
	struct disk *d = image_disk("");
	uint8_t buf[1000], back[1000];

	ck_assert_uint_eq(disk_size(d), SIZE);
	ck_assert_int_eq(disk_read(d, 512, buf, sizeof(buf)), 0);
	ck_assert(image_is(buf, 512, sizeof(buf)));
	memset(buf, 7, sizeof(buf));
	ck_assert_int_eq(disk_write(d, SIZE - 1000, buf, sizeof(buf)), 0);
	ck_assert_int_eq(disk_flush(d), 0);
	disk_close(d);
	d = image_disk("r");
	ck_assert(disk_readonly(d));
	ck_assert_int_eq(disk_read(d, SIZE - 1000, back, sizeof(back)), 0);
	ck_assert_mem_eq(back, buf, sizeof(buf));
	ck_assert_int_eq(disk_write(d, 0, buf, 1), -EROFS);
	disk_close(d);
}
END_TEST

/* Writes of all alignments, compared with a model; the image stays what it was. */
START_TEST(snapshot)
{
	struct disk *d = image_disk("s");
	static uint8_t model[SIZE], buf[20000];
	uint32_t random = 1;

	ck_assert_int_eq(disk_read(d, 0, model, SIZE), 0);
	ck_assert(image_is(model, 0, SIZE));
	for (unsigned i = 0; i < 300; i++) {
		random = random * 1103515245 + 12345;
		size_t n = random >> 8 & (i % 3 ? 0x7ff : 0x3fff);
		uint64_t off = (random >> 4) % (SIZE - n);

		memset(buf, (int)i, n);
		memset(model + off, (int)i, n);
		ck_assert_int_eq(disk_write(d, off, buf, n), 0);
		off = off > 5000 ? off - 5000 : 0;
		n = SIZE - off < sizeof(buf) ? (size_t)(SIZE - off) : sizeof(buf);
		ck_assert_int_eq(disk_read(d, off, buf, n), 0);
		ck_assert_mem_eq(buf, model + off, n);
	}
	disk_close(d);
	d = image_disk("r");
	ck_assert_int_eq(disk_read(d, 0, model, SIZE), 0);
	ck_assert(image_is(model, 0, SIZE));
	disk_close(d);
}
END_TEST

/* What the host does not let us write is the guest's to know, and no end of us. */
START_TEST(limited)
{
	struct disk *d = image_disk("s");
	struct rlimit r = { 8192, RLIM_INFINITY };
	uint8_t buf[4096] = { 1 };

	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &r), 0);
	ck_assert_int_eq(disk_write(d, 4096, buf, sizeof(buf)), 0);
	ck_assert_int_eq(disk_write(d, 40960, buf, sizeof(buf)), -EFBIG);
	ck_assert_int_eq(disk_read(d, 40960, buf, sizeof(buf)), 0);
	ck_assert(image_is(buf, 40960, sizeof(buf)));
	disk_close(d);
}
END_TEST

/* An image cut short under us reads as zeros there, and nothing breaks. */
START_TEST(truncated)
{
	struct disk *d = image_disk("r");
	uint8_t buf[1024];

	ck_assert_int_eq(truncate(image_path, 512), 0);
	ck_assert_int_eq(disk_read(d, 0, buf, sizeof(buf)), 0);
	ck_assert(image_is(buf, 0, 512));
	for (unsigned i = 512; i < 1024; i++)
		ck_assert_uint_eq(buf[i], 0);
	disk_close(d);
}
END_TEST

/* --- Formats ----------------------------------------------------------------------- */

static void forge(uint64_t off, const void *p, size_t n)
{
	FILE *f = fopen(image_path, "r+");

	ck_assert(f && !fseek(f, (long)off, SEEK_SET) && fwrite(p, n, 1, f) == 1);
	fclose(f);
}

static void forge_number(uint64_t off, uint64_t v, unsigned n, bool big)
{
	uint8_t raw[8];

	for (unsigned i = 0; i < n; i++)
		raw[i] = (uint8_t)(v >> 8 * (big ? n - 1 - i : i));
	forge(off, raw, n);
}

static int open_format(enum image_format format, const char *word)
{
	const struct config_disk c = { .file = image_path, .format = format, .readonly = true };
	char why[512] = "";
	struct disk *d = NULL;
	int err = disk_open(&d, "disk", &c, 512, 0, why);

	ck_assert_msg(strstr(why, word), "'%s' does not say '%s'", why, word);
	disk_close(d);
	return err;
}

/* Whoever does not say what an image is gets no other format than raw, and no file that a
 * forged header names; the image is always to be had as it is. */
static void suspect(const char *format)
{
	char looks[64];

	snprintf(looks, sizeof(looks), "looks like a %s image: say format=%s", format, format);
	ck_assert_int_eq(open_format(FORMAT_UNSAID, looks), -EINVAL);
	ck_assert_int_eq(open_format(FORMAT_AUTO, "takes contents from other files"), -EINVAL);
	ck_assert_int_eq(open_format(FORMAT_RAW, ""), 0);
}

START_TEST(forged)
{
	static const char descriptor[] = "# Disk DescriptorFile\nRW 8 FLAT \"/etc/passwd\" 0\n";
	static const char parent[] = "\nparentFileNameHint=\"/etc/passwd\"\n";

	ck_assert_int_eq(open_format(FORMAT_UNSAID, ""), 0);
	ck_assert_int_eq(open_format(FORMAT_AUTO, ""), 0);
	forge(0, "QFI\xfb", 4);
	forge_number(4, 2, 4, true);
	forge_number(8, 100, 8, true);		/* a backing file */
	suspect("qcow2");
	forge_number(4, 3, 4, true);
	forge_number(8, 0, 8, true);
	forge_number(72, 4, 8, true);		/* an external data file */
	suspect("qcow2");
	forge(0, descriptor, sizeof(descriptor));
	suspect("vmdk");
	forge(0, "KDMV", 4);
	forge_number(12, 0, 8, false);		/* no capacity: the descriptor's extents count */
	suspect("vmdk");
	forge_number(12, 64, 8, false);
	forge_number(28, 1, 8, false);
	forge_number(36, 2, 8, false);
	forge(512 + 700, parent, sizeof(parent));
	suspect("vmdk");
	forge(0, "conectix", 8);
	forge_number(60, 4, 4, true);		/* differences from another */
	suspect("vhd");
}
END_TEST

/* The footer of a fixed VHD: only auto looks for it, and the sum of its bytes must be right. */
START_TEST(fixed_vhd)
{
	const uint64_t foot = SIZE - 512;
	uint8_t zeros[512] = { 0 };
	uint32_t sum = 2;

	forge(foot, zeros, sizeof(zeros));
	forge(foot, "conectix", 8);
	forge_number(foot + 60, 2, 4, true);
	for (unsigned i = 0; i < 8; i++)
		sum += (uint8_t)"conectix"[i];
	forge_number(foot + 64, sum, 4, true);
	ck_assert_int_eq(open_format(FORMAT_AUTO, ""), 0);	/* raw */
	forge_number(foot + 64, ~sum, 4, true);
	ck_assert_int_eq(open_format(FORMAT_UNSAID, ""), 0);
	setenv("PATH", "/nowhere", 1);
#ifdef HAVE_NBD
	ck_assert_int_eq(open_format(FORMAT_AUTO, "install qemu-utils"), -ENOENT);
#else
	ck_assert_int_eq(open_format(FORMAT_AUTO, "libnbd-dev"), -ENOTSUP);
#endif
}
END_TEST

/* A name that does not fit into a line is shown by its end. */
START_TEST(long_name)
{
	static char name[5000];
	const struct config_disk c = { .file = name };
	char why[512];
	struct disk *d;

	memset(name, 'x', sizeof(name) - 5);
	strcat(name, ".img");
	ck_assert_int_eq(disk_open(&d, "disk", &c, 512, 0, why), -ENAMETOOLONG);
	ck_assert_ptr_nonnull(strstr(why, "xxx.img: File name too long"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("disk");
	TCase *t = tcase_create("disk");

	tcase_add_checked_fixture(t, setup, image_remove);
	tcase_add_test(t, refused);
	tcase_add_test(t, locked);
	tcase_add_test(t, plain);
	tcase_add_test(t, snapshot);
	tcase_add_test(t, limited);
	tcase_add_test(t, truncated);
	tcase_add_test(t, forged);
	tcase_add_test(t, fixed_vhd);
	tcase_add_test(t, long_name);
	suite_add_tcase(s, t);
	return suite_run(s);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Image files for tests of drives: every 32-bit word says where it is. */
#ifndef TESTS_IMAGE_H
#define TESTS_IMAGE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dev/disk.h"

static char image_path[64];

static inline uint32_t image_word(uint64_t off)
{
	return (uint32_t)(off / 4 * 2654435761u + 12345);
}

static inline void image_make(uint64_t size)
{
	uint32_t buf[1024];
	int fd;

	strcpy(image_path, "/tmp/hemi-image.XXXXXX");
	fd = mkstemp(image_path);
	ck_assert_int_ge(fd, 0);
	for (uint64_t off = 0; off < size; off += sizeof(buf)) {
		size_t n = size - off < sizeof(buf) ? (size_t)(size - off) : sizeof(buf);

		for (unsigned i = 0; i < 1024; i++)
			buf[i] = image_word(off + 4 * i);
		ck_assert_int_eq(write(fd, buf, n), (ssize_t)n);
	}
	close(fd);
}

static inline void image_remove(void)
{
	unlink(image_path);
}

/* Are these n bytes those at off of a fresh image? */
static inline bool image_is(const void *p, uint64_t off, size_t n)
{
	for (size_t i = 0; i < n; i += 4) {
		uint32_t want = image_word(off + i);

		if (memcmp((const uint8_t *)p + i, &want, n - i < 4 ? n - i : 4))
			return false;
	}
	return true;
}

static inline struct disk *image_disk(const char *flags)
{
	const struct config_disk c = { .file = image_path, .readonly = strchr(flags, 'r'),
				       .snapshot = strchr(flags, 's') };
	struct disk *d = NULL;
	char why[512];

	ck_assert_msg(!disk_open(&d, "disk", &c, 512, 0, why), "%s", why);
	return d;
}

#endif

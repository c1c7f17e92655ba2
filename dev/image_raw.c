/* SPDX-License-Identifier: BSD-2-Clause */
/* Raw images: the disk's bytes are the file's. */
#include "dev/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct image_raw {
	struct image image;
	int fd;
};

int file_read(int fd, uint64_t off, uint8_t *to, size_t n)
{
	while (n) {
		ssize_t got = pread(fd, to, n, (off_t)off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0) {
			memset(to, 0, n);
			return 0;
		}
		to += got;
		off += (size_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int file_write(int fd, uint64_t off, const uint8_t *from, size_t n)
{
	while (n) {
		ssize_t put = pwrite(fd, from, n, (off_t)off);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -EIO;
		from += put;
		off += (size_t)put;
		n -= (size_t)put;
	}
	return 0;
}

static int raw_read(struct image *i, uint64_t off, void *buf, size_t n)
{
	return file_read(((struct image_raw *)i)->fd, off, buf, n);
}

static int raw_write(struct image *i, uint64_t off, const void *buf, size_t n)
{
	return file_write(((struct image_raw *)i)->fd, off, buf, n);
}

/* EINVAL: a kind of file that cannot be told to write down anything. */
static int raw_flush(struct image *i)
{
	return fdatasync(((struct image_raw *)i)->fd) == 0 || errno == EINVAL ? 0 : -errno;
}

static void raw_close(struct image *i)
{
	free(i);
}

int image_raw_open(struct image **out, int fd, uint64_t size)
{
	static const struct image_ops ops = { raw_read, raw_write, raw_flush, raw_close, false };
	struct image_raw *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->image.ops = &ops;
	r->image.size = size;
	r->fd = fd;
	*out = &r->image;
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw images. A snapshot is a sparse file of the image's size beside it, and a bit for
 * each block that says in which of the two the block is; a block goes over as a whole
 * when it is first written to.
 */
#include "dev/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK		4096u
#define WHY_SIZE	512

struct disk {
	char *name;
	int fd;
	uint64_t size;
	bool readonly, complained;
	int overlay;		/* fd, or -1: no snapshot */
	uint8_t *moved;		/* a bit for each block that is in the overlay */
};

static int fail(char why[static WHY_SIZE], int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int fail(char why[static WHY_SIZE], int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, WHY_SIZE, fmt, ap);
	va_end(ap);
	return err;
}

/* --- Opening --------------------------------------------------------------------- */

static int image_size(int fd, uint64_t *size)
{
	struct stat st;
	off_t end;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENODEV;
	end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		return -errno;
	*size = (uint64_t)end;
	return 0;
}

static int image_check(struct disk *d, const char *role, unsigned unit, uint64_t max,
		       char why[static WHY_SIZE])
{
	int err = image_size(d->fd, &d->size);

	if (err == -EISDIR)
		return fail(why, err, "%s %s: is a directory", role, d->name);
	if (err == -ENODEV)
		return fail(why, err, "%s %s: neither a file nor a block device", role, d->name);
	if (err)
		return fail(why, err, "%s %s: %s", role, d->name, strerror(-err));
	if (!d->size)
		return fail(why, -EINVAL, "%s %s: the image is empty", role, d->name);
	if (d->size % unit)
		return fail(why, -EINVAL, "%s %s: its size, %llu bytes, is no multiple of the "
			    "sector's %u: not a raw image, or truncated", role, d->name,
			    (unsigned long long)d->size, unit);
	if (max && d->size > max)
		return fail(why, -EFBIG, "%s %s: its size, %llu bytes, is more than the %llu of "
			    "the medium", role, d->name, (unsigned long long)d->size,
			    (unsigned long long)max);
	return 0;
}

static int image_open(struct disk *d, const char *role, bool write, char why[static WHY_SIZE])
{
	d->fd = open(d->name, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (d->fd < 0 && write && (errno == EACCES || errno == EROFS))
		return fail(why, -errno, "%s %s: %s; say %s,readonly or %s,snapshot", role, d->name,
			    strerror(errno), d->name, d->name);
	if (d->fd < 0)
		return fail(why, -errno, "%s %s: %s", role, d->name,
			    errno == EISDIR ? "is a directory" : strerror(errno));
	return 0;
}

static int image_lock(struct disk *d, const char *role, bool write, char why[static WHY_SIZE])
{
	if (flock(d->fd, (write ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return fail(why, -EBUSY, "%s %s: in use by another drive or another hemi", role,
			    d->name);
	/* A file system without locks locks nobody out. */
	return errno == ENOLCK || errno == EOPNOTSUPP ? 0 :
		fail(why, -errno, "%s %s: flock: %s", role, d->name, strerror(errno));
}

static int overlay_open(struct disk *d, const char *role, char why[static WHY_SIZE])
{
	const char *dir = getenv("TMPDIR");
	char path[300];

	if (!dir || !*dir)
		dir = "/tmp";
	d->overlay = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (d->overlay < 0 && snprintf(path, sizeof(path), "%s/hemi.XXXXXX", dir) <
	    (int)sizeof(path)) {
		d->overlay = mkostemp(path, O_CLOEXEC);
		if (d->overlay >= 0)
			unlink(path);
	}
	if (d->overlay < 0)
		return fail(why, -errno, "%s %s: no room for a snapshot in %s: %s", role, d->name,
			    dir, strerror(errno));
	d->moved = calloc(d->size / BLOCK / 8 + 1, 1);
	return d->moved ? 0 : fail(why, -ENOMEM, "%s %s: %s", role, d->name, strerror(ENOMEM));
}

int disk_open(struct disk **out, const char *role, const struct config_disk *config,
	      unsigned unit, uint64_t max, char why[static WHY_SIZE])
{
	bool write = !config->readonly && !config->snapshot;
	struct disk *d = calloc(1, sizeof(*d));
	int err;

	if (d)
		d->name = strdup(config->file);
	if (!d || !d->name) {
		free(d);
		return fail(why, -ENOMEM, "%s %s: %s", role, config->file, strerror(ENOMEM));
	}
	signal(SIGXFSZ, SIG_IGN);	/* a limit of size is an error of write() */
	d->fd = d->overlay = -1;
	d->readonly = config->readonly;
	err = image_open(d, role, write, why);
	if (!err)
		err = image_check(d, role, unit, max, why);
	if (!err)
		err = image_lock(d, role, write, why);
	if (!err && config->snapshot && !config->readonly)
		err = overlay_open(d, role, why);
	if (err) {
		disk_close(d);
		return err;
	}
	*out = d;
	return 0;
}

void disk_close(struct disk *d)
{
	if (!d)
		return;
	if (d->fd >= 0)
		close(d->fd);
	if (d->overlay >= 0)
		close(d->overlay);
	free(d->moved);
	free(d->name);
	free(d);
}

uint64_t disk_size(const struct disk *d)
{
	return d->size;
}

bool disk_readonly(const struct disk *d)
{
	return d->readonly;
}

/* --- Reading and writing --------------------------------------------------------- */

/* A file that has become shorter since it was opened reads as zeros there. */
static int read_all(int fd, uint64_t off, uint8_t *to, size_t n)
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

static int write_all(int fd, uint64_t off, const uint8_t *from, size_t n)
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

static bool block_moved(const struct disk *d, uint64_t block)
{
	return d->moved && d->moved[block >> 3] >> (block & 7) & 1;
}

/* Bytes from off to the end of its block, at most n. */
static size_t block_rest(uint64_t off, size_t n)
{
	size_t rest = BLOCK - off % BLOCK;

	return rest < n ? rest : n;
}

/* n bytes within a block. It is in the overlay only when all of it has arrived there; a write
 * of the whole needs no copy. */
static int overlay_write(struct disk *d, uint64_t at, const uint8_t *from, size_t n)
{
	uint64_t block = at / BLOCK;
	uint8_t buf[BLOCK];
	uint64_t off = block * BLOCK;
	size_t all = d->size - off < BLOCK ? (size_t)(d->size - off) : BLOCK;
	int err = 0;

	if (!block_moved(d, block) && n < all) {
		err = read_all(d->fd, off, buf, all);
		if (!err)
			err = write_all(d->overlay, off, buf, all);
	}
	if (!err)
		err = write_all(d->overlay, at, from, n);
	if (!err)
		d->moved[block >> 3] |= (uint8_t)(1u << (block & 7));
	return err;
}

static int complain(struct disk *d, const char *what, int err)
{
	if (err && !d->complained)
		fprintf(stderr, "hemi: %s: %s: %s (the guest is told; said once)\n", d->name, what,
			strerror(-err));
	d->complained |= err;
	return err;
}

int disk_read(struct disk *d, uint64_t off, void *buf, size_t n)
{
	uint8_t *to = buf;
	int err = 0;

	bug_on(off > d->size || n > d->size - off);
	if (d->overlay < 0)
		return complain(d, "read", read_all(d->fd, off, to, n));
	while (n && !err) {
		size_t part = block_rest(off, n);

		err = read_all(block_moved(d, off / BLOCK) ? d->overlay : d->fd, off, to, part);
		to += part;
		off += part;
		n -= part;
	}
	return complain(d, "read", err);
}

int disk_write(struct disk *d, uint64_t off, const void *buf, size_t n)
{
	const uint8_t *from = buf;
	int err = 0;

	bug_on(off > d->size || n > d->size - off);
	if (d->readonly)
		return -EROFS;
	if (d->overlay < 0)
		return complain(d, "write", write_all(d->fd, off, from, n));
	while (n && !err) {
		size_t part = block_rest(off, n);

		err = overlay_write(d, off, from, part);
		from += part;
		off += part;
		n -= part;
	}
	return complain(d, "write", err);
}

int disk_flush(struct disk *d)
{
	if (d->readonly || d->overlay >= 0 || fdatasync(d->fd) == 0 || errno == EINVAL)
		return 0;
	return complain(d, "fdatasync", -errno);
}

/* --- Saving ---------------------------------------------------------------------- */

bool disk_is_snapshot(const struct disk *d)
{
	return d->overlay >= 0;
}

uint64_t disk_snapshot_next(const struct disk *d, uint64_t from)
{
	if (d->overlay < 0)
		return ~0ull;
	for (uint64_t block = (from + BLOCK - 1) / BLOCK; block * BLOCK < d->size; block++) {
		if (!(block & 7) && !d->moved[block >> 3])
			block += 7;		/* none of eight */
		else if (block_moved(d, block))
			return block * BLOCK;
	}
	return ~0ull;
}

const char *disk_name(const struct disk *d)
{
	return d->name;
}

int64_t disk_changed(const struct disk *d)
{
	struct stat st;

	if (fstat(d->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	return st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk is an image and perhaps a snapshot of it: a sparse file of the image's size beside
 * it, and a bit for each block that says in which of the two the block is; a block goes over
 * as a whole when it is first written to. Which format an image has is decided here, and
 * never by a file's name.
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

#include "dev/image.h"
#include "dev/image_format.h"

#define BLOCK		4096u
#define NAME_SHOWN	120	/* of a name in a message: its end */

struct disk {
	char *name;
	const char *role;
	int fd;			/* the file, and its lock */
	struct image *image;
	enum image_format format;
	bool readonly, complained;
	int overlay;		/* fd, or -1: no snapshot */
	uint8_t *moved;		/* a bit for each block that is in the overlay */
};

static const char *name_shown(const struct disk *d)
{
	size_t n = strlen(d->name);

	return n > NAME_SHOWN ? d->name + n - NAME_SHOWN : d->name;
}

/* "disk NAME: " and what fmt says. */
static int fail(const struct disk *d, char why[static WHY_SIZE], int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static int fail(const struct disk *d, char why[static WHY_SIZE], int err, const char *fmt, ...)
{
	const char *name = name_shown(d);
	va_list ap;
	int n;

	n = snprintf(why, WHY_SIZE, "%s %s%s: ", d->role, name == d->name ? "" : "...", name);
	va_start(ap, fmt);
	vsnprintf(why + n, WHY_SIZE - (size_t)n, fmt, ap);
	va_end(ap);
	return err;
}

/* --- The file -------------------------------------------------------------------- */

static int file_size(int fd, uint64_t *size)
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

static int file_check(struct disk *d, uint64_t *size, char why[static WHY_SIZE])
{
	int err = file_size(d->fd, size);

	if (err == -EISDIR)
		return fail(d, why, err, "is a directory");
	if (err == -ENODEV)
		return fail(d, why, err, "neither a file nor a block device");
	if (err)
		return fail(d, why, err, "%s", strerror(-err));
	if (!*size)
		return fail(d, why, -EINVAL, "the image is empty");
	return 0;
}

/* To this process, as it would be opened; errno stays. */
static bool readable(const char *name)
{
	int before = errno;
	bool r = faccessat(AT_FDCWD, name, R_OK, AT_EACCESS) == 0;

	errno = before;
	return r;
}

static int file_open(struct disk *d, bool write, char why[static WHY_SIZE])
{
	d->fd = open(d->name, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (d->fd < 0 && write && (errno == EROFS || (errno == EACCES && readable(d->name))))
		return fail(d, why, -errno, "%s; say %s,readonly or %s,snapshot", strerror(errno),
			    name_shown(d), name_shown(d));
	if (d->fd < 0)
		return fail(d, why, -errno, "%s",
			    errno == EISDIR ? "is a directory" : strerror(errno));
	return 0;
}

static int file_lock(struct disk *d, bool write, char why[static WHY_SIZE])
{
	if (flock(d->fd, (write ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return fail(d, why, -EBUSY, "in use by another drive or another hemi");
	/* A file system without locks locks nobody out. */
	return errno == ENOLCK || errno == EOPNOTSUPP ? 0 :
		fail(d, why, -errno, "flock: %s", strerror(errno));
}

/* --- The image ------------------------------------------------------------------- */

/*
 * A guest writes what it likes to a raw disk: also the header of another format, which names
 * any file of the host's as where the disk's contents come from. So bytes alone make an
 * image no more than suspect; the user says what it is, or with auto that the bytes may say
 * so, and then they cannot name other files.
 */
static int image_format(struct disk *d, uint64_t size, enum image_format *f,
			char why[static WHY_SIZE])
{
	bool said = *f != FORMAT_UNSAID && *f != FORMAT_AUTO;
	const char *foreign;
	enum image_format found = said ? *f : format_probe(d->fd, size, *f == FORMAT_AUTO);

	if (*f == FORMAT_UNSAID && found != FORMAT_RAW)
		return fail(d, why, -EINVAL, "looks like a %s image: say format=%s, or format=raw "
			    "if it is a raw one in which a guest wrote this",
			    format_name(found), format_name(found));
	if (*f == FORMAT_AUTO && format_refers(d->fd, size, found))
		return fail(d, why, -EINVAL, "a %s image that takes contents from other files, "
			    "which format=auto refuses: say format=%s if you trust it",
			    format_name(found), format_name(found));
	foreign = said ? NULL : format_foreign(d->fd, size);
	if (foreign)
		return fail(d, why, -EINVAL, "looks like a %s file, which is no format that hemi reads: "
			    "unpack or convert it, or say format=raw if it is a raw image",
			    foreign);
	*f = found;
	if (format_truncated(d->fd, size, found))
		return fail(d, why, -EINVAL, "a truncated %s image", format_name(found));
	return 0;
}

static int image_open(struct disk *d, enum image_format f, bool write, char why[static WHY_SIZE])
{
	char reason[WHY_SIZE] = "";
	uint64_t size = 0;
	int err = file_check(d, &size, why);

	if (!err)
		err = image_format(d, size, &f, why);
	if (err)
		return err;
	d->format = f;
	if (f == FORMAT_RAW) {
		err = image_raw_open(&d->image, d->fd, size);
		return err ? fail(d, why, err, "%s", strerror(-err)) : 0;
	}
#ifdef HAVE_NBD
	err = image_nbd_open(&d->image, d->name, d->fd, f, write, reason);
#else
	(void)write;
	snprintf(reason, sizeof(reason), "this hemi was built without libnbd (libnbd-dev), which "
		 "%s images need", format_name(f));
	err = -ENOTSUP;
#endif
	return err ? fail(d, why, err, "%s", reason) : 0;
}

static int image_check(struct disk *d, unsigned unit, uint64_t max, char why[static WHY_SIZE])
{
	unsigned long long size = d->image->size;

	if (!size)
		return fail(d, why, -EINVAL, "the image is empty");
	if (size % unit)
		return fail(d, why, -EINVAL, "its size, %llu bytes, is no multiple of the sector's "
			    "%u: not a raw image, or truncated", size, unit);
	if (max && size > max)
		return fail(d, why, -EFBIG, "its size, %llu bytes, is more than the %llu of the "
			    "medium", size, (unsigned long long)max);
	return 0;
}

static int overlay_open(struct disk *d, char why[static WHY_SIZE])
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
		return fail(d, why, -errno, "no room for a snapshot in %s: %s", dir,
			    strerror(errno));
	d->moved = calloc(d->image->size / BLOCK / 8 + 1, 1);
	return d->moved ? 0 : fail(d, why, -ENOMEM, "%s", strerror(ENOMEM));
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
		snprintf(why, WHY_SIZE, "%s: %s", role, strerror(ENOMEM));
		return -ENOMEM;
	}
	signal(SIGXFSZ, SIG_IGN);	/* a limit of size is an error of write() */
	d->role = role;
	d->fd = d->overlay = -1;
	d->readonly = config->readonly;
	err = file_open(d, write, why);
	if (!err)
		err = file_lock(d, write, why);
	if (!err)
		err = image_open(d, config->format, write, why);
	if (!err)
		err = image_check(d, unit, max, why);
	if (!err && config->snapshot && !config->readonly)
		err = overlay_open(d, why);
	if (err) {
		disk_close(d);
		return err;
	}
	*out = d;
	return 0;
}

static bool writes_image(const struct disk *d)
{
	return !d->readonly && d->overlay < 0;
}

/* A server still has to write down what it knows of the file: if that fails, nothing else
 * would tell. A raw file has it all. */
void disk_close(struct disk *d)
{
	if (!d)
		return;
	if (d->image) {
		d->image->closing = true;
		if (writes_image(d) && d->image->ops->close_flushes)
			disk_flush(d);
		d->image->ops->close(d->image);
	}
	if (d->fd >= 0)
		close(d->fd);
	if (d->overlay >= 0)
		close(d->overlay);
	free(d->moved);
	free(d->name);
	free(d);
}

void disk_watch(struct disk *d, const atomic_uint *attention)
{
	if (d)
		d->image->attention = attention;
}

uint64_t disk_size(const struct disk *d)
{
	return d->image->size;
}

const char *disk_name(const struct disk *d)
{
	return d->name;
}

bool disk_readonly(const struct disk *d)
{
	return d->readonly;
}

/* --- Reading and writing --------------------------------------------------------- */

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
	size_t all = d->image->size - off < BLOCK ? (size_t)(d->image->size - off) : BLOCK;
	int err = 0;

	if (!block_moved(d, block) && n < all) {
		err = d->image->ops->read(d->image, off, buf, all);
		if (!err)
			err = file_write(d->overlay, off, buf, all);
	}
	if (!err)
		err = file_write(d->overlay, at, from, n);
	if (!err)
		d->moved[block >> 3] |= (uint8_t)(1u << (block & 7));
	return err;
}

static int complain(struct disk *d, const char *what, int err)
{
	const char *trouble = d->image->trouble;

	if (err && !d->complained)
		fprintf(stderr, "hemi: %s: %s: %s%s\n", d->name, what,
			*trouble ? trouble : strerror(-err),
			d->image->closing ? "" : " (the guest is told; said once)");
	d->complained |= err;
	return err;
}

int disk_read(struct disk *d, uint64_t off, void *buf, size_t n)
{
	struct image *i = d->image;
	uint8_t *to = buf;
	int err = 0;

	bug_on(off > i->size || n > i->size - off);
	if (d->overlay < 0)
		return complain(d, "read", i->ops->read(i, off, to, n));
	while (n && !err) {
		size_t part = block_rest(off, n);

		err = block_moved(d, off / BLOCK) ? file_read(d->overlay, off, to, part) :
			i->ops->read(i, off, to, part);
		to += part;
		off += part;
		n -= part;
	}
	return complain(d, "read", err);
}

int disk_write(struct disk *d, uint64_t off, const void *buf, size_t n)
{
	struct image *i = d->image;
	const uint8_t *from = buf;
	int err = 0;

	bug_on(off > i->size || n > i->size - off);
	if (d->readonly)
		return -EROFS;
	if (d->overlay < 0)
		return complain(d, "write", i->ops->write(i, off, from, n));
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
	return writes_image(d) ? complain(d, "flush", d->image->ops->flush(d->image)) : 0;
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
	for (uint64_t block = (from + BLOCK - 1) / BLOCK; block * BLOCK < d->image->size;
	     block++) {
		if (!(block & 7) && !d->moved[block >> 3])
			block += 7;		/* none of eight */
		else if (block_moved(d, block))
			return block * BLOCK;
	}
	return ~0ull;
}

enum image_format disk_format(const struct disk *d)
{
	return d->format;
}

int64_t disk_changed(const struct disk *d)
{
	struct stat st;

	if (fstat(d->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	return st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec;
}

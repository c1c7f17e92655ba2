/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a disk's contents are kept in: a raw file (dev/disk.c), or a file of another format
 * behind a server (dev/image_nbd.c). Offsets and lengths are within the size; everything is
 * done when the call returns, and a flush is one of all that was written before it.
 */
#ifndef DEV_IMAGE_H
#define DEV_IMAGE_H

#include <stdatomic.h>

#include "machine/config.h"

#define WHY_SIZE	512

struct image {
	const struct image_ops *ops;
	uint64_t size;
	/* Bits of enum attention, or NULL: the wait for a server is cut short by a wish to end. */
	const atomic_uint *attention;
	bool closing;		/* what comes now is the last, and must not take for ever */
	char trouble[160];		/* more than an errno says of the last failure, or "" */
};

struct image_ops {
	/* 0 or -errno. */
	int (*read)(struct image *i, uint64_t off, void *buf, size_t n);
	int (*write)(struct image *i, uint64_t off, const void *buf, size_t n);
	int (*flush)(struct image *i);
	void (*close)(struct image *i);
	bool close_flushes;	/* what was written may not be in the file before */
};

/* The file at fd as it is; fd stays the caller's. 0 or -ENOMEM. */
int image_raw_open(struct image **out, int fd, uint64_t size);
/* All of n bytes of a file; one that has become shorter since it was opened reads as zeros there. */
int file_read(int fd, uint64_t off, uint8_t *to, size_t n);
int file_write(int fd, uint64_t off, const uint8_t *from, size_t n);

/* The file at path, which is open at fd and locked, in this format, by way of a server. 0, or
 * -errno and in why[] what follows the image's name. fd stays the caller's. */
int image_nbd_open(struct image **out, const char *path, int fd, enum image_format format,
		   bool write, char why[static WHY_SIZE]);

#endif

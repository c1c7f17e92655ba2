/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host side of a disk, CD or floppy: an image, read and written where the guest
 * says, and each call is done when it returns. With snapshot, what is written goes to a
 * file without a name that vanishes with the process. Images are locked: one writer, or
 * any number of readers.
 */
#ifndef DEV_DISK_H
#define DEV_DISK_H

#include <stdatomic.h>

#include "machine/config.h"

struct disk;

/* role is what the user calls it ("disk", "cdrom"); its size must be a multiple of unit
 * and not more than max, if that is not 0. 0, or -errno and one line in why. SIGXFSZ is ignored from here on. */
int disk_open(struct disk **out, const char *role, const struct config_disk *config,
	      unsigned unit, uint64_t max, char why[static 512]);
void disk_close(struct disk *d);		/* NULL is allowed */
/* Whose bits (enum attention) end a wait for the host early; NULL is allowed for d. */
void disk_watch(struct disk *d, const atomic_uint *attention);
uint64_t disk_size(const struct disk *d);
bool disk_readonly(const struct disk *d);
/* Within the image. 0 or -errno; the first failure of an image is told on stderr. */
int disk_read(struct disk *d, uint64_t off, void *buf, size_t n);
int disk_write(struct disk *d, uint64_t off, const void *buf, size_t n);
int disk_flush(struct disk *d);

#endif

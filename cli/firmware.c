/* SPDX-License-Identifier: BSD-2-Clause */
/* A BIOS image, into the places where a PC has its ROM. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/firmware.h"
#include "machine/legacy.h"

#define UNIT		(64u << 10)	/* the segment of the reset vector */
#define BIOS_MAX	(16u << 20)	/* what lies between 4 GiB and the APICs' place */

/* SeaBIOS as Debian and its kin, Fedora and its kin, and QEMU's own package name it. */
static const char *const packaged[] = {
	"/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/bios-256k.bin",
	"/usr/share/seabios/bios.bin",
};

static const char *bios_find(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(packaged); i++)
		if (access(packaged[i], R_OK) == 0)
			return packaged[i];
	return NULL;
}

static int bios_read(int fd, uint8_t *to, size_t size)
{
	for (size_t got = 0; got < size;) {
		ssize_t n = read(fd, to + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		got += (size_t)n;
	}
	return 0;
}

static int bios_check(const struct stat *st, const char *path, char why[static WHY_SIZE])
{
	if (S_ISDIR(st->st_mode))
		return load_fail(why, -EISDIR, "BIOS %s: is a directory", path);
	if (!S_ISREG(st->st_mode))
		return load_fail(why, -EINVAL, "BIOS %s: not a regular file", path);
	if (st->st_size == 0)
		return load_fail(why, -EINVAL, "BIOS %s: the file is empty", path);
	if (st->st_size % UNIT || st->st_size > BIOS_MAX)
		return load_fail(why, -EINVAL, "BIOS %s: its size, %lld bytes, is no multiple of "
				 "64 KiB up to 16 MiB, as that of a PC's ROM is", path,
				 (long long)st->st_size);
	return 0;
}

static int bios_open(const char *path, uint8_t **image, size_t *size, char why[static WHY_SIZE])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;
	struct stat st;

	if (fd < 0)
		return load_fail(why, -errno, "BIOS %s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0)
		err = load_fail(why, -errno, "BIOS %s: %s", path, strerror(errno));
	else
		err = bios_check(&st, path, why);
	if (!err) {
		*size = (size_t)st.st_size;
		err = posix_memalign((void **)image, PAGE_SIZE, *size) ? -ENOMEM : 0;
		if (!err)
			err = bios_read(fd, *image, *size);
		if (err)
			load_fail(why, err, "BIOS %s: %s", path, strerror(-err));
	}
	close(fd);
	return err;
}

int firmware_use(struct machine *m, uint8_t *image, size_t size)
{
	int err = size % UNIT || size > BIOS_MAX ? -EINVAL : legacy_set_bios(&m->mem, image, size);

	if (!err)
		memory_add_range(&m->mem, &(struct range){ .base = (1ull << 32) - size, .size = size,
				 .kind = RANGE_ROM, .name = "bios", .rom = image });
	return err;
}

int firmware_load(struct machine *m, const struct config *cfg, uint8_t **image,
		  char why[static WHY_SIZE])
{
	const char *path = cfg->bios ? cfg->bios : bios_find();
	size_t size = 0;
	int err;

	if (!path)
		return load_fail(why, -ENOENT, "no BIOS: %s is missing; install the package "
				 "'seabios', or say --bios=FILE or --kernel=FILE", packaged[0]);
	err = bios_open(path, image, &size, why);
	if (err)
		return err;
	err = firmware_use(m, *image, size);
	return err ? load_fail(why, err, "BIOS %s: %s", path, strerror(-err)) : 0;
}

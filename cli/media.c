/* SPDX-License-Identifier: BSD-2-Clause */
/* Which image is in which drive, and the file behind the firmware's debug port. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/firmware.h"
#include "dev/disk.h"

#define SECTOR		512
#define CD_SECTOR	2048
#define CD_DRIVE	2		/* secondary master, where BIOSes and people expect it */
#define FLOPPY_SIZE	(1440u << 10)

static int debugcon_open(struct machine *m, const char *where, char why[static WHY_SIZE])
{
	if (!where)
		return 0;
	if (strcmp(where, "stderr") == 0) {
		m->debugcon = dup(STDERR_FILENO);
	} else {
		where += strlen("file:");
		m->debugcon = open(where, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	}
	if (m->debugcon < 0)
		return load_fail(why, -errno, "debug port: %s: %s", where, strerror(errno));
	return 0;
}

int media_open(struct machine *m, const struct config *cfg, char why[static WHY_SIZE])
{
	int err = debugcon_open(m, cfg->debugcon, why);
	unsigned at = 0;

	m->disk_is_cd[CD_DRIVE] = cfg->cdrom.file || cfg->cdrom.empty;
	if (!err && cfg->cdrom.file)
		err = disk_open(&m->disks[CD_DRIVE], "cdrom", &cfg->cdrom, CD_SECTOR, 0, why);
	for (unsigned i = 0; !err && i < CONFIG_DISKS && cfg->disks[i].file; i++) {
		if (cfg->disks[i].virtio) {
			err = disk_open(&m->virtio_disks[i], "disk", &cfg->disks[i], SECTOR, 0, why);
			continue;
		}
		at += at == CD_DRIVE && m->disk_is_cd[CD_DRIVE];
		if (at == MACHINE_DISKS)
			return load_fail(why, -EINVAL, "disk %s: no drive is left for it beside "
					 "the CD's", cfg->disks[i].file);
		err = disk_open(&m->disks[at++], "disk", &cfg->disks[i], SECTOR, 0, why);
	}
	if (!err && cfg->floppy.file)
		err = disk_open(&m->floppies[0], "floppy", &cfg->floppy, SECTOR, FLOPPY_SIZE, why);
	for (unsigned i = 0; i < MACHINE_DISKS; i++)
		disk_watch(m->disks[i], &m->attention);
	for (unsigned i = 0; i < MACHINE_DISKS; i++)
		disk_watch(m->virtio_disks[i], &m->attention);
	for (unsigned i = 0; i < MACHINE_FLOPPIES; i++)
		disk_watch(m->floppies[i], &m->attention);
	return err;
}

void media_close(struct machine *m)
{
	for (unsigned i = 0; i < MACHINE_DISKS; i++)
		disk_close(m->disks[i]);
	for (unsigned i = 0; i < MACHINE_DISKS; i++)
		disk_close(m->virtio_disks[i]);
	for (unsigned i = 0; i < MACHINE_FLOPPIES; i++)
		disk_close(m->floppies[i]);
	if (m->debugcon >= 0)
		close(m->debugcon);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dev/drive.h"

#define CD_SECTOR	2048
#define SECTOR		512
#define FLOPPY_SIZE	(1440u << 10)

void drive_add(struct machine *m, struct drive *d)
{
	struct drive **at = &m->drives;

	while (*at)
		at = &(*at)->next;
	d->next = NULL;
	*at = d;
}

void drive_remove(struct machine *m, struct drive *d)
{
	for (struct drive **at = &m->drives; *at; at = &(*at)->next) {
		if (*at == d) {
			*at = d->next;
			return;
		}
	}
}

struct drive *drive_find(struct machine *m, const char *name)
{
	for (struct drive *d = m->drives; d; d = d->next)
		if (strcmp(d->name, name) == 0 || (d->alias && strcmp(d->alias, name) == 0))
			return d;
	return NULL;
}

static int drive_release(struct drive *d, bool force)
{
	if (force || !d->locked(d->self))
		return 0;
	d->wanted(d->self);
	return -EBUSY;
}

static void drive_exchange(struct drive *d, struct disk *medium)
{
	struct disk *old = *d->disk;

	*d->disk = medium;
	d->changed(d->self);
	disk_close(old);
}

int drive_eject(struct drive *d, bool force)
{
	int err = drive_release(d, force);

	if (!err)
		drive_exchange(d, NULL);
	return err;
}

/* The new medium is opened before the old one goes, so that a mistake changes nothing. */
int drive_load(struct drive *d, const struct config_disk *medium, bool force,
	       char why[static 512])
{
	const char *role = d->cd ? "cdrom" : "floppy";
	struct disk *disk = NULL;
	int err;

	err = disk_open(&disk, role, medium, d->cd ? CD_SECTOR : SECTOR, d->cd ? 0 : FLOPPY_SIZE,
			why);
	if (err)
		return err;
	err = drive_release(d, force);
	if (err) {
		disk_close(disk);
		snprintf(why, 512, "the guest has locked the medium in %s; it was told of the wish",
			 d->name);
		return err;
	}
	drive_exchange(d, disk);
	return 0;
}

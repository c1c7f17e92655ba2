/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drives whose medium the user may exchange while the machine runs: which there are, and what
 * their devices have to know of it. All of it on the vCPU thread, but for names and the list,
 * which do not change once the devices are made.
 */
#ifndef DEV_DRIVE_H
#define DEV_DRIVE_H

#include "dev/disk.h"
#include "machine/machine.h"

struct drive {
	char name[24];			/* as QEMU calls it: ide1-cd0, floppy0 */
	const char *alias;		/* as the options of hemi do: cdrom, floppy */
	bool cd;
	struct disk **disk;		/* the medium's slot in struct machine; NULL: it is empty */
	/* The device's. locked: the guest does not want to lose the medium. open: the tray. */
	bool (*locked)(void *self), (*open)(void *self);
	/* The user would like to have the medium: the guest is told, if it can be. */
	void (*wanted)(void *self);
	/* Another medium, or none, is in *disk now. */
	void (*changed)(void *self);
	void *self;
	struct drive *next;
};

/* While devices are made and destroyed; *d stays the device's. */
void drive_add(struct machine *m, struct drive *d);
void drive_remove(struct machine *m, struct drive *d);
/* By name or alias; NULL: there is none. */
struct drive *drive_find(struct machine *m, const char *name);
/* Takes the medium out, if there is one. -EBUSY: the guest has locked it, was told, and the user
 * does not insist. */
int drive_eject(struct drive *d, bool force);
/* Puts another one in; what was there is taken out first. 0, or -errno and a line in why. */
int drive_load(struct drive *d, const struct config_disk *medium, bool force,
	       char why[static 512]);

#endif

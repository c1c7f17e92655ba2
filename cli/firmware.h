/* SPDX-License-Identifier: BSD-2-Clause */
/* What the machine is given besides a kernel: a BIOS, and images in its drives. */
#ifndef CLI_FIRMWARE_H
#define CLI_FIRMWARE_H

#include "cli/load.h"

/* All after machine_create() and before machine_add_devices(); -errno and one line in why[]. */
/* A BIOS below 4 GiB and below 1 MiB: cfg->bios or the packaged one. *image is to be freed
 * after machine_destroy(). */
int firmware_load(struct machine *m, const struct config *cfg, uint8_t **image,
		  char why[static WHY_SIZE]);
/* One that is in memory already, of such a size, and stays there. */
int firmware_use(struct machine *m, uint8_t *image, size_t size);
/* The display adapter's, into m->vga_rom: cfg->vgabios or the packaged one; none is no error.
 * Likewise to be freed. */
int vgabios_load(struct machine *m, const struct config *cfg, uint8_t **image,
		 char why[static WHY_SIZE]);
/* An option ROM of *size bytes gets an entry that makes real mode what it may expect, and is then a
 * unit longer, unless that makes more than `most`. -ENOMEM. */
int vgabios_wrap(uint8_t **image, size_t *size, size_t most);
/* The images of cfg, into m->disks and m->floppies; cfg->debugcon. */
int media_open(struct machine *m, const struct config *cfg, char why[static WHY_SIZE]);
/* After machine_destroy(). */
void media_close(struct machine *m);

#endif

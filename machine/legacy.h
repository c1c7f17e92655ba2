/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 384 KiB below 1 MiB as a host bridge of the 440FX kind makes them: for each
 * segment from 0xc0000 on, reads go to DRAM or to the ROM, writes to DRAM or
 * nowhere (PAM registers); the DRAM under legacy video can be opened (SMRAM).
 */
#ifndef MACHINE_LEGACY_H
#define MACHINE_LEGACY_H

#include "machine/memory.h"

#define LEGACY_VIDEO	0xa0000u
#define LEGACY_ROM	0xc0000u
#define LEGACY_END	0x100000u
#define LEGACY_ROM_SIZE	(LEGACY_END - LEGACY_ROM)

enum pam { PAM_READ = 1, PAM_WRITE = 2 };	/* set: DRAM; the register's own bits */

/* Makes the end of a BIOS image what reads see up to 1 MiB while they do not go to
 * DRAM; below it, and without an image, there is nothing. The image must stay. -ENOMEM.
 * Without this call everything is DRAM and the functions below do nothing. */
int legacy_set_bios(struct memory *m, const uint8_t *image, size_t size);
/* Whole pages of [LEGACY_ROM, LEGACY_END) go where `how` (enum pam) says. Stores and
 * code that are cached of them are dropped through the listeners. */
void legacy_pam(struct memory *m, gpa_t base, size_t size, unsigned how);
void legacy_open_video(struct memory *m, bool open);

/* A store to a PG_ROM page: into the DRAM that reads do not see, if that is writable. */
void legacy_store_rom(struct memory *m, gpa_t gpa, const void *buf, size_t len);
/* DRAM that reads do not see but writes reach, or NULL. */
uint8_t *legacy_hidden(struct memory *m, gpa_t gpa);

struct state;
/* What RAM does not hold: the DRAM that reads do not see, and where that is. Restoring
 * leaves DRAM that reads see as it is, since RAM is restored as reads saw it. */
void legacy_save(const struct memory *m, struct state *s);
void legacy_restore(struct memory *m, struct state *s);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The Linux kernel proper: the ELF file that a bzImage packs, and its relocations. */
#ifndef CLI_VMLINUX_H
#define CLI_VMLINUX_H

#include "cli/load.h"

struct vmlinux {
	struct blob file;	/* named like the bzImage */
	bool is64;
	uint64_t entry;		/* physical, like the next two: as linked */
	uint64_t lowest, end;
	uint64_t link;		/* virtual minus physical address */
	size_t table;		/* relocations: byte offset, 0: none */
};

/* Does it begin as an ELF file does? */
bool vmlinux_detect(const struct blob *file);
/* Checks headers and bounds. 0, or -ENOEXEC with one line in why. */
int vmlinux_parse(struct vmlinux *v, const struct blob *file, char why[static WHY_SIZE]);
/* Copies the segments to where they are linked plus phys, and relocates them to run
 * at their virtual addresses plus virt. 0, or -errno with one line in why. */
int vmlinux_load(const struct vmlinux *v, struct machine *m, uint64_t phys, uint64_t virt,
		 char why[static WHY_SIZE]);

#endif

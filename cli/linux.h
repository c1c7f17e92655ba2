/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files that load a Linux bzImage share: its setup header. */
#ifndef CLI_LINUX_H
#define CLI_LINUX_H

#include "cli/load.h"
#include "cli/vmlinux.h"

/* The setup header: same offsets in the file and in the zero page. */
enum header_field {
	SETUP_SECTS = 0x1f1, SYSSIZE = 0x1f4, VID_MODE = 0x1fa, BOOT_FLAG = 0x1fe, JUMP = 0x201, MAGIC = 0x202,
	VERSION = 0x206, TYPE_OF_LOADER = 0x210, LOADFLAGS = 0x211, CODE32_START = 0x214,
	RAMDISK_IMAGE = 0x218, RAMDISK_SIZE = 0x21c, HEAP_END_PTR = 0x224, CMD_LINE_PTR = 0x228,
	INITRD_ADDR_MAX = 0x22c, KERNEL_ALIGNMENT = 0x230, RELOCATABLE_KERNEL = 0x234,
	XLOADFLAGS = 0x236, CMDLINE_SIZE = 0x238, PAYLOAD_OFFSET = 0x248, PAYLOAD_LENGTH = 0x24c,
	PREF_ADDRESS = 0x258, INIT_SIZE = 0x260,
	HEADER_START = SETUP_SECTS, HEADER_END_MAX = 0x290,
};
enum { LOADED_HIGH = 0x01, KASLR_FLAG = 0x02, CAN_USE_HEAP = 0x80 };	/* loadflags */
enum { XLF_KERNEL_64 = 1 };						/* xloadflags */

/* Bytes before the protected-mode part of the file. */
unsigned linux_setup_bytes(const struct blob *k);

/* The payload. 0: v->file.data is the kernel proper, to be freed, or NULL where the
 * kernel has to unpack itself. Otherwise -errno with one line in why. */
int linux_payload(const struct blob *k, const struct machine *m, struct vmlinux *v,
		  char why[static WHY_SIZE]);

/* Memory that the kernel proper needs from its first byte on. */
uint64_t linux_need(const struct blob *k, const struct vmlinux *v);

/* How far from where it was linked the kernel goes. */
struct kaslr { uint64_t phys, virt; bool on; };
/* The kernel must end below top. */
struct kaslr linux_kaslr(const struct boot *b, const struct machine *m, const struct vmlinux *v,
			 uint64_t top);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Putting a kernel into guest memory the way a boot loader leaves it, and the
 * vCPU at its entry point. Files come from anywhere: the getters of a blob
 * never read past its end and load_copy() never writes outside RAM, so that a
 * loader may follow whatever a header says.
 */
#ifndef CLI_LOAD_H
#define CLI_LOAD_H

#include "machine/machine.h"

#define WHY_SIZE 512

/* The contents of one file. */
struct blob {
	char *name;
	uint8_t *data;
	size_t size;
};

struct boot_module {
	struct blob file;
	char *string;		/* file name and arguments, as Multiboot hands it over */
};

/* Everything that was read for one boot; kept for the next reset. */
struct boot {
	struct blob kernel, initrd;
	const char *append;	/* never NULL */
	struct boot_module *modules;
	unsigned nmodules;
};

/* Reads all files. 0, or -errno with one line in why. */
int boot_open(struct boot **out, const struct config *cfg, char why[static WHY_SIZE]);
void boot_close(struct boot *b);
/* After machine_reset(): loads memory and sets the CPU. long_mode: the CPU model
 * has it. 0, or -errno with one line in why; -EINTR (and no line): a request to end came first. */
int boot_load(const struct boot *b, struct machine *m, bool long_mode, char why[static WHY_SIZE]);

/* --- Formats: one file each ---------------------------------------------------- */

struct kernel_format {
	const char *name;
	bool (*detect)(const struct blob *kernel);
	int (*load)(const struct boot *b, struct machine *m, bool long_mode,
		    char why[static WHY_SIZE]);
};
extern const struct kernel_format load_linux, load_multiboot, load_elf;

/* --- What the formats share -------------------------------------------------- */

/* Little-endian fields; bytes past the end read as 0. */
uint32_t blob_get(const struct blob *b, size_t off, unsigned size);
#define blob_u8(b, off)		((uint8_t)blob_get(b, off, 1))
#define blob_u16(b, off)	((uint16_t)blob_get(b, off, 2))
#define blob_u32(b, off)	blob_get(b, off, 4)
static inline bool blob_has(const struct blob *b, uint64_t off, uint64_t len)
{
	return off <= b->size && len <= b->size - off;
}
void put_le(uint8_t *at, uint64_t val, unsigned size);

/* Sets why and returns err, for `return load_fail(...)`. */
int load_fail(char why[static WHY_SIZE], int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Is [gpa, gpa+len) RAM that a loader may fill: below the PCI hole, and neither
 * video memory nor where option ROMs and the BIOS would be? */
bool load_fits(const struct machine *m, uint64_t gpa, uint64_t len);
/* Copies, or zeroes if src is NULL; false if it does not fit. */
bool load_copy(struct machine *m, uint64_t gpa, const void *src, uint64_t len);

/* The memory map a BIOS would give. */
enum { MAP_RAM = 1, MAP_RESERVED = 2 };
struct map_entry { uint64_t base, size; uint32_t type; };
#define MAP_MAX 8
unsigned load_memory_map(const struct machine *m, struct map_entry map[static MAP_MAX]);
#define LOW_MEMORY_KIB	639		/* what the BIOS leaves of 640: the EBDA is above */

/* The BIOS data area: the few fields that kernels read. */
void load_bios_data(struct machine *m);
/* Where the APICs are, for kernels without ACPI (mptable.c). */
void load_mp_table(struct machine *m);

/* Flat protected mode without paging or interrupts, RIP = entry, CS = code and
 * the others = data (selectors 0x08..0x38), with a GDT of at most 64 bytes stored at gdt. */
void load_cpu_flat(struct machine *m, uint32_t entry, uint16_t code, uint16_t data, gpa_t gdt);
/* The same in 64-bit mode; the first 4 GiB are identity-mapped by page tables of
 * IDENTITY_MAP_SIZE bytes at tables. */
void load_cpu_long(struct machine *m, uint32_t entry, uint16_t code, uint16_t data, gpa_t gdt,
		   gpa_t tables);
#define IDENTITY_MAP_SIZE	(6 * PAGE_SIZE)

/* ELF32 for the formats that are, or may be, such files: loads the segments by
 * physical address. entry is physical; [lowest, end) is what they cover. */
struct elf_image { uint32_t entry; uint64_t lowest, end; };
int elf_load(const struct blob *kernel, struct machine *m, struct elf_image *out,
	     char why[static WHY_SIZE]);

#endif

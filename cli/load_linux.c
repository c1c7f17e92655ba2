/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux bzImage by the 32-bit or 64-bit boot protocol (Documentation/arch/x86/boot.rst,
 * sections "The Real-Mode Kernel Header", "32-bit Boot Protocol", "64-bit Boot
 * Protocol" and "The zero page"): the loader does what the kernel's real-mode part
 * would and, unless it cannot, what the decompressor behind that would.
 *
 *	0x00400		BIOS data area
 *	0x08000		GDT
 *	0x10000		zero page (struct boot_params)
 *	0x20000		command line
 *	0x30000		page tables that identity-map 4 GiB, for a 64-bit kernel
 *	0x9fc00		EBDA
 *	0x100000	protected-mode part, entered at its first byte; or, unpacked here,
 *			the kernel proper at its own entry point, where linux_kaslr() says
 *	as high as it may be: initrd
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/linux.h"

#define GDT_AT		0x8000u
#define STACK_AT	0x9000u		/* grows down; the kernel takes its own at once */
#define ZERO_PAGE_AT	0x10000u
#define CMDLINE_AT	0x20000u
#define TABLES_AT	0x30000u
#define KERNEL_AT	0x100000u
#define BOOT_CS		0x10
#define BOOT_DS		0x18

/* The rest of the zero page. */
enum zero_page_field {
	EXT_MEM_K = 0x002, VIDEO_MODE = 0x006, VIDEO_COLUMNS = 0x007,
	VIDEO_EGA_BX = 0x00a, VIDEO_LINES = 0x00e, VIDEO_IS_VGA = 0x00f, VIDEO_POINTS = 0x010, ALT_MEM_K = 0x1e0, E820_ENTRIES = 0x1e8, E820_TABLE = 0x2d0,
	E820_ENTRY_SIZE = 20,
};
#define MAGIC_HDRS	0x53726448u
#define BOOT_FLAG_VALUE	0xaa55u

static bool linux_detect(const struct blob *k)
{
	return blob_u32(k, MAGIC) == MAGIC_HDRS && blob_u16(k, BOOT_FLAG) == BOOT_FLAG_VALUE;
}

static unsigned cmdline_max(const struct blob *k)
{
	uint32_t max = blob_u16(k, VERSION) >= 0x206 ? blob_u32(k, CMDLINE_SIZE) : 255;

	return max < 0xffff ? max : 0xffff;
}

static int needs_long_mode(const struct blob *k, char why[static WHY_SIZE])
{
	return load_fail(why, -ENOEXEC, "kernel %s: it needs a 64-bit CPU model, for instance "
			 "--cpu=hemi64", k->name);
}

static int linux_check(const struct boot *b, bool long_mode, char why[static WHY_SIZE])
{
	const struct blob *k = &b->kernel;
	unsigned version = blob_u16(k, VERSION);
	uint64_t sys = blob_u32(k, SYSSIZE);

	if (version < 0x202)
		return load_fail(why, -ENOEXEC, "kernel %s: its boot protocol %u.%02u is older than "
				 "2.02", k->name, version >> 8, version & 0xff);
	if (!(blob_u8(k, LOADFLAGS) & LOADED_HIGH))
		return load_fail(why, -ENOEXEC, "kernel %s: a zImage, which loads low; only a "
				 "bzImage can be booted", k->name);
	if (!blob_has(k, linux_setup_bytes(k), 1))
		return load_fail(why, -ENOEXEC, "kernel %s: truncated: it ends within its setup "
				 "code", k->name);
	/* In units of 16 bytes, rounded up; 16 bits of it, which do not suffice, before. */
	if (version >= 0x204 && sys && !blob_has(k, linux_setup_bytes(k), sys * 16 - 15))
		return load_fail(why, -ENOEXEC, "kernel %s: truncated: %zu bytes of %llu", k->name,
				 k->size, (unsigned long long)(linux_setup_bytes(k) + sys * 16));
	if (version >= 0x20c && (blob_u16(k, XLOADFLAGS) & XLF_KERNEL_64) && !long_mode)
		return needs_long_mode(k, why);
	if (strlen(b->append) > cmdline_max(k))
		return load_fail(why, -E2BIG, "--append: %zu characters, but kernel %s takes %u",
				 strlen(b->append), k->name, cmdline_max(k));
	if (b->nmodules)
		return load_fail(why, -EINVAL, "--module: kernel %s is a Linux kernel, which takes "
				 "--initrd instead", k->name);
	return 0;
}

/* End of the memory that the kernel uses before it looks at the memory map, if it
 * is unpacked here (v) or unpacks itself. */
static uint64_t kernel_end(const struct blob *k, const struct vmlinux *v)
{
	uint64_t end = KERNEL_AT + (k->size - linux_setup_bytes(k));

	if (v->file.data)
		return v->lowest + linux_need(k, v);
	if (blob_u16(k, VERSION) >= 0x20a) {
		uint64_t pref = blob_u32(k, PREF_ADDRESS);
		uint64_t base = blob_u32(k, PREF_ADDRESS + 4) || pref < KERNEL_AT ? KERNEL_AT : pref;

		if (base + blob_u32(k, INIT_SIZE) > end)
			end = base + blob_u32(k, INIT_SIZE);
	}
	return end;
}

static int kernel_place(const struct blob *k, struct machine *m, char why[static WHY_SIZE])
{
	unsigned skip = linux_setup_bytes(k);

	if (!load_copy(m, KERNEL_AT, k->data + skip, k->size - skip))
		return load_fail(why, -ENOMEM, "kernel %s: it does not fit into guest memory "
				 "(--memory)", k->name);
	return 0;
}

static int initrd_place(const struct boot *b, struct machine *m, uint64_t end, uint32_t *at,
			char why[static WHY_SIZE])
{
	const struct blob *k = &b->kernel;
	uint64_t top = (blob_u16(k, VERSION) >= 0x203 ? blob_u32(k, INITRD_ADDR_MAX) : 0x37ffffff) + 1ull;

	if (top > m->mem.low_size)
		top = m->mem.low_size;
	*at = top > b->initrd.size ? (uint32_t)((top - b->initrd.size) & PAGE_MASK) : 0;
	if (*at < end || !load_copy(m, *at, b->initrd.data, b->initrd.size))
		return load_fail(why, -ENOMEM, "initrd %s: its %zu KiB do not fit between the kernel's "
				 "end at %#llx and %#llx (--memory)", b->initrd.name,
				 b->initrd.size >> 10, (unsigned long long)end,
				 (unsigned long long)top);
	return 0;
}

/* screen_info: text mode 3, as the adapter is after a reset without a BIOS. */
static void screen_fill(uint8_t zp[static PAGE_SIZE])
{
	zp[VIDEO_MODE] = 3;
	zp[VIDEO_COLUMNS] = 80;
	zp[VIDEO_EGA_BX] = 3;		/* 256 KiB; not 0x10, which says that there is no EGA */
	zp[VIDEO_LINES] = 25;
	zp[VIDEO_IS_VGA] = 1;
	zp[VIDEO_POINTS] = 16;
}

static void zero_page_fill(uint8_t zp[static PAGE_SIZE], const struct boot *b,
			   const struct machine *m, uint32_t initrd_at)
{
	const struct blob *k = &b->kernel;
	struct map_entry map[MAP_MAX];
	unsigned n = load_memory_map(m, map);
	uint64_t above = (m->mem.low_size - KERNEL_AT) >> 10;
	size_t end = MAGIC + blob_u8(k, JUMP);

	if (end > HEADER_END_MAX)
		end = HEADER_END_MAX;
	if (end > k->size)
		end = k->size;
	memcpy(zp + HEADER_START, k->data + HEADER_START, end - HEADER_START);

	if (m->vga)
		screen_fill(zp);
	zp[TYPE_OF_LOADER] = 0xff;
	zp[LOADFLAGS] |= CAN_USE_HEAP;
	put_le(zp + VID_MODE, 0xffff, 2);		/* "normal" */
	put_le(zp + CODE32_START, KERNEL_AT, 4);
	put_le(zp + HEAP_END_PTR, 0xfe00, 2);
	put_le(zp + CMD_LINE_PTR, CMDLINE_AT, 4);
	put_le(zp + RAMDISK_IMAGE, initrd_at, 4);
	put_le(zp + RAMDISK_SIZE, b->initrd.size, 4);
	put_le(zp + EXT_MEM_K, above < 0xfc00 ? above : 0xfc00, 2);
	put_le(zp + ALT_MEM_K, above, 4);
	zp[E820_ENTRIES] = (uint8_t)n;
	for (unsigned i = 0; i < n; i++) {
		uint8_t *e = zp + E820_TABLE + i * E820_ENTRY_SIZE;

		put_le(e, map[i].base, 8);
		put_le(e + 8, map[i].size, 8);
		put_le(e + 16, map[i].type, 4);
	}
}

static void enter(struct machine *m, uint32_t entry, bool is64)
{
	if (is64)
		load_cpu_long(m, entry, BOOT_CS, BOOT_DS, GDT_AT, TABLES_AT);
	else
		load_cpu_flat(m, entry, BOOT_CS, BOOT_DS, GDT_AT);
	m->cpu->gpr[RSI] = ZERO_PAGE_AT;
	m->cpu->gpr[RSP] = STACK_AT;
}

/* The kernel and its parameters go into memory, below top; v says which way. */
static int linux_place(const struct boot *b, struct machine *m, const struct vmlinux *v,
		       uint32_t initrd_at, char why[static WHY_SIZE])
{
	uint8_t zp[PAGE_SIZE] = { 0 };
	uint64_t top = initrd_at ? initrd_at : m->mem.low_size;
	struct kaslr where = { 0 };
	uint64_t entry = KERNEL_AT;
	int err;

	zero_page_fill(zp, b, m, initrd_at);
	zp[LOADFLAGS] &= (uint8_t)~KASLR_FLAG;
	if (v->file.data) {
		where = linux_kaslr(b, m, v, top);
		entry = v->entry + where.phys;
		zp[LOADFLAGS] |= where.on ? KASLR_FLAG : 0;
		err = vmlinux_load(v, m, where.phys, where.virt, why);
	} else {
		err = kernel_place(&b->kernel, m, why);
	}
	if (err)
		return err;
	if (where.on && m->config->verbose)
		fprintf(stderr, "hemi: kernel %s: moved by %#llx in memory, by %#llx in its own "
			"addresses\n", b->kernel.name, (unsigned long long)where.phys,
			(unsigned long long)where.virt);
	/* These fit: the kernel did, above them. */
	bug_on(!load_copy(m, ZERO_PAGE_AT, zp, sizeof(zp)));
	bug_on(!load_copy(m, CMDLINE_AT, b->append, strlen(b->append) + 1));
	enter(m, (uint32_t)entry, v->file.data && v->is64);
	return 0;
}

static int linux_load(const struct boot *b, struct machine *m, bool long_mode,
		      char why[static WHY_SIZE])
{
	const struct blob *k = &b->kernel;
	struct vmlinux v = { 0 };
	uint32_t initrd_at = 0;
	uint64_t end = 0;
	int err = linux_check(b, long_mode, why);

	if (!err)
		err = linux_payload(k, m, &v, why);
	if (!err && v.is64 && !long_mode)
		err = needs_long_mode(k, why);
	if (!err) {
		end = kernel_end(k, &v);
		if (end > m->mem.low_size || (v.file.data && v.lowest < KERNEL_AT))
			err = load_fail(why, -ENOMEM, "kernel %s: it needs at least %llu MiB of guest "
					"memory (--memory)", k->name,
					(unsigned long long)((end + 0xfffff) >> 20));
	}
	if (!err && b->initrd.data)
		err = initrd_place(b, m, end, &initrd_at, why);
	if (!err)
		err = linux_place(b, m, &v, initrd_at, why);
	free(v.file.data);
	return err;
}

const struct kernel_format load_linux = { "linux", linux_detect, linux_load };

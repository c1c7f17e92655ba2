/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot 1 (specification 0.6.96): the header within the first 8 KiB, ELF
 * files and the address fields of the header ("a.out kludge"), modules, memory
 * map. There is no video mode setting: a kernel that prefers one gets none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/load.h"

#define HEADER_MAGIC	0x1badb002u
#define BOOT_MAGIC	0x2badb002u
#define SEARCH		8192u

enum header_flag {
	HDR_ALIGN = 1, HDR_MEMORY = 2, HDR_VIDEO = 4,
	HDR_MUST = 0xffff,		/* a loader that does not know one of these must refuse */
	HDR_ADDRESSES = 0x10000,
};
/* The header, section 3.1.1. */
enum header_field {
	H_FLAGS = 4, H_HEADER_ADDR = 12, H_LOAD_ADDR = 16, H_LOAD_END = 20, H_BSS_END = 24,
	H_ENTRY = 28,
};
/* The information structure, section 3.3. */
enum info_flag {
	INFO_MEM = 1, INFO_CMDLINE = 4, INFO_MODS = 8, INFO_MMAP = 64, INFO_LOADER = 512,
};
enum info_field {
	I_FLAGS = 0, I_MEM_LOWER = 4, I_MEM_UPPER = 8, I_CMDLINE = 16, I_MODS_COUNT = 20,
	I_MODS_ADDR = 24, I_MMAP_LENGTH = 44, I_MMAP_ADDR = 48, I_LOADER = 64, INFO_SIZE = 120,
};
#define GDT_SIZE	64u
#define MODULE_SIZE	16u
#define MMAP_SIZE	24u
/* The block with the GDT, the information and its strings: here if the kernel
 * leaves it free (early page tables often map little), else above everything. */
#define BLOCK_LOW	0x9000u
#define BLOCK_LOW_END	0x90000u

static const char loader_name[] = "hemi";

/* Offset of the header, or -1. */
static long header_find(const struct blob *k)
{
	for (size_t off = 0; off + 12 <= SEARCH && blob_has(k, off, 12); off += 4) {
		if (blob_u32(k, off) == HEADER_MAGIC &&
		    blob_u32(k, off) + blob_u32(k, off + 4) + blob_u32(k, off + 8) == 0)
			return (long)off;
	}
	return -1;
}

static bool multiboot_detect(const struct blob *k)
{
	return header_find(k) >= 0;
}

/* --- The image ----------------------------------------------------------------- */

static int load_by_addresses(const struct blob *k, size_t hdr, struct machine *m,
			     struct elf_image *out, char why[static WHY_SIZE])
{
	uint32_t header_addr = blob_u32(k, hdr + H_HEADER_ADDR);
	uint32_t load = blob_u32(k, hdr + H_LOAD_ADDR);
	uint32_t load_end = blob_u32(k, hdr + H_LOAD_END);
	uint32_t bss_end = blob_u32(k, hdr + H_BSS_END);
	uint64_t off, size;

	if (!blob_has(k, hdr, H_ENTRY + 4) || load > header_addr || header_addr - load > hdr)
		return load_fail(why, -ENOEXEC, "kernel %s: its Multiboot address fields make no "
				 "sense", k->name);
	off = hdr - (header_addr - load);
	size = load_end ? (uint64_t)load_end - load : k->size - off;
	if (load_end && load_end < load)
		return load_fail(why, -ENOEXEC, "kernel %s: its Multiboot load addresses are "
				 "reversed", k->name);
	if (!blob_has(k, off, size))
		return load_fail(why, -ENOEXEC, "kernel %s: truncated: its Multiboot header asks "
				 "for %llu bytes", k->name, (unsigned long long)(off + size));
	*out = (struct elf_image){ blob_u32(k, hdr + H_ENTRY), load, load + size };
	if (bss_end > out->end)
		out->end = bss_end;
	if (!load_copy(m, load, k->data + off, size) ||
	    !load_copy(m, load + size, NULL, out->end - (load + size)))
		return load_fail(why, -ENOMEM, "kernel %s: its image at %#x-%#llx is outside of guest "
				 "RAM (--memory)", k->name, load, (unsigned long long)out->end);
	if (out->entry < out->lowest || out->entry >= out->end)
		return load_fail(why, -ENOEXEC, "kernel %s: its entry point %#x is outside of its "
				 "image", k->name, out->entry);
	return 0;
}

/* --- What the kernel is told --------------------------------------------------- */

/* A growing piece of guest memory that will be stored at `at`. */
struct block {
	gpa_t at;
	uint8_t *buf;
	size_t len, cap;
};

/* Guest address of n fresh bytes (4-aligned); *p points to them, zeroed. */
static uint32_t block_take(struct block *b, size_t n, uint8_t **p)
{
	uint32_t gpa = (uint32_t)(b->at + b->len);

	bug_on(b->cap - b->len < n);
	*p = b->buf + b->len;
	b->len += (n + 3) & ~(size_t)3;
	return gpa;
}

static uint32_t block_string(struct block *b, const char *s, const char *tail)
{
	uint8_t *p;
	size_t n = strlen(s), t = tail ? strlen(tail) + 1 : 0;
	uint32_t gpa = block_take(b, n + t + 1, &p);

	memcpy(p, s, n);
	if (t) {
		p[n] = ' ';
		memcpy(p + n + 1, tail, t - 1);
	}
	return gpa;
}

struct placed { const struct blob *file; const char *string; uint32_t at; };

/* --initrd is the first module, as other loaders have it. */
static unsigned modules_list(const struct boot *b, struct placed *mods)
{
	unsigned n = 0;

	if (b->initrd.data)
		mods[n++] = (struct placed){ &b->initrd, b->initrd.name, 0 };
	for (unsigned i = 0; i < b->nmodules; i++)
		mods[n++] = (struct placed){ &b->modules[i].file, b->modules[i].string, 0 };
	return n;
}

static size_t block_size(const struct boot *b, const struct placed *mods, unsigned n)
{
	size_t size = GDT_SIZE + INFO_SIZE + MAP_MAX * MMAP_SIZE + sizeof(loader_name) + 4;

	size += strlen(b->kernel.name) + strlen(b->append) + 8;
	for (unsigned i = 0; i < n; i++)
		size += MODULE_SIZE + strlen(mods[i].string) + 8;
	return size;
}

static void block_fill(struct block *blk, const struct boot *b, const struct machine *m,
		       const struct placed *mods, unsigned nmods)
{
	struct map_entry map[MAP_MAX];
	unsigned n = load_memory_map(m, map);
	uint64_t upper = (m->mem.low_size - 0x100000) >> 10;
	uint8_t *info, *p;

	block_take(blk, GDT_SIZE, &p);
	block_take(blk, INFO_SIZE, &info);
	put_le(info + I_FLAGS, INFO_MEM | INFO_CMDLINE | INFO_MODS | INFO_MMAP | INFO_LOADER, 4);
	put_le(info + I_MEM_LOWER, LOW_MEMORY_KIB, 4);
	put_le(info + I_MEM_UPPER, upper, 4);
	put_le(info + I_CMDLINE, block_string(blk, b->kernel.name, *b->append ? b->append : NULL), 4);
	put_le(info + I_LOADER, block_string(blk, loader_name, NULL), 4);

	put_le(info + I_MMAP_LENGTH, n * MMAP_SIZE, 4);
	put_le(info + I_MMAP_ADDR, block_take(blk, n * MMAP_SIZE, &p), 4);
	for (unsigned i = 0; i < n; i++, p += MMAP_SIZE) {
		put_le(p, MMAP_SIZE - 4, 4);
		put_le(p + 4, map[i].base, 8);
		put_le(p + 12, map[i].size, 8);
		put_le(p + 20, map[i].type, 4);
	}
	put_le(info + I_MODS_COUNT, nmods, 4);
	put_le(info + I_MODS_ADDR, block_take(blk, nmods * MODULE_SIZE, &p), 4);
	for (unsigned i = 0; i < nmods; i++, p += MODULE_SIZE) {
		put_le(p, mods[i].at, 4);
		put_le(p + 4, mods[i].at + mods[i].file->size, 4);
		put_le(p + 8, block_string(blk, mods[i].string, NULL), 4);
	}
}

static gpa_t page_up(gpa_t gpa)
{
	return (gpa + PAGE_SIZE - 1) & PAGE_MASK;
}

/* Modules go above the kernel, each on a page boundary. */
static int modules_load(struct placed *mods, unsigned n, struct machine *m, gpa_t *free_at,
			char why[static WHY_SIZE])
{
	for (unsigned i = 0; i < n; i++) {
		gpa_t at = page_up(*free_at);

		if (!load_copy(m, at, mods[i].file->data, mods[i].file->size))
			return load_fail(why, -ENOMEM, "module %s: its %zu KiB do not fit above the "
					 "kernel, from %#llx (--memory)", mods[i].file->name,
					 mods[i].file->size >> 10, (unsigned long long)at);
		mods[i].at = (uint32_t)at;
		*free_at = at + mods[i].file->size;
	}
	return 0;
}

static int info_load(const struct boot *b, struct machine *m, const struct elf_image *image,
		     struct placed *mods, char why[static WHY_SIZE])
{
	unsigned n = modules_list(b, mods);
	gpa_t free_at = image->end > 0x100000 ? image->end : 0x100000;
	int err = modules_load(mods, n, m, &free_at, why);
	struct block blk = { .cap = block_size(b, mods, n) };
	bool low = image->lowest >= BLOCK_LOW_END && blk.cap <= BLOCK_LOW_END - BLOCK_LOW;

	if (err)
		return err;
	blk.at = low ? BLOCK_LOW : page_up(free_at);
	blk.buf = calloc(1, blk.cap);
	if (!blk.buf)
		return load_fail(why, -ENOMEM, "kernel %s: %s", b->kernel.name, strerror(ENOMEM));
	block_fill(&blk, b, m, mods, n);
	if (!load_copy(m, blk.at, blk.buf, blk.len)) {
		err = load_fail(why, -ENOMEM, "kernel %s: no room for the Multiboot information "
				"(--memory)", b->kernel.name);
	} else {
		load_cpu_flat(m, image->entry, 0x08, 0x10, blk.at);
		m->cpu->gpr[RAX] = BOOT_MAGIC;
		m->cpu->gpr[RBX] = blk.at + GDT_SIZE;
	}
	free(blk.buf);
	return err;
}

static int multiboot_load(const struct boot *b, struct machine *m, bool long_mode,
			  char why[static WHY_SIZE])
{
	const struct blob *k = &b->kernel;
	size_t hdr = (size_t)header_find(k);
	uint32_t flags = blob_u32(k, hdr + H_FLAGS);
	uint32_t unknown = flags & HDR_MUST & ~(uint32_t)(HDR_ALIGN | HDR_MEMORY | HDR_VIDEO);
	struct elf_image image;
	struct placed *mods;
	int err;

	(void)long_mode;
	if (unknown)
		return load_fail(why, -ENOEXEC, "kernel %s: its Multiboot header requires features "
				 "%#x, which do not exist in version 1", k->name, unknown);
	if (m->mem.low_size <= 0x100000)
		return load_fail(why, -ENOMEM, "kernel %s: Multiboot needs more than 1 MiB of guest "
				 "memory (--memory)", k->name);
	if (flags & HDR_ADDRESSES)
		err = load_by_addresses(k, hdr, m, &image, why);
	else
		err = elf_load(k, m, &image, why);
	if (err)
		return err;
	mods = calloc(b->nmodules + 1, sizeof(*mods));
	if (!mods)
		return load_fail(why, -ENOMEM, "kernel %s: %s", k->name, strerror(ENOMEM));
	err = info_load(b, m, &image, mods, why);
	free(mods);
	return err;
}

const struct kernel_format load_multiboot = { "multiboot", multiboot_detect, multiboot_load };

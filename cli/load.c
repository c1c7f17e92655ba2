/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decides which boot protocol a kernel file speaks, reads the files and does
 * what all protocols share: bounds, the memory map, the flat CPU. What a header
 * means is left to load_<format>.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/load.h"

/* The order matters: a Linux image may contain the others' magic numbers, and a
 * Multiboot kernel usually is an ELF file. */
static const struct kernel_format *const formats[] = {
	&load_linux, &load_multiboot, &load_elf,
};

/* What else a file may be, to say so. */
static const struct {
	unsigned off, size;
	uint32_t magic;
	const char *what;
} strangers[] = {
	{ 0x38, 4, 0x644d5241, "a Linux image for 64-bit ARM, not for x86" },
	{ 0x38, 4, 0x05435352, "a Linux image for RISC-V, not for x86" },
	{ 0x24, 4, 0x016f2818, "a Linux image for ARM, not for x86" },
	{ 0, 4, 0x56190527, "a U-Boot image, not a kernel for a PC" },
	{ 0, 2, 0x8b1f, "compressed with gzip: unpack it first" },
	{ 0, 4, 0x587a37fd, "compressed with xz: unpack it first" },
	{ 0, 4, 0xfd2fb528, "compressed with zstd: unpack it first" },
	{ 0, 2, 0x5a4d, "an EFI or DOS program without a Linux boot header" },
};

int load_fail(char why[static WHY_SIZE], int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, WHY_SIZE, fmt, ap);
	va_end(ap);
	return err;
}

uint32_t blob_get(const struct blob *b, size_t off, unsigned size)
{
	uint32_t val = 0;

	for (unsigned i = 0; i < size; i++)
		if (blob_has(b, off, i + 1ull))
			val |= (uint32_t)b->data[off + i] << (8 * i);
	return val;
}

void put_le(uint8_t *at, uint64_t val, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(val >> (8 * i));
}

/* --- Files ------------------------------------------------------------------- */

static void blob_free(struct blob *b)
{
	free(b->name);
	free(b->data);
}

static int blob_fill(struct blob *b, int fd)
{
	size_t got = 0;

	while (got < b->size) {
		ssize_t n = read(fd, b->data + got, b->size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	b->size = got;
	return 0;
}

/* role is what the user calls the file: "kernel", "initrd", "module". */
static int blob_open(struct blob *b, const char *role, const char *path, uint64_t limit,
		     char why[static WHY_SIZE])
{
	struct stat st;
	int err = 0;
	/* Not to hang at a FIFO. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return load_fail(why, -errno, "%s %s: %s", role, path, strerror(errno));
	b->name = strdup(path);
	if (!b->name || fstat(fd, &st) < 0)
		err = load_fail(why, -errno, "%s %s: %s", role, path, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		err = load_fail(why, -EISDIR, "%s %s: is a directory", role, path);
	else if (!S_ISREG(st.st_mode))
		err = load_fail(why, -EINVAL, "%s %s: not a regular file", role, path);
	else if (st.st_size == 0)
		err = load_fail(why, -EINVAL, "%s %s: the file is empty", role, path);
	else if ((uint64_t)st.st_size > limit)
		err = load_fail(why, -ENOMEM,
				"%s %s: its %llu KiB do not fit into %llu KiB of guest memory "
				"(--memory)", role, path, (unsigned long long)st.st_size >> 10,
				(unsigned long long)limit >> 10);
	if (!err) {
		b->size = (size_t)st.st_size;
		b->data = malloc(b->size);
		err = b->data ? blob_fill(b, fd) : -ENOMEM;
		if (err)
			load_fail(why, err, "%s %s: %s", role, path, strerror(-err));
	}
	close(fd);
	return err;
}

/* A module is "FILE [ARGUMENTS]"; a name with spaces is taken whole if it exists. */
static int module_open(struct boot_module *mod, const char *string, uint64_t limit,
		       char why[static WHY_SIZE])
{
	int err;
	char *path = strdup(string);

	mod->string = strdup(string);
	if (!path || !mod->string) {
		free(path);
		return load_fail(why, -ENOMEM, "module %s: %s", string, strerror(ENOMEM));
	}
	if (access(path, F_OK) != 0)
		path[strcspn(path, " ")] = '\0';
	err = blob_open(&mod->file, "module", path, limit, why);
	free(path);
	return err;
}

static int boot_read(struct boot *b, const struct config *cfg, char why[static WHY_SIZE])
{
	unsigned n = 0;
	int err = blob_open(&b->kernel, "kernel", cfg->kernel, cfg->memory, why);

	if (!err && cfg->initrd)
		err = blob_open(&b->initrd, "initrd", cfg->initrd, cfg->memory, why);
	while (cfg->modules && cfg->modules[n])
		n++;
	b->modules = calloc(n + 1, sizeof(*b->modules));
	if (!err && !b->modules)
		err = load_fail(why, -ENOMEM, "modules: %s", strerror(ENOMEM));
	for (unsigned i = 0; !err && i < n; i++) {
		b->nmodules = i + 1;
		err = module_open(&b->modules[i], cfg->modules[i], cfg->memory, why);
	}
	return err;
}

int boot_open(struct boot **out, const struct config *cfg, char why[static WHY_SIZE])
{
	struct boot *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return load_fail(why, -ENOMEM, "kernel %s: %s", cfg->kernel, strerror(ENOMEM));
	b->append = cfg->append ? cfg->append : "";
	err = boot_read(b, cfg, why);
	if (err) {
		boot_close(b);
		return err;
	}
	*out = b;
	return 0;
}

void boot_close(struct boot *b)
{
	if (!b)
		return;
	blob_free(&b->kernel);
	blob_free(&b->initrd);
	for (unsigned i = 0; i < b->nmodules; i++) {
		blob_free(&b->modules[i].file);
		free(b->modules[i].string);
	}
	free(b->modules);
	free(b);
}

int boot_load(const struct boot *b, struct machine *m, bool long_mode, char why[static WHY_SIZE])
{
	const struct blob *k = &b->kernel;

	for (unsigned i = 0; i < ARRAY_LEN(formats); i++) {
		if (!formats[i]->detect(k))
			continue;
		load_bios_data(m);
		if (m->config->apic)
			load_mp_table(m);
		return formats[i]->load(b, m, long_mode, why);
	}
	for (unsigned i = 0; i < ARRAY_LEN(strangers); i++)
		if (blob_has(k, strangers[i].off, strangers[i].size) &&
		    blob_get(k, strangers[i].off, strangers[i].size) == strangers[i].magic)
			return load_fail(why, -ENOEXEC, "kernel %s: %s", k->name,
					 strangers[i].what);
	return load_fail(why, -ENOEXEC, "kernel %s: neither a Linux bzImage, nor a Multiboot "
			 "kernel, nor a 32-bit x86 ELF file (or truncated)", k->name);
}

/* --- Memory ------------------------------------------------------------------ */

bool load_fits(const struct machine *m, uint64_t gpa, uint64_t len)
{
	if (gpa > m->mem.low_size || len > m->mem.low_size - gpa)
		return false;
	return gpa >= 0x100000 || (gpa < 0xa0000 && len <= 0xa0000 - gpa);
}

bool load_copy(struct machine *m, uint64_t gpa, const void *src, uint64_t len)
{
	static const uint8_t zeros[64 << 10];

	if (!load_fits(m, gpa, len))
		return false;
	while (len) {
		size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);

		if (!phys_write_bulk(&m->mem, gpa, src ? src : zeros, n))
			return false;
		gpa += n;
		len -= n;
		if (src)
			src = (const uint8_t *)src + n;
	}
	return true;
}

unsigned load_memory_map(const struct machine *m, struct map_entry map[static MAP_MAX])
{
	const struct memory *mem = &m->mem;
	unsigned n = 0;

	map[n++] = (struct map_entry){ 0, LOW_MEMORY_KIB << 10, MAP_RAM };
	map[n++] = (struct map_entry){ LOW_MEMORY_KIB << 10, 1 << 10, MAP_RESERVED };
	map[n++] = (struct map_entry){ 0xf0000, 0x10000, MAP_RESERVED };
	if (mem->low_size > 0x100000)
		map[n++] = (struct map_entry){ 0x100000, mem->low_size - 0x100000, MAP_RAM };
	if (mem->high_size)
		map[n++] = (struct map_entry){ 1ull << 32, mem->high_size, MAP_RAM };
	return n;
}

struct bios_field { uint16_t at, val; };

static void bios_fields(struct machine *m, const struct bios_field *f, unsigned n)
{
	uint8_t val[2];

	for (unsigned i = 0; i < n; i++) {
		put_le(val, f[i].val, 2);
		load_copy(m, f[i].at, val, 2);
	}
}

void load_bios_data(struct machine *m)
{
	static const struct bios_field fields[] = {
		{ 0x400, 0x3f8 },			/* first serial port */
		{ 0x40e, LOW_MEMORY_KIB << 6 },		/* segment of the EBDA */
		{ 0x410, 0x0200 },			/* equipment: one serial port */
		{ 0x413, LOW_MEMORY_KIB },
	};
	static const struct bios_field text_mode[] = {
		{ 0x449, 3 },				/* the mode; */
		{ 0x44a, 80 }, { 0x44c, 0x1000 },	/* columns, bytes of a page */
		{ 0x460, 0x0d0e },			/* lines of the cursor */
		{ 0x463, 0x3d4 }, { 0x465, 0x3029 },	/* CRT controller; CGA's mode and colours */
		{ 0x484, 16 << 8 | 24 },		/* last row, lines of a character */
		{ 0x487, 0xf960 }, { 0x489, 0x0851 },	/* 256 KiB, switches; VGA, 400 lines */
	};
	uint8_t ebda_size = 1;		/* in KiB, at its start */

	load_copy(m, LOW_MEMORY_KIB << 10, &ebda_size, 1);
	bios_fields(m, fields, ARRAY_LEN(fields));
	if (m->vga)
		bios_fields(m, text_mode, ARRAY_LEN(text_mode));
}

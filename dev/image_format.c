/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known here of each format is what has to be known before a server may read a
 * file: its magic number, and where it could name other files. A guest writes what it
 * likes to a raw image, so bytes are evidence of a format and no proof.
 *
 *	qcow2	docs/interop/qcow2.rst of QEMU	backing file, external data file
 *	VMDK	Virtual Disk Format 5.0		extents of a descriptor, parent
 *	VDI	VirtualBox's VDICore.h		none that the server follows
 *	VHD	Virtual Hard Disk 1.0		parent locators: type 4, which is refused
 *	VHDX	[MS-VHDX]			parent locator, which the server refuses
 */
#include "dev/image_format.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR		512u
#define DESCRIPTOR_MAX	(64u << 10)	/* a VMDK's embedded one is 20 sectors as a rule */

struct bytes {
	int fd;
	uint64_t size;
};

struct format {
	enum image_format format;
	const char *name, *driver;
	bool (*is)(const struct bytes *b);
	bool (*refers)(const struct bytes *b);
	bool (*truncated)(const struct bytes *b);
};

/* --- Bytes of a file ------------------------------------------------------------------ */

/* What is not there reads as zeros. */
static void get(const struct bytes *b, uint64_t off, void *to, size_t n)
{
	uint8_t *at = to;
	ssize_t got;

	memset(to, 0, n);
	for (; n && off < b->size; at += got, off += (uint64_t)got, n -= (size_t)got) {
		got = pread(b->fd, at, n, (off_t)off);
		if (got <= 0)
			break;
	}
}

static uint64_t little(const struct bytes *b, uint64_t off, unsigned n)
{
	uint64_t v = 0;
	uint8_t raw[8];

	get(b, off, raw, n);
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)raw[i] << 8 * i;
	return v;
}

static uint64_t big(const struct bytes *b, uint64_t off, unsigned n)
{
	uint64_t v = 0;
	uint8_t raw[8];

	get(b, off, raw, n);
	for (unsigned i = 0; i < n; i++)
		v = v << 8 | raw[i];
	return v;
}

static bool text_at(const struct bytes *b, uint64_t off, const char *text)
{
	char raw[32];
	size_t n = strlen(text);

	get(b, off, raw, n);
	return memcmp(raw, text, n) == 0;
}

/* --- qcow2 ------------------------------------------------------------------------------ */

static bool qcow2_is(const struct bytes *b)
{
	return text_at(b, 0, "QFI\xfb");
}

/* Offsets of the header: version 4, backing_file_offset 8, incompatible_features 72, where bit
 * 2 is an external data file. Version 1 has no such bits. */
static bool qcow2_refers(const struct bytes *b)
{
	return big(b, 8, 8) || (big(b, 4, 4) >= 3 && big(b, 72, 8) & 4);
}

/* --- VMDK ------------------------------------------------------------------------------- */

#define VMDK_DESCRIPTOR	"# Disk DescriptorFile"

static bool vmdk_is(const struct bytes *b)
{
	return text_at(b, 0, "KDMV") || text_at(b, 0, "COWD") || text_at(b, 0, VMDK_DESCRIPTOR);
}

/* A descriptor that is a file of its own lists the files of the disk. One inside an extent is
 * used for them only if the extent has no capacity, and may name a parent. */
static bool vmdk_refers(const struct bytes *b)
{
	uint64_t at = little(b, 28, 8) * SECTOR, n = little(b, 36, 8) * SECTOR;
	bool refers = true;
	char *text;

	if (!text_at(b, 0, "KDMV") || !little(b, 12, 8) || n > DESCRIPTOR_MAX || at > b->size)
		return true;
	text = calloc(1, n + 1);
	if (text) {
		get(b, at, text, n);
		/* NULs would hide what follows them. */
		for (size_t i = 0; i < n; i++)
			text[i] = text[i] ? text[i] : ' ';
		refers = strstr(text, "parentFileNameHint") != NULL;
	}
	free(text);
	return refers;
}

/* --- VDI -------------------------------------------------------------------------------- */

static bool vdi_is(const struct bytes *b)
{
	return little(b, 0x40, 4) == 0xbeda107f;
}

/* Data offset 0x158, block size 0x178, blocks that are there 0x184. The server reads zeros
 * behind the end. */
static bool vdi_truncated(const struct bytes *b)
{
	return b->size < little(b, 0x158, 4) + little(b, 0x178, 4) * little(b, 0x184, 4);
}

/* --- VHD, VHDX -------------------------------------------------------------------------- */

static bool vhd_is(const struct bytes *b)
{
	return text_at(b, 0, "conectix");
}

/* A fixed one has nothing but a footer behind the data: a cookie, and the complement of the
 * sum of its bytes but for the sum's own at 64. */
static bool vhd_fixed(const struct bytes *b)
{
	uint8_t foot[SECTOR];
	uint32_t sum = 0;

	if (b->size < 2 * SECTOR)
		return false;
	get(b, b->size - SECTOR, foot, SECTOR);
	for (unsigned i = 0; i < SECTOR; i++)
		sum += i >= 64 && i < 68 ? 0 : foot[i];
	return memcmp(foot, "conectix", 8) == 0 && foot[63] == 2 &&
	       big(b, b->size - SECTOR + 64, 4) == (uint32_t)~sum;
}

/* Types 2 and 3: fixed and dynamic. */
static bool vhd_refers(const struct bytes *b)
{
	return vhd_is(b) && big(b, 60, 4) != 3 && big(b, 60, 4) != 2;
}

static bool vhdx_is(const struct bytes *b)
{
	return text_at(b, 0, "vhdxfile");
}

static bool no(const struct bytes *b)
{
	(void)b;
	return false;
}

/* --- The table -------------------------------------------------------------------------- */

static const struct format formats[] = {
	{ FORMAT_RAW, "raw", NULL, no, no, no },
	{ FORMAT_AUTO, "auto", NULL, no, no, no },
	{ FORMAT_QCOW2, "qcow2", "qcow2", qcow2_is, qcow2_refers, no },
	{ FORMAT_VMDK, "vmdk", "vmdk", vmdk_is, vmdk_refers, no },
	{ FORMAT_VDI, "vdi", "vdi", vdi_is, no, vdi_truncated },
	{ FORMAT_VHD, "vhd", "vpc", vhd_is, vhd_refers, no },
	{ FORMAT_VHDX, "vhdx", "vhdx", vhdx_is, no, no },
};

static const struct format *format_row(enum image_format f)
{
	for (unsigned i = 0; i < ARRAY_LEN(formats); i++)
		if (formats[i].format == f)
			return &formats[i];
	return &formats[0];
}

bool format_parse(const char *name, enum image_format *out)
{
	for (unsigned i = 0; i < ARRAY_LEN(formats); i++) {
		if (strcmp(formats[i].name, name) == 0) {
			*out = formats[i].format;
			return true;
		}
	}
	return false;
}

const char *format_name(enum image_format f)
{
	return format_row(f)->name;
}

const char *format_list(unsigned i)
{
	return i < ARRAY_LEN(formats) ? formats[i].name : NULL;
}

const char *format_driver(enum image_format f)
{
	return format_row(f)->driver;
}

enum image_format format_probe(int fd, uint64_t size, bool at_end)
{
	const struct bytes b = { fd, size };

	for (unsigned i = 0; i < ARRAY_LEN(formats); i++)
		if (formats[i].is(&b))
			return formats[i].format;
	return at_end && vhd_fixed(&b) ? FORMAT_VHD : FORMAT_RAW;
}

/* Files that people have images in, and formats that QEMU knows: as raw ones they would be disks of
 * nonsense. */
static const struct { const char *name, *magic; uint8_t size; } foreign[] = {
	{ "gzip", "\x1f\x8b\x08", 3 },
	{ "xz", "\xfd" "7zXZ\0", 6 },
	{ "zstd", "\x28\xb5\x2f\xfd", 4 },
	{ "bzip2", "BZh91AY&SY", 10 },
	{ "zip", "PK\3\4", 4 },
	{ "7z", "7z\xbc\xaf\x27\x1c", 6 },
	{ "QED", "QED\0", 4 },
	{ "Parallels", "WithoutFreeSpace", 16 },
	{ "Parallels", "WithouFreSpacExt", 16 },
};

const char *format_foreign(int fd, uint64_t size)
{
	const struct bytes b = { fd, size };
	uint8_t raw[16];

	get(&b, 0, raw, sizeof(raw));
	for (unsigned i = 0; i < ARRAY_LEN(foreign); i++)
		if (memcmp(raw, foreign[i].magic, foreign[i].size) == 0)
			return foreign[i].name;
	return NULL;
}

bool format_refers(int fd, uint64_t size, enum image_format f)
{
	const struct bytes b = { fd, size };

	return format_row(f)->refers(&b);
}

bool format_truncated(int fd, uint64_t size, enum image_format f)
{
	const struct bytes b = { fd, size };

	return format_row(f)->truncated(&b);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands of an ATA disk (ATA/ATAPI-6, INCITS 361, 8): the general feature set with
 * 48-bit addresses, multiple sectors and DMA. What it lacks it aborts, as a drive does.
 */
#include "dev/ide.h"

#include <string.h>

#define MULTIPLE_MAX	16
#define LBA28_MAX	0x0fffffffull
#define CYLINDERS_MAX	16383u
#define HEADS		16u
#define TRACK		63u

/* How READ and WRITE differ. */
enum { WIDE = 1, WRITE = 2, DMA = 4, MULTIPLE = 8, VERIFY = 16 };

struct ata_op {
	uint8_t first, last;
	void (*run)(struct ide_drive *d, unsigned flags);
	unsigned flags;
};

static uint64_t sectors_of(const struct ide_drive *d)
{
	return disk_size(d->disk) / SECTOR;
}

/* --- Addresses ------------------------------------------------------------------- */

/* False: a head or sector that the translation does not have. */
static bool address_get(const struct ide_drive *d, unsigned flags, uint64_t *sector)
{
	uint64_t low = d->lba[0][0] | (uint64_t)d->lba[1][0] << 8 | (uint64_t)d->lba[2][0] << 16;
	unsigned head = d->device & 0xf, cylinder = d->lba[1][0] | d->lba[2][0] << 8;

	if (flags & WIDE) {
		*sector = low | (uint64_t)d->lba[0][1] << 24 | (uint64_t)d->lba[1][1] << 32 |
			  (uint64_t)d->lba[2][1] << 40;
		return true;
	}
	if (d->device & DEV_LBA) {
		*sector = low | (uint64_t)head << 24;
		return true;
	}
	*sector = ((uint64_t)cylinder * d->heads + head) * d->sectors + d->lba[0][0] - 1;
	return head < d->heads && d->lba[0][0] && d->lba[0][0] <= d->sectors;
}

static void address_set(struct ide_drive *d, uint64_t sector)
{
	if (!d->wide && !(d->device & DEV_LBA)) {
		uint64_t track = sector / d->sectors;

		d->lba[0][0] = (uint8_t)(sector % d->sectors + 1);
		d->device = (d->device & 0xf0) | (uint8_t)(track % d->heads);
		d->lba[1][0] = (uint8_t)(track / d->heads);
		d->lba[2][0] = (uint8_t)(track / d->heads >> 8);
		return;
	}
	for (unsigned i = 0; i < 3; i++)
		d->lba[i][0] = (uint8_t)(sector >> 8 * i);
	if (!d->wide)
		d->device = (d->device & 0xf0) | (sector >> 24 & 0xf);
	for (unsigned i = 0; d->wide && i < 3; i++)
		d->lba[i][1] = (uint8_t)(sector >> (24 + 8 * i));
}

static uint32_t count_get(const struct ide_drive *d, unsigned flags)
{
	uint32_t n = flags & WIDE ? (uint32_t)(d->count[1] << 8 | d->count[0]) : d->count[0];

	return n ? n : flags & WIDE ? 65536 : 256;
}

/* --- Reading and writing --------------------------------------------------------- */

static void medium_failed(struct ide_drive *d)
{
	address_set(d, d->at / SECTOR);
	ide_fail(d, d->phase == PH_PIO_IN || d->phase == PH_DMA_IN ? ER_UNC : ER_ABRT);
}

static void transfer_start(struct ide_drive *d, unsigned flags)
{
	bool write = flags & WRITE;

	if (flags & DMA)
		d->phase = write ? PH_DMA_OUT : PH_DMA_IN;
	else
		d->phase = write ? PH_PIO_OUT : PH_PIO_IN;
	d->block = flags & MULTIPLE ? d->multiple * SECTOR : SECTOR;
	if (write)
		ide_expect(d);
	else if (ide_load(d)) {
		medium_failed(d);
		return;
	}
	d->status = ST_DRDY | ST_DSC | ST_DRQ;
	if (flags & DMA) {
		ide_dma_run(d->channel);
		return;
	}
	ide_next_block(d);
	if (!write)
		ide_raise(d);	/* the first block of a write is asked for without one */
}

static void c_transfer(struct ide_drive *d, unsigned flags)
{
	uint32_t count = count_get(d, flags);
	uint64_t sector;

	d->wide = flags & WIDE;
	if (flags & MULTIPLE && !d->multiple) {
		ide_fail(d, ER_ABRT);
	} else if (!address_get(d, flags, &sector) || sector >= sectors_of(d) ||
		   count > sectors_of(d) - sector) {
		ide_fail(d, ER_IDNF);
	} else if (flags & WRITE && disk_readonly(d->disk)) {
		ide_fail(d, ER_ABRT | ER_WP);
	} else if (flags & VERIFY) {
		ide_done(d);
	} else {
		d->at = sector * SECTOR;
		d->left = (uint64_t)count * SECTOR;
		transfer_start(d, flags);
	}
}

void ata_continue(struct ide_drive *d)
{
	bool write = d->phase == PH_PIO_OUT;

	if (d->pos == d->filled) {
		if (write && ide_store(d)) {
			medium_failed(d);
			return;
		}
		if (!d->left && write) {
			ide_done(d);
			return;
		}
		if (!d->left) {		/* the last block's interrupt was the command's */
			d->phase = PH_NONE;
			d->status = ST_DRDY | ST_DSC;
			return;
		}
		if (write)
			ide_expect(d);
		else if (ide_load(d)) {
			medium_failed(d);
			return;
		}
	}
	ide_next_block(d);
	ide_raise(d);
}

/* --- The other commands ---------------------------------------------------------- */

static void word(uint8_t *id, unsigned n, uint64_t val)
{
	id[2 * n] = (uint8_t)val;
	id[2 * n + 1] = (uint8_t)(val >> 8);
}

static void words(uint8_t *id, unsigned n, uint64_t val, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		word(id, n + i, val >> 16 * i);
}

/* Words 62-68 and 88, which disks and CD drives say alike: what DMA modes there are. */
static void identify_modes(const struct ide_drive *d, uint8_t *id)
{
	unsigned mode = d->dma_mode & 7;

	word(id, 63, 0x07 | (d->dma_mode & 0x20 ? 0x100u << mode : 0));
	word(id, 64, 0x03);			/* PIO 3 and 4 */
	words(id, 65, 0x0078007800780078ull, 4);	/* 120 ns */
	word(id, 88, 0x3f | (d->dma_mode & 0x40 ? 0x100u << mode : 0));
}

/* Where a drive is, as its serial number. */
static void identify_names(const struct ide_drive *d, uint8_t *id, const char *model)
{
	char serial[] = "HEMI0000";
	unsigned n = d->channel->line == 15 ? 2 : 0;

	serial[7] = (char)('1' + n + (d == &d->channel->drives[1]));
	ide_string(id + 2 * 10, serial, 20, true);
	ide_string(id + 2 * 23, "1.0", 8, true);
	ide_string(id + 2 * 27, model, 40, true);
}

static void identify_offer(struct ide_drive *d)
{
	d->phase = PH_PIO_IN;
	d->pos = 0;
	d->filled = d->block = SECTOR;
	d->left = 0;
	d->at = 0;
	ide_next_block(d);
	ide_raise(d);
}

/* ATA/ATAPI-6, table 27. */
void ata_identify(struct ide_drive *d)
{
	uint64_t total = sectors_of(d), cylinders = total / (HEADS * TRACK);
	uint64_t current = total / ((unsigned)d->heads * d->sectors);
	uint8_t *id = memset(d->buffer, 0, SECTOR);

	cylinders = cylinders > CYLINDERS_MAX ? CYLINDERS_MAX : cylinders;
	current = current > 65535 ? 65535 : current;
	word(id, 0, 0x0040);			/* not removable */
	word(id, 1, cylinders);
	word(id, 3, HEADS);
	word(id, 6, TRACK);
	identify_names(d, id, "hemi disk");
	word(id, 47, 0x8000 | MULTIPLE_MAX);
	word(id, 49, 0x0f00);			/* IORDY, LBA, DMA */
	word(id, 50, 0x4000);
	word(id, 53, 0x0007);
	word(id, 54, current);
	word(id, 55, d->heads);
	word(id, 56, d->sectors);
	words(id, 57, current * d->heads * d->sectors, 2);
	word(id, 59, d->multiple ? 0x100u | d->multiple : 0);
	words(id, 60, total > LBA28_MAX ? LBA28_MAX : total, 2);
	identify_modes(d, id);
	word(id, 80, 0x007e);			/* ATA-1 to ATA-6 */
	word(id, 82, 0x4020);			/* NOP, write cache */
	word(id, 83, 0x7400);			/* FLUSH CACHE (EXT), 48-bit addresses */
	word(id, 84, 0x4000);
	word(id, 85, 0x4020);
	word(id, 86, 0x3400);
	word(id, 87, 0x4000);
	word(id, 93, 0x6001 | (d == &d->channel->drives[1] ? 0x0a00 : 0));
	words(id, 100, total, 4);
	identify_offer(d);
}

void atapi_identify(struct ide_drive *d)
{
	uint8_t *id = memset(d->buffer, 0, SECTOR);

	word(id, 0, 0x8580);			/* CD-ROM, removable, DRQ within 50 us, 12 bytes */
	identify_names(d, id, "hemi CD-ROM");
	word(id, 49, 0x0f00);
	word(id, 53, 0x0006);
	identify_modes(d, id);
	word(id, 80, 0x007e);
	word(id, 82, 0x0214);			/* DEVICE RESET, PACKET, removable */
	word(id, 83, 0x4000);
	word(id, 84, 0x4000);
	word(id, 85, 0x0214);
	word(id, 87, 0x4000);
	identify_offer(d);
}

static void c_identify(struct ide_drive *d, unsigned flags)
{
	(void)flags;
	ata_identify(d);
}

static void c_nothing(struct ide_drive *d, unsigned flags)
{
	(void)flags;
	ide_done(d);
}

static void c_set_parameters(struct ide_drive *d, unsigned flags)
{
	(void)flags;
	if (!d->count[0]) {
		ide_fail(d, ER_ABRT);
		return;
	}
	d->heads = (d->device & 0xf) + 1;
	d->sectors = d->count[0];
	ide_done(d);
}

static void c_set_multiple(struct ide_drive *d, unsigned flags)
{
	uint8_t n = d->count[0];

	(void)flags;
	if (n > MULTIPLE_MAX || n & (n - 1)) {
		ide_fail(d, ER_ABRT);
		return;
	}
	d->multiple = n;
	ide_done(d);
}

static bool mode_known(uint8_t mode)
{
	return mode <= 0x0c || (mode >= 0x20 && mode <= 0x22) || (mode >= 0x40 && mode <= 0x45);
}

/* Caches are the host's, power modes nobody's: switching them succeeds. */
static void c_set_features(struct ide_drive *d, unsigned flags)
{
	static const uint8_t known[] = { 0x02, 0x82, 0x55, 0xaa, 0x66, 0xcc };

	(void)flags;
	if (d->feature[0] == 0x03 && mode_known(d->count[0])) {
		if (d->count[0] >= 0x20)
			d->dma_mode = d->count[0];
		ide_done(d);
		return;
	}
	for (unsigned i = 0; i < sizeof(known); i++) {
		if (known[i] == d->feature[0]) {
			ide_done(d);
			return;
		}
	}
	ide_fail(d, ER_ABRT);
}

static void c_flush(struct ide_drive *d, unsigned flags)
{
	(void)flags;
	if (disk_flush(d->disk)) {
		ide_fail(d, ER_ABRT);
		d->status |= ST_DF;
		return;
	}
	ide_done(d);
}

static void c_native_max(struct ide_drive *d, unsigned flags)
{
	uint64_t last = sectors_of(d) - 1;

	d->wide = flags & WIDE;
	address_set(d, !d->wide && last > LBA28_MAX - 1 ? LBA28_MAX - 1 : last);
	ide_done(d);
}

static void c_power(struct ide_drive *d, unsigned flags)
{
	(void)flags;
	d->count[0] = 0xff;		/* active or idle */
	ide_done(d);
}

/* --- The table ------------------------------------------------------------------- */

static const struct ata_op ops[] = {
	{ 0x10, 0x1f, c_nothing, 0 },			/* RECALIBRATE */
	{ 0x20, 0x21, c_transfer, 0 },			/* READ SECTORS */
	{ 0x24, 0x24, c_transfer, WIDE },
	{ 0x25, 0x25, c_transfer, WIDE | DMA },
	{ 0x27, 0x27, c_native_max, WIDE },
	{ 0x29, 0x29, c_transfer, WIDE | MULTIPLE },
	{ 0x30, 0x31, c_transfer, WRITE },		/* WRITE SECTORS */
	{ 0x34, 0x34, c_transfer, WIDE | WRITE },
	{ 0x35, 0x35, c_transfer, WIDE | WRITE | DMA },
	{ 0x39, 0x39, c_transfer, WIDE | WRITE | MULTIPLE },
	{ 0x40, 0x41, c_transfer, VERIFY },		/* READ VERIFY */
	{ 0x42, 0x42, c_transfer, WIDE | VERIFY },
	{ 0x70, 0x7f, c_nothing, 0 },			/* SEEK */
	{ 0x91, 0x91, c_set_parameters, 0 },
	{ 0xc4, 0xc4, c_transfer, MULTIPLE },
	{ 0xc5, 0xc5, c_transfer, WRITE | MULTIPLE },
	{ 0xc6, 0xc6, c_set_multiple, 0 },
	{ 0xc8, 0xc9, c_transfer, DMA },
	{ 0xca, 0xcb, c_transfer, WRITE | DMA },
	{ 0xe0, 0xe3, c_nothing, 0 },			/* STANDBY, IDLE */
	{ 0xe5, 0xe5, c_power, 0 },			/* CHECK POWER MODE */
	{ 0xe7, 0xe7, c_flush, 0 },
	{ 0xea, 0xea, c_flush, WIDE },
	{ 0xec, 0xec, c_identify, 0 },
	{ 0xef, 0xef, c_set_features, 0 },
	{ 0xf8, 0xf8, c_native_max, 0 },
};

/* A CD drive knows few of them; asked like a disk it shows what it is (9.12). */
static bool packet_device_command(struct ide_drive *d, uint8_t command)
{
	switch (command) {
	case 0xa0:
		d->phase = PH_PACKET;
		d->pos = 0;
		d->filled = d->block = 12;
		d->at = d->left = 0;
		d->count[0] = 1;		/* command, to the drive */
		ide_next_block(d);
		return true;
	case 0xa1:
		atapi_identify(d);
		return true;
	case 0xe0: case 0xe1: case 0xe2: case 0xe3: case 0xe5: case 0xef:
		return false;
	case 0x20: case 0xec:
		ide_signature(d);
		break;
	}
	ide_fail(d, ER_ABRT);
	return true;
}

void ata_command(struct ide_drive *d, uint8_t command)
{
	if (d->cd && packet_device_command(d, command))
		return;
	for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
		if (command >= ops[i].first && command <= ops[i].last) {
			ops[i].run(d, ops[i].flags);
			return;
		}
	}
	ide_fail(d, ER_ABRT);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A CD-ROM drive: packet commands of MMC-3 and SPC-2 over the PACKET protocol
 * (ATA/ATAPI-6, 9.7). The medium is one data track of 2,048-byte blocks; it can be put
 * out and in again, and be exchanged by the user (dev/drive.h). What goes to the drive beside commands is refused.
 *
 * Data comes in DRQ blocks of at most the byte count that the guest named, each with its
 * size in the LBA registers; in the count register is why the drive interrupts:
 *
 *	1 command to the drive | 2 data from the drive | 3 status, the command has ended
 */
#include "dev/ide.h"

#include <stdio.h>
#include <string.h>

#define BLOCK		2048u
#define REASON_DATA	2
#define REASON_STATUS	3
#define LIMIT_MAX	0xfffeu
#define CD_MAX		(1024ull << 20)	/* a larger image is shown as a DVD */
#define LEAD_OUT	0xaa
#define DATA_TRACK	0x14		/* ADR 1, control 4 */

/* Sense: key, additional code, its qualifier. */
#define NOT_READY_OPEN	0x02, 0x3a, 0x02
#define NOT_READY_EMPTY	0x02, 0x3a, 0x01
#define MEDIUM_ERROR	0x03, 0x11, 0x00
#define BAD_OPCODE	0x05, 0x20, 0x00
#define OUT_OF_RANGE	0x05, 0x21, 0x00
#define BAD_FIELD	0x05, 0x24, 0x00
#define LOCKED		0x05, 0x53, 0x02
#define MEDIUM_CHANGED	0x06, 0x28, 0x00

enum { NEEDS_MEDIUM = 1, ANY_TIME = 2 /* even when attention is wanted */ };

struct packet_op {
	uint8_t opcode;
	uint8_t flags;
	void (*run)(struct ide_drive *d, const uint8_t *cdb);
};

static uint32_t blocks_of(const struct ide_drive *d)
{
	uint64_t n = disk_size(d->disk) / BLOCK;

	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static void put_be(uint8_t *to, uint32_t val, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		to[i] = (uint8_t)(val >> 8 * (size - 1 - i));
}

static uint32_t get_be(const uint8_t *from, unsigned size)
{
	uint32_t val = 0;

	for (unsigned i = 0; i < size; i++)
		val = val << 8 | from[i];
	return val;
}

/* --- Ends and data --------------------------------------------------------------- */

static void packet_done(struct ide_drive *d)
{
	d->count[0] = REASON_STATUS;
	ide_done(d);
}

static void packet_fail(struct ide_drive *d, uint8_t key, uint8_t asc, uint8_t ascq)
{
	d->sense[0] = key;
	d->sense[1] = asc;
	d->sense[2] = ascq;
	d->count[0] = REASON_STATUS;
	ide_fail(d, (uint8_t)(key << 4) | ER_ABRT);
}

void atapi_medium_failed(struct ide_drive *d)
{
	packet_fail(d, MEDIUM_ERROR);
}

static void data_offer(struct ide_drive *d)
{
	ide_next_block(d);
	d->lba[1][0] = (uint8_t)(d->end - d->pos);
	d->lba[2][0] = (uint8_t)((d->end - d->pos) >> 8);
	d->count[0] = REASON_DATA;
	ide_raise(d);
}

/* The buffer holds the beginning, the medium d->left more. Only the last block may be odd. */
static void data_start(struct ide_drive *d)
{
	uint32_t limit = (uint32_t)(d->lba[1][0] | d->lba[2][0] << 8) & ~1u;

	if (d->feature[0] & 1) {
		d->phase = PH_DMA_IN;
		d->block = BUFFER;
		d->status = ST_DRDY | ST_DSC | ST_DRQ;
		d->count[0] = REASON_DATA;
		ide_dma_run(d->channel);
		return;
	}
	d->phase = PH_PIO_IN;
	d->block = limit ? limit : LIMIT_MAX;
	data_offer(d);
}

void atapi_continue(struct ide_drive *d)
{
	if (d->pos == d->filled && !d->left) {
		packet_done(d);
		return;
	}
	if (d->pos == d->filled && ide_load(d)) {
		atapi_medium_failed(d);
		return;
	}
	data_offer(d);
}

/* The first n bytes of the buffer, cut to what the guest has room for. */
static void reply(struct ide_drive *d, uint32_t n, uint32_t room)
{
	d->pos = 0;
	d->filled = n < room ? n : room;
	d->at = d->left = 0;
	if (d->filled)
		data_start(d);
	else
		packet_done(d);
}

static void read_blocks(struct ide_drive *d, uint32_t first, uint32_t count)
{
	if (first > blocks_of(d) || count > blocks_of(d) - first) {
		packet_fail(d, OUT_OF_RANGE);
		return;
	}
	if (!count) {
		packet_done(d);
		return;
	}
	d->at = (uint64_t)first * BLOCK;
	d->left = (uint64_t)count * BLOCK;
	if (ide_load(d))
		atapi_medium_failed(d);
	else
		data_start(d);
}

/* --- Commands -------------------------------------------------------------------- */

static void p_nothing(struct ide_drive *d, const uint8_t *cdb)
{
	(void)cdb;
	packet_done(d);
}

static void p_request_sense(struct ide_drive *d, const uint8_t *cdb)
{
	uint8_t *b = memset(d->buffer, 0, 18);

	b[0] = 0x70;
	b[2] = d->sense[0];
	b[7] = 10;
	b[12] = d->sense[1];
	b[13] = d->sense[2];
	memset(d->sense, 0, sizeof(d->sense));
	reply(d, 18, cdb[4]);
}

static void p_inquiry(struct ide_drive *d, const uint8_t *cdb)
{
	uint8_t *b = memset(d->buffer, 0, 36);

	if (cdb[1] & 1) {		/* vital product data: none */
		packet_fail(d, BAD_FIELD);
		return;
	}
	b[0] = 0x05;			/* CD-ROM */
	b[1] = 0x80;			/* removable */
	b[3] = 0x21;
	b[4] = 31;
	ide_string(b + 8, "hemi", 8, false);
	ide_string(b + 16, "CD-ROM", 16, false);
	ide_string(b + 32, "1.0", 4, false);
	reply(d, 36, get_be(cdb + 3, 2));
}

static void p_start_stop(struct ide_drive *d, const uint8_t *cdb)
{
	bool eject = (cdb[4] & 3) == 2, load = (cdb[4] & 3) == 3;

	if (eject && d->locked) {
		packet_fail(d, LOCKED);
		return;
	}
	if (load && d->tray_open)
		d->attention = d->disk;
	d->tray_open = eject || (d->tray_open && !load);
	packet_done(d);
}

static void p_prevent(struct ide_drive *d, const uint8_t *cdb)
{
	d->locked = cdb[4] & 1;
	packet_done(d);
}

static void p_capacity(struct ide_drive *d, const uint8_t *cdb)
{
	(void)cdb;
	put_be(d->buffer, blocks_of(d) - 1, 4);
	put_be(d->buffer + 4, BLOCK, 4);
	reply(d, 8, 8);
}

static void p_read10(struct ide_drive *d, const uint8_t *cdb)
{
	read_blocks(d, get_be(cdb + 2, 4), get_be(cdb + 7, 2));
}

static void p_read12(struct ide_drive *d, const uint8_t *cdb)
{
	read_blocks(d, get_be(cdb + 2, 4), get_be(cdb + 6, 4));
}

/* The user data of a block, or nothing of it; its headers are not in the image. */
static void p_read_cd(struct ide_drive *d, const uint8_t *cdb)
{
	unsigned what = cdb[9] & 0xf8;

	if (what == 0x10)
		read_blocks(d, get_be(cdb + 2, 4), get_be(cdb + 6, 3));
	else if (what == 0)
		packet_done(d);
	else
		packet_fail(d, BAD_FIELD);
}

/* Minutes, seconds, frames count from two seconds before the first block. */
static void put_address(uint8_t *to, uint32_t block, bool msf)
{
	uint32_t frame = block + 150;

	if (!msf) {
		put_be(to, block, 4);
		return;
	}
	to[0] = 0;
	to[1] = (uint8_t)(frame / 75 / 60);
	to[2] = (uint8_t)(frame / 75 % 60);
	to[3] = (uint8_t)(frame % 75);
}

static void p_toc(struct ide_drive *d, const uint8_t *cdb)
{
	unsigned format = cdb[2] & 0xf ? cdb[2] & 0xf : cdb[9] >> 6;
	unsigned first = cdb[6], n = 4;
	bool msf = cdb[1] & 2;
	uint8_t *b = memset(d->buffer, 0, 64);

	if (format > 1 || (format == 0 && first > 1 && first != LEAD_OUT)) {
		packet_fail(d, BAD_FIELD);
		return;
	}
	b[2] = b[3] = 1;		/* first and last track, or session */
	if (format == 1 || first <= 1) {
		b[n + 1] = DATA_TRACK;
		b[n + 2] = 1;
		put_address(b + n + 4, 0, msf);
		n += 8;
	}
	if (format == 0) {
		b[n + 1] = DATA_TRACK;
		b[n + 2] = LEAD_OUT;
		put_address(b + n + 4, blocks_of(d), msf);
		n += 8;
	}
	put_be(b, n - 2, 2);
	reply(d, n, get_be(cdb + 7, 2));
}

static unsigned profile_of(const struct ide_drive *d)
{
	if (d->tray_open || !d->disk)
		return 0;
	return disk_size(d->disk) > CD_MAX ? 0x10 : 0x08;	/* DVD-ROM, CD-ROM */
}

static void p_configuration(struct ide_drive *d, const uint8_t *cdb)
{
	static const uint8_t features[] = {
		0, 0, 0x03, 8, 0, 0x10, 0, 0, 0, 0x08, 0, 0,	/* profiles: DVD-ROM, CD-ROM */
		0, 1, 0x0b, 8, 0, 0, 0, 2, 0, 0, 0, 0,		/* core: ATAPI */
		0, 3, 0x03, 4, 0x29, 0, 0, 0,			/* a tray that locks and ejects */
		0, 0x10, 0x01, 8, 0, 0, 8, 0, 0, 0x10, 0, 0,	/* blocks of 2,048 bytes */
	};
	unsigned start = get_be(cdb + 2, 2), kind = cdb[1] & 3, n = 8;
	uint8_t *b = memset(d->buffer, 0, 8);

	for (unsigned i = 0; i < sizeof(features); i += 4u + features[i + 3]) {
		unsigned number = get_be(features + i, 2), len = 4u + features[i + 3];

		if (kind == 2 ? number != start : number < start)
			continue;
		memcpy(b + n, features + i, len);
		if (number == 0) {	/* which profile is current */
			b[n + 6] = profile_of(d) == 0x10;
			b[n + 10] = profile_of(d) == 0x08;
		}
		n += len;
	}
	put_be(b, n - 4, 4);
	put_be(b + 6, profile_of(d), 2);
	reply(d, n, get_be(cdb + 7, 2));
}

/* Class 4, media, polled only. */
static void p_event_status(struct ide_drive *d, const uint8_t *cdb)
{
	uint8_t *b = memset(d->buffer, 0, 8);

	if (!(cdb[1] & 1)) {
		packet_fail(d, BAD_FIELD);
		return;
	}
	b[3] = 0x10;			/* classes that there are */
	if (cdb[4] & 0x10) {
		b[1] = 6;
		b[2] = 4;
		b[4] = d->attention ? 2 : d->wanted ? 1 : 0;	/* new medium, wish to eject */
		b[5] = d->tray_open ? 1 : d->disk ? 2 : 0;	/* open, or a medium is in */
		d->wanted = d->wanted && d->attention;
	} else {
		b[1] = 2;
		b[2] = 0x80;		/* no event of a class asked for */
	}
	reply(d, 2u + b[1], get_be(cdb + 7, 2));
}

static void p_disc_information(struct ide_drive *d, const uint8_t *cdb)
{
	uint8_t *b = memset(d->buffer, 0, 34);

	b[1] = 32;
	b[2] = 0x0e;			/* complete disc, last session complete */
	b[3] = b[4] = b[5] = b[6] = 1;
	reply(d, 34, get_be(cdb + 7, 2));
}

static void p_mechanism_status(struct ide_drive *d, const uint8_t *cdb)
{
	uint8_t *b = memset(d->buffer, 0, 8);

	b[1] = d->tray_open ? 0x10 : 0;
	reply(d, 8, get_be(cdb + 8, 2));
}

static void p_subchannel(struct ide_drive *d, const uint8_t *cdb)
{
	uint8_t *b = memset(d->buffer, 0, 4);

	b[1] = 0x15;			/* no audio status */
	reply(d, 4, get_be(cdb + 7, 2));
}

static uint8_t medium_type(const struct ide_drive *d)
{
	return d->tray_open ? 0x71 : d->disk ? 0x01 : 0x70;
}

/* Mode pages, each with its length behind its number: error recovery, capabilities. */
static void p_mode_sense(struct ide_drive *d, const uint8_t *cdb)
{
	static const uint8_t pages[] = {
		0x01, 6, 0, 5, 0, 0, 0, 0,
		/* reads DVD-ROM; multi-session, mode 2; lock, eject, tray; 706 KB/s */
		0x2a, 18, 0x08, 0, 0x60, 0, 0x29, 0, 0x02, 0xc2, 0, 0, 0x02, 0, 0x02, 0xc2,
		0, 0, 0, 0,
	};
	unsigned page = cdb[2] & 0x3f, header = cdb[0] == 0x5a ? 8 : 4, n = header;
	uint8_t *b = memset(d->buffer, 0, 8);

	for (unsigned i = 0; i < sizeof(pages); i += 2u + pages[i + 1]) {
		if (page != 0x3f && page != pages[i])
			continue;
		memcpy(b + n, pages + i, 2u + pages[i + 1]);
		if (pages[i] == 0x2a && d->locked)
			b[n + 6] |= 0x02;
		n += 2u + pages[i + 1];
	}
	if (n == header || cdb[2] >> 6 == 3) {	/* no such page; nothing is saved */
		packet_fail(d, BAD_FIELD);
		return;
	}
	if (header == 8) {
		put_be(b, n - 2, 2);
		b[2] = medium_type(d);
		reply(d, n, get_be(cdb + 7, 2));
	} else {
		b[0] = (uint8_t)(n - 1);
		b[1] = medium_type(d);
		reply(d, n, cdb[4]);
	}
}

static const struct packet_op ops[] = {
	{ 0x00, NEEDS_MEDIUM, p_nothing },		/* TEST UNIT READY */
	{ 0x03, ANY_TIME, p_request_sense },
	{ 0x12, ANY_TIME, p_inquiry },
	{ 0x1a, 0, p_mode_sense },			/* (6) */
	{ 0x1b, 0, p_start_stop },
	{ 0x1e, 0, p_prevent },
	{ 0x25, NEEDS_MEDIUM, p_capacity },
	{ 0x28, NEEDS_MEDIUM, p_read10 },
	{ 0x2b, NEEDS_MEDIUM, p_nothing },		/* SEEK */
	{ 0x42, NEEDS_MEDIUM, p_subchannel },
	{ 0x43, NEEDS_MEDIUM, p_toc },
	{ 0x46, ANY_TIME, p_configuration },
	{ 0x4a, ANY_TIME, p_event_status },
	{ 0x51, NEEDS_MEDIUM, p_disc_information },
	{ 0x5a, 0, p_mode_sense },			/* (10) */
	{ 0xa8, NEEDS_MEDIUM, p_read12 },
	{ 0xbb, 0, p_nothing },				/* SET CD SPEED */
	{ 0xbd, 0, p_mechanism_status },
	{ 0xbe, NEEDS_MEDIUM, p_read_cd },
};

void atapi_packet(struct ide_drive *d)
{
	uint8_t cdb[12];

	memcpy(cdb, d->buffer, sizeof(cdb));
	for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
		const struct packet_op *op = &ops[i];

		if (op->opcode != cdb[0])
			continue;
		if (op->flags & NEEDS_MEDIUM && d->tray_open) {
			packet_fail(d, NOT_READY_OPEN);
		} else if (op->flags & NEEDS_MEDIUM && !d->disk) {
			packet_fail(d, NOT_READY_EMPTY);
		} else if (!(op->flags & ANY_TIME) && d->attention) {
			d->attention = false;
			packet_fail(d, MEDIUM_CHANGED);
		} else {
			op->run(d, cdb);
		}
		return;
	}
	packet_fail(d, BAD_OPCODE);
}

/* DEVICE RESET: no interrupt; settings and medium stay (ATA/ATAPI-6, 8.7). */
void atapi_reset(struct ide_drive *d)
{
	uint8_t device = d->device;

	ide_signature(d);
	d->device = device & DEV_SLAVE;
}

/* --- The user -------------------------------------------------------------------- */

static bool drive_locked(void *self)
{
	return ((struct ide_drive *)self)->locked;
}

static bool drive_open(void *self)
{
	return ((struct ide_drive *)self)->tray_open;
}

static void drive_wanted(void *self)
{
	((struct ide_drive *)self)->wanted = true;
}

/* A drive that was emptied has its tray out; one that was loaded says so to the next command. What
 * was being read fails. */
static void drive_changed(void *self)
{
	struct ide_drive *d = self;

	d->disk = *d->drive.disk;
	if (d->phase != PH_NONE && d->phase != PH_PACKET)
		packet_fail(d, MEDIUM_ERROR);
	d->at = d->left = 0;
	d->tray_open = !d->disk;
	d->attention = d->disk;
	d->wanted = false;
}

void atapi_add_drive(struct ide_drive *d, struct machine *m, unsigned slot)
{
	d->drive = (struct drive){ .alias = "cdrom", .cd = true, .disk = &m->disks[slot],
		.locked = drive_locked, .open = drive_open, .wanted = drive_wanted,
		.changed = drive_changed, .self = d };
	snprintf(d->drive.name, sizeof(d->drive.name), "ide%u-cd%u", slot / 2, slot % 2);
	drive_add(m, &d->drive);
}

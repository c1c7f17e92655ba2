/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The floppy disk controller of a PC, an 82077AA (data sheet 290166) in AT mode, and its
 * 3.5-inch drives. It is there if a drive has an image. A disk has 80 tracks, 2 sides and 18
 * sectors, or 9 if the image is of 720 KiB; what the image is too short for reads as zeros.
 * Data moves by DMA channel 2 at once when a command's last byte is written; transfers
 * through the FIFO (SPECIFY's ND bit) are not done and end as an overrun.
 *
 *	3f2 DOR: 7-4 motors | 3 DMA and interrupt | 2 not reset | 1-0 drive
 *	3f4 MSR: 7 ready | 6 to the processor | 4 busy; written: data rate and reset
 *	3f5 FIFO | 3f7 DIR: 7 disk changed; written: data rate
 */
#include "dev/drive.h"
#include "dev/isa_dma.h"
#include "dev/table.h"
#include "machine/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FDC_VERSION	1
#define LINE		6
#define CHANNEL		2
#define SECTOR		512u
#define TRACKS		80
#define SIZE_720K	(720u << 10)

#define DOR_RUN		0x04
#define DOR_GATE	0x08
#define MSR_READY	0x80
#define MSR_OUT		0x40
#define MSR_BUSY	0x10
#define DSR_RESET	0x80

#define ST0_ABNORMAL	0x40
#define ST0_INVALID	0x80
#define ST0_POLLED	0xc0
#define ST0_SEEK_END	0x20
#define ST0_EQUIPMENT	0x10
#define ST0_NOT_READY	0x08
#define ST1_END		0x80		/* beyond the last sector */
#define ST1_DATA	0x20
#define ST1_OVERRUN	0x10
#define ST1_NO_DATA	0x04
#define ST1_PROTECTED	0x02
#define ST1_NO_ADDRESS	0x01
#define MULTI_TRACK	0x80

struct fdc {
	struct machine *m;
	struct drive drives[MACHINE_FLOPPIES];
	bool there[MACHINE_FLOPPIES];
	uint8_t dor, rate, track[4];
	bool changed[4];
	uint8_t in[9], nin, want;	/* the command so far; its length */
	uint8_t out[10], nout, pos;	/* the result */
	uint8_t polled;			/* drives whose interrupt SENSE INTERRUPT has to tell */
	uint8_t st0[4];			/* what it tells */
	uint8_t config[3], specify[2], perpendicular;
	bool locked;
	bool irq;
};

static bool drive_there(const struct fdc *f, unsigned drive)
{
	return drive < MACHINE_FLOPPIES && f->there[drive];
}

/* NULL: no drive, or no disk in it. */
static struct disk *fdc_disk(const struct fdc *f, unsigned drive)
{
	return drive < MACHINE_FLOPPIES ? f->m->floppies[drive] : NULL;
}

static unsigned sectors_of(const struct disk *d)
{
	return disk_size(d) == SIZE_720K ? 9 : 18;
}

/* 500 Kbit/s is 0, 250 is 2: a drive reads nothing at the other one. */
static bool rate_fits(const struct fdc *f, const struct disk *d)
{
	return f->rate == (sectors_of(d) == 9 ? 2 : 0);
}

static void fdc_line(struct fdc *f, bool irq)
{
	f->irq = irq;
	irq_set(f->m, LINE, irq && f->dor & DOR_GATE);
}

/* --- Results --------------------------------------------------------------------- */

static void result(struct fdc *f, const uint8_t *bytes, unsigned n)
{
	memcpy(f->out, bytes, n);
	f->nout = (uint8_t)n;
	f->pos = 0;
}

/* SEEK and RECALIBRATE have no result: SENSE INTERRUPT STATUS asks for it. */
static void seek_end(struct fdc *f, unsigned drive, uint8_t st0)
{
	f->polled |= (uint8_t)(1u << drive);
	f->st0[drive] = st0 | (uint8_t)drive;
	fdc_line(f, true);
}

static void data_end(struct fdc *f, uint8_t st0, uint8_t st1, const uint8_t chrn[4])
{
	const uint8_t out[] = { st0 | (f->in[1] & 7), st1,
				st1 & ST1_DATA ? ST1_DATA : 0, chrn[0], chrn[1], chrn[2], chrn[3] };

	result(f, out, sizeof(out));
	fdc_line(f, true);
}

/* --- Reading and writing --------------------------------------------------------- */

static int sector_move(struct disk *d, uint64_t off, uint8_t *buf, bool write)
{
	if (off >= disk_size(d)) {
		memset(buf, 0, write ? 0 : SECTOR);
		return write ? -EIO : 0;
	}
	return write ? disk_write(d, off, buf, SECTOR) : disk_read(d, off, buf, SECTOR);
}

/* From C, H, R on until the DMA controller says that it was the last byte. */
static uint8_t data_move(struct fdc *f, struct disk *d, uint8_t chrn[4], bool write)
{
	unsigned spt = sectors_of(d), end = f->in[6];
	uint8_t buf[SECTOR];

	for (;;) {
		uint64_t off = (((uint64_t)chrn[0] * 2 + chrn[1]) * spt + chrn[2] - 1) * SECTOR;
		unsigned moved;
		bool tc;

		if (chrn[0] >= TRACKS || chrn[1] > 1 || !chrn[2] || chrn[2] > spt || chrn[3] != 2)
			return ST1_NO_DATA;
		if (write) {
			memset(buf, 0, sizeof(buf));
			moved = isa_dma_from_memory(f->m, CHANNEL, buf, SECTOR, &tc);
		} else {
			if (sector_move(d, off, buf, false))
				return ST1_DATA;
			moved = isa_dma_to_memory(f->m, CHANNEL, buf, SECTOR, &tc);
		}
		if (!moved || (moved < SECTOR && !tc))
			return ST1_OVERRUN;
		if (write && sector_move(d, off, buf, true))
			return ST1_DATA;
		/* The result names the sector that would be next (table 6-6). */
		if (chrn[2]++ == end) {
			chrn[2] = 1;
			if (f->in[0] & MULTI_TRACK)
				chrn[1] ^= 1;
			if (!(f->in[0] & MULTI_TRACK) || !chrn[1]) {
				chrn[0]++;
				if (!tc)
					return ST1_END;
			}
		}
		if (tc)
			return 0;
	}
}

static void c_data(struct fdc *f)
{
	bool write = (f->in[0] & 0x1f) == 0x05;
	struct disk *d = fdc_disk(f, f->in[1] & 3);
	uint8_t chrn[4] = { f->in[2], f->in[3], f->in[4], f->in[5] }, st1;

	if (!d) {
		data_end(f, ST0_ABNORMAL | ST0_NOT_READY, 0, chrn);
	} else if (!rate_fits(f, d) || f->track[f->in[1] & 3] != chrn[0]) {
		data_end(f, ST0_ABNORMAL, ST1_NO_ADDRESS, chrn);
	} else if (write && disk_readonly(d)) {
		data_end(f, ST0_ABNORMAL, ST1_PROTECTED, chrn);
	} else {
		st1 = f->specify[1] & 1 ? ST1_OVERRUN : data_move(f, d, chrn, write);
		data_end(f, st1 ? ST0_ABNORMAL : 0, st1, chrn);
	}
}

/* FORMAT TRACK: C, H, R, N of each sector come by DMA; each becomes the filler byte. */
static void c_format(struct fdc *f)
{
	struct disk *d = fdc_disk(f, f->in[1] & 3);
	uint8_t chrn[4] = { 0 }, buf[SECTOR], st1 = 0;
	bool tc = false;

	if (!d || disk_readonly(d) || f->in[2] != 2 || f->in[3] > sectors_of(d)) {
		data_end(f, ST0_ABNORMAL, d ? ST1_PROTECTED : 0, chrn);
		return;
	}
	memset(buf, f->in[5], sizeof(buf));
	for (unsigned i = 0; i < f->in[3] && !st1; i++) {
		if (isa_dma_from_memory(f->m, CHANNEL, chrn, 4, &tc) != 4)
			st1 = ST1_OVERRUN;
		else if (chrn[0] >= TRACKS || chrn[1] > 1 || !chrn[2] || chrn[2] > sectors_of(d))
			st1 = ST1_NO_DATA;
		else if (sector_move(d, (((uint64_t)chrn[0] * 2 + chrn[1]) * sectors_of(d) +
					 chrn[2] - 1) * SECTOR, buf, true))
			st1 = ST1_DATA;
	}
	data_end(f, st1 ? ST0_ABNORMAL : 0, st1, chrn);
}

static void c_read_id(struct fdc *f)
{
	unsigned drive = f->in[1] & 3;
	const struct disk *d = fdc_disk(f, drive);
	const uint8_t chrn[4] = { f->track[drive], f->in[1] >> 2 & 1, 1, 2 };

	if (d && rate_fits(f, d))
		data_end(f, 0, 0, chrn);
	else
		data_end(f, ST0_ABNORMAL, ST1_NO_ADDRESS, chrn);
}

/* --- The other commands ---------------------------------------------------------- */

static void seek(struct fdc *f, unsigned drive, uint8_t track, uint8_t head)
{
	bool there = drive_there(f, drive);

	f->track[drive] = there && track < TRACKS ? track : f->track[drive];
	f->changed[drive] &= !fdc_disk(f, drive);	/* a step with a disk in the drive */
	seek_end(f, drive, ST0_SEEK_END | (there ? head : ST0_ABNORMAL | ST0_EQUIPMENT));
}

static void c_seek(struct fdc *f)
{
	seek(f, f->in[1] & 3, f->in[2], f->in[1] & 4);
}

static void c_recalibrate(struct fdc *f)
{
	seek(f, f->in[1] & 3, 0, 0);
}

static void c_sense_interrupt(struct fdc *f)
{
	uint8_t out[2] = { ST0_INVALID, 0 };
	unsigned drive;

	if (!f->polled) {
		result(f, out, 1);
		return;
	}
	drive = (unsigned)__builtin_ctz(f->polled);
	f->polled &= (uint8_t)~(1u << drive);
	out[0] = f->st0[drive];
	out[1] = f->track[drive];
	result(f, out, 2);
}

static void c_sense_drive(struct fdc *f)
{
	unsigned drive = f->in[1] & 3;
	const struct disk *d = fdc_disk(f, drive);
	uint8_t st3 = (f->in[1] & 7) | 0x28;	/* two sides, ready */

	st3 |= d && disk_readonly(d) ? 0x40 : 0;
	st3 |= f->track[drive] == 0 ? 0x10 : 0;
	result(f, &st3, 1);
}

static void c_specify(struct fdc *f)
{
	memcpy(f->specify, f->in + 1, 2);
}

static void c_configure(struct fdc *f)
{
	memcpy(f->config, f->in + 1, 3);
}

static void c_perpendicular(struct fdc *f)
{
	f->perpendicular = f->in[1];
}

static void c_lock(struct fdc *f)
{
	uint8_t out = f->in[0] & 0x80 ? 0x10 : 0;

	f->locked = out;
	result(f, &out, 1);
}

static void c_version(struct fdc *f)
{
	uint8_t out = 0x90;		/* an 82077 or better */

	result(f, &out, 1);
}

static void c_dump(struct fdc *f)
{
	const uint8_t out[10] = { f->track[0], f->track[1], f->track[2], f->track[3], f->specify[0],
		f->specify[1], f->in[6], (uint8_t)(f->locked << 7) | (f->perpendicular & 0x7f),
		f->config[1], f->config[2] };

	result(f, out, sizeof(out));
}

/* MT, MFM and SK are the upper bits of the data commands; mask says which are the name. */
static const struct {
	uint8_t mask, name, length;
	void (*run)(struct fdc *f);
} commands[] = {
	{ 0xff, 0x03, 3, c_specify },
	{ 0xff, 0x04, 2, c_sense_drive },
	{ 0x3f, 0x05, 9, c_data },		/* WRITE DATA */
	{ 0x1f, 0x06, 9, c_data },		/* READ DATA */
	{ 0xff, 0x07, 2, c_recalibrate },
	{ 0xff, 0x08, 1, c_sense_interrupt },
	{ 0xbf, 0x0a, 2, c_read_id },
	{ 0xbf, 0x0d, 6, c_format },
	{ 0xff, 0x0e, 1, c_dump },
	{ 0xff, 0x0f, 3, c_seek },
	{ 0xff, 0x10, 1, c_version },
	{ 0xff, 0x12, 2, c_perpendicular },
	{ 0xff, 0x13, 4, c_configure },
	{ 0x7f, 0x14, 1, c_lock },
};

static void command_byte(struct fdc *f, uint8_t val)
{
	unsigned i = 0;

	f->in[f->nin++] = val;
	while (i < ARRAY_LEN(commands) && (f->in[0] & commands[i].mask) != commands[i].name)
		i++;
	if (i == ARRAY_LEN(commands)) {
		uint8_t out = ST0_INVALID;

		f->nin = 0;
		result(f, &out, 1);
	} else if (f->nin >= commands[i].length) {
		f->nin = 0;
		fdc_line(f, false);
		commands[i].run(f);
	}
}

/* --- Ports ----------------------------------------------------------------------- */

/* Leaving reset, the controller polls all four drives, and each has changed its readiness. */
static void reset_end(struct fdc *f)
{
	f->nin = f->nout = f->pos = 0;
	f->polled = 0xf;
	for (unsigned i = 0; i < 4; i++)
		f->st0[i] = (uint8_t)(ST0_POLLED | i);
	if (!f->locked)
		memset(f->config, 0, sizeof(f->config));
	fdc_line(f, true);
}

static void dor_write(struct fdc *f, uint8_t val)
{
	uint8_t before = f->dor;

	f->dor = val;
	if (!(val & DOR_RUN)) {
		f->nin = f->nout = f->pos = f->polled = 0;
		fdc_line(f, false);
	} else if (!(before & DOR_RUN)) {
		reset_end(f);
	} else {
		fdc_line(f, f->irq);
	}
}

static uint8_t fifo_read(struct fdc *f)
{
	uint8_t val;

	if (f->pos >= f->nout)
		return 0;
	fdc_line(f, false);		/* the first byte of a result takes it back */
	val = f->out[f->pos++];
	if (f->pos == f->nout)
		f->pos = f->nout = 0;
	return val;
}

static uint32_t fdc_in(void *dev, uint16_t port, unsigned size)
{
	struct fdc *f = dev;

	(void)size;
	switch (port & 7) {
	case 2: return f->dor;
	case 3: return 0x20;		/* no tape drive */
	case 4:
		if (!(f->dor & DOR_RUN))
			return 0;
		return MSR_READY | (f->nout ? MSR_OUT | MSR_BUSY : 0) | (f->nin ? MSR_BUSY : 0);
	case 5: return fifo_read(f);
	case 7: return f->changed[f->dor & 3] ? 0x80 : 0;
	default: return ~0u;
	}
}

static void fdc_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct fdc *f = dev;

	(void)size;
	switch (port & 7) {
	case 2:
		dor_write(f, (uint8_t)val);
		break;
	case 4:
		f->rate = val & 3;
		if (val & DSR_RESET && f->dor & DOR_RUN)
			reset_end(f);
		break;
	case 5:
		if (f->dor & DOR_RUN && !f->nout)
			command_byte(f, (uint8_t)val);
		break;
	case 7:
		f->rate = val & 3;
		break;
	}
}

/* Nothing holds a floppy disk fast, and nobody is told of a wish. */
static bool drive_never(void *self)
{
	(void)self;
	return false;
}

static void drive_wanted(void *self)
{
	(void)self;
}

static void drive_changed(void *self)
{
	struct fdc *f = self;

	for (unsigned i = 0; i < MACHINE_FLOPPIES; i++)
		f->changed[i] = true;
}

static int fdc_init(void *dev, struct machine *m)
{
	struct fdc *f = dev;
	bool any = false;

	f->m = m;
	for (unsigned i = 0; i < MACHINE_FLOPPIES; i++) {
		struct drive *d = &f->drives[i];

		f->there[i] = m->floppies[i] || (i == 0 && m->config->floppy.empty);
		if (!f->there[i])
			continue;
		*d = (struct drive){ .alias = i ? NULL : "floppy", .disk = &m->floppies[i],
			.locked = drive_never, .open = drive_never, .wanted = drive_wanted,
			.changed = drive_changed, .self = f };
		snprintf(d->name, sizeof(d->name), "floppy%u", i);
		drive_add(m, d);
		any = true;
	}
	if (any) {
		bus_claim(m->bus, 0x3f0, 6, 1, &fdc_device, f);
		bus_claim(m->bus, 0x3f7, 1, 1, &fdc_device, f);
	}
	return 0;
}

static void fdc_fini(void *dev)
{
	struct fdc *f = dev;

	for (unsigned i = 0; i < MACHINE_FLOPPIES; i++)
		drive_remove(f->m, &f->drives[i]);
}

static void fdc_reset(void *dev)
{
	struct fdc *f = dev, old = *f;

	*f = (struct fdc){ .m = old.m, .rate = 2, .changed = { true, true, true, true } };
	memcpy(f->drives, old.drives, sizeof(f->drives));
	memcpy(f->there, old.there, sizeof(f->there));
	fdc_line(f, false);
}

static void fdc_save(void *dev, struct state *s)
{
	struct fdc *f = dev;
	uint8_t b[] = { f->dor, f->rate, f->nin, f->nout, f->pos, f->polled, f->perpendicular,
			f->locked, f->irq, f->changed[0], f->changed[1], f->changed[2],
			f->changed[3] };

	state_begin(s, fdc_device.name, FDC_VERSION);
	state_put(s, b, sizeof(b));
	state_put(s, f->track, sizeof(f->track));
	state_put(s, f->in, sizeof(f->in));
	state_put(s, f->out, sizeof(f->out));
	state_put(s, f->st0, sizeof(f->st0));
	state_put(s, f->config, sizeof(f->config));
	state_put(s, f->specify, sizeof(f->specify));
}

static int fdc_restore(void *dev, struct state *s)
{
	struct fdc *f = dev, n = *f;
	uint8_t b[13];

	if (state_enter(s, fdc_device.name) != FDC_VERSION)
		return -EINVAL;
	state_get(s, b, sizeof(b));
	n.dor = b[0], n.rate = b[1] & 3, n.nin = b[2], n.nout = b[3], n.pos = b[4];
	n.polled = b[5] & 0xf, n.perpendicular = b[6], n.locked = b[7], n.irq = b[8];
	for (unsigned i = 0; i < 4; i++)
		n.changed[i] = b[9 + i];
	state_get(s, n.track, sizeof(n.track));
	state_get(s, n.in, sizeof(n.in));
	state_get(s, n.out, sizeof(n.out));
	state_get(s, n.st0, sizeof(n.st0));
	state_get(s, n.config, sizeof(n.config));
	state_get(s, n.specify, sizeof(n.specify));
	/* A command is run when it is complete, so what waits is shorter than any buffer. */
	if (s->bad || n.nin >= sizeof(n.in) || n.nout > sizeof(n.out) || n.pos > n.nout)
		return -EINVAL;
	*f = n;
	fdc_line(f, f->irq);
	return 0;
}

const struct device_ops fdc_device = {
	.name = "fdc", .state_size = sizeof(struct fdc),
	.init = fdc_init, .reset = fdc_reset, .in = fdc_in, .out = fdc_out,
	.save = fdc_save, .restore = fdc_restore, .fini = fdc_fini,
};

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bus master of an IDE cable (PIIX3 data sheet 2.7; Programming Interface for Bus
 * Master IDE Controller, 1.0). It moves a drive's DMA phase through the table of
 * physical regions, as soon as both the command and the start bit are there.
 *
 *	+0 command  3 to memory | 0 start
 *	+2 status   6, 5 drive can DMA (software's notes) | 2 interrupt | 1 error | 0 active
 *	+4 table    each entry: address, byte count (0: 64 KiB), bit 31 of the last
 */
#include "dev/ide.h"

#define CMD_START	0x01
#define CMD_TO_MEMORY	0x08
#define STATUS_ACTIVE	0x01
#define STATUS_ERROR	0x02
#define STATUS_IRQ	0x04
#define STATUS_NOTES	0x60
#define PRD_LAST	0x80000000u

/* One region's bytes between the buffer and memory; all moved, or why not. */
enum moved { MOVED, ENDED, BROKEN };

static enum moved finish(struct ide_drive *d)
{
	d->phase = d->phase == PH_DMA_IN ? PH_PIO_IN : PH_PIO_OUT;
	ide_done(d);
	if (d->cd)
		d->count[0] = 3;	/* the interrupt reason: end of a packet command */
	return ENDED;
}

static enum moved region_move(struct ide_drive *d, gpa_t at, uint32_t len)
{
	struct memory *mem = &d->channel->ide->pci.m->mem;
	bool in = d->phase == PH_DMA_IN;

	while (len) {
		uint32_t n = d->filled - d->pos;

		n = n < len ? n : len;
		if (!(in ? phys_write_bulk(mem, at, d->buffer + d->pos, n)
			 : phys_read_bulk(mem, at, d->buffer + d->pos, n)))
			return BROKEN;
		d->pos += n;
		at += n;
		len -= n;
		if (d->pos < d->filled)
			continue;
		if (!in && ide_store(d)) {
			ide_fail(d, ER_ABRT | (disk_readonly(d->disk) ? ER_WP : 0));
			return ENDED;
		}
		if (!d->left)
			return finish(d);
		if (in && ide_load(d)) {
			if (d->cd)
				atapi_medium_failed(d);
			else
				ide_fail(d, ER_UNC);
			return ENDED;
		}
		if (!in)
			ide_expect(d);
	}
	return MOVED;
}

void ide_dma_run(struct ide_channel *c)
{
	struct ide_drive *d = &c->drives[c->selected];
	struct pci_function *f = &c->ide->pci;
	bool in = d->phase == PH_DMA_IN;
	enum moved moved = MOVED;
	gpa_t prd = c->prd;
	uint32_t count = 0;

	if (!(c->dma_status & STATUS_ACTIVE) || (!in && d->phase != PH_DMA_OUT) ||
	    in != !!(c->dma_command & CMD_TO_MEMORY) ||
	    !(f->config[PCI_COMMAND] & PCI_COMMAND_MASTER))
		return;
	for (; moved == MOVED && !(count & PRD_LAST); prd += 8) {
		uint8_t e[8];
		uint32_t address;

		if (!phys_read_bulk(&f->m->mem, prd, e, sizeof(e))) {
			moved = BROKEN;
			break;
		}
		address = (uint32_t)e[0] | (uint32_t)e[1] << 8 | (uint32_t)e[2] << 16 |
			  (uint32_t)e[3] << 24;
		count = (uint32_t)e[4] | (uint32_t)e[5] << 8 | (uint32_t)(e[7] & 0x80) << 24;
		moved = region_move(d, address & ~1u, count & 0xfffe ? count & 0xfffe : 0x10000);
	}
	if (moved == BROKEN) {		/* nobody at that address: a master abort */
		c->dma_status |= STATUS_ERROR;
		ide_fail(d, ER_ABRT);
	}
	/* A table longer than the transfer leaves the bus master active (1.0, 3.1). */
	if (moved == BROKEN || count & PRD_LAST)
		c->dma_status &= ~STATUS_ACTIVE;
}

static void command_write(struct ide_channel *c, uint8_t val)
{
	uint8_t started = val & ~c->dma_command & CMD_START;

	c->dma_command = val & (CMD_START | CMD_TO_MEMORY);
	if (!(val & CMD_START))
		c->dma_status &= ~STATUS_ACTIVE;
	if (started) {
		c->dma_status |= STATUS_ACTIVE;
		ide_dma_run(c);
	}
}

static uint8_t byte_read(const struct ide_channel *c, unsigned off)
{
	switch (off) {
	case 0: return c->dma_command;
	case 2: return c->dma_status;
	case 4: case 5: case 6: case 7: return (uint8_t)(c->prd >> 8 * (off - 4));
	default: return 0;
	}
}

static void byte_write(struct ide_channel *c, unsigned off, uint8_t val)
{
	unsigned shift = 8 * (off & 3);

	switch (off) {
	case 0:
		command_write(c, val);
		break;
	case 2:
		c->dma_status = (c->dma_status & ~STATUS_NOTES) | (val & STATUS_NOTES);
		c->dma_status &= (uint8_t)~(val & (STATUS_IRQ | STATUS_ERROR));
		break;
	case 4: case 5: case 6: case 7:
		c->prd = ((c->prd & ~(0xffu << shift)) | (uint32_t)val << shift) & ~3u;
		break;
	}
}

uint32_t ide_dma_in(struct ide *ide, unsigned off, unsigned size)
{
	uint32_t val = 0;

	for (unsigned i = 0; i < size; i++)
		val |= (uint32_t)byte_read(&ide->channels[(off + i) >> 3 & 1], (off + i) & 7)
		       << 8 * i;
	return val;
}

void ide_dma_out(struct ide *ide, unsigned off, uint32_t val, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		byte_write(&ide->channels[(off + i) >> 3 & 1], (off + i) & 7,
			   (uint8_t)(val >> 8 * i));
}

void ide_dma_reset(struct ide_channel *c)
{
	c->dma_command = c->dma_status = 0;
	c->prd = 0;
}

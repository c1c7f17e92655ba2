/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The IDE function of the PIIX3 (data sheet 290550, 2.3) in its only mode, at the
 * compatibility addresses: two cables, their registers, and who of two drives hears and
 * answers what (ATA/ATAPI-6, 7 and 9.16). What commands do is the drives' affair.
 *
 *	1f0 / 170  data | 1 error, feature | 2 count | 3-5 LBA | 6 device | 7 status, command
 *	3f6 / 376  alternate status, device control
 *	0x41, 0x43 in configuration space: bit 7 decodes a cable's ports
 */
#include "dev/ide.h"
#include "dev/table.h"
#include "machine/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IDE_VERSION	1
#define IDETIM_HIGH(ch)	(0x41 + 2 * (ch))
#define DECODE		0x80

enum reg { R_DATA, R_ERROR, R_COUNT, R_LBA0, R_LBA1, R_LBA2, R_DEVICE, R_STATUS };

static const struct { uint16_t command, control; uint8_t line; } places[2] = {
	{ 0x1f0, 0x3f6, 14 }, { 0x170, 0x376, 15 },
};

/* --- Ends and interrupts --------------------------------------------------------- */

/* INTRQ is the selected drive's; nIEN lets go of the wire. */
static void channel_line(struct ide_channel *c)
{
	bool level = c->drives[c->selected].irq && !(c->control & DC_NIEN);

	if (level)
		c->dma_status |= 0x04;		/* latched by the bus master, data sheet 2.7.2 */
	irq_set(c->ide->pci.m, c->line, level);
}

void ide_raise(struct ide_drive *d)
{
	d->irq = true;
	channel_line(d->channel);
}

void ide_done(struct ide_drive *d)
{
	d->phase = PH_NONE;
	d->status = ST_DRDY | ST_DSC;
	d->error = 0;
	ide_raise(d);
}

void ide_fail(struct ide_drive *d, uint8_t error)
{
	d->phase = PH_NONE;
	d->status = ST_DRDY | ST_DSC | ST_ERR;
	d->error = error;
	ide_raise(d);
}

void ide_next_block(struct ide_drive *d)
{
	uint32_t n = d->filled - d->pos;

	d->end = d->pos + (n < d->block ? n : d->block);
	d->status = ST_DRDY | ST_DSC | ST_DRQ;
}

int ide_load(struct ide_drive *d)
{
	uint32_t n = d->left < BUFFER ? (uint32_t)d->left : BUFFER;
	int err = disk_read(d->disk, d->at, d->buffer, n);

	if (err)
		return err;
	d->pos = d->end = 0;
	d->filled = n;
	d->at += n;
	d->left -= n;
	return 0;
}

void ide_expect(struct ide_drive *d)
{
	d->filled = d->left < BUFFER ? (uint32_t)d->left : BUFFER;
	d->left -= d->filled;
	d->pos = d->end = 0;
}

int ide_store(struct ide_drive *d)
{
	int err = disk_write(d->disk, d->at, d->buffer, d->filled);

	if (!err)
		d->at += d->filled;
	return err;
}

/* ATA/ATAPI-6, 9.12: a packet device shows other values and is not ready. */
void ide_signature(struct ide_drive *d)
{
	d->count[0] = d->lba[0][0] = 1;
	d->lba[1][0] = d->cd ? 0x14 : 0;
	d->lba[2][0] = d->cd ? 0xeb : 0;
	d->device = 0;
	d->error = 1;
	d->status = !d->disk || d->cd ? 0 : ST_DRDY | ST_DSC;
	d->phase = PH_NONE;
	d->irq = false;
}

void ide_string(uint8_t *to, const char *text, unsigned size, bool swapped)
{
	size_t n = strlen(text);

	for (unsigned i = 0; i < size; i++)
		to[i ^ (swapped ? 1 : 0)] = i < n ? (uint8_t)text[i] : ' ';
}

/* --- The data register ----------------------------------------------------------- */

static bool in_phase(const struct ide_drive *d, bool write)
{
	if (!d->disk || !(d->status & ST_DRQ))
		return false;
	return write ? d->phase == PH_PIO_OUT || d->phase == PH_PACKET : d->phase == PH_PIO_IN;
}

/* The block has been moved: the buffer's next one, or more of the command. */
static void block_moved(struct ide_drive *d)
{
	if (d->phase == PH_PACKET)
		atapi_packet(d);
	else
		ide_continue(d);
}

/* A dword is two words; the drive sees it so. Odd remainders are padded. */
static uint32_t data_read(struct ide_drive *d, unsigned size)
{
	uint32_t val = 0;

	if (!in_phase(d, false))
		return ~0u;
	for (unsigned i = 0; i < size && d->pos < d->end; i++)
		val |= (uint32_t)d->buffer[d->pos++] << 8 * i;
	if (d->pos == d->end)
		block_moved(d);
	return val;
}

static void data_write(struct ide_drive *d, uint32_t val, unsigned size)
{
	if (!in_phase(d, true))
		return;
	for (unsigned i = 0; i < size && d->pos < d->end; i++)
		d->buffer[d->pos++] = (uint8_t)(val >> 8 * i);
	if (d->pos == d->end)
		block_moved(d);
}

/* --- The other registers --------------------------------------------------------- */

static void reg_push(uint8_t reg[2], uint8_t val)
{
	reg[1] = reg[0];
	reg[0] = val;
}

static uint8_t reg_read(struct ide_channel *c, enum reg reg)
{
	struct ide_drive *d = &c->drives[c->selected];
	unsigned hob = c->control & DC_HOB ? 1 : 0;

	/* A master alone answers for its slave, but is not ready as such (9.16.1). */
	if (!d->disk && reg != R_STATUS)
		d = &c->drives[0];
	if (!d->disk)
		return 0;
	switch (reg) {
	case R_ERROR: return d->error;
	case R_COUNT: return d->count[hob];
	case R_LBA0: case R_LBA1: case R_LBA2: return d->lba[reg - R_LBA0][hob];
	case R_DEVICE: return d->device | 0xa0;
	default: return c->control & DC_SRST ? ST_BSY : d->status;
	}
}

/* EXECUTE DEVICE DIAGNOSTIC is for both; a packet device alone hears a device reset. */
static void command_write(struct ide_channel *c, uint8_t val)
{
	struct ide_drive *d = &c->drives[c->selected];

	if (val == 0x90 && (c->drives[0].disk || c->drives[1].disk)) {
		for (unsigned i = 0; i < 2; i++)
			ide_signature(&c->drives[i]);
		c->selected = 0;
		ide_raise(&c->drives[0]);
		return;
	}
	if (!d->disk)
		return;
	d->irq = false;
	channel_line(c);
	if (val == 0x08 && d->cd) {
		atapi_reset(d);
		return;
	}
	/* Busy with data: only what breaks a command off is heard (9.1). */
	d->phase = PH_NONE;
	d->command = val;
	ata_command(d, val);
}

/* Both drives keep what is written; it does not matter which is selected. */
static void reg_write(struct ide_channel *c, enum reg reg, uint8_t val)
{
	c->control &= ~DC_HOB;
	if (reg == R_STATUS) {
		command_write(c, val);
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		struct ide_drive *d = &c->drives[i];

		switch (reg) {
		case R_ERROR: reg_push(d->feature, val); break;
		case R_COUNT: reg_push(d->count, val); break;
		case R_DEVICE: d->device = val; break;
		default: reg_push(d->lba[reg - R_LBA0], val);
		}
	}
	if (reg == R_DEVICE) {
		c->selected = val & DEV_SLAVE ? 1 : 0;
		channel_line(c);
	}
}

static void drive_reset(struct ide_drive *d)
{
	d->multiple = 0;
	d->tray_open = d->locked = d->attention = false;
	memset(d->sense, 0, sizeof(d->sense));
	ide_signature(d);
}

static void control_write(struct ide_channel *c, uint8_t val)
{
	bool was_reset = c->control & DC_SRST;

	c->control = val & (DC_NIEN | DC_SRST | DC_HOB);
	if (was_reset && !(val & DC_SRST)) {
		for (unsigned i = 0; i < 2; i++)
			ide_signature(&c->drives[i]);
		c->selected = 0;
	}
	channel_line(c);
}

/* --- Ports ----------------------------------------------------------------------- */

static struct ide_channel *channel_of(struct ide *ide, uint16_t port)
{
	unsigned n = port & 0x80 ? 0 : 1;

	return ide->pci.config[IDETIM_HIGH(n)] & DECODE ? &ide->channels[n] : NULL;
}

/* The bus gives the fixed ports to us as such even where the base address lies over them. */
static bool is_dma(uint16_t port)
{
	uint16_t primary = port | 0x80;

	return (primary & ~7u) != places[0].command && primary != places[0].control;
}

static uint8_t byte_in(struct ide_channel *c, uint16_t port)
{
	uint8_t val;

	if (port & 0x200)
		return reg_read(c, R_STATUS);
	if ((port & 7) == R_DATA)
		return (uint8_t)data_read(&c->drives[c->selected], 1);
	val = reg_read(c, port & 7);
	if ((port & 7) == R_STATUS) {
		c->drives[c->selected].irq = false;
		channel_line(c);
	}
	return val;
}

static void byte_out(struct ide_channel *c, uint16_t port, uint8_t val)
{
	if (port & 0x200)
		control_write(c, val);
	else if ((port & 7) == R_DATA)
		data_write(&c->drives[c->selected], val, 1);
	else
		reg_write(c, port & 7, val);
}

/* The data register takes words and dwords; a wide access to others is one to each. */
static uint32_t ide_in(void *dev, uint16_t port, unsigned size)
{
	struct ide *ide = dev;
	struct ide_channel *c;
	uint32_t val = 0;

	if (is_dma(port))
		return ide_dma_in(ide, port - ide->pci.bars[4].base, size);
	c = channel_of(ide, port);
	if (!c)
		return ~0u;
	if (!(port & 0x200) && (port & 7) == R_DATA)
		return data_read(&c->drives[c->selected], size);
	for (unsigned i = 0; i < size; i++)
		val |= (uint32_t)byte_in(c, (uint16_t)(port + i)) << 8 * i;
	return val;
}

static void ide_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct ide *ide = dev;
	struct ide_channel *c;

	if (is_dma(port)) {
		ide_dma_out(ide, port - ide->pci.bars[4].base, val, size);
		return;
	}
	c = channel_of(ide, port);
	if (!c)
		return;
	if (!(port & 0x200) && (port & 7) == R_DATA) {
		data_write(&c->drives[c->selected], val, size);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		byte_out(c, (uint16_t)(port + i), (uint8_t)(val >> 8 * i));
}

/* --- Life ------------------------------------------------------------------------ */

static void ide_fini(void *dev)
{
	struct ide *ide = dev;

	for (unsigned i = 0; i < 4; i++)
		free(ide->channels[i / 2].drives[i % 2].buffer);
	pci_remove(&ide->pci);
}

static int drives_init(struct ide *ide, struct machine *m)
{
	for (unsigned i = 0; i < MACHINE_DISKS; i++) {
		struct ide_channel *c = &ide->channels[i / 2];
		struct ide_drive *d = &c->drives[i % 2];

		c->ide = ide;
		c->line = places[i / 2].line;
		d->channel = c;
		d->disk = m->disks[i];
		d->cd = m->disk_is_cd[i];
		d->buffer = calloc(1, BUFFER);
		if (!d->buffer)
			return -ENOMEM;
	}
	return 0;
}

static int ide_init(void *dev, struct machine *m)
{
	struct ide *ide = dev;
	int err = drives_init(ide, m);

	if (err) {
		ide_fini(ide);
		return err;
	}
	pci_identify(&ide->pci, 0x8086, 0x7010, 0x010180, 0);
	ide->pci.config[PCI_STATUS + 1] = 0x02;		/* medium DEVSEL timing, as is fixed */
	ide->pci.config[PCI_STATUS] = 0x80;
	pci_bar_io(&ide->pci, 4, 16, 4, &ide_device, ide);
	for (unsigned i = 0x40; i < 0x45; i++)
		ide->pci.writable[i] = 0xff;
	if (!m->mem.legacy) {	/* no BIOS: as one would have left it */
		ide->pci.config[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MASTER;
		ide->pci.config[IDETIM_HIGH(0)] = ide->pci.config[IDETIM_HIGH(1)] = DECODE;
		pci_put32(&ide->pci, PCI_BAR0 + 4 * 4, 0xc000 | 1);
	}
	for (unsigned i = 0; i < 2; i++) {
		bus_claim(m->bus, places[i].command, 8, 4, &ide_device, ide);
		bus_claim(m->bus, places[i].control, 1, 1, &ide_device, ide);
	}
	pci_add(m, 1, 1, &ide->pci);
	return 0;
}

static void ide_reset(void *dev)
{
	struct ide *ide = dev;

	pci_reset(&ide->pci);
	for (unsigned i = 0; i < 4; i++) {
		struct ide_channel *c = &ide->channels[i / 2];
		struct ide_drive *d = &c->drives[i % 2];

		drive_reset(d);
		d->dma_mode = 0;
		memset(d->buffer, 0, BUFFER);
		if (d->disk)
			d->heads = 16, d->sectors = 63;
		ide_dma_reset(c);
		c->selected = c->control = 0;
		channel_line(c);
	}
}

static void drive_save(struct ide_drive *d, struct state *s)
{
	uint8_t b[] = { d->device, d->status, d->error, d->irq, d->multiple, d->heads, d->sectors,
			d->dma_mode, d->phase, d->command, d->wide, d->tray_open, d->locked,
			d->attention };

	state_put(s, b, sizeof(b));
	state_put(s, d->feature, 2);
	state_put(s, d->count, 2);
	state_put(s, d->lba, sizeof(d->lba));
	state_put(s, d->sense, sizeof(d->sense));
	state_put_u64(s, d->block);
	state_put_u64(s, d->at);
	state_put_u64(s, d->left);
	state_put_u64(s, d->pos);
	state_put_u64(s, d->end);
	state_put_u64(s, d->filled);
	state_put(s, d->buffer, d->filled);
}

/* Positions that no command could have reached are refused. */
static bool transfer_valid(const struct ide_drive *d)
{
	uint64_t size = d->disk ? disk_size(d->disk) : 0;
	bool by_block = d->phase == PH_PIO_IN || d->phase == PH_PIO_OUT || d->phase == PH_PACKET;
	uint64_t out = d->phase == PH_PIO_OUT || d->phase == PH_DMA_OUT ? d->filled : 0;

	return d->pos <= d->filled && d->end <= d->filled && d->filled <= BUFFER &&
	       (!by_block || d->pos < d->end) && (d->phase != PH_PACKET || d->filled == 12) &&
	       d->phase <= PH_DMA_OUT && d->at <= size && out <= size - d->at &&
	       d->left <= size - d->at - out &&
	       (d->phase == PH_NONE || (d->block && d->block <= BUFFER));
}

static void drive_restore(struct ide_drive *d, struct state *s)
{
	uint8_t b[14];

	state_get(s, b, sizeof(b));
	d->device = b[0], d->status = b[1], d->error = b[2], d->irq = b[3], d->multiple = b[4];
	d->heads = b[5], d->sectors = b[6], d->dma_mode = b[7], d->phase = b[8], d->command = b[9];
	d->wide = b[10], d->tray_open = b[11], d->locked = b[12], d->attention = b[13];
	state_get(s, d->feature, 2);
	state_get(s, d->count, 2);
	state_get(s, d->lba, sizeof(d->lba));
	state_get(s, d->sense, sizeof(d->sense));
	d->block = (uint32_t)state_get_u64(s);
	d->at = state_get_u64(s);
	d->left = state_get_u64(s);
	d->pos = (uint32_t)state_get_u64(s);
	d->end = (uint32_t)state_get_u64(s);
	d->filled = (uint32_t)state_get_u64(s);
	if (!transfer_valid(d) || d->multiple > 128 || (d->disk && (!d->heads || !d->sectors))) {
		s->bad = true;
		d->phase = PH_NONE;
		d->multiple = 0;
		d->pos = d->end = d->filled = 0;
		d->at = d->left = 0;
		return;
	}
	state_get(s, d->buffer, d->filled);
}

static void ide_save(void *dev, struct state *s)
{
	struct ide *ide = dev;

	state_begin(s, ide_device.name, IDE_VERSION);
	pci_save(&ide->pci, s);
	for (unsigned i = 0; i < 2; i++) {
		struct ide_channel *c = &ide->channels[i];
		uint8_t b[] = { c->selected, c->control, c->dma_command, c->dma_status };

		state_put(s, b, sizeof(b));
		state_put_u64(s, c->prd);
		drive_save(&c->drives[0], s);
		drive_save(&c->drives[1], s);
	}
}

static int ide_restore(void *dev, struct state *s)
{
	struct ide *ide = dev;

	if (state_enter(s, ide_device.name) != IDE_VERSION)
		return -EINVAL;
	pci_restore(&ide->pci, s);
	for (unsigned i = 0; i < 2; i++) {
		struct ide_channel *c = &ide->channels[i];
		uint8_t b[4];

		state_get(s, b, sizeof(b));
		c->selected = b[0] & 1;
		c->control = b[1];
		c->dma_command = b[2] & 0x09;
		c->dma_status = b[3] & 0x67;
		c->prd = (uint32_t)state_get_u64(s) & ~3u;
		drive_restore(&c->drives[0], s);
		drive_restore(&c->drives[1], s);
		channel_line(c);
	}
	return s->bad ? -EINVAL : 0;
}

const struct device_ops ide_device = {
	.name = "ide", .state_size = sizeof(struct ide),
	.init = ide_init, .reset = ide_reset, .in = ide_in, .out = ide_out,
	.save = ide_save, .restore = ide_restore, .fini = ide_fini,
};

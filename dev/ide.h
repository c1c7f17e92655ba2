/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the IDE controller share: the cable with its drives (dev/ide.c), what
 * a disk does with a command (dev/ata.c), what a CD drive does (dev/atapi.c), and the
 * bus master that moves data for them (dev/ide_dma.c).
 *
 * A command ends when its register is written: the host's files are read and written
 * then, and BSY is never seen. Between, data waits in the drive's buffer: `phase` says for
 * whom, [pos, end) is what this DRQ block still has, [end, filled) what comes after it.
 */
#ifndef DEV_IDE_H
#define DEV_IDE_H

#include "dev/disk.h"
#include "dev/drive.h"
#include "dev/pci.h"

#define SECTOR		512u
#define BUFFER		(64u << 10)	/* the largest DRQ block and a whole number of sectors */

/* Status. */
#define ST_ERR		0x01
#define ST_DRQ		0x08
#define ST_DSC		0x10
#define ST_DF		0x20
#define ST_DRDY		0x40
#define ST_BSY		0x80
/* Error. */
#define ER_ABRT		0x04
#define ER_IDNF		0x10
#define ER_UNC		0x40
#define ER_WP		0x40
/* Device. */
#define DEV_SLAVE	0x10
#define DEV_LBA		0x40
/* Device control. */
#define DC_NIEN		0x02
#define DC_SRST		0x04
#define DC_HOB		0x80

enum phase {
	PH_NONE,
	PH_PIO_IN,		/* the guest reads the data register */
	PH_PIO_OUT,		/* the guest writes it */
	PH_PACKET,		/* the guest writes a command packet */
	PH_DMA_IN, PH_DMA_OUT,	/* the bus master's, when it is started */
};

struct ide_channel;

struct ide_drive {
	struct ide_channel *channel;
	struct disk *disk;		/* NULL: there is no drive, or no medium in it */
	bool there, cd;
	/* The registers. [1] is what was there before, for 48-bit commands. */
	uint8_t feature[2], count[2], lba[3][2], device, status, error;
	bool irq;			/* INTRQ */
	/* Settings. */
	uint8_t multiple;		/* sectors in a DRQ block of READ/WRITE MULTIPLE */
	uint8_t heads, sectors;		/* of a track, as translated */
	uint8_t dma_mode;		/* as SET FEATURES said: 0x20 + multiword, 0x40 + Ultra */
	/* The transfer. */
	uint8_t phase;
	uint8_t command;
	bool wide;			/* of 48 bits */
	uint32_t block;			/* bytes in a DRQ block at most */
	uint64_t at;			/* of the medium: reading, the byte after those in the
					 * buffer; writing, where the buffer goes */
	uint64_t left;			/* bytes beyond those in the buffer */
	uint32_t pos, end, filled;
	/* A CD drive. */
	uint8_t sense[3];		/* key, ASC, ASCQ */
	bool tray_open, locked, attention;
	bool wanted;			/* the user would like to have the medium */
	struct drive drive;
	uint8_t *buffer;		/* BUFFER bytes */
};

struct ide_channel {
	struct ide *ide;
	struct ide_drive drives[2];
	uint8_t selected;		/* 0 master, 1 slave */
	uint8_t control;
	uint8_t line;
	/* Bus master. */
	uint8_t dma_command, dma_status;
	uint32_t prd;			/* the table's address */
};

struct ide {
	struct pci_function pci;
	struct ide_channel channels[2];
};

/* --- ide.c: for commands --------------------------------------------------------- */

/* Success, or failure with these bits of the error register. */
void ide_done(struct ide_drive *d);
void ide_fail(struct ide_drive *d, uint8_t error);
void ide_raise(struct ide_drive *d);
/* Signature and status after a reset. */
void ide_signature(struct ide_drive *d);
/* Offers the next DRQ block of a PIO phase. */
void ide_next_block(struct ide_drive *d);
/* The buffer from the medium, or for data to it, anew; it is not called with left 0. */
int ide_load(struct ide_drive *d);
void ide_expect(struct ide_drive *d);
int ide_store(struct ide_drive *d);		/* the buffer to the medium */

/* --- ata.c, atapi.c -------------------------------------------------------------- */

void ata_command(struct ide_drive *d, uint8_t command);
/* The buffer is empty, or full for writing: the next part, or the end, of the command. */
void ata_continue(struct ide_drive *d);
void ata_identify(struct ide_drive *d);
void atapi_identify(struct ide_drive *d);
void atapi_packet(struct ide_drive *d);		/* 12 bytes of it are in the buffer */
void atapi_continue(struct ide_drive *d);
void atapi_reset(struct ide_drive *d);
void atapi_medium_failed(struct ide_drive *d);
/* The user may exchange the medium in m->disks[slot], which is in d. */
void atapi_add_drive(struct ide_drive *d, struct machine *m, unsigned slot);
static inline void ide_continue(struct ide_drive *d)
{
	if (d->cd)
		atapi_continue(d);
	else
		ata_continue(d);
}

/* --- ide_dma.c ------------------------------------------------------------------- */

/* A drive has a DMA phase: moves the data if the bus master was started. */
void ide_dma_run(struct ide_channel *c);
uint32_t ide_dma_in(struct ide *ide, unsigned off, unsigned size);
void ide_dma_out(struct ide *ide, unsigned off, uint32_t val, unsigned size);
void ide_dma_reset(struct ide_channel *c);

/* Strings of identification data: padded with spaces. */
void ide_string(uint8_t *to, const char *text, unsigned size, bool swapped);

#endif

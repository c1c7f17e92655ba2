/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk (Virtio 1.0, 5.2): a disk with one queue of requests. A request is done when the
 * driver has notified of it, as with the IDE drives (dev/ide.h).
 *
 *	to read   type 32 | reserved 32 | sector 64, then the data to write
 *	to write  the data read, then the status 8
 */
#include "dev/disk.h"
#include "dev/table.h"
#include "dev/virtio.h"
#include "machine/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VIRTIO_BLK_VERSION 1
#define SLOT		4		/* of the first */
#define SECTOR		512u
#define REQUEST_MAX	(16u << 20)	/* bytes; more is an error */
#define PIECE		(64u << 10)
#define ID_SIZE		20u

#define F_SEG_MAX	(1ull << 2)
#define F_RO		(1ull << 5)
#define F_BLK_SIZE	(1ull << 6)
#define F_FLUSH		(1ull << 9)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8 };
enum { S_OK, S_IOERR, S_UNSUPP };

struct request {
	uint32_t type, reserved;
	uint64_t sector;
};
#define REQUEST_SIZE	16u
_Static_assert(sizeof(struct request) == REQUEST_SIZE, "a request's head is 16 bytes");

struct blk {
	struct virtio v;
	struct disk *disk;		/* NULL: there is no such device */
	unsigned number;
	struct virtio_chain chain;
	uint8_t buf[PIECE];
};

struct virtio_blk {
	struct blk units[MACHINE_DISKS];
};

/* --- Requests ---------------------------------------------------------------------------- */

static bool within(const struct blk *b, uint64_t sector, uint64_t bytes)
{
	uint64_t size = disk_size(b->disk);

	return bytes <= REQUEST_MAX && bytes % SECTOR == 0 && sector <= size / SECTOR &&
	       bytes <= size - sector * SECTOR;
}

static uint8_t transfer(struct blk *b, uint64_t at, uint64_t bytes, bool write)
{
	for (uint64_t done = 0; done < bytes;) {
		size_t n = bytes - done < PIECE ? (size_t)(bytes - done) : PIECE;

		if (write && !chain_read(&b->v, &b->chain, REQUEST_SIZE + done, b->buf, n))
			return S_IOERR;
		if (write ? disk_write(b->disk, at + done, b->buf, n)
			  : disk_read(b->disk, at + done, b->buf, n))
			return S_IOERR;
		if (!write && !chain_write(&b->v, &b->chain, done, b->buf, n))
			return S_IOERR;
		done += n;
	}
	return S_OK;
}

static uint8_t identify(struct blk *b, uint64_t room)
{
	char id[ID_SIZE] = "";

	snprintf(id, sizeof(id), "HEMIV00%u", b->number + 1);
	return chain_write(&b->v, &b->chain, 0, id, room < ID_SIZE ? (size_t)room : ID_SIZE) ?
	       S_OK : S_IOERR;
}

/* The request's status; *written: bytes of data for the guest. */
static uint8_t run(struct blk *b, const struct request *r, uint64_t *written)
{
	uint64_t in = b->chain.in - 1, out = b->chain.out - REQUEST_SIZE;

	*written = 0;
	switch (r->type) {
	case T_IN:
		if (!within(b, r->sector, in))
			return S_IOERR;
		*written = in;
		return transfer(b, r->sector * SECTOR, in, false);
	case T_OUT:
		if (!within(b, r->sector, out) || disk_readonly(b->disk))
			return S_IOERR;
		return transfer(b, r->sector * SECTOR, out, true);
	case T_FLUSH:
		return disk_flush(b->disk) ? S_IOERR : S_OK;
	case T_GET_ID:
		*written = in < ID_SIZE ? in : ID_SIZE;
		return identify(b, in);
	default:
		return S_UNSUPP;
	}
}

/* False: it was none, and the device is broken. */
static bool request(struct blk *b)
{
	struct virtio_chain *c = &b->chain;
	struct request r;
	uint64_t written;
	uint8_t status;

	if (c->out < REQUEST_SIZE || !c->in) {
		virtio_break(&b->v);
		return false;
	}
	if (!chain_read(&b->v, c, 0, &r, REQUEST_SIZE))
		return false;
	status = run(b, &r, &written);
	if (!chain_write(&b->v, c, c->in - 1, &status, 1))
		return false;
	virtq_push(&b->v, &b->v.queues[0], c->head, (uint32_t)written + 1);
	return true;
}

/* A long queue does not hold up the end of the run. */
static bool ending(const struct blk *b)
{
	return atomic_load(&b->v.pci.m->attention) & (ATT_QUIT | ATT_TIMEOUT);
}

static void virtio_blk_notify(void *self, unsigned queue)
{
	struct blk *b = self;
	struct virtq *q = &b->v.queues[queue];

	while (!ending(b) && virtq_pop(&b->v, q, &b->chain))
		if (!request(b))
			break;
	virtq_listen(&b->v, q, true);
	virtq_publish(&b->v, q);
}

/* --- Life -------------------------------------------------------------------------------- */

static const struct virtio_kind kind = {
	.name = "virtio-blk", .type = 2, .class = 0x010000, .queues = 1, .queue_size = VIRTQ_SIZE,
	.features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH,
	.config_size = 24,
	.notify = virtio_blk_notify,
};

static void put(uint8_t *to, uint64_t val, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		to[i] = (uint8_t)(val >> 8 * i);
}

static void unit_add(struct blk *b, struct machine *m)
{
	put(b->v.config, disk_size(b->disk) / SECTOR, 8);
	put(b->v.config + 12, VIRTQ_SIZE - 2, 4);	/* parts besides head and status */
	put(b->v.config + 20, SECTOR, 4);
	virtio_add(&b->v, m, SLOT + b->number, &kind,
		   kind.features | (disk_readonly(b->disk) ? F_RO : 0), &virtio_blk_device, b);
}

/* Ports are a unit's, not the device's: virtio_add() said so. */
static uint32_t virtio_blk_in(void *unit, uint16_t port, unsigned size)
{
	return virtio_in(&((struct blk *)unit)->v, port, size);
}

static void virtio_blk_out(void *unit, uint16_t port, uint32_t val, unsigned size)
{
	virtio_out(&((struct blk *)unit)->v, port, val, size);
}

static int virtio_blk_init(void *dev, struct machine *m)
{
	struct virtio_blk *d = dev;

	for (unsigned i = 0; i < MACHINE_DISKS; i++) {
		d->units[i].number = i;
		d->units[i].disk = m->virtio_disks[i];
		if (d->units[i].disk)
			unit_add(&d->units[i], m);
	}
	return 0;
}

static void virtio_blk_reset(void *dev)
{
	struct virtio_blk *d = dev;

	for (unsigned i = 0; i < MACHINE_DISKS; i++)
		if (d->units[i].disk)
			virtio_reset(&d->units[i].v);
}

static void virtio_blk_save(void *dev, struct state *s)
{
	struct virtio_blk *d = dev;

	state_begin(s, virtio_blk_device.name, VIRTIO_BLK_VERSION);
	for (unsigned i = 0; i < MACHINE_DISKS; i++)
		if (d->units[i].disk)
			virtio_save(&d->units[i].v, s);
}

static int virtio_blk_restore(void *dev, struct state *s)
{
	struct virtio_blk *d = dev;

	if (state_enter(s, virtio_blk_device.name) != VIRTIO_BLK_VERSION)
		return -EINVAL;
	for (unsigned i = 0; i < MACHINE_DISKS; i++)
		if (d->units[i].disk)
			virtio_restore(&d->units[i].v, s);
	return s->bad ? -EINVAL : 0;
}

static void virtio_blk_fini(void *dev)
{
	struct virtio_blk *d = dev;

	for (unsigned i = 0; i < MACHINE_DISKS; i++)
		if (d->units[i].disk)
			pci_remove(&d->units[i].v.pci);
}

const struct device_ops virtio_blk_device = {
	.name = "virtio-blk", .state_size = sizeof(struct virtio_blk),
	.init = virtio_blk_init, .reset = virtio_blk_reset,
	.in = virtio_blk_in, .out = virtio_blk_out,
	.save = virtio_blk_save, .restore = virtio_blk_restore, .fini = virtio_blk_fini,
};

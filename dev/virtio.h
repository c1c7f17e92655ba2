/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio (OASIS Virtual I/O Device 1.0): split queues (dev/virtio_queue.c) on a PCI function
 * that speaks both the 1.0 layout and the legacy one (dev/virtio_pci.c). Drivers choose; the
 * devices themselves (dev/virtio_net.c, dev/virtio_blk.c) hardly know which.
 *
 * Everything here is on the vCPU thread, so a queue is never seen half written and needs no
 * barriers. Whatever a guest puts into one is checked when it is used; what no driver may do
 * breaks the device, which then waits for a reset (2.1.2) and touches nothing.
 */
#ifndef DEV_VIRTIO_H
#define DEV_VIRTIO_H

#include "dev/pci.h"

#define VIRTIO_QUEUES	2		/* of a device, at most */
#define VIRTQ_SIZE	256u		/* entries of a queue, at most; a power of two */
#define VIRTIO_CONFIG	64u		/* bytes of device-specific configuration, at most */

/* Device status. */
#define VIRTIO_DRIVER_OK	0x04
#define VIRTIO_FEATURES_OK	0x08
#define VIRTIO_NEEDS_RESET	0x40

/* Features of every device. */
#define VIRTIO_ANY_LAYOUT	(1ull << 27)	/* legacy: a header need not be a part of its own */
#define VIRTIO_INDIRECT		(1ull << 28)
#define VIRTIO_EVENT_IDX	(1ull << 29)
#define VIRTIO_VERSION_1	(1ull << 32)

struct virtq {
	uint16_t size;			/* entries; a power of two */
	bool ready;
	uint64_t desc, avail, used;	/* guest-physical */
	uint16_t next;			/* the entry of avail that is looked at next */
	uint16_t done;			/* entries of used ever made */
	uint16_t published;		/* of them, those that the driver was shown */
};

struct virtio_part {
	gpa_t at;
	uint32_t len;
};

/* A chain of descriptors: bytes for the device to read, then bytes for it to write. */
struct virtio_chain {
	uint16_t head;
	unsigned nout, nin;
	uint64_t out, in;		/* bytes */
	struct virtio_part parts[VIRTQ_SIZE];	/* nout, then nin of them */
};

/* What a device is. */
struct virtio_kind {
	const char *name;
	uint16_t type;			/* 5 */
	uint32_t class;			/* as pci_identify() has it */
	unsigned queues;
	uint16_t queue_size;
	uint64_t features;
	unsigned config_size;
	/* There is something in a queue, or may be. */
	void (*notify)(void *self, unsigned queue);
	/* The driver has begun anew. May be NULL. */
	void (*reset)(void *self);
};

struct virtio {
	struct pci_function pci;
	const struct virtio_kind *kind;
	void *self;
	uint64_t offered, accepted;	/* features */
	uint32_t select[2];		/* of device's and driver's features, which 32 bits */
	uint16_t queue;			/* which one registers are about */
	uint8_t status, isr;
	struct virtq queues[VIRTIO_QUEUES];
	uint8_t config[VIRTIO_CONFIG];	/* filled by the device before virtio_add() */
};

/* --- virtio_pci.c ------------------------------------------------------------------ */

/* Onto the bus; v->config is filled. offered: kind's features, or fewer of them. */
void virtio_add(struct virtio *v, struct machine *m, unsigned slot, const struct virtio_kind *kind,
		uint64_t offered, const struct device_ops *ops, void *self);
uint32_t virtio_in(struct virtio *v, uint16_t port, unsigned size);
void virtio_out(struct virtio *v, uint16_t port, uint32_t val, unsigned size);
void virtio_reset(struct virtio *v);	/* as by the machine's */
void virtio_save(struct virtio *v, struct state *s);
void virtio_restore(struct virtio *v, struct state *s);	/* sets s->bad if it is none */

static inline bool virtio_has(const struct virtio *v, uint64_t feature)
{
	return v->accepted & feature;
}
/* The driver lets the device work. */
bool virtio_runs(const struct virtio *v);
void virtio_interrupt(struct virtio *v);
/* The driver has done what none may do. */
void virtio_break(struct virtio *v);

/* --- virtio_queue.c ---------------------------------------------------------------- */

/* Takes the next chain; false: there is none, or the device is broken. */
bool virtq_pop(struct virtio *v, struct virtq *q, struct virtio_chain *c);
/* The last `count` chains taken, none of which was pushed, are in the queue again. */
void virtq_unpop(struct virtq *q, unsigned count);
/* A chain is done, and `written` bytes of it were written. The driver sees it with: */
void virtq_push(struct virtio *v, struct virtq *q, uint16_t head, uint32_t written);
/* Shows what was pushed, and interrupts if the driver wants to know. */
void virtq_publish(struct virtio *v, struct virtq *q);
/* Whether the driver is to notify of what it adds from now on. */
void virtq_listen(struct virtio *v, struct virtq *q, bool on);
/* Bytes from off on of what the device reads or writes; false, and broken, if they are not RAM. */
bool chain_read(struct virtio *v, const struct virtio_chain *c, uint64_t off, void *buf, size_t n);
bool chain_write(struct virtio *v, const struct virtio_chain *c, uint64_t off, const void *buf,
		 size_t n);

#endif

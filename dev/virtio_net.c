/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-net (Virtio 1.0, 5.1): queue 0 for frames to the guest, queue 1 for those from it. At
 * the other end of the cable there is only software, so a frame may be as long as an IP packet:
 * a guest sends TCP in pieces of 64 KiB with checksums that are filled in here.
 *
 *	before each frame:  flags 8 | GSO type 8 | header length 16 | GSO size 16
 *		| checksum's start 16 | its place from there 16 | number of buffers 16 (or not)
 *
 * Frames that the guest has no buffers for stay on the cable.
 */
#include "dev/net.h"
#include "dev/table.h"
#include "dev/virtio.h"
#include "machine/snapshot.h"

#include <errno.h>
#include <string.h>

#define VIRTIO_NET_VERSION 1
#define SLOT		3
#define RX		0
#define TX		1

#define F_CSUM		(1ull << 0)
#define F_GUEST_CSUM	(1ull << 1)
#define F_MAC		(1ull << 5)
#define F_HOST_TSO4	(1ull << 11)
#define F_MRG_RXBUF	(1ull << 15)
#define F_STATUS	(1ull << 16)

#define HDR_NEEDS_CSUM	1
#define HDR_DATA_VALID	2
#define HDR_SHORT	10u
#define HDR_LONG	12u

struct header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};
_Static_assert(sizeof(struct header) == HDR_LONG, "the header is 12 bytes");

struct virtio_net {
	struct virtio v;
	struct net *net;		/* NULL: the machine has no such device */
	bool waiting;			/* the cable was full: chains are left in TX */
	struct virtio_chain first, more;
};

static unsigned header_size(const struct virtio *v)
{
	return virtio_has(v, F_MRG_RXBUF | VIRTIO_VERSION_1) ? HDR_LONG : HDR_SHORT;
}

/* --- From the guest ------------------------------------------------------------------ */

/* RFC 1071. The sum of words in the host's order is that in the network's, swapped. */
static uint16_t checksum(const uint8_t *p, size_t n)
{
	uint64_t sum = 0;
	uint16_t w;

	for (; n >= 4; p += 4, n -= 4) {
		uint32_t two;

		memcpy(&two, p, 4);
		sum += two;
	}
	for (; n >= 2; p += 2, n -= 2) {
		memcpy(&w, p, 2);
		sum += w;
	}
	if (n)
		sum += *p;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The guest has left the pseudo-header's sum in the checksum's place. */
static void checksum_fill(uint8_t *frame, size_t len, const struct header *h)
{
	size_t place = (size_t)h->csum_start + h->csum_offset;
	uint16_t sum;

	if (!(h->flags & HDR_NEEDS_CSUM) || place + 2 > len)
		return;
	sum = checksum(frame + h->csum_start, len - h->csum_start);
	if (!sum)
		sum = 0xffff;		/* 0 means none, in UDP; they are equal otherwise */
	memcpy(frame + place, &sum, 2);
}

/* False: there is no room on the cable. A frame that is none is dropped. */
static bool send(struct virtio_net *n, const struct virtio_chain *c)
{
	struct header h = { 0 };
	unsigned size = header_size(&n->v);
	size_t len;
	uint8_t *to;

	if (c->out < size + NET_HEADER || c->out > size + NET_FRAME_MAX)
		return true;
	len = (size_t)c->out - size;
	to = net_room(n->net, len);
	if (!to)
		return false;
	if (!chain_read(&n->v, c, 0, &h, size) || !chain_read(&n->v, c, size, to, len))
		return true;
	checksum_fill(to, len, &h);
	net_put(n->net, len);
	return true;
}

static void send_all(struct virtio_net *n)
{
	struct virtio *v = &n->v;
	struct virtq *q = &v->queues[TX];
	struct virtio_chain *c = &n->first;

	n->waiting = false;
	while (virtq_pop(v, q, c)) {
		if (!send(n, c)) {
			virtq_unpop(q, 1);
			n->waiting = true;
			break;
		}
		virtq_push(v, q, c->head, 0);
	}
	net_flush(n->net);
	virtq_listen(v, q, !n->waiting);
	virtq_publish(v, q);
}

/* --- To the guest ---------------------------------------------------------------------- */

/* The rest of a frame into further buffers (5.1.6.4); their number, or 0: there are not enough. */
static unsigned fill_more(struct virtio_net *n, const uint8_t *frame, size_t len)
{
	struct virtq *q = &n->v.queues[RX];
	struct virtio_chain *c = &n->more;
	unsigned count = 0;

	while (len) {
		size_t part;

		if (count == q->size || !virtq_pop(&n->v, q, c))
			return 0;
		part = c->in < len ? (size_t)c->in : len;
		if (!chain_write(&n->v, c, 0, frame, part))
			return 0;
		virtq_push(&n->v, q, c->head, (uint32_t)part);
		frame += part;
		len -= part;
		count++;
	}
	return count;
}

/* False: it stays on the cable. */
static bool receive(struct virtio_net *n, const uint8_t *frame, size_t len)
{
	struct virtio *v = &n->v;
	struct virtq *q = &v->queues[RX];
	const struct virtq before = *q;
	struct virtio_chain *c = &n->first;
	struct header h = { .flags = virtio_has(v, F_GUEST_CSUM) ? HDR_DATA_VALID : 0,
			    .num_buffers = 1 };
	unsigned size = header_size(v);
	size_t part;

	if (!virtq_pop(v, q, c))
		return false;
	if (c->in < size || (c->in - size < len && !virtio_has(v, F_MRG_RXBUF))) {
		virtq_unpop(q, 1);	/* no buffer for this frame: it is lost, not the buffer */
		return true;
	}
	part = c->in - size < len ? (size_t)c->in - size : len;
	virtq_push(v, q, c->head, (uint32_t)(size + part));
	if (part < len) {
		unsigned more = fill_more(n, frame + part, len - part);

		if (!more) {
			q->next = before.next;
			q->done = before.done;
			return false;
		}
		h.num_buffers = (uint16_t)(1 + more);
	}
	chain_write(v, c, 0, &h, size);
	chain_write(v, c, size, frame, part);
	return true;
}

/* What comes while no driver listens is lost. */
static void receive_all(struct virtio_net *n)
{
	struct virtio *v = &n->v;
	struct virtq *q = &v->queues[RX];
	bool up = v->status & VIRTIO_DRIVER_OK && q->ready && virtio_runs(v), starved = false;
	const uint8_t *frame;
	size_t len;

	while (!starved && (frame = net_peek(n->net, &len))) {
		if (up && !receive(n, frame, len) && virtio_runs(v))
			starved = true;
		else
			net_next(n->net);
	}
	if (!up)
		return;
	virtq_listen(v, q, starved);
	virtq_publish(v, q);
}

static void virtio_net_notify(void *self, unsigned queue)
{
	if (queue == TX)
		send_all(self);
	else
		receive_all(self);
}

static void virtio_net_ready(void *arg)
{
	struct virtio_net *n = arg;

	receive_all(n);
	if (n->waiting)
		send_all(n);
}

static void virtio_net_begun(void *self)
{
	struct virtio_net *n = self;

	n->waiting = false;
	receive_all(n);
}

/* --- Life -------------------------------------------------------------------------------- */

static const struct virtio_kind kind = {
	.name = "virtio-net", .type = 1, .class = 0x020000, .queues = 2, .queue_size = VIRTQ_SIZE,
	.features = F_CSUM | F_GUEST_CSUM | F_MAC | F_HOST_TSO4 | F_MRG_RXBUF | F_STATUS,
	.config_size = 8,		/* address, status: the link is up */
	.notify = virtio_net_notify, .reset = virtio_net_begun,
};

static uint32_t virtio_net_in(void *dev, uint16_t port, unsigned size)
{
	return virtio_in(&((struct virtio_net *)dev)->v, port, size);
}

static void virtio_net_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	virtio_out(&((struct virtio_net *)dev)->v, port, val, size);
}

static int virtio_net_init(void *dev, struct machine *m)
{
	struct virtio_net *n = dev;

	if (!m->net || m->config->net.model != NIC_VIRTIO)
		return 0;
	n->net = m->net;
	memcpy(n->v.config, m->config->net.mac, 6);
	n->v.config[6] = 1;
	virtio_add(&n->v, m, SLOT, &kind, kind.features, &virtio_net_device, n);
	net_attach(n->net, virtio_net_ready, n);
	return 0;
}

static void virtio_net_reset(void *dev)
{
	struct virtio_net *n = dev;

	if (n->net)
		virtio_reset(&n->v);
}

static void virtio_net_save(void *dev, struct state *s)
{
	struct virtio_net *n = dev;

	if (!n->net)
		return;
	state_begin(s, virtio_net_device.name, VIRTIO_NET_VERSION);
	virtio_save(&n->v, s);
}

static int virtio_net_restore(void *dev, struct state *s)
{
	struct virtio_net *n = dev;

	if (!n->net)
		return 0;
	if (state_enter(s, virtio_net_device.name) != VIRTIO_NET_VERSION)
		return -EINVAL;
	virtio_restore(&n->v, s);
	n->waiting = true;		/* perhaps; the next frame tells */
	return s->bad ? -EINVAL : 0;
}

static void virtio_net_fini(void *dev)
{
	struct virtio_net *n = dev;

	if (!n->net)
		return;
	net_attach(n->net, NULL, NULL);
	pci_remove(&n->v.pci);
}

const struct device_ops virtio_net_device = {
	.name = "virtio-net", .state_size = sizeof(struct virtio_net),
	.init = virtio_net_init, .reset = virtio_net_reset,
	.in = virtio_net_in, .out = virtio_net_out,
	.save = virtio_net_save, .restore = virtio_net_restore, .fini = virtio_net_fini,
};

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split virtqueues (Virtio 1.0, 2.4): chains of descriptors taken from the available ring,
 * given back in the used ring.
 *
 *	descriptor	address 64 | length 32 | flags 16: 1 next, 2 write, 4 indirect | next 16
 *	available ring	flags 16: 1 no interrupt | index 16 | size entries of 16 | used_event 16
 *	used ring	flags 16: 1 no notification | index 16 | size entries of id 32, length 32
 *			| avail_event 16
 *
 * Only RAM is read and written, so that no address leads into a device.
 */
#include "dev/virtio.h"

#include <string.h>

#define DESC_SIZE	16u
#define DESC_NEXT	1
#define DESC_WRITE	2
#define DESC_INDIRECT	4
#define NO_INTERRUPT	1
#define NO_NOTIFY	1

struct desc {
	uint64_t at;
	uint32_t len;
	uint16_t flags, next;
};
_Static_assert(sizeof(struct desc) == DESC_SIZE, "a descriptor is 16 bytes");

static bool guest_read(struct virtio *v, gpa_t at, void *buf, size_t n)
{
	if (phys_read_bulk(&v->pci.m->mem, at, buf, n))
		return true;
	virtio_break(v);
	return false;
}

static bool guest_write(struct virtio *v, gpa_t at, const void *buf, size_t n)
{
	if (phys_write_bulk(&v->pci.m->mem, at, buf, n))
		return true;
	virtio_break(v);
	return false;
}

static uint16_t read16(struct virtio *v, gpa_t at)
{
	uint16_t val = 0;

	guest_read(v, at, &val, sizeof(val));
	return val;
}

/* --- Taking -------------------------------------------------------------------------- */

static bool broken(struct virtio *v)
{
	virtio_break(v);
	return false;
}

/* One buffer of a chain. What is written comes after all that is read (2.4.4.2). */
static bool chain_add(struct virtio *v, struct virtio_chain *c, const struct desc *d)
{
	if (c->nout + c->nin == VIRTQ_SIZE || (c->nin && !(d->flags & DESC_WRITE)))
		return broken(v);
	c->parts[c->nout + c->nin] = (struct virtio_part){ d->at, d->len };
	if (d->flags & DESC_WRITE) {
		c->nin++;
		c->in += d->len;
	} else {
		c->nout++;
		c->out += d->len;
	}
	return true;
}

/* The chain that begins with entry i of a table of n; a loop is longer than any table. */
static bool chain_follow(struct virtio *v, struct virtio_chain *c, gpa_t table, unsigned n,
			 unsigned i, bool indirect)
{
	for (unsigned count = 0; count < n; count++) {
		struct desc d;

		if (i >= n)
			return broken(v);
		if (!guest_read(v, table + DESC_SIZE * i, &d, sizeof(d)))
			return false;
		if (d.flags & DESC_INDIRECT) {
			unsigned entries = d.len / DESC_SIZE;

			if (indirect || !virtio_has(v, VIRTIO_INDIRECT) || d.flags & DESC_NEXT ||
			    d.len % DESC_SIZE || !entries || entries > UINT16_MAX)
				return broken(v);
			return chain_follow(v, c, d.at, entries, 0, true);
		}
		if (!chain_add(v, c, &d))
			return false;
		if (!(d.flags & DESC_NEXT))
			return true;
		i = d.next;
	}
	return broken(v);
}

bool virtq_pop(struct virtio *v, struct virtq *q, struct virtio_chain *c)
{
	uint16_t waiting, head;

	if (!q->ready || !virtio_runs(v))
		return false;
	waiting = (uint16_t)(read16(v, q->avail + 2) - q->next);
	if (!waiting || !virtio_runs(v))
		return false;
	if (waiting > q->size)
		return broken(v);
	head = read16(v, q->avail + 4 + 2 * (q->next % q->size));
	c->head = head;
	c->nout = c->nin = 0;
	c->out = c->in = 0;
	if (!virtio_runs(v) || !chain_follow(v, c, q->desc, q->size, head, false))
		return false;
	q->next++;
	return true;
}

void virtq_unpop(struct virtq *q, unsigned count)
{
	q->next = (uint16_t)(q->next - count);
}

/* --- Giving back --------------------------------------------------------------------- */

void virtq_push(struct virtio *v, struct virtq *q, uint16_t head, uint32_t written)
{
	uint32_t element[2] = { head, written };

	if (guest_write(v, q->used + 4 + 8 * (q->done % q->size), element, sizeof(element)))
		q->done++;
}

static bool interrupt_wanted(struct virtio *v, const struct virtq *q, uint16_t before)
{
	uint16_t event;

	if (!virtio_has(v, VIRTIO_EVENT_IDX))
		return !(read16(v, q->avail) & NO_INTERRUPT);
	event = read16(v, q->avail + 4 + 2 * q->size);
	return (uint16_t)(q->done - event - 1) < (uint16_t)(q->done - before);
}

void virtq_publish(struct virtio *v, struct virtq *q)
{
	uint16_t before = q->published;

	if (q->done == before || !virtio_runs(v))
		return;
	q->published = q->done;
	if (guest_write(v, q->used + 2, &q->done, sizeof(q->done)) && interrupt_wanted(v, q, before))
		virtio_interrupt(v);
}

void virtq_listen(struct virtio *v, struct virtq *q, bool on)
{
	uint16_t flags = on ? 0 : NO_NOTIFY;

	if (!q->ready || !virtio_runs(v))
		return;
	if (!virtio_has(v, VIRTIO_EVENT_IDX))
		guest_write(v, q->used, &flags, sizeof(flags));
	else if (on)		/* otherwise what it says has passed already */
		guest_write(v, q->used + 4 + 8 * q->size, &q->next, sizeof(q->next));
}

/* --- Bytes of a chain ---------------------------------------------------------------- */

/* Where off lies in parts: the part, and the rest of off in it. */
static const struct virtio_part *part_find(const struct virtio_part *p, uint64_t *off)
{
	while (*off >= p->len)
		*off -= (p++)->len;
	return p;
}

static bool chain_move(struct virtio *v, const struct virtio_part *p, uint64_t off, uint8_t *buf,
		       size_t n, bool write)
{
	for (p = n ? part_find(p, &off) : p; n; p++, off = 0) {
		size_t part = p->len - off < n ? (size_t)(p->len - off) : n;

		if (!(write ? guest_write(v, p->at + off, buf, part)
			    : guest_read(v, p->at + off, buf, part)))
			return false;
		buf += part;
		n -= part;
	}
	return true;
}

bool chain_read(struct virtio *v, const struct virtio_chain *c, uint64_t off, void *buf, size_t n)
{
	bug_on(off > c->out || n > c->out - off);
	return chain_move(v, c->parts, off, buf, n, false);
}

bool chain_write(struct virtio *v, const struct virtio_chain *c, uint64_t off, const void *buf,
		 size_t n)
{
	bug_on(off > c->in || n > c->in - off);
	return chain_move(v, c->parts + c->nout, off, (uint8_t *)(uintptr_t)buf, n, true);
}

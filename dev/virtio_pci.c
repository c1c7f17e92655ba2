/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio over PCI (Virtio 1.0, 4.1), transitional: BAR 0 has the ports of the legacy layout
 * (4.1.4.8), BAR 4 the structures that the capabilities tell of. Interrupts are by the pin.
 *
 *	ports	0 offered 32 | 4 accepted 32 | 8 queue's page 32 | 12 size 16 | 14 select 16
 *		| 16 notify 16 | 18 status 8 | 19 ISR 8 | 20 device's configuration
 *
 *	memory	0x0000 common configuration | 0x1000 ISR | 0x2000 device's configuration
 *		| 0x3000 notify: 4 bytes for each queue
 */
#include "dev/virtio.h"
#include "machine/snapshot.h"

#include <string.h>

#define VENDOR		0x1af4
#define DEVICE_LEGACY	0x1000		/* net, blk: the type from here on */
#define PCI_CAPABILITIES 0x34
#define STATUS_HAS_CAPABILITIES 0x10

#define PORTS		128u
#define P_CONFIG	20u
#define BAR_MEMORY	4
#define MEMORY_SIZE	0x4000u
#define COMMON_SIZE	56u
#define M_ISR		0x1000u
#define M_DEVICE	0x2000u
#define M_NOTIFY	0x3000u
#define NOTIFY_STEP	4u

#define ISR_QUEUE	1
#define ISR_CONFIG	2
#define NO_VECTOR	0xffff		/* there is no MSI-X */
#define LEGACY_PAGE	4096u

/* The window in configuration space: bar, offset and length of an access, and its data. */
#define CAP_WINDOW	0x84u
#define WINDOW_BAR	(CAP_WINDOW + 4)
#define WINDOW_OFFSET	(CAP_WINDOW + 8)
#define WINDOW_LENGTH	(CAP_WINDOW + 12)
#define WINDOW_DATA	(CAP_WINDOW + 16)

/* --- State --------------------------------------------------------------------------- */

bool virtio_runs(const struct virtio *v)
{
	if (v->status & VIRTIO_NEEDS_RESET)
		return false;
	/* Legacy drivers may use queues earlier, and forget to make the device a bus master. */
	return !virtio_has(v, VIRTIO_VERSION_1) ||
	       (v->status & VIRTIO_DRIVER_OK && v->pci.config[PCI_COMMAND] & PCI_COMMAND_MASTER);
}

static void isr_set(struct virtio *v, uint8_t isr)
{
	v->isr = isr;
	pci_interrupt(&v->pci, isr);
}

void virtio_interrupt(struct virtio *v)
{
	isr_set(v, v->isr | ISR_QUEUE);
}

void virtio_break(struct virtio *v)
{
	if (v->status & VIRTIO_NEEDS_RESET)
		return;
	v->status |= VIRTIO_NEEDS_RESET;
	isr_set(v, v->isr | ISR_CONFIG);
}

static uint8_t isr_take(struct virtio *v)
{
	uint8_t isr = v->isr;

	isr_set(v, 0);
	return isr;
}

static void driver_reset(struct virtio *v)
{
	v->accepted = 0;
	v->select[0] = v->select[1] = 0;
	v->queue = 0;
	v->status = 0;
	memset(v->queues, 0, sizeof(v->queues));
	for (unsigned i = 0; i < v->kind->queues; i++)
		v->queues[i].size = v->kind->queue_size;
	isr_set(v, 0);
	if (v->kind->reset)
		v->kind->reset(v->self);
}

static void notify(struct virtio *v, unsigned queue)
{
	if (queue < v->kind->queues && v->queues[queue].ready && virtio_runs(v))
		v->kind->notify(v->self, queue);
}

static void status_write(struct virtio *v, uint8_t val)
{
	bool starts = val & ~v->status & VIRTIO_DRIVER_OK;

	if (!val) {
		driver_reset(v);
		return;
	}
	if (val & ~v->status & VIRTIO_FEATURES_OK &&
	    (v->accepted & ~v->offered || !virtio_has(v, VIRTIO_VERSION_1)))
		val &= (uint8_t)~VIRTIO_FEATURES_OK;
	v->status = val | (v->status & VIRTIO_NEEDS_RESET);
	for (unsigned i = 0; starts && i < v->kind->queues; i++)
		notify(v, i);
}

/* The queue that registers are about, or NULL. */
static struct virtq *selected(struct virtio *v)
{
	return v->queue < v->kind->queues ? &v->queues[v->queue] : NULL;
}

static uint64_t config_read(const struct virtio *v, uint64_t off, unsigned size)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < size; i++)
		if (off + i < v->kind->config_size)
			val |= (uint64_t)v->config[off + i] << 8 * i;
	return val;
}

/* --- The legacy ports ------------------------------------------------------------------ */

/* One page number places all parts of a queue (2.4.2). */
static void legacy_place(struct virtq *q, uint32_t page)
{
	uint64_t end;

	*q = (struct virtq){ .size = q->size, .ready = page, .desc = (uint64_t)page * LEGACY_PAGE };
	q->avail = q->desc + 16ull * q->size;
	end = q->avail + 2ull * (3 + q->size);
	q->used = (end + LEGACY_PAGE - 1) & ~(uint64_t)(LEGACY_PAGE - 1);
}

uint32_t virtio_in(struct virtio *v, uint16_t port, unsigned size)
{
	unsigned off = port & (PORTS - 1);
	const struct virtq *q = selected(v);

	if (off >= P_CONFIG)
		return (uint32_t)config_read(v, off - P_CONFIG, size);
	switch (off) {
	case 0: return (uint32_t)v->offered;
	case 4: return (uint32_t)v->accepted;
	case 8: return q && q->ready ? (uint32_t)(q->desc / LEGACY_PAGE) : 0;
	case 12: return q ? q->size : 0;
	case 14: return v->queue;
	case 18: return v->status;
	case 19: return isr_take(v);
	default: return 0;
	}
}

void virtio_out(struct virtio *v, uint16_t port, uint32_t val, unsigned size)
{
	struct virtq *q = selected(v);

	(void)size;
	switch (port & (PORTS - 1)) {
	case 4:
		if (!(v->status & VIRTIO_DRIVER_OK))
			v->accepted = val & (uint32_t)v->offered;
		break;
	case 8:
		if (!val)		/* the legacy way of a reset */
			driver_reset(v);
		else if (q)
			legacy_place(q, val);
		break;
	case 14: v->queue = (uint16_t)val; break;
	case 16: notify(v, val & 0xffff); break;
	case 18: status_write(v, (uint8_t)val); break;
	}
}

/* --- The common configuration ------------------------------------------------------------ */

static uint32_t half_of(uint64_t features, uint32_t which)
{
	return which < 2 ? (uint32_t)(features >> 32 * which) : 0;
}

/* Where the register begins that has byte `off`. */
static unsigned register_at(uint64_t off)
{
	return (unsigned)(off < 16 ? off & ~3ull : off < 32 ? off & ~1ull : off & ~7ull);
}

static uint64_t common_register(struct virtio *v, unsigned first)
{
	const struct virtq none = { 0 }, *q = selected(v);

	if (!q)
		q = &none;
	switch (first) {
	case 0: return v->select[0];
	case 4: return half_of(v->offered, v->select[0]);
	case 8: return v->select[1];
	case 12: return half_of(v->accepted, v->select[1]);
	case 16: return NO_VECTOR;
	case 18: return v->kind->queues;
	case 20: return v->status;		/* and the configuration's generation, always 0 */
	case 22: return v->queue;
	case 24: return q->size;
	case 26: return NO_VECTOR;
	case 28: return q->ready;
	case 30: return v->queue;		/* its place in the notify structure */
	case 32: return q->desc;
	case 40: return q->avail;
	case 48: return q->used;
	default: return 0;
	}
}

static uint64_t common_read(struct virtio *v, uint64_t off, unsigned size)
{
	unsigned first = register_at(off);
	uint64_t val = common_register(v, first) >> 8 * (off - first);

	return size < 8 ? val & ((1ull << 8 * size) - 1) : val;
}

static void accept(struct virtio *v, uint32_t val)
{
	unsigned shift = 32 * v->select[1];

	if (v->select[1] < 2 && !(v->status & VIRTIO_FEATURES_OK))
		v->accepted = (v->accepted & ~(0xffffffffull << shift)) | (uint64_t)val << shift;
}

/* A power of two that is not more than what was offered (4.1.4.3.2). */
static void size_write(const struct virtio *v, struct virtq *q, uint16_t size)
{
	if (size && size <= v->kind->queue_size && !(size & (size - 1)))
		q->size = size;
}

/* Alignments as 2.4 asks for. */
static void enable_write(struct virtio *v, struct virtq *q, bool on)
{
	if (on && (q->desc & 15 || q->avail & 1 || q->used & 3))
		virtio_break(v);
	else if (on)
		q->ready = true;
}

static void queue_write(struct virtio *v, struct virtq *q, unsigned first, uint64_t val)
{
	switch (first) {
	case 28: enable_write(v, q, val & 1); return;
	case 24: if (!q->ready) size_write(v, q, (uint16_t)val); return;
	case 32: if (!q->ready) q->desc = val; return;
	case 40: if (!q->ready) q->avail = val; return;
	case 48: if (!q->ready) q->used = val; return;
	}
}

static void common_write(struct virtio *v, uint64_t off, uint64_t val, unsigned size)
{
	unsigned first = register_at(off), shift = 8 * (unsigned)(off - first);
	uint64_t mask = (size < 8 ? (1ull << 8 * size) - 1 : ~0ull) << shift;

	/* Half of a register keeps its other half. */
	val = (common_register(v, first) & ~mask) | (val << shift & mask);
	switch (first) {
	case 0: v->select[0] = (uint32_t)val; break;
	case 8: v->select[1] = (uint32_t)val; break;
	case 12: accept(v, (uint32_t)val); break;
	case 20: status_write(v, (uint8_t)val); break;
	case 22: v->queue = (uint16_t)val; break;
	default:
		if (selected(v))
			queue_write(v, selected(v), first, val);
	}
}

/* --- BAR 4, and the window to it in configuration space ------------------------------------ */

static uint64_t memory_read(void *dev, uint64_t off, unsigned size)
{
	struct virtio *v = dev;

	if (off < M_ISR)
		return common_read(v, off, size);
	if (off < M_DEVICE)
		return off == M_ISR ? isr_take(v) : 0;
	return off < M_NOTIFY ? config_read(v, off - M_DEVICE, size) : 0;
}

static void memory_write(void *dev, uint64_t off, uint64_t val, unsigned size)
{
	struct virtio *v = dev;

	if (off < M_ISR)
		common_write(v, off, val, size);
	else if (off >= M_NOTIFY)
		notify(v, (unsigned)(off - M_NOTIFY) / NOTIFY_STEP);
}

/* The size of the access that the window is set to, or 0. */
static unsigned window_size(const struct virtio *v)
{
	uint32_t len = pci_get32(&v->pci, WINDOW_LENGTH), off = pci_get32(&v->pci, WINDOW_OFFSET);

	return v->pci.config[WINDOW_BAR] == BAR_MEMORY && (len == 1 || len == 2 || len == 4) &&
	       off < MEMORY_SIZE && off % len == 0 ? len : 0;
}

static bool in_window_data(unsigned off, unsigned size)
{
	return off + size > WINDOW_DATA && off < WINDOW_DATA + 4;
}

static void window_reading(void *self, unsigned off, unsigned size)
{
	struct virtio *v = self;
	unsigned n = window_size(v);

	if (n && in_window_data(off, size))
		pci_put32(&v->pci, WINDOW_DATA,
			  (uint32_t)memory_read(v, pci_get32(&v->pci, WINDOW_OFFSET), n));
}

static void window_written(void *self, unsigned off, unsigned size)
{
	struct virtio *v = self;
	unsigned n = window_size(v);

	if (n && in_window_data(off, size))
		memory_write(v, pci_get32(&v->pci, WINDOW_OFFSET), pci_get32(&v->pci, WINDOW_DATA), n);
}

/* --- Life ------------------------------------------------------------------------------------ */

/* 4.1.4: what kind of structure is where. */
static const struct capability {
	uint8_t at, next, kind, size;
	uint32_t offset;
} capabilities[] = {
	{ 0x40, 0x50, 1, 16, 0 },			/* common configuration */
	{ 0x50, 0x60, 3, 16, M_ISR },
	{ 0x60, 0x70, 4, 16, M_DEVICE },
	{ 0x70, CAP_WINDOW, 2, 20, M_NOTIFY },
	{ CAP_WINDOW, 0, 5, 20, 0 },
};
#define CAP_NOTIFY	0x70

static void capabilities_fill(struct virtio *v)
{
	const uint32_t length[] = { [1] = COMMON_SIZE, [2] = NOTIFY_STEP * v->kind->queues, [3] = 1,
				    [4] = v->kind->config_size, [5] = 0 };
	struct pci_function *f = &v->pci;

	f->config[PCI_STATUS] |= STATUS_HAS_CAPABILITIES;
	f->config[PCI_CAPABILITIES] = capabilities[0].at;
	for (unsigned i = 0; i < ARRAY_LEN(capabilities); i++) {
		const struct capability *c = &capabilities[i];

		f->config[c->at] = 0x09;		/* vendor-specific */
		f->config[c->at + 1] = c->next;
		f->config[c->at + 2] = c->size;
		f->config[c->at + 3] = c->kind;
		f->config[c->at + 4] = c->at == CAP_WINDOW ? 0 : BAR_MEMORY;
		pci_put32(f, c->at + 8u, c->offset);
		pci_put32(f, c->at + 12u, length[c->kind]);
	}
	pci_put32(f, CAP_NOTIFY + 16, NOTIFY_STEP);
	f->writable[WINDOW_BAR] = 0xff;
	memset(f->writable + WINDOW_OFFSET, 0xff, 12);	/* offset, length, data */
}

void virtio_add(struct virtio *v, struct machine *m, unsigned slot, const struct virtio_kind *kind,
		uint64_t offered, const struct device_ops *ops, void *self)
{
	struct pci_function *f = &v->pci;

	bug_on(kind->queues > VIRTIO_QUEUES || kind->queue_size > VIRTQ_SIZE ||
	       kind->config_size > VIRTIO_CONFIG || P_CONFIG + kind->config_size > PORTS);
	v->kind = kind;
	v->self = self;
	v->offered = offered | VIRTIO_ANY_LAYOUT | VIRTIO_INDIRECT | VIRTIO_EVENT_IDX |
		     VIRTIO_VERSION_1;
	pci_identify(f, VENDOR, (uint16_t)(DEVICE_LEGACY + kind->type - 1), kind->class, 0);
	pci_put32(f, PCI_SUBSYSTEM, (uint32_t)kind->type << 16 | VENDOR);
	f->config[PCI_PIN] = 1;
	capabilities_fill(v);
	f->self = v;
	f->written = window_written;
	f->reading = window_reading;
	pci_bar_io(f, 0, PORTS, 4, ops, self);
	pci_bar_memory(f, BAR_MEMORY, memory_add_range(&m->mem, &(struct range){
			.size = MEMORY_SIZE, .kind = RANGE_DEVICE, .name = kind->name, .off = true,
			.read = memory_read, .write = memory_write, .dev = v }));
	pci_add(m, slot, 0, f);
}

void virtio_reset(struct virtio *v)
{
	pci_reset(&v->pci);
	driver_reset(v);
}

void virtio_save(struct virtio *v, struct state *s)
{
	pci_save(&v->pci, s);
	state_put_u64(s, v->accepted);
	state_put_u64(s, v->select[0]);
	state_put_u64(s, v->select[1]);
	state_put_u64(s, v->queue);
	state_put_u64(s, v->status);
	state_put_u64(s, v->isr);
	for (unsigned i = 0; i < v->kind->queues; i++) {
		const struct virtq *q = &v->queues[i];

		state_put_u64(s, q->size);
		state_put_u64(s, q->ready);
		state_put_u64(s, q->desc);
		state_put_u64(s, q->avail);
		state_put_u64(s, q->used);
		state_put_u64(s, q->next);
		state_put_u64(s, q->done);
		state_put_u64(s, q->published);
	}
}

static void queue_restore(const struct virtio *v, struct virtq *q, struct state *s)
{
	q->size = (uint16_t)state_get_u64(s);
	q->ready = state_get_u64(s);
	q->desc = state_get_u64(s);
	q->avail = state_get_u64(s);
	q->used = state_get_u64(s);
	q->next = (uint16_t)state_get_u64(s);
	q->done = (uint16_t)state_get_u64(s);
	q->published = (uint16_t)state_get_u64(s);
	if (!q->size || q->size > v->kind->queue_size || q->size & (q->size - 1)) {
		q->size = v->kind->queue_size;
		s->bad = true;
	}
}

void virtio_restore(struct virtio *v, struct state *s)
{
	uint64_t accepted;

	pci_restore(&v->pci, s);
	accepted = state_get_u64(s);
	v->accepted = accepted & v->offered;
	v->select[0] = (uint32_t)state_get_u64(s);
	v->select[1] = (uint32_t)state_get_u64(s);
	v->queue = (uint16_t)state_get_u64(s);
	v->status = (uint8_t)state_get_u64(s);
	v->isr = (uint8_t)state_get_u64(s) & (ISR_QUEUE | ISR_CONFIG);
	for (unsigned i = 0; i < v->kind->queues; i++)
		queue_restore(v, &v->queues[i], s);
	if (!s->bad)
		isr_set(v, v->isr);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest could do to a network interface and to virtio devices. */
#include <string.h>

#include "dev/net.h"
#include "tests/fuzz/deeds.h"

#define below(n)	deeds_below(n)
#define value		deeds_value
#define address		deeds_address

static void pci_write(unsigned slot, unsigned off, uint32_t val, unsigned size)
{
	deeds_out(0xcf8, 0x80000000u | slot << 11 | off, 4);
	deeds_out(0xcfc, val, size);
}

/* The network interface in slot 3 and the virtio disk in slot 4 where the deeds look for them. */
void deeds_place(void)
{
	pci_write(3, 0x10, NIC_PORTS, 4);
	pci_write(3, 0x20, NIC_MEMORY, 4);
	pci_write(3, 0x04, 7, 2);
	pci_write(4, 0x10, BLK_PORTS, 4);
	pci_write(4, 0x20, BLK_MEMORY, 4);
	pci_write(4, 0x04, 7, 2);
}

/* Frames on the cable, for the interface or for anybody, and those from it taken off. */
void deed_frames(void)
{
	static const uint8_t heads[][6] = { { 0x52, 0x54, 0, 0, 0, 1 }, { 0xff, 0xff, 0xff, 0xff, 0xff,
					    0xff }, { 0x33, 0x33, 0, 0, 0, 1 } };
	size_t len;

	for (unsigned i = below(20); i; i--) {
		uint8_t *to;

		len = below(8) ? 1 + below(1600) : 1 + below(NET_FRAME_MAX);
		to = net_host_room(deeds_machine()->net, len);
		if (!to)
			break;
		memset(to, (int)i, len);
		memcpy(to, heads[below(3)], len < 6 ? len : 6);
		net_host_put(deeds_machine()->net, len);
	}
	if (below(2))
		while (net_host_peek(deeds_machine()->net, &len))
			net_host_next(deeds_machine()->net);
	net_host_flush(deeds_machine()->net);
	net_deliver(deeds_machine());
}

void deed_ne2000(void)
{
	static const uint8_t starts[] = { 0x21, 0x22, 0x22, 0x22, 0x26, 0x0a, 0x12, 0x62, 0xa2, 0xe2 };

	deeds_out(NIC_PORTS, 0x21, 1);
	deeds_out(NIC_PORTS + 1, below(4) ? 0x46 : value(), 1);
	deeds_out(NIC_PORTS + 2, below(4) ? 0x80 : value(), 1);
	deeds_out(NIC_PORTS + 3, below(4) ? 0x46 + below(0x3a) : value(), 1);
	deeds_out(NIC_PORTS + 4, below(4) ? 0x40 + below(6) : value(), 1);
	deeds_out(NIC_PORTS + 5, value(), 1);
	deeds_out(NIC_PORTS + 6, below(4) ? below(6) : value(), 1);
	deeds_out(NIC_PORTS + 8, value(), 1);
	deeds_out(NIC_PORTS + 9, below(4) ? 0x40 + below(0x40) : value(), 1);
	deeds_out(NIC_PORTS + 10, value(), 2);
	deeds_out(NIC_PORTS + 12, below(2) ? 0x1e : value(), 1);
	deeds_out(NIC_PORTS + 13, below(4) ? 0 : value(), 1);
	deeds_out(NIC_PORTS + 14, value(), 1);
	deeds_out(NIC_PORTS + 15, value(), 1);
	deeds_out(NIC_PORTS, 0x62, 1);
	deeds_out(NIC_PORTS + 7, below(4) ? 0x46 + below(0x3a) : value(), 1);
	for (unsigned i = below(6); i; i--)
		deeds_out(NIC_PORTS, starts[below(ARRAY_LEN(starts))], 1);
	for (unsigned i = below(400), size = 1u << below(3); i; i--)
		if (i & 1)
			deeds_in(NIC_PORTS + 0x10, size);
		else
			deeds_out(NIC_PORTS + 0x10, i, size);
	deed_frames();
}

/* A queue's parts are 4 KiB apart, from here on. */
#define QUEUES_AT	0x200000u
#define QUEUE_SIZE	16u

static gpa_t queue_at(bool blk, unsigned q)
{
	return QUEUES_AT + 0x10000u * (2 * blk + q);
}

static void mm(bool blk, unsigned off, uint64_t val, unsigned size)
{
	phys_write(&deeds_machine()->mem, (blk ? BLK_MEMORY : NIC_MEMORY) + off, val, size);
}

/* From reset to DRIVER_OK, mostly as a driver does it. */
void deed_virtio(void)
{
	bool blk = below(2), legacy = below(2);
	uint16_t ports = blk ? BLK_PORTS : NIC_PORTS;
	uint32_t features = below(2) ? ~0u : value();

	deeds_place();
	if (legacy) {
		deeds_out((uint16_t)(ports + 18), 0, 1);
		deeds_out((uint16_t)(ports + 4), features, 4);
	} else {
		mm(blk, 20, 0, 1);
		mm(blk, 0, 0, 4);
		mm(blk, 8, 0, 4);
		mm(blk, 12, phys_read(&deeds_machine()->mem, (blk ? BLK_MEMORY : NIC_MEMORY) + 4, 4) & features, 4);
		mm(blk, 8, 1, 4);
		mm(blk, 12, 1, 4);
		mm(blk, 20, 11, 1);
	}
	for (unsigned q = 0; q < 2; q++) {
		gpa_t at = below(16) ? queue_at(blk, q) : address();

		if (legacy) {
			deeds_out((uint16_t)(ports + 14), q, 2);
			deeds_out((uint16_t)(ports + 8), (uint32_t)(at >> 12), 4);
			continue;
		}
		mm(blk, 22, q, 2);
		mm(blk, 24, QUEUE_SIZE, 2);
		mm(blk, 32, at, 8);
		mm(blk, 40, below(16) ? at + 0x1000 : address(), 8);
		mm(blk, 48, below(16) ? at + 0x2000 : address(), 8);
		mm(blk, 28, 1, 2);
	}
	if (legacy)
		deeds_out((uint16_t)(ports + 18), 7, 1);
	else
		mm(blk, 20, 15, 1);
}

/* Descriptors that mostly make chains, some entries of the available ring, and a notification. */
void deed_queue(void)
{
	bool blk = below(2), legacy = below(2);
	unsigned q = blk ? 0 : below(2), size = legacy ? 256 : QUEUE_SIZE;
	gpa_t desc = queue_at(blk, q), avail = legacy ? desc + 16 * size : desc + 0x1000;
	uint16_t index = (uint16_t)phys_read(&deeds_machine()->mem, avail + 2, 2);

	for (unsigned i = 0; i < QUEUE_SIZE; i++) {
		uint64_t d[2] = { below(8) ? 0x100000u + below(1 << 20) : address(), 0 };
		uint32_t len = below(2) ? 16 : below(4) ? below(2000) : value();
		unsigned flags = below(16) ? (below(2) | (q == 0 && i % 3 ? 2u : 0)) : below(8);
		unsigned next = below(32) ? (i + 1) % QUEUE_SIZE : value();

		if (blk && i % 3 == 0)
			phys_write(&deeds_machine()->mem, d[0] & ~15ull, below(2) ? below(2) : below(12), 8);
		d[1] = len | (uint64_t)(flags & 0xffff) << 32 | (uint64_t)(next & 0xffff) << 48;
		phys_write_bulk(&deeds_machine()->mem, desc + 16 * i, d, sizeof(d));
	}
	for (unsigned i = below(8); i; i--)
		phys_write(&deeds_machine()->mem, avail + 4 + 2 * (index++ % size), below(32) ? below(QUEUE_SIZE) :
			   value(), 2);
	phys_write(&deeds_machine()->mem, avail + 2, below(32) ? index : value(), 2);
	phys_write(&deeds_machine()->mem, avail, below(8) ? 0 : 1, 2);
	if (legacy)
		deeds_out((blk ? BLK_PORTS : NIC_PORTS) + 16, q, 2);
	else
		mm(blk, 0x3000 + 4 * q, q, 2);
	if (!blk)
		deed_frames();
}

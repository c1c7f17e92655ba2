/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio driver for tests: the device in a slot found by its capabilities and set up in the
 * 1.0 layout or the legacy one, with queues at fixed places in RAM.
 */
#ifndef TESTS_VIRTIO_H
#define TESTS_VIRTIO_H

#include "tests/pc.h"

#define VQ_SIZE		16u
#define VQ_AT(q)	(0x10000u + 0x4000u * (q))	/* legacy: desc, avail; used on the next page */
#define DESC(q)		VQ_AT(q)
#define AVAIL(q)	(VQ_AT(q) + 16 * vq_size)
#define USED(q)		((AVAIL(q) + 6 + 2 * vq_size + 4095) & ~4095u)
#define PORTS_AT	0xc100u
#define MEMORY_AT	0xe0000000u
#define V_MRG		(1ull << 15)
#define V_INDIRECT	(1ull << 28)
#define V_EVENT		(1ull << 29)
#define V_1		(1ull << 32)

static unsigned vq_slot = 4, vq_size = VQ_SIZE;
static bool vq_legacy;
static uint16_t vq_added[2];		/* entries of avail */
static uint16_t vq_seen[2];		/* of used */

static inline uint32_t cfg_read(unsigned off)
{
	bus_out(pc.bus, 0xcf8, 0x80000000u | vq_slot << 11 | (off & 0xfc), 4);
	return bus_in(pc.bus, (uint16_t)(0xcfc + (off & 3)), 4 - (off & 3) < 2 ? 1 : off & 3 ? 2 : 4);
}

static inline void cfg_write(unsigned off, uint32_t val, unsigned size)
{
	bus_out(pc.bus, 0xcf8, 0x80000000u | vq_slot << 11 | (off & 0xfc), 4);
	bus_out(pc.bus, (uint16_t)(0xcfc + (off & 3)), val, size);
}

static inline void vq_place(void)
{
	cfg_write(0x10, PORTS_AT, 4);
	cfg_write(0x20, MEMORY_AT, 4);
	cfg_write(0x04, 7, 2);
}

static inline uint64_t mm(uint64_t off, unsigned size)
{
	return phys_read(&pc.mem, MEMORY_AT + off, size);
}

static inline void mm_out(uint64_t off, uint64_t val, unsigned size)
{
	phys_write(&pc.mem, MEMORY_AT + off, val, size);
}

static inline uint8_t v_status(void)
{
	return vq_legacy ? in(PORTS_AT + 18) : (uint8_t)mm(20, 1);
}

static inline void v_status_set(uint8_t val)
{
	if (vq_legacy)
		out(PORTS_AT + 18, val);
	else
		mm_out(20, val, 1);
}

static inline uint8_t v_isr(void)
{
	return vq_legacy ? in(PORTS_AT + 19) : (uint8_t)mm(0x1000, 1);
}

static inline void v_notify(unsigned q)
{
	if (vq_legacy)
		bus_out(pc.bus, PORTS_AT + 16, q, 2);
	else
		mm_out(0x3000 + 4 * q, q, 2);
}

static inline void vq_enable(unsigned q)
{
	vq_added[q] = vq_seen[q] = 0;
	for (unsigned i = 0; i < 0x4000; i += 8)
		phys_write(&pc.mem, VQ_AT(q) + i, 0, 8);
	if (vq_legacy) {
		bus_out(pc.bus, PORTS_AT + 14, q, 2);
		vq_size = bus_in(pc.bus, PORTS_AT + 12, 2);
		bus_out(pc.bus, PORTS_AT + 8, VQ_AT(q) >> 12, 4);
		return;
	}
	vq_size = VQ_SIZE;
	mm_out(22, q, 2);
	mm_out(24, vq_size, 2);
	mm_out(32, DESC(q), 4);
	mm_out(36, 0, 4);
	mm_out(40, AVAIL(q), 8);
	mm_out(48, USED(q), 8);
	mm_out(28, 1, 2);
}

/* From reset to DRIVER_OK. */
static inline void v_start(uint64_t features, unsigned queues)
{
	vq_legacy = !(features & V_1);
	vq_place();
	v_status_set(0);
	ck_assert_uint_eq(v_status(), 0);
	v_status_set(1);
	v_status_set(3);
	if (vq_legacy) {
		bus_out(pc.bus, PORTS_AT + 4, (uint32_t)features, 4);
	} else {
		for (unsigned i = 0; i < 2; i++) {
			mm_out(8, i, 4);
			mm_out(12, (uint32_t)(features >> 32 * i), 4);
		}
		v_status_set(11);
		ck_assert_uint_eq(v_status(), 11);
	}
	for (unsigned q = 0; q < queues; q++)
		vq_enable(q);
	v_status_set(vq_legacy ? 7 : 15);
}

enum { VD_NEXT = 1, VD_WRITE = 2, VD_INDIRECT = 4 };

static inline void vd_at(gpa_t table, unsigned i, uint64_t at, uint32_t len, unsigned flags,
			 unsigned next)
{
	phys_write(&pc.mem, table + 16 * i, at, 8);
	phys_write(&pc.mem, table + 16 * i + 8, len, 4);
	phys_write(&pc.mem, table + 16 * i + 12, flags, 2);
	phys_write(&pc.mem, table + 16 * i + 14, next, 2);
}

static inline void vd(unsigned q, unsigned i, uint64_t at, uint32_t len, unsigned flags)
{
	vd_at(DESC(q), i, at, len, flags, i + 1);
}

static inline void vq_add(unsigned q, unsigned head)
{
	phys_write(&pc.mem, AVAIL(q) + 4 + 2 * (vq_added[q] % vq_size), head, 2);
	phys_write(&pc.mem, AVAIL(q) + 2, ++vq_added[q], 2);
}

static inline uint16_t vq_used_index(unsigned q)
{
	return (uint16_t)phys_read(&pc.mem, USED(q) + 2, 2);
}

/* The length of the next used element, whose id must be this; -1: there is none. */
static inline int64_t vq_take(unsigned q, unsigned head)
{
	gpa_t at = USED(q) + 4 + 8 * (vq_seen[q] % vq_size);

	if (vq_seen[q] == vq_used_index(q))
		return -1;
	vq_seen[q]++;
	ck_assert_uint_eq(phys_read(&pc.mem, at, 4), head);
	return (int64_t)phys_read(&pc.mem, at + 4, 4);
}

#endif

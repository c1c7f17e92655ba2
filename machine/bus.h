/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port bus: 65,536 ports, each owned by at most one device. A wide access
 * to a device that registered a narrower width is split, low port first, as the
 * ISA bus does. Unowned ports read as all ones; writes to them vanish.
 */
#ifndef MACHINE_BUS_H
#define MACHINE_BUS_H

#include "machine/device.h"

struct bus;

/* 0 or -ENOMEM. */
int bus_create(struct bus **out);
void bus_destroy(struct bus *b);
/* [first, first+count) belong to dev from now on; width is the widest access
 * (1, 2, 4) that ops->in/out take whole. */
void bus_claim(struct bus *b, uint16_t first, unsigned count, unsigned width,
	       const struct device_ops *ops, void *dev);
/* Ports that the guest can move (PCI base addresses). They are claimed anew as a whole
 * whenever one changes: released together, then claimed, and the first to claim a
 * port keeps it. A port that bus_claim() gave away is never theirs. */
void bus_release_moving(struct bus *b);
void bus_claim_moving(struct bus *b, uint16_t first, unsigned count, unsigned width,
		      const struct device_ops *ops, void *dev);
/* Whose a port is, or NULL. */
const struct device_ops *bus_owner(const struct bus *b, uint16_t port);
/* An access of size 1, 2 or 4 bytes, as the vCPU makes it; what wraps beyond port FFFFh begins
 * again at 0. */
uint32_t bus_in(struct bus *b, uint16_t port, unsigned size);
void bus_out(struct bus *b, uint16_t port, uint32_t val, unsigned size);
/* The next values of a port that moves data, at most count of them: how many there are at
 * once, 0 if bus_in() must be asked. */
unsigned bus_in_block(struct bus *b, uint16_t port, unsigned size, uint8_t *to, unsigned count);

#endif

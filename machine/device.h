/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract of every device: the same five entry points (init, reset, port
 * access, save, restore), listed in one explicit table (dev/table.c). A device
 * reaches the machine only through what is declared here and in bus.h,
 * clock.h and irq.h. All entry points run on the vCPU thread.
 */
#ifndef MACHINE_DEVICE_H
#define MACHINE_DEVICE_H

#include "machine/types.h"

struct machine;
struct state;	/* snapshot.h */

struct device_ops {
	const char *name;
	size_t state_size;	/* bytes of private state, allocated and zeroed by the table walker */
	/* Registers ports, ranges and lines; m outlives the device. 0 or -errno. */
	int (*init)(void *dev, struct machine *m);
	/* Power-on state; also after a guest reset. */
	void (*reset)(void *dev);
	/* size is 1, 2 or 4. Unimplemented reads give all ones. */
	uint32_t (*in)(void *dev, uint16_t port, unsigned size);
	void (*out)(void *dev, uint16_t port, uint32_t val, unsigned size);
	/* May be NULL. What in() would give count times, as much of it as is there at once:
	 * how many, maybe 0. For ports that move data (REP INS). */
	unsigned (*in_block)(void *dev, uint16_t port, unsigned size, uint8_t *to, unsigned count);
	void (*save)(void *dev, struct state *s);
	int (*restore)(void *dev, struct state *s);	/* -EINVAL: not a valid state */
	void (*fini)(void *dev);			/* may be NULL */
};

#endif

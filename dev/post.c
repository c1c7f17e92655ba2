/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Latches of the AT's board: the POST code at 0x80 and those up to 0x8f that are not
 * DMA pages, which hold what is written (Linux writes 0x80 to pass time), and 0xf0
 * and 0xf1, where any write takes back the coprocessor's interrupt (IRQ 13).
 */
#include "dev/table.h"
#include "machine/machine.h"
#include "machine/snapshot.h"

#include <errno.h>

#define PAGES		0x80
#define NPAGES		16
#define FERR_CLEAR	0xf0
#define FERR_LINE	13

struct post {
	struct machine *m;
	uint8_t latch[NPAGES];
};

static int post_init(void *dev, struct machine *m)
{
	struct post *p = dev;

	p->m = m;
	bus_claim(m->bus, PAGES, NPAGES, 1, &post_device, p);
	bus_claim(m->bus, FERR_CLEAR, 2, 1, &post_device, p);
	return 0;
}

static void post_reset(void *dev)
{
	struct post *p = dev;

	for (unsigned i = 0; i < NPAGES; i++)
		p->latch[i] = 0;
}

static uint32_t post_in(void *dev, uint16_t port, unsigned size)
{
	struct post *p = dev;

	(void)size;
	return port >= FERR_CLEAR ? ~0u : p->latch[port - PAGES];
}

static void post_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct post *p = dev;

	(void)size;
	if (port >= FERR_CLEAR)
		irq_set(p->m, FERR_LINE, false);
	else
		p->latch[port - PAGES] = (uint8_t)val;
}

static void post_save(void *dev, struct state *s)
{
	struct post *p = dev;

	state_begin(s, post_device.name, 1);
	state_put(s, p->latch, NPAGES);
}

static int post_restore(void *dev, struct state *s)
{
	struct post *p = dev;

	if (state_enter(s, post_device.name) != 1)
		return -EINVAL;
	state_get(s, p->latch, NPAGES);
	return s->bad ? -EINVAL : 0;
}

const struct device_ops post_device = {
	.name = "post", .state_size = sizeof(struct post),
	.init = post_init, .reset = post_reset, .in = post_in, .out = post_out,
	.save = post_save, .restore = post_restore,
};

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reset control register 0xcf9 of Intel's chipsets (PIIX3 data sheet 2.5.17),
 * which lies inside PCI's configuration address port. There is no PCI: the other
 * bytes and all wide accesses read as ones. The eight ports are owned as a whole
 * because a dword written to 0xcf8 must not reach 0xcf9 as a byte.
 *
 *   7..4 | 3 full reset | 2 reset CPU (0 -> 1 does it) | 1 hard reset | 0
 */
#include "dev/table.h"
#include "machine/machine.h"
#include "machine/snapshot.h"

#include <errno.h>

#define FIRST		0xcf8
#define COUNT		8
#define RESET_CONTROL	0xcf9
#define RC_RESET_CPU	0x04
#define RC_KEPT		0x0a	/* bits that read back as written */

struct cf9 {
	struct machine *m;
	uint8_t control;
};

static int cf9_init(void *dev, struct machine *m)
{
	struct cf9 *c = dev;

	c->m = m;
	bus_claim(m->bus, FIRST, COUNT, 4, &cf9_device, c);
	return 0;
}

static void cf9_reset(void *dev)
{
	struct cf9 *c = dev;

	c->control = 0;
}

static uint32_t cf9_in(void *dev, uint16_t port, unsigned size)
{
	struct cf9 *c = dev;

	return port == RESET_CONTROL && size == 1 ? c->control : ~0u;
}

static void cf9_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct cf9 *c = dev;

	if (port != RESET_CONTROL || size != 1)
		return;
	if (val & RC_RESET_CPU)
		c->m->power = POWER_RESET;
	c->control = val & RC_KEPT;
}

static void cf9_save(void *dev, struct state *s)
{
	struct cf9 *c = dev;

	state_begin(s, cf9_device.name, 1);
	state_put_u64(s, c->control);
}

static int cf9_restore(void *dev, struct state *s)
{
	struct cf9 *c = dev;

	if (state_enter(s, cf9_device.name) != 1)
		return -EINVAL;
	c->control = state_get_u64(s) & RC_KEPT;
	return s->bad ? -EINVAL : 0;
}

const struct device_ops cf9_device = {
	.name = "cf9", .state_size = sizeof(struct cf9),
	.init = cf9_init, .reset = cf9_reset, .in = cf9_in, .out = cf9_out,
	.save = cf9_save, .restore = cf9_restore,
};

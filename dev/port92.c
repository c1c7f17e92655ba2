/* SPDX-License-Identifier: BSD-2-Clause */
/* System control port A of the PS/2: bit 1 is A20, a rising bit 0 resets the CPU. */
#include "dev/table.h"
#include "machine/machine.h"
#include "machine/snapshot.h"

#include <errno.h>

#define PORT		0x92
#define P92_RESET	0x01
#define P92_A20		0x02

struct port92 {
	struct machine *m;
	uint8_t latch;		/* without the A20 bit, which the 8042 changes too */
};

static int port92_init(void *dev, struct machine *m)
{
	struct port92 *p = dev;

	p->m = m;
	bus_claim(m->bus, PORT, 1, 1, &port92_device, p);
	return 0;
}

static void port92_reset(void *dev)
{
	struct port92 *p = dev;

	p->latch = 0;
}

static uint32_t port92_in(void *dev, uint16_t port, unsigned size)
{
	struct port92 *p = dev;

	(void)port, (void)size;
	return p->latch | (p->m->a20 ? P92_A20 : 0);
}

static void port92_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct port92 *p = dev;

	(void)port, (void)size;
	if (val & ~p->latch & P92_RESET)
		p->m->power = POWER_RESET;
	p->m->a20 = val & P92_A20;
	p->latch = val & ~P92_A20;
}

static void port92_save(void *dev, struct state *s)
{
	struct port92 *p = dev;

	state_begin(s, port92_device.name, 1);
	state_put_u64(s, p->latch);
}

static int port92_restore(void *dev, struct state *s)
{
	struct port92 *p = dev;

	if (state_enter(s, port92_device.name) != 1)
		return -EINVAL;
	p->latch = state_get_u64(s) & ~P92_A20;
	return s->bad ? -EINVAL : 0;
}

const struct device_ops port92_device = {
	.name = "port92", .state_size = sizeof(struct port92),
	.init = port92_init, .reset = port92_reset, .in = port92_in, .out = port92_out,
	.save = port92_save, .restore = port92_restore,
};

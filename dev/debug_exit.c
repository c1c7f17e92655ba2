/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's isa-debug-exit at 0xf4: a write ends the run with the value written. The
 * port exists only if --debug-exit asked for it.
 */
#include "dev/table.h"
#include "machine/machine.h"

#define PORT	0xf4

struct debug_exit {
	struct machine *m;
};

static int debug_exit_init(void *dev, struct machine *m)
{
	struct debug_exit *d = dev;

	d->m = m;
	if (m->config->debug_exit)
		bus_claim(m->bus, PORT, 4, 4, &debug_exit_device, d);
	return 0;
}

static void debug_exit_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct debug_exit *d = dev;

	(void)port, (void)size;
	d->m->debug_exit_code = val;
	d->m->power = POWER_DEBUG_EXIT;
}

const struct device_ops debug_exit_device = {
	.name = "debug-exit", .state_size = sizeof(struct debug_exit),
	.init = debug_exit_init, .out = debug_exit_out,
};

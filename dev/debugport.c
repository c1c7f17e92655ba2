/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The debug console of Bochs at 0xe9: bytes written go to stderr, a line at a time,
 * and a read gives 0xe9, by which software finds out that the port is there.
 */
#include "dev/table.h"
#include "machine/machine.h"

#include <unistd.h>

#define PORT	0xe9

struct debugport {
	char line[256];
	unsigned len;
};

static int debugport_init(void *dev, struct machine *m)
{
	bus_claim(m->bus, PORT, 1, 1, &debugport_device, dev);
	return 0;
}

/* Diagnostics: what stderr does not take is dropped. */
static void debugport_flush(void *dev)
{
	struct debugport *d = dev;

	if (d->len && write(STDERR_FILENO, d->line, d->len) < 0)
		d->len = 0;
	d->len = 0;
}

static uint32_t debugport_in(void *dev, uint16_t port, unsigned size)
{
	(void)dev, (void)size;
	return port;
}

static void debugport_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct debugport *d = dev;

	(void)port, (void)size;
	d->line[d->len++] = (char)val;
	if (val == '\n' || d->len == sizeof(d->line))
		debugport_flush(d);
}

const struct device_ops debugport_device = {
	.name = "debugport", .state_size = sizeof(struct debugport),
	.init = debugport_init, .reset = debugport_flush, .in = debugport_in,
	.out = debugport_out, .fini = debugport_flush,
};

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The debug console of Bochs at 0xe9, whose bytes go to stderr, and that of QEMU's
 * firmware at 0x402, which exists if --debugcon says where to. Both are written a line at
 * a time, and a read gives 0xe9, by which software finds out that the port is there.
 */
#include "dev/table.h"
#include "machine/machine.h"

#include <unistd.h>

#define PORT		0xe9
#define FIRMWARE_PORT	0x402
#define PRESENT		0xe9

struct debugport {
	struct sink {
		int fd;
		char line[256];
		unsigned len;
	} sinks[2];		/* PORT, FIRMWARE_PORT */
};

static int debugport_init(void *dev, struct machine *m)
{
	struct debugport *d = dev;

	d->sinks[0].fd = STDERR_FILENO;
	d->sinks[1].fd = m->debugcon;
	bus_claim(m->bus, PORT, 1, 1, &debugport_device, dev);
	if (m->debugcon >= 0)
		bus_claim(m->bus, FIRMWARE_PORT, 1, 1, &debugport_device, dev);
	return 0;
}

/* Diagnostics: what the host does not take is dropped. */
static void sink_flush(struct sink *s)
{
	if (s->len && write(s->fd, s->line, s->len) < 0)
		s->len = 0;
	s->len = 0;
}

static void debugport_flush(void *dev)
{
	struct debugport *d = dev;

	for (unsigned i = 0; i < ARRAY_LEN(d->sinks); i++)
		sink_flush(&d->sinks[i]);
}

static uint32_t debugport_in(void *dev, uint16_t port, unsigned size)
{
	(void)dev, (void)port, (void)size;
	return PRESENT;
}

static void debugport_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct debugport *d = dev;
	struct sink *s = &d->sinks[port == FIRMWARE_PORT];

	(void)size;
	s->line[s->len++] = (char)val;
	if (val == '\n' || s->len == sizeof(s->line))
		sink_flush(s);
}

/* A line that was begun must not wait for a machine that is asleep. */
static void debugport_save(void *dev, struct state *s)
{
	(void)s;
	debugport_flush(dev);
}

const struct device_ops debugport_device = {
	.name = "debugport", .state_size = sizeof(struct debugport),
	.init = debugport_init, .reset = debugport_flush, .in = debugport_in,
	.out = debugport_out, .save = debugport_save, .fini = debugport_flush,
};

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port bus: who owns a port, and how a wide access reaches narrow devices.
 * It must never know what a port means.
 *
 * owner[port] is an index into claims[]; claim 0 is nobody. An access goes whole
 * to a device that owns all its ports and takes its width; otherwise it is cut
 * in halves, low port first, as the ISA bus does with its 8-bit cards.
 */
#include "machine/bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLAIMS	128

struct claim {
	const struct device_ops *ops;
	void *dev;
	unsigned width;
};

struct bus {
	uint8_t owner[0x10000];
	uint8_t fixed[0x10000];		/* owner without the moving claims */
	struct claim claims[CLAIMS];
	unsigned nclaims;
};

int bus_create(struct bus **out)
{
	struct bus *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->nclaims = 1;
	*out = b;
	return 0;
}

void bus_destroy(struct bus *b)
{
	free(b);
}

void bus_claim(struct bus *b, uint16_t first, unsigned count, unsigned width,
	       const struct device_ops *ops, void *dev)
{
	bug_on(b->nclaims == CLAIMS || first + count > 0x10000);
	b->claims[b->nclaims] = (struct claim){ ops, dev, width };
	for (unsigned i = 0; i < count; i++)
		b->owner[first + i] = b->fixed[first + i] = (uint8_t)b->nclaims;
	b->nclaims++;
}

const struct device_ops *bus_owner(const struct bus *b, uint16_t port)
{
	return b->claims[b->owner[port]].ops;
}

void bus_release_moving(struct bus *b)
{
	memcpy(b->owner, b->fixed, sizeof(b->owner));
}

/* A claim is kept once made, so that moving it back and forth does not use them up. */
void bus_claim_moving(struct bus *b, uint16_t first, unsigned count, unsigned width,
		      const struct device_ops *ops, void *dev)
{
	unsigned n = 1;

	while (n < b->nclaims && (b->claims[n].ops != ops || b->claims[n].dev != dev ||
				  b->claims[n].width != width))
		n++;
	bug_on(n == CLAIMS);
	if (n == b->nclaims)
		b->claims[b->nclaims++] = (struct claim){ ops, dev, width };
	for (unsigned i = 0; i < count && first + i < 0x10000; i++)
		if (!b->owner[first + i])
			b->owner[first + i] = (uint8_t)n;
}

static bool bus_whole(const struct bus *b, const struct claim *c, uint16_t port, unsigned size)
{
	if (size > c->width)
		return size == 1;
	for (unsigned i = 1; i < size; i++)
		if (b->owner[(uint16_t)(port + i)] != b->owner[port])
			return false;
	return true;
}

uint32_t bus_in(struct bus *b, uint16_t port, unsigned size)
{
	const struct claim *c = &b->claims[b->owner[port]];
	const uint32_t ones = 0xffffffffu >> (32 - 8 * size);

	if (bus_whole(b, c, port, size))
		return c->ops && c->ops->in ? c->ops->in(c->dev, port, size) & ones : ones;

	uint32_t low = bus_in(b, port, size / 2);

	return low | bus_in(b, (uint16_t)(port + size / 2), size / 2) << 4 * size;
}

unsigned bus_in_block(struct bus *b, uint16_t port, unsigned size, uint8_t *to, unsigned count)
{
	const struct claim *c = &b->claims[b->owner[port]];

	if (!c->ops || !c->ops->in_block || !bus_whole(b, c, port, size))
		return 0;
	return c->ops->in_block(c->dev, port, size, to, count);
}

void bus_out(struct bus *b, uint16_t port, uint32_t val, unsigned size)
{
	const struct claim *c = &b->claims[b->owner[port]];

	if (!bus_whole(b, c, port, size)) {
		bus_out(b, port, val, size / 2);
		bus_out(b, (uint16_t)(port + size / 2), val >> 4 * size, size / 2);
	} else if (c->ops && c->ops->out) {
		c->ops->out(c->dev, port, val & 0xffffffffu >> (32 - 8 * size), size);
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AT's two 8237A DMA controllers and their page registers (Intel 8237A data sheet; PIIX3
 * data sheet 2.5.1-2.5.2). The first moves bytes, for devices that ask through isa_dma.h; the
 * second, for words, has no device and keeps registers only. A page of 64 KiB is not left:
 * the address wraps in it, as the page register does not count.
 *
 *	0x00-0x07  channel 0-3: address, count; low byte first, by the flip-flop
 *	0x08 status / command | 9 request | a one mask | b mode | c clear flip-flop
 *	0x0d temporary / master clear | e clear masks | f all masks
 *	0xc0-0xdf  the same for the second controller, at even ports
 *	0x81-0x83, 0x87, 0x89-0x8b, 0x8f  pages
 */
#include "dev/isa_dma.h"
#include "dev/table.h"
#include "machine/snapshot.h"

#include <errno.h>

#define DMA_VERSION	1
#define MODE_AUTO	0x10
#define MODE_DOWN	0x20
#define MODE_TYPE	0x0c
#define TYPE_WRITE	0x04		/* to memory */
#define TYPE_READ	0x08
#define CMD_DISABLE	0x04

enum reg { R_STATUS = 8, R_REQUEST, R_MASK, R_MODE, R_FLIPFLOP, R_CLEAR, R_UNMASK, R_MASKS };

struct chip {
	struct channel { uint16_t base, base_count, address, count; uint8_t mode; } ch[4];
	uint8_t command, status, masks, request;
	bool high;			/* the flip-flop */
};

struct isa_dma {
	struct machine *m;
	struct chip chip[2];
	uint8_t page[16];
};

static const uint8_t page_of[4] = { 0x7, 0x3, 0x1, 0x2 };	/* of channels 0-3, from 0x80 */

/* --- Transfers ------------------------------------------------------------------- */

static void step(struct chip *c, unsigned n, bool *tc)
{
	struct channel *ch = &c->ch[n];

	ch->address = (uint16_t)(ch->mode & MODE_DOWN ? ch->address - 1 : ch->address + 1);
	if (ch->count--)
		return;
	*tc = true;
	c->status |= (uint8_t)(1u << n);
	if (ch->mode & MODE_AUTO) {
		ch->address = ch->base;
		ch->count = ch->base_count;
	} else {
		c->masks |= (uint8_t)(1u << n);
	}
}

/* One of to and from is NULL. Verify transfers move nothing, but count. */
static unsigned transfer(struct isa_dma *d, unsigned n, const uint8_t *from, uint8_t *to,
			 unsigned len, bool *tc)
{
	struct chip *c = &d->chip[0];
	unsigned type = c->ch[n].mode & MODE_TYPE, done = 0;

	*tc = false;
	if (type != (from ? TYPE_WRITE : TYPE_READ) && type != 0)
		return 0;
	while (done < len && !*tc && !(c->masks >> n & 1) && !(c->command & CMD_DISABLE)) {
		gpa_t at = (gpa_t)d->page[page_of[n]] << 16 | c->ch[n].address;

		if (type == TYPE_WRITE)
			phys_write(&d->m->mem, at, from[done], 1);
		else if (to)
			to[done] = type ? (uint8_t)phys_read(&d->m->mem, at, 1) : 0;
		done++;
		step(c, n, tc);
	}
	return done;
}

unsigned isa_dma_to_memory(struct machine *m, unsigned channel, const uint8_t *buf, unsigned n,
			   bool *tc)
{
	return transfer(m->isa_dma, channel & 3, buf, NULL, n, tc);
}

unsigned isa_dma_from_memory(struct machine *m, unsigned channel, uint8_t *buf, unsigned n,
			     bool *tc)
{
	return transfer(m->isa_dma, channel & 3, NULL, buf, n, tc);
}

/* --- Registers ------------------------------------------------------------------- */

static void chip_clear(struct chip *c)
{
	c->command = c->status = c->request = 0;
	c->masks = 0xf;
	c->high = false;
}

static uint8_t chip_in(struct chip *c, unsigned reg)
{
	uint16_t val;
	uint8_t status;

	if (reg < R_STATUS) {
		val = reg & 1 ? c->ch[reg >> 1].count : c->ch[reg >> 1].address;
		c->high = !c->high;
		return (uint8_t)(c->high ? val : val >> 8);
	}
	switch (reg) {
	case R_STATUS:			/* reading forgets what has ended */
		status = c->status | (uint8_t)(c->request << 4);
		c->status = 0;
		return status;
	case R_MASKS:
		return c->masks | 0xf0;
	case R_CLEAR:
		return 0;
	default:
		return 0xff;
	}
}

static void word_set(struct chip *c, uint16_t *base, uint16_t *now, uint8_t val)
{
	unsigned kept = *base & (c->high ? 0x00ff : 0xff00);

	*base = (uint16_t)(kept | (c->high ? val << 8u : val));
	*now = *base;
	c->high = !c->high;
}

static void chip_out(struct chip *c, unsigned reg, uint8_t val)
{
	struct channel *ch = &c->ch[reg < R_STATUS ? reg >> 1 : val & 3];
	uint8_t bit = (uint8_t)(1u << (val & 3));

	if (reg < R_STATUS) {
		if (reg & 1)
			word_set(c, &ch->base_count, &ch->count, val);
		else
			word_set(c, &ch->base, &ch->address, val);
		return;
	}
	switch (reg) {
	case R_STATUS: c->command = val; break;
	case R_REQUEST:
		c->request = val & 4 ? c->request | bit : c->request & (uint8_t)~bit;
		break;
	case R_MASK: c->masks = val & 4 ? c->masks | bit : c->masks & (uint8_t)~bit; break;
	case R_MODE: ch->mode = val & 0xfc; break;
	case R_FLIPFLOP: c->high = false; break;
	case R_CLEAR: chip_clear(c); break;
	case R_UNMASK: c->masks = 0; break;
	case R_MASKS: c->masks = val & 0xf; break;
	}
}

static uint32_t isa_dma_in(void *dev, uint16_t port, unsigned size)
{
	struct isa_dma *d = dev;

	(void)size;
	if ((port & 0xf0) == 0x80)
		return d->page[port & 0xf];
	if (port & 0xc0)
		return chip_in(&d->chip[1], port >> 1 & 0xf);
	return chip_in(&d->chip[0], port & 0xf);
}

static void isa_dma_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct isa_dma *d = dev;

	(void)size;
	if ((port & 0xf0) == 0x80)
		d->page[port & 0xf] = (uint8_t)val;
	else if (port & 0xc0)
		chip_out(&d->chip[1], port >> 1 & 0xf, (uint8_t)val);
	else
		chip_out(&d->chip[0], port & 0xf, (uint8_t)val);
}

static int isa_dma_init(void *dev, struct machine *m)
{
	static const uint8_t pages[] = { 0x81, 0x82, 0x83, 0x87, 0x89, 0x8a, 0x8b, 0x8f };
	struct isa_dma *d = dev;

	d->m = m;
	m->isa_dma = d;
	bus_claim(m->bus, 0x00, 16, 1, &isa_dma_device, d);
	bus_claim(m->bus, 0xc0, 32, 1, &isa_dma_device, d);
	for (unsigned i = 0; i < sizeof(pages); i++)
		bus_claim(m->bus, pages[i], 1, 1, &isa_dma_device, d);
	return 0;
}

static void isa_dma_reset(void *dev)
{
	struct isa_dma *d = dev;
	struct machine *m = d->m;

	*d = (struct isa_dma){ .m = m };
	chip_clear(&d->chip[0]);
	chip_clear(&d->chip[1]);
}

static void isa_dma_save(void *dev, struct state *s)
{
	struct isa_dma *d = dev;

	state_begin(s, isa_dma_device.name, DMA_VERSION);
	state_put(s, d->page, sizeof(d->page));
	for (unsigned i = 0; i < 8; i++) {
		const struct channel *ch = &d->chip[i / 4].ch[i % 4];

		state_put_u64(s, ch->base | (uint64_t)ch->base_count << 16 |
			      (uint64_t)ch->address << 32 | (uint64_t)ch->count << 48);
		state_put_u64(s, ch->mode);
	}
	for (unsigned i = 0; i < 2; i++) {
		const struct chip *c = &d->chip[i];
		uint8_t b[] = { c->command, c->status, c->masks, c->request, c->high };

		state_put(s, b, sizeof(b));
	}
}

static int isa_dma_restore(void *dev, struct state *s)
{
	struct isa_dma *d = dev;

	if (state_enter(s, isa_dma_device.name) != DMA_VERSION)
		return -EINVAL;
	state_get(s, d->page, sizeof(d->page));
	for (unsigned i = 0; i < 8; i++) {
		struct channel *ch = &d->chip[i / 4].ch[i % 4];
		uint64_t v = state_get_u64(s);

		*ch = (struct channel){ (uint16_t)v, (uint16_t)(v >> 16), (uint16_t)(v >> 32),
					(uint16_t)(v >> 48), (uint8_t)state_get_u64(s) };
	}
	for (unsigned i = 0; i < 2; i++) {
		struct chip *c = &d->chip[i];
		uint8_t b[5];

		state_get(s, b, sizeof(b));
		c->command = b[0], c->status = b[1], c->masks = b[2] & 0xf, c->request = b[3] & 0xf;
		c->high = b[4];
	}
	return s->bad ? -EINVAL : 0;
}

const struct device_ops isa_dma_device = {
	.name = "isa-dma", .state_size = sizeof(struct isa_dma),
	.init = isa_dma_init, .reset = isa_dma_reset, .in = isa_dma_in, .out = isa_dma_out,
	.save = isa_dma_save, .restore = isa_dma_restore,
};

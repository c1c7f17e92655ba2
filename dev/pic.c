/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pair of 8259A interrupt controllers of the AT (Intel 8259A data sheet), with
 * the edge/level registers 0x4d0 and 0x4d1 of the later chipsets, which replace
 * ICW1.LTIM. It decides its INTR output and the vector of an INTA cycle.
 *
 * A request follows its line: a line that falls before the acknowledge takes its
 * request away, and an INTA that finds none gives the vector of IR7 with nothing
 * in service (the "default IR7").
 *
 * The slave's INT output is IR2 of the master. Its request simply follows that
 * output, which models the pulse that the real slave gives for each new request.
 */
#include "dev/table.h"
#include "machine/machine.h"
#include "machine/snapshot.h"

#include <errno.h>

#define PIC_VERSION	1
#define CASCADE		2		/* the slave's place on the master */
#define ELCR_MASTER	0xf8		/* lines that can be level-triggered: not 0, 1, 2 */
#define ELCR_SLAVE	0xde		/* not 8, 13 */

#define ICW1_INIT	0x10
#define ICW1_SINGLE	0x02
#define ICW1_IC4	0x01
#define ICW4_SFNM	0x10
#define ICW4_AEOI	0x02
#define OCW3		0x08
#define OCW3_ESMM	0x40
#define OCW3_SMM	0x20
#define OCW3_POLL	0x04
#define OCW3_RR		0x02
#define OCW3_RIS	0x01

enum icw { ICW_DONE, ICW_2, ICW_3, ICW_4 };	/* the word that port 1 expects */

struct chip {
	uint8_t lines;		/* levels of the inputs */
	uint8_t irr, isr, imr;
	uint8_t elcr;		/* 1 = level-triggered */
	uint8_t base;		/* vector of IR0 */
	uint8_t lowest;		/* input with the lowest priority; 7 until rotated */
	uint8_t icw;		/* enum icw */
	bool want_icw4, single;
	bool aeoi, rotate_aeoi, sfnm, special_mask;
	bool poll, read_isr;
};

struct pic {
	struct machine *m;
	struct chip chip[2];	/* master, slave */
};

/* The inputs in falling priority, as positions 0-7 of a byte rotated by `lowest`. */
static uint8_t by_priority(const struct chip *c, uint8_t bits)
{
	unsigned n = (c->lowest + 1) & 7;

	return (uint8_t)(bits >> n | bits << (8 - n));
}

/* The highest-priority input among bits, or -1. */
static int highest(const struct chip *c, uint8_t bits)
{
	return bits ? (__builtin_ctz(by_priority(c, bits)) + c->lowest + 1) & 7 : -1;
}

/*
 * The input that asks for service now, or -1: unmasked, and above everything in
 * service. In special mask mode, masked inputs in service hold nothing back; in
 * special fully nested mode the slave in service does not hold back the slave.
 */
static int chip_request(const struct chip *c, bool master)
{
	int want = highest(c, c->irr & ~c->imr);
	uint8_t isr = c->isr;
	int serving;

	if (want < 0)
		return -1;
	if (c->special_mask)
		isr &= ~c->imr;
	if (c->sfnm && master)
		isr &= (uint8_t)~(1u << CASCADE);
	serving = highest(c, isr);
	if (serving >= 0 && ((want - c->lowest - 1) & 7) >= ((serving - c->lowest - 1) & 7))
		return -1;
	return want;
}

static void pic_update(struct pic *p)
{
	struct chip *master = &p->chip[0];
	uint8_t cascade = 1u << CASCADE;

	if (chip_request(&p->chip[1], false) >= 0) {
		master->lines |= cascade;
		master->irr |= cascade;
	} else {
		master->lines &= ~cascade;
		master->irr &= ~cascade;
	}
	irq_set_intr(p->m, chip_request(master, true) >= 0);
}

static void pic_set_line(void *self, unsigned line, bool level)
{
	struct pic *p = self;
	struct chip *c = &p->chip[line >> 3 & 1];
	uint8_t bit = (uint8_t)(1u << (line & 7));

	if (line == CASCADE || line > 15)
		return;
	if (level) {
		if (c->elcr & bit || !(c->lines & bit))
			c->irr |= bit;
		c->lines |= bit;
	} else {
		c->lines &= ~bit;
		c->irr &= ~bit;
	}
	pic_update(p);
}

/* One chip's part of an INTA cycle, or of a poll. */
static void chip_serve(struct chip *c, int n)
{
	uint8_t bit = (uint8_t)(1u << n);

	if (!(c->elcr & bit))
		c->irr &= ~bit;
	if (!c->aeoi)
		c->isr |= bit;
	else if (c->rotate_aeoi)
		c->lowest = (uint8_t)n;
}

static int pic_acknowledge(void *self)
{
	struct pic *p = self;
	struct chip *master = &p->chip[0], *slave = &p->chip[1];
	int n = chip_request(master, true);
	int vector;

	if (n < 0)
		return master->base | 7;
	chip_serve(master, n);
	vector = master->base | n;
	if (n == CASCADE) {
		n = chip_request(slave, false);
		if (n >= 0)
			chip_serve(slave, n);
		vector = slave->base | (n < 0 ? 7 : n);
	}
	pic_update(p);
	return vector;
}

static void chip_icw1(struct chip *c, uint8_t val)
{
	/* The edge sense is reset: only a new rising edge makes a request. */
	c->irr = c->lines & c->elcr;
	c->imr = c->isr = 0;
	c->lowest = 7;
	c->special_mask = c->read_isr = c->poll = false;
	c->rotate_aeoi = false;
	c->want_icw4 = val & ICW1_IC4;
	c->single = val & ICW1_SINGLE;
	if (!c->want_icw4)
		c->aeoi = c->sfnm = false;
	c->icw = ICW_2;
}

/* Non-specific EOI passes over inputs that special mask mode has masked. */
static int chip_eoi(struct chip *c)
{
	int n = highest(c, c->special_mask ? c->isr & ~c->imr : c->isr);

	if (n >= 0)
		c->isr &= (uint8_t)~(1u << n);
	return n;
}

static void chip_ocw2(struct chip *c, uint8_t val)
{
	uint8_t level = val & 7;
	int n;

	switch (val >> 5) {		/* R, SL, EOI */
	case 0:
		c->rotate_aeoi = false;
		break;
	case 1:
		chip_eoi(c);
		break;
	case 3:
		c->isr &= (uint8_t)~(1u << level);
		break;
	case 4:
		c->rotate_aeoi = true;
		break;
	case 5:
		n = chip_eoi(c);
		if (n >= 0)
			c->lowest = (uint8_t)n;
		break;
	case 6:
		c->lowest = level;
		break;
	case 7:
		c->isr &= (uint8_t)~(1u << level);
		c->lowest = level;
		break;
	}
}

static void chip_ocw3(struct chip *c, uint8_t val)
{
	if (val & OCW3_ESMM)
		c->special_mask = val & OCW3_SMM;
	if (val & OCW3_POLL)
		c->poll = true;
	else if (val & OCW3_RR)
		c->read_isr = val & OCW3_RIS;
}

static void chip_write_mask_port(struct chip *c, uint8_t val)
{
	switch (c->icw) {
	case ICW_DONE:
		c->imr = val;
		return;
	case ICW_2:
		c->base = val & 0xf8;
		c->icw = !c->single ? ICW_3 : c->want_icw4 ? ICW_4 : ICW_DONE;
		return;
	case ICW_3:		/* the wiring is fixed: master's IR2 */
		c->icw = c->want_icw4 ? ICW_4 : ICW_DONE;
		return;
	case ICW_4:
		c->aeoi = val & ICW4_AEOI;
		c->sfnm = val & ICW4_SFNM;
		c->icw = ICW_DONE;
		return;
	}
}

/* The read after a poll command acts as an INTA: 0x80 | input, or 0. */
static uint8_t chip_poll(struct chip *c, bool master)
{
	int n = chip_request(c, master);

	c->poll = false;
	if (n < 0)
		return 0;
	chip_serve(c, n);
	return (uint8_t)(0x80 | n);
}

static uint32_t pic_in(void *dev, uint16_t port, unsigned size)
{
	struct pic *p = dev;
	bool master = port < 0x80;
	struct chip *c = &p->chip[!master];
	uint8_t val;

	(void)size;
	if (port >= 0x4d0)
		return p->chip[port & 1].elcr;
	if (c->poll) {
		val = chip_poll(c, master);
		pic_update(p);
		return val;
	}
	if (port & 1)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}

static void pic_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct pic *p = dev;
	struct chip *c = &p->chip[port >= 0x80];

	(void)size;
	if (port >= 0x4d0) {
		c = &p->chip[port & 1];
		c->elcr = val & (port & 1 ? ELCR_SLAVE : ELCR_MASTER);
		c->irr |= c->lines & c->elcr;
	} else if (port & 1) {
		chip_write_mask_port(c, (uint8_t)val);
	} else if (val & ICW1_INIT) {
		chip_icw1(c, (uint8_t)val);
	} else if (val & OCW3) {
		chip_ocw3(c, (uint8_t)val);
	} else {
		chip_ocw2(c, (uint8_t)val);
	}
	pic_update(p);
}

static int pic_init(void *dev, struct machine *m)
{
	struct pic *p = dev;

	p->m = m;
	m->irqc = (struct irq_controller){ pic_set_line, pic_acknowledge, p };
	bus_claim(m->bus, 0x20, 2, 1, &pic_device, p);
	bus_claim(m->bus, 0xa0, 2, 1, &pic_device, p);
	bus_claim(m->bus, 0x4d0, 2, 1, &pic_device, p);
	return 0;
}

/* The levels of the lines are the devices', not ours. */
static void pic_reset(void *dev)
{
	struct pic *p = dev;

	for (unsigned i = 0; i < 2; i++) {
		struct chip *c = &p->chip[i];

		*c = (struct chip){ .lines = c->lines, .lowest = 7 };
	}
	pic_update(p);
}

static void pic_save(void *dev, struct state *s)
{
	struct pic *p = dev;

	state_begin(s, pic_device.name, PIC_VERSION);
	for (unsigned i = 0; i < 2; i++) {
		const struct chip *c = &p->chip[i];
		uint8_t b[] = { c->lines, c->irr, c->isr, c->imr, c->elcr, c->base, c->lowest,
				c->icw, c->want_icw4, c->single, c->aeoi, c->rotate_aeoi, c->sfnm,
				c->special_mask, c->poll, c->read_isr };

		state_put(s, b, sizeof(b));
	}
}

static int pic_restore(void *dev, struct state *s)
{
	struct pic *p = dev;

	if (state_enter(s, pic_device.name) != PIC_VERSION)
		return -EINVAL;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t b[16];

		state_get(s, b, sizeof(b));
		p->chip[i] = (struct chip){
			.lines = b[0], .irr = b[1], .isr = b[2], .imr = b[3],
			.elcr = b[4] & (i ? ELCR_SLAVE : ELCR_MASTER), .base = b[5] & 0xf8,
			.lowest = b[6] & 7, .icw = b[7] & 3, .want_icw4 = b[8], .single = b[9],
			.aeoi = b[10], .rotate_aeoi = b[11], .sfnm = b[12],
			.special_mask = b[13], .poll = b[14], .read_isr = b[15],
		};
	}
	pic_update(p);
	return s->bad ? -EINVAL : 0;
}

const struct device_ops pic_device = {
	.name = "pic", .state_size = sizeof(struct pic),
	.init = pic_init, .reset = pic_reset, .in = pic_in, .out = pic_out,
	.save = pic_save, .restore = pic_restore,
};

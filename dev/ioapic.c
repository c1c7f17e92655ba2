/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O APIC (Intel 82093AA data sheet): 24 pins, each with an entry that says what message
 * its interrupts become. It decides when; who takes the message is the local APIC's affair.
 *
 *	fec00000  index of a register | fec00010  the register
 *	0 ID | 1 version | 2 arbitration | 10h + 2n, 11h + 2n: entry n
 *
 *	63-56 destination | 16 masked | 15 level-triggered | 14 remote IRR | 13 active low
 *	12 pending | 11 logical destination | 10-8 delivery mode | 7-0 vector
 *
 * ISA line n is pin n, but for line 0, the timer's, which is on pin 2, where the AT has its
 * cascade: so QEMU wires it, and so SeaBIOS's tables say. PCI's interrupts come on the ISA line
 * that the PIIX3 routes them to; pins 0 and 16-23 are not connected.
 *
 * Lines carry whether an interrupt is asserted, not a voltage: the polarity of an entry
 * describes the wire, and is kept for readers.
 */
#include "dev/apic.h"
#include "dev/table.h"
#include "machine/machine.h"
#include "machine/snapshot.h"

#include <errno.h>

#define IOAPIC_VERSION	1
#define IOAPIC_AT	0xfec00000u
#define INDEX		0x00
#define WINDOW		0x10
#define PINS		24
#define CHIP_VERSION	0x11u		/* 82093AA */

#define E_VECTOR	0xffull
#define E_LOGICAL	(1ull << 11)
#define E_REMOTE_IRR	(1ull << 14)
#define E_LEVEL		(1ull << 15)
#define E_MASKED	(1ull << 16)
#define E_WRITABLE	(0xff0000000001afffull)		/* not 12, 14 and what is reserved */

enum reg { R_ID, R_VERSION, R_ARBITRATION, R_ENTRIES = 0x10 };

struct ioapic {
	struct machine *m;
	uint8_t index, id;
	uint32_t lines;			/* levels of the pins */
	uint64_t entries[PINS];
};

static bool message_send(struct ioapic *a, unsigned pin)
{
	uint64_t e = a->entries[pin];
	struct apic_message msg = { .vector = e & E_VECTOR, .destination = (uint8_t)(e >> 56),
		.mode = e >> 8 & 7, .logical = e & E_LOGICAL, .level = e & E_LEVEL };

	return lapic_take(a->m, &msg);
}

/* A level-triggered pin sends while it is high, and again when the last one has ended. */
static void level_serve(struct ioapic *a, unsigned pin)
{
	uint64_t e = a->entries[pin];

	if ((e & (E_LEVEL | E_MASKED | E_REMOTE_IRR)) == E_LEVEL && a->lines >> pin & 1 &&
	    message_send(a, pin))
		a->entries[pin] |= E_REMOTE_IRR;
}

static void ioapic_set_line(void *self, unsigned line, bool level)
{
	struct ioapic *a = self;
	unsigned pin = line == 0 ? 2 : line;
	uint32_t bit = 1u << pin, before = a->lines;

	if (line == 2 || line > 15)
		return;
	a->lines = level ? before | bit : before & ~bit;
	if (!level || before & bit)
		return;
	/* An edge that finds its pin masked is lost (82093AA, 3.2.4). */
	if (!(a->entries[pin] & (E_LEVEL | E_MASKED)))
		message_send(a, pin);
	level_serve(a, pin);
}

void ioapic_ended(struct machine *m, uint8_t vector)
{
	struct ioapic *a = m->ioapic.self;

	for (unsigned pin = 0; a && pin < PINS; pin++) {
		if ((a->entries[pin] & (E_LEVEL | E_VECTOR)) != (E_LEVEL | vector))
			continue;
		a->entries[pin] &= ~E_REMOTE_IRR;
		level_serve(a, pin);
	}
}

void ioapic_retry(struct machine *m)
{
	struct ioapic *a = m->ioapic.self;

	for (unsigned pin = 0; a && pin < PINS; pin++)
		level_serve(a, pin);
}

/* --- Registers ------------------------------------------------------------------- */

static uint32_t register_read(const struct ioapic *a)
{
	unsigned n = a->index - R_ENTRIES;

	switch (a->index) {
	case R_ID:
	case R_ARBITRATION:
		return (uint32_t)a->id << 24;
	case R_VERSION:
		return (PINS - 1) << 16 | CHIP_VERSION;
	}
	if (a->index < R_ENTRIES || n >= 2 * PINS)
		return 0;
	return (uint32_t)(a->entries[n / 2] >> (n & 1 ? 32 : 0));
}

static void register_write(struct ioapic *a, uint32_t val)
{
	unsigned n = a->index - R_ENTRIES;
	uint64_t *e = &a->entries[n / 2 % PINS], mask;

	if (a->index == R_ID)
		a->id = val >> 24 & 0xf;
	if (a->index < R_ENTRIES || n >= 2 * PINS)
		return;
	mask = E_WRITABLE & (n & 1 ? ~0ull << 32 : 0xffffffffu);
	*e = (*e & ~mask) | ((n & 1 ? (uint64_t)val << 32 : val) & mask);
	/* What an edge-triggered entry says of the past is forgotten: software that has no
	 * EOI register to write to ends an interrupt so. */
	if (!(*e & E_LEVEL))
		*e &= ~E_REMOTE_IRR;
	level_serve(a, n / 2);
}

static uint64_t ioapic_read(void *dev, uint64_t off, unsigned size)
{
	struct ioapic *a = dev;
	uint32_t val = (off & ~3ull) == INDEX ? a->index :
		       (off & ~3ull) == WINDOW ? register_read(a) : 0;

	(void)size;
	return val >> 8 * (off & 3);
}

static void ioapic_write(void *dev, uint64_t off, uint64_t val, unsigned size)
{
	struct ioapic *a = dev;

	if (off == INDEX)
		a->index = (uint8_t)val;
	else if (off == WINDOW && size == 4)
		register_write(a, (uint32_t)val);
}

/* --- The device ------------------------------------------------------------------ */

static int ioapic_init(void *dev, struct machine *m)
{
	struct ioapic *a = dev;

	a->m = m;
	if (!m->config->apic)
		return 0;
	m->ioapic = (struct irq_controller){ .set_line = ioapic_set_line, .self = a };
	memory_add_range(&m->mem, &(struct range){ .base = IOAPIC_AT, .size = PAGE_SIZE,
			 .kind = RANGE_DEVICE, .name = "ioapic", .read = ioapic_read,
			 .write = ioapic_write, .dev = a });
	return 0;
}

/* The levels of the lines are the devices', not ours. */
static void ioapic_reset(void *dev)
{
	struct ioapic *a = dev;

	a->index = a->id = 0;
	for (unsigned i = 0; i < PINS; i++)
		a->entries[i] = E_MASKED;
}

static void ioapic_save(void *dev, struct state *s)
{
	const struct ioapic *a = dev;

	state_begin(s, ioapic_device.name, IOAPIC_VERSION);
	state_put_u64(s, a->m->config->apic);
	if (!a->m->config->apic)
		return;
	state_put_u64(s, a->index);
	state_put_u64(s, a->id);
	state_put_u64(s, a->lines);
	for (unsigned i = 0; i < PINS; i++)
		state_put_u64(s, a->entries[i]);
}

static int ioapic_restore(void *dev, struct state *s)
{
	struct ioapic *a = dev;

	if (state_enter(s, ioapic_device.name) != IOAPIC_VERSION ||
	    state_get_u64(s) != a->m->config->apic || s->bad)
		return -EINVAL;
	if (!a->m->config->apic)
		return 0;
	a->index = (uint8_t)state_get_u64(s);
	a->id = state_get_u64(s) & 0xf;
	a->lines = state_get_u64(s) & 0xfffe;
	for (unsigned i = 0; i < PINS; i++)
		a->entries[i] = state_get_u64(s) & (E_WRITABLE | E_REMOTE_IRR);
	return s->bad ? -EINVAL : 0;
}

static void ioapic_fini(void *dev)
{
	struct ioapic *a = dev;

	a->m->ioapic = (struct irq_controller){ 0 };
}

const struct device_ops ioapic_device = {
	.name = "ioapic", .state_size = sizeof(struct ioapic),
	.init = ioapic_init, .reset = ioapic_reset,
	.save = ioapic_save, .restore = ioapic_restore, .fini = ioapic_fini,
};

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI bus: configuration mechanism 1 (PCI 2.1, 3.7.4.1), configuration spaces, what
 * the base addresses in them mean for the port bus and the physical map, and the wires
 * from interrupt pins to PIRQ lines. What a function does, it must never know.
 *
 *	0xcf8  31 enable | 23-16 bus | 15-11 device | 10-8 function | 7-2 register
 *	0xcfc  the register
 *
 * Only a dword is the address. Byte 0xcf9 is the reset control register of Intel's ISA
 * bridges (PIIX3 data sheet 2.5.17), which lies in the same ports:
 *
 *	7..4 | 3 full reset | 2 reset CPU (0 -> 1 does it) | 1 hard reset | 0
 */
#include "dev/pci.h"
#include "dev/table.h"
#include "machine/snapshot.h"

#include <errno.h>
#include <string.h>

#define FIRST		0xcf8
#define COUNT		8
#define DATA		0xcfc
#define RESET_CONTROL	0xcf9
#define RC_RESET_CPU	0x04
#define RC_KEPT		0x0a		/* bits that read back as written */
#define ADDRESS_KEPT	0x80fffffcu
#define FUNCTIONS	32
#define PIRQS		4

struct pci_bus {
	struct machine *m;
	struct pci_function *functions[FUNCTIONS];
	unsigned nfunctions;
	uint32_t address;
	uint8_t reset_control;
	int (*route)(void *self, unsigned pirq);
	void *router;
};

/* --- Configuration spaces -------------------------------------------------------- */

uint16_t pci_get16(const struct pci_function *f, unsigned off)
{
	return (uint16_t)(f->config[off] | f->config[off + 1] << 8);
}

uint32_t pci_get32(const struct pci_function *f, unsigned off)
{
	return pci_get16(f, off) | (uint32_t)pci_get16(f, off + 2) << 16;
}

void pci_put16(struct pci_function *f, unsigned off, uint16_t val)
{
	f->config[off] = (uint8_t)val;
	f->config[off + 1] = (uint8_t)(val >> 8);
}

void pci_put32(struct pci_function *f, unsigned off, uint32_t val)
{
	pci_put16(f, off, (uint16_t)val);
	pci_put16(f, off + 2, (uint16_t)(val >> 16));
}

static void mask32(uint8_t *mask, unsigned off, uint32_t val)
{
	for (unsigned i = 0; i < 4; i++)
		mask[off + i] = (uint8_t)(val >> 8 * i);
}

static unsigned bar_offset(unsigned bar)
{
	return bar == PCI_BAR_ROM ? PCI_ROM : PCI_BAR0 + 4 * bar;
}

void pci_identify(struct pci_function *f, uint16_t vendor, uint16_t device, uint32_t class,
		  uint8_t revision)
{
	pci_put16(f, PCI_VENDOR, vendor);
	pci_put16(f, PCI_VENDOR + 2, device);
	pci_put32(f, PCI_REVISION, class << 8 | revision);
	f->writable[PCI_LINE] = 0xff;
	mask32(f->clearing, PCI_COMMAND, 0xf9000000u);	/* what was detected, in STATUS */
	f->writable[PCI_COMMAND] |= PCI_COMMAND_MASTER;
}

void pci_window_io(struct pci_function *f, unsigned bar, uint8_t at, uint32_t size,
		   unsigned width, uint8_t enable_at, uint8_t enable_mask,
		   const struct device_ops *ops, void *dev)
{
	bug_on(bar >= PCI_BARS || size & (size - 1) || size < 4);
	f->bars[bar] = (struct pci_bar){ .size = size, .io = true, .at = at,
					 .enable_at = enable_at, .enable_mask = enable_mask,
					 .ops = ops, .dev = dev, .width = width };
	mask32(f->writable, at, ~(size - 1));	/* 32 bits: not all software knows 16 */
	f->config[at] |= 1;
	f->writable[enable_at] |= enable_mask;
}

void pci_bar_io(struct pci_function *f, unsigned bar, uint32_t size, unsigned width,
		const struct device_ops *ops, void *dev)
{
	pci_window_io(f, bar, (uint8_t)bar_offset(bar), size, width, PCI_COMMAND, PCI_COMMAND_IO,
		      ops, dev);
}

void pci_bar_memory(struct pci_function *f, unsigned bar, struct range *r)
{
	uint32_t size = (uint32_t)r->size;

	bug_on(bar > PCI_BAR_ROM || size != r->size || size & (size - 1) || size < PAGE_SIZE);
	f->bars[bar] = (struct pci_bar){ .size = size, .range = r, .at = (uint8_t)bar_offset(bar),
					 .enable_at = PCI_COMMAND,
					 .enable_mask = PCI_COMMAND_MEMORY };
	mask32(f->writable, bar_offset(bar), ~(size - 1) | (bar == PCI_BAR_ROM));
	f->writable[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
}

static bool bar_enabled(const struct pci_function *f, const struct pci_bar *bar)
{
	return f->config[bar->enable_at] & bar->enable_mask &&
	       (bar->at != PCI_ROM || f->config[PCI_ROM] & 1);
}

/* Puts everything where the base addresses say. Address 0 is nowhere (PCI 2.1, 6.2.5.1). */
static void bus_remap(struct pci_bus *b)
{
	bus_release_moving(b->m->bus);
	for (unsigned i = 0; i < b->nfunctions * PCI_BARS; i++) {
		struct pci_function *f = b->functions[i / PCI_BARS];
		struct pci_bar *bar = &f->bars[i % PCI_BARS];

		if (!bar->size)
			continue;
		bar->base = pci_get32(f, bar->at) & ~(bar->size - 1);
		bar->on = bar->base && bar_enabled(f, bar) && (!bar->io || bar->base <= 0xffff);
		if (!bar->io)
			memory_move_range(bar->range, bar->base, bar->on);
		else if (bar->on)
			bus_claim_moving(b->m->bus, (uint16_t)bar->base, bar->size, bar->width,
					 bar->ops, bar->dev);
	}
}

static bool moves_something(const struct pci_function *f, unsigned off, unsigned size)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = &f->bars[i];

		if (!bar->size)
			continue;
		if ((off + size > bar->at && off < bar->at + 4u) ||
		    (off + size > bar->enable_at && off <= bar->enable_at))
			return true;
	}
	return false;
}

static void config_write(struct pci_bus *b, struct pci_function *f, unsigned off, uint32_t val,
			 unsigned size)
{
	for (unsigned i = 0; i < size; i++) {
		uint8_t byte = (uint8_t)(val >> 8 * i), *at = &f->config[off + i];

		*at = (*at & ~f->writable[off + i]) | (byte & f->writable[off + i]);
		*at &= (uint8_t)~(byte & f->clearing[off + i]);
	}
	if (moves_something(f, off, size))
		bus_remap(b);
	if (f->written)
		f->written(f->self, off, size);
}

/* --- Interrupts ------------------------------------------------------------------ */

/* Pin A-D of a slot reaches PIRQA-D turned by the slot, as PC mainboards wire it. */
static unsigned pirq_of(const struct pci_function *f)
{
	return ((f->devfn >> 3) - 1u + f->config[PCI_PIN] - 1u) & (PIRQS - 1);
}

void pci_route(struct machine *m)
{
	const struct pci_bus *b = m->pci;
	uint16_t lines = 0;

	for (unsigned i = 0; b->route && i < b->nfunctions; i++) {
		const struct pci_function *f = b->functions[i];
		int line = f->intx ? b->route(b->router, pirq_of(f)) : -1;

		if (line >= 0)
			lines |= (uint16_t)(1u << line);
	}
	for (unsigned i = 0; i < 16; i++)
		if ((lines ^ m->pci_lines) >> i & 1)
			irq_set_pci(m, i, lines >> i & 1);
}

void pci_interrupt(struct pci_function *f, bool level)
{
	if (f->intx == level)
		return;
	f->intx = level;
	pci_route(f->m);
}

void pci_set_router(struct machine *m, int (*route)(void *self, unsigned pirq), void *self)
{
	m->pci->route = route;
	m->pci->router = self;
}

/* Without a BIOS: the line's number as one would have left it. */
static void line_preset(const struct pci_bus *b, struct pci_function *f)
{
	int line = !b->m->mem.legacy && b->route ? b->route(b->router, pirq_of(f)) : -1;

	if (line >= 0)
		f->config[PCI_LINE] = (uint8_t)line;
}

/* --- Functions ------------------------------------------------------------------- */

void pci_add(struct machine *m, unsigned slot, unsigned function, struct pci_function *f)
{
	struct pci_bus *b = m->pci;

	bug_on(!b || b->nfunctions == FUNCTIONS || slot > 31 || function > 7);
	f->m = m;
	f->devfn = (uint8_t)(slot << 3 | function);
	if (f->config[PCI_PIN] && !f->config[PCI_LINE])
		line_preset(b, f);
	memcpy(f->power_on, f->config, sizeof(f->config));
	b->functions[b->nfunctions++] = f;
}

void pci_remove(struct pci_function *f)
{
	struct pci_bus *b = f->m ? f->m->pci : NULL;

	for (unsigned i = 0; b && i < b->nfunctions; i++)
		if (b->functions[i] == f)
			b->functions[i] = b->functions[--b->nfunctions];
}

void pci_reset(struct pci_function *f)
{
	memcpy(f->config, f->power_on, sizeof(f->config));
	bus_remap(f->m->pci);
	pci_interrupt(f, false);
}

const struct pci_function *pci_function_at(const struct machine *m, unsigned i)
{
	return m->pci && i < m->pci->nfunctions ? m->pci->functions[i] : NULL;
}

bool pci_has_class(const struct machine *m, uint8_t base_class)
{
	for (unsigned i = 0; m->pci && i < m->pci->nfunctions; i++)
		if (m->pci->functions[i]->config[PCI_CLASS + 2] == base_class)
			return true;
	return false;
}

void pci_save(struct pci_function *f, struct state *s)
{
	state_put(s, f->config, sizeof(f->config));
	state_put_u64(s, f->intx);
}

/* What the guest cannot write is not taken from the stream. */
void pci_restore(struct pci_function *f, struct state *s)
{
	uint8_t config[sizeof(f->config)];
	bool intx;

	state_get(s, config, sizeof(config));
	intx = state_get_u64(s);
	if (s->bad)
		return;
	for (unsigned i = 0; i < sizeof(config); i++) {
		uint8_t mask = f->writable[i] | f->clearing[i];

		f->config[i] = (f->config[i] & ~mask) | (config[i] & mask);
	}
	bus_remap(f->m->pci);
	pci_interrupt(f, intx);
}

/* --- The ports ------------------------------------------------------------------- */

/* The function that the address register selects, or NULL. */
static struct pci_function *selected(const struct pci_bus *b)
{
	if (!(b->address >> 31) || b->address >> 16 & 0xff)
		return NULL;
	for (unsigned i = 0; i < b->nfunctions; i++)
		if (b->functions[i]->devfn == (b->address >> 8 & 0xff))
			return b->functions[i];
	return NULL;
}

static uint32_t pci_in(void *dev, uint16_t port, unsigned size)
{
	const struct pci_bus *b = dev;
	struct pci_function *f;
	uint32_t val = 0;

	if (port == FIRST && size == 4)
		return b->address;
	if (port == RESET_CONTROL && size == 1)
		return b->reset_control;
	if (port < DATA || !(f = selected(b)))
		return ~0u;
	if (f->reading)
		f->reading(f->self, (b->address & 0xfc) + (port & 3), size);
	for (unsigned i = 0; i < size; i++)
		val |= (uint32_t)f->config[(b->address & 0xfc) + (port & 3) + i] << 8 * i;
	return val;
}

static void pci_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct pci_bus *b = dev;
	struct pci_function *f;

	if (port == FIRST && size == 4) {
		b->address = val & ADDRESS_KEPT;
	} else if (port == RESET_CONTROL && size == 1) {
		if (val & RC_RESET_CPU)
			b->m->power = POWER_RESET;
		b->reset_control = val & RC_KEPT;
	} else if (port >= DATA && (f = selected(b))) {
		config_write(b, f, (b->address & 0xfc) + (port & 3), val, size);
	}
}

static int pci_init(void *dev, struct machine *m)
{
	struct pci_bus *b = dev;

	b->m = m;
	m->pci = b;
	bus_claim(m->bus, FIRST, COUNT, 4, &pci_device, b);
	return 0;
}

static void pci_bus_reset(void *dev)
{
	struct pci_bus *b = dev;

	b->address = 0;
	b->reset_control = 0;
}

static void pci_bus_save(void *dev, struct state *s)
{
	struct pci_bus *b = dev;

	state_begin(s, pci_device.name, 1);
	state_put_u64(s, b->address);
	state_put_u64(s, b->reset_control);
}

static int pci_bus_restore(void *dev, struct state *s)
{
	struct pci_bus *b = dev;

	if (state_enter(s, pci_device.name) != 1)
		return -EINVAL;
	b->address = state_get_u64(s) & ADDRESS_KEPT;
	b->reset_control = state_get_u64(s) & RC_KEPT;
	return s->bad ? -EINVAL : 0;
}

static void pci_fini(void *dev)
{
	struct pci_bus *b = dev;

	b->m->pci = NULL;
}

const struct device_ops pci_device = {
	.name = "pci", .state_size = sizeof(struct pci_bus),
	.init = pci_init, .reset = pci_bus_reset, .in = pci_in, .out = pci_out,
	.save = pci_bus_save, .restore = pci_bus_restore, .fini = pci_fini,
};

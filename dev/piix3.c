/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ISA bridge of the PIIX3 (data sheet 290550, 2.2): it routes the four PCI interrupt
 * wires to ISA lines. Its other registers (wait states, X-bus and DMA decoding) are kept
 * and mean nothing. The reset control register lies in PCI's address port: dev/pci.c.
 *
 *	0x60-0x63  PIRQA-D: 7 not routed | 3-0 line (3-7, 9-12, 14, 15)
 */
#include "dev/pci.h"
#include "dev/table.h"
#include "machine/snapshot.h"

#include <errno.h>

#define PIRQ_ROUTE	0x60
#define PIRQ_OFF	0x80
#define ELCR2		0x4d1		/* lines 8-15: edge or level (2.5.4) */
#define PIRQ_LINES	0xdef8u		/* those that a wire can be routed to */

struct piix3 {
	struct pci_function pci;
};

static int piix3_route(void *self, unsigned pirq)
{
	const struct piix3 *p = self;
	uint8_t r = p->pci.config[PIRQ_ROUTE + pirq];

	return r & PIRQ_OFF || !(PIRQ_LINES >> (r & 0xf) & 1) ? -1 : r & 0xf;
}

static void piix3_written(void *self, unsigned off, unsigned size)
{
	struct piix3 *p = self;

	if (off + size > PIRQ_ROUTE && off < PIRQ_ROUTE + 4)
		pci_route(p->pci.m);
}

static int piix3_init(void *dev, struct machine *m)
{
	static const struct { uint8_t first, last; } kept[] = {
		{ 0x4c, 0x4f }, { 0x69, 0x6b }, { 0x70, 0x71 }, { 0x76, 0x78 }, { 0x80, 0x82 },
		{ 0xa0, 0xae },
	};
	struct piix3 *p = dev;

	pci_identify(&p->pci, 0x8086, 0x7000, 0x060100, 0);
	p->pci.config[PCI_HEADER] = 0x80;		/* several functions */
	p->pci.writable[PCI_COMMAND] = 0;
	p->pci.config[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	pci_put16(&p->pci, 0x4e, 0x0003);
	for (unsigned i = 0; i < ARRAY_LEN(kept); i++)
		for (unsigned off = kept[i].first; off <= kept[i].last; off++)
			p->pci.writable[off] = 0xff;
	for (unsigned i = 0; i < 4; i++) {
		p->pci.writable[PIRQ_ROUTE + i] = PIRQ_OFF | 0xf;
		/* No BIOS: as one would have left it. */
		p->pci.config[PIRQ_ROUTE + i] = m->mem.legacy ? PIRQ_OFF : 10 + i / 2;
	}
	p->pci.written = piix3_written;
	p->pci.self = p;
	pci_set_router(m, piix3_route, p);
	pci_add(m, 1, 0, &p->pci);
	return 0;
}

static void piix3_reset(void *dev)
{
	struct piix3 *p = dev;

	pci_reset(&p->pci);
	pci_route(p->pci.m);
	/* No BIOS: the lines that wires are routed to are triggered by level, as one does it. */
	if (!p->pci.m->mem.legacy)
		bus_out(p->pci.m->bus, ELCR2, (1 << 10 | 1 << 11) >> 8, 1);
}

static void piix3_save(void *dev, struct state *s)
{
	struct piix3 *p = dev;

	state_begin(s, piix3_device.name, 1);
	pci_save(&p->pci, s);
}

static int piix3_restore(void *dev, struct state *s)
{
	struct piix3 *p = dev;

	if (state_enter(s, piix3_device.name) != 1)
		return -EINVAL;
	pci_restore(&p->pci, s);
	pci_route(p->pci.m);
	return s->bad ? -EINVAL : 0;
}

static void piix3_fini(void *dev)
{
	struct piix3 *p = dev;

	pci_set_router(p->pci.m, NULL, NULL);
	pci_remove(&p->pci);
}

const struct device_ops piix3_device = {
	.name = "piix3", .state_size = sizeof(struct piix3),
	.init = piix3_init, .reset = piix3_reset,
	.save = piix3_save, .restore = piix3_restore, .fini = piix3_fini,
};

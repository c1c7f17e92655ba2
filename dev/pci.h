/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One PCI bus (PCI Local Bus Specification 2.1), reached by configuration mechanism 1.
 *
 * A device has a struct pci_function in its state. In init() it describes itself:
 *
 *	pci_identify(&d->pci, 0x1234, 0x1111, 0x030000, 0);
 *	pci_bar_memory(&d->pci, 0, memory_add_range(&m->mem, &(struct range){
 *		.size = 16 << 20, .kind = RANGE_DEVICE, .off = true, .read = ..., .dev = d }));
 *	pci_bar_io(&d->pci, 1, 16, 4, &my_device, d);
 *	pci_add(m, 2, 0, &d->pci);
 *
 * and reset(), save() and restore() call pci_reset(), pci_save() and pci_restore(). The bus
 * keeps the configuration space and moves ranges and ports where the guest puts them.
 * Slots 0 (host bridge) and 1 (PIIX) are taken; the host bridge's device comes before all
 * others in dev/table.c, so that m->pci is there.
 */
#ifndef DEV_PCI_H
#define DEV_PCI_H

#include "machine/machine.h"

#define PCI_VENDOR	0x00
#define PCI_COMMAND	0x04
#define PCI_COMMAND_IO		0x01
#define PCI_COMMAND_MEMORY	0x02
#define PCI_COMMAND_MASTER	0x04
#define PCI_STATUS	0x06
#define PCI_REVISION	0x08
#define PCI_CLASS	0x09
#define PCI_HEADER	0x0e
#define PCI_BAR0	0x10
#define PCI_SUBSYSTEM	0x2c
#define PCI_ROM		0x30
#define PCI_LINE	0x3c
#define PCI_PIN		0x3d
#define PCI_BARS	7		/* the last is the expansion ROM */
#define PCI_BAR_ROM	6

struct pci_bar {
	uint32_t size;			/* a power of two; 0: there is none */
	uint32_t base;			/* where the guest has put it, if on */
	bool io, on;
	uint8_t at;			/* its register in config */
	uint8_t enable_at, enable_mask;	/* what turns it on */
	struct range *range;		/* memory and ROM */
	const struct device_ops *ops;	/* ports: in() and out() get the absolute port */
	void *dev;
	unsigned width;
};

struct pci_function {
	struct machine *m;
	uint8_t config[256];
	uint8_t power_on[256];		/* what config is after a reset */
	uint8_t writable[256];		/* bits that the guest can set and clear */
	uint8_t clearing[256];		/* bits that the guest clears by writing 1 */
	struct pci_bar bars[PCI_BARS];
	/* After the guest wrote bytes [off, off + size) of config. May be NULL. */
	void (*written)(void *self, unsigned off, unsigned size);
	/* Before it reads them. May be NULL. */
	void (*reading)(void *self, unsigned off, unsigned size);
	void *self;
	uint8_t devfn;
	bool intx;			/* the level of the pin in PCI_PIN */
};

/* class is base class << 16 | subclass << 8 | interface. */
void pci_identify(struct pci_function *f, uint16_t vendor, uint16_t device, uint32_t class,
		  uint8_t revision);
void pci_bar_io(struct pci_function *f, unsigned bar, uint32_t size, unsigned width,
		const struct device_ops *ops, void *dev);
/* r stays where memory_add_range() put it; PCI_BAR_ROM is allowed as bar. */
void pci_bar_memory(struct pci_function *f, unsigned bar, struct range *r);
/* Ports whose base is not in a base address register, as chipsets have them: a dword at
 * `at`, turned on by a bit of the byte at enable_at. */
void pci_window_io(struct pci_function *f, unsigned bar, uint8_t at, uint32_t size,
		   unsigned width, uint8_t enable_at, uint8_t enable_mask,
		   const struct device_ops *ops, void *dev);
/* Onto the bus, with everything in place; what config holds now is its state after reset. */
void pci_add(struct machine *m, unsigned slot, unsigned function, struct pci_function *f);
/* The bus no longer knows f, which is about to be freed. */
void pci_remove(struct pci_function *f);

void pci_reset(struct pci_function *f);
/* The level of f's interrupt pin. */
void pci_interrupt(struct pci_function *f, bool level);
void pci_save(struct pci_function *f, struct state *s);
void pci_restore(struct pci_function *f, struct state *s);	/* sets s->bad if it is none */

uint16_t pci_get16(const struct pci_function *f, unsigned off);
uint32_t pci_get32(const struct pci_function *f, unsigned off);
/* What a device says of itself, at any time; the guest's masks do not count. */
void pci_put16(struct pci_function *f, unsigned off, uint16_t val);
void pci_put32(struct pci_function *f, unsigned off, uint32_t val);

/* The ISA bridge: line (or -1) of each of PIRQA-D. The second when an answer changed. */
void pci_set_router(struct machine *m, int (*route)(void *self, unsigned pirq), void *self);
void pci_route(struct machine *m);
/* The functions in the order in which they came; NULL: there are no more. */
const struct pci_function *pci_function_at(const struct machine *m, unsigned i);
/* Is there a function of this base class? For who tells the firmware. */
bool pci_has_class(const struct machine *m, uint8_t base_class);

#endif

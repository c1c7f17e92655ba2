/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupt lines. A device drives an ISA line by level; the interrupt
 * controller (dev/pic.c) registers itself as the sink of the lines and as the
 * answerer of INTA cycles. machine->intr is the CPU's INTR pin. What the ISA bridge
 * routes from PCI is joined to the ISA card's own line.
 */
#ifndef MACHINE_IRQ_H
#define MACHINE_IRQ_H

#include "machine/types.h"

struct machine;

struct irq_controller {
	void (*set_line)(void *self, unsigned line, bool level);
	int (*acknowledge)(void *self);	/* INTA: the vector (spurious ones included) */
	void *self;
};

void irq_set(struct machine *m, unsigned line, bool level);
void irq_set_pci(struct machine *m, unsigned line, bool level);	/* the ISA bridge alone */
/* INTA cycle; the vector. Only called while machine->intr. */
int irq_acknowledge(struct machine *m);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupt lines. A device drives an ISA line by level; what the ISA bridge routes from
 * PCI is joined to the ISA card's own line. Every line reaches both the 8259s
 * (dev/pic.c) and, if the machine has an APIC, the I/O APIC (dev/ioapic.c):
 *
 *	lines -+-> 8259s ----- INTR ---+-> CPU                (no local APIC, or it is off)
 *	       |                       `-> LINT0 of local APIC ---> CPU
 *	       `-> I/O APIC -- messages ------^
 *
 * machine->intr is what the CPU sees in the end: there is something to acknowledge.
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

/* IA32_APIC_BASE, SDM 3A 10.4.4. */
#define APIC_BASE_BSP		0x100u
#define APIC_BASE_ENABLE	0x800u

/* The local APIC as the processor knows it (dev/lapic.c). self is NULL: there is none. */
struct local_apic {
	void (*set_intr)(void *self);		/* machine->pic_intr has changed */
	int (*acknowledge)(void *self);		/* the vector: its own, or that of an INTA cycle */
	void (*base_written)(void *self);	/* cpu->msr_apic_base */
	void (*tpr_written)(void *self);	/* cpu->cr8, which is the upper half of the TPR */
	void *self;
};

/* The device that owns ISA line 0 to 15 drives it; repeating a level is harmless. */
void irq_set(struct machine *m, unsigned line, bool level);
void irq_set_pci(struct machine *m, unsigned line, bool level);	/* the ISA bridge alone */
/* The INTR output of the 8259s. */
void irq_set_intr(struct machine *m, bool level);
/* INTA cycle; the vector. Only called while machine->intr. */
int irq_acknowledge(struct machine *m);
#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the local APIC and the I/O APIC exchange: messages one way, ends of level-triggered
 * interrupts the other (SDM 3A 10.6, 10.8.5; 82093AA data sheet, 2.4). What the processor
 * sees of them is in machine/irq.h.
 */
#ifndef DEV_APIC_H
#define DEV_APIC_H

#include "machine/types.h"

struct machine;

enum delivery { DELIVER_FIXED, DELIVER_LOWEST, DELIVER_SMI, DELIVER_NMI = 4, DELIVER_INIT,
		DELIVER_STARTUP, DELIVER_EXTINT };

struct apic_message {
	uint8_t vector, destination;
	enum delivery mode;
	bool logical, level;
};

/* Has the local APIC taken it? It has not if it is off, or another is meant. */
bool lapic_take(struct machine *m, const struct apic_message *msg);
/* The local APIC is done with a level-triggered interrupt of this vector. */
void ioapic_ended(struct machine *m, uint8_t vector);
/* It may take now what it has refused before. */
void ioapic_retry(struct machine *m);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table by which a BIOS tells a kernel without ACPI of the processor's APIC and the I/O
 * APIC, and which interrupt is on which pin (MultiProcessor Specification 1.4, chapter 4).
 * It lies where a BIOS would be, with its pointer before it, at a paragraph:
 *
 *	floating pointer (16 bytes) | header (44) | processor (20) | buses, I/O APIC,
 *	interrupts, local interrupts (8 each)
 */
#include <string.h>

#include "cli/load.h"

#define TABLE_AT	0xf0000u
#define POINTER_SIZE	16u
#define HEADER_SIZE	44u
#define SLOTS		32u
#define PINS		4u

enum entry { PROCESSOR, BUS, IO_APIC, IO_INTERRUPT, LOCAL_INTERRUPT };
enum interrupt { INT_VECTORED, INT_NMI, INT_EXT = 3 };
enum bus_number { BUS_PCI, BUS_ISA };
#define CPU_ID		0u
#define IO_APIC_ID	1u
#define ALL_CPUS	0xffu
#define HIGH_LEVEL	0x0du		/* active high, level-triggered; 0: as the bus has it */

struct table { uint8_t bytes[2048]; unsigned size, count; };

static uint8_t *entry_add(struct table *t, enum entry type)
{
	uint8_t *e = t->bytes + t->size;
	unsigned size = type == PROCESSOR ? 20 : 8;

	bug_on(t->size + size > sizeof(t->bytes));
	t->size += size;
	t->count++;
	e[0] = (uint8_t)type;
	return e;
}

static void processor_add(struct table *t, struct machine *m)
{
	uint8_t *e = entry_add(t, PROCESSOR);
	uint32_t leaf[4];

	m->cpuid(m->cpuid_self, 1, 0, leaf);
	e[1] = CPU_ID;
	e[2] = (uint8_t)phys_read(&m->mem, 0xfee00030, 1);
	e[3] = 3;			/* usable, the first */
	put_le(e + 4, leaf[0] & 0xfff, 4);
	put_le(e + 8, leaf[3], 4);
}

static void bus_add(struct table *t, enum bus_number n, const char name[static 6])
{
	uint8_t *e = entry_add(t, BUS);

	e[1] = (uint8_t)n;
	memcpy(e + 2, name, 6);
}

static void interrupt_add(struct table *t, enum entry type, enum interrupt kind, unsigned flags,
			  unsigned bus, unsigned source, unsigned apic, unsigned pin)
{
	const uint8_t rest[7] = { (uint8_t)kind, (uint8_t)flags, 0, (uint8_t)bus, (uint8_t)source,
				  (uint8_t)apic, (uint8_t)pin };

	memcpy(entry_add(t, type) + 1, rest, sizeof(rest));
}

/* The ISA line of each of PIRQA-D, as the ISA bridge has it now; 0x80 and more: none. */
static uint32_t pirq_lines(struct machine *m)
{
	bus_out(m->bus, 0xcf8, 0x80000860, 4);
	return bus_in(m->bus, 0xcfc, 4);
}

/* Pin A of slot 1 is PIRQA, and each slot turns them by one. */
static uint16_t pci_interrupts_add(struct table *t, struct machine *m)
{
	uint32_t lines = pirq_lines(m);
	uint16_t used = 0;

	for (unsigned i = PINS; i < SLOTS * PINS; i++) {
		unsigned slot = i / PINS, pin = i % PINS;
		unsigned line = lines >> 8 * ((slot - 1 + pin) % PINS) & 0xff;

		if (line > 15)
			continue;
		used |= (uint16_t)(1u << line);
		interrupt_add(t, IO_INTERRUPT, INT_VECTORED, HIGH_LEVEL, BUS_PCI, slot << 2 | pin,
			      IO_APIC_ID, line);
	}
	return used;
}

static uint8_t checksum(const uint8_t *at, unsigned n)
{
	uint8_t sum = 0;

	while (n--)
		sum += at[n];
	return (uint8_t)-sum;
}

static void header_fill(struct table *t)
{
	uint8_t *h = t->bytes + POINTER_SIZE;
	unsigned size = t->size - POINTER_SIZE;

	memcpy(h, "PCMP", 4);
	put_le(h + 4, size, 2);
	h[6] = 4;			/* version 1.4 */
	memcpy(h + 8, "HEMI    VIRTUAL PC  ", 20);
	put_le(h + 34, t->count, 2);
	put_le(h + 36, 0xfee00000, 4);
	h[7] = checksum(h, size);
}

static void pointer_fill(struct table *t)
{
	uint8_t *p = t->bytes;

	memcpy(p, "_MP_", 4);
	put_le(p + 4, TABLE_AT + POINTER_SIZE, 4);
	p[8] = POINTER_SIZE / 16;
	p[9] = 4;
	p[10] = checksum(p, POINTER_SIZE);
}

void load_mp_table(struct machine *m)
{
	struct table t = { .size = POINTER_SIZE + HEADER_SIZE };
	uint16_t pci;
	uint8_t *e;

	processor_add(&t, m);
	bus_add(&t, BUS_PCI, "PCI   ");
	bus_add(&t, BUS_ISA, "ISA   ");
	e = entry_add(&t, IO_APIC);
	e[1] = IO_APIC_ID;
	e[2] = 0x11;
	e[3] = 1;			/* usable */
	put_le(e + 4, 0xfec00000, 4);
	pci = pci_interrupts_add(&t, m);
	for (unsigned line = 0; line < 16; line++)
		if (line != 2 && !(pci >> line & 1))
			interrupt_add(&t, IO_INTERRUPT, INT_VECTORED, 0, BUS_ISA, line, IO_APIC_ID,
				      line ? line : 2);
	interrupt_add(&t, LOCAL_INTERRUPT, INT_EXT, 0, BUS_ISA, 0, ALL_CPUS, 0);
	interrupt_add(&t, LOCAL_INTERRUPT, INT_NMI, 0, BUS_ISA, 0, ALL_CPUS, 1);
	header_fill(&t);
	pointer_fill(&t);
	phys_write_bulk(&m->mem, TABLE_AT, t.bytes, t.size);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine as a whole: made, reset, saved and restored part by part. It decides
 * the order of the parts; what is in them, they know.
 */
#include "machine/machine.h"
#include "machine/cpu_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#define MACHINE_VERSION	2
#define LINES		16

void machine_request(struct machine *m, unsigned bits)
{
	atomic_fetch_or(&m->attention, bits);
	if (m->kick)
		m->kick(m->kick_arg);
}

static void irq_drive(struct machine *m, uint16_t *lines, unsigned line, bool level)
{
	uint16_t bit = (uint16_t)(1u << line);

	*lines = level ? *lines | bit : *lines & (uint16_t)~bit;
	if (m->irqc.set_line)
		m->irqc.set_line(m->irqc.self, line, (m->isa_lines | m->pci_lines) & bit);
	if (m->ioapic.set_line)
		m->ioapic.set_line(m->ioapic.self, line, (m->isa_lines | m->pci_lines) & bit);
}

void irq_set(struct machine *m, unsigned line, bool level)
{
	irq_drive(m, &m->isa_lines, line, level);
}

void irq_set_pci(struct machine *m, unsigned line, bool level)
{
	irq_drive(m, &m->pci_lines, line, level);
}

void irq_set_intr(struct machine *m, bool level)
{
	m->pic_intr = level;
	if (m->apic.self)
		m->apic.set_intr(m->apic.self);
	else
		m->intr = level;
}

int irq_acknowledge(struct machine *m)
{
	if (m->apic.self)
		return m->apic.acknowledge(m->apic.self);
	bug_on(!m->irqc.acknowledge);
	return m->irqc.acknowledge(m->irqc.self);
}

static void clock_sooner(void *arg)
{
	struct machine *m = arg;

	atomic_fetch_or(&m->attention, ATT_TIMER);	/* on the vCPU thread */
}

int machine_create(struct machine *m, const struct config *cfg)
{
	int err;

	memset(m, 0, sizeof(*m));
	m->config = cfg;
	m->a20 = true;
	m->debugcon = -1;
	clock_init(&m->clock, cfg->clock_instructions);
	m->clock.sooner = clock_sooner;
	m->clock.sooner_arg = m;
	err = memory_create(&m->mem, cfg->memory);
	if (err)
		return err;
	err = bus_create(&m->bus);
	if (err)
		memory_destroy(&m->mem);
	return err;
}

static void machine_remove_devices(struct machine *m)
{
	while (m->ndevices) {
		struct device_slot *d = &m->devices[--m->ndevices];

		if (d->ops->fini)
			d->ops->fini(d->dev);
		free(d->dev);
	}
}

void machine_destroy(struct machine *m)
{
	machine_remove_devices(m);
	bus_destroy(m->bus);
	memory_destroy(&m->mem);
	hemi_bug_cpu(NULL);
	m->bus = NULL;
}

static int device_add(struct machine *m, const struct device_ops *ops)
{
	void *dev = calloc(1, ops->state_size ? ops->state_size : 1);
	int err;

	bug_on(m->ndevices == ARRAY_LEN(m->devices));
	if (!dev)
		return -ENOMEM;
	err = ops->init(dev, m);
	if (err) {
		free(dev);
		return err;
	}
	m->devices[m->ndevices++] = (struct device_slot){ ops, dev };
	return 0;
}

int machine_add_devices(struct machine *m, const struct device_ops *const *table)
{
	for (; *table; table++) {
		int err = device_add(m, *table);

		if (err) {
			machine_remove_devices(m);
			return err;
		}
	}
	return 0;
}

void machine_reset_cpu(struct machine *m)
{
	cpu_reset(m->cpu);
	if (m->config && m->config->apic)
		m->cpu->msr_apic_base |= APIC_BASE_ENABLE;
}

/* The guest's TSC starts at zero; by instructions there is no host TSC in it. */
void machine_reset(struct machine *m)
{
	m->power = POWER_ON;
	m->intr = m->pic_intr = false;
	m->a20 = true;
	m->stopped_tsc = 0;
	if (m->cpu) {
		machine_reset_cpu(m);
		m->cpu->tsc_offset = 0;	/* the host's own, so that user code reads it directly */
		hemi_bug_cpu(m->cpu);
	}
	for (unsigned i = 0; i < m->ndevices; i++)
		if (m->devices[i].ops->reset)
			m->devices[i].ops->reset(m->devices[i].dev);
}

/* What the guest's TSC counts from, its own offset apart. */
static uint64_t tsc_base(struct machine *m)
{
	return m->clock.by_instructions ? (uint64_t)clock_now(&m->clock) : __rdtsc();
}

/* The time counters go on from where they were, not from the host's present. */
void machine_save(struct machine *m, struct state *s)
{
	state_begin(s, "machine", MACHINE_VERSION);
	state_put_u64(s, (uint64_t)clock_now(&m->clock));
	state_put_u64(s, tsc_base(m) + m->cpu->tsc_offset);
	state_put_u64(s, m->a20);
	state_put_u64(s, m->isa_lines);
	state_put_u64(s, m->pci_lines);
	state_put_u64(s, m->clock.by_instructions && m->random ? *m->random : 0);
	cpu_save(m->cpu, s);
	for (unsigned i = 0; i < m->ndevices; i++)
		if (m->devices[i].ops->save)
			m->devices[i].ops->save(m->devices[i].dev, s);
}

static int devices_restore(struct machine *m, struct state *s)
{
	for (unsigned i = 0; i < m->ndevices; i++) {
		const struct device_slot *d = &m->devices[i];
		int err = d->ops->restore ? d->ops->restore(d->dev, s) : 0;

		if (err)
			return err;
	}
	return s->bad || s->pos != s->len ? -EINVAL : 0;
}

/*
 * Devices drive their lines while they are restored one after the other. The interrupt
 * controllers, which have seen all of this already, hear of it only in the end, when there
 * is nothing new in it; an edge on the way would be an interrupt that never was.
 */
int machine_restore(struct machine *m, struct state *s)
{
	struct irq_controller irqc = m->irqc, ioapic = m->ioapic;
	uint64_t now, tsc, random;
	int err;

	if (state_enter(s, "machine") != MACHINE_VERSION)
		return -EINVAL;
	now = state_get_u64(s);
	tsc = state_get_u64(s);
	m->a20 = state_get_u64(s);
	m->isa_lines = (uint16_t)state_get_u64(s);
	m->pci_lines = (uint16_t)state_get_u64(s);
	random = state_get_u64(s);
	err = cpu_restore(m->cpu, s);
	if (err || now > INT64_MAX / 2)
		return -EINVAL;
	clock_set_now(&m->clock, (int64_t)now);
	m->cpu->tsc_offset = tsc - tsc_base(m);
	if (m->clock.by_instructions && m->random && random)
		*m->random = random;
	m->irqc.set_line = m->ioapic.set_line = NULL;
	err = devices_restore(m, s);
	m->irqc = irqc;
	m->ioapic = ioapic;
	for (unsigned line = 0; line < LINES; line++)
		irq_set(m, line, m->isa_lines >> line & 1);
	return err;
}

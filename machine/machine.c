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

#define MACHINE_VERSION	1

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

int machine_create(struct machine *m, const struct config *cfg)
{
	int err;

	memset(m, 0, sizeof(*m));
	m->config = cfg;
	m->a20 = true;
	m->debugcon = -1;
	clock_init(&m->clock, cfg->clock_instructions);
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
	if (m->cpu) {
		machine_reset_cpu(m);
		m->cpu->tsc_offset = 0;	/* the host's own, so that user code reads it directly */
		hemi_bug_cpu(m->cpu);
	}
	for (unsigned i = 0; i < m->ndevices; i++)
		if (m->devices[i].ops->reset)
			m->devices[i].ops->reset(m->devices[i].dev);
}

/* The time counters go on from where they were, not from the host's present. */
void machine_save(struct machine *m, struct state *s)
{
	state_begin(s, "machine", MACHINE_VERSION);
	state_put_u64(s, (uint64_t)clock_now(&m->clock));
	state_put_u64(s, m->clock.by_instructions ? 0 : __rdtsc());
	state_put_u64(s, m->a20);
	cpu_save(m->cpu, s);
	for (unsigned i = 0; i < m->ndevices; i++)
		if (m->devices[i].ops->save)
			m->devices[i].ops->save(m->devices[i].dev, s);
}

int machine_restore(struct machine *m, struct state *s)
{
	uint64_t now, tsc;
	int err;

	if (state_enter(s, "machine") != MACHINE_VERSION)
		return -EINVAL;
	now = state_get_u64(s);
	tsc = state_get_u64(s);
	m->a20 = state_get_u64(s);
	err = cpu_restore(m->cpu, s);
	if (err || now > INT64_MAX / 2)
		return -EINVAL;
	clock_set_now(&m->clock, (int64_t)now);
	if (!m->clock.by_instructions)
		m->cpu->tsc_offset += tsc - __rdtsc();
	for (unsigned i = 0; i < m->ndevices; i++) {
		const struct device_slot *d = &m->devices[i];

		if (d->ops->restore && (err = d->ops->restore(d->dev, s)))
			return err;
	}
	return s->bad ? -EINVAL : 0;
}

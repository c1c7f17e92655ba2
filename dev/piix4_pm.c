/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power management as the function 3 of a PIIX4 (data sheet 290562, 7) has it, under
 * the PIIX3 as QEMU's PC does, whose firmware expects it: ACPI's fixed registers with
 * the 24-bit timer, soft-off, the switch between APM and ACPI, and the general-purpose
 * event block that this firmware's tables name at 0xafe0. There is no SMI: DEVACTB says
 * that the firmware need not set it up.
 *
 *	PMBASE  +0 PM1 status | +2 PM1 enable | +4 PM1 control | +8 timer, 3.579545 MHz
 *	0xb2    APM control: f1 turns ACPI mode on, f0 off | 0xb3 APM status, a scratch byte
 *	0xafe0  +0 GPE status | +2 GPE enable
 */
#include "dev/pci.h"
#include "dev/table.h"
#include "machine/snapshot.h"

#include <errno.h>

#define PM_VERSION	1
#define SCI_LINE	9
#define PMBASE		0x40
#define DEVACTB_HIGH	0x5b		/* bits 31-24 of DEVACTB: 25 is APMC_EN */
#define DEVRESG_HIGH	0x67		/* serial ports that are decoded, as the tables ask */
#define COM1_ENABLED	0x08
#define PMREGMISC	0x80
#define SMBBASE		0x90
#define SMBHSTCFG	0xd2

#define PM1_STATUS	0
#define PM1_ENABLE	2
#define PM1_CONTROL	4
#define PM_TIMER	8
#define PM_SIZE		64

#define TMR		0x0001		/* bits of PM1 status and enable */
#define PWRBTN		0x0100
#define STATUS_BITS	0xbd31u		/* that are cleared by writing 1 */
#define ENABLE_BITS	0x0521u
#define SCI_EN		0x0001		/* of PM1 control */
#define SLP_EN		0x2000
#define CONTROL_BITS	0x1c07u
#define SLP_TYP(c)	((c) >> 10 & 7)

#define APM		0xb2u
#define ACPI_ON		0xf1
#define ACPI_OFF	0xf0
#define GPE		0xafe0u

#define PM_HZ		3579545
#define NS_PER_S	1000000000ll
#define HALF		(1ll << 23)	/* ticks between changes of the timer's top bit */

struct pm {
	struct pci_function pci;
	struct timer timer;
	uint16_t status, enable, control;
	int64_t halves;			/* changes of the top bit that are in status */
	uint8_t regs[PM_SIZE];		/* the rest of the block: kept, without effect */
	uint8_t apm[2];
	uint16_t gpe_status, gpe_enable;
};

static int64_t pm_ticks(struct pm *p)
{
	return (int64_t)((__int128)clock_now(&p->pci.m->clock) * PM_HZ / NS_PER_S);
}

/* TMR_STS, the interrupt, and when to look again: only if it would interrupt. */
static void pm_update(struct pm *p)
{
	int64_t halves = pm_ticks(p) / HALF, when = INT64_MAX;
	bool sci;

	if (halves != p->halves)
		p->status |= TMR;
	p->halves = halves;
	if (p->enable & ~p->status & TMR)
		when = (int64_t)(((__int128)(halves + 1) * HALF * NS_PER_S + PM_HZ - 1) / PM_HZ);
	clock_arm(&p->pci.m->clock, &p->timer, when);
	sci = p->status & p->enable || p->gpe_status & p->gpe_enable;
	irq_set(p->pci.m, SCI_LINE, sci && p->control & SCI_EN);
}

static void pm_fire(void *arg, int64_t now)
{
	(void)now;
	pm_update(arg);
}

/* S5 is type 0, S4 (the guest has saved itself) type 2; nothing could wake it from others. */
static void pm_sleep(struct pm *p, unsigned type)
{
	if (type == 0 || type == 2)
		p->pci.m->power = POWER_OFF;
}

/* --- The block at PMBASE, byte by byte ------------------------------------------- */

static uint8_t pm_byte(struct pm *p, unsigned off)
{
	switch (off & ~1u) {
	case PM1_STATUS: return (uint8_t)(p->status >> 8 * (off & 1));
	case PM1_ENABLE: return (uint8_t)(p->enable >> 8 * (off & 1));
	case PM1_CONTROL: return (uint8_t)(p->control >> 8 * (off & 1));
	default: return p->regs[off];
	}
}

static void pm_write_byte(struct pm *p, unsigned off, uint8_t val)
{
	uint16_t mask = off & 1 ? 0xff00 : 0x00ff;
	uint16_t word = (uint16_t)(val * 0x101u & mask);

	switch (off & ~1u) {
	case PM1_STATUS:
		p->status &= (uint16_t)~(word & STATUS_BITS);
		break;
	case PM1_ENABLE:
		p->enable = (p->enable & (uint16_t)~mask) | (word & ENABLE_BITS);
		break;
	case PM1_CONTROL:
		p->control = (p->control & (uint16_t)~mask) | (word & CONTROL_BITS);
		if (word & SLP_EN)
			pm_sleep(p, SLP_TYP(p->control));
		break;
	default:
		p->regs[off] = val;
	}
}

static bool is_timer(unsigned off)
{
	return (off & ~3u) == PM_TIMER;
}

static uint32_t pm_block_in(struct pm *p, unsigned off, unsigned size)
{
	uint32_t val = 0;

	pm_update(p);
	if (is_timer(off))
		return (uint32_t)(pm_ticks(p) & 0xffffff) >> 8 * (off & 3);
	for (unsigned i = 0; i < size; i++)
		val |= (uint32_t)pm_byte(p, (off + i) % PM_SIZE) << 8 * i;
	return val;
}

static void pm_block_out(struct pm *p, unsigned off, uint32_t val, unsigned size)
{
	pm_update(p);
	for (unsigned i = 0; i < size; i++)
		if (!is_timer(off + i))
			pm_write_byte(p, (off + i) % PM_SIZE, (uint8_t)(val >> 8 * i));
	pm_update(p);
}

/* --- The ports ------------------------------------------------------------------- */

static uint32_t pm_in(void *dev, uint16_t port, unsigned size)
{
	struct pm *p = dev;
	uint32_t gpe = p->gpe_status | (uint32_t)p->gpe_enable << 16;

	if (port - APM < 2u)
		return p->apm[port - APM];
	if (port - GPE < 4u)
		return gpe >> 8 * (port - GPE);
	return pm_block_in(p, port - p->pci.bars[0].base, size);
}

static void pm_apm(struct pm *p, uint8_t val)
{
	if (val == ACPI_ON)
		p->control |= SCI_EN;
	else if (val == ACPI_OFF)
		p->control &= ~SCI_EN;
	pm_update(p);
}

static void gpe_write(struct pm *p, unsigned off, uint32_t val, unsigned size)
{
	uint32_t mask = (size == 4 ? ~0u : (1u << 8 * size) - 1) << 8 * off;

	val <<= 8 * off;
	p->gpe_status &= (uint16_t)~(val & mask);
	p->gpe_enable = (uint16_t)((p->gpe_enable & ~(mask >> 16)) | (val & mask) >> 16);
	pm_update(p);
}

static void pm_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct pm *p = dev;

	if (port - APM < 2u) {
		p->apm[port - APM] = (uint8_t)val;
		if (port == APM)
			pm_apm(p, (uint8_t)val);
	} else if (port - GPE < 4u) {
		gpe_write(p, port - GPE, val, size);
	} else {
		pm_block_out(p, port - p->pci.bars[0].base, val, size);
	}
}

/* The operating system decides what it means. */
static bool pm_button(void *dev)
{
	struct pm *p = dev;

	p->status |= PWRBTN;
	pm_update(p);
	return p->enable & PWRBTN && p->control & SCI_EN;
}

static int pm_init(void *dev, struct machine *m)
{
	struct pm *p = dev;

	pci_identify(&p->pci, 0x8086, 0x7113, 0x068000, 3);
	p->pci.config[PCI_PIN] = 1;
	p->pci.config[PCI_LINE] = SCI_LINE;
	p->pci.config[DEVACTB_HIGH] = 0x02;
	p->pci.config[DEVRESG_HIGH] = m->console ? COM1_ENABLED : 0;
	pci_window_io(&p->pci, 0, PMBASE, PM_SIZE, 4, PMREGMISC, 1, &piix4_pm_device, p);
	/* The SMBus has no device on it and no ports; its registers can be set up all the same. */
	p->pci.config[SMBBASE] = 1;
	p->pci.writable[SMBBASE] = 0xf0;
	p->pci.writable[SMBBASE + 1] = p->pci.writable[SMBHSTCFG] = 0xff;
	for (unsigned i = 0x44; i < 0x80; i++)		/* activity and resource monitors */
		p->pci.writable[i] = 0xff;
	p->timer = (struct timer){ .fire = pm_fire, .arg = p, .name = "pm" };
	clock_add(&m->clock, &p->timer);
	bus_claim(m->bus, APM, 2, 1, &piix4_pm_device, p);
	bus_claim(m->bus, GPE, 4, 4, &piix4_pm_device, p);
	pci_add(m, 1, 3, &p->pci);
	m->power_button = pm_button;
	m->power_button_self = p;
	return 0;
}

static void pm_reset(void *dev)
{
	struct pm *p = dev;

	pci_reset(&p->pci);
	p->status = p->enable = p->control = 0;
	p->gpe_status = p->gpe_enable = 0;
	for (unsigned i = 0; i < PM_SIZE; i++)
		p->regs[i] = 0;
	p->apm[0] = p->apm[1] = 0;
	p->halves = pm_ticks(p) / HALF;
	pm_update(p);
}

static void pm_save(void *dev, struct state *s)
{
	struct pm *p = dev;

	state_begin(s, piix4_pm_device.name, PM_VERSION);
	pci_save(&p->pci, s);
	state_put_u64(s, p->status);
	state_put_u64(s, p->enable);
	state_put_u64(s, p->control);
	state_put_u64(s, (uint64_t)p->halves);
	state_put(s, p->regs, PM_SIZE);
	state_put(s, p->apm, sizeof(p->apm));
	state_put_u64(s, p->gpe_status);
	state_put_u64(s, p->gpe_enable);
}

static int pm_restore(void *dev, struct state *s)
{
	struct pm *p = dev;

	if (state_enter(s, piix4_pm_device.name) != PM_VERSION)
		return -EINVAL;
	pci_restore(&p->pci, s);
	p->status = state_get_u64(s) & STATUS_BITS;
	p->enable = state_get_u64(s) & ENABLE_BITS;
	p->control = state_get_u64(s) & CONTROL_BITS;
	p->halves = (int64_t)state_get_u64(s);
	state_get(s, p->regs, PM_SIZE);
	state_get(s, p->apm, sizeof(p->apm));
	p->gpe_status = (uint16_t)state_get_u64(s);
	p->gpe_enable = (uint16_t)state_get_u64(s);
	if (s->bad)
		return -EINVAL;
	pm_update(p);
	return 0;
}

static void pm_fini(void *dev)
{
	struct pm *p = dev;

	p->pci.m->power_button = NULL;
	clock_remove(&p->pci.m->clock, &p->timer);
	pci_remove(&p->pci);
}

const struct device_ops piix4_pm_device = {
	.name = "piix4-pm", .state_size = sizeof(struct pm),
	.init = pm_init, .reset = pm_reset, .in = pm_in, .out = pm_out,
	.save = pm_save, .restore = pm_restore, .fini = pm_fini,
};

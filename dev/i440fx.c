/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host bridge 82441FX (data sheet 290549): of its registers those that change what
 * the processor sees - PAM, which shadow the BIOS, and SMRAM, which opens the DRAM
 * under legacy video. There is no system management mode, so SMRAM is only ever opened
 * from outside of it. The rest of its registers are kept and mean nothing.
 *
 *	0x59  5 write, 4 read DRAM: 0xf0000-0xfffff
 *	0x5a  5, 4: 0xc4000-0xc7fff; 1, 0: 0xc0000-0xc3fff; and so on to 0x5f, 0xec000-0xeffff
 *	0x72  6 open | 5 closed | 4 lock | 3 enable | 2-0 base (010, fixed)
 */
#include "dev/pci.h"
#include "dev/table.h"
#include "machine/legacy.h"
#include "machine/snapshot.h"

#include <errno.h>

#define PAM0		0x59
#define PAMS		7
#define SMRAM		0x72
#define SMRAM_OPEN	0x40
#define SMRAM_CLOSED	0x20
#define SMRAM_LOCK	0x10
#define SMRAM_ENABLE	0x08
#define SMRAM_BASE	0x02
#define SEGMENT		0x4000u

struct i440fx {
	struct pci_function pci;
};

static void pam_apply(struct i440fx *h)
{
	struct memory *mem = &h->pci.m->mem;

	legacy_pam(mem, 0xf0000, 0x10000, h->pci.config[PAM0] >> 4);
	for (unsigned i = 0; i < 12; i++)
		legacy_pam(mem, LEGACY_ROM + i * SEGMENT, SEGMENT,
			   h->pci.config[PAM0 + 1 + i / 2] >> i % 2 * 4);
}

static void smram_apply(struct i440fx *h)
{
	uint8_t *r = &h->pci.config[SMRAM];

	if (*r & SMRAM_LOCK) {
		*r &= ~SMRAM_OPEN;
		h->pci.writable[SMRAM] = SMRAM_CLOSED;
	}
	legacy_open_video(&h->pci.m->mem, (*r & SMRAM_OPEN) && (*r & SMRAM_ENABLE));
}

static void i440fx_written(void *self, unsigned off, unsigned size)
{
	struct i440fx *h = self;

	if (off + size > PAM0 && off < PAM0 + PAMS)
		pam_apply(h);
	if (off + size > SMRAM && off <= SMRAM)
		smram_apply(h);
}

static int i440fx_init(void *dev, struct machine *m)
{
	struct i440fx *h = dev;

	pci_identify(&h->pci, 0x8086, 0x1237, 0x060000, 2);
	h->pci.writable[PCI_COMMAND] = 0;
	h->pci.config[PCI_COMMAND] = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	h->pci.config[SMRAM] = SMRAM_BASE;
	for (unsigned i = 0x50; i < 0x58; i++)		/* PMCCFG, DETURBO, DBC, ... */
		h->pci.writable[i] = 0xff;
	for (unsigned i = 0; i < PAMS; i++) {
		h->pci.writable[PAM0 + i] = i ? 0x33 : 0x30;
		/* No BIOS: as one would have left it. */
		if (!m->mem.legacy)
			h->pci.config[PAM0 + i] = h->pci.writable[PAM0 + i];
	}
	for (unsigned i = 0x60; i < 0x68; i++)		/* DRB: who sized the DRAM writes them */
		h->pci.writable[i] = 0xff;
	h->pci.written = i440fx_written;
	h->pci.self = h;
	pci_add(m, 0, 0, &h->pci);
	return 0;
}

static void i440fx_reset(void *dev)
{
	struct i440fx *h = dev;

	pci_reset(&h->pci);
	h->pci.writable[SMRAM] = SMRAM_OPEN | SMRAM_CLOSED | SMRAM_LOCK | SMRAM_ENABLE;
	pam_apply(h);
	smram_apply(h);
}

static void i440fx_save(void *dev, struct state *s)
{
	struct i440fx *h = dev;

	state_begin(s, i440fx_device.name, 1);
	pci_save(&h->pci, s);
	legacy_save(&h->pci.m->mem, s);
}

/* The pages below 1 MiB are restored as they lay, not turned over by PAM. */
static int i440fx_restore(void *dev, struct state *s)
{
	struct i440fx *h = dev;

	if (state_enter(s, i440fx_device.name) != 1)
		return -EINVAL;
	h->pci.writable[SMRAM] = SMRAM_OPEN | SMRAM_CLOSED | SMRAM_LOCK | SMRAM_ENABLE;
	pci_restore(&h->pci, s);
	if (s->bad)
		return -EINVAL;
	smram_apply(h);
	legacy_restore(&h->pci.m->mem, s);
	return s->bad ? -EINVAL : 0;
}

static void i440fx_fini(void *dev)
{
	struct i440fx *h = dev;

	pci_remove(&h->pci);
}

const struct device_ops i440fx_device = {
	.name = "i440fx", .state_size = sizeof(struct i440fx),
	.init = i440fx_init, .reset = i440fx_reset,
	.save = i440fx_save, .restore = i440fx_restore, .fini = i440fx_fini,
};

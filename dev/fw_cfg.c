/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's firmware configuration device, by which the monitor tells a BIOS what machine
 * it is in (docs/specs/fw_cfg in QEMU's documentation). It decides what is told; how a
 * BIOS uses it, and the tables that it builds from it, are the BIOS's.
 *
 *	0x510  selector, 16 bits | 0x511 data, one byte a read
 *	0x514  address of a DMA descriptor, big-endian; a write of its lower half starts it:
 *		31-16 key | 4 write | 3 select | 2 skip | 1 read | 0 error; length; address
 *
 * Keys below 0x20 are fixed, those from there on are files of a directory at 0x19.
 * Nothing can be written.
 */
#include "dev/pci.h"
#include "dev/table.h"
#include "machine/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FW_CFG_VERSION	1
#define SELECTOR	0x510
#define DATA		0x511
#define DMA		0x514
#define DMA_SIGNATURE	"QEMU CFG"
#define COM1		0x3f8

enum key { K_SIGNATURE, K_ID, K_UUID, K_RAM_SIZE, K_NOGRAPHIC, K_CPUS, K_BOOT_MENU = 0x0e,
	   K_MAX_CPUS, K_DIRECTORY = 0x19, K_FILE = 0x20 };
#define ID_TRADITIONAL	1
#define ID_DMA		2

#define C_ERROR		0x01
#define C_READ		0x02
#define C_SKIP		0x04
#define C_SELECT	0x08
#define C_WRITE		0x10

#define NAME_SIZE	56
#define FILE_SIZE	(4 + 2 + 2 + NAME_SIZE)
#define ITEMS		40

struct item { uint8_t *data; uint32_t size; };

struct fw_cfg {
	struct machine *m;
	struct item items[ITEMS];
	unsigned nfiles;
	uint16_t key;
	uint32_t pos;
	uint64_t dma;
};

/* --- Contents -------------------------------------------------------------------- */

static void le(uint8_t *at, uint64_t val, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(val >> 8 * i);
}

static void be(uint8_t *at, uint64_t val, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(val >> 8 * (size - 1 - i));
}

static uint64_t from_be(const uint8_t *at, unsigned size)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < size; i++)
		val = val << 8 | at[i];
	return val;
}

static int item_set(struct fw_cfg *f, unsigned key, const void *data, uint32_t size)
{
	uint8_t *copy = malloc(size);

	bug_on(key >= ITEMS);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, size);
	free(f->items[key].data);
	f->items[key] = (struct item){ copy, size };
	return 0;
}

static int item_number(struct fw_cfg *f, unsigned key, uint64_t val, unsigned size)
{
	uint8_t buf[8];

	le(buf, val, size);
	return item_set(f, key, buf, size);
}

/* A file, and its entry in the directory. */
static int file_add(struct fw_cfg *f, const char *name, const void *data, uint32_t size)
{
	struct item *dir = &f->items[K_DIRECTORY];
	uint32_t at = 4 + f->nfiles * FILE_SIZE;
	uint8_t *more = realloc(dir->data, at + FILE_SIZE);

	if (!more)
		return -ENOMEM;
	dir->data = more;
	dir->size = at + FILE_SIZE;
	memset(more + at, 0, FILE_SIZE);
	be(more + at, size, 4);
	be(more + at + 4, K_FILE + f->nfiles, 2);
	memcpy(more + at + 8, name, strnlen(name, NAME_SIZE - 1));
	be(more, f->nfiles + 1, 4);
	return item_set(f, K_FILE + f->nfiles++, data, size);
}

/* RAM as the BIOS's memory map begins: base, length, type (1: RAM). */
static int add_memory_map(struct fw_cfg *f)
{
	const struct memory *mem = &f->m->mem;
	uint8_t map[2 * 20];

	le(map, 0, 8);
	le(map + 8, mem->low_size, 8);
	le(map + 16, 1, 4);
	le(map + 20, 1ull << 32, 8);
	le(map + 28, mem->high_size, 8);
	le(map + 36, 1, 4);
	return file_add(f, "etc/e820", map, mem->high_size ? 40 : 20);
}

static int fill(struct fw_cfg *f)
{
	/* For each sleep state its type, and 0x80 if there is one: S5 is 0, S4 is 2. */
	static const uint8_t sleep_states[] = { 0x80, 0, 0, 1, 0x82, 0x80 };
	static const uint8_t uuid[16];
	uint64_t ram = f->m->mem.low_size + f->m->mem.high_size;
	uint8_t port[2] = { COM1 & 0xff, COM1 >> 8 };
	int err = item_set(f, K_SIGNATURE, "QEMU", 4);

	if (!err)
		err = item_number(f, K_ID, ID_TRADITIONAL | ID_DMA, 4);
	if (!err)
		err = item_set(f, K_UUID, uuid, sizeof(uuid));
	if (!err)
		err = item_number(f, K_RAM_SIZE, ram, 8);
	if (!err)
		err = item_number(f, K_CPUS, 1, 2);
	if (!err)
		err = item_number(f, K_MAX_CPUS, 1, 2);
	if (!err)
		err = item_number(f, K_BOOT_MENU, 0, 2);
	if (!err)
		err = add_memory_map(f);
	if (!err)
		err = file_add(f, "etc/system-states", sleep_states, sizeof(sleep_states));
	/* The timer's interrupt is on pin 2 of the I/O APIC. */
	if (!err && f->m->config->apic)
		err = file_add(f, "etc/irq0-override", &(uint8_t){ 1 }, 1);
	/* While nobody looks at a display, text of the BIOS's services goes to the serial port
	 * too. */
	if (!err && f->m->console && !f->m->config->display && !f->m->config->screenshot)
		err = file_add(f, "etc/sercon-port", port, sizeof(port));
	return err;
}

/* --- Access ---------------------------------------------------------------------- */

static const struct item *current(const struct fw_cfg *f)
{
	static const struct item none;

	return f->key < ITEMS ? &f->items[f->key] : &none;
}

/* Bytes from the current position on; zeros beyond the end. */
static void take(struct fw_cfg *f, uint8_t *to, uint32_t n)
{
	const struct item *item = current(f);
	uint32_t have = f->pos < item->size ? item->size - f->pos : 0;

	have = have < n ? have : n;
	if (have)
		memcpy(to, item->data + f->pos, have);
	memset(to + have, 0, n - have);
	f->pos += have;
}

static void select_key(struct fw_cfg *f, uint16_t key)
{
	f->key = key;
	f->pos = 0;
}

static bool dma_read(struct fw_cfg *f, gpa_t to, uint32_t len)
{
	uint8_t buf[PAGE_SIZE];

	while (len) {
		uint32_t n = len < sizeof(buf) ? len : (uint32_t)sizeof(buf);

		take(f, buf, n);
		if (!phys_write_bulk(&f->m->mem, to, buf, n))
			return false;
		to += n;
		len -= n;
	}
	return true;
}

static void dma_run(struct fw_cfg *f)
{
	uint8_t d[16], answer[4];
	uint32_t control, len, size;
	gpa_t at = f->dma;

	f->dma = 0;
	if (!phys_read_bulk(&f->m->mem, at, d, sizeof(d)))
		return;
	control = (uint32_t)from_be(d, 4);
	len = (uint32_t)from_be(d + 4, 4);
	if (control & C_SELECT)
		select_key(f, (uint16_t)(control >> 16));
	size = current(f)->size;
	if (control & C_READ) {
		control = dma_read(f, from_be(d + 8, 8), len) ? 0 : C_ERROR;
	} else if (control & C_WRITE) {
		control = C_ERROR;
	} else {
		if (control & C_SKIP)
			f->pos = size - f->pos < len ? size : f->pos + len;
		control = 0;
	}
	be(answer, control, 4);
	phys_write_bulk(&f->m->mem, at, answer, 4);
}

static uint32_t fw_cfg_in(void *dev, uint16_t port, unsigned size)
{
	struct fw_cfg *f = dev;
	uint8_t byte;

	if (port >= DMA) {	/* the signature reads as it is spelled */
		uint32_t val = 0;

		for (unsigned i = 0; i < size; i++)
			val |= (uint32_t)(uint8_t)DMA_SIGNATURE[port - DMA + i] << 8 * i;
		return val;
	}
	if (port != DATA || size != 1)
		return ~0u;
	take(f, &byte, 1);
	return byte;
}

static void fw_cfg_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct fw_cfg *f = dev;

	if (port == SELECTOR && size == 2)
		select_key(f, (uint16_t)val);
	if (size != 4)
		return;
	val = __builtin_bswap32(val);
	if (port == DMA) {
		f->dma = (uint64_t)val << 32;
	} else if (port == DMA + 4) {
		f->dma |= val;
		dma_run(f);
	}
}

static void fw_cfg_fini(void *dev)
{
	struct fw_cfg *f = dev;

	for (unsigned i = 0; i < ITEMS; i++)
		free(f->items[i].data);
}

static int fw_cfg_init(void *dev, struct machine *m)
{
	struct fw_cfg *f = dev;
	int err;

	f->m = m;
	err = fill(f);
	if (err) {
		fw_cfg_fini(f);
		return err;
	}
	bus_claim(m->bus, SELECTOR, 2, 2, &fw_cfg_device, f);
	bus_claim(m->bus, DMA, 8, 4, &fw_cfg_device, f);
	return 0;
}

static void fw_cfg_reset(void *dev)
{
	struct fw_cfg *f = dev;

	select_key(f, K_SIGNATURE);
	f->dma = 0;
}

static void fw_cfg_save(void *dev, struct state *s)
{
	struct fw_cfg *f = dev;

	state_begin(s, fw_cfg_device.name, FW_CFG_VERSION);
	state_put_u64(s, f->key);
	state_put_u64(s, f->pos);
	state_put_u64(s, f->dma);
}

static int fw_cfg_restore(void *dev, struct state *s)
{
	struct fw_cfg *f = dev;

	if (state_enter(s, fw_cfg_device.name) != FW_CFG_VERSION)
		return -EINVAL;
	f->key = (uint16_t)state_get_u64(s);
	f->pos = (uint32_t)state_get_u64(s);
	f->dma = state_get_u64(s);
	if (f->pos > current(f)->size)
		f->pos = current(f)->size;
	return s->bad ? -EINVAL : 0;
}

const struct device_ops fw_cfg_device = {
	.name = "fw-cfg", .state_size = sizeof(struct fw_cfg),
	.init = fw_cfg_init, .reset = fw_cfg_reset, .in = fw_cfg_in, .out = fw_cfg_out,
	.save = fw_cfg_save, .restore = fw_cfg_restore, .fini = fw_cfg_fini,
};

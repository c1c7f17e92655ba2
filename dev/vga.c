/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The display adapter as the machine sees it: an IBM VGA at the ports and addresses that it
 * has had since 1987, and the PCI function 1234:1111 of QEMU and Bochs around it.
 *
 *	BAR 0	the frame, 16 MiB
 *	BAR 2	0x400-0x41f: ports 0x3c0-0x3df; 0x500-0x515: DISPI registers, 16 bits each
 *	ROM	the VGA BIOS
 *	0x1ce	DISPI index, 0x1cf (and 0x1d0) data
 *
 * The legacy ports and addresses answer whatever the PCI command register says, as
 * kernels that are loaded without a BIOS expect.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dev/table.h"
#include "dev/vga.h"
#include "machine/snapshot.h"

#define VGA_VERSION	1
#define DISPI_INDEX	0x1ce
#define DISPI_DATA	0x1cf
#define REG_PORTS	0x400
#define REG_DISPI	0x500

/* --- Ports --------------------------------------------------------------------------- */

static uint32_t vga_in(void *dev, uint16_t port, unsigned size)
{
	struct vga *v = dev;

	if (port == DISPI_INDEX)
		return size == 2 ? v->r.dispi_index : ~0u;
	if (port == DISPI_DATA || port == DISPI_DATA + 1)
		return size == 2 ? vga_dispi_read(v) : ~0u;
	return vga_port_read(v, port);
}

static void vga_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct vga *v = dev;

	if (port == DISPI_INDEX) {
		if (size == 2)
			v->r.dispi_index = (uint16_t)val;
	} else if (port == DISPI_DATA || port == DISPI_DATA + 1) {
		if (size == 2)
			vga_dispi_write(v, (uint16_t)val);
	} else {
		vga_port_write(v, port, (uint8_t)val);
	}
}

static void claim_ports(struct vga *v)
{
	static const struct { uint16_t first, count; } ports[] = {
		{ 0x3b4, 2 }, { 0x3ba, 1 }, { 0x3c0, 16 }, { 0x3d4, 2 }, { 0x3da, 1 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(ports); i++)
		bus_claim(v->m->bus, ports[i].first, ports[i].count, 1, &vga_device, v);
	bus_claim(v->m->bus, DISPI_INDEX, 3, 2, &vga_device, v);
}

/* --- The PCI function ------------------------------------------------------------------ */

/* A register of the DISPI: index and data at once. */
static bool is_dispi(uint64_t off, unsigned size)
{
	return size == 2 && off % 2 == 0 && off >= REG_DISPI && off < REG_DISPI + 2 * DISPI_COUNT;
}

static bool is_port(uint64_t off)
{
	return off >= REG_PORTS && off < REG_PORTS + 0x20;
}

static uint16_t port_at(uint64_t off)
{
	return (uint16_t)(off - REG_PORTS + 0x3c0);
}

static uint64_t registers_read(void *dev, uint64_t off, unsigned size)
{
	struct vga *v = dev;
	uint64_t val = 0;

	if (is_dispi(off, size)) {
		uint16_t index = v->r.dispi_index;

		v->r.dispi_index = (uint16_t)((off - REG_DISPI) / 2);
		val = vga_dispi_read(v);
		v->r.dispi_index = index;
		return val;
	}
	for (unsigned i = 0; i < size; i++)
		val |= (uint64_t)(is_port(off + i) ? vga_port_read(v, port_at(off + i)) : 0xff) << 8 * i;
	return val;
}

static void registers_write(void *dev, uint64_t off, uint64_t val, unsigned size)
{
	struct vga *v = dev;

	if (is_dispi(off, size)) {
		uint16_t index = v->r.dispi_index;

		v->r.dispi_index = (uint16_t)((off - REG_DISPI) / 2);
		vga_dispi_write(v, (uint16_t)val);
		v->r.dispi_index = index;
		return;
	}
	for (unsigned i = 0; i < size; i++)
		if (is_port(off + i))
			vga_port_write(v, port_at(off + i), (uint8_t)(val >> 8 * i));
}

static uint64_t rom_read(void *dev, uint64_t off, unsigned size)
{
	const struct vga *v = dev;
	uint64_t val = 0;

	for (unsigned i = 0; i < size; i++)
		val |= (uint64_t)(off + i < v->rom_size ? v->rom[off + i] : 0xff) << 8 * i;
	return val;
}

static void add_function(struct vga *v)
{
	struct memory *mem = &v->m->mem;
	uint32_t rom = 0x1000;

	while (rom < v->rom_size)
		rom *= 2;
	pci_identify(&v->pci, 0x1234, 0x1111, 0x030000, 2);
	pci_put32(&v->pci, PCI_SUBSYSTEM, 0x11001af4);
	/* The legacy ports'; BIOSes look at it. */
	v->pci.writable[PCI_COMMAND] |= PCI_COMMAND_IO;
	pci_bar_memory(&v->pci, 0, memory_add_range(mem, &(struct range){
			.size = VGA_MEMORY, .kind = RANGE_DEVICE, .name = "vga frame", .off = true,
			.read = vga_frame_read, .write = vga_frame_write, .dev = v }));
	v->pci.config[PCI_BAR0] |= 0x08;	/* prefetchable */
	pci_bar_memory(&v->pci, 2, memory_add_range(mem, &(struct range){
			.size = PAGE_SIZE, .kind = RANGE_DEVICE, .name = "vga registers",
			.off = true, .read = registers_read, .write = registers_write, .dev = v }));
	if (v->rom_size)
		pci_bar_memory(&v->pci, PCI_BAR_ROM, memory_add_range(mem, &(struct range){
				.size = rom, .kind = RANGE_DEVICE, .name = "vga rom", .off = true,
				.read = rom_read, .dev = v }));
	pci_add(v->m, 2, 0, &v->pci);
}

/* --- Life -------------------------------------------------------------------------------- */

static int vga_init(void *dev, struct machine *m)
{
	struct vga *v = dev;

	v->m = m;
	if (m->config->vga == VGA_NONE)
		return 0;
	v->vram = mmap(NULL, VGA_MEMORY, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (v->vram == MAP_FAILED) {
		v->vram = NULL;
		return -ENOMEM;
	}
	v->rom = m->vga_rom;
	v->rom_size = m->vga_rom_size;
	m->vga = v;
	claim_ports(v);
	memory_add_range(&m->mem, &(struct range){
		.base = 0xa0000, .size = 0x20000, .kind = RANGE_DEVICE, .name = "vga",
		.read = vga_memory_read, .write = vga_memory_write, .dev = v });
	add_function(v);
	return 0;
}

/* Memory that nobody touched takes no room. */
static void clear_memory(struct vga *v)
{
	madvise(v->vram, VGA_MEMORY, MADV_DONTNEED);
}

/* Without a BIOS: as one would have left it. */
static void vga_reset(void *dev)
{
	struct vga *v = dev;

	if (!v->vram)
		return;
	pci_reset(&v->pci);
	clear_memory(v);
	v->r = (struct vga_regs){ .dac_mask = 0xff };
	v->r.dispi[DISPI_ID] = 0xb0c5;
	if (!v->m->mem.legacy)
		vga_mode3(v);
	vga_dispi_check(&v->r);
	v->changed = true;
}

static bool page_used(const uint8_t *p)
{
	return p[0] || memcmp(p, p + 1, PAGE_SIZE - 1) != 0;
}

/* Pages of zeros are left out. */
static void vga_save(void *dev, struct state *s)
{
	struct vga *v = dev;
	uint64_t used = 0;

	state_begin(s, vga_device.name, VGA_VERSION);
	state_put_u64(s, v->vram != NULL);
	if (!v->vram)
		return;
	pci_save(&v->pci, s);
	state_put(s, &v->r, sizeof(v->r));
	for (uint64_t at = 0; at < VGA_MEMORY; at += PAGE_SIZE)
		used += page_used(v->vram + at);
	state_put_u64(s, used);
	for (uint64_t at = 0; at < VGA_MEMORY; at += PAGE_SIZE) {
		if (!page_used(v->vram + at))
			continue;
		state_put_u64(s, at);
		state_put(s, v->vram + at, PAGE_SIZE);
	}
}

/* What indexes something must not lead out of it, whatever the stream says. */
static void registers_check(struct vga_regs *r)
{
	r->seq_index &= 0x07;
	r->gfx_index &= 0x0f;
	r->crtc_index &= 0x1f;
	r->attr_index &= ATTR_SOURCE | 0x1f;
	r->attr_data &= 1;
	r->dac_part %= 3;
	r->gfx[GFX_READ_MAP] &= 3;
	vga_dispi_check(r);
}

static int vga_restore(void *dev, struct state *s)
{
	struct vga *v = dev;
	uint64_t used, at;

	if (state_enter(s, vga_device.name) != VGA_VERSION ||
	    state_get_u64(s) != (v->vram != NULL))
		return -EINVAL;
	if (!v->vram)
		return s->bad ? -EINVAL : 0;
	pci_restore(&v->pci, s);
	state_get(s, &v->r, sizeof(v->r));
	registers_check(&v->r);
	clear_memory(v);
	used = state_get_u64(s);
	for (uint64_t i = 0; i < used && !s->bad; i++) {
		at = state_get_u64(s);
		if (at >= VGA_MEMORY || at % PAGE_SIZE)
			return -EINVAL;
		state_get(s, v->vram + at, PAGE_SIZE);
	}
	v->changed = true;
	return s->bad ? -EINVAL : 0;
}

static void vga_fini(void *dev)
{
	struct vga *v = dev;

	if (!v->vram)
		return;
	pci_remove(&v->pci);
	v->m->vga = NULL;
	munmap(v->vram, VGA_MEMORY);
}

const struct device_ops vga_device = {
	.name = "vga", .state_size = sizeof(struct vga),
	.init = vga_init, .reset = vga_reset, .in = vga_in, .out = vga_out,
	.save = vga_save, .restore = vga_restore, .fini = vga_fini,
};

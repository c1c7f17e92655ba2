/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processor's view of display memory at 0xa0000-0xbffff (IBM, "Graphics Controller"):
 * which maps and which offset an address means, and what the graphics controller makes
 * of a byte on its way there. Maps lie in the four bytes of a dword, map 0 lowest.
 *
 *	chain 4		address bits 1-0 choose the map and are 0 in the offset
 *	odd/even	bit 0 chooses maps 0, 2 or 1, 3, and is 0 in the offset
 *	otherwise	every map, at the address
 *
 * A DISPI mode of 8 bits and more shows 64 KiB of the linear frame instead.
 */
#include "dev/vga.h"

#include <string.h>

/* The bits of n, each as a byte of ones. */
static uint32_t spread(unsigned n)
{
	return (n & 1) * 0xffu | (n >> 1 & 1) * 0xff00u | (n >> 2 & 1) * 0xff0000u |
	       (n >> 3 & 1) * 0xff000000u;
}

static uint32_t repeat(uint8_t byte)
{
	return byte * 0x01010101u;
}

/* What GFX_MISC bits 3-2 choose: where from 0xa0000, and how much. */
static const struct window { uint32_t base, size; } windows[4] = {
	{ 0, 0x20000 }, { 0, 0x10000 }, { 0x10000, 0x8000 }, { 0x18000, 0x8000 },
};

/* Offset within the window, or -1. */
static int64_t window_offset(const struct vga_regs *r, uint64_t off)
{
	const struct window *w = &windows[r->gfx[GFX_MISC] >> 2 & 3];

	if (!(r->misc & MISC_RAM) || off < w->base || off - w->base >= w->size)
		return -1;
	return (int64_t)(off - w->base);
}

static bool frame_window(const struct vga_regs *r)
{
	return vga_dispi_on(r) && r->dispi[DISPI_BPP] > 4;
}

/* Byte `off` of the 64 KiB window onto the frame, or NULL. */
static uint8_t *frame_byte(const struct vga *v, uint64_t off)
{
	uint64_t at = off + ((uint64_t)v->r.dispi[DISPI_BANK] << DISPI_BANK_SHIFT);

	return off < 0x10000 && at < VGA_MEMORY ? v->vram + at : NULL;
}

/* The dword of the maps at an offset; beyond 64 KiB only for 4-bit DISPI modes. */
static uint8_t *maps_at(const struct vga *v, uint32_t offset)
{
	if (vga_dispi_on(&v->r))
		offset += (uint32_t)v->r.dispi[DISPI_BANK] << DISPI_BANK_SHIFT;
	else
		offset &= VGA_MAP_MASK;
	return v->vram + (4ull * offset & (VGA_MEMORY - 1));
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t val;

	memcpy(&val, p, 4);
	return val;
}

static uint32_t offset_of(const struct vga_regs *r, uint32_t at, bool odd_even)
{
	if (r->seq[SEQ_MEMORY] & SEQ_CHAIN4)
		return at & ~3u;
	return odd_even && r->gfx[GFX_MISC] & GFX_CHAIN ? at & ~1u : at;
}

static uint8_t read_byte(struct vga *v, uint64_t off)
{
	struct vga_regs *r = &v->r;
	int64_t at = window_offset(r, off);
	bool odd_even = r->gfx[GFX_MODE] & GFX_ODD_EVEN;
	unsigned map = r->gfx[GFX_READ_MAP];
	uint32_t latch, differs;

	if (at < 0)
		return 0xff;
	latch = get32(maps_at(v, offset_of(r, (uint32_t)at, odd_even)));
	memcpy(r->latch, &latch, 4);
	if (r->seq[SEQ_MEMORY] & SEQ_CHAIN4)
		return r->latch[at & 3];
	if (r->gfx[GFX_MODE] & GFX_READ_MODE) {
		differs = (latch ^ spread(r->gfx[GFX_COMPARE])) & spread(r->gfx[GFX_DONT_CARE]);
		differs |= differs >> 16;
		return (uint8_t)~(differs | differs >> 8);
	}
	return r->latch[odd_even ? (map & 2) | (at & 1) : map];
}

static unsigned write_maps(const struct vga_regs *r, uint32_t at)
{
	unsigned maps = r->seq[SEQ_MAP_MASK];

	if (r->seq[SEQ_MEMORY] & SEQ_CHAIN4)
		return maps & 1u << (at & 3);
	if (!(r->seq[SEQ_MEMORY] & SEQ_SEQUENTIAL))
		return maps & (at & 1 ? 0x0a : 0x05);
	return maps;
}

static uint8_t rotate(const struct vga_regs *r, uint8_t val)
{
	unsigned n = r->gfx[GFX_ROTATE] & 7;

	return (uint8_t)(val >> n | val << (8 - n));
}

static uint32_t combine(const struct vga_regs *r, uint32_t val, uint32_t latch)
{
	switch (r->gfx[GFX_ROTATE] >> 3 & 3) {
	case 1: return val & latch;
	case 2: return val | latch;
	case 3: return val ^ latch;
	}
	return val;
}

/* The dword that the write mode makes of a byte, as far as maps take it. */
static uint32_t write_value(const struct vga_regs *r, uint8_t val)
{
	uint32_t set = spread(r->gfx[GFX_SET_RESET]), latch = get32(r->latch), enable, data;
	uint32_t mask = repeat(r->gfx[GFX_BIT_MASK]);

	switch (r->gfx[GFX_MODE] & 3) {
	case 0:
		enable = spread(r->gfx[GFX_ENABLE_SR]);
		data = (repeat(rotate(r, val)) & ~enable) | (set & enable);
		break;
	case 1:
		return latch;
	case 2:
		data = spread(val);
		break;
	default:
		data = set;
		mask &= repeat(rotate(r, val));
	}
	return (combine(r, data, latch) & mask) | (latch & ~mask);
}

static void write_byte(struct vga *v, uint64_t off, uint8_t val)
{
	struct vga_regs *r = &v->r;
	int64_t at = window_offset(r, off);
	uint32_t maps, data;
	uint8_t *p;

	if (at < 0)
		return;
	p = maps_at(v, offset_of(r, (uint32_t)at, !(r->seq[SEQ_MEMORY] & SEQ_SEQUENTIAL)));
	maps = spread(write_maps(r, (uint32_t)at));
	data = (write_value(r, val) & maps) | (get32(p) & ~maps);
	memcpy(p, &data, 4);
}

uint64_t vga_memory_read(void *dev, uint64_t off, unsigned size)
{
	struct vga *v = dev;
	bool frame = frame_window(&v->r);
	uint64_t val = 0;

	for (unsigned i = 0; i < size; i++) {
		const uint8_t *p = frame ? frame_byte(v, off + i) : NULL;

		val |= (uint64_t)(p ? *p : frame ? 0xff : read_byte(v, off + i)) << 8 * i;
	}
	return val;
}

void vga_memory_write(void *dev, uint64_t off, uint64_t val, unsigned size)
{
	struct vga *v = dev;
	bool frame = frame_window(&v->r);

	v->changed = true;
	for (unsigned i = 0; i < size; i++) {
		uint8_t *p = frame ? frame_byte(v, off + i) : NULL;

		if (p)
			*p = (uint8_t)(val >> 8 * i);
		else if (!frame)
			write_byte(v, off + i, (uint8_t)(val >> 8 * i));
	}
}

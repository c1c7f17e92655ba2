/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bochs' display interface, version B0C5 (vbe_display_api.txt in its documentation): an
 * index port, a data port, both of 16 bits, and a frame that is linear memory. Whatever is
 * written, the registers stand for a frame that fits into memory; a mode that does
 * not is made to.
 */
#include "dev/vga.h"

#include <string.h>

#define DISPI_ID5	0xb0c5
#define X_MAX		2560
#define Y_MAX		1600
#define BPP_MAX		32

bool vga_dispi_on(const struct vga_regs *r)
{
	return r->dispi[DISPI_ENABLE] & DISPI_ENABLED;
}

/* Bits of a pixel in memory. */
static unsigned bits(const struct vga_regs *r)
{
	return r->dispi[DISPI_BPP] == 15 ? 16 : r->dispi[DISPI_BPP];
}

/* A 4-bit mode has its lines in four maps, of 8 pixels a byte. */
unsigned vga_dispi_pitch(const struct vga_regs *r)
{
	return r->dispi[DISPI_VIRT_WIDTH] * bits(r) / 8;
}

static uint16_t clamp(unsigned val, unsigned low, unsigned high)
{
	return (uint16_t)(val < low ? low : val > high ? high : val);
}

void vga_dispi_check(struct vga_regs *r)
{
	uint16_t *d = r->dispi;
	unsigned lines;

	switch (d[DISPI_BPP]) {
	case 4: case 8: case 15: case 16: case 24: case 32: break;
	default: d[DISPI_BPP] = 8;
	}
	d[DISPI_XRES] = clamp(d[DISPI_XRES] & ~7u, 8, X_MAX);
	d[DISPI_VIRT_WIDTH] = clamp(d[DISPI_VIRT_WIDTH] & ~7u, d[DISPI_XRES], 2 * X_MAX);
	lines = VGA_MEMORY / vga_dispi_pitch(r);
	d[DISPI_YRES] = clamp(d[DISPI_YRES], 1, lines < Y_MAX ? lines : Y_MAX);
	d[DISPI_VIRT_HEIGHT] = clamp(lines, 1, 0xffff);
	d[DISPI_X_OFFSET] = clamp(d[DISPI_X_OFFSET], 0,
				  (unsigned)(d[DISPI_VIRT_WIDTH] - d[DISPI_XRES]));
	d[DISPI_Y_OFFSET] = clamp(d[DISPI_Y_OFFSET], 0,
				  (unsigned)(d[DISPI_VIRT_HEIGHT] - d[DISPI_YRES]));
	d[DISPI_BANK] &= (VGA_MEMORY >> DISPI_BANK_SHIFT) - 1;
}

uint16_t vga_dispi_read(const struct vga *v)
{
	const uint16_t *d = v->r.dispi;
	unsigned i = v->r.dispi_index;

	if (d[DISPI_ENABLE] & DISPI_GETCAPS) {
		switch (i) {
		case DISPI_XRES: return X_MAX;
		case DISPI_YRES: return Y_MAX;
		case DISPI_BPP: return BPP_MAX;
		}
	}
	if (i == DISPI_MEMORY)
		return VGA_MEMORY >> 16;
	return i < DISPI_COUNT ? d[i] : 0;
}

/* The DAC keeps what it shows when its width changes (VBE 3.0, function 08h does not; it
 * asks for a new palette). */
static void set_dac_width(struct vga_regs *r, bool wide)
{
	if (wide == !!(r->dispi[DISPI_ENABLE] & DISPI_8BIT_DAC))
		return;
	for (unsigned i = 0; i < 256 * 3; i++) {
		uint8_t *c = &r->dac[i / 3][i % 3];

		*c = wide ? (uint8_t)(*c << 2 | *c >> 4) : *c >> 2;
	}
}

static void enable(struct vga *v, uint16_t val)
{
	struct vga_regs *r = &v->r;
	bool was = vga_dispi_on(r);

	set_dac_width(r, val & DISPI_8BIT_DAC);
	r->dispi[DISPI_ENABLE] = val & (DISPI_ENABLED | DISPI_GETCAPS | DISPI_8BIT_DAC | DISPI_LFB |
					DISPI_NOCLEAR);
	if (was || !vga_dispi_on(r))
		return;
	r->dispi[DISPI_VIRT_WIDTH] = r->dispi[DISPI_XRES];
	r->dispi[DISPI_X_OFFSET] = r->dispi[DISPI_Y_OFFSET] = 0;
	r->dispi[DISPI_BANK] = 0;
	vga_dispi_check(r);
	if (!(val & DISPI_NOCLEAR))
		memset(v->vram, 0, (size_t)vga_dispi_pitch(r) * r->dispi[DISPI_YRES]);
}

void vga_dispi_write(struct vga *v, uint16_t val)
{
	struct vga_regs *r = &v->r;

	v->changed = true;
	switch (r->dispi_index) {
	case DISPI_ID:
		if (val >= 0xb0c0 && val <= DISPI_ID5)
			r->dispi[DISPI_ID] = val;
		return;
	case DISPI_ENABLE:
		enable(v, val);
		return;
	case DISPI_XRES: case DISPI_YRES: case DISPI_BPP: case DISPI_BANK: case DISPI_VIRT_WIDTH:
	case DISPI_X_OFFSET: case DISPI_Y_OFFSET:
		r->dispi[r->dispi_index] = val;
		if (vga_dispi_on(r))
			vga_dispi_check(r);
	}
}

uint64_t vga_frame_read(void *dev, uint64_t off, unsigned size)
{
	const struct vga *v = dev;
	uint64_t val = 0;

	memcpy(&val, v->vram + off, size);
	return val;
}

void vga_frame_write(void *dev, uint64_t off, uint64_t val, unsigned size)
{
	struct vga *v = dev;

	v->changed = true;
	memcpy(v->vram + off, &val, size);
}

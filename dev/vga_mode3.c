/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text mode 3 as a BIOS sets it (IBM, "Video Modes": 80 x 25 characters of 9 x 16 dots in 16
 * colours at 0xb8000), for kernels that are loaded without one and write at once.
 */
#include <string.h>

#include "dev/vga.h"

static const struct vga_regs mode3 = {
	.misc = 0x67,
	.seq = { 0x03, 0x00, 0x03, 0x00, 0x02 },
	.crtc = { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00,
		  0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff },
	.gfx = { 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff },
	.attr = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d,
		  0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00 },
	.attr_index = ATTR_SOURCE,
	.dac_mask = 0xff,
};

#define CHARACTERS	2000
#define BLANK		0x0720

/* EGA's colours: bits 2-0 are red, green and blue of two thirds, bits 5-3 of one third. */
static void ega_palette(uint8_t dac[static 256][3])
{
	for (unsigned i = 0; i < 64; i++)
		for (unsigned k = 0; k < 3; k++)
			dac[i][k] = (uint8_t)((i >> (2 - k) & 1) * 0x2a + (i >> (5 - k) & 1) * 0x15);
}

void vga_mode3(struct vga *v)
{
	uint8_t font[256 * 16];

	v->r = mode3;
	v->r.dispi[DISPI_ID] = 0xb0c5;
	ega_palette(v->r.dac);
	vga_font(v->rom, v->rom_size, font);
	for (unsigned i = 0; i < sizeof(font); i++)
		v->vram[4 * (i / 16 * 32 + i % 16) + 2] = font[i];
	for (unsigned i = 0; i < CHARACTERS; i++) {
		v->vram[8 * i] = BLANK & 0xff;
		v->vram[8 * i + 1] = BLANK >> 8;
	}
}

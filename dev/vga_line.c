/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line of the picture outside of DISPI modes: from the CRT controller's counters
 * through the maps and the attribute controller to colours (IBM, "CRT Controller",
 * "Attribute Controller"). Where a line starts is vga_screen.c's affair.
 */
#include "dev/vga.h"

/* Bits of CRTC_MODE and CRTC_UNDERLINE. */
enum { MODE_NO_SCAN0 = 0x01, MODE_NO_SCAN1 = 0x02, MODE_COUNT_BY_2 = 0x08, MODE_MA15 = 0x20,
       MODE_BYTE = 0x40 };
enum { UNDERLINE_AT = 0x1f, COUNT_BY_4 = 0x20, DOUBLEWORD = 0x40 };

/* Byte, word and doubleword mode: the counter's upper bits come in at the bottom. The
 * 6845 of CGA and Hercules cards had rows of two and four banks of memory. */
unsigned vga_address(const struct vga_regs *r, unsigned ma, unsigned scan)
{
	unsigned mode = r->crtc[CRTC_MODE], addr = ma & 0xffff;

	if (r->crtc[CRTC_UNDERLINE] & DOUBLEWORD)
		addr = addr << 2 | (addr >> 14 & 3);
	else if (!(mode & MODE_BYTE))
		addr = addr << 1 | (addr >> (mode & MODE_MA15 ? 15 : 13) & 1);
	if (!(mode & MODE_NO_SCAN0))
		addr = (addr & ~0x2000u) | (scan & 1) << 13;
	if (!(mode & MODE_NO_SCAN1))
		addr = (addr & ~0x4000u) | (scan >> 1 & 1) << 14;
	return addr & VGA_MAP_MASK;
}

unsigned vga_char_width(const struct vga_regs *r)
{
	unsigned dots = r->seq[SEQ_CLOCKING] & SEQ_8DOTS || r->gfx[GFX_MISC] & GFX_GRAPHICS ? 8 : 9;

	return r->seq[SEQ_CLOCKING] & SEQ_HALF_CLOCK ? 2 * dots : dots;
}

uint8_t vga_attribute(const struct vga_regs *r, unsigned colour)
{
	uint8_t val = r->attr[colour & r->attr[ATTR_PLANES] & 0x0f], select = r->attr[ATTR_SELECT];

	if (r->attr[ATTR_MODE] & ATTR_P54)
		val = (val & 0x0f) | (select & 0x03) << 4;
	return (val | (select & 0x0c) << 4) & r->dac_mask;
}

/* --- Text ------------------------------------------------------------------------------ */

/* SEQ_FONT: bits 4, 1, 0 for characters without attribute bit 3, 5, 3, 2 for those with. */
static unsigned font_at(const struct vga_regs *r, unsigned attr)
{
	unsigned f = r->seq[SEQ_FONT];
	unsigned n = attr & 8 ? (f >> 2 & 3) | (f >> 3 & 4) : (f & 3) | (f >> 2 & 4);

	return (n & 3) << 14 | (n & 4) << 11;
}

static unsigned cursor_address(const struct vga_regs *r)
{
	return r->crtc[CRTC_CURSOR] << 8 | r->crtc[CRTC_CURSOR + 1];
}

static bool under_cursor(const struct vga_regs *r, const struct vga_line *l, unsigned column)
{
	unsigned start = r->crtc[CRTC_CURSOR_START], end = r->crtc[CRTC_CURSOR_END];
	unsigned at = (cursor_address(r) + (end >> 5 & 3)) & 0xffff;

	return l->cursor && !(start & 0x20) && ((l->ma + column) & 0xffff) == at &&
	       l->scan >= (start & 0x1f) && l->scan <= (end & 0x1f);
}

/* Nine dots of a character, leftmost in bit 8. */
static unsigned glyph_line(const struct vga *v, const struct vga_line *l, unsigned column,
			   unsigned ch, unsigned attr)
{
	const struct vga_regs *r = &v->r;
	unsigned dots = vga_cell(v->vram, font_at(r, attr) + 32 * ch + l->scan, 2) << 1;

	if (r->attr[ATTR_MODE] & ATTR_LINE_GRAPHICS && (ch & 0xe0) == 0xc0)
		dots |= dots >> 1 & 1;
	if (r->attr[ATTR_MODE] & ATTR_MONO && (attr & 0x77) == 1 &&
	    l->scan == (r->crtc[CRTC_UNDERLINE] & UNDERLINE_AT))
		dots = 0x1ff;
	return under_cursor(r, l, column) ? 0x1ff : dots;
}

void vga_line_text(const struct vga *v, const uint32_t colours[static 256], const struct vga_line *l,
		   uint32_t *out)
{
	const struct vga_regs *r = &v->r;
	unsigned width = vga_char_width(r), twice = width > 9;
	unsigned back_bits = r->attr[ATTR_MODE] & ATTR_BLINK ? 0x7 : 0xf;
	uint32_t palette[16];

	for (unsigned i = 0; i < 16; i++)
		palette[i] = colours[vga_attribute(r, i)];
	for (unsigned x = 0, at = l->pan; x < l->dots;) {
		unsigned column = at / width, dot = at % width;
		unsigned addr = vga_address(r, l->ma + column, l->scan);
		unsigned attr = vga_cell(v->vram, addr, 1);
		unsigned dots = glyph_line(v, l, column, vga_cell(v->vram, addr, 0), attr);
		uint32_t fore = palette[attr & 0x0f], back = palette[attr >> 4 & back_bits];

		for (; dot < width && x < l->dots; dot++, at++, x++)
			out[x] = dots >> (8 - (dot >> twice)) & 1 ? fore : back;
	}
}

/* --- Graphics ---------------------------------------------------------------------------- */

/* Eight dots of one character clock, before the attribute controller. */
static void shift_out(const struct vga_regs *r, const uint8_t *maps, uint8_t dots[static 8])
{
	unsigned how = r->gfx[GFX_MODE];

	for (unsigned i = 0; i < 8; i++) {
		unsigned pair = i >> 2, by = 6 - 2 * (i & 3);

		if (how & GFX_256)
			dots[i] = maps[i >> 1];
		else if (how & GFX_INTERLEAVED)
			dots[i] = (maps[pair] >> by & 3) | (maps[pair + 2] >> by & 3) << 2;
		else
			dots[i] = (maps[0] >> (7 - i) & 1) | (maps[1] >> (7 - i) & 1) << 1 |
				  (maps[2] >> (7 - i) & 1) << 2 | (maps[3] >> (7 - i) & 1) << 3;
	}
}

static unsigned count_shift(const struct vga_regs *r)
{
	if (r->crtc[CRTC_UNDERLINE] & COUNT_BY_4)
		return 2;
	return r->crtc[CRTC_MODE] & MODE_COUNT_BY_2 ? 1 : 0;
}

void vga_line_graphics(const struct vga *v, const uint32_t colours[static 256],
		       const struct vga_line *l, uint32_t *out)
{
	const struct vga_regs *r = &v->r;
	unsigned width = vga_char_width(r), twice = width > 8, by = count_shift(r);
	uint32_t palette[256];
	uint8_t dots[8];

	for (unsigned i = 0; i < 256; i++)
		palette[i] = colours[r->gfx[GFX_MODE] & GFX_256 ? i & r->dac_mask
								 : vga_attribute(r, i)];
	for (unsigned x = 0, at = l->pan; x < l->dots;) {
		unsigned addr = vga_address(r, l->ma + (at / width >> by), l->scan);
		unsigned dot = at % width;

		shift_out(r, v->vram + 4 * addr, dots);
		for (; dot < width && x < l->dots; dot++, at++, x++)
			out[x] = palette[dots[dot >> twice]];
	}
}

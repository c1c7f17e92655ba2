/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a monitor would show: the CRT controller's walk down the frame (IBM, "CRT
 * Controller"), or a frame of the DISPI. Blinking things are shown in their lit phase; the
 * overscan border is not shown.
 */
#include <errno.h>
#include <string.h>

#include "dev/vga.h"

struct frame {
	const struct vga *v;
	struct screen *s;
	uint32_t colours[256];
	bool pixels;
};

static void dac_colours(const struct vga_regs *r, uint32_t colours[static 256])
{
	bool wide = r->dispi[DISPI_ENABLE] & DISPI_8BIT_DAC;

	for (unsigned i = 0; i < 256; i++) {
		colours[i] = 0;
		for (unsigned k = 0; k < 3; k++) {
			unsigned c = r->dac[i][k];

			colours[i] = colours[i] << 8 | (wide ? c : c << 2 | c >> 4);
		}
	}
}

/* --- DISPI modes ------------------------------------------------------------------------- */

static uint32_t widen(unsigned val, unsigned from)
{
	return val << (8 - from) | val >> (2 * from - 8);
}

static uint32_t pixel_colour(const struct frame *f, const uint8_t *p)
{
	uint16_t word;

	switch (f->v->r.dispi[DISPI_BPP]) {
	case 8:
		return f->colours[*p & f->v->r.dac_mask];
	case 15:
		memcpy(&word, p, 2);
		return widen(word >> 10 & 31, 5) << 16 | widen(word >> 5 & 31, 5) << 8 |
		       widen(word & 31, 5);
	case 16:
		memcpy(&word, p, 2);
		return widen(word >> 11, 5) << 16 | widen(word >> 5 & 63, 6) << 8 |
		       widen(word & 31, 5);
	default:
		return (uint32_t)(p[2] << 16 | p[1] << 8 | p[0]);
	}
}

static void linear_line(const struct frame *f, unsigned y, uint32_t *out)
{
	const uint16_t *d = f->v->r.dispi;
	unsigned bytes = (d[DISPI_BPP] + 7u) / 8;
	const uint8_t *line = f->v->vram + (size_t)vga_dispi_pitch(&f->v->r) * (d[DISPI_Y_OFFSET] + y);

	for (unsigned x = 0; x < d[DISPI_XRES]; x++)
		out[x] = pixel_colour(f, line + (size_t)bytes * (d[DISPI_X_OFFSET] + x));
}

static void planar_line(const struct frame *f, unsigned y, uint32_t *out)
{
	const uint16_t *d = f->v->r.dispi;
	size_t line = (size_t)d[DISPI_VIRT_WIDTH] / 8 * (d[DISPI_Y_OFFSET] + y);

	for (unsigned x = 0; x < d[DISPI_XRES]; x++) {
		unsigned at = d[DISPI_X_OFFSET] + x, colour = 0;
		const uint8_t *maps = f->v->vram + 4 * (line + at / 8);

		for (unsigned i = 0; i < 4; i++)
			colour |= (maps[i] >> (7 - at % 8) & 1u) << i;
		out[x] = f->colours[vga_attribute(&f->v->r, colour)];
	}
}

static int look_dispi(struct frame *f)
{
	const uint16_t *d = f->v->r.dispi;
	int err;

	f->s->kind = SCREEN_GRAPHICS;
	f->s->width = d[DISPI_XRES];
	f->s->height = d[DISPI_YRES];
	err = screen_room(f->s, f->pixels);
	for (unsigned y = 0; !err && f->pixels && y < f->s->height; y++)
		(d[DISPI_BPP] == 4 ? planar_line : linear_line)(f, y, f->s->pixels + (size_t)y *
								 f->s->width);
	return err;
}

/* --- VGA modes --------------------------------------------------------------------------- */

static unsigned row_height(const struct vga_regs *r)
{
	return (r->crtc[CRTC_MAX_SCAN] & 0x1f) + 1u;
}

/* Dots that the picture is moved to the left. Nine-dot characters count from 8 up: 8, 0-7. */
static unsigned panning(const struct vga_regs *r)
{
	unsigned pan = r->attr[ATTR_PAN], width = vga_char_width(r);

	if (r->gfx[GFX_MISC] & GFX_GRAPHICS && r->gfx[GFX_MODE] & GFX_256)
		pan &= 6;		/* half a pixel is not to be had */
	else if (width % 9 == 0)
		pan = pan < 8 ? pan + 1 : 0;
	else
		pan &= 7;
	if (width > 9)
		pan *= 2;
	return pan + (r->crtc[CRTC_PRESET] >> 5 & 3) * width;
}

static void take_cells(const struct frame *f, const struct vga_line *l, unsigned row)
{
	const struct vga_regs *r = &f->v->r;
	unsigned cursor = r->crtc[CRTC_CURSOR] << 8 | r->crtc[CRTC_CURSOR + 1];
	unsigned first = r->crtc[CRTC_CURSOR_START], last = r->crtc[CRTC_CURSOR_END] & 0x1f;
	unsigned skip = l->pan / vga_char_width(r);
	struct screen *s = f->s;

	if (row >= s->rows)
		return;
	for (unsigned i = 0; i < s->columns; i++) {
		unsigned ma = l->ma + skip + i, addr = vga_address(r, ma, 0);

		s->cells[(size_t)row * s->columns + i] = (uint16_t)(vga_cell(f->v->vram, addr, 0) |
							    vga_cell(f->v->vram, addr, 1) << 8);
		if ((ma & 0xffff) == cursor && !(first & 0x20) && (first & 0x1f) <= last) {
			s->cursor = true;
			s->cursor_column = i;
			s->cursor_row = row;
		}
	}
}

/* At the line after the one in LINE COMPARE the address counter starts from 0 again, and
 * with ATTR_PAN_TOP the panning ends. */
static void walk(const struct frame *f, bool text)
{
	const struct vga_regs *r = &f->v->r;
	struct screen *s = f->s;
	struct vga_line l = { .ma = (unsigned)(r->crtc[CRTC_START] << 8 | r->crtc[CRTC_START + 1]),
			      .scan = r->crtc[CRTC_PRESET] & 0x1f, .pan = panning(r),
			      .dots = s->width, .cursor = true };
	unsigned split = vga_line_compare(r), repeat = r->crtc[CRTC_MAX_SCAN] >> 7, row = 0;

	if (text)
		take_cells(f, &l, row);
	for (unsigned y = 0, again = 0; y < s->height; y++) {
		if (f->pixels)
			(text ? vga_line_text : vga_line_graphics)(f->v, f->colours, &l,
							s->pixels + (size_t)y * s->width);
		if (y == split) {
			l.ma = l.scan = again = 0;
			if (r->attr[ATTR_MODE] & ATTR_PAN_TOP)
				l.pan = 0;
		} else if (again < repeat) {
			again++;
			continue;
		} else if (l.scan == row_height(r) - 1) {
			l.scan = again = 0;
			l.ma += 2u * r->crtc[CRTC_OFFSET];
		} else {
			l.scan = (l.scan + 1) & 0x1f;
			again = 0;
			continue;
		}
		row++;
		if (text)
			take_cells(f, &l, row);
	}
}

static bool is_blank(const struct vga_regs *r)
{
	return !(r->attr_index & ATTR_SOURCE) || r->seq[SEQ_CLOCKING] & SEQ_SCREEN_OFF ||
	       !(r->crtc[CRTC_MODE] & 0x80);
}

static int look_vga(struct frame *f)
{
	const struct vga_regs *r = &f->v->r;
	bool text = !(r->gfx[GFX_MISC] & GFX_GRAPHICS);
	unsigned lines = row_height(r) << (r->crtc[CRTC_MAX_SCAN] >> 7);
	struct screen *s = f->s;
	int err;

	s->kind = is_blank(r) ? SCREEN_BLANK : text ? SCREEN_TEXT : SCREEN_GRAPHICS;
	s->columns = r->crtc[CRTC_H_END] + 1u;
	s->width = s->columns * vga_char_width(r);
	s->height = vga_lines(r);
	s->rows = (s->height + lines - 1) / lines;
	s->blink = r->attr[ATTR_MODE] & ATTR_BLINK;
	for (unsigned i = 0; i < 16; i++)
		s->palette[i] = f->colours[vga_attribute(r, i)];
	err = screen_room(s, f->pixels);
	if (err)
		return err;
	if (s->kind == SCREEN_TEXT)
		memset(s->cells, 0, sizeof(*s->cells) * s->columns * s->rows);
	if (s->kind != SCREEN_BLANK)
		walk(f, text);
	else if (f->pixels)
		memset(s->pixels, 0, sizeof(*s->pixels) * s->width * s->height);
	return 0;
}

int screen_look(struct machine *m, struct screen *s, bool pixels)
{
	struct frame f = { .v = m->vga, .s = s, .pixels = pixels };

	if (!m->vga)
		return -ENODEV;
	dac_colours(&m->vga->r, f.colours);
	s->cursor = false;
	return vga_dispi_on(&m->vga->r) ? look_dispi(&f) : look_vga(&f);
}

bool screen_changed(struct machine *m)
{
	bool changed = m->vga && m->vga->changed;

	if (changed)
		m->vga->changed = false;
	return changed;
}

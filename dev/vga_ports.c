/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VGA's registers (IBM, "Registers"). What they mean for memory and picture is
 * looked up where that is needed; only the DAC and the beam do something here.
 *
 *	0x3c0 attribute index, data	0x3c1 data	0x3c2 W misc, R status 0
 *	0x3c4-0x3c5 sequencer		0x3c6 mask, 0x3c7-0x3c9 DAC
 *	0x3ca R feature control		0x3cc R misc	0x3ce-0x3cf graphics controller
 *	0x3d4-0x3d5 CRT controller	0x3da R status 1, W feature control
 *	0x3b4, 0x3b5, 0x3ba		the same while MISC_COLOUR is clear
 */
#include "dev/vga.h"

#include <string.h>

/* Bits that there are; the others read as zero. */
static const uint8_t seq_mask[SEQ_COUNT] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const uint8_t gfx_mask[GFX_COUNT] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
static const uint8_t attr_mask[ATTR_COUNT] = {
	0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
	0xef, 0xff, 0x3f, 0x0f, 0x0f,
};
#define CRTC_PROTECT	0x80		/* of V_RETRACE_END: registers 0-7 are kept */
#define OVERFLOW_LC	0x10		/* but for this bit of OVERFLOW */

/* --- The beam -------------------------------------------------------------------- */

unsigned vga_lines(const struct vga_regs *r)
{
	unsigned o = r->crtc[CRTC_OVERFLOW];

	return (r->crtc[CRTC_V_END] | (o & 0x02) << 7 | (o & 0x40) << 3) + 1;
}

unsigned vga_line_compare(const struct vga_regs *r)
{
	return r->crtc[CRTC_COMPARE] | (r->crtc[CRTC_OVERFLOW] & OVERFLOW_LC) << 4 |
	       (unsigned)(r->crtc[CRTC_MAX_SCAN] & 0x40) << 3;
}

#define ST1_BLANK	0x01
#define ST1_RETRACE	0x08

/* Programs wait for these bits to come and go, some of them for an exact number of lines. */
static uint8_t beam_status(const struct vga *v)
{
	const struct vga_regs *r = &v->r;
	const uint8_t *c = r->crtc;
	unsigned o = c[CRTC_OVERFLOW];
	unsigned dots = vga_char_width(r);
	unsigned total = (c[CRTC_H_TOTAL] + 5) * dots;
	unsigned lines = (c[CRTC_V_TOTAL] | (o & 0x01) << 8 | (o & 0x20) << 4) + 2;
	unsigned retrace = c[CRTC_V_RETRACE] | (o & 0x04) << 6 | (o & 0x80) << 2;
	unsigned length = (c[CRTC_V_RETRACE_END] - retrace) & 0x0f;
	uint64_t khz = (r->misc & MISC_CLOCK) == 0x04 ? 28322 : 25175;
	uint64_t at = (uint64_t)((unsigned __int128)clock_now(&v->m->clock) * khz / 1000000);
	unsigned line = (unsigned)(at / total % lines), dot = (unsigned)(at % total);
	uint8_t status = 0;

	if (line >= vga_lines(r) || dot >= (c[CRTC_H_END] + 1u) * dots)
		status |= ST1_BLANK;
	if (line >= retrace && line - retrace < (length ? length : 16))
		status |= ST1_RETRACE | ST1_BLANK;
	return status;
}

/* --- The DAC ----------------------------------------------------------------------- */

/* Writing the read index or the write index starts with the red part again. */
static uint8_t dac_read(struct vga_regs *r)
{
	uint8_t val = r->dac[r->dac_read][r->dac_part];

	if (++r->dac_part == 3) {
		r->dac_part = 0;
		r->dac_read++;
	}
	return val;
}

/* All three parts take effect with the last. */
static void dac_write(struct vga *v, uint8_t val)
{
	struct vga_regs *r = &v->r;

	r->dac_latch[r->dac_part] = r->dispi[DISPI_ENABLE] & DISPI_8BIT_DAC ? val : val & 0x3f;
	if (++r->dac_part == 3) {
		r->dac_part = 0;
		memcpy(r->dac[r->dac_write++], r->dac_latch, 3);
	}
}

/* --- Ports -------------------------------------------------------------------------- */

static void attr_write(struct vga_regs *r, uint8_t val)
{
	unsigned i = r->attr_index & 0x1f;

	if (!r->attr_data)
		r->attr_index = val & (ATTR_SOURCE | 0x1f);
	else if (i < ATTR_COUNT)
		r->attr[i] = val & attr_mask[i];
	r->attr_data = !r->attr_data;
}

static void crtc_write(struct vga_regs *r, uint8_t val)
{
	unsigned i = r->crtc_index;

	if (i >= CRTC_COUNT)
		return;
	if (i <= CRTC_OVERFLOW && r->crtc[CRTC_V_RETRACE_END] & CRTC_PROTECT) {
		if (i != CRTC_OVERFLOW)
			return;
		val = (r->crtc[i] & ~OVERFLOW_LC) | (val & OVERFLOW_LC);
	}
	r->crtc[i] = val;
}

/* Ports of the CRT controller and its status move with MISC_COLOUR. */
static uint16_t colour_port(const struct vga_regs *r, uint16_t port)
{
	uint16_t block = r->misc & MISC_COLOUR ? 0x3d0 : 0x3b0;

	if ((port & 0xfff0) == 0x3c0)
		return port;
	return (port & 0xfff0) == block ? 0x3d0 | (port & 0x0f) : 0;
}

uint8_t vga_port_read(struct vga *v, uint16_t port)
{
	struct vga_regs *r = &v->r;
	unsigned i = r->attr_index & 0x1f;

	switch (colour_port(r, port)) {
	case 0x3c0: return r->attr_index;
	case 0x3c1: return i < ATTR_COUNT ? r->attr[i] : 0;
	case 0x3c2: return 0x10;		/* sense: a colour monitor; no interrupt */
	case 0x3c3: return 0x01;
	case 0x3c4: return r->seq_index;
	case 0x3c5: return r->seq_index < SEQ_COUNT ? r->seq[r->seq_index] : 0;
	case 0x3c6: return r->dac_mask;
	case 0x3c7: return r->dac_state;
	case 0x3c8: return r->dac_write;
	case 0x3c9: return dac_read(r);
	case 0x3ca: return r->feature;
	case 0x3cc: return r->misc;
	case 0x3ce: return r->gfx_index;
	case 0x3cf: return r->gfx_index < GFX_COUNT ? r->gfx[r->gfx_index] : 0;
	case 0x3d4: return r->crtc_index;
	case 0x3d5: return r->crtc_index < CRTC_COUNT ? r->crtc[r->crtc_index] : 0;
	case 0x3da:
		r->attr_data = false;
		return beam_status(v);
	}
	return 0xff;
}

void vga_port_write(struct vga *v, uint16_t port, uint8_t val)
{
	struct vga_regs *r = &v->r;

	v->changed = true;
	switch (colour_port(r, port)) {
	case 0x3c0: attr_write(r, val); break;
	case 0x3c2: r->misc = val & 0xef; break;
	case 0x3c4: r->seq_index = val & 0x07; break;
	case 0x3c5:
		if (r->seq_index < SEQ_COUNT)
			r->seq[r->seq_index] = val & seq_mask[r->seq_index];
		break;
	case 0x3c6: r->dac_mask = val; break;
	case 0x3c7:
		r->dac_read = val;
		r->dac_part = 0;
		r->dac_state = 3;
		break;
	case 0x3c8:
		r->dac_write = val;
		r->dac_part = 0;
		r->dac_state = 0;
		break;
	case 0x3c9: dac_write(v, val); break;
	case 0x3ce: r->gfx_index = val & 0x0f; break;
	case 0x3cf:
		if (r->gfx_index < GFX_COUNT)
			r->gfx[r->gfx_index] = val & gfx_mask[r->gfx_index];
		break;
	case 0x3d4: r->crtc_index = val & 0x1f; break;
	case 0x3d5: crtc_write(r, val); break;
	case 0x3da: r->feature = val & 0x08; break;
	}
}

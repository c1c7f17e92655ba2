/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the display adapter share: an IBM VGA with 256 KiB, and the
 * linear modes of Bochs' adapter (DISPI) on the same memory.
 *
 * Memory is kept as the four maps side by side: byte `off` of map `p` is
 * vram[4 * off + p], so that what the processor's side and the screen's side do to all
 * maps at once is done in one dword. In DISPI modes the same bytes are one frame.
 *
 *	vga.c		the device: ports, PCI function, reset, snapshot
 *	vga_ports.c	registers
 *	vga_memory.c	0xa0000-0xbffff
 *	vga_dispi.c	DISPI registers, the linear frame
 *	vga_mode3.c	the state in which a BIOS leaves it
 *	vga_font.c	characters for that
 *	vga_screen.c	what a monitor would show
 *	vga_line.c	one line of it
 *
 * "IBM" is the IBM PS/2 Hardware Interface Technical Reference, Video Subsystems (1992).
 */
#ifndef DEV_VGA_H
#define DEV_VGA_H

#include "dev/pci.h"
#include "dev/screen.h"
#include "machine/machine.h"

#define VGA_MEMORY	(16u << 20)
#define VGA_MAP_MASK	0xffffu		/* of an offset into a map, outside of DISPI modes */

enum { MISC_COLOUR = 0x01, MISC_RAM = 0x02, MISC_CLOCK = 0x0c };
enum { SEQ_RESET, SEQ_CLOCKING, SEQ_MAP_MASK, SEQ_FONT, SEQ_MEMORY, SEQ_COUNT };
enum { SEQ_8DOTS = 0x01, SEQ_HALF_CLOCK = 0x08, SEQ_SCREEN_OFF = 0x20 };	/* CLOCKING */
enum { SEQ_SEQUENTIAL = 0x04, SEQ_CHAIN4 = 0x08 };				/* MEMORY */
enum { GFX_SET_RESET, GFX_ENABLE_SR, GFX_COMPARE, GFX_ROTATE, GFX_READ_MAP, GFX_MODE,
       GFX_MISC, GFX_DONT_CARE, GFX_BIT_MASK, GFX_COUNT };
enum { GFX_READ_MODE = 0x08, GFX_ODD_EVEN = 0x10, GFX_INTERLEAVED = 0x20, GFX_256 = 0x40 };
enum { GFX_GRAPHICS = 0x01, GFX_CHAIN = 0x02 };					/* MISC */
enum { CRTC_H_TOTAL, CRTC_H_END, CRTC_V_TOTAL = 6, CRTC_OVERFLOW, CRTC_PRESET, CRTC_MAX_SCAN,
       CRTC_CURSOR_START, CRTC_CURSOR_END, CRTC_START, CRTC_CURSOR = 0x0e,
       CRTC_V_RETRACE = 0x10, CRTC_V_RETRACE_END, CRTC_V_END, CRTC_OFFSET, CRTC_UNDERLINE,
       CRTC_MODE = 0x17, CRTC_COMPARE, CRTC_COUNT };
enum { ATTR_MODE = 0x10, ATTR_OVERSCAN, ATTR_PLANES, ATTR_PAN, ATTR_SELECT, ATTR_COUNT };
enum { ATTR_MONO = 0x02, ATTR_LINE_GRAPHICS = 0x04, ATTR_BLINK = 0x08, ATTR_PAN_TOP = 0x20,
       ATTR_8BIT = 0x40, ATTR_P54 = 0x80 };					/* MODE */
#define ATTR_SOURCE	0x20		/* of the index: the screen is on */

enum { DISPI_ID, DISPI_XRES, DISPI_YRES, DISPI_BPP, DISPI_ENABLE, DISPI_BANK, DISPI_VIRT_WIDTH,
       DISPI_VIRT_HEIGHT, DISPI_X_OFFSET, DISPI_Y_OFFSET, DISPI_MEMORY, DISPI_COUNT };
enum { DISPI_ENABLED = 0x01, DISPI_GETCAPS = 0x02, DISPI_8BIT_DAC = 0x20, DISPI_LFB = 0x40,
       DISPI_NOCLEAR = 0x80 };
#define DISPI_BANK_SHIFT 16

struct vga {
	struct machine *m;
	struct pci_function pci;
	uint8_t *vram;
	const uint8_t *rom;		/* the option ROM; borrowed */
	size_t rom_size;
	struct vga_regs {
		uint8_t misc, feature;
		uint8_t seq_index, seq[SEQ_COUNT];
		uint8_t gfx_index, gfx[GFX_COUNT];
		uint8_t crtc_index, crtc[CRTC_COUNT];
		uint8_t attr_index, attr[ATTR_COUNT];
		uint8_t attr_data;	/* the flip-flop: 0x3c0 takes data next */
		uint8_t dac_read, dac_write, dac_part, dac_state, dac_mask;
		uint8_t dac_latch[3];
		uint8_t dac[256][3];
		uint8_t latch[4];
		uint16_t dispi_index, dispi[DISPI_COUNT];
	} r;
	bool changed;			/* something that can be seen, since the last look */
};

/* vga_ports.c */
uint8_t vga_port_read(struct vga *v, uint16_t port);
void vga_port_write(struct vga *v, uint16_t port, uint8_t val);
/* Lines of the frame and the line compare register, from their scattered bits. */
unsigned vga_lines(const struct vga_regs *r);
unsigned vga_line_compare(const struct vga_regs *r);

/* vga_memory.c; off from 0xa0000 */
uint64_t vga_memory_read(void *dev, uint64_t off, unsigned size);
void vga_memory_write(void *dev, uint64_t off, uint64_t val, unsigned size);

/* vga_dispi.c */
bool vga_dispi_on(const struct vga_regs *r);
unsigned vga_dispi_pitch(const struct vga_regs *r);	/* bytes from line to line */
uint16_t vga_dispi_read(const struct vga *v);
void vga_dispi_write(struct vga *v, uint16_t val);
/* After the registers came from elsewhere: whatever they were, the frame is in memory. */
void vga_dispi_check(struct vga_regs *r);
uint64_t vga_frame_read(void *dev, uint64_t off, unsigned size);
void vga_frame_write(void *dev, uint64_t off, uint64_t val, unsigned size);

/* vga_mode3.c */
void vga_mode3(struct vga *v);

/* vga_font.c: 256 characters of 16 lines; those of the ROM, or plain ones. */
void vga_font(const uint8_t *rom, size_t size, uint8_t font[static 256 * 16]);

/* vga_line.c: the address in a map of what the CRT controller counts as ma, in line
 * `scan` of a row; dots of one line of text or graphics, as colours. */
unsigned vga_address(const struct vga_regs *r, unsigned ma, unsigned scan);
struct vga_line { unsigned ma, scan, pan, dots; bool cursor; };
void vga_line_text(const struct vga *v, const uint32_t colours[static 256], const struct vga_line *l,
		   uint32_t *out);
void vga_line_graphics(const struct vga *v, const uint32_t colours[static 256],
		       const struct vga_line *l, uint32_t *out);
unsigned vga_char_width(const struct vga_regs *r);
/* The DAC entry of one of 16 colours. */
uint8_t vga_attribute(const struct vga_regs *r, unsigned colour);

static inline unsigned vga_cell(const uint8_t *vram, unsigned addr, unsigned map)
{
	return vram[4 * (addr & VGA_MAP_MASK) + map];
}

#endif

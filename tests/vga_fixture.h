/* SPDX-License-Identifier: BSD-2-Clause */
/* A machine with the display adapter, its indexed registers, and what the screen shows. */
#ifndef TESTS_VGA_FIXTURE_H
#define TESTS_VGA_FIXTURE_H

#include "tests/pc.h"

#include "dev/screen.h"
#include "dev/vga.h"

static inline void setup(void)
{
	pc_config.vga = VGA_STD;
	pc_setup();
}

static inline void set(uint16_t port, unsigned index, unsigned val)
{
	out(port, (uint8_t)index);
	out((uint16_t)(port + 1), (uint8_t)val);
}

static inline unsigned get(uint16_t port, unsigned index)
{
	out(port, (uint8_t)index);
	return in((uint16_t)(port + 1));
}

#define SEQ	0x3c4
#define GFX	0x3ce
#define CRTC	0x3d4

static struct screen scr;

static inline void look(void)
{
	ck_assert_int_eq(screen_look(&pc, &scr, true), 0);
}

static inline uint32_t pixel(unsigned x, unsigned y)
{
	ck_assert_uint_lt(x, scr.width);
	ck_assert_uint_lt(y, scr.height);
	return scr.pixels[y * scr.width + x];
}

#endif

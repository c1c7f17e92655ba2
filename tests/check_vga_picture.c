/* SPDX-License-Identifier: BSD-2-Clause */
/* The modes of the display adapter: the picture, pixel by pixel, against what a program put there. */
#include "tests/vga_fixture.h"

START_TEST(text)
{
	phys_write(&pc.mem, 0xb8000 + 2 * (80 * 3 + 5), 0x1edb, 2);	/* a block, yellow on blue */
	phys_write(&pc.mem, 0xb8000 + 2 * (80 * 3 + 6), 0x4120, 2);
	set(CRTC, 0x0e, 0x00);
	set(CRTC, 0x0f, 0x52);
	look();
	ck_assert_int_eq(scr.kind, SCREEN_TEXT);
	ck_assert_uint_eq(scr.columns, 80);
	ck_assert_uint_eq(scr.rows, 25);
	ck_assert_uint_eq(scr.width, 720);
	ck_assert_uint_eq(scr.height, 400);
	ck_assert_uint_eq(scr.cells[80 * 3 + 5], 0x1edb);
	ck_assert(scr.cursor);
	ck_assert_uint_eq(scr.cursor_row, 1);
	ck_assert_uint_eq(scr.cursor_column, 2);
	/* The ninth dot is the eighth again for line characters. */
	for (unsigned i = 0; i < 9; i++)
		ck_assert_uint_eq(pixel(5 * 9 + i, 3 * 16 + 8), 0xffff55);
	ck_assert_uint_eq(pixel(6 * 9, 3 * 16), 0xaa0000);
	ck_assert_uint_eq(pixel(6 * 9 + 9, 3 * 16), 0x000000);
	/* The cursor: lines 13 and 14 in grey. */
	ck_assert_uint_eq(pixel(2 * 9, 16 + 12), 0x000000);
	ck_assert_uint_eq(pixel(2 * 9, 16 + 13), 0xaaaaaa);
	ck_assert_uint_eq(pixel(2 * 9, 16 + 14), 0xaaaaaa);
	ck_assert_uint_eq(pixel(2 * 9, 16 + 15), 0x000000);
	/* The start address scrolls by rows, panning by dots. */
	set(CRTC, 0x0d, 80);
	in(0x3da);
	out(0x3c0, 0x33);
	out(0x3c0, 0x00);				/* one dot to the left */
	look();
	ck_assert_uint_eq(scr.cells[80 * 2 + 5], 0x1edb);
	ck_assert_uint_eq(pixel(5 * 9 - 1, 2 * 16), 0xffff55);
	ck_assert_uint_eq(pixel(5 * 9 - 2, 2 * 16), 0x000000);
	/* Off. */
	set(SEQ, 1, 0x20);
	look();
	ck_assert_int_eq(scr.kind, SCREEN_BLANK);
}
END_TEST

/* Of 512 characters attribute bit 3 chooses the half. */
START_TEST(two_fonts)
{
	set(SEQ, 2, 4);
	set(SEQ, 4, 6);
	set(GFX, 5, 0);
	set(GFX, 6, 4);
	for (unsigned y = 0; y < 16; y++)
		phys_write(&pc.mem, 0xa0000 + 0x4000 + 32 * 'A' + y, 0x80, 1);
	set(SEQ, 2, 3);
	set(SEQ, 3, 0x04);				/* font 1 with bit 3, font 0 without */
	set(SEQ, 4, 2);
	set(GFX, 5, 0x10);
	set(GFX, 6, 0x0e);
	set(CRTC, 0x0a, 0x20);
	phys_write(&pc.mem, 0xb8000, 0x0f41, 2);
	look();
	for (unsigned y = 0; y < 16; y++) {
		ck_assert_uint_eq(pixel(0, y), 0xffffff);
		ck_assert_uint_eq(pixel(1, y), 0x000000);
	}
}
END_TEST

static void load_mode(const uint8_t *seq, const uint8_t *crtc, const uint8_t *gfx, uint8_t attr_mode,
		      uint8_t misc)
{
	memset(pc.vga->vram, 0, 0x40000);
	out(0x3c2, misc);
	for (unsigned i = 0; i < 5; i++)
		set(SEQ, i, seq[i]);
	set(CRTC, 0x11, 0);
	for (unsigned i = 0; i < 25; i++)
		set(CRTC, i, crtc[i]);
	for (unsigned i = 0; i < 9; i++)
		set(GFX, i, gfx[i]);
	in(0x3da);
	for (unsigned i = 0; i < 16; i++) {
		out(0x3c0, (uint8_t)i);
		out(0x3c0, (uint8_t)i);
	}
	out(0x3c0, 0x10);
	out(0x3c0, attr_mode);
	out(0x3c0, 0x12);
	out(0x3c0, 0x0f);
	out(0x3c0, 0x33);
	out(0x3c0, 0x00);
	for (unsigned i = 0; i < 256; i++) {
		out(0x3c8, (uint8_t)i);
		out(0x3c9, (uint8_t)(i >> 2));
		out(0x3c9, (uint8_t)(i & 3));
		out(0x3c9, 0);
	}
}

static uint32_t colour(unsigned i)
{
	unsigned red = i >> 2, green = i & 3;

	return (red << 2 | red >> 4) << 16 | (green << 2 | green >> 4) << 8;
}

/* IBM's values for its modes 13h, 12h, 4 and 6. */
static const uint8_t crtc13[25] = { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0, 0, 0, 0,
	0, 0, 0x9c, 0x0e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff };
static const uint8_t crtc12[25] = { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0, 0, 0, 0,
	0, 0, 0xea, 0x0c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff };
static const uint8_t crtc4[25] = { 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0, 0, 0, 0,
	0, 0, 0x9c, 0x0e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff };
static const uint8_t crtc6[25] = { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0, 0, 0, 0,
	0, 0, 0x9c, 0x0e, 0x8f, 0x28, 0x00, 0x96, 0xb9, 0xc2, 0xff };

START_TEST(mode_13h)
{
	static const uint8_t seq[] = { 3, 1, 15, 0, 0x0e }, gfx[] = { 0, 0, 0, 0, 0, 0x40, 5, 15, 0xff };

	load_mode(seq, crtc13, gfx, 0x41, 0x63);
	for (unsigned i = 0; i < 64000; i++)
		phys_write(&pc.mem, 0xa0000 + i, i * 7 % 251, 1);
	look();
	ck_assert_int_eq(scr.kind, SCREEN_GRAPHICS);
	ck_assert_uint_eq(scr.width, 640);
	ck_assert_uint_eq(scr.height, 400);
	for (unsigned y = 0; y < 400; y++)
		for (unsigned x = 0; x < 640; x++)
			ck_assert_uint_eq(pixel(x, y), colour((y / 2 * 320 + x / 2) * 7 % 251));
}
END_TEST

/* Mode X: the maps apart, 320 x 200 in 16,000 bytes of each, byte addresses. */
START_TEST(mode_x)
{
	static const uint8_t seq[] = { 3, 1, 15, 0, 0x06 }, gfx[] = { 0, 0, 0, 0, 0, 0x40, 5, 15, 0xff };
	uint8_t crtc[25];

	memcpy(crtc, crtc13, 25);
	crtc[0x14] = 0x00;
	crtc[0x17] = 0xe3;
	load_mode(seq, crtc, gfx, 0x41, 0x63);
	for (unsigned x = 0; x < 320; x++) {
		set(SEQ, 2, 1u << x % 4);
		for (unsigned y = 0; y < 200; y++)
			phys_write(&pc.mem, 0xa0000 + y * 80 + x / 4, (y * 320 + x) * 7 % 251, 1);
	}
	look();
	for (unsigned y = 0; y < 400; y++)
		for (unsigned x = 0; x < 640; x++)
			ck_assert_uint_eq(pixel(x, y), colour((y / 2 * 320 + x / 2) * 7 % 251));
	/* A split: from line 200 on, the top again. */
	set(CRTC, 0x18, 199);
	set(CRTC, 0x07, 0x0f);
	set(CRTC, 0x09, 0x01);
	look();
	ck_assert_uint_eq(pixel(100, 199), colour((99 * 320 + 50) * 7 % 251));
	ck_assert_uint_eq(pixel(100, 200), colour(50 * 7 % 251));
	ck_assert_uint_eq(pixel(100, 203), colour((320 + 50) * 7 % 251));
}
END_TEST

START_TEST(mode_12h)
{
	static const uint8_t seq[] = { 3, 1, 15, 0, 0x06 }, gfx[] = { 0, 0, 0, 0, 0, 0, 5, 15, 0xff };

	load_mode(seq, crtc12, gfx, 0x01, 0xe3);
	set(GFX, 5, 2);					/* write mode 2: a colour */
	for (unsigned y = 0; y < 480; y += 3)
		for (unsigned x = 0; x < 640; x++) {
			set(GFX, 8, 0x80u >> x % 8);
			phys_read(&pc.mem, 0xa0000 + y * 80 + x / 8, 1);
			phys_write(&pc.mem, 0xa0000 + y * 80 + x / 8, x + y, 1);
		}
	look();
	ck_assert_uint_eq(scr.width, 640);
	ck_assert_uint_eq(scr.height, 480);
	for (unsigned y = 0; y < 480; y++)
		for (unsigned x = 0; x < 640; x++)
			ck_assert_uint_eq(pixel(x, y), y % 3 ? 0 : colour((x + y) & 15));
}
END_TEST

/* CGA: even lines at 0xb8000, odd ones 8 KiB on; two bits a pixel, or one. */
START_TEST(cga)
{
	static const uint8_t seq4[] = { 3, 9, 3, 0, 0x02 }, gfx4[] = { 0, 0, 0, 0, 0, 0x30, 0x0f, 0, 0xff };
	static const uint8_t seq6[] = { 3, 1, 1, 0, 0x06 }, gfx6[] = { 0, 0, 0, 0, 0, 0, 0x0d, 0, 0xff };

	load_mode(seq4, crtc4, gfx4, 0x01, 0x63);
	for (unsigned i = 0; i < 16384; i++)
		phys_write(&pc.mem, 0xb8000 + i, i * 11 & 0xff, 1);
	look();
	ck_assert_uint_eq(scr.width, 640);
	ck_assert_uint_eq(scr.height, 400);
	for (unsigned y = 0; y < 400; y++)
		for (unsigned x = 0; x < 640; x++) {
			unsigned at = y / 2 % 2 * 0x2000 + y / 4 * 80 + x / 8;

			ck_assert_uint_eq(pixel(x, y), colour((at * 11 & 0xff) >> (6 - x / 2 % 4 * 2) & 3));
		}
	load_mode(seq6, crtc6, gfx6, 0x01, 0x63);
	for (unsigned i = 0; i < 16384; i++)
		phys_write(&pc.mem, 0xb8000 + i, i * 11 & 0xff, 1);
	in(0x3da);
	out(0x3c0, 0x32);
	out(0x3c0, 0x01);
	look();
	for (unsigned y = 0; y < 400; y++)
		for (unsigned x = 0; x < 640; x++) {
			unsigned at = y / 2 % 2 * 0x2000 + y / 4 * 80 + x / 8;

			ck_assert_uint_eq(pixel(x, y), colour((at * 11 & 0xff) >> (7 - x % 8) & 1));
		}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pictures");
	TCase *t = tcase_create("pictures");

	tcase_add_checked_fixture(t, setup, pc_teardown);
	tcase_add_test(t, text);
	tcase_add_test(t, two_fonts);
	tcase_add_test(t, mode_13h);
	tcase_add_test(t, mode_x);
	tcase_add_test(t, mode_12h);
	tcase_add_test(t, cga);
	suite_add_tcase(s, t);
	return suite_run(s);
}

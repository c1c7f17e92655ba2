/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The display adapter. Display memory is compared with a model written from IBM's
 * manual, map by map and bit by bit, slowly. Pictures are tests/check_vga_picture.c.
 */
#include "tests/vga_fixture.h"

static uint32_t seed = 1;

static unsigned any(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

/* --- The model of display memory ------------------------------------------------------- */

static struct model {
	uint8_t map[4][0x10000];
	uint8_t latch[4];
	/* As the registers' descriptions name them. */
	unsigned map_mask, chain4, odd_even_write, set_reset, enable, compare, dont_care, rotate;
	unsigned function, read_map, write_mode, read_mode, odd_even_read, chain, window, bit_mask;
} model;

static const uint32_t window_base[4] = { 0xa0000, 0xa0000, 0xb0000, 0xb8000 };
static const uint32_t window_size[4] = { 0x20000, 0x10000, 0x8000, 0x8000 };

static void model_setup(void)
{
	struct model *m = &model;

	m->map_mask = any() & 15;
	m->chain4 = any() % 4 == 0;
	m->odd_even_write = any() & 1;
	m->set_reset = any() & 15;
	m->enable = any() & 15;
	m->compare = any() & 15;
	m->dont_care = any() & 15;
	m->rotate = any() & 7;
	m->function = any() & 3;
	m->read_map = any() & 3;
	m->write_mode = any() & 3;
	m->read_mode = any() & 1;
	m->odd_even_read = any() & 1;
	m->chain = any() & 1;
	m->window = any() & 3;
	m->bit_mask = any() & 1 ? 0xff : any() & 0xff;
	set(SEQ, 2, m->map_mask);
	set(SEQ, 4, 2 | !m->odd_even_write << 2 | m->chain4 << 3);
	set(GFX, 0, m->set_reset);
	set(GFX, 1, m->enable);
	set(GFX, 2, m->compare);
	set(GFX, 3, m->rotate | m->function << 3);
	set(GFX, 4, m->read_map);
	set(GFX, 5, m->write_mode | m->read_mode << 3 | m->odd_even_read << 4);
	set(GFX, 6, m->chain << 1 | m->window << 2);
	set(GFX, 7, m->dont_care);
	set(GFX, 8, m->bit_mask);
}

/* Does the address reach memory; which offset. */
static bool model_offset(uint32_t gpa, bool odd_even, unsigned *off)
{
	const struct model *m = &model;

	if (gpa < window_base[m->window] || gpa >= window_base[m->window] + window_size[m->window])
		return false;
	*off = (gpa - window_base[m->window]) & 0xffff;
	if (m->chain4)
		*off -= *off % 4;
	else if (odd_even && m->chain)
		*off -= *off % 2;
	return true;
}

static uint8_t model_read(uint32_t gpa)
{
	struct model *m = &model;
	unsigned off, map = m->read_map;
	uint8_t val = 0;

	if (!model_offset(gpa, m->odd_even_read, &off))
		return 0xff;
	for (unsigned i = 0; i < 4; i++)
		m->latch[i] = m->map[i][off];
	if (m->chain4)
		return m->latch[gpa % 4];
	if (!m->read_mode)
		return m->latch[m->odd_even_read ? map - map % 2 + gpa % 2 : map];
	/* A 1 for each pixel whose colour is the one in Color Compare, in the maps that are
	 * not "don't care". */
	for (unsigned bit = 0; bit < 8; bit++) {
		bool same = true;

		for (unsigned i = 0; i < 4; i++)
			if (m->dont_care >> i & 1)
				same = same && (m->latch[i] >> bit & 1) == (m->compare >> i & 1);
		val |= same << bit;
	}
	return val;
}

static bool model_bit(unsigned map, unsigned bit, uint8_t cpu)
{
	const struct model *m = &model;
	bool latch = m->latch[map] >> bit & 1, turned = cpu >> (bit + m->rotate) % 8 & 1;
	bool masked = m->bit_mask >> bit & 1, data;

	switch (m->write_mode) {
	case 0: data = m->enable >> map & 1 ? m->set_reset >> map & 1 : turned; break;
	case 1: return latch;
	case 2: data = cpu >> map & 1; break;
	default:
		data = m->set_reset >> map & 1;
		masked = masked && turned;
	}
	if (!masked)
		return latch;
	switch (m->function) {
	case 1: return data && latch;
	case 2: return data || latch;
	case 3: return data != latch;
	}
	return data;
}

static void model_write(uint32_t gpa, uint8_t cpu)
{
	struct model *m = &model;
	unsigned off;

	if (!model_offset(gpa, m->odd_even_write, &off))
		return;
	for (unsigned map = 0; map < 4; map++) {
		uint8_t val = 0;

		if (!(m->map_mask >> map & 1) || (m->chain4 && map != gpa % 4) ||
		    (!m->chain4 && m->odd_even_write && map % 2 != gpa % 2))
			continue;
		for (unsigned bit = 0; bit < 8; bit++)
			val |= model_bit(map, bit, cpu) << bit;
		m->map[map][off] = val;
	}
}

static void model_compare(unsigned round)
{
	for (unsigned off = 0; off < 0x10000; off++)
		for (unsigned map = 0; map < 4; map++)
			if (vga_cell(pc.vga->vram, off, map) != model.map[map][off])
				ck_abort_msg("round %u: map %u at %#x is %#x, not %#x", round, map, off,
					     vga_cell(pc.vga->vram, off, map), model.map[map][off]);
}

START_TEST(memory_against_model)
{
	memset(&model, 0, sizeof(model));
	memset(pc.vga->vram, 0, 0x40000);
	memset(pc.vga->r.latch, 0, 4);
	for (unsigned round = 0; round < 3000; round++) {
		model_setup();
		for (unsigned i = 0; i < 40; i++) {
			uint32_t gpa = any() % 4 ? window_base[model.window] + any() % 64 * 8 :
					0xa0000 + any() % 0x20000;
			unsigned size = 1u << any() % 4;
			uint64_t val = (uint64_t)any() << 32 ^ any() ^ (uint64_t)any() << 16, got, want = 0;

			gpa -= gpa % size;
			if (any() & 1) {
				for (unsigned k = 0; k < size; k++)
					want |= (uint64_t)model_read(gpa + k) << 8 * k;
				got = phys_read(&pc.mem, gpa, size);
				ck_assert_msg(got == want, "round %u: %#x reads %#lx, not %#lx", round, gpa,
					      (long)got, (long)want);
			} else {
				for (unsigned k = 0; k < size; k++)
					model_write(gpa + k, (uint8_t)(val >> 8 * k));
				phys_write(&pc.mem, gpa, val, size);
			}
		}
		if (round % 100 == 0)
			model_compare(round);
	}
	model_compare(3000);
}
END_TEST

START_TEST(memory_off)
{
	out(0x3c2, 0x65);
	phys_write(&pc.mem, 0xb8000, 0x41, 1);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xb8000, 1), 0xff);
	out(0x3c2, 0x67);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xb8000, 2), 0x0720);
}
END_TEST

/* --- Registers ------------------------------------------------------------------------------ */

START_TEST(registers)
{
	/* Only one of the two places of the CRT controller answers. */
	ck_assert_uint_eq(get(CRTC, 0x13), 0x28);
	out(0x3c2, 0x66);
	ck_assert_uint_eq(in(0x3d5), 0xff);
	ck_assert_uint_eq(get(0x3b4, 0x13), 0x28);
	ck_assert_uint_eq(in(0x3cc), 0x66);
	out(0x3c2, 0x67);
	/* Write protection, but for a bit of the line compare register. */
	set(CRTC, 0x00, 0x11);
	ck_assert_uint_eq(get(CRTC, 0x00), 0x5f);
	set(CRTC, 0x07, 0x00);
	ck_assert_uint_eq(get(CRTC, 0x07), 0x0f);
	set(CRTC, 0x11, 0x0e);
	set(CRTC, 0x00, 0x11);
	ck_assert_uint_eq(get(CRTC, 0x00), 0x11);
	/* Index and data of the attribute controller take turns; status 1 resets that. */
	in(0x3da);
	out(0x3c0, 0x31);
	out(0x3c0, 0x2a);
	out(0x3c0, 0x31);
	in(0x3da);
	out(0x3c0, 0x31);
	ck_assert_uint_eq(in(0x3c1), 0x2a);
	ck_assert_uint_eq(in(0x3c0), 0x31);
	/* Bits that are not there. */
	set(SEQ, 4, 0xff);
	ck_assert_uint_eq(get(SEQ, 4), 0x0e);
	set(GFX, 4, 0xff);
	ck_assert_uint_eq(get(GFX, 4), 0x03);
	/* 16 bits at once are index and data. */
	bus_out(pc.bus, GFX, 0x5508, 2);
	ck_assert_uint_eq(get(GFX, 8), 0x55);
}
END_TEST

START_TEST(dac)
{
	out(0x3c8, 0xfe);
	for (unsigned i = 0; i < 6; i++)
		out(0x3c9, (uint8_t)(0xc1 + i));	/* six bits of it */
	ck_assert_uint_eq(in(0x3c8), 0x00);
	ck_assert_uint_eq(in(0x3c7), 0);
	out(0x3c7, 0xfe);
	ck_assert_uint_eq(in(0x3c7), 3);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_uint_eq(in(0x3c9), 1 + i);
	/* A colour changes when its third part is there. */
	out(0x3c8, 0xfe);
	out(0x3c9, 0x3f);
	out(0x3c7, 0xfe);
	ck_assert_uint_eq(in(0x3c9), 1);
	/* Eight bits, while the DISPI says so. */
	bus_out(pc.bus, 0x1ce, 4, 2);
	bus_out(pc.bus, 0x1cf, 0x20, 2);
	out(0x3c8, 5);
	out(0x3c9, 0xff);
	out(0x3c9, 0xfe);
	out(0x3c9, 0xfd);
	out(0x3c7, 5);
	ck_assert_uint_eq(in(0x3c9), 0xff);
	bus_out(pc.bus, 0x1cf, 0, 2);
	out(0x3c7, 5);
	ck_assert_uint_eq(in(0x3c9), 0x3f);
}
END_TEST

/* 449 lines of 900 dots at 28.322 MHz: 70.09 frames a second, two lines of retrace each. */
START_TEST(beam)
{
	unsigned frames = 0, retrace = 0, looks = 0;
	bool was = true;

	for (int64_t t = 0; t < SECOND; t += 10000, looks++) {
		bool now;

		pc_run_to(t);
		now = in(0x3da) & 8;
		frames += now && !was;
		retrace += now;
		was = now;
	}
	ck_assert_uint_ge(frames, 69);
	ck_assert_uint_le(frames, 71);
	ck_assert_uint_ge(retrace * 1000 / looks, 3);
	ck_assert_uint_le(retrace * 1000 / looks, 6);
}
END_TEST

/* --- DISPI and the PCI function ---------------------------------------------------------------- */

static void dispi(unsigned index, unsigned val)
{
	bus_out(pc.bus, 0x1ce, index, 2);
	bus_out(pc.bus, 0x1cf, val, 2);
}

static unsigned dispi_get(unsigned index)
{
	bus_out(pc.bus, 0x1ce, index, 2);
	return bus_in(pc.bus, 0x1cf, 2);
}

static void config(unsigned reg, uint32_t val)
{
	bus_out(pc.bus, 0xcf8, 0x80001000 | reg, 4);
	bus_out(pc.bus, 0xcfc, val, 4);
}

#define FRAME	0xe0000000u
#define REGS	0xe1000000u

static void frame_on(unsigned x, unsigned y, unsigned bpp)
{
	config(0x10, FRAME);
	config(0x18, REGS);
	config(0x04, 2);
	dispi(4, 0);
	dispi(1, x);
	dispi(2, y);
	dispi(3, bpp);
	dispi(4, 0x41);
}

START_TEST(dispi_registers)
{
	ck_assert_uint_eq(dispi_get(0), 0xb0c5);
	ck_assert_uint_eq(dispi_get(10), VGA_MEMORY >> 16);
	frame_on(1024, 768, 32);
	ck_assert_uint_eq(dispi_get(6), 1024);
	ck_assert_uint_eq(dispi_get(7), VGA_MEMORY / 4096);
	dispi(8, 0xffff);
	ck_assert_uint_eq(dispi_get(8), 0);
	dispi(6, 2048);
	dispi(8, 0xffff);
	ck_assert_uint_eq(dispi_get(8), 1024);
	dispi(4, 3);
	ck_assert_uint_ge(dispi_get(1), 1920);
	ck_assert_uint_eq(dispi_get(3), 32);
	/* Whatever is asked for fits. */
	frame_on(0xffff, 0xffff, 32);
	look();
	ck_assert_uint_le((uint64_t)scr.width * scr.height * 4, VGA_MEMORY);
	/* The same registers in memory. */
	ck_assert_uint_eq(phys_read(&pc.mem, REGS + 0x500, 2), 0xb0c5);
	phys_write(&pc.mem, REGS + 0x508, 0, 2);
	ck_assert_uint_eq(dispi_get(4), 0);
	ck_assert_uint_eq(phys_read(&pc.mem, REGS + 0x40c, 1), in(0x3cc));
}
END_TEST

START_TEST(linear)
{
	static const struct { unsigned bpp, bytes; uint32_t val, shows; } depths[] = {
		{ 8, 1, 5, 0xaa00aa }, { 15, 2, 0x7c1f, 0xff00ff }, { 16, 2, 0x07ff, 0x00ffff },
		{ 24, 3, 0x123456, 0x123456 }, { 32, 4, 0xff123456, 0x123456 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(depths); i++) {
		unsigned at = (10 * 640 + 20) * depths[i].bytes;

		frame_on(640, 480, depths[i].bpp);
		for (unsigned k = 0; k < depths[i].bytes; k++)
			phys_write(&pc.mem, FRAME + at + k, depths[i].val >> 8 * k & 0xff, 1);
		look();
		ck_assert_uint_eq(scr.width, 640);
		ck_assert_uint_eq(pixel(20, 10), depths[i].shows);
		ck_assert_uint_eq(pixel(21, 10), 0);
		/* The same through the window, by banks. */
		dispi(5, (at + 640 * 300 * depths[i].bytes) >> 16);
		for (unsigned k = 0; k < depths[i].bytes; k++)
			phys_write(&pc.mem, 0xa0000 + ((at + 640 * 300 * depths[i].bytes + k) & 0xffff),
				   depths[i].val >> 8 * k & 0xff, 1);
		dispi(9, 100);
		look();
		ck_assert_uint_eq(pixel(20, 210), depths[i].shows);
	}
}
END_TEST

/* --- Robustness ----------------------------------------------------------------------------------- */

START_TEST(round_trip)
{
	struct state s;
	uint32_t before;

	phys_write(&pc.mem, 0xb8000, 0x1edb, 2);
	frame_on(800, 600, 32);
	phys_write(&pc.mem, FRAME + 4000, 0x00abcdef, 4);
	look();
	before = pixel(200, 1);
	state_init(&s);
	machine_save(&pc, &s);
	ck_assert_uint_lt(s.len, 1 << 20);
	machine_reset(&pc);
	look();
	ck_assert_int_eq(scr.kind, SCREEN_TEXT);
	ck_assert_int_eq(machine_restore(&pc, &s), 0);
	look();
	ck_assert_uint_eq(before, 0xabcdef);
	ck_assert_uint_eq(pixel(200, 1), before);
	state_free(&s);
}
END_TEST

/* Whatever a guest writes anywhere, looking does no harm, nor does a snapshot's way
 * back. For the sanitizers. */
START_TEST(anything)
{
	static const uint16_t ports[] = { 0x3b4, 0x3b5, 0x3c0, 0x3c2, 0x3c4, 0x3c5, 0x3c6, 0x3c7, 0x3c8, 0x3c9,
		0x3ce, 0x3cf, 0x3d4, 0x3d5, 0x3d4, 0x3d5, 0x3da, 0x1ce, 0x1cf, 0x1d0 };
	struct state s;

	frame_on(640, 480, 8);
	for (unsigned i = 0; i < 60000; i++) {
		uint16_t port = ports[any() % ARRAY_LEN(ports)];
		unsigned size = 1u << any() % 3;
		uint32_t where[] = { 0xa0000, FRAME, REGS };
		uint32_t gpa = where[any() % 3];

		gpa += gpa == REGS ? any() % 0x1000 : gpa == FRAME ? any() * 64 % VGA_MEMORY : any() % 0x20000;
		gpa -= gpa % size;
		switch (any() % 5) {
		case 0: bus_in(pc.bus, port, size); break;
		case 1: phys_read(&pc.mem, gpa, size); break;
		case 2: phys_write(&pc.mem, gpa, any() * 77u, size); break;
		default: bus_out(pc.bus, port, any() % 3 ? any() * 77u : any() % 16, size); break;
		}
		if (i % 1000 == 0)
			look();
	}
	state_init(&s);
	machine_save(&pc, &s);
	for (unsigned i = 0; i < 200; i++) {
		struct state c = s;
		uint8_t *p = &s.buf[any() % s.len], was = *p;

		*p ^= (uint8_t)(1 + any());
		c.pos = 0;
		if (machine_restore(&pc, &c) == 0)
			look();
		*p = was;
	}
	state_free(&s);
	screen_free(&scr);
}
END_TEST

START_TEST(none)
{
	pc_teardown();
	pc_config.vga = VGA_NONE;
	pc_setup();
	ck_assert_int_lt(screen_look(&pc, &scr, true), 0);
	ck_assert_uint_eq(in(0x3cc), 0xff);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xb8000, 4), 0xffffffff);
	ck_assert_uint_eq(bus_in(pc.bus, 0x1cf, 2), 0xffff);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vga");
	TCase *t = tcase_create("vga");

	tcase_add_checked_fixture(t, setup, pc_teardown);
	tcase_add_test(t, memory_against_model);
	tcase_add_test(t, memory_off);
	tcase_add_test(t, registers);
	tcase_add_test(t, dac);
	tcase_add_test(t, beam);
	tcase_add_test(t, dispi_registers);
	tcase_add_test(t, linear);
	tcase_add_test(t, round_trip);
	tcase_add_test(t, anything);
	tcase_add_test(t, none);
	suite_add_tcase(s, t);
	return suite_run(s);
}

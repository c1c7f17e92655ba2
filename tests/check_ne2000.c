/* SPDX-License-Identifier: BSD-2-Clause */
/* The NE2000, as drivers use it. */
#include "tests/frames.h"

#define AT		0xc200
#define START		0x46		/* of the receive ring */
#define STOP		0x80

static uint8_t frame[NET_FRAME_MAX], got[NET_FRAME_MAX];

static uint32_t config(unsigned off)
{
	bus_out(pc.bus, 0xcf8, 0x80001800u | off, 4);
	return bus_in(pc.bus, 0xcfc, 4);
}

static void config_out(unsigned off, uint32_t val)
{
	bus_out(pc.bus, 0xcf8, 0x80001800u | off, 4);
	bus_out(pc.bus, 0xcfc, val, 4);
}

static void reg(unsigned r, uint8_t val)
{
	out((uint16_t)(AT + r), val);
}

static uint8_t reg_in(unsigned r)
{
	return in((uint16_t)(AT + r));
}

static void remote(uint16_t at, uint16_t n, uint8_t command)
{
	reg(0x8, (uint8_t)at);
	reg(0x9, (uint8_t)(at >> 8));
	reg(0xa, (uint8_t)n);
	reg(0xb, (uint8_t)(n >> 8));
	reg(0x0, command);
}

static void card_read(uint16_t at, uint8_t *to, uint16_t n)
{
	remote(at, n, 0x0a);
	for (unsigned i = 0; i < n; i += 2) {
		uint32_t w = bus_in(pc.bus, AT + 0x10, 2);

		memcpy(to + i, &w, n - i < 2 ? 1 : 2);
	}
	ck_assert_uint_eq(reg_in(7) & 0x40, 0x40);
	reg(7, 0x40);
}

static void card_write(uint16_t at, const uint8_t *from, uint16_t n)
{
	remote(at, n, 0x12);
	for (unsigned i = 0; i < n; i += 2)
		bus_out(pc.bus, AT + 0x10, (uint32_t)(from[i] | from[i + 1] << 8), 2);
	reg(7, 0x40);
}

static uint8_t current(void)
{
	uint8_t page;

	reg(0, 0x60);		/* neither start nor stop: it goes on */
	page = reg_in(7);
	reg(0, 0x20);
	return page;
}

/* As Linux does: BNRY a page before the next frame. */
static void driver_start(void)
{
	config_out(0x10, AT);
	config_out(0x04, 1);
	reg_in(0x1f);
	reg(7, 0xff);
	reg(0, 0x21);
	reg(0xe, 0x49);
	reg(0xc, 0x04);
	reg(0xd, 0x00);
	reg(1, START);
	reg(2, STOP);
	reg(3, STOP - 1);
	reg(0xf, 0x3f);
	reg(0, 0x61);
	for (unsigned i = 0; i < 6; i++)
		reg(1 + i, frames_mac[i]);
	reg(7, START);
	reg(0, 0x22);
}

static void setup(void)
{
	frames_setup(NIC_NE2K_PCI);
	driver_start();
}

/* The frame that the driver reads next: its length; it is what frame_make() made. */
static size_t take(uint8_t *next, uint8_t seed)
{
	uint8_t header[4];
	size_t len;

	card_read((uint16_t)(*next << 8), header, 4);
	ck_assert_uint_eq(header[0] & 0x0f, 1);
	len = (size_t)(header[2] | header[3] << 8) - 4;
	card_read((uint16_t)((*next << 8) + 4), got, (uint16_t)len);
	frame_make(frame, len, seed);
	ck_assert_mem_eq(got, frame, len);
	*next = header[1];
	reg(3, (uint8_t)(*next - 1));
	return len;
}

START_TEST(identity)
{
	uint8_t prom[32];

	ck_assert_uint_eq(config(0), 0x802910ec);
	ck_assert_uint_eq(config(8) >> 8, 0x020000);
	ck_assert_uint_eq(config(0x3c) & 0xffff, 0x010b);	/* pin A; the line without a BIOS */
	ck_assert_uint_eq(reg_in(0xa), 'P');
	ck_assert_uint_eq(reg_in(0xb), 'C');
	remote(0, 32, 0x0a);
	for (unsigned i = 0; i < 32; i += 2) {
		uint32_t w = bus_in(pc.bus, AT + 0x10, 2);

		memcpy(prom + i, &w, 2);
	}
	for (unsigned i = 0; i < 6; i++)
		ck_assert(prom[2 * i] == frames_mac[i] && prom[2 * i + 1] == frames_mac[i]);
	ck_assert_uint_eq(prom[28], 0x57);
	ck_assert_uint_eq(reg_in(7) & 0x40, 0x40);
	ck_assert_uint_eq(bus_in(pc.bus, AT + 0x10, 4), ~0u);	/* nothing is left to read */
	reg_in(0x18);
	ck_assert_uint_eq(reg_in(7), 0x80);
	ck_assert_uint_eq(reg_in(0), 0x21);
}
END_TEST

START_TEST(card_memory)
{
	for (unsigned i = 0; i < 600; i++)
		frame[i] = (uint8_t)(i * 3);
	card_write(0x7f00, frame, 256);
	card_read(0x7f00, got, 256);
	ck_assert_mem_eq(got, frame, 256);
	card_write(0x3f00, frame, 256);		/* no memory there */
	card_read(0x3f00, got, 2);
	ck_assert_uint_eq(got[0] & got[1], 0xff);
	remote(0x7f00, 4, 0x0a);		/* an RTL8029 knows double words */
	ck_assert_uint_eq(bus_in(pc.bus, AT + 0x10, 4), 0x09060300);
	ck_assert_uint_eq(reg_in(7) & 0x40, 0x40);
	reg(0xe, 0x48);				/* byte by byte */
	remote(0x7f00, 2, 0x0a);
	ck_assert_uint_eq(reg_in(0x10), 0);
	ck_assert_uint_eq(reg_in(0x10), 3);
}
END_TEST

START_TEST(sending)
{
	frame_make(frame, 1514, 9);
	card_write(0x4000, frame, 1514);
	reg(4, 0x40);
	reg(5, 1514 & 0xff);
	reg(6, 1514 >> 8);
	reg(0, 0x26);
	ck_assert_uint_eq(reg_in(0) & 4, 0);
	ck_assert_uint_eq(reg_in(7), 2);
	ck_assert_uint_eq(reg_in(4), 1);
	ck_assert_int_eq(pc_take() - 0x70 + 8, 11);
	reg(7, 2);
	ck_assert_int_eq(pc_take(), -1);
	ck_assert_uint_eq(frame_take(got), 1514);
	ck_assert_mem_eq(got, frame, 1514);
	reg(6, 0x20);				/* longer than any, from beyond the end */
	reg(0, 0x26);
	reg(4, 0x7f);
	reg(6, 0x05);
	reg(0, 0x26);
	ck_assert_uint_eq(reg_in(7), 2);
	ck_assert_uint_eq(frame_take(got), 0);
	reg(4, 0x40);
	reg(0xd, 0x02);				/* looped back */
	reg(0, 0x26);
	ck_assert_uint_eq(frame_take(got), 0);
}
END_TEST

/* With nobody to take them, frames fill the cable; the one that does not fit is sent later. */
START_TEST(full_cable)
{
	unsigned sent = 0, taken = 0;

	reg(4, 0x40);
	reg(5, 1514 & 0xff);
	reg(6, 1514 >> 8);
	do {
		reg(7, 2);
		reg(0, 0x26);
		sent++;
	} while (reg_in(7) & 2);
	ck_assert_uint_eq(reg_in(0) & 4, 4);
	while (frame_take(got))
		taken++;
	ck_assert_uint_eq(taken, sent - 1);
	ck_assert(atomic_load(&pc.attention) & ATT_INPUT);
	frames_deliver();
	ck_assert_uint_eq(reg_in(7) & 2, 2);
	ck_assert_uint_eq(frame_take(got), 1514);
}
END_TEST

START_TEST(receiving)
{
	uint8_t next = START;

	for (unsigned i = 0; i < 400; i++) {	/* round the ring */
		size_t len = 60 + i * 29 % 1455;

		frame_send(len, (uint8_t)i);
		frames_deliver();
		ck_assert_uint_eq(reg_in(7) & 1, 1);
		ck_assert_int_eq(pc_take() - 0x70 + 8, 11);
		ck_assert_uint_eq(take(&next, (uint8_t)i), len);
		ck_assert_uint_eq(current(), next);
		reg(7, 1);
		ck_assert_uint_eq(reg_in(7) & 1, 0);
		ck_assert_int_eq(pc_take(), -1);
	}
	frame_send(20, 1);			/* short ones are padded */
	frames_deliver();
	card_read((uint16_t)(next << 8), got, 64);
	ck_assert_uint_eq(got[2], 64);
	ck_assert_uint_eq(got[4 + 19], (uint8_t)(19 * 7 + 1));
	ck_assert_uint_eq(got[4 + 20] | got[63], 0);
}
END_TEST

/* What has no room waits, and nothing is overwritten. */
START_TEST(full_ring)
{
	uint8_t next = START;

	for (unsigned i = 0; i < 40; i++)
		frame_send(1514, (uint8_t)i);
	frames_deliver();
	for (unsigned i = 0; i < 40; i++) {
		ck_assert_uint_eq(reg_in(7) & 1, 1);
		reg(7, 1);			/* acknowledged with frames unread: told again */
		ck_assert_uint_eq(reg_in(7) & 1, 1);
		ck_assert_uint_eq(take(&next, (uint8_t)i), 1514);
	}
	reg(7, 1);
	ck_assert_uint_eq(reg_in(7) & 1, 0);
	ck_assert_uint_eq(current(), next);
}
END_TEST

static bool received(const uint8_t *to)
{
	uint8_t before = current();
	bool yes;

	memset(frame, 0x55, 100);
	memcpy(frame, to, 6);
	frame_send_raw(frame, 100);
	frames_deliver();
	yes = current() != before;
	reg(3, (uint8_t)(current() - 1));
	return yes;
}

START_TEST(filters)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t other[6] = { 0x52, 0x54, 0, 1, 2, 3 };
	static const uint8_t group[6] = { 0x01, 0x00, 0x5e, 0, 0, 1 };	/* its CRC begins 111011 */

	ck_assert(received(frames_mac));
	ck_assert(received(all));
	ck_assert(!received(other));
	ck_assert(!received(group));
	reg(0xc, 0x08);
	ck_assert(!received(all));
	ck_assert(!received(group));		/* its bit is not set */
	reg(0, 0x62);
	for (unsigned i = 0; i < 8; i++)
		reg(8 + i, 0xff);
	reg(0, 0x22);
	ck_assert(received(group));
	reg(0xc, 0x10);
	ck_assert(received(other));
	reg(0xc, 0x30);				/* monitoring */
	ck_assert(!received(frames_mac));
	reg(0xc, 0x04);
	reg(0, 0x21);				/* stopped */
	ck_assert(!received(frames_mac));
	ck_assert_uint_eq(reg_in(7) & 0x80, 0x80);
	reg(0, 0x22);
	ck_assert(received(frames_mac));
}
END_TEST

/* A ring that is none, and frames of all sizes. */
START_TEST(bad_rings)
{
	static const uint8_t rings[][4] = { { 0x00, 0x40, 0x00, 0x10 }, { 0x46, 0xff, 0x46, 0x46 },
		{ 0x80, 0x46, 0x50, 0x50 }, { 0x46, 0x46, 0x46, 0x46 }, { 0x46, 0x80, 0x90, 0x46 },
		{ 0x46, 0x48, 0x46, 0x46 } };

	for (unsigned i = 0; i < ARRAY_LEN(rings); i++) {
		reg(1, rings[i][0]);
		reg(2, rings[i][1]);
		reg(3, rings[i][3]);
		reg(0, 0x62);
		reg(7, rings[i][2]);
		reg(0, 0x22);
		for (size_t len = 1; len < 3000; len += 97)
			frame_send(len, 1);
		frames_deliver();
		ck_assert_uint_eq(current(), rings[i][2] == 0x46 && rings[i][1] == 0x48 ?
				  current() : rings[i][2]);
	}
}
END_TEST

START_TEST(save_restore)
{
	uint8_t next = START;

	frame_send(700, 3);
	frames_deliver();
	pc_round_trip(&ne2000_device);
	ck_assert_int_eq(pc_take() - 0x70 + 8, 11);
	ck_assert_uint_eq(take(&next, 3), 700);
	frame_send(800, 4);
	frames_deliver();
	ck_assert_uint_eq(take(&next, 4), 800);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ne2000");
	TCase *t = tcase_create("card");

	tcase_add_checked_fixture(t, setup, frames_teardown);
	tcase_add_test(t, identity);
	tcase_add_test(t, card_memory);
	tcase_add_test(t, sending);
	tcase_add_test(t, full_cable);
	tcase_add_test(t, receiving);
	tcase_add_test(t, full_ring);
	tcase_add_test(t, filters);
	tcase_add_test(t, bad_rings);
	tcase_add_test(t, save_restore);
	suite_add_tcase(s, t);
	return suite_run(s);
}

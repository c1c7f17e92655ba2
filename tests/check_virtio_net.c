/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-net: frames through its queues, in buffers of all shapes. */
#include "tests/frames.h"
#include "tests/virtio.h"

#define RX		0
#define TX		1
#define BUF(i)		(0x100000u + 0x20000u * (i))
#define HDR		12u

static uint8_t frame[NET_FRAME_MAX + 1], got[NET_FRAME_MAX];

static void setup(void)
{
	frames_setup(NIC_VIRTIO);
	vq_slot = 3;
}

/* Receive buffers, one descriptor each. */
static void buffers(unsigned n, uint32_t size)
{
	for (unsigned i = 0; i < n; i++) {
		vd(RX, i, BUF(i), size, VD_WRITE);
		vq_add(RX, i);
	}
	v_notify(RX);
}

static void fetch(unsigned i, void *to, size_t n)
{
	ck_assert(phys_read_bulk(&pc.mem, BUF(i), to, n));
}

/* A frame for the wire at BUF(8), after a header of size bytes. */
static void transmit(unsigned size, size_t len, uint8_t seed)
{
	uint8_t zeros[HDR] = { 0 };

	frame_make(frame, len, seed);
	phys_write_bulk(&pc.mem, BUF(8), zeros, size);
	phys_write_bulk(&pc.mem, BUF(8) + size, frame, len);
	vd(TX, 0, BUF(8), size, VD_NEXT);
	vd(TX, 1, BUF(8) + size, (uint32_t)len, 0);
	vq_add(TX, 0);
	v_notify(TX);
}

START_TEST(identity)
{
	ck_assert_uint_eq(cfg_read(0), 0x10001af4);
	ck_assert_uint_eq(cfg_read(8), 0x02000000);
	ck_assert_uint_eq(cfg_read(0x2c), 0x00011af4);
	vq_legacy = false;
	vq_place();
	ck_assert_uint_eq(mm(18, 2), 2);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_uint_eq(mm(0x2000 + i, 1), frames_mac[i]);
	ck_assert_uint_eq(mm(0x2006, 2), 1);		/* the link is up */
}
END_TEST

START_TEST(sending)
{
	static const struct { uint64_t features; unsigned header; } kinds[] = {
		{ 0, 10 }, { V_MRG, 12 }, { V_1, 12 }, { V_1 | V_EVENT | V_INDIRECT, 12 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		v_start(kinds[i].features, 2);
		for (unsigned n = 0; n < 600; n++) {
			size_t len = 14 + n * 31 % 1501;

			transmit(kinds[i].header, len, (uint8_t)n);
			ck_assert_int_eq(vq_take(TX, 0), 0);
			ck_assert_uint_eq(frame_take(got), len);
			ck_assert_mem_eq(got, frame, len);
		}
		transmit(kinds[i].header, NET_FRAME_MAX, 1);
		ck_assert_uint_eq(frame_take(got), NET_FRAME_MAX);
		ck_assert_mem_eq(got, frame, NET_FRAME_MAX);
		transmit(kinds[i].header, NET_FRAME_MAX + 1, 1);	/* dropped */
		transmit(kinds[i].header, 13, 1);
		ck_assert_uint_eq(frame_take(got), 0);
		ck_assert_uint_eq(v_status() & 0x40, 0);
	}
}
END_TEST

/* The sum over a frame's data, its checksum included, is all ones. */
static uint16_t sum(const uint8_t *p, size_t n, uint32_t s)
{
	for (size_t i = 0; i < n; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

START_TEST(checksums)
{
	for (size_t len = 60; len < 70; len++) {	/* odd ends, too */
		uint8_t header[HDR] = { 1, 0, 0, 0, 0, 0, 34, 0, 16, 0 };

		v_start(V_1 | 1, 2);
		frame_make(frame, len, (uint8_t)len);
		frame[50] = 0x12;			/* the pseudo-header's sum */
		frame[51] = 0x34;
		phys_write_bulk(&pc.mem, BUF(8), header, HDR);
		phys_write_bulk(&pc.mem, BUF(8) + HDR, frame, len);
		vd(TX, 0, BUF(8), (uint32_t)(HDR + len), 0);
		vq_add(TX, 0);
		v_notify(TX);
		ck_assert_uint_eq(frame_take(got), len);
		ck_assert_uint_eq(sum(got + 34, len - 34, 0x1234), 0xffff);
		ck_assert_mem_eq(got, frame, 50);
		ck_assert_mem_eq(got + 52, frame + 52, len - 52);
	}
	v_start(V_1 | 1, 2);				/* a place outside: left alone */
	phys_write(&pc.mem, BUF(8), 1, 1);
	phys_write(&pc.mem, BUF(8) + 6, 0xffff, 2);
	vq_add(TX, 0);
	vd(TX, 0, BUF(8), HDR + 60, 0);
	v_notify(TX);
	ck_assert_uint_eq(frame_take(got), 60);
}
END_TEST

/* Nobody takes the frames: they wait in the queue, in order. */
START_TEST(full_cable)
{
	unsigned sent = 0, seen = 0;
	size_t len;

	v_start(V_1, 2);
	do {
		transmit(HDR, 60000, (uint8_t)sent);
		sent++;
	} while (vq_take(TX, 0) >= 0);
	ck_assert_uint_ge(sent, 8);
	vd(TX, 1, BUF(8) + HDR, 60000, 0);
	vq_add(TX, 0);					/* another one behind it */
	sent++;
	v_notify(TX);
	ck_assert_int_eq(vq_take(TX, 0), -1);
	while ((len = frame_take(got))) {
		frame_make(frame, 60000, (uint8_t)seen++);
		ck_assert_uint_eq(len, 60000);
		ck_assert_mem_eq(got, frame, len);
	}
	frames_deliver();
	ck_assert_int_eq(vq_take(TX, 0), 0);
	ck_assert_int_eq(vq_take(TX, 0), 0);
	while (frame_take(got))
		seen++;
	ck_assert_uint_eq(seen, sent);
}
END_TEST

START_TEST(receiving)
{
	static const struct { uint64_t features; unsigned header; } kinds[] = {
		{ 0, 10 }, { V_MRG, 12 }, { V_1 | 2, 12 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		unsigned size = kinds[i].header;

		v_start(kinds[i].features, 2);
		buffers(4, size + 1514);
		frame_send(1514, 1);
		frame_send(60, 2);
		frames_deliver();
		ck_assert_int_eq(pc_take() - 0x70 + 8, 11);
		ck_assert_uint_eq(v_isr(), 1);		/* one for both */
		ck_assert_int_eq(vq_take(RX, 0), size + 1514);
		ck_assert_int_eq(vq_take(RX, 1), size + 60);
		ck_assert_int_eq(vq_take(RX, 2), -1);
		fetch(0, got, size + 1514);
		frame_make(frame, 1514, 1);
		ck_assert_mem_eq(got + size, frame, 1514);
		ck_assert_uint_eq(got[0], kinds[i].features & 2 ? 2 : 0);
		if (size == 12)
			ck_assert_uint_eq(got[10], 1);
		frame_send(1515, 3);			/* too long for one buffer */
		frames_deliver();
		if (kinds[i].features & V_MRG) {
			ck_assert_int_eq(vq_take(RX, 2), size + 1514);
			ck_assert_int_eq(vq_take(RX, 3), 1);
			fetch(2, got, size);
			ck_assert_uint_eq(got[10], 2);
			fetch(3, got, 1);
			frame_make(frame, 1515, 3);
			ck_assert_uint_eq(got[0], frame[1514]);
			continue;
		}
		ck_assert_int_eq(vq_take(RX, 2), -1);	/* is lost, the buffer is not */
		frame_send(61, 4);
		frames_deliver();
		ck_assert_int_eq(vq_take(RX, 2), size + 61);
	}
}
END_TEST

/* Header and frame anywhere in a chain. */
START_TEST(scattered)
{
	v_start(V_1, 2);
	vd(RX, 0, BUF(0), 5, VD_NEXT | VD_WRITE);
	vd(RX, 1, BUF(1), 8, VD_NEXT | VD_WRITE);
	vd(RX, 2, BUF(2), 2000, VD_WRITE);
	vq_add(RX, 0);
	frame_send(100, 7);
	frames_deliver();
	ck_assert_int_eq(vq_take(RX, 0), 112);
	frame_make(frame, 100, 7);
	fetch(1, got, 8);
	ck_assert_uint_eq(got[5], 1);
	ck_assert_uint_eq(got[7], frame[0]);
	fetch(2, got, 99);
	ck_assert_mem_eq(got, frame + 1, 99);
}
END_TEST

/* Frames wait for buffers, however few come at a time. */
START_TEST(starved)
{
	v_start(V_1 | V_MRG, 2);
	for (unsigned i = 0; i < 3; i++)
		frame_send(1000, (uint8_t)i);
	frames_deliver();
	ck_assert_uint_eq(phys_read(&pc.mem, USED(RX), 2), 0);	/* it wants to hear of buffers */
	ck_assert_int_eq(vq_take(RX, 0), -1);
	buffers(2, 300);				/* not enough for the first */
	ck_assert_int_eq(vq_take(RX, 0), -1);
	for (unsigned i = 2; i < 4; i++) {
		vd(RX, i, BUF(i), 300, VD_WRITE);
		vq_add(RX, i);
	}
	v_notify(RX);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(vq_take(RX, i), 300);
	ck_assert_int_eq(vq_take(RX, 3), 112);
	fetch(0, got, 300);
	ck_assert_uint_eq(got[10], 4);
	frame_make(frame, 1000, 0);
	ck_assert_mem_eq(got + 12, frame, 288);
	buffers(4, 2000);
	ck_assert_int_eq(vq_take(RX, 0), 1012);
	ck_assert_int_eq(vq_take(RX, 1), 1012);
	ck_assert_int_eq(vq_take(RX, 2), -1);
	ck_assert_uint_eq(phys_read(&pc.mem, USED(RX), 2), 1);	/* no notifications are needed */
}
END_TEST

START_TEST(nobody_listens)
{
	size_t len;

	for (unsigned i = 0; i < 100; i++)
		frame_send(1000, 1);
	frames_deliver();
	ck_assert_ptr_null(net_peek(cable, &len));
	v_start(V_1, 2);
	buffers(1, 2000);
	v_status_set(0);
	frame_send(1000, 1);
	frames_deliver();
	ck_assert_ptr_null(net_peek(cable, &len));
	ck_assert_int_eq(vq_take(RX, 0), -1);
}
END_TEST

START_TEST(bad_buffers)
{
	v_start(V_1 | V_MRG, 2);
	vd(RX, 0, 0xe0000000, 2000, VD_WRITE);
	vq_add(RX, 0);
	frame_send(1000, 1);
	frames_deliver();
	ck_assert_uint_eq(v_status() & 0x40, 0x40);
	v_start(V_1 | V_MRG, 2);
	buffers(1, 100);
	vd(RX, 1, 0xfffffff0, 2000, VD_WRITE);
	vq_add(RX, 1);
	frame_send(1000, 1);
	frames_deliver();
	ck_assert_uint_eq(v_status() & 0x40, 0x40);
	v_start(V_1, 2);
	transmit(HDR, 100, 1);
	vd(TX, 1, 0xa0000, 100, 0);
	vq_add(TX, 0);
	v_notify(TX);
	ck_assert_uint_eq(v_status() & 0x40, 0x40);
	ck_assert_uint_eq(frame_take(got), 100);
	ck_assert_uint_eq(frame_take(got), 0);
}
END_TEST

START_TEST(save_restore)
{
	v_start(V_1 | V_MRG | V_EVENT, 2);
	buffers(3, 2000);
	frame_send(500, 1);
	frames_deliver();
	pc_round_trip(&virtio_net_device);
	ck_assert_int_eq(pc_take() - 0x70 + 8, 11);
	frame_send(600, 2);
	frames_deliver();
	ck_assert_int_eq(vq_take(RX, 0), 512);
	ck_assert_int_eq(vq_take(RX, 1), 612);
	transmit(HDR, 300, 3);
	ck_assert_uint_eq(frame_take(got), 300);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio-net");
	TCase *t = tcase_create("device");

	tcase_add_checked_fixture(t, setup, frames_teardown);
	tcase_add_test(t, identity);
	tcase_add_test(t, sending);
	tcase_add_test(t, checksums);
	tcase_add_test(t, full_cable);
	tcase_add_test(t, receiving);
	tcase_add_test(t, scattered);
	tcase_add_test(t, starved);
	tcase_add_test(t, nobody_listens);
	tcase_add_test(t, bad_buffers);
	tcase_add_test(t, save_restore);
	suite_add_tcase(s, t);
	return suite_run(s);
}

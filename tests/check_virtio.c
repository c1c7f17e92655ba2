/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtio transport and its queues, with a disk behind them; then the disk. */
#include "tests/image.h"
#include "tests/virtio.h"

#define SIZE		(1u << 20)
#define SECTORS		(SIZE / 512)
#define HEAD		0x40000u
#define DATA		0x50000u
#define STATUS		0x4f000u
#define BROKEN		0x40

static const char *image_flags;
static uint8_t buf[SIZE];

static void with_disk(void)
{
	pc.virtio_disks[0] = image_disk(image_flags);
}

static void setup_with(const char *flags)
{
	image_flags = flags;
	image_make(SIZE);
	pc_prepare = with_disk;
	pc_setup();
	pc_init_pics();
	vq_slot = 4;
}

static void setup(void)
{
	setup_with("");
}

static void setup_readonly(void)
{
	setup_with("r");
}

static void teardown(void)
{
	struct disk *d = pc.virtio_disks[0];

	pc_teardown();
	disk_close(d);
	image_remove();
}

/* A request of three descriptors, 0-2 of the queue, or of two without data. */
static void request(uint32_t type, uint64_t sector, uint32_t len)
{
	phys_write(&pc.mem, HEAD, type, 8);
	phys_write(&pc.mem, HEAD + 8, sector, 8);
	phys_write(&pc.mem, STATUS, 0xaa, 1);
	vd(0, 0, HEAD, 16, VD_NEXT);
	vd(0, 1, DATA, len, VD_NEXT | (type == 1 ? 0 : VD_WRITE));
	vd(0, 2, STATUS, 1, VD_WRITE);
	vq_add(0, 0);
}

static uint8_t status(void)
{
	return (uint8_t)phys_read(&pc.mem, STATUS, 1);
}

static void run(uint32_t type, uint64_t sector, uint32_t len, int64_t written, uint8_t want)
{
	request(type, sector, len);
	v_notify(0);
	ck_assert_int_eq(vq_take(0, 0), written);
	ck_assert_uint_eq(status(), want);
}

/* --- The transport --------------------------------------------------------------------- */

START_TEST(identity)
{
	unsigned at = cfg_read(0x34) & 0xff, kinds = 0;

	ck_assert_uint_eq(cfg_read(0), 0x10011af4);
	ck_assert_uint_eq(cfg_read(8), 0x01000000);
	ck_assert_uint_eq(cfg_read(0x2c), 0x00021af4);
	ck_assert_uint_eq(cfg_read(0x3c) & 0xff00, 0x100);
	ck_assert(cfg_read(4) >> 16 & 0x10);
	for (unsigned n = 0; at; n++) {
		uint32_t cap = cfg_read(at);

		ck_assert_uint_lt(n, 8);
		ck_assert_uint_eq(cap & 0xff, 9);
		ck_assert_uint_ge(cap >> 16 & 0xff, 16);
		kinds |= 1u << (cap >> 24);
		at = cap >> 8 & 0xff;
	}
	ck_assert_uint_eq(kinds, 0x3e);
	cfg_write(0x10, ~0u, 4);
	ck_assert_uint_eq(cfg_read(0x10), 0xffffff81);
	cfg_write(0x20, ~0u, 4);
	ck_assert_uint_eq(cfg_read(0x20), 0xffffc000);
}
END_TEST

START_TEST(negotiation)
{
	vq_legacy = false;
	vq_place();
	mm_out(0, 1, 4);
	ck_assert_uint_eq(mm(4, 4), 1);			/* VERSION_1 */
	mm_out(0, 0, 4);
	ck_assert_uint_eq(mm(4, 4) & 0x30000244u, 0x30000244u);
	ck_assert_uint_eq(mm(4, 4) & 0x20, 0);		/* not read-only */
	mm_out(0, 2, 4);
	ck_assert_uint_eq(mm(4, 4), 0);
	ck_assert_uint_eq(mm(18, 2), 1);
	ck_assert_uint_eq(mm(24, 2), 256);
	mm_out(22, 1, 2);				/* there is no such queue */
	ck_assert_uint_eq(mm(24, 2), 0);
	mm_out(32, 0x1000, 4);
	ck_assert_uint_eq(mm(32, 4), 0);
	mm_out(22, 0, 2);
	mm_out(24, 24, 2);				/* no power of two */
	ck_assert_uint_eq(mm(24, 2), 256);
	mm_out(24, 512, 2);
	ck_assert_uint_eq(mm(24, 2), 256);
	mm_out(36, 0x12345678, 4);			/* halves of an address */
	mm_out(32, 0x9abcdef0, 4);
	ck_assert_uint_eq(mm(32, 8), 0x123456789abcdef0ull);
	v_status_set(3);
	v_status_set(11);				/* without VERSION_1 */
	ck_assert_uint_eq(v_status(), 3);
	mm_out(8, 1, 4);
	mm_out(12, 3, 4);				/* a feature that was not offered */
	v_status_set(11);
	ck_assert_uint_eq(v_status(), 3);
	mm_out(12, 1, 4);
	v_status_set(11);
	ck_assert_uint_eq(v_status(), 11);
	mm_out(12, 0, 4);				/* too late */
	ck_assert_uint_eq(mm(12, 4), 1);
	v_status_set(0);
	ck_assert_uint_eq(v_status(), 0);
	ck_assert_uint_eq(mm(12, 4), 0);
}
END_TEST

START_TEST(configuration)
{
	vq_place();
	ck_assert_uint_eq(mm(0x2000, 8), SECTORS);
	ck_assert_uint_eq(mm(0x200c, 4), 254);
	ck_assert_uint_eq(mm(0x2014, 4), 512);
	ck_assert_uint_eq(mm(0x2018, 4), 0);
	ck_assert_uint_eq(bus_in(pc.bus, PORTS_AT + 20, 4), SECTORS);
	ck_assert_uint_eq(bus_in(pc.bus, PORTS_AT + 12, 2), 256);
	/* The window in configuration space: BAR 4, offset, length, then the data. */
	cfg_write(0x88, 4, 1);
	cfg_write(0x8c, 0x2000, 4);
	cfg_write(0x90, 4, 4);
	ck_assert_uint_eq(cfg_read(0x94), SECTORS);
	cfg_write(0x8c, 20, 4);
	cfg_write(0x90, 1, 4);
	cfg_write(0x94, 3, 1);
	ck_assert_uint_eq(mm(20, 1), 3);
	ck_assert_uint_eq(cfg_read(0x94) & 0xff, 3);
	cfg_write(0x8c, 0x5000, 4);			/* nowhere */
	cfg_write(0x94, 0, 1);
	ck_assert_uint_eq(mm(20, 1), 3);
}
END_TEST

START_TEST(interrupts)
{
	static const uint64_t sets[] = { 0, V_1 };

	for (unsigned i = 0; i < 2; i++) {
		v_start(sets[i], 1);
		run(0, 0, 512, 513, 0);
		ck_assert_int_eq(pc_take() - 0x70 + 8, 11);
		ck_assert_uint_eq(v_isr(), 1);
		ck_assert_uint_eq(v_isr(), 0);
		ck_assert_int_eq(pc_take(), -1);
		phys_write(&pc.mem, AVAIL(0), 1, 2);	/* NO_INTERRUPT */
		run(0, 0, 512, 513, 0);
		ck_assert_uint_eq(v_isr(), 0);
	}
	/* By index: one when used passes used_event, which is 0, 5, 5. */
	v_start(V_1 | V_EVENT, 1);
	run(0, 0, 512, 513, 0);
	ck_assert_uint_eq(v_isr(), 1);
	ck_assert_uint_eq(phys_read(&pc.mem, USED(0) + 4 + 8 * vq_size, 2), 1);	/* avail_event */
	phys_write(&pc.mem, AVAIL(0) + 4 + 2 * vq_size, 5, 2);
	for (unsigned n = 2; n < 8; n++) {
		run(0, 0, 512, 513, 0);
		ck_assert_uint_eq(v_isr(), n == 6);
	}
}
END_TEST

START_TEST(not_before_time)
{
	v_start(V_1, 1);
	cfg_write(4, 3, 2);			/* no bus master */
	request(0, 0, 512);
	v_notify(0);
	ck_assert_int_eq(vq_take(0, 0), -1);
	cfg_write(4, 7, 2);
	v_notify(1);				/* no such queue */
	v_notify(0x3ff);
	ck_assert_int_eq(vq_take(0, 0), -1);
	v_notify(0);
	ck_assert_int_eq(vq_take(0, 0), 513);
	v_start(V_1, 1);
	v_status_set(0);
	v_status_set(11);
	request(0, 0, 512);
	v_notify(0);				/* not ready any more */
	ck_assert_int_eq(vq_take(0, 0), -1);
}
END_TEST

/* What waits when the driver says that it is ready is done then. */
START_TEST(waiting_requests)
{
	v_start(0, 1);
	vq_enable(0);
	v_status_set(3);
	request(0, 0, 512);
	v_status_set(7);
	ck_assert_int_eq(vq_take(0, 0), 513);
}
END_TEST

/* --- Chains that no driver makes --------------------------------------------------------- */

static void breaks(void)
{
	v_notify(0);
	ck_assert_uint_eq(v_status() & BROKEN, BROKEN);
	ck_assert_uint_eq(v_isr() & 2, 2);
	ck_assert_int_eq(vq_take(0, 0), -1);
	request(0, 0, 512);			/* and then it does nothing */
	v_notify(0);
	ck_assert_int_eq(vq_take(0, 0), -1);
	v_start(V_1 | V_INDIRECT, 1);		/* until it is reset */
	run(0, 0, 512, 513, 0);
}

START_TEST(bad_chains)
{
	enum { LOOP, NEXT_BEYOND, HEAD_BEYOND, READ_AFTER_WRITE, NO_STATUS, SHORT_HEAD, NO_RAM,
	       WRAPS, TOO_MANY, INDIRECT_LOOP, INDIRECT_ODD, INDIRECT_EMPTY, INDIRECT_TWICE,
	       INDIRECT_NEXT, INDIRECT_NO_RAM, STATUS_NO_RAM, CASES };

	for (unsigned i = 0; i < CASES; i++) {
		v_start(V_1 | V_INDIRECT, 1);
		request(0, 0, 512);
		switch (i) {
		case LOOP: vd_at(DESC(0), 2, STATUS, 1, VD_WRITE | VD_NEXT, 0); break;
		case NEXT_BEYOND: vd_at(DESC(0), 1, DATA, 512, VD_WRITE | VD_NEXT, vq_size); break;
		case HEAD_BEYOND: phys_write(&pc.mem, AVAIL(0) + 4, vq_size, 2); break;
		case READ_AFTER_WRITE: vd(0, 2, STATUS, 1, 0); break;
		case NO_STATUS: vd(0, 0, HEAD, 16, 0); break;
		case SHORT_HEAD: vd(0, 0, HEAD, 15, VD_NEXT); break;
		case NO_RAM: vd(0, 1, 0xa0000, 512, VD_NEXT | VD_WRITE); break;
		case WRAPS: vd(0, 1, ~0ull - 100, 512, VD_NEXT | VD_WRITE); break;
		case TOO_MANY: phys_write(&pc.mem, AVAIL(0) + 2, vq_size + 1, 2); break;
		case INDIRECT_LOOP:
			vd(0, 0, DATA, 32, VD_INDIRECT);
			vd_at(DATA, 0, HEAD, 16, VD_NEXT, 1);
			vd_at(DATA, 1, HEAD, 16, VD_NEXT, 0);
			break;
		case INDIRECT_ODD: vd(0, 0, DATA, 17, VD_INDIRECT); break;
		case INDIRECT_EMPTY: vd(0, 0, DATA, 0, VD_INDIRECT); break;
		case INDIRECT_TWICE:
			vd(0, 0, DATA, 16, VD_INDIRECT);
			vd_at(DATA, 0, DATA, 16, VD_INDIRECT, 0);
			break;
		case INDIRECT_NEXT: vd(0, 0, DATA, 16, VD_INDIRECT | VD_NEXT); break;
		case INDIRECT_NO_RAM: vd(0, 0, 0xe0000000, 64, VD_INDIRECT); break;
		case STATUS_NO_RAM: vd(0, 2, 0xe0001000, 1, VD_WRITE); break;
		}
		breaks();
	}
}
END_TEST

START_TEST(bad_rings)
{
	static const struct { unsigned reg; uint64_t at; } rings[] = {
		{ 32, 0xffffff00 }, { 40, 0xe0001000 }, { 48, 0xfffffffffffffff0ull }, { 40, 0xa0000 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rings); i++) {
		v_start(V_1, 1);
		v_status_set(0);
		v_status_set(3);
		mm_out(8, 1, 4);
		mm_out(12, 1, 4);
		v_status_set(11);
		mm_out(24, vq_size, 2);
		mm_out(32, DESC(0), 8);
		mm_out(40, AVAIL(0), 8);
		mm_out(48, USED(0), 8);
		mm_out(rings[i].reg, rings[i].at, 8);
		mm_out(28, 1, 2);
		vq_added[0] = 0;
		request(0, 0, 512);
		v_status_set(15);
		v_notify(0);
		ck_assert_uint_eq(v_status() & BROKEN, BROKEN);
	}
	v_start(V_1, 1);
	v_status_set(0);
	mm_out(32, DESC(0) + 8, 8);		/* not aligned */
	mm_out(28, 1, 2);
	ck_assert_uint_eq(mm(28, 2), 0);
	ck_assert_uint_eq(v_status() & BROKEN, BROKEN);
}
END_TEST

START_TEST(indirect)
{
	uint8_t got[512];

	v_start(V_1 | V_INDIRECT, 1);
	request(0, 3, 512);
	for (unsigned i = 0; i < 3; i++) {	/* the same, from a table elsewhere */
		uint8_t d[16];

		phys_read_bulk(&pc.mem, DESC(0) + 16 * i, d, 16);
		phys_write_bulk(&pc.mem, 0x60000 + 16 * i, d, 16);
	}
	vd(0, 0, 0x60000, 48, VD_INDIRECT);
	v_notify(0);
	ck_assert_int_eq(vq_take(0, 0), 513);
	phys_read_bulk(&pc.mem, DATA, got, 512);
	ck_assert(image_is(got, 3 * 512, 512));
	v_start(V_1, 1);			/* who has not asked for it has not got it */
	request(0, 3, 512);
	vd(0, 0, 0x60000, 48, VD_INDIRECT);
	v_notify(0);
	ck_assert_uint_eq(v_status() & BROKEN, BROKEN);
}
END_TEST

/* The ring goes round, and so do the indexes. */
START_TEST(long_run)
{
	static const uint64_t sets[] = { 0, V_1 | V_EVENT };

	for (unsigned s = 0; s < 2; s++) {
		v_start(sets[s], 1);
		for (unsigned i = 0; i < 66000; i++)
			run(8, 0, 4, 5, 0);
	}
}
END_TEST

/* --- The disk ------------------------------------------------------------------------------ */

START_TEST(reading)
{
	static const uint64_t sets[] = { 0, V_1 };

	for (unsigned s = 0; s < 2; s++) {
		v_start(sets[s], 1);
		run(0, 5, 512 * 300, 512 * 300 + 1, 0);	/* more than a piece */
		phys_read_bulk(&pc.mem, DATA, buf, 512 * 300);
		ck_assert(image_is(buf, 5 * 512, 512 * 300));
		run(0, SECTORS - 1, 512, 513, 0);
		run(0, SECTORS - 1, 1024, 1, 1);	/* beyond the end */
		run(0, SECTORS, 512, 1, 1);
		run(0, ~0ull, 512, 1, 1);
		run(0, 0, 511, 1, 1);			/* no sector */
	}
}
END_TEST

/* Bytes lie in descriptors as it pleases the driver, the head too. */
START_TEST(scattered)
{
	v_start(V_1, 1);
	phys_write(&pc.mem, HEAD, 0, 8);
	phys_write(&pc.mem, HEAD + 8, 7, 8);
	vd(0, 0, HEAD, 3, VD_NEXT);
	vd(0, 1, HEAD + 3, 0, VD_NEXT);
	vd(0, 2, HEAD + 3, 13, VD_NEXT);
	vd(0, 3, DATA, 1, VD_NEXT | VD_WRITE);
	vd(0, 4, DATA + 1, 1022, VD_NEXT | VD_WRITE);
	vd(0, 5, DATA + 1023, 2, VD_WRITE);
	vq_add(0, 0);
	v_notify(0);
	ck_assert_int_eq(vq_take(0, 0), 1025);
	phys_read_bulk(&pc.mem, DATA, buf, 1025);
	ck_assert(image_is(buf, 7 * 512, 1024));
	ck_assert_uint_eq(buf[1024], 0);
}
END_TEST

START_TEST(writing)
{
	v_start(V_1, 1);
	memset(buf, 0x5a, 1024);
	phys_write_bulk(&pc.mem, DATA, buf, 1024);
	run(1, 9, 1024, 1, 0);
	run(4, 0, 0, 1, 0);
	ck_assert_int_eq(disk_read(pc.virtio_disks[0], 8 * 512, buf + 2048, 2048), 0);
	ck_assert(image_is(buf + 2048, 8 * 512, 512));
	ck_assert_mem_eq(buf + 2048 + 512, buf, 1024);
	ck_assert(image_is(buf + 2048 + 1536, 11 * 512, 512));
	run(1, SECTORS - 1, 1024, 1, 1);
	run(1, 0, 100, 1, 1);
}
END_TEST

START_TEST(other_requests)
{
	v_start(V_1, 1);
	run(8, 0, 20, 21, 0);
	phys_read_bulk(&pc.mem, DATA, buf, 20);
	ck_assert_str_eq((char *)buf, "HEMIV001");
	run(8, 0, 4, 5, 0);
	run(8, 0, 0, 1, 0);
	run(77, 0, 512, 1, 2);
	run(2, 0, 512, 1, 2);
}
END_TEST

START_TEST(readonly)
{
	v_start(V_1, 1);
	mm_out(0, 0, 4);
	ck_assert_uint_eq(mm(4, 4) & 0x20, 0x20);
	run(0, 0, 512, 513, 0);
	run(1, 0, 512, 1, 1);
}
END_TEST

START_TEST(save_restore)
{
	v_start(V_1 | V_EVENT, 1);
	run(0, 0, 512, 513, 0);
	pc_round_trip(&virtio_blk_device);
	run(0, 1, 512, 513, 0);
	phys_read_bulk(&pc.mem, DATA, buf, 512);
	ck_assert(image_is(buf, 512, 512));
	v_start(0, 1);
	run(0, 0, 512, 513, 0);
	pc_round_trip(&virtio_blk_device);
	run(0, 1, 512, 513, 0);
	ck_assert_int_eq(pc_take() - 0x70 + 8, 11);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio");
	TCase *t = tcase_create("transport"), *r = tcase_create("readonly");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, identity);
	tcase_add_test(t, negotiation);
	tcase_add_test(t, configuration);
	tcase_add_test(t, interrupts);
	tcase_add_test(t, not_before_time);
	tcase_add_test(t, waiting_requests);
	tcase_add_test(t, bad_chains);
	tcase_add_test(t, bad_rings);
	tcase_add_test(t, indirect);
	tcase_add_test(t, long_run);
	tcase_add_test(t, reading);
	tcase_add_test(t, scattered);
	tcase_add_test(t, writing);
	tcase_add_test(t, other_requests);
	tcase_add_test(t, save_restore);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(r, setup_readonly, teardown);
	tcase_add_test(r, readonly);
	suite_add_tcase(s, r);
	return suite_run(s);
}

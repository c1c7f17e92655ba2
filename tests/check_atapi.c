/* SPDX-License-Identifier: BSD-2-Clause */
/* The CD drive: packets, by the guest and by the bus master; its tray, and a user who exchanges the medium. */
#include <errno.h>

#include "dev/drive.h"
#include "tests/ide_fixture.h"

#define BLOCKS		(SIZE / 2048)

static uint8_t packet(const uint8_t cdb[12], unsigned limit, bool dma)
{
	base = 0x170;
	out(0x176, 0xa0);
	out(0x171, dma);
	out(0x174, (uint8_t)limit);
	out(0x175, (uint8_t)(limit >> 8));
	ck_assert_uint_eq(command(0xa0), 0x58);
	ck_assert_uint_eq(in(0x172), 1);
	for (unsigned i = 0; i < 12; i += 2)
		bus_out(pc.bus, 0x170, cdb[i] | (uint32_t)cdb[i + 1] << 8, 2);
	return in(0x376);
}

/* Data of one packet command, by DRQ blocks; its length, or minus the sense key. */
static int packet_read(const uint8_t cdb[12], unsigned limit)
{
	unsigned got = 0;
	uint8_t st = packet(cdb, limit, false);

	while (st & 8) {
		unsigned n = in(0x174) | (unsigned)in(0x175) << 8;

		ck_assert_uint_eq(in(0x172), 2);
		ck_assert_int_eq(take(), 15);
		ck_assert_uint_le(n, limit);
		for (unsigned i = 0; i < n; i += 2) {
			uint32_t w = bus_in(pc.bus, 0x170, 2);

			memcpy(buf + got + i, &w, n - i < 2 ? 1 : 2);
		}
		got += n;
		st = in(0x376);
	}
	ck_assert_uint_eq(in(0x172), 3);
	ck_assert_int_eq(take(), 15);
	return st & 1 ? -(in(0x171) >> 4) : (int)got;
}

START_TEST(cd_read)
{
	static const uint8_t capacity[12] = { 0x25 };
	uint8_t read10[12] = { 0x28, [4] = 1, [8] = 5 }, read12[12] = { 0xa8, [9] = 1 };
	uint8_t read_cd[12] = { 0xbe, [5] = 3, [8] = 1, [9] = 0x10 };

	ck_assert_int_eq(packet_read(capacity, 8), 8);
	ck_assert_uint_eq((unsigned)buf[1] << 16 | (unsigned)buf[2] << 8 | buf[3], BLOCKS - 1);
	ck_assert_int_eq(packet_read(read10, 2048), 5 * 2048);
	ck_assert(image_is(buf, 256 * 2048, 5 * 2048));
	memset(buf, 0, sizeof(buf));
	ck_assert_int_eq(packet_read(read10, 1001), 5 * 2048);
	ck_assert(image_is(buf, 256 * 2048, 5 * 2048));
	ck_assert_int_eq(packet_read(read12, 0xfffe), 2048);
	ck_assert(image_is(buf, 0, 2048));
	ck_assert_int_eq(packet_read(read_cd, 0xfffe), 2048);
	ck_assert(image_is(buf, 3 * 2048, 2048));
	read_cd[9] = 0xf8;
	ck_assert_int_eq(packet_read(read_cd, 0xfffe), -5);
	read10[2] = 0xff;
	ck_assert_int_eq(packet_read(read10, 2048), -5);
	read10[8] = read10[2] = 0;
	ck_assert_int_eq(packet_read(read10, 2048), 0);
}
END_TEST

START_TEST(cd_dma)
{
	static const uint8_t read10[12] = { 0x28, [5] = 10, [8] = 40 };
	static const uint8_t inquiry[12] = { 0x12, [4] = 36 };

	prd(0, DATA, 0, false);
	prd(1, DATA + 0x10000, 40 * 2048 - 0x10000, true);
	ck_assert_uint_eq(packet(read10, 0, true), 0x58);
	bm_start(1, true);
	ck_assert_uint_eq(bm_status(1), 4);
	ck_assert_int_eq(take(), 15);
	ck_assert_uint_eq(in(0x172), 3);
	ck_assert(image_is(pc.mem.ram + DATA, 10 * 2048, 40 * 2048));
	out(BM + 8, 0);
	prd(0, DATA, 36, true);
	packet(inquiry, 0, true);
	bm_start(1, true);
	ck_assert_uint_eq(bm_status(1), 4);
	ck_assert_mem_eq(pc.mem.ram + DATA + 8, "hemi", 4);
}
END_TEST

START_TEST(cd_tray)
{
	static const uint8_t ready[12] = { 0 }, sense[12] = { 0x03, [4] = 18 };
	static const uint8_t lock[12] = { 0x1e, [4] = 1 }, unlock[12] = { 0x1e };
	static const uint8_t eject[12] = { 0x1b, [4] = 2 }, load[12] = { 0x1b, [4] = 3 };

	ck_assert_int_eq(packet_read(ready, 0), 0);
	packet_read(lock, 0);
	ck_assert_int_eq(packet_read(eject, 0), -5);
	ck_assert_int_eq(packet_read(sense, 18), 18);
	ck_assert_uint_eq(buf[2] << 16 | buf[12] << 8 | buf[13], 0x055302);
	packet_read(unlock, 0);
	ck_assert_int_eq(packet_read(eject, 0), 0);
	ck_assert_int_eq(packet_read(ready, 0), -2);
	packet_read(sense, 18);
	ck_assert_uint_eq(buf[12], 0x3a);
	packet_read(load, 0);
	ck_assert_int_eq(packet_read(ready, 0), -6);	/* the medium may have changed: said once */
	ck_assert_int_eq(packet_read(ready, 0), 0);
}
END_TEST

static int event(void)
{
	static const uint8_t events[12] = { 0x4a, 1, [4] = 0x10, [8] = 8 };

	ck_assert_int_eq(packet_read(events, 256), 8);
	return buf[4] << 8 | buf[5];
}

/* The user takes the medium out, if the guest lets go of it, and puts in another. */
START_TEST(cd_exchange)
{
	static const uint8_t ready[12] = { 0 }, sense[12] = { 0x03, [4] = 18 };
	static const uint8_t lock[12] = { 0x1e, [4] = 1 }, capacity[12] = { 0x25 };
	static const uint8_t load[12] = { 0x1b, [4] = 3 };
	static const uint8_t caps[12] = { 0x5a, [2] = 0x2a, [8] = 255 };
	struct config_disk other = { .file = image_path, .readonly = true };
	struct drive *d = drive_find(&pc, "cdrom");
	char why[512];

	ck_assert_ptr_nonnull(d);
	ck_assert_ptr_eq(d, drive_find(&pc, "ide1-cd0"));
	ck_assert_ptr_null(drive_find(&pc, "ide0-hd0"));
	ck_assert_int_eq(event(), 2);
	packet_read(lock, 0);
	ck_assert_int_eq(drive_eject(d, false), -EBUSY);
	ck_assert_int_eq(event(), 0x102);		/* the wish, told once */
	ck_assert_int_eq(event(), 2);
	ck_assert_int_eq(drive_load(d, &other, false, why), -EBUSY);
	ck_assert_ptr_nonnull(strstr(why, "locked"));
	ck_assert_int_eq(drive_eject(d, true), 0);
	ck_assert_ptr_null(pc.disks[2]);
	ck_assert_int_eq(event(), 1);
	ck_assert_int_eq(packet_read(ready, 0), -2);
	ck_assert_int_eq(packet_read(capacity, 8), -2);
	packet_read(sense, 18);
	ck_assert_uint_eq(buf[12] << 8 | buf[13], 0x3a02);
	ck_assert_int_eq(packet_read(caps, 256), 28);
	ck_assert_uint_eq(buf[2], 0x71);
	packet_read(load, 0);				/* the tray is in, and empty */
	ck_assert_int_eq(event(), 0);
	ck_assert_int_eq(packet_read(ready, 0), -2);
	packet_read(sense, 18);
	ck_assert_uint_eq(buf[12] << 8 | buf[13], 0x3a01);
	ck_assert_int_eq(packet_read(caps, 256), 28);
	ck_assert_uint_eq(buf[2], 0x70);
	ck_assert_int_eq(drive_load(d, &(struct config_disk){ .file = "/nowhere" }, true, why),
			 -ENOENT);
	ck_assert_int_eq(packet_read(ready, 0), -2);
	ck_assert_int_eq(truncate(image_path, 4 * 2048), 0);
	ck_assert_int_eq(drive_load(d, &other, true, why), 0);
	ck_assert_int_eq(event(), 0x202);
	ck_assert_int_eq(packet_read(ready, 0), -6);
	ck_assert_int_eq(packet_read(ready, 0), 0);
	ck_assert_int_eq(packet_read(capacity, 8), 8);
	ck_assert_uint_eq(buf[3], 3);
}
END_TEST

/* In the middle of a long read. */
START_TEST(cd_gone)
{
	static const uint8_t read10[12] = { 0x28, [8] = 64 };

	ck_assert_uint_eq(packet(read10, 0xf000, false) & 8, 8);
	ck_assert_int_eq(drive_eject(drive_find(&pc, "cdrom"), true), 0);
	ck_assert_uint_eq(in(0x376) & 0x89, 1);
	ck_assert_uint_eq(in(0x171) >> 4, 3);
	pc_round_trip(&ide_device);
	ck_assert_int_eq(packet_read(read10, 0xf000), -2);
}
END_TEST

START_TEST(cd_tables)
{
	static const uint8_t toc[12] = { 0x43, [7] = 1 };
	static const uint8_t msf[12] = { 0x43, [1] = 2, [6] = 0xaa, [8] = 12 };
	static const uint8_t session[12] = { 0x43, [2] = 1, [8] = 12 };
	static const uint8_t bad[12] = { 0x43, [6] = 2, [8] = 12 };
	static const uint8_t caps[12] = { 0x5a, [2] = 0x2a, [8] = 255 };
	static const uint8_t none[12] = { 0x5a, [2] = 0x33, [8] = 255 };
	static const uint8_t config[12] = { 0x46, [7] = 1 };
	static const uint8_t events[12] = { 0x4a, 1, [4] = 0x10, [8] = 8 };
	static const uint8_t unknown[12] = { 0xff };

	ck_assert_int_eq(packet_read(toc, 256), 20);
	ck_assert_uint_eq(buf[1], 18);
	ck_assert_uint_eq(buf[14], 0xaa);
	ck_assert_uint_eq((unsigned)buf[17] << 16 | (unsigned)buf[18] << 8 | buf[19], BLOCKS);
	ck_assert_int_eq(packet_read(msf, 256), 12);
	ck_assert_uint_eq((buf[9] * 60u + buf[10]) * 75u + buf[11], BLOCKS + 150);
	ck_assert_int_eq(packet_read(session, 256), 12);
	ck_assert_int_eq(packet_read(bad, 256), -5);
	ck_assert_int_eq(packet_read(caps, 256), 28);
	ck_assert_int_eq(packet_read(none, 256), -5);
	ck_assert_int_eq(packet_read(config, 256), 52);
	ck_assert_uint_eq(buf[7], 0x08);
	ck_assert_int_eq(packet_read(events, 256), 8);
	ck_assert_uint_eq(buf[5], 2);
	ck_assert_int_eq(packet_read(unknown, 256), -5);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("atapi");
	TCase *t = tcase_create("atapi");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, cd_read);
	tcase_add_test(t, cd_dma);
	tcase_add_test(t, cd_tray);
	tcase_add_test(t, cd_exchange);
	tcase_add_test(t, cd_gone);
	tcase_add_test(t, cd_tables);
	suite_add_tcase(s, t);
	return suite_run(s);
}

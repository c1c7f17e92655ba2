/* SPDX-License-Identifier: BSD-2-Clause */
/* The floppy disk controller and the DMA controllers. */
#include "dev/drive.h"
#include "tests/pc.h"
#include "tests/image.h"

#define SIZE	(1440u << 10)
#define DATA	0x20000

static const char *flags = "s";

static void with_floppy(void)
{
	pc.floppies[0] = image_disk(flags);
}

static void setup(void)
{
	image_make(SIZE);
	pc_prepare = with_floppy;
	pc_setup();
	pc_init_pics();
}

static void teardown(void)
{
	struct disk *d = pc.floppies[0];

	pc_teardown();
	disk_close(d);
	image_remove();
}

static void setup_readonly(void)
{
	flags = "r";
	setup();
}

static void command(unsigned n, const uint8_t *bytes)
{
	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_eq(in(0x3f4) & 0xc0, 0x80);
		out(0x3f5, bytes[i]);
	}
}
#define COMMAND(...)	command(sizeof((uint8_t[]){ __VA_ARGS__ }), (uint8_t[]){ __VA_ARGS__ })

static uint8_t res[10];

/* How many bytes of a result there were. */
static unsigned result(void)
{
	unsigned n = 0;

	while ((in(0x3f4) & 0xd0) == 0xd0 && n < sizeof(res))
		res[n++] = in(0x3f5);
	return n;
}

/* Out of reset, drive 0 selected, its motor on, and the four interrupts of it told. */
static void start(void)
{
	out(0x3f2, 0x00);
	ck_assert_uint_eq(in(0x3f4), 0);
	out(0x3f2, 0x1c);
	ck_assert_int_eq(pc_take(), 0x0e);
	for (unsigned i = 0; i < 4; i++) {
		COMMAND(0x08);
		ck_assert_uint_eq(result(), 2);
		ck_assert_uint_eq(res[0], 0xc0 + i);
	}
	COMMAND(0x08);
	ck_assert_uint_eq(result(), 1);
	ck_assert_uint_eq(res[0], 0x80);
	out(0x3f7, 0);
	COMMAND(0x03, 0xaf, 0x02);
}

static void seek_to(uint8_t track)
{
	COMMAND(0x0f, 0x00, track);
	ck_assert_int_eq(pc_take(), 0x0e);
	COMMAND(0x08);
	ck_assert_uint_eq(result(), 2);
	ck_assert_uint_eq(res[0], 0x20);
	ck_assert_uint_eq(res[1], track);
}

static void dma_setup(uint32_t at, uint16_t count, uint8_t mode)
{
	out(0x0a, 0x06);
	out(0x0c, 0);
	out(0x0b, mode | 2);
	out(0x04, (uint8_t)at);
	out(0x04, (uint8_t)(at >> 8));
	out(0x81, (uint8_t)(at >> 16));
	out(0x05, (uint8_t)(count - 1));
	out(0x05, (uint8_t)((count - 1) >> 8));
	out(0x0a, 0x02);
}

START_TEST(reads)
{
	start();
	ck_assert_uint_eq(in(0x3f7), 0x80);		/* a new disk, until the first step */
	COMMAND(0x07, 0x00);
	ck_assert_int_eq(pc_take(), 0x0e);
	COMMAND(0x08);
	result();
	ck_assert_uint_eq(in(0x3f7), 0);
	dma_setup(DATA, 3 * 512, 0x44);
	COMMAND(0xe6, 0x00, 0, 0, 17, 2, 18, 0x1b, 0xff);	/* over the end of side 0 */
	ck_assert_int_eq(pc_take(), 0x0e);
	ck_assert_uint_eq(result(), 7);
	ck_assert_mem_eq(res, "\0\0\0\0\1\2\2", 7);
	ck_assert(image_is(pc.mem.ram + DATA, 16 * 512, 3 * 512));
	ck_assert_uint_eq(in(0x08), 0x04);		/* channel 2 has come to its end */
	ck_assert_uint_eq(in(0x08), 0x00);
	ck_assert_uint_eq(in(0x0f) & 0x04, 0x04);
	seek_to(79);
	dma_setup(DATA, 1000, 0x44);			/* part of a sector */
	COMMAND(0x46, 0x04, 79, 1, 17, 2, 18, 0x1b, 0xff);
	ck_assert_int_eq(pc_take(), 0x0e);
	result();
	ck_assert_uint_eq(res[0], 0x04);
	ck_assert(image_is(pc.mem.ram + DATA, SIZE - 1024, 1000));
	COMMAND(0x4a, 0x00);				/* READ ID */
	result();
	ck_assert_uint_eq(res[3], 79);
}
END_TEST

START_TEST(writes)
{
	start();
	seek_to(5);
	memset(pc.mem.ram + DATA, 0x77, 1024);
	dma_setup(DATA, 1024, 0x48);
	COMMAND(0xc5, 0x00, 5, 0, 2, 2, 18, 0x1b, 0xff);
	result();
	ck_assert_uint_eq(res[0], 0);
	dma_setup(DATA + 0x1000, 18 * 512, 0x44);
	COMMAND(0xe6, 0x00, 5, 0, 1, 2, 18, 0x1b, 0xff);
	result();
	ck_assert_mem_eq(res, "\0\0\0\5\1\1\2", 7);
	ck_assert(image_is(pc.mem.ram + DATA + 0x1000, 5 * 36 * 512, 512));
	ck_assert_mem_eq(pc.mem.ram + DATA + 0x1200, pc.mem.ram + DATA, 1024);
	ck_assert(image_is(pc.mem.ram + DATA + 0x1600, (5 * 36 + 3) * 512, 15 * 512));
	for (unsigned i = 0; i < 18; i++)		/* format the other side */
		memcpy(pc.mem.ram + DATA + 4 * i, (uint8_t[]){ 5, 1, (uint8_t)(i + 1), 2 }, 4);
	dma_setup(DATA, 72, 0x48);
	COMMAND(0x4d, 0x04, 2, 18, 0x54, 0xf6);
	ck_assert_uint_eq(result(), 7);
	ck_assert_uint_eq(res[0], 4);
	dma_setup(DATA, 512, 0x44);
	COMMAND(0x46, 0x04, 5, 1, 18, 2, 18, 0x1b, 0xff);
	result();
	ck_assert_uint_eq(pc.mem.ram[DATA + 511], 0xf6);
}
END_TEST

START_TEST(exchange)
{
	struct config_disk other = { .file = image_path, .readonly = true };
	struct drive *d = drive_find(&pc, "floppy");
	char why[512];

	start();
	seek_to(1);
	ck_assert_uint_eq(in(0x3f7), 0);
	ck_assert_int_eq(drive_eject(d, false), 0);
	ck_assert_uint_eq(in(0x3f7), 0x80);
	seek_to(0);					/* the drive steps, but there is no disk */
	ck_assert_uint_eq(in(0x3f7), 0x80);
	dma_setup(DATA, 512, 0x44);
	COMMAND(0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
	ck_assert_uint_eq(result(), 7);
	ck_assert_uint_eq(res[0] & 0xc8, 0x48);
	ck_assert_int_eq(drive_load(d, &other, false, why), 0);
	ck_assert_uint_eq(in(0x3f7), 0x80);
	seek_to(1);
	ck_assert_uint_eq(in(0x3f7), 0);
	seek_to(0);
	dma_setup(DATA, 512, 0x44);
	COMMAND(0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
	result();
	ck_assert_uint_eq(res[0], 0);
	ck_assert(image_is(pc.mem.ram + DATA, 0, 512));
}
END_TEST

START_TEST(errors)
{
	start();
	dma_setup(DATA, 512, 0x44);
	COMMAND(0xe6, 0x00, 3, 0, 1, 2, 18, 0x1b, 0xff);	/* the head is elsewhere */
	ck_assert_uint_eq(result(), 7);
	ck_assert_uint_eq(res[0] & 0xc0, 0x40);
	COMMAND(0xe6, 0x00, 0, 0, 19, 2, 18, 0x1b, 0xff);	/* no such sector */
	result();
	ck_assert_uint_eq(res[1], 0x04);
	COMMAND(0xe6, 0x01, 0, 0, 1, 2, 18, 0x1b, 0xff);	/* no such drive */
	result();
	ck_assert_uint_eq(res[0], 0x49);
	out(0x0a, 0x06);					/* DMA is masked */
	COMMAND(0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
	result();
	ck_assert_uint_eq(res[1], 0x10);
	dma_setup(DATA, 4096, 0x44);				/* beyond the last sector */
	COMMAND(0x46, 0x00, 0, 0, 17, 2, 18, 0x1b, 0xff);
	result();
	ck_assert_uint_eq(res[1], 0x80);
	out(0x3f7, 2);						/* the wrong data rate */
	COMMAND(0x4a, 0x00);
	result();
	ck_assert_uint_eq(res[1], 0x01);
	COMMAND(0x1f);						/* no such command */
	ck_assert_uint_eq(result(), 1);
	ck_assert_uint_eq(res[0], 0x80);
	COMMAND(0x10);
	ck_assert_uint_eq(result(), 1);
	ck_assert_uint_eq(res[0], 0x90);
}
END_TEST

START_TEST(write_protected)
{
	start();
	dma_setup(DATA, 512, 0x48);
	COMMAND(0xc5, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
	result();
	ck_assert_uint_eq(res[1], 0x02);
	COMMAND(0x04, 0x00);
	result();
	ck_assert_uint_eq(res[0] & 0x40, 0x40);
}
END_TEST

START_TEST(dma_registers)
{
	out(0x0c, 0);
	out(0x02, 0x34);
	out(0x02, 0x12);
	out(0x0c, 0);
	ck_assert_uint_eq(in(0x02), 0x34);
	ck_assert_uint_eq(in(0x02), 0x12);
	out(0xd8, 0);
	out(0xc6, 0x78);				/* count of channel 5 */
	out(0xc6, 0x56);
	out(0x89, 0x9a);
	pc_round_trip(&isa_dma_device);
	out(0xd8, 0);
	ck_assert_uint_eq(in(0xc6), 0x78);
	ck_assert_uint_eq(in(0xc6), 0x56);
	ck_assert_uint_eq(in(0x89), 0x9a);
	out(0x0d, 0);
	ck_assert_uint_eq(in(0x0f), 0xff);
	out(0x0e, 0);
	ck_assert_uint_eq(in(0x0f), 0xf0);
}
END_TEST

START_TEST(round_trip)
{
	start();
	seek_to(7);
	out(0x3f5, 0x46);
	out(0x3f5, 0x00);
	pc_round_trip(&fdc_device);
	dma_setup(DATA, 512, 0x44);
	COMMAND(7, 0, 1, 2, 18, 0x1b, 0xff);
	pc_round_trip(&fdc_device);
	ck_assert_uint_eq(result(), 7);
	ck_assert(image_is(pc.mem.ram + DATA, 7 * 36 * 512, 512));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("floppy");
	TCase *t = tcase_create("floppy"), *r = tcase_create("readonly");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, reads);
	tcase_add_test(t, writes);
	tcase_add_test(t, exchange);
	tcase_add_test(t, errors);
	tcase_add_test(t, dma_registers);
	tcase_add_test(t, round_trip);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(r, setup_readonly, teardown);
	tcase_add_test(r, write_protected);
	suite_add_tcase(s, r);
	return suite_run(s);
}

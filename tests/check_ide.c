/* SPDX-License-Identifier: BSD-2-Clause */
/* The IDE controller and its disk: registers, PIO, the bus master, snapshots. The CD drive is tests/check_atapi.c. */
#include "tests/ide_fixture.h"

/* --- Presence ------------------------------------------------------------------------ */

START_TEST(presence)
{
	ck_assert_uint_eq(in(0x1f7), 0x50);
	ck_assert_uint_eq(in(0x1f1), 1);
	ck_assert_uint_eq(in(0x1f4) | in(0x1f5), 0);
	out(0x1f6, 0xb0);			/* no slave: it is not ready, nothing happens */
	ck_assert_uint_eq(in(0x1f7), 0);
	out(0x1f7, 0xec);
	ck_assert_uint_eq(in(0x1f7), 0);
	ck_assert_int_eq(pc_take(), -1);
	ck_assert_uint_eq(in(0x174), 0x14);
	ck_assert_uint_eq(in(0x175), 0xeb);
	out(0x1f6, 0xa0);
	out(0x3f6, 0x04);			/* software reset */
	ck_assert_uint_eq(in(0x1f7), 0x80);
	out(0x3f6, 0x00);
	ck_assert_uint_eq(in(0x1f7), 0x50);
	ck_assert_uint_eq(in(0x1f2) & in(0x1f3), 1);
	bus_out(pc.bus, 0xcf8, 0x80000940, 4);	/* the cable's ports are not decoded */
	out(0xcfd, 0);
	ck_assert_uint_eq(in(0x1f7), 0xff);
	ck_assert_uint_eq(in(0x174), 0x14);
}
END_TEST

START_TEST(identify)
{
	ck_assert_uint_eq(command(0xec), 0x58);
	ck_assert_int_eq(take(), 14);
	read_data(512);
	ck_assert_uint_eq(in(0x1f7), 0x50);
	ck_assert_int_eq(pc_take(), -1);
	ck_assert_uint_eq(word(1), 300);
	ck_assert_uint_eq(word(3), 16);
	ck_assert_uint_eq(word(6), 63);
	ck_assert_mem_eq(buf + 54, "ehimd si k", 10);
	ck_assert_uint_eq(word(60) | (uint32_t)word(61) << 16, SECTORS);
	ck_assert_uint_eq(word(100) | (uint32_t)word(101) << 16, SECTORS);
	ck_assert_uint_eq(word(83) & 0x0400, 0x0400);
	out(0x1f1, 0x03);			/* set a transfer mode, see it */
	out(0x1f2, 0x22);
	ck_assert_uint_eq(command(0xef), 0x50);
	command(0xec);
	read_data(512);
	ck_assert_uint_eq(word(63), 0x0407);
	base = 0x170;
	ck_assert_uint_eq(command(0xec), 0x51);	/* a packet device refuses this one */
	ck_assert_uint_eq(in(0x174), 0x14);
	ck_assert_uint_eq(command(0xa1), 0x58);
	read_data(512);
	ck_assert_uint_eq(word(0), 0x8580);
}
END_TEST

/* --- Programmed input and output ----------------------------------------------------- */

START_TEST(pio_read)
{
	lba28(1000, 3);
	ck_assert_uint_eq(command(0x20), 0x58);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(take(), 14);
		read_data(512);
		ck_assert(image_is(buf, (1000 + i) * 512, 512));
	}
	ck_assert_int_eq(take(), -1);
	ck_assert_uint_eq(in(0x1f7), 0x50);
	/* Cylinder 2, head 3, sector 4; by dwords. */
	out(0x1f6, 0xa3);
	out(0x1f2, 1);
	out(0x1f3, 4);
	out(0x1f4, 2);
	out(0x1f5, 0);
	ck_assert_uint_eq(command(0x20), 0x58);
	for (unsigned i = 0; i < 128; i++)
		ck_assert_uint_eq(bus_in(pc.bus, 0x1f0, 4),
				  image_word(((2 * 16 + 3) * 63 + 3) * 512 + 4 * i));
	lba28(0, 0);				/* 0 is 256 sectors: more than the buffer */
	command(0x20);
	for (unsigned i = 0; i < 256; i++) {
		read_data(512);
		ck_assert(image_is(buf, i * 512, 512));
	}
	ck_assert_uint_eq(in(0x1f7), 0x50);
	lba48(SECTORS - 200, 200);
	command(0x24);
	for (unsigned i = 0; i < 200; i++)
		read_data(512);
	ck_assert(image_is(buf, SIZE - 512, 512));
	ck_assert_uint_eq(in(0x1f7), 0x50);
}
END_TEST

/* A block at once, and no further than what the drive has ready: the next sector comes with
 * its interrupt. What is not a whole word is left to the single access. */
START_TEST(pio_read_at_once)
{
	lba28(40, 2);
	ck_assert_uint_eq(bus_in_block(pc.bus, 0x1f0, 2, buf, 256), 0);
	ck_assert_uint_eq(command(0x20), 0x58);
	ck_assert_int_eq(take(), 14);
	ck_assert_uint_eq(bus_in_block(pc.bus, 0x1f7, 1, buf, 1), 0);
	ck_assert_uint_eq(bus_in_block(pc.bus, 0x1f0, 2, buf, 5), 5);
	ck_assert_uint_eq(bus_in(pc.bus, 0x1f0, 1), image_word(40 * 512 + 8) >> 16 & 0xff);
	ck_assert_uint_eq(bus_in_block(pc.bus, 0x1f0, 4, buf + 11, 1024), 125);
	ck_assert_uint_eq(bus_in_block(pc.bus, 0x1f0, 4, buf + 11, 1024), 0);
	ck_assert_int_eq(take(), -1);
	ck_assert_uint_eq(bus_in(pc.bus, 0x1f0, 1), image_word(40 * 512 + 508) >> 24);
	buf[10] = (uint8_t)(image_word(40 * 512 + 8) >> 16);
	ck_assert(image_is(buf, 40 * 512, 511));
	ck_assert_int_eq(take(), 14);
	ck_assert_uint_eq(bus_in_block(pc.bus, 0x1f0, 2, buf, 1024), 256);
	ck_assert(image_is(buf, 41 * 512, 512));
	ck_assert_uint_eq(in(0x1f7), 0x50);
	ck_assert_uint_eq(bus_in_block(pc.bus, 0x1f0, 2, buf, 1024), 0);
}
END_TEST

START_TEST(multiple)
{
	lba28(7, 20);
	ck_assert_uint_eq(command(0xc4), 0x51);	/* no block size yet */
	out(0x1f2, 3);
	ck_assert_uint_eq(command(0xc6), 0x51);
	out(0x1f2, 8);
	ck_assert_uint_eq(command(0xc6), 0x50);
	take();
	lba28(7, 20);
	command(0xc4);
	for (unsigned i = 0; i < 20; i += 8) {	/* 8, 8, 4 */
		ck_assert_int_eq(take(), 14);
		read_data(i == 16 ? 4 * 512 : 8 * 512);
		ck_assert(image_is(buf, (7 + i) * 512, i == 16 ? 4 * 512 : 8 * 512));
	}
	ck_assert_uint_eq(in(0x1f7), 0x50);
	lba48(50, 9);				/* and written */
	ck_assert_uint_eq(command(0x39), 0x58);
	ck_assert_int_eq(take(), -1);
	for (unsigned i = 0; i < 9 * 256; i++) {
		bus_out(pc.bus, 0x1f0, 0xa000 + i, 2);
		ck_assert_int_eq(take(), i == 8 * 256 - 1 || i == 9 * 256 - 1 ? 14 : -1);
	}
	lba28(50, 10);
	command(0x20);
	read_data(10 * 512);
	ck_assert_uint_eq(word(9 * 256 - 1), 0xa000 + 9 * 256 - 1);
	ck_assert(image_is(buf + 9 * 512, 59 * 512, 512));
}
END_TEST

START_TEST(pio_write)
{
	lba28(SECTORS - 1, 1);
	ck_assert_uint_eq(command(0x30), 0x58);
	for (unsigned i = 0; i < 256; i++)
		bus_out(pc.bus, 0x1f0, i, 2);
	ck_assert_uint_eq(in(0x3f6), 0x50);
	ck_assert_int_eq(take(), 14);
	ck_assert_uint_eq(command(0xe7), 0x50);
	lba28(SECTORS - 2, 2);
	command(0x20);
	read_data(1024);
	ck_assert(image_is(buf, SIZE - 1024, 512));
	ck_assert_uint_eq(word(256 + 77), 77);
}
END_TEST

START_TEST(errors)
{
	lba28(SECTORS - 1, 2);
	ck_assert_uint_eq(command(0x20), 0x51);
	ck_assert_uint_eq(in(0x1f1), 0x10);	/* IDNF */
	ck_assert_int_eq(take(), 14);
	lba28(SECTORS, 1);
	ck_assert_uint_eq(command(0x30), 0x51);
	lba48(1ull << 47, 1);
	ck_assert_uint_eq(command(0x25), 0x51);
	out(0x1f6, 0xa0);			/* sector 0 of a track */
	out(0x1f3, 0);
	ck_assert_uint_eq(command(0x20), 0x51);
	ck_assert_uint_eq(command(0x99), 0x51);	/* no such command */
	ck_assert_uint_eq(in(0x1f1), 0x04);
	out(0x1f1, 0x03);
	out(0x1f2, 0x46);
	ck_assert_uint_eq(command(0xef), 0x51);
	ck_assert_uint_eq(bus_in(pc.bus, 0x1f0, 2), 0xffff);	/* no data is offered */
	ck_assert_uint_eq(command(0xf8), 0x50);	/* READ NATIVE MAX ADDRESS */
}
END_TEST

START_TEST(interrupt_enable)
{
	out(0x3f6, 0x02);
	lba28(0, 1);
	command(0x20);
	ck_assert_int_eq(pc_take(), -1);
	out(0x3f6, 0x00);			/* it was only held back */
	ck_assert_int_eq(pc_take(), 0x76);
	in(0x1f7);
	lba48(0x010203040506ull, 0x0708);	/* previous contents behind HOB */
	out(0x3f6, 0x80);
	ck_assert_uint_eq(in(0x1f2), 0x07);
	ck_assert_uint_eq(in(0x1f3), 0x03);
	ck_assert_uint_eq(in(0x1f5), 0x01);
	out(0x1f1, 0);				/* any write goes back to the recent ones */
	ck_assert_uint_eq(in(0x1f5), 0x04);
}
END_TEST

/* --- Bus master ---------------------------------------------------------------------- */

START_TEST(dma_read)
{
	prd(0, DATA, 1000, false);		/* regions need not be whole sectors */
	prd(1, DATA + 0x20000, 0, false);	/* 64 KiB */
	prd(2, DATA + 2000, 256 * 512 - 0x10000 - 1000, true);
	lba28(5, 0);
	ck_assert_uint_eq(command(0xc8), 0x58);
	ck_assert_uint_eq(bm_status(0), 0);
	bm_start(0, true);
	ck_assert_uint_eq(bm_status(0), 4);
	ck_assert_int_eq(take(), 14);
	ck_assert_uint_eq(in(0x1f7), 0x50);
	ck_assert(image_is(pc.mem.ram + DATA, 5 * 512, 1000));
	ck_assert(image_is(pc.mem.ram + DATA + 0x20000, 5 * 512 + 1000, 0x10000));
	ck_assert(image_is(pc.mem.ram + DATA + 2000, 5 * 512 + 1000 + 0x10000,
			   256 * 512 - 0x10000 - 1000));
	out(BM, 0);
	out(BM + 2, 4);
	ck_assert_uint_eq(bm_status(0), 0);
	/* Started before the command, which is 48-bit; the table is longer than that. */
	prd(0, DATA, 2048, true);
	bm_start(0, true);
	ck_assert_uint_eq(bm_status(0), 1);
	lba48(9, 2);
	ck_assert_uint_eq(command(0x25), 0x50);
	ck_assert(image_is(pc.mem.ram + DATA, 9 * 512, 1024));
	ck_assert_uint_eq(bm_status(0), 4);
	out(BM, 0);
	/* Shorter: the drive waits with the rest, which a second table takes. */
	prd(0, DATA, 512, true);
	lba28(100, 2);
	command(0xc8);
	out(BM + 2, 4);
	bm_start(0, true);
	ck_assert_uint_eq(bm_status(0), 0);
	ck_assert_uint_eq(in(0x3f6), 0x58);
	out(BM, 0);
	bm_start(0, true);
	ck_assert_uint_eq(bm_status(0), 4);
	ck_assert(image_is(pc.mem.ram + DATA, 101 * 512, 512));
}
END_TEST

START_TEST(dma_write)
{
	for (unsigned i = 0; i < 0x30000; i++)
		pc.mem.ram[DATA + i] = (uint8_t)(i * 7 + (i >> 9));
	prd(0, DATA, 0xfffe, false);
	prd(1, DATA + 0xfffe, 0xfffe, false);
	prd(2, DATA + 0x1fffc, 0x1004, true);
	lba48(1000, 264);
	ck_assert_uint_eq(command(0x35), 0x58);
	bm_start(0, false);
	ck_assert_uint_eq(bm_status(0), 4);
	ck_assert_int_eq(take(), 14);
	out(BM, 0);
	lba48(1000, 264);
	command(0x24);
	for (unsigned i = 0; i < 264; i++) {
		read_data(512);
		ck_assert_mem_eq(buf, pc.mem.ram + DATA + 512 * i, 512);
	}
	lba28(999, 1);
	command(0x20);
	read_data(512);
	ck_assert(image_is(buf, 999 * 512, 512));
}
END_TEST

START_TEST(dma_errors)
{
	prd(0, 0xfffff000, 512, true);		/* ROM's place: nobody takes it */
	lba28(0, 1);
	command(0xc8);
	bm_start(0, true);
	ck_assert_uint_eq(bm_status(0) & 3, 2);
	ck_assert_uint_eq(in(0x1f7), 0x51);
	out(BM, 0);
	bus_out(pc.bus, BM + 4, 0xfffffffc, 4);	/* a table nowhere */
	command(0xc8);
	out(BM + 2, 6);
	out(BM, 9);
	ck_assert_uint_eq(bm_status(0) & 3, 2);
	out(BM, 0);
	prd(0, DATA, 512, true);		/* the wrong direction moves nothing */
	command(0xc8);
	memset(pc.mem.ram + DATA, 0x55, 512);
	bm_start(0, false);
	ck_assert_uint_eq(pc.mem.ram[DATA], 0x55);
	out(BM, 0);
	bm_start(0, true);
	ck_assert_uint_eq(bm_status(0), 4);
	out(BM, 0);
	bus_out(pc.bus, 0xcf8, 0x80000904, 4);	/* nor does one that is no master */
	out(0xcfc, 1);
	command(0xc8);
	memset(pc.mem.ram + DATA, 0x55, 512);
	bm_start(0, true);
	ck_assert_uint_eq(pc.mem.ram[DATA], 0x55);
}
END_TEST

/* In the middle of a transfer, by the guest and by the bus master. */
START_TEST(round_trip)
{
	prd(0, DATA, 512, true);
	lba28(100, 2);
	command(0xc8);
	bm_start(0, true);
	pc_round_trip(&ide_device);
	out(BM, 0);
	bm_start(0, true);
	ck_assert(image_is(pc.mem.ram + DATA, 101 * 512, 512));
	lba28(1000, 3);
	command(0x20);
	read_data(700);
	pc_round_trip(&ide_device);
	read_data(512 * 3 - 700);
	ck_assert(image_is(buf, 1000 * 512 + 700, 512 * 3 - 700));
	ck_assert_uint_eq(in(0x1f7), 0x50);
}
END_TEST

/* What a refused snapshot has left is saved as any other state. */
static void save_again(const struct device_slot *d)
{
	struct state s;

	state_init(&s);
	d->ops->reset(d->dev);
	d->ops->save(d->dev, &s);
	ck_assert_uint_lt(s.len, 4 * 65536 + 4096);
	state_free(&s);
}

/* Whatever a snapshot says: the machine refuses it, or goes on. */
START_TEST(hostile_snapshot)
{
	struct state s;

	lba28(SECTORS - 2, 2);
	command(0x30);
	bus_out(pc.bus, 0x1f0, 0x1234, 2);
	state_init(&s);
	for (unsigned i = 0; i < pc.ndevices; i++)
		if (pc.devices[i].ops == &ide_device)
			ide_device.save(pc.devices[i].dev, &s);
	for (size_t i = 0; i < s.len; i++) {
		struct state c = s;
		uint8_t was = s.buf[i];

		s.buf[i] ^= (uint8_t)(1 + i * 37);
		c.pos = 0;
		for (unsigned k = 0; k < pc.ndevices; k++)
			if (pc.devices[k].ops == &ide_device)
				ide_device.restore(pc.devices[k].dev, &c);
		for (unsigned k = 0; k < 1024; k++)
			bus_out(pc.bus, 0x1f0, k, 4);
		read_data(1024);
		for (unsigned k = 0; k < pc.ndevices; k++)
			if (pc.devices[k].ops == &ide_device)
				save_again(&pc.devices[k]);
		s.buf[i] = was;
	}
	state_free(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ide");
	TCase *t = tcase_create("ide");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, presence);
	tcase_add_test(t, identify);
	tcase_add_test(t, pio_read);
	tcase_add_test(t, pio_read_at_once);
	tcase_add_test(t, multiple);
	tcase_add_test(t, pio_write);
	tcase_add_test(t, errors);
	tcase_add_test(t, interrupt_enable);
	tcase_add_test(t, dma_read);
	tcase_add_test(t, dma_write);
	tcase_add_test(t, dma_errors);
	tcase_add_test(t, round_trip);
	tcase_add_test(t, hostile_snapshot);
	suite_add_tcase(s, t);
	return suite_run(s);
}

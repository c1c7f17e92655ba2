/* SPDX-License-Identifier: BSD-2-Clause */
/* The IDE controller with a disk as primary master and a CD drive as secondary master. */
#ifndef TESTS_IDE_FIXTURE_H
#define TESTS_IDE_FIXTURE_H

#include "tests/image.h"
#include "tests/pc.h"

#define SIZE		(300ull * 16 * 63 * 512)	/* 300 cylinders */
#define SECTORS		(SIZE / 512)
#define BM		0xc000
#define PRD		0x1000		/* the table's place */
#define DATA		0x10000

static uint8_t buf[128 * 512];

static inline void with_drives(void)
{
	struct config_disk cd = { .file = image_path, .readonly = true };
	char why[512];

	pc.disks[0] = image_disk("s");
	ck_assert_int_eq(disk_open(&pc.disks[2], "cdrom", &cd, 2048, 0, why), 0);
	pc.disk_is_cd[2] = true;
}

static inline void setup(void)
{
	image_make(SIZE);
	pc_prepare = with_drives;
	pc_setup();
	pc_init_pics();
}

static inline void teardown(void)
{
	struct disk *a = pc.disks[0], *b = pc.disks[2];

	pc_teardown();
	disk_close(a);
	disk_close(b);
	image_remove();
}

/* --- What a driver does ------------------------------------------------------ */

static uint16_t base = 0x1f0;		/* or 0x170 */

static inline void lba28(uint32_t lba, uint8_t count)
{
	out(base + 6, 0xe0 | (lba >> 24 & 0xf));
	out(base + 2, count);
	out(base + 3, (uint8_t)lba);
	out(base + 4, (uint8_t)(lba >> 8));
	out(base + 5, (uint8_t)(lba >> 16));
}

static inline void lba48(uint64_t lba, uint16_t count)
{
	out(base + 6, 0x40);
	out(base + 2, count >> 8);
	out(base + 3, (uint8_t)(lba >> 24));
	out(base + 4, (uint8_t)(lba >> 32));
	out(base + 5, (uint8_t)(lba >> 40));
	out(base + 2, (uint8_t)count);
	out(base + 3, (uint8_t)lba);
	out(base + 4, (uint8_t)(lba >> 8));
	out(base + 5, (uint8_t)(lba >> 16));
}

static inline uint8_t command(uint8_t val)
{
	out(base + 7, val);
	return in(base == 0x1f0 ? 0x3f6 : 0x376);
}

static inline void read_data(unsigned n)
{
	for (unsigned i = 0; i < n; i += 2) {
		uint32_t w = bus_in(pc.bus, base, 2);

		memcpy(buf + i, &w, 2);
	}
}

static inline int take(void)
{
	int vector = pc_take();

	in(base + 7);
	return vector < 0 ? -1 : vector - 0x70 + 8;
}

static inline uint16_t word(unsigned n)
{
	return (uint16_t)(buf[2 * n] | buf[2 * n + 1] << 8);
}

static inline void prd(unsigned n, uint32_t at, uint16_t count, bool last)
{
	phys_write(&pc.mem, PRD + 8 * n, at, 4);
	phys_write(&pc.mem, PRD + 8 * n + 4, count | (last ? 0x80000000u : 0), 4);
}

static inline void bm_start(unsigned channel, bool to_memory)
{
	uint16_t at = (uint16_t)(BM + 8 * channel);

	bus_out(pc.bus, at + 4, PRD, 4);
	out(at, to_memory ? 8 : 0);
	out(at + 2, 0x66);
	out(at, to_memory ? 9 : 1);
}

static inline uint8_t bm_status(unsigned channel)
{
	return in((uint16_t)(BM + 8 * channel + 2)) & 7;
}

#endif

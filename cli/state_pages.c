/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages that are not empty, by groups of 1 MiB, each a chunk:
 *
 *	0 drive (u64; 0 for RAM) | 8 offset of the group (u64) | 16 a bit for each page that follows
 *	48 these pages
 *
 * Offsets are those of the memfd, and of the image. RAM that was never touched is not even
 * looked at; a disk's last page may reach beyond its end, where it is zero.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/state_config.h"
#include "cli/state_pages.h"
#include "dev/disk.h"

#define PAGES		256u
#define GROUP		((uint64_t)PAGES << PAGE_SHIFT)
#define HEAD		(16u + PAGES / 8)

struct group {
	uint8_t bytes[HEAD + GROUP];
	unsigned pages;
};

static bool page_is_zero(const uint8_t *p)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < PAGE_SIZE && !any; i += 64)
		for (unsigned k = 0; k < 64; k += 8) {
			uint64_t x;

			memcpy(&x, p + i + k, 8);
			any |= x;
		}
	return !any;
}

static void group_begin(struct group *g, uint64_t drive, uint64_t offset)
{
	memset(g->bytes, 0, HEAD);
	put_le(g->bytes, drive, 8);
	put_le(g->bytes + 8, offset, 8);
	g->pages = 0;
}

/* Where the next page goes. */
static uint8_t *group_room(struct group *g)
{
	return g->bytes + HEAD + ((size_t)g->pages << PAGE_SHIFT);
}

static void group_add(struct group *g, unsigned page)
{
	g->bytes[16 + page / 8] |= (uint8_t)(1u << page % 8);
	g->pages++;
}

static void group_end(struct chunk_writer *w, uint32_t tag, struct group *g)
{
	if (g->pages)
		chunk_write(w, tag, g->bytes, HEAD + ((size_t)g->pages << PAGE_SHIFT), true);
}

/* A second thought, or the time limit: saving is over. */
static bool wanted_still(struct chunk_writer *w, struct machine *m)
{
	if (atomic_load(&m->attention) & (ATT_QUIT | ATT_TIMEOUT) && !w->err)
		w->err = -EINTR;
	return !w->err;
}

/* --- RAM --------------------------------------------------------------------------- */

/* A page that is read becomes one that exists, so holes are asked for first. */
void state_save_ram(struct chunk_writer *w, struct machine *m)
{
	uint64_t size = m->mem.low_size + m->mem.high_size, at = 0;
	static struct group g;

	while (at < size && wanted_still(w, m)) {
		off_t data = lseek(m->mem.fd, (off_t)at, SEEK_DATA);

		if (data < 0 && errno == ENXIO)
			return;			/* nothing but holes up to the end */
		if (data > (off_t)at)
			at = (uint64_t)data & ~(GROUP - 1);
		group_begin(&g, 0, at);
		for (unsigned i = 0; i < PAGES && at + ((uint64_t)i << PAGE_SHIFT) < size; i++) {
			uint64_t off = at + ((uint64_t)i << PAGE_SHIFT);
			const uint8_t *page = m->mem.ram + off;

			if (off + PAGE_SIZE <= (uint64_t)data || page_is_zero(page))
				continue;
			memcpy(group_room(&g), page, PAGE_SIZE);
			group_add(&g, i);
		}
		group_end(w, CHUNK_RAM, &g);
		at += GROUP;
	}
}

int state_clear_ram(struct machine *m)
{
	uint64_t size = m->mem.low_size + m->mem.high_size;

	if (fallocate(m->mem.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)size) == 0)
		return 0;
	if (errno != EOPNOTSUPP)
		return -errno;
	memset(m->mem.ram, 0, size);
	return 0;
}

/* --- Disks ------------------------------------------------------------------------- */

static struct disk *disk_at(struct machine *m, uint64_t drive)
{
	return drive < STATE_DRIVES ? *state_drive(m, (unsigned)drive) : NULL;
}

static void disk_save(struct chunk_writer *w, struct machine *m, uint64_t drive)
{
	struct disk *d = disk_at(m, drive);
	uint64_t size = disk_size(d), at = disk_snapshot_next(d, 0);
	static struct group g;

	while (at < size && wanted_still(w, m)) {
		uint64_t base = at & ~(GROUP - 1);

		group_begin(&g, drive, base);
		for (; at < size && at < base + GROUP; at = disk_snapshot_next(d, at + PAGE_SIZE)) {
			size_t n = size - at < PAGE_SIZE ? (size_t)(size - at) : PAGE_SIZE;
			int err = disk_read(d, at, group_room(&g), n);

			if (err) {
				w->err = err;
				return;
			}
			memset(group_room(&g) + n, 0, PAGE_SIZE - n);
			group_add(&g, (unsigned)((at - base) >> PAGE_SHIFT));
		}
		group_end(w, CHUNK_DISK, &g);
	}
}

void state_save_disks(struct chunk_writer *w, struct machine *m)
{
	for (uint64_t i = 0; i < STATE_DRIVES; i++)
		if (disk_at(m, i))
			disk_save(w, m, i);
}

/* --- Loading ----------------------------------------------------------------------- */

static uint64_t number(const uint8_t *at)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < 8; i++)
		val |= (uint64_t)at[i] << 8 * i;
	return val;
}

/* Its pages, one after the other: put() gets each that is there and lies below size. */
static int group_load(const struct chunk *c, uint64_t size, void *to,
		      int (*put)(void *to, uint64_t at, const uint8_t *page))
{
	uint64_t base;
	size_t next = HEAD;

	if (c->size < HEAD)
		return -EINVAL;
	base = number(c->data + 8);
	if (base % PAGE_SIZE || base >= size)
		return -EINVAL;
	for (unsigned i = 0; i < PAGES; i++) {
		uint64_t at = base + ((uint64_t)i << PAGE_SHIFT);
		int err;

		if (!(c->data[16 + i / 8] >> i % 8 & 1))
			continue;
		if (at >= size || c->size - next < PAGE_SIZE)
			return -EINVAL;
		err = put(to, at, c->data + next);
		if (err)
			return err;
		next += PAGE_SIZE;
	}
	return next == c->size ? 0 : -EINVAL;
}

static int ram_put(void *to, uint64_t at, const uint8_t *page)
{
	struct machine *m = to;

	memcpy(m->mem.ram + at, page, PAGE_SIZE);
	return 0;
}

int state_load_ram(struct machine *m, const struct chunk *c)
{
	return group_load(c, m->mem.low_size + m->mem.high_size, m, ram_put);
}

static int disk_put(void *to, uint64_t at, const uint8_t *page)
{
	struct disk *d = to;
	uint64_t rest = disk_size(d) - at;

	return disk_write(d, at, page, rest < PAGE_SIZE ? (size_t)rest : PAGE_SIZE);
}

/* Never into an image itself. */
int state_load_disk(struct machine *m, const struct chunk *c)
{
	struct disk *d = c->size < HEAD ? NULL : disk_at(m, number(c->data));

	if (!d || !disk_is_snapshot(d))
		return -EINVAL;
	return group_load(c, disk_size(d), d, disk_put);
}

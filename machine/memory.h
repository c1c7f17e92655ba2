/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest-physical memory: one memfd that any engine or process can map, a map of
 * ranges (RAM, ROM, device), and one byte of state for each page, through which
 * the interpreter, the shadow and devices tell each other what a page holds
 * without knowing each other.
 *
 *   gpa 0 .......... low_size   RAM, file offset = gpa
 *   gpa 4 GiB ...... +high_size RAM, file offset = low_size + (gpa - 4 GiB)
 *   in between                  PCI hole, ROM: ranges or nothing
 *
 * 0xa0000-0xbffff is never plain RAM (legacy video), 0xc0000-0xfffff is RAM
 * that ranges may cover, or that shows a ROM (legacy.h).
 */
#ifndef MACHINE_MEMORY_H
#define MACHINE_MEMORY_H

#include "machine/types.h"

#define MEM_LOW_MAX	0xc0000000ull	/* RAM below the PCI hole ends here at the latest */

/* Page states (bits). Both make the page's plain store path go through
 * memory_note_store(), and both make user mappings of it read-only. */
enum page_flag {
	PG_CODE	 = 1,	/* the interpreter holds decoded code of this page */
	PG_TABLE = 2,	/* somebody caches what this page says as a page table */
	PG_EXEC	 = 4,	/* mapped executable to direct code after a scan */
	PG_ROM	 = 8,	/* stores are ignored, or go where reads do not look (legacy.h) */
};

struct memory;

enum range_kind { RANGE_ROM, RANGE_DEVICE };
struct range {
	gpa_t base;
	uint64_t size;
	enum range_kind kind;
	const char *name;
	uint8_t *rom;		/* RANGE_ROM: size bytes, host memory */
	/* RANGE_DEVICE: size is 1, 2, 4 or 8; off is relative to base. */
	uint64_t (*read)(void *dev, uint64_t off, unsigned size);
	void (*write)(void *dev, uint64_t off, uint64_t val, unsigned size);
	void *dev;
	bool off;		/* decoded nowhere for now (memory_move_range) */
};

/* Listeners: who caches something derived from page contents. Called on the
 * vCPU thread only. */
struct memory_listener {
	/* The page at gpa got new flags: drop writable fast paths to it. */
	void (*protect)(void *self, gpa_t page, unsigned flags);
	/* Bytes [gpa, gpa+len) within one page are about to be, or have just
	 * been, changed, and the page has flags `flags`. */
	void (*stored)(void *self, gpa_t gpa, unsigned len, unsigned flags);
	void *self;
};

struct memory {
	uint8_t *ram;			/* hva of file offset 0 */
	uint64_t low_size, high_size;
	int fd;				/* the memfd */
	uint8_t *page_flags;		/* one byte a RAM page, index = file offset >> 12 */
	struct range ranges[32];
	unsigned nranges;
	struct memory_listener listeners[4];
	unsigned nlisteners;
	struct journal *journal;	/* machine/journal.h: notes stores while set */
	struct legacy *legacy;		/* machine/legacy.h: ROM shadowing below 1 MiB, or NULL */
	bool video_is_ram;		/* 0xa0000-0xbffff reach the DRAM there (SMRAM open) */
};

/* Creates size bytes of RAM (page multiple). -errno if the host refuses. */
int memory_create(struct memory *m, uint64_t size);
void memory_destroy(struct memory *m);
struct range *memory_add_range(struct memory *m, const struct range *r);
/* For a RANGE_DEVICE, which nobody caches: it answers at base from now on, or nowhere.
 * Of two ranges at one address the first that was added answers; RAM before either. */
void memory_move_range(struct range *r, gpa_t base, bool on);
void memory_add_listener(struct memory *m, const struct memory_listener *l);

/* File offset of a RAM page's byte, or -1 where gpa is no plain RAM. */
static inline int64_t memory_offset(const struct memory *m, gpa_t gpa)
{
	if (gpa < m->low_size)
		return unlikely(gpa - 0xa0000 < 0x20000) ? -1 : (int64_t)gpa;
	if (gpa - 0x100000000ull < m->high_size)
		return (int64_t)(m->low_size + (gpa - 0x100000000ull));
	return -1;
}
static inline uint8_t *memory_hva(const struct memory *m, gpa_t gpa)
{
	int64_t off = memory_offset(m, gpa);
	return off < 0 ? NULL : m->ram + off;
}
/* Host address of code at gpa: RAM or a ROM range; NULL for devices and nothing. */
const uint8_t *memory_code_hva(const struct memory *m, gpa_t gpa);
static inline unsigned memory_flags(const struct memory *m, gpa_t gpa)
{
	int64_t off = memory_offset(m, gpa);
	return off < 0 ? 0 : m->page_flags[off >> PAGE_SHIFT];
}
/* Sets / clears state bits of gpa's page; setting tells the listeners. */
void memory_set_flags(struct memory *m, gpa_t gpa, unsigned flags);
void memory_clear_flags(struct memory *m, gpa_t gpa, unsigned flags);

/* Tells the listeners of a store into a page with flags != 0 (any writer: the
 * interpreter's slow path, a device, a loader). One page at a time. */
void memory_note_store(struct memory *m, gpa_t gpa, unsigned len);

/* Any width (1-8), any kind of range; unmapped reads give all ones, stores to
 * ROM or nowhere vanish. Must not cross a page. */
uint64_t phys_read(struct memory *m, gpa_t gpa, unsigned size);
void phys_write(struct memory *m, gpa_t gpa, uint64_t val, unsigned size);
/* Bulk access for loaders and DMA; false if any byte is not RAM (or ROM, on
 * reading). */
bool phys_read_bulk(struct memory *m, gpa_t gpa, void *buf, size_t len);
bool phys_write_bulk(struct memory *m, gpa_t gpa, const void *buf, size_t len);

#endif

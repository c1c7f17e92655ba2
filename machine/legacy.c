/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ROM shadowing below 1 MiB (82441FX data sheet, 3.2.14 and 3.2.18). It decides
 * what a page of that area holds; which registers ask for it, it does not know.
 *
 * The RAM at 0xc0000-0xfffff always holds what *reads* see, so that nobody who
 * has a host pointer into it, or maps it for user code, must care. The other face
 * of a page that shows its ROM, the DRAM, waits in `hidden`; turning a page over
 * copies, and is told to the listeners as a store. Only a page of which both faces
 * are DRAM is plain; the others are PG_ROM, and the stores that come here for that
 * go to the hidden face if they are let.
 */
#include "machine/legacy.h"
#include "machine/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGES	(LEGACY_ROM_SIZE >> PAGE_SHIFT)

struct legacy {
	const uint8_t *image;
	size_t size;			/* of the image's part below 1 MiB */
	uint8_t how[PAGES];		/* enum pam */
	uint8_t hidden[LEGACY_ROM_SIZE];
};

int legacy_set_bios(struct memory *m, const uint8_t *image, size_t size)
{
	struct legacy *l = calloc(1, sizeof(*l));

	bug_on(m->legacy);
	if (!l)
		return -ENOMEM;
	/* The upper 128 KiB only: 0xc0000-0xdffff are the buses' (PIIX3 2.2.8, XBCS). */
	l->size = size < LEGACY_ROM_SIZE / 2 ? size : LEGACY_ROM_SIZE / 2;
	l->image = image + size - l->size;
	memset(l->how, PAM_READ | PAM_WRITE, sizeof(l->how));
	m->legacy = l;
	return 0;
}

static void rom_show(const struct legacy *l, uint8_t *to, unsigned page)
{
	gpa_t off = (gpa_t)page << PAGE_SHIFT, start = LEGACY_ROM_SIZE - l->size;

	if (off >= start)
		memcpy(to, l->image + (off - start), PAGE_SIZE);
	else
		memset(to, 0xff, PAGE_SIZE);
}

static void page_flag(struct memory *m, gpa_t gpa, unsigned how)
{
	if (how == (PAM_READ | PAM_WRITE))
		memory_clear_flags(m, gpa, PG_ROM);
	else
		memory_set_flags(m, gpa, PG_ROM);
}

static void page_turn(struct memory *m, unsigned page, unsigned how)
{
	struct legacy *l = m->legacy;
	gpa_t gpa = LEGACY_ROM + ((gpa_t)page << PAGE_SHIFT);
	uint8_t *hva = memory_hva(m, gpa), *hidden = l->hidden + ((size_t)page << PAGE_SHIFT);
	unsigned before = l->how[page];

	if (before == how || !hva)
		return;
	l->how[page] = (uint8_t)how;
	if ((before ^ how) & PAM_READ) {
		if (how & PAM_READ) {
			memcpy(hva, hidden, PAGE_SIZE);
		} else {
			memcpy(hidden, hva, PAGE_SIZE);
			rom_show(l, hva, page);
		}
		memory_note_store(m, gpa, PAGE_SIZE);
	}
	page_flag(m, gpa, how);
}

void legacy_pam(struct memory *m, gpa_t base, size_t size, unsigned how)
{
	unsigned first = (unsigned)((base - LEGACY_ROM) >> PAGE_SHIFT);

	bug_on(base < LEGACY_ROM || base + size > LEGACY_END);
	if (!m->legacy)
		return;
	for (unsigned i = 0; i < size >> PAGE_SHIFT; i++)
		page_turn(m, first + i, how & (PAM_READ | PAM_WRITE));
}

void legacy_open_video(struct memory *m, bool open)
{
	m->video_is_ram = open && m->low_size >= LEGACY_ROM;
}

uint8_t *legacy_hidden(struct memory *m, gpa_t gpa)
{
	struct legacy *l = m->legacy;

	if (!l || gpa - LEGACY_ROM >= LEGACY_ROM_SIZE ||
	    l->how[(gpa - LEGACY_ROM) >> PAGE_SHIFT] != PAM_WRITE)
		return NULL;
	return l->hidden + (gpa - LEGACY_ROM);
}

void legacy_store_rom(struct memory *m, gpa_t gpa, const void *buf, size_t len)
{
	uint8_t *to = legacy_hidden(m, gpa);

	if (to)
		memcpy(to, buf, len);
}

void legacy_save(const struct memory *m, struct state *s)
{
	if (!m->legacy)
		return;
	state_put(s, m->legacy->how, PAGES);
	state_put(s, m->legacy->hidden, LEGACY_ROM_SIZE);
}

void legacy_restore(struct memory *m, struct state *s)
{
	struct legacy *l = m->legacy;

	if (!l)
		return;
	state_get(s, l->how, PAGES);
	state_get(s, l->hidden, LEGACY_ROM_SIZE);
	for (unsigned i = 0; i < PAGES; i++) {
		gpa_t gpa = LEGACY_ROM + ((gpa_t)i << PAGE_SHIFT);

		l->how[i] &= PAM_READ | PAM_WRITE;
		if (!(l->how[i] & PAM_READ) && memory_hva(m, gpa)) {
			rom_show(l, memory_hva(m, gpa), i);
			memory_note_store(m, gpa, PAGE_SIZE);
		}
		page_flag(m, gpa, l->how[i]);
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest-physical memory: the memfd, the ranges outside of it, the page states
 * and the listeners that are told of stores into marked pages. It must never
 * know what a mark means to whom.
 *
 * A ROM that lies over RAM (the BIOS below 1 MiB) is copied into that RAM and
 * its pages become PG_ROM, so readers need not look at ranges. Everything else
 * is either plain RAM or found in the ranges, never both.
 */
#include "machine/memory.h"
#include "machine/hostmem.h"
#include "machine/legacy.h"
#include "machine/paging.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HIGH_BASE	0x100000000ull

/* The seals keep a process that maps RAM from making it shrink under us. */
static int ram_open(uint64_t size)
{
	int fd = memfd_create("hemi-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

int memory_create(struct memory *m, uint64_t size)
{
	int err;

	memset(m, 0, sizeof(*m));
	m->fd = -1;
	if (!size || size & ~PAGE_MASK || size > (1ull << PHYS_BITS) - HIGH_BASE)
		return -EINVAL;
	err = hostmem_check(size);
	if (err)
		return err;

	m->fd = ram_open(size);
	if (m->fd < 0)
		return m->fd;
	m->ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, m->fd, 0);
	if (m->ram == MAP_FAILED) {
		err = -errno;
		m->ram = NULL;
		goto fail;
	}
	m->low_size = size < MEM_LOW_MAX ? size : MEM_LOW_MAX;
	m->high_size = size - m->low_size;
	m->page_flags = calloc(size >> PAGE_SHIFT, 1);
	if (!m->page_flags) {
		err = -ENOMEM;
		goto fail;
	}
	return 0;
fail:
	memory_destroy(m);
	return err;
}

void memory_destroy(struct memory *m)
{
	if (m->ram)
		munmap(m->ram, m->low_size + m->high_size);
	if (m->fd >= 0)
		close(m->fd);
	free(m->page_flags);
	free(m->legacy);
	memset(m, 0, sizeof(*m));
	m->fd = -1;
}

/* Copies the part of a ROM page that RAM lies under; true if it was RAM. */
static bool rom_page_into_ram(struct memory *m, const struct range *r, uint64_t off)
{
	uint8_t *hva = memory_hva(m, r->base + off);

	if (!hva)
		return false;
	memcpy(hva, r->rom + off, PAGE_SIZE);
	memory_note_store(m, r->base + off, PAGE_SIZE);
	memory_set_flags(m, r->base + off, PG_ROM);
	return true;
}

struct range *memory_add_range(struct memory *m, const struct range *r)
{
	bug_on(m->nranges == ARRAY_LEN(m->ranges));
	bug_on((r->base | r->size) & ~PAGE_MASK);

	for (uint64_t off = 0; off < r->size; off += PAGE_SIZE) {
		if (r->kind == RANGE_ROM)
			rom_page_into_ram(m, r, off);
		else
			bug_on(!r->off && memory_offset(m, r->base + off) >= 0);
	}
	m->ranges[m->nranges] = *r;
	return &m->ranges[m->nranges++];
}

void memory_move_range(struct range *r, gpa_t base, bool on)
{
	bug_on(r->kind != RANGE_DEVICE || base & ~PAGE_MASK);
	r->base = base;
	r->off = !on;
}

void memory_add_listener(struct memory *m, const struct memory_listener *l)
{
	bug_on(m->nlisteners == ARRAY_LEN(m->listeners));
	m->listeners[m->nlisteners++] = *l;
}

void memory_set_flags(struct memory *m, gpa_t gpa, unsigned flags)
{
	int64_t off = memory_offset(m, gpa);
	uint8_t *f;

	if (off < 0)
		return;
	f = &m->page_flags[off >> PAGE_SHIFT];
	if ((*f & flags) == flags)
		return;
	*f |= (uint8_t)flags;
	for (unsigned i = 0; i < m->nlisteners; i++) {
		const struct memory_listener *l = &m->listeners[i];

		if (l->protect)
			l->protect(l->self, gpa & PAGE_MASK, *f);
	}
}

void memory_clear_flags(struct memory *m, gpa_t gpa, unsigned flags)
{
	int64_t off = memory_offset(m, gpa);

	if (off >= 0)
		m->page_flags[off >> PAGE_SHIFT] &= (uint8_t)~flags;
}

/* A listener may clear flags of the page; the others still hear of this store. */
void memory_note_store(struct memory *m, gpa_t gpa, unsigned len)
{
	unsigned flags = memory_flags(m, gpa);

	if (!flags)
		return;
	for (unsigned i = 0; i < m->nlisteners; i++) {
		const struct memory_listener *l = &m->listeners[i];

		if (l->stored)
			l->stored(l->self, gpa, len, flags);
	}
}

static const struct range *range_find(const struct memory *m, gpa_t gpa, unsigned size)
{
	for (unsigned i = 0; i < m->nranges; i++) {
		const struct range *r = &m->ranges[i];

		if (!r->off && gpa >= r->base && gpa - r->base <= r->size - size)
			return r;
	}
	return NULL;
}

/* The usual widths are spelled out so that each becomes one instruction. */
static uint64_t load(const uint8_t *p, unsigned size)
{
	uint64_t val = 0;

	switch (size) {
	case 1: return *p;
	case 2: memcpy(&val, p, 2); return val;
	case 4: memcpy(&val, p, 4); return val;
	case 8: memcpy(&val, p, 8); return val;
	}
	memcpy(&val, p, size);
	return val;
}

static void store(uint8_t *p, uint64_t val, unsigned size)
{
	switch (size) {
	case 1: *p = (uint8_t)val; return;
	case 2: memcpy(p, &val, 2); return;
	case 4: memcpy(p, &val, 4); return;
	case 8: memcpy(p, &val, 8); return;
	}
	memcpy(p, &val, size);
}

/* Host memory behind gpa for one access: RAM, or the DRAM under legacy video while open. */
static uint8_t *plain_hva(const struct memory *m, gpa_t gpa)
{
	uint8_t *p = memory_hva(m, gpa);

	if (unlikely(!p && m->video_is_ram && gpa - LEGACY_VIDEO < LEGACY_ROM - LEGACY_VIDEO))
		p = m->ram + gpa;
	return p;
}

static bool odd_size(unsigned size)
{
	return size & (size - 1);
}

static uint64_t ones(unsigned size)
{
	return ~0ull >> (64 - 8 * size);
}

uint64_t phys_read(struct memory *m, gpa_t gpa, unsigned size)
{
	const uint8_t *p = plain_hva(m, gpa);
	const struct range *r;
	uint64_t val = 0;

	if (likely(p))
		return load(p, size);
	r = range_find(m, gpa, size);
	if (!r)
		return ones(size);
	if (r->kind == RANGE_ROM)
		return load(r->rom + (gpa - r->base), size);
	if (!r->read)
		return ones(size);
	if (!odd_size(size))
		return r->read(r->dev, gpa - r->base, size) & ones(size);
	for (unsigned i = 0; i < size; i++)
		val |= (r->read(r->dev, gpa - r->base + i, 1) & 0xff) << 8 * i;
	return val;
}

void phys_write(struct memory *m, gpa_t gpa, uint64_t val, unsigned size)
{
	uint8_t *p = plain_hva(m, gpa);
	const struct range *r;

	if (likely(p)) {
		unsigned flags = memory_flags(m, gpa);

		if (flags & PG_ROM) {
			legacy_store_rom(m, gpa, &val, size);
			return;
		}
		store(p, val, size);
		if (flags)
			memory_note_store(m, gpa, size);
		return;
	}
	r = range_find(m, gpa, size);
	if (!r || r->kind == RANGE_ROM || !r->write)
		return;
	if (!odd_size(size)) {
		r->write(r->dev, gpa - r->base, val & ones(size), size);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		r->write(r->dev, gpa - r->base + i, val >> 8 * i & 0xff, 1);
}

/* Host memory behind gpa for as many bytes (at least 1) as lie in one page. */
static uint8_t *bulk_page(struct memory *m, gpa_t gpa, bool write)
{
	uint8_t *p = memory_hva(m, gpa);
	const struct range *r;

	if (p)
		return write && memory_flags(m, gpa) & PG_ROM ? legacy_hidden(m, gpa) : p;
	r = range_find(m, gpa, 1);
	return r && r->kind == RANGE_ROM && !write ? r->rom + (gpa - r->base) : NULL;
}

static size_t page_rest(gpa_t gpa, size_t len)
{
	size_t rest = PAGE_SIZE - (gpa & ~PAGE_MASK);

	return len < rest ? len : rest;
}

/* All or nothing: the whole extent is looked at before a byte moves. */
static bool bulk_ok(struct memory *m, gpa_t gpa, size_t len, bool write)
{
	while (len) {
		size_t n = page_rest(gpa, len);

		if (!bulk_page(m, gpa, write))
			return false;
		gpa += n;
		len -= n;
	}
	return true;
}

bool phys_read_bulk(struct memory *m, gpa_t gpa, void *buf, size_t len)
{
	uint8_t *to = buf;

	if (!bulk_ok(m, gpa, len, false))
		return false;
	while (len) {
		size_t n = page_rest(gpa, len);

		memcpy(to, bulk_page(m, gpa, false), n);
		to += n;
		gpa += n;
		len -= n;
	}
	return true;
}

bool phys_write_bulk(struct memory *m, gpa_t gpa, const void *buf, size_t len)
{
	const uint8_t *from = buf;

	if (!bulk_ok(m, gpa, len, true))
		return false;
	while (len) {
		size_t n = page_rest(gpa, len);

		memcpy(bulk_page(m, gpa, true), from, n);
		memory_note_store(m, gpa, (unsigned)n);
		from += n;
		gpa += n;
		len -= n;
	}
	return true;
}

const uint8_t *memory_code_hva(const struct memory *m, gpa_t gpa)
{
	const uint8_t *hva = memory_hva(m, gpa);

	for (unsigned i = 0; !hva && i < m->nranges; i++) {
		const struct range *r = &m->ranges[i];

		if (r->kind == RANGE_ROM && gpa - r->base < r->size)
			hva = r->rom + (gpa - r->base);
	}
	return hva;
}

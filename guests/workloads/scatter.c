/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scatter: n MiB of resident pages whose physical order has nothing to do with
 * their virtual order. Pages are faulted in one after the other in a scattered
 * order, some are then moved (mremap), some thrown away and mapped again
 * (MAP_FIXED), some made read-only and back; all are checked at every stage.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#include "guests/workloads/workloads.h"

#define PAGE 4096ul
#define MOVES 4000 /* each may cost the kernel two mappings; 65,530 are allowed */

static char *area;
static unsigned long pages;

static uint32_t *word(unsigned long page)
{
	return (uint32_t *)(area + page * PAGE + page % 61 * 64);
}

/* The k-th page in an order that visits every page once: an odd stride around
 * the golden section of a power of two, skipping what is too high. */
static unsigned long scattered(unsigned long *state)
{
	unsigned long size = 1;

	while (size < pages)
		size <<= 1;
	do
		*state = (*state + (size * 5 / 8 | 1)) & (size - 1);
	while (*state >= pages);
	return *state;
}

static void check(const char *stage, const uint32_t *tag)
{
	errno = 0;
	for (unsigned long p = 0; p < pages; p++)
		if (*word(p) != tag[p])
			fail("scatter: %s: page %lu holds %x, not %x", stage, p, *word(p), tag[p]);
}

static void *map(void *at, unsigned long size, int flags)
{
	void *p = mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		fail("scatter: mmap of %lu pages", size / PAGE);
	madvise(p, size, MADV_NOHUGEPAGE); /* EINVAL where there are none */
	return p;
}

/* Exchange two pages through a third place. Tags are at an offset that depends on
 * the page's number, so they are written anew. */
static void exchange(unsigned long a, unsigned long b, char *spare, uint32_t *tag)
{
	char *pa = area + a * PAGE, *pb = area + b * PAGE;
	const int how = MREMAP_MAYMOVE | MREMAP_FIXED;
	uint32_t ta = *word(a), tb = *word(b);

	if (mremap(pa, PAGE, PAGE, how, spare) == MAP_FAILED ||
	    mremap(pb, PAGE, PAGE, how, pa) == MAP_FAILED ||
	    mremap(spare, PAGE, PAGE, how, pb) == MAP_FAILED)
		fail("scatter: mremap of pages %lu and %lu", a, b);
	errno = 0;
	if (*(uint32_t *)(pa + b % 61 * 64) != tb || *(uint32_t *)(pb + a % 61 * 64) != ta)
		fail("scatter: pages %lu and %lu did not change places", a, b);
	tag[a] = *word(a) = tb ^ 0x5a5a5a5a;
	tag[b] = *word(b) = ta ^ 0xa5a5a5a5;
}

uint64_t run_scatter(long n)
{
	uint64_t s = SUM_START, seed = 5;
	unsigned long at = 0;
	uint32_t *tag;
	char *spare;

	pages = n * (1048576 / PAGE);
	area = map(NULL, pages * PAGE, 0);
	tag = map(NULL, (pages * sizeof(*tag) + PAGE - 1) & -PAGE, 0);
	spare = map(NULL, PAGE, 0);
	for (unsigned long k = 0; k < pages; k++) {
		unsigned long p = scattered(&at);

		errno = 0;
		if (*word(p))
			fail("scatter: page %lu is not fresh", p);
		tag[p] = *word(p) = rnd(&seed) | 1;
	}
	check("fault", tag);
	for (int k = 0; k < MOVES; k++) {
		unsigned long a = rnd(&seed) % pages, b = rnd(&seed) % pages;

		if (a != b)
			exchange(a, b, spare, tag);
	}
	check("move", tag);
	for (int k = 0; k < MOVES; k++) {
		unsigned long p = rnd(&seed) % pages;

		map(area + p * PAGE, PAGE, MAP_FIXED);
		errno = 0;
		if (*word(p))
			fail("scatter: page %lu kept %x when mapped anew", p, *word(p));
		tag[p] = *word(p) = rnd(&seed) | 1;
	}
	check("map", tag);
	if (mprotect(area, pages * PAGE, PROT_READ))
		fail("scatter: mprotect");
	check("read-only", tag);
	if (mprotect(area, pages * PAGE, PROT_READ | PROT_WRITE))
		fail("scatter: mprotect");
	for (unsigned long k = 0; k < pages; k++)
		tag[k] = ++*word(k);
	check("write", tag);
	for (unsigned long k = 0; k < pages; k++)
		s = sum(s, tag[k]);
	munmap(area, pages * PAGE);
	munmap(tag, (pages * sizeof(*tag) + PAGE - 1) & -PAGE);
	munmap(spare, PAGE);
	return s;
}

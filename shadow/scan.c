/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scanner's inner loop. Nearly every page has some 0F and 8E bytes, so the first
 * pass looks at one byte in a table; only the few that remain are matched.
 */
#include "shadow/scan.h"

struct pattern { uint16_t class; uint8_t first, second, mask, value; };

static const struct pattern patterns[] = {
#define SCAN(class, first, second, mask, value)	{ class, first, second, mask, value },
#include "shadow/scan.def"
#undef SCAN
};

/* MOV Sreg, r/m: 8E /r; FS is 4, GS 5. MOV r/m, Sreg: 8C, and PUSH of the old four:
 * 06 0E 16 1E, for --strict. */
static bool one_byte_match(const uint8_t *p, unsigned room, unsigned classes)
{
	switch (p[0]) {
	case 0x8e:
		return (classes & SCAN_FSGS) && (room < 2 || (p[1] & 0x30) == 0x20);
	case 0x8c: case 0x06: case 0x0e: case 0x16: case 0x1e:
		return classes & SCAN_STRICT;
	}
	return false;
}

static bool two_byte_match(const uint8_t *p, unsigned room, unsigned classes)
{
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		const struct pattern *t = &patterns[i];

		if (!(t->class & classes))
			continue;
		if (room >= 2 && p[1] != t->second)
			continue;
		if (room >= 3 && t->mask && (p[2] & t->mask) != t->value)
			continue;
		return true;
	}
	return false;
}

static bool is_prefix(uint8_t b, unsigned classes)
{
	switch (b) {
	case 0x66: case 0x67: case 0xf0: case 0xf2: case 0xf3:
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
		return true;
	}
	return (classes & SCAN_REX) && b >= 0x40 && b <= 0x4f;
}

static unsigned add(uint16_t at[SCAN_MAX], unsigned n, unsigned off)
{
	if (n < SCAN_MAX)
		at[n] = (uint16_t)off;
	return n + 1;
}

unsigned scan_page(const uint8_t page[PAGE_SIZE], unsigned classes, uint16_t at[SCAN_MAX])
{
	unsigned n = 0;

	for (unsigned off = 0; off < PAGE_SIZE; off++) {
		const uint8_t *p = page + off;
		unsigned room = (unsigned)PAGE_SIZE - off;
		bool match;

		if (likely(*p != 0x0f && *p != 0x8e) && likely(!(classes & SCAN_STRICT)))
			continue;
		match = *p == 0x0f ? two_byte_match(p, room, classes) : one_byte_match(p, room, classes);
		if (!match)
			continue;
		n = add(at, n, off);
		/* A breakpoint fires at the first byte of an instruction: any run of
		 * prefixes in front may be part of it. */
		for (unsigned k = off; k-- > 0 && off - k < 14 && is_prefix(page[k], classes);)
			n = add(at, n, k);
		if (n > SCAN_MAX)
			return n;
	}
	return n;
}

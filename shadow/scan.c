/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scanner's inner loop. Nearly every page has some 0F and 8E bytes, so the first
 * pass looks at one byte in a table; only the few that remain are matched.
 */
#include "shadow/scan.h"

struct pattern { uint16_t class; uint8_t first, second, mask, value; };

/* First bytes of the default set. */
static const bool interesting[256] = { [0x0f] = true, [0x8c] = true, [0x8e] = true, [0x9a] = true, [0xea] = true };

static const struct pattern patterns[] = {
#define SCAN(class, first, second, mask, value)	{ class, first, second, mask, value },
#include "shadow/scan.def"
#undef SCAN
};

/* Selectors of code that every process of a 64-bit Linux host has: 32- and 64-bit. */
static bool host_code_selector(const uint8_t *p)
{
	unsigned sel = p[0] | p[1] << 8;

	return (sel & ~3u) == 0x20 || (sel & ~3u) == 0x30;
}

/*
 * MOV Sreg, r/m: 8E /r; FS is 4, GS 5. Direct far JMP and CALL (EA, 9A) to a selector
 * that the host has and the guest may not; the pointer is 16:16 or 16:32. MOV r/m, Sreg
 * (8C) and PUSH of the old four (06 0E 16 1E) for --strict.
 */
static bool one_byte_match(const uint8_t *p, unsigned room, unsigned classes)
{
	switch (p[0]) {
	case 0x8e:
		return (classes & SCAN_FSGS) && (room < 2 || (p[1] & 0x30) == 0x20);
	case 0xea: case 0x9a:
		if (!(classes & SCAN_FSGS))
			return false;
		return room < 7 || host_code_selector(p + 3) || host_code_selector(p + 5);
	case 0x8c:
		return (classes & SCAN_STRICT) || ((classes & SCAN_FSGS) && room >= 2 && p[1] >= 0xc0);
	case 0x06: case 0x0e: case 0x16: case 0x1e:
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
	case 0x66: case 0x67: case 0xf2: case 0xf3:	/* LOCK makes all of them trap */
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
		return true;
	}
	return (classes & SCAN_REX) && b >= 0x40 && b <= 0x4f;
}

static void add(struct scan *out, unsigned off, bool hard)
{
	if (!hard) {
		if (out->hard + out->soft < SCAN_MAX)
			out->at[out->hard + out->soft++] = (uint16_t)off;
		return;
	}
	if (out->hard == SCAN_MAX) {
		out->hard++;	/* one too many says it all */
		return;
	}
	/* Soft ones make room, the last first. */
	if (out->hard + out->soft == SCAN_MAX)
		out->soft--;
	for (unsigned i = out->hard + out->soft; i > out->hard; i--)
		out->at[i] = out->at[i - 1];
	out->at[out->hard++] = (uint16_t)off;
}

/*
 * Is `off` where an instruction starts? Most matches lie inside another instruction
 * (a displacement, the second byte of JLE), and only four can be guarded. Decoding
 * from many places in front of it settles it: x86 code falls into step within a few
 * instructions, so nearly all ways meet at a true boundary, and nearly none elsewhere.
 */
#define WINDOW	64
#define NEAR	16
#define PREFIXES_MAX	14

static bool is_boundary(const uint8_t *page, unsigned off, const struct scan_how *how, bool code64)
{
	unsigned first = off > WINDOW ? off - WINDOW : 0, land = 0, total = 0;
	bool lands[WINDOW + 1] = { false };

	if (off < 2 * NEAR)
		return true;	/* too few ways to tell */
	for (unsigned at = off; at-- > first;) {
		unsigned n = how->length(how->arg, page + at, (unsigned)PAGE_SIZE - at, code64);

		if (!n)
			continue;
		lands[at - first] = at + n == off || (at + n < off && lands[at + n - first]);
		if (off - at >= NEAR) {
			total++;
			land += lands[at - first];
		}
	}
	return land * 4 >= total;
}

/* SYSCALL is harmless in 64-bit code, which is full of it: a guard is nice to have. In
 * 32-bit code it loses RIP on some hosts, and cannot be told from SYSENTER. */
static bool is_hard(const uint8_t *page, unsigned off, const struct scan_how *how)
{
	if ((how->classes & SCAN_REX) && off + 1 < PAGE_SIZE && page[off] == 0x0f &&
	    page[off + 1] == 0x05)
		return false;
	if ((how->classes & SCAN_STRICT) || !how->length)
		return true;
	if (page[off] == 0x8c)	/* shows a selector's table indicator, no more */
		return false;
	return is_boundary(page, off, how, false) ||
	       ((how->classes & SCAN_REX) && is_boundary(page, off, how, true));
}

void scan_page(const uint8_t page[PAGE_SIZE], const struct scan_how *how, struct scan *out)
{
	unsigned classes = how->classes;

	*out = (struct scan){ 0 };
	for (unsigned off = 0; off < PAGE_SIZE && out->hard <= SCAN_MAX; off++) {
		const uint8_t *p = page + off;
		unsigned room = (unsigned)PAGE_SIZE - off;

		if (likely(!interesting[*p]) && likely(!(classes & SCAN_STRICT)))
			continue;
		if (!(*p == 0x0f ? two_byte_match(p, room, classes) : one_byte_match(p, room, classes)))
			continue;
		/* Nice to have where it is one, worth nothing where it is not. */
		if (*p == 0x8c && !(classes & SCAN_STRICT) && how->length &&
		    !is_boundary(page, off, how, false))
			continue;

		bool hard = is_hard(page, off, how);
		unsigned k = off;

		add(out, off, hard);
		/* A breakpoint fires at the first byte of an instruction: any run of
		 * prefixes in front may be part of it. */
		for (; k > 0 && off - k < PREFIXES_MAX && is_prefix(page[k - 1], classes); k--)
			add(out, k - 1, is_hard(page, k - 1, how));
		/* Prefixes on the page before cannot be guarded from here. Loads of FS and
		 * GS are audited at every exit too, so those may pass. */
		if (k == 0 && hard && (*p == 0x0f || (classes & SCAN_STRICT)))
			out->hard = SCAN_MAX + 1;
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scanner's inner loop. Nearly every page has some 0F and 8E bytes, so a first pass
 * finds those, 16 bytes at a time; only they are matched, and only matches are voted on.
 */
#include <emmintrin.h>
#include <string.h>

#include "shadow/scan.h"

#define INSN_MAX	15
#define PREFIXES_MAX	14
#define PATTERN_MAX	8

struct pattern { uint16_t class; uint8_t first, second, mask, value; };

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
static unsigned one_byte_match(const uint8_t *p, unsigned classes)
{
	switch (p[0]) {
	case 0x8e:
		return (classes & SCAN_FSGS) && (p[1] & 0x30) == 0x20 ? 2 : 0;
	case 0xea: case 0x9a:
		if (!(classes & SCAN_FSGS))
			return 0;
		return host_code_selector(p + 3) ? 5 : host_code_selector(p + 5) ? 7 : 0;
	case 0x8c:
		return (classes & SCAN_STRICT) || ((classes & SCAN_FSGS) && p[1] >= 0xc0) ? 2 : 0;
	case 0xcd:
		return (classes & SCAN_INTN) && (p[1] & 0xf0) == 0x10 ? 2 : 0;
	case 0x06: case 0x0e: case 0x16: case 0x1e:
		return classes & SCAN_STRICT ? 1 : 0;
	}
	return 0;
}

static unsigned two_byte_match(const uint8_t *p, unsigned classes)
{
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		const struct pattern *t = &patterns[i];

		if ((t->class & classes) && p[1] == t->second && (p[2] & t->mask) == t->value)
			return t->mask ? 3 : 2;
	}
	return 0;
}

/* How many bytes say that a sensitive opcode is at p; 0: it is none. Reads PATTERN_MAX. */
static unsigned match(const uint8_t *p, unsigned classes)
{
	unsigned n = *p == 0x0f ? two_byte_match(p, classes) : one_byte_match(p, classes);

	if (!n && (classes & SCAN_EXACT))
		n = scan_exact_prefixed(*p) ? 1 : scan_exact(p, classes);
	return n;
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
	if (out->hard >= SCAN_MAX) {
		out->hard = SCAN_MAX + 1;	/* one too many says it all */
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
 * One in eight is enough: to miss an instruction is worse than to guard a byte too many
 * (measured in docs/scanner.md).
 */
#define WINDOW	SCAN_BELOW
#define NEAR	24	/* ways that begin nearer have had no time to fall into step */
#define FEW	16	/* ways that cannot tell */
static bool is_boundary(const uint8_t *page, unsigned off, const struct scan_how *how, bool code64)
{
	uint8_t both[2 * WINDOW + INSN_MAX];
	unsigned size = PAGE_SIZE, first, land = 0, total = 0;
	bool lands[WINDOW + 1] = { false };

	if (off < WINDOW && how->below) {
		memcpy(both, how->below, WINDOW);
		memcpy(both + WINDOW, page, sizeof(both) - WINDOW);
		page = both;
		size = sizeof(both);
		off += WINDOW;
	}
	if (off < NEAR + FEW)
		return true;
	first = off > WINDOW ? off - WINDOW : 0;
	for (unsigned at = off; at-- > first;) {
		unsigned n = how->length(how->arg, page + at, size - at, code64);

		if (!n)
			continue;
		lands[at - first] = at + n == off || (at + n < off && lands[at + n - first]);
		if (off - at >= NEAR) {
			total++;
			land += lands[at - first];
			if (land * 8 >= WINDOW - NEAR)
				return true;
		}
	}
	return land * 8 >= total;
}

/*
 * Is there an instruction behind the one at off? Displacements end in FF FF or FE FF, which is
 * none. What goes elsewhere by itself may be followed by anything.
 */
static bool goes_on(const uint8_t *page, unsigned off, const struct scan_how *how, bool code64)
{
	unsigned n = how->length(how->arg, page + off, (unsigned)PAGE_SIZE - off, code64);
	unsigned last = off + n;

	if (n < 2 || last + INSN_MAX > PAGE_SIZE || page[off] == 0x9a || page[off] == 0xea || page[off] == 0xcd ||
	    (page[last - 2] == 0x0f && (page[last - 1] == 0x05 || page[last - 1] == 0x34)))
		return true;
	return how->length(how->arg, page + last, INSN_MAX, code64);
}

static bool votes_start(const uint8_t *page, unsigned off, const struct scan_how *how, bool code64)
{
	return goes_on(page, off, how, code64) && is_boundary(page, off, how, code64);
}

static bool is_start(const uint8_t *page, unsigned off, const struct scan_how *how)
{
	return (how->classes & SCAN_STRICT) || !how->length || votes_start(page, off, how, false) ||
	       ((how->classes & SCAN_REX) && votes_start(page, off, how, true));
}

/*
 * Of these a guard is nice to have. SYSCALL is harmless in 64-bit code, which is full of
 * it; in 32-bit code it loses RIP on some hosts, and cannot be told from SYSENTER. MOV r,
 * Sreg shows a selector's table indicator, no more; but of FS and GS, which programs save
 * and restore, it must not: the guest's own tables know no such selector.
 */
static bool is_mild(const uint8_t *p, unsigned classes)
{
	if (classes & SCAN_STRICT)
		return false;
	return ((classes & SCAN_REX) && p[0] == 0x0f && p[1] == 0x05) || (p[0] == 0x8c && (p[1] & 0x30) != 0x20);
}

static void scan_at(const uint8_t *page, unsigned off, const struct scan_how *how, struct scan *out)
{
	static const unsigned last = PAGE_SIZE - PATTERN_MAX;
	unsigned classes = how->classes, k = off, n;
	uint8_t end[2 * PATTERN_MAX] = { 0 };
	const uint8_t *p = page + off;
	bool mild;

	if (off > last)
		p = (uint8_t *)memcpy(end, page + last, PATTERN_MAX) + (off - last);
	n = match(p, classes);
	if (!n || off + n > PAGE_SIZE)
		return;		/* what crosses the end is scan_joint()'s */
	out->early |= off < WINDOW;
	mild = is_mild(p, classes);
	/* Nice to have where it is one, worth nothing where it is not. */
	if (*p == 0x8c && mild && !is_start(page, off, how))
		return;
	if (!((classes & SCAN_EXACT) && scan_exact_prefixed(*p)))
		add(out, off, !mild && is_start(page, off, how));
	/* A breakpoint fires at the first byte of an instruction: any run of prefixes in
	 * front may be part of it. */
	for (; k > 0 && off - k < PREFIXES_MAX && is_prefix(page[k - 1], classes); k--)
		add(out, k - 1, !mild && is_start(page, k - 1, how));
}

bool scan_joint(const uint8_t *page, const uint8_t *next, const struct scan_how *how)
{
	uint8_t b[INSN_MAX + PREFIXES_MAX + PATTERN_MAX + 1];

	memcpy(b, page + PAGE_SIZE - INSN_MAX, INSN_MAX);
	memcpy(b + INSN_MAX, next, sizeof(b) - INSN_MAX);
	for (unsigned off = 0; off <= INSN_MAX + PREFIXES_MAX; off++) {
		unsigned n = match(b + off, how->classes), k = off;

		if (!n || off + n <= INSN_MAX || is_mild(b + off, how->classes))
			continue;
		for (;; k--) {
			if (k < INSN_MAX && is_start(page, (unsigned)PAGE_SIZE - INSN_MAX + k, how))
				return true;
			if (!k || off - k == PREFIXES_MAX || !is_prefix(b[k - 1], how->classes))
				break;
		}
	}
	return false;
}

/* Which of 16 bytes can begin a pattern of the default set. */
static unsigned interesting(const uint8_t *p)
{
	static const uint8_t firsts[] = { 0x0f, 0x8c, 0x8e, 0x9a, 0xcd, 0xea };
	__m128i x = _mm_loadu_si128((const __m128i *)p), hit = _mm_setzero_si128();

	for (size_t i = 0; i < sizeof(firsts); i++)
		hit = _mm_or_si128(hit, _mm_cmpeq_epi8(x, _mm_set1_epi8((char)firsts[i])));
	return (unsigned)_mm_movemask_epi8(hit);
}

/* Budget of the pass over all bytes: 1 us. */
void scan_page(const uint8_t page[PAGE_SIZE], const struct scan_how *how, struct scan *out)
{
	*out = (struct scan){ 0 };
	for (unsigned at = 0; at < PAGE_SIZE; at += 16) {
		unsigned m = how->classes & SCAN_STRICT ? 0xffff : interesting(page + at);

		for (; m && out->hard <= SCAN_MAX; m &= m - 1)
			scan_at(page, at + (unsigned)__builtin_ctz(m), how, out);
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scanner on pages made by hand: every row of scan.def wherever it can lie, what may
 * stand in front of it, what crosses the end of a page, and what the vote says.
 */
#include <string.h>

#include "shadow/scan.h"
#include "tests/suite.h"

static const struct row { unsigned class; uint8_t byte[3], mask; } rows[] = {
#define SCAN(class, first, second, mask, value)	{ class, { first, second, value }, mask },
#include "shadow/scan.def"
#undef SCAN
};

static uint8_t page[PAGE_SIZE], next[PAGE_SIZE];
static struct scan out;
static uint64_t seed = 1;

static unsigned rnd(unsigned n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(seed >> 33) % n;
}

static void scan(unsigned classes, insn_length_fn *length)
{
	scan_page(page, &(struct scan_how){ .classes = classes, .length = length }, &out);
}

static void fresh(void)
{
	memset(page, 0x90, sizeof(page));
	memset(next, 0x90, sizeof(next));
}

/* A page of NOPs with these bytes in it. */
static void page_with(unsigned off, const void *bytes, unsigned n)
{
	fresh();
	memcpy(page + off, bytes, n);
}

static unsigned row_length(const struct row *r)
{
	return r->mask ? 3 : 2;
}

START_TEST(test_rows)
{
	const struct row *r = &rows[_i];
	unsigned n = row_length(r);

	for (unsigned off = 0; off + n <= PAGE_SIZE; off++) {
		page_with(off, r->byte, n);
		scan(r->class, NULL);
		ck_assert_uint_ge(out.hard, 1);		/* a ModRM byte may be one of PUSH */
		ck_assert_uint_le(out.hard, 1 + (r->class == SCAN_STRICT));
		ck_assert_uint_eq(out.soft, 0);
		ck_assert_uint_eq(out.at[0], off);
		scan(SCAN_DEFAULT & ~r->class, NULL);
		ck_assert_uint_eq(out.hard + out.soft, 0);
	}
	/* The bits outside the masks are free, those inside are not. */
	for (unsigned b = 0; n == 3 && b < 256; b++) {
		bool listed = false;

		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			listed |= rows[i].class == r->class && !memcmp(rows[i].byte, r->byte, 2) &&
				  (b & rows[i].mask) == rows[i].byte[2];
		page_with(100, (const uint8_t []){ r->byte[0], r->byte[1], (uint8_t)b }, 3);
		scan(r->class, NULL);
		if (listed)
			ck_assert_uint_ge(out.hard, 1);
		else if (r->class != SCAN_STRICT)
			ck_assert_uint_eq(out.hard, 0);
	}
}
END_TEST

START_TEST(test_one_byte_opcodes)
{
	static const uint8_t push[] = { 0x06, 0x0e, 0x16, 0x1e };

	for (unsigned b = 0; b < 256; b++) {
		bool fsgs = (b >> 3 & 7) == 4 || (b >> 3 & 7) == 5;

		page_with(77, (const uint8_t []){ 0x8e, (uint8_t)b }, 2);
		scan(SCAN_DEFAULT, NULL);
		ck_assert_uint_eq(out.hard, fsgs);
		page_with(77, (const uint8_t []){ 0x8c, (uint8_t)b }, 2);
		scan(SCAN_DEFAULT, NULL);
		ck_assert_uint_eq(out.hard, b >= 0xc0 && fsgs);
		ck_assert_uint_eq(out.soft, b >= 0xc0 && !fsgs);
	}
	for (unsigned i = 0; i < sizeof(push); i++) {
		page_with(77, &push[i], 1);
		scan(SCAN_DEFAULT, NULL);
		ck_assert_uint_eq(out.hard + out.soft, 0);
		scan(SCAN_DEFAULT | SCAN_STRICT, NULL);
		ck_assert_uint_eq(out.hard, 1);
	}
}
END_TEST

START_TEST(test_far)
{
	for (unsigned sel = 0; sel < 256; sel++) {
		bool host = (sel & ~3u) == 0x20 || (sel & ~3u) == 0x30;
		uint8_t far32[7] = { sel & 1 ? 0xea : 0x9a, 1, 2, 3, 4, (uint8_t)sel, 0 };
		uint8_t far16[5] = { sel & 1 ? 0xea : 0x9a, 1, 2, (uint8_t)sel, 0 };

		page_with(0, far32, 7);
		scan(SCAN_DEFAULT, NULL);
		ck_assert_uint_eq(out.hard, host);
		page_with(PAGE_SIZE - 5, far16, 5);
		scan(SCAN_DEFAULT, NULL);
		ck_assert_uint_eq(out.hard, host);
	}
}
END_TEST

static bool has(unsigned off)
{
	for (unsigned i = 0; i < out.hard && i < SCAN_MAX; i++)
		if (out.at[i] == off)
			return true;
	return false;
}

START_TEST(test_prefixes)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };

	for (unsigned i = 0; i < sizeof(prefixes); i++) {
		page_with(50, (const uint8_t []){ prefixes[i], 0xf3, 0x0f, 0xa2 }, 4);
		scan(SCAN_DEFAULT, NULL);
		ck_assert_uint_eq(out.hard, 3);
		ck_assert(has(50) && has(51) && has(52));
	}
	/* 40-4F are prefixes in 64-bit code alone; LOCK makes it trap anyway. */
	for (unsigned rex = 0x40; rex < 0x50; rex++) {
		page_with(50, (const uint8_t []){ 0x66, (uint8_t)rex, 0x0f, 0xa2 }, 4);
		scan(SCAN_CPUID, NULL);
		ck_assert_uint_eq(out.hard, 1);
		scan(SCAN_CPUID | SCAN_REX, NULL);
		ck_assert_uint_eq(out.hard, 3);
	}
	page_with(50, "\x66\xf0\x0f\xa2", 4);
	scan(SCAN_CPUID | SCAN_REX, NULL);
	ck_assert_uint_eq(out.hard, 1);
	/* At the start of the page; and too many to guard. */
	page_with(0, "\x66\x66\x0f\xa2", 4);
	scan(SCAN_CPUID, NULL);
	ck_assert(out.hard == 3 && has(0));
	page_with(0, "\x66\x66\x66\x66\x0f\xa2", 6);
	scan(SCAN_CPUID, NULL);
	ck_assert_uint_gt(out.hard, SCAN_MAX);
}
END_TEST

START_TEST(test_how_many)
{
	for (unsigned n = 0; n < 8; n++) {
		fresh();
		for (unsigned i = 0; i < n; i++)
			memcpy(page + 100 + 500 * i, "\x0f\xa2", 2);
		scan(SCAN_DEFAULT, NULL);
		ck_assert_uint_eq(out.hard, n > SCAN_MAX ? SCAN_MAX + 1 : n);
		/* Soft ones take what is left, wherever they lie. */
		for (unsigned i = 0; i < 5; i++)
			memcpy(page + 10 + 700 * i, "\x8c\xd8", 2);
		scan(SCAN_DEFAULT, NULL);
		ck_assert_uint_eq(out.hard, n > SCAN_MAX ? SCAN_MAX + 1 : n);
		if (n <= SCAN_MAX) {
			ck_assert_uint_eq(out.hard + out.soft, SCAN_MAX);
			for (unsigned i = 0; i < n; i++)
				ck_assert(has(100 + 500 * i));
			for (unsigned i = n; i < SCAN_MAX; i++)
				ck_assert_uint_eq(page[out.at[i]], 0x8c);
		}
	}
	/* In 64-bit code SYSCALL is a system call. */
	page_with(100, "\x0f\x05", 2);
	scan(SCAN_DEFAULT | SCAN_REX, NULL);
	ck_assert(out.hard == 0 && out.soft == 1);
	scan(SCAN_DEFAULT, NULL);
	ck_assert(out.hard == 1 && out.soft == 0);
}
END_TEST

static bool joint(unsigned classes)
{
	return scan_joint(page, next, &(struct scan_how){ .classes = classes });
}

/* These bytes, so that the first `in_page` lie at the end of the page. */
static void split(const void *bytes, unsigned n, unsigned in_page)
{
	fresh();
	memcpy(page + PAGE_SIZE - in_page, bytes, in_page);
	memcpy(next, (const uint8_t *)bytes + in_page, n - in_page);
}

START_TEST(test_across_pages)
{
	const struct row *r = &rows[_i];
	unsigned n = row_length(r);

	for (unsigned prefixes = 0; prefixes <= 12; prefixes++) {
		uint8_t bytes[16];

		memset(bytes, 0x66, prefixes);
		memcpy(bytes + prefixes, r->byte, n);
		for (unsigned k = 0; k <= prefixes + n; k++) {
			split(bytes, prefixes + n, k);
			ck_assert_int_eq(joint(r->class), k > 0 && k < prefixes + n);
			scan(r->class, NULL);	/* what is not joint is found within */
			ck_assert_int_eq(out.hard > 0, k == prefixes + n);
		}
	}
}
END_TEST

START_TEST(test_across_pages_far)
{
	for (unsigned k = 0; k <= 7; k++) {
		split("\xea\1\2\3\4\x33\0", 7, k);
		ck_assert_int_eq(joint(SCAN_DEFAULT), k > 0 && k < 7);
		if (k <= 5) {
			split("\xea\1\2\x23\0", 5, k);
			ck_assert_int_eq(joint(SCAN_DEFAULT), k > 0 && k < 5);
		}
		if (k < 3) {
			split("\x8e\xe8", 2, k);
			ck_assert_int_eq(joint(SCAN_DEFAULT), k == 1);
		}
	}
}
END_TEST

/* An instruction set of which only the lengths matter, as varied as those of x86. */
static unsigned toy_length(void *arg, const uint8_t *p, unsigned avail, bool code64)
{
	unsigned n = p[0] == 0x0f ? 2 : 1 + (p[0] ^ p[0] >> 3) % 6;

	(void)arg;
	(void)code64;
	return n <= avail && p[0] != 0xff ? n : 0;
}

START_TEST(test_vote)
{
	unsigned starts = 0, inside = 0, alarms = 0;

	for (unsigned k = 0; k < 4000; k++) {
		unsigned off = 64 + rnd(3900), at = 0;

		for (unsigned i = 0; i < PAGE_SIZE; i++)
			page[i] = 0x10 + rnd(0xe0);	/* no 0F, no FF, nothing that counts */
		memcpy(page + off, "\x0f\xa2", 2);
		while (at < off)
			at += toy_length(NULL, page + at, PAGE_SIZE - at, false);
		scan(SCAN_CPUID, toy_length);
		if (at == off) {
			starts++;
			ck_assert(out.hard >= 1 && has(off));
			page[off + 2] = 0xff;	/* and none behind it: none itself */
			scan(SCAN_CPUID, toy_length);
			for (unsigned i = 0; i < out.hard; i++)
				ck_assert_uint_ne(out.at[i], off);
		} else {
			inside++;
			alarms += has(off);
			ck_assert_uint_gt(out.hard + out.soft, 0);
		}
		scan(SCAN_CPUID | SCAN_STRICT, toy_length);	/* no votes */
		ck_assert(has(off) || out.hard > SCAN_MAX);
	}
	ck_assert_uint_gt(starts, 800);
	ck_assert_uint_lt(alarms * 20, inside);
}
END_TEST

/* Near a page's beginning the vote needs what lies below; without it everything is a start. */
START_TEST(test_vote_below)
{
	static uint8_t both[2 * PAGE_SIZE];
	struct scan_how how = { .classes = SCAN_CPUID, .length = toy_length };
	unsigned starts = 0, inside = 0, alarms = 0;

	for (unsigned k = 0; k < 4000; k++) {
		unsigned off = rnd(40), at = PAGE_SIZE - 200;

		for (unsigned i = PAGE_SIZE - 200; i < sizeof(both); i++)
			both[i] = 0x10 + rnd(0xe0);
		memcpy(both + PAGE_SIZE + off, "\x0f\xa2", 2);
		while (at < PAGE_SIZE + off)
			at += toy_length(NULL, both + at, 16, false);
		memcpy(page, both + PAGE_SIZE, PAGE_SIZE);
		how.below = NULL;
		scan_page(page, &how, &out);
		ck_assert(out.early && out.hard >= 1 && has(off));
		how.below = both + PAGE_SIZE - SCAN_BELOW;
		scan_page(page, &how, &out);
		ck_assert(out.early);
		if (at == PAGE_SIZE + off) {
			starts++;
			ck_assert(out.hard >= 1 && has(off));
		} else {
			inside++;
			alarms += out.hard && out.at[0] == off;
		}
	}
	ck_assert_uint_gt(starts, 800);
	ck_assert_uint_lt(alarms * 20, inside);
	page_with(200, "\x0f\xa2", 2);
	scan_page(page, &how, &out);
	ck_assert(!out.early && out.hard == 1);
}
END_TEST

#define EXACT	(SCAN_DEFAULT | SCAN_STRICT | SCAN_EXACT)

/* Every opcode of one and two bytes: what is found for --strict, by hand from the manual. */
START_TEST(test_exact)
{
	static const uint8_t one[] = {
		0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f,
		0x62, 0x8c, 0x8e, 0x9a, 0xc4, 0xc5, 0xca, 0xcb, 0xcf, 0xd4, 0xd5,
		0xd6, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xea,
	};
	static const uint8_t two[] = { 0x00, 0x01, 0x02, 0x03, 0x05, 0x07, 0x0d, 0x0f, 0x1a, 0x1e,
				       0x2b, 0x33, 0x34, 0x38, 0x3a, 0x78, 0x79, 0xa0, 0xa1, 0xa2,
				       0xa8, 0xa9, 0xae, 0xb2, 0xb4, 0xb5, 0xb8, 0xbc, 0xbd, 0xc7 };
	static const uint8_t never[] = { 0x0b, 0x22, 0x30, 0x84, 0x94, 0xa3,
					 0xaf, 0xb6, 0xbe, 0xc1, 0xc8 };
	static const uint8_t vectors[] = { 0x10, 0x28, 0x31, 0x44, 0x58, 0x6f, 0xf4, 0xef };

	for (unsigned b = 0; b < 256; b++) {
		if (b == 0x0f)
			continue;
		page_with(100, (const uint8_t []){ (uint8_t)b, 0x90 }, 2);
		scan(EXACT, NULL);
		/* 8F /2 is XOP; prefixes and the rest are nothing by themselves. */
		ck_assert_uint_eq(out.hard, memchr(one, (int)b, sizeof(one)) || b == 0x8f);
	}
	for (unsigned i = 0; i < sizeof(two); i++) {
		page_with(100, (const uint8_t []){ 0x0f, two[i], 0xc0 }, 3);
		scan(EXACT, NULL);
		ck_assert_uint_ge(out.hard, 1);
	}
	for (unsigned i = 0; i < sizeof(never); i++) {
		page_with(100, (const uint8_t []){ 0x0f, never[i], 0xc0 }, 3);
		scan(EXACT | SCAN_OLD, NULL);
		ck_assert_uint_eq(out.hard, 0);
	}
	for (unsigned i = 0; i < sizeof(vectors); i++) {
		page_with(100, (const uint8_t []){ 0x0f, vectors[i], 0xc0 }, 3);
		scan(EXACT, NULL);
		ck_assert_uint_eq(out.hard, 0);
		scan(EXACT | SCAN_OLD, NULL);
		ck_assert_uint_ge(out.hard, 1);
	}
}
END_TEST

START_TEST(test_exact_operands)
{
	static const struct { uint8_t byte[4]; unsigned n, hard; } cases[] = {
		{ { 0x8f, 0x00 }, 2, 0 }, { { 0x8f, 0xe9 }, 2, 1 },		/* POP, XOP */
		{ { 0xff, 0x10 }, 2, 0 }, { { 0xff, 0x18 }, 2, 1 },		/* CALL, far */
		{ { 0xff, 0x20 }, 2, 0 }, { { 0xff, 0x28 }, 2, 1 },		/* JMP, far */
		{ { 0xc7, 0xc0 }, 2, 0 }, { { 0xc7, 0xf8 }, 2, 1 },		/* MOV, XBEGIN */
		{ { 0xcd, 0x81 }, 2, 0 }, { { 0xcd, 0x80 }, 2, 1 },
		{ { 0xcc }, 1, 0 }, { { 0x66, 0xcc }, 2, 1 }, { { 0x66, 0xf2, 0xcc }, 3, 2 },
		{ { 0xce }, 1, 0 }, { { 0x66, 0xf1 }, 2, 1 }, { { 0x66, 0xcd, 0x80 }, 3, 2 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		page_with(100, cases[i].byte, cases[i].n);
		scan(EXACT, NULL);
		ck_assert_uint_eq(out.hard, cases[i].hard);
		page_with(100, cases[i].byte, cases[i].n);
		scan(EXACT | SCAN_REX, toy_length);	/* no votes, nothing is soft */
		ck_assert_uint_eq(out.hard, cases[i].hard);
		ck_assert_uint_eq(out.soft, 0);
	}
	/* SYSCALL is hard in 64-bit code as well. */
	page_with(100, "\x0f\x05", 2);
	scan(EXACT | SCAN_REX, NULL);
	ck_assert(out.hard == 1 && out.soft == 0);
	/* A prefix at the end of a page, INT3 behind it. */
	split("\x66\xcc", 2, 1);
	ck_assert(joint(EXACT));
	split("\x90\xcc", 2, 1);
	ck_assert(!joint(EXACT));
	split("\xff\x18", 2, 1);
	ck_assert(joint(EXACT));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scan");
	TCase *t = tcase_create("pages");

	tcase_add_loop_test(t, test_rows, 0, ARRAY_LEN(rows));
	tcase_add_test(t, test_one_byte_opcodes);
	tcase_add_test(t, test_far);
	tcase_add_test(t, test_prefixes);
	tcase_add_test(t, test_how_many);
	tcase_add_loop_test(t, test_across_pages, 0, ARRAY_LEN(rows));
	tcase_add_test(t, test_across_pages_far);
	tcase_add_test(t, test_vote);
	tcase_add_test(t, test_vote_below);
	tcase_add_test(t, test_exact);
	tcase_add_test(t, test_exact_operands);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return suite_run(s);
}

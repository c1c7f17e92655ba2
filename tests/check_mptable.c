/* SPDX-License-Identifier: BSD-2-Clause */
/* The MP table, read as a kernel reads it: MultiProcessor Specification 1.4, chapter 4. */
#include "cli/load.h"
#include "tests/pc.h"

static uint8_t area[0x10000];		/* from 0xf0000 on */

static void cpuid(void *self, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
	(void)self;
	(void)sub;
	ck_assert_uint_eq(leaf, 1);
	out[0] = 0x000106ca;
	out[1] = out[2] = 0;
	out[3] = 0x0781abfd;
}

static void setup(void)
{
	pc_config.apic = true;
	pc_setup();
	pc.cpuid = cpuid;
}

static uint8_t sum(const uint8_t *at, unsigned n)
{
	uint8_t s = 0;

	while (n--)
		s += *at++;
	return s;
}

static unsigned le(const uint8_t *at, unsigned n)
{
	unsigned val = 0;

	while (n--)
		val = val << 8 | at[n];
	return val;
}

/* The header, found by its pointer. */
static const uint8_t *table(void)
{
	ck_assert(phys_read_bulk(&pc.mem, 0xf0000, area, sizeof(area)));
	for (unsigned at = 0; at < sizeof(area); at += 16) {
		if (memcmp(area + at, "_MP_", 4) || sum(area + at, 16))
			continue;
		const uint8_t *t = area + le(area + at + 4, 4) - 0xf0000;

		ck_assert_uint_eq(area[at + 8], 1);
		ck_assert_uint_eq(area[at + 11], 0);	/* there is a table, no default */
		ck_assert_mem_eq(t, "PCMP", 4);
		ck_assert_uint_eq(sum(t, le(t + 4, 2)), 0);
		return t;
	}
	ck_abort_msg("no pointer");
}

/* The pin that a bus's interrupt is on, or -1; its flags. */
static int pin_of(const uint8_t *t, const char *bus, unsigned source, unsigned *flags)
{
	const uint8_t *e = t + 44;
	unsigned id = ~0u;

	for (unsigned i = le(t + 34, 2); i; i--, e += *e ? 8 : 20) {
		if (e[0] == 1 && !memcmp(e + 2, bus, 6))
			id = e[1];
		if (e[0] != 3 || e[4] != id || e[5] != source)
			continue;
		ck_assert_uint_eq(e[1], 0);		/* by vector */
		*flags = le(e + 2, 2);
		return e[7];
	}
	return -1;
}

START_TEST(contents)
{
	unsigned seen[5] = { 0 }, flags;
	const uint8_t *t, *e;

	load_mp_table(&pc);
	t = table();
	ck_assert_uint_eq(le(t + 36, 4), 0xfee00000);
	e = t + 44;
	for (unsigned i = le(t + 34, 2); i; i--, e += *e ? 8 : 20) {
		ck_assert_uint_lt(e[0], 5);
		seen[e[0]]++;
		if (e[0] == 0) {		/* the processor's APIC: 0, usable, the first */
			ck_assert_uint_eq(e[1], 0);
			ck_assert_uint_eq(e[2], 0x14);
			ck_assert_uint_eq(e[3], 3);
			ck_assert_uint_eq(le(e + 4, 4), 0x6ca);
			ck_assert_uint_eq(le(e + 8, 4), 0x0781abfd);
		} else if (e[0] == 2) {
			ck_assert_uint_ne(e[1], 0);	/* not the processor's ID */
			ck_assert_uint_eq(e[3], 1);
			ck_assert_uint_eq(le(e + 4, 4), 0xfec00000);
		} else if (e[0] == 4) {			/* ExtINT at LINT0, NMI at LINT1 */
			ck_assert_uint_eq(e[1], e[7] ? 1 : 3);
		}
	}
	ck_assert_ptr_eq(e, t + le(t + 4, 2));
	ck_assert_uint_eq(seen[0], 1);
	ck_assert_uint_eq(seen[2], 1);
	ck_assert_uint_eq(seen[4], 2);
	for (int line = 0; line < 16; line++) {
		bool elsewhere = line == 2 || line == 10 || line == 11;

		ck_assert_int_eq(pin_of(t, "ISA   ", (unsigned)line, &flags),
				 elsewhere ? -1 : line ? line : 2);
	}
}
END_TEST

/* A PCI function's interrupt is on the pin of the line that the bridge routes it to. */
START_TEST(pci)
{
	static const uint8_t routes[4] = { 5, 9, 11, 0x80 };
	unsigned flags;

	for (unsigned i = 0; i < 4; i++) {
		bus_out(pc.bus, 0xcf8, 0x80000860, 4);
		bus_out(pc.bus, (uint16_t)(0xcfc + i), routes[i], 1);
	}
	load_mp_table(&pc);
	for (unsigned slot = 1; slot < 32; slot++) {
		for (unsigned pin = 0; pin < 4; pin++) {
			unsigned route = routes[(slot + 3 + pin) % 4];

			ck_assert_int_eq(pin_of(table(), "PCI   ", slot * 4 + pin, &flags),
					 route == 0x80 ? -1 : (int)route);
			ck_assert(route == 0x80 || flags == 0x0d);	/* high, level */
		}
	}
	ck_assert_int_eq(pin_of(table(), "ISA   ", 9, &flags), -1);
	ck_assert_int_eq(pin_of(table(), "ISA   ", 10, &flags), 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mptable");
	TCase *t = tcase_create("MP table");

	tcase_add_checked_fixture(t, setup, pc_teardown);
	tcase_add_test(t, contents);
	tcase_add_test(t, pci);
	suite_add_tcase(s, t);
	return suite_run(s);
}

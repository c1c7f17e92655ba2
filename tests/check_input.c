/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys and a mouse, from the user's hand to ports 0x60 and 0x64. */
#include "tests/pc.h"

#include "dev/input.h"

#define DATA	0x60
#define CMD	0x64
#define STATUS_AUX 0x20

static void setup(void)
{
	pc_setup();
	pc_init_pics();
	out(CMD, 0x60);
	out(DATA, 0x07);		/* both interrupts, no translation */
}

static int answer(void)
{
	return in(CMD) & 1 ? in(DATA) : -1;
}

static void expect(unsigned n, const uint8_t *bytes)
{
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(answer(), bytes[i]);
	ck_assert_int_eq(answer(), -1);
}
#define EXPECT(...) do { \
		static const uint8_t bytes_[] = { __VA_ARGS__ }; \
		expect(sizeof(bytes_), bytes_); \
	} while (0)

static void key(unsigned code, bool down)
{
	ck_assert(input_key(&pc, code, down));
	ck_assert(pc.attention & ATT_INPUT);
	input_deliver(&pc);
}

static void tap(unsigned code)
{
	key(code, true);
	key(code, false);
}

START_TEST(set_2)
{
	tap(0x1e);					/* A */
	EXPECT(0x1c, 0xf0, 0x1c);
	tap(0x41);					/* F7 */
	EXPECT(0x83, 0xf0, 0x83);
	tap(PC_UP);
	EXPECT(0xe0, 0x75, 0xe0, 0xf0, 0x75);
	tap(PC_PRINT);
	EXPECT(0xe0, 0x12, 0xe0, 0x7c, 0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12);
	tap(PC_PAUSE);
	EXPECT(0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77);
}
END_TEST

/* What set 1 was: by the keyboard itself, and by the controller's translation. */
static void expect_set_1(void)
{
	/* Every key of the enhanced keyboard without a prefix. */
	for (unsigned code = 1; code <= 0x58; code++) {
		if (code == 0x55)			/* there is none */
			continue;
		tap(code);
		ck_assert_int_eq(answer(), (int)code);
		ck_assert_int_eq(answer(), (int)code | 0x80);
		ck_assert_int_eq(answer(), -1);
	}
	tap(PC_DELETE);
	EXPECT(0xe0, 0x53, 0xe0, 0xd3);
	tap(PC_META);
	EXPECT(0xe0, 0x5b, 0xe0, 0xdb);
	tap(PC_PRINT);
	EXPECT(0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa);
	tap(PC_PAUSE);
	EXPECT(0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
}

START_TEST(set_1)
{
	out(DATA, 0xf0);
	out(DATA, 0x01);
	EXPECT(0xfa, 0xfa);
	expect_set_1();
}
END_TEST

START_TEST(translation)
{
	out(CMD, 0x60);
	out(DATA, 0x47);
	expect_set_1();
}
END_TEST

/* Nothing is lost or mixed up while the guest does not read; then there is no room. */
START_TEST(typing_ahead)
{
	unsigned n = 0, at = 0;

	out(CMD, 0x60);
	out(DATA, 0x47);
	while (n < 1000 && input_key(&pc, 0x02 + n % 9, !(n & 1)))
		n++;
	ck_assert_uint_ge(n, 200);
	ck_assert_uint_lt(n, 1000);
	input_deliver(&pc);
	for (int a; (a = answer()) >= 0; at++)
		ck_assert_int_eq(a, (int)((0x02 + at % 9) | (at & 1 ? 0x80 : 0)));
	ck_assert_uint_eq(at, n);
	/* Disabled, it says nothing. */
	out(DATA, 0xf5);
	EXPECT(0xfa);
	tap(0x1e);
	ck_assert_int_eq(answer(), -1);
	out(DATA, 0xf4);
	EXPECT(0xfa);
	tap(0x1e);
	EXPECT(0x1e, 0x9e);
}
END_TEST

static void mouse_write(uint8_t val)
{
	out(CMD, 0xd4);
	out(DATA, val);
}

static void move(int dx, int dy, int dz, unsigned buttons)
{
	struct input_event e = { .kind = INPUT_MOUSE, .code = (uint8_t)buttons, .dx = (int16_t)dx,
				 .dy = (int16_t)dy, .dz = (int16_t)dz };

	ck_assert(input_put(&pc, &e));
	input_deliver(&pc);
}

START_TEST(mouse)
{
	mouse_write(0xff);
	ck_assert_uint_eq(in(CMD) & STATUS_AUX, STATUS_AUX);
	ck_assert_int_eq(pc_take(), 0x74);
	EXPECT(0xfa, 0xaa, 0x00);
}
END_TEST

START_TEST(mouse_reports)
{
	mouse_write(0xf6);
	EXPECT(0xfa);
	move(5, 5, 0, 0);				/* not enabled */
	ck_assert_int_eq(answer(), -1);
	mouse_write(0xf4);
	EXPECT(0xfa);
	while (pc_take() >= 0)
		;
	move(5, -3, 0, MOUSE_LEFT);
	ck_assert_int_eq(pc_take(), 0x74);
	EXPECT(0x09, 0x05, 0x03);
	move(-300, 1, 0, 0);
	EXPECT(0x38, 0x01, 0xff, 0x18, (uint8_t)-45, 0x00);
	move(0, 0, 1, 0);				/* no wheel yet */
	ck_assert_int_eq(answer(), -1);
	mouse_write(0xe9);
	EXPECT(0xfa, 0x20, 0x02, 0x64);
	static const uint8_t knock[] = { 200, 100, 80 };
	for (unsigned i = 0; i < 3; i++) {
		mouse_write(0xf3);
		mouse_write(knock[i]);
		EXPECT(0xfa, 0xfa);
	}
	mouse_write(0xf2);
	EXPECT(0xfa, 0x03);
	move(0, 0, -1, MOUSE_MIDDLE);
	EXPECT(0x0c, 0x00, 0x00, 0xff);
	/* Its clock off: it waits. */
	out(CMD, 0xa7);
	move(1, 0, 0, MOUSE_MIDDLE);
	ck_assert_int_eq(answer(), -1);
	out(CMD, 0xa8);
	EXPECT(0x0c, 0x01, 0x00, 0x00);
}
END_TEST

/* A US keyboard: every printable character has a key, and no two the same. */
START_TEST(typing)
{
	for (unsigned c = ' '; c < 0x7f; c++) {
		unsigned k = input_typing((unsigned char)c);

		ck_assert_uint_ne(k & 0xff, 0);
		for (unsigned d = ' '; d < c; d++)
			ck_assert_uint_ne(input_typing((unsigned char)d), k);
	}
	ck_assert_uint_eq(input_typing('a'), 0x1e);
	ck_assert_uint_eq(input_typing('A'), 0x1e | TYPE_SHIFT);
	ck_assert_uint_eq(input_typing('|'), 0x2b | TYPE_SHIFT);
	ck_assert_uint_eq(input_typing(3), 0x2e | TYPE_CTRL);
	ck_assert_uint_eq(input_typing(0x80), 0);
}
END_TEST

START_TEST(round_trip)
{
	tap(PC_UP);
	mouse_write(0xf4);
	move(7, 0, 0, 0);
	in(DATA);
	pc_round_trip(&i8042_device);
	ck_assert_int_eq(answer(), 0x75);
	ck_assert_int_eq(answer(), 0xe0);
	ck_assert_int_eq(answer(), 0xf0);
	ck_assert_int_eq(answer(), 0x75);
	EXPECT(0xfa, 0x08, 0x07, 0x00);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("input");
	TCase *t = tcase_create("input");

	tcase_add_checked_fixture(t, setup, pc_teardown);
	tcase_add_test(t, set_2);
	tcase_add_test(t, set_1);
	tcase_add_test(t, translation);
	tcase_add_test(t, typing_ahead);
	tcase_add_test(t, mouse);
	tcase_add_test(t, mouse_reports);
	tcase_add_test(t, typing);
	tcase_add_test(t, round_trip);
	suite_add_tcase(s, t);
	return suite_run(s);
}

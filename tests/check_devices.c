/* SPDX-License-Identifier: BSD-2-Clause */
/* The small devices, the keyboard controller, and the device table as a whole. */
#include "tests/pc.h"

#include <unistd.h>

#define DATA	0x60
#define CMD	0x64

static void setup(void)
{
	pc_config.debug_exit = true;
	pc_setup();
	pc_init_pics();
}

static void setup_apic(void)
{
	pc_config.apic = true;
	setup();
}

/* --- Keyboard controller ---------------------------------------------------------- */

/* What a driver does: wait for the flag, then read; -1 if there is nothing. */
static int answer(void)
{
	return in(CMD) & 1 ? in(DATA) : -1;
}

static int command(uint8_t val)
{
	out(CMD, val);
	return answer();
}

static int keyboard(uint8_t val)
{
	out(DATA, val);
	return answer();
}

START_TEST(i8042_probe)
{
	ck_assert_uint_eq(in(CMD) & 0x03, 0);
	ck_assert_int_eq(command(0xaa), 0x55);
	ck_assert_uint_eq(in(CMD) & 0x1c, 0x1c);	/* system, command last, unlocked */
	ck_assert_int_eq(command(0xab), 0x00);
	out(CMD, 0x60);
	out(DATA, 0x74);
	ck_assert_int_eq(command(0x20), 0x74);
	ck_assert_uint_eq(in(CMD) & 0x01, 0);
	/* The three things by which drivers find the auxiliary port. */
	out(CMD, 0xd3);
	out(DATA, 0x5a);
	ck_assert_uint_eq(in(CMD) & 0x21, 0x21);
	ck_assert_int_eq(answer(), 0x5a);
	ck_assert_int_eq(command(0xa9), 0x00);
	out(CMD, 0xd4);
	out(DATA, 0xf2);
	ck_assert_uint_eq(in(CMD) & 0x61, 0x21);
	ck_assert_int_eq(answer(), 0xfa);
	ck_assert_int_eq(answer(), 0x00);
}
END_TEST

START_TEST(i8042_keyboard)
{
	out(CMD, 0x60);
	out(DATA, 0x05);				/* interrupt on, no translation */
	ck_assert_int_eq(keyboard(0xff), 0xfa);
	ck_assert_int_eq(answer(), 0xaa);
	ck_assert_int_eq(answer(), -1);
	ck_assert_int_eq(keyboard(0xf2), 0xfa);
	ck_assert_int_eq(answer(), 0xab);
	ck_assert_int_eq(answer(), 0x83);
	ck_assert_int_eq(keyboard(0xee), 0xee);
	ck_assert_int_eq(keyboard(0xfe), 0xee);
	ck_assert_int_eq(keyboard(0xed), 0xfa);
	ck_assert_int_eq(keyboard(0x07), 0xfa);
	ck_assert_int_eq(keyboard(0xf0), 0xfa);
	ck_assert_int_eq(keyboard(0x00), 0xfa);
	ck_assert_int_eq(answer(), 0x02);
	ck_assert_int_eq(keyboard(0xf4), 0xfa);
	ck_assert_int_eq(keyboard(0x01), 0xfe);
	/* Translation turns the identifier into AB 41. */
	out(CMD, 0x60);
	out(DATA, 0x45);
	ck_assert_int_eq(keyboard(0xf2), 0xfa);
	ck_assert_int_eq(answer(), 0xab);
	ck_assert_int_eq(answer(), 0x41);
}
END_TEST

/* One interrupt a byte: IRQ 1 falls with each read. */
START_TEST(i8042_interrupts)
{
	out(CMD, 0x60);
	out(DATA, 0x45);
	out(DATA, 0xff);
	ck_assert_int_eq(pc_take(), 0x09);
	ck_assert_int_eq(pc_take(), -1);
	ck_assert_uint_eq(in(DATA), 0xfa);
	ck_assert_int_eq(pc_take(), 0x09);
	ck_assert_uint_eq(in(DATA), 0xaa);
	ck_assert_int_eq(pc_take(), -1);
	/* With its clock off, the keyboard keeps its answers. */
	out(DATA, 0xf4);
	ck_assert_int_eq(answer(), 0xfa);
	pc_take();
	out(DATA, 0xf2);
	in(DATA);
	out(CMD, 0xad);
	in(DATA);
	ck_assert_int_eq(answer(), -1);
	out(CMD, 0xae);
	ck_assert_int_eq(answer(), 0x41);
}
END_TEST

START_TEST(i8042_outputs)
{
	out(CMD, 0xdd);
	ck_assert(!pc.a20);
	ck_assert_uint_eq(in(0x92) & 2, 0);
	out(CMD, 0xdf);
	ck_assert(pc.a20);
	ck_assert_uint_eq(command(0xd0) & 0x03, 0x03);
	out(CMD, 0xd1);
	out(DATA, 0xdd);
	ck_assert(!pc.a20);
	ck_assert_int_eq(pc.power, POWER_ON);
	out(CMD, 0xff);				/* pulses nothing */
	ck_assert_int_eq(pc.power, POWER_ON);
	out(CMD, 0xfe);
	ck_assert_int_eq(pc.power, POWER_RESET);
	machine_reset(&pc);
	ck_assert_int_eq(pc.power, POWER_ON);
	ck_assert(pc.a20);
	out(CMD, 0xd1);
	out(DATA, 0x02);			/* output port bit 0 holds the CPU in reset */
	ck_assert_int_eq(pc.power, POWER_RESET);
}
END_TEST

START_TEST(i8042_round_trip)
{
	out(CMD, 0x60);
	out(DATA, 0x05);
	out(DATA, 0xf2);			/* three bytes on their way */
	out(CMD, 0xd1);				/* and a command that waits for data */
	pc_round_trip(&i8042_device);
	ck_assert_int_eq(pc_take(), 0x09);
	out(DATA, 0xdd);
	ck_assert(!pc.a20);
	ck_assert_int_eq(answer(), 0xfa);
	ck_assert_int_eq(answer(), 0xab);
	ck_assert_int_eq(answer(), 0x83);
	ck_assert_int_eq(command(0x20), 0x05);
}
END_TEST

/* --- Latches and resets -------------------------------------------------------------- */

START_TEST(port92)
{
	ck_assert_uint_eq(in(0x92), 0x02);
	out(0x92, 0x08);
	ck_assert(!pc.a20);
	ck_assert_uint_eq(in(0x92), 0x08);
	pc_round_trip(&port92_device);
	ck_assert_uint_eq(in(0x92), 0x08);
	out(0x92, 0x03);
	ck_assert_int_eq(pc.power, POWER_RESET);
	pc.power = POWER_ON;
	out(0x92, 0x03);			/* no edge, no reset */
	ck_assert_int_eq(pc.power, POWER_ON);
}
END_TEST

START_TEST(reset_control)
{
	out(0xcf9, 0x02);
	ck_assert_uint_eq(in(0xcf9), 0x02);
	pc_round_trip(&pci_device);
	ck_assert_uint_eq(in(0xcf9), 0x02);
	ck_assert_int_eq(pc.power, POWER_ON);
	out(0xcf9, 0x06);
	ck_assert_int_eq(pc.power, POWER_RESET);
}
END_TEST

/* The address of a function that there is not does not reset the machine through byte 0xcf9. */
START_TEST(pci_probe)
{
	bus_out(pc.bus, 0xcf8, 0x8000ff04, 4);
	ck_assert_int_eq(pc.power, POWER_ON);
	ck_assert_uint_eq(bus_in(pc.bus, 0xcf8, 4), 0x8000ff04);
	ck_assert_uint_eq(bus_in(pc.bus, 0xcfc, 4), 0xffffffff);
	ck_assert_uint_eq(bus_in(pc.bus, 0xcfe, 2), 0xffff);
	ck_assert_uint_eq(in(0xcfb), 0xff);
}
END_TEST

START_TEST(post)
{
	for (uint16_t port = 0x80; port < 0x90; port++)
		out(port, (uint8_t)(port ^ 0x55));
	pc_round_trip(&post_device);
	for (uint16_t port = 0x80; port < 0x90; port++)
		ck_assert_uint_eq(in(port), port ^ 0x55);
	bus_out(pc.bus, 0x80, 0x1234, 2);
	ck_assert_uint_eq(bus_in(pc.bus, 0x80, 2), 0x1234);
	/* FERR: raised by the CPU, taken back by a write to 0xf0. */
	irq_set(&pc, 13, true);
	ck_assert(pc.intr);
	out(0xf0, 0);
	ck_assert(!pc.intr);
}
END_TEST

START_TEST(debug_exit)
{
	bus_out(pc.bus, 0xf4, 0x12345678, 4);
	ck_assert_int_eq(pc.power, POWER_DEBUG_EXIT);
	ck_assert_uint_eq(pc.debug_exit_code, 0x12345678);
	pc_teardown();
	pc_config.debug_exit = false;
	pc_setup();
	out(0xf4, 1);
	ck_assert_int_eq(pc.power, POWER_ON);
	ck_assert_uint_eq(in(0xf4), 0xff);
}
END_TEST

START_TEST(debugport)
{
	char buf[16];
	int p[2];

	ck_assert_uint_eq(in(0xe9), 0xe9);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(dup2(p[1], STDERR_FILENO), STDERR_FILENO);
	for (const char *s = "hi\n"; *s; s++)
		out(0xe9, (uint8_t)*s);
	ck_assert_int_eq(read(p[0], buf, sizeof(buf)), 3);
	ck_assert_mem_eq(buf, "hi\n", 3);
}
END_TEST

/* --- The machine as a whole -------------------------------------------------------------- */

/* Every port, every width, reads and writes, in a fixed pseudo-random order: nothing
 * falls over, and the state that this leads to survives a snapshot unchanged. */
START_TEST(any_port_access)
{
	struct state first, again;
	uint32_t x = 1;

	state_init(&first);
	state_init(&again);
	for (unsigned i = 0; i < 400000; i++) {
		unsigned size;
		uint16_t port;

		x = x * 1664525 + 1013904223;
		port = (uint16_t)(x >> 16);
		if (x & 0x8000)
			port &= 0x3ff;
		size = 1u << (x >> 13 & 3) % 3;
		if (port + size > 0xe9 && port <= 0xe9)
			continue;		/* prints */
		if (x & 0x1000)
			bus_in(pc.bus, port, size);
		else
			bus_out(pc.bus, port, x * 2654435761u, size);
		if (pc.intr && x & 0x800)
			irq_acknowledge(&pc);
		pc_ns += x >> 20;
		clock_run(&pc.clock);
	}
	machine_save(&pc, &first);
	ck_assert(!first.bad);
	ck_assert_int_eq(machine_restore(&pc, &first), 0);
	machine_save(&pc, &again);
	ck_assert_uint_eq(first.len, again.len);
	ck_assert_mem_eq(first.buf, again.buf, first.len);
	state_free(&first);
	state_free(&again);
}
END_TEST

/* A snapshot with any one byte changed is refused, or restores to something that
 * still runs. */
START_TEST(hostile_snapshot)
{
	struct state s;

	out(0x43, 0x34);
	out(0x40, 0x00);
	out(0x40, 0x10);
	out(0x70, 0x0b);
	out(0x71, 0x72);
	pc_run_for(MS);
	state_init(&s);
	machine_save(&pc, &s);
	for (size_t i = 0; i < s.len; i++) {
		struct state c = s;
		uint8_t was = s.buf[i];

		s.buf[i] ^= (uint8_t)(1 + i * 37);
		c.pos = 0;
		if (machine_restore(&pc, &c) == 0) {
			for (unsigned k = 0; k < 50; k++) {
				pc_ns += 100000;
				clock_run(&pc.clock);
				in(0x40);
				in(0x61);
				out(0x70, 0x0c);
				in(0x71);
				out(0x70, 0x00);
				in(0x71);
				if (pc.intr)
					irq_acknowledge(&pc);
			}
		}
		s.buf[i] = was;
	}
	state_free(&s);
}
END_TEST

START_TEST(cpu_and_time_round_trip)
{
	struct state s;
	struct cpu want;

	pc_cpu.gpr[RBX] = 0x1122334455667788;
	pc_cpu.seg[SEG_FS].base = 0xdeadbeef;
	pc_cpu.fpu.xmm[15].q[1] = 42;
	pc_cpu.fpu.sw = 5 << 11;
	pc_cpu.fpu.st[3].q[0] = 7;
	pc_cpu.fpu.fcs = 0x23;
	pc_cpu.halted = true;
	want = pc_cpu;
	pc_run_to(12345);
	state_init(&s);
	machine_save(&pc, &s);
	machine_reset(&pc);
	pc_ns = 99;
	ck_assert_int_eq(machine_restore(&pc, &s), 0);
	ck_assert_mem_eq(&pc_cpu, &want, sizeof(want));
	ck_assert_int_eq(clock_now(&pc.clock), 12345);
	state_free(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("devices");
	TCase *t = tcase_create("devices");

	tcase_add_checked_fixture(t, setup, pc_teardown);
	tcase_add_test(t, i8042_probe);
	tcase_add_test(t, i8042_keyboard);
	tcase_add_test(t, i8042_interrupts);
	tcase_add_test(t, i8042_outputs);
	tcase_add_test(t, i8042_round_trip);
	tcase_add_test(t, port92);
	tcase_add_test(t, reset_control);
	tcase_add_test(t, pci_probe);
	tcase_add_test(t, post);
	tcase_add_test(t, debug_exit);
	tcase_add_test(t, debugport);
	tcase_add_test(t, any_port_access);
	tcase_add_test(t, hostile_snapshot);
	tcase_add_test(t, cpu_and_time_round_trip);
	suite_add_tcase(s, t);
	t = tcase_create("devices, APIC");
	tcase_add_checked_fixture(t, setup_apic, pc_teardown);
	tcase_add_test(t, any_port_access);
	tcase_add_test(t, hostile_snapshot);
	tcase_add_test(t, cpu_and_time_round_trip);
	suite_add_tcase(s, t);
	return suite_run(s);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The I/O APIC against the 82093AA's data sheet, with the local APIC that takes its messages. */
#include "tests/pc.h"

#define IOAPIC	0xfec00000u
#define LAPIC	0xfee00000u
#define MASKED	0x10000u
#define LEVEL	0x8000u
#define REMOTE_IRR 0x4000u
#define LOGICAL	0x800u
#define EOI	0xb0u
#define SVR	0xf0u
#define TMR	0x180u
#define IRR	0x200u

static uint32_t rd(unsigned reg)
{
	phys_write(&pc.mem, IOAPIC, reg, 4);
	return (uint32_t)phys_read(&pc.mem, IOAPIC + 0x10, 4);
}

static void wr(unsigned reg, uint32_t val)
{
	phys_write(&pc.mem, IOAPIC, reg, 4);
	phys_write(&pc.mem, IOAPIC + 0x10, val, 4);
}

static void apic(unsigned reg, uint32_t val)
{
	phys_write(&pc.mem, LAPIC + reg, val, 4);
}

static void entry(unsigned pin, uint32_t low)
{
	wr(0x10 + 2 * pin, low);
}

static uint32_t low(unsigned pin)
{
	return rd(0x10 + 2 * pin);
}

static int take(void)
{
	return pc.intr ? irq_acknowledge(&pc) : -1;
}

static void end(void)
{
	apic(EOI, 0);
}

static void pulse(unsigned line)
{
	irq_set(&pc, line, true);
	irq_set(&pc, line, false);
}

static void setup(void)
{
	pc_config.apic = true;
	pc_setup();
	apic(SVR, 0x1ff);
	apic(0x350, MASKED);	/* the 8259s are not heard */
}

START_TEST(registers)
{
	ck_assert_uint_eq(rd(1), 0x00170011);
	for (unsigned pin = 0; pin < 24; pin++) {
		ck_assert_uint_eq(low(pin), MASKED);
		entry(pin, ~0u);
		wr(0x11 + 2 * pin, ~0u);
		ck_assert_uint_eq(low(pin), 0x1afff);
		ck_assert_uint_eq(rd(0x11 + 2 * pin), 0xff000000);
	}
	wr(0, ~0u);
	ck_assert_uint_eq(rd(0), 0x0f000000);
	ck_assert_uint_eq(rd(2), 0x0f000000);
	wr(1, 0);
	wr(0x40, 0);			/* beyond the last entry */
	ck_assert_uint_eq(rd(1), 0x00170011);
	ck_assert_uint_eq(rd(0x40), 0);
	ck_assert_uint_eq(rd(0x0f), 0);
	ck_assert_uint_eq(phys_read(&pc.mem, IOAPIC, 1), 0x0f);
	machine_reset(&pc);
	ck_assert_uint_eq(low(3), MASKED);
}
END_TEST

START_TEST(edge)
{
	entry(5, 0x55);
	irq_set(&pc, 5, true);
	ck_assert_int_eq(take(), 0x55);
	ck_assert_uint_eq(phys_read(&pc.mem, LAPIC + TMR + 0x20, 4), 0);
	end();
	ck_assert_int_eq(take(), -1);	/* still high, and no edge */
	irq_set(&pc, 5, true);
	ck_assert_int_eq(take(), -1);
	irq_set(&pc, 5, false);
	pulse(5);
	ck_assert_int_eq(take(), 0x55);	/* a falling line takes nothing back */
	pulse(5);
	end();
	ck_assert_int_eq(take(), 0x55);
	end();
	entry(5, 0x55 | MASKED);
	pulse(5);
	irq_set(&pc, 5, true);
	entry(5, 0x55);
	ck_assert_int_eq(take(), -1);	/* an edge that finds the pin masked is lost */
}
END_TEST

START_TEST(level)
{
	entry(11, 0x66 | LEVEL);
	irq_set_pci(&pc, 11, true);
	ck_assert_uint_eq(low(11), 0x66 | LEVEL | REMOTE_IRR);
	ck_assert_int_eq(take(), 0x66);
	ck_assert_uint_eq(phys_read(&pc.mem, LAPIC + TMR + 0x30, 4), 1u << 6);
	entry(11, 0x66 | LEVEL);	/* one at a time, whatever is written */
	irq_set_pci(&pc, 11, false);
	irq_set_pci(&pc, 11, true);
	ck_assert_uint_eq(phys_read(&pc.mem, LAPIC + IRR + 0x30, 4), 0);
	end();				/* still high: again */
	ck_assert_int_eq(take(), 0x66);
	irq_set(&pc, 11, true);		/* two on the line */
	irq_set_pci(&pc, 11, false);
	end();
	ck_assert_int_eq(take(), 0x66);
	irq_set(&pc, 11, false);
	ck_assert_uint_eq(low(11), 0x66 | LEVEL | REMOTE_IRR);
	end();
	ck_assert_uint_eq(low(11), 0x66 | LEVEL);
	ck_assert_int_eq(take(), -1);
	/* Masked it waits. */
	entry(11, 0x66 | LEVEL | MASKED);
	irq_set(&pc, 11, true);
	ck_assert_int_eq(take(), -1);
	entry(11, 0x66 | LEVEL);
	ck_assert_int_eq(take(), 0x66);
	/* Masked meanwhile, it ends all the same. */
	entry(11, 0x66 | LEVEL | MASKED);
	ck_assert(low(11) & REMOTE_IRR);
	end();
	ck_assert(!(low(11) & REMOTE_IRR));
	/* The way to end one without an EOI: masked, to edge and back. */
	entry(11, 0x66 | LEVEL);
	ck_assert(low(11) & REMOTE_IRR);
	entry(11, 0x66 | MASKED);
	ck_assert_uint_eq(low(11), 0x66 | MASKED);
	entry(11, 0x66 | LEVEL | MASKED);
	ck_assert_uint_eq(low(11), 0x66 | LEVEL | MASKED);
	/* The trigger mode is that of the last message. */
	irq_set(&pc, 11, false);
	end();
	entry(11, 0x66);
	irq_set(&pc, 11, true);
	ck_assert_uint_eq(phys_read(&pc.mem, LAPIC + TMR + 0x30, 4), 0);
}
END_TEST

/* Line 0 is on pin 2, line 2 is the cascade. */
START_TEST(pins)
{
	for (unsigned pin = 0; pin < 24; pin++)
		entry(pin, 0x40 + pin * 8);
	for (unsigned line = 0; line < 16; line++) {
		pulse(line);
		ck_assert_int_eq(take(), line == 2 ? -1 : 0x40 + (line ? (int)line : 2) * 8);
		end();
	}
}
END_TEST

START_TEST(both_controllers)
{
	pc_init_pics();
	apic(0x350, 0x700);
	entry(3, 0x43);
	irq_set(&pc, 3, true);
	ck_assert_int_eq(take(), 0x43);
	ck_assert_int_eq(take(), 0x0b);
	ck_assert_int_eq(take(), -1);
}
END_TEST

START_TEST(destinations)
{
	wr(0x11 + 8, 0x01000000);
	entry(4, 0x44);
	pulse(4);
	ck_assert_int_eq(take(), -1);	/* nobody is 1 */
	apic(0x20, 0x01000000);
	pulse(4);
	ck_assert_int_eq(take(), 0x44);
	end();
	apic(0xd0, 0x80000000);
	wr(0x11 + 8, 0xc0000000);
	entry(4, 0x44 | LOGICAL | 0x100);
	pulse(4);
	ck_assert_int_eq(take(), 0x44);
	end();
	entry(4, 0x400 | LOGICAL);
	pulse(4);
	ck_assert(pc_cpu.nmi_pending && !pc.intr);
	/* What nobody took waits for somebody, if it is level-triggered. */
	apic(SVR, 0xff);
	entry(4, 0x44 | LOGICAL | LEVEL);
	irq_set(&pc, 4, true);
	ck_assert(!(low(4) & REMOTE_IRR));
	apic(SVR, 0x1ff);
	ck_assert_int_eq(take(), 0x44);
	end();
	apic(0xd0, 0x01000000);
	entry(4, 0x44 | LOGICAL | LEVEL);
	while (take() == 0x44)
		end();
	apic(0xd0, 0x40000000);
	ck_assert_int_eq(take(), 0x44);
}
END_TEST

START_TEST(timer_of_the_board)
{
	entry(2, 0x50);
	out(0x43, 0x34);
	out(0x40, 0xa9);
	out(0x40, 0x04);
	for (unsigned i = 0; i < 5; i++) {
		pc_run_for(1000000);
		ck_assert_int_eq(take(), 0x50);
		end();
	}
	entry(2, 0x50 | MASKED);
	pc_run_for(5000000);
	ck_assert_int_eq(take(), -1);
}
END_TEST

START_TEST(none)
{
	pc_teardown();
	pc_config.apic = false;
	pc_setup();
	ck_assert_uint_eq(rd(1), ~0u);
	pc_round_trip(&ioapic_device);
}
END_TEST

START_TEST(round_trip)
{
	entry(11, 0x66 | LEVEL);
	wr(0x11 + 22, 0xff000000);
	irq_set(&pc, 11, true);
	ck_assert_int_eq(take(), 0x66);
	wr(0, 0x07000000);
	entry(5, 0x55);
	irq_set(&pc, 5, true);
	ck_assert_int_eq(take(), -1);	/* the same class and lower waits */
	pc_round_trip(&ioapic_device);
	ck_assert_uint_eq(phys_read(&pc.mem, IOAPIC, 4), 0x10 + 10);
	ck_assert_uint_eq(rd(0), 0x07000000);
	ck_assert_uint_eq(low(11), 0x66 | LEVEL | REMOTE_IRR);
	ck_assert_uint_eq(rd(0x11 + 22), 0xff000000);
	end();
	ck_assert_int_eq(take(), 0x66);
	irq_set(&pc, 11, false);
	end();
	ck_assert_int_eq(take(), 0x55);
	end();
	ck_assert_int_eq(take(), -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ioapic");
	TCase *t = tcase_create("82093AA");

	tcase_add_checked_fixture(t, setup, pc_teardown);
	tcase_add_test(t, registers);
	tcase_add_test(t, edge);
	tcase_add_test(t, level);
	tcase_add_test(t, pins);
	tcase_add_test(t, both_controllers);
	tcase_add_test(t, destinations);
	tcase_add_test(t, timer_of_the_board);
	tcase_add_test(t, none);
	tcase_add_test(t, round_trip);
	suite_add_tcase(s, t);
	return suite_run(s);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC against SDM 3A chapter 10, and the 8259s behind its LINT0. */
#include "machine/legacy.h"
#include "tests/pc.h"

#define BASE	0xfee00000u
enum { ID = 0x20, VERSION = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0,
       SVR = 0xf0, ISR = 0x100, TMR = 0x180, IRR = 0x200, ESR = 0x280, ICR = 0x300,
       ICR_HIGH = 0x310, TIMER = 0x320, LINT0 = 0x350, LINT1 = 0x360, ERROR_ENTRY = 0x370,
       INITIAL = 0x380, CURRENT = 0x390, DIVIDE = 0x3e0 };
#define MASKED	0x10000u
#define SELF	0x40000u
#define ON	0x800u

static uint32_t rd(unsigned reg)
{
	return (uint32_t)phys_read(&pc.mem, BASE + reg, 4);
}

static void wr(unsigned reg, uint32_t val)
{
	phys_write(&pc.mem, BASE + reg, val, 4);
}

static bool bit(unsigned set, unsigned v)
{
	return rd(set + v / 32 * 16) >> v % 32 & 1;
}

static void setup(void)
{
	pc_config.apic = true;
	pc_setup();
	pc_init_pics();
	wr(SVR, 0x1ff);
	wr(DIVIDE, 0xb);
}

static void set_base(uint64_t val)
{
	pc_cpu.msr_apic_base = val;
	irq_apic_base_written(&pc);
}

static void set_cr8(uint64_t val)
{
	pc_cpu.cr8 = val;
	irq_tpr_written(&pc);
}

static int take(void)
{
	return pc.intr ? irq_acknowledge(&pc) : -1;
}

START_TEST(power_on)
{
	/* Without a BIOS: as one leaves it, in virtual wire mode (MP specification, 3.6.2.2). */
	machine_reset(&pc);
	ck_assert_uint_eq(pc_cpu.msr_apic_base, BASE | ON | 0x100);
	ck_assert_uint_eq(rd(ID), 0);
	ck_assert_uint_eq(rd(VERSION), 0x50014);
	ck_assert_uint_eq(rd(SVR), 0x1ff);
	ck_assert_uint_eq(rd(LINT0), 0x700);
	ck_assert_uint_eq(rd(LINT1), 0x400);
	ck_assert_uint_eq(rd(DFR), ~0u);
	/* Turned off and on: as after a reset, SDM 3A 10.4.7.1. */
	set_base(BASE | 0x100);
	set_base(BASE | 0x100 | ON);
	ck_assert_uint_eq(rd(SVR), 0xff);
	for (unsigned r = TIMER; r <= ERROR_ENTRY; r += 0x10)
		ck_assert_uint_eq(rd(r), MASKED);
}
END_TEST

/* With a BIOS, which may know nothing of it. */
static uint8_t bios[PAGE_SIZE * 16];

static void with_bios(void)
{
	ck_assert_int_eq(legacy_set_bios(&pc.mem, bios, sizeof(bios)), 0);
}

START_TEST(power_on_bios)
{
	pc_teardown();
	pc_prepare = with_bios;
	pc_setup();
	pc_init_pics();
	ck_assert_uint_eq(rd(SVR), 0xff);
	ck_assert_uint_eq(rd(LINT0), 0x700);
	ck_assert_uint_eq(rd(LINT1), MASKED);
	irq_set(&pc, 3, true);
	ck_assert_int_eq(take(), 0x0b);
	pc_prepare = NULL;
}
END_TEST

START_TEST(vector_life)
{
	wr(ICR, SELF | 0x51);
	ck_assert(bit(IRR, 0x51) && pc.intr);
	ck_assert_int_eq(take(), 0x51);
	ck_assert(!bit(IRR, 0x51) && bit(ISR, 0x51) && !pc.intr);
	ck_assert_uint_eq(rd(PPR), 0x50);
	wr(ICR, SELF | 0x51);		/* one may wait while one is served */
	wr(ICR, SELF | 0x51);
	ck_assert(bit(IRR, 0x51) && !pc.intr);
	wr(EOI, 0);
	ck_assert_int_eq(take(), 0x51);
	wr(EOI, 0);
	ck_assert_int_eq(take(), -1);
	wr(EOI, 0);			/* of nothing */
	ck_assert_uint_eq(rd(PPR), 0);
}
END_TEST

START_TEST(priority)
{
	static const uint8_t vectors[] = { 0x31, 0xfe, 0x62, 0x61, 0xa0 };

	for (unsigned i = 0; i < sizeof(vectors); i++)
		wr(ICR, SELF | vectors[i]);
	ck_assert_int_eq(take(), 0xfe);
	ck_assert_int_eq(take(), -1);
	wr(EOI, 0);
	ck_assert_int_eq(take(), 0xa0);
	wr(ICR, SELF | 0xa8);		/* the same class does not interrupt */
	ck_assert_int_eq(take(), -1);
	wr(ICR, SELF | 0xb0);
	ck_assert_int_eq(take(), 0xb0);
	wr(EOI, 0);
	ck_assert(!bit(ISR, 0xb0) && bit(ISR, 0xa0));
	wr(EOI, 0);
	ck_assert_int_eq(take(), 0xa8);
	wr(EOI, 0);
	ck_assert_int_eq(take(), 0x62);
	wr(EOI, 0);
	ck_assert_int_eq(take(), 0x61);
	wr(EOI, 0);
	ck_assert_int_eq(take(), 0x31);
}
END_TEST

START_TEST(task_priority)
{
	wr(TPR, 0x57);
	ck_assert_uint_eq(pc_cpu.cr8, 5);
	ck_assert_uint_eq(rd(PPR), 0x57);
	wr(ICR, SELF | 0x5f);
	ck_assert(!pc.intr);
	set_cr8(4);			/* clears the lower half */
	ck_assert_uint_eq(rd(TPR), 0x40);
	ck_assert(pc.intr);
	set_cr8(5);
	ck_assert(!pc.intr);
	wr(TPR, 0x4f);
	ck_assert_int_eq(take(), 0x5f);
	ck_assert_uint_eq(rd(PPR), 0x50);
	wr(TPR, 0x5a);			/* of equal classes the TPR counts, SDM 3A 10.8.3.1 */
	ck_assert_uint_eq(rd(PPR), 0x5a);
}
END_TEST

START_TEST(virtual_wire)
{
	wr(LINT0, 0x700);
	wr(TPR, 0xff);			/* which does not hold it back */
	irq_set(&pc, 3, true);
	ck_assert_int_eq(take(), 0x0b);
	ck_assert(!bit(ISR, 0x0b));	/* its end is the 8259's affair */
	irq_set(&pc, 3, false);
	out(0x20, 0x20);
	wr(LINT0, 0x700 | MASKED);
	irq_set(&pc, 5, true);
	ck_assert(!pc.intr);
	wr(LINT0, 0x700);
	ck_assert(pc.intr);
	/* As a fixed vector it is an edge. */
	wr(LINT0, 0x44);
	wr(TPR, 0);
	ck_assert(!pc.intr);
	irq_set(&pc, 5, false);
	irq_set(&pc, 5, true);
	ck_assert_int_eq(take(), 0x44);
	wr(EOI, 0);
	/* Or an NMI. */
	wr(LINT0, 0x400);
	irq_set(&pc, 5, false);
	ck_assert(!pc_cpu.nmi_pending);
	irq_set(&pc, 5, true);
	ck_assert(pc_cpu.nmi_pending && !pc.intr);
}
END_TEST

START_TEST(turned_off)
{
	wr(LINT0, 0x700 | MASKED);
	wr(ICR, SELF | 0x51);
	irq_set(&pc, 3, true);
	/* By SVR: nothing new is taken, entries are masked and stay so, SDM 3A 10.4.7.2. */
	wr(TIMER, 0x60);
	wr(SVR, 0xff);
	ck_assert(rd(TIMER) & MASKED);
	wr(TIMER, 0x60);
	ck_assert(rd(TIMER) & MASKED);
	wr(ICR, SELF | 0x52);
	ck_assert(!bit(IRR, 0x52));
	ck_assert_int_eq(take(), 0x51);
	ck_assert_int_eq(take(), -1);
	/* By the MSR: the 8259s speak to the processor, and no register answers. */
	set_base(BASE | 0x100);
	ck_assert_int_eq(take(), 0x0b);
	ck_assert_uint_eq(rd(VERSION), ~0u);
	/* Elsewhere. */
	set_base(0xfed40000u | ON);
	ck_assert_uint_eq(rd(VERSION), ~0u);
	ck_assert_uint_eq((uint32_t)phys_read(&pc.mem, 0xfed40030, 4), 0x50014);
	machine_reset(&pc);
	ck_assert_uint_eq(rd(VERSION), 0x50014);
}
END_TEST

START_TEST(none)
{
	pc_teardown();
	pc_config.apic = false;
	pc_setup();
	pc_init_pics();
	ck_assert(!(pc_cpu.msr_apic_base & ON));
	ck_assert_uint_eq(rd(VERSION), ~0u);
	irq_set(&pc, 3, true);
	ck_assert_int_eq(take(), 0x0b);
	pc_round_trip(&lapic_device);
}
END_TEST

START_TEST(commands)
{
	static const struct { uint32_t low, dest; bool arrives; } tries[] = {
		{ 0x51, 0x00, true }, { 0x51, 0x01, false }, { 0x51, 0xff, true },
		{ SELF | 0x51, 0x05, true }, { 0x80000 | 0x51, 0x05, true },
		{ 0xc0000 | 0x51, 0x00, false }, { 0x800 | 0x51, 0x04, true },
		{ 0x800 | 0x51, 0x0b, false }, { 0x800 | 0x51, 0xff, true },
		{ 0x151, 0x00, true },			/* lowest priority */
		{ 0x4500, 0x00, false }, { 0x4651, 0x00, false }, { 0x251, 0x00, false },
		{ SELF | 0x400, 0, false },
	};

	wr(LDR, 0x04000000);
	for (unsigned i = 0; i < ARRAY_LEN(tries); i++) {
		wr(ICR_HIGH, tries[i].dest << 24);
		wr(ICR, tries[i].low);
		ck_assert_int_eq(take(), tries[i].arrives ? 0x51 : -1);
		ck_assert_uint_eq(rd(ICR), tries[i].low);
		wr(EOI, 0);
		ck_assert(!pc_cpu.nmi_pending);
	}
	wr(ICR_HIGH, 0);
	wr(ICR, 0x1400);
	ck_assert(pc_cpu.nmi_pending);
	ck_assert_uint_eq(rd(ICR), 0x400);	/* never busy */
	/* Clusters: 2, its first processor; f is all. */
	wr(DFR, 0x0fffffff);
	wr(LDR, 0x21000000);
	for (unsigned dest = 0; dest < 256; dest++) {
		wr(ICR_HIGH, dest << 24);
		wr(ICR, 0x851);
		ck_assert_int_eq(take(), (dest >> 4 == 2 || dest >> 4 == 15) && dest & 1 ? 0x51 : -1);
		wr(EOI, 0);
	}
}
END_TEST

START_TEST(errors)
{
	wr(ERROR_ENTRY, 0x91);
	wr(ICR, SELF | 0x0f);
	ck_assert_int_eq(take(), 0x91);
	wr(EOI, 0);
	ck_assert_uint_eq(rd(ESR), 0);		/* not before it is written */
	wr(ESR, 0);
	ck_assert_uint_eq(rd(ESR), 0x20);
	wr(TIMER, 0x05);
	wr(INITIAL, 10);
	pc_run_for(20);
	rd(0x3f0);
	wr(ESR, 0);
	ck_assert_uint_eq(rd(ESR), 0xc0);
	wr(ESR, 0);
	ck_assert_uint_eq(rd(ESR), 0);
	wr(ERROR_ENTRY, 0x08);			/* an error that makes one */
	wr(ICR, SELF | 0x0f);
	wr(ESR, 0);
	ck_assert_uint_eq(rd(ESR), 0x60);
}
END_TEST

START_TEST(accesses)
{
	wr(ID, 0x12345678);
	ck_assert_uint_eq(rd(ID), 0x12000000);
	ck_assert_uint_eq(phys_read(&pc.mem, BASE + ID + 3, 1), 0x12);
	ck_assert_uint_eq(phys_read(&pc.mem, BASE + ID + 4, 4), 0);
	phys_write(&pc.mem, BASE + TPR, 0x20, 1);
	phys_write(&pc.mem, BASE + TPR, 0x20, 8);
	phys_write(&pc.mem, BASE + TPR + 4, 0x20, 4);
	ck_assert_uint_eq(rd(TPR), 0);
	wr(VERSION, 0);
	wr(IRR, ~0u);
	ck_assert_uint_eq(rd(VERSION), 0x50014);
	ck_assert_uint_eq(rd(IRR), 0);
	wr(LINT0, ~0u);
	ck_assert_uint_eq(rd(LINT0), 0x1a7ff);
	wr(TIMER, ~0u);
	ck_assert_uint_eq(rd(TIMER), 0x300ff);
}
END_TEST

START_TEST(timer_once)
{
	wr(TIMER, 0x60);
	wr(INITIAL, 1000);
	pc_run_for(400);
	ck_assert_uint_eq(rd(CURRENT), 600);
	pc_run_for(599);
	ck_assert_int_eq(take(), -1);
	pc_run_for(1);
	ck_assert_int_eq(take(), 0x60);
	wr(EOI, 0);
	ck_assert_uint_eq(rd(CURRENT), 0);
	ck_assert_uint_eq(rd(INITIAL), 1000);
	pc_run_for(10000);
	ck_assert_int_eq(take(), -1);
	ck_assert_int_eq(pc.clock.next, INT64_MAX);
	/* Masked it costs no call, and its end is lost. */
	wr(TIMER, 0x60 | MASKED);
	wr(INITIAL, 1000);
	ck_assert_int_eq(pc.clock.next, INT64_MAX);
	pc_run_for(1500);
	wr(TIMER, 0x60);
	pc_run_for(1500);
	ck_assert_int_eq(take(), -1);
	/* Unmasked on the way it ends when it would have; 0 stops it. */
	wr(TIMER, 0x60 | MASKED);
	wr(INITIAL, 1000);
	pc_run_for(600);
	wr(TIMER, 0x61);
	pc_run_for(400);
	ck_assert_int_eq(take(), 0x61);
	wr(EOI, 0);
	wr(INITIAL, 1000);
	wr(INITIAL, 0);
	pc_run_for(2000);
	ck_assert_int_eq(take(), -1);
	/* Due, and not yet called: not lost by a write. */
	wr(INITIAL, 1000);
	pc_ns += 1500;
	wr(TIMER, 0x62 | MASKED);
	ck_assert_int_eq(take(), 0x61);
}
END_TEST

START_TEST(timer_divider)
{
	static const uint8_t codes[] = { 0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa };

	wr(TIMER, 0x60);
	for (unsigned i = 0; i < sizeof(codes); i++) {
		wr(DIVIDE, codes[i]);
		ck_assert_uint_eq(rd(DIVIDE), codes[i]);
		wr(INITIAL, 100);
		pc_run_for((1 << i) * 99);
		ck_assert_uint_eq(rd(CURRENT), 1);
		ck_assert_int_eq(take(), -1);
		pc_run_for(1 << i);
		ck_assert_int_eq(take(), 0x60);
		wr(EOI, 0);
	}
	wr(INITIAL, 100);			/* of 128 */
	pc_run_for(50 * 128);
	wr(DIVIDE, 0xb);			/* the count stays */
	ck_assert_uint_eq(rd(CURRENT), 50);
	pc_run_for(50);
	ck_assert_int_eq(take(), 0x60);
}
END_TEST

START_TEST(timer_periodic)
{
	wr(TIMER, 0x20060);
	wr(INITIAL, 100000);
	for (unsigned i = 1; i <= 5; i++) {
		pc_run_for(99999);
		ck_assert_int_eq(take(), -1);
		pc_run_for(1);
		ck_assert_int_eq(take(), 0x60);
		wr(EOI, 0);
		ck_assert_uint_eq(rd(CURRENT), 100000);
	}
	pc_run_for(30000);
	wr(TIMER, 0x60);			/* once more, from where it is */
	ck_assert_uint_eq(rd(CURRENT), 70000);
	pc_run_for(20000);
	wr(TIMER, 0x20060);
	ck_assert_uint_eq(rd(CURRENT), 50000);
	pc_run_for(50000);
	ck_assert_int_eq(take(), 0x60);
	wr(EOI, 0);
	/* Late: one for all that were missed, and the rhythm is kept. */
	pc_ns += 350000;
	clock_run(&pc.clock);
	ck_assert_int_eq(take(), 0x60);
	wr(EOI, 0);
	pc_run_for(49999);
	ck_assert_int_eq(take(), -1);
	pc_run_for(1);
	ck_assert_int_eq(take(), 0x60);
	wr(EOI, 0);
	/* One that ran out does not begin by itself. */
	wr(TIMER, 0x60);
	wr(INITIAL, 10);
	pc_run_for(20);
	ck_assert_int_eq(take(), 0x60);
	wr(EOI, 0);
	wr(TIMER, 0x20060);
	pc_run_for(200000);
	ck_assert_int_eq(take(), -1);
	ck_assert_uint_eq(rd(CURRENT), 0);
	/* The shortest period does not take the machine's time. */
	wr(INITIAL, 1);
	int64_t now = pc_ns;
	ck_assert_int_ge(pc.clock.next - now, 10000);
	pc_run_for(1000000);
	ck_assert_int_eq(take(), 0x60);
}
END_TEST

START_TEST(round_trip)
{
	wr(TIMER, 0x20060);
	wr(INITIAL, 100000);
	pc_run_for(30000);
	wr(LINT0, 0x700);
	wr(TPR, 0x25);
	wr(LDR, 0x08000000);
	wr(ICR, SELF | 0x51);
	ck_assert_int_eq(take(), 0x51);
	wr(ICR, SELF | 0x81);
	wr(ICR, SELF | 0x0f);
	pc_round_trip(&lapic_device);
	ck_assert_uint_eq(rd(CURRENT), 70000);
	ck_assert_uint_eq(rd(TPR), 0x25);
	ck_assert_uint_eq(rd(LDR), 0x08000000);
	ck_assert(bit(ISR, 0x51));
	ck_assert_int_eq(take(), 0x81);
	wr(EOI, 0);
	wr(EOI, 0);
	wr(ESR, 0);
	ck_assert_uint_eq(rd(ESR), 0x20);
	pc_run_for(70000);
	ck_assert_int_eq(take(), 0x60);
	wr(EOI, 0);
	irq_set(&pc, 3, true);
	ck_assert_int_eq(take(), 0x0b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lapic");
	TCase *t = tcase_create("local APIC");

	tcase_add_checked_fixture(t, setup, pc_teardown);
	tcase_add_test(t, power_on);
	tcase_add_test(t, power_on_bios);
	tcase_add_test(t, vector_life);
	tcase_add_test(t, priority);
	tcase_add_test(t, task_priority);
	tcase_add_test(t, virtual_wire);
	tcase_add_test(t, turned_off);
	tcase_add_test(t, none);
	tcase_add_test(t, commands);
	tcase_add_test(t, errors);
	tcase_add_test(t, accesses);
	tcase_add_test(t, timer_once);
	tcase_add_test(t, timer_divider);
	tcase_add_test(t, timer_periodic);
	tcase_add_test(t, round_trip);
	suite_add_tcase(s, t);
	return suite_run(s);
}

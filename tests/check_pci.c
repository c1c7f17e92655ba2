/* SPDX-License-Identifier: BSD-2-Clause */
/* The PCI bus, the host bridge's shadowing of ROM, the ISA bridge's interrupt routing. */
#include "tests/pc.h"

#include "dev/pci.h"
#include "machine/legacy.h"

#define HOST		0x80000000u
#define ISA		0x80000800u
#define IDE		0x80000900u
#define PM		0x80000b00u
#define CARD		0x80002000u	/* slot 4: one of our own */

static uint8_t bios[0x30000];		/* 192 KiB: more than is seen below 1 MiB */
static struct pci_function card;
static uint8_t card_reg;
static unsigned protects, stores;

static uint32_t cfg(uint32_t function, unsigned off)
{
	bus_out(pc.bus, 0xcf8, function | (off & 0xfc), 4);
	return bus_in(pc.bus, 0xcfc, 4);
}

static void cfg_write(uint32_t function, unsigned off, uint32_t val, unsigned size)
{
	bus_out(pc.bus, 0xcf8, function | (off & 0xfc), 4);
	bus_out(pc.bus, (uint16_t)(0xcfc + (off & 3)), val, size);
}

static void pam(unsigned off, uint8_t val)
{
	cfg_write(HOST, off, val, 1);
}

/* --- A card ---------------------------------------------------------------------- */

static uint32_t card_in(void *dev, uint16_t port, unsigned size)
{
	(void)dev, (void)size;
	return (uint8_t)(card_reg + (port - card.bars[0].base));
}

static void card_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	(void)dev, (void)port, (void)size;
	card_reg = (uint8_t)val;
}

static uint64_t card_read(void *dev, uint64_t off, unsigned size)
{
	(void)dev, (void)size;
	return off ^ 0x5a;
}

static const struct device_ops card_ops = { .name = "card", .in = card_in, .out = card_out };

static void protect(void *self, gpa_t page, unsigned flags)
{
	(void)self, (void)page, (void)flags;
	protects++;
}

static void stored(void *self, gpa_t gpa, unsigned len, unsigned flags)
{
	(void)self, (void)gpa, (void)len, (void)flags;
	stores++;
}

static void with_bios(void)
{
	for (unsigned i = 0; i < sizeof(bios); i++)
		bios[i] = (uint8_t)(i * 31 + (i >> 8));
	ck_assert_int_eq(legacy_set_bios(&pc.mem, bios, sizeof(bios)), 0);
	memory_add_listener(&pc.mem, &(struct memory_listener){ protect, stored, NULL });
}

static void setup(void)
{
	pc_prepare = with_bios;
	pc_setup();
	pc_init_pics();
	memset(&card, 0, sizeof(card));
	card_reg = 0;
	pci_identify(&card, 0x1af4, 0x4321, 0x0c0300, 1);
	pci_bar_io(&card, 0, 8, 1, &card_ops, &card);
	pci_bar_memory(&card, 1, memory_add_range(&pc.mem, &(struct range){ .size = 0x2000,
		       .kind = RANGE_DEVICE, .off = true, .read = card_read, .dev = &card }));
	card.config[PCI_PIN] = 1;
	pci_add(&pc, 4, 0, &card);
}

START_TEST(identities)
{
	ck_assert_uint_eq(cfg(HOST, 0), 0x12378086);
	ck_assert_uint_eq(cfg(ISA, 0), 0x70008086);
	ck_assert_uint_eq(cfg(IDE, 0), 0x70108086);
	ck_assert_uint_eq(cfg(IDE, 8) >> 8, 0x010180);
	ck_assert_uint_eq(cfg(PM, 0), 0x71138086);
	ck_assert_uint_eq(cfg(0x80001000u, 0), 0xffffffff);	/* an empty slot */
	ck_assert_uint_eq(cfg(0x80010000u, 0), 0xffffffff);	/* bus 1 */
	ck_assert_uint_eq(cfg(0, 0), 0xffffffff);		/* not enabled */
	cfg_write(ISA, 0, 0, 4);				/* an identity cannot be written */
	ck_assert_uint_eq(cfg(ISA, 0), 0x70008086);
	cfg_write(HOST, 0xcf9 & 0xff, 0, 1);
	ck_assert_int_eq(pc.power, POWER_ON);
}
END_TEST

START_TEST(base_addresses)
{
	cfg_write(CARD, 0x10, 0xffffffff, 4);
	ck_assert_uint_eq(cfg(CARD, 0x10), 0xfffffff9);
	cfg_write(CARD, 0x14, 0xffffffff, 4);
	ck_assert_uint_eq(cfg(CARD, 0x14), 0xffffe000);
	ck_assert_uint_eq(cfg(CARD, 0x18), 0);
	cfg_write(CARD, 0x10, 0x1000, 4);
	cfg_write(CARD, 0x14, 0xe0000000, 4);
	ck_assert_uint_eq(in(0x1002), 0xff);		/* not decoded yet */
	ck_assert_uint_eq(phys_read(&pc.mem, 0xe0000004, 4), 0xffffffff);
	cfg_write(CARD, 4, 3, 1);
	ck_assert_uint_eq(in(0x1002), 2);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xe0001004, 4), 0x105e);
	out(0x1000, 0x40);
	ck_assert_uint_eq(in(0x1007), 0x47);
	ck_assert_uint_eq(in(0x1008), 0xff);
	cfg_write(CARD, 0x10, 0x2000, 4);		/* moved */
	ck_assert_uint_eq(in(0x1002), 0xff);
	ck_assert_uint_eq(in(0x2002), 0x42);
	cfg_write(CARD, 0x14, 0x00100000, 4);		/* under RAM: not seen */
	phys_write(&pc.mem, 0x100000, 0x1234, 4);
	ck_assert_uint_eq(phys_read(&pc.mem, 0x100000, 4), 0x1234);
	cfg_write(CARD, 4, 0, 1);
	ck_assert_uint_eq(in(0x2002), 0xff);
}
END_TEST

/* Ports of the mainboard stay its own; what lay there is found again. */
START_TEST(overlap)
{
	cfg_write(CARD, 4, 1, 1);
	cfg_write(CARD, 0x10, 0x70, 4);
	out(0x70, 0x0d);
	ck_assert_uint_eq(in(0x71), 0x80);
	ck_assert_uint_eq(in(0x73), 3);
	cfg_write(CARD, 0x10, 0xfffffff8, 4);		/* beyond the ports that there are */
	ck_assert_uint_eq(in(0xfff9), 0xff);
	cfg_write(CARD, 0x10, 0xfff8, 4);
	ck_assert_uint_eq(in(0xffff), 7);
	for (unsigned i = 0; i < 1000; i++)		/* moves do not use anything up */
		cfg_write(CARD, 0x10, 0x4000 + i * 8, 4);
	ck_assert_uint_eq(in(0x4000 + 999 * 8), 0);
}
END_TEST

START_TEST(routing)
{
	/* INTA of slot 4 is PIRQD; the line is joined with what the ISA side drives. */
	ck_assert_uint_eq(cfg(ISA, 0x60), 0x80808080);
	pci_interrupt(&card, true);
	ck_assert_int_eq(pc_take(), -1);
	cfg_write(ISA, 0x63, 11, 1);
	ck_assert_int_eq(pc_take(), 0x73);
	irq_set(&pc, 11, true);
	pci_interrupt(&card, false);
	ck_assert(pc.isa_lines >> 11 & 1);
	ck_assert_uint_eq(pc.pci_lines, 0);
	pci_interrupt(&card, true);
	irq_set(&pc, 11, false);
	ck_assert_uint_eq(pc.pci_lines, 1u << 11);
	cfg_write(ISA, 0x63, 5, 1);			/* moves with the level */
	ck_assert_uint_eq(pc.pci_lines, 1u << 5);
	cfg_write(ISA, 0x63, 8, 1);			/* reserved: nowhere */
	ck_assert_uint_eq(pc.pci_lines, 0);
	cfg_write(ISA, 0x63, 0x8b, 1);
	ck_assert_uint_eq(pc.pci_lines, 0);
	pci_interrupt(&card, false);
}
END_TEST

static uint8_t rom(gpa_t gpa)
{
	return bios[sizeof(bios) - (LEGACY_END - gpa)];
}

START_TEST(shadowing)
{
	uint8_t data[4] = { 1, 2, 3, 4 };

	ck_assert_uint_eq(phys_read(&pc.mem, 0xf1234, 1), rom(0xf1234));
	ck_assert_uint_eq(phys_read(&pc.mem, 0xe0000, 1), rom(0xe0000));
	ck_assert_uint_eq(phys_read(&pc.mem, 0xdffff, 1), 0xff);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xc0000, 2), 0xffff);
	phys_write(&pc.mem, 0xf1234, ~rom(0xf1234), 1);	/* neither face */
	ck_assert_uint_eq(phys_read(&pc.mem, 0xf1234, 1), rom(0xf1234));

	pam(0x59, 0x20);			/* write only: the classic copy onto itself */
	for (gpa_t a = 0xf0000; a < 0x100000; a += 4)
		phys_write(&pc.mem, a, phys_read(&pc.mem, a, 4), 4);
	ck_assert(phys_write_bulk(&pc.mem, 0xf2000, data, 4));	/* DMA goes there too */
	ck_assert_uint_eq(phys_read(&pc.mem, 0xf2000, 1), rom(0xf2000));
	pam(0x59, 0x10);				/* read only */
	ck_assert_uint_eq(phys_read(&pc.mem, 0xf1234, 1), rom(0xf1234));
	ck_assert_uint_eq(phys_read(&pc.mem, 0xf2000, 4), 0x04030201);
	phys_write(&pc.mem, 0xf1234, 0, 1);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xf1234, 1), rom(0xf1234));
	ck_assert(!phys_write_bulk(&pc.mem, 0xf1234, data, 4));

	protects = 0;
	pam(0x5a, 0x30);				/* 0xc4000-0xc7fff plain */
	ck_assert_uint_eq(memory_flags(&pc.mem, 0xc4000), 0);
	ck_assert_uint_eq(memory_flags(&pc.mem, 0xc3fff), PG_ROM);
	ck_assert_uint_eq(memory_flags(&pc.mem, 0xc8000), PG_ROM);
	phys_write(&pc.mem, 0xc4000, 0x77, 1);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xc4000, 1), 0x77);
	ck_assert_uint_eq(protects, 0);
	memory_set_flags(&pc.mem, 0xc4000, PG_CODE);	/* somebody holds code of it */
	stores = 0;
	pam(0x5a, 0x20);
	ck_assert_uint_eq(stores, 1);
	ck_assert_uint_eq(memory_flags(&pc.mem, 0xc4000), PG_ROM | PG_CODE);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xc4000, 1), 0xff);
	phys_write(&pc.mem, 0xc4001, 0x78, 1);
	pam(0x5a, 0x30);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xc4000, 2), 0x7877);
	pam(0x5f, 0x33);				/* the last segments */
	phys_write(&pc.mem, 0xec000, 0x11, 1);
	phys_write(&pc.mem, 0xe8000, 0x12, 1);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xec000, 1), 0x11);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xe8000, 1), 0x12);
	machine_reset(&pc);				/* ROM again; DRAM keeps what it has */
	ck_assert_uint_eq(phys_read(&pc.mem, 0xec000, 1), rom(0xec000));
	pam(0x5f, 0x10);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xec000, 1), 0x11);
}
END_TEST

START_TEST(video_dram)
{
	ck_assert_uint_eq(phys_read(&pc.mem, 0xa0000, 1), 0xff);
	pam(0x72, 0x4a);
	phys_write(&pc.mem, 0xa0000, 0x1234, 2);
	phys_write(&pc.mem, 0xbffff, 0x56, 1);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xa0000, 2), 0x1234);
	pam(0x72, 0x0a);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xa0000, 2), 0xffff);
	pam(0x72, 0x5a);				/* locking closes it for good */
	ck_assert_uint_eq(phys_read(&pc.mem, 0xbffff, 1), 0xff);
	pam(0x72, 0x4a);
	ck_assert_uint_eq(cfg(HOST, 0x70) >> 16 & 0xff, 0x1a);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xbffff, 1), 0xff);
	machine_reset(&pc);
	pam(0x72, 0x4a);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xbffff, 1), 0x56);
}
END_TEST

/* Both faces of a page come back, whichever is seen. */
START_TEST(shadow_round_trip)
{
	struct state s;
	uint8_t *ram = malloc(LEGACY_END);

	pam(0x59, 0x30);
	pam(0x5a, 0x32);
	phys_write(&pc.mem, 0xf0000, 0x21, 1);
	phys_write(&pc.mem, 0xc0000, 0x22, 1);
	state_init(&s);
	machine_save(&pc, &s);
	memcpy(ram, pc.mem.ram, LEGACY_END);
	machine_reset(&pc);
	memcpy(pc.mem.ram, ram, LEGACY_END);
	ck_assert_int_eq(machine_restore(&pc, &s), 0);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xf0000, 1), 0x21);
	ck_assert_uint_eq(memory_flags(&pc.mem, 0xf0000), 0);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xc0000, 1), 0xff);
	pam(0x5a, 0x33);
	ck_assert_uint_eq(phys_read(&pc.mem, 0xc0000, 1), 0x22);
	state_free(&s);
	free(ram);
}
END_TEST

START_TEST(round_trips)
{
	cfg_write(ISA, 0x60, 0x0b0a8005, 4);
	pc_round_trip(&piix3_device);
	ck_assert_uint_eq(cfg(ISA, 0x60), 0x0b0a8005);
	bus_out(pc.bus, 0xcf8, 0x80000844, 4);
	pc_round_trip(&pci_device);
	ck_assert_uint_eq(bus_in(pc.bus, 0xcf8, 4), 0x80000844);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pci");
	TCase *t = tcase_create("pci");

	tcase_add_checked_fixture(t, setup, pc_teardown);
	tcase_add_test(t, identities);
	tcase_add_test(t, base_addresses);
	tcase_add_test(t, overlap);
	tcase_add_test(t, routing);
	tcase_add_test(t, shadowing);
	tcase_add_test(t, video_dram);
	tcase_add_test(t, shadow_round_trip);
	tcase_add_test(t, round_trips);
	suite_add_tcase(s, t);
	return suite_run(s);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest could do to the drives: commands, packets, and what the bus master and the ISA DMA move. */
#include "tests/fuzz/deeds.h"

#define below(n)	deeds_below(n)
#define value		deeds_value
#define address		deeds_address

static uint16_t cable(void)
{
	return below(2) ? 0x1f0 : 0x170;
}

void deed_ata(void)
{
	static const uint8_t commands[] = { 0x20, 0x24, 0x25, 0x27, 0x29, 0x30, 0x34, 0x35, 0x39, 0x40,
		0x90, 0x91, 0xa0, 0xa1, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xe7, 0xec, 0xef, 0xf8, 0x08 };
	uint16_t at = cable();

	deeds_out(at + 6, (below(2) ? 0xe0 : 0xa0) | (below(8) ? 0 : 0x10), 1);
	for (unsigned i = 0; i < 2; i++) {
		deeds_out(at + 1, below(4), 1);
		deeds_out(at + 2, below(4) ? below(20) : value(), 1);
		deeds_out(at + 3, value(), 1);
		deeds_out(at + 4, below(4) ? below(9) : value(), 1);
		deeds_out(at + 5, below(4) ? 0 : value(), 1);
	}
	deeds_out(at + 7, commands[below(ARRAY_LEN(commands))], 1);
}

void deed_drive_port(void)
{
	static const struct { uint16_t first, count; } places[] = {
		{ 0x1f0, 8 }, { 0x170, 8 }, { 0x376, 1 }, { 0x3f6, 1 }, { 0x3f0, 6 },
		{ 0xc000, 16 },
	};
	unsigned i = below(ARRAY_LEN(places));

	deeds_access((uint16_t)(places[i].first + below(places[i].count)));
}

void deed_packet(void)
{
	static const uint8_t opcodes[] = { 0x00, 0x03, 0x12, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x42, 0x43,
		0x46, 0x4a, 0x51, 0x5a, 0xa8, 0xbd, 0xbe };

	deeds_out(0x176, 0xa0, 1);
	deeds_out(0x171, below(2), 1);
	deeds_out(0x174, value(), 1);
	deeds_out(0x175, value(), 1);
	deeds_out(0x177, 0xa0, 1);
	deeds_out(0x170, opcodes[below(ARRAY_LEN(opcodes))] | below(4) << 8, 2);
	for (unsigned i = 0; i < 5; i++)
		deeds_out(0x170, below(3) ? below(4) << 8 * below(2) : value(), 2);
}

void deed_data(void)
{
	uint16_t at = cable();
	unsigned size = 1u << below(3), n = below(1200);
	bool write = below(2);

	for (unsigned i = 0; i < n; i++) {
		if (write)
			deeds_out(at, (uint32_t)i, size);
		else
			deeds_in(at, size);
	}
}

void deed_bus_master(void)
{
	uint16_t at = (uint16_t)(0xc000 + 8 * below(2));
	uint64_t table = below(8) ? below(256) * 64 : address();

	for (unsigned i = 0, n = 1 + below(6); i < n; i++) {
		uint32_t entry[2] = { (uint32_t)address(), value() };

		entry[1] |= i == n - 1 ? 1u << 31 : 0;
		phys_write_bulk(&deeds_machine()->mem, table + 8 * i, entry, 8);
	}
	deeds_out(at, 0, 1);
	deeds_out(at + 4, (uint32_t)table, 4);
	deeds_out(at, below(4) ? 9 : 1, 1);
}

/* A command with mostly sensible bytes, DMA set up or not, and its result. */
void deed_floppy(void)
{
	static const uint8_t names[] = { 0x03, 0x04, 0x07, 0x08, 0x0f, 0x4a, 0x46, 0xe6, 0xc5, 0x45,
		0x4d, 0x0e, 0x10, 0x12, 0x13, 0x14, 0x94 };

	deeds_out(0x3f2, below(8) ? 0x1c : value(), 1);
	deeds_out(0x3f7, below(8) ? 0 : value(), 1);
	deeds_out(0x0b, (below(2) ? 0x46 : 0x4a) | (below(4) ? 0 : below(4) << 4), 1);
	for (unsigned i = 0; i < 4; i++)
		deeds_out((uint16_t)(4 + (i & 1)), value(), 1);
	deeds_out(0x81, value(), 1);
	deeds_out(0x0a, below(8) ? 2 : value(), 1);
	deeds_out(0x3f5, names[below(ARRAY_LEN(names))], 1);
	for (unsigned i = 0; i < 8; i++)
		deeds_out(0x3f5, i == 0 ? below(8) : i == 4 ? 2 :
			below(4) ? below(3) : value(), 1);
	for (unsigned i = 0; i < 7; i++)
		deeds_in(0x3f5, 1);
}

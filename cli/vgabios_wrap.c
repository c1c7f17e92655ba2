/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An option ROM that does not depend on how firmware starts it: its entry leads to code
 * behind it (vgabios_entry.S), and from there to where it led before.
 *
 *	0	55 AA, length in units of 512 bytes
 *	3	JMP rel16 to the initialisation; what begins otherwise stays as it is
 *	0x18	offset of the PCI data structure: "PCIR", at 0x10 the length again
 *	the sum of all bytes is 0
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/firmware.h"

#define UNIT		512u
#define ENTRY		3u
#define JMP_REL16	0xe9
#define JMP_SIZE	3u
#define PCIR_POINTER	0x18u
#define PCIR_LENGTH	0x10u

extern const uint8_t vgabios_entry[], vgabios_entry_end[];

static unsigned get16(const uint8_t *at)
{
	return at[0] | at[1] << 8;
}

/* Where a jump at `at` leads: offsets wrap in the segment. */
static uint16_t jump_target(const uint8_t *rom, size_t at)
{
	return (uint16_t)(at + JMP_SIZE + get16(rom + at + 1));
}

static void jump_to(uint8_t *rom, size_t at, uint16_t target)
{
	rom[at] = JMP_REL16;
	put_le(rom + at + 1, (uint16_t)(target - at - JMP_SIZE), 2);
}

static void lengthen_pci(uint8_t *rom, size_t size)
{
	size_t pcir = get16(rom + PCIR_POINTER);

	if (pcir + PCIR_LENGTH + 2 <= size && memcmp(rom + pcir, "PCIR", 4) == 0)
		put_le(rom + pcir + PCIR_LENGTH, get16(rom + pcir + PCIR_LENGTH) + 1u, 2);
}

int vgabios_wrap(uint8_t **image, size_t *size, size_t most)
{
	size_t old = *size, jump = (size_t)(vgabios_entry_end - vgabios_entry) - 1;
	uint8_t *rom, sum = 0;

	if (old != (*image)[2] * UNIT || old + UNIT > most || (*image)[2] == UINT8_MAX ||
	    (*image)[ENTRY] != JMP_REL16)
		return 0;
	rom = realloc(*image, old + UNIT);
	if (!rom)
		return -ENOMEM;
	memset(rom + old, 0, UNIT);
	memcpy(rom + old, vgabios_entry, jump);
	jump_to(rom, old + jump, jump_target(rom, ENTRY));
	jump_to(rom, ENTRY, (uint16_t)old);
	rom[2]++;
	lengthen_pci(rom, old);
	for (size_t i = 0; i < old + UNIT; i++)
		sum += rom[i];
	rom[old + UNIT - 1] = (uint8_t)-sum;
	*image = rom;
	*size = old + UNIT;
	return 0;
}

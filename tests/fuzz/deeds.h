/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest could do to the devices, one deed at a time: any port in any width, any
 * address for their DMA, any physical address, PCI ranges moved on top of each other. Half of the
 * deeds are plausible, so that they get further than to the first check: commands with their
 * registers, packets, tables for the bus master. What is done is decided by a
 * generator, or by the bytes of a fuzzer.
 */
#ifndef TESTS_FUZZ_DEEDS_H
#define TESTS_FUZZ_DEEDS_H

#include "machine/machine.h"

enum deeds_kind { DEEDS_ANY, DEEDS_DRIVES, DEEDS_KINDS };

void deeds_seed(uint64_t seed);
void deeds_bytes(const uint8_t *p, size_t n);
size_t deeds_left(void);		/* bytes */
unsigned deeds_below(unsigned n);	/* the next decision, 0 to n - 1 */

uint32_t deeds_value(void);	/* small numbers, single bits, ends, anything */
uint64_t deeds_address(void);	/* RAM, its end, what lies behind, anything */


/* A machine with disks, a CD, a floppy and a network interface. */
bool deeds_open(void);
struct machine *deeds_machine(void);
static inline void deeds_out(unsigned port, uint32_t val, unsigned size)
{
	bus_out(deeds_machine()->bus, (uint16_t)port, val, size);
}
static inline uint32_t deeds_in(unsigned port, unsigned size)
{
	return bus_in(deeds_machine()->bus, (uint16_t)port, size);
}
/* Reads or writes that port in some width. */
void deeds_access(uint16_t at);
void deeds_do(enum deeds_kind kind);
const char *deeds_name(void);		/* of the last one */
/* NULL, or what is not as it should be; thorough: every byte of the ROM and of the images. */
const char *deeds_close(bool thorough);

/* deeds_drives.c */
void deed_ata(void);
void deed_drive_port(void);
void deed_packet(void);
void deed_data(void);
void deed_bus_master(void);
void deed_floppy(void);

/* deeds_net.c: what is in slots 3 and 4 put where its deeds look for it, and they. */
#define NIC_PORTS	0xc100
#define BLK_PORTS	0xc180
#define NIC_MEMORY	0xe8000000u
#define BLK_MEMORY	0xe8010000u
void deeds_place(void);
void deed_frames(void);
void deed_ne2000(void);
void deed_virtio(void);
void deed_queue(void);

#endif

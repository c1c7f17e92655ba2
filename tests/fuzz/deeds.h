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

/* A machine with disks, a CD and a floppy. */
bool deeds_open(void);
struct machine *deeds_machine(void);
void deeds_do(enum deeds_kind kind);
const char *deeds_name(void);		/* of the last one */
/* NULL, or what is not as it should be; thorough: every byte of the ROM and of the images. */
const char *deeds_close(bool thorough);

#endif

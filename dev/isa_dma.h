/* SPDX-License-Identifier: BSD-2-Clause */
/* ISA DMA for a device on a channel of the first controller (bytes). */
#ifndef DEV_ISA_DMA_H
#define DEV_ISA_DMA_H

#include "machine/machine.h"

/*
 * The device has n bytes for memory, or wants n from it. Gives how many were moved: fewer if
 * the count ran out, which sets *tc, or if the guest has not set the channel up.
 */
unsigned isa_dma_to_memory(struct machine *m, unsigned channel, const uint8_t *buf, unsigned n,
			   bool *tc);
unsigned isa_dma_from_memory(struct machine *m, unsigned channel, uint8_t *buf, unsigned n,
			     bool *tc);

#endif

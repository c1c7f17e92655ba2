/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands of disks, CD and floppy: their registers, packets, data and DMA, as the bytes say. */
#include "tests/fuzz/target_deeds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_deeds(DEEDS_DRIVES, data, size);
}

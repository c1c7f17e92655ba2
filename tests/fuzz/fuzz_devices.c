/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices: ports, memory and DMA, as the bytes say (tests/fuzz/deeds.h). */
#include "tests/fuzz/target_deeds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_deeds(DEEDS_ANY, data, size);
}

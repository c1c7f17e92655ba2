/* SPDX-License-Identifier: BSD-2-Clause */
/* What the targets that do deeds to a machine have in common. */
#ifndef TESTS_FUZZ_TARGET_DEEDS_H
#define TESTS_FUZZ_TARGET_DEEDS_H

#include "tests/fuzz/deeds.h"
#include "tests/fuzz/target.h"

#define DEEDS_MAX	400

static inline int fuzz_deeds(enum deeds_kind kind, const uint8_t *data, size_t size)
{
	const char *bad;

	deeds_bytes(data, size);
	if (!deeds_open())
		fuzz_failed("no machine");
	for (unsigned i = 0; i < DEEDS_MAX && deeds_left(); i++)
		deeds_do(kind);
	bad = deeds_close(false);
	if (bad)
		fuzz_failed(bad);
	return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *to)
{
	uint32_t x = i + 1;

	if (i == 12)
		return 0;
	for (unsigned k = 0; k < 1200; k++) {
		x = x * 1103515245 + 12345;
		to[k] = (uint8_t)(x >> 16);
	}
	return 1200;
}

#endif

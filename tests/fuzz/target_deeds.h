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
	return i < 12 ? fuzz_noise(to, 1200, i + 1) : 0;
}

#endif

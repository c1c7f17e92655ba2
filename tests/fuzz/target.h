/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzz target: a program of one of the fuzz_*.c, and libFuzzer's main() (configure with
 * --enable-fuzzers) or standalone.c's, which runs the seeds and mutations of them.
 */
#ifndef TESTS_FUZZ_TARGET_H
#define TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One input. Returns 0; what must not happen ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* The i-th of the inputs to begin with, of at most SEED_MAX bytes; 0: there are no more. */
#define SEED_MAX	(16u << 10)
size_t fuzz_seed(unsigned i, uint8_t *to);

/* For targets: what must not happen has. */
static inline void fuzz_failed(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

/* A seed of n bytes that are nothing in particular, the same for the same x. */
static inline size_t fuzz_noise(uint8_t *to, size_t n, uint32_t x)
{
	for (size_t k = 0; k < n; k++) {
		x = x * 1103515245 + 12345;
		to[k] = (uint8_t)(x >> 16);
	}
	return n;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* What kernels are packed with (cli/unpack.c). */
#include "cli/unpack.h"
#include "tests/fuzz/target.h"
#include "tests/pack.h"

#define LIMIT	(1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *format = NULL;
	uint8_t *out = NULL;
	size_t n = 0;

	if (!unpack_payload(data, size, LIMIT, NULL, &out, &n, &format)) {
		static uint8_t copy[LIMIT];

		if (n > LIMIT)
			fuzz_failed("more than the limit was unpacked");
		memcpy(copy, out, n);	/* all of it is there */
		free(out);
	}
	return 0;
}

/* A text, and what does not get smaller. */
size_t fuzz_seed(unsigned i, uint8_t *to)
{
	static uint8_t plain[4096];

	if (i >= 2 * ARRAY_LEN(packers))
		return 0;
	for (unsigned k = 0; k < sizeof(plain); k++)
		plain[k] = (uint8_t)(i & 1 ? k * 2654435761u >> 24 : k % 23 + 'a');
	memcpy(plain, "\177ELF\1\1\1", 7);
	return pack(&packers[i / 2], plain, sizeof(plain), to, SEED_MAX);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzz target without libFuzzer: each seed and so many mutations of it, always the same
 * ones; or the files that are named, such as one that libFuzzer has found.
 *
 *	fuzz_NAME [--rounds N] [--seeds DIRECTORY] [FILE...]
 *
 * --seeds only writes the seeds there, as libFuzzer's first corpus.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/target.h"

#define MUTATIONS	8	/* at most, in one input */

static uint64_t state = 0x9e3779b97f4a7c15ull;
static unsigned seed, round_now;

static unsigned below(size_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)((state >> 20) % n);
}

static size_t mutate(uint8_t *p, size_t n)
{
	size_t at = below(n), len;

	switch (below(6)) {
	case 0:
		p[at] ^= (uint8_t)(1u << below(8));
		break;
	case 1:
		p[at] = (uint8_t)below(256);
		break;
	case 2:
		p[at] = below(2) ? 0xff : 0;
		break;
	case 3:				/* cut */
		return below(8) ? n : at + 1;
	case 4:				/* a piece once more, elsewhere */
		len = 1 + below(n - at < 32 ? n - at : 32);
		memmove(p + below(n - len + 1), p + at, len);
		break;
	default:			/* more at the end */
		for (len = below(64); len && n < SEED_MAX; len--)
			p[n++] = (uint8_t)below(256);
	}
	return n;
}

/* A copy of the very size, so that a sanitizer sees what is read behind it. */
static void run(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	if (!copy)
		exit(99);
	memcpy(copy, p, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static int run_file(const char *name)
{
	static uint8_t buf[1 << 20];
	FILE *f = fopen(name, "rb");
	size_t n;

	if (!f) {
		perror(name);
		return 1;
	}
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	run(buf, n);
	return 0;
}

static int write_seed(const char *dir, unsigned i, const uint8_t *p, size_t n)
{
	char name[4096];
	FILE *f;
	bool good;

	mkdir(dir, 0777);
	snprintf(name, sizeof(name), "%s/seed-%u", dir, i);
	f = fopen(name, "wb");
	good = f && fwrite(p, 1, n, f) == n;
	if (!f || fclose(f) || !good) {
		perror(name);
		return 1;
	}
	return 0;
}

static void on_signal(int sig)
{
	fprintf(stderr, "fuzz: seed %u, round %u: signal %d\n", seed, round_now, sig);
	_exit(1);
}

int main(int argc, char **argv)
{
	static uint8_t buf[SEED_MAX], original[SEED_MAX];
	unsigned rounds = 200, files = 0, inputs = 0;
	const char *dir = NULL;
	size_t n;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--rounds") && i + 1 < argc)
			rounds = (unsigned)strtoul(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--seeds") && i + 1 < argc)
			dir = argv[++i];
		else if (files++, run_file(argv[i]))
			return 1;
	}
	if (files)
		return 0;
#if !defined(__SANITIZE_ADDRESS__)
	signal(SIGSEGV, on_signal);
#endif
	signal(SIGABRT, on_signal);
	for (seed = 0; (n = fuzz_seed(seed, original)); seed++) {
		size_t m = n;

		if (dir && write_seed(dir, seed, original, n))
			return 1;
		for (round_now = 0; !dir && round_now <= rounds; round_now++, inputs++) {
			memcpy(buf, original, n);
			m = n;
			for (unsigned k = round_now ? 1 + below(MUTATIONS) : 0; k; k--)
				m = mutate(buf, m);
			run(buf, m);
		}
	}
	printf("%s: %u seeds, %u inputs\n", argv[0], seed, inputs);
	return 0;
}

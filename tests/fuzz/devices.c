/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that does to the devices whatever comes to its mind (tests/fuzz/deeds.h). Nothing
 * may crash, no image may change that is not to be written, and ROM stays ROM.
 *
 *	devices [--seconds N | --count N] [--seed FIRST]
 *
 * A seed is a machine and 3,000 deeds.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/fuzz/deeds.h"

#define DEEDS		3000

static uint64_t seed;

static bool one(void)
{
	const char *bad;

	deeds_seed(seed);
	if (!deeds_open()) {
		fputs("devices: no machine\n", stderr);
		return false;
	}
	for (unsigned n = 0; n < DEEDS; n++)
		deeds_do(DEEDS_ANY);
	bad = deeds_close(true);
	if (bad)
		fprintf(stderr, "devices: seed %" PRIu64 ": %s\n", seed, bad);
	return !bad;
}

static void on_abort(int sig)
{
	fprintf(stderr, "devices: seed %" PRIu64 ", %s: signal %d\n", seed, deeds_name(), sig);
}

int main(int argc, char **argv)
{
	uint64_t count = 100, done = 0;
	double seconds = 0;
	time_t begin = time(NULL);

	seed = 1;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--seconds"))
			seconds = atof(argv[i + 1]);
		else if (!strcmp(argv[i], "--count"))
			count = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], NULL, 0);
	}
	signal(SIGABRT, on_abort);
	for (; seconds > 0 ? difftime(time(NULL), begin) < seconds : done < count; seed++, done++)
		if (!one())
			return EXIT_FAILURE;
	printf("devices: %" PRIu64 " machines of %u deeds\n", done, DEEDS);
	return EXIT_SUCCESS;
}

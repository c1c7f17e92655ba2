/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * forkstorm: n processes, up to WINDOW at a time, each of which changes some
 * pages that it inherited and checks that it, and only it, sees the change.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guests/workloads/workloads.h"

#define WINDOW 100
#define PAGES 32
#define WORDS (4096 / sizeof(uint32_t))

static uint32_t (*area)[WORDS];

static uint32_t original(long page, long word)
{
	return page * 0x01000193u + word;
}

/* Everything is as the parent wrote it, but what child k has changed. */
static int intact(long k, long step)
{
	for (long p = 0; p < PAGES; p++)
		for (unsigned long w = 0; w < WORDS; w += 37) {
			uint32_t want = original(p, w);

			if (step && p % step == 0 && w == 37)
				want = ~want + k;
			if (area[p][w] != want)
				return 0;
		}
	return 1;
}

static int child(long k)
{
	long step = 1 + k % 7;

	for (long p = 0; p < PAGES; p += step)
		area[p][37] = ~original(p, 37) + k;
	if (k % 16 == 0)
		usleep(1000); /* let others run in between */
	return intact(k, step) ? k % 251 : 255;
}

/* Exit codes come in any order, so they are added up. */
static uint32_t reap(void)
{
	int status;

	if (wait(&status) < 0)
		fail("forkstorm: wait");
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 250)
		fail("forkstorm: a child ended with status %#x", status);
	return WEXITSTATUS(status);
}

uint64_t run_forkstorm(long n)
{
	uint64_t total = 0;
	long running = 0;

	area = mmap(NULL, PAGES * sizeof(*area), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		fail("forkstorm: mmap");
	for (long p = 0; p < PAGES; p++)
		for (unsigned long w = 0; w < WORDS; w++)
			area[p][w] = original(p, w);
	for (long k = 0; k < n; k++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("forkstorm: fork %ld", k);
		if (!pid)
			_exit(child(k));
		if (++running == WINDOW) {
			total += reap();
			running--;
		}
	}
	while (running--)
		total += reap();
	errno = 0;
	if (!intact(0, 0))
		fail("forkstorm: the parent's pages have changed");
	munmap(area, PAGES * sizeof(*area));
	return sum(SUM_START, total);
}

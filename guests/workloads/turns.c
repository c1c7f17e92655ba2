/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * turns: 200 live processes in a ring, each with memory of its own, run in turn. A token
 * goes round n times; who has it works on its memory for a while (long enough to be worth a
 * crossing) and wakes the next. So every turn is another address space.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guests/workloads/workloads.h"

#define PROCESSES	200
#define PAGES		16
#define STEPS		20000
#define WORDS		(PAGES * 4096 / sizeof(uint32_t))

static uint32_t work(uint32_t *mine, uint32_t token)
{
	uint64_t state = token;

	for (unsigned i = 0; i < STEPS; i++) {
		uint32_t *p = &mine[rnd(&state) % WORDS];

		*p = *p * 5 + token;
		token ^= *p;
	}
	return token;
}

/* Each reads from the pipe that its predecessor writes to; the first of them is us. */
uint64_t run_turns(long n)
{
	int first[2], in, out[2], status;
	uint64_t s = SUM_START;
	uint32_t token = 1;
	uint32_t *mine = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mine == MAP_FAILED || pipe(first))
		fail("turns");
	in = first[0];
	for (unsigned i = 1; i < PROCESSES; i++) {
		if (pipe(out))
			fail("turns: pipe");

		pid_t child = fork();

		if (child < 0)
			fail("turns: fork");
		if (!child) {
			close(out[0]);
			close(first[1]);
			while (read(in, &token, sizeof(token)) == sizeof(token)) {
				token = work(mine, token + i);
				if (write(out[1], &token, sizeof(token)) != sizeof(token))
					_exit(1);
			}
			_exit(0);
		}
		close(in);
		close(out[1]);
		in = out[0];
	}
	for (long k = 0; k < n; k++) {
		token = work(mine, token);
		if (write(first[1], &token, sizeof(token)) != sizeof(token) ||
		    read(in, &token, sizeof(token)) != sizeof(token))
			fail("turns: broken at %ld", k);
		s = sum(s, token);
	}
	close(first[1]);
	for (unsigned i = 1; i < PROCESSES; i++)
		if (wait(&status) < 0 || status)
			fail("turns: a process ended with %#x", status);
	munmap(mine, PAGES * 4096);
	return s;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Generated user programs in lockstep: the interpreter and the host's processor do
 * each instruction from the same state, and must agree.
 *
 *   programs [--width 32|64] [--seconds N | --count N] [--seed FIRST]
 *
 * Seeds are FIRST, FIRST + 1, ...; a program is a function of width and seed alone. One
 * that fails is shrunk (instructions become NOPs while it still fails), shown, and
 * named with the command that repeats it.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/generate.h"

#define PROGRAMS_A_GUEST 50
#define STEPS_MAX	300	/* a program may loop */

/* An instruction that ends in an exception is passed over, as a signal handler would.
 * False: the engines disagree. */
static bool program_run(struct guest *g, const struct program *p)
{
	program_load(g, p, true);
	for (unsigned i = 0; i < STEPS_MAX && g->m.power == POWER_ON; i++) {
		struct cpu before = *g->m.cpu;
		unsigned next;

		vmm_lockstep_steps(g->vmm, 1);
		if (g->m.cpu->cpl == 3)
			continue;
		next = program_next(p, before.rip);
		if (!next)
			break;
		*g->m.cpu = before;
		g->m.cpu->rip = CODE_GVA + next;
	}
	return g->m.power != POWER_DIFFERENCE;
}

/* NOPs for every instruction without which it still fails, from the end on. */
static void program_shrink(struct guest *g, struct program *p)
{
	int err = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	static uint8_t saved[32];

	dup2(null, STDERR_FILENO);
	for (unsigned i = p->n; i-- > 0; ) {
		unsigned len = p->at[i + 1] - p->at[i];

		memcpy(saved, p->code + p->at[i], len);
		memset(p->code + p->at[i], 0x90, len);
		if (program_run(g, p))
			memcpy(p->code + p->at[i], saved, len);
	}
	dup2(err, STDERR_FILENO);
	close(err);
	close(null);
}

static bool seed_run(struct guest *g, uint64_t seed)
{
	static struct program p;

	program_make(&p, g->wide, seed);
	if (program_run(g, &p))
		return true;
	program_shrink(g, &p);
	fprintf(stderr, "programs: fails; repeat with: programs --width %d --count 1 --seed %" PRIu64 "\n"
		"  shrunk to:\n", g->wide ? 64 : 32, seed);
	program_show(&p, g->wide);
	return false;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, count = 0, ran = 0, bad = 0;
	double seconds = 0, until;
	struct lockstep_counts n, all = { 0 };
	static struct guest g;
	unsigned width = 32;
	int r;

	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(argv[i], "--width"))
			width = (unsigned)atoi(value);
		else if (!strcmp(argv[i], "--seconds"))
			seconds = atof(value);
		else if (!strcmp(argv[i], "--count"))
			count = strtoull(value, NULL, 0);
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoull(value, NULL, 0);
		else
			width = 0;
	}
	if ((width != 32 && width != 64) || (!count && !(seconds > 0))) {
		fprintf(stderr, "usage: programs [--width 32|64] [--seconds N | --count N] [--seed FIRST]\n");
		return 2;
	}
	r = guest_open(&g, width == 64);
	if (r)
		return r;
	for (until = now() + seconds; count ? ran < count : now() < until; ran++) {
		/* A new guest now and then: the shadow gives up on pages that change often. */
		if (ran % PROGRAMS_A_GUEST == PROGRAMS_A_GUEST - 1) {
			vmm_lockstep_counts(g.vmm, &n);
			all.compared += n.compared;
			all.skipped += n.skipped;
			guest_close(&g);
			if (guest_open(&g, width == 64))
				return 1;
		}
		bad += !seed_run(&g, seed++);
		if (g.m.power == POWER_HOST_FAILURE || bad == 20)
			break;
	}
	vmm_lockstep_counts(g.vmm, &n);
	n.compared += all.compared;
	n.skipped += all.skipped;
	printf("%u-bit: %" PRIu64 " programs, %" PRIu64 " instructions compared, %" PRIu64
	       " not comparable, %" PRIu64 " programs fail\n", width, ran, n.compared, n.skipped, bad);
	r = bad || g.m.power == POWER_HOST_FAILURE || !n.compared;
	guest_close(&g);
	return r;
}

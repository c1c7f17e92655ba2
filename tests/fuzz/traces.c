/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interpreter against itself: generated programs in traces (fused, linked, with dead
 * flags left out) and instruction by instruction must end in the same state. The
 * second round of a program runs in the traces and links that the first has made.
 *
 *   traces [--width 32|64] [--count N] [--seed FIRST]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/generate.h"

#define EXCEPTIONS_MAX	60
#define ALONE_MAX	4000	/* instructions one by one; a program may loop */

struct end {
	struct cpu cpu;
	uint8_t code[CODE_SIZE], data[DATA_SIZE];
	bool complete;
};

/* To the next exception; false: it loops. */
static bool to_exception(struct guest *g, bool traces)
{
	if (traces) {
		interp_run(g->interp, ALONE_MAX / 4, RUN_UNTIL_KERNEL);
		return g->m.cpu->cpl == 0;
	}
	for (unsigned i = 0; i < ALONE_MAX && g->m.cpu->cpl == 3; i++)
		interp_run(g->interp, 1, RUN_ONE);
	return g->m.cpu->cpl == 0;
}

/* An instruction that ends in an exception is passed over. */
static void program_run(struct guest *g, const struct program *p, bool traces, bool code, struct end *out)
{
	program_load(g, p, code);
	g->m.cpu->cr4 |= CR4_TSD;	/* time is no part of the state */
	out->complete = false;
	for (unsigned i = 0; i < EXCEPTIONS_MAX && to_exception(g, traces); i++) {
		unsigned next;

		out->cpu = *g->m.cpu;	/* with vector, error code and CR2 in the frame below */
		next = program_next(p, guest_return(g));
		if (!next) {
			out->complete = true;
			break;
		}
		g->m.cpu->rip = CODE_GVA + next;
		g->m.cpu->cr4 |= CR4_TSD;
	}
	memcpy(out->code, g->m.mem.ram + CODE_GVA, CODE_SIZE);
	memcpy(out->data, g->m.mem.ram + DATA_GVA, DATA_SIZE);
}

/* What differs, or NULL. */
static const char *difference(const struct end *a, const struct end *b)
{
	const struct cpu *x = &a->cpu, *y = &b->cpu;

	if (memcmp(x->gpr, y->gpr, 16 * sizeof(x->gpr[0])))
		return "general registers";
	if (x->rip != y->rip || x->cr2 != y->cr2)
		return "the last exception";
	if (cpu_eflags(x) != cpu_eflags(y))
		return "flags";
	if (memcmp(&x->fpu, &y->fpu, sizeof(x->fpu)))
		return "FPU or SSE state";
	if (memcmp(a->code, b->code, CODE_SIZE) || memcmp(a->data, b->data, DATA_SIZE))
		return "memory";
	return NULL;
}

static const char *seed_run(struct guest *g, uint64_t seed, bool *compared)
{
	static struct end alone, first, second;
	static struct program p;
	const char *what;

	program_make(&p, g->wide, seed);
	program_run(g, &p, false, true, &alone);
	program_run(g, &p, true, true, &first);
	*compared = alone.complete && first.complete;
	if (!*compared)		/* one that loops stops where the budget ends */
		return NULL;
	what = difference(&alone, &first);
	if (what || memcmp(first.code, p.code, CODE_SIZE))
		return what;
	program_run(g, &p, true, false, &second);
	return second.complete ? difference(&alone, &second) : "the end: linked traces loop";
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, count = 0, compared = 0, bad = 0;
	static struct guest g;
	unsigned width = 32;

	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(argv[i], "--width"))
			width = (unsigned)atoi(value);
		else if (!strcmp(argv[i], "--count"))
			count = strtoull(value, NULL, 0);
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoull(value, NULL, 0);
		else
			width = 0;
	}
	if ((width != 32 && width != 64) || !count) {
		fprintf(stderr, "usage: traces [--width 32|64] [--count N] [--seed FIRST]\n");
		return 2;
	}
	if (guest_open_interp(&g, width == 64))
		return 1;
	for (uint64_t i = 0; i < count && bad < 20; i++, seed++) {
		static struct program p;
		bool both;
		const char *what = seed_run(&g, seed, &both);

		compared += both;
		if (!what)
			continue;
		bad++;
		fprintf(stderr, "traces: %s: repeat with: traces --width %u --count 1 --seed %"
			PRIu64 "\n", what, width, seed);
		program_make(&p, g.wide, seed);
		program_show(&p, g.wide);
	}
	printf("%u-bit: %" PRIu64 " programs, %" PRIu64 " compared, %" PRIu64 " differ\n", width, count,
	       compared, bad);
	guest_close(&g);
	return bad || compared < count / 2;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Every form, every pair, many states: the definitions at work. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "criterion/world.h"

const struct criterion_case criterion_cases[] = {
	{ "386", "80386, protected mode", "486,-fpu", NULL, WORLD_P32, IOPL_ANY, true, false, false, false },
	{ "386-gate", "the same, with IF set and IOPL 0", "486,-fpu", NULL, WORLD_P32, IOPL_GATE, true, false, false, false },
	{ "386-iopl3", "the same, with IOPL 3", "486,-fpu", NULL, WORLD_P32, IOPL_3, true, false, false, false },
	{ "386-v86", "80386, virtual-8086 mode", "486,-fpu", NULL, WORLD_V86, IOPL_ANY, true, false, false, false },
	{ "pentium", "Pentium, protected mode", "pentium", "pentium2", WORLD_P32, IOPL_ANY, false, false, false, false },
	{ "pentium-tsd", "the same, with CR4.TSD", "pentium", "pentium2", WORLD_P32, IOPL_GATE, false, false, true, false },
	{ "x86-64", "x86-64, 64-bit mode", "x86-64-v2", "Nehalem", WORLD_L64, IOPL_ANY, false, false, false, false },
	{ "x86-64-gate", "the same, with IF set and IOPL 0", "x86-64-v2", "Nehalem", WORLD_L64, IOPL_GATE, false, false, false, false },
	{ "x86-64-umip", "the same, with CR4.UMIP and TSD", "x86-64-v2,+umip", "Nehalem,+umip", WORLD_L64, IOPL_GATE,
	  false, true, true, false },
	{ "x86-64-faulting", "the same, and CPUID faults in user mode", "x86-64-v2,+umip", "Nehalem,+umip",
	  WORLD_L64, IOPL_GATE, false, true, true, true },
};
const unsigned criterion_ncases = ARRAY_LEN(criterion_cases);

const char *pair_text(unsigned pair)
{
	static const char *const text[PAIRS + 1] = {
#define PAIR(id, worlds, text)	text,
#include "criterion/pairs.def"
#undef PAIR
		"nothing: before and after",
	};

	return text[pair];
}

struct run {
	struct world w;
	struct criterion *c;
	struct state a, b;
	struct outcome ra, rb;
};

/* The first is kept, and among equals the shortest: people read it. */
static void keep(struct witness *to, const struct witness *w)
{
	if (!to->found || w->length < to->length)
		*to = *w;
}

static void one_state(struct run *r, struct verdict *v, const uint8_t *bytes, unsigned length, uint64_t seed,
		      bool user)
{
	struct witness w = { .found = true, .seed = seed, .user = user, .length = (uint8_t)length };

	memcpy(w.bytes, bytes, sizeof(w.bytes));
	state_random(&r->w, &r->a, seed, user, bytes, length);
	world_run(&r->w, &r->a, &r->ra);
	v->runs++;
	w.pair = PAIRS;
	if (r->ra.how != ENDED_TRAP && resource_changed(&r->a, &r->ra, &w))
		keep(user ? &v->user_control : &v->control, &w);
	for (unsigned pair = 0; pair < PAIRS; pair++) {
		if (!state_pair(&r->w, &r->a, &r->b, pair))
			continue;
		if (r->ra.how == ENDED_TRAP && pair != PAIR_MODE)
			continue;
		world_run(&r->w, &r->b, &r->rb);
		v->runs++;
		/* What memory a mode may use is not what makes an instruction privileged. */
		if (pair == PAIR_MODE && r->ra.how != ENDED_TRAP)
			v->passed++;
		else if (pair == PAIR_MODE && r->rb.how != ENDED_TRAP && r->ra.vector != VEC_PF)
			v->trapped++;
		if (r->ra.how == ENDED_TRAP || r->rb.how == ENDED_TRAP)
			continue;
		w.pair = (uint8_t)pair;
		if (!outcomes_differ(&r->a, &r->ra, &r->b, &r->rb, &w))
			continue;
		v->shown[user] |= 1u << pair;
		keep(user && pair != PAIR_MODE ? &v->user_behaviour : &v->behaviour, &w);
	}
}

static struct verdict *verdict_of(struct criterion *c, const char *name)
{
	for (unsigned i = 0; i < c->n; i++)
		if (!strcmp(c->v[i].name, name))
			return &c->v[i];
	snprintf(c->v[c->n].name, NAME_MAX_, "%s", name);
	return &c->v[c->n++];
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* An instruction of few forms is tried as often as one of many. */
#define FORMS_ENOUGH	16u
static unsigned states_of(const struct form *f, unsigned n, unsigned i, unsigned states)
{
	unsigned forms = 0;

	for (unsigned k = 0; k < n && forms < FORMS_ENOUGH; k++)
		forms += !strcmp(f[k].name, f[i].name);
	return states * FORMS_ENOUGH / forms;
}

int criterion_run(struct criterion *out, const struct criterion_case *of, unsigned states, uint64_t seed,
		  const char *only)
{
	struct run *r = calloc(1, sizeof(*r));
	double began = now();
	struct form *f;
	unsigned n;
	int err;

	memset(out, 0, sizeof(*out));
	out->of = of;
	if (!r)
		return -ENOMEM;
	err = world_open(&r->w, of);
	f = err ? NULL : forms_all(&r->w, &n);
	out->v = f ? calloc(n, sizeof(*out->v)) : NULL;
	if (!out->v)
		err = err ? err : -ENOMEM;
	for (unsigned i = 0; !err && i < n; i++) {
		struct verdict *v;

		if (only && strcmp(only, f[i].name))
			continue;
		v = verdict_of(out, f[i].name);
		v->forms++;
		out->forms++;
		const unsigned most = states_of(f, n, i, states);

		for (unsigned k = 0; k < most; k++) {
			uint64_t s = (seed << 40 ^ (uint64_t)i << 20 ^ k) * 0x9e3779b97f4a7c15ull + 1;
			uint8_t bytes[16];
			unsigned length = form_encode(&r->w, &f[i], &s, bytes);

			if (length)
				one_state(r, v, bytes, length, rnd(&s), k & 3);
		}
		out->runs += v->runs;
		v->runs = 0;
	}
	out->seconds = now() - began;
	free(f);
	world_close(&r->w);
	free(r);
	return err;
}

void criterion_free(struct criterion *c)
{
	free(c->v);
	c->v = NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Every definition as a loop over states (classify.h). */
#include "model/classify.h"

#include <string.h>

/* The window that R shows, and two places for it: 0 and 1 are the trap's in neither. */
#define WINDOW	5u
#define PLACE0	2u
#define PLACE1	6u
#define OPERANDS	(WINDOW + 1)	/* one beyond the window: it may trap */
#define CONTENTS	6u

_Static_assert(PLACE1 + WINDOW < CLASSIFY_Q, "both windows lie in memory");

struct trial {
	struct classify_state from, to;
	enum pg_trap cause;
};

/* Cells as an instruction may find them: small numbers, and PSWs of either mode. */
static uint64_t content(unsigned kind, unsigned at)
{
	switch (kind) {
	case 0: return at;
	case 1: return at & 1;
	case 2: return pg_psw_word((struct pg_psw){ .p = 1, .base = 3, .bound = 4 }, PG_NONE) + at;
	case 3: return pg_psw_word((struct pg_psw){ .user = true, .p = 1, .base = 3, .bound = 4 },
				   PG_NONE) + at;
	case 4: return pg_psw_word((struct pg_psw){ .user = at & 1, .p = (uint16_t)at,
				   .base = PLACE0, .bound = WINDOW }, PG_NONE);
	}
	return UINT64_C(0x9e3779b97f4a7c15) * (at + 1);
}

/* Runs the instruction at cell p of a window with the given contents that lies at base. */
static void try_state(struct trial *t, unsigned with, uint64_t word, unsigned kind, unsigned p,
		      bool user, unsigned base)
{
	struct pg m = { .e = t->to.e, .q = CLASSIFY_Q, .with = with };

	for (unsigned i = 0; i < CLASSIFY_Q; i++)
		t->from.e[i] = content(kind, 40 + i);
	for (unsigned i = 0; i < WINDOW; i++)
		t->from.e[base + i] = i == p ? word : content(kind, i);
	t->from.psw = (struct pg_psw){ .user = user, .p = (uint16_t)p, .base = (uint16_t)base,
		.bound = WINDOW };
	t->to = t->from;
	m.psw = t->from.psw;
	t->cause = pg_step(&m);
	t->to.psw = m.psw;
}

static void witness(struct classify_witness *w, const struct trial *a, const struct trial *b)
{
	if (w->found)
		return;
	*w = (struct classify_witness){ .found = true, .from = { a->from, b->from },
		.to = { a->to, b->to } };
}

static bool changed_control(const struct trial *t)
{
	struct pg_psw a = t->from.psw, b = t->to.psw;

	return a.user != b.user || a.base != b.base || a.bound != b.bound;
}

/* Different effects on P and on the window, seen from the window? */
static bool behave_differently(const struct trial *a, const struct trial *b)
{
	return a->to.psw.p != b->to.psw.p ||
	       memcmp(a->to.e + a->from.psw.base, b->to.e + b->from.psw.base,
		      WINDOW * sizeof(uint64_t)) != 0;
}

/* The four states that differ in mode and place only: by [user][place]. */
static void try_four(struct classify *c, struct trial t[2][2], bool *trapped_in_supervisor,
		     bool *spared_in_user)
{
	for (unsigned user = 0; user < 2; user++) {
		for (unsigned place = 0; place < 2; place++)
			if (t[user][place].cause == PG_NONE && changed_control(&t[user][place]))
				witness(&c->control[user], &t[user][place], &t[user][place]);
		/* With R changed, there is no common window to compare. */
		if (t[user][0].cause == PG_NONE && t[user][1].cause == PG_NONE &&
		    !changed_control(&t[user][0]) && !changed_control(&t[user][1]) &&
		    behave_differently(&t[user][0], &t[user][1]))
			witness(&c->location[user], &t[user][0], &t[user][1]);
	}
	if (t[0][0].cause == PG_NONE && t[1][0].cause == PG_NONE &&
	    behave_differently(&t[0][0], &t[1][0]))
		witness(&c->mode, &t[0][0], &t[1][0]);
	if (t[0][0].cause != PG_MEMORY) {
		*trapped_in_supervisor |= t[0][0].cause != PG_NONE;
		*spared_in_user |= t[1][0].cause == PG_NONE;
	}
	c->tried += 4;
}

void classify_insn(struct classify *c, const struct pg_insn *insn, unsigned with)
{
	static const unsigned places[2] = { PLACE0, PLACE1 };
	bool trapped_in_supervisor = false, spared_in_user = false;
	const unsigned combinations = OPERANDS * OPERANDS * OPERANDS;
	struct trial t[2][2];

	memset(c, 0, sizeof(*c));
	c->insn = insn;
	for (unsigned n = 0; n < combinations * CONTENTS * WINDOW; n++) {
		unsigned ops = n % combinations, kind = n / combinations % CONTENTS;
		unsigned p = n / combinations / CONTENTS;
		uint64_t word = pg_word(insn->op, (uint16_t)(ops % OPERANDS),
					(uint16_t)(ops / OPERANDS % OPERANDS),
					(uint16_t)(ops / OPERANDS / OPERANDS));

		for (unsigned user = 0; user < 2; user++)
			for (unsigned place = 0; place < 2; place++)
				try_state(&t[user][place], with, word, kind, p, user,
					  places[place]);
		try_four(c, t, &trapped_in_supervisor, &spared_in_user);
	}
	c->privileged = !trapped_in_supervisor && !spared_in_user;
}

bool classify_user_sensitive(const struct classify *c)
{
	return c->control[CLASSIFY_USER].found || c->location[CLASSIFY_USER].found;
}

bool classify_sensitive(const struct classify *c)
{
	return classify_user_sensitive(c) || c->control[CLASSIFY_SUPERVISOR].found ||
	       c->location[CLASSIFY_SUPERVISOR].found || c->mode.found;
}

bool theorem_broken_by(enum theorem th, const struct classify *c)
{
	if (c->privileged)
		return false;
	/* Theorem 2 needs Theorem 1 and no dependence on time; this machine has no time. */
	return th == THEOREM_3 ? classify_user_sensitive(c) : classify_sensitive(c);
}

void theorems_judge(struct theorems *t, unsigned with)
{
	t->n = 0;
	for (unsigned th = 0; th < THEOREMS; th++)
		t->holds[th] = true;
	for (unsigned i = 0; i < pg_ninsns; i++) {
		struct classify *c = &t->insn[t->n];

		if (pg_insns[i].class & PG_EXTRAS & ~with)
			continue;
		t->n++;
		classify_insn(c, &pg_insns[i], with);
		for (unsigned th = 0; th < THEOREMS; th++)
			t->holds[th] &= !theorem_broken_by((enum theorem)th, c);
	}
}

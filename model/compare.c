/* SPDX-License-Identifier: BSD-2-Clause */
/* Two machines side by side, and where they part (compare.h). */
#include "model/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int compare_init(struct compare *c, const struct pg *machine, enum monitor_kind kind,
		 unsigned depth)
{
	unsigned q = machine->q;

	*c = (struct compare){ .bare = *machine, .cell = q };
	c->memory = malloc((q + monitor_host_q(q, depth)) * sizeof(*c->memory));
	if (!c->memory)
		return -ENOMEM;
	memcpy(c->memory, machine->e, q * sizeof(*c->memory));
	c->bare.e = c->memory;
	monitor_nest_init(&c->nest, kind, depth, machine, c->memory + q);
	return 0;
}

void compare_free(struct compare *c)
{
	free(c->memory);
	c->memory = NULL;
}

/* Is the host's state f(bare state)? NULL, or why not. */
static const char *map_differs(struct compare *c)
{
	c->cell = c->bare.q;
	if (!monitor_guest(&c->nest, &c->guest))
		return "the monitor does not come back to its guest";
	for (unsigned i = 0; i < c->bare.q && c->cell == c->bare.q; i++)
		if (c->bare.e[i] != c->guest.e[i])
			c->cell = i;
	if (c->bare.psw.user != c->guest.psw.user)
		return "M differs";
	if (c->bare.psw.p != c->guest.psw.p)
		return "P differs";
	if (!pg_psw_equal(c->bare.psw, c->guest.psw))
		return "R differs";
	if (c->cell != c->bare.q)
		return "E differs";
	return monitor_violation(&c->nest);
}

bool compare_step(struct compare *c)
{
	uint64_t old = c->bare.e[PG_OLD];

	if (c->rest || c->differs)
		return false;
	c->before = c->bare.psw;
	c->fetched = pg_fetch(&c->bare, &c->word);
	c->cause = pg_step(&c->bare);
	/* Whatever leaves (M, P, R) alone changes no cell but, if it is a trap, E[0]. */
	c->rest = pg_psw_equal(c->before, c->bare.psw) && old == c->bare.e[PG_OLD];
	monitor_step(&c->nest);
	c->steps++;
	c->differs = map_differs(c);
	return !c->differs && !c->rest;
}

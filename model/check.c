/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs of cells that are mostly instructions with operands within reach, some PSWs to load
 * and some small numbers. Most of them trap a lot, and the cell 1 sends them on.
 */
#include "model/check.h"

#include <errno.h>
#include <stddef.h>

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static unsigned below(uint64_t *state, unsigned n)
{
	return (unsigned)(next(state) % n);
}

/* Cells from here on are data, mostly: so that programs do not overwrite themselves at once. */
static unsigned data_from(unsigned q)
{
	return 2 * q / 3;
}

static uint64_t random_psw(uint64_t *s, unsigned q, bool user)
{
	struct pg_psw psw = { .user = user, .bound = (uint16_t)q };
	unsigned kind = below(s, 8);

	/* One that is wrong at an end, one over everything, and a window somewhere. */
	if (kind == 0) {
		psw.base = (uint16_t)below(s, q + 4);
		psw.bound = (uint16_t)below(s, 2 * q);
	} else if (kind >= 3) {
		psw.base = (uint16_t)below(s, q / 2);
		psw.bound = (uint16_t)(q - psw.base - below(s, q / 4));
	}
	psw.p = (uint16_t)(2 + below(s, data_from(q) - 2));
	if (psw.p > psw.base && kind)
		psw.p -= psw.base;
	return pg_psw_word(psw, PG_NONE);
}

static uint16_t random_operand(uint64_t *s, unsigned q, char letter)
{
	unsigned kind = below(s, 64), data = data_from(q);

	if (kind == 0)
		return (uint16_t)next(s);
	if (kind < 8)
		return (uint16_t)below(s, q + 4);
	if (letter == 'i')
		return (uint16_t)below(s, data);
	return (uint16_t)(data + below(s, q - data));
}

static uint64_t random_insn(uint64_t *s, unsigned q, unsigned with)
{
	const struct pg_insn *insn = &pg_insns[below(s, pg_ninsns)];
	uint16_t f[3] = { 0 };

	/* A machine that halts at once tells nothing; one that never enters user mode, little. */
	if ((insn->class & PG_EXTRAS & ~with) || (insn->op == PG_HALT_OP && below(s, 4)))
		insn = pg_insn_find(PG_LPSW_OP);
	for (unsigned i = 0; insn->operands[i]; i++)
		f[i] = random_operand(s, q, insn->operands[i]);
	return pg_word(insn->op, f[0], f[1], f[2]);
}

static uint64_t random_data(uint64_t *s, unsigned q)
{
	switch (below(s, 8)) {
	case 0:
		return next(s);
	case 1:
	case 2:
		return below(s, q + 4);
	}
	return random_psw(s, q, below(s, 3) != 0);
}

void check_program(struct pg *m, uint64_t *e, uint64_t seed, uint64_t n, unsigned with)
{
	uint64_t s = seed ^ n * UINT64_C(0xd1342543de82ef95);
	unsigned q = CHECK_Q_MIN + below(&s, CHECK_Q_MAX - CHECK_Q_MIN + 1);

	*m = (struct pg){ .e = e, .q = q, .psw = pg_psw_start(q), .with = with };
	for (unsigned i = 0; i < q; i++)
		e[i] = i < data_from(q) && below(&s, 32) ? random_insn(&s, q, with)
						     : random_data(&s, q);
	if (below(&s, 8))
		e[PG_NEW] = pg_psw_word((struct pg_psw){ .bound = (uint16_t)q,
			.p = (uint16_t)(2 + below(&s, data_from(q) - 2)) }, PG_NONE);
}

static void account(struct check *c, const struct compare *cmp)
{
	c->steps++;
	c->traps[cmp->cause]++;
	if (cmp->cause == PG_NONE)
		c->executed[cmp->word >> 56][cmp->before.user]++;
}

static int start(const struct check *c, uint64_t n, struct compare *cmp)
{
	uint64_t e[CHECK_Q_MAX];
	struct pg m;

	check_program(&m, e, c->seed, n, c->with);
	return compare_init(cmp, &m, c->kind, c->depth);
}

int check_replay(const struct check *c, uint64_t n, struct compare *cmp)
{
	int err = start(c, n, cmp);

	while (!err && cmp->steps < CHECK_STEPS && compare_step(cmp))
		;
	return err;
}

int check_run(struct check *c)
{
	struct compare cmp;

	for (; c->done < c->programs; c->done++) {
		bool more = true;
		int err = start(c, c->done, &cmp);

		if (err)
			return err;
		while (more && cmp.steps < CHECK_STEPS) {
			more = compare_step(&cmp);
			account(c, &cmp);
		}
		c->host_steps += cmp.nest.steps;
		if (cmp.differs && (c->diverged++ == 0 || cmp.steps < c->shortest_steps)) {
			c->shortest = c->done;
			c->shortest_steps = cmp.steps;
		}
		compare_free(&cmp);
	}
	return 0;
}

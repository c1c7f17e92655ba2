/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dispatcher, allocator and interpreter routines of the three constructions (Popek and Goldberg
 * 1974, sections 4 to 6). They see the memory of the machine that their monitor runs on and
 * nothing else: whether that is the host or a virtual machine they cannot tell.
 */
#include "model/monitor.h"

#include <stddef.h>
#include <string.h>

#define KEPT	UINT64_C(0x5afe5afe5afe5afe)

/* An LPSW of the monitor at depth n costs 2^n - 1 instructions of the host. */
#define STEPS_MAX	(UINT64_C(1) << 20)

unsigned monitor_host_q(unsigned q, unsigned depth)
{
	return q + depth * MONITOR_CELLS;
}

struct pg_psw monitor_allocate(const struct monitor_level *lv, struct pg_psw virtual)
{
	struct pg_psw real = { .user = true, .p = virtual.p, .base = MONITOR_REGION };
	unsigned room = virtual.base < lv->guest_q ? lv->guest_q - virtual.base : 0;

	if (room) {
		real.base = (uint16_t)(MONITOR_REGION + virtual.base);
		real.bound = (uint16_t)(virtual.bound < room ? virtual.bound : room);
	}
	return real;
}

static struct pg guest_at(const struct monitor_nest *n, const struct monitor_level *lv,
			  struct pg_psw virtual)
{
	return (struct pg){ .e = lv->e + MONITOR_REGION, .q = lv->guest_q, .psw = virtual,
		.with = n->host.with, .control = &n->control };
}

/* What the guest goes on with, and where the monitor's own P goes for that. */
static uint16_t resume(const struct monitor_level *lv, struct pg_psw virtual)
{
	lv->e[MONITOR_VIRTUAL] = pg_psw_word(virtual, PG_NONE);
	if (lv->kind == MONITOR_HYBRID && !virtual.user)
		return MONITOR_INTERPRET;
	lv->e[MONITOR_SAVE] = pg_psw_word(monitor_allocate(lv, virtual), PG_NONE);
	return MONITOR_RESUME;
}

/*
 * A privileged instruction of the virtual supervisor is interpreted; any other trap is the
 * guest's own, and happens to the virtual machine as it would to a real one.
 */
static uint16_t dispatch(struct monitor_nest *n, const struct monitor_level *lv)
{
	struct pg guest = guest_at(n, lv, pg_psw_load(lv->e[MONITOR_VIRTUAL]));
	enum pg_trap cause = pg_psw_cause(lv->e[PG_OLD]);

	n->traps += lv == n->level;
	guest.psw.p = pg_psw_load(lv->e[PG_OLD]).p;
	if (cause == PG_PRIVILEGED && !guest.psw.user) {
		n->interpreted += lv == n->level;
		pg_step(&guest);
	} else {
		pg_take_trap(&guest, cause);
	}
	return resume(lv, guest.psw);
}

static uint16_t interpret(struct monitor_nest *n, const struct monitor_level *lv)
{
	struct pg guest = guest_at(n, lv, pg_psw_load(lv->e[MONITOR_VIRTUAL]));

	n->interpreted += lv == n->level;
	pg_step(&guest);
	return resume(lv, guest.psw);
}

static bool control_run(const struct pg_control *c, struct pg *m, const uint64_t *cell)
{
	struct monitor_nest *n = (struct monitor_nest *)
		((char *)(uintptr_t)c - offsetof(struct monitor_nest, control));

	for (unsigned k = 0; k < n->depth; k++) {
		const struct monitor_level *lv = &n->level[k];

		if (cell == lv->e + MONITOR_DISPATCH) {
			m->psw.p = dispatch(n, lv);
			return true;
		}
		if (cell == lv->e + MONITOR_INTERPRET && lv->kind == MONITOR_HYBRID) {
			m->psw.p = interpret(n, lv);
			return true;
		}
	}
	return false;
}

/* Every cell of a monitor that never changes. */
static uint64_t constant_cell(const struct monitor_level *lv, unsigned at)
{
	switch (at) {
	case PG_NEW:
		return pg_psw_word((struct pg_psw){ .p = MONITOR_DISPATCH,
				   .bound = (uint16_t)lv->q }, PG_NONE);
	case MONITOR_RESUME:
		return pg_word(PG_LPSW_OP, MONITOR_SAVE, 0, 0);
	case MONITOR_DISPATCH:
	case MONITOR_INTERPRET:
		return pg_word(PG_CONTROL_OP, 0, 0, 0);
	}
	return KEPT;
}

static const uint16_t constants[] = {
	PG_NEW, MONITOR_DISPATCH, MONITOR_RESUME, MONITOR_INTERPRET, MONITOR_GUARD,
};

bool monitor_guest(const struct monitor_nest *n, struct pg *guest)
{
	struct pg_psw psw = n->host.psw;

	*guest = n->host;
	for (unsigned k = 0; k < n->depth; k++) {
		const struct monitor_level *lv = &n->level[k];
		struct pg_psw virtual = pg_psw_load(lv->e[MONITOR_VIRTUAL]);

		if (psw.user)
			virtual.p = psw.p;
		else if (lv->kind != MONITOR_HYBRID || psw.p != MONITOR_INTERPRET)
			return false;
		psw = virtual;
		*guest = guest_at(n, lv, psw);
	}
	guest->psw = psw;
	return true;
}

bool monitor_step(struct monitor_nest *n)
{
	struct pg guest;

	for (uint64_t i = 0; i < STEPS_MAX; i++) {
		pg_step(&n->host);
		n->steps++;
		if (monitor_guest(n, &guest))
			return true;
	}
	return false;
}

void monitor_nest_init(struct monitor_nest *n, enum monitor_kind kind, unsigned depth,
		       const struct pg *guest, uint64_t *host_e)
{
	struct pg_psw start = guest->psw;
	unsigned q = monitor_host_q(guest->q, depth);
	struct pg innermost;

	*n = (struct monitor_nest){ .control.run = control_run, .depth = depth };
	n->host = (struct pg){ .e = host_e, .q = q, .with = guest->with, .control = &n->control };
	for (unsigned k = 0; k < depth; k++, q -= MONITOR_CELLS)
		n->level[k] = (struct monitor_level){ .kind = kind, .q = q,
			.e = host_e + k * MONITOR_REGION, .guest_q = q - MONITOR_CELLS };
	memset(host_e, 0, n->host.q * sizeof(*host_e));
	memcpy(host_e + depth * MONITOR_REGION, guest->e, guest->q * sizeof(*host_e));
	for (unsigned k = depth; k-- > 0;) {
		const struct monitor_level *lv = &n->level[k];

		for (unsigned i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
			lv->e[constants[i]] = constant_cell(lv, constants[i]);
		lv->e[lv->q - 1] = KEPT;
		start = (struct pg_psw){ .p = resume(lv, start), .bound = (uint16_t)lv->q };
	}
	n->host.psw = start;
	/* Each monitor under another starts by an LPSW, which traps. */
	if (!monitor_guest(n, &innermost))
		monitor_step(n);
}

const char *monitor_violation(const struct monitor_nest *n)
{
	struct pg_psw psw = n->host.psw;

	for (unsigned k = 0; k < n->depth; k++) {
		const struct monitor_level *lv = &n->level[k];
		struct pg_psw virtual = pg_psw_load(lv->e[MONITOR_VIRTUAL]);
		struct pg_psw own = { .p = MONITOR_INTERPRET, .bound = (uint16_t)lv->q };

		for (unsigned i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
			if (lv->e[constants[i]] != constant_cell(lv, constants[i]))
				return "a cell of the monitor was changed";
		if (lv->e[lv->q - 1] != KEPT)
			return "a cell above the virtual machine was changed";
		if (psw.user) {
			virtual.p = psw.p;
			own = monitor_allocate(lv, virtual);
		}
		if (!pg_psw_equal(psw, own))
			return "the guest runs with an R that the allocator did not give";
		psw = virtual;
	}
	return NULL;
}

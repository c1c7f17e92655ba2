/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sink of the ring3 engine: what the shadow says about an address space becomes
 * mmap and munmap in its stub, as few as the operations allow, a page of requests
 * for each crossing. It knows neither guest page tables nor why a page is mapped.
 *
 * Processes are recycled: starting one costs some hundred microseconds, emptying
 * one a single munmap.
 */
#include "direct/ring3.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

struct space *space_create(void *engine, int *err)
{
	struct ring3 *e = engine;
	struct space *s = e->idle;
	const char *what;

	*err = 0;
	ring3_pin(e);
	if (s) {
		e->idle = s->next;
		e->nidle--;
		s->next = NULL;
		return s;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		*err = -ENOMEM;
		return NULL;
	}
	*err = stub_start(e, s, &what);
	if (*err) {
		if (*err != -EAGAIN)
			ring3_complain(e, what, *err);
		free(s);
		return NULL;
	}
	return s;
}

static int guard_set(struct space *s, const gva_t *at, unsigned n);

/* Unmaps everything and disarms the guards. Descriptors stay: they name linear
 * addresses of the space that has none, and the next guest process very likely
 * uses the same ones. */
static int space_empty(struct space *s)
{
	int err;

	if (s->dead)
		return -ESRCH;
	stub_queue(s, SYS_munmap, 0, s->home, 0, 0, 0, 0);
	stub_queue(s, SYS_munmap, s->home + STUB_SIZE, USER_TOP - s->home - STUB_SIZE, 0, 0, 0, 0);
	err = stub_flush(s, NULL);
	return err ? err : guard_set(s, NULL, 0);
}

static void space_free(struct space *s)
{
	stub_kill(s);
	seg_forget(s);
	free(s);
}

void space_destroy(void *engine, struct space *s)
{
	struct ring3 *e = engine;

	if (!s)
		return;
	if (e->fpu_owner == s) {
		fpu_fetch(e);
		e->fpu_owner = NULL;
	}
	if (e->nidle == STUBS_IDLE || space_empty(s) < 0) {
		space_free(s);
		return;
	}
	s->next = e->idle;
	e->idle = s;
	e->nidle++;
}

/* A dead space gets a new process: to the shadow it is an empty one again. */
static int space_clear(void *engine, struct space *s)
{
	struct ring3 *e = engine;
	const char *what;
	int err;

	if (!s->dead)
		return space_empty(s);
	stub_kill(s);
	seg_forget(s);
	*s = (struct space){ .e = e, .home = s->home };
	err = stub_start(e, s, &what);
	if (err) {
		ring3_complain(e, what, err);
		s->dead = true;
	}
	return err;
}

static bool op_joins(const struct sink_op *a, const struct sink_op *b)
{
	uint64_t len = a->pages << PAGE_SHIFT;

	return a->prot == b->prot && a->gva + len == b->gva &&
	       (!a->prot || a->offset + (int64_t)len == b->offset);
}

/* MAP_POPULATE was measured and left out: for one page that is touched at once it saves
 * no more than the noise, for more it loses 5 us in 50 and upwards. */
static void op_queue(struct space *s, const struct sink_op *op)
{
	uint64_t len = op->pages << PAGE_SHIFT;
	int prot = PROT_READ;

	bug_on(op->gva >= USER_TOP || len > USER_TOP - op->gva);
	bug_on(op->gva < s->home + STUB_SIZE && s->home < op->gva + len);
	if (!op->prot) {
		stub_queue(s, SYS_munmap, op->gva, len, 0, 0, 0, 0);
		return;
	}
	/* The host cannot map for writing or executing alone either. */
	if (op->prot & SINK_W)
		prot |= PROT_WRITE;
	if (op->prot & SINK_X)
		prot |= PROT_EXEC;
	stub_queue(s, SYS_mmap, op->gva, len, (uint64_t)prot, MAP_SHARED | MAP_FIXED,
		   STUB_RAM_FD, (uint64_t)op->offset);
}

static int space_apply(void *engine, struct space *s, const struct sink_op *ops, size_t n)
{
	int err;

	(void)engine;
	if (s->dead)
		return -ESRCH;
	for (size_t i = 0; i < n; i++) {
		struct sink_op op = ops[i];

		while (i + 1 < n && op_joins(&op, &ops[i + 1]))
			op.pages += ops[++i].pages;
		if (!op.pages)
			continue;
		if (s->nreq == STUB_REQS) {
			err = stub_flush(s, NULL);
			if (err)
				return err;
		}
		op_queue(s, &op);
	}
	return stub_flush(s, NULL);
}

/* --- Guards: instruction breakpoints, SDM 3B 17.2 ------------------------------ */

#define DR7_L(n)	(1ul << (2 * (n)))	/* enabled; R/W and LEN 0: execution */
#define DEBUGREG(n)	((void *)(offsetof(struct user, u_debugreg) + 8 * (n)))

/* Pokes only what differs: a poke costs as much as two system calls. A register is
 * moved only while it is disarmed, as the host checks the pair. */
static int guard_set(struct space *s, const gva_t *at, unsigned n)
{
	uint64_t dr7 = 0, keep = 0;
	int err;

	for (unsigned i = 0; i < n; i++) {
		dr7 |= DR7_L(i);
		if (s->dr[i] == at[i])
			keep |= DR7_L(i);
	}
	if (s->dr7 & ~keep) {
		err = stub_ptrace(s, PTRACE_POKEUSER, DEBUGREG(7), (void *)(s->dr7 & keep));
		if (err)
			return err;
		s->dr7 &= keep;
	}
	for (unsigned i = 0; i < n; i++) {
		if (s->dr[i] == at[i])
			continue;
		err = stub_ptrace(s, PTRACE_POKEUSER, DEBUGREG(i), (void *)at[i]);
		if (err)
			return err;
		s->dr[i] = at[i];
	}
	if (s->dr7 != dr7) {
		err = stub_ptrace(s, PTRACE_POKEUSER, DEBUGREG(7), (void *)dr7);
		if (err)
			return err;
		s->dr7 = dr7;
	}
	for (unsigned i = 0; i < n; i++)
		s->guard[i] = at[i];
	s->nguard = n;
	return 0;
}

static int space_guard(void *engine, struct space *s, const gva_t *at, unsigned n)
{
	(void)engine;
	bug_on(n > ARRAY_LEN(s->guard));
	return s->dead ? -ESRCH : guard_set(s, at, n);
}

static gva_t space_floor(void *engine)
{
	return ((struct ring3 *)engine)->floor;
}

static gva_t space_ceiling(void *engine)
{
	(void)engine;
	return USER_TOP;
}

static gva_t space_home(void *engine, const struct space *s, uint64_t *size)
{
	(void)engine;
	*size = STUB_SIZE;
	return s->home;
}

/* The process ends, as its filter knows its address; space_clear makes another. */
static void space_move(void *engine, struct space *s)
{
	struct ring3 *e = engine;

	if (e->fpu_owner == s) {
		fpu_fetch(e);
		e->fpu_owner = NULL;
	}
	stub_kill(s);
	s->home = stub_home();
}

static unsigned space_needs_guard(void *engine)
{
	const struct ring3 *e = engine;

	return SINK_GUARD_VMCALL | (e->syscall32 ? SINK_GUARD_SYSCALL : 0u) |
	       (e->sysenter ? SINK_GUARD_SYSENTER : 0u) |
	       (e->cpuid_traps ? 0u : SINK_GUARD_CPUID);
}

struct sink ring3_sink(void *self)
{
	return (struct sink){
		.space_create = space_create,
		.space_destroy = space_destroy,
		.space_clear = space_clear,
		.apply = space_apply,
		.guard = space_guard,
		.floor = space_floor,
		.ceiling = space_ceiling,
		.home = space_home,
		.move = space_move,
		.needs_guard = space_needs_guard,
		.engine = self,
	};
}

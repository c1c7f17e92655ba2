/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows of calls; see thread.h. The memory is mapped twice, to write and to execute, near
 * the handlers, so that every CALL reaches.
 *
 *	RBX	the interpreter
 *	RSI	the operation, at each call
 *	RAX	what the handler returned: the next operation to run
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "interp/tables.h"
#include "interp/thread.h"

#define ARENA_SIZE	((size_t)96 << 20)	/* of each: traces, and rows */
#define REACH		((int64_t)1 << 31)
#define OP_ROW_MAX	64			/* bytes of a row for one operation, at most */

_Static_assert(offsetof(struct trace, ops) - offsetof(struct trace, code) == 8,
	       "rows jump through the word in front of the operations");

struct threads {
	uint8_t *traces;	/* ARENA_SIZE bytes, then as many to execute */
	uint8_t *rows;		/* the executable view */
	uint8_t *rows_rw;	/* the writable one */
	size_t used, first;	/* bytes in use; of them the stubs */
	void *unrowed, *leave;
	void (*enter)(struct interp *v, const struct op *op);
};

/* --- Emitting ------------------------------------------------------------------- */

/* at: where the next byte will be executed. */
struct emitter { const struct threads *h; uint8_t *at; };

static void emit(struct emitter *e, const void *bytes, size_t n)
{
	memcpy(e->h->rows_rw + (e->at - e->h->rows), bytes, n);
	e->at += n;
}
#define EMIT(e, ...)	emit(e, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void emit_rel32(struct emitter *e, const void *target)
{
	int32_t rel = (int32_t)((const uint8_t *)target - (e->at + 4));

	emit(e, &rel, 4);
}

static void patch_rel32(struct emitter *e, uint8_t *at)
{
	int32_t rel = (int32_t)(e->at - (at + 4));

	memcpy(e->h->rows_rw + (at - e->h->rows), &rel, 4);
}

/* Leaves room for a jump (0F 84: equal, 0F 85: not) and says where its distance goes. */
static uint8_t *emit_jump(struct emitter *e, uint8_t opcode)
{
	EMIT(e, 0x0f, opcode, 0, 0, 0, 0);
	return e->at - 4;
}

static void emit_call(struct emitter *e, op_fn *fn)
{
	EMIT(e, 0x48, 0x89, 0xdf, 0xe8);	/* mov %rbx,%rdi; call */
	emit_rel32(e, (const void *)fn);
}

static void emit_operation(struct emitter *e, const struct op *op)
{
	EMIT(e, 0x48, 0x8d, 0x35);		/* lea op(%rip),%rsi */
	emit_rel32(e, op);
}

static void emit_compare(struct emitter *e)
{
	EMIT(e, 0x48, 0x39, 0xf0);		/* cmp %rsi,%rax */
}

/* On to the trace that was returned, if any. */
static void emit_elsewhere(struct emitter *e)
{
	EMIT(e, 0x48, 0x89, 0xc6,		/* mov %rax,%rsi */
	     0x48, 0x85, 0xc0,			/* test %rax,%rax */
	     0x0f, 0x84);			/* je leave */
	emit_rel32(e, e->h->leave);
	EMIT(e, 0xff, 0x60, 0xf8);		/* jmp *-8(%rax) */
}

static void make_stubs(struct threads *h)
{
	struct emitter e = { h, h->rows };

	h->leave = e.at;
	EMIT(&e, 0x48, 0x83, 0xc4, 0x08, 0x5d, 0x5b, 0xc3);	/* add $8,%rsp; pop %rbp; pop %rbx; ret */
	h->enter = (void (*)(struct interp *, const struct op *))(uintptr_t)e.at;
	EMIT(&e, 0x53, 0x55, 0x48, 0x83, 0xec, 0x08,	/* push %rbx; push %rbp; sub $8,%rsp */
	     0x48, 0x89, 0xfb,				/* mov %rdi,%rbx */
	     0xff, 0x66, 0xf8);				/* jmp *-8(%rsi) */
	h->unrowed = e.at;
	EMIT(&e, 0x48, 0x8d, 0x6e, sizeof(struct op),	/* lea 32(%rsi),%rbp */
	     0x48, 0x89, 0xdf, 0xff, 0x16,		/* mov %rbx,%rdi; call *(%rsi) */
	     0x48, 0x89, 0xee,				/* mov %rbp,%rsi */
	     0x48, 0x39, 0xe8,				/* cmp %rbp,%rax */
	     0x0f, 0x84);				/* je unrowed */
	emit_rel32(&e, h->unrowed);
	emit_elsewhere(&e);
	h->first = h->used = (size_t)(e.at - h->rows + 63) & ~(size_t)63;
}

/* --- Making and breaking ----------------------------------------------------------- */

/* Room near the handlers, below or above the program. */
static uint8_t *reserve_near(size_t size)
{
	uintptr_t here = (uintptr_t)&h_goto & ~(((uintptr_t)1 << 21) - 1);

	for (int64_t step = -16; step <= 16; step++) {
		int64_t away = step * ((int64_t)100 << 20) - (step < 0 ? (int64_t)size : 0);

		if (step == 0 || away + (int64_t)size > REACH - (1 << 26) || -away > REACH - (1 << 26))
			continue;
		void *want = (void *)(here + (uintptr_t)away);
		void *p = mmap(want, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			       MAP_FIXED_NOREPLACE, -1, 0);

		if (p == want)
			return p;
		if (p != MAP_FAILED)
			munmap(p, size);
	}
	return NULL;
}

static bool map_arenas(struct threads *h)
{
	int fd = memfd_create("hemi-rows", MFD_CLOEXEC);
	bool ok = fd >= 0 && ftruncate(fd, (off_t)ARENA_SIZE) == 0;

	h->traces = ok ? reserve_near(2 * ARENA_SIZE) : NULL;
	if (h->traces) {
		h->rows = h->traces + ARENA_SIZE;
		h->rows_rw = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ok = h->rows_rw != MAP_FAILED &&
		     mmap(h->traces, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
			  MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED &&
		     mmap(h->rows, ARENA_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0) !=
		     MAP_FAILED;
		if (!ok) {
			munmap(h->traces, 2 * ARENA_SIZE);
			if (h->rows_rw != MAP_FAILED)
				munmap(h->rows_rw, ARENA_SIZE);
		}
	}
	if (fd >= 0)
		close(fd);
	return ok && h->traces;
}

struct threads *threads_create(void)
{
	struct threads *h = calloc(1, sizeof(*h));

	if (!h || !map_arenas(h)) {
		free(h);
		return NULL;
	}
	make_stubs(h);
	return h;
}

void threads_destroy(struct threads *h)
{
	if (!h)
		return;
	munmap(h->traces, 2 * ARENA_SIZE);
	munmap(h->rows_rw, ARENA_SIZE);
	free(h);
}

void *threads_arena(struct threads *h, size_t *size)
{
	*size = ARENA_SIZE;
	return h->traces;
}

void threads_flush(struct threads *h)
{
	h->used = h->first;
}

void *thread_unrowed(const struct threads *h)
{
	return h->unrowed;
}

/* --- Rows -------------------------------------------------------------------------- */

bool thread_trace(struct threads *h, struct trace *t, unsigned n, const struct stride *s)
{
	struct emitter e = { h, h->rows + h->used };
	/* Jumps to be told where they lead: into the row, and out of it. */
	struct { uint8_t *at; unsigned to; } inner[64];
	uint8_t *outer[64];
	unsigned ninner = 0, nouter = 0;

	if (n > ARRAY_LEN(inner) || h->used + n * OP_ROW_MAX > ARENA_SIZE)
		return false;
	t->code = e.at;
	for (unsigned i = 0; i < n; i++) {
		unsigned next = i + (s[i].span ? s[i].span : 1);

		for (unsigned k = 0; k < ninner; k++)
			if (inner[k].to == i)
				patch_rel32(&e, inner[k].at);
		emit_call(&e, t->ops[i].fn);
		if (i + 1 == n) {
			emit_elsewhere(&e);
			break;
		}
		if (next > i + 1 && next < n) {
			emit_operation(&e, &t->ops[next]);
			emit_compare(&e);
			inner[ninner].at = emit_jump(&e, 0x84);
			inner[ninner++].to = next;
		}
		emit_operation(&e, &t->ops[i + 1]);
		if (s[i].straight)
			continue;
		emit_compare(&e);
		outer[nouter++] = emit_jump(&e, 0x85);
	}
	for (unsigned k = 0; k < nouter; k++) {
		patch_rel32(&e, outer[k]);
		emit_elsewhere(&e);
	}
	h->used = (size_t)(e.at - h->rows + 15) & ~(size_t)15;
	return true;
}

void thread_run(const struct threads *h, struct interp *v, const struct op *op)
{
	h->enter(v, op);
}

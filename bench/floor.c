/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floor: what it costs at least to get from one handler to the next. A loop of eight
 * operations as the interpreter has them (32 bytes, operands named by byte offset, registers
 * in memory), whose handlers do almost nothing, reached in three ways:
 *
 *	tail	each handler calls the next in tail position
 *	goto	computed goto inside one function
 *	row	a row of CALLs, one for each operation, as interp/thread.c makes them
 *
 * Eight operations are predicted perfectly by any of them: this is the floor, not what a long
 * path costs. Prints NAME and nanoseconds an operation, the least of RUNS. All three must
 * compute the same.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUNS	9
#define OPS	8
#define REGS	4

struct op;
struct state { uint64_t reg[REGS], left; };
typedef const struct op *row_fn(struct state *s, const struct op *op);
typedef void tail_fn(struct state *s, const struct op *op);

struct op {
	union { const void *label; tail_fn *tail; row_fn *row; };
	uint8_t a, b, fill[14];
	uint64_t imm;
};
_Static_assert(sizeof(struct op) == 32, "as large as the interpreter's");

static inline uint64_t *reg(struct state *s, uint8_t offset)
{
	return (uint64_t *)((char *)s + offset);
}

/* What the handlers do, named once: X(name, statement). The eighth, END, closes the loop. */
#define HANDLERS(X) \
	X(add, *reg(s, op->a) += *reg(s, op->b)) \
	X(xor, *reg(s, op->a) ^= *reg(s, op->b)) \
	X(load, *reg(s, op->a) = op->imm) \
	X(lea, *reg(s, op->a) = *reg(s, op->b) + op->imm) \
	X(sub, *reg(s, op->a) -= *reg(s, op->b)) \
	X(shift, *reg(s, op->a) <<= op->imm) \
	X(move, *reg(s, op->a) = *reg(s, op->b))

enum { ADD, XOR, LOAD, LEA, SUB, SHIFT, MOVE, END };

#define R(n)	((uint8_t)(offsetof(struct state, reg) + 8 * (n)))
static const struct { uint8_t kind, a, b; uint64_t imm; } program[OPS] = {
	{ ADD, R(0), R(1), 0 }, { LEA, R(2), R(0), 7 }, { XOR, R(1), R(2), 0 }, { MOVE, R(3), R(1), 0 },
	{ SHIFT, R(3), 0, 3 }, { SUB, R(0), R(3), 0 }, { LOAD, R(2), 0, 0x1234 }, { END, 0, 0, 0 },
};

/* The word in front of the operations is where a row that is jumped to begins. It and the
 * handlers of rows have names for the assembler. */
struct loop { const void *code; struct op ops[OPS]; };
struct loop floor_loop __attribute__((visibility("hidden")));
void floor_row(struct state *s, const struct op *op) __attribute__((visibility("hidden")));

static void fill(const void *const handlers[])
{
	for (unsigned i = 0; i < OPS; i++)
		floor_loop.ops[i] = (struct op){ .label = handlers[program[i].kind], .a = program[i].a,
						 .b = program[i].b, .imm = program[i].imm };
}

/* --- Tail calls --------------------------------------------------------------------- */

/* Without sibling calls the stack would grow with each operation. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NO_TAIL
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define NO_TAIL
#endif
#if !defined(__OPTIMIZE__) && !defined(NO_TAIL)
#define NO_TAIL
#endif

#ifndef NO_TAIL
#define TAIL(name, what) \
	static void tail_##name(struct state *s, const struct op *op) \
	{ \
		what; \
		op++; \
		op->tail(s, op); \
	}
HANDLERS(TAIL)

static void tail_end(struct state *s, const struct op *op)
{
	if (--s->left) {
		op = floor_loop.ops;
		op->tail(s, op);
	}
}

static void run_tail(struct state *s)
{
#define TAIL_NAME(name, what) (const void *)(uintptr_t)tail_##name,
	static const void *const names[] = { HANDLERS(TAIL_NAME) (const void *)(uintptr_t)tail_end };

	fill(names);
	floor_loop.ops->tail(s, floor_loop.ops);
}
#endif

/* --- Computed goto ------------------------------------------------------------------ */

static void run_goto(struct state *s)
{
#define GOTO_NAME(name, what) &&goto_##name,
	static const void *const names[] = { HANDLERS(GOTO_NAME) &&goto_end };
	const struct op *op = floor_loop.ops;

	fill(names);
	goto *op->label;
#define GOTO(name, what) \
goto_##name: \
	what; \
	op++; \
	goto *op->label;
	HANDLERS(GOTO)
goto_end:
	if (--s->left) {
		op = floor_loop.ops;
		goto *op->label;
	}
}

/* --- A row of calls ------------------------------------------------------------------- */

#if defined(__x86_64__)
#define ROW(name, what) \
	const struct op *floor_row_##name(struct state *s, const struct op *op) \
		__attribute__((visibility("hidden"))); \
	const struct op *floor_row_##name(struct state *s, const struct op *op) \
	{ \
		what; \
		return op + 1; \
	}
HANDLERS(ROW)

const struct op *floor_row_end(struct state *s, const struct op *op)
	__attribute__((visibility("hidden")));
const struct op *floor_row_end(struct state *s, const struct op *op)
{
	(void)op;
	return --s->left ? floor_loop.ops : NULL;
}

/* RBX is the state, RSI the operation at each call. The handlers before the last always go on
 * to the next, so nothing is compared; the last returns where to jump. */
__asm__(".text\n"
	"	.p2align 4\n"
	"floor_row:\n"
	"	push	%rbx\n"
	"	mov	%rdi, %rbx\n"
	"	jmp	*-8(%rsi)\n"
	"	.p2align 4\n"
	"floor_row_code:\n"
#define ROW_CALL(name, next) \
	"	mov	%rbx, %rdi\n" \
	"	call	floor_row_" name "\n" \
	"	lea	floor_loop + 8 + 32 * " next "(%rip), %rsi\n"
	ROW_CALL("add", "1") ROW_CALL("lea", "2") ROW_CALL("xor", "3") ROW_CALL("move", "4")
	ROW_CALL("shift", "5") ROW_CALL("sub", "6") ROW_CALL("load", "7")
	"	mov	%rbx, %rdi\n"
	"	call	floor_row_end\n"
	"	mov	%rax, %rsi\n"
	"	test	%rax, %rax\n"
	"	je	1f\n"
	"	jmp	*-8(%rax)\n"
	"1:	pop	%rbx\n"
	"	ret\n");

extern const char floor_row_code[] __attribute__((visibility("hidden")));

static void run_row(struct state *s)
{
#define ROW_NAME(name, what) (const void *)(uintptr_t)floor_row_##name,
	static const void *const names[] = { HANDLERS(ROW_NAME) (const void *)(uintptr_t)floor_row_end };

	fill(names);
	floor_loop.code = floor_row_code;
	floor_row(s, floor_loop.ops);
}
#endif

/* --- Timing --------------------------------------------------------------------------- */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static const struct { const char *name; void (*run)(struct state *s); } ways[] = {
#ifndef NO_TAIL
	{ "tail", run_tail },
#endif
	{ "goto", run_goto },
#if defined(__x86_64__)
	{ "row", run_row },
#endif
};
#define WAYS	(sizeof(ways) / sizeof(ways[0]))

int main(int argc, char **argv)
{
	uint64_t passes = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000000, first = 0;
	double least[WAYS];

	if (!passes || argc > 2) {
		fprintf(stderr, "usage: floor [PASSES]\n");
		return 2;
	}
	for (unsigned run = 0; run < RUNS; run++) {
		for (unsigned w = 0; w < WAYS; w++) {
			struct state s = { .reg = { 1, 2, 3, 4 }, .left = passes };
			double start = now(), ns;

			ways[w].run(&s);
			ns = (now() - start) * 1e9 / (double)(passes * OPS);
			if (!run || ns < least[w])
				least[w] = ns;
			if (!run && !w)
				first = s.reg[0];
			if (s.reg[0] != first) {
				fprintf(stderr, "floor: %s computed %#" PRIx64 ", not %#" PRIx64 "\n",
					ways[w].name, s.reg[0], first);
				return 1;
			}
		}
	}
	for (unsigned w = 0; w < WAYS; w++)
		printf("%s %.3f\n", ways[w].name, least[w]);
	return 0;
}

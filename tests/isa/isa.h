/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The same instruction on the interpreter and on the host processor. A bench is a
 * tiny guest (tables, two code pages, two data pages) that both engines run from
 * the same state; what they leave behind is compared to the bit.
 */
#ifndef TESTS_ISA_ISA_H
#define TESTS_ISA_ISA_H

#include "direct/direct.h"
#include "interp/decode.h"
#include "interp/interp.h"

#define CODE_GVA	0x100000u
#define DATA_GVA	0x110000u
#define DATA_SIZE	0x2000u

/* All that a host may have as well. */
#define ISA_MODEL	"x86-64-v2,+aes,+pclmulqdq,+movbe"

struct bench {
	struct machine m;
	struct config cfg;
	bool wide;			/* 64-bit code */
	struct interp *v;
	void *direct;
	struct sink sink;
	struct space *space;
	struct decoder *decoder;
	uint8_t *code, *data;		/* hva */
};

/* What a state and a run consist of. */
struct state_all {
	struct cpu cpu;
	uint8_t data[DATA_SIZE];
};

/* How one instruction ended. */
struct outcome {
	bool endless;		/* host: it had to be stopped; says nothing */
	bool faulted;		/* RIP did not move */
	bool page_fault;
	bool refused;		/* host: another fault that a memory access may have had */
	gva_t fault_gva;	/* its address */
	int vector;		/* interpreter only; -1: none */
	struct state_all s;
};

/* 0; 77 with a reason on stdout where the host cannot run ring3. */
int bench_open(struct bench *b, bool wide);
void bench_close(struct bench *b);
/* A user-mode state: flat segments, FPU initialised, RIP = rip. */
void bench_user_state(const struct bench *b, struct cpu *c, uint32_t rip);
/* Runs the one instruction at cpu.rip on either engine. repeated: a string instruction,
 * which the interpreter steps by iterations. */
void bench_host(struct bench *b, const struct state_all *in, struct outcome *out);
void bench_interp(struct bench *b, const struct state_all *in, bool repeated, struct outcome *out);
/* The first difference as text, or false: none. fl_undefined: EFLAGS bits to ignore. */
bool outcome_differs(const struct outcome *h, const struct outcome *i, uint32_t fl_undefined,
		     char *text, size_t size);

/* choices.c: mnemonics that cannot be compared one by one; flags that are undefined; and what
 * processors do differently, which settle_choices() makes the same. */
bool is_excluded(unsigned mnem);
uint32_t flags_undefined(const struct insn *in);
void settle_choices(const struct insn *in, struct outcome *host, struct outcome *interp);

/* states.c */
void random_state(struct bench *b, struct state_all *s, const struct insn *in, uint32_t rip);

/* Deterministic random numbers. */
extern uint64_t isa_seed;
uint64_t rnd(void);
static inline unsigned rnd_below(unsigned n) { return (unsigned)(rnd() % n); }

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The small machine in which instructions are tried: a program of one page of code, two of
 * data and one of stack, tables of descriptors with all kinds in them, a port. Everything
 * that can lie elsewhere has two places, A and B.
 */
#ifndef CRITERION_WORLD_H
#define CRITERION_WORLD_H

#include <string.h>

#include "criterion/criterion.h"
#include "interp/decode.h"
#include "interp/interp.h"

#define USER_GVA	0x10000u	/* code, data, data, stack */
#define USER_PAGES	4u
#define USER_SIZE	(USER_PAGES * PAGE_SIZE)
#define DATA_GVA	(USER_GVA + PAGE_SIZE)
#define STACK_GVA	(USER_GVA + 3 * PAGE_SIZE)
#define CODE_AT		0x100u		/* where the instruction is in its page */
#define MOVED		0x20000u	/* how far PAIR_BASE moves the program */
#define PORT		0xe0u		/* a device of four ports */
#define TABLES_SIZE	0x800u		/* GDT, LDT, TSS: what of them may change */
#define SELECTORS	16u
#define SELECTORS_USER	5u	/* the first of them: what user code can load */

/* A state: what an instruction starts from. */
struct state {
	struct cpu cpu;
	bool frames_b, gdt_b, idt_b, ldt_b, tss_b;	/* which of its two places is in use */
	bool bounds_b, rights_b, cpu_b;
	uint32_t port;			/* what the device answers */
	uint64_t tsc;
	uint8_t user[USER_SIZE];
};

enum ended { ENDED_WELL, ENDED_TRAP, ENDED_SHUTDOWN };

/* And what comes of it. */
struct outcome {
	enum ended how;
	unsigned vector;
	struct {
		struct cpu cpu;
		uint64_t tsc;
		uint8_t user[USER_SIZE];
	} after;
	uint8_t tables[TABLES_SIZE];	/* as A or B held them */
	uint32_t written;		/* to the port; the number of accesses in port_count */
	unsigned port_count;
	enum power power;
};

struct world {
	const struct criterion_case *of;
	struct machine m[2];		/* with the model, and with another identity */
	struct config cfg[2];
	struct interp *v[2];
	struct decoder *decoder;
	uint8_t image[0x10000];		/* everything below the program */
	bool frames_b[2];		/* of the last run */
	struct state *running;
	struct outcome *result;
};

/* 0 or -errno; world_close() also of one that could not be opened. */
int world_open(struct world *w, const struct criterion_case *of);
void world_close(struct world *w);
/* Mode bits for decode(). */
uint32_t world_hflags(const struct world *w);
unsigned world_bits(const struct world *w);
/* A random state, of user or supervisor mode; bytes: the instruction. */
void state_random(const struct world *w, struct state *s, uint64_t seed, bool user, const uint8_t *bytes,
		  unsigned length);
/* The second state of a pair from the first, in *b. False: there is no such pair from here. */
bool state_pair(const struct world *w, const struct state *a, struct state *b, unsigned pair);
void world_run(struct world *w, const struct state *s, struct outcome *o);
/* Does the result of b differ from that of a in more than the states did? Names the first
 * component that does. */
bool outcomes_differ(const struct state *a, const struct outcome *ra, const struct state *b,
		     const struct outcome *rb, struct witness *w);
/* Did the instruction change a resource? */
bool resource_changed(const struct state *s, const struct outcome *o, struct witness *w);

/* The selectors of the GDT, user's at the front. */
extern const uint16_t world_selectors[SELECTORS];

/* forms.c: every form, in the order of encodings. */
struct form {
	uint8_t prefix, map, opcode;
	bool rexw;
	int8_t reg;		/* ModRM.reg, or -1: it is an operand */
	bool mem;
	char name[NAME_MAX_];
	uint16_t mnem;
};
struct form *forms_all(struct world *w, unsigned *n);
/* Random bytes of that form; its length, 0: missed. */
unsigned form_encode(struct world *w, const struct form *f, uint64_t *seed, uint8_t bytes[16]);

/* Most instructions change no page, or one: comparing costs less than copying. */
static inline void pages_copy(uint8_t *to, const uint8_t *from, size_t size)
{
	for (size_t at = 0; at < size; at += PAGE_SIZE)
		if (memcmp(to + at, from + at, PAGE_SIZE))
			memcpy(to + at, from + at, PAGE_SIZE);
}

static inline uint64_t rnd(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * 0x2545f4914f6cdd1dull;
}
static inline unsigned rnd_below(uint64_t *s, unsigned n) { return (unsigned)((rnd(s) >> 33) % n); }

#endif

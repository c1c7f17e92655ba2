/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Popek and Goldberg's definitions (1974), made executable: every instruction form that a
 * processor model has is run by the interpreter from pairs of states that differ in one thing
 * only, and what comes of it decides.
 *
 *	privileged		traps in user mode where it does not in supervisor mode
 *	control-sensitive	changes a resource (mode, relocation, a privileged register,
 *				a port) without a trap
 *	behaviour-sensitive	two states that differ in mode, relocation or one resource lead
 *				to results that differ in something else besides
 *	user-sensitive		either, from user states alone
 *
 * A trap is an exception at the instruction; INT n that goes through its gate is none, it
 * changes the mode. docs/criterion.md says more.
 */
#ifndef CRITERION_CRITERION_H
#define CRITERION_CRITERION_H

#include "machine/types.h"

/* What user code runs in, and what a supervisor state of it is. */
enum world_kind {
	WORLD_P32,	/* 32-bit protected mode with paging; CPL 0 */
	WORLD_V86,	/* virtual-8086 mode; real mode */
	WORLD_L64,	/* 64-bit mode; CPL 0 */
};

enum iopl { IOPL_ANY, IOPL_0, IOPL_3, IOPL_GATE /* and IF is set: what the gate admits */ };

struct criterion_case {
	const char *name, *what;
	const char *cpu, *other_cpu;	/* --cpu model, and one of another identity or NULL */
	enum world_kind kind;
	enum iopl iopl;
	bool only_386;			/* instructions up to the 80386 alone, and no x87 */
	bool umip, tsd;			/* CR4 */
	bool faulting;			/* CPUID in user mode, by MISC_FEATURES_ENABLES */
};
extern const struct criterion_case criterion_cases[];
extern const unsigned criterion_ncases;

/* How two states of a pair differ. pairs.def has the rows. */
enum pair_kind {
#define PAIR(id, ...)	PAIR_##id,
#include "criterion/pairs.def"
#undef PAIR
	PAIRS
};

/* One difference that decided something: run it again from its seed. */
struct witness {
	bool found;
	uint8_t pair;			/* enum pair_kind, or PAIRS: before and after of one run */
	bool user;
	uint64_t seed;			/* of the state */
	uint8_t bytes[15], length;
	char what[32];			/* the component of the state */
	uint64_t value[2];
};

#define NAME_MAX_	24
struct verdict {
	char name[NAME_MAX_];		/* mnemonic, with "far", "Sreg", ... where it matters */
	unsigned forms, runs;
	unsigned trapped;	/* in user mode, where supervisor mode did not trap */
	unsigned passed;	/* did not trap in user mode */
	struct witness control, behaviour;	/* in any state */
	struct witness user_control, user_behaviour;
	uint32_t shown[2];	/* pairs of supervisor and of user states that led to different results */
};

/* What a behaviour-sensitive instruction depends on. */
enum { ON_MODE = 1, ON_LOCATION = 2, ON_RESOURCE = 4 };
static inline unsigned pair_sort(unsigned pair)
{
	switch (pair) {
	case PAIR_MODE: return ON_MODE;
	case PAIR_CR3: case PAIR_BASE: case PAIR_FSBASE: case PAIR_BOUNDS: case PAIR_RIGHTS: return ON_LOCATION;
	default: return ON_RESOURCE;
	}
}
static inline unsigned depends_on(const struct verdict *v)
{
	unsigned on = 0;

	for (unsigned i = 0; i < PAIRS; i++)
		if ((v->shown[0] | v->shown[1]) >> i & 1)
			on |= pair_sort(i);
	return on;
}

static inline bool is_privileged(const struct verdict *v) { return v->trapped && !v->passed; }
static inline bool is_sensitive(const struct verdict *v)
{
	return v->control.found || v->behaviour.found || v->user_control.found || v->user_behaviour.found;
}
static inline bool is_user_sensitive(const struct verdict *v)
{
	return v->user_control.found || v->user_behaviour.found;
}

struct criterion {
	const struct criterion_case *of;
	struct verdict *v;
	unsigned n, forms;
	uint64_t runs;			/* instructions run */
	double seconds;
};

/* Classifies everything, `states` random states a form, more of instructions with few forms; only: one
 * name, or NULL. -errno. */
int criterion_run(struct criterion *out, const struct criterion_case *of, unsigned states, uint64_t seed,
		  const char *only);
void criterion_free(struct criterion *c);
/* Tells the story of a witness, run again. */
void criterion_explain(const struct criterion_case *of, const struct witness *w);
const char *pair_text(unsigned pair);

#endif

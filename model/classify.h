/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The definitions of Popek and Goldberg (1974), section 3, decided for each instruction of a
 * machine by trying it: on a small machine, from every combination of mode, place of the
 * window and operands, over several contents of memory. Nothing is known of an instruction
 * beforehand but its opcode.
 *
 * All of them speak of executions that do not trap. With states S = (E, M, P, R):
 *
 *	privileged	traps in user mode, and not in supervisor mode, whatever else the state is
 *	control		sensitive in mode m: from some S with M = m it changes M or R
 *	location	sensitive in mode m: its effect on P and on the window of E that R shows
 *			is not the same where the same window lies elsewhere in E
 *	mode		sensitive: its effect on P and the window is not the same in both modes
 */
#ifndef MODEL_CLASSIFY_H
#define MODEL_CLASSIFY_H

#include "model/pg.h"

#define CLASSIFY_Q	12u

/* A state that shows a property, and for two of them the other state; and what came of them. */
struct classify_state {
	uint64_t e[CLASSIFY_Q];
	struct pg_psw psw;
};
struct classify_witness {
	bool found;
	struct classify_state from[2], to[2];
};

enum classify_mode { CLASSIFY_SUPERVISOR, CLASSIFY_USER, CLASSIFY_MODES };

struct classify {
	const struct pg_insn *insn;
	bool privileged;
	struct classify_witness control[CLASSIFY_MODES], location[CLASSIFY_MODES], mode;
	uint64_t tried;	/* states */
};

/* Sensitive at all (section 3); in user mode (section 6). with: the classes of added instructions. */
bool classify_sensitive(const struct classify *c);
bool classify_user_sensitive(const struct classify *c);
void classify_insn(struct classify *c, const struct pg_insn *insn, unsigned with);

enum theorem { THEOREM_1, THEOREM_2, THEOREM_3, THEOREMS };

struct theorems {
	unsigned n;
	struct classify insn[64];
	bool holds[THEOREMS];
};

/* Classifies every instruction of the machine, and what follows from that. */
void theorems_judge(struct theorems *t, unsigned with);
/* Does this instruction break the theorem's condition? */
bool theorem_broken_by(enum theorem th, const struct classify *c);

#endif

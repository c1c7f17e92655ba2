/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A journal of stores to RAM: what pages held before an instruction and after it,
 * so that the instruction can be taken back and done again by another engine.
 * While memory->journal is set, the interpreter's stores all go the slow way,
 * which notes each page here before it changes.
 */
#ifndef MACHINE_JOURNAL_H
#define MACHINE_JOURNAL_H

#include "machine/memory.h"

#define JOURNAL_PAGES	16	/* more than any instruction and its exception touch */

struct journal {
	struct journal_page { gpa_t gpa; uint8_t before[PAGE_SIZE], after[PAGE_SIZE]; }
		pages[JOURNAL_PAGES];
	unsigned n;
	bool final;	/* a device was touched, or there were too many pages: no way back */
};

/* Stores to m are noted from now on, into an empty journal. */
void journal_begin(struct memory *m, struct journal *j);
/* The page of gpa, which is RAM, is about to be written. */
void journal_note(struct journal *j, const struct memory *m, gpa_t gpa);
/* Keeps what the pages hold now as `after`; stores are noted no longer. */
void journal_end(struct memory *m, struct journal *j);
/* Puts back what was before, or after; nothing is noted. */
void journal_undo(struct memory *m, const struct journal *j);
void journal_redo(struct memory *m, const struct journal *j);
/* The first byte that is not as `after` says: false, or its address and what it is now. */
bool journal_differs(const struct memory *m, const struct journal *j, gpa_t *gpa,
		     uint8_t *now, uint8_t *wanted);

#endif

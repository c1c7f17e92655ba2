/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal keeps whole pages: an instruction writes few of them, and a store by
 * the other engine next to where it belongs is then seen too. Only the bytes that
 * differ are written back, so that those who watch a page learn no more than was
 * changed.
 */
#include <string.h>

#include "machine/journal.h"

void journal_begin(struct memory *m, struct journal *j)
{
	j->n = 0;
	j->final = false;
	m->journal = j;
}

void journal_note(struct journal *j, const struct memory *m, gpa_t gpa)
{
	gpa_t page = gpa & PAGE_MASK;

	for (unsigned i = 0; i < j->n; i++)
		if (j->pages[i].gpa == page)
			return;
	if (j->n == JOURNAL_PAGES) {
		j->final = true;
		return;
	}
	j->pages[j->n].gpa = page;
	memcpy(j->pages[j->n++].before, memory_hva(m, page), PAGE_SIZE);
}

void journal_end(struct memory *m, struct journal *j)
{
	m->journal = NULL;
	for (unsigned i = 0; i < j->n; i++)
		memcpy(j->pages[i].after, memory_hva(m, j->pages[i].gpa), PAGE_SIZE);
}

static void page_set(struct memory *m, gpa_t gpa, const uint8_t *bytes)
{
	uint8_t *now = memory_hva(m, gpa);
	unsigned first = 0, end = PAGE_SIZE;

	if (!memcmp(now, bytes, PAGE_SIZE))
		return;
	while (now[first] == bytes[first])
		first++;
	while (now[end - 1] == bytes[end - 1])
		end--;
	memcpy(now + first, bytes + first, end - first);
	if (memory_flags(m, gpa))
		memory_note_store(m, gpa + first, end - first);
}

void journal_undo(struct memory *m, const struct journal *j)
{
	for (unsigned i = 0; i < j->n; i++)
		page_set(m, j->pages[i].gpa, j->pages[i].before);
}

void journal_redo(struct memory *m, const struct journal *j)
{
	for (unsigned i = 0; i < j->n; i++)
		page_set(m, j->pages[i].gpa, j->pages[i].after);
}

bool journal_differs(const struct memory *m, const struct journal *j, gpa_t *gpa,
		     uint8_t *now, uint8_t *wanted)
{
	for (unsigned i = 0; i < j->n; i++) {
		const struct journal_page *p = &j->pages[i];
		const uint8_t *is = memory_hva(m, p->gpa);

		if (!memcmp(is, p->after, PAGE_SIZE))
			continue;
		for (unsigned k = 0; k < PAGE_SIZE; k++)
			if (is[k] != p->after[k]) {
				*gpa = p->gpa + k;
				*now = is[k];
				*wanted = p->after[k];
				return true;
			}
	}
	return false;
}

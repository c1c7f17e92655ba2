/* SPDX-License-Identifier: BSD-2-Clause */
/* Nothing here decides anything (show.h). */
#include "model/show.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

const char *show_psw(struct pg_psw psw, char text[SHOW_LEN])
{
	snprintf(text, SHOW_LEN, "M=%s P=%u R=(%u, %u)", psw.user ? "user" : "supervisor",
		 psw.p, psw.base, psw.bound);
	return text;
}

const char *show_word(uint64_t word, char text[SHOW_LEN])
{
	const struct pg_insn *insn = pg_insn_find((uint8_t)(word >> 56));
	int n;

	if (!insn) {
		snprintf(text, SHOW_LEN, ".word %#" PRIx64, word);
		return text;
	}
	n = snprintf(text, SHOW_LEN, "%s", insn->name);
	for (unsigned i = 0; insn->operands[i]; i++)
		n += snprintf(text + n, SHOW_LEN - (size_t)n, "%s%u", i ? ", " : " ",
			      pg_field(word, i));
	return text;
}

const char *show_place(const struct model_program *p, unsigned cell, char text[SHOW_LEN])
{
	const struct model_symbol *best = NULL;

	text[0] = '\0';
	for (unsigned i = 0; p && i < p->nsymbols; i++)
		if (p->symbol[i].cell <= cell && (!best || p->symbol[i].cell > best->cell))
			best = &p->symbol[i];
	if (best && best->cell == cell)
		snprintf(text, SHOW_LEN, "%s: ", best->name);
	else if (best)
		snprintf(text, SHOW_LEN, "%s+%u: ", best->name, cell - best->cell);
	return text;
}

static void show_side(FILE *f, const char *who, const struct pg *m, unsigned cell)
{
	char text[SHOW_LEN];

	fprintf(f, "  %-16s %s", who, show_psw(m->psw, text));
	if (cell < m->q)
		fprintf(f, " E[%u]=%#" PRIx64, cell, m->e[cell]);
	fputc('\n', f);
}

void show_difference(FILE *f, const struct compare *c)
{
	char a[SHOW_LEN], b[SHOW_LEN];

	fprintf(f, "step %" PRIu64 ": %s, at %s: %s\n", c->steps,
		c->fetched ? show_word(c->word, a) : "no instruction", show_psw(c->before, b),
		c->differs ? c->differs : "no difference");
	show_side(f, "bare machine", &c->bare, c->cell);
	show_side(f, "virtual machine", &c->guest, c->cell);
	show_side(f, "host", &c->nest.host, UINT32_MAX);
}

void show_console(FILE *f, const struct model_program *p, const struct pg *m)
{
	const struct model_symbol *s = model_symbol_find(p, "console");
	uint64_t n;

	if (!s || s->cell >= m->q)
		return;
	n = m->e[s->cell];
	for (unsigned at = s->cell + 1u; n > 0 && at < m->q; n--, at++) {
		int c = (int)(m->e[at] & 0xff);

		if (c)
			fputc(isprint(c) || c == '\n' ? c : '?', f);
	}
}

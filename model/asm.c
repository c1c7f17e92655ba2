/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statements and directives. An operand is a number, a character, a label, or a sum of those;
 * labels after .base are addresses of the process that begins there.
 */
#include "model/asm.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "model/pg.h"

#define LINE	256
#define OPERANDS	4

struct assembler {
	struct model_program *p;
	const char *file;
	unsigned line, pass, at, base;
	char *error;
	unsigned error_size;
};

static int fail(struct assembler *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int fail(struct assembler *a, const char *fmt, ...)
{
	int n = snprintf(a->error, a->error_size, "%s:%u: ", a->file, a->line);
	va_list ap;

	if (n >= 0 && (unsigned)n < a->error_size) {
		va_start(ap, fmt);
		vsnprintf(a->error + n, a->error_size - (unsigned)n, fmt, ap);
		va_end(ap);
	}
	return -EINVAL;
}

const struct model_symbol *model_symbol_find(const struct model_program *p, const char *name)
{
	for (unsigned i = 0; i < p->nsymbols; i++)
		if (strcmp(p->symbol[i].name, name) == 0)
			return &p->symbol[i];
	return NULL;
}

static bool name_char(char c, bool first)
{
	return isalpha((unsigned char)c) || c == '_' || (!first && isdigit((unsigned char)c));
}

/* Copies the name at *s; false if there is none or it is too long. */
static bool take_name(const char **s, char name[ASM_NAME])
{
	unsigned n = 0;

	while (name_char((*s)[n], n == 0))
		n++;
	if (n == 0 || n >= ASM_NAME)
		return false;
	memcpy(name, *s, n);
	name[n] = '\0';
	*s += n;
	return true;
}

static const char *skip(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

static int define(struct assembler *a, const char *name, uint64_t value)
{
	struct model_symbol *s;

	if (a->pass == 2)
		return 0;
	if (model_symbol_find(a->p, name))
		return fail(a, "'%s' is defined twice", name);
	if (a->p->nsymbols == ASM_SYMBOLS)
		return fail(a, "more than %d labels", ASM_SYMBOLS);
	s = &a->p->symbol[a->p->nsymbols++];
	strcpy(s->name, name);
	s->value = value;
	s->cell = (uint16_t)a->at;
	return 0;
}

static int term(struct assembler *a, const char **s, bool must, uint64_t *value)
{
	const struct model_symbol *sym;
	char name[ASM_NAME], *end;

	if (**s == '\'') {
		if (!(*s)[1] || (*s)[2] != '\'')
			return fail(a, "a character is written like 'x'");
		*value = (unsigned char)(*s)[1];
		*s += 3;
		return 0;
	}
	if (isdigit((unsigned char)**s)) {
		errno = 0;
		*value = strtoull(*s, &end, 0);
		if (errno || name_char(*end, false))
			return fail(a, "'%s' is not a number", *s);
		*s = end;
		return 0;
	}
	if (!take_name(s, name))
		return fail(a, "a number or a label is missing at '%s'", *s);
	sym = model_symbol_find(a->p, name);
	if (!sym && (must || a->pass == 2))
		return fail(a, must ? "'%s' must be defined before this line"
				: "'%s' is not defined", name);
	*value = sym ? sym->value : 0;
	return 0;
}

/* must: the value is needed in the first pass already, since cells are counted by it. */
static int expression(struct assembler *a, const char *s, bool must, uint64_t *value)
{
	char sign = '+';
	uint64_t one = 0;
	int err;

	s = skip(s);
	*value = 0;
	if (*s == '-') {
		sign = '-';
		s = skip(s + 1);
	}
	for (;;) {
		err = term(a, &s, must, &one);
		if (err)
			return err;
		*value = sign == '+' ? *value + one : *value - one;
		s = skip(s);
		if (!*s)
			return 0;
		if (*s != '+' && *s != '-')
			return fail(a, "'%s' is left over", s);
		sign = *s;
		s = skip(s + 1);
	}
}

static int emit(struct assembler *a, uint64_t word)
{
	if (a->at >= ASM_CELLS)
		return fail(a, "the program does not fit into %d cells", ASM_CELLS);
	a->p->e[a->at++] = word;
	if (a->at > a->p->size)
		a->p->size = a->at;
	return 0;
}

static int wants(struct assembler *a, const char *what, unsigned have, unsigned want)
{
	if (have == want)
		return 0;
	return fail(a, "%s takes %u operand%s, not %u", what, want, want == 1 ? "" : "s", have);
}

static int field(struct assembler *a, const char *s, bool must, uint64_t *value)
{
	int err = expression(a, s, must, value);

	/* In the first pass a label that is still to come counts as 0. */
	if (!err && (must || a->pass == 2) && *value > UINT16_MAX)
		return fail(a, "'%s' is not between 0 and 65535", s);
	return err;
}

static int instruction(struct assembler *a, const char *name, char *op[], unsigned n)
{
	const struct pg_insn *insn = pg_insn_named(name);
	uint64_t f[3] = { 0 };
	int err;

	if (!insn)
		return fail(a, "'%s' is no instruction", name);
	err = wants(a, insn->name, n, (unsigned)strlen(insn->operands));
	for (unsigned i = 0; !err && i < n; i++)
		err = field(a, op[i], false, &f[i]);
	if (err)
		return err;
	return emit(a, pg_word(insn->op, (uint16_t)f[0], (uint16_t)f[1], (uint16_t)f[2]));
}

static int psw(struct assembler *a, char *op[], unsigned n)
{
	struct pg_psw w = { 0 };
	uint64_t f[4] = { 0 };
	int err = wants(a, ".psw", n, 4);

	if (err)
		return err;
	if (strcmp(op[0], "user") == 0)
		w.user = true;
	else if (strcmp(op[0], "supervisor") != 0)
		return fail(a, ".psw: the mode is user or supervisor, not '%s'", op[0]);
	for (unsigned i = 1; !err && i < 4; i++)
		err = field(a, op[i], false, &f[i]);
	w.p = (uint16_t)f[1];
	w.base = (uint16_t)f[2];
	w.bound = (uint16_t)f[3];
	return err ? err : emit(a, pg_psw_word(w, PG_NONE));
}

static int equ(struct assembler *a, char *op[], unsigned n)
{
	const char *s;
	char name[ASM_NAME];
	uint64_t value;
	int err = wants(a, ".equ", n, 2);

	if (err)
		return err;
	s = op[0];
	if (!take_name(&s, name) || *s)
		return fail(a, "'%s' is not a name", op[0]);
	err = expression(a, op[1], true, &value);
	return err ? err : define(a, name, value);
}

static int directive(struct assembler *a, const char *name, char *op[], unsigned n)
{
	uint64_t v = 0;
	int err = 0;

	if (strcmp(name, ".psw") == 0)
		return psw(a, op, n);
	if (strcmp(name, ".equ") == 0)
		return equ(a, op, n);
	if (strcmp(name, ".word") == 0) {
		if (n == 0)
			return fail(a, ".word: no value");
		for (unsigned i = 0; !err && i < n; i++) {
			err = expression(a, op[i], false, &v);
			err = err ? err : emit(a, v);
		}
		return err;
	}
	if (strcmp(name, ".fill") == 0) {
		err = wants(a, ".fill", n, 1);
		err = err ? err : field(a, op[0], true, &v);
		for (; !err && v > 0; v--)
			err = emit(a, 0);
		return err;
	}
	if (strcmp(name, ".org") == 0) {
		err = wants(a, ".org", n, 1);
		err = err ? err : field(a, op[0], true, &v);
		if (!err && v >= ASM_CELLS)
			err = fail(a, "the program does not fit into %d cells", ASM_CELLS);
		a->at = err ? a->at : (unsigned)v;
		return err;
	}
	if (strcmp(name, ".base") == 0) {
		if (n == 0)
			v = a->at;
		else
			err = wants(a, ".base", n, 1);
		if (!err && n)
			err = field(a, op[0], true, &v);
		a->base = err ? a->base : (unsigned)v;
		return err;
	}
	return fail(a, "'%s' is no directive", name);
}

/* Operands by commas; a comma or semicolon in quotes is a character. */
static unsigned split(char *s, char *op[], unsigned max)
{
	unsigned n = 0;

	s = (char *)skip(s);
	if (!*s)
		return 0;
	for (op[n++] = s; *s; s++) {
		if (*s == '\'' && s[1] && s[2] == '\'') {
			s += 2;
		} else if (*s == ',') {
			*s = '\0';
			if (n == max)
				return max + 1;
			op[n++] = (char *)skip(s + 1);
		}
	}
	for (unsigned i = 0; i < n; i++)
		for (size_t len = strlen(op[i]); len && isspace((unsigned char)op[i][len - 1]);)
			op[i][--len] = '\0';
	return n;
}

static void strip_comment(char *s)
{
	for (; *s && *s != ';'; s++)
		if (*s == '\'' && s[1] && s[2] == '\'')
			s += 2;
	*s = '\0';
}

static int statement(struct assembler *a, char *text)
{
	char name[ASM_NAME], *op[LINE];
	const char *s;
	unsigned n;
	int err;

	strip_comment(text);
	s = skip(text);
	while (name_char(*s, true)) {
		const char *after = s;

		if (!take_name(&after, name))
			return fail(a, "a name has at most %d characters", ASM_NAME - 1);
		if (*after != ':')
			break;
		if (a->at < a->base)
			return fail(a, "'%s' is below .base", name);
		err = define(a, name, a->at - a->base);
		if (err)
			return err;
		s = skip(after + 1);
	}
	if (!*s)
		return 0;
	for (n = 0; s[n] && !isspace((unsigned char)s[n]) && n < ASM_NAME - 1; n++)
		name[n] = s[n];
	name[n] = '\0';
	s += n;
	n = split((char *)s, op, LINE - 1);
	return name[0] == '.' ? directive(a, name, op, n) : instruction(a, name, op, n);
}

int model_assemble(struct model_program *p, const char *name, const char *text,
		   char *error, unsigned size)
{
	struct assembler a = { .p = p, .file = name, .error = error, .error_size = size };
	char line[LINE];
	int err = 0;

	memset(p, 0, sizeof(*p));
	for (a.pass = 1; a.pass <= 2; a.pass++) {
		const char *s = text;

		a.line = a.at = a.base = 0;
		while (*s && !err) {
			size_t len = strcspn(s, "\n");

			a.line++;
			if (len >= sizeof(line))
				return fail(&a, "a line has at most %d characters", LINE - 1);
			memcpy(line, s, len);
			line[len] = '\0';
			err = statement(&a, line);
			s += len + (s[len] == '\n');
		}
		if (err)
			return err;
	}
	if (p->size <= PG_START)
		return fail(&a, "no cell at %d, where the machine starts", PG_START);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines of the prompt: words are separated by blanks; in "..." and after a backslash a blank
 * is part of a word. What they mean, the table of commands says.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/control.h"
#include "dev/drive.h"

/* --- Words ----------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

/* The next word before `end`, and *p after it; NULL: there is none. It may be empty. */
static char *word_take(const char **p, const char *end)
{
	GString *s;
	bool quoted = false;
	const char *q = *p;

	while (q < end && is_blank(*q))
		q++;
	if (q == end) {
		*p = q;
		return NULL;
	}
	s = g_string_new(NULL);
	for (; q < end && (quoted || !is_blank(*q)); q++) {
		if (*q == '"')
			quoted = !quoted;
		else if (*q == '\\' && q + 1 < end)
			g_string_append_c(s, *++q);
		else
			g_string_append_c(s, *q);
	}
	*p = q;
	return g_string_free(s, FALSE);
}

/* "x/4i" is "x /4i". The name of a command never has a slash. */
static char *name_take(const char **p, const char *end)
{
	const char *from = *p;
	char *word = word_take(p, end), *slash = word ? strchr(word, '/') : NULL;

	if (!slash || slash == word)
		return word;
	from = skip_blanks(from);
	*p = from + (slash - word);
	*slash = '\0';
	return word;
}

/* The command at the start of a line; *p is after it. *name is what was tried. */
static const struct verb *verb_take(const char **p, const char *end, char **name)
{
	const struct verb *verb;
	const char *after;
	char *second, *both;

	*name = name_take(p, end);
	if (!*name)
		return NULL;
	verb = verb_find(*name);
	if (verb || strcmp(*name, "info"))
		return verb;
	after = *p;
	second = word_take(&after, end);
	if (!second)
		return NULL;
	both = g_strdup_printf("info %s", second);
	g_free(second);
	g_free(*name);
	*name = both;
	verb = verb_find(both);
	*p = after;
	return verb;
}

/* --- Arguments ------------------------------------------------------------------------- */

bool arg_accepts(const struct arg *a, const char *word)
{
	char **all = g_strsplit(a->choices, "|", -1);
	bool found = g_strv_contains((const char *const *)all, word);

	g_strfreev(all);
	return found;
}

static bool number_parse(const char *text, int64_t *out)
{
	char *end;

	*out = g_ascii_strtoll(text, &end, 0);
	return *text && !*end;
}

/* Takes text. */
static char *value_set(const struct arg *a, struct value *v, char *text)
{
	v->text = text;
	if (a->choices && !arg_accepts(a, text))
		return g_strdup_printf("'%s': unknown; say %s", text, a->choices);
	if (a->kind == ARG_NUMBER && !number_parse(text, &v->number))
		return g_strdup_printf("'%s' is no number", text);
	if (a->kind == ARG_KEYS && !keys_parse(text, v))
		return g_strdup_printf("'%s': no such key, or too many; say for instance "
				       "ctrl-alt-f1", text);
	return NULL;
}

/* Flags and formats are there or not; they say which argument a word is. */
static bool word_fits(const struct arg *a, const char *p)
{
	if (a->kind == ARG_FLAG)
		return p[0] == '-' && p[1] == *a->name && (!p[2] || is_blank(p[2]));
	return a->kind != ARG_FORMAT || *p == '/';
}

static char *rest_take(const char **p, const char *end)
{
	char *rest = g_strndup(*p, (gsize)(end - *p));

	*p = end;
	return g_strchomp(rest);
}

static char *args_take(struct call *c, const char *p, const char *end)
{
	char *why = NULL, *usage;

	for (unsigned i = 0; i < CALL_ARGS && c->verb->args[i].name && !why; i++) {
		const struct arg *a = &c->verb->args[i];

		p = skip_blanks(p);
		if (!*p || !word_fits(a, p)) {
			if (a->optional)
				continue;
			why = g_strdup_printf("%s is missing", a->name);
			break;
		}
		why = value_set(a, &c->args[i], a->kind == ARG_REST ? rest_take(&p, end) :
				word_take(&p, end));
	}
	p = skip_blanks(p);
	if (!why && *p)
		why = g_strdup_printf("'%s' is too much", p);
	if (!why)
		return NULL;
	usage = verb_usage(c->verb);
	c->error = g_strdup_printf("%s: %s (%s)", c->verb->name, why, usage);
	g_free(usage);
	g_free(why);
	why = c->error;
	c->error = NULL;
	return why;
}

static char *unknown(const char *name)
{
	GString *s;

	if (!g_str_has_prefix(name, "info"))
		return g_strdup_printf("'%s' is no command; help lists them", name);
	s = g_string_new("info: say what:");
	for (unsigned i = 0; i < nverbs; i++)
		if (verbs[i].name && g_str_has_prefix(verbs[i].name, "info "))
			g_string_append_printf(s, " %s", verbs[i].name + strlen("info "));
	return g_string_free(s, FALSE);
}

struct call *call_from_line(struct control *k, const char *line, char **why)
{
	const char *p = line, *end = line + strlen(line);
	const struct verb *verb;
	struct call *c;
	char *name;

	*why = NULL;
	verb = verb_take(&p, end, &name);
	if (!verb) {
		*why = name ? unknown(name) : NULL;
		g_free(name);
		return NULL;
	}
	g_free(name);
	c = call_new(k, verb);
	*why = args_take(c, p, end);
	if (!*why)
		return c;
	call_free(c);
	return NULL;
}

/* --- Completion ------------------------------------------------------------------------ */

static void offer(GPtrArray *to, const char *word, const char *prefix, bool complete)
{
	if (g_str_has_prefix(word, prefix))
		g_ptr_array_add(to, g_strdup_printf("%s%s", word, complete ? " " : ""));
}

static void offer_commands(GPtrArray *to, const char *prefix, bool info)
{
	const char *const group = "info ";

	for (unsigned i = 0; i < nverbs; i++) {
		const char *name = verbs[i].name;

		if (name && info == g_str_has_prefix(name, group))
			offer(to, name + (info ? strlen(group) : 0), prefix, true);
	}
	if (!info)
		offer(to, "info", prefix, true);
}

static char *escape_blanks(const char *name)
{
	GString *s = g_string_new(NULL);

	for (; *name; name++) {
		if (is_blank(*name) || *name == '\\' || *name == '"')
			g_string_append_c(s, '\\');
		g_string_append_c(s, *name);
	}
	return g_string_free(s, FALSE);
}

static void offer_files(GPtrArray *to, const char *prefix)
{
	const char *slash = strrchr(prefix, '/'), *base = slash ? slash + 1 : prefix;
	char *dir = g_strndup(prefix, (gsize)(base - prefix));
	DIR *d = opendir(*dir ? dir : ".");
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		char *path = g_strconcat(dir, e->d_name, NULL), *shown;
		struct stat st;

		if (g_str_has_prefix(e->d_name, base) && (*e->d_name != '.' || *base == '.')) {
			bool is_dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode);

			shown = escape_blanks(path);
			g_ptr_array_add(to, g_strconcat(shown, is_dir ? "/" : " ", NULL));
			g_free(shown);
		}
		g_free(path);
	}
	if (d)
		closedir(d);
	g_free(dir);
}

static void offer_keys(GPtrArray *to, const char *prefix)
{
	const char *dash = strrchr(prefix, '-'), *last = dash ? dash + 1 : prefix, *name;

	for (unsigned i = 0; (name = keys_name(i)); i++)
		if (g_str_has_prefix(name, last))
			g_ptr_array_add(to, g_strdup_printf("%.*s%s", (int)(last - prefix), prefix,
							    name));
}

static void offer_choices(GPtrArray *to, const char *choices, const char *prefix)
{
	char **all = g_strsplit(choices, "|", -1);

	for (char **c = all; *c; c++)
		offer(to, *c, prefix, true);
	g_strfreev(all);
}

static void offer_arg(GPtrArray *to, struct control *k, const struct arg *a, const char *prefix)
{
	switch (a->kind) {
	case ARG_FILE:
		offer_files(to, prefix);
		break;
	case ARG_DEVICE:
		for (struct drive *d = control_machine(k)->drives; d; d = d->next)
			offer(to, d->name, prefix, true);
		break;
	case ARG_COMMAND:
		offer_commands(to, prefix, false);
		break;
	case ARG_KEYS:
		offer_keys(to, prefix);
		break;
	default:
		if (a->choices)
			offer_choices(to, a->choices, prefix);
	}
}

/* Which argument the word is that begins at `word`: those that its predecessors are not. */
static const struct arg *arg_at(const struct verb *verb, const char *p, const char *word)
{
	unsigned i = 0;

	while (i < CALL_ARGS && verb->args[i].name) {
		const struct arg *a = &verb->args[i];

		p = skip_blanks(p);
		if (a->kind == ARG_FLAG || a->kind == ARG_FORMAT) {
			if (p < word && word_fits(a, p))
				g_free(word_take(&p, word));
			i++;
			continue;
		}
		if (p >= word)
			return a;
		g_free(word_take(&p, word));
		i++;
	}
	return NULL;
}

/* The beginning of the word that ends at `at`. */
static const char *word_begin(const char *line, const char *at)
{
	const char *p = line, *begin;

	do {
		begin = skip_blanks(p);
		if (begin >= at)
			return at;
		p = begin;
		g_free(word_take(&p, at));
	} while (p < at);
	return begin;
}

GPtrArray *line_complete(struct control *k, const char *line, size_t at, size_t *from)
{
	GPtrArray *to = g_ptr_array_new_with_free_func(g_free);
	const char *end = line + at, *word = word_begin(line, end), *p = line, *q = word;
	char *prefix = word_take(&q, end), *name = NULL;
	const struct verb *verb;
	const struct arg *a;

	if (!prefix)
		prefix = g_strdup("");
	*from = (size_t)(word - line);
	if (skip_blanks(line) == word) {
		offer_commands(to, prefix, false);
	} else {
		verb = verb_take(&p, word, &name);
		a = verb ? arg_at(verb, p, word) : NULL;
		if (a)
			offer_arg(to, k, a, prefix);
		else if (!verb && name && strcmp(name, "info") == 0)
			offer_commands(to, prefix, true);
	}
	g_free(name);
	g_free(prefix);
	return to;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One row of the terminal shows the part of the line around the cursor. Bytes of a UTF-8
 * character stay together. Keys are those of readline and of shells, but for Ctrl-A,
 * which is hemi's own.
 */
#include <string.h>

#include "cli/lineedit.h"

#define HISTORY		100
#define LIST_MAX	200		/* completions that are shown */

enum escape { ESC_NONE, ESC_SEEN, ESC_CSI, ESC_SS3 };

struct lineedit {
	const char *prompt;
	const struct lineedit_ops *ops;
	void *arg;
	char line[LINE_SIZE];
	size_t len, cursor;
	bool done;			/* the line was taken: the next byte begins a new one */
	enum escape escape;
	unsigned number;		/* of the sequence ESC [ NUMBER ~ */
	char *history[HISTORY];		/* the oldest first */
	unsigned nhistory, at;		/* at == nhistory: the line that is new */
	char fresh[LINE_SIZE];		/* that, while older ones are looked at */
};

/* --- Showing ------------------------------------------------------------------------------ */

static void put(struct lineedit *e, const char *text)
{
	e->ops->put(e->arg, text, strlen(text));
}

static bool is_inner(char c)
{
	return (c & 0xc0) == 0x80;
}

static size_t columns(const char *from, const char *to)
{
	size_t n = 0;

	for (; from < to; from++)
		n += !is_inner(*from);
	return n;
}

static size_t step_back(const struct lineedit *e, size_t at)
{
	if (at)
		at--;
	while (at && is_inner(e->line[at]))
		at--;
	return at;
}

static size_t step_on(const struct lineedit *e, size_t at)
{
	if (at < e->len)
		at++;
	while (at < e->len && is_inner(e->line[at]))
		at++;
	return at;
}

static void redraw(struct lineedit *e)
{
	size_t room = e->ops->width(e->arg), from = 0, to, shown = strlen(e->prompt);
	GString *s = g_string_new("\r");

	room = room > shown + 2 ? room - shown - 1 : 1;
	while (columns(e->line + from, e->line + e->cursor) >= room)
		from = step_on(e, from);
	for (to = from; to < e->len && columns(e->line + from, e->line + to) < room;)
		to = step_on(e, to);
	g_string_append(s, e->prompt);
	g_string_append_len(s, e->line + from, (gssize)(to - from));
	g_string_append(s, "\033[K\r");
	g_string_append_printf(s, "\033[%zuC",
			       shown + columns(e->line + from, e->line + e->cursor));
	e->ops->put(e->arg, s->str, s->len);
	g_string_free(s, TRUE);
}

/* --- Changing ----------------------------------------------------------------------------- */

static void erase(struct lineedit *e, size_t from, size_t to)
{
	memmove(e->line + from, e->line + to, e->len - to + 1);
	e->len -= to - from;
	e->cursor = from;
}

static void insert(struct lineedit *e, const char *text, size_t n)
{
	if (n >= LINE_SIZE - e->len)
		return;
	memmove(e->line + e->cursor + n, e->line + e->cursor, e->len - e->cursor + 1);
	memcpy(e->line + e->cursor, text, n);
	e->len += n;
	e->cursor += n;
}

static void set(struct lineedit *e, const char *text)
{
	e->len = e->cursor = g_strlcpy(e->line, text, LINE_SIZE);
}

static size_t word_back(const struct lineedit *e)
{
	size_t at = e->cursor;

	while (at && e->line[at - 1] == ' ')
		at--;
	while (at && e->line[at - 1] != ' ')
		at--;
	return at;
}

static size_t word_on(const struct lineedit *e)
{
	size_t at = e->cursor;

	while (at < e->len && e->line[at] == ' ')
		at++;
	while (at < e->len && e->line[at] != ' ')
		at++;
	return at;
}

/* --- History ------------------------------------------------------------------------------ */

static void history_add(struct lineedit *e)
{
	if (!e->len || (e->nhistory && strcmp(e->history[e->nhistory - 1], e->line) == 0))
		return;
	if (e->nhistory == HISTORY) {
		g_free(e->history[0]);
		memmove(e->history, e->history + 1, sizeof(e->history) - sizeof(*e->history));
		e->nhistory--;
	}
	e->history[e->nhistory++] = g_strdup(e->line);
}

static void history_go(struct lineedit *e, int by)
{
	if ((by < 0 && !e->at) || (by > 0 && e->at == e->nhistory))
		return;
	if (e->at == e->nhistory)
		g_strlcpy(e->fresh, e->line, LINE_SIZE);
	e->at += (unsigned)by;
	set(e, e->at == e->nhistory ? e->fresh : e->history[e->at]);
}

static void start_line(struct lineedit *e)
{
	e->done = false;
	set(e, "");
	e->at = e->nhistory;
}

void lineedit_show(struct lineedit *e)
{
	if (e->done)
		start_line(e);
	redraw(e);
}

/* --- Completion --------------------------------------------------------------------------- */

static size_t common_length(const GPtrArray *all)
{
	const char *first = all->pdata[0];
	size_t n = strlen(first);

	for (unsigned i = 1; i < all->len; i++) {
		const char *s = all->pdata[i];
		size_t k = 0;

		while (k < n && s[k] == first[k])
			k++;
		n = k;
	}
	while (n && is_inner(first[n]))
		n--;
	return n;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Of paths the last part. */
static const char *shown_part(const char *s)
{
	size_t n = strlen(s);

	while (n && !(n < strlen(s) && s[n - 1] == '/' && s[n]))
		n--;
	return s + n;
}

static void list(struct lineedit *e, GPtrArray *all)
{
	size_t widest = 0, width = e->ops->width(e->arg), per_row;
	GString *s = g_string_new("\r\n");

	g_ptr_array_sort(all, by_name);
	for (unsigned i = 0; i < all->len; i++)
		widest = MAX(widest, strlen(shown_part(all->pdata[i])));
	per_row = MAX(width / (widest + 2), 1);
	for (unsigned i = 0; i < all->len && i < LIST_MAX; i++)
		g_string_append_printf(s, "%-*s%s", (int)widest + 2, shown_part(all->pdata[i]),
				       (i + 1) % per_row && i + 1 < all->len ? "" : "\r\n");
	if (all->len > LIST_MAX)
		g_string_append_printf(s, "(and %u more)\r\n", all->len - LIST_MAX);
	e->ops->put(e->arg, s->str, s->len);
	g_string_free(s, TRUE);
}

static void complete(struct lineedit *e)
{
	size_t from = e->cursor, n;
	GPtrArray *all = e->ops->complete(e->arg, e->line, e->cursor, &from);

	if (all->len) {
		n = common_length(all);
		if (n > e->cursor - from || all->len == 1) {
			size_t rest = e->len - e->cursor;

			if (n < LINE_SIZE - from - rest) {
				erase(e, from, e->cursor);
				insert(e, all->pdata[0], n);
			}
		} else {
			list(e, all);
		}
	}
	g_ptr_array_unref(all);
}

/* --- Keys --------------------------------------------------------------------------------- */

#define CTRL(c)	((c) & 0x1f)

static void end_line(struct lineedit *e)
{
	put(e, "\r\n");
	history_add(e);
	e->done = true;
}

static enum lineedit_event control_key(struct lineedit *e, unsigned char c)
{
	switch (c) {
	case '\r': case '\n':
		e->cursor = e->len;
		redraw(e);
		end_line(e);
		return LINE_READY;
	case '\t':
		complete(e);
		break;
	case CTRL('c'):
		put(e, "^C\r\n");
		start_line(e);
		break;
	case CTRL('d'):
		if (!e->len)
			return LINE_END;
		erase(e, e->cursor, step_on(e, e->cursor));
		break;
	case CTRL('h'): case 0x7f:
		erase(e, step_back(e, e->cursor), e->cursor);
		break;
	case CTRL('b'): e->cursor = step_back(e, e->cursor); break;
	case CTRL('f'): e->cursor = step_on(e, e->cursor); break;
	case CTRL('e'): e->cursor = e->len; break;
	case CTRL('u'): erase(e, 0, e->cursor); break;
	case CTRL('k'): e->line[e->len = e->cursor] = '\0'; break;
	case CTRL('w'): erase(e, word_back(e), e->cursor); break;
	case CTRL('p'): history_go(e, -1); break;
	case CTRL('n'): history_go(e, 1); break;
	case CTRL('l'): put(e, "\033[H\033[2J"); break;
	case 0x1b:
		e->escape = ESC_SEEN;
		return LINE_MORE;
	}
	redraw(e);
	return LINE_MORE;
}

static void sequence_end(struct lineedit *e, unsigned char c)
{
	bool with_ctrl = e->number == 15;	/* ESC [ 1 ; 5 C */

	switch (c == '~' ? e->number : c) {
	case 'A': history_go(e, -1); break;
	case 'B': history_go(e, 1); break;
	case 'C': e->cursor = with_ctrl ? word_on(e) : step_on(e, e->cursor); break;
	case 'D': e->cursor = with_ctrl ? word_back(e) : step_back(e, e->cursor); break;
	case 'H': case 1: case 7: e->cursor = 0; break;
	case 'F': case 4: case 8: e->cursor = e->len; break;
	case 3: erase(e, e->cursor, step_on(e, e->cursor)); break;
	}
	redraw(e);
}

static void escape_byte(struct lineedit *e, unsigned char c)
{
	enum escape was = e->escape;

	if (was == ESC_SEEN && (c == '[' || c == 'O')) {
		e->escape = c == '[' ? ESC_CSI : ESC_SS3;
		e->number = 0;
		return;
	}
	if (was == ESC_CSI && c >= '0' && c <= '9') {
		e->number = e->number < 1000 ? e->number * 10 + c - '0' : e->number;
		return;
	}
	if (was == ESC_CSI && c == ';')
		return;
	e->escape = ESC_NONE;
	if (was != ESC_SEEN)
		sequence_end(e, c);
	else if (c == 'b' || c == 'f')
		e->cursor = c == 'b' ? word_back(e) : word_on(e);
	else if (c == 0x1b)
		e->escape = ESC_SEEN;
	redraw(e);
}

enum lineedit_event lineedit_feed(struct lineedit *e, unsigned char byte)
{
	char c = (char)byte;

	if (e->done)
		start_line(e);
	if (e->escape) {
		escape_byte(e, byte);
		return LINE_MORE;
	}
	if (byte < 0x20 || byte == 0x7f)
		return control_key(e, byte);
	insert(e, &c, 1);
	if (byte < 0xc0)		/* more of a character follows */
		redraw(e);
	return LINE_MORE;
}

const char *lineedit_line(const struct lineedit *e)
{
	return e->line;
}

struct lineedit *lineedit_new(const char *prompt, const struct lineedit_ops *ops, void *arg)
{
	struct lineedit *e = g_new0(struct lineedit, 1);

	e->prompt = prompt;
	e->ops = ops;
	e->arg = arg;
	return e;
}

void lineedit_free(struct lineedit *e)
{
	if (!e)
		return;
	for (unsigned i = 0; i < e->nhistory; i++)
		g_free(e->history[i]);
	g_free(e);
}

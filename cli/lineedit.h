/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line that a person edits in a terminal which is raw already: bytes come in one by one,
 * what to show goes out through put(). It reads no file and waits for nothing.
 */
#ifndef CLI_LINEEDIT_H
#define CLI_LINEEDIT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#define LINE_SIZE	1024

enum lineedit_event { LINE_MORE, LINE_READY, LINE_END /* Ctrl-D on an empty line */ };

struct lineedit_ops {
	void (*put)(void *arg, const char *text, size_t n);
	unsigned (*width)(void *arg);		/* of the terminal, in columns */
	/* What could stand from *from to `at`, as line_complete() has it. */
	GPtrArray *(*complete)(void *arg, const char *line, size_t at, size_t *from);
};

struct lineedit;

/* prompt and ops stay the caller's; arg is for ops. */
struct lineedit *lineedit_new(const char *prompt, const struct lineedit_ops *ops, void *arg);
void lineedit_free(struct lineedit *e);
/* The prompt and what was typed so far, on a line of their own. */
void lineedit_show(struct lineedit *e);
/* LINE_READY: lineedit_line() is complete, until the next byte. */
enum lineedit_event lineedit_feed(struct lineedit *e, unsigned char byte);
const char *lineedit_line(const struct lineedit *e);

#endif

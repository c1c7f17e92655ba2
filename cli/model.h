/* SPDX-License-Identifier: BSD-2-Clause */
/* hemi model: its forms, and what their command lines have in common. */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include <glib.h>
#include <json-glib/json-glib.h>

#include "model/check.h"

struct model_options {
	const char *file;	/* of model run */
	char *monitor, *with_words;
	gint depth, memory;
	gint64 steps, programs, seed;
	gboolean json, trace;
	/* Read from the words. */
	bool bare, every;	/* no monitor; all of them */
	enum monitor_kind kind;
	unsigned with;
};

/* The forms; each returns the exit status. */
int model_run(const struct model_options *o);
int model_theorems(const struct model_options *o);
int model_check(const struct model_options *o);

/* "vmm", "recursive" or "hybrid". */
const char *model_monitor_name(enum monitor_kind kind, unsigned depth);
/* Members of the object that is being built (cli/report.h). */
/* PSW and, below q, the cell: what a difference shows of a machine. */
void model_json_state(JsonBuilder *b, const char *name, const struct pg *m, unsigned cell);
void model_json_difference(JsonBuilder *b, const char *name, const struct compare *c);

#endif

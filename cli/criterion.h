/* SPDX-License-Identifier: BSD-2-Clause */
/* How `hemi criterion` shows what it found: text, JSON, a page. */
#ifndef CLI_CRITERION_H
#define CLI_CRITERION_H

#include <glib.h>
#include <json-glib/json-glib.h>

#include "criterion/criterion.h"
#include "criterion/host.h"

/* "yes", "sometimes" or "no": whether user mode traps where supervisor mode goes on. */
const char *criterion_privileged(const struct verdict *v);
/* What its behaviour depends on, a letter each of "MLR", or "-"; static, until the next call. */
const char *criterion_depends(const struct verdict *v);

/* To standard output: the table and what it means for Theorems 1 and 3; or each verdict with
 * its witnesses told. */
void criterion_print(const struct criterion *c);
void criterion_stories(const struct criterion *c);
void host_print_text(const struct host_report *r);

/* host: HOST_ENGINES of them, or NULL. A member of the object that is being built, named after the case. */
void criterion_json(JsonBuilder *b, const struct criterion *c, const struct host_report *host);

/* host: likewise. One page for all cases: opened before the first, NULL if the
 * file cannot be written. */
struct page;
struct page *page_open(const char *file);
void page_case(struct page *p, const struct criterion *c, const struct host_report *host);
/* -errno. */
int page_close(struct page *p);

/* Parts of it: the sets of a machine as a diagram; the gate's states, -errno. */
void sets_draw(GString *s, const struct criterion *c);
int gate_draw(GString *s);

#endif

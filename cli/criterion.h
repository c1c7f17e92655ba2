/* SPDX-License-Identifier: BSD-2-Clause */
/* How `hemi criterion` shows what it found: text, JSON, a page. */
#ifndef CLI_CRITERION_H
#define CLI_CRITERION_H

#include <glib.h>

#include "criterion/criterion.h"
#include "criterion/host.h"

void host_print_text(const struct host_report *r);

/* host: HOST_ENGINES of them, or NULL. One page for all cases: opened before the first, NULL if the
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

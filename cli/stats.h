/* SPDX-License-Identifier: BSD-2-Clause */
/* Printing struct stats: for people on a stream, for programs as JSON in a file. */
#ifndef CLI_STATS_H
#define CLI_STATS_H

#include <json-glib/json-glib.h>
#include <stdio.h>

#include "vmexit/stats.h"

/* A table for people. */
void stats_print(const struct stats *s, FILE *f);
/* The same as stats_write() writes. */
JsonNode *stats_node(const struct stats *s);
/* Could path be written? Asked before the run, not after it. 0 or -errno. */
int stats_check(const char *path);
/* Replaces path at once (a reader never sees half of it). 0 or -errno. */
int stats_write(const struct stats *s, const char *path);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is printed for programs: members of the JSON object that a builder of json-glib is at, and
 * the text of the whole. Strings are UTF-8. Nothing here fails.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A member of that name. */
void report_int(JsonBuilder *b, const char *name, int64_t value);
void report_real(JsonBuilder *b, const char *name, double value);
void report_bool(JsonBuilder *b, const char *name, bool value);
void report_null(JsonBuilder *b, const char *name);
/* NULL is null. */
void report_text(JsonBuilder *b, const char *name, const char *value);
/* Begin a member; json_builder_end_object() and _end_array() end it. */
void report_object(JsonBuilder *b, const char *name);
void report_array(JsonBuilder *b, const char *name);

/* Indented, without a last newline; for g_free(). len: bytes without the NUL, or NULL. */
char *report_string(JsonNode *root, gsize *len);
/* To standard output what was built, and a newline; frees the builder. */
void report_print(JsonBuilder *b);

#endif

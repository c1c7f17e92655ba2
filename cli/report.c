/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>

#include "cli/report.h"

void report_int(JsonBuilder *b, const char *name, int64_t value)
{
	json_builder_set_member_name(b, name);
	json_builder_add_int_value(b, value);
}

void report_real(JsonBuilder *b, const char *name, double value)
{
	json_builder_set_member_name(b, name);
	json_builder_add_double_value(b, value);
}

void report_bool(JsonBuilder *b, const char *name, bool value)
{
	json_builder_set_member_name(b, name);
	json_builder_add_boolean_value(b, value);
}

void report_null(JsonBuilder *b, const char *name)
{
	json_builder_set_member_name(b, name);
	json_builder_add_null_value(b);
}

void report_text(JsonBuilder *b, const char *name, const char *value)
{
	if (!value) {
		report_null(b, name);
		return;
	}
	json_builder_set_member_name(b, name);
	json_builder_add_string_value(b, value);
}

void report_object(JsonBuilder *b, const char *name)
{
	json_builder_set_member_name(b, name);
	json_builder_begin_object(b);
}

void report_array(JsonBuilder *b, const char *name)
{
	json_builder_set_member_name(b, name);
	json_builder_begin_array(b);
}

char *report_string(JsonNode *root, gsize *len)
{
	JsonGenerator *g = json_generator_new();
	char *text;

	json_generator_set_root(g, root);
	json_generator_set_pretty(g, TRUE);
	text = json_generator_to_data(g, len);
	g_object_unref(g);
	return text;
}

void report_print(JsonBuilder *b)
{
	JsonNode *root = json_builder_get_root(b);
	char *text = report_string(root, NULL);

	puts(text);
	g_free(text);
	json_node_unref(root);
	g_object_unref(b);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What the forms of hemi model print for programs. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/model.h"
#include "model/show.h"

void model_json_int(JsonBuilder *b, const char *name, uint64_t value)
{
	json_builder_set_member_name(b, name);
	json_builder_add_int_value(b, (gint64)value);
}

void model_json_bool(JsonBuilder *b, const char *name, bool value)
{
	json_builder_set_member_name(b, name);
	json_builder_add_boolean_value(b, value);
}

void model_json_text(JsonBuilder *b, const char *name, const char *value)
{
	json_builder_set_member_name(b, name);
	json_builder_add_string_value(b, value);
}

void model_json_state(JsonBuilder *b, const char *name, const struct pg *m, unsigned cell)
{
	char text[SHOW_LEN];

	json_builder_set_member_name(b, name);
	json_builder_begin_object(b);
	model_json_text(b, "M", m->psw.user ? "user" : "supervisor");
	model_json_int(b, "P", m->psw.p);
	model_json_int(b, "R_base", m->psw.base);
	model_json_int(b, "R_bound", m->psw.bound);
	if (cell < m->q) {
		/* JSON's numbers do not hold 64 bits everywhere. */
		snprintf(text, sizeof(text), "%#" PRIx64, m->e[cell]);
		model_json_int(b, "cell", cell);
		model_json_text(b, "content", text);
	}
	json_builder_end_object(b);
}

void model_json_difference(JsonBuilder *b, const char *name, const struct compare *c)
{
	char text[SHOW_LEN];

	json_builder_set_member_name(b, name);
	if (!c->differs) {
		json_builder_add_null_value(b);
		return;
	}
	json_builder_begin_object(b);
	model_json_int(b, "step", c->steps);
	if (c->fetched)
		model_json_text(b, "instruction", show_word(c->word, text));
	model_json_text(b, "what", c->differs);
	model_json_state(b, "bare", &c->bare, c->cell);
	model_json_state(b, "virtual", &c->guest, c->cell);
	json_builder_end_object(b);
}

void model_json_print(JsonBuilder *b)
{
	JsonGenerator *g = json_generator_new();
	JsonNode *root = json_builder_get_root(b);
	char *text;

	json_generator_set_root(g, root);
	json_generator_set_pretty(g, TRUE);
	text = json_generator_to_data(g, NULL);
	puts(text);
	g_free(text);
	json_node_unref(root);
	g_object_unref(g);
	g_object_unref(b);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What the forms of hemi model print for programs. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/model.h"
#include "cli/report.h"
#include "model/show.h"

void model_json_state(JsonBuilder *b, const char *name, const struct pg *m, unsigned cell)
{
	char text[SHOW_LEN];

	report_object(b, name);
	report_text(b, "M", m->psw.user ? "user" : "supervisor");
	report_int(b, "P", m->psw.p);
	report_int(b, "R_base", m->psw.base);
	report_int(b, "R_bound", m->psw.bound);
	if (cell < m->q) {
		/* JSON's numbers do not hold 64 bits everywhere. */
		snprintf(text, sizeof(text), "%#" PRIx64, m->e[cell]);
		report_int(b, "cell", cell);
		report_text(b, "content", text);
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
	report_int(b, "step", c->steps);
	if (c->fetched)
		report_text(b, "instruction", show_word(c->word, text));
	report_text(b, "what", c->differs);
	model_json_state(b, "bare", &c->bare, c->cell);
	model_json_state(b, "virtual", &c->guest, c->cell);
	json_builder_end_object(b);
}

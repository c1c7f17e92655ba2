/* SPDX-License-Identifier: BSD-2-Clause */
/* What hemi criterion prints for programs: verdicts, and the witnesses of each. */
#include <stdio.h>

#include "cli/criterion.h"
#include "cli/report.h"

static void json_witness(JsonBuilder *b, const char *name, const struct witness *w)
{
	char bytes[2 * sizeof(w->bytes) + 1] = "";

	if (!w->found)
		return;
	for (unsigned i = 0; i < w->length; i++)
		snprintf(bytes + 2 * i, 3, "%02x", w->bytes[i]);
	report_object(b, name);
	report_text(b, "bytes", bytes);
	report_text(b, "mode", w->user ? "user" : "supervisor");
	report_text(b, "pair", pair_text(w->pair));
	report_text(b, "differs in", w->what);
	report_array(b, "values");
	for (unsigned i = 0; i < 2; i++) {
		char text[20];

		snprintf(text, sizeof(text), "%" G_GINT64_MODIFIER "x", w->value[i]);
		json_builder_add_string_value(b, text);
	}
	json_builder_end_array(b);
	json_builder_end_object(b);
}

static void json_host(JsonBuilder *b, const struct host_report *r)
{
	report_object(b, r->engine);
	if (r->why[0])
		report_text(b, "why", r->why);
	report_int(b, "runs", r->runs);
	report_int(b, "refused", r->refused);
	report_object(b, "instructions");
	for (unsigned i = 0; i < r->n && !r->why[0]; i++) {
		report_object(b, r->v[i].of->name);
		report_text(b, "verdict", host_kind_names[host_worst(&r->v[i])]);
		for (unsigned k = 0; k < HOST_KINDS; k++)
			report_int(b, host_kind_names[k], r->v[i].count[k]);
		report_int(b, "held by default", r->v[i].held[0]);
		report_int(b, "held with --strict", r->v[i].held[1]);
		json_builder_end_object(b);
	}
	json_builder_end_object(b);
	json_builder_end_object(b);
}

void criterion_json(JsonBuilder *b, const struct criterion *c, const struct host_report *host)
{
	report_object(b, c->of->name);
	report_text(b, "what", c->of->what);
	report_int(b, "forms", c->forms);
	report_int(b, "runs", (int64_t)c->runs);
	report_real(b, "seconds", c->seconds);
	report_object(b, "instructions");
	for (unsigned i = 0; i < c->n; i++) {
		const struct verdict *v = &c->v[i];

		report_object(b, v->name);
		report_text(b, "privileged", criterion_privileged(v));
		report_bool(b, "sensitive", is_sensitive(v));
		report_text(b, "depends on", criterion_depends(v));
		report_bool(b, "user-sensitive", is_user_sensitive(v));
		json_witness(b, "control", &v->control);
		json_witness(b, "behaviour", &v->behaviour);
		json_witness(b, "user control", &v->user_control);
		json_witness(b, "user behaviour", &v->user_behaviour);
		json_builder_end_object(b);
	}
	json_builder_end_object(b);
	if (host) {
		report_object(b, "host");
		for (unsigned e = 0; e < HOST_ENGINES; e++)
			json_host(b, &host[e]);
		json_builder_end_object(b);
	}
	json_builder_end_object(b);
}

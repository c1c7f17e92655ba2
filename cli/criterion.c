/* SPDX-License-Identifier: BSD-2-Clause */
/* hemi criterion: Popek and Goldberg's definitions, tried on every instruction. */
#include <errno.h>
#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/criterion.h"

#define STATES	16	/* of each form */

static const struct criterion_case *case_find(const char *name)
{
	for (unsigned i = 0; i < criterion_ncases; i++)
		if (!strcmp(criterion_cases[i].name, name))
			return &criterion_cases[i];
	return NULL;
}

/* The sets of a case, as the theorems name them. */
struct sets { GString *privileged, *sensitive, *user, *theorem1, *theorem3; unsigned n[5]; };

static void set_add(GString *s, unsigned *n, const char *name)
{
	g_string_append_printf(s, "%s%s", s->len ? ", " : "", name);
	++*n;
}

static void sets_make(struct sets *s, const struct criterion *c)
{
	*s = (struct sets){g_string_new(NULL), g_string_new(NULL), g_string_new(NULL),
			   g_string_new(NULL), g_string_new(NULL), {0}};
	for (unsigned i = 0; i < c->n; i++) {
		const struct verdict *v = &c->v[i];

		if (is_privileged(v))
			set_add(s->privileged, &s->n[0], v->name);
		if (is_sensitive(v))
			set_add(s->sensitive, &s->n[1], v->name);
		if (is_user_sensitive(v))
			set_add(s->user, &s->n[2], v->name);
		if (is_sensitive(v) && !is_privileged(v))
			set_add(s->theorem1, &s->n[3], v->name);
		if (is_user_sensitive(v) && !is_privileged(v))
			set_add(s->theorem3, &s->n[4], v->name);
	}
}

static void sets_free(struct sets *s)
{
	g_string_free(s->privileged, TRUE);
	g_string_free(s->sensitive, TRUE);
	g_string_free(s->user, TRUE);
	g_string_free(s->theorem1, TRUE);
	g_string_free(s->theorem3, TRUE);
}

static const char *why(const struct verdict *v)
{
	const struct witness *w = v->user_control.found     ? &v->user_control
				  : v->user_behaviour.found ? &v->user_behaviour
				  : v->control.found        ? &v->control
							    : &v->behaviour;
	static char text[160];

	if (w->pair == PAIRS)
		snprintf(text, sizeof(text), "changes %s", w->what);
	else
		snprintf(text, sizeof(text), "%s shows: %s", w->what, pair_text(w->pair));
	return text;
}

/* What it depends on, a letter each. */
static const char *depends_text(const struct verdict *v)
{
	static char text[4];
	unsigned on = depends_on(v);

	for (unsigned i = 0; i < 3; i++)
		text[i] = on >> i & 1 ? "MLR"[i] : '-';
	return on ? text : "-";
}

static void print_text(const struct criterion *c)
{
	struct sets s;

	sets_make(&s, c);
	printf("%s: %s\n%u instructions, %u forms, %" G_GUINT64_FORMAT " runs, %.1f s\n\n",
	       c->of->name, c->of->what, c->n, c->forms, c->runs, c->seconds);
	printf("%-20s %-11s %-8s %-10s %-5s why\n", "sensitive", "privileged", "control",
	       "behaviour", "user");
	for (unsigned i = 0; i < c->n; i++) {
		const struct verdict *v = &c->v[i];

		if (is_sensitive(v))
			printf("%-20s %-11s %-8s %-10s %-5s %s\n", v->name,
			       is_privileged(v) ? "yes" : v->trapped ? "sometimes" : "no",
			       v->control.found || v->user_control.found ? "yes" : "-",
			       depends_text(v), is_user_sensitive(v) ? "yes" : "-", why(v));
	}
	puts("\nbehaviour: depends on the mode (M), on the program's location or the supervisor's "
	     "map of memory (L),\n"
	     "on another resource (R).");
	printf("\nTheorem 1 (every sensitive instruction is privileged) %s",
	       s.n[3] ? "fails for:\n  " : "holds\n");
	if (s.n[3])
		printf("%s\n", s.theorem1->str);
	printf("Theorem 3 (every user-sensitive instruction is privileged) %s",
	       s.n[4] ? "fails for:\n  " : "holds\n");
	if (s.n[4])
		printf("%s\n", s.theorem3->str);
	sets_free(&s);
}

static void json_string(JsonBuilder *b, const char *name, const char *value)
{
	json_builder_set_member_name(b, name);
	json_builder_add_string_value(b, value);
}

static void json_witness(JsonBuilder *b, const char *name, const struct witness *w)
{
	char bytes[2 * sizeof(w->bytes) + 1] = "";

	if (!w->found)
		return;
	for (unsigned i = 0; i < w->length; i++)
		snprintf(bytes + 2 * i, 3, "%02x", w->bytes[i]);
	json_builder_set_member_name(b, name);
	json_builder_begin_object(b);
	json_string(b, "bytes", bytes);
	json_string(b, "mode", w->user ? "user" : "supervisor");
	json_string(b, "pair", pair_text(w->pair));
	json_string(b, "differs in", w->what);
	json_builder_set_member_name(b, "values");
	json_builder_begin_array(b);
	for (unsigned i = 0; i < 2; i++) {
		char text[20];

		snprintf(text, sizeof(text), "%" G_GINT64_MODIFIER "x", w->value[i]);
		json_builder_add_string_value(b, text);
	}
	json_builder_end_array(b);
	json_builder_end_object(b);
}

static void json_number(JsonBuilder *b, const char *name, unsigned n)
{
	json_builder_set_member_name(b, name);
	json_builder_add_int_value(b, n);
}

static void json_host(JsonBuilder *b, const struct host_report *r)
{
	json_builder_set_member_name(b, r->engine);
	json_builder_begin_object(b);
	if (r->why[0])
		json_string(b, "why", r->why);
	json_number(b, "runs", r->runs);
	json_number(b, "refused", r->refused);
	json_builder_set_member_name(b, "instructions");
	json_builder_begin_object(b);
	for (unsigned i = 0; i < r->n && !r->why[0]; i++) {
		json_builder_set_member_name(b, r->v[i].of->name);
		json_builder_begin_object(b);
		json_string(b, "verdict", host_kind_names[host_worst(&r->v[i])]);
		for (unsigned k = 0; k < HOST_KINDS; k++)
			json_number(b, host_kind_names[k], r->v[i].count[k]);
		json_number(b, "held by default", r->v[i].held[0]);
		json_number(b, "held with --strict", r->v[i].held[1]);
		json_builder_end_object(b);
	}
	json_builder_end_object(b);
	json_builder_end_object(b);
}

static void json_case(JsonBuilder *b, const struct criterion *c, const struct host_report *host)
{
	json_builder_set_member_name(b, c->of->name);
	json_builder_begin_object(b);
	json_string(b, "what", c->of->what);
	json_builder_set_member_name(b, "forms");
	json_builder_add_int_value(b, c->forms);
	json_builder_set_member_name(b, "runs");
	json_builder_add_int_value(b, (gint64)c->runs);
	json_builder_set_member_name(b, "seconds");
	json_builder_add_double_value(b, c->seconds);
	json_builder_set_member_name(b, "instructions");
	json_builder_begin_object(b);
	for (unsigned i = 0; i < c->n; i++) {
		const struct verdict *v = &c->v[i];

		json_builder_set_member_name(b, v->name);
		json_builder_begin_object(b);
		json_string(b, "privileged",
			    is_privileged(v) ? "yes"
			    : v->trapped     ? "sometimes"
					     : "no");
		json_builder_set_member_name(b, "sensitive");
		json_builder_add_boolean_value(b, is_sensitive(v));
		json_string(b, "depends on", depends_text(v));
		json_builder_set_member_name(b, "user-sensitive");
		json_builder_add_boolean_value(b, is_user_sensitive(v));
		json_witness(b, "control", &v->control);
		json_witness(b, "behaviour", &v->behaviour);
		json_witness(b, "user control", &v->user_control);
		json_witness(b, "user behaviour", &v->user_behaviour);
		json_builder_end_object(b);
	}
	json_builder_end_object(b);
	if (host) {
		json_builder_set_member_name(b, "host");
		json_builder_begin_object(b);
		for (unsigned e = 0; e < HOST_ENGINES; e++)
			json_host(b, &host[e]);
		json_builder_end_object(b);
	}
	json_builder_end_object(b);
}

static void json_print(JsonBuilder *b)
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
}

static void explain(const struct criterion *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		const struct verdict *v = &c->v[i];
		const struct { const char *says; const struct witness *w; } stories[] = {
			{ "Control-sensitive, in user mode:", &v->user_control },
			{ "Control-sensitive:", &v->control },
			{ "Behaviour-sensitive, among user states:", &v->user_behaviour },
			{ "Behaviour-sensitive:", &v->behaviour },
		};

		printf("%s on %s\n", v->name, c->of->what);
		printf("Privileged: %s. User mode went on %u times, and trapped %u times where "
		       "supervisor mode went on.\n",
		       is_privileged(v) ? "yes"
		       : v->trapped     ? "sometimes"
					: "no",
		       v->passed, v->trapped);
		if (!is_sensitive(v))
			puts("Not sensitive: no pair of states led to results that differ in more "
			     "than the states did, and no "
			     "resource changed.");
		for (size_t k = 0; k < ARRAY_LEN(stories); k++)
			if (stories[k].w->found) {
				puts(stories[k].says);
				criterion_explain(c->of, stories[k].w);
			}
		putchar('\n');
	}
}

struct how { const char *of, *only, *html; unsigned states; uint64_t seed; gboolean json, host; };

static int run_cases(const struct how *how)
{
	const char *of = how->of, *only = how->only;
	JsonBuilder *b = how->json ? json_builder_new() : NULL;
	struct page *page = how->html ? page_open(how->html) : NULL;
	int status = EXIT_OK;

	if (how->html && !page) {
		fprintf(stderr, "hemi criterion: %s: %s\n", how->html, strerror(errno));
		return EXIT_HOST;
	}

	if (b)
		json_builder_begin_object(b);
	for (unsigned i = 0; i < criterion_ncases; i++) {
		struct host_report host[HOST_ENGINES] = { 0 };
		struct criterion c;
		bool direct = how->host && host_can(&criterion_cases[i]);
		int err;

		if (of ? strcmp(of, criterion_cases[i].name) : how->host && !direct)
			continue;
		err = criterion_run(&c, &criterion_cases[i], how->states, how->seed, only);
		for (unsigned e = 0; e < HOST_ENGINES && !err && direct; e++)
			err = host_run(&host[e], &c, e, how->states, how->seed);
		if (err) {
			fprintf(stderr, "hemi criterion: %s\n", strerror(-err));
			status = EXIT_HOST;
			break;
		}
		if (only && !c.n && of) {
			fprintf(stderr,
				"hemi criterion: %s has no instruction %s (names are those of the "
				"table, such as "
				"POPFD, \"MOV Sreg\", \"CALL far\")\n",
				of, only);
			status = EXIT_USAGE;
		} else if (b || page) {
			if (b)
				json_case(b, &c, direct ? host : NULL);
			if (page)
				page_case(page, &c, direct ? host : NULL);
		} else if (only) {
			explain(&c);
		} else {
			print_text(&c);
			for (unsigned e = 0; e < HOST_ENGINES && direct; e++)
				host_print_text(&host[e]);
			if (!of)
				putchar('\n');
		}
		for (unsigned e = 0; e < HOST_ENGINES; e++)
			host_free(&host[e]);
		criterion_free(&c);
	}
	if (page) {
		int err = page_close(page);

		if (err) {
			fprintf(stderr, "hemi criterion: %s: %s\n", how->html, strerror(-err));
			status = EXIT_HOST;
		}
	}
	if (b) {
		json_builder_end_object(b);
		if (status == EXIT_OK)
			json_print(b);
		g_object_unref(b);
	}
	return status;
}

int command_criterion(int argc, char **argv)
{
	gboolean json = FALSE, host = FALSE;
	char *of = NULL, *only = NULL, *html = NULL;
	int states = STATES, status;
	gint64 seed = 1;
	const GOptionEntry entries[] = {
		{"case", 0, 0, G_OPTION_ARG_STRING, &of,
		 "one row of the matrix (help: their names)", "NAME"},
		{"states", 0, 0, G_OPTION_ARG_INT, &states,
		 "random states of each form (default 16)", "N"},
		{"seed", 0, 0, G_OPTION_ARG_INT64, &seed, "of the random states (default 1)", "N"},
		{"host", 0, 0, G_OPTION_ARG_NONE, &host,
		 "also run what matters as user code of this host", NULL},
		{"json", 0, 0, G_OPTION_ARG_NONE, &json, "print JSON, witnesses and all", NULL},
		{"html", 0, 0, G_OPTION_ARG_FILENAME, &html, "write a page with everything to FILE",
		 "FILE"},
		{NULL, 0, 0, 0, NULL, NULL, NULL},
	};
	GOptionContext *o = g_option_context_new("[explain INSTRUCTION] - which instructions are "
						 "sensitive, and are they privileged?");
	GError *err = NULL;

	g_option_context_add_main_entries(o, entries, NULL);
	g_option_context_set_description(o, "EXAMPLES\n"
					    "  hemi criterion                            every row "
					    "of the matrix\n"
					    "  hemi criterion --case 386                 the 80386 "
					    "alone\n"
					    "  hemi criterion --case help                names of "
					    "the rows\n"
					    "  hemi criterion --case 386 explain POPFD   why, as "
					    "two states and what came of them\n"
					    "  hemi criterion --case 386 explain \"MOV Sreg\"\n"
					    "  hemi criterion --host                     what this "
					    "host does with them: trapped, agreed, spoofed, "
					    "silent\n"
					    "  hemi criterion --html criterion.html      all of it "
					    "as a page\n");
	if (!g_option_context_parse(o, &argc, &argv, &err)) {
		fprintf(stderr, "hemi criterion: %s\n", err->message);
		g_clear_error(&err);
		g_option_context_free(o);
		return EXIT_USAGE;
	}
	g_option_context_free(o);
	status = EXIT_USAGE;
	if (argc == 3 && !strcmp(argv[1], "explain"))
		only = g_ascii_strup(argv[2], -1);
	if (of && !strcmp(of, "help")) {
		for (unsigned i = 0; i < criterion_ncases; i++)
			printf("%-14s %s\n", criterion_cases[i].name, criterion_cases[i].what);
		status = EXIT_OK;
	} else if (of && !case_find(of)) {
		fprintf(stderr,
			"hemi criterion: no row is called %s; see hemi criterion --case help\n",
			of);
	} else if (argc > 1 && !only) {
		fprintf(stderr,
			"hemi criterion: unexpected argument '%s'; see hemi criterion --help\n",
			argv[1]);
	} else if (host && of && !host_can(case_find(of))) {
		fprintf(stderr,
			"hemi criterion: no user state of %s may run directly; those of 386-gate "
			"and x86-64-gate may\n",
			of);
	} else if (host && only) {
		fprintf(stderr, "hemi criterion: --host explains nothing; leave out one of them\n");
	} else if (states < 1) {
		fprintf(stderr, "hemi criterion: --states must be at least 1\n");
	} else {
		char *kind = only ? strchr(only, ' ') : NULL;

		if (kind)	/* "MOV Sreg": what is behind the mnemonic keeps its case */
			strcpy(kind, strchr(argv[2], ' '));
		status = run_cases(&(struct how){of     ? of
						 : only ? "386"
							: NULL,
						 only, html, (unsigned)states, (uint64_t)seed, json,
						 host});
	}
	g_free(html);
	g_free(of);
	g_free(only);
	return status;
}

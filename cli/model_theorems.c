/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hemi model theorems: what the definitions say of each instruction, what the theorems say of
 * the machine, and what random programs say of the theorems' monitors.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/model.h"
#include "cli/report.h"
#include "model/classify.h"
#include "model/show.h"

static const struct {
	const char *name, *condition;
	enum monitor_kind kind;
	unsigned depth;
} theorems[THEOREMS] = {
	[THEOREM_1] = { "Theorem 1 (virtual machine monitor)",
		"every sensitive instruction is privileged", MONITOR_VMM, 1 },
	[THEOREM_2] = { "Theorem 2 (recursive monitor)",
		"as Theorem 1, and nothing depends on time", MONITOR_VMM, 3 },
	[THEOREM_3] = { "Theorem 3 (hybrid monitor)",
		"every user-sensitive instruction is privileged", MONITOR_HYBRID, 1 },
};

/* One column for each property; s and u are the mode in which it was seen. */
static const char *modes(const struct classify_witness w[CLASSIFY_MODES])
{
	static const char *const names[2][2] = { { "-", "u" }, { "s", "s,u" } };

	return names[w[CLASSIFY_SUPERVISOR].found][w[CLASSIFY_USER].found];
}

static void table(const struct theorems *t)
{
	printf("%-12s %-10s %-8s %-9s %-5s %s\n", "instruction", "privileged", "control",
	       "location", "mode", "what");
	for (unsigned i = 0; i < t->n; i++) {
		const struct classify *c = &t->insn[i];

		printf("%-12s %-10s %-8s %-9s %-5s %s\n", c->insn->name,
		       c->privileged ? "yes" : "-", modes(c->control),
		       modes(c->location), c->mode.found ? "yes" : "-", c->insn->what);
	}
	printf("\ncontrol, location, mode: sensitive so, in supervisor (s) or user mode (u);\n"
	       "%" PRIu64 " states tried for each instruction\n", t->insn[0].tried);
}

static void show_witness(const char *property, const struct classify_witness *w)
{
	char text[SHOW_LEN];
	unsigned pair = memcmp(&w->from[0], &w->from[1], sizeof(w->from[0])) ? 2 : 1;

	if (!w->found)
		return;
	printf("    %s:\n", property);
	for (unsigned i = 0; i < pair; i++) {
		const struct classify_state *a = &w->from[i], *b = &w->to[i];

		printf("      %s: %s", show_psw(a->psw, text),
		       show_word(a->e[a->psw.base + a->psw.p], (char[SHOW_LEN]){ 0 }));
		printf(" -> %s", show_psw(b->psw, text));
		for (unsigned at = 0; at < CLASSIFY_Q; at++)
			if (a->e[at] != b->e[at])
				printf(" E[%u]=%#" PRIx64, at, b->e[at]);
		putchar('\n');
	}
}

static void show_breaker(enum theorem th, const struct classify *c)
{
	printf("  broken by %s (%s), which is not privileged\n", c->insn->name, c->insn->what);
	show_witness("control-sensitive in user mode", &c->control[CLASSIFY_USER]);
	show_witness("location-sensitive in user mode", &c->location[CLASSIFY_USER]);
	if (th == THEOREM_3)
		return;
	show_witness("control-sensitive in supervisor mode", &c->control[CLASSIFY_SUPERVISOR]);
	show_witness("location-sensitive in supervisor mode", &c->location[CLASSIFY_SUPERVISOR]);
	show_witness("mode-sensitive", &c->mode);
}

static void theorem_text(const struct theorems *t, enum theorem th, const struct check *c,
			 const struct compare *first)
{
	printf("\n%s: %s: %s\n", theorems[th].name, t->holds[th] ? "holds" : "FAILS",
	       theorems[th].condition);
	for (unsigned i = 0; i < t->n; i++)
		if (theorem_broken_by(th, &t->insn[i]))
			show_breaker(th, &t->insn[i]);
	printf("  its monitor%s: %" PRIu64 " of %" PRIu64 " random programs diverge from the bare "
	       "machine\n", c->depth > 1 ? ", depth 3" : "", c->diverged, c->done);
	if (c->diverged) {
		printf("  first of all program %" PRIu64 " of seed %" PRIu64 ", ", c->shortest,
		       c->seed);
		show_difference(stdout, first);
	}
}

static void table_json(JsonBuilder *b, const struct theorems *t)
{
	report_object(b, "instructions");
	for (unsigned i = 0; i < t->n; i++) {
		const struct classify *c = &t->insn[i];

		report_object(b, c->insn->name);
		report_bool(b, "privileged", c->privileged);
		report_text(b, "control", modes(c->control));
		report_text(b, "location", modes(c->location));
		report_bool(b, "mode", c->mode.found);
		report_bool(b, "sensitive", classify_sensitive(c));
		report_bool(b, "user_sensitive", classify_user_sensitive(c));
		json_builder_end_object(b);
	}
	json_builder_end_object(b);
}

static void theorem_json(JsonBuilder *b, const struct theorems *t, enum theorem th,
			 const struct check *c, const struct compare *first)
{
	json_builder_begin_object(b);
	report_text(b, "name", theorems[th].name);
	report_text(b, "condition", theorems[th].condition);
	report_bool(b, "holds", t->holds[th]);
	report_array(b, "broken_by");
	for (unsigned i = 0; i < t->n; i++)
		if (theorem_broken_by(th, &t->insn[i]))
			json_builder_add_string_value(b, t->insn[i].insn->name);
	json_builder_end_array(b);
	report_int(b, "programs", c->done);
	report_int(b, "diverged", c->diverged);
	model_json_difference(b, "difference", first);
	json_builder_end_object(b);
}

static int try_theorem(const struct model_options *o, const struct theorems *t, enum theorem th,
		       JsonBuilder *b)
{
	struct check c = { .kind = theorems[th].kind, .depth = theorems[th].depth, .with = o->with,
		.programs = (uint64_t)o->programs, .seed = (uint64_t)o->seed };
	struct compare first = { 0 };

	if (check_run(&c) || (c.diverged && check_replay(&c, c.shortest, &first))) {
		fprintf(stderr, "hemi model: %s\n", strerror(ENOMEM));
		return EXIT_HOST;
	}
	if (b)
		theorem_json(b, t, th, &c, &first);
	else
		theorem_text(t, th, &c, &first);
	compare_free(&first);
	/* A theorem that holds promises that there is none. */
	return t->holds[th] && c.diverged ? EXIT_DIFFERENCE : EXIT_OK;
}

int model_theorems(const struct model_options *o)
{
	static struct theorems t;
	JsonBuilder *b = o->json ? json_builder_new() : NULL;
	int status = EXIT_OK;

	theorems_judge(&t, o->with);
	if (b) {
		json_builder_begin_object(b);
		table_json(b, &t);
		report_array(b, "theorems");
	} else {
		table(&t);
	}
	for (unsigned th = 0; th < THEOREMS && status != EXIT_HOST; th++) {
		int one = try_theorem(o, &t, (enum theorem)th, b);

		status = one ? one : status;
	}
	if (b) {
		json_builder_end_array(b);
		json_builder_end_object(b);
		report_print(b);
	}
	return status;
}

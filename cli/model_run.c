/* SPDX-License-Identifier: BSD-2-Clause */
/* hemi model run and check: a program, or many, on the bare machine and under monitors. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/model.h"
#include "cli/report.h"
#include "model/show.h"

static int no_memory(void)
{
	fprintf(stderr, "hemi model: %s\n", strerror(ENOMEM));
	return EXIT_HOST;
}

static void trace(const struct compare *c, const struct model_program *p)
{
	char psw[SHOW_LEN], word[SHOW_LEN], place[SHOW_LEN];
	unsigned cell = (unsigned)c->before.base + c->before.p;

	printf("%6" PRIu64 "  %-40s %s%s", c->steps, show_psw(c->before, psw),
	       show_place(p, cell, place), c->fetched ? show_word(c->word, word) : "(outside)");
	if (c->cause != PG_NONE)
		printf("  trap: %s", pg_trap_names[c->cause]);
	putchar('\n');
}

static void run_print(const struct compare *c, const struct model_program *p)
{
	char text[SHOW_LEN];

	show_console(stdout, p, &c->guest);
	printf("\n%s after %" PRIu64 " instructions, %s\n",
	       c->differs ? "different" : c->rest ? "at rest" : "still running", c->steps,
	       show_psw(c->guest.psw, text));
	if (c->nest.depth)
		printf("%s, depth %u: %" PRIu64 " host instructions, %" PRIu64 " traps, %" PRIu64
		       " interpreted\n",
		       model_monitor_name(c->nest.level[0].kind, c->nest.depth), c->nest.depth,
		       c->nest.steps, c->nest.traps, c->nest.interpreted);
	if (c->differs)
		show_difference(stdout, c);
}

static void run_json(const struct compare *c, const struct model_program *p)
{
	JsonBuilder *b = json_builder_new();
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f) {
		show_console(f, p, &c->guest);
		fclose(f);
	}
	json_builder_begin_object(b);
	report_text(b, "monitor", c->nest.depth ?
			model_monitor_name(c->nest.level[0].kind, c->nest.depth) : "bare");
	report_int(b, "depth", c->nest.depth);
	report_int(b, "steps", c->steps);
	report_bool(b, "rest", c->rest);
	report_text(b, "console", text ? text : "");
	report_int(b, "host_steps", c->nest.steps);
	report_int(b, "traps", c->nest.traps);
	report_int(b, "interpreted", c->nest.interpreted);
	model_json_state(b, "state", &c->guest, c->guest.q);
	model_json_difference(b, "difference", c);
	json_builder_end_object(b);
	report_print(b);
	free(text);
}

static int run_program(const struct model_options *o, struct model_program *p)
{
	struct compare c;
	struct pg m = { .e = p->e, .q = p->size, .with = o->with };
	bool more = true;

	if (o->memory && (unsigned)o->memory < p->size) {
		fprintf(stderr, "hemi model: --memory=%d: %s needs %u cells\n", o->memory, o->file,
			p->size);
		return EXIT_USAGE;
	}
	if (o->memory) {
		m.q = (unsigned)o->memory;
		m.e = calloc(m.q, sizeof(*m.e));
		if (!m.e)
			return no_memory();
		memcpy(m.e, p->e, p->size * sizeof(*m.e));
	}
	m.psw = pg_psw_start(m.q);
	/* The bare machine is the virtual machine of no monitor. */
	if (compare_init(&c, &m, o->kind, o->bare ? 0 : (unsigned)o->depth))
		more = false, c.memory = NULL;
	if (m.e != p->e)
		free(m.e);
	if (!c.memory)
		return no_memory();
	while (more && c.steps < (uint64_t)o->steps) {
		more = compare_step(&c);
		if (o->trace && !o->json)
			trace(&c, p);
	}
	if (o->json)
		run_json(&c, p);
	else
		run_print(&c, p);
	compare_free(&c);
	return c.differs ? EXIT_DIFFERENCE : more ? EXIT_TIMEOUT : EXIT_OK;
}

int model_run(const struct model_options *o)
{
	struct model_program *p = malloc(sizeof(*p));
	char error[512];
	int status = EXIT_HOST;

	if (!p)
		return no_memory();
	if (model_assemble_file(p, o->file, error, sizeof(error)))
		fprintf(stderr, "hemi model: %s\n", error);
	else
		status = run_program(o, p);
	free(p);
	return status;
}

/* --- check ---------------------------------------------------------------------- */

static void row_text(const struct check *c, const struct compare *first)
{
	printf("%-10s %5u %9" PRIu64 " %12" PRIu64 " %14" PRIu64 " %9" PRIu64 "\n",
	       model_monitor_name(c->kind, c->depth), c->depth, c->done, c->steps, c->host_steps,
	       c->diverged);
	if (first) {
		printf("  program %" PRIu64 " of seed %" PRIu64 ", ", c->shortest, c->seed);
		show_difference(stdout, first);
	}
}

static void row_json(JsonBuilder *b, const struct check *c, const struct compare *first)
{
	json_builder_begin_object(b);
	report_text(b, "monitor", model_monitor_name(c->kind, c->depth));
	report_int(b, "depth", c->depth);
	report_int(b, "programs", c->done);
	report_int(b, "steps", c->steps);
	report_int(b, "host_steps", c->host_steps);
	for (unsigned t = PG_MEMORY; t < PG_TRAPS; t++) {
		char name[SHOW_LEN];

		snprintf(name, sizeof(name), "traps_%s", pg_trap_names[t]);
		report_int(b, name, c->traps[t]);
	}
	report_int(b, "diverged", c->diverged);
	if (first) {
		report_int(b, "program", c->shortest);
		model_json_difference(b, "difference", first);
	}
	json_builder_end_object(b);
}

static int check_row(const struct model_options *o, enum monitor_kind kind, unsigned depth,
		     JsonBuilder *b)
{
	struct check c = { .kind = kind, .depth = depth, .with = o->with,
		.programs = (uint64_t)o->programs, .seed = (uint64_t)o->seed };
	struct compare first = { 0 };

	if (check_run(&c) || (c.diverged && check_replay(&c, c.shortest, &first)))
		return no_memory();
	if (b)
		row_json(b, &c, c.diverged ? &first : NULL);
	else
		row_text(&c, c.diverged ? &first : NULL);
	fflush(stdout);
	compare_free(&first);
	return c.diverged ? EXIT_DIFFERENCE : EXIT_OK;
}

int model_check(const struct model_options *o)
{
	JsonBuilder *b = o->json ? json_builder_new() : NULL;
	int status = EXIT_OK;

	if (b)
		json_builder_begin_array(b);
	else
		printf("%-10s %5s %9s %12s %14s %9s\n", "monitor", "depth", "programs", "steps",
		       "host steps", "diverged");
	for (unsigned kind = MONITOR_VMM; kind <= MONITOR_HYBRID; kind++) {
		if (!o->every && kind != o->kind)
			continue;
		for (unsigned d = o->every ? 1 : (unsigned)o->depth; d <= (unsigned)o->depth; d++) {
			int row = check_row(o, (enum monitor_kind)kind, d, b);

			status = row == EXIT_HOST || status == EXIT_OK ? row : status;
		}
	}
	if (b) {
		json_builder_end_array(b);
		report_print(b);
	}
	return status;
}

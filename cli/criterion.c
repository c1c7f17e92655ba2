/* SPDX-License-Identifier: BSD-2-Clause */
/* hemi criterion: Popek and Goldberg's definitions, tried on every instruction. */
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/criterion.h"
#include "cli/report.h"

#define STATES	16	/* of each form */

static const struct criterion_case *case_find(const char *name)
{
	for (unsigned i = 0; i < criterion_ncases; i++)
		if (!strcmp(criterion_cases[i].name, name))
			return &criterion_cases[i];
	return NULL;
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
				criterion_json(b, &c, direct ? host : NULL);
			if (page)
				page_case(page, &c, direct ? host : NULL);
		} else if (only) {
			criterion_stories(&c);
		} else {
			criterion_print(&c);
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
			report_print(b);
		else
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

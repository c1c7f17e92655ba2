/* SPDX-License-Identifier: BSD-2-Clause */
/* hemi model: the machine of Popek and Goldberg, and their three monitors. Its command line. */
#include "cli/model.h"

#include <stdio.h>
#include <string.h>

#include "cli/command.h"

static const char examples[] =
	"FORMS\n"
	"  run FILE     assemble a program and run it; with a monitor, beside the bare machine\n"
	"  theorems     classify every instruction by trying it; tell which theorems hold\n"
	"  check        run random programs under the monitors, each beside the bare machine\n\n"
	"EXAMPLES\n"
	"  A small operating system on the bare machine, then under three monitors in each other:\n"
	"    hemi model run model/guests/os.s\n"
	"    hemi model run model/guests/os.s --monitor=recursive --depth=3\n\n"
	"  What the PDP-10's JRST 1 does to the theorems, and to a guest:\n"
	"    hemi model theorems --with=jrst1\n"
	"    hemi model run model/guests/jrst1.s --with=jrst1 --monitor=vmm\n"
	"    hemi model run model/guests/jrst1.s --with=jrst1 --monitor=hybrid\n\n"
	"  The virtual machine map, checked after each instruction of 100,000 programs:\n"
	"    hemi model check --programs=100000 --depth=4\n\n"
	"EXIT STATUS\n"
	"  0 done, 1 host failure or an error in FILE, 2 usage, 4 a virtual machine and the bare\n"
	"  machine differ, 124 run: --steps were not enough.\n";

static const struct { const char *name; int (*run)(const struct model_options *); } forms[] = {
	{ "run", model_run }, { "theorems", model_theorems }, { "check", model_check },
};

static const struct { const char *name; unsigned class; } extras[] = {
	{ "jrst1", PG_JRST1 }, { "readm", PG_READM }, { "readr", PG_READR },
};

static int usage(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

static int usage(const char *fmt, ...)
{
	va_list ap;

	fputs("hemi model: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_USAGE;
}

const char *model_monitor_name(enum monitor_kind kind, unsigned depth)
{
	return kind == MONITOR_HYBRID ? "hybrid" : depth > 1 ? "recursive" : "vmm";
}

static int read_with(struct model_options *o)
{
	char **words = g_strsplit(o->with_words ? o->with_words : "", ",", -1);
	int status = EXIT_OK;

	for (char **w = words; *w && status == EXIT_OK; w++) {
		size_t i = 0;

		while (i < G_N_ELEMENTS(extras) && strcmp(*w, extras[i].name) != 0)
			i++;
		if (i < G_N_ELEMENTS(extras))
			o->with |= extras[i].class;
		else
			status = usage("--with=%s: unknown; say jrst1, readm or readr", *w);
	}
	g_strfreev(words);
	return status;
}

static int read_monitor(struct model_options *o, bool check)
{
	const char *m = o->monitor;
	int least = 1;

	if (!m) {
		o->bare = !check;
		o->every = check;
		m = check ? "all" : "bare";
	} else if (strcmp(m, "bare") == 0 && !check) {
		o->bare = true;
	} else if (strcmp(m, "hybrid") == 0) {
		o->kind = MONITOR_HYBRID;
	} else if (strcmp(m, "recursive") == 0) {
		least = 2;
	} else if (strcmp(m, "vmm") != 0) {
		return usage("--monitor=%s: unknown; say %svmm, recursive or hybrid", m,
			     check ? "" : "bare, ");
	}
	if (!o->depth)
		o->depth = o->every ? 4 : least;
	if (o->depth < least || o->depth > MONITOR_DEPTH_MAX)
		return usage("--depth=%d: not between %d and %d", o->depth, least,
			     MONITOR_DEPTH_MAX);
	if (o->depth > 1 && (o->bare || strcmp(m, "vmm") == 0))
		return usage("--depth=%d: --monitor=%s has none; say recursive or hybrid",
			     o->depth, m);
	return EXIT_OK;
}

static int read_numbers(const struct model_options *o)
{
	if (o->steps < 1)
		return usage("--steps=%" G_GINT64_FORMAT ": must be 1 or more", o->steps);
	if (o->programs < 1)
		return usage("--programs=%" G_GINT64_FORMAT ": must be 1 or more", o->programs);
	if (o->memory && (o->memory < (int)PG_Q_MIN || o->memory > (int)PG_Q_MAX))
		return usage("--memory=%d: not between %u and %u", o->memory, PG_Q_MIN, PG_Q_MAX);
	return EXIT_OK;
}

static int dispatch(int argc, char **argv, struct model_options *o)
{
	size_t i = 0;
	int status;

	if (argc < 2)
		return usage("say run, theorems or check; see hemi model --help");
	while (i < G_N_ELEMENTS(forms) && strcmp(argv[1], forms[i].name) != 0)
		i++;
	if (i == G_N_ELEMENTS(forms))
		return usage("unknown form '%s'; say run, theorems or check", argv[1]);
	if (forms[i].run == model_run) {
		if (argc < 3)
			return usage("run: no file given; see hemi model --help");
		o->file = argv[2];
		argc--, argv++;
	}
	if (argc > 2)
		return usage("unexpected argument '%s'; see hemi model --help", argv[2]);
	status = read_with(o);
	if (status == EXIT_OK)
		status = read_monitor(o, forms[i].run != model_run);
	if (status == EXIT_OK)
		status = read_numbers(o);
	return status == EXIT_OK ? forms[i].run(o) : status;
}

int command_model(int argc, char **argv)
{
	struct model_options o = { .steps = 1000000, .programs = 1000, .seed = 1 };
	const GOptionEntry entries[] = {
		{ "monitor", 'm', 0, G_OPTION_ARG_STRING, &o.monitor,
			"what runs it: bare, vmm (Theorem 1), recursive (2), hybrid (3)", "KIND" },
		{ "depth", 'd', 0, G_OPTION_ARG_INT, &o.depth, "monitors in each other", "N" },
		{ "with", 'w', 0, G_OPTION_ARG_STRING, &o.with_words,
			"add instructions: jrst1, readm, readr", "LIST" },
		{ "steps", 0, 0, G_OPTION_ARG_INT64, &o.steps,
			"run: end after N instructions", "N" },
		{ "memory", 0, 0, G_OPTION_ARG_INT, &o.memory, "run: cells of memory", "N" },
		{ "trace", 't', 0, G_OPTION_ARG_NONE, &o.trace, "run: print every step", NULL },
		{ "programs", 'n', 0, G_OPTION_ARG_INT64, &o.programs, "random programs", "N" },
		{ "seed", 's', 0, G_OPTION_ARG_INT64, &o.seed, "which ones", "S" },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &o.json, "print JSON", NULL },
		{ NULL, 0, 0, 0, NULL, NULL, NULL },
	};
	GOptionContext *c = g_option_context_new("run FILE | theorems | check");
	GError *err = NULL;
	int status;

	g_option_context_add_main_entries(c, entries, NULL);
	g_option_context_set_summary(c,
		"The machine of Popek and Goldberg (1974), and their monitors.");
	g_option_context_set_description(c, examples);
	if (g_option_context_parse(c, &argc, &argv, &err)) {
		status = dispatch(argc, argv, &o);
	} else {
		status = usage("%s", err->message);
		g_clear_error(&err);
	}
	g_option_context_free(c);
	g_free(o.monitor);
	g_free(o.with_words);
	return status;
}

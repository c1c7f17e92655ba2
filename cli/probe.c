/* SPDX-License-Identifier: BSD-2-Clause */
/* hemi probe: what this host can do for each direct engine. Nothing is kept. */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/report.h"
#include "direct/probe.h"
#include "interp/interp.h"

static const struct direct_engine *const engines[] = { &direct_ring3, &direct_kvm };	/* kvm last */
#define ENGINES	ARRAY_LEN(engines)
/* More than that, and it is no processor that runs the loop. */
#define NATIVE	4.0

static int probe_all(struct probe_report r[ENGINES])
{
	struct config cfg = { .memory = PROBE_RAM, .serial = "none", .direct = DIRECT_AUTO };

	for (size_t i = 0; i < ENGINES; i++) {
		struct interp *v = NULL;
		struct machine m;
		int err = machine_create(&m, &cfg);

		if (!err)
			err = interp_create(&v, &m);
		if (err) {
			fprintf(stderr, "hemi probe: a machine: %s\n", strerror(-err));
			return EXIT_HOST;
		}
		probe_engine(engines[i], &m, &r[i]);
		interp_destroy(v);
		machine_destroy(&m);
	}
	return EXIT_OK;
}

static const char *speed(const struct probe_kind *k)
{
	return !k->works ? "does not run" : k->slower <= NATIVE ? "native" : "emulated";
}

/* What KVM_RUN costs without an engine, and how many of it a crossing is. */
struct bare { double us; char why[128]; };

static void print_bare(const struct bare *bare, const struct probe_report *kvm)
{
	if (bare->us <= 0) {
		printf("a bare KVM_RUN exit: %s\n", bare->why);
		return;
	}
	printf("a bare KVM_RUN exit: %.1f us", bare->us);
	for (unsigned c = 0; c < PROBE_CODES; c++)
		if (!kvm->why[0] && kvm->code[c].works && kvm->code[c].crossing_us > 0)
			printf("; %s crossing %.2f times that", probe_code_names[c],
			       kvm->code[c].crossing_us / bare->us);
	puts("");
}

static void print_residual(bool rows)
{
	if (!rows)
		puts("\nwhat user code that looks for it can tell without --strict (with it: "
		     "nothing)");
	for (unsigned i = 0; i < probe_nresiduals; i++) {
		const struct probe_residual *r = &probe_residuals[i];

		if (rows)
			printf("%s\t%s\n",
			       r->ring3 && r->kvm ? "ring3,kvm"
			       : r->ring3	  ? "ring3"
						  : "kvm",
			       r->rows);
		else
			printf("  %-5s %-3s  %s\n", r->ring3 ? "ring3" : "", r->kvm ? "kvm" : "",
			       r->what);
	}
}

static void print_text(const struct probe_report r[ENGINES], const struct bare *bare)
{
	puts("kind of code     engine  speed          loop, times the host   crossing, us");
	for (unsigned c = 0; c < PROBE_CODES; c++)
		for (size_t i = 0; i < ENGINES; i++) {
			const struct probe_kind *k = &r[i].code[c];

			printf("%-16s %-7s ", probe_code_names[c], engines[i]->name);
			if (r[i].why[0])
				puts("not to be had");
			else if (!k->works)
				printf("%s%s%s\n", speed(k), k->refused ? ": " : "", k->refused ? k->refused : "");
			else
				printf("%-14s %20.2f %14.1f%s%s\n", speed(k), k->slower, k->crossing_us,
				       k->refused ? "  interpreted: " : "", k->refused ? k->refused : "");
		}
	puts("virtual-8086     -       interpreted: no engine runs it");
	for (size_t i = 0; i < ENGINES; i++)
		if (r[i].why[0])
			printf("%s: %s\n", engines[i]->name, r[i].why);
	print_bare(bare, &r[ENGINES - 1]);
	printf("\n%-16s", "instruction");
	for (size_t i = 0; i < ENGINES; i++)
		printf(" %-10s", engines[i]->name);
	puts(" (64-bit user code, before the scanner)");
	for (unsigned n = 0; n < r[0].ninsns || n < r[1].ninsns; n++) {
		printf("%-16s", r[n < r[0].ninsns ? 0 : 1].insn[n].name);
		for (size_t i = 0; i < ENGINES; i++)
			printf(" %-10s", n < r[i].ninsns ? probe_verdict_names[r[i].insn[n].verdict] : "-");
		puts("");
	}
	puts("\ntraps: stops at the instruction; spoofed: the host's kernel answers; agrees: as the guest's\n"
	     "processor would; silent: shows what is the host's; invalid: the host has no such instruction.");
	print_residual(false);
}

static void json_residual(JsonBuilder *b)
{
	report_array(b, "residual");
	for (unsigned i = 0; i < probe_nresiduals; i++) {
		const struct probe_residual *r = &probe_residuals[i];

		json_builder_begin_object(b);
		report_text(b, "what", r->what);
		report_bool(b, "ring3", r->ring3);
		report_bool(b, "kvm", r->kvm);
		report_text(b, "rows of learn", r->rows);
		json_builder_end_object(b);
	}
	json_builder_end_array(b);
}

static void json_engine(JsonBuilder *b, const char *name, const struct probe_report *r)
{
	report_object(b, name);
	report_bool(b, "available", !r->why[0]);
	if (r->why[0])
		report_text(b, "why", r->why);
	report_object(b, "code");
	for (unsigned c = 0; c < PROBE_CODES && !r->why[0]; c++) {
		const struct probe_kind *k = &r->code[c];

		report_object(b, probe_code_names[c]);
		report_text(b, "speed", speed(k));
		report_real(b, "slower", k->slower);
		report_real(b, "crossing_us", k->crossing_us);
		report_text(b, "refused", k->refused);
		json_builder_end_object(b);
	}
	json_builder_end_object(b);
	report_object(b, "instructions");
	for (unsigned n = 0; n < r->ninsns; n++)
		report_text(b, r->insn[n].name, probe_verdict_names[r->insn[n].verdict]);
	json_builder_end_object(b);
	json_builder_end_object(b);
}

static void print_json(const struct probe_report r[ENGINES], const struct bare *bare)
{
	JsonBuilder *b = json_builder_new();

	json_builder_begin_object(b);
	for (size_t i = 0; i < ENGINES; i++)
		json_engine(b, engines[i]->name, &r[i]);
	json_residual(b);
	if (bare->us > 0)
		report_real(b, "bare_kvm_exit_us", bare->us);
	else
		report_null(b, "bare_kvm_exit_us");
	json_builder_end_object(b);
	report_print(b);
}

int command_probe(int argc, char **argv)
{
	static struct probe_report r[ENGINES];
	struct bare bare = { 0 };
	gboolean json = FALSE, residual = FALSE;
	const GOptionEntry entries[] = {
		{ "residual", 0, 0, G_OPTION_ARG_NONE, &residual,
		  "only what can be told without --strict: engines, a tab, rows of the guests "
		  "learn",
		  NULL },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &json, "print JSON", NULL },
		{ NULL, 0, 0, 0, NULL, NULL, NULL },
	};
	GOptionContext *o = g_option_context_new("- what can this host do?");
	GError *err = NULL;
	int status;

	g_option_context_add_main_entries(o, entries, NULL);
	g_option_context_set_description(o, "EXAMPLES\n"
		"  hemi probe            a table: engines, kinds of code, sensitive instructions\n"
		"  hemi probe --json     the same for programs\n");
	if (!g_option_context_parse(o, &argc, &argv, &err)) {
		fprintf(stderr, "hemi probe: %s\n", err->message);
		g_clear_error(&err);
		g_option_context_free(o);
		return EXIT_USAGE;
	}
	g_option_context_free(o);
	if (argc > 1) {
		fprintf(stderr, "hemi probe: unexpected argument '%s'; see hemi probe --help\n", argv[1]);
		return EXIT_USAGE;
	}
	if (residual) {
		print_residual(true);
		return EXIT_OK;
	}
	status = probe_all(r);
	if (status)
		return status;
	bare.us = probe_bare_exit_us(bare.why);
	if (json)
		print_json(r, &bare);
	else
		print_text(r, &bare);
	return EXIT_OK;
}

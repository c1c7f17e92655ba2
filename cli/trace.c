/* SPDX-License-Identifier: BSD-2-Clause */
/* hemi trace show: what hemi run --trace-file recorded, line by line or summed up. */
#include <errno.h>
#include <glib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "debug/crossings.h"
#include "debug/disasm.h"

#define HOT	12	/* rows of the summary's list of addresses */

struct wish {
	unsigned reasons;		/* a bit each */
	bool address;
	uint64_t low, high;
	double from, to;		/* seconds */
	bool summary;
};

struct sum { uint64_t count, direct_ns, interpreted; };

/* Where crossings end, by reason. */
struct place { uint64_t left; unsigned reason; struct sum sum; struct crossing example; };

static int usage(const char *fmt, const char *what)
{
	fputs("hemi trace: ", stderr);
	fprintf(stderr, fmt, what);
	fputc('\n', stderr);
	return EXIT_USAGE;
}

/* --- What is wanted ------------------------------------------------------------------------ */

static bool hex_number(const char *s, const char *end, uint64_t *out)
{
	char *stop;

	if (!g_ascii_isxdigit(*s))
		return false;
	errno = 0;
	*out = g_ascii_strtoull(s, &stop, 16);
	return stop == end && !errno;
}

/* "LO-HI" or one address, hexadecimal, 0x or not. */
static bool parse_range(const char *s, struct wish *w)
{
	const char *dash = strchr(s, '-'), *end = dash ? dash : s + strlen(s);

	w->address = true;
	if (!hex_number(s, end, &w->low))
		return false;
	w->high = w->low;
	return !dash || (hex_number(dash + 1, s + strlen(s), &w->high) && w->low <= w->high);
}

static bool parse_reasons(const char *s, const struct crossings_head *h, struct wish *w)
{
	char **words = g_strsplit(s, ",", -1);
	bool good = words[0] != NULL;

	w->reasons = 0;
	for (unsigned i = 0; words[i] && good; i++) {
		good = false;
		for (unsigned k = 0; k < CROSSING_REASONS; k++)
			if (h->reasons[k][0] && !strcmp(words[i], h->reasons[k])) {
				w->reasons |= 1u << k;
				good = true;
			}
	}
	g_strfreev(words);
	return good;
}

static bool wanted(const struct wish *w, const struct crossing *x)
{
	double t = (double)x->time / 1e9;

	if (!(w->reasons >> x->reason & 1) || t < w->from || t > w->to)
		return false;
	return !w->address || (x->left >= w->low && x->left <= w->high) ||
	       (x->entered >= w->low && x->entered <= w->high) ||
	       (x->address && x->address >= w->low && x->address <= w->high);
}

/* --- Lines --------------------------------------------------------------------------------- */

static const char *instruction(const struct crossing *x)
{
	static char text[96];

	if (!x->length)
		return "(not mapped)";
	return disasm(x->bytes, x->length, x->left, x->bits, text, sizeof(text)) ? text : "(none)";
}

static void print_line(const struct crossings_file *f, const struct crossing *x)
{
	char address[20] = "-";

	if (x->address)
		snprintf(address, sizeof(address), "%" G_GINT64_MODIFIER "x", x->address);
	printf("%12.6f %-5s %9" G_GINT64_MODIFIER "x %16" G_GINT64_MODIFIER
	       "x %10" G_GINT64_MODIFIER "u %10.1f %-8s %16" G_GINT64_MODIFIER "x %16s  %s\n",
	       (double)x->time / 1e9, f->head.engines[x->engine], x->cr3, x->entered,
	       x->interpreted, (double)x->direct_ns / 1e3, f->head.reasons[x->reason], x->left,
	       address, instruction(x));
}

static void print_head(void)
{
	printf("%12s %-5s %9s %16s %10s %10s %-8s %16s %16s  %s\n", "left at, s", "by", "CR3",
	       "entered at", "interp'd", "direct, us", "reason", "left at", "fault at",
	       "instruction there");
}

/* --- The summary --------------------------------------------------------------------------- */

static void sum_add(struct sum *s, const struct crossing *x)
{
	s->count++;
	s->direct_ns += x->direct_ns;
	s->interpreted += x->interpreted;
}

static guint place_hash(gconstpointer key)
{
	const struct place *p = key;

	return (guint)(p->left ^ p->left >> 32) * 31 + p->reason;
}

static gboolean place_equal(gconstpointer a, gconstpointer b)
{
	const struct place *p = a, *q = b;

	return p->left == q->left && p->reason == q->reason;
}

static gint place_order(gconstpointer a, gconstpointer b)
{
	const struct place *p = a, *q = b;

	if (p->sum.count != q->sum.count)
		return p->sum.count < q->sum.count ? 1 : -1;
	return p->left < q->left ? -1 : p->left > q->left;
}

struct summary {
	struct sum all, reason[CROSSING_REASONS];
	GHashTable *places, *spaces;
	int64_t first, last;
};

static void summary_add(struct summary *s, const struct crossing *x)
{
	struct place key = { .left = x->left, .reason = x->reason },
		     *p = g_hash_table_lookup(s->places, &key);

	if (!p) {
		p = g_memdup2(&key, sizeof(key));
		p->example = *x;
		g_hash_table_add(s->places, p);
	}
	sum_add(&p->sum, x);
	sum_add(&s->all, x);
	sum_add(&s->reason[x->reason], x);
	if (!g_hash_table_contains(s->spaces, &x->cr3))
		g_hash_table_add(s->spaces, g_memdup2(&x->cr3, sizeof(x->cr3)));
	if (s->all.count == 1)
		s->first = x->time;
	s->last = x->time;
}

static void print_sum(const char *name, const struct sum *s, const struct sum *all)
{
	double n = s->count ? (double)s->count : 1;

	printf("%-10s %10" G_GINT64_MODIFIER "u %6.1f%% %14.3f %14.1f %18.0f\n", name, s->count,
	       100 * (double)s->count / (double)all->count, (double)s->direct_ns / 1e6,
	       (double)s->direct_ns / n / 1e3, (double)s->interpreted / n);
}

static void print_summary(const struct crossings_file *f, const struct summary *s)
{
	GList *places = g_list_sort(g_hash_table_get_keys(s->places), place_order);
	unsigned n = 0;

	if (!s->all.count) {
		puts("no crossing");
		g_list_free(places);
		return;
	}
	printf("%" G_GINT64_MODIFIER "u crossings from %.6f s to %.6f s, %u address spaces\n\n",
	       s->all.count, (double)s->first / 1e9, (double)s->last / 1e9,
	       g_hash_table_size(s->spaces));
	printf("%-10s %10s %7s %14s %14s %18s\n", "reason", "crossings", "share", "direct, ms",
	       "each, us", "interpreted before");
	for (unsigned i = 0; i < CROSSING_REASONS; i++)
		if (s->reason[i].count)
			print_sum(f->head.reasons[i], &s->reason[i], &s->all);
	print_sum("all", &s->all, &s->all);
	printf("\n%-16s %-8s %10s %7s %14s  %s\n", "left most often", "reason", "crossings",
	       "share", "each, us", "instruction there");
	for (GList *l = places; l && n < HOT; l = l->next, n++) {
		const struct place *p = l->data;

		printf("%16" G_GINT64_MODIFIER "x %-8s %10" G_GINT64_MODIFIER "u %6.1f%% %14.1f  "
									      "%s\n",
		       p->left, f->head.reasons[p->reason], p->sum.count,
		       100 * (double)p->sum.count / (double)s->all.count,
		       (double)p->sum.direct_ns / (double)p->sum.count / 1e3,
		       instruction(&p->example));
	}
	g_list_free(places);
}

/* --- All of it ------------------------------------------------------------------------------ */

static int show(const char *file, struct crossings_file *f, const struct wish *w)
{
	struct summary s = {
		.places = g_hash_table_new_full(place_hash, place_equal, g_free, NULL),
		.spaces = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL),
	};
	int status = EXIT_OK;

	if (!w->summary)
		print_head();
	for (uint64_t i = f->first; i < f->first + f->n; i++) {
		struct crossing x;

		if (!crossings_read(f, i, &x)) {
			fprintf(stderr,
				"hemi trace: %s: damaged: record %" G_GINT64_MODIFIER "u makes no "
										      "sense\n",
				file, i);
			status = EXIT_HOST;
			break;
		}
		if (!wanted(w, &x))
			continue;
		if (w->summary)
			summary_add(&s, &x);
		else
			print_line(f, &x);
	}
	if (w->summary && !status)
		print_summary(f, &s);
	if (f->first && !status)
		fprintf(stderr,
			"hemi trace: %s: the first %" G_GINT64_MODIFIER "u crossings were "
									"overwritten\n",
			file, f->first);
	if (f->truncated) {
		fprintf(stderr,
			"hemi trace: %s: truncated: %" G_GINT64_MODIFIER "u of %" G_GINT64_MODIFIER
			"u crossings can "
			"be read\n",
			file, f->n, f->head.total);
		status = EXIT_HOST;
	}
	g_hash_table_destroy(s.places);
	g_hash_table_destroy(s.spaces);
	return status;
}

struct given { char *reason, *address; double from, to; gboolean summary; };

static int show_file(const char *file, const struct given *g)
{
	struct wish w = { .reasons = ~0u, .from = g->from, .to = g->to, .summary = g->summary };
	struct crossings_file f;
	char why[160];
	int status;

	if (!(g->from >= 0) || !(g->to >= g->from))
		return usage("%s: say seconds, the first not after the last", "--from, --to");
	if (g->address && !parse_range(g->address, &w))
		return usage("--address=%s: say LOW-HIGH, or one address, in hexadecimal",
			     g->address);
	if (crossings_open(&f, file, why)) {
		fprintf(stderr, "hemi trace: %s\n", why);
		return EXIT_HOST;
	}
	if (g->reason && !parse_reasons(g->reason, &f.head, &w)) {
		GString *names = g_string_new(NULL);

		for (unsigned i = 0; i < CROSSING_REASONS; i++)
			if (f.head.reasons[i][0])
				g_string_append_printf(names, "%s%s", names->len ? ", " : "",
						       f.head.reasons[i]);
		fprintf(stderr, "hemi trace: --reason=%s: unknown; reasons are %s\n", g->reason,
			names->str);
		g_string_free(names, TRUE);
		status = EXIT_USAGE;
	} else {
		status = show(file, &f, &w);
	}
	crossings_done(&f);
	return status;
}

int command_trace(int argc, char **argv)
{
	struct given g = { .to = HUGE_VAL };
	const GOptionEntry entries[] = {
		{ "reason", 0, 0, G_OPTION_ARG_STRING, &g.reason,
		  "only these: a list of pf, int, syscall, trap, guard, segment, kick, host",
		  "LIST" },
		{ "address", 0, 0, G_OPTION_ARG_STRING, &g.address,
		  "only those that were entered, left or faulted there (hexadecimal)", "LOW-HIGH" },
		{ "from", 0, 0, G_OPTION_ARG_DOUBLE, &g.from, "only those left so late in the run",
		  "SECONDS" },
		{ "to", 0, 0, G_OPTION_ARG_DOUBLE, &g.to, "only those left so early", "SECONDS" },
		{ "summary", 0, 0, G_OPTION_ARG_NONE, &g.summary,
		  "tables by reason and of the hottest addresses", NULL },
		{ NULL, 0, 0, 0, NULL, NULL, NULL },
	};
	GOptionContext *o = g_option_context_new("show FILE - the crossings of a run, one line "
						 "each");
	GError *err = NULL;
	int status;

	g_set_prgname("hemi trace");
	g_option_context_add_main_entries(o, entries, NULL);
	g_option_context_set_description(o, "Each line is one crossing: user code was entered "
					    "after so many interpreted instructions, ran\n"
					    "directly, and was left for a reason.\n\nEXAMPLES\n"
					    "  hemi run --kernel vmlinuz --initrd initrd.gz "
					    "--trace-file boot.trace\n"
					    "  hemi trace show --summary boot.trace              "
					    "what costs most\n"
					    "  hemi trace show --reason=pf,syscall boot.trace    "
					    "these alone\n"
					    "  hemi trace show --address=8048000-8049fff "
					    "boot.trace\n"
					    "  hemi trace show --from=2.5 --to=2.6 boot.trace    a "
					    "tenth of a second of it\n");
	if (!g_option_context_parse(o, &argc, &argv, &err)) {
		status = usage("%s; see hemi trace --help", err->message);
		g_clear_error(&err);
	} else if (argc < 2 || strcmp(argv[1], "show")) {
		status = argc < 2 ? usage("%s", "say show and a file; see hemi trace --help")
				  : usage("unknown word '%s'; say show and a file, see hemi trace "
					  "--help",
					  argv[1]);
	} else if (argc != 3) {
		status = argc < 3 ? usage("%s", "no file is named; hemi run --trace-file makes one")
				  : usage("unexpected argument '%s'; see hemi trace --help",
					  argv[3]);
	} else {
		status = show_file(argv[2], &g);
	}
	g_option_context_free(o);
	g_free(g.reason);
	g_free(g.address);
	return status;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns the command line of `hemi run`, read by options_table.c, into a struct config. Every
 * mistake gets one line that names the option and says what would be right.
 */
#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/state_file.h"
#include "interp/cpu_model.h"

/* --- Words ---------------------------------------------------------------------- */

struct word { const char *name; unsigned value; };

static const struct word engines[] = {
	{ "hybrid", ENGINE_HYBRID }, { "interp", ENGINE_INTERP }, { "full", ENGINE_FULL }, { NULL, 0 },
};
static const struct word directs[] = {
	{ "auto", DIRECT_AUTO }, { "ring3", DIRECT_RING3 }, { "kvm", DIRECT_KVM }, { NULL, 0 },
};
static const struct word gates[] = {
	{ "always", GATE_ALWAYS }, { "adaptive", GATE_ADAPTIVE }, { "never", GATE_NEVER },
	{ NULL, 0 },
};
static const struct word traces[] = {
	{ "insn", TRACE_INSN }, { "event", TRACE_EVENT }, { "cross", TRACE_CROSS },
	{ "io", TRACE_IO }, { NULL, 0 },
};
static const struct word yes_no[] = {
	{ "yes", true }, { "no", false }, { NULL, 0 },
};
static const struct word clocks[] = {
	{ "host", false }, { "instructions", true }, { NULL, 0 },
};

int usage_error(const char *fmt, ...)
{
	va_list ap;

	fputs("hemi run: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_USAGE;
}

static int parse_word(const char *option, const char *given, const struct word *words,
		      unsigned *out)
{
	GString *choice;

	for (const struct word *w = words; w->name; w++) {
		if (strcmp(w->name, given) == 0) {
			*out = w->value;
			return OPTIONS_RUN;
		}
	}
	choice = g_string_new(NULL);
	for (const struct word *w = words; w->name; w++)
		g_string_append_printf(choice, "%s%s", !choice->len ? "" : w[1].name ? ", " : " or ",
				       w->name);
	usage_error("--%s=%s: unknown; say %s", option, given, choice->str);
	g_string_free(choice, TRUE);
	return EXIT_USAGE;
}

static int parse_trace(const char *given, unsigned *out)
{
	char **parts = g_strsplit(given, ",", -1);
	int r = OPTIONS_RUN;

#ifndef ENABLE_TRACE
	r = usage_error("--trace=%s: this build has no tracing; configure it with --enable-trace",
			given);
#endif
	for (unsigned i = 0; parts[i] && r == OPTIONS_RUN; i++) {
		unsigned bit = 0;

		r = parse_word("trace", parts[i], traces, &bit);
		*out |= bit;
	}
	g_strfreev(parts);
	return r;
}

/* --- Values --------------------------------------------------------------------- */

bool parse_size(const char *s, uint64_t *out)
{
	unsigned shift = 0;
	char *end;
	unsigned long long n;

	if (!g_ascii_isdigit(*s))
		return false;
	errno = 0;
	n = strtoull(s, &end, 10);
	if (errno || end == s)
		return false;
	switch (*end) {
	case 'k': case 'K': shift = 10; break;
	case 'm': case 'M': shift = 20; break;
	case 'g': case 'G': shift = 30; break;
	case 't': case 'T': shift = 40; break;
	}
	if (shift)
		end++;
	if (*end || n > UINT64_MAX >> shift)
		return false;
	*out = (uint64_t)n << shift;
	return true;
}

#define MEMORY_MIN	(1ull << 20)

static int parse_memory(const char *s, uint64_t *out)
{
	uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	if (!parse_size(s, out))
		return usage_error("--memory=%s: not a size; say for instance 512M", s);
	if (*out < MEMORY_MIN)
		return usage_error("--memory=%s: too little; at least 1M, say for instance 512M", s);
	if (*out % PAGE_SIZE)
		return usage_error("--memory=%s: not a multiple of the page size; say %lluK", s,
				   (unsigned long long)(*out / PAGE_SIZE + 1) * (PAGE_SIZE >> 10));
	if (*out > host)
		return usage_error("--memory=%s: this host has only %lluM", s,
				   (unsigned long long)host >> 20);
	return OPTIONS_RUN;
}

static int parse_rtc(const char *s, uint64_t *out)
{
	GDateTime *t;
	GTimeZone *utc;
	char *end;

	errno = 0;
	*out = strtoull(s, &end, 10);
	if (g_ascii_isdigit(*s) && !*end && !errno)
		return OPTIONS_RUN;
	utc = g_time_zone_new_utc();
	t = g_date_time_new_from_iso8601(s, utc);
	g_time_zone_unref(utc);
	if (!t || g_date_time_to_unix(t) < 0) {
		if (t)
			g_date_time_unref(t);
		return usage_error("--rtc=%s: not a time; say seconds since 1970 or, for instance, "
				   "2024-02-29T12:00:00", s);
	}
	*out = (uint64_t)g_date_time_to_unix(t);
	g_date_time_unref(t);
	return OPTIONS_RUN;
}

static int check_serial(const char *s)
{
	if (strcmp(s, "stdio") == 0 || strcmp(s, "pty") == 0 || strcmp(s, "none") == 0 ||
	    (strncmp(s, "file:", 5) == 0 && s[5]) || (strncmp(s, "append:", 7) == 0 && s[7]))
		return OPTIONS_RUN;
	return usage_error("--serial=%s: unknown; say stdio, file:NAME, append:NAME, pty or none",
			   s);
}

static int cpu_help(void)
{
	const char *name, *what;

	puts("Models:");
	for (unsigned i = 0; (name = cpu_model_name(i, &what)); i++)
		printf("  %-14s %s\n", name, what);
	puts("\nFeatures, added with ,+NAME or ,NAME=on, taken away with ,-NAME or ,NAME=off:");
	for (unsigned i = 0; (name = cpu_feature_name(i, &what)); i++)
		printf("  %-14s %s\n", name, what);
	return EXIT_OK;
}

static int check_cpu(const char *s)
{
	struct cpu_model model;
	char why[256];

	if (!strcmp(s, "help") || !strcmp(s, "?"))
		return cpu_help();
	if (cpu_model_parse(&model, s, why, sizeof(why)))
		return OPTIONS_RUN;
	return usage_error("--cpu=%s: %s", s, why);
}

/* --- The command line ------------------------------------------------------------- */

/* The text of each option becomes its value. */
static int options_convert(struct options *o)
{
	struct config *c = &o->config;
	struct option_text *t = &o->text;
	unsigned engine = ENGINE_HYBRID, direct = DIRECT_AUTO, gate = GATE_ADAPTIVE, clock = false;
	unsigned unpack = true;
	int r = options_restore(o);

	if (r != OPTIONS_RUN)
		return r;
	c->kernel = t->kernel;
	c->initrd = t->initrd;
	c->append = t->append;
	c->modules = (const char *const *)t->modules;
	c->cpu_model = t->cpu;
	c->serial = t->serial ? t->serial : "stdio";
	c->stats_file = t->stats_file;
	c->memory = 256ull << 20;
	if (t->memory)
		r = parse_memory(t->memory, &c->memory);
	if (r == OPTIONS_RUN && t->engine)
		r = parse_word("engine", t->engine, engines, &engine);
	if (r == OPTIONS_RUN && t->direct)
		r = parse_word("direct", t->direct, directs, &direct);
	if (r == OPTIONS_RUN && t->gate)
		r = parse_word("gate", t->gate, gates, &gate);
	if (r == OPTIONS_RUN && t->clock)
		r = parse_word("clock", t->clock, clocks, &clock);
	if (r == OPTIONS_RUN && t->kernel_unpack)
		r = parse_word("kernel-unpack", t->kernel_unpack, yes_no, &unpack);
	if (r == OPTIONS_RUN && t->rtc)
		r = parse_rtc(t->rtc, &c->rtc_base);
	if (r == OPTIONS_RUN && t->trace)
		r = parse_trace(t->trace, &c->trace);
	c->trace_file = t->trace_file;
	if (r == OPTIONS_RUN && t->trace_file)
		r = options_target("trace-file", t->trace_file);
	if (r == OPTIONS_RUN)
		r = check_serial(c->serial);
	if (r == OPTIONS_RUN)
		r = options_drives(o);
	if (r == OPTIONS_RUN)
		r = options_display(o);
	if (r == OPTIONS_RUN)
		r = options_net(o);
	if (r == OPTIONS_RUN)
		r = options_control(o);
	if (r == OPTIONS_RUN && c->cpu_model)
		r = check_cpu(c->cpu_model);
	if (r == OPTIONS_RUN)
		r = options_apic(o);
	c->engine = (enum engine)engine;
	c->direct = (enum direct_kind)direct;
	c->gate = (enum gate_policy)gate;
	c->clock_instructions = clock;
	c->kernel_unpack = unpack;
	c->debug_exit = o->flags.debug_exit;
	c->strict = o->flags.strict;
	c->no_reboot = o->flags.no_reboot;
	c->state_hash = o->flags.state_hash;
	c->verbose = o->flags.verbose;
	return r == OPTIONS_RUN ? options_save(o) : r;
}

/* What options mean together. */
static int options_check(const struct options *o)
{
	const struct config *c = &o->config;

	if (!c->kernel && (c->initrd || c->append || c->modules))
		return usage_error("no kernel given; say --kernel=FILE");
	if (c->kernel && c->bios)
		return usage_error("--kernel is started without a BIOS; say one of --kernel and "
				   "--bios");
	if (!(c->timeout >= 0))
		return usage_error("--timeout: less than nothing; say a number of seconds");
	if (c->clock_instructions && c->engine != ENGINE_INTERP)
		return usage_error("--clock=instructions counts interpreted instructions: "
				   "it needs --engine=interp");
	if (c->lockstep && c->engine != ENGINE_HYBRID)
		return usage_error("--lockstep compares two engines: it needs --engine=hybrid");
	if (c->stats_file && !*c->stats_file)
		return usage_error("--stats: the file name is empty; say --stats or --stats=FILE");
	return OPTIONS_RUN;
}

int options_parse(struct options *o, int argc, char **argv)
{
	int r;

	memset(o, 0, sizeof(*o));
	g_set_prgname("hemi run");
	r = options_read(o, &argc, &argv);
	if (r == OPTIONS_RUN)
		r = options_convert(o);
	if (r == OPTIONS_RUN)
		r = options_check(o);
	return r;
}

void options_free(struct options *o)
{
	char *texts[] = {
		o->text.kernel, o->text.initrd, o->text.append, o->text.memory, o->text.engine,
		o->text.direct, o->text.gate, o->text.cpu, o->text.serial, o->text.stats_file,
		o->text.clock, o->text.rtc, o->text.trace, o->text.trace_file, o->text.kernel_unpack, o->text.bios,
		o->text.debugcon, o->text.cdrom, o->text.floppy, o->text.boot, o->text.net, o->text.vga,
		o->text.vgabios, o->text.display, o->text.vnc_password, o->text.screenshot, o->text.apic,
		o->text.control, o->text.qmp,
		o->text.save, o->text.restore,
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		g_free(texts[i]);
	state_file_close(o->state);
	g_strfreev(o->text.modules);
	g_strfreev(o->text.disks);
}

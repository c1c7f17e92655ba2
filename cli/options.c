/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns the command line of `hemi run` into a struct config. Every mistake gets
 * one line that names the option and says what would be right.
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

static const char examples[] =
	"EXAMPLES\n"
	"  Boot a Linux kernel with its serial console on this terminal (Ctrl-A x quits):\n"
	"    hemi run --kernel vmlinuz --initrd initrd.gz --append console=ttyS0\n\n"
	"  The same, interpreting everything, with a summary of where time went:\n"
	"    hemi run --engine=interp --stats --kernel vmlinuz --initrd initrd.gz \\\n"
	"        --append console=ttyS0\n\n"
	"  A Multiboot kernel with two modules that ends the run by itself:\n"
	"    hemi run --kernel kernel.elf --module 'first.bin arg' --module second.bin \\\n"
	"        --debug-exit --timeout 60\n\n"
	"  A disk with its own boot loader, by way of a BIOS; what it writes is forgotten:\n"
	"    hemi run --disk disk.img,snapshot --memory 512M\n\n"
	"  The same on a screen: in this terminal (Ctrl-A x quits), or for a VNC viewer:\n"
	"    hemi run --disk disk.img,snapshot --display terminal\n"
	"    hemi run --disk disk.img,snapshot --display vnc\n\n"
	"  A machine that programs control, as they would QEMU (in the terminal: Ctrl-A c):\n"
	"    hemi run --disk disk.img,snapshot --control hemi.sock\n\n"
	"  What a kernel's text console says after ten seconds:\n"
	"    hemi run --kernel vmlinuz --timeout 10 --screenshot screen.txt\n\n"
	"  A machine that can be put to sleep with Ctrl-A s, and goes on another day:\n"
	"    hemi run --disk disk.img --save machine.hemi\n"
	"    hemi run --restore machine.hemi\n\n"
	"EXIT STATUS\n"
	"  0 powered off or halted for good, 1 host failure, 2 usage, 3 triple fault,\n"
	"  4 lockstep found a difference, 124 timeout, (value << 1) | 1 debug exit,\n"
	"  130/143 interrupted or terminated.\n";

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

static gboolean take_stats(const gchar *name, const gchar *value, gpointer data, GError **err)
{
	struct options *o = data;

	(void)name;
	(void)err;
	o->config.want_stats = true;
	g_free(o->text.stats_file);
	o->text.stats_file = g_strdup(value);
	return TRUE;
}

static gboolean take_lockstep(const gchar *name, const gchar *value, gpointer data, GError **err)
{
	struct options *o = data;

	(void)name;
	o->config.lockstep = value ? LOCKSTEP_CONTINUE : LOCKSTEP_STOP;
	if (!value || strcmp(value, "continue") == 0)
		return TRUE;
	g_set_error(err, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
		    "--lockstep=%s: say --lockstep or --lockstep=continue", value);
	return FALSE;
}

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
	if (r == OPTIONS_RUN && t->trace_file && !*t->trace_file)
		r = usage_error("--trace-file: no file is named");
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

static GOptionContext *options_context(struct options *o)
{
	struct config *c = &o->config;
	struct option_text *t = &o->text;
	const GOptionEntry entries[] = {
		{ "kernel", 'k', 0, G_OPTION_ARG_FILENAME, &t->kernel,
		  "Linux bzImage, Multiboot or 32-bit ELF kernel to boot", "FILE" },
		{ "initrd", 'i', 0, G_OPTION_ARG_FILENAME, &t->initrd,
		  "initial RAM disk", "FILE" },
		{ "append", 'a', 0, G_OPTION_ARG_STRING, &t->append,
		  "the kernel's command line", "TEXT" },
		{ "kernel-unpack", 0, 0, G_OPTION_ARG_STRING, &t->kernel_unpack,
		  "yes: a packed Linux kernel is unpacked by hemi (default); no: by itself", "YES|NO" },
		{ "module", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &t->modules,
		  "Multiboot module and its arguments; may be repeated", "'FILE [ARG...]'" },
		{ "disk", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &t->disks,
		  "image of a disk, IDE or virtio (format: raw, auto, qcow2, vmdk, vdi, vhd, vhdx); up to four times",
		  "FILE[,format=NAME][,if=ide|virtio][,readonly][,snapshot]" },
		{ "cdrom", 0, 0, G_OPTION_ARG_FILENAME, &t->cdrom,
		  "image of a CD or DVD, in an ATAPI drive", "FILE[,format=NAME]" },
		{ "floppy", 0, 0, G_OPTION_ARG_FILENAME, &t->floppy,
		  "image of a 1.44 MB floppy disk", "FILE[,format=NAME][,readonly][,snapshot]" },
		{ "boot", 0, 0, G_OPTION_ARG_STRING, &t->boot,
		  "what the BIOS boots from, in order: c disk, d CD, a floppy (default cda)", "ORDER" },
		{ "bios", 0, 0, G_OPTION_ARG_FILENAME, &t->bios,
		  "BIOS image, used without --kernel (default: SeaBIOS as packaged)", "FILE" },
		{ "debugcon", 0, 0, G_OPTION_ARG_FILENAME, &t->debugcon,
		  "the BIOS's debug port 0x402: stderr or file:NAME", "WHERE" },
		{ "net", 0, 0, G_OPTION_ARG_STRING, &t->net,
		  "network interface: none (default), or user: this host's network as seen by a program; "
		  "with model=virtio-net-pci|ne2k_pci, hostfwd=tcp:[ADDR]:PORT-[ADDR]:PORT, restrict=on, "
		  "mac=ADDR", "none|user[,...]" },
		{ "nic", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &t->net, NULL, NULL },
		{ "display", 0, 0, G_OPTION_ARG_STRING, &t->display,
		  "where the screen is: none (default), terminal, or vnc (port 5900 of this host)",
		  "none|terminal|vnc[=ADDR:PORT]" },
		{ "vnc-password", 0, 0, G_OPTION_ARG_FILENAME, &t->vnc_password,
		  "file whose first line VNC viewers must know", "FILE" },
		{ "screenshot", 0, 0, G_OPTION_ARG_FILENAME, &t->screenshot,
		  "at the end: the screen as PNG, .ppm, or .txt (its characters)", "FILE" },
		{ "control", 0, 0, G_OPTION_ARG_FILENAME, &t->control,
		  "socket where programs control the machine in QMP's form", "SOCKET" },
		{ "qmp", 0, 0, G_OPTION_ARG_FILENAME, &t->qmp,
		  "the same, said as to QEMU: unix:PATH[,server=on][,wait=off]", "SOCKET" },
		{ "paused", 'S', 0, G_OPTION_ARG_NONE, &o->flags.paused,
		  "the machine starts stopped; cont lets it go (Ctrl-A c, or --control)", NULL },
		{ "vga", 0, 0, G_OPTION_ARG_STRING, &t->vga,
		  "display adapter: std (default) or none", "NAME" },
		{ "vgabios", 0, 0, G_OPTION_ARG_FILENAME, &t->vgabios,
		  "its BIOS (default: SeaBIOS's as packaged)", "FILE" },
		{ "memory", 'm', 0, G_OPTION_ARG_STRING, &t->memory,
		  "guest memory, with suffix K, M or G (default 256M)", "SIZE" },
		{ "engine", 'e', 0, G_OPTION_ARG_STRING, &t->engine,
		  "hybrid: user code runs on the host CPU (default); interp: nothing does; full: "
		  "everything does, by KVM", "NAME" },
		{ "direct", 0, 0, G_OPTION_ARG_STRING, &t->direct,
		  "direct engine of hybrid: auto (default), ring3 or kvm", "NAME" },
		{ "gate", 0, 0, G_OPTION_ARG_STRING, &t->gate,
		  "when user code may go direct: always, adaptive (default) or never", "POLICY" },
		{ "cpu", 0, 0, G_OPTION_ARG_STRING, &t->cpu,
		  "CPU of the guest: MODEL[,+FEATURE|,-FEATURE]...; help: a list", "CPU" },
		{ "apic", 0, 0, G_OPTION_ARG_STRING, &t->apic,
		  "local APIC and I/O APIC (default: as the CPU has it; no with --kernel)", "YES|NO" },
		{ "serial", 0, 0, G_OPTION_ARG_FILENAME, &t->serial,
		  "first serial port: stdio (default), file:NAME, append:NAME, pty or none", "WHERE" },
		{ "stats", 0, G_OPTION_FLAG_OPTIONAL_ARG, G_OPTION_ARG_CALLBACK,
		  (gpointer)take_stats,
		  "at the end: a table on standard error, or JSON in FILE", "FILE" },
		{ "lockstep", 0, G_OPTION_FLAG_OPTIONAL_ARG, G_OPTION_ARG_CALLBACK,
		  (gpointer)take_lockstep,
		  "user code on both engines, compared; ends at a difference (exit status 4) or goes on",
		  "continue" },
		{ "state-hash", 0, 0, G_OPTION_ARG_NONE, &o->flags.state_hash,
		  "at the end: SHA-256 of processor, devices and RAM, on standard error", NULL },
		{ "timeout", 0, 0, G_OPTION_ARG_DOUBLE, &c->timeout,
		  "stop after so many seconds, exit status 124", "SECONDS" },
		{ "save", 0, 0, G_OPTION_ARG_FILENAME, &t->save,
		  "where Ctrl-A s, SIGUSR2 or SIGHUP put the machine to sleep, and quit", "FILE" },
		{ "save-after", 0, 0, G_OPTION_ARG_DOUBLE, &c->save_after,
		  "do that after so many seconds of guest time", "SECONDS" },
		{ "restore", 0, 0, G_OPTION_ARG_FILENAME, &t->restore,
		  "the machine that was saved there goes on, with its configuration", "FILE" },
		{ "debug-exit", 0, 0, G_OPTION_ARG_NONE, &o->flags.debug_exit,
		  "isa-debug-exit device at port 0xf4: the guest chooses the exit status", NULL },
		{ "strict", 0, 0, G_OPTION_ARG_NONE, &o->flags.strict,
		  "guard every user-sensitive instruction, not only those that would mislead", NULL },
		{ "no-reboot", 0, 0, G_OPTION_ARG_NONE, &o->flags.no_reboot,
		  "a guest's reset ends the run", NULL },
		{ "clock", 0, 0, G_OPTION_ARG_STRING, &t->clock,
		  "guest time: host (default) or instructions (repeatable; with interp)", "WHAT" },
		{ "rtc", 0, 0, G_OPTION_ARG_STRING, &t->rtc,
		  "guest's date at start: seconds since 1970 or ISO 8601, UTC (default: now)",
		  "TIME" },
		{ "trace", 0, 0, G_OPTION_ARG_STRING, &t->trace,
		  "log to standard error: a list of insn, event, cross, io (needs --enable-trace)", "WHAT" },
		{ "trace-file", 0, 0, G_OPTION_ARG_FILENAME, &t->trace_file,
		  "record every crossing in FILE, for hemi trace show", "FILE" },
		{ "verbose", 'v', 0, G_OPTION_ARG_NONE, &o->flags.verbose,
		  "say what is being done", NULL },
		{ NULL, 0, 0, 0, NULL, NULL, NULL },
	};
	GOptionContext *ctx = g_option_context_new("- boot a kernel");
	GOptionGroup *group = g_option_group_new("run", "", "", o, NULL);

	g_option_group_add_entries(group, entries);
	g_option_context_set_main_group(ctx, group);
	g_option_context_set_description(ctx, examples);
	return ctx;
}

/* GLib's messages name the option; what to do is added here. */
static int options_read(struct options *o, int *argc, char ***argv)
{
	GOptionContext *ctx = options_context(o);
	GError *err = NULL;
	char *help = NULL;
	int r = OPTIONS_RUN;

	g_option_context_set_help_enabled(ctx, FALSE);
	for (int i = 1; i < *argc && strcmp((*argv)[i], "--"); i++) {
		if (strcmp((*argv)[i], "--help") == 0 || strcmp((*argv)[i], "-h") == 0) {
			help = g_option_context_get_help(ctx, TRUE, NULL);
			break;
		}
	}
	if (help) {
		fputs(help, stdout);
		r = EXIT_OK;
	} else if (!g_option_context_parse(ctx, argc, argv, &err)) {
		r = usage_error("%s; see hemi run --help", err->message);
		g_error_free(err);
	} else if (*argc > 1) {
		r = usage_error("unexpected argument '%s'; the kernel is named with --kernel, see "
				"hemi run --help", (*argv)[1]);
	}
	g_free(help);
	g_option_context_free(ctx);
	return r;
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
		o->text.vgabios, o->text.display, o->text.vnc_password, o->text.screenshot,
		o->text.control, o->text.qmp,
		o->text.save, o->text.restore,
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		g_free(texts[i]);
	state_file_close(o->state);
	g_strfreev(o->text.modules);
	g_strfreev(o->text.disks);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one table of the options of `hemi run`: how each is spelt, what --help says of it, where its
 * text goes. What the texts mean is options.c's and its neighbours'.
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"

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
		  "image of a CD or DVD, in an ATAPI drive; none: an empty one", "FILE[,format=NAME]|none" },
		{ "floppy", 0, 0, G_OPTION_ARG_FILENAME, &t->floppy,
		  "image of a 1.44 MB floppy disk; none: an empty drive",
		  "FILE[,format=NAME][,readonly][,snapshot]|none" },
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
int options_read(struct options *o, int *argc, char ***argv)
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

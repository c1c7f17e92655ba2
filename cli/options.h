/* SPDX-License-Identifier: BSD-2-Clause */
/* The options of `hemi run`, parsed and checked as far as the host allows. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "machine/config.h"

/* The configuration together with the storage its strings point to. */
struct options {
	struct config config;
	struct option_text {
		char *kernel, *initrd, *append, *memory, *engine, *direct, *gate, *cpu, *serial;
		char *stats_file, *clock, *rtc, *trace, *trace_file, *kernel_unpack;
		char *bios, *debugcon, *cdrom, *floppy, *boot, *net;
		char *vga, *vgabios, *display, *vnc_password, *screenshot, *apic;
		char *control, *qmp;
		char *save, *restore;
		char **modules, **disks;
	} text;
	struct option_flags { int debug_exit, strict, no_reboot, state_hash, verbose, paused; } flags;
	struct state_file *state;	/* --restore, checked; or NULL */
};

/* Fills o from argv. OPTIONS_RUN: go on; otherwise the exit status: help was
 * printed, or one line on stderr said what is wrong. */
#define OPTIONS_RUN	(-1)
int options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);

/* options_table.c: the texts and flags of o from argv, or help. As options_parse(). */
int options_read(struct options *o, int *argc, char ***argv);
/* One line on stderr; EXIT_USAGE. */
int usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A file that is written at the end: what would fail then is said now. */
int options_target(const char *option, const char *file);
/* What o->text says of the BIOS and of drives, into o->config: options_disk.c. */
int options_drives(struct options *o);

/* Likewise of the display: options_display.c. After c->serial. */
int options_display(struct options *o);

/* And of the network: options_net.c. */
int options_net(struct options *o);
/* options_control.c. */
int options_control(struct options *o);
/* options_state.c: --restore, before everything is converted; --save, after. */
int options_restore(struct options *o);
int options_save(struct options *o);

/* Likewise of the APIC: options_apic.c. After c->kernel and c->cpu_model. */
int options_apic(struct options *o);

/* "512M" in bytes; false if it is no size. */
bool parse_size(const char *s, uint64_t *out);

#endif

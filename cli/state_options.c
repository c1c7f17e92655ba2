/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration in a state file becomes options again: each value the text of the
 * option that it came from, if the user does not say something else, so that all
 * that is known about options goes for it too.
 */
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/state_config.h"
#include "interp/cpu_model.h"

static void take(GKeyFile *k, const char *group, const char *key, char **text)
{
	if (!*text)
		*text = g_key_file_get_string(k, group, key, NULL);
}

static void take_flag(GKeyFile *k, const char *group, const char *key, int *flag)
{
	*flag |= g_key_file_get_boolean(k, group, key, NULL);
}

static int contradicts(const char *option, const char *given, const char *path, const char *has)
{
	return usage_error("--%s=%s contradicts %s, which has %s; leave it out", option, given,
			   path, has);
}

/* Options that say what the file says, or nothing. */
static int check_same(GKeyFile *k, const char *path, const struct option_text *t)
{
	const struct { const char *option, *given; } same[] = {
		{ "vga", t->vga }, { "clock", t->clock },
	};
	char *has = g_key_file_get_string(k, "machine", "cpu", NULL);
	uint64_t memory = g_key_file_get_uint64(k, "machine", "memory", NULL), bytes;
	struct cpu_model a = { 0 }, b = { 0 };
	int r = OPTIONS_RUN;
	char why[256];

	if (t->cpu && has && strcmp(t->cpu, has) && cpu_model_parse(&a, t->cpu, why, sizeof(why)) &&
	    cpu_model_parse(&b, has, why, sizeof(why)) && memcmp(&a, &b, sizeof(a)))
		r = contradicts("cpu", t->cpu, path, has);
	g_free(has);
	if (r == OPTIONS_RUN && t->memory && parse_size(t->memory, &bytes) && bytes != memory) {
		has = memory % (1 << 20) ? g_strdup_printf("%" PRIu64 "K", memory >> 10) :
			g_strdup_printf("%" PRIu64 "M", memory >> 20);
		r = contradicts("memory", t->memory, path, has);
		g_free(has);
	}
	for (unsigned i = 0; i < ARRAY_LEN(same) && r == OPTIONS_RUN; i++) {
		has = g_key_file_get_string(k, "machine", same[i].option, NULL);
		if (same[i].given && has && strcmp(same[i].given, has))
			r = contradicts(same[i].option, same[i].given, path, has);
		g_free(has);
	}
	return r;
}

/* Options that begin a machine's life. */
static int check_none(const char *path, const struct option_text *t)
{
	const struct { const char *option; bool given; } none[] = {
		{ "kernel", t->kernel }, { "initrd", t->initrd }, { "append", t->append },
		{ "module", t->modules }, { "kernel-unpack", t->kernel_unpack },
		{ "bios", t->bios }, { "vgabios", t->vgabios }, { "boot", t->boot },
		{ "rtc", t->rtc }, { "apic", t->apic },
	};

	for (unsigned i = 0; i < ARRAY_LEN(none); i++)
		if (none[i].given)
			return usage_error("--%s goes with no --restore: the machine in %s has "
					   "begun already", none[i].option, path);
	return OPTIONS_RUN;
}

static void take_kernel(GKeyFile *k, struct option_text *t)
{
	GPtrArray *modules = g_ptr_array_new();
	char key[24];

	take(k, "kernel", "file", &t->kernel);
	take(k, "kernel", "initrd", &t->initrd);
	take(k, "kernel", "append", &t->append);
	if (t->kernel && !g_key_file_get_boolean(k, "kernel", "unpack", NULL))
		t->kernel_unpack = g_strdup("no");
	for (unsigned i = 0; ; i++) {
		char *text;

		snprintf(key, sizeof(key), "module %u", i);
		text = g_key_file_get_string(k, "kernel", key, NULL);
		if (!text)
			break;
		g_ptr_array_add(modules, text);
	}
	g_ptr_array_add(modules, NULL);
	if (modules->len > 1)
		t->modules = (char **)g_ptr_array_free(modules, FALSE);
	else
		g_ptr_array_free(modules, TRUE);
}

/* "FILE,format=NAME,readonly,snapshot" as an option has it: of a file that the user names, or of
 * that which it was. Words that the user says come first, and count. */
static char *drive_text(GKeyFile *k, const char *drive, const char *given)
{
	char *file = given ? g_strdup(given) : g_key_file_get_string(k, drive, "file", NULL);
	char *format = g_key_file_get_string(k, drive, "format", NULL);
	char *text = g_strconcat(file ? file : "", ",format=", format ? format : "raw",
		g_str_has_prefix(drive, "virtio") ? ",if=virtio" : "",
		g_key_file_get_boolean(k, drive, "readonly", NULL) ? ",readonly" : "",
		g_key_file_get_boolean(k, drive, "snapshot", NULL) ? ",snapshot" : "", NULL);

	g_free(file);
	g_free(format);
	return text;
}

static int too_many(const char *option, const char *path, unsigned has)
{
	return usage_error("--%s: more than the %u that %s has", option, has, path);
}

/* One for exchangeable media: --cdrom or --floppy. */
static int take_removable(GKeyFile *k, const char *path, const char *drive, const char *option,
			  char **text)
{
	char *was = *text;

	if (!drive) {
		return was ? too_many(option, path, 0) : OPTIONS_RUN;
	} else if (!g_key_file_get_boolean(k, drive, "empty", NULL)) {
		*text = drive_text(k, drive, was);
	} else if (!was || strcmp(was, "none") == 0) {
		*text = g_strdup("none");
	} else {
		return usage_error("--%s=%s: that drive is empty in %s; put the medium in when the "
				   "machine runs (Ctrl-A c, change)", option, was, path);
	}
	g_free(was);
	return OPTIONS_RUN;
}

/* The groups of disks, as their options followed each other: virtio's are numbered by that. */
static unsigned disk_groups(GKeyFile *k, const char *names[CONFIG_DISKS])
{
	unsigned ide = 0;

	for (unsigned n = 0; n < CONFIG_DISKS; n++) {
		names[n] = state_drives[STATE_VIRTIO + n];
		if (g_key_file_has_group(k, names[n]))
			continue;
		while (ide < MACHINE_DISKS &&
		       (!g_key_file_has_group(k, state_drives[ide]) ||
			g_key_file_get_boolean(k, state_drives[ide], "cd", NULL)))
			ide++;
		if (ide == MACHINE_DISKS)
			return n;
		names[n] = state_drives[ide++];
	}
	return CONFIG_DISKS;
}

static const char *removable_group(GKeyFile *k, bool cd)
{
	if (!cd)
		return g_key_file_has_group(k, "floppy 0") ? "floppy 0" : NULL;
	for (unsigned i = 0; i < MACHINE_DISKS; i++)
		if (g_key_file_get_boolean(k, state_drives[i], "cd", NULL))
			return state_drives[i];
	return NULL;
}

/* Images may be elsewhere now: the first --disk is the first disk's. */
static int take_drives(GKeyFile *k, const char *path, struct option_text *t)
{
	GPtrArray *disks = g_ptr_array_new();
	const char *names[CONFIG_DISKS];
	char **given = t->disks;
	unsigned n = disk_groups(k, names), ngiven = given ? g_strv_length(given) : 0;
	int r;

	for (unsigned i = 0; i < n; i++)
		g_ptr_array_add(disks, drive_text(k, names[i], i < ngiven ? given[i] : NULL));
	g_ptr_array_add(disks, NULL);
	t->disks = (char **)g_ptr_array_free(disks, FALSE);
	g_strfreev(given);
	if (ngiven > n)
		return too_many("disk", path, n);
	r = take_removable(k, path, removable_group(k, true), "cdrom", &t->cdrom);
	return r == OPTIONS_RUN ?
		take_removable(k, path, removable_group(k, false), "floppy", &t->floppy) : r;
}

/* What was written to a file before stays in it. */
static void take_outside(GKeyFile *k, struct option_text *t)
{
	char *file = g_key_file_get_string(k, "serial", "file", NULL);

	if (!t->display)
		take(k, "display", "vnc-password", &t->vnc_password);
	take(k, "display", "to", &t->display);
	if (!t->serial && file)
		t->serial = g_strconcat("append:", file, NULL);
	g_free(file);
	take(k, "serial", "to", &t->serial);
	/* That was said to one of them on another day. */
	if (t->display && !strcmp(t->display, "terminal") &&
	    t->serial && !strcmp(t->serial, "stdio"))
		g_clear_pointer(&t->serial, g_free);
}

int state_config_apply(const char *path, const char *text, size_t len, struct options *o)
{
	struct option_text *t = &o->text;
	GKeyFile *k = state_config_parse(text, len);
	uint64_t memory = g_key_file_get_uint64(k, "machine", "memory", NULL);
	bool has_exit = g_key_file_get_boolean(k, "machine", "debug-exit", NULL);
	bool more = o->flags.debug_exit && !has_exit;
	int r;

	r = check_none(path, t);
	if (r == OPTIONS_RUN)
		r = check_same(k, path, t);
	if (r == OPTIONS_RUN)
		r = take_drives(k, path, t);
	take(k, "machine", "cpu", &t->cpu);
	take(k, "machine", "vga", &t->vga);
	take(k, "machine", "boot", &t->boot);
	take(k, "machine", "clock", &t->clock);
	take(k, "run", "engine", &t->engine);
	take(k, "run", "direct", &t->direct);
	take(k, "run", "gate", &t->gate);
	take_flag(k, "machine", "debug-exit", &o->flags.debug_exit);
	take_flag(k, "run", "strict", &o->flags.strict);
	take_flag(k, "run", "no-reboot", &o->flags.no_reboot);
	take(k, "net", "to", &t->net);
	take_kernel(k, t);
	take_outside(k, t);
	if (!t->memory)
		t->memory = g_strdup_printf("%" PRIu64, memory);
	if (r == OPTIONS_RUN && more)
		r = usage_error("--debug-exit: the machine in %s has no such device; leave it out",
				path);
	g_key_file_free(k);
	return r;
}

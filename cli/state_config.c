/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a state file says of the machine's configuration: a key file, which people may
 * read. On the way back each value becomes the text of the option that it came from, so
 * that all that is known about options goes for it too.
 */
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "cli/state_chunk.h"
#include "cli/state_file.h"
#include "dev/disk.h"
#include "interp/cpu_model.h"

/* Drives in the order of struct machine's, floppies last. */
static const char *const drives[MACHINE_DISKS + MACHINE_FLOPPIES] = {
	"drive 0", "drive 1", "drive 2", "drive 3", "floppy 0", "floppy 1",
};

static struct disk *drive_disk(struct machine *m, unsigned i)
{
	return i < MACHINE_DISKS ? m->disks[i] : m->floppies[i - MACHINE_DISKS];
}

/* --- Saving ---------------------------------------------------------------------------------- */

static void put_path(GKeyFile *k, const char *group, const char *key, const char *path)
{
	char *full;

	if (!path)
		return;
	full = g_canonicalize_filename(path, NULL);
	g_key_file_set_string(k, group, key, full);
	g_free(full);
}

static void put_text(GKeyFile *k, const char *group, const char *key, const char *text)
{
	if (text)
		g_key_file_set_string(k, group, key, text);
}

static void put_hex(GKeyFile *k, const char *group, const char *key, uint64_t val)
{
	char text[24];

	snprintf(text, sizeof(text), "%016" PRIx64, val);
	g_key_file_set_string(k, group, key, text);
}

static void put_machine(GKeyFile *k, struct machine *m)
{
	const struct config *c = m->config;
	struct cpu_model model;
	char why[128];

	g_key_file_set_uint64(k, "machine", "memory", c->memory);
	put_text(k, "machine", "cpu", c->cpu_model ? c->cpu_model :
		 cpu_model_parse(&model, NULL, why, sizeof(why)) ? model.name : NULL);
	put_hex(k, "machine", "cpuid", state_config_cpuid(m));
	put_text(k, "machine", "vga", c->vga == VGA_NONE ? "none" : "std");
	put_text(k, "machine", "boot", c->boot_order);
	g_key_file_set_boolean(k, "machine", "debug-exit", c->debug_exit);
	put_text(k, "machine", "clock", c->clock_instructions ? "instructions" : "host");
	put_text(k, "run", "engine", c->engine == ENGINE_INTERP ? "interp" : "hybrid");
	put_text(k, "run", "direct", c->direct == DIRECT_KVM ? "kvm" :
		 c->direct == DIRECT_RING3 ? "ring3" : NULL);
	put_text(k, "run", "gate", c->gate == GATE_ALWAYS ? "always" :
		 c->gate == GATE_NEVER ? "never" : NULL);
	g_key_file_set_boolean(k, "run", "strict", c->strict);
	g_key_file_set_boolean(k, "run", "no-reboot", c->no_reboot);
}

static void put_outside(GKeyFile *k, const struct config *c)
{
	char vnc[96];

	if (strncmp(c->serial, "file:", 5) == 0)
		put_path(k, "serial", "file", c->serial + 5);
	else if (strncmp(c->serial, "append:", 7) == 0)
		put_path(k, "serial", "file", c->serial + 7);
	else
		put_text(k, "serial", "to", c->serial);
	snprintf(vnc, sizeof(vnc), "vnc=%s:%u", c->vnc_address, c->vnc_port);
	put_text(k, "display", "to", c->display == DISPLAY_VNC ? vnc :
		 c->display == DISPLAY_TERMINAL ? "terminal" : NULL);
	put_path(k, "display", "vnc-password", c->vnc_password);
}

/* For the next reset: the BIOS is in the file, a kernel is not. */
static void put_kernel(GKeyFile *k, const struct config *c)
{
	char key[24];

	if (!c->kernel)
		return;
	put_path(k, "kernel", "file", c->kernel);
	put_path(k, "kernel", "initrd", c->initrd);
	put_text(k, "kernel", "append", c->append);
	g_key_file_set_boolean(k, "kernel", "unpack", c->kernel_unpack);
	for (unsigned i = 0; c->modules && c->modules[i]; i++) {
		snprintf(key, sizeof(key), "module %u", i);
		put_text(k, "kernel", key, c->modules[i]);
	}
}

static void put_drive(GKeyFile *k, struct machine *m, unsigned i)
{
	struct disk *d = drive_disk(m, i);

	if (!d)
		return;
	put_path(k, drives[i], "file", disk_name(d));
	g_key_file_set_uint64(k, drives[i], "size", disk_size(d));
	g_key_file_set_int64(k, drives[i], "changed", disk_changed(d));
	g_key_file_set_boolean(k, drives[i], "readonly", disk_readonly(d));
	g_key_file_set_boolean(k, drives[i], "snapshot", disk_is_snapshot(d));
	g_key_file_set_boolean(k, drives[i], "cd", i < MACHINE_DISKS && m->disk_is_cd[i]);
}

char *state_config_text(struct machine *m, size_t *len)
{
	GKeyFile *k = g_key_file_new();
	char *text;

	g_key_file_set_int64(k, "hemi", "saved", (int64_t)time(NULL));
	put_machine(k, m);
	put_outside(k, m->config);
	put_kernel(k, m->config);
	for (unsigned i = 0; i < ARRAY_LEN(drives); i++)
		put_drive(k, m, i);
	text = g_key_file_to_data(k, len, NULL);
	g_key_file_free(k);
	return text;
}

uint64_t state_config_cpuid(struct machine *m)
{
	static const uint32_t last[] = { 0x1f, 0x80000020 };
	uint64_t crc = 0;

	for (unsigned i = 0; i < ARRAY_LEN(last); i++) {
		for (uint32_t leaf = last[i] & 0x80000000; leaf <= last[i]; leaf++) {
			uint32_t out[4];
			uint8_t bytes[16];

			m->cpuid(m->cpuid_self, leaf, 0, out);
			for (unsigned r = 0; r < 4; r++)
				put_le(bytes + 4 * r, out[r], 4);
			crc = crc64(crc, bytes, sizeof(bytes));
		}
	}
	return crc;
}

/* --- Waking up -------------------------------------------------------------------------------- */

static GKeyFile *parse(const char *text, size_t len)
{
	GKeyFile *k = g_key_file_new();

	/* Behind a checksum: if it is none, it was none when it was written. */
	if (!g_key_file_load_from_data(k, text, len, G_KEY_FILE_NONE, NULL)) {
		g_key_file_free(k);
		k = g_key_file_new();
	}
	return k;
}

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
	return usage_error("--%s=%s contradicts %s, which has %s; leave it out", option, given, path,
			   has);
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
		{ "module", t->modules }, { "kernel-unpack", t->kernel_unpack }, { "bios", t->bios },
		{ "vgabios", t->vgabios }, { "boot", t->boot }, { "rtc", t->rtc },
	};

	for (unsigned i = 0; i < ARRAY_LEN(none); i++)
		if (none[i].given)
			return usage_error("--%s goes with no --restore: the machine in %s has begun "
					   "already", none[i].option, path);
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

/* "FILE,readonly,snapshot" as an option has it: of a file that the user names, or of that which
 * it was. */
static char *drive_text(GKeyFile *k, const char *drive, const char *given)
{
	char *file = given ? g_strdup(given) : g_key_file_get_string(k, drive, "file", NULL);
	char *text = g_strconcat(file ? file : "",
		g_key_file_get_boolean(k, drive, "readonly", NULL) ? ",readonly" : "",
		g_key_file_get_boolean(k, drive, "snapshot", NULL) ? ",snapshot" : "", NULL);

	g_free(file);
	return text;
}

static int too_many(const char *option, const char *path, unsigned has)
{
	return usage_error("--%s: more than the %u that %s has", option, has, path);
}

/* Images may be elsewhere now: the first --disk is the first disk's. */
static int take_drives(GKeyFile *k, const char *path, struct option_text *t)
{
	GPtrArray *disks = g_ptr_array_new();
	char **given = t->disks;
	unsigned n = 0, ngiven = given ? g_strv_length(given) : 0;
	bool cd = false;

	for (unsigned i = 0; i < MACHINE_DISKS; i++) {
		if (!g_key_file_has_group(k, drives[i]))
			continue;
		if (g_key_file_get_boolean(k, drives[i], "cd", NULL)) {
			take(k, drives[i], "file", &t->cdrom);
			cd = true;
			continue;
		}
		g_ptr_array_add(disks, drive_text(k, drives[i], n < ngiven ? given[n] : NULL));
		n++;
	}
	g_ptr_array_add(disks, NULL);
	t->disks = (char **)g_ptr_array_free(disks, FALSE);
	g_strfreev(given);
	if (ngiven > n)
		return too_many("disk", path, n);
	if (t->cdrom && !cd)
		return too_many("cdrom", path, 0);
	if (g_key_file_has_group(k, "floppy 0")) {
		char *text = drive_text(k, "floppy 0", t->floppy);

		g_free(t->floppy);
		t->floppy = text;
	} else if (t->floppy) {
		return too_many("floppy", path, 0);
	}
	return OPTIONS_RUN;
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
	if (t->display && !strcmp(t->display, "terminal") && t->serial && !strcmp(t->serial, "stdio"))
		g_clear_pointer(&t->serial, g_free);
}

int state_config_apply(const char *path, const char *text, size_t len, struct options *o)
{
	struct option_text *t = &o->text;
	GKeyFile *k = parse(text, len);
	uint64_t memory = g_key_file_get_uint64(k, "machine", "memory", NULL);
	int debug_exit = o->flags.debug_exit, r;

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
	take_kernel(k, t);
	take_outside(k, t);
	if (!t->memory)
		t->memory = g_strdup_printf("%" PRIu64, memory);
	if (r == OPTIONS_RUN && debug_exit && !g_key_file_get_boolean(k, "machine", "debug-exit", NULL))
		r = usage_error("--debug-exit: the machine in %s has no such device; leave it out", path);
	g_key_file_free(k);
	return r;
}

/* An image of another size is another one; one that was written to since may be. */
int state_config_media(const char *path, const char *text, size_t len, struct machine *m,
		       char why[static WHY_SIZE])
{
	GKeyFile *k = parse(text, len);
	int err = 0;

	for (unsigned i = 0; i < ARRAY_LEN(drives) && !err; i++) {
		struct disk *d = drive_disk(m, i);
		uint64_t size = g_key_file_get_uint64(k, drives[i], "size", NULL);
		int64_t changed = g_key_file_get_int64(k, drives[i], "changed", NULL);

		if (!d != !g_key_file_has_group(k, drives[i]))
			err = load_fail(why, -EINVAL, "state file %s: its %s is missing", path, drives[i]);
		else if (d && disk_size(d) != size)
			err = load_fail(why, -EINVAL, "%s: of %" PRIu64 " bytes; the disk of %s has %" PRIu64,
					disk_name(d), disk_size(d), path, size);
		else if (d && changed && disk_changed(d) && disk_changed(d) != changed)
			fprintf(stderr, "hemi: warning: %s has changed since the machine was saved, which "
				"does not know\n", disk_name(d));
	}
	g_key_file_free(k);
	return err;
}

bool state_config_same_cpu(const char *text, size_t len, struct machine *m)
{
	GKeyFile *k = parse(text, len);
	char *has = g_key_file_get_string(k, "machine", "cpuid", NULL);
	bool same = has && strtoull(has, NULL, 16) == state_config_cpuid(m);

	g_free(has);
	g_key_file_free(k);
	return same;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a state file says of the machine's configuration: a key file, which people may
 * read. How it becomes options again is in state_options.c.
 */
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/state_chunk.h"
#include "cli/state_config.h"
#include "dev/drive.h"
#include "dev/image_format.h"
#include "interp/cpu_model.h"

const char *const state_drives[STATE_DRIVES] = {
	"drive 0", "drive 1", "drive 2", "drive 3", "floppy 0", "floppy 1",
	"virtio 0", "virtio 1", "virtio 2", "virtio 3",
};

struct disk **state_drive(struct machine *m, unsigned i)
{
	if (i < MACHINE_DISKS)
		return &m->disks[i];
	i -= MACHINE_DISKS;
	if (i < MACHINE_FLOPPIES)
		return &m->floppies[i];
	return &m->virtio_disks[i - MACHINE_FLOPPIES];
}

/* A drive without a medium: those are known by their slots. */
static bool drive_is_empty(struct machine *m, unsigned i)
{
	struct disk **slot = state_drive(m, i);
	const struct drive *d = m->drives;

	while (d && d->disk != slot)
		d = d->next;
	return d && !*slot;
}

/* --- Saving ------------------------------------------------------------------------ */

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

static void put_forward(GString *s, const struct config_forward *f)
{
	const uint32_t ends[] = { f->host, f->guest };
	const uint16_t ports[] = { f->host_port, f->guest_port };

	g_string_append_printf(s, ",hostfwd=%s:", f->udp ? "udp" : "tcp");
	for (unsigned i = 0; i < ARRAY_LEN(ends); i++)
		g_string_append_printf(s, "%s%u.%u.%u.%u:%u", i ? "-" : "", ends[i] >> 24,
				       ends[i] >> 16 & 0xff, ends[i] >> 8 & 0xff, ends[i] & 0xff,
				       ports[i]);
}

/* As the option has it. */
static void put_net(GKeyFile *k, const struct config_net *c)
{
	const uint8_t *mac = c->mac;
	GString *s;

	if (c->model == NIC_NONE)
		return;
	s = g_string_new("user,model=");
	g_string_append(s, c->model == NIC_VIRTIO ? "virtio-net-pci" : "ne2k_pci");
	g_string_append_printf(s, ",mac=%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
			       mac[3], mac[4], mac[5]);
	if (c->restricted)
		g_string_append(s, ",restrict=on");
	for (unsigned i = 0; i < c->nforwards; i++)
		put_forward(s, &c->forwards[i]);
	g_key_file_set_string(k, "net", "to", s->str);
	g_string_free(s, TRUE);
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
	struct disk *d = *state_drive(m, i);

	if (drive_is_empty(m, i))
		g_key_file_set_boolean(k, state_drives[i], "empty", true);
	if (i < MACHINE_DISKS && m->disk_is_cd[i])
		g_key_file_set_boolean(k, state_drives[i], "cd", true);
	if (!d)
		return;
	put_path(k, state_drives[i], "file", disk_name(d));
	put_text(k, state_drives[i], "format", format_name(disk_format(d)));
	g_key_file_set_uint64(k, state_drives[i], "size", disk_size(d));
	g_key_file_set_int64(k, state_drives[i], "changed", disk_changed(d));
	g_key_file_set_boolean(k, state_drives[i], "readonly", disk_readonly(d));
	g_key_file_set_boolean(k, state_drives[i], "snapshot", disk_is_snapshot(d));
}

char *state_config_text(struct machine *m, size_t *len)
{
	GKeyFile *k = g_key_file_new();
	char *text;

	g_key_file_set_int64(k, "hemi", "saved", (int64_t)time(NULL));
	put_machine(k, m);
	put_outside(k, m->config);
	put_net(k, &m->config->net);
	put_kernel(k, m->config);
	for (unsigned i = 0; i < STATE_DRIVES; i++)
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

/* --- Looking at it again ------------------------------------------------------------ */

GKeyFile *state_config_parse(const char *text, size_t len)
{
	GKeyFile *k = g_key_file_new();

	/* Behind a checksum: if it is none, it was none when it was written. */
	if (!g_key_file_load_from_data(k, text, len, G_KEY_FILE_NONE, NULL)) {
		g_key_file_free(k);
		k = g_key_file_new();
	}
	return k;
}

/* An image of another size is another one; one that was written to since may be. */
int state_config_media(const char *path, const char *text, size_t len, struct machine *m,
		       char why[static WHY_SIZE])
{
	GKeyFile *k = state_config_parse(text, len);
	int err = 0;

	for (unsigned i = 0; i < STATE_DRIVES && !err; i++) {
		struct disk *d = *state_drive(m, i);
		bool empty = g_key_file_get_boolean(k, state_drives[i], "empty", NULL);
		uint64_t size = g_key_file_get_uint64(k, state_drives[i], "size", NULL);
		int64_t changed = g_key_file_get_int64(k, state_drives[i], "changed", NULL);

		if (!d != (empty || !g_key_file_has_group(k, state_drives[i])))
			err = load_fail(why, -EINVAL, "state file %s: its %s is missing", path,
					state_drives[i]);
		else if (d && disk_size(d) != size)
			err = load_fail(why, -EINVAL, "%s: of %" PRIu64 " bytes; the disk of %s "
					"has %" PRIu64, disk_name(d), disk_size(d), path, size);
		else if (d && changed && disk_changed(d) && disk_changed(d) != changed)
			fprintf(stderr, "hemi: warning: %s has changed since the machine was "
				"saved, which does not know\n", disk_name(d));
	}
	g_key_file_free(k);
	return err;
}

bool state_config_same_cpu(const char *text, size_t len, struct machine *m)
{
	GKeyFile *k = state_config_parse(text, len);
	char *has = g_key_file_get_string(k, "machine", "cpuid", NULL);
	bool same = has && strtoull(has, NULL, 16) == state_config_cpuid(m);

	g_free(has);
	g_key_file_free(k);
	return same;
}

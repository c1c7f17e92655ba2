/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about drives: which there are, and media that go in and out. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/control.h"
#include "dev/drive.h"

/* --- Showing ------------------------------------------------------------------------------ */

static JsonObject *inserted(const char *name, const struct disk *disk)
{
	JsonObject *o = json_object_new(), *image = json_object_new();

	json_object_set_string_member(image, "filename", disk_name(disk));
	json_object_set_string_member(image, "format", "raw");
	json_object_set_int_member(image, "virtual-size", (gint64)disk_size(disk));
	json_object_set_object_member(o, "image", image);
	json_object_set_string_member(o, "file", disk_name(disk));
	json_object_set_string_member(o, "node-name", name);
	json_object_set_string_member(o, "drv", "raw");
	json_object_set_boolean_member(o, "ro", disk_readonly(disk));
	json_object_set_boolean_member(o, "encrypted", FALSE);
	json_object_set_int_member(o, "backing_file_depth", 0);
	return o;
}

/* One drive; d is NULL where the medium cannot be exchanged. */
static void show(struct call *c, JsonArray *all, const char *name, const struct disk *disk,
		 const struct drive *d)
{
	JsonObject *o = json_object_new();
	bool locked = d && d->locked(d->self), open = d && d->open(d->self);

	call_printf(c, "%s: ", name);
	if (disk)
		call_printf(c, "%s%s\n", disk_name(disk),
			    disk_readonly(disk) ? " (read-only)" : "");
	else
		call_printf(c, "[not inserted]\n");
	if (d)
		call_printf(c, "    removable, %slocked%s\n", locked ? "" : "not ",
			    !d->cd ? "" : open ? ", tray open" : ", tray closed");
	json_object_set_string_member(o, "device", name);
	json_object_set_string_member(o, "qdev", name);
	json_object_set_string_member(o, "type", "unknown");
	json_object_set_boolean_member(o, "removable", d != NULL);
	json_object_set_boolean_member(o, "locked", locked);
	if (d && d->cd)
		json_object_set_boolean_member(o, "tray_open", open);
	if (disk)
		json_object_set_object_member(o, "inserted", inserted(name, disk));
	json_array_add_object_element(all, o);
}

void verb_block(struct call *c)
{
	struct machine *m = call_machine(c);
	JsonArray *all = json_array_new();
	JsonNode *n = json_node_new(JSON_NODE_ARRAY);
	char name[16];

	for (unsigned i = 0; i < MACHINE_DISKS; i++) {
		if (!m->disks[i] || m->disk_is_cd[i])
			continue;
		snprintf(name, sizeof(name), "ide%u-hd%u", i / 2, i % 2);
		show(c, all, name, m->disks[i], NULL);
	}
	for (unsigned i = 0; i < MACHINE_DISKS; i++) {
		if (!m->virtio_disks[i])
			continue;
		snprintf(name, sizeof(name), "virtio%u", i);
		show(c, all, name, m->virtio_disks[i], NULL);
	}
	for (struct drive *d = m->drives; d; d = d->next)
		show(c, all, d->name, *d->disk, d);
	json_node_take_array(n, all);
	call_return(c, n);
}

/* --- Exchanging --------------------------------------------------------------------------- */

static struct drive *drive_of(struct call *c)
{
	struct machine *m = call_machine(c);
	const char *name = c->args[1].text;
	struct drive *d = drive_find(m, name);
	GString *s;

	if (d)
		return d;
	if (!m->drives) {
		call_fail_class(c, "DeviceNotFound", "Device '%s' not found: there is no drive for "
				"exchangeable media; say --cdrom or --floppy at the start", name);
		return NULL;
	}
	s = g_string_new(NULL);
	for (d = m->drives; d; d = d->next)
		g_string_append_printf(s, " %s", d->name);
	call_fail_class(c, "DeviceNotFound", "Device '%s' not found; there is:%s", name, s->str);
	g_string_free(s, TRUE);
	return NULL;
}

static bool forced(const struct call *c)
{
	return c->args[0].text && c->args[0].number;
}

void verb_eject(struct call *c)
{
	struct drive *d = drive_of(c);

	if (d && drive_eject(d, forced(c)))
		call_fail(c, "Device '%s' is locked and force was not specified, wait for tray to "
			  "open and try again (the guest was told)", d->name);
}

void verb_change(struct call *c)
{
	struct config_disk medium = { .file = c->args[2].text };
	const char *mode = c->args[4].text;
	struct drive *d = drive_of(c);
	char why[512];

	if (!d)
		return;
	if (!mode || strcmp(mode, "retain") == 0)
		medium.readonly = d->cd || (*d->disk && disk_readonly(*d->disk));
	else
		medium.readonly = d->cd || strcmp(mode, "read-only") == 0;
	if (drive_load(d, &medium, forced(c), why))
		call_fail(c, "%s", why);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The options that name a BIOS, images and drives. */
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/options.h"
#include "dev/image_format.h"

static bool take_word(const char *word, struct config_disk *out)
{
	if (g_str_has_prefix(word, "format="))
		return format_parse(word + strlen("format="), &out->format);
	out->readonly |= strcmp(word, "readonly") == 0;
	out->snapshot |= strcmp(word, "snapshot") == 0;
	out->virtio |= strcmp(word, "if=virtio") == 0;
	return !strcmp(word, "readonly") || !strcmp(word, "snapshot") || !strcmp(word, "if=virtio") ||
	       !strcmp(word, "if=ide");
}

static int format_unknown(const char *option, const char *text, const char *format)
{
	GString *list = g_string_new(NULL);

	for (unsigned i = 0; format_list(i); i++)
		g_string_append_printf(list, "%s%s", !i ? "" : format_list(i + 1) ? ", " : " or ",
				       format_list(i));
	usage_error("--%s=%s: format '%s' is unknown; say %s", option, text, format, list->str);
	g_string_free(list, TRUE);
	return EXIT_USAGE;
}

/* "FILE[,format=NAME][,if=ide|virtio][,readonly][,snapshot]". The words are cut off from the end, so that a
 * name may have commas. "none" is a drive without a medium, if media can go in later. */
static int parse_image(const char *option, char *text, bool removable, struct config_disk *out)
{
	char *comma = NULL;

	if (removable && strcmp(text, "none") == 0) {
		out->empty = true;
		return OPTIONS_RUN;
	}
	out->file = text;
	while (access(text, F_OK) && (comma = strrchr(text, ',')) && take_word(comma + 1, out))
		*comma = '\0';
	if (!*text || *text == ',')
		return usage_error("--%s: no file is named", option);
	if (!comma || access(text, F_OK) == 0)
		return OPTIONS_RUN;
	if (g_str_has_prefix(comma + 1, "format="))
		return format_unknown(option, text, comma + 1 + strlen("format="));
	if (g_str_has_prefix(comma + 1, "if="))
		return usage_error("--%s=%s: '%s' is unknown; say if=ide or if=virtio", option, text,
				   comma + 1);
	return usage_error("--%s=%s: '%s' is unknown; say format=NAME, if=virtio, readonly or snapshot",
			   option, text, comma + 1);
}

static int check_boot(const char *order)
{
	size_t n = strlen(order);
	bool twice = false;

	for (size_t i = 0; i < n; i++)
		twice |= strchr(order + i + 1, order[i]) != NULL;
	if (n && n <= 3 && !twice && strspn(order, "acd") == n)
		return OPTIONS_RUN;
	return usage_error("--boot=%s: say one to three of the letters c (disk), d (CD) and a "
			   "(floppy), each once", order);
}

static int check_debugcon(const char *where)
{
	if (strcmp(where, "stderr") == 0 || (strncmp(where, "file:", 5) == 0 && where[5]))
		return OPTIONS_RUN;
	return usage_error("--debugcon=%s: unknown; say stderr or file:NAME", where);
}

int options_drives(struct options *o)
{
	struct config *c = &o->config;
	struct option_text *t = &o->text;
	int r = OPTIONS_RUN;

	c->bios = t->bios;
	c->debugcon = t->debugcon;
	c->boot_order = t->boot;
	for (unsigned i = 0; t->disks && t->disks[i] && r == OPTIONS_RUN; i++) {
		if (i == CONFIG_DISKS)
			return usage_error("--disk: more than the %u drives that there are",
					   CONFIG_DISKS);
		r = parse_image("disk", t->disks[i], false, &c->disks[i]);
	}
	if (r == OPTIONS_RUN && t->floppy)
		r = parse_image("floppy", t->floppy, true, &c->floppy);
	if (r == OPTIONS_RUN && t->cdrom)
		r = parse_image("cdrom", t->cdrom, true, &c->cdrom);
	c->cdrom.readonly = true;
	if (r == OPTIONS_RUN && (c->floppy.virtio || c->cdrom.virtio))
		r = usage_error("if=virtio is for disks, not for --floppy and --cdrom");
	if (r == OPTIONS_RUN && t->boot)
		r = check_boot(t->boot);
	if (r == OPTIONS_RUN && t->debugcon)
		r = check_debugcon(t->debugcon);
	return r;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The options by which others control the machine. */
#include <glib.h>
#include <string.h>

#include "cli/options.h"

/* As QEMU wants it: "unix:PATH[,server=on][,wait=off]". hemi always is the server and never
 * waits. */
static int parse_qmp(char *text, const char **out)
{
	static const char *const words[] = { "server", "server=on", "wait=off", "nowait" };
	char *comma;

	if (g_str_has_prefix(text, "unix:"))
		text += strlen("unix:");
	else if (strchr(text, ':') && !strchr(text, '/'))
		return usage_error("--qmp=%s: only Unix sockets are known; say unix:PATH", text);
	while ((comma = strrchr(text, ','))) {
		bool known = false;

		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			known = known || strcmp(words[i], comma + 1) == 0;
		if (strcmp(comma + 1, "wait=on") == 0)
			return usage_error("--qmp: hemi does not wait for a client; say wait=off, and "
					   "--paused for a machine that waits for cont");
		if (!known)
			break;
		*comma = '\0';
	}
	*out = text;
	return OPTIONS_RUN;
}

int options_control(struct options *o)
{
	struct config *c = &o->config;
	int r = OPTIONS_RUN;

	c->paused = o->flags.paused;
	c->control = o->text.control;
	if (c->control && o->text.qmp)
		return usage_error("--control and --qmp are the same; say one of them");
	if (o->text.qmp)
		r = parse_qmp(o->text.qmp, &c->control);
	if (r == OPTIONS_RUN && c->control && !*c->control)
		r = usage_error("--control: the name of the socket is empty");
	return r;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The options that say what there is to see, and how. */
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"

/* "ADDRESS:PORT", "ADDRESS", ":PORT"; loopback and 5900 where nothing is said. */
static int parse_vnc(const char *s, struct config *c)
{
	const char *colon = strrchr(s, ':');
	size_t len = colon ? (size_t)(colon - s) : strlen(s);
	unsigned port = 0;

	if (len >= sizeof(c->vnc_address))
		return usage_error("--display=vnc=%s: no address; say for instance vnc=127.0.0.1:5901", s);
	if (len) {
		memcpy(c->vnc_address, s, len);
		c->vnc_address[len] = '\0';
	}
	for (const char *p = colon ? colon + 1 : ""; *p && port <= 65535; p++)
		port = *p >= '0' && *p <= '9' ? port * 10 + (unsigned)(*p - '0') : 65536;
	if (colon && (!port || port > 65535))
		return usage_error("--display=vnc=%s: no port; say for instance vnc=127.0.0.1:5901", s);
	if (colon)
		c->vnc_port = (uint16_t)port;
	return OPTIONS_RUN;
}

static int parse_display(const char *s, struct config *c)
{
	if (strcmp(s, "none") == 0) {
		c->display = DISPLAY_NONE;
	} else if (strcmp(s, "terminal") == 0) {
		c->display = DISPLAY_TERMINAL;
	} else if (strcmp(s, "vnc") == 0 || strncmp(s, "vnc=", 4) == 0) {
		c->display = DISPLAY_VNC;
		return s[3] ? parse_vnc(s + 4, c) : OPTIONS_RUN;
	} else {
		return usage_error("--display=%s: unknown; say none, terminal or vnc[=ADDRESS:PORT]", s);
	}
	return OPTIONS_RUN;
}

#ifndef HAVE_PNG
static bool is_plain(const char *name)
{
	const char *end = strrchr(name, '.');

	return end && (strcmp(end, ".txt") == 0 || strcmp(end, ".ppm") == 0);
}
#endif

static int check_built(const struct config *c)
{
#ifndef HAVE_PNG
	if (c->screenshot && !is_plain(c->screenshot))
		return usage_error("--screenshot=%s: this build has no PNG, for want of libpng (package "
				   "libpng-dev); a name in .ppm or .txt does without", c->screenshot);
#endif
#ifndef HAVE_NCURSES
	if (c->display == DISPLAY_TERMINAL)
		return usage_error("--display=terminal: not in this build, for want of ncurses with wide "
				   "characters (package libncurses-dev)");
#endif
#ifndef HAVE_VNC
	if (c->display == DISPLAY_VNC)
		return usage_error("--display=vnc: not in this build, for want of LibVNCServer (package "
				   "libvncserver-dev)");
#endif
	(void)c;	/* where nothing is missing */
	return OPTIONS_RUN;
}

int options_display(struct options *o)
{
	struct config *c = &o->config;
	const struct option_text *t = &o->text;
	int r = OPTIONS_RUN;

	c->vga = VGA_STD;
	c->vgabios = t->vgabios;
	c->screenshot = t->screenshot;
	c->vnc_password = t->vnc_password;
	strcpy(c->vnc_address, "127.0.0.1");
	c->vnc_port = 5900;
	if (t->vga && strcmp(t->vga, "none") == 0)
		c->vga = VGA_NONE;
	else if (t->vga && strcmp(t->vga, "std"))
		return usage_error("--vga=%s: unknown; say std or none", t->vga);
	if (t->display)
		r = parse_display(t->display, c);
	if (r == OPTIONS_RUN)
		r = check_built(c);
	if (r == OPTIONS_RUN)
		r = c->screenshot ? options_target("screenshot", c->screenshot) : r;
	if (r != OPTIONS_RUN)
		return r;
	if (c->vga == VGA_NONE && (c->display || c->screenshot || c->vgabios))
		return usage_error("--vga=none leaves nothing to show: it goes with none of --display, "
				   "--screenshot and --vgabios");
	if (c->vnc_password && c->display != DISPLAY_VNC)
		return usage_error("--vnc-password: say --display=vnc too");
	if (c->display != DISPLAY_TERMINAL)
		return OPTIONS_RUN;
	if (t->serial && strcmp(t->serial, "stdio") == 0)
		return usage_error("--serial=stdio and --display=terminal both want the terminal; say "
				   "--serial=pty, file:NAME or none");
	c->serial = t->serial ? t->serial : "none";
	return OPTIONS_RUN;
}

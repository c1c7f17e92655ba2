/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that do something to the machine as a whole, and pictures of its screen. */
#include <errno.h>
#include <string.h>

#include "cli/control.h"
#include "cli/screenshot.h"

void verb_stop(struct call *c)
{
	struct machine *m = call_machine(c);

	if (m->stopped)
		return;
	machine_stop(m);
	control_event(c->control, "STOP", NULL);
}

void verb_cont(struct call *c)
{
	struct machine *m = call_machine(c);

	if (!m->stopped)
		return;
	machine_cont(m);
	control_event(c->control, "RESUME", NULL);
}

void verb_reset(struct call *c)
{
	control_reset(c->control);
}

/* The guest may have no ears for it: a program is not told, as QEMU does not tell it. */
void verb_powerdown(struct call *c)
{
	struct machine *m = call_machine(c);

	if (!m->power_button)
		call_fail(c, "This machine has no power button");
	else if (!m->power_button(m->power_button_self))
		call_printf(c, "pressed, but the guest has not turned it on (that is ACPI's part, "
			    "which comes with a BIOS)\n");
	if (!c->error)
		control_event(c->control, "POWERDOWN", NULL);
}

void verb_quit(struct call *c)
{
	control_quit(c->control);
}

/* --- The screen -------------------------------------------------------------------------- */

static enum picture picture_of(const struct call *c)
{
	const char *format = c->args[1].text;

	return format ? (enum picture)picture_named(format) :
		picture_by_name(c->args[0].text, PICTURE_PPM);
}

/* The vCPU thread only looks; a file may take its time. */
void verb_screendump(struct call *c)
{
	int err;

	if (!picture_built(picture_of(c))) {
		call_fail(c, "This build has no PNG, for want of libpng; say ppm or txt");
		return;
	}
	err = screen_look(call_machine(c), &c->screen, picture_of(c) != PICTURE_TEXT);
	if (err == -ENODEV)
		call_fail(c, "There is no display adapter");
	else if (err)
		call_fail(c, "The screen: %s", strerror(-err));
}

void verb_screendump_finish(struct call *c)
{
	int err = picture_write(&c->screen, picture_of(c), c->args[0].text, false);

	if (err)
		call_fail(c, "Could not write '%s': %s", c->args[0].text, strerror(-err));
}

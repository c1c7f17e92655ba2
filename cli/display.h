/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the guest's screen is shown, and keys and mouse come from: a thread of its own. */
#ifndef CLI_DISPLAY_H
#define CLI_DISPLAY_H

#include "cli/console.h"
#include "cli/load.h"
#include "cli/view.h"

struct display;

/* As m->config->display says; *out is NULL for none. 0, or -errno with a line in why. */
int display_start(struct display **out, struct machine *m, struct console *c,
		  struct control *control, char why[static WHY_SIZE]);
/* Ends the thread; a terminal is as it was. */
void display_stop(struct display *d);

/* --- For the kinds: one file each ---------------------------------------------------- */

#define DISPLAY_TICK_MS	40	/* how long step() may wait, and between looks */

struct display_kind_ops {
	const char *name;
	bool pixels;
	int (*open)(struct display *d, void **kind, char why[static WHY_SIZE]);
	/* On the display's thread: takes what the user did, for at most a tick; s is the
	 * screen, changed since the last step if fresh. */
	void (*step)(void *kind, const struct screen *s, bool fresh);
	void (*close)(void *kind);
};
extern const struct display_kind_ops display_terminal, display_vnc;

struct machine *display_machine(struct display *d);
struct control *display_control(struct display *d);
/* The user wants the run to end. */
void display_quit(struct display *d);
/* Keys go to the machine in order, as soon as it takes them; false: too many wait. */
bool display_key(struct display *d, unsigned key, bool down);
bool display_full(const struct display *d);

#endif

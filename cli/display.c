/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/display.h"
#include "dev/input.h"

#define HELD	512		/* keys that the machine has not taken; a power of two */

struct display {
	struct machine *m;
	struct console *console;
	struct control *control;
	const struct display_kind_ops *ops;
	void *kind;
	struct view *view;
	struct screen screen;
	pthread_t thread;
	atomic_bool stop;
	/* The thread's. */
	struct { uint8_t key; bool down; } held[HELD];
	unsigned first, nheld;
};

struct machine *display_machine(struct display *d)
{
	return d->m;
}

struct control *display_control(struct display *d)
{
	return d->control;
}

void display_quit(struct display *d)
{
	console_quit(d->console);
}

bool display_full(const struct display *d)
{
	return d->nheld > HELD / 2;
}

static void feed(struct display *d)
{
	while (d->nheld && input_key(d->m, d->held[d->first].key, d->held[d->first].down)) {
		d->first = (d->first + 1) % HELD;
		d->nheld--;
	}
}

bool display_key(struct display *d, unsigned key, bool down)
{
	unsigned at = (d->first + d->nheld) % HELD;

	if (d->nheld == HELD)
		return false;
	d->held[at].key = (uint8_t)key;
	d->held[at].down = down;
	d->nheld++;
	feed(d);
	return true;
}

static void *display_loop(void *arg)
{
	struct display *d = arg;

	sigset_t resized;

	pthread_setname_np(pthread_self(), "hemi-display");
	sigemptyset(&resized);
	sigaddset(&resized, SIGWINCH);
	pthread_sigmask(SIG_UNBLOCK, &resized, NULL);
	while (!atomic_load(&d->stop)) {
		bool fresh = view_take(d->view, &d->screen);

		d->ops->step(d->kind, &d->screen, fresh);
		feed(d);
		view_ask(d->view);
	}
	/* The last picture, as far as the machine showed it. */
	d->ops->step(d->kind, &d->screen, view_take(d->view, &d->screen));
	return NULL;
}

/* By enum display_kind; what is not in this build is refused with the options. */
static const struct display_kind_ops *const kinds[] = {
	[DISPLAY_NONE] = NULL,
#ifdef HAVE_NCURSES
	[DISPLAY_TERMINAL] = &display_terminal,
#endif
#ifdef HAVE_VNC
	[DISPLAY_VNC] = &display_vnc,
#endif
};

static void display_free(struct display *d)
{
	if (d->kind)
		d->ops->close(d->kind);
	view_destroy(d->view);
	screen_free(&d->screen);
	free(d);
}

int display_start(struct display **out, struct machine *m, struct console *c,
		  struct control *control, char why[static WHY_SIZE])
{
	enum display_kind kind = m->config->display;
	const struct display_kind_ops *ops = kind < ARRAY_LEN(kinds) ? kinds[kind] : NULL;
	struct display *d;
	int err;

	*out = NULL;
	if (!ops)
		return 0;
	d = calloc(1, sizeof(*d));
	if (!d)
		return load_fail(why, -ENOMEM, "display: %s", strerror(ENOMEM));
	d->m = m;
	d->console = c;
	d->control = control;
	d->ops = ops;
	err = view_create(&d->view, m, ops->pixels);
	if (err)
		load_fail(why, err, "display: %s", strerror(-err));
	if (!err)
		err = ops->open(d, &d->kind, why);
	if (!err && (err = -pthread_create(&d->thread, NULL, display_loop, d)))
		load_fail(why, err, "display: %s", strerror(-err));
	if (err) {
		display_free(d);
		return err;
	}
	*out = d;
	return 0;
}

void display_stop(struct display *d)
{
	if (!d)
		return;
	atomic_store(&d->stop, true);
	pthread_join(d->thread, NULL);
	display_free(d);
}

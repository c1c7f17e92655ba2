/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One command at a time: what is typed while it runs waits. The guest's own output goes to
 * the same terminal meanwhile and is not held back; Ctrl-L shows the line anew.
 */
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/lineedit.h"
#include "cli/monitor.h"

#define PUT_MS		1000		/* how long a terminal may take nothing */
#define AHEAD_MAX	4096

struct monitor {
	struct control *control;
	struct lineedit *edit;
	struct call *call;		/* under way, or NULL */
	GByteArray *ahead;		/* typed meanwhile */
	int out, event;
	bool here;			/* between enter and leave */
	bool prompting;			/* the cursor is behind the prompt */
	bool stuck;			/* the terminal took nothing: what is said is lost */
};

/* --- The terminal ------------------------------------------------------------------------- */

/* A terminal that has stopped must not keep this thread, which hears signals. */
static void put(void *arg, const char *text, size_t n)
{
	struct monitor *mon = arg;
	struct pollfd p = { .fd = mon->out, .events = POLLOUT };

	while (n) {
		ssize_t done;

		if (poll(&p, 1, mon->stuck ? 0 : PUT_MS) <= 0) {
			mon->stuck = true;
			return;
		}
		mon->stuck = false;
		done = write(mon->out, text, n < 512 ? n : 512);
		if (done <= 0)
			return;
		text += done;
		n -= (size_t)done;
	}
}

static void say(struct monitor *mon, const char *text)
{
	put(mon, text, strlen(text));
}

static unsigned width(void *arg)
{
	const struct monitor *mon = arg;
	struct winsize w;

	return ioctl(mon->out, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
}

static GPtrArray *complete(void *arg, const char *line, size_t at, size_t *from)
{
	struct monitor *mon = arg;

	return line_complete(mon->control, line, at, from);
}

static const struct lineedit_ops ops = { put, width, complete };

/* --- Commands ----------------------------------------------------------------------------- */

static void call_is_done(void *arg)
{
	struct monitor *mon = arg;
	uint64_t one = 1;

	if (write(mon->event, &one, sizeof(one)) < 0)
		return;
}

static void prompt(struct monitor *mon)
{
	mon->prompting = true;
	lineedit_show(mon->edit);
}

static void run_line(struct monitor *mon, const char *line)
{
	char *why;

	mon->prompting = false;
	mon->call = call_from_line(mon->control, line, &why);
	if (mon->call) {
		mon->call->done = call_is_done;
		mon->call->arg = mon;
		call_submit(mon->call);
		return;
	}
	if (why) {
		say(mon, why);
		say(mon, "\n");
	}
	g_free(why);
	prompt(mon);
}

/* Bytes until one that starts a command; how many. */
static size_t feed(struct monitor *mon, const uint8_t *p, size_t n, bool *leave)
{
	size_t i = 0;

	while (i < n && !mon->call && !*leave) {
		switch (lineedit_feed(mon->edit, p[i++])) {
		case LINE_READY:
			run_line(mon, lineedit_line(mon->edit));
			break;
		case LINE_END:
			*leave = true;
			break;
		case LINE_MORE:
			break;
		}
	}
	return i;
}

bool monitor_input(struct monitor *mon, const uint8_t *p, size_t n)
{
	bool leave = false;
	size_t done = mon->call ? 0 : feed(mon, p, n, &leave);

	if (done < n && !leave && mon->ahead->len < AHEAD_MAX)
		g_byte_array_append(mon->ahead, p + done, (guint)(n - done));
	return !leave;
}

int monitor_fd(const struct monitor *mon)
{
	return mon->event;
}

static void show_answer(struct monitor *mon, const struct call *c)
{
	put(mon, c->text->str, c->text->len);
	if (c->text->len && c->text->str[c->text->len - 1] != '\n')
		say(mon, "\n");
	if (c->error) {
		say(mon, c->error);
		say(mon, "\n");
	}
}

void monitor_progress(struct monitor *mon)
{
	GByteArray *ahead = mon->ahead;
	struct call *c = mon->call;
	bool ending;
	uint64_t n;

	if (read(mon->event, &n, sizeof(n)) != sizeof(n) || !c)
		return;
	mon->call = NULL;
	call_finish(c);
	show_answer(mon, c);
	ending = c->verb->run == verb_quit;
	call_free(c);
	if (!mon->here || ending)
		return;
	prompt(mon);
	mon->ahead = g_byte_array_new();
	monitor_input(mon, ahead->data, ahead->len);
	g_byte_array_unref(ahead);
}

/* --- Life --------------------------------------------------------------------------------- */

void monitor_enter(struct monitor *mon)
{
	mon->here = true;
	say(mon, "\r\nhemi monitor: help lists commands, Ctrl-A c goes back to the guest\n");
	if (!mon->call)
		prompt(mon);
}

void monitor_leave(struct monitor *mon)
{
	mon->here = false;
	mon->prompting = false;
	g_byte_array_set_size(mon->ahead, 0);
	say(mon, "\r\033[K");
}

struct monitor *monitor_create(struct control *k, int out)
{
	struct monitor *mon = g_new0(struct monitor, 1);

	mon->control = k;
	mon->out = out;
	mon->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mon->event < 0) {
		g_free(mon);
		return NULL;
	}
	mon->edit = lineedit_new("(hemi) ", &ops, mon);
	mon->ahead = g_byte_array_new();
	return mon;
}

void monitor_destroy(struct monitor *mon)
{
	if (!mon)
		return;
	if (mon->prompting)
		say(mon, "\r\n");
	call_free(mon->call);
	lineedit_free(mon->edit);
	g_byte_array_unref(mon->ahead);
	close(mon->event);
	g_free(mon);
}

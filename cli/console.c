/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread with one poll(): input for the guest, signals, the time limit. All it
 * does about them is to feed the chardev or to make a request of the machine; when
 * that goes unheard (the vCPU thread is stuck in the host), it ends the process itself.
 *
 * Ctrl-A is the escape key when input is a terminal: what follows it is in the
 * table below.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/control_socket.h"
#include "cli/monitor.h"
#include "cli/terminal.h"
#include "dev/chardev.h"

#define ESCAPE		0x01	/* Ctrl-A */
#define GRACE_SECONDS	10	/* for the vCPU thread to hear a request */
#define WAKE_STOP	1	/* what WAKE is told; quitting may be said more than once */
#define WAKE_QUIT	0x10000
#define RETRY_MS	10	/* while the guest does not take its input */
#define HELD		65536	/* so much may be typed before the escape key goes unheard */
#define READ_SIZE	256

enum source { WAKE, SIGNALS, TIMER, INPUT, MONITOR, SOURCES };

struct console {
	struct machine *m;
	struct control *control;
	struct monitor *monitor;	/* NULL: it was never asked for */
	bool monitoring;		/* what is typed is for the monitor */
	pthread_t thread;
	struct pollfd fds[SOURCES];
	bool terminal;		/* input is one, in our hands: raw, with the escape key */
	bool wants_terminal;
	bool escaped;
	bool ending;		/* a request to end was made */
	int status;		/* if it goes unheard */
	uint8_t held[HELD];	/* read, not yet taken by the guest */
	size_t nheld;
};

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGUSR1, SIGUSR2 };

static void signals_set(sigset_t *set)
{
	struct sigaction sa;

	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		/* nohup stays in force. */
		if (signals[i] == SIGHUP && sigaction(SIGHUP, NULL, &sa) == 0 &&
		    sa.sa_handler == SIG_IGN)
			continue;
		sigaddset(set, signals[i]);
	}
}

void console_block_signals(void)
{
	sigset_t set;

	signals_set(&set);
	/* Restoring the terminal from the background must not stop us. */
	sigaddset(&set, SIGTTOU);
	/* For whoever has the terminal, and no reason for others to be interrupted. */
	sigaddset(&set, SIGWINCH);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* --- Ending ---------------------------------------------------------------------- */

static _Noreturn void give_up(const struct console *c)
{
	static const char line[] = "hemi: the machine did not stop in time; giving up\n";

	terminal_restore();
	control_socket_abandon();
	if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
		_exit(c->status);
	_exit(c->status);
}

static void timer_set(const struct console *c, double seconds)
{
	time_t whole = seconds < 1e9 ? (time_t)seconds : 1000000000;
	struct itimerspec t = { .it_value = { whole, (long)((seconds - (double)whole) * 1e9) } };

	if (t.it_value.tv_nsec > 999999999)
		t.it_value.tv_nsec = 999999999;
	if (whole == 0 && t.it_value.tv_nsec < 1)
		t.it_value.tv_nsec = 1;
	timerfd_settime(c->fds[TIMER].fd, 0, &t, NULL);
}

/* A second request ends the process at once. */
static void console_end(struct console *c, unsigned request, int sig, int status)
{
	if (c->ending)
		give_up(c);
	c->ending = true;
	c->status = status;
	c->m->quit_signal = sig;
	machine_request(c->m, request);
	timer_set(c, GRACE_SECONDS);
}

/* --- Input ------------------------------------------------------------------------ */

static void escape_quit(struct console *c)
{
	console_end(c, ATT_QUIT, 0, EXIT_OK);
}

/* No request to end: how long it takes is the disk's business, and it may fail. */
static void console_save(struct console *c)
{
	if (c->m->save)
		machine_request(c->m, ATT_SAVE);
	else
		fputs("\nhemi: nowhere to save the machine to; say --save=FILE at the start\n",
		      stderr);
}

static void escape_help(struct console *c);

/* The prompt is where people look: that may be standard error. */
static int monitor_out(void)
{
	return isatty(STDOUT_FILENO) ? STDOUT_FILENO : STDERR_FILENO;
}

static void escape_monitor(struct console *c)
{
	if (!c->monitor) {
		c->monitor = monitor_create(c->control, monitor_out());
		if (!c->monitor)
			return;
		c->fds[MONITOR] = (struct pollfd){ monitor_fd(c->monitor), POLLIN, 0 };
	}
	c->monitoring = !c->monitoring;
	if (c->monitoring)
		monitor_enter(c->monitor);
	else
		monitor_leave(c->monitor);
}

static void take_plain(struct console *c, uint8_t byte)
{
	if (!c->monitoring)
		c->held[c->nheld++] = byte;
	else if (!monitor_input(c->monitor, &byte, 1))
		escape_monitor(c);
}

static void escape_send(struct console *c)
{
	take_plain(c, ESCAPE);
}

static const struct escape {
	uint8_t key;
	const char *name, *does;
	void (*act)(struct console *c);
} escapes[] = {
	{ 'x', "x", "quit", escape_quit },
	{ 's', "s", "save the machine and quit (with --save=FILE)", console_save },
	{ 'h', "h", "this help", escape_help },
	{ 'c', "c", "the monitor, and back to the guest", escape_monitor },
	{ 'a', "a", "send Ctrl-A to the guest", escape_send },
	{ ESCAPE, "Ctrl-A", "the same", escape_send },
};

static void escape_help(struct console *c)
{
	(void)c;
	fputc('\n', stderr);
	for (size_t i = 0; i < ARRAY_LEN(escapes); i++)
		fprintf(stderr, "Ctrl-A %-8s %s\n", escapes[i].name, escapes[i].does);
}

static void take_byte(struct console *c, uint8_t byte)
{
	if (!c->escaped) {
		c->escaped = c->terminal && byte == ESCAPE;
		if (!c->escaped)
			take_plain(c, byte);
		return;
	}
	c->escaped = false;
	for (size_t i = 0; i < ARRAY_LEN(escapes); i++)
		if (escapes[i].key == byte)
			escapes[i].act(c);
}

static void input_feed(struct console *c)
{
	size_t n = chardev_feed(c->m->console, c->held, c->nheld);

	memmove(c->held, c->held + n, c->nheld - n);
	c->nheld -= n;
}

static void input_read(struct console *c)
{
	size_t room = HELD - c->nheld;
	uint8_t buf[READ_SIZE];
	ssize_t n = read(c->fds[INPUT].fd, buf, room < READ_SIZE ? room : READ_SIZE);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		c->fds[INPUT].fd = -1;	/* the input has ended; the guest goes on */
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		take_byte(c, buf[i]);
	input_feed(c);
}

/* --- Events ----------------------------------------------------------------------- */

static void terminal_take(struct console *c)
{
	c->terminal = c->wants_terminal && terminal_raw(STDIN_FILENO);
}

static void signal_read(struct console *c)
{
	struct signalfd_siginfo si;

	if (read(c->fds[SIGNALS].fd, &si, sizeof(si)) != sizeof(si))
		return;
	switch (si.ssi_signo) {
	case SIGUSR2:
		console_save(c);
		break;
	case SIGHUP:		/* nobody is there any more */
		if (c->m->save && !c->ending) {
			console_save(c);
			break;
		}
		console_end(c, ATT_QUIT, SIGHUP, EXIT_SIGNAL + SIGHUP);
		break;
	case SIGTSTP:
		terminal_restore();
		kill(getpid(), SIGSTOP);
		break;
	case SIGCONT:
		terminal_restore();
		terminal_take(c);
		break;
	case SIGUSR1:
		machine_request(c->m, ATT_STATS);
		break;
	default:
		console_end(c, ATT_QUIT, (int)si.ssi_signo, EXIT_SIGNAL + (int)si.ssi_signo);
	}
}

static void timer_read(struct console *c)
{
	uint64_t n;

	if (read(c->fds[TIMER].fd, &n, sizeof(n)) == sizeof(n))
		console_end(c, ATT_TIMEOUT, 0, EXIT_TIMEOUT);
}

/* True: this thread is to end. */
static bool wake_read(struct console *c)
{
	uint64_t n;

	if (read(c->fds[WAKE].fd, &n, sizeof(n)) != sizeof(n))
		return false;
	if (!(n % WAKE_QUIT) && !c->ending)
		console_end(c, ATT_QUIT, 0, EXIT_OK);
	return n % WAKE_QUIT;
}

static void *console_loop(void *arg)
{
	struct console *c = arg;

	pthread_setname_np(pthread_self(), "hemi-console");
	for (;;) {
		c->fds[INPUT].events = c->nheld == HELD ? 0 : POLLIN;
		if (poll(c->fds, SOURCES, c->nheld ? RETRY_MS : -1) < 0) {
			bug_on(errno != EINTR);
			continue;
		}
		if (c->fds[WAKE].revents && wake_read(c))
			return NULL;
		if (c->fds[SIGNALS].revents)
			signal_read(c);
		if (c->fds[TIMER].revents)
			timer_read(c);
		if (c->fds[MONITOR].revents)
			monitor_progress(c->monitor);
		if (c->nheld)
			input_feed(c);
		if (c->nheld < HELD && c->fds[INPUT].revents)
			input_read(c);
	}
}

/* --- Life ------------------------------------------------------------------------- */

static void console_free(struct console *c)
{
	/* INPUT is borrowed, MONITOR is the monitor's. */
	monitor_destroy(c->monitor);
	for (enum source s = WAKE; s <= TIMER; s++)
		if (c->fds[s].fd >= 0)
			close(c->fds[s].fd);
	free(c);
}

static int console_open(struct console *c, const struct config *cfg)
{
	sigset_t set;

	signals_set(&set);
	c->fds[WAKE] = (struct pollfd){ eventfd(0, EFD_CLOEXEC), POLLIN, 0 };
	c->fds[SIGNALS] = (struct pollfd){ signalfd(-1, &set, SFD_CLOEXEC), POLLIN, 0 };
	c->fds[TIMER] = (struct pollfd){ timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), POLLIN, 0 };
	c->fds[INPUT] = (struct pollfd){ chardev_input_fd(c->m->console), POLLIN, 0 };
	for (enum source s = WAKE; s <= TIMER; s++)
		if (c->fds[s].fd < 0)
			return -errno;
	c->wants_terminal = c->fds[INPUT].fd == STDIN_FILENO;
	if (cfg->timeout > 0)
		timer_set(c, cfg->timeout);
	return 0;
}

int console_start(struct console **out, struct machine *m, struct control *control)
{
	struct console *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	for (enum source s = WAKE; s < SOURCES; s++)
		c->fds[s].fd = -1;
	c->m = m;
	c->control = control;
	control_set_console(control, c);
	err = console_open(c, m->config);
	if (!err) {
		terminal_take(c);
		if (c->terminal)
			fputs("hemi: Ctrl-A x quits, Ctrl-A h tells more\n", stderr);
		if (m->stopped)
			fprintf(stderr, "hemi: the machine is stopped%s\n", c->terminal ?
				"; Ctrl-A c and the command cont start it" : "");
		err = -pthread_create(&c->thread, NULL, console_loop, c);
	}
	if (err) {
		terminal_restore();
		console_free(c);
		return err;
	}
	*out = c;
	return 0;
}

void console_quit(struct console *c)
{
	uint64_t n = WAKE_QUIT;

	if (write(c->fds[WAKE].fd, &n, sizeof(n)) < 0)
		return;
}

void console_stop(struct console *c)
{
	uint64_t n = WAKE_STOP;

	if (!c)
		return;
	if (write(c->fds[WAKE].fd, &n, sizeof(n)) == sizeof(n))
		pthread_join(c->thread, NULL);
	terminal_restore();
	console_free(c);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output processing stays on: the guest's own carriage returns do no harm, and
 * lines on standard error keep their shape.
 */
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "machine/types.h"

static const int fatal_signals[] = {
	SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT, SIGSYS, SIGTRAP,
};

static struct termios saved;
static int terminal_fd = -1;
static volatile sig_atomic_t is_raw;

void terminal_restore(void)
{
	if (!is_raw)
		return;
	is_raw = 0;
	tcsetattr(terminal_fd, TCSANOW, &saved);
}

/* The disposition is the default again: the signal then does what it would have done. */
static void fatal(int sig)
{
	terminal_restore();
	raise(sig);
}

static void guard_exits(void)
{
	struct sigaction old, sa = { .sa_handler = fatal, .sa_flags = (int)SA_RESETHAND };

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++)
		/* A sanitizer's own handler reports better than the default. */
		if (sigaction(fatal_signals[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(fatal_signals[i], &sa, NULL);
	atexit(terminal_restore);
}

bool terminal_raw(int fd)
{
	static bool guarded;
	struct termios raw;

	if (is_raw)
		return true;
	if (!isatty(fd) || tcgetpgrp(fd) != getpgrp() || tcgetattr(fd, &saved) < 0)
		return false;
	raw = saved;
	raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	terminal_fd = fd;
	if (!guarded)
		guard_exits();
	guarded = true;
	is_raw = 1;
	if (tcsetattr(fd, TCSANOW, &raw) == 0)
		return true;
	is_raw = 0;
	return false;
}

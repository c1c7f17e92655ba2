/* SPDX-License-Identifier: BSD-2-Clause */
/* A raw terminal is given back on every way out; checked on a pty of our own. */
#include <check.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "machine/types.h"
#include "tests/suite.h"

static void end_exit(void) { exit(0); }
static void end_abort(void) { abort(); }
static void end_quit(void) { raise(SIGQUIT); }
#ifndef __SANITIZE_ADDRESS__
static void end_fault(void) { raise(SIGSEGV); }
#endif
static void end_restore(void) { terminal_restore(); terminal_restore(); _exit(0); }

static const struct way { void (*end)(void); int signal; } ways[] = {
	{ end_exit, 0 }, { end_abort, SIGABRT }, { end_quit, SIGQUIT }, { end_restore, 0 },
#ifndef __SANITIZE_ADDRESS__
	{ end_fault, SIGSEGV },		/* the sanitizer has its own handler for it */
#endif
};

static const tcflag_t cooked = ECHO | ICANON | ISIG;

static void child(const struct way *w, int told)
{
	const struct rlimit none = { 0, 0 };
	struct termios t;
	char ok = 'n';

	setrlimit(RLIMIT_CORE, &none);
	/* Our parent's harness may have its own. */
	signal(SIGQUIT, SIG_DFL);
	if (terminal_raw(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &t) == 0 &&
	    !(t.c_lflag & cooked))
		ok = 'y';
	if (write(told, &ok, 1) == 1)
		w->end();
	_exit(99);
}

START_TEST(given_back)
{
	const struct way *w = &ways[_i];
	int master, status, told[2];
	struct termios t;
	char ok;
	pid_t pid;

	ck_assert_int_eq(pipe(told), 0);
	/* Held open, or the pty would forget its settings with its last user. */
	pid = forkpty(&master, NULL, NULL, NULL);
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		child(w, told[1]);
	int slave = open(ptsname(master), O_RDWR | O_NOCTTY);

	ck_assert_int_ge(slave, 0);
	ck_assert_int_eq(read(told[0], &ok, 1), 1);
	ck_assert_int_eq(ok, 'y');
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (w->signal)
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == w->signal);
	else
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_eq(tcgetattr(slave, &t), 0);
	ck_assert_uint_eq(t.c_lflag & cooked, cooked);
	close(slave);
	close(master);
}
END_TEST

START_TEST(no_terminal)
{
	int fd = open("/dev/null", O_RDWR);

	ck_assert(!terminal_raw(fd));
	terminal_restore();
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("terminal");
	TCase *tc = tcase_create("terminal");

	tcase_add_loop_test(tc, given_back, 0, (int)ARRAY_LEN(ways));
	tcase_add_test(tc, no_terminal);
	suite_add_tcase(s, tc);
	return suite_run(s);
}

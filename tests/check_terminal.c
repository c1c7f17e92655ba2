/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A raw terminal is given back on every way out, and Ctrl-A leads out of a running
 * machine; checked on a pty of our own.
 */
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

/* --- The whole monitor ($HEMI) on a terminal ---------------------------------------- */

/* Reads from the terminal until it has shown text. */
static bool shown(int master, const char *text)
{
	static char buf[8192];
	size_t len = 0;

	while (len < sizeof(buf) - 1) {
		ssize_t n = read(master, buf + len, sizeof(buf) - 1 - len);

		if (n <= 0)
			return false;
		len += (size_t)n;
		buf[len] = '\0';
		if (strstr(buf, text))
			return true;
	}
	return false;
}

/* A Multiboot kernel that jumps to itself. */
static void spin_write(int fd)
{
	static const uint32_t header[8] = {
		0x1badb002, 0x10000, -(0x1badb002u + 0x10000u), 0x100000, 0x100000, 0, 0, 0x100020,
	};
	static const uint8_t code[2] = { 0xeb, 0xfe };

	ck_assert_int_eq(write(fd, header, sizeof(header)), sizeof(header));
	ck_assert_int_eq(write(fd, code, sizeof(code)), sizeof(code));
}

START_TEST(escape_key)
{
	const char *hemi = getenv("HEMI");
	char kernel[] = "/tmp/check_terminal.XXXXXX";
	struct termios t;
	int master, slave, fd, status;
	pid_t pid;

	if (!hemi || access(hemi, X_OK) < 0)
		return;
	fd = mkstemp(kernel);
	ck_assert_int_ge(fd, 0);
	spin_write(fd);
	close(fd);
	pid = forkpty(&master, NULL, NULL, NULL);
	if (pid == 0) {
		execl(hemi, hemi, "run", "--memory=4M", "--kernel", kernel, (char *)NULL);
		_exit(99);
	}
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(slave, 0);
	ck_assert(shown(master, "Ctrl-A x quits"));
	ck_assert_int_eq(write(master, "\001h", 2), 2);
	ck_assert(shown(master, "send Ctrl-A to the guest"));
	ck_assert_int_eq(tcgetattr(slave, &t), 0);
	ck_assert_uint_eq(t.c_lflag & cooked, 0);
	/* An escaped Ctrl-A is the guest's; the x after it too. */
	ck_assert_int_eq(write(master, "\001\001x\001ax", 6), 6);
	ck_assert_int_eq(write(master, "\001x", 2), 2);
	ck_assert(shown(master, "hemi: quit"));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_int_eq(tcgetattr(slave, &t), 0);
	ck_assert_uint_eq(t.c_lflag & cooked, cooked);
	close(slave);
	close(master);
	unlink(kernel);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("terminal");
	TCase *tc = tcase_create("terminal");

	tcase_add_loop_test(tc, given_back, 0, (int)ARRAY_LEN(ways));
	tcase_add_test(tc, no_terminal);
	tcase_add_test(tc, escape_key);
	suite_add_tcase(s, tc);
	return suite_run(s);
}

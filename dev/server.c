/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that we start must not stay behind: it is told by the kernel when we die
 * (PR_SET_PDEATHSIG), even by a signal that nobody can catch. It is in a session of its
 * own, so that a Ctrl-C at the terminal ends the guest first, and the program when the
 * guest's last writes have arrived.
 */
#include "dev/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define LISTENER	3	/* where the protocol has the first socket */
#define TICK_MS		5

/* Found before the fork: afterwards only what signal handlers may do is allowed. */
static char *program_find(const char *name)
{
	const char *path = getenv("PATH");
	char *all = strdup(path && *path ? path : "/usr/bin:/bin");
	char *rest = all, *dir, *found = NULL;

	while (all && !found && (dir = strsep(&rest, ":")))
		if (asprintf(&found, "%s/%s", *dir ? dir : ".", name) < 0 || access(found, X_OK)) {
			free(found);
			found = NULL;
		}
	free(all);
	return found;
}

/* The environment with the three variables; pid is where the child writes its number. */
static char **environment(char **pid)
{
	static char fds[] = "LISTEN_FDS=1", locale[] = "LC_ALL=C";
	static char number[] = "LISTEN_PID=\0         ";
	size_t n = 0, to = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + 4, sizeof(*env));
	for (size_t i = 0; env && i < n; i++)
		if (strncmp(environ[i], "LISTEN_", 7) && strncmp(environ[i], "LC_ALL=", 7))
			env[to++] = environ[i];
	if (env) {
		env[to++] = fds;
		env[to++] = number;
		env[to] = locale;
	}
	*pid = number + strlen("LISTEN_PID=");
	return env;
}

static void decimal(char *to, unsigned n)
{
	unsigned digits = 1;

	for (unsigned rest = n; rest >= 10; rest /= 10)
		digits++;
	to[digits] = '\0';
	for (; digits; n /= 10)
		to[--digits] = (char)('0' + n % 10);
}

/* Descriptors are given their places from above, so that none is overwritten before its turn. */
static void child(const char *program, char *const argv[], char **env, char *pid, int listener,
		  int words, pid_t parent)
{
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	setsid();
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != parent)
		_exit(126);
	words = fcntl(words, F_DUPFD, 10);
	null = fcntl(null, F_DUPFD, 10);
	if (listener >= 0) {
		listener = fcntl(listener, F_DUPFD, 10);
		dup2(listener, LISTENER);
	}
	dup2(null, STDIN_FILENO);
	dup2(words, STDOUT_FILENO);
	dup2(words, STDERR_FILENO);
	close_range(listener >= 0 ? LISTENER + 1 : LISTENER, ~0u, 0);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	decimal(pid, (unsigned)getpid());
	execve(program, argv, env);
	_exit(127);
}

int server_start(struct server *s, char *const argv[], int listener)
{
	char *program = program_find(argv[0]), *pid;
	char **env = environment(&pid);
	pid_t parent = getpid();
	int err = program ? 0 : -ENOENT;

	*s = (struct server){ .name = argv[0], .words = -1 };
	if (!err && !env)
		err = -ENOMEM;
	if (!err) {
		s->words = memfd_create("words", MFD_CLOEXEC);
		if (s->words < 0 || fcntl(s->words, F_SETFL, O_APPEND) < 0)
			err = -errno;
	}
	if (!err) {
		s->pid = fork();
		if (s->pid == 0)
			child(program, argv, env, pid, listener, s->words, parent);
		err = s->pid < 0 ? -errno : 0;
	}
	free(program);
	free(env);
	if (err && s->words >= 0)
		close(s->words);
	if (err)
		*s = (struct server){ .name = argv[0], .words = -1 };
	return err;
}

bool server_ended(struct server *s, int ms)
{
	const struct timespec tick = { 0, TICK_MS * 1000000 };

	for (;; ms -= TICK_MS) {
		if (s->pid > 0 && waitpid(s->pid, &s->status, WNOHANG))
			s->pid = 0;
		if (s->pid <= 0)
			return true;
		if (ms <= 0)
			return false;
		nanosleep(&tick, NULL);
	}
}

void server_words(const struct server *s, char *buf, size_t size)
{
	char text[4096], *line = text;
	size_t own = strlen(s->name);
	ssize_t n = s->words < 0 ? 0 : pread(s->words, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	line += strspn(line, "\n");
	line[strcspn(line, "\n")] = '\0';
	if (strncmp(line, s->name, own) == 0 && strncmp(line + own, ": ", 2) == 0)
		line += own + 2;
	snprintf(buf, size, "%s", line);
}

void server_stop(struct server *s, int ms)
{
	if (!server_ended(s, ms)) {
		kill(s->pid, SIGTERM);
		if (!server_ended(s, 2000)) {
			kill(s->pid, SIGKILL);
			server_ended(s, 5000);
		}
	}
	if (s->words >= 0)
		close(s->words);
	s->words = -1;
}

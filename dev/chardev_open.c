/* SPDX-License-Identifier: BSD-2-Clause */
/* The kinds of host files that a serial port can be connected to, by name. */
#include "dev/chardev_open.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static int open_stdio(struct chardev_host *h, const char *arg, char why[static 160])
{
	(void)arg, (void)why;
	h->in_fd = STDIN_FILENO;
	h->out_fd = STDOUT_FILENO;
	snprintf(h->name, sizeof(h->name), "stdio");
	return 0;
}

static int open_named(struct chardev_host *h, const char *arg, int how, char why[static 160])
{
	h->out_fd = open(arg, O_WRONLY | O_CREAT | how | O_CLOEXEC, 0644);
	if (h->out_fd < 0) {
		int err = errno;

		snprintf(why, 160, "serial port: %.100s: %s", arg, strerror(err));
		return -err;
	}
	h->owned = true;
	snprintf(h->name, sizeof(h->name), "%s", arg);
	return 0;
}

static int open_file(struct chardev_host *h, const char *arg, char why[static 160])
{
	return open_named(h, arg, O_TRUNC, why);
}

static int open_append(struct chardev_host *h, const char *arg, char why[static 160])
{
	return open_named(h, arg, O_APPEND, why);
}

/* Nobody may ever attach to the pty, so its output must not be waited for. */
static int open_pty(struct chardev_host *h, const char *arg, char why[static 160])
{
	struct termios raw;
	int master, slave;

	(void)arg;
	if (openpty(&master, &slave, h->name, NULL, NULL) < 0) {
		int err = errno;

		snprintf(why, 160, "serial port: openpty: %s", strerror(err));
		return -err;
	}
	if (tcgetattr(slave, &raw) == 0) {
		cfmakeraw(&raw);
		tcsetattr(slave, TCSANOW, &raw);
	}
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(slave, F_SETFD, FD_CLOEXEC);
	fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
	h->in_fd = h->out_fd = master;
	h->keep_fd = slave;
	h->owned = h->lossy = true;
	return 0;
}

static int open_none(struct chardev_host *h, const char *arg, char why[static 160])
{
	(void)arg, (void)why;
	snprintf(h->name, sizeof(h->name), "none");
	return 0;
}

static const struct {
	const char *name;
	bool takes_arg;
	int (*open)(struct chardev_host *h, const char *arg, char why[static 160]);
} kinds[] = {
	{ "stdio", false, open_stdio },
	{ "file", true, open_file },
	{ "append", true, open_append },
	{ "pty", false, open_pty },
	{ "none", false, open_none },
};

int chardev_host_open(struct chardev_host *h, const char *spec, char why[static 160])
{
	size_t n = strcspn(spec, ":");
	bool has_arg = spec[n] == ':' && spec[n + 1];

	*h = (struct chardev_host){ .in_fd = -1, .out_fd = -1, .keep_fd = -1 };
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strlen(kinds[i].name) != n || strncmp(kinds[i].name, spec, n) != 0)
			continue;
		if (kinds[i].takes_arg != has_arg || (spec[n] == ':' && !has_arg))
			break;
		return kinds[i].open(h, has_arg ? spec + n + 1 : "", why);
	}
	snprintf(why, 160, "serial port: '%.70s' is none of stdio, file:PATH, append:PATH, pty, "
		 "none", spec);
	return -EINVAL;
}

void chardev_host_close(struct chardev_host *h)
{
	if (h->keep_fd >= 0)
		close(h->keep_fd);
	if (h->owned && h->out_fd >= 0)
		close(h->out_fd);
	h->in_fd = h->out_fd = h->keep_fd = -1;
}

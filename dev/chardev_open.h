/* SPDX-License-Identifier: BSD-2-Clause */
/* Between chardev.c and chardev_open.c only: the files behind a serial port. */
#ifndef DEV_CHARDEV_OPEN_H
#define DEV_CHARDEV_OPEN_H

#include <stdbool.h>

struct chardev_host {
	int in_fd, out_fd;	/* -1: none */
	int keep_fd;		/* our own end of a pty, held open so that reads do not fail */
	bool owned;		/* close them */
	bool lossy;		/* drop what nobody reads instead of waiting */
	char name[128];
};

/* 0, or -errno and one line in why[]. */
int chardev_host_open(struct chardev_host *h, const char *spec, char why[static 160]);
void chardev_host_close(struct chardev_host *h);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs of the host's that work for a disk: started with it, and gone with us, however we go. */
#ifndef DEV_SERVER_H
#define DEV_SERVER_H

#include <sys/types.h>

#include "machine/types.h"

struct server {
	const char *name;	/* argv[0]; the string is the caller's */
	pid_t pid;		/* 0: it has ended, and status says how */
	int status;		/* as waitpid() gives it */
	int words;		/* a file with what it has said */
};

/* Starts argv[0], found in PATH. listener is handed over as a socket that listens (systemd's
 * protocol: descriptor 3, LISTEN_FDS, LISTEN_PID); -1: none. 0 or -errno; -ENOENT: there is
 * no such program. What it says goes to a file in memory. */
int server_start(struct server *s, char *const argv[], int listener);
/* Has it ended? Waits for that, ms at most. */
bool server_ended(struct server *s, int ms);
/* The first line that it has said, without its own name before it; "" if there is none. */
void server_words(const struct server *s, char *buf, size_t size);
/* Ends it: asks first, after ms of waiting, and then does not. Frees what it holds. */
void server_stop(struct server *s, int ms);

#endif

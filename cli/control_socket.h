/* SPDX-License-Identifier: BSD-2-Clause */
/* --control: a Unix socket where programs ask for commands in QMP's form (cli/qmp.h). */
#ifndef CLI_CONTROL_SOCKET_H
#define CLI_CONTROL_SOCKET_H

#include "cli/control.h"
#include "cli/load.h"

struct control_socket;

/* Only its owner may connect. 0, or -errno with a line in why. */
int control_socket_open(struct control_socket **out, struct control *k, const char *path,
			char why[static WHY_SIZE]);
/* Sends what is left to send to clients that take it, and removes the socket. After
 * control_end(). NULL is allowed. */
void control_socket_close(struct control_socket *s);
/* The process is about to end without that. */
void control_socket_abandon(void);

#endif

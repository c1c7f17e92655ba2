/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host side of a running machine: the user's terminal, signals and the
 * time limit, all on one thread of their own. It reaches the machine only
 * through machine_request() and its chardev.
 */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include "machine/machine.h"

struct console;
struct control;

/* Before any thread exists: signals that end a run wait for the console. */
void console_block_signals(void);

/* Takes the terminal (if the serial port is on it), watches input, signals and
 * the time limit of m->config. 0 or -errno. */
int console_start(struct console **out, struct machine *m, struct control *control);
/* Any thread: the user has asked for the end of the run elsewhere. */
void console_quit(struct console *c);
/* Ends the thread and gives the terminal back. */
void console_stop(struct console *c);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's prompt on a terminal. Whoever reads the terminal (cli/console.c, or
 * cli/display_terminal.c) passes on what is typed while the prompt is there; that thread
 * owns the monitor.
 */
#ifndef CLI_MONITOR_H
#define CLI_MONITOR_H

#include "cli/control.h"

struct monitor;

/* The terminal is raw and output goes to out. NULL: out of memory or of files. */
struct monitor *monitor_create(struct control *k, int out);
/* After control_end(): no command is under way. NULL is allowed. */
void monitor_destroy(struct monitor *mon);
void monitor_enter(struct monitor *mon);
void monitor_leave(struct monitor *mon);
/* False: the user wants to leave (Ctrl-D). */
bool monitor_input(struct monitor *mon, const uint8_t *p, size_t n);
/* Readable when monitor_progress() is due: a command is done. */
int monitor_fd(const struct monitor *mon);
void monitor_progress(struct monitor *mon);

#endif

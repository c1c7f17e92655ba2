/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The user's terminal in raw mode, and back again on every way out of the
 * process: normal exit, fatal signals, abort(), stop and continue.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>

/* Makes fd's terminal raw if it is one and we are in its foreground; whether it
 * now is. From then on restored by itself when the process ends. */
bool terminal_raw(int fd);
/* As it was before. Safe in signal handlers; harmless if not raw. */
void terminal_restore(void);

#endif

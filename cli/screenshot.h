/* SPDX-License-Identifier: BSD-2-Clause */
/* A picture of the screen, or its text, into a file. */
#ifndef CLI_SCREENSHOT_H
#define CLI_SCREENSHOT_H

#include "machine/machine.h"

/* The name's end says what: .txt the characters, .ppm or anything else (PNG) a picture.
 * 0 or -errno. vCPU thread. */
int screenshot_write(struct machine *m, const char *file);

#endif

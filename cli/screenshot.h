/* SPDX-License-Identifier: BSD-2-Clause */
/* A picture of the screen, or its text, into a file. */
#ifndef CLI_SCREENSHOT_H
#define CLI_SCREENSHOT_H

#include "dev/screen.h"

enum picture { PICTURE_PNG, PICTURE_PPM, PICTURE_TEXT };

/* By the end of a file's name, .png, .ppm or .txt. */
enum picture picture_by_name(const char *file, enum picture otherwise);
/* "png", "ppm", "txt"; -1: none of these. */
int picture_named(const char *format);
/* Can this build write it? */
bool picture_built(enum picture p);
/* s has the pixels, but for text. wait: for whoever reads the file, if it is a pipe. 0 or -errno. */
int picture_write(const struct screen *s, enum picture p, const char *file, bool wait);

/* The machine's screen, by the file's name, PNG if it says nothing. 0 or -errno. vCPU thread. */
int screenshot_write(struct machine *m, const char *file);

#endif

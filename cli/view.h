/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The screen between two threads: a display asks for a look, the vCPU thread takes it when it
 * next hears requests, the display picks up the result. Nobody waits for the other.
 */
#ifndef CLI_VIEW_H
#define CLI_VIEW_H

#include "dev/screen.h"

struct view;

/* One for a machine, before its vCPU runs. pixels: looks have the picture. */
int view_create(struct view **out, struct machine *m, bool pixels);
void view_destroy(struct view *v);	/* when neither thread uses it */
void view_ask(struct view *v);
/* True: *s was exchanged for a newer look. s starts as zeros and stays the caller's. */
bool view_take(struct view *v, struct screen *s);

#endif

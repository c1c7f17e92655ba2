/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Context threading (Berndl and others, 2005): beside each trace lies a row of host CALL
 * instructions, one for each handler. The host then predicts handlers by the address of
 * the CALL, where one shared indirect jump in each handler's end must be predicted by
 * history, of which a kernel's long paths need more than processors keep. Nothing of an
 * instruction's meaning is in the row: it only calls what the loop would have called.
 */
#ifndef INTERP_THREAD_H
#define INTERP_THREAD_H

#include "interp/core.h"

struct threads;

/* NULL if the host gives no memory to execute: the loop then does. */
struct threads *threads_create(void);
void threads_destroy(struct threads *h);

/* Where traces live (size bytes), in reach of the rows; NULL without rows. */
void *threads_arena(struct threads *h, size_t *size);
void threads_flush(struct threads *h);

/*
 * What a row must know of operation i besides its handler: straight, it always returns
 * the operation behind; else any. span is how many operations it does if all goes well.
 */
struct stride { bool straight; uint8_t span; };

/* Makes t's row of n operations and sets t->code; false if there is no room left. */
bool thread_trace(struct threads *h, struct trace *t, unsigned n, const struct stride *s);
/* Code for a trace without a row, or no longer with its own. */
void *thread_unrowed(const struct threads *h);
/* Runs from op on, the first of a trace, until a handler returns NULL. */
void thread_run(const struct threads *h, struct interp *v, const struct op *op);

#endif

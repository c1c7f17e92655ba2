/* SPDX-License-Identifier: BSD-2-Clause */
/* The cache of decoded code. Keyed by physical address and hflags. */
#ifndef INTERP_TRACE_H
#define INTERP_TRACE_H

#include "interp/core.h"

struct traces;

/* threads: where rows of calls are made, or NULL. 0 or -ENOMEM. */
int traces_create(struct traces **out, struct machine *m, struct threads *threads);
void traces_destroy(struct traces *t);
/* Drops everything. Only while no trace is running. */
void traces_flush(struct interp *v);
/* Bytes [gpa, gpa+len) of a PG_CODE page changed: drops the traces they belong to. */
void traces_stored(struct interp *v, gpa_t gpa, unsigned len);
/* The instruction at cpu.rip alone, to be run by the caller and then forgotten. May raise. */
const struct op *trace_single(struct interp *v);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The vCPU's section of a snapshot. */
#ifndef MACHINE_CPU_STATE_H
#define MACHINE_CPU_STATE_H

#include "machine/cpu.h"
#include "machine/snapshot.h"

/* Appends it. */
void cpu_save(const struct cpu *c, struct state *s);
/* -EINVAL: no valid state, *c unchanged. The caller flushes what was derived. */
int cpu_restore(struct cpu *c, struct state *s);

#endif

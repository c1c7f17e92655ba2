/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor as the command line sees it: both engines, the shadow, and the mode
 * manager that moves the vCPU between them.
 */
#ifndef VMEXIT_VMM_H
#define VMEXIT_VMM_H

#include "machine/machine.h"
#include "vmexit/stats.h"

struct vmm;

/* Makes the interpreter (which sets m->cpu) and, for the hybrid engine, a direct
 * engine and the shadow. -errno and one line in why[] if the host cannot. */
int vmm_create(struct vmm **out, struct machine *m, char why[static 128]);
void vmm_destroy(struct vmm *vmm);
/* Runs the guest until m->power says why it stopped. Call on the thread that is to
 * be the vCPU's. */
enum power vmm_run(struct vmm *vmm);
/* After machine_reset() and a new load: forget all derived state. */
void vmm_flush(struct vmm *vmm);
/* With --lockstep: at most n instructions of the user code that the vCPU is in. */
void vmm_lockstep_steps(struct vmm *vmm, int64_t n);
struct lockstep_counts {
	uint64_t compared, skipped, different;
	/* Exceptions that the last instruction may have raised directly, a bit each; of #PF where. */
	uint32_t vectors;
	gva_t gva;
};
void vmm_lockstep_counts(const struct vmm *vmm, struct lockstep_counts *out);
/* --lockstep: one line on stderr. */
void vmm_lockstep_summary(const struct vmm *vmm);
void vmm_stats(struct vmm *vmm, struct stats *out);

#endif

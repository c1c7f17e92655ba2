/* SPDX-License-Identifier: BSD-2-Clause */
/* The mode manager's state, shared by the files of this folder alone. */
#ifndef VMEXIT_INTERNAL_H
#define VMEXIT_INTERNAL_H

#include <signal.h>
#include <time.h>

#include "direct/direct.h"
#include "direct/full.h"
#include "direct/gate.h"
#include "interp/interp.h"
#include "shadow/shadow.h"
#include "vmexit/burst.h"
#include "vmexit/vmm.h"

/* What a direct engine is chosen for. */
enum code { CODE_64, CODE_NARROW, CODES };

/* A direct engine that is open. */
struct served {
	const struct direct_engine *e;
	void *self;
	unsigned side;			/* its number in the shadow */
	bool failed;			/* closed at the end: somebody may be kicking it */
	uint64_t runs;
	int64_t floor[DEXIT_KINDS];	/* the cheapest run that ended this way, ns */
	double crossing_us[CODES];	/* 0: not measured, or it does not run such code */
};

struct vmm {
	struct machine *m;
	struct interp *interp;
	const struct direct_engine *engine;	/* that of the code at hand; NULL: interpretation only */
	void *direct;
	struct shadow *shadow;
	struct served served[2];
	unsigned nserved;
	struct served *_Atomic running;	/* whom a kick is for */
	struct served *for_code[CODES];
	bool measured;
	struct bursts bursts;
	uint64_t burst_rip;		/* where the burst began that is running, */
	int64_t burst_began;		/* user instructions interpreted until then, */
	int64_t burst_allowed;		/* and how many of it were to be */
	struct full *full;		/* or everything by KVM */
	uint64_t full_reasons[FULL_EXITS];
	int64_t full_floor[FULL_EXITS];	/* as floor below */
	char no_direct[128];		/* hybrid without a direct engine: why */

	int wake;			/* eventfd: ends an idle wait */
	timer_t preempt;		/* kicks direct code when a guest timer is due */
	bool have_preempt;
	int64_t preempt_at;		/* host ns it is armed for, INT64_MAX: not */
	int64_t next_timer;		/* host ns at which a guest timer is due */

	struct crossings *record;	/* --trace-file, or NULL */
	uint64_t recorded;		/* instructions interpreted up to the last record */

	/* The account. */
	int64_t started, ns_interp, ns_run, ns_idle;
	int64_t ns_crossing, ns_shadow;
	uint64_t crossings, reasons[DEXIT_KINDS], refusals[GATE_REASONS];
	uint64_t guards_hit;
	struct lockstep_counts lockstep;
};

extern const char *const exit_names[DEXIT_KINDS];	/* for people */

static inline int64_t host_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static inline gva_t cpu_linear_rip(const struct cpu *c)
{
	return cpu_code64(c) ? c->rip : (uint32_t)(c->rip + c->seg[SEG_CS].base);
}

/* One run of direct code. The cheapest that ended in the same way did next to nothing: it is
 * the price of the crossing, and what is above it, which is given back, was useful. */
static inline int64_t vmm_account(struct vmm *vmm, int64_t *floor, int64_t took)
{
	vmm->ns_run += took;
	vmm->crossings++;
	if (took < *floor)
		*floor = took;
	vmm->ns_crossing += *floor;
	return took - *floor;
}

/* vmm.c: does what these bits of enum attention ask for. */
void vmm_serve(struct machine *m, unsigned bits);
/* engine.c: the direct engines and which of them runs what. -errno and why. */
int engines_open(struct vmm *vmm, char why[static 128]);
void engines_close(struct vmm *vmm);
/* Once, before the guest runs: which is cheaper for which code. */
void engines_measure(struct vmm *vmm);
/* Sets vmm->engine for the user code that the vCPU is at. False: there is none (left). */
bool engine_choose(struct vmm *vmm);
/* That one cannot run this state: is there one that can? It is vmm->engine then. */
bool engine_other(struct vmm *vmm);
/* It failed (err, reported here). True: the run goes on without it. */
bool engine_failed(struct vmm *vmm, int err, bool lost);
void engines_stats(struct vmm *vmm, struct stats *out);
/* full.c: the engine that needs no interpreter; the loop ends with m->power. */
int full_create(struct vmm *vmm, char why[static 128]);
void full_loop(struct vmm *vmm);
void full_stats(const struct vmm *vmm, struct stats *out);
/* user.c: bursts of user code that are worth a crossing stop the interpreter; user_run() runs
 * them directly until the kernel is due or somebody wants attention. */
void user_watch(struct vmm *vmm);
void user_run(struct vmm *vmm, int64_t slice);
/* record.c: --trace-file. After a run that began at `entered` and ended at host time `left`. */
int record_open(struct vmm *vmm, const char *file, char why[static 128]);
void record_close(struct vmm *vmm);
void record_crossing(struct vmm *vmm, uint64_t entered, const struct direct_exit *x, int64_t left,
		     int64_t took);
/* lockstep.c: one instruction on both engines. */
void lockstep_one(struct vmm *vmm);
/* wait.c: sleeps until somebody wants something; until an interrupt may come too; arms the preemption timer. */
void wait_stopped(struct vmm *vmm);
void wait_idle(struct vmm *vmm);
void preempt_arm(struct vmm *vmm);
int wait_create(struct vmm *vmm);
void wait_destroy(struct vmm *vmm);

#endif

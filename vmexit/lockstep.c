/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User code instruction by instruction on both engines (--lockstep). In a nutshell:
 *
 *	interpret one instruction, its stores journalled
 *	take it back: registers and stores
 *	step the direct engine from the same state, filling the shadow as it asks
 *	compare; go on from what the interpreter made of it
 *
 * So the guest's fate is the interpreter's alone. What touched a device cannot be
 * taken back, and is not compared.
 */
#include <stdio.h>
#include <string.h>

#include "debug/lockstep.h"
#include "machine/paging.h"
#include "vmexit/internal.h"

#define FILLS_MAX	64	/* hidden faults of one instruction before it is given up */

/* The instruction's bytes as far as they can be read. */
static unsigned fetch(struct machine *m, const struct cpu *c, gva_t rip, uint8_t bytes[15])
{
	unsigned n = 0;

	for (; n < 15; n++) {
		const uint8_t *p;
		struct walk w;

		if (paging_access(&m->mem, c, rip + n, ACC_USER, &w))
			break;
		p = memory_code_hva(&m->mem, w.gpa);
		if (!p)
			break;
		bytes[n] = *p;
	}
	return n;
}

/* Steps the direct engine from the vCPU's state. False: nothing can be said. */
static bool step_direct(struct vmm *vmm, gva_t rip, enum lockstep_direct *ended)
{
	struct direct_exit x;
	int err = 0;

	for (unsigned i = 0; i < FILLS_MAX; i++) {
		struct space *space = shadow_enter(vmm->shadow, &err);

		if (!space)
			break;
		vmm->engine->step(vmm->direct, space, vmm->m->cpu, &x);
		vmm->crossings++;
		vmm->running->runs++;
		vmm->reasons[x.kind]++;
		vmm->lockstep.vectors = x.kind == DEXIT_TRAP ? x.vectors : 0;
		switch (x.kind) {
		case DEXIT_STEP:
			*ended = LOCKSTEP_DONE;
			return true;
		case DEXIT_INTN:
		case DEXIT_SYSCALL:
		case DEXIT_TRAP:
			*ended = LOCKSTEP_STOPPED;
			return true;
		case DEXIT_FAULT:
			switch (shadow_fault(vmm->shadow, x.gva, rip, &err)) {
			case SHADOW_RETRY:
				continue;
			case SHADOW_GUEST:
				vmm->lockstep.vectors = 1u << VEC_PF;
				vmm->lockstep.gva = x.gva;
				*ended = LOCKSTEP_FAULTED;
				return true;
			case SHADOW_INTERPRET:
				return false;
			case SHADOW_HOST:
				if (!engine_failed(vmm, err, false))
					vmm->m->power = POWER_HOST_FAILURE;
				return false;
			}
			return false;
		case DEXIT_KICK:	/* whoever it was, one instruction is soon over */
			continue;
		case DEXIT_GUARD:
			vmm->guards_hit++;
			return false;
		case DEXIT_SEGMENT:
			return false;
		case DEXIT_HOST:	/* what it made of the state is thrown away */
			if (!engine_failed(vmm, x.err, false))
				vmm->m->power = POWER_HOST_FAILURE;
			return false;
		}
	}
	if (err && !engine_failed(vmm, err, false))
		vmm->m->power = POWER_HOST_FAILURE;
	return false;
}

/* The vCPU as `to` says; what was derived from the address space goes if that changes. */
static void cpu_put(struct vmm *vmm, const struct cpu *to)
{
	struct cpu *c = vmm->m->cpu;
	bool flush = c->cr3 != to->cr3 || c->cr0 != to->cr0 || c->cr4 != to->cr4 || c->efer != to->efer;

	*c = *to;
	if (flush)
		interp_flush(vmm->interp);
}

/* An interrupt may come in between any two instructions of user code, and the return from it
 * makes 0 of null selectors (SDM 2 IRET); under the direct engine every step is one. */
static void as_after_interrupt(struct cpu *c)
{
	for (unsigned s = SEG_ES; s <= SEG_GS; s++)
		if (s != SEG_CS && s != SEG_SS && c->seg[s].sel < 4)
			c->seg[s].sel = 0;
}

void lockstep_one(struct vmm *vmm)
{
	static struct journal journal;
	static struct cpu before, interp, direct;
	struct machine *m = vmm->m;
	uint8_t bytes[15];
	struct lockstep_case k = { .before = &before, .interp = &interp, .direct = &direct,
				   .stores = &journal, .bytes = bytes };
	gva_t rip = cpu_code64(m->cpu) ? m->cpu->rip : (uint32_t)(m->cpu->rip + m->cpu->seg[SEG_CS].base);
	char what[200];
	bool differs;

	vmm->lockstep.vectors = 0;
	as_after_interrupt(m->cpu);
	before = *m->cpu;
	k.n = fetch(m, &before, rip, bytes);
	journal_begin(&m->mem, &journal);
	interp_run(vmm->interp, 1, RUN_ONE);
	journal_end(&m->mem, &journal);
	/* After a load of SS the processor steps two. */
	if (journal.final || m->cpu->int_shadow || m->power != POWER_ON) {
		vmm->lockstep.skipped++;
		return;
	}
	interp = *m->cpu;
	journal_undo(&m->mem, &journal);
	cpu_put(vmm, &before);
	if (!step_direct(vmm, rip, &k.ended)) {
		vmm->lockstep.skipped++;
		journal_redo(&m->mem, &journal);
		cpu_put(vmm, &interp);
		return;
	}
	direct = *m->cpu;
	differs = lockstep_differs(m, &k, what, sizeof(what));
	journal_redo(&m->mem, &journal);
	cpu_put(vmm, &interp);
	vmm->lockstep.compared++;
	if (!differs)
		return;
	vmm->lockstep.different++;
	lockstep_report(&k, what);
	if (m->config->lockstep == LOCKSTEP_STOP)
		m->power = POWER_DIFFERENCE;
}

void vmm_lockstep_summary(const struct vmm *vmm)
{
	fprintf(stderr, "hemi: lockstep: %llu instructions compared, %llu not comparable, %llu different\n",
		(unsigned long long)vmm->lockstep.compared, (unsigned long long)vmm->lockstep.skipped,
		(unsigned long long)vmm->lockstep.different);
}

void vmm_lockstep_counts(const struct vmm *vmm, struct lockstep_counts *out)
{
	*out = vmm->lockstep;
}

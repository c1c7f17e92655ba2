/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User code: gate -> drain -> enter -> classify -> dispatch -> account.
 *
 * Whatever ends a direct run is resolved by interpreting from that instruction on;
 * the one exception is a page fault whose page the guest's own tables allow, which
 * is filled into the shadow and retried.
 */
#include <string.h>

#include "debug/disasm.h"
#include "vmexit/internal.h"

/* Instructions of user code with CR0.TS set that are interpreted first. */
#define TS_PATIENCE	20000

enum next { NEXT_AGAIN, NEXT_LEAVE };

static void interpret(struct vmm *vmm, int64_t budget, unsigned how)
{
	int64_t before = host_now();

	interp_run(vmm->interp, budget, how);
	vmm->ns_interp += host_now() - before;
}

/* The interpreter does the instruction that direct execution could not. */
static enum next resolve(struct vmm *vmm)
{
	interpret(vmm, 1, RUN_ONE);
	return NEXT_AGAIN;
}

static void failed(struct vmm *vmm, int err, bool lost)
{
	if (!engine_failed(vmm, err, lost))
		vmm->m->power = POWER_HOST_FAILURE;
}

static enum next resolve_fault(struct vmm *vmm, gva_t gva)
{
	int64_t before = host_now();
	int err = 0;
	enum shadow_answer what = shadow_fault(vmm->shadow, gva, cpu_linear_rip(vmm->m->cpu), &err);

	vmm->ns_shadow += host_now() - before;
	switch (what) {
	case SHADOW_RETRY:
		return NEXT_AGAIN;
	case SHADOW_GUEST:
		return resolve(vmm);
	case SHADOW_INTERPRET:	/* where code cannot run directly: for as long as coming back costs */
		interpret(vmm, vmm->bursts.price, RUN_UNTIL_KERNEL);
		return NEXT_AGAIN;
	case SHADOW_HOST:
		failed(vmm, err, false);
		return NEXT_LEAVE;
	}
	return NEXT_LEAVE;
}

static enum next classify(struct vmm *vmm, const struct direct_exit *x)
{
	vmm->reasons[x->kind]++;
	trace_line(vmm->m, TRACE_CROSS, "crossed: %s at %llx, address %llx\n", exit_names[x->kind],
		   (unsigned long long)vmm->m->cpu->rip, (unsigned long long)x->gva);
	switch (x->kind) {
	case DEXIT_FAULT:
		return resolve_fault(vmm, x->gva);
	case DEXIT_GUARD:
		vmm->guards_hit++;
		return resolve(vmm);
	case DEXIT_SYSCALL:
		if (x->rip_known)
			return resolve(vmm);
		/* Unguarded, so the address is lost: SYSCALL of 32-bit code, which guests do
		 * not have (QUIRKS), or SYSENTER, which keeps no return address anyway. */
		if (x->sysenter)
			interp_sysenter(vmm->interp);
		else
			interp_raise_soft(vmm->interp, VEC_UD, false, 0);
		return NEXT_AGAIN;
	case DEXIT_INTN:
	case DEXIT_TRAP:
		return resolve(vmm);
	case DEXIT_SEGMENT:
		for (unsigned i = 0; i <= SEG_GS && vmm->m->cpu->cpl == 3; i++)
			if (x->segmask >> i & 1)
				interp_load_segment(vmm->interp, (enum segreg)i, x->sels[i]);
		return NEXT_AGAIN;
	case DEXIT_STEP:	/* only lockstep.c asks for it */
	case DEXIT_KICK:
		return NEXT_LEAVE;
	case DEXIT_HOST:
		failed(vmm, x->err, x->lost);
		return NEXT_LEAVE;
	}
	return NEXT_LEAVE;
}

/*
 * Only CR0.TS stands in the way (a lazily switching kernel). A process cannot have its
 * FPU disabled, so code that lives long is handed its device-not-available exception
 * before an FPU instruction was seen; code that stays short is interpreted and never
 * learns (QUIRKS).
 */
static void resolve_ts(struct vmm *vmm)
{
	struct cpu *c = vmm->m->cpu;

	interpret(vmm, TS_PATIENCE, RUN_UNTIL_KERNEL);
	if (c->cpl == 3 && (c->cr0 & CR0_TS) && !vmm->m->config->strict && vmm->m->power == POWER_ON)
		interp_raise_soft(vmm->interp, VEC_NM, false, 0);
}

/* May it run directly now? */
static bool admitted(struct vmm *vmm)
{
	enum gate_reason why = gate_refuses(vmm->m, vmm->engine, vmm->direct, vmm->m->config->strict);

	if (why == GATE_SEGMENT && engine_other(vmm))
		why = gate_refuses(vmm->m, vmm->engine, vmm->direct, vmm->m->config->strict);
	if (why == GATE_OK)
		return true;
	vmm->refusals[why]++;
	if (why == GATE_FPU_TS)
		resolve_ts(vmm);
	return false;
}

static bool outside_wants(struct vmm *vmm)
{
	return vmm->m->power != POWER_ON || vmm->m->attention || vmm->m->intr ||
	       vmm->m->cpu->cpl != 3 || vmm->m->cpu->halted;
}

/*
 * A KVM that shadows page tables may fail to get over one instruction, without a word: it
 * faults and is resumed for ever. What was interrupted where it began, with nothing changed,
 * is interpreted for a while, and was of no use. (A loop of one jump looks the same, and
 * loses nothing.)
 */
static bool stuck(struct vmm *vmm, const struct cpu *began, const struct direct_exit *x)
{
	const struct cpu *c = vmm->m->cpu;

	return x->kind == DEXIT_KICK && c->cpl == 3 && c->rip == began->rip &&
	       memcmp(c->gpr, began->gpr, sizeof(c->gpr)) == 0;
}

/* Direct execution until the kernel is due; how long it was native, in *useful. False
 * if the gate refused at once. */
static bool direct_burst(struct vmm *vmm, int64_t *useful)
{
	struct direct_exit x;
	bool ran = false;

	*useful = 0;
	while (engine_choose(vmm) && !outside_wants(vmm) && admitted(vmm)) {
		int64_t before = host_now();
		int err = 0;
		struct space *space = shadow_enter(vmm->shadow, &err);

		vmm->ns_shadow += host_now() - before;
		if (!space && !err) {
			vmm->refusals[GATE_ROOM]++;
			break;
		}
		if (!space) {
			failed(vmm, err, false);
			return true;
		}
		if (shadow_in_vain(vmm->shadow, cpu_linear_rip(vmm->m->cpu))) {
			vmm->refusals[GATE_PAGE]++;
			/* The guest's timers kick direct code alone. */
			if (!ran || host_now() >= vmm->next_timer)
				break;
			interpret(vmm, vmm->bursts.price, RUN_UNTIL_KERNEL);
			continue;
		}
		preempt_arm(vmm);
		const struct cpu began = *vmm->m->cpu;
		int64_t left;

		before = host_now();
		vmm->running->runs++;
		vmm->engine->run(vmm->direct, space, vmm->m->cpu, &x);
		left = host_now();
		*useful += vmm_account(vmm, &vmm->running->floor[x.kind], left - before);
		if (vmm->record)
			record_crossing(vmm, cpu_linear_rip(&began), &x, left, left - before);
		ran = true;
		if (classify(vmm, &x) == NEXT_LEAVE) {
			if (stuck(vmm, &began, &x)) {
				*useful = 0;
				interpret(vmm, vmm->bursts.price, RUN_UNTIL_KERNEL);
			}
			break;
		}
	}
	return ran;
}

/* Crossing and interpretation as they cost on this host, so far. */
static void price_update(struct vmm *vmm)
{
	struct interp_counts n;
	double insns;

	if (vmm->crossings & 63)
		return;
	interp_counts(vmm->interp, &n);
	insns = (double)(n.supervisor + n.user);
	if (insns > 1e6 && vmm->crossings)
		bursts_price(&vmm->bursts, (double)vmm->ns_crossing / (double)vmm->crossings,
			     (double)vmm->ns_interp / insns);
}

/* Every instruction that the gate admits, on both engines. */
void vmm_lockstep_steps(struct vmm *vmm, int64_t n)
{
	for (int64_t i = 0; i < n && engine_choose(vmm) && !outside_wants(vmm); i++)
		if (admitted(vmm))
			lockstep_one(vmm);
		else if (!outside_wants(vmm))
			interpret(vmm, 1, RUN_ONE);
}

/* --- Bursts: what the interpreter asks at each entry of user code --------------------- */

static int64_t user_instructions(const struct vmm *vmm)
{
	struct interp_counts n;

	interp_counts(vmm->interp, &n);
	return n.user;
}

static int64_t burst_entered(void *self, uint64_t rip)
{
	struct vmm *vmm = self;

	vmm->burst_rip = rip;
	vmm->burst_began = user_instructions(vmm);
	vmm->burst_allowed = burst_allowance(&vmm->bursts, rip);
	return vmm->burst_allowed;
}

static void burst_left(void *self)
{
	struct vmm *vmm = self;

	burst_interpreted(&vmm->bursts, vmm->burst_rip, user_instructions(vmm) - vmm->burst_began);
}

void user_watch(struct vmm *vmm)
{
	interp_watch(vmm->interp, &(struct user_watch){ burst_entered, burst_left, vmm });
}

void user_run(struct vmm *vmm, int64_t slice)
{
	int64_t began = host_now(), interpreted = vmm->ns_interp, useful, all;

	if (!direct_burst(vmm, &useful)) {
		if (!outside_wants(vmm))
			interpret(vmm, slice, RUN_UNTIL_KERNEL);
		return;
	}
	all = host_now() - began - (vmm->ns_interp - interpreted);
	burst_crossed(&vmm->bursts, vmm->burst_rip, vmm->burst_allowed, useful, all - useful);
	price_update(vmm);
}

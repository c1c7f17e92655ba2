/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The outermost loop: requests from outside, guest time, then kernel code on the
 * interpreter or user code wherever user.c runs it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/chardev.h"
#include "vmexit/internal.h"

/* Instructions between two looks at the clock: some 50 us. */
#define SLICE		20000
#define SHADOW_ROOTS	24

/* --- The loop ------------------------------------------------------------------ */

void vmm_take_requests(struct machine *m)
{
	unsigned bits = atomic_exchange(&m->attention, 0);

	if (!bits)
		return;
	if (bits & ATT_QUIT)
		m->power = POWER_QUIT;
	if (bits & ATT_TIMEOUT)
		m->power = POWER_TIMEOUT;
	if (bits & ATT_INPUT)
		chardev_deliver(m->console);
}

/* HLT with interrupts off waits for nothing that could come (SDM 2 HLT). */
static bool halted_for_good(const struct machine *m)
{
	return !(m->cpu->eflags & FL_IF) && !m->cpu->nmi_pending;
}

static int64_t slice_length(struct vmm *vmm, int64_t next_ns)
{
	if (!vmm->m->clock.by_instructions || next_ns >= SLICE)
		return SLICE;
	return next_ns > 0 ? next_ns : 1;
}

enum power vmm_run(struct vmm *vmm)
{
	struct machine *m = vmm->m;
	bool lockstep = vmm->engine && m->config->lockstep;
	unsigned how = lockstep ? RUN_UNTIL_USER : vmm->engine ? RUN_BURSTS : 0;

	vmm->started = host_now();
	if (vmm->full)
		full_loop(vmm);
	while (m->power == POWER_ON) {
		vmm_take_requests(m);
		if (m->power != POWER_ON)
			break;		/* nothing else would end an idle wait */
		int64_t next = clock_run(&m->clock);
		int64_t before = host_now();

		vmm->next_timer = next == INT64_MAX ? INT64_MAX : before + next;
		if (m->cpu->halted && !m->intr && !m->cpu->nmi_pending) {
			if (halted_for_good(m))
				m->power = POWER_OFF;
			else
				wait_idle(vmm);
			continue;
		}
		if (lockstep && m->cpu->cpl == 3 && !m->intr && !m->cpu->halted) {
			vmm_lockstep_steps(vmm, slice_length(vmm, next));
			continue;
		}
		enum interp_stop why = interp_run(vmm->interp, slice_length(vmm, next), how);

		vmm->ns_interp += host_now() - before;
		if (why == ISTOP_USER && !lockstep)
			user_run(vmm, slice_length(vmm, next));
	}
	return m->power;
}

/* --- Making and breaking -------------------------------------------------------- */

/* whole: only if it runs every kind of user code. */
static int open_engine(struct vmm *vmm, const struct direct_engine *e, bool whole, char why[static 128])
{
	struct sink sink;
	int err = e->open(&vmm->direct, vmm->m, why);

	if (err)
		return err;
	if (whole && e->complete) {
		const char *lacks = e->complete(vmm->direct);

		if (lacks) {
			snprintf(why, 128, "%s", lacks);
			e->close(vmm->direct);
			return -ENOTSUP;
		}
	}
	sink = e->sink(vmm->direct);
	err = shadow_create(&vmm->shadow, vmm->m, &sink, SHADOW_ROOTS);
	if (err) {
		e->close(vmm->direct);
		snprintf(why, 128, "shadow page tables: %s", strerror(-err));
		return err;
	}
	shadow_set_decoder(vmm->shadow, interp_insn_length, vmm->interp);
	vmm->engine = e;
	user_watch(vmm);
	return 0;
}

/* --verbose: what auto chose and why; what KVM lacks is asked only for that. */
static void tell_choice(struct vmm *vmm)
{
	char why[128] = "";
	void *kvm;

	if (vmm->engine == &direct_kvm) {
		fprintf(stderr, "hemi: direct engine: kvm, since ring3 is not to be had\n");
		return;
	}
	if (!direct_kvm.open(&kvm, vmm->m, why)) {
		const char *lacks = direct_kvm.complete(kvm);

		snprintf(why, sizeof(why), "%s%s", lacks ? "it does not serve " : "its crossings are not known to be cheaper",
			 lacks ? lacks : "");
		direct_kvm.close(kvm);
	}
	fprintf(stderr, "hemi: direct engine: ring3, which runs every kind of user code; not kvm: %s\n", why);
}

/* An engine asked for by name serves or is an error; auto takes ring3, which runs every kind
 * of user code, and without it a KVM that does so as well. */
static int open_direct(struct vmm *vmm, char why[static 128])
{
	bool automatic = vmm->m->config->direct == DIRECT_AUTO;
	char kvm_why[128];
	int err;

	if (vmm->m->config->direct == DIRECT_KVM)
		return open_engine(vmm, &direct_kvm, false, why);
	err = open_engine(vmm, &direct_ring3, false, why);
	if (err && automatic && !open_engine(vmm, &direct_kvm, true, kvm_why))
		err = 0;
	if (!err && automatic && vmm->m->config->verbose)
		tell_choice(vmm);
	return err;
}

int vmm_create(struct vmm **out, struct machine *m, char why[static 128])
{
	struct vmm *vmm = calloc(1, sizeof(*vmm));
	int err;

	if (!vmm)
		return -ENOMEM;
	vmm->m = m;
	vmm->wake = -1;
	for (unsigned i = 0; i < DEXIT_KINDS; i++)
		vmm->floor[i] = INT64_MAX / 2;
	for (unsigned i = 0; i < FULL_EXITS; i++)
		vmm->full_floor[i] = INT64_MAX / 2;
	bursts_init(&vmm->bursts, m->config->gate);
	err = interp_create(&vmm->interp, m);
	if (err) {
		snprintf(why, 128, "interpreter: %s", strerror(-err));
		free(vmm);
		return err;
	}
	m->clock.retired = interp_retired(vmm->interp);
	if (m->config->engine == ENGINE_HYBRID)
		err = open_direct(vmm, why);
	else if (m->config->engine == ENGINE_FULL)
		err = full_create(vmm, why);
	if (!err && (err = wait_create(vmm)))
		snprintf(why, 128, "timer: %s", strerror(-err));
	if (err) {
		vmm_destroy(vmm);
		return err;
	}
	*out = vmm;
	return 0;
}

void vmm_destroy(struct vmm *vmm)
{
	if (!vmm)
		return;
	wait_destroy(vmm);
	if (vmm->full)
		full_close(vmm->full);
	if (vmm->engine) {
		shadow_destroy(vmm->shadow);
		vmm->engine->close(vmm->direct);
	}
	interp_destroy(vmm->interp);
	free(vmm);
}

void vmm_flush(struct vmm *vmm)
{
	interp_flush(vmm->interp);
	if (vmm->shadow)
		shadow_flush(vmm->shadow);
}

/* --- The account ------------------------------------------------------------------ */

const char *const exit_names[DEXIT_KINDS] = {
	[DEXIT_FAULT] = "page fault", [DEXIT_INTN] = "int n", [DEXIT_SYSCALL] = "syscall",
	[DEXIT_TRAP] = "trap", [DEXIT_GUARD] = "guarded instruction", [DEXIT_SEGMENT] = "segment load",
	[DEXIT_KICK] = "kick", [DEXIT_STEP] = "step", [DEXIT_HOST] = "host failure",
};

static void stats_direct(struct vmm *vmm, struct stats *out)
{
	struct shadow_counts s;
	struct interp_counts did;
	size_t n = 0;

	out->direct = vmm->engine->name;
	out->crossings = vmm->crossings;
	for (unsigned i = 0; i < DEXIT_KINDS; i++)
		if (exit_names[i])
			out->by_reason[n++] = (struct stats_count){ exit_names[i], vmm->reasons[i] };
	n = 0;
	for (unsigned i = 1; i < GATE_REASONS; i++)
		if (vmm->refusals[i])
			out->gate_refusals[n++] = (struct stats_count){
				gate_reason_name((enum gate_reason)i), vmm->refusals[i] };
	shadow_counts(vmm->shadow, &s);
	interp_counts(vmm->interp, &did);
	out->shadow.fills = s.fills;
	out->shadow.true_faults = did.user_page_faults;
	out->shadow.hidden_faults = s.hidden_faults;
	out->shadow.ad_faults = s.ad_faults;
	out->shadow.device_faults = s.device_faults;
	out->shadow.table_writes = s.table_writes;
	out->shadow.code_writes = s.code_writes;
	out->shadow.prefilled = s.prefilled;
	out->shadow.unmapped = s.unmapped;
	out->shadow.roots = s.roots;
	out->shadow.moves = s.moves;
	out->shadow.sink_calls = s.sink_calls;
	out->shadow.sink_ops = s.sink_ops;
	out->scanner.pages_scanned = s.pages_scanned;
	out->scanner.pages_refused = s.pages_refused;
	out->scanner.guards_hit = vmm->guards_hit;
	out->gate.right = vmm->bursts.right;
	out->gate.too_early = vmm->bursts.early;
	out->gate.too_late = vmm->bursts.late;
	out->gate.lost = (double)vmm->bursts.lost_ns / 1e9;
	vmm->engine->counts(vmm->direct, &out->stubs.live, &out->stubs.made);
}

static const char *const engine_names[] = {
	[ENGINE_HYBRID] = "hybrid", [ENGINE_INTERP] = "interp", [ENGINE_FULL] = "full",
};

void vmm_stats(struct vmm *vmm, struct stats *out)
{
	struct interp_counts i;
	struct trace_counts t;
	memset(out, 0, sizeof(*out));
	out->engine = engine_names[vmm->m->config->engine];
	out->seconds.total = (double)(host_now() - vmm->started) / 1e9;
	out->seconds.interpreter = (double)vmm->ns_interp / 1e9;
	out->seconds.direct = (double)(vmm->ns_run - vmm->ns_crossing) / 1e9;
	out->seconds.crossing = (double)vmm->ns_crossing / 1e9;
	out->seconds.idle = (double)vmm->ns_idle / 1e9;
	interp_counts(vmm->interp, &i);
	out->instructions.supervisor = i.supervisor;
	out->instructions.user_interpreted = i.user;
	interp_trace_counts(vmm->interp, &t);
	out->interpreter.traces = t.built;
	out->interpreter.decoded = t.decoded;
	out->interpreter.flushes = t.flushed;
	if (vmm->engine)
		stats_direct(vmm, out);
	if (vmm->full)
		full_stats(vmm, out);
}

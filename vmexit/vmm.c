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
#include "dev/input.h"
#include "dev/net.h"
#include "vmexit/internal.h"

/* Instructions between two looks at the clock: some 50 us. */
#define SLICE		20000

/* --- The loop ------------------------------------------------------------------ */

void vmm_serve(struct machine *m, unsigned bits)
{
	if (!bits)
		return;
	if (bits & ATT_QUIT)
		m->power = POWER_QUIT;
	if (bits & ATT_TIMEOUT)
		m->power = POWER_TIMEOUT;
	if (bits & ATT_CONTROL && m->control)
		m->control(m->control_arg);
	if (bits & ATT_INPUT && !m->stopped) {
		chardev_deliver(m->console);
		input_deliver(m);
		net_deliver(m);
	}
	if (bits & ATT_LOOK && m->look)
		m->look(m->look_arg);
	if (bits & ATT_SAVE && m->save)
		m->save(m->save_arg);
	if (bits & ATT_STATS && m->report)
		m->report(m->report_arg);
}

/*
 * HLT ends with an interrupt or an NMI (SDM 2 HLT). With interrupts off nothing that could
 * come ends it, an interrupt that is pending already least of all.
 */
static bool waits(const struct machine *m)
{
	return m->cpu->halted && !m->cpu->nmi_pending && !(m->intr && m->cpu->eflags & FL_IF);
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
	bool lockstep = m->config->lockstep;

	vmm->started = host_now();
	if (vmm->full)
		full_loop(vmm);
	else
		engines_measure(vmm);
	while (m->power == POWER_ON) {
		vmm_serve(m, atomic_exchange(&m->attention, 0));
		if (m->power != POWER_ON)
			break;		/* nothing else would end an idle wait */
		if (m->stopped) {
			wait_stopped(vmm);
			continue;
		}
		int64_t next = clock_run(&m->clock);
		int64_t before = host_now();

		vmm->next_timer = next == INT64_MAX ? INT64_MAX : before + next;
		if (waits(m)) {
			if (m->cpu->eflags & FL_IF)
				wait_idle(vmm);
			else
				m->power = POWER_OFF;
			continue;
		}
		if (lockstep && vmm->engine && m->cpu->cpl == 3 && !m->intr && !m->cpu->halted) {
			vmm_lockstep_steps(vmm, slice_length(vmm, next));
			continue;
		}
		bool hybrid = vmm->engine;
		enum interp_stop why = interp_run(vmm->interp, slice_length(vmm, next),
						  !hybrid ? 0 : lockstep ? RUN_UNTIL_USER : RUN_BURSTS);

		vmm->ns_interp += host_now() - before;
		if (why == ISTOP_USER && !lockstep)
			user_run(vmm, slice_length(vmm, next));
	}
	return m->power;
}

/* --- Making and breaking -------------------------------------------------------- */

int vmm_create(struct vmm **out, struct machine *m, char why[static 128])
{
	struct vmm *vmm = calloc(1, sizeof(*vmm));
	int err;

	if (!vmm)
		return -ENOMEM;
	vmm->m = m;
	vmm->wake = -1;
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
		err = engines_open(vmm, why);
	else if (m->config->engine == ENGINE_FULL)
		err = full_create(vmm, why);
	if (!err && m->config->trace_file)
		err = record_open(vmm, m->config->trace_file, why);
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
	record_close(vmm);
	if (vmm->full)
		full_close(vmm->full);
	engines_close(vmm);
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

	engines_stats(vmm, out);
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
	out->shadow.prefill_sampled = s.sampled;
	out->shadow.sampled_used = s.sampled_used;
	out->shadow.sampled_wasted = s.sampled - s.sampled_used;
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
	out->seconds.shadow = (double)vmm->ns_shadow / 1e9;
	out->seconds.idle = (double)vmm->ns_idle / 1e9;
	interp_counts(vmm->interp, &i);
	out->instructions.supervisor = i.supervisor;
	out->instructions.user_interpreted = i.user;
	interp_trace_counts(vmm->interp, &t);
	out->interpreter.traces = t.built;
	out->interpreter.decoded = t.decoded;
	out->interpreter.flushes = t.flushed;
	if (vmm->nserved)
		stats_direct(vmm, out);
	if (vmm->full)
		full_stats(vmm, out);
}

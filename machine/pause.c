/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine that is stopped for a while. All of the guest's time stands still together:
 * if its clocks waited and its TSC went on, an operating system would find the TSC unstable.
 * The price is that the TSC is no longer the host's own: user code that reads it directly
 * traps from then on, until the next reset (QUIRKS).
 */
#include <x86intrin.h>

#include "machine/machine.h"

void machine_stop(struct machine *m)
{
	if (m->stopped)
		return;
	m->stopped = true;
	m->stopped_tsc = __rdtsc();
	clock_stop(&m->clock);
}

void machine_cont(struct machine *m)
{
	if (!m->stopped)
		return;
	clock_cont(&m->clock);
	if (m->stopped_tsc && !m->clock.by_instructions && m->cpu)
		m->cpu->tsc_offset -= __rdtsc() - m->stopped_tsc;
	m->stopped = false;
	/* What came in meanwhile has waited. */
	atomic_fetch_or(&m->attention, ATT_INPUT);
}

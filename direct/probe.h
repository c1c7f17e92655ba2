/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can this host do? Small pieces of user code run on a direct engine, of which nothing
 * is assumed but its interface: works or not, native or emulated, what a crossing costs, and
 * what each unprivileged sensitive instruction does.
 */
#ifndef DIRECT_PROBE_H
#define DIRECT_PROBE_H

#include "direct/direct.h"

enum probe_code { PROBE_64, PROBE_32, PROBE_16, PROBE_CODES };
/* By width of code; for text. */
extern const char *const probe_code_names[PROBE_CODES];

enum probe_verdict {
	PROBE_TRAPS,		/* it stops at the instruction */
	PROBE_SPOOFED,		/* the host's kernel answers in its place */
	PROBE_AGREES,		/* it answers as the guest's processor would */
	PROBE_SILENT,		/* it shows or does what the guest should not see */
	PROBE_INVALID,		/* the host has no such instruction */
	PROBE_FAILED,
};
extern const char *const probe_verdict_names[];

#define PROBE_INSNS_MAX	40

struct probe_report {
	char why[128];		/* not empty: the engine does not open, and that is why */
	struct probe_kind {
		bool works;
		const char *refused;	/* the engine itself would not run it, and why; or NULL */
		char why[64];		/* what that points to */
		double slower;		/* a loop's time in that of the host itself */
		double crossing_us;	/* median of UD2, to the monitor and back */
	} code[PROBE_CODES];
	unsigned ninsns;
	struct probe_insn { const char *name; enum probe_verdict verdict; } insn[PROBE_INSNS_MAX];
};

/* What user code can tell without --strict, on every host together (residual.def). */
struct probe_residual { bool ring3, kvm; const char *what, *rows; };
extern const struct probe_residual probe_residuals[];
extern const unsigned probe_nresiduals;

/* m: a machine of at least PROBE_RAM bytes with an interpreter, whose RAM is used. */
#define PROBE_RAM	(4u << 20)
void probe_engine(const struct direct_engine *e, struct machine *m, struct probe_report *out);
/* Median of one KVM_RUN that does an OUT and nothing else, without any engine: the least that a
 * crossing can cost on this host's KVM. 0 and the reason in why, if it cannot be measured. */
double probe_bare_exit_us(char why[static 128]);

/* What a crossing of an engine that is open costs, in a few milliseconds. RAM is put back as it was. */
struct probe_crossing {
	double us;			/* median of UD2; 0: it does not run such code */
	const char *refused;
};
void probe_crossings(const struct direct_engine *e, void *self, struct machine *m,
		     struct probe_crossing out[PROBE_CODES]);

#endif

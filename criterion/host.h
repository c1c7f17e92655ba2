/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The definitions asked of this host: the sensitive and the privileged instructions of a case,
 * byte for byte, as user code of a direct engine, and beside it what the interpreter makes of
 * the same states. What does not trap there the scanner must find: it is asked, too.
 */
#ifndef CRITERION_HOST_H
#define CRITERION_HOST_H

#include "criterion/criterion.h"

/* In the order of how bad it is: an instruction is the worst of its states. */
enum host_kind {
	HOST_TRAPPED,	/* stopped at the instruction: the interpreter can do it */
	HOST_AGREED,	/* went on, and did what the interpreter did */
	HOST_SPOOFED,	/* trapped, but the host's kernel answered in its place */
	HOST_SILENT,	/* went on, and did something else */
	HOST_KINDS
};
extern const char *const host_kind_names[HOST_KINDS];

struct host_verdict {
	const struct verdict *of;
	unsigned count[HOST_KINDS];
	/* Of the states that are spoofed or silent: those that the scanner finds by default, with
	 * --strict. */
	unsigned held[2];
	/* The first state of the worst kind, if it went on: what differed. */
	uint8_t bytes[15], length;
	char what[32];
	uint64_t interp, host;
};

static inline enum host_kind host_worst(const struct host_verdict *v)
{
	unsigned k = HOST_KINDS - 1;

	while (k && !v->count[k])
		k--;
	return (enum host_kind)k;
}

struct host_report {
	char why[128];		/* not empty: there is no direct execution here, and that is why */
	const struct criterion *of;
	const char *engine;
	struct host_verdict *v;
	unsigned n, runs, refused;	/* refused: states that the engine does not run */
	char why_refused[96];
	double seconds;
};

/* Can the case's user states run directly at all? Those with IF set and IOPL 0 can. */
static inline bool host_can(const struct criterion_case *of)
{
	return of->iopl == IOPL_GATE && of->kind != WORLD_V86;
}
/* The engines that can be asked: ring3, kvm. */
#define HOST_ENGINES	2u
/* Verdicts c must have been made by criterion_run(). -errno. */
int host_run(struct host_report *out, const struct criterion *c, unsigned engine, unsigned states,
	     uint64_t seed);
void host_free(struct host_report *r);

#endif

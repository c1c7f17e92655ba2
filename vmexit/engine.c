/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which direct engines are open, which of them runs the code at hand, and who takes over
 * when one fails. All share one shadow, where each has address spaces of its own. An
 * engine asked for by name serves alone and its failure ends the run; with --direct=auto
 * all that can be had are open, each kind of code has the one whose crossing is cheaper,
 * and without any left user code is interpreted.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "direct/probe.h"
#include "vmexit/internal.h"

#define SHADOW_ROOTS	24

static const char *const code_names[CODES] = { [CODE_64] = "64-bit", [CODE_NARROW] = "32-bit" };

/* --- Opening and closing ---------------------------------------------------------------- */

/* whole: only if it runs every kind of user code. */
static int open_engine(struct vmm *vmm, const struct direct_engine *e, bool whole, char why[static 128])
{
	struct served *new = &vmm->served[vmm->nserved];
	const char *lacks = NULL;
	struct sink sink;
	int err = e->open(&new->self, vmm->m, why);

	if (err)
		return err;
	if (whole && e->complete && (lacks = e->complete(new->self))) {
		snprintf(why, 128, "%s", lacks);
		e->close(new->self);
		return -ENOTSUP;
	}
	sink = e->sink(new->self);
	if (vmm->shadow) {
		new->side = shadow_add_sink(vmm->shadow, &sink);
	} else {
		err = shadow_create(&vmm->shadow, vmm->m, &sink, SHADOW_ROOTS);
		if (err) {
			e->close(new->self);
			snprintf(why, 128, "shadow page tables: %s", strerror(-err));
			return err;
		}
		shadow_set_decoder(vmm->shadow, interp_insn_length, vmm->interp);
		user_watch(vmm);
	}
	new->e = e;
	for (unsigned i = 0; i < DEXIT_KINDS; i++)
		new->floor[i] = INT64_MAX / 2;
	vmm->nserved++;
	return 0;
}

static void engine_use(struct vmm *vmm, struct served *s)
{
	atomic_store(&vmm->running, s);
	vmm->engine = s ? s->e : NULL;
	vmm->direct = s ? s->self : NULL;
	if (s)
		shadow_choose(vmm->shadow, s->side);
}

static void engine_use_alone(struct vmm *vmm, struct served *s)
{
	for (unsigned i = 0; i < CODES; i++)
		vmm->for_code[i] = s;
	engine_use(vmm, s);
}

int engines_open(struct vmm *vmm, char why[static 128])
{
	const struct config *cfg = vmm->m->config;
	char kvm_why[128] = "";
	int err = open_engine(vmm, cfg->direct == DIRECT_KVM ? &direct_kvm : &direct_ring3, false, why);
	bool narrow = err;		/* alone it must run everything */

	if (cfg->direct == DIRECT_AUTO) {
		int kvm_err = open_engine(vmm, &direct_kvm, narrow, kvm_why);

		if (cfg->verbose && kvm_err && !err)
			fprintf(stderr, "hemi: user code: ring3; not kvm: %s\n", kvm_why);
		if (cfg->verbose && !kvm_err && err)
			fprintf(stderr, "hemi: user code: kvm; not ring3: %s\n", why);
		if (!kvm_err)
			err = 0;
	}
	if (!err)
		engine_use_alone(vmm, &vmm->served[0]);
	return err;
}

void engines_close(struct vmm *vmm)
{
	shadow_destroy(vmm->shadow);
	for (unsigned i = 0; i < vmm->nserved; i++)
		vmm->served[i].e->close(vmm->served[i].self);
}

/* --- The choice --------------------------------------------------------------------------- */

static void tell_choice(const struct vmm *vmm, enum code code, const char *const refused[])
{
	const char *sep = " (";

	fprintf(stderr, "hemi: %s user code: %s", code_names[code], vmm->for_code[code]->e->name);
	for (unsigned i = 0; i < vmm->nserved; i++, sep = ", ") {
		const struct served *s = &vmm->served[i];

		if (s->crossing_us[code] > 0)
			fprintf(stderr, "%sa crossing of %s takes %.1f us", sep, s->e->name, s->crossing_us[code]);
		else
			fprintf(stderr, "%snot %s: %s", sep, s->e->name, refused[i] ? refused[i] : "it does not run it");
	}
	fputs(")\n", stderr);
}

void engines_measure(struct vmm *vmm)
{
	struct probe_crossing all[ARRAY_LEN(vmm->served)][PROBE_CODES];
	static const enum probe_code as_probed[CODES] = { [CODE_64] = PROBE_64, [CODE_NARROW] = PROBE_32 };

	if (vmm->measured || vmm->nserved < 2)
		return;
	vmm->measured = true;
	for (unsigned i = 0; i < vmm->nserved; i++)
		probe_crossings(vmm->served[i].e, vmm->served[i].self, vmm->m, all[i]);
	for (unsigned code = 0; code < CODES; code++) {
		const char *refused[ARRAY_LEN(vmm->served)];
		struct served *best = NULL;

		for (unsigned i = 0; i < vmm->nserved; i++) {
			struct served *s = &vmm->served[i];

			s->crossing_us[code] = all[i][as_probed[code]].us;
			refused[i] = all[i][as_probed[code]].refused;
			if (s->crossing_us[code] > 0 && (!best || s->crossing_us[code] < best->crossing_us[code]))
				best = s;
		}
		vmm->for_code[code] = best ? best : &vmm->served[0];
		if (vmm->m->config->verbose)
			tell_choice(vmm, (enum code)code, refused);
	}
}

bool engine_choose(struct vmm *vmm)
{
	struct served *s = vmm->for_code[cpu_code64(vmm->m->cpu) ? CODE_64 : CODE_NARROW];

	if (s != vmm->running)
		engine_use(vmm, s);
	return s;
}

bool engine_other(struct vmm *vmm)
{
	for (unsigned i = 0; i < vmm->nserved; i++)
		if (&vmm->served[i] != vmm->running && !vmm->served[i].failed) {
			engine_use(vmm, &vmm->served[i]);
			return true;
		}
	return false;
}

/* --- Failure ------------------------------------------------------------------------------ */

bool engine_failed(struct vmm *vmm, int err, bool lost)
{
	struct served *s = vmm->running;
	const char *what = s->e->failure ? s->e->failure(s->self) : NULL;
	char why[128];

	(void)err;
	s->failed = true;
	if (!what)
		return false;
	if (lost || vmm->m->config->direct != DIRECT_AUTO) {
		fprintf(stderr, "hemi: %s\n", what);
		return false;
	}
	shadow_drop_spaces(vmm->shadow, s->side);
	if (!engine_other(vmm) && (vmm->nserved == ARRAY_LEN(vmm->served) ||
				   open_engine(vmm, &direct_ring3, false, why) || !engine_other(vmm)))
		engine_use(vmm, NULL);
	engine_use_alone(vmm, vmm->running);
	fprintf(stderr, "hemi: %s; user code goes on %s\n", what, vmm->engine ? "with ring3" : "interpreted");
	return true;
}

/* --- The account -------------------------------------------------------------------------- */

void engines_stats(struct vmm *vmm, struct stats *out)
{
	unsigned ran = 0, n = 0;

	for (unsigned i = 0; i < vmm->nserved; i++) {
		struct served *s = &vmm->served[i];
		unsigned live, made;

		s->e->counts(s->self, &live, &made);
		out->stubs.live += live;
		out->stubs.made += made;
		out->by_engine[n++] = (struct stats_count){ s->e->name, s->runs };
		if (s->runs) {
			out->direct = s->e->name;
			ran++;
		}
	}
	if (ran > 1)
		out->direct = "ring3 and kvm";
	else if (!ran)
		out->direct = vmm->engine ? vmm->engine->name : vmm->served[0].e->name;
}

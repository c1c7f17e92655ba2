/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does `hemi criterion` see what instructions do, or what it was told? The meaning of one
 * instruction is changed at a time, and exactly its verdict must change, as the table says. The
 * interpreter is as it is everywhere: the linker puts __wrap_lower() between it and lower(),
 * which picks the handler of a decoded instruction (Makefile.am: --wrap=lower).
 *
 *   criterion_mutations [STATES]	of each form, when everything is looked at
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "criterion/criterion.h"
#include "interp/lower.h"
#include "interp/mnem.h"
#include "interp/system_ops.h"

#define STATES		2	/* of all instructions; user mode has one of four */
#define STATES_ONE	32	/* of the one that was changed */
#define SEED		4

/* --- Other meanings ----------------------------------------------------------------------- */

static op_fn *original;

static HANDLER(traps_in_user_mode)
{
	SYNC(v, op);
	need_cpl0(v);
	return original(v, op);
}

static HANDLER(does_nothing)
{
	NEXT(v, op);
}

static HANDLER(nothing_in_user_mode)
{
	if (v->cpu.cpl == 3)
		NEXT(v, op);
	return original(v, op);
}

/* Done with the rights of the supervisor: privilege levels are not looked at. */
static const struct op *as_supervisor(struct interp *v, const struct op *op)
{
	const uint8_t cpl = v->cpu.cpl;
	const struct op *next;

	v->cpu.cpl = 0;
	next = original(v, op);
	v->cpu.cpl = cpl;
	return next;
}

static HANDLER(lar_of_all) { return as_supervisor(v, op); }
static HANDLER(lgdt_for_all) { return as_supervisor(v, op); }
static HANDLER(rdtsc_for_all) { return as_supervisor(v, op); }
static HANDLER(cli_for_all)
{
	v->cpu.eflags &= ~FL_IF;
	NEXT(v, op);
}

static HANDLER(smsw_of_another)
{
	if (op->flags & OPF_MEM)
		mem_write(v, op->seg, ea_offset(v, op), 2, 0x33);
	else
		reg_set(v, op->a, op->osize, 0x33);
	NEXT_CHECKED(v, op);
}

static HANDLER(pushfd_without_if)
{
	const uint32_t fl = v->cpu.eflags;
	const struct op *next;

	v->cpu.eflags = fl & ~(FL_IF | FL_IOPL);
	next = original(v, op);
	v->cpu.eflags = fl;
	return next;
}

static HANDLER(cdq_of_if)
{
	v->cpu.gpr[RDX] = v->cpu.eflags & FL_IF;
	NEXT(v, op);
}

/* The linear address instead of the offset. */
static HANDLER(lea_of_linear)
{
	reg_set(v, op->a, op->osize, ea_offset(v, op) + v->cpu.seg[SEG_DS].base);
	NEXT(v, op);
}

/* --- The table ----------------------------------------------------------------------------- */

/*
 * Verdicts as letters: Privileged, Control-sensitive, behaviour depends on Mode, Location,
 * Resources, User-sensitive.
 */
struct mutation {
	const char *what, *of, *name;
	uint16_t mnem;
	op_fn *fn;
	const char *before, *after;
};

static const struct mutation mutations[] = {
	{ "POPFD traps in user mode", "386", "POPFD", M_POPFD, traps_in_user_mode, "-CM-RU", "PC----" },
	{ "PUSHFD shows neither IF nor IOPL", "386", "PUSHFD", M_PUSHFD, pushfd_without_if, "----RU", "------" },
	{ "SGDT faults in user mode", "386", "SGDT", M_SGDT, traps_in_user_mode, "----RU", "P---R-" },
	{ "SMSW shows always the same", "386", "SMSW", M_SMSW, smsw_of_another, "----RU", "------" },
	{ "LAR shows all descriptors", "386", "LAR", M_LAR, lar_of_all, "--ML-U", "---L-U" },
	{ "CDQ shows IF", "386", "CDQ", M_CDQ, cdq_of_if, "------", "----RU" },
	{ "LEA adds the segment's base", "386", "LEA", M_LEA, lea_of_linear, "------", "---L-U" },
	{ "LGDT may be used by all", "386", "LGDT", M_LGDT, lgdt_for_all, "PC----", "-C---U" },
	{ "HLT does nothing in user mode", "386", "HLT", M_HLT, nothing_in_user_mode, "PC----", "-CM---" },
	{ "INVD does nothing, for all", "pentium", "INVD", M_INVD, does_nothing, "P-----", "------" },
	{ "CLI ignores IOPL", "386-gate", "CLI", M_CLI, cli_for_all, "PC----", "-C---U" },
	{ "RDTSC ignores CR4.TSD", "pentium-tsd", "RDTSC", M_RDTSC, rdtsc_for_all, "P---R-", "----RU" },
	{ "CPUID faults in user mode", "x86-64-gate", "CPUID", M_CPUID, traps_in_user_mode, "----RU", "P---R-" },
};

static const struct mutation *mutated;

void __real_lower(const struct cpu_model *model, uint32_t hflags, const struct insn *in,
		  unsigned off, bool single, struct op *op, struct lowered *out);
void __wrap_lower(const struct cpu_model *model, uint32_t hflags, const struct insn *in,
		  unsigned off, bool single, struct op *op, struct lowered *out);

void __wrap_lower(const struct cpu_model *model, uint32_t hflags, const struct insn *in,
		  unsigned off, bool single, struct op *op, struct lowered *out)
{
	__real_lower(model, hflags, in, off, single, op, out);
	if (!mutated || in->mnem != mutated->mnem)
		return;
	original = op->fn;
	op->fn = mutated->fn;
}

/* --- Verdicts ------------------------------------------------------------------------------ */

struct letters { char s[7]; };

static struct letters letters(const struct verdict *v)
{
	unsigned on = depends_on(v);
	struct letters l = { "------" };

	if (is_privileged(v))
		l.s[0] = 'P';
	if (v->control.found || v->user_control.found)
		l.s[1] = 'C';
	for (unsigned i = 0; i < 3; i++)
		if (on >> i & 1)
			l.s[2 + i] = "MLR"[i];
	if (is_user_sensitive(v))
		l.s[5] = 'U';
	return l;
}

static const struct criterion_case *find_case(const char *name)
{
	for (unsigned i = 0; i < criterion_ncases; i++)
		if (!strcmp(criterion_cases[i].name, name))
			return &criterion_cases[i];
	printf("no case %s\n", name);
	exit(1);
}

static void run(struct criterion *c, const struct mutation *of, bool changed, const char *only,
		unsigned states)
{
	mutated = changed ? of : NULL;
	if (criterion_run(c, find_case(of->of), states, SEED, only)) {
		puts("no machine");
		exit(1);
	}
}

static struct letters one(const struct mutation *m, bool changed)
{
	struct letters l = { "absent" };
	struct criterion c;

	run(&c, m, changed, m->name, STATES_ONE);
	if (c.n == 1)
		l = letters(&c.v[0]);
	criterion_free(&c);
	return l;
}

/* How many others changed their verdicts. */
static unsigned others(const struct mutation *m, const struct criterion *before, unsigned states)
{
	struct criterion after;
	unsigned wrong = 0;

	run(&after, m, true, NULL, states);
	for (unsigned i = 0; i < after.n; i++) {
		struct letters a = letters(&before->v[i]), b = letters(&after.v[i]);

		if (!strcmp(after.v[i].name, m->name) || !strcmp(a.s, b.s))
			continue;
		printf("%s: %s became %s too, from %s\n", m->what, after.v[i].name, b.s, a.s);
		wrong++;
	}
	wrong += after.n != before->n;
	criterion_free(&after);
	return wrong;
}

int main(int argc, char **argv)
{
	unsigned states = argc > 1 ? (unsigned)atoi(argv[1]) : STATES, wrong = 0;
	struct criterion before = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(mutations); i++) {
		const struct mutation *m = &mutations[i];
		struct letters a = one(m, false), b = one(m, true);
		bool right = !strcmp(a.s, m->before) && !strcmp(b.s, m->after);

		if (!before.of || strcmp(before.of->name, m->of)) {
			criterion_free(&before);
			run(&before, m, false, NULL, states);
		}
		printf("%-11s %-34s %s -> %s%s\n", m->of, m->what, a.s, b.s,
		       right ? "" : "  WRONG");
		if (!right)
			printf("            expected: %s -> %s\n", m->before, m->after);
		wrong += !right + others(m, &before, states);
		fflush(stdout);
	}
	criterion_free(&before);
	printf("%u wrong\n", wrong);
	return wrong != 0;
}

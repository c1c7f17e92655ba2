/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What must be the same after an instruction, and what the architecture leaves open
 * (SDM 2, each instruction's "Flags Affected"). The interpreter takes most undefined
 * flags from the host; the table has the rest.
 */
#include "debug/lockstep.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "debug/disasm.h"
#include "debug/newer.h"

#define FL_NOT_CF (FL_OF | FL_SF | FL_AF | FL_PF)

/* Undefined flags, and what else cannot be compared, by mnemonic. */
enum { ANY_RESULT = 1, MAY_STOP = 2, PUSHES_TF = 4, UPPER_OPEN = 8, REPEATS = 16,
       ROTATES = 32, MAY_STORE_NONE = 64 };
static const struct rule { const char *name; uint32_t flags; unsigned how; } rules[] = {
	{ "div", FL_ARITH, 0 }, { "idiv", FL_ARITH, 0 },
	{ "daa", FL_OF, 0 }, { "das", FL_OF, 0 },
	{ "aaa", FL_OF | FL_SF | FL_ZF | FL_PF, 0 }, { "aas", FL_OF | FL_SF | FL_ZF | FL_PF, 0 },
	{ "aam", FL_OF | FL_AF | FL_CF, 0 }, { "aad", FL_OF | FL_AF | FL_CF, 0 },
	{ "bt", FL_NOT_CF, 0 }, { "bts", FL_NOT_CF, 0 }, { "btr", FL_NOT_CF, 0 },
	{ "btc", FL_NOT_CF, 0 },
	{ "rol", FL_OF, ROTATES }, { "ror", FL_OF, ROTATES },
	/* With an empty mask a processor may fault, or not. */
	{ "maskmovq", 0, MAY_STORE_NONE }, { "maskmovdqu", 0, MAY_STORE_NONE },
	/* Time, chance, and images that hold instruction pointers. */
	{ "rdtsc", 0, ANY_RESULT | MAY_STOP }, { "rdtscp", 0, ANY_RESULT | MAY_STOP },
	{ "rdrand", 0, ANY_RESULT }, { "rdseed", 0, ANY_RESULT },
	{ "fnsave", 0, ANY_RESULT }, { "fsave", 0, ANY_RESULT }, { "fnstenv", 0, ANY_RESULT },
	{ "fstenv", 0, ANY_RESULT }, { "fxsave", 0, ANY_RESULT }, { "fxsave64", 0, ANY_RESULT },
	/* A stepped process sees its step. */
	{ "pushf", 0, PUSHES_TF }, { "pushfd", 0, PUSHES_TF }, { "pushfq", 0, PUSHES_TF },
	/* Of a selector's slot on the stack, only the lower half need be written. */
	{ "push es", 0, UPPER_OPEN }, { "push cs", 0, UPPER_OPEN }, { "push ss", 0, UPPER_OPEN },
	{ "push ds", 0, UPPER_OPEN }, { "push fs", 0, UPPER_OPEN }, { "push gs", 0, UPPER_OPEN },
	/* Between iterations, flags are the last comparison's or still those from before. */
	{ "scasb", 0, REPEATS }, { "scasw", 0, REPEATS }, { "scasd", 0, REPEATS },
	{ "scasq", 0, REPEATS }, { "cmpsb", 0, REPEATS }, { "cmpsw", 0, REPEATS },
	{ "cmpsd", 0, REPEATS }, { "cmpsq", 0, REPEATS },
	/* What only the guest's own tables and model can answer. */
	{ "cpuid", 0, MAY_STOP }, { "xgetbv", 0, MAY_STOP }, { "rdpid", 0, MAY_STOP },
	{ "sgdt", 0, ANY_RESULT | MAY_STOP }, { "sidt", 0, ANY_RESULT | MAY_STOP }, { "sldt", 0, ANY_RESULT | MAY_STOP },
	{ "str", 0, ANY_RESULT | MAY_STOP }, { "smsw", 0, ANY_RESULT | MAY_STOP },
	{ "lar", 0, MAY_STOP }, { "lsl", 0, MAY_STOP }, { "verr", 0, MAY_STOP },
	{ "verw", 0, MAY_STOP }, { "in", 0, MAY_STOP }, { "out", 0, MAY_STOP },
	{ "insb", 0, MAY_STOP }, { "insw", 0, MAY_STOP }, { "insd", 0, MAY_STOP },
	{ "outsb", 0, MAY_STOP }, { "outsw", 0, MAY_STOP }, { "outsd", 0, MAY_STOP },
	{ "iret", 0, MAY_STOP }, { "iretd", 0, MAY_STOP }, { "iretq", 0, MAY_STOP },
};

static const struct rule *rule_for(const char *text)
{
	static const char *const prefixes[] = { "lock ", "rep ", "repne ", "repe ", "repz ", "repnz " };
	static const struct rule none = { "", 0, 0 };
	size_t n;

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (!strncmp(text, prefixes[i], strlen(prefixes[i])))
			text += strlen(prefixes[i]);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		n = strlen(rules[i].name);
		if (!strncmp(rules[i].name, text, n) && (!text[n] || text[n] == ' '))
			return &rules[i];
	}
	return &none;
}

/* OF is defined for counts of 1 only. */
static uint32_t open_flags(const struct rule *r, const char *text, const struct cpu *before)
{
	const char *count = strrchr(text, ',');

	if (!(r->how & ROTATES) || !count)
		return r->flags;
	if (!strcmp(count, ", 1"))
		return 0;
	return !strcmp(count, ", cl") && (before->gpr[RCX] & 31) == 1 && !(before->gpr[RCX] & 32) ? 0 : r->flags;
}

static unsigned code_bits(const struct cpu *c)
{
	return cpu_code64(c) ? 64 : c->seg[SEG_CS].attr & SEG_D ? 32 : 16;
}

static bool segments_same(const struct cpu *a, const struct cpu *b)
{
	for (unsigned i = 0; i <= SEG_GS; i++)
		if (a->seg[i].sel != b->seg[i].sel)
			return false;
	return true;
}

#define DIFFER(...) do { snprintf(what, size, __VA_ARGS__); return true; } while (0)

static const char *const gpr_names[16] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};

static bool registers_differ(const struct cpu *i, const struct cpu *d, uint32_t undefined,
			     char *what, size_t size)
{
	uint32_t open = undefined | FL_RF | FL_TF;
	uint32_t fi = cpu_eflags(i) & ~open, fd = cpu_eflags(d) & ~open;

	if (i->rip != d->rip)
		DIFFER("rip: interpreter %" PRIx64 ", direct %" PRIx64, i->rip, d->rip);
	for (unsigned r = 0; r < 16; r++)
		if (i->gpr[r] != d->gpr[r])
			DIFFER("%s: interpreter %" PRIx64 ", direct %" PRIx64, gpr_names[r],
			       i->gpr[r], d->gpr[r]);
	if (fi != fd)
		DIFFER("flags: interpreter %x, direct %x", fi, fd);
	for (unsigned s = 0; s <= SEG_GS; s++)
		if (i->seg[s].sel != d->seg[s].sel || i->seg[s].base != d->seg[s].base)
			DIFFER("segment register %u: interpreter %x base %" PRIx64 ", direct %x base %"
			       PRIx64, s, i->seg[s].sel, i->seg[s].base, d->seg[s].sel, d->seg[s].base);
	return false;
}

/* Instruction and data pointers are left out: processors keep them differently. */
static bool fpu_differs(const struct fpu *i, const struct fpu *d, char *what, size_t size)
{
	if (i->cw != d->cw || i->sw != d->sw || i->tags != d->tags)
		DIFFER("x87 cw/sw/tags: interpreter %04x %04x %02x, direct %04x %04x %02x", i->cw,
		       i->sw, i->tags, d->cw, d->sw, d->tags);
	for (unsigned k = 0; k < 8; k++)
		if (memcmp(i->st[k].b, d->st[k].b, 10))
			DIFFER("R%u: interpreter %04x:%016" PRIx64 ", direct %04x:%016" PRIx64, k,
			       i->st[k].w[4], i->st[k].q[0], d->st[k].w[4], d->st[k].q[0]);
	if (i->mxcsr != d->mxcsr)
		DIFFER("mxcsr: interpreter %x, direct %x", i->mxcsr, d->mxcsr);
	for (unsigned k = 0; k < 16; k++)
		if (memcmp(&i->xmm[k], &d->xmm[k], 16))
			DIFFER("xmm%u: interpreter %016" PRIx64 "%016" PRIx64 ", direct %016" PRIx64
			       "%016" PRIx64, k, i->xmm[k].q[1], i->xmm[k].q[0], d->xmm[k].q[1],
			       d->xmm[k].q[0]);
	return false;
}

static bool stores_differ(struct machine *m, const struct lockstep_case *k, unsigned how, char *what,
			  size_t size)
{
	uint8_t now, wanted;
	gpa_t gpa;

	if (!journal_differs(&m->mem, k->stores, &gpa, &now, &wanted))
		return false;
	if ((how & PUSHES_TF) && now == (wanted | FL_TF >> 8)) {
		*memory_hva(&m->mem, gpa) = wanted;
		if (!journal_differs(&m->mem, k->stores, &gpa, &now, &wanted))
			return false;
	}
	/* Processors that leave it alone move two bytes (SDM 2 PUSH). */
	while ((how & UPPER_OPEN) && (gpa - (gpa_t)k->interp->gpr[RSP]) % PAGE_SIZE >= 2 &&
	       (gpa - (gpa_t)k->interp->gpr[RSP]) % PAGE_SIZE < 8) {
		*memory_hva(&m->mem, gpa) = wanted;
		if (!journal_differs(&m->mem, k->stores, &gpa, &now, &wanted))
			return false;
	}
	DIFFER("memory at physical %" PRIx64 ": interpreter %02x, direct %02x", (uint64_t)gpa, wanted, now);
}

bool lockstep_differs(struct machine *m, const struct lockstep_case *k, char *what, size_t size)
{
	const struct rule *rule;
	char text[96] = "";

	if (vendor_meaning(k->bytes, k->n, code_bits(k->before)))
		return false;
	disasm(k->bytes, k->n, k->before->rip, code_bits(k->before), text, sizeof(text));
	rule = rule_for(text);
	if (k->ended == LOCKSTEP_DONE) {
		if (k->interp->cpl != 3 && newer_encoding(k->bytes, k->n, code_bits(k->before)))
			return false;
		/* A host that emulates an instruction may not look at segments, and steps on
		 * over the next one. */
		if ((rule->how & ANY_RESULT) && (rule->how & MAY_STOP))
			return false;
		if (k->interp->cpl != 3)
			DIFFER("the interpreter left user mode, direct went on");
		if ((rule->how & ANY_RESULT) || newer_meaning(k->bytes, k->n))
			return k->interp->rip != k->direct->rip &&
			       registers_differ(k->interp, k->direct, FL_ARITH, what, size);
		bool midway = (rule->how & REPEATS) && k->interp->rip == k->before->rip;

		return registers_differ(k->interp, k->direct, midway ? FL_ARITH :
					open_flags(rule, text, k->before), what,
					size) ||
		       fpu_differs(&k->interp->fpu, &k->direct->fpu, what, size) ||
		       stores_differ(m, k, rule->how, what, size);
	}
	if (k->interp->cpl != 3 || (rule->how & MAY_STOP))
		return false;
	if ((rule->how & MAY_STORE_NONE) && !k->stores->n)
		return false;
	/* The host checks alignment whether or not the guest's kernel asked for it. */
	if (k->ended == LOCKSTEP_STOPPED && (k->before->eflags & FL_AC) && !(k->before->cr0 & CR0_AM))
		return false;
	/* Selectors that the host does not have are loaded by the interpreter alone. */
	if (k->ended == LOCKSTEP_STOPPED && !segments_same(k->before, k->interp))
		return false;
	DIFFER("the interpreter went on, direct stopped: %s",
	       k->ended == LOCKSTEP_FAULTED ? "page fault" : "exception or trap");
}

/* --- The report -------------------------------------------------------------------- */

static void show(const char *who, const struct cpu *c)
{
	fprintf(stderr, "  %s: rip %" PRIx64 " flags %x cpl %u\n", who, c->rip, cpu_eflags(c), c->cpl);
	for (unsigned r = 0; r < 16; r++)
		fprintf(stderr, "%s%3s %016" PRIx64 "%s", r % 4 ? " " : "    ", gpr_names[r],
			c->gpr[r], r % 4 == 3 ? "\n" : "");
	fprintf(stderr, "    cw %04x sw %04x tags %02x mxcsr %08x\n", c->fpu.cw, c->fpu.sw, c->fpu.tags,
		c->fpu.mxcsr);
	for (unsigned r = 0; r < 8; r++)
		fprintf(stderr, "%sR%u %04x:%016" PRIx64 "%s", r % 4 ? " " : "    ", r,
			c->fpu.st[r].w[4], c->fpu.st[r].q[0], r % 4 == 3 ? "\n" : "");
	for (unsigned r = 0; r < 16; r++)
		fprintf(stderr, "%sxmm%-2u %016" PRIx64 "%016" PRIx64 "%s", r % 2 ? " " : "    ", r,
			c->fpu.xmm[r].q[1], c->fpu.xmm[r].q[0], r % 2 ? "\n" : "");
}

void lockstep_report(const struct lockstep_case *k, const char *what)
{
	char text[96] = "?";
	unsigned n = disasm(k->bytes, k->n, k->before->rip, code_bits(k->before), text, sizeof(text));

	fprintf(stderr, "hemi: lockstep: at %" PRIx64 ":", k->before->rip);
	for (unsigned i = 0; i < (n ? n : k->n); i++)
		fprintf(stderr, " %02x", k->bytes[i]);
	fprintf(stderr, "  %s\n  %s\n", text, what);
	show("before", k->before);
	show("interpreter", k->interp);
	show("direct", k->direct);
}

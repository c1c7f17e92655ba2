/* SPDX-License-Identifier: BSD-2-Clause */
#include "direct/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CODE	0x10000u
#define DATA	0x11000u
#define PML4	0x1000u
#define GDT	0x4000u
/* Selectors as 64-bit Linux has them: some engines can show no others. */
#define SEL_CODE32	0x23u
#define SEL_DATA	0x2bu
#define SEL_CODE64	0x33u
#define SEL_CODE16	0x4bu

#define CROSSINGS	101
#define FEW_CROSSINGS	15
#define TRIES		5
#define HOPELESS_US	5000.0

const char *const probe_code_names[PROBE_CODES] = { "64-bit", "32-bit", "16-bit" };
const char *const probe_verdict_names[] = { "traps", "spoofed", "agrees", "silent", "invalid", "failed" };

const struct probe_residual probe_residuals[] = {
#define RESIDUAL(ring3, kvm, what, rows)	{ ring3, kvm, what, rows },
#include "direct/residual.def"
#undef RESIDUAL
};
const unsigned probe_nresiduals = ARRAY_LEN(probe_residuals);

struct probe { const struct direct_engine *e; void *self; struct machine *m; struct sink sink; struct space *space; };

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* --- The guest: one large page, four descriptors ------------------------------------------ */

static void put64(struct machine *m, gpa_t at, uint64_t x)
{
	memcpy(m->mem.ram + at, &x, 8);
}

static void guest_make(struct machine *m)
{
	memset(m->mem.ram, 0, DATA + PAGE_SIZE);
	put64(m, PML4, (PML4 + 0x1000) | 7);
	put64(m, PML4 + 0x1000, (PML4 + 0x2000) | 7);
	put64(m, PML4 + 0x2000, 0xe7);
	put64(m, GDT + (SEL_CODE32 & ~7u), 0x00cffb000000ffffull);
	put64(m, GDT + (SEL_DATA & ~7u), 0x00cff3000000ffffull);
	put64(m, GDT + (SEL_CODE64 & ~7u), 0x00affb000000ffffull);
	put64(m, GDT + (SEL_CODE16 & ~7u), 0x008ffb010000ffffull);
}

static void cpu_make(struct cpu *c, enum probe_code code)
{
	static const struct segment cs[PROBE_CODES] = {
		{ .sel = SEL_CODE64, .attr = 0xa0fb, .limit = 0xffffffff },
		{ .sel = SEL_CODE32, .attr = 0xc0fb, .limit = 0xffffffff },
		{ .sel = SEL_CODE16, .attr = 0x80fb, .limit = 0xffffffff, .base = CODE },
	};
	static const struct segment data = { .sel = SEL_DATA, .attr = 0xc0f3, .limit = 0xffffffff };

	cpu_reset(c);
	memset(c->gpr, 0, sizeof(c->gpr));
	c->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP | CR0_MP;
	c->cr3 = PML4;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	c->efer = EFER_LME | EFER_LMA | EFER_NXE;
	c->cpl = 3;
	c->rip = code == PROBE_16 ? 0 : CODE;	/* its jumps stay below 64 KiB */
	cpu_set_eflags(c, FL_IF | FL_1);
	for (unsigned s = 0; s <= SEG_GS; s++)
		c->seg[s] = s == SEG_FS || s == SEG_GS ? (struct segment){ 0 } : data;
	c->seg[SEG_CS] = cs[code];
	c->gdtr = (struct dtable){ .base = GDT, .limit = 0x4f };
	c->gpr[RSP] = DATA + 0x800;
	c->gpr[RDI] = DATA;
	c->fpu.cw = 0x37f;
	c->fpu.mxcsr = 0x1f80;
}

/* Runs the bytes and the UD2 behind them. */
static void run(struct probe *p, enum probe_code code, const char *bytes, size_t n, struct cpu *c,
		struct direct_exit *x)
{
	memcpy(p->m->mem.ram + CODE, bytes, n);
	memcpy(p->m->mem.ram + CODE + n, "\x0f\x0b", 2);
	cpu_make(c, code);
	do
		p->e->run(p->self, p->space, c, x);
	while (x->kind == DEXIT_KICK);
	if (x->fpu_away)
		p->e->fpu_fetch(p->self, c);
}

static bool went_through(const struct cpu *c, const struct direct_exit *x, size_t n)
{
	return x->kind == DEXIT_TRAP && c->rip + c->seg[SEG_CS].base == CODE + n;
}

/* --- Kinds of code -------------------------------------------------------------------------- */

/* DEC ECX, JNZ back to it; 16-bit code has a prefix before the first. */
static void host_loop(uint32_t n)
{
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n));
}

static double loop_us(struct probe *p, enum probe_code code, uint32_t n, struct probe_kind *k)
{
	char bytes[16];
	size_t len = 0;
	double began;
	struct direct_exit x;
	struct cpu c;

	if (code == PROBE_16)
		bytes[len++] = 0x66;
	bytes[len++] = (char)0xb9;
	memcpy(bytes + len, &n, 4);
	len += 4;
	if (code == PROBE_16)
		bytes[len++] = 0x66;
	memcpy(bytes + len, code == PROBE_16 ? "\xff\xc9\x75\xfb" : "\xff\xc9\x75\xfc", 4);
	len += 4;
	began = now_us();
	run(p, code, bytes, len, &c, &x);
	k->works = went_through(&c, &x, len) && (uint32_t)c.gpr[RCX] == 0;
	return now_us() - began;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double crossing_us(struct probe *p, enum probe_code code, unsigned n)
{
	double all[CROSSINGS], clock[CROSSINGS];	/* a host's clock may be dear, too */
	struct direct_exit x;
	struct cpu c;

	for (unsigned i = 0; i < n; i++) {
		double began;

		cpu_make(&c, code);
		memcpy(p->m->mem.ram + CODE, "\x0f\x0b", 2);
		began = now_us();
		p->e->run(p->self, p->space, &c, &x);
		all[i] = now_us() - began;
		began = now_us();
		clock[i] = now_us() - began;
	}
	qsort(all, n, sizeof(all[0]), compare_doubles);
	qsort(clock, n, sizeof(clock[0]), compare_doubles);
	return all[n / 2] - clock[n / 2];
}

/* The least of a few tries: what disturbs only adds. One that is hopeless may have been disturbed. */
static double loop_least(struct probe *p, enum probe_code code, uint32_t n, struct probe_kind *k)
{
	double least = loop_us(p, code, n, k);

	for (unsigned i = 0; i < TRIES && (!i || least < HOPELESS_US); i++) {
		double us = loop_us(p, code, n, k);

		least = us < least ? us : least;
	}
	return least;
}

static void probe_code(struct probe *p, enum probe_code code, struct probe_kind *k)
{
	const uint32_t few = 2000, many = 2000000;
	double host = 1e9, began, base, guest;
	struct cpu c;

	for (unsigned i = 0; i < TRIES; i++) {
		began = now_us();
		host_loop(many);
		host = now_us() - began < host ? now_us() - began : host;
	}
	cpu_make(&c, code);
	/* The engine's own text goes with the engine. */
	const char *refused = p->e->refuses(p->self, &c);

	if (refused) {
		snprintf(k->why, sizeof(k->why), "%s", refused);
		k->refused = k->why;
	}
	base = loop_least(p, code, few, k);
	if (!k->works)
		return;
	if (base > HOPELESS_US) {	/* not again for longer */
		k->slower = base / (host / many * few);
	} else {
		guest = loop_least(p, code, many, k) - base;
		k->slower = guest > 0 ? guest / (host - host / many * few) : 1;
	}
	k->crossing_us = crossing_us(p, code, CROSSINGS);
}

/* --- Sensitive instructions ------------------------------------------------------------------- */

/* What they leave: EAX, EFLAGS' ZF, or ten bytes at DATA. */
enum shows { EAX, ZF, MEMORY, IF_FLAG, CPU_ID, NOTHING };
static const struct { const char *name, *bytes; uint8_t n; enum shows shows; } insns[] = {
	{ "SGDT", "\x0f\x01\x07", 3, MEMORY }, { "SIDT", "\x0f\x01\x0f", 3, MEMORY },
	{ "SLDT", "\x0f\x00\xc0", 3, EAX }, { "STR", "\x0f\x00\xc8", 3, EAX },
	{ "SMSW", "\x0f\x01\xe0", 3, EAX },
	{ "LAR", "\x0f\x02\xc1", 3, ZF }, { "LSL", "\x0f\x03\xc1", 3, ZF },
	{ "VERR", "\x0f\x00\xe1", 3, ZF }, { "VERW", "\x0f\x00\xe9", 3, ZF },
	{ "MOV r, CS", "\x8c\xc8", 2, EAX }, { "MOV r, SS", "\x8c\xd0", 2, EAX },
	{ "MOV FS, r", "\x8e\xe1", 2, NOTHING },
	{ "PUSHF", "\x9c\x58", 2, IF_FLAG }, { "POPF", "\x51\x9d\x9c\x58", 4, IF_FLAG },
	{ "CPUID", "\x31\xc9\xb8\x01\x00\x00\x00\x0f\xa2", 9, CPU_ID },
	{ "XGETBV", "\x0f\x01\xd0", 3, NOTHING }, { "RDPID", "\xf3\x0f\xc7\xf8", 4, NOTHING },
	{ "RDTSCP", "\x0f\x01\xf9", 3, NOTHING }, { "RDTSC", "\x0f\x31", 2, NOTHING },
	{ "RDPMC", "\x0f\x33", 2, NOTHING },
	{ "SYSCALL", "\x0f\x05", 2, NOTHING }, { "SYSENTER", "\x0f\x34", 2, NOTHING },
	{ "INT 80h", "\xcd\x80", 2, NOTHING }, { "INT3", "\xcc", 1, NOTHING }, { "INT1", "\xf1", 1, NOTHING },
	{ "CLI", "\xfa", 1, NOTHING }, { "STI", "\xfb", 1, NOTHING }, { "HLT", "\xf4", 1, NOTHING },
	{ "IN", "\xec", 1, NOTHING }, { "OUT", "\xee", 1, NOTHING },
	{ "MOV CR0", "\x0f\x20\xc0", 3, NOTHING }, { "WRMSR", "\x0f\x30", 2, NOTHING },
	{ "LGDT", "\x0f\x01\x17", 3, NOTHING },
};
_Static_assert(sizeof(insns) / sizeof(insns[0]) <= PROBE_INSNS_MAX, "room in the report");

/* It ran: is that what the guest's processor would have answered? The guest of this probe
 * has a GDT of ten entries at a known place, no LDT, no task, and CR0 as cpu_make() says. */
static enum probe_verdict judge(struct probe *p, unsigned i, const struct cpu *c)
{
	uint32_t eax = (uint32_t)c->gpr[RAX], want[4];
	uint64_t base;

	switch (insns[i].shows) {
	case MEMORY:
		memcpy(&base, p->m->mem.ram + DATA + 2, 8);
		/* arch/x86/kernel/umip.c in Linux */
		return base == 0xfffffffffffe0000ull || base == 0xffffffffffff0000ull ? PROBE_SPOOFED : PROBE_SILENT;
	case EAX:
		if (insns[i].bytes[0] == (char)0x8c)
			return eax == (insns[i].bytes[1] == (char)0xc8 ? SEL_CODE64 : SEL_DATA) ? PROBE_AGREES : PROBE_SILENT;
		return eax == 0x80050033 || eax == 0x33 || eax == 0x40 || eax == 0x50 ? PROBE_SPOOFED : PROBE_SILENT;
	case ZF:	/* selector 0x7b: DPL 3 on a Linux host, not there in the guest */
		return cpu_eflags(c) & FL_ZF ? PROBE_SILENT : PROBE_AGREES;
	case IF_FLAG:
		return (eax & (FL_IF | FL_IOPL)) == FL_IF ? PROBE_AGREES : PROBE_SILENT;
	case CPU_ID:
		p->m->cpuid(p->m->cpuid_self, 1, 0, want);
		return eax == want[0] && (uint32_t)c->gpr[RBX] == want[1] && (uint32_t)c->gpr[RCX] == want[2] &&
		       (uint32_t)c->gpr[RDX] == want[3] ? PROBE_AGREES : PROBE_SILENT;
	case NOTHING:
		break;
	}
	return PROBE_SILENT;
}

static enum probe_verdict probe_insn(struct probe *p, unsigned i)
{
	/* CPUID's own place behind what prepares it. */
	unsigned at = insns[i].shows == CPU_ID ? 7 : 0;
	struct direct_exit x;
	struct cpu c;

	memcpy(p->m->mem.ram + CODE, insns[i].bytes, insns[i].n);
	memcpy(p->m->mem.ram + CODE + insns[i].n, "\x0f\x0b", 2);
	cpu_make(&c, PROBE_64);
	c.gpr[RCX] = insns[i].shows == ZF || !strcmp(insns[i].name, "MOV FS, r") ? 0x7b : 0;
	do
		p->e->run(p->self, p->space, &c, &x);
	while (x.kind == DEXIT_KICK);
	if (x.kind == DEXIT_HOST)
		return PROBE_FAILED;
	if (x.kind == DEXIT_SEGMENT)	/* found afterwards, and then answered by the guest's tables */
		return PROBE_TRAPS;
	if (went_through(&c, &x, insns[i].n))
		return judge(p, i, &c);
	if (x.kind == DEXIT_TRAP && x.vectors == 1u << VEC_UD && c.rip == CODE + at &&
	    (!strcmp(insns[i].name, "RDPID") || !strcmp(insns[i].name, "XGETBV")))
		return PROBE_INVALID;
	return PROBE_TRAPS;
}

/* --- All of it ---------------------------------------------------------------------------------- */

static int space_make(struct probe *p)
{
	const struct sink_op ops[] = {
		{ CODE, 1, CODE, SINK_R | SINK_X }, { DATA, 1, DATA, SINK_R | SINK_W },
	};
	int err = 0;

	p->sink = p->e->sink(p->self);
	p->space = p->sink.space_create(p->sink.engine, &err);
	return p->space ? p->sink.apply(p->sink.engine, p->space, ops, ARRAY_LEN(ops)) : err;
}

void probe_crossings(const struct direct_engine *e, void *self, struct machine *m,
		     struct probe_crossing out[PROBE_CODES])
{
	struct probe p = { .e = e, .self = self, .m = m };
	uint8_t *saved = malloc(DATA + PAGE_SIZE);
	struct direct_exit x;
	struct cpu c;

	memset(out, 0, PROBE_CODES * sizeof(*out));
	if (!saved)
		return;
	memcpy(saved, m->mem.ram, DATA + PAGE_SIZE);
	guest_make(m);
	if (!space_make(&p))
		for (unsigned i = 0; i < PROBE_CODES; i++) {
			cpu_make(&c, (enum probe_code)i);
			out[i].refused = e->refuses(self, &c);
			if (out[i].refused)
				continue;
			run(&p, (enum probe_code)i, "", 0, &c, &x);
			if (went_through(&c, &x, 0))
				out[i].us = crossing_us(&p, (enum probe_code)i, FEW_CROSSINGS);
		}
	if (p.space)
		p.sink.space_destroy(p.sink.engine, p.space);
	memcpy(m->mem.ram, saved, DATA + PAGE_SIZE);
	free(saved);
}

void probe_engine(const struct direct_engine *e, struct machine *m, struct probe_report *out)
{
	struct probe p = { .e = e, .m = m };
	int err;

	memset(out, 0, sizeof(*out));
	guest_make(m);
	if (e->open(&p.self, m, out->why))
		return;
	guest_make(m);
	err = space_make(&p);
	if (err)
		snprintf(out->why, sizeof(out->why), "address space: %s", strerror(-err));
	for (unsigned i = 0; i < PROBE_CODES && !err; i++)
		probe_code(&p, (enum probe_code)i, &out->code[i]);
	for (unsigned i = 0; i < ARRAY_LEN(insns) && !err; i++)
		out->insn[out->ninsns++] = (struct probe_insn){ insns[i].name, probe_insn(&p, i) };
	if (p.space)
		p.sink.space_destroy(p.sink.engine, p.space);
	e->close(p.self);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hemi criterion --html: which states of user code the gate admits to direct execution. Nothing is
 * listed here that the gate itself was not asked: gate_refuses() for the flags, the engines'
 * refuses() for segments.
 */
#include <glib.h>
#include <string.h>

#include "cli/criterion.h"
#include "direct/gate.h"
#include "interp/interp.h"

#define GDT	0x1000u
#define SEL(i)	((uint16_t)((i) << 3 | 3))

static const char *refuses_nothing(void *self, const struct cpu *c)
{
	(void)self;
	(void)c;
	return NULL;
}

/* For the flags: an engine that runs every segment. */
static const struct direct_engine any_engine = { .name = "any", .refuses = refuses_nothing };

static const struct segment flat_code = { .sel = SEL(1), .attr = 0xc0fb, .limit = 0xffffffff };
static const struct segment flat_data = { .sel = SEL(2), .attr = 0xc0f3, .limit = 0xffffffff };

static void user_state(struct cpu *c)
{
	cpu_reset(c);
	c->cr0 = CR0_PE | CR0_ET | CR0_NE;
	c->cr4 = CR4_OSFXSR;
	c->cpl = 3;
	c->gdtr = (struct dtable){ .base = GDT, .limit = 0x7f };
	c->rip = 0x2000;
	cpu_set_eflags(c, FL_1 | FL_IF);
	for (unsigned i = 0; i <= SEG_GS; i++)
		c->seg[i] = flat_data;
	c->seg[SEG_CS] = flat_code;
}

/* --- Flags: panels of VM and TF, in each IF across and IOPL down ------------------------------ */

static void panel(GString *s, struct machine *m, bool vm, bool tf)
{
	g_string_append_printf(s,
			       "<svg viewBox=\"-14 0 186 190\" role=img aria-label=\"VM %d, TF "
			       "%d\">\n"
			       "<text x=96 y=16>VM %d, TF %d</text><text x=70 y=38>IF "
			       "0</text><text x=130 y=38>IF 1</text>\n",
			       vm, tf, vm, tf);
	for (unsigned iopl = 0; iopl < 4; iopl++) {
		g_string_append_printf(s, "<text x=20 y=%u>IOPL %u</text>\n", 65 + 36 * iopl, iopl);
		for (unsigned flag = 0; flag < 2; flag++) {
			enum gate_reason r;

			user_state(m->cpu);
			cpu_set_eflags(m->cpu, FL_1 | (flag ? FL_IF : 0) | iopl << 12 |
						       (vm ? FL_VM : 0) | (tf ? FL_TF : 0));
			r = gate_refuses(m, &any_engine, NULL, false);
			g_string_append_printf(s,
					       "<rect x=%u y=%u width=56 height=32 "
					       "class=%s><title>%s</title></rect>"
					       "<text x=%u y=%u class=c>%s</text>\n",
					       42 + 60 * flag, 44 + 36 * iopl, r ? "i" : "d",
					       r ? gate_reason_name(r) : "runs directly",
					       70 + 60 * flag, 65 + 36 * iopl, r ? "-" : "direct");
		}
	}
	g_string_append(s, "</svg>\n");
}

/* --- Everything else that the gate looks at --------------------------------------------------- */

static void set_cpl0(struct machine *m) { m->cpu->cpl = 0; }
static void set_real(struct machine *m) { m->cpu->cr0 &= ~(uint64_t)CR0_PE; }
static void set_ts(struct machine *m) { m->cpu->cr0 |= CR0_TS; }
static void set_em(struct machine *m) { m->cpu->cr0 |= CR0_EM; }
static void set_nosse(struct machine *m) { m->cpu->cr4 = 0; }
static void set_breakpoint(struct machine *m) { m->cpu->dr[7] = 1; }
static void set_shadow(struct machine *m) { m->cpu->int_shadow = true; }
static void set_intr(struct machine *m) { m->intr = true; }
static void set_vip(struct machine *m) { cpu_set_eflags(m->cpu, cpu_eflags(m->cpu) | FL_VIP); }

static const struct { const char *what; void (*set)(struct machine *m); } others[] = {
	{ "CPL 0", set_cpl0 },
	{ "CR0.PE clear", set_real },
	{ "CR0.TS set", set_ts },
	{ "CR0.EM set", set_em },
	{ "CR4.OSFXSR clear", set_nosse },
	{ "a breakpoint armed in DR7", set_breakpoint },
	{ "the instruction after MOV SS or STI", set_shadow },
	{ "an interrupt waits", set_intr },
	{ "EFLAGS.VIP set", set_vip },
};

static void cell(GString *s, const char *label, const char *why)
{
	char *safe = g_markup_escape_text(why ? why : "runs directly", -1);

	g_string_append_printf(s, "<td data-l=\"%s\"><span class=%s>%s</span></td>", label,
			       why ? "bad" : "good", safe);
	g_free(safe);
}

static void table_others(GString *s, struct machine *m)
{
	g_string_append(s, "<table><thead><tr><th>otherwise admitted, but<th>by default<th>with "
			   "--strict</tr></thead>\n");
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		g_string_append_printf(s, "<tr><td data-l=\"state\"><span>%s</span></td>",
				       others[i].what);
		for (unsigned strict = 0; strict < 2; strict++) {
			enum gate_reason r;

			user_state(m->cpu);
			m->intr = false;
			others[i].set(m);
			r = gate_refuses(m, &any_engine, NULL, strict);
			cell(s, strict ? "with --strict" : "by default",
			     r ? gate_reason_name(r) : NULL);
		}
		g_string_append(s, "</tr>\n");
	}
	m->intr = false;
	g_string_append(s, "</table>\n");
}

/* --- Segments: what each engine says --------------------------------------------------- */

static const struct { const char *what; unsigned reg; struct segment seg; } segments[] = {
	{ "flat segments", SEG_DS, { .sel = SEL(2), .attr = 0xc0f3, .limit = 0xffffffff } },
	{ "GS with a base, as for thread-local storage",
	  SEG_GS,
	  { .sel = SEL(4), .attr = 0xc0f3, .limit = 0xffffffff, .base = 0x8000 } },
	{ "DS with a limit of 64 KiB", SEG_DS, { .sel = SEL(5), .attr = 0x40f3, .limit = 0xffff } },
	{ "an expand-down stack", SEG_SS, { .sel = SEL(6), .attr = 0x40f7, .limit = 0xfff } },
	{ "ES of the LDT", SEG_ES, { .sel = SEL(1) | 4, .attr = 0xc0f3, .limit = 0xffffffff } },
	{ "16-bit code", SEG_CS, { .sel = SEL(7), .attr = 0x80fb, .limit = 0xffffffff } },
	{ "conforming code", SEG_CS, { .sel = SEL(8), .attr = 0xc09f, .limit = 0xffffffff } },
	{ "a null SS in 32-bit code", SEG_SS, { 0 } },
	{ "a null FS", SEG_FS, { 0 } },
	{ "DS of a supervisor (DPL 0)",
	  SEG_DS,
	  { .sel = 0x48, .attr = 0xc093, .limit = 0xffffffff } },
};

static void descriptor_put(struct machine *m, const struct segment *g)
{
	uint32_t limit = g->attr & SEG_G ? g->limit >> 12 : g->limit;
	uint64_t d = (uint64_t)g->attr << 40 | (uint64_t)(limit & 0xf0000) << 32 |
		     (limit & 0xffff) | (g->base & 0xffffff) << 16 | (g->base & 0xff000000) << 32;

	if (!(g->sel & 4) && g->sel >> 3)
		memcpy(m->mem.ram + GDT + (g->sel & ~7u), &d, 8);
}

static void table_segments(GString *s, struct machine *m)
{
	const struct direct_engine *const engines[] = { &direct_ring3, &direct_kvm };
	void *self[ARRAY_LEN(engines)] = { NULL };
	char why[ARRAY_LEN(engines)][128];
	bool open[ARRAY_LEN(engines)];

	for (size_t i = 0; i < ARRAY_LEN(engines); i++)
		open[i] = !engines[i]->open(&self[i], m, why[i]);
	memset(m->mem.ram + GDT, 0, 0x80);
	g_string_append(s, "<table><thead><tr><th>segments of 32-bit code<th>ring3 on this "
			   "host<th>kvm on this host</tr></thead>\n");
	for (size_t i = 0; i < ARRAY_LEN(segments); i++) {
		g_string_append_printf(s, "<tr><td data-l=\"segments\"><span>%s</span></td>",
				       segments[i].what);
		for (size_t e = 0; e < ARRAY_LEN(engines); e++) {
			user_state(m->cpu);
			m->cpu->seg[segments[i].reg] = segments[i].seg;
			for (unsigned k = 0; k <= SEG_GS; k++)
				descriptor_put(m, &m->cpu->seg[k]);
			cell(s, engines[e]->name,
			     open[e] ? engines[e]->refuses(self[e], m->cpu) : why[e]);
		}
		g_string_append(s, "</tr>\n");
	}
	g_string_append(s, "</table>\n");
	for (size_t i = 0; i < ARRAY_LEN(engines); i++)
		if (open[i])
			engines[i]->close(self[i]);
}

int gate_draw(GString *s)
{
	struct config cfg = { .memory = 4u << 20, .serial = "none", .direct = DIRECT_AUTO };
	struct interp *v = NULL;
	struct machine m;
	int err = machine_create(&m, &cfg);

	if (err)
		return err;
	err = interp_create(&v, &m);
	if (!err) {
		g_string_append(s, "<h2 id=gate>The gate: which user states run "
				   "directly</h2>\n<p>Rows called <em>gate</em> above are "
				   "these states. Where user code has IF set and IOPL below 3, "
				   "POPF, PUSHF, CLI and STI mean at the host's "
				   "CPL 3 what they mean at the guest's; everywhere else user code "
				   "is interpreted.</p>\n"
				   "<figure class=panels>\n");
		for (unsigned k = 0; k < 4; k++)
			panel(s, &m, k >> 1, k & 1);
		g_string_append(s, "</figure>\n<h3>What else the gate asks</h3>\n");
		table_others(s, &m);
		g_string_append(s, "<h3>Segments</h3>\n");
		table_segments(s, &m);
		interp_destroy(v);
	}
	machine_destroy(&m);
	return err;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a user program can learn of the machine, printed: the part that learn and learn64 share. Two
 * runs on different engines must print the same. They bring ask(), which runs a piece of user code
 * and fills in `saw', and their ways to print and to set MSRs.
 */
#ifndef LEARN_H
#define LEARN_H

#include <stdint.h>

/* How user code ended, and with what in its registers. */
struct saw { uint64_t vec, err, rip, cs, fl, ax, bx, cx, dx, si, sp, r11; };

struct snip { uint32_t name, entry; };
typedef void ask_fn(struct saw *s, uint64_t entry, uint64_t si, uint64_t di);

extern char landed[], written[];
extern uint32_t buf[], area[];
extern uint32_t found[][2];

struct places {			/* of one width */
	const struct snip *table;
	const char *load[5], *pop_fs, *pop_ds, *les, *lgs, *far[4], *sweep[4], *crowded[4], *cpuid,
		*crowded_cpuid;
};

#define NAMED(W)                                                                                   \
	extern const char load_ds_##W[], load_es_##W[], load_fs_##W[], load_gs_##W[],              \
		load_ss_##W[], pop_fs_##W[], lgs_##W[], far_jmp_##W[], far_call_##W[],             \
		far_ret_##W[], far_iret_##W[], sweep_lar_##W[], sweep_lsl_##W[], sweep_verr_##W[], \
		sweep_verw_##W[], crowded_lar_##W[], crowded_lsl_##W[], crowded_verr_##W[],        \
		crowded_verw_##W[], ask_cpuid_##W[], crowded_cpuid_##W[];                          \
	extern const struct snip learn_table##W[]
#define PLACES(W, ds, es)                                                                          \
	{                                                                                          \
		learn_table##W,                                                                    \
			{ load_ds_##W, load_es_##W, load_fs_##W, load_gs_##W, load_ss_##W },       \
			pop_fs_##W, ds, es, lgs_##W,                                               \
			{ far_jmp_##W, far_call_##W, far_ret_##W, far_iret_##W },                  \
			{ sweep_lar_##W, sweep_lsl_##W, sweep_verr_##W, sweep_verw_##W },          \
			{ crowded_lar_##W, crowded_lsl_##W, crowded_verr_##W, crowded_verw_##W },  \
			ask_cpuid_##W, crowded_cpuid_##W                                           \
	}
NAMED(32);
extern const char pop_ds_32[], les_32[];

#define AT(p)	((uint64_t)(uintptr_t)(p))

static void text(const char *s);
static void hex(uint64_t v, unsigned digits);

static const uint16_t selectors[] = {
	0,    3,    0x08, 0x0b, 0x13, 0x1b, 0x20, 0x23, 0x28, 0x2b, 0x33, 0x3b, 0x43, 0x4b,
	0x53, 0x5b, 0x63, 0x6b, 0x73, 0x7b, 0x83, 0x07, 0x0f, 0x17, 0x27, 0x2f, 0xfb, 0xffff,
};

static void field(const char *s, uint64_t v)
{
	text(s);
	hex(v, v >> 32 ? 16 : 8);
}

static void show(const struct saw *s, uint64_t entry)
{
	text(": vec ");
	hex(s->vec, 3);
	text(" err ");
	hex(s->err, 4);
	if (s->rip - entry < 4096) {
		text(" at +");
		hex(s->rip - entry, 3);
	} else if (s->rip - AT(landed) < 4096) {
		text(" landed +");
		hex(s->rip - AT(landed), 3);
	} else {
		field(" at ", s->rip);
	}
	field(" cs ", s->cs);
	field(" fl ", s->fl);
	field(" ax ", s->ax);
	field(" bx ", s->bx);
	field(" cx ", s->cx);
	field(" dx ", s->dx);
	field(" si ", s->si);
	field(" r11 ", s->r11);
	text("\n");
}

/* What one piece left in memory is not what the next one shows. */
static void ask_anew(ask_fn *ask, struct saw *s, uint64_t entry, uint64_t si)
{
	for (unsigned i = 0; i < 16; i++)
		buf[i] = 0;
	for (unsigned i = 0; i < 256; i++)
		area[i] = 0;
	ask(s, entry, si, 0);
}

static void learn_leaf(ask_fn *ask, const char *code, uint32_t leaf, unsigned sub)
{
	struct saw s;

	ask(&s, AT(code), leaf, sub);
	field("cpuid ", leaf);
	text(".");
	hex(sub, 2);
	field(": ", s.ax);
	field(" ", s.bx);
	field(" ", s.cx);
	field(" ", s.dx);
	text("\n");
}

static void learn_cpuid(ask_fn *ask, const struct places *p)
{
	static const uint32_t first[] = { 0,	      0x40000000, 0x80000000,
					  0xc0000000, 0x20000000, 0xffffffff };
	struct saw s;

	for (unsigned i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		ask(&s, AT(p->cpuid), first[i], 0);
		uint32_t n = (uint32_t)s.ax - first[i];

		if (n > 0x40)
			n = 2;
		for (uint32_t k = 0; k <= n + 1; k++) {
			uint32_t leaf = first[i] + k, subs = 1;

			if (leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xf ||
			    leaf == 0x8000001d)
				subs = 4;
			if (leaf == 0xd)
				subs = 20;
			for (unsigned sub = 0; sub < subs; sub++)
				learn_leaf(ask, p->cpuid, leaf, sub);
		}
	}
}

static void learn_sweep(ask_fn *ask, const char *what, const char *code, uint32_t n)
{
	struct saw s;

	ask(&s, AT(code), 0, n);
	text(what);
	field(" of ", n);
	field(" selectors: ", s.bx);
	field(" found, hash ", s.ax);
	text("\n");
	for (unsigned i = 0; i < (uint32_t)s.bx && i < 64; i++) {
		text("  ");
		hex(found[i][0], 4);
		field(" ", found[i][1]);
		text("\n");
	}
}

static void learn_selectors(ask_fn *ask, const struct places *p)
{
	static const char *const data[] = { "ds", "es", "fs", "gs", "ss" }, *const far[] = {
		"jmp", "call", "ret", "iret"
	};
	const struct { const char *name, *code; } other[] = {
		{ "pop fs ", p->pop_fs },
		{ "pop ds ", p->pop_ds },
		{ "les ", p->les },
		{ "lgs ", p->lgs },
	};
	struct saw s;

	for (unsigned i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++) {
		for (unsigned k = 0; k < 5; k++) {
			ask_anew(ask, &s, AT(p->load[k]), selectors[i]);
			text("load ");
			text(data[k]);
			text(" ");
			hex(selectors[i], 4);
			show(&s, AT(p->load[k]));
		}
		for (unsigned k = 0; k < 4; k++)
			if (other[k].code) {
				ask_anew(ask, &s, AT(other[k].code), selectors[i]);
				text(other[k].name);
				hex(selectors[i], 4);
				show(&s, AT(other[k].code));
			}
		for (unsigned k = 0; k < 4; k++) {
			ask_anew(ask, &s, AT(p->far[k]), selectors[i]);
			text("far ");
			text(far[k]);
			text(" ");
			hex(selectors[i], 4);
			show(&s, AT(p->far[k]));
		}
	}
}

/* All INT n, and with a prefix; the direct far transfers of 32-bit code. */
static void learn_written(ask_fn *ask, unsigned width)
{
	uint8_t *w = (uint8_t *)written;
	struct saw s;

	for (unsigned i = 0; i < 512; i++) {
		unsigned at = 0;

		if (i >= 256)
			w[at++] = 0x66;
		w[at++] = 0xcd;
		w[at++] = (uint8_t)i;
		w[at++] = 0xcd;
		w[at++] = 0x80;
		ask(&s, AT(written), 0, 0);
		text(i >= 256 ? "66 int " : "int ");
		hex(i & 255, 2);
		show(&s, AT(written));
	}
	for (unsigned i = 0; width == 32 && i < 2 * sizeof(selectors) / sizeof(selectors[0]); i++) {
		uint32_t to = (uint32_t)AT(landed);

		w[0] = i & 1 ? 0x9a : 0xea;
		for (unsigned k = 0; k < 4; k++)
			w[1 + k] = (uint8_t)(to >> 8 * k);
		w[5] = (uint8_t)selectors[i / 2];
		w[6] = (uint8_t)(selectors[i / 2] >> 8);
		ask(&s, AT(written), 0, 0);
		text(i & 1 ? "call far " : "jmp far ");
		hex(selectors[i / 2], 4);
		show(&s, AT(written));
	}
}

static void learn_all(ask_fn *ask, const struct places *p, unsigned width, uint32_t sweep)
{
	static const char *const sweeps[] = { "lar", "lsl", "verr", "verw" };
	struct saw s;

	text(width == 64 ? "--- 64-bit code\n" : "--- 32-bit code\n");
	for (const struct snip *t = p->table; t->name; t++) {
		ask_anew(ask, &s, t->entry, 0);
		text((const char *)(uintptr_t)t->name);
		show(&s, t->entry);
	}
	learn_cpuid(ask, p);
	ask(&s, AT(p->crowded_cpuid), 0, 0);
	text("cpuid of a crowded page");
	show(&s, AT(p->crowded_cpuid));
	for (unsigned i = 0; i < 4; i++)
		learn_sweep(ask, sweeps[i], p->sweep[i], sweep);
	for (unsigned i = 0; i < 4; i++)
		learn_sweep(ask, sweeps[i], p->crowded[i], 0x10000);
	learn_selectors(ask, p);
	learn_written(ask, width);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest segments in a Linux process. The hidden part of each segment register (never
 * the guest's descriptor table, which may have changed since) is written to an
 * entry of the stub that guest code can use, and the host's selector of that entry
 * is loaded instead of the guest's. In order of preference, so that the value
 * which guest code reads differs as little as possible:
 *
 *	the same selector	null; the host's flat 0x23, 0x2b, 0x33 (what a 64-bit
 *				Linux guest uses too); 0x63, 0x6b, 0x73, a process's own
 *				GDT entries, for 32-bit data; an LDT selector
 *	the same index		of the LDT, for a guest GDT selector: bit 2 differs
 *	another LDT index	when two guest selectors want the same
 *
 * After a stop the selectors tell what the guest loaded by itself:
 *
 *	what the monitor loaded		that segment, under the guest's own name
 *	null				null
 *	an entry of an earlier run	unknown: its descriptor may be out of date
 *	a host selector			unknown: the guest's tables decide
 *
 * An unknown one is DEXIT_SEGMENT. For CS it means that guest code jumped to one of
 * the host's flat code segments: the far transfer succeeded where the guest's tables
 * may have forbidden it, and the instructions since ran in the wrong mode. They
 * could harm only the guest's own process (the stub holds nothing else, and its
 * system calls do not happen), so the best that is left is to let the guest's tables
 * judge the selector now: a guest that has such a segment goes on, another gets
 * its #GP at the place where it is.
 *
 * A conforming code segment behaves at CPL 3 as a non-conforming one of DPL 3, so
 * it is loaded as that. SDM 3A 3.4, 5.5; modify_ldt(2), set_thread_area(2).
 */
#include "direct/ring3.h"

#include <asm/ldt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#define SEL_TI		4
#define LDT_ENTRIES_MAX	8192
#define SEG_AVL		0x1000

static bool seg_null(const struct segment *g)
{
	return !(g->sel & ~3) || !(g->attr & SEG_P);
}

static bool seg_is_code(const struct segment *g)
{
	return g->attr & SEG_CODE;
}

static const char *data_refuses(const struct segment *g)
{
	if (seg_null(g))
		return NULL;
	if (!(g->attr & SEG_S))
		return "system segment in a data register";
	if (seg_is_code(g) && !(g->attr & SEG_R))
		return "execute-only segment in a data register";
	if (SEG_DPL(g->attr) != 3 && (g->attr & (SEG_CODE | SEG_C)) != (SEG_CODE | SEG_C))
		return "data segment with DPL below 3";
	return NULL;
}

static const char *limit_refuses(const struct segment *g)
{
	if (g->limit > 0xfffff && (g->limit & 0xfff) != 0xfff)
		return "limit is no multiple of a page";
	return NULL;
}

const char *seg_refuses(const struct cpu *c)
{
	static const uint8_t data[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	const struct segment *cs = &c->seg[SEG_CS], *ss = &c->seg[SEG_SS];
	bool wide = cpu_code64(c);
	const char *why;

	if (seg_null(cs) || !(cs->attr & SEG_S) || !seg_is_code(cs))
		return "CS is no code segment";
	if (wide && c->rip >= USER_TOP)
		return "RIP beyond user space";
	if (seg_null(ss)) {
		if (!wide)
			return "null stack segment";
	} else if ((ss->attr & (SEG_S | SEG_CODE | SEG_W)) != (SEG_S | SEG_W) ||
		   SEG_DPL(ss->attr) != 3) {
		return "SS is no user data segment";
	}
	if (!wide && (limit_refuses(cs) || limit_refuses(ss)))
		return limit_refuses(cs) ? limit_refuses(cs) : limit_refuses(ss);
	for (unsigned i = 0; i < ARRAY_LEN(data); i++) {
		const struct segment *g = &c->seg[data[i]];

		why = data_refuses(g);
		if (!why && !wide && !seg_null(g))
			why = limit_refuses(g);
		if (why)
			return why;
		if (data[i] >= SEG_FS && g->base >= (wide ? USER_TOP : 0x100000000ull))
			return wide ? "FS or GS base beyond user space" :
				      "FS or GS base beyond 4 GiB";
	}
	return NULL;
}

/* --- Loading ------------------------------------------------------------------ */

static void describe(const struct segment *g, unsigned index, struct user_desc *d)
{
	bool pages = g->limit > 0xfffff || ((g->attr & SEG_G) && (g->limit & 0xfff) == 0xfff);

	memset(d, 0, sizeof(*d));
	d->entry_number = index;
	d->base_addr = (uint32_t)g->base;
	d->limit = pages ? g->limit >> 12 : g->limit;
	d->limit_in_pages = pages;
	d->seg_32bit = !!(g->attr & SEG_D);
	d->contents = seg_is_code(g) ? 2 : g->attr & SEG_E ? 1 : 0;
	d->read_exec_only = !(g->attr & SEG_W);	/* SEG_R for code: the same bit */
	d->useable = !!(g->attr & SEG_AVL);
}

/* Same memory and meaning; the selector may differ in RPL. */
static bool seg_same(const struct segment *a, const struct segment *b)
{
	return a->base == b->base && a->limit == b->limit &&
	       !((a->attr ^ b->attr) & ~(SEG_A | SEG_L));
}

static bool seg_flat(const struct segment *g, uint16_t sel, uint16_t attr)
{
	const uint16_t mask = SEG_D | SEG_L | SEG_P | SEG_S | SEG_CODE | SEG_E | SEG_W;

	return g->sel == sel && !g->base && g->limit == 0xffffffff && (g->attr & mask) == attr;
}

static int slot_set(struct space *s, struct slot *t, const struct segment *g)
{
	struct user_desc d;
	int err = 0;

	if (t >= s->tls && t < s->tls + TLS_COUNT) {
		unsigned index = TLS_FIRST + (unsigned)(t - s->tls);

		describe(g, index, &d);
		err = stub_ptrace(s, PTRACE_SET_THREAD_AREA, (void *)(uintptr_t)index, &d);
	} else {
		describe(g, (unsigned)(t - s->ldt), &d);
		stub_queue(s, SYS_modify_ldt, 0x11, stub_data(s, &d, sizeof(d)), sizeof(d), 0, 0,
			   0);
	}
	t->set = !err;
	return err;
}

/* The LDT entry at index, growing the record of the table. */
static struct slot *ldt_slot(struct space *s, unsigned index)
{
	if (index >= s->nldt) {
		unsigned n = (index + 16) & ~15u;
		struct slot *t = realloc(s->ldt, n * sizeof(*t));

		if (!t)
			return NULL;
		memset(t + s->nldt, 0, (n - s->nldt) * sizeof(*t));
		s->ldt = t;
		s->nldt = n;
	}
	return &s->ldt[index];
}

/* An entry that two guest selectors want: the first other one that no segment of
 * this run uses, best one that already holds the segment. */
static struct slot *ldt_spare(struct space *s, const struct segment *g)
{
	unsigned free_index = LDT_ENTRIES_MAX;

	for (unsigned i = 0; i < s->nldt; i++) {
		struct slot *t = &s->ldt[i];

		if (t->set && t->seg.sel == g->sel && seg_same(&t->seg, g))
			return t;
		if (t->turn != s->turn && free_index == LDT_ENTRIES_MAX)
			free_index = i;
	}
	return ldt_slot(s, free_index < LDT_ENTRIES_MAX ? free_index : s->nldt);
}

static int seg_load_one(struct space *s, const struct cpu *c, enum segreg reg)
{
	const struct segment *g = &c->seg[reg];
	unsigned index = g->sel >> 3;
	bool wide = cpu_code64(c);
	struct slot *t;
	uint16_t host;
	int err;

	if (reg == SEG_CS && wide)
		host = HOST_CS64;
	else if (reg == SEG_SS && wide && seg_null(g))
		host = HOST_DS;
	else if (seg_null(g))
		host = 0;
	else if (wide && reg >= SEG_FS && g->base)
		host = 0;	/* the base counts; hosts without FSGSBASE take it only so */
	else if (seg_flat(g, HOST_CS32, SEG_D | SEG_P | SEG_S | SEG_CODE | SEG_R) ||
		 seg_flat(g, HOST_DS, SEG_D | SEG_P | SEG_S | SEG_W) ||
		 (wide && g->sel == HOST_DS && reg == SEG_SS))
		host = g->sel;
	else {
		if (!(g->sel & SEL_TI) && index - TLS_FIRST < TLS_COUNT && !seg_is_code(g) &&
		    (g->attr & SEG_D) && (g->sel & 3) == 3) {
			t = &s->tls[index - TLS_FIRST];
			host = g->sel;
		} else {
			t = ldt_slot(s, index);
			host = 0;
		}
		if (t && t->turn == s->turn && !(seg_same(&t->seg, g) && t->seg.sel == g->sel)) {
			t = ldt_spare(s, g);
			host = 0;
		}
		if (!t)
			return -ENOMEM;
		if (!host)
			host = (uint16_t)((t - s->ldt) << 3 | SEL_TI | 3);
		if (!t->set || !seg_same(&t->seg, g)) {
			err = slot_set(s, t, g);
			if (err)
				return err;
		}
		t->seg = *g;
		t->turn = s->turn;
	}
	s->host[reg] = host;
	return 0;
}

int seg_load_all(struct space *s, const struct cpu *c)
{
	int err;

	if (s->seg_known && !memcmp(s->seg, c->seg, sizeof(s->seg)))
		return 0;
	s->seg_known = false;
	if (!++s->turn) {	/* wrapped: no entry may seem to be in use */
		for (unsigned i = 0; i < s->nldt; i++)
			s->ldt[i].turn = 0;
		for (unsigned i = 0; i < TLS_COUNT; i++)
			s->tls[i].turn = 0;
		s->turn = 1;
	}
	for (unsigned reg = 0; reg < SEG_USER; reg++) {
		err = seg_load_one(s, c, reg);
		if (err)
			return err;
	}
	err = stub_flush(s, NULL);
	if (err) {
		seg_forget(s);
		return err;
	}
	memcpy(s->seg, c->seg, sizeof(s->seg));
	s->seg_known = true;
	return 0;
}

void seg_forget(struct space *s)
{
	free(s->ldt);
	s->ldt = NULL;
	s->nldt = 0;
	memset(s->tls, 0, sizeof(s->tls));
	s->seg_known = false;
}

/* --- The audit ------------------------------------------------------------------ */

/* The guest's name of a host selector, as far as the monitor ever gave it one. */
static uint16_t guest_name(const struct space *s, uint16_t host)
{
	unsigned index = host >> 3;
	const struct slot *t = NULL;

	if (host & SEL_TI)
		t = index < s->nldt ? &s->ldt[index] : NULL;
	else if (index - TLS_FIRST < TLS_COUNT)
		t = &s->tls[index - TLS_FIRST];
	return t && t->set ? (uint16_t)((t->seg.sel & ~3) | (host & 3)) : host;
}

bool seg_audit(struct space *s, struct cpu *c, const struct user_regs_struct *r,
	       struct direct_exit *x)
{
	const uint16_t found[SEG_USER] = {
		[SEG_ES] = (uint16_t)r->es, [SEG_CS] = (uint16_t)r->cs, [SEG_SS] = (uint16_t)r->ss,
		[SEG_DS] = (uint16_t)r->ds, [SEG_FS] = (uint16_t)r->fs, [SEG_GS] = (uint16_t)r->gs,
	};
	bool unknown = false;

	if (!memcmp(found, s->host, sizeof(found)))
		return false;
	for (unsigned reg = 0; reg < SEG_USER; reg++) {
		uint16_t h = found[reg];
		unsigned q;

		if (h == s->host[reg])
			continue;
		if (!(h & ~3)) {
			c->seg[reg] = (struct segment){ .sel = h };
			continue;
		}
		for (q = 0; q < SEG_USER; q++)
			if (s->host[q] && !((s->host[q] ^ h) & ~3))
				break;
		if (q < SEG_USER) {
			/* s->seg, not c->seg: an earlier round may have changed that one. */
			c->seg[reg] = s->seg[q];
			c->seg[reg].sel = (uint16_t)((s->seg[q].sel & ~3) | (h & 3));
			continue;
		}
		if (!unknown) {
			x->kind = DEXIT_SEGMENT;
			x->segreg = (uint8_t)reg;
			x->sel = guest_name(s, h);
			x->segmask = 0;
		}
		unknown = true;
		x->segmask |= (uint8_t)(1 << reg);
		x->sels[reg] = guest_name(s, h);
	}
	return unknown;
}

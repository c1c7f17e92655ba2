/* SPDX-License-Identifier: BSD-2-Clause */
/* The same bytes from the same states, on the interpreter and on the host. */
#include "criterion/host.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "criterion/world.h"
#include "direct/direct.h"
#include "shadow/scan.h"

#define FRAMES		0x10000		/* of the program, place A of world.c */
#define INT3		0xcc		/* what surrounds the instruction */
/* Selectors as 64-bit Linux has them, the only ones that 64-bit code can have there. */
#define SEL_CODE64	0x33u
#define SEL_DATA64	0x2bu

const char *const host_kind_names[HOST_KINDS] = { "trapped", "agreed", "spoofed", "silent" };

static const struct direct_engine *const engines[HOST_ENGINES] = { &direct_ring3, &direct_kvm };

struct host {
	struct world w;
	const struct direct_engine *e;
	void *engine;
	struct sink sink;
	struct space *space;
	struct state s;
	struct outcome o;
};

/* A branch may have made a loop: then the host never comes back by itself. */
#define TICK_US		10000
#define PATIENCE	3
static volatile sig_atomic_t ticks;
static const struct direct_engine *kicked_engine;
static void *kicked;

static void on_tick(int sig)
{
	(void)sig;
	if (++ticks >= PATIENCE)
		kicked_engine->kick(kicked);
}

static void ticks_set(int us)
{
	struct itimerval it = { { 0, us }, { 0, us } };

	signal(SIGALRM, us ? on_tick : SIG_DFL);
	setitimer(ITIMER_REAL, &it, NULL);
}

static int host_open(struct host *h, const struct criterion_case *of, char why[static 128])
{
	const struct sink_op map = { USER_GVA, USER_PAGES, FRAMES, SINK_R | SINK_W | SINK_X };
	int err = world_open(&h->w, of);

	if (err)
		return err;
	if (h->e->open(&h->engine, &h->w.m[0], why)) {
		h->engine = NULL;
		return 0;
	}
	h->sink = h->e->sink(h->engine);
	h->space = h->sink.space_create(h->sink.engine, &err);
	if (h->space)
		err = h->sink.apply(h->sink.engine, h->space, &map, 1);
	kicked = h->engine;
	kicked_engine = h->e;
	ticks_set(TICK_US);
	return err;
}

static void host_close(struct host *h)
{
	if (h->engine) {
		ticks_set(0);
		if (h->space)
			h->sink.space_destroy(h->sink.engine, h->space);
		h->e->close(h->engine);
	}
	world_close(&h->w);
}

/* A user state that the engine can run. */
static void state_for_host(struct host *h, uint64_t seed, const uint8_t *bytes, unsigned length)
{
	static const struct segment code = {.sel = SEL_CODE64,
					    .attr = 0xa0fb,
					    .limit = 0xffffffffu},
				    data = {.sel = SEL_DATA64,
					    .attr = 0xc0f3,
					    .limit = 0xffffffffu};
	struct cpu *c = &h->s.cpu;

	state_random(&h->w, &h->s, seed, true, bytes, length);
	memset(h->s.user, INT3, PAGE_SIZE);
	memcpy(h->s.user + CODE_AT, bytes, length);
	if (h->w.of->kind != WORLD_L64)
		return;
	memcpy(h->w.image + c->gdtr.base + (SEL_CODE64 & ~7u), &(uint64_t){0x00affb000000ffff}, 8);
	memcpy(h->w.image + c->gdtr.base + (SEL_DATA64 & ~7u), &(uint64_t){0x00cff3000000ffff}, 8);
	c->seg[SEG_CS] = code;
	c->seg[SEG_SS] = c->seg[SEG_DS] = c->seg[SEG_ES] = data;
	c->seg[SEG_FS] = c->seg[SEG_GS] = (struct segment){ 0 };
}

/* --- Comparing ------------------------------------------------------------------------------ */

static bool differ(struct host_verdict *v, const char *what, uint64_t interp, uint64_t host)
{
	snprintf(v->what, sizeof(v->what), "%s", what);
	v->interp = interp;
	v->host = host;
	return true;
}

static bool results_differ(const struct outcome *o, const struct cpu *host, const uint8_t *user,
			   struct host_verdict *v)
{
	static const char *const gpr[] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
					  "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
	static const char *const seg[] = { "ES", "CS", "SS", "DS", "FS", "GS" };
	const uint32_t flags = FL_ARITH | FL_DF | FL_IF | FL_IOPL | FL_TF | FL_NT | FL_AC | FL_ID;
	const struct cpu *c = &o->after.cpu;
	uint64_t a = 0, b = 0;

	if (o->how != ENDED_WELL)
		return differ(v, "the exception it should raise", o->vector, 0);
	if (c->cpl != 3)
		return differ(v, "the mode", c->cpl, 3);
	for (unsigned i = 0; i < 16; i++)
		if (c->gpr[i] != host->gpr[i])
			return differ(v, gpr[i], c->gpr[i], host->gpr[i]);
	if ((cpu_eflags(c) ^ cpu_eflags(host)) & flags)
		return differ(v, "EFLAGS", cpu_eflags(c) & flags, cpu_eflags(host) & flags);
	for (unsigned i = 0; i < 6; i++)
		if (c->seg[i].sel != host->seg[i].sel)
			return differ(v, seg[i], c->seg[i].sel, host->seg[i].sel);
	for (unsigned i = 0; i < USER_SIZE; i++)
		if (o->after.user[i] != user[i]) {
			memcpy(&a, o->after.user + i, USER_SIZE - i < 8 ? USER_SIZE - i : 8);
			memcpy(&b, user + i, USER_SIZE - i < 8 ? USER_SIZE - i : 8);
			return differ(v, "memory", a, b);
		}
	return c->rip != host->rip && differ(v, "RIP", c->rip, host->rip);
}

/* The answers that Linux has for them where CR4.UMIP makes them trap (arch/x86/kernel/umip.c). */
static bool is_spoof(const char *name, uint64_t host)
{
	const uint16_t word = (uint16_t)host, base = (uint16_t)(host >> 32);

	if (!strcmp(name, "SGDT") || !strcmp(name, "SIDT"))
		return !(uint32_t)host && base == (name[1] == 'G' ? 0xfffe : 0xffff);
	if (!strcmp(name, "SMSW"))
		return word == 0x33;
	if (!strcmp(name, "STR"))
		return word == 0x40;
	return !strcmp(name, "SLDT") && (word == 0x50 || word == 0);
}

/* Would the scanner have held it? */
static bool is_held(const struct host *h, const uint8_t *bytes, unsigned length, bool strict)
{
	const bool wide = h->w.of->kind == WORLD_L64;
	struct scan_how how = { .classes = scan_classes(h->sink.needs_guard(h->sink.engine), strict, false) };
	uint8_t page[PAGE_SIZE];
	struct scan found;

	if (wide)
		how.classes |= SCAN_REX;
	if (wide && !strict)	/* 64-bit SYSCALL traps */
		how.classes &= ~(unsigned)SCAN_SYSCALL;
	memset(page, INT3, sizeof(page));
	memcpy(page + CODE_AT, bytes, length);
	scan_page(page, &how, &found);
	for (unsigned i = 0; i < found.hard && i < SCAN_MAX; i++)
		if (found.at[i] == CODE_AT)
			return true;
	return found.hard > SCAN_MAX;	/* such a page does not run at all */
}

static void one_state(struct host *h, struct host_report *out, struct host_verdict *v,
		      const uint8_t *bytes, unsigned length, uint64_t seed)
{
	const char *refused;
	uint8_t *user = h->w.m[0].mem.ram + FRAMES;
	struct host_verdict now = { .of = v->of, .length = (uint8_t)length };
	enum host_kind kind = HOST_TRAPPED;
	struct direct_exit x;
	struct cpu c;

	state_for_host(h, seed, bytes, length);
	/* The counter of this small machine is not the host's: as for a guest that has moved it. */
	if (!strncmp(v->of->name, "RDTSC", 5))
		h->s.cpu.tsc_offset = 1;
	/* An engine may look at the descriptors. */
	memcpy(h->w.m[0].mem.ram, h->w.image, sizeof(h->w.image));
	refused = h->e->refuses(h->engine, &h->s.cpu);
	if (refused) {
		if (!out->refused++)
			snprintf(out->why_refused, sizeof(out->why_refused), "%s", refused);
		return;
	}
	world_run(&h->w, &h->s, &h->o);
	memcpy(user, h->s.user, USER_SIZE);
	c = h->s.cpu;
	ticks = 0;
	do {
		memset(&x, 0, sizeof(x));
		h->e->run(h->engine, h->space, &c, &x);
	} while (x.kind == DEXIT_KICK && ticks < PATIENCE);
	/* A loop says nothing; nor does what the host refuses (it has been reported). */
	if (x.kind == DEXIT_KICK || x.kind == DEXIT_HOST)
		return;
	/*
	 * A software interrupt may leave RIP behind a prefix that means nothing to it, some system
	 * calls leave none; a selector of the host's is noticed afterwards, and what it means is
	 * found out then. What stopped elsewhere stopped at an INT3: the instruction went on.
	 */
	if (x.kind != DEXIT_SEGMENT && !(x.kind == DEXIT_SYSCALL && !x.rip_known) &&
	    c.rip - h->s.cpu.rip >= length) {
		kind = HOST_AGREED;
		if (results_differ(&h->o, &c, user, &now))
			kind = is_spoof(v->of->name, now.host) ? HOST_SPOOFED : HOST_SILENT;
	}
	if (!v->count[kind] && kind >= host_worst(v)) {
		memcpy(v->bytes, bytes, length);
		v->length = now.length;
		memcpy(v->what, now.what, sizeof(v->what));
		v->interp = now.interp;
		v->host = now.host;
	}
	v->count[kind]++;
	for (unsigned strict = 0; strict < 2 && kind >= HOST_SPOOFED; strict++)
		v->held[strict] += is_held(h, bytes, length, strict);
}

/* --- All of them ------------------------------------------------------------------------------ */

static struct host_verdict *verdict_of(struct host_report *r, const char *name)
{
	for (unsigned i = 0; i < r->n; i++)
		if (!strcmp(r->v[i].of->name, name))
			return &r->v[i];
	return NULL;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int host_run(struct host_report *out, const struct criterion *c, unsigned engine, unsigned states,
	     uint64_t seed)
{
	struct host *h = calloc(1, sizeof(*h));
	struct form *f = NULL;
	double began = seconds();
	unsigned n = 0;
	int err;

	memset(out, 0, sizeof(*out));
	out->of = c;
	out->engine = engines[engine]->name;
	if (h)
		h->e = engines[engine];
	out->v = calloc(c->n + 1, sizeof(*out->v));
	err = h && out->v ? host_open(h, c->of, out->why) : -ENOMEM;
	for (unsigned i = 0; !err && i < c->n; i++)
		if (is_sensitive(&c->v[i]) || is_privileged(&c->v[i]))
			out->v[out->n++].of = &c->v[i];
	if (!err && !out->why[0] && !(f = forms_all(&h->w, &n)))
		err = -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		struct host_verdict *v = verdict_of(out, f[i].name);

		for (unsigned k = 0; v && k < states; k++) {
			uint64_t s =
				(seed << 40 ^ (uint64_t)i << 20 ^ k) * 0x9e3779b97f4a7c15ull + 1;
			uint8_t bytes[16];
			unsigned length = form_encode(&h->w, &f[i], &s, bytes);

			if (!length)
				continue;
			one_state(h, out, v, bytes, length, rnd(&s));
			out->runs++;
		}
	}
	free(f);
	if (h)
		host_close(h);
	free(h);
	out->seconds = seconds() - began;
	return err;
}

void host_free(struct host_report *r)
{
	free(r->v);
	r->v = NULL;
}

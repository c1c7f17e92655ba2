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

#define FRAMES		0x10000		/* of the program, place A of world.c */
#define INT3		0xcc		/* what surrounds the instruction */
/* Selectors as 64-bit Linux has them, the only ones that 64-bit code can have there. */
#define SEL_CODE64	0x33u
#define SEL_DATA64	0x2bu

const char *const host_kind_names[HOST_KINDS] = { "trapped", "agreed", "spoofed", "silent" };

struct host {
	struct world w;
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
static void *kicked;

static void on_tick(int sig)
{
	(void)sig;
	if (++ticks >= PATIENCE)
		direct_ring3.kick(kicked);
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
	if (direct_ring3.open(&h->engine, &h->w.m[0], why)) {
		h->engine = NULL;
		return 0;
	}
	h->sink = direct_ring3.sink(h->engine);
	h->space = h->sink.space_create(h->sink.engine, &err);
	if (h->space)
		err = h->sink.apply(h->sink.engine, h->space, &map, 1);
	kicked = h->engine;
	ticks_set(TICK_US);
	return err;
}

static void host_close(struct host *h)
{
	if (h->engine) {
		ticks_set(0);
		if (h->space)
			h->sink.space_destroy(h->sink.engine, h->space);
		direct_ring3.close(h->engine);
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

static void one_state(struct host *h, struct host_verdict *v, const uint8_t *bytes, unsigned length,
		      uint64_t seed)
{
	uint8_t *user = h->w.m[0].mem.ram + FRAMES;
	struct host_verdict now = { .of = v->of, .length = (uint8_t)length };
	enum host_kind kind = HOST_TRAPPED;
	struct direct_exit x;
	struct cpu c;

	state_for_host(h, seed, bytes, length);
	if (direct_ring3.refuses(h->engine, &h->s.cpu))
		return;
	world_run(&h->w, &h->s, &h->o);
	memcpy(user, h->s.user, USER_SIZE);
	c = h->s.cpu;
	ticks = 0;
	do {
		memset(&x, 0, sizeof(x));
		direct_ring3.run(h->engine, h->space, &c, &x);
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

int host_run(struct host_report *out, const struct criterion *c, unsigned states, uint64_t seed)
{
	struct host *h = calloc(1, sizeof(*h));
	struct form *f = NULL;
	double began = seconds();
	unsigned n = 0;
	int err;

	memset(out, 0, sizeof(*out));
	out->of = c;
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
			one_state(h, v, bytes, length, rnd(&s));
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

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run loop: what happens between two instructions. Interrupts, traps, single
 * steps, double and triple faults (SDM 3A 6.9 gives the order), and the derived
 * state that follows the processor's mode.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "debug/disasm.h"
#include "interp/cpu_model.h"
#include "interp/decode.h"
#include "interp/descriptor.h"
#include "interp/system.h"
#include "interp/tables.h"
#include "interp/thread.h"
#include "interp/trace.h"

#define DR7_ENABLED	0xffu
#define DR6_BS		(1ull << 14)

/* --- Derived state ------------------------------------------------------------- */

/* By the low byte of a descriptor's attributes: 1 readable, 2 writable as well, and a limit
 * that says all: data that does not expand down, code, present, no system segment. */
#define ATTRS_OF(type, plain)									\
	[SEG_P | SEG_S | (type)] = plain, [SEG_P | SEG_S | (type) | SEG_A] = plain,		\
	[SEG_P | SEG_S | (type) | 1 << 5] = plain, [SEG_P | SEG_S | (type) | 1 << 5 | SEG_A] = plain, \
	[SEG_P | SEG_S | (type) | 2 << 5] = plain, [SEG_P | SEG_S | (type) | 2 << 5 | SEG_A] = plain, \
	[SEG_P | SEG_S | (type) | 3 << 5] = plain, [SEG_P | SEG_S | (type) | 3 << 5 | SEG_A] = plain
static const uint8_t plain_attrs[256] = {
	ATTRS_OF(0, 1), ATTRS_OF(SEG_W, 2), ATTRS_OF(SEG_CODE | SEG_R, 1), ATTRS_OF(SEG_CODE | SEG_C | SEG_R, 1),
};

static inline uint8_t segment_plain(const struct segment *s)
{
	return s->limit == 0xffffffff ? plain_attrs[(uint8_t)s->attr] : 0;
}

static uint32_t compute_hflags(const struct interp *v)
{
	const struct cpu *c = &v->cpu;
	const struct segment *cs = &c->seg[SEG_CS], *ss = &c->seg[SEG_SS];
	uint32_t h = 0;

	if (c->eflags & FL_VM)
		return HF_VM;
	if (c->cr0 & CR0_PE)
		h |= HF_PE;
	if (cpu_code64(c))
		return h | HF_CS64 | HF_CS_FLAT | HF_DS_FLAT | HF_SS_FLAT | HF_SS32;
	if (cs->attr & SEG_D)
		h |= HF_CS32;
	if (ss->attr & SEG_D)
		h |= HF_SS32;
	if (cs->base == 0 && cs->limit == 0xffffffff)
		h |= HF_CS_FLAT;
	if (v->plain[SEG_DS] == 2 && v->plain[SEG_ES] == 2 && !c->seg[SEG_DS].base && !c->seg[SEG_ES].base)
		h |= HF_DS_FLAT;
	if (v->plain[SEG_SS] == 2 && ss->base == 0)
		h |= HF_SS_FLAT;
	return h;
}

/* The number of the context that the processor is in now. */
static uint64_t context_gen(struct interp *v)
{
	const struct segment *cs = &v->cpu.seg[SEG_CS];
	bool flat = v->hflags & (HF_CS_FLAT | HF_CS64);
	uint64_t base = flat ? 0 : cs->base, limit = flat ? 0 : cs->limit;

	for (unsigned i = 0; i < CONTEXTS; i++) {
		const struct code_context *c = &v->contexts[i];

		if (c->gen && c->hflags == v->hflags && c->user == v->user &&
		    c->cs_base == base && c->cs_limit == limit)
			return c->gen;
	}
	uint64_t gen = ++v->last_gen;

	v->contexts[v->next_context++ % CONTEXTS] = (struct code_context){
		.cs_base = base, .cs_limit = limit, .hflags = v->hflags, .gen = gen, .user = v->user };
	return gen;
}

void contexts_forget(struct interp *v, bool global)
{
	bool all = global || v->local_code;

	for (unsigned i = 0; i < CONTEXTS; i++)
		if (all || v->contexts[i].user)
			v->contexts[i].gen = 0;
	if (all) {
		memset(v->code_seen, 0, sizeof(v->code_seen));
		v->local_code = false;
	}
	v->gen = GEN_NEVER;
	if (!v->special)
		v->gen = context_gen(v);
}

/* The counters are split by privilege, so a change of it settles the account, up to
 * and including the instruction that is being done. */
void interp_settle(struct interp *v)
{
	int64_t done = v->op ? v->op->done : 0;
	int64_t used = v->slice - v->budget - v->held - v->kept + done;

	if (v->user)
		v->counts.user += used;
	else
		v->counts.supervisor += used;
	v->retired += used;
	v->slice = v->budget + v->held + v->kept - done;
}

/* Traced code is stepped; costs nothing in builds without tracing. */
static inline bool tracing(const struct interp *v)
{
#ifdef ENABLE_TRACE
	return v->m->config && v->m->config->trace & TRACE_INSN;
#else
	(void)v;
	return false;
#endif
}

/* Must each instruction be looked at? Then no trace is valid. */
static void update_special(struct interp *v)
{
	const struct cpu *c = &v->cpu;
	bool user = v->user;

	v->special = (c->eflags & FL_TF) || (c->dr[7] & DR7_ENABLED) || (v->how & RUN_ONE) ||
		     tracing(v) || ((v->how & RUN_UNTIL_USER) && user) ||
		     ((v->how & RUN_BURSTS) && user && !v->in_burst) || ((v->how & RUN_UNTIL_KERNEL) && !user);
	v->gen = v->special ? GEN_NEVER : context_gen(v);
}

/* --- Bursts of user code ----------------------------------------------------------- */

void interp_watch(struct interp *v, const struct user_watch *w)
{
	v->watch = *w;
}

static void burst_allow(struct interp *v, int64_t allowed)
{
	v->in_burst = true;
	v->kept = allowed < v->budget ? v->budget - allowed : 0;
	v->budget -= v->kept;
	v->allowed = allowed - v->budget;
}

/* False: not to be interpreted. */
static bool burst_begin(struct interp *v)
{
	int64_t allowed = v->watch.entered(v->watch.self, v->cpu.rip);

	if (allowed <= 0)
		return false;
	burst_allow(v, allowed);
	update_special(v);
	return true;
}

static void burst_end(struct interp *v)
{
	v->budget += v->kept;
	v->kept = 0;
	v->in_burst = false;
	v->watch.left(v->watch.self);
}

/* The run ends in the middle of one: what is allowed still is remembered for the next. */
static void burst_pause(struct interp *v)
{
	v->allowed += v->budget;
	v->budget += v->kept;
	v->kept = 0;
}

void interp_update(struct interp *v)
{
	struct cpu *c = &v->cpu;
	bool user = c->cpl == 3;

	for (unsigned i = 0; i < 6; i++)
		v->plain[i] = segment_plain(&c->seg[i]);
	v->hflags = compute_hflags(v);
	if (user != v->user) {
		interp_settle(v);
		v->user = user;
		if (v->in_burst)
			burst_end(v);
	}
	bool armed = c->dr[7] & DR7_ENABLED;
	bool aligned = user && (c->eflags & FL_AC) && (c->cr0 & CR0_AM);

	v->tlb = armed || aligned || v->m->mem.journal ? v->tlb_never : v->tlbs[user];
	update_special(v);
}

void interp_update_data(struct interp *v, unsigned s)
{
	uint8_t plain = segment_plain(&v->cpu.seg[s]);

	if (plain == v->plain[s] && (s == SEG_FS || s == SEG_GS || compute_hflags(v) == v->hflags))
		return;
	interp_update(v);
}

/* --- Events ------------------------------------------------------------------------ */

static void deliver_debug(struct interp *v)
{
	struct cpu *c = &v->cpu;

	c->dr[6] = (c->dr[6] & ~0xfull) | c->pending_dbg;
	c->pending_dbg = 0;
	v->delivering = VEC_DB;
	event_deliver(v, VEC_DB, EV_TRAP_DB, false, 0);
	v->delivering = -1;
	interp_update(v);
}

static void deliver_external(struct interp *v, unsigned vector, bool nmi)
{
	v->cpu.halted = false;
	if (nmi) {
		v->cpu.nmi_pending = false;
		v->cpu.nmi_blocked = true;
	}
	/* A fault during delivery of an interrupt is a first fault. */
	event_deliver(v, vector, EV_EXTERNAL, false, 0);
	interp_update(v);
}

/* --- One instruction --------------------------------------------------------------- */

static void dispatch(struct interp *v, const struct op *op)
{
#ifdef DISPATCH_ROWS
	if (v->threads) {
		thread_run(v->threads, v, op);
		return;
	}
#endif
#if defined(DISPATCH_LOOP) || defined(DISPATCH_ROWS)
	while (op)
		op = op->fn(v, op);
#else
	op->fn(v, op);
#endif
}

/* An instruction breakpoint at RIP? SDM 3B 17.3.1.1; RF holds it off once. */
static bool instruction_breakpoint(struct interp *v)
{
	struct cpu *c = &v->cpu;
	gva_t lip = c->rip + c->seg[SEG_CS].base;
	uint64_t hit = 0;	/* a trap may be pending besides, held off by a load of SS */

	if (!(c->dr[7] & DR7_ENABLED) || (c->eflags & FL_RF))
		return false;
	if (!(v->hflags & HF_CS64))
		lip = (uint32_t)lip;
	for (unsigned i = 0; i < 4; i++)
		if ((c->dr[7] >> (2 * i) & 3) && !(c->dr[7] >> (16 + 4 * i) & 3) && c->dr[i] == lip)
			hit |= 1ull << i;
	c->pending_dbg |= hit;
	return hit;
}

/* Exactly one instruction, with its traps. Budget beyond it is held back, so that
 * a branch leaves. */
static void step(struct interp *v)
{
	bool tf = v->cpu.eflags & FL_TF, rf = v->cpu.eflags & FL_RF;

	if (instruction_breakpoint(v)) {
		v->fault = (struct fault){ .vec = VEC_DB };
		v->cpu.dr[6] = (v->cpu.dr[6] & ~0xfull) | v->cpu.pending_dbg;
		v->cpu.pending_dbg = 0;
		fault_deliver(v);
		return;
	}
#ifdef ENABLE_TRACE
	if (v->m->config->trace & TRACE_INSN)
		trace_instruction(v->m, &v->cpu);
#endif
	v->cpu.int_shadow = false;
	v->held = v->budget - 1;
	v->budget = 1;
	v->tf_step = tf;
	dispatch(v, trace_single(v));
	v->budget += v->held;
	v->held = 0;
	if (rf && !v->set_rf)
		v->cpu.eflags &= ~FL_RF;
	v->set_rf = false;
	if (v->tf_step)
		v->cpu.pending_dbg |= DR6_BS;
	v->tf_step = false;
	v->stepped++;
}

/* --- The loop -------------------------------------------------------------------------- */

/* Delivers what is deliverable at this boundary; true if something was. */
static bool deliver_events(struct interp *v)
{
	struct cpu *c = &v->cpu;

	if (unlikely(c->pending_dbg) && !c->int_shadow) {
		deliver_debug(v);
		return true;
	}
	if (unlikely(c->nmi_pending) && !c->nmi_blocked && !c->int_shadow) {
		deliver_external(v, VEC_NMI, true);
		return true;
	}
	if (v->m->intr && (c->eflags & FL_IF) && !c->int_shadow) {
		int vector = irq_acknowledge(v->m);

		deliver_external(v, (unsigned)vector, false);
		return true;
	}
	return false;
}

static enum interp_stop run_loop(struct interp *v)
{
	struct cpu *c = &v->cpu;

	for (;;) {
		if (v->m->power != POWER_ON)
			return ISTOP_POWER;
		if (deliver_events(v)) {
			/* An interrupt line that stays up may come back at once, for ever. */
			if (atomic_load_explicit(&v->m->attention, memory_order_relaxed))
				return ISTOP_ATTENTION;
			if (!(v->how & RUN_ONE) && --v->budget <= 0)
				return ISTOP_BUDGET;
			continue;
		}
		if ((v->how & RUN_ONE) && v->stepped)
			return ISTOP_BUDGET;
		if (c->halted)
			return ISTOP_HALT;
		if ((v->how & RUN_UNTIL_USER) && v->user && !c->int_shadow)
			return ISTOP_USER;
		if ((v->how & RUN_UNTIL_KERNEL) && !v->user)
			return ISTOP_KERNEL;
		if ((v->how & RUN_BURSTS) && v->user && !v->in_burst && !c->int_shadow && !burst_begin(v))
			return ISTOP_USER;
		if (v->budget <= 0)
			return v->kept ? ISTOP_USER : ISTOP_BUDGET;
		if (atomic_load_explicit(&v->m->attention, memory_order_relaxed))
			return ISTOP_ATTENTION;
		v->broke = false;
		if (v->special || c->int_shadow)
			step(v);
		else
			dispatch(v, trace_jump_slow(v, c->rip));
	}
}

enum interp_stop interp_run(struct interp *v, int64_t budget, unsigned how)
{
	enum interp_stop why;
	jmp_buf escape;
	int escaped;

	v->slice = v->budget = budget;
	v->how = how;
	v->stepped = 0;
	v->held = 0;
	v->delivering = -1;
	v->escape = &escape;
	v->op = NULL;
	v->kept = 0;
	if (v->in_burst && (how & RUN_BURSTS) && v->cpu.cpl == 3)
		burst_allow(v, v->allowed);
	else
		v->in_burst = false;
	interp_update(v);
	escaped = setjmp(escape);
	if (escaped == ESCAPE_FAULT) {
		v->op = NULL;
		v->budget += v->held;
		v->held = 0;
		if (v->tf_step || (v->how & RUN_ONE)) {
			v->tf_step = false;
			v->stepped++;
		}
		/* A fault takes time too: code that only faults must get to its timers. */
		v->budget--;
		fault_deliver(v);
	}
	why = run_loop(v);
	v->escape = NULL;
	if (v->in_burst)
		burst_pause(v);
	if (why == ISTOP_USER)
		v->in_burst = false;
	interp_settle(v);
	return why;
}

/* --- Making and breaking -------------------------------------------------------------- */

static void listener_protect(void *self, gpa_t page, unsigned flags)
{
	(void)flags;
	tlb_protect(self, page & PAGE_MASK);
}

static void listener_stored(void *self, gpa_t gpa, unsigned len, unsigned flags)
{
	if (flags & PG_CODE)
		traces_stored(self, gpa, len);
}

int interp_create(struct interp **out, struct machine *m)
{
	struct interp *v = aligned_alloc(64, (sizeof(*v) + 63) & ~(size_t)63);
	char why[128];
	int err;

	if (!v)
		return -ENOMEM;
	memset(v, 0, sizeof(*v));
	v->m = m;
	v->model = &v->own_model;
	v->decoder = decoder_create();
#ifdef DISPATCH_ROWS
	v->threads = threads_create();
#endif
	err = cpu_model_parse(&v->own_model, m->config ? m->config->cpu_model : NULL, why, sizeof(why)) ?
		traces_create(&v->traces, m, v->threads) : -EINVAL;
	if (err || !v->decoder) {
		decoder_destroy(v->decoder);
		threads_destroy(v->threads);
		free(v);
		return err ? err : -ENOMEM;
	}
	for (unsigned i = 0; i < TLB_SIZE; i++)
		v->tlb_never[i].rd = v->tlb_never[i].wr = TLB_NONE;
	for (unsigned i = 0; i < JC_SIZE; i++)
		v->jc[i] = &no_trace;
	v->last_gen = GEN_NEVER;
	v->random = 0x9e3779b97f4a7c15ull;
	if (!m->config || !m->config->clock_instructions)
		if (getrandom(&v->random, sizeof(v->random), GRND_NONBLOCK) < 0)
			v->random = 0x9e3779b97f4a7c15ull;
	v->delivering = -1;
	m->cpu = &v->cpu;
	machine_reset_cpu(m);
	m->cpuid = interp_cpuid;
	m->cpuid_self = v;
	m->random = &v->random;
	memory_add_listener(&m->mem, &(struct memory_listener){
		.protect = listener_protect, .stored = listener_stored, .self = v });
	interp_flush(v);
	*out = v;
	return 0;
}

void interp_destroy(struct interp *v)
{
	if (!v)
		return;
	v->m->cpu = NULL;
	traces_destroy(v->traces);
	threads_destroy(v->threads);
	decoder_destroy(v->decoder);
	free(v);
}

void interp_flush(struct interp *v)
{
	tlb_flush(v);
	traces_flush(v);
	interp_update(v);
}

void interp_counts(const struct interp *v, struct interp_counts *out)
{
	*out = v->counts;
}

const int64_t *interp_retired(const struct interp *v)
{
	return &v->retired;
}

/* xorshift64*: quality enough for a guest's entropy pool to be fed by. */
uint64_t interp_random(struct interp *v)
{
	v->random ^= v->random >> 12;
	v->random ^= v->random << 25;
	v->random ^= v->random >> 27;
	return v->random * 0x2545f4914f6cdd1dull;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The KVM engine: guest user code in non-root mode, under tables that hold user pages only.
 * In a nutshell:
 *
 *	load	segments, CR4, FS and GS base, FPU, where they changed; a frame on the
 *		shim's stack; edits of the tables
 *	run	KVM_RUN: the shim's IRETQ, user code, an exception, the shim's OUT
 *	store	registers from where KVM shares them, the frame from the shim's stack
 *
 * Registers pass through the page that KVM shares (KVM_CAP_SYNC_REGS), so the shim need
 * not move them. EFER.SCE is 0 and all gates have DPL 0: system calls and INT n are faults.
 */
#include "direct/kvm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine/paging.h"

#define DR6_BS		0x4000u
#define FL_LOADED	(FL_ARITH | FL_DF | FL_NT | FL_AC | FL_ID)

struct kvm_frame *kvm_frame(struct kvm *k)
{
	return (struct kvm_frame *)&k->shim->stack[512] - 1;
}

/* --- KVM_RUN ------------------------------------------------------------------------ */

static bool in_stub(const struct kvm *k, uint64_t rip)
{
	(void)k;
	return rip - (KVM_SHIM_GVA + kvm_shim_at_stubs) < 16 * KVM_VECTORS;
}

static int run_once(struct kvm *k)
{
	if (ioctl(k->vcpu, KVM_RUN, 0) < 0) {
		k->run->immediate_exit = 0;
		return errno == EINTR || errno == EAGAIN ? -EINTR : -errno;
	}
	switch (k->run->exit_reason) {
	case KVM_EXIT_IO:
		return k->run->io.port == KVM_SHIM_PORT ? 0 : -EPROTO;
	case KVM_EXIT_INTR:
		return -EINTR;
	case KVM_EXIT_INTERNAL_ERROR:	/* a user instruction that this KVM cannot do */
		return (k->run->s.regs.sregs.cs.selector & 3) == 3 ? -EAGAIN : -EPROTO;
	case KVM_EXIT_DEBUG:		/* a guard, before its instruction */
		return (k->run->s.regs.sregs.cs.selector & 3) == 3 ? -EBUSY : -EPROTO;
	default:
		return -EPROTO;
	}
}

/* Instruction breakpoints of the host's, SDM 3B 17.2. */
static int guards_load(struct kvm *k, const struct space *s)
{
	struct kvm_debugregs d = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };

	if (k->nguard == s->nguard && !memcmp(k->guard, s->guard, s->nguard * sizeof(*s->guard)))
		return 0;
	for (unsigned i = 0; i < s->nguard; i++) {
		d.db[i] = s->guard[i];
		d.dr7 |= 1ull << (2 * i);
	}
	k->nguard = s->nguard;
	memcpy(k->guard, s->guard, sizeof(k->guard));
	if (ioctl(k->vcpu, KVM_SET_DEBUGREGS, &d) < 0) {
		int err = -errno;

		k->nguard = ~0u;
		kvm_failed(k, "KVM_SET_DEBUGREGS", err);
		return err;
	}
	return 0;
}

/* An exception that a kick came before: user code will raise it again. */
static int event_drop(struct kvm *k)
{
	struct kvm_vcpu_events e;

	if (ioctl(k->vcpu, KVM_GET_VCPU_EVENTS, &e) < 0)
		return -errno;
	if (!e.exception.injected && !e.exception.pending)
		return 0;
	e.exception.injected = e.exception.pending = 0;
	e.flags = 0;
	return ioctl(k->vcpu, KVM_SET_VCPU_EVENTS, &e) < 0 ? -errno : 0;
}

int kvm_enter(struct kvm *k, uint64_t rip, uint64_t rsp)
{
	struct kvm_regs *r = &k->run->s.regs.regs;
	int err;

	if (k->in_user) {	/* back to ring 0, from where a kick stopped it */
		k->run->s.regs.sregs = k->kernel;
		k->run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
		k->in_user = false;
	}
	r->rip = rip;
	r->rsp = rsp;
	r->rflags = FL_1;
	k->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
	err = run_once(k);
	/* A stub was interrupted between the exception and its OUT: let it finish. */
	while (err == -EINTR && !(k->run->s.regs.sregs.cs.selector & 3) && in_stub(k, r->rip))
		err = run_once(k);
	k->in_user = (k->run->s.regs.sregs.cs.selector & 3) == 3;
	if (err == -EINTR) {
		int failed = event_drop(k);

		if (failed)
			return failed;
	}
	return err;
}

/* --- Load --------------------------------------------------------------------------- */

static void gprs_load(struct kvm_regs *r, const struct cpu *c)
{
	r->rax = c->gpr[RAX]; r->rcx = c->gpr[RCX]; r->rdx = c->gpr[RDX]; r->rbx = c->gpr[RBX];
	r->rbp = c->gpr[RBP]; r->rsi = c->gpr[RSI]; r->rdi = c->gpr[RDI];
	r->r8 = c->gpr[R8]; r->r9 = c->gpr[R9]; r->r10 = c->gpr[R10]; r->r11 = c->gpr[R11];
	r->r12 = c->gpr[R12]; r->r13 = c->gpr[R13]; r->r14 = c->gpr[R14]; r->r15 = c->gpr[R15];
}

static void gprs_store(struct cpu *c, const struct kvm_regs *r, uint64_t rsp)
{
	const uint64_t x[16] = {
		[RAX] = r->rax, [RCX] = r->rcx, [RDX] = r->rdx, [RBX] = r->rbx, [RSP] = rsp,
		[RBP] = r->rbp, [RSI] = r->rsi, [RDI] = r->rdi, [R8] = r->r8, [R9] = r->r9,
		[R10] = r->r10, [R11] = r->r11, [R12] = r->r12, [R13] = r->r13, [R14] = r->r14,
		[R15] = r->r15,
	};
	bool wide = cpu_long_mode(c);

	for (unsigned i = 0; i < (wide ? 16u : 8u); i++)
		c->gpr[i] = wide ? x[i] : (uint32_t)x[i];
}

/* By the XSAVE image, SDM 1 13.4: the calls for the FPU alone leave MXCSR out. */
#define XSTATE_BV	512
#define XSTATE_X87_SSE	3ull

static int fpu_load(struct kvm *k, const struct cpu *c)
{
	static struct kvm_xsave area;
	const uint64_t bv = XSTATE_X87_SSE;
	uint8_t *image = (uint8_t *)area.region;

	if (k->fpu_known && !memcmp(&k->fpu_seen, &c->fpu, sizeof(c->fpu)))
		return 0;
	fpu_to_fxsave(&c->fpu, image, true);
	memcpy(image + XSTATE_BV, &bv, sizeof(bv));
	if (ioctl(k->vcpu, KVM_SET_XSAVE, &area) < 0) {
		int err = -errno;

		kvm_failed(k, "KVM_SET_XSAVE", err);
		return err;
	}
	memcpy(k->fpu_image, image, sizeof(k->fpu_image));
	memcpy(&k->fpu_seen, &c->fpu, sizeof(c->fpu));
	k->fpu_known = true;
	return 0;
}

static int fpu_store(struct kvm *k, struct cpu *c)
{
	static struct kvm_xsave area;
	const uint8_t *image = (const uint8_t *)area.region;

	if (ioctl(k->vcpu, KVM_GET_XSAVE, &area) < 0)
		return -errno;
	if (k->fpu_known && !memcmp(image, k->fpu_image, sizeof(k->fpu_image)) &&
	    !memcmp(&k->fpu_seen, &c->fpu, sizeof(c->fpu)))
		return 0;
	const struct fpu old = c->fpu;

	fpu_from_fxsave(&c->fpu, image, true);
	if (k->m->config && k->m->config->strict)	/* no x87 instruction ran there */
		fpu_keep_pointers(&c->fpu, &old);
	memcpy(k->fpu_image, image, sizeof(k->fpu_image));
	memcpy(&k->fpu_seen, &c->fpu, sizeof(c->fpu));
	k->fpu_known = true;
	return 0;
}

/* --- Store -------------------------------------------------------------------------- */

static void flags_store(struct kvm *k, struct cpu *c, uint64_t rflags)
{
	uint32_t stored = FL_LOADED | (k->stepping ? 0 : FL_TF);

	cpu_set_eflags(c, (cpu_eflags(c) & ~(stored | FL_RF)) | ((uint32_t)rflags & stored));
}

/* The byte of user code at an address, -1 if there is none to be read. */
static int code_byte(struct kvm *k, const struct cpu *c, gva_t gva)
{
	struct walk w;
	const uint8_t *p;

	if (paging_walk(&k->m->mem, c, gva, &w))
		return -1;
	p = memory_hva(&k->m->mem, w.gpa);
	return p ? *p : -1;
}

static gva_t linear_rip(const struct cpu *c)
{
	return cpu_code64(c) ? c->rip : (uint32_t)(c->rip + c->seg[SEG_CS].base);
}

/* A KVM where SYSCALL is no fault: it went to LSTAR, where nothing is, and left RCX and R11. */
static bool syscall_went(struct kvm *k, struct cpu *c, const struct kvm_frame *f, struct direct_exit *x)
{
	gva_t at = c->gpr[RCX] - 2;

	if (f->rip != KVM_LSTAR ||
	    (!k->trying && (code_byte(k, c, at) != 0x0f || code_byte(k, c, at + 1) != 0x05)))
		return false;
	x->kind = DEXIT_SYSCALL;
	x->rip_known = true;
	c->rip = at;
	flags_store(k, c, c->gpr[R11]);
	return true;
}

static void classify(struct kvm *k, struct cpu *c, const struct kvm_frame *f, struct direct_exit *x)
{
	gva_t start = linear_rip(c);

	c->rip = cpu_code64(c) ? f->rip : (uint32_t)f->rip;
	switch (f->vector) {
	case VEC_PF:
		if (syscall_went(k, c, f, x))
			return;
		x->kind = DEXIT_FAULT;
		x->gva = k->run->s.regs.sregs.cr2;
		return;
	case VEC_DB:
		/* INT1, or TF: that of a step or one that POPF has set. */
		if (k->stepping ? code_byte(k, c, start) == 0xf1 : !(f->rflags & FL_TF)) {
			c->rip--;
			x->kind = DEXIT_INTN;
		} else if (k->stepping) {
			x->kind = DEXIT_STEP;
		} else {			/* POPF set TF */
			x->kind = DEXIT_TRAP;
			c->pending_dbg |= DR6_BS;
		}
		return;
	case VEC_BP: case VEC_OF:		/* a KVM that takes INT3 and INTO as traps */
		c->rip -= code_byte(k, c, linear_rip(c) - 1) <= 4 ? 2 : 1;	/* CD 03, CD 04 */
		x->kind = DEXIT_INTN;
		return;
	default:
		x->kind = DEXIT_TRAP;
		x->vectors = f->vector < 32 ? 1u << f->vector : 0;
	}
}

/* --- The engine ----------------------------------------------------------------------- */

static int load(struct kvm *k, struct space *s, const struct cpu *c, uint64_t *rip, uint64_t *rsp)
{
	struct kvm_frame *f = kvm_frame(k);
	struct kvm_regs *r = &k->run->s.regs.regs;
	int err = fpu_load(k, c);

	if (!err)
		err = guards_load(k, s);
	if (err)
		return err;
	kvm_sregs_load(k, c);
	*f = (struct kvm_frame){
		.rip = c->rip, .cs = c->seg[SEG_CS].sel, .rsp = c->gpr[RSP], .ss = c->seg[SEG_SS].sel,
		.rflags = (cpu_eflags(c) & FL_LOADED) | FL_IF | FL_1 | (k->stepping ? FL_TF : 0),
	};
	gprs_load(r, c);
	*rip = KVM_SHIM_GVA + kvm_shim_at_enter;
	*rsp = kvm_region_gva(k, &f->rip);
	if (k->nedits || k->current != s) {
		uint64_t *saved = &f->rip - 5;

		/* A kick may come before user code does: then nobody knows which root is in CR3. */
		k->current = NULL;
		saved[0] = r->rax; saved[1] = r->rcx; saved[2] = r->rdx; saved[3] = r->rsi; saved[4] = r->rdi;
		k->cr3 = kvm_table_gpa(s->root);
		r->rsi = KVM_SHIM_GVA + offsetof(struct kvm_shim, edits);
		r->rcx = k->nedits;
		r->rdx = k->cr3;
		*rip = KVM_SHIM_GVA + kvm_shim_at_edit;
		*rsp = kvm_region_gva(k, saved);
	}
	return 0;
}

/* User code ran: the tables are as they should be. */
static void edits_done(struct kvm *k, struct space *s)
{
	k->nedits = 0;
	k->current = s;
	k->kernel.cr3 = k->cr3;
}

/* How far a run that ended came. LOST: KVM has left the processor where it should not be. */
enum where { WHERE_SHIM, WHERE_USER, WHERE_STUB, WHERE_LOST };

static enum where where_is(const struct kvm *k)
{
	uint64_t rip = k->run->s.regs.regs.rip;

	if (k->in_user)
		return WHERE_USER;
	if (in_stub(k, rip))
		return WHERE_STUB;
	return rip - KVM_SHIM_GVA < PAGE_SIZE ? WHERE_SHIM : WHERE_LOST;
}

/* Did ring 0 raise the exception? Its frame lies below the one for user code. IRETQ may (the
 * guest has changed a descriptor that is loaded): the interpreter finds out; nothing else may. */
static bool shim_raised(const struct kvm *k, bool *by_iretq)
{
	uint64_t rsp = k->run->s.regs.regs.rsp, stack = KVM_SHIM_GVA + offsetof(struct kvm_shim, stack);
	uint64_t below = sizeof(k->shim->stack) - sizeof(struct kvm_frame) - (rsp - stack);

	if (rsp - stack >= sizeof(k->shim->stack) || !below || below > sizeof(k->shim->stack))
		return false;
	*by_iretq = k->shim->stack[(rsp - stack) / 8 + 2] == KVM_SHIM_GVA + kvm_shim_at_enter;
	return true;
}

/* User code's own registers, wherever the run ended. */
static int store(struct kvm *k, struct space *s, struct cpu *c, enum where where, struct kvm_frame *f)
{
	const struct kvm_regs *r = &k->run->s.regs.regs;

	edits_done(k, s);
	*f = *kvm_frame(k);
	if (where == WHERE_USER) {
		const struct kvm_sregs *sr = &k->run->s.regs.sregs;

		*f = (struct kvm_frame){ .rip = r->rip, .rflags = r->rflags, .rsp = r->rsp,
					 .cs = sr->cs.selector, .ss = sr->ss.selector };
	} else {	/* it may not have said so itself yet */
		f->vector = (r->rip - KVM_SHIM_GVA - kvm_shim_at_stubs) / 16;
	}
	gprs_store(c, r, f->rsp);
	if (!k->own_selectors) {
		kvm_selector_store(k, &c->seg[SEG_CS], f->cs & 0xffff);
		kvm_selector_store(k, &c->seg[SEG_SS], f->ss & 0xffff);
	}
	flags_store(k, c, f->rflags);
	kvm_segments_store(k, c);
	return fpu_store(k, c);
}

void kvm_run_user(void *self, struct space *s, struct cpu *c, struct direct_exit *x)
{
	struct kvm *k = self;
	struct kvm_frame f = { 0 };
	enum where where = WHERE_SHIM;
	uint64_t rip = 0, rsp = 0;
	bool by_iretq = true;
	int err, failed = 0;

	memset(x, 0, sizeof(*x));
	k->tid = (pid_t)syscall(SYS_gettid);
	if (atomic_exchange(&k->kicked, false)) {
		k->run->immediate_exit = 0;
		x->kind = DEXIT_KICK;
		return;
	}
	err = load(k, s, c, &rip, &rsp);
	if (!err) {
		err = kvm_enter(k, rip, rsp);
		where = where_is(k);
	}
	if (!err && where == WHERE_STUB && shim_raised(k, &by_iretq) && !by_iretq) {
		kvm_failed(k, "exception in the shim", -EFAULT);
		where = WHERE_SHIM;
		err = -EFAULT;
	}
	if (where == WHERE_USER || where == WHERE_STUB)
		failed = store(k, s, c, where, &f);
	else if (!err)
		err = -EFAULT;			/* the shim was left another way */
	if (where == WHERE_STUB)
		classify(k, c, &f, x);
	else if (where == WHERE_USER && !syscall_went(k, c, &f, x)) {	/* or a kick just behind it */
		c->rip = cpu_code64(c) ? f.rip : (uint32_t)f.rip;
		x->gva = c->rip;
		x->kind = err == -EINTR ? DEXIT_KICK : err == -EBUSY ? DEXIT_GUARD : DEXIT_TRAP;
	}
	if (err == -EINTR && where == WHERE_SHIM)	/* nothing has happened to the guest */
		x->kind = DEXIT_KICK;
	else if (failed || (err && !(where == WHERE_USER && (err == -EINTR || err == -EAGAIN || err == -EBUSY)))) {
		kvm_failed(k, failed ? "KVM_GET_XSAVE" : "KVM_RUN", failed ? failed : err);
		x->kind = DEXIT_HOST;
		x->err = failed ? failed : err;
		x->lost = failed || where == WHERE_LOST;
	}
	if (x->kind == DEXIT_KICK)
		atomic_store(&k->kicked, false);
}

static void kvm_step(void *self, struct space *s, struct cpu *c, struct direct_exit *x)
{
	struct kvm *k = self;

	k->stepping = true;
	kvm_run_user(self, s, c, x);
	k->stepping = false;
}

static void kvm_kick(void *self)
{
	struct kvm *k = self;
	int saved = errno;

	atomic_store(&k->kicked, true);
	k->run->immediate_exit = 1;
	if (k->tid)
		syscall(SYS_tgkill, getpid(), k->tid, KVM_KICK_SIGNAL);
	errno = saved;
}

static const char *kvm_complete(void *self)
{
	const struct kvm *k = self;

	return !k->wide32 ? k->why32 : k->own_selectors ? "selectors, which this KVM replaces" : NULL;
}

static const char *kvm_failure(void *self)
{
	struct kvm *k = self;

	return k->failure[0] ? k->failure : "KVM failed";
}

static void kvm_counts(void *self, unsigned *live, unsigned *made)
{
	const struct kvm *k = self;

	*live = k->live;
	*made = k->made;
}

const struct direct_engine direct_kvm = {
	.name = "kvm",
	.open = kvm_open,
	.close = kvm_close,
	.sink = kvm_sink,
	.refuses = kvm_refuses,
	.complete = kvm_complete,
	.run = kvm_run_user,
	.step = kvm_step,
	.kick = kvm_kick,
	.failure = kvm_failure,
	.counts = kvm_counts,
};

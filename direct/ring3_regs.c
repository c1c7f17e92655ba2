/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers between struct cpu and a stopped stub. It decides which bits of the
 * host's view are the guest's: EFLAGS has IF set and IOPL 0 (the gate admits
 * nothing else), RF and TF are never loaded, and a 32-bit guest has no R8-R15.
 *
 * The FPU moves only when the other side changed it: loading is skipped while the
 * stub that ran last still holds what the interpreter sees, and a fetched image
 * equal to the last one is not converted. A load writes the whole XSAVE area
 * with only x87 and SSE present, so that AVX and later state start in their
 * initial configuration (SDM 1 13.6) and nothing of another process shows. With
 * fpu_lazy, fetching waits until somebody asks.
 */
#include "direct/ring3.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

/* What of EFLAGS is loaded. ID is loaded too, by stub_set_id(). */
#define FL_LOADED	(FL_ARITH | FL_DF | FL_NT | FL_AC)
/* What guest code can have changed. */
#define FL_STORED	(FL_LOADED | FL_ID | FL_TF)

/* struct user_regs_struct's members in the order of enum gpr. */
#define GPRS(X) \
	X(RAX, rax) X(RCX, rcx) X(RDX, rdx) X(RBX, rbx) X(RSP, rsp) X(RBP, rbp) X(RSI, rsi) \
	X(RDI, rdi) X(R8, r8) X(R9, r9) X(R10, r10) X(R11, r11) X(R12, r12) X(R13, r13) \
	X(R14, r14) X(R15, r15)

void regs_load(const struct space *s, const struct cpu *c, struct user_regs_struct *r)
{
#define X(n, field) r->field = c->gpr[n];
	GPRS(X)
#undef X
	r->rip = c->rip;
	r->eflags = (cpu_eflags(c) & FL_LOADED) | FL_IF | FL_1;
	r->orig_rax = -1ul;	/* no system call to restart */
	r->es = s->host[SEG_ES];
	r->cs = s->host[SEG_CS];
	r->ss = s->host[SEG_SS];
	r->ds = s->host[SEG_DS];
	r->fs = s->host[SEG_FS];
	r->gs = s->host[SEG_GS];
	/* A host with FSGSBASE keeps base and selector apart, even for 32-bit code. */
	r->fs_base = c->seg[SEG_FS].base;
	r->gs_base = c->seg[SEG_GS].base;
}

void regs_store(struct cpu *c, const struct user_regs_struct *r)
{
	/* Outside long mode no guest has the upper halves, whatever its code did in
	 * the stub. */
	uint64_t mask = cpu_long_mode(c) ? ~0ull : 0xffffffffull;

#define X(n, field) if (n < R8 || cpu_long_mode(c)) c->gpr[n] = r->field & mask;
	GPRS(X)
#undef X
	/* A long-mode guest's 32-bit code may have jumped to its 64-bit segment. */
	c->rip = cpu_long_mode(c) && r->cs == HOST_CS64 ? r->rip : (uint32_t)r->rip;
	/* RF is 0 after every instruction done, TF was 0 on entry. */
	cpu_set_eflags(c, (cpu_eflags(c) & ~(FL_STORED | FL_RF)) | (r->eflags & FL_STORED));
	if (cpu_code64(c)) {
		c->seg[SEG_FS].base = r->fs_base;
		c->seg[SEG_GS].base = r->gs_base;
	}
}

/* --- FPU --------------------------------------------------------------------- */

/* The XSAVE area in its standard format, SDM 1 13.4. */
#define XSTATE_MAX	16384
#define XSTATE_BV	512
#define XSTATE_X87_SSE	3ull

int fpu_measure(struct space *s)
{
	static uint8_t area[XSTATE_MAX];
	struct iovec v = { area, sizeof(area) };

	if (ptrace(PTRACE_GETREGSET, s->pid, (void *)NT_X86_XSTATE, &v) < 0)
		return errno == ENODEV || errno == EINVAL ? 0 : -errno;
	return (int)v.iov_len;
}

int fpu_load(struct space *s, struct cpu *c)
{
	static uint8_t area[XSTATE_MAX] __attribute__((aligned(64)));
	const uint64_t bv = XSTATE_X87_SSE;
	struct ring3 *e = s->e;
	struct iovec v = { area, e->xstate_size };
	int err;

	if (e->fpu_away && e->fpu_owner == s && e->fpu_away == c)
		return 0;
	err = fpu_fetch(e);
	if (err)
		return err;
	if (e->fpu_owner == s && !memcmp(&e->fpu_seen, &c->fpu, sizeof(c->fpu)))
		return 0;
	fpu_to_fxsave(&c->fpu, area, true);
	memcpy(area + XSTATE_BV, &bv, sizeof(bv));
	err = e->xstate_size ? stub_ptrace(s, PTRACE_SETREGSET, (void *)NT_X86_XSTATE, &v) :
		stub_ptrace(s, PTRACE_SETFPREGS, NULL, area);
	if (err)
		return err;
	e->fpu_owner = s;
	memcpy(&e->fpu_seen, &c->fpu, sizeof(c->fpu));
	e->fpu_image_valid = false;
	return 0;
}

static int fetch(struct space *s, struct cpu *c)
{
	uint8_t image[FXSAVE_SIZE];
	struct ring3 *e = s->e;
	const struct fpu old = c->fpu;
	uint64_t old_ip = c->fpu.fip;
	uint16_t old_cs = c->fpu.fcs, old_ds = c->fpu.fds;
	/* Not a regset: those have the shape of the mode that the stub is in. */
	int err = stub_ptrace(s, PTRACE_GETFPREGS, NULL, image);

	if (err)
		return err;
	if (e->fpu_image_valid && !memcmp(image, e->fpu_image, sizeof(image)))
		return 0;
	fpu_from_fxsave(&c->fpu, image, true);
	/* The 64-bit image has no room for the selectors (SDM 1 10.5.1.1). */
	if (e->m->config && e->m->config->strict) {	/* no x87 instruction ran there: */
		fpu_keep_pointers(&c->fpu, &old);
	} else if (c->fpu.fip) {
		bool same = c->fpu.fip == old_ip;

		c->fpu.fcs = same ? old_cs : e->fpu_cs;
		c->fpu.fds = same ? old_ds : e->fpu_ds;
	}
	memcpy(e->fpu_image, image, sizeof(image));
	memcpy(&e->fpu_seen, &c->fpu, sizeof(c->fpu));
	e->fpu_image_valid = true;
	return 0;
}

int fpu_fetch(struct ring3 *e)
{
	struct cpu *c = e->fpu_away;

	e->fpu_away = NULL;
	return c && e->fpu_owner ? fetch(e->fpu_owner, c) : 0;
}

int fpu_store(struct space *s, struct cpu *c)
{
	struct ring3 *e = s->e;

	e->fpu_cs = cpu_code64(c) ? 0 : c->seg[SEG_CS].sel;
	e->fpu_ds = cpu_code64(c) ? 0 : c->seg[SEG_DS].sel;
	if (!e->fpu_lazy)
		return fetch(s, c);
	e->fpu_away = c;
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a stop of the stub means. Every stop leaves RIP at the instruction that could
 * not be done, so that the interpreter does it; where the host reports the address
 * after the instruction (INT 0x80, SYSCALL, INT3, INTO) it is moved back. What the
 * instruction means to the guest is never asked here. SDM 3A 6.5, table 6-1;
 * Linux: arch/x86/kernel/traps.c, entry/, mm/fault.c.
 */
#include "direct/ring3.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define SYSCALL_STOP	(SIGTRAP | 0x80)	/* PTRACE_O_TRACESYSGOOD */
#define DR6_BS		0x4000u
#ifndef SYS_SECCOMP
#define SYS_SECCOMP	1
#endif

static gva_t linear(const struct cpu *c, const struct user_regs_struct *r)
{
	return r->cs == HOST_CS64 ? r->rip : (uint32_t)(c->seg[SEG_CS].base + r->rip);
}

/* A byte of the guest's code, -1 where nothing is mapped. */
static int peek(struct space *s, gva_t at)
{
	long word;

	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, s->pid, (void *)(at & ~7ull), NULL);
	return errno ? -1 : (int)((unsigned long)word >> (at & 7) * 8 & 0xff);
}

static bool ends_in(struct space *s, gva_t rip, int first, int second)
{
	return peek(s, rip - 2) == first && peek(s, rip - 1) == second;
}

static void back(struct user_regs_struct *r, unsigned n)
{
	r->rip -= n;
	if (r->cs != HOST_CS64)
		r->rip = (uint32_t)r->rip;
}

/*
 * A system call that did not happen. RAX was replaced by -ENOSYS and is in
 * orig_rax. INT 0x80 leaves CS as it was loaded. The compatibility entries put the
 * host's flat segments into CS and SS, an address in a vdso that is not mapped
 * into RIP, and a word of the guest's stack into EBP:
 *
 *	SYSENTER (Intel)	EBP is in RSP; ESP and the address are lost, as SYSENTER
 *				itself loses them
 *	SYSCALL (AMD)		EBP is in RCX; the address is lost, which SYSCALL would
 *				have left in ECX
 *
 * If the stack word cannot be read, the host does not stop at all but goes on at that
 * address with -EFAULT: then CS tells. So 32-bit code with SYSCALL on an AMD host needs a
 * guard on it; SYSENTER needs one only for code that has no stack at EBP.
 */
static void syscall_stop(struct space *s, const struct cpu *c, struct user_regs_struct *r,
			 struct direct_exit *x)
{
	r->rax = r->orig_rax;
	x->kind = DEXIT_SYSCALL;
	x->rip_known = true;
	if (r->cs == HOST_CS64 && r->rcx == r->rip) {
		r->ss = s->host[SEG_SS];	/* the host's entry has its own idea */
		back(r, 2);
		return;
	}
	if (r->cs == HOST_CS32 && (s->host[SEG_CS] != HOST_CS32 ||
				   !ends_in(s, linear(c, r), 0xcd, 0x80))) {
		x->rip_known = false;
		x->sysenter = !s->e->syscall32;
		r->rbp = (uint32_t)(s->e->syscall32 ? r->rcx : r->rsp);
		r->cs = s->host[SEG_CS];
		r->ss = s->host[SEG_SS];
		r->rip = (uint32_t)c->rip;
		return;
	}
	x->kind = DEXIT_INTN;
	back(r, 2);
}

/* Is the instruction at `at` INT1, INT3 or INT n, whatever its prefixes? */
static bool is_interrupt(struct space *s, gva_t at)
{
	static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3 };
	int b = peek(s, at);

	for (unsigned i = 0; i < 14 && b >= 0 && (memchr(prefixes, b, sizeof(prefixes)) ||
						 (b & 0xf0) == 0x40); i++)
		b = peek(s, ++at);
	return b == 0xcc || b == 0xcd || b == 0xf1;
}

static bool is_guarded(const struct space *s, gva_t at)
{
	for (unsigned i = 0; i < s->nguard; i++)
		if (s->guard[i] == at)
			return true;
	return false;
}

/* What Linux makes each signal of (arch/x86 traps): the exceptions behind one. */
#define VECTORS_ILL	(1u << VEC_UD)
#define VECTORS_FPE	(1u << VEC_DE | 1u << VEC_MF | 1u << VEC_XM)
#define VECTORS_SEGV	(1u << VEC_GP | 1u << VEC_TS | 1u << VEC_OF | 1u << VEC_BR)
#define VECTORS_BUS	(1u << VEC_SS | 1u << VEC_NP | 1u << VEC_AC)

static void refused(struct direct_exit *x, uint32_t vectors)
{
	x->kind = DEXIT_TRAP;
	x->vectors = vectors;
}

/* SIGTRAP: INT3 and INT1 are traps, an instruction breakpoint is a fault. */
static void trap_stop(struct space *s, struct cpu *c, const siginfo_t *si,
		      struct user_regs_struct *r, struct direct_exit *x)
{
	gva_t at = linear(c, r);
	gva_t start = cpu_code64(c) ? c->rip : (uint32_t)(c->seg[SEG_CS].base + c->rip);
	int code = si->si_code;

	/* Some virtual hosts now and then lose what DR6 says: then a step or a breakpoint looks
	 * like INT1. */
	if (code != TRAP_TRACE && code != TRAP_HWBKPT) {
		if (s->stepping && !is_interrupt(s, start))
			code = TRAP_TRACE;
		else if (is_guarded(s, at) && !ends_in(s, at, 0xcd, 3) &&
			 peek(s, at - 1) != 0xcc && peek(s, at - 1) != 0xf1)
			code = TRAP_HWBKPT;
	}
	switch (code) {
	case TRAP_HWBKPT:
		x->kind = DEXIT_GUARD;
		x->gva = at;
		break;
	case TRAP_TRACE:
		if (s->stepping) {
			x->kind = DEXIT_STEP;
			break;
		}
		/* The guest's own POPF set TF: its debug trap is due now. */
		x->kind = DEXIT_TRAP;
		c->pending_dbg |= DR6_BS;
		break;
	case TRAP_BRKPT:	/* INT1, 0xf1: some virtual hosts report it as a fault */
		x->kind = DEXIT_INTN;
		back(r, s->e->int1_len);
		break;
	default:		/* INT3, 0xcc or 0xcd 0x03 */
		x->kind = DEXIT_INTN;
		back(r, peek(s, at - 1) == 3 ? 2 : 1);
	}
}

/* Opcodes that may well raise #GP in user code by themselves: in and out, int n, hlt, cli, sti,
 * and of the two-byte ones those of the system, and what can be made to: RDTSC, CPUID. */
static bool opcode_faults(struct space *s, gva_t at)
{
	static const uint8_t two_byte[] = { 0x00, 0x01, 0x06, 0x08, 0x09, 0x20, 0x21, 0x22, 0x23, 0x30, 0x31,
					    0x32, 0x33, 0x35, 0xa2 };
	int b = peek(s, at), n = peek(s, at + 1);

	if (b == 0xcd && (n == 3 || n == 4 || n == 0x80))	/* the host lets user code do these */
		return false;
	return (b >= 0x6c && b <= 0x6f) || (b >= 0xe4 && b <= 0xe7) || (b >= 0xec && b <= 0xef) ||
	       b == 0xcd || b == 0xf4 || b == 0xfa || b == 0xfb ||
	       (b == 0x0f && n >= 0 && memchr(two_byte, n, sizeof(two_byte)));
}

/*
 * SIGSEGV without an address: #GP and its kin at the instruction, but also #OF, which
 * Linux lets user code raise (INTO, INT 4) and reports after the instruction, with
 * nothing else to tell it by. Taken for #OF if such an instruction lies before RIP, and
 * none lies at RIP that raises #GP by itself.
 */
static void protection_stop(struct space *s, const struct cpu *c, struct user_regs_struct *r,
			    struct direct_exit *x)
{
	gva_t at = linear(c, r);
	int last;

	refused(x, VECTORS_SEGV);
	last = peek(s, at - 1);
	if (last == 0xce && r->cs != HOST_CS64 && (r->eflags & FL_OF)) {
		if (!opcode_faults(s, at))
			x->kind = DEXIT_INTN, back(r, 1);
	} else if (last == 4 && ends_in(s, at, 0xcd, 4) && !opcode_faults(s, at)) {
		x->kind = DEXIT_INTN, back(r, 2);
	}
}

/* The host emulates a call to its vsyscall page as far as the RET, unless the filter
 * objects: then this signal comes with the call half done. RAX is lost, as it would
 * be by the call. */
static void vsyscall_stop(const siginfo_t *si, struct user_regs_struct *r, struct direct_exit *x)
{
	x->kind = DEXIT_FAULT;
	x->gva = r->rip = (uintptr_t)si->si_call_addr;
	r->rsp -= 8;
}

static void fault_stop(const siginfo_t *si, struct direct_exit *x)
{
	x->kind = DEXIT_FAULT;
	x->gva = (uintptr_t)si->si_addr;
}

static void signal_stop(struct space *s, struct cpu *c, int sig, struct user_regs_struct *r,
			struct direct_exit *x)
{
	siginfo_t si;

	/* One ptrace request is a tenth of a crossing: none where it would not tell. */
	if (sig == SIGILL || sig == SIGFPE) {
		refused(x, sig == SIGILL ? VECTORS_ILL : VECTORS_FPE);
		return;
	}
	x->kind = DEXIT_KICK;
	if (sig == KICK_SIGNAL)
		return;
	x->err = stub_ptrace(s, PTRACE_GETSIGINFO, NULL, &si);
	if (x->err) {
		x->kind = DEXIT_HOST;
		return;
	}
	if (si.si_code <= 0)	/* sent by a process, not caused by the guest */
		return;
	switch (sig) {
	case SIGSEGV:
		if (si.si_code == SI_KERNEL)
			protection_stop(s, c, r, x);
		else
			fault_stop(&si, x);
		break;
	case SIGBUS:
		if (si.si_code == BUS_ADRERR)
			fault_stop(&si, x);
		else if (si.si_code == BUS_ADRALN || si.si_code == SI_KERNEL)
			refused(x, VECTORS_BUS);
		else {	/* broken memory of the host */
			x->kind = DEXIT_HOST;
			x->err = -EIO;
		}
		break;
	case SIGTRAP:
		trap_stop(s, c, &si, r, x);
		break;
	case SIGSYS:
		if (si.si_code == SYS_SECCOMP)
			vsyscall_stop(&si, r, x);
		break;
	}
}

/* *r is corrected to what the guest's registers are. */
void exit_classify(struct space *s, struct cpu *c, int status, struct user_regs_struct *r,
		   struct direct_exit *x)
{
	int sig = WSTOPSIG(status);

	if (sig == SYSCALL_STOP)
		syscall_stop(s, c, r, x);
	else
		signal_stop(s, c, sig, r, x);
}

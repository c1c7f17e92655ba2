/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stub process: how it is born with nothing worth reading, how the monitor
 * makes it do system calls, how it dies. It knows nothing of the guest.
 *
 * Birth. A vfork child arranges three descriptors, closes all others, gives up
 * new privileges and core dumps, asks to be traced and executes the image of
 * stub.S from a memfd: so no byte of the monitor's memory is inherited. At the
 * execve stop the monitor drives it: make CPUID fault where the host can do that, map
 * the exchange page, unmap everything else (stack, vdso, vvar), close the exchange
 * descriptor, move the text out of the guest's way, install the filter.
 *
 * Two walls keep guest code from the host kernel. Guest code runs under
 * PTRACE_SYSEMU, which stops at a system call without doing it. Behind it a
 * seccomp filter passes only what a batch contains, from the one SYSCALL
 * instruction of the stub; it is also what vsyscall emulation obeys.
 *
 * A stub dies with its monitor (PR_SET_PDEATHSIG from its first step, PTRACE_O_EXITKILL);
 * untraced, its entry is UD2.
 */
#include "direct/ring3.h"

#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static gva_t text(const struct space *s)
{
	return s->home + STUB_TEXT_AT;
}

void ring3_complain(struct ring3 *e, const char *what, int err)
{
	if (e->complained)
		return;
	e->complained = true;
	fprintf(stderr, "hemi: ring3: %s: %s\n", what, strerror(-err));
}

/* --- Birth ----------------------------------------------------------------- */

/* volatile: the compiler sees no way back from child() to the code that reads them. */
struct birth {
	int ram, image, xchg;
	pid_t monitor;
	const char *volatile what;
	volatile int err;
};

#define TRY(call) do { if ((call) < 0) { b->what = #call; b->err = -errno; _exit(1); } } while (0)

/* In the vfork child, on the monitor's memory: only system calls, no return. */
static _Noreturn __attribute__((noinline)) void child(struct birth *b)
{
	char *const argv[] = { (char *)"hemi-stub", NULL }, *const env[] = { NULL };
	const struct rlimit none = { 0, 0 };
	sigset_t mask;

	/* Until PTRACE_O_EXITKILL holds. A monitor killed meanwhile would leave a process that
	 * asks whoever inherits it to trace it, and then stands still for ever. */
	TRY(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
	if (getppid() != b->monitor)
		_exit(1);
	TRY(setsid());	/* not in the terminal's foreground group */
	TRY(b->ram = fcntl(b->ram, F_DUPFD, 10));
	TRY(b->image = fcntl(b->image, F_DUPFD, 10));
	TRY(b->xchg = fcntl(b->xchg, F_DUPFD, 10));
	TRY(dup2(b->ram, STUB_RAM_FD));
	TRY(dup3(b->image, STUB_IMAGE_FD, O_CLOEXEC));
	TRY(dup2(b->xchg, STUB_XCHG_FD));
	if (syscall(SYS_close_range, 3u, ~0u, 0u) < 0)
		for (int fd = 3, n = getdtablesize(); fd < n; fd++)
			close(fd);
	TRY(setrlimit(RLIMIT_CORE, &none));
	TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	/* A signal that stopped the child now would leave the monitor in vfork. */
	sigfillset(&mask);
	sigdelset(&mask, SIGTRAP);
	TRY(sigprocmask(SIG_SETMASK, &mask, NULL));
	TRY(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	TRY(syscall(SYS_execveat, STUB_IMAGE_FD, "", argv, env, AT_EMPTY_PATH));
	_exit(1);
}

static int spawn(struct ring3 *e, pid_t *pid, const char **what)
{
	struct birth b = { e->m->mem.fd, e->image_fd, e->xchg_fd, getpid(), NULL, 0 };
	sigset_t all, old;
	pid_t p;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	p = vfork();
	if (p == 0)
		child(&b);
	b.err = p < 0 && !b.err ? -errno : b.err;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (p < 0) {
		*what = "vfork";
		return b.err;
	}
	*pid = p;
	if (b.err) {
		waitpid(p, NULL, __WALL);
		*what = b.what;
	}
	return b.err;
}

/* Only the calls of a batch, only from the stub's own SYSCALL instruction, and of
 * mmap only shared mappings of guest RAM at a given address. */
static void install_filter(struct space *s)
{
	const uint64_t ip = text(s) + stub_at_return;
#define LOAD(field)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_HIGH(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field) + 4)
#define NEED(value)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 1, 0), DENY
#define ALLOW		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define DENY		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skip))
	const struct sock_filter filter[] = {
		LOAD(arch), NEED(AUDIT_ARCH_X86_64),
		LOAD(instruction_pointer), NEED(ip),
		LOAD_HIGH(instruction_pointer), NEED(ip >> 32),
		LOAD(nr),
		UNLESS(SYS_mmap, 7),
			LOAD(args[3]), NEED(MAP_SHARED | MAP_FIXED),
			LOAD(args[4]), NEED(STUB_RAM_FD),
			ALLOW,
		UNLESS(SYS_munmap, 1), ALLOW,
		UNLESS(SYS_mprotect, 1), ALLOW,
		UNLESS(SYS_modify_ldt, 1), ALLOW,
		UNLESS(SYS_prctl, 4), LOAD(args[0]), NEED(PR_SET_TSC), ALLOW,
		DENY,
	};
	struct sock_fprog prog = { ARRAY_LEN(filter), NULL };

	prog.filter = (struct sock_filter *)stub_data(s, filter, sizeof(filter));
	/* SPEC_ALLOW: or older kernels make all guest code slow (SSBD). */
	stub_queue(s, SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		   stub_data(s, &prog, sizeof(prog)), 0, 0, 0);
}

static const struct user_regs_struct at_rest = {
	.cs = HOST_CS64, .ss = HOST_DS, .eflags = FL_IF | FL_1, .orig_rax = -1ul,
};

/* One call with its arguments in registers, while there is no exchange page. rbx and
 * rbp make the routine stop after it. */
static int call_bare(struct space *s, uint64_t text, long nr, const uint64_t a[static 6],
		     int want_signal, uint64_t *rip)
{
	struct user_regs_struct r = at_rest;
	int status, err;

	r.rip = text + stub_at_syscall;
	r.rax = (uint64_t)nr;
	r.rdi = a[0], r.rsi = a[1], r.rdx = a[2], r.r10 = a[3], r.r8 = a[4], r.r9 = a[5];
	r.rbx = 0, r.rbp = STUB_REQ_SIZE;
	if (ptrace(PTRACE_SETREGS, s->pid, NULL, &r) < 0)
		return -errno;
	err = stub_resume(s, PTRACE_CONT, &status);
	if (err)
		return err;
	if (WSTOPSIG(status) != want_signal || ptrace(PTRACE_GETREGS, s->pid, NULL, &r) < 0)
		return -EIO;
	*rip = r.rip;
	return (int64_t)r.rax < 0 && (int64_t)r.rax >= -4095 ? (int)r.rax : 0;
}

/*
 * CPUID faulting, which not every processor and hypervisor offers: ENODEV, or EINVAL of a
 * kernel that does not know it. The host re-enables CPUID at execve, so it is asked for
 * here; the filter keeps guest code from asking again.
 */
static int trap_cpuid(struct space *s)
{
	const uint64_t off[6] = { ARCH_SET_CPUID, 0 };
	uint64_t rip;
	int err;

	if (s->e->cpuid_left)
		return 0;
	err = call_bare(s, STUB_LINK, SYS_arch_prctl, off, SIGTRAP, &rip);
	return (err == -ENODEV || err == -EINVAL) && !s->e->cpuid_traps ? 0 : err;
}

static int settle(struct space *s, const char **what)
{
	const uint64_t map[6] = { s->home, PAGE_SIZE, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_FIXED, STUB_XCHG_FD, s->page * PAGE_SIZE };
	const uint64_t move[6] = { STUB_LINK, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		text(s), 0 };
	const gva_t first = s->home < STUB_LINK ? s->home : STUB_LINK;
	const gva_t second = s->home < STUB_LINK ? STUB_LINK : s->home;
	struct user_regs_struct r = at_rest;
	int status, err;
	uint64_t rip;

	*what = "PTRACE_SETOPTIONS";
	if (ptrace(PTRACE_SETOPTIONS, s->pid, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD) < 0)
		return -errno;

	*what = "arch_prctl(ARCH_SET_CPUID) in the stub";
	err = trap_cpuid(s);
	if (err)
		return err;

	*what = "mmap of the exchange page in the stub";
	err = call_bare(s, STUB_LINK, SYS_mmap, map, SIGTRAP, &rip);
	if (err)
		return err;

	*what = "munmap in the stub";
	stub_queue(s, SYS_munmap, 0, first, 0, 0, 0, 0);
	stub_queue(s, SYS_munmap, first + PAGE_SIZE, second - first - PAGE_SIZE, 0, 0, 0, 0);
	stub_queue(s, SYS_munmap, second + PAGE_SIZE, USER_TOP - second - PAGE_SIZE, 0, 0, 0, 0);
	stub_queue(s, SYS_close, STUB_XCHG_FD, 0, 0, 0, 0, 0);
	r.rip = STUB_LINK + stub_at_batch;
	r.rbx = s->home, r.rbp = s->home + s->nreq * STUB_REQ_SIZE;
	s->nreq = 0;
	if (ptrace(PTRACE_SETREGS, s->pid, NULL, &r) < 0)
		return -errno;
	err = stub_resume(s, PTRACE_CONT, &status);
	if (err)
		return err;
	if (ptrace(PTRACE_GETREGS, s->pid, NULL, &r) < 0 || r.rbx != r.rbp)
		return -EIO;

	/* The move takes the code away from under its own feet: a page fault at the
	 * instruction after SYSCALL is its success. */
	*what = "mremap in the stub";
	err = call_bare(s, STUB_LINK, SYS_mremap, move, SIGSEGV, &rip);
	if (err)
		return err;
	if (rip != STUB_LINK + stub_at_return)
		return -EIO;

	*what = "seccomp in the stub";
	install_filter(s);
	return stub_flush(s, NULL);
}

/* Nothing but what guest code causes, and the kick, may stop the stub. */
static int set_signal_mask(pid_t pid)
{
	static const int open[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, KICK_SIGNAL };
	uint64_t mask = ~0ull;

	for (size_t i = 0; i < ARRAY_LEN(open); i++)
		mask &= ~(1ull << (open[i] - 1));
	return ptrace(PTRACE_SETSIGMASK, pid, (void *)sizeof(mask), &mask) < 0 ? -errno : 0;
}

static int take_page(struct ring3 *e)
{
	for (int i = 0; i < STUBS_MAX; i++)
		if (!e->page_used[i])
			return i;
	return -EAGAIN;
}

/* Guest code should not find its own stub: a load there would not fault. With two pages in
 * 16 thousand million it is not found by walking either. */
gva_t stub_home(void)
{
	uint64_t random;
	gva_t home;

	do {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			random = 0x1badb002;	/* a host without: any place will do, once */
		home = STUB_LOW + (random % (STUB_HIGH - STUB_LOW - STUB_SIZE) & PAGE_MASK);
	} while (home + STUB_SIZE >= STUB_LINK && home <= STUB_LINK + PAGE_SIZE);
	return home;
}

int stub_start(struct ring3 *e, struct space *s, const char **what)
{
	int page = take_page(e), status, err;

	*what = "too many address spaces";
	if (page < 0)
		return page;
	s->e = e;
	s->pidfd = -1;
	s->dead = false;
	s->nreq = s->ndata = 0;
	if (!s->home)
		s->home = stub_home();
	err = spawn(e, &s->pid, what);
	if (err)
		return err;
	s->page = (unsigned)page;
	s->x = &e->xchg[page];
	e->page_used[page] = 1;
	e->live++;
	e->made++;

	*what = "execveat of the stub";
	pid_t got;

	do {	/* the preemption timer may come in between */
		got = waitpid(s->pid, &status, __WALL);
	} while (got < 0 && errno == EINTR);
	if (got != s->pid || !WIFSTOPPED(status)) {
		s->dead = true;
		err = -ECHILD;
	} else {
		s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
		*what = "PTRACE_SETSIGMASK";
		err = set_signal_mask(s->pid);
		if (!err)
			err = settle(s, what);
	}
	memset(s->x, 0, sizeof(*s->x));
	if (err)
		stub_kill(s);
	return err;
}

void stub_kill(struct space *s)
{
	struct ring3 *e = s->e;

	if (e->fpu_owner == s) {
		e->fpu_owner = NULL;
		e->fpu_away = NULL;
	}
	if (!s->dead) {
		kill(s->pid, SIGKILL);
		while (waitpid(s->pid, NULL, __WALL) < 0 && errno == EINTR)
			;
		s->dead = true;
	}
	if (s->pidfd >= 0)
		close(s->pidfd);
	s->pidfd = -1;
	if (s->x) {
		memset(s->x, 0, sizeof(*s->x));
		e->page_used[s->page] = 0;
		s->x = NULL;
		e->live--;
	}
}

/* --- Work ------------------------------------------------------------------ */

static int wait_stop(struct space *s, int *status)
{
	pid_t p;

	do
		p = waitpid(s->pid, status, __WALL);
	while (p < 0 && errno == EINTR);
	if (p == s->pid && WIFSTOPPED(*status))
		return 0;
	s->dead = true;
	return -ESRCH;
}

int stub_ptrace(struct space *s, int request, void *addr, void *data)
{
	int status;

	if (ptrace(request, s->pid, addr, data) >= 0)
		return 0;
	if (errno != ESRCH)
		return -errno;
	/* Killed while it was stopped: only the corpse is left to collect. */
	return wait_stop(s, &status) ? -ESRCH : -EIO;
}

int stub_resume(struct space *s, int request, int *status)
{
	int err = stub_ptrace(s, request, NULL, NULL);

	return err ? err : wait_stop(s, status);
}

void stub_queue(struct space *s, long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
		uint64_t a4, uint64_t a5)
{
	bug_on(s->nreq == STUB_REQS);
	s->x->req[s->nreq++] = (struct stub_req){ (uint64_t)nr, { a0, a1, a2, a3, a4, a5 } };
}

uint64_t stub_data(struct space *s, const void *p, size_t n)
{
	size_t at = s->ndata;

	bug_on(at + n > sizeof(s->x->data));
	memcpy(s->x->data + at, p, n);
	s->ndata = (unsigned)((at + n + 7) & ~7ul);
	return s->home + offsetof(struct xchg, data) + at;
}

/* Runs a routine of the stub's page to its INT3. Kicks that arrive meanwhile are
 * remembered by the flag and not lost. */
static int routine(struct space *s, struct user_regs_struct *r)
{
	int status, err;

	if (s->dead)
		return -ESRCH;
	err = stub_ptrace(s, PTRACE_SETREGS, NULL, r);
	if (err)
		return err;
	do {
		err = stub_resume(s, PTRACE_CONT, &status);
		if (err)
			return err;
	} while (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSYS &&
		 WSTOPSIG(status) != SIGSEGV);
	err = stub_ptrace(s, PTRACE_GETREGS, NULL, r);
	if (err)
		return err;
	return r->rip == text(s) + stub_at_done + 1 ? 0 : -EIO;
}

int stub_flush(struct space *s, unsigned *done)
{
	struct user_regs_struct r = at_rest;
	unsigned n = s->nreq;
	int err;

	s->nreq = s->ndata = 0;
	if (done)
		*done = 0;
	if (!n)
		return 0;
	r.rip = text(s) + stub_at_batch;
	r.rbx = s->home;
	r.rbp = s->home + n * STUB_REQ_SIZE;
	err = routine(s, &r);
	if (err)
		return err;
	if (done)
		*done = (unsigned)((r.rbx - s->home) / STUB_REQ_SIZE);
	return r.rbx == r.rbp ? 0 : (int)r.rax;
}

int stub_set_id(struct space *s, bool id)
{
	uint64_t flags = FL_1 | FL_IF | (id ? FL_ID : 0);
	struct user_regs_struct r = at_rest;
	int err;

	r.rip = text(s) + stub_at_flags;
	r.rsp = stub_data(s, &flags, sizeof(flags));
	s->ndata = 0;
	err = routine(s, &r);
	s->id = id;
	return err;
}

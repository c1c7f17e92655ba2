/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring3 engine: guest user code runs as the user code of a confined host
 * process, the stub, one for each guest address space. In a nutshell:
 *
 *	load	segments -> the stub's descriptor tables (only what changed)
 *		FPU, registers -> the stopped stub
 *	run	PTRACE_SYSEMU, waitpid
 *	store	registers and FPU back, audit the selectors, classify the stop
 *
 * It needs no privilege, and computes nothing of the guest's. What a stub can
 * reach, and what it costs, is in docs/ring3.md.
 */
#include "direct/ring3.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Monitor and stub take turns, so they belong on one processor: a crossing within
 * one takes 9-16 us, across two (each wake-up an inter-processor interrupt) 18-53. The
 * thread is pinned when it makes its first address space, to where it is; stubs
 * inherit that. Threads that should be elsewhere must have been started before.
 */
void ring3_pin(struct ring3 *e)
{
	cpu_set_t one;
	int cpu;

	if (e->pinned)
		return;
	cpu = sched_getcpu();
	e->pinned = true;
	if (cpu < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* --- Running ------------------------------------------------------------------- */

/* RDTSC must fault if the guest says so, and also while guest time is not the host's:
 * the interpreter knows the offset, the processor does not. */
static int tsc_load(struct space *s, const struct cpu *c)
{
	bool traps = (c->cr4 & CR4_TSD) || c->tsc_offset;

	if (traps == s->tsc_traps)
		return 0;
	stub_queue(s, SYS_prctl, PR_SET_TSC, traps ? PR_TSC_SIGSEGV : PR_TSC_ENABLE, 0, 0, 0, 0);
	s->tsc_traps = traps;
	return stub_flush(s, NULL);
}

static int load(struct space *s, struct cpu *c)
{
	struct user_regs_struct r;
	bool id = cpu_eflags(c) & FL_ID;
	int err = s->dead ? -ESRCH : 0;

	if (!err)
		err = seg_load_all(s, c);
	if (!err)
		err = tsc_load(s, c);
	if (!err && id != s->id)
		err = stub_set_id(s, id);
	if (!err)
		err = fpu_load(s, c);
	if (err)
		return err;
	memset(&r, 0, sizeof(r));
	regs_load(s, c, &r);
	return stub_ptrace(s, PTRACE_SETREGS, NULL, &r);
}

static int store(struct space *s, struct cpu *c, int status, struct direct_exit *x)
{
	struct user_regs_struct r;
	int err = stub_ptrace(s, PTRACE_GETREGS, NULL, &r);

	if (!err)
		err = fpu_store(s, c);
	if (err)
		return err;
	s->id = r.eflags & FL_ID;
	exit_classify(s, c, status, &r, x);
	regs_store(c, &r);
	/* An unknown selector comes before the reason of the stop: RIP is at an instruction
	 * that will be tried again. */
	if (seg_audit(s, c, &r, x))
		return 0;
	return x->kind == DEXIT_HOST ? x->err : 0;
}

static void announce(struct ring3 *e, const struct space *s)
{
	atomic_store(&e->running_pid, s && s->pidfd < 0 ? s->pid : 0);
	atomic_store(&e->running_fd, s ? s->pidfd : -1);
}

void ring3_run(void *self, struct space *s, struct cpu *c, struct direct_exit *x)
{
	struct ring3 *e = self;
	int status, err;

	memset(x, 0, sizeof(*x));
	err = load(s, c);
	if (!err) {
		/* First say who runs, then look: a kick before is seen here, a later one
		 * sends its signal. */
		announce(e, s);
		if (atomic_exchange(&e->kicked, false)) {
			announce(e, NULL);
			x->kind = DEXIT_KICK;
			x->fpu_away = e->fpu_away;
			return;
		}
		err = stub_resume(s, s->stepping ? PTRACE_SYSEMU_SINGLESTEP : PTRACE_SYSEMU, &status);
		announce(e, NULL);
	}
	if (!err)
		err = store(s, c, status, x);
	x->fpu_away = e->fpu_away;
	if (!err) {
		if (x->kind == DEXIT_KICK)
			atomic_store(&e->kicked, false);
		return;
	}
	if (s->dead && e->fpu_owner == s) {
		e->fpu_owner = NULL;
		e->fpu_away = NULL;
		x->fpu_away = false;
	}
	ring3_complain(e, s->dead ? "a stub process died" : "ptrace", err);
	x->kind = DEXIT_HOST;
	x->err = err;
	x->lost = true;
}

void ring3_step(void *self, struct space *s, struct cpu *c, struct direct_exit *x)
{
	s->stepping = true;
	ring3_run(self, s, c, x);
	s->stepping = false;
}

static void ring3_kick(void *self)
{
	struct ring3 *e = self;
	int fd, pid, saved = errno;

	atomic_store(&e->kicked, true);
	fd = atomic_load(&e->running_fd);
	pid = atomic_load(&e->running_pid);
	if (fd >= 0)
		syscall(SYS_pidfd_send_signal, fd, KICK_SIGNAL, NULL, 0);
	else if (pid)
		kill(pid, KICK_SIGNAL);
	errno = saved;
}

/* --- Opening ------------------------------------------------------------------- */

static int seal_image(int fd)
{
	size_t n = (size_t)(stub_image_end - stub_image);

	if (write(fd, stub_image, n) != (ssize_t)n)
		return -EIO;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return 0;
}

static int make_memfds(struct ring3 *e, char *why)
{
	const size_t size = STUBS_MAX * PAGE_SIZE;
	void *p;
	int err;

	e->image_fd = memfd_create("hemi-stub", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	e->xchg_fd = memfd_create("hemi-exchange", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (e->image_fd < 0 || e->xchg_fd < 0) {
		err = -errno;
		snprintf(why, 128, "memfd_create: %s", strerror(-err));
		return err;
	}
	err = seal_image(e->image_fd);
	if (!err && (ftruncate(e->xchg_fd, (off_t)size) < 0 ||
		     fcntl(e->xchg_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0))
		err = -errno;
	if (!err) {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
			 e->xchg_fd, 0);
		if (p == MAP_FAILED)
			err = -errno;
		else
			e->xchg = p;
	}
	if (err)
		snprintf(why, 128, "memfd of the stub: %s", strerror(-err));
	return err;
}

static void ring3_close(void *self)
{
	struct ring3 *e = self;

	while (e->idle) {
		struct space *s = e->idle;

		e->idle = s->next;
		stub_kill(s);
		seg_forget(s);
		free(s);
	}
	if (e->xchg)
		munmap(e->xchg, STUBS_MAX * PAGE_SIZE);
	if (e->image_fd >= 0)
		close(e->image_fd);
	if (e->xchg_fd >= 0)
		close(e->xchg_fd);
	free(e);
}

static int ring3_open(void **self, struct machine *m, char why[static 128])
{
	struct ring3 *e = calloc(1, sizeof(*e));
	int err;

	if (!e) {
		snprintf(why, 128, "out of memory");
		return -ENOMEM;
	}
	e->m = m;
	e->image_fd = e->xchg_fd = -1;
	atomic_store(&e->running_fd, -1);
	err = make_memfds(e, why);
	if (!err)
		err = ring3_probe(e, why);
	if (err) {
		ring3_close(e);
		return err;
	}
	*self = e;
	return 0;
}

static const char *ring3_refuses(void *self, const struct cpu *c)
{
	(void)self;
	return seg_refuses(c);
}

static void ring3_fpu_lazy(void *self, bool on)
{
	struct ring3 *e = self;

	fpu_fetch(e);
	e->fpu_lazy = on;
}

static void ring3_fpu_fetch(void *self, struct cpu *c)
{
	struct ring3 *e = self;
	int err;

	bug_on(e->fpu_away && e->fpu_away != c);
	err = fpu_fetch(e);
	if (err)
		ring3_complain(e, "FPU state of a stub", err);
}

static void ring3_counts(void *self, unsigned *live, unsigned *made)
{
	const struct ring3 *e = self;

	*live = e->live;
	*made = e->made;
}

const struct direct_engine direct_ring3 = {
	.name = "ring3",
	.open = ring3_open,
	.close = ring3_close,
	.sink = ring3_sink,
	.refuses = ring3_refuses,
	.run = ring3_run,
	.step = ring3_step,
	.kick = ring3_kick,
	.fpu_lazy = ring3_fpu_lazy,
	.fpu_fetch = ring3_fpu_fetch,
	.counts = ring3_counts,
};

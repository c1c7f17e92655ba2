/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting and being interrupted: an idle guest sleeps in poll() until its next
 * timer or until somebody kicks, a stopped one until somebody kicks; direct code is kicked by a POSIX timer whose
 * signal arrives on the vCPU thread.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmexit/internal.h"

#define PREEMPT_SIGNAL	(SIGRTMIN + 3)
/* Longest run of direct code without a look at the outside, should a kick be lost. */
#define PREEMPT_MAX_NS	100000000ll
/* The same guest timer comes out some nanoseconds apart each time it is asked for. */
#define PREEMPT_SLACK_NS	5000

static void kick_direct(struct vmm *vmm)
{
	struct served *running = atomic_load(&vmm->running);

	if (running)
		running->e->kick(running->self);
	if (vmm->full)
		full_kick(vmm->full);
}

static void on_preempt(int sig, siginfo_t *info, void *context)
{
	struct vmm *vmm = info->si_value.sival_ptr;

	(void)sig;
	(void)context;
	if (vmm)
		kick_direct(vmm);
}

/* Any thread (machine_request). */
static void kick(void *arg)
{
	struct vmm *vmm = arg;
	uint64_t one = 1;

	kick_direct(vmm);
	if (write(vmm->wake, &one, sizeof(one)) < 0)
		return;		/* the counter is full: it wakes all the same */
}

int wait_create(struct vmm *vmm)
{
	struct sigaction sa = { .sa_sigaction = on_preempt, .sa_flags = SA_SIGINFO };
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = PREEMPT_SIGNAL,
			       .sigev_value.sival_ptr = vmm };

	vmm->preempt_at = INT64_MAX;
	vmm->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vmm->wake < 0)
		return -errno;
	vmm->m->kick = kick;
	vmm->m->kick_arg = vmm;
	if (!vmm->nserved && !vmm->full)
		return 0;
	ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (sigaction(PREEMPT_SIGNAL, &sa, NULL) < 0 ||
	    timer_create(CLOCK_MONOTONIC, &ev, &vmm->preempt) < 0)
		return -errno;
	vmm->have_preempt = true;
	return 0;
}

void wait_destroy(struct vmm *vmm)
{
	if (vmm->have_preempt)
		timer_delete(vmm->preempt);
	vmm->m->kick = NULL;
	if (vmm->wake >= 0)
		close(vmm->wake);
}

/* Makes sure that direct code is kicked no later than the next guest timer. An
 * earlier armed kick is left alone: it costs one look at the clock. */
void preempt_arm(struct vmm *vmm)
{
	int64_t now = host_now(), at = vmm->next_timer;

	if (at > now + PREEMPT_MAX_NS)
		at = now + PREEMPT_MAX_NS;
	if (vmm->preempt_at > now && vmm->preempt_at <= at + PREEMPT_SLACK_NS)
		return;
	if (at <= now)
		at = now + 1;

	struct itimerspec it = { .it_value = { at / 1000000000, at % 1000000000 } };

	timer_settime(vmm->preempt, TIMER_ABSTIME, &it, NULL);
	vmm->preempt_at = at;
}

/* Until a kick, or ns have passed. */
static void wait_kick(struct vmm *vmm, int64_t ns)
{
	struct pollfd p = { .fd = vmm->wake, .events = POLLIN };
	struct timespec t = { ns / 1000000000, ns % 1000000000 };
	int64_t before = host_now();
	uint64_t count;

	if (ns == 0 || vmm->m->attention)
		return;
	ppoll(&p, 1, ns == INT64_MAX ? NULL : &t, NULL);
	if (p.revents & POLLIN)
		while (read(vmm->wake, &count, sizeof(count)) > 0)
			;
	vmm->ns_idle += host_now() - before;
}

void wait_idle(struct vmm *vmm)
{
	wait_kick(vmm, clock_idle(&vmm->m->clock));
}

void wait_stopped(struct vmm *vmm)
{
	wait_kick(vmm, INT64_MAX);
}

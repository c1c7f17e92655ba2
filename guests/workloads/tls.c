/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls: what hangs on the FS and GS segments. Threads with thread-local variables
 * that must stay apart over context switches, signals and long jumps; in 32 bits
 * also the selector of GS itself, which user code may read and load.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "guests/workloads/workloads.h"

#define THREADS 8
#define ROUNDS 2000

static __thread uint64_t mine = SUM_START;
static __thread uint32_t hits;
static __thread char filler[3000];
static __thread sigjmp_buf back;
static volatile int ready;

static void on_signal(int sig)
{
	hits++;
	if (sig == SIGUSR2)
		siglongjmp(back, 1);
}

/* Load GS with its own selector (on 32-bit Linux that of the TLS descriptor) and
 * with none, and put it back: thread-local data must be there again. */
static void reload_gs(void)
{
#ifdef __i386__
	unsigned gs, seen;

	__asm__ volatile("movl %%gs, %0" : "=r"(gs));
	__asm__ volatile("xorl %1, %1\n\tmovl %1, %%gs\n\tmovl %%gs, %1\n\tmovl %0, %%gs"
			 : "+r"(gs), "=&r"(seen));
	errno = 0;
	if (seen & 0xfffc)
		fail("tls: GS is %x after loading 0", seen);
#endif
}

static void *thread(void *arg)
{
	long id = (long)arg;
	volatile long jumps = 0;

	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < THREADS)
		sched_yield();
	for (volatile long k = 0; k < ROUNDS; k++) {
		mine = sum(mine, id * ROUNDS + k);
		filler[k % sizeof(filler)] = id;
		if (k % 64 == 0)
			reload_gs();
		if (k % 100 == 7)
			raise(SIGUSR1);
		if (k % 200 == 9) {
			if (!sigsetjmp(back, 1))
				raise(SIGUSR2);
			jumps = jumps + 1;
		}
		if (k % 50 == id)
			sched_yield();
		errno = id; /* thread-local as well */
		if (errno != id)
			fail("tls: errno of thread %ld", id);
	}
	for (size_t i = 0; i < ROUNDS; i++)
		if (filler[i] != id)
			fail("tls: thread %ld has another's byte %d", id, filler[i]);
	if (jumps != ROUNDS / 200 || hits != ROUNDS / 100 + ROUNDS / 200)
		fail("tls: thread %ld: %ld jumps, %u signals", id, jumps, hits);
	return (void *)(unsigned long)(uint32_t)(mine ^ mine >> 32);
}

uint64_t run_tls(long n)
{
	struct sigaction sa = { .sa_handler = on_signal };
	uint64_t s = SUM_START;

	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	for (long k = 0; k < n; k++) {
		pthread_t t[THREADS];

		ready = 0;
		for (long i = 0; i < THREADS; i++)
			if ((errno = pthread_create(&t[i], NULL, thread, (void *)i)))
				fail("tls: pthread_create");
		for (long i = 0; i < THREADS; i++) {
			void *result;

			pthread_join(t[i], &result);
			s = sum(s, (unsigned long)result);
		}
	}
	errno = 0;
	if (mine != SUM_START || hits)
		fail("tls: the main thread's variables have changed");
	return s;
}

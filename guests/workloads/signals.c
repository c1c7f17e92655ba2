/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals: faults that user code takes and survives. Each must arrive as the
 * right signal, with the right address and code, and be resumed or left.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "guests/workloads/workloads.h"

#define PAGE 4096
#define PAGES 50

static sigjmp_buf back;
static volatile sig_atomic_t count, last_code;
static void *volatile last_address;

static void on_alarm(int sig)
{
	(void)sig;
	count++;
}

/* A write to a read-only page: allow it and let the instruction run again. */
static void on_write(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	count++;
	last_code = info->si_code;
	last_address = info->si_addr;
	if (mprotect((void *)((unsigned long)info->si_addr & -PAGE), PAGE, PROT_READ | PROT_WRITE))
		_exit(3);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	last_code = info->si_code;
	last_address = info->si_addr;
	siglongjmp(back, sig);
}

static void handle(int sig, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	sigaction(sig, &sa, NULL);
}

static uint64_t write_faults(uint64_t s)
{
	char *area = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		fail("signals: mmap");
	handle(SIGSEGV, on_write);
	count = 0;
	for (int i = 0; i < PAGES; i++) {
		char *p = area + i * PAGE + i;

		*(volatile char *)p = i;
		errno = 0;
		if (last_address != p || last_code != SEGV_ACCERR || count != i + 1 || *p != i)
			fail("signals: write %d: address %p for %p, code %d, %d faults", i,
			     last_address, (void *)p, (int)last_code, (int)count);
		s = sum(s, count);
	}
	munmap(area, PAGES * PAGE);
	return s;
}

/* Each provokes one signal. What is hashed: the signal and its code. */
static void provoke(int which)
{
	static double (*volatile none)(void);
	int *volatile low = (int *)8;

	switch (which) {
	case 0: *low = 1; break;				   /* SIGSEGV, not mapped */
	case 1: __asm__ volatile("divb %b0" ::"c"(0), "a"(1)); break; /* SIGFPE, #DE */
	case 2: __asm__ volatile("ud2"); break;			   /* SIGILL */
	case 3: __asm__ volatile("hlt"); break;			   /* SIGSEGV, #GP */
	case 4: __asm__ volatile("int3"); break;		   /* SIGTRAP */
	case 5: __asm__ volatile("cli"); break;			   /* SIGSEGV, #GP */
	case 6: none(); break;					   /* SIGSEGV at 0, executing */
	case 7: raise(SIGUSR1); break;
	case 8: __asm__ volatile("int $0x21"); break;		   /* SIGSEGV, #GP */
	case 9: __asm__ volatile("mov %0, %%ds" ::"r"(0xfff8)); break; /* SIGSEGV, #GP */
	case 10: __asm__ volatile("in $0x80, %%al" ::: "eax"); break;
	case 11: { /* an unmasked SSE division by zero */
		unsigned mask = 0x1f80 & ~0x200u, usual = 0x1f80;
		float one = 1, nought = 0;

		__asm__ volatile("ldmxcsr %0\n\tmovss %1, %%xmm0\n\tdivss %2, %%xmm0\n\tldmxcsr %3"
				 ::"m"(mask), "m"(one), "m"(nought), "m"(usual));
		break;
	}
	case 12: { /* an unmasked x87 division by zero */
		unsigned short control = 0x37f & ~4;

		__asm__ volatile("fldcw %0\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait" ::"m"(control));
		break;
	}
	}
}

enum { FLOATING = 11, PROVOCATIONS = 13 };

static const uint8_t expected[PROVOCATIONS] = { SIGSEGV, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, SIGSEGV,
						SIGSEGV, SIGUSR1, SIGSEGV, SIGSEGV, SIGSEGV, SIGFPE, SIGFPE };

/* Provoke from first to end - 1. */
static uint64_t faults(uint64_t s, int first, int end)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGUSR1 };
	volatile uint64_t result = s;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		handle(signals[i], on_fault);
	for (volatile int i = first; i < end; i++) {
		int sig = sigsetjmp(back, 1);

		if (!sig) {
			provoke(i);
			errno = 0;
			fail("signals: case %d gave none", i);
		}
		__asm__ volatile("fninit");
		errno = 0;
		if (sig != expected[i])
			fail("signals: case %d gave signal %d, not %d", i, sig, expected[i]);
		result = sum(sum(result, sig), i == 7 ? 0 : last_code);
	}
	return result;
}

/* A timer must interrupt a loop that makes no system call, and leave its
 * registers alone. */
static uint64_t alarms(uint64_t s)
{
	struct itimerval timer = { { 0, 5000 }, { 0, 5000 } }, off = { { 0, 0 }, { 0, 0 } };
	struct sigaction sa = { .sa_handler = on_alarm };
	uint32_t a = 1, b = 0, loops = 0;

	sigaction(SIGALRM, &sa, NULL);
	count = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
	while (count < 20) {
		for (int i = 0; i < 1000; i++) {
			a = a * 5 + 1;
			b += a;
		}
		loops++;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	while (loops--) /* all of it backwards: (a - 1) / 5, with 5's inverse modulo 2^32 */
		for (int i = 0; i < 1000; i++) {
			b -= a;
			a = (a - 1) * 0xcccccccdu;
		}
	errno = 0;
	if (a != 1 || b != 0)
		fail("signals: registers changed across SIGALRM");
	return sum(s, 20);
}

uint64_t run_signals(long n)
{
	uint64_t s = SUM_START;

	for (long k = 0; k < n; k++)
		s = alarms(faults(write_faults(s), 0, FLOATING));
	return s;
}

/* Apart, as some emulators never raise the SSE one. */
uint64_t run_fpfaults(long n)
{
	uint64_t s = SUM_START;

	for (long k = 0; k < n; k++)
		s = faults(s, FLOATING, PROVOCATIONS);
	return s;
}

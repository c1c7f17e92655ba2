/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nano: what a process can do of guests/nano64.c, natively, for bench/compare: SYSCALL is
 * a getppid, a fault goes to a signal handler that steps over the instruction, as the
 * guest's handlers do. So its kernel does more for each than the guest's: it is what user
 * code has without a monitor, not what the processor takes. Prints what the guest prints.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <x86intrin.h>

#include "guests/lib/nano.h"

#define NOWHERE	8	/* nothing is ever mapped in the first page */

/* Each: RBX times sixteen of the operation; RDI, RSI as the row wants them. */
#define LOOP(name, text) \
	"	.globl " name "\n" name ":\n	push %rbx\n	mov %rdi, %rbx\n" \
	"	mov %rsi, %rdi\n1:	.rept 16\n" text "\n	.endr\n" \
	"	dec %rbx\n	jnz 1b\n	pop %rbx\n	ret\n"
asm(LOOP("nano_loop", "")
    LOOP("nano_syscall", "	mov %r9d, %eax\n	syscall")
    LOOP("nano_callret", "	call nano_ret")
    "nano_ret: ret\n"
    LOOP("nano_pgfault", "	mov (%rdi), %eax")
    /* Two bytes, as all that fault. */
    LOOP("nano_divzero", "	xor %edx, %edx\n	div %edi"));
typedef void loop(uint64_t n, uint64_t rsi, uint64_t rdx, uint64_t rcx, uint64_t r8, uint64_t r9);
extern loop nano_loop, nano_syscall, nano_callret, nano_pgfault, nano_divzero;

static const struct row {
	const char *name;
	loop *run;
	uint64_t rsi, r9;
} rows[] = {
	{ "loop", nano_loop, 0, 0 },
	{ "syscall", nano_syscall, 0, SYS_getppid },
	{ "in", NULL, 0, 0 },
	{ "cr8wr", NULL, 0, 0 },
	{ "callret", nano_callret, 0, 0 },
	{ "pgfault", NULL, 0, 0 },
	{ "divzero", NULL, 0, 0 },
	{ "ptemod", NULL, 0, 0 },
	{ "callret3", nano_callret, 0, 0 },
	{ "pgfault3", nano_pgfault, NOWHERE, 0 },
	{ "divzero3", nano_divzero, 0, 0 },
	{ "remap3", NULL, 0, 0 },
};

static void step_over(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)sig;
	(void)info;
	u->uc_mcontext.gregs[REG_RIP] += 2;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t run(const struct row *r, uint64_t n)
{
	uint64_t start = now();

	r->run(n, r->rsi, 0, 0, 0, r->r9);
	return now() - start;
}

static void emit(const char *s)
{
	fputs(s, stdout);
}

static void emit_number(uint64_t v)
{
	printf("%" PRIu64, v);
}

static void measure(const struct row *r, uint64_t ms)
{
	uint64_t n = nano_count(r, ms * 1000000), ns, ticks;

	nano_begin(r->name);
	ticks = __rdtsc();
	ns = run(r, n);
	ticks = __rdtsc() - ticks;
	nano_end(r->name, n, ns, ticks);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_sigaction = step_over, .sa_flags = SA_SIGINFO };
	int64_t ms = 100;

	if (argc == 2 && strncmp(argv[1], "ms=", 3) == 0)
		ms = atoll(argv[1] + 3);
	else if (argc > 1)
		ms = 0;
	if (ms <= 0 || ms > 60000) {
		fputs("usage: nano [ms=100]   (for each row, about; to 60000)\n", stderr);
		return 2;
	}
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGFPE, &sa, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].run)
			measure(&rows[i], (uint64_t)ms);
		else
			printf("%s n/a: supervisor only\n", rows[i].name);
	puts("nano: done");
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * workloads: fixed amounts of user work, timed from inside. One static program
 * that runs natively and in the guest; a table drives it.
 *
 * Prints a line for each row: NAME COUNT SECONDS RATE CHECKSUM, where RATE is
 * COUNT / SECONDS. With --quiet only NAME COUNT CHECKSUM, which every machine
 * must print alike. With --begin a line before each row, by which others can take the time.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guests/workloads/workloads.h"

static const struct row rows[] = {
	{ "sieve", 20, run_sieve, "primes below 2^20" },
	{ "crc32", 100, run_crc32, "CRC-32 of 256 KiB by table" },
	{ "imatrix", 40, run_imatrix, "product of 160x160 integer matrices" },
	{ "dmatrix", 30, run_dmatrix, "product of 160x160 double matrices" },
	{ "bytecode", 20, run_bytecode, "100,000 steps of a bytecode loop" },
	{ "getppid", 500000, run_getppid, "getppid through the C library" },
	{ "syscall", 200000, run_syscall, "getppid by int 0x80 or syscall" },
	{ "pagefault", 50000, run_pagefault, "fresh page touched (mmap, touch, munmap by 64)" },
	{ "forkexec", 200, run_forkexec, "fork, exec of this program, wait" },
	{ "pipe", 20000, run_pipe, "round trip between two processes" },
	{ "mixed", 20000, run_mixed, "burst of 4 to 65,536 steps and a system call" },
	{ "shell", 5, run_shell, "pass of a busybox shell script" },
};

/* Not timed against anything; run only when named. */
static const struct row tests[] = {
	{ "forkstorm", 5000, run_forkstorm, "process that changes inherited pages" },
	{ "scatter", 64, run_scatter, "MiB of pages in scattered order, checked" },
	{ "turns", 10, run_turns, "round of 200 processes that wake each other" },
	{ "tls", 1, run_tls, "threads, thread-local variables, setjmp" },
	{ "signals", 1, run_signals, "SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGALRM" },
	{ "fpfaults", 1, run_fpfaults, "SIGFPE from SSE and x87" },
	{ "fputest", 1, run_fputest, "x87, SSE and libm results" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int quiet, announce;

void fail(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	fprintf(stderr, "workloads: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	if (err)
		fprintf(stderr, ": %s", strerror(err));
	fputc('\n', stderr);
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static void run(const struct row *row, long n)
{
	double start, seconds;
	uint64_t checksum;

	if (announce) {
		printf("%s begin\n", row->name);
		fflush(stdout);
	}
	start = now();
	checksum = row->run(n);
	seconds = now() - start;
	if (quiet)
		printf("%s %ld %016llx\n", row->name, n, (unsigned long long)checksum);
	else
		printf("%s %ld %.6f %.1f %016llx\n", row->name, n, seconds,
		       n / (seconds > 0 ? seconds : 1e-9), (unsigned long long)checksum);
	fflush(stdout);
}

static const struct row *find(const char *name, size_t len)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		if (strlen(rows[i].name) == len && !memcmp(rows[i].name, name, len))
			return &rows[i];
	for (size_t i = 0; i < COUNT(tests); i++)
		if (strlen(tests[i].name) == len && !memcmp(tests[i].name, name, len))
			return &tests[i];
	return NULL;
}

static void usage(void)
{
	printf("usage: workloads [--quiet | --begin] [ROW[=COUNT]...]   (without ROW: all that are timed)\n");
	for (size_t i = 0; i < COUNT(rows); i++)
		printf("  %-10s %7ld  %s\n", rows[i].name, rows[i].n, rows[i].what);
	printf("tests, run only when named:\n");
	for (size_t i = 0; i < COUNT(tests); i++)
		printf("  %-10s %7ld  %s\n", tests[i].name, tests[i].n, tests[i].what);
}

int main(int argc, char **argv)
{
	int i = 1;

	if (argc > 1 && !strcmp(argv[1], "--exit")) /* what forkexec executes */
		_exit(atoi(argv[2]));
	if (argc > 1 && !strcmp(argv[1], "--help")) {
		usage();
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "--quiet")) {
		quiet = 1;
		i++;
	}
	if (argc > 1 && !strcmp(argv[1], "--begin")) {
		announce = 1;
		i++;
	}
	for (int j = i; j < argc; j++)
		if (!strncmp(argv[j], "fputest", 7))
			fputest_environment(argv);
	if (i == argc)
		for (size_t r = 0; r < COUNT(rows); r++)
			run(&rows[r], rows[r].n);
	for (; i < argc; i++) {
		size_t len = strcspn(argv[i], "=");
		const struct row *row = find(argv[i], len);
		long n = row ? row->n : 0;

		if (row && argv[i][len])
			n = atol(argv[i] + len + 1);
		if (n < 1) {
			fprintf(stderr, "workloads: %s: no such row or count (try --help)\n", argv[i]);
			return 2;
		}
		run(row, n);
	}
	return 0;
}

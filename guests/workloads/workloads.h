/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a row of the workloads program is. A row does a fixed amount of work n
 * times and returns a checksum of all results: it depends on n only, so the same
 * row must give the same checksum on every machine, in 32 and in 64 bits.
 */
#ifndef WORKLOADS_H
#define WORKLOADS_H

#include <stdint.h>

struct row {
	const char *name;
	long n;			      /* default count: about 0.1 s on a host of 2020 */
	uint64_t (*run)(long n);
	const char *what;	      /* one time of the work */
};

/* Computation: no system call inside. */
uint64_t run_sieve(long n);
uint64_t run_crc32(long n);
uint64_t run_imatrix(long n);
uint64_t run_dmatrix(long n);
uint64_t run_bytecode(long n);

/* The kernel's share. */
uint64_t run_getppid(long n);
uint64_t run_syscall(long n);
uint64_t run_pagefault(long n);
uint64_t run_forkexec(long n);
uint64_t run_pipe(long n);
uint64_t run_mixed(long n);
uint64_t run_shell(long n);

/* Tests: they end the program with a message when something is not right. */
uint64_t run_forkstorm(long n);
uint64_t run_scatter(long n);
uint64_t run_turns(long n);
uint64_t run_tls(long n);
uint64_t run_signals(long n);
uint64_t run_fpfaults(long n);
uint64_t run_fputest(long n);

/* To be called first when fputest is among the rows; may execute the program anew. */
void fputest_environment(char **argv);

/* Fold a value into a checksum (FNV-1a on 64-bit words). */
static inline uint64_t sum(uint64_t s, uint64_t v)
{
	return (s ^ v) * 0x100000001b3u;
}

#define SUM_START 0xcbf29ce484222325u

/* A generator that all programs agree on (Knuth's MMIX constants). */
static inline uint32_t rnd(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

/* End the program: what went wrong, and errno if it is set. */
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *fmt, ...);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Work in which the kernel has a share: system calls, page faults, processes,
 * context switches. Their checksums count what really happened.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guests/workloads/workloads.h"

/* In a 32-bit program on 32-bit Linux this goes through the vDSO to sysenter. */
uint64_t run_getppid(long n)
{
	long parent = getppid(), same = 0;

	for (long k = 0; k < n; k++)
		same += syscall(SYS_getppid) == parent;
	return same;
}

static inline long raw_getppid(void)
{
	long ret;

#ifdef __x86_64__
	__asm__ volatile("syscall" : "=a"(ret) : "0"(SYS_getppid) : "rcx", "r11", "memory");
#else
	__asm__ volatile("int $0x80" : "=a"(ret) : "0"(SYS_getppid) : "memory");
#endif
	return ret;
}

uint64_t run_syscall(long n)
{
	long parent = getppid(), same = 0;

	for (long k = 0; k < n; k++)
		same += raw_getppid() == parent;
	return same;
}

#define PAGE 4096
#define FAULTS 64

uint64_t run_pagefault(long n)
{
	uint64_t s = SUM_START;

	for (long k = 0; k < n; k += FAULTS) {
		char *area = mmap(NULL, FAULTS * PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		uint64_t written = 0;

		if (area == MAP_FAILED)
			fail("pagefault: mmap");
		if (madvise(area, FAULTS * PAGE, MADV_NOHUGEPAGE) && errno != EINVAL)
			fail("pagefault: madvise");
		for (long i = 0; i < FAULTS && k + i < n; i++)
			area[i * PAGE + 8] = i + 1;
		for (long i = 0; i < FAULTS && k + i < n; i++)
			written += (unsigned char)area[i * PAGE + 8] + (unsigned char)area[i * PAGE];
		s = sum(s, written);
		munmap(area, FAULTS * PAGE);
	}
	return s;
}

uint64_t run_forkexec(long n)
{
	uint64_t s = SUM_START;

	for (long k = 0; k < n; k++) {
		char arg[12];
		int status;
		pid_t child;

		snprintf(arg, sizeof(arg), "%ld", k & 0x7f);
		child = fork();
		if (child < 0)
			fail("forkexec: fork");
		if (!child) {
			execl("/proc/self/exe", "workloads", "--exit", arg, (char *)NULL);
			_exit(255);
		}
		if (waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != (k & 0x7f))
			fail("forkexec: status %x at %ld", status, k);
		s = sum(s, WEXITSTATUS(status));
	}
	return s;
}

uint64_t run_pipe(long n)
{
	uint64_t s = SUM_START;
	int to[2], from[2], status;
	pid_t child;
	uint32_t v = 1;

	if (pipe(to) || pipe(from))
		fail("pipe");
	child = fork();
	if (child < 0)
		fail("pipe: fork");
	if (!child) {
		close(to[1]);
		while (read(to[0], &v, sizeof(v)) == sizeof(v)) {
			v = v * 3 + 1;
			if (write(from[1], &v, sizeof(v)) != sizeof(v))
				_exit(1);
		}
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	for (long k = 0; k < n; k++) {
		if (write(to[1], &v, sizeof(v)) != sizeof(v) || read(from[0], &v, sizeof(v)) != sizeof(v))
			fail("pipe: broken at %ld", k);
		s = sum(s, v);
	}
	close(to[1]);
	close(from[0]);
	waitpid(child, &status, 0);
	return s;
}

/* Bursts of user code whose length cannot be guessed from where they start: most
 * are short, a few are 16,384 times longer and have most of the time. */
uint64_t run_mixed(long n)
{
	uint64_t s = SUM_START, seed = 4;
	uint32_t x = 1;

	for (long k = 0; k < n; k++) {
		uint32_t length = 4u << rnd(&seed) % 8 << (rnd(&seed) % 8 ? 0 : 7);

		for (uint32_t i = 0; i < length; i++)
			x = (x ^ x >> 3) * 5 + i;
		s = sum(s, x ^ (syscall(SYS_getppid) > 0));
	}
	return s;
}

/* The script lies beside the program, and is run by the sh of PATH: busybox. */
uint64_t run_shell(long n)
{
	char path[512], script[520], command[600], line[256];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	uint64_t s = SUM_START;
	FILE *out;

	while (len > 0 && path[len - 1] != '/')
		len--;
	path[len > 0 ? len : 0] = 0;
	snprintf(script, sizeof(script), "%sshell.sh", path);
	errno = 0;
	if (access(script, R_OK))
		fail("%s", script);
	snprintf(command, sizeof(command), "exec sh '%s' %ld", script, n);
	out = popen(command, "r");
	if (!out)
		fail("shell: popen");
	while (fgets(line, sizeof(line), out))
		for (const char *p = line; *p; p++)
			s = sum(s, (unsigned char)*p);
	errno = 0;
	if (pclose(out))
		fail("%s failed", script);
	return s;
}

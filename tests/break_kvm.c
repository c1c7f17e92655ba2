/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * break_kvm.so, to be preloaded: a host whose KVM is not to be had, or breaks. For tests of
 * what the monitor makes of that. In the environment, BREAK_KVM is a list of words:
 *
 *	open=ERRNO	/dev/kvm cannot be opened
 *	version=N	KVM_GET_API_VERSION answers N
 *	cap=N		KVM_CHECK_EXTENSION of N answers 0
 *	run=ERRNO	KVM_RUN does nothing and fails
 *	exit=REASON	KVM_RUN is done, and ends with that exit reason
 *	xsave=ERRNO	KVM_GET_XSAVE fails
 *	after=N		run, exit and xsave begin with the N-th KVM_RUN
 *	ring3=US	each run of a traced process takes that much longer
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static int vcpu = -1;
static struct kvm_run *shared;
static long runs;

/* The word's number, or -1. */
static long word(const char *name)
{
	const char *s = getenv("BREAK_KVM");
	size_t n = strlen(name);

	for (; s && *s; s += *s == ' ') {
		if (!strncmp(s, name, n) && s[n] == '=')
			return strtol(s + n + 1, NULL, 0);
		s += strcspn(s, " ");
	}
	return -1;
}

static int fail(long err)
{
	errno = (int)err;
	return -1;
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (!strcmp(path, "/dev/kvm") && word("open") >= 0)
		return fail(word("open"));
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t off)
{
	void *p = (void *)syscall(SYS_mmap, at, len, prot, flags, fd, off);

	if (fd >= 0 && fd == vcpu && p != MAP_FAILED)
		shared = p;
	return p;
}

void *mmap64(void *at, size_t len, int prot, int flags, int fd, off_t off) __attribute__((alias("mmap")));

static int run(int fd, void *arg)
{
	bool due = ++runs >= word("after");
	int got;

	if (due && word("run") >= 0)
		return fail(word("run"));
	got = (int)syscall(SYS_ioctl, fd, KVM_RUN, arg);
	if (due && word("exit") >= 0 && !got && shared)
		shared->exit_reason = (uint32_t)word("exit");
	return got;
}

int ioctl(int fd, unsigned long what, ...)
{
	va_list ap;
	void *arg;
	int got;

	va_start(ap, what);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (what == KVM_RUN)
		return run(fd, arg);
	if (what == KVM_GET_API_VERSION && word("version") >= 0)
		return (int)word("version");
	if (what == KVM_CHECK_EXTENSION && word("cap") >= 0 && (long)arg == word("cap"))
		return 0;
	if (what == KVM_GET_XSAVE && word("xsave") >= 0 && runs >= word("after"))
		return fail(word("xsave"));
	got = (int)syscall(SYS_ioctl, fd, what, arg);
	if (what == KVM_CREATE_VCPU)
		vcpu = got;
	return got;
}

long ptrace(enum __ptrace_request what, ...)
{
	static long (*real)(enum __ptrace_request, ...);
	void *pid, *addr, *data;
	va_list ap;

	va_start(ap, what);
	pid = va_arg(ap, void *);
	addr = va_arg(ap, void *);
	data = va_arg(ap, void *);
	va_end(ap);
	if (!real)
		real = (long (*)(enum __ptrace_request, ...))dlsym(RTLD_NEXT, "ptrace");
	if ((what == PTRACE_SYSEMU || what == PTRACE_SYSEMU_SINGLESTEP) && word("ring3") > 0)
		nanosleep(&(struct timespec){ .tv_nsec = word("ring3") * 1000 }, NULL);
	return real(what, pid, addr, data);
}

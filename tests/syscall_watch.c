/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * syscall_watch REPORT COMMAND [ARGUMENT...]: which system calls the host executes for
 * code that is not the monitor's own, while COMMAND runs. For stubs, which have a
 * tracer already, so that strace cannot follow them.
 *
 * A seccomp filter, inherited by all, hands each call that comes from a place where
 * only guest code or the stub's page can be to this program (seccomp_unotify(2)), which
 * notes it and lets it go on. The kernel asks filters after PTRACE_SYSEMU has dropped a
 * call, and a filter that denies goes before one that notifies: what is noted is what
 * is executed. Each line of REPORT is a place, a call, its number, how often:
 *
 *	guest		below 4 GiB, or not a 64-bit call: 32-bit guest code
 *	vsyscall	the page at the very top
 *	birth, stub	the stub's page where execve put it, and where it stays
 *	odd		from the stub's page, but not one of the stub's calls
 *
 * With "-" for COMMAND the program makes two calls from below 4 GiB: they must show.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "direct/stub.h"

#define SKIP	77
#define LOW	0x20000000ul	/* where "-" puts its code */

static const struct { const char *name; long nr; } names[] = {
	{ "mmap", SYS_mmap }, { "munmap", SYS_munmap }, { "mprotect", SYS_mprotect },
	{ "modify_ldt", SYS_modify_ldt }, { "prctl", SYS_prctl }, { "close", SYS_close },
	{ "mremap", SYS_mremap }, { "seccomp", SYS_seccomp },
	{ "arch_prctl", SYS_arch_prctl },
};

enum place { GUEST, VSYSCALL, BIRTH, STUB, ODD, PLACES };
static const char *const places[PLACES] = { "guest", "vsyscall", "birth", "stub", "odd" };

static struct { unsigned arch; long nr; enum place place; unsigned long count; } seen[64];
static unsigned nseen;

/* --- The filter ------------------------------------------------------------------ */

#define LOAD(at)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define IP		offsetof(struct seccomp_data, instruction_pointer)
#define NOTIFY		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)
#define ALLOW		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define NOTIFY_IF(how, value) BPF_JUMP(BPF_JMP | (how) | BPF_K, (value), 0, 1), NOTIFY

static int install(void)
{
	struct sock_filter f[] = {
		LOAD(offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), NOTIFY,
		LOAD(IP + 4),
		NOTIFY_IF(BPF_JEQ, 0),
		NOTIFY_IF(BPF_JEQ, 0xffffffff),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, STUB_HIGH >> 32, 2, 0),
		NOTIFY_IF(BPF_JGE, STUB_LOW >> 32),
		ALLOW,
	};
	struct sock_fprog prog = { sizeof(f) / sizeof(f[0]), f };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER |
			    SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog);
}

static void fd_pass(int sock, int fd)
{
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } u = { 0 };
	struct iovec io = { &(char){ 0 }, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &u,
			    .msg_controllen = sizeof(u) };

	u.h.cmsg_level = SOL_SOCKET;
	u.h.cmsg_type = SCM_RIGHTS;
	u.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&u.h), &fd, sizeof(int));
	if (sendmsg(sock, &m, 0) < 0)
		_exit(1);
}

static int fd_take(int sock)
{
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } u = { 0 };
	char byte;
	struct iovec io = { &byte, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &u,
			    .msg_controllen = sizeof(u) };
	int fd = -1;

	if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC) > 0 && m.msg_controllen >= CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(&u.h), sizeof(int));
	return fd;
}

/* --- What was seen --------------------------------------------------------------- */

/* The calls of the stub's batches, in its own address range. */
static bool stubs_own(const struct seccomp_data *d)
{
	const __u64 *a = d->args;
	bool below = a[0] <= USER_TOP && a[1] <= USER_TOP - a[0];

	switch (d->nr) {
	case SYS_mmap: return below && a[3] == (MAP_SHARED | MAP_FIXED) && a[4] == STUB_RAM_FD;
	case SYS_munmap:
	case SYS_mprotect: return below;
	case SYS_modify_ldt: return true;
	case SYS_prctl: return a[0] == PR_SET_TSC;
	case SYS_seccomp: return true;	/* its last before the filter is there */
	}
	return false;
}

/* Before there is a filter: what else it does then, the report says by name. */
static bool births_own(const struct seccomp_data *d)
{
	return d->nr != SYS_arch_prctl || (d->args[0] == ARCH_SET_CPUID && d->args[1] == 0);
}

static enum place place_of(const struct seccomp_data *d)
{
	if (d->arch != AUDIT_ARCH_X86_64 || d->instruction_pointer >> 32 == 0)
		return GUEST;
	if (d->instruction_pointer >> 32 == 0xffffffff)
		return VSYSCALL;
	if ((d->instruction_pointer & PAGE_MASK) == STUB_LINK)
		return births_own(d) ? BIRTH : ODD;
	return (d->instruction_pointer & ~PAGE_MASK) == stub_at_return && stubs_own(d) ? STUB : ODD;
}

static void note(const struct seccomp_data *d)
{
	enum place place = place_of(d);
	unsigned i;

	for (i = 0; i < nseen; i++)
		if (seen[i].arch == d->arch && seen[i].nr == d->nr && seen[i].place == place)
			break;
	if (i == sizeof(seen) / sizeof(seen[0]))
		return;		/* 64 kinds are enough to fail */
	if (i == nseen) {
		nseen++;
		seen[i].arch = d->arch;
		seen[i].nr = d->nr;
		seen[i].place = place;
	}
	seen[i].count++;
}

static int report(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return -1;
	for (unsigned i = 0; i < nseen; i++) {
		const char *name = seen[i].arch == AUDIT_ARCH_X86_64 ? "other" : "i386";

		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			if (seen[i].arch == AUDIT_ARCH_X86_64 && names[k].nr == seen[i].nr)
				name = names[k].name;
		fprintf(f, "%s %s %ld %lu\n", places[seen[i].place], name, seen[i].nr,
			seen[i].count);
	}
	return fclose(f);
}

static void watch(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		struct seccomp_notif n = { 0 };
		struct seccomp_notif_resp r = { 0 };

		if (poll(&p, 1, -1) < 0)
			continue;
		if (!(p.revents & POLLIN))
			return;		/* nobody is left who has the filter */
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0)
			continue;	/* it was killed meanwhile */
		note(&n.data);
		r.id = n.id;
		r.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
	}
}

/* --- The watched ----------------------------------------------------------------- */

static int call_from_below(void)
{
	/* mov $39,%eax; syscall; mov $20,%eax; int $0x80; ret: getpid twice */
	static const unsigned char code[] = { 0xb8, 39, 0, 0, 0, 0x0f, 0x05,
		0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3 };
	void *p = mmap((void *)LOW, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p == MAP_FAILED)
		return SKIP;
	memcpy(p, code, sizeof(code));
	return ((int (*)(void))p)() == getpid() ? 0 : 1;
}

static _Noreturn void child(int sock, char **argv)
{
	int fd = install();

	if (fd < 0) {
		perror("syscall_watch: seccomp");
		_exit(SKIP);
	}
	fd_pass(sock, fd);
	close(fd);
	close(sock);
	if (strcmp(argv[0], "-") == 0)
		_exit(call_from_below());
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

int main(int argc, char **argv)
{
	int sock[2], fd, status;
	pid_t pid;

	if (argc < 3) {
		fputs("usage: syscall_watch REPORT COMMAND [ARGUMENT...]\n", stderr);
		return 2;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0 || (pid = fork()) < 0) {
		perror("syscall_watch");
		return 1;
	}
	if (pid == 0)
		child(sock[1], argv + 2);
	close(sock[1]);
	fd = fd_take(sock[0]);
	if (fd >= 0)
		watch(fd);
	if (waitpid(pid, &status, 0) < 0 || report(argv[1]) < 0) {
		perror("syscall_watch");
		return 1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * deny_syscall NAME[,NAME...] COMMAND [ARGUMENT...]: runs COMMAND where the named
 * system calls fail with EPERM, as under a container's seccomp profile. For tests of
 * hosts that lack something.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LEN(a)	(sizeof(a) / sizeof((a)[0]))
#define MAX	8

static const struct { const char *name; unsigned nr; } known[] = {
	{ "ptrace", SYS_ptrace }, { "modify_ldt", SYS_modify_ldt },
	{ "memfd_create", SYS_memfd_create }, { "seccomp", SYS_seccomp },
	{ "process_vm_readv", SYS_process_vm_readv },
};

static int number(const char *name)
{
	for (size_t i = 0; i < LEN(known); i++)
		if (strcmp(known[i].name, name) == 0)
			return (int)known[i].nr;
	return -1;
}

static int deny(const int *nrs, unsigned n)
{
	struct sock_filter f[2 * MAX + 5] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog prog = { .filter = f };
	unsigned len = 4;

	for (unsigned i = 0; i < n; i++) {
		f[len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							(unsigned)nrs[i], 0, 1);
		f[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
							SECCOMP_RET_ERRNO | EPERM);
	}
	f[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = (unsigned short)len;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

int main(int argc, char **argv)
{
	int nrs[MAX];
	unsigned n = 0;

	if (argc < 3) {
		fputs("usage: deny_syscall NAME[,NAME...] COMMAND [ARGUMENT...]\n", stderr);
		return 2;
	}
	for (char *s = strtok(argv[1], ","); s && n < MAX; s = strtok(NULL, ",")) {
		nrs[n] = number(s);
		if (nrs[n++] < 0) {
			fprintf(stderr, "deny_syscall: unknown system call %s\n", s);
			return 2;
		}
	}
	if (deny(nrs, n) < 0) {
		perror("deny_syscall: seccomp");
		return 77;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}

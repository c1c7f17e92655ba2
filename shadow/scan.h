/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the unprivileged user-sensitive encodings of a page, at any offset: the
 * premise of Theorem 3, enforced page by page. Knows bytes, not mappings.
 */
#ifndef SHADOW_SCAN_H
#define SHADOW_SCAN_H

#include "machine/types.h"

enum scan_class {
	SCAN_CPUID = 1, SCAN_RDTSCP = 2, SCAN_XGETBV = 4, SCAN_RDPID = 8, SCAN_LSL = 16,
	SCAN_FSGS = 32, SCAN_STRICT = 64,
	SCAN_REX = 128,		/* 40-4F are prefixes: 64-bit code may run here */
	SCAN_SYSCALL = 256,	/* in 32-bit code, and where the engine loses it */
	SCAN_SYSENTER = 512,	/* where the engine loses it */
	SCAN_XSAVE = 1024,
	SCAN_VMCALL = 2048,	/* where a monitor below the host answers user code */
	SCAN_INTN = 4096,	/* INT 10h to 1Fh, where the engine passes over some */
	SCAN_EXACT = 8192,	/* all that --strict looks for: scan_exact.c */
	SCAN_OLD = 16384,	/* with it: the model lacks some of what every 64-bit processor has */
	SCAN_DEFAULT = 63 | SCAN_XSAVE | SCAN_VMCALL | SCAN_INTN | SCAN_SYSCALL | SCAN_SYSENTER,
};

#define SCAN_MAX	4	/* breakpoints of a processor */

/*
 * Where a sensitive instruction may *start*, prefixes included: at[0..hard) must be
 * guarded before the page may run, at[hard..hard+soft) should be if a breakpoint is to
 * spare (docs/scanner.md). hard > SCAN_MAX: more than can be guarded. early: some match lies
 * so near to the page's beginning that scan_how.below makes a difference.
 */
struct scan { uint8_t hard, soft; bool early; uint16_t at[SCAN_MAX]; };

/* What to look for on an engine with these needs (SINK_GUARD_*); old: see SCAN_OLD. */
unsigned scan_classes(unsigned needs, bool strict, bool old);

/* Length of the instruction at p, 0 if it is none; code64 or 32-bit code. */
typedef unsigned insn_length_fn(void *arg, const uint8_t *p, unsigned avail, bool code64);

#define SCAN_BELOW	64u
struct scan_how {
	unsigned classes;		/* enum scan_class */
	insn_length_fn *length;		/* NULL: every match is taken for one */
	void *arg;
	const uint8_t *below;		/* the SCAN_BELOW bytes in front of the page, NULL: not known */
};

/* Finds what lies within the page. */
void scan_page(const uint8_t page[PAGE_SIZE], const struct scan_how *how, struct scan *out);
/* Does a sensitive instruction begin in `page` and go on in `next`, which follows it? */
bool scan_joint(const uint8_t *page, const uint8_t *next, const struct scan_how *how);

/* scan_exact.c: how many bytes at p say that it is one of --strict's, 0: none. Reads two. */
unsigned scan_exact(const uint8_t *p, unsigned classes);
/* One of them only if a prefix is in front. */
bool scan_exact_prefixed(uint8_t opcode);

#endif

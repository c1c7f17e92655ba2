/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses carry their space in the type: a guest virtual (linear) address, a
 * guest physical address, or a host pointer. Nothing else is called an address.
 */
#ifndef MACHINE_TYPES_H
#define MACHINE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t gva_t;	/* guest linear address */
typedef uint64_t gpa_t;	/* guest physical address */

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

#define PAGE_SHIFT	12
#define PAGE_SIZE	((size_t)1 << PAGE_SHIFT)
#define PAGE_MASK	(~(uint64_t)(PAGE_SIZE - 1))

/*
 * Three kinds of error, never mixed: a guest fault is raised in interp/, a
 * host failure is a -errno upward, and this is the third: our own bug. It
 * prints a line, dumps the vCPU if one is registered, and aborts.
 */
_Noreturn void hemi_bug(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The vCPU to dump; NULL for none. */
struct cpu;
void hemi_bug_cpu(const struct cpu *c);
#define bug(...)	hemi_bug(__FILE__, __LINE__, __VA_ARGS__)
#define bug_on(cond)	do { if (unlikely(cond)) bug("%s", #cond); } while (0)

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the shadow says to a direct engine: batches of changes to the mappings
 * of one address space. A KVM table writer and an mmap batcher look alike here.
 */
#ifndef MACHINE_SINK_H
#define MACHINE_SINK_H

#include "machine/types.h"

enum { SINK_R = 1, SINK_W = 2, SINK_X = 4 };

struct sink_op {
	gva_t gva;		/* page-aligned */
	uint64_t pages;
	int64_t offset;		/* file offset in guest RAM of the first page; the pages are consecutive */
	uint8_t prot;		/* SINK_*; 0 = unmap */
};

/*
 * Instructions that need a guard on some hosts only. SYSCALL (of 32-bit code), SYSENTER:
 * the engine cannot tell where they happened, and the host may fail them by itself.
 * CPUID: the host does it and shows its own processor.
 * VMCALL: VMCALL or VMMCALL is answered by whoever runs the host. INTN: INT 10h to 1Fh are
 * passed over.
 * And what some engines spare: OWN_SEGMENTS, LSL and loads of FS and GS meet the guest's own
 * descriptors; NOTHING, the user-sensitive instructions that programs use trap by themselves, or
 * answer as the guest's processor does (CPUID as it does in 64-bit code), but VMCALL and INTN:
 * else only --strict has something to look for, the system's tables and descriptors. CANNOT:
 * there are no guards, and pages that need one are interpreted.
 */
enum { SINK_GUARD_SYSCALL = 1, SINK_GUARD_SYSENTER = 2, SINK_GUARD_CPUID = 4, SINK_GUARD_NOTHING = 8,
       SINK_OWN_SEGMENTS = 16, SINK_GUARD_CANNOT = 32, SINK_GUARD_VMCALL = 64, SINK_GUARD_INTN = 128 };

struct space;	/* the engine's side of one guest address space */

struct sink {
	/* A new, empty address space; NULL and *err = -errno when the host refuses. */
	struct space *(*space_create)(void *engine, int *err);
	void (*space_destroy)(void *engine, struct space *);
	/* Forget every mapping (cheaper than unmapping one by one). */
	int (*space_clear)(void *engine, struct space *);
	/* Applies ops in order; later ones override earlier ones. -errno: host failure. */
	int (*apply)(void *engine, struct space *, const struct sink_op *ops, size_t n);
	/* Instruction breakpoints guarding sensitive instructions: up to 4 linear
	 * addresses, n may be 0. */
	int (*guard)(void *engine, struct space *, const gva_t *at, unsigned n);
	/* Lowest and highest+1 guest address that can be mapped at all. */
	gva_t (*floor)(void *engine);
	gva_t (*ceiling)(void *engine);
	/* The engine's own pages in the space, which cannot be mapped. NULL: it has none. */
	gva_t (*home)(void *engine, const struct space *, uint64_t *size);
	/* Other ones. The space must be cleared before anything else is done with it. */
	void (*move)(void *engine, struct space *);
	unsigned (*needs_guard)(void *engine);	/* those */
	void *engine;
};

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest that generated programs run in: page tables, descriptors, and gates for
 * every exception, but no kernel code: a program ends where it leaves user mode.
 *
 *	CODE_GVA	2 pages, writable and executable
 *	DATA_GVA	4 pages, writable
 *	READ_GVA	1 page, read-only; behind it, nothing is mapped
 *
 * 16-bit code sees the first and the other two as segments, the code to its last byte.
 */
#ifndef TESTS_FUZZ_GUEST_H
#define TESTS_FUZZ_GUEST_H

#include "interp/interp.h"
#include "vmexit/vmm.h"

#define CODE_GVA	0x100000u
#define CODE_SIZE	0x2000u
#define DATA_GVA	0x110000u
#define DATA_SIZE	0x4000u
#define READ_GVA	(DATA_GVA + DATA_SIZE)

/* Where the gate of an exception leads: there is no code. */
#define HANDLER(vector)	(0x9000u + 8 * (vector))

struct guest {
	struct machine m;
	struct config cfg;
	struct vmm *vmm;		/* both engines, or NULL */
	struct interp *interp;		/* the interpreter alone, or NULL */
	bool wide;		/* 64-bit user code, else 32-bit */
	bool narrow;		/* or 16-bit, for guest_reset() */
};

/* What RIP is relative to. */
static inline uint64_t guest_origin(const struct guest *g) { return g->narrow ? 0 : CODE_GVA; }

/* 0; 77 with a reason on stdout where the host cannot run ring3. */
int guest_open(struct guest *g, bool wide);
/* With the interpreter alone. */
int guest_open_interp(struct guest *g, bool wide);
void guest_close(struct guest *g);
/* A page of user code and data at gva, of the first megabytes; the interpreter is told. */
void guest_map(struct guest *g, gva_t gva, gpa_t gpa);
/* The vCPU in user mode at CODE_GVA: flat segments unless narrow, initial FPU, registers 0. */
void guest_reset(struct guest *g);
/* Then perhaps another mode, as five bits say: user or supervisor, 64-, 32- or 16-bit code,
 * real or virtual-8086. */
void guest_mode(struct guest *g, unsigned bits);
/* Back to user mode from an exception, as by IRET; RIP of what raised it. */
uint64_t guest_return(struct guest *g);

#endif

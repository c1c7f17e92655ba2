/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's own page tables, read as the processor reads them (SDM 3A ch. 4):
 * none, 32-bit 2-level with PSE, PAE, 4-level. Shared by the interpreter's soft
 * TLB and by the shadow, so there is one meaning of a guest PTE.
 */
#ifndef MACHINE_PAGING_H
#define MACHINE_PAGING_H

#include "machine/cpu.h"
#include "machine/memory.h"

enum access { ACC_READ = 0, ACC_WRITE = 1, ACC_EXEC = 2, ACC_USER = 4 };

/* Page-fault error code bits, SDM 3A 4.7. */
#define PF_P	1u
#define PF_W	2u
#define PF_U	4u
#define PF_RSVD	8u
#define PF_I	16u

#define PTE_P	0x001u
#define PTE_W	0x002u
#define PTE_U	0x004u
#define PTE_A	0x020u
#define PTE_D	0x040u
#define PTE_PS	0x080u
#define PTE_G	0x100u
#define PTE_NX	(1ull << 63)

/* MAXPHYADDR of every CPU model: what CPUID 80000008H must say, and from which
 * bit on an address in a table entry is reserved. */
#define PHYS_BITS	40

enum paging_mode { PAGING_NONE, PAGING_32, PAGING_PAE, PAGING_4LEVEL };

/* What a walk found. Permissions are those of all levels together. */
struct walk {
	gpa_t gpa;		/* of the byte asked for */
	uint8_t page_shift;	/* 12, 21, 22, 30: size of the page; 32 without paging */
	bool user, write, exec;	/* exec: no NX on the way */
	bool dirty, global;
	uint8_t depth;		/* levels visited; entry[depth-1] is the leaf */
	gpa_t entry[4];		/* gpa of the entry at each level, root first */
	uint64_t value[4];	/* what it held */
};

/* As CR0.PG, CR4.PAE and EFER.LMA say (SDM 3A 4.1.1). */
enum paging_mode paging_mode(const struct cpu *c);

/* Walks without changing anything. 0: present, *w complete. Otherwise the
 * PF_P/PF_RSVD bits of the error code with PF_NOT set, *w filled up to the
 * entry that stopped it. */
#define PF_NOT	0x80000000u
uint32_t paging_walk(struct memory *m, const struct cpu *c, gva_t gva, struct walk *w);

/* Would this access be allowed on a page found by paging_walk? 0 or the error
 * code (without PF_NOT). Looks at CR0.WP, SMEP, SMAP with EFLAGS.AC, NXE. */
uint32_t paging_check(const struct cpu *c, const struct walk *w, unsigned access);

/* walk + check + set A (and D if ACC_WRITE) in the tables, as a processor does.
 * Returns 0 or PF_NOT | error code. Stores to table pages are noted. */
uint32_t paging_access(struct memory *m, const struct cpu *c, gva_t gva, unsigned access,
		       struct walk *w);

/* PAE: loads c->pdpte from CR3 (MOV CR3 and friends); false if a reserved bit
 * is set (then #GP is due and nothing changed). */
bool paging_load_pdpte(struct memory *m, struct cpu *c, uint64_t cr3);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The architectural state of the one virtual processor: all of it, and nothing
 * else. Whatever an engine derives from it (soft TLBs, traces, shadow tables)
 * can be thrown away between any two instructions and is rebuilt.
 *
 * Owner: the vCPU thread. Other threads may only set machine->attention.
 */
#ifndef MACHINE_CPU_H
#define MACHINE_CPU_H

#include "machine/types.h"

enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
	   R_ZERO,	/* reads as 0, never written: the absent base or index of an address */
	   R_PAGE,	/* the interpreter's scratch: RIP of the current code page, see interp/core.h */
	   GPR_COUNT };

/* Segment registers in the order of their encoding, then the two system ones. */
enum segreg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT };

/* Exceptions, SDM 3A table 6-1. */
enum vector { VEC_DE, VEC_DB, VEC_NMI, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NM, VEC_DF, VEC_CSO,
	      VEC_TS, VEC_NP, VEC_SS, VEC_GP, VEC_PF, VEC_MF = 16, VEC_AC, VEC_MC, VEC_XM };

/* EFLAGS, SDM 1 3.4.3. */
#define FL_CF	0x00000001u
#define FL_1	0x00000002u
#define FL_PF	0x00000004u
#define FL_AF	0x00000010u
#define FL_ZF	0x00000040u
#define FL_SF	0x00000080u
#define FL_TF	0x00000100u
#define FL_IF	0x00000200u
#define FL_DF	0x00000400u
#define FL_OF	0x00000800u
#define FL_IOPL	0x00003000u
#define FL_NT	0x00004000u
#define FL_RF	0x00010000u
#define FL_VM	0x00020000u
#define FL_AC	0x00040000u
#define FL_VIF	0x00080000u
#define FL_VIP	0x00100000u
#define FL_ID	0x00200000u
#define FL_ARITH (FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF)

#define CR0_PE	0x00000001u
#define CR0_MP	0x00000002u
#define CR0_EM	0x00000004u
#define CR0_TS	0x00000008u
#define CR0_ET	0x00000010u
#define CR0_NE	0x00000020u
#define CR0_WP	0x00010000u
#define CR0_AM	0x00040000u
#define CR0_NW	0x20000000u
#define CR0_CD	0x40000000u
#define CR0_PG	0x80000000u

#define CR4_VME	0x00001u
#define CR4_PVI	0x00002u
#define CR4_TSD	0x00004u
#define CR4_DE	0x00008u
#define CR4_PSE	0x00010u
#define CR4_PAE	0x00020u
#define CR4_MCE	0x00040u
#define CR4_PGE	0x00080u
#define CR4_PCE	0x00100u
#define CR4_OSFXSR	0x00200u
#define CR4_OSXMMEXCPT	0x00400u
#define CR4_UMIP	0x00800u
#define CR4_FSGSBASE	0x10000u
#define CR4_OSXSAVE	0x40000u
#define CR4_SMEP	0x100000u
#define CR4_SMAP	0x200000u

#define XCR0_X87	1u
#define XCR0_SSE	2u
/* An XSAVE area of these two, SDM 1 13.4: the image of FXSAVE and a header. */
#define XSAVE_SIZE	576u

#define EFER_SCE	0x001u
#define EFER_LME	0x100u
#define EFER_LMA	0x400u
#define EFER_NXE	0x800u

/*
 * A loaded segment: selector and the hidden part. attr is bits 8-23 of the
 * descriptor's high dword with the limit nibble cleared (limit is expanded, in
 * bytes, last valid offset):
 *
 *   15 14 13 12 | 11..8 | 7 |6 5| 4 | 3..0
 *    G  D  L AVL|   0   | P |DPL| S | type
 */
struct segment {
	uint16_t sel;
	uint16_t attr;
	uint32_t limit;
	uint64_t base;
};
#define SEG_TYPE	0x000f
#define SEG_A		0x0001	/* accessed */
#define SEG_W		0x0002	/* data: writable */
#define SEG_R		0x0002	/* code: readable */
#define SEG_E		0x0004	/* data: expand-down */
#define SEG_C		0x0004	/* code: conforming */
#define SEG_CODE	0x0008
#define SEG_S		0x0010	/* code or data, not system */
#define SEG_DPL(a)	(((a) >> 5) & 3)
#define SEG_P		0x0080
#define SEG_L		0x2000
#define SEG_D		0x4000	/* D for code, B for stack */
#define SEG_G		0x8000

struct dtable { uint64_t base; uint16_t limit; };

/*
 * x87, MMX and SSE state. st[] is indexed by *physical* register, so ST(i) is
 * st[(top + i) & 7] and MMX register i is st[i]; tags has one bit a physical
 * register, 1 = not empty (as FXSAVE's abridged tag word). TOP lives in sw.
 */
struct fpu {
	uint16_t cw, sw;
	uint8_t tags;
	uint16_t fop;
	uint64_t fip, fdp;
	uint16_t fcs, fds;
	uint32_t mxcsr;
	union fpreg { uint8_t b[16]; uint64_t q[2]; uint32_t d[4]; uint16_t w[8]; } st[8]
		__attribute__((aligned(16)));
	union xmmreg { uint8_t b[16]; uint16_t w[8]; uint32_t d[4]; uint64_t q[2]; } xmm[16]
		__attribute__((aligned(16)));
};

struct cpu {
	uint64_t gpr[GPR_COUNT];
	uint64_t rip;
	/*
	 * EFLAGS without the six arithmetic flags, which are held apart as the
	 * host's LAHF and SETO leave them: arith = AH << 8 | OF. Use
	 * cpu_eflags() and cpu_set_eflags().
	 */
	uint32_t eflags;
	uint16_t arith;
	uint8_t cpl;
	/* Blocking and pending events, SDM 3A 6.8.3, 6.7.1. */
	bool int_shadow;	/* after STI, MOV SS, POP SS: one instruction */
	bool halted;		/* HLT waits for an interrupt */
	bool nmi_blocked;
	bool nmi_pending;
	uint64_t pending_dbg;	/* DR6 bits of a trap raised after this instruction */

	struct segment seg[SEG_COUNT];
	struct dtable gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer, xcr0;
	uint64_t dr[8];
	uint64_t pdpte[4];	/* PAE: loaded with CR3, SDM 3A 4.4.1 */

	uint64_t tsc_offset;	/* guest TSC = host TSC + offset */
	uint64_t msr_sysenter_cs, msr_sysenter_esp, msr_sysenter_eip;
	uint64_t msr_star, msr_lstar, msr_cstar, msr_sfmask, msr_kernel_gs_base;
	uint64_t msr_pat, msr_tsc_aux, msr_apic_base, msr_misc_enable, msr_mtrr_def;
	uint64_t msr_misc_features;	/* bit 0: CPUID faults in user mode */
	uint64_t msr_mtrr_fixed[11], msr_mtrr_var[16];

	struct fpu fpu;
};

/* The six arithmetic flags, from the host form to EFLAGS and back. */
static inline uint32_t arith_to_flags(uint16_t arith)
{
	return (arith >> 8 & 0xd5) | (arith & 1) << 11;
}
static inline uint16_t flags_to_arith(uint32_t fl)
{
	return (uint16_t)((fl & 0xd5) << 8 | (fl >> 11 & 1));
}
static inline uint32_t cpu_eflags(const struct cpu *c)
{
	return c->eflags | arith_to_flags(c->arith) | FL_1;
}
/* Sets all of EFLAGS; does not look at privilege. */
static inline void cpu_set_eflags(struct cpu *c, uint32_t fl)
{
	c->eflags = (fl & ~FL_ARITH) | FL_1;
	c->arith = flags_to_arith(fl);
}

static inline bool cpu_long_mode(const struct cpu *c) { return c->efer & EFER_LMA; }
static inline bool cpu_code64(const struct cpu *c)
{
	return (c->efer & EFER_LMA) && (c->seg[SEG_CS].attr & SEG_L);
}

/* Power-on state of a CPU (SDM 3A table 9-1). */
void cpu_reset(struct cpu *c);
/* Writes a readable dump of the whole state to stderr (or f). */
void cpu_dump(const struct cpu *c, void *file /* FILE * */);

/* FXSAVE image (512 bytes, SDM 1 10.5.1) <-> struct fpu; the layout in which
 * engines and snapshots exchange FPU state. wide: 64-bit FIP/FDP and XMM8-15. */
void fpu_to_fxsave(const struct fpu *f, uint8_t image[512], bool wide);
/* FOP, FIP and FDP as they were in old. */
static inline void fpu_keep_pointers(struct fpu *f, const struct fpu *old)
{
	f->fop = old->fop;
	f->fip = old->fip;
	f->fdp = old->fdp;
	f->fcs = old->fcs;
	f->fds = old->fds;
}
void fpu_from_fxsave(struct fpu *f, const uint8_t image[512], bool wide);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Where processors may differ: what is not compared, and which differences are allowed. */
#include <string.h>

#include "tests/isa/isa.h"

/* What cannot be compared one instruction at a time: system instructions (their own
 * tests), time, random numbers, and images that hold instruction pointers, which
 * processors save differently. */
static const uint16_t excluded[] = {
#define SYS(m, handler, end) M_##m,
#include "interp/ops_sys.def"
#undef SYS
	M_RDRAND, M_RDSEED, M_STR_INS, M_STR_OUTS,
	M_FNSAVE, M_FNSTENV, M_FLDENV, M_FRSTOR, M_FXSAVE, M_FXRSTOR, M_FXSAVE64, M_FXRSTOR64,
};

/* Flags that SDM 2 leaves undefined and our C code does not take from the host. */
static const struct { uint16_t mnem; uint32_t undefined; } undefined_flags[] = {
	{ M_DIV, FL_ARITH }, { M_IDIV, FL_ARITH },
	{ M_DAA, FL_OF }, { M_DAS, FL_OF },
	{ M_AAA, FL_OF | FL_SF | FL_ZF | FL_PF }, { M_AAS, FL_OF | FL_SF | FL_ZF | FL_PF },
	{ M_AAM, FL_OF | FL_AF | FL_CF }, { M_AAD, FL_OF | FL_AF | FL_CF },
	{ M_BT, FL_OF | FL_SF | FL_AF | FL_PF }, { M_BTS, FL_OF | FL_SF | FL_AF | FL_PF },
	{ M_BTR, FL_OF | FL_SF | FL_AF | FL_PF }, { M_BTC, FL_OF | FL_SF | FL_AF | FL_PF },
	{ M_LZCNT, FL_OF | FL_SF | FL_AF | FL_PF }, { M_TZCNT, FL_OF | FL_SF | FL_AF | FL_PF },
};

bool is_excluded(unsigned mnem)
{
	for (size_t i = 0; i < ARRAY_LEN(excluded); i++)
		if (excluded[i] == mnem)
			return true;
	return mnem == M_INVALID;
}

uint32_t flags_undefined(const struct insn *in)
{
	for (size_t i = 0; i < ARRAY_LEN(undefined_flags); i++)
		if (undefined_flags[i].mnem == in->mnem)
			return undefined_flags[i].undefined;
	return 0;
}

/* D9 /2 /3, DB /1-/3 /7, DD /1-/3, DF /1-/3 /6 /7 of memory: what stores a number. The
 * environments (D9 /6, DD /6) and control and status words are not among them. */
static bool is_x87_store(unsigned fop)
{
	static const uint8_t stores[8] = {
		[1] = 0x0c, [3] = 0x8e, [5] = 0x0e, [7] = 0xce,
	};

	return (fop & 0xc0) != 0xc0 && stores[fop >> 8 & 7] >> (fop >> 3 & 7) & 1;
}

/*
 * What processors do differently when a memory access fails, or would: hides the
 * difference if it is one of these. Both ways are allowed; hemi's is named first.
 */
void settle_choices(const struct insn *in, struct outcome *host, struct outcome *interp)
{
	bool both = host->faulted && interp->faulted;
	bool masked_store = in->mnem == M_MASKMOVQ || in->mnem == M_MASKMOVDQU;
	bool mmx = false;

	for (int i = 0; i < in->nopnd; i++)
		mmx |= in->o[i].kind == OPD_MMX;
	/* Which of two failing accesses is reported; the first byte stored, or the first of all. */
	if (both && (in->mnem == M_STR_CMPS || masked_store || host->fault_gva >= 0xfffffff0u))
		interp->page_fault = host->page_fault, interp->fault_gva = host->fault_gva;
	/* A call to no canonical address: the return address may have been stored already, or
	 * have failed to be. */
	if (both && in->mnem == M_CALL && in->o[0].size == 8 && interp->vector == VEC_GP) {
		interp->page_fault = host->page_fault, interp->fault_gva = host->fault_gva;
		for (unsigned i = 1; i <= 8; i++) {
			uint64_t at = host->s.cpu.gpr[RSP] - i - DATA_GVA;

			if (at < DATA_SIZE)
				interp->s.data[at] = host->s.data[at];
		}
	}
	/* Of ten bytes across the end of the data, the first eight may have been stored. */
	if (both && (in->mnem == M_FBSTP || in->mnem == M_FSTP))
		memcpy(interp->s.data + DATA_SIZE - 9, host->s.data + DATA_SIZE - 9, 9);
	/* The x87 state stays, or TOP became 0 or all registers valid before the access failed. */
	if (both && mmx && !(host->s.cpu.fpu.sw & 0x3800))
		interp->s.cpu.fpu.sw &= (uint16_t)~0x3800;
	if (both && mmx && host->s.cpu.fpu.tags == 0xff)
		interp->s.cpu.fpu.tags = 0xff;
	/* An x87 store that an unmasked exception suppresses does not touch memory (Intel), or
	 * its fault comes first (AMD): an Intel host has no choice to settle. */
	if (!__builtin_cpu_is("intel") && is_x87_store(in->fop) &&
	    (host->page_fault || (host->faulted && host->refused)) && !interp->faulted &&
	    (interp->s.cpu.fpu.sw & ~interp->s.cpu.fpu.cw & 0x19))
		*interp = *host;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What --strict looks for: every instruction of user code that can come out otherwise on the host
 * than on the guest's processor, whoever looks. There are so many that hardly a page of
 * a real program has four or fewer. Knows opcodes, as docs/scanner.md lists them.
 */
#include "shadow/scan.h"

#include "machine/sink.h"

#define BIT(n)	(1ull << ((n) & 63))
#define RUN(first, last)	((~0ull >> (63 - ((last) & 63))) & (~0ull << ((first) & 63)))

/* Second bytes behind 0F that mean the same wherever they exist, and exist on every processor that
 * hemi has a model of; privileged ones, which trap, too. */
static const uint64_t plain[4] = {
	BIT(0x06) | BIT(0x08) | BIT(0x09) | BIT(0x0b) | RUN(0x20, 0x23) | BIT(0x30) | BIT(0x32),
	0,
	RUN(0x80, 0x9f) | RUN(0xa3, 0xa5) | RUN(0xab, 0xad) | RUN(0xaf, 0xb1) | BIT(0xb3) |
		RUN(0xb6, 0xb7) | RUN(0xb9, 0xbb) | RUN(0xbe, 0xbf),
	BIT(0xc0) | BIT(0xc1) | RUN(0xc8, 0xcf),
};

/* And those of every processor with SSE3. RDTSC traps where it must. */
static const uint64_t vectors[4] = {
	RUN(0x10, 0x18) | RUN(0x28, 0x2a) | RUN(0x2c, 0x2f) | BIT(0x31),
	RUN(0x40, 0x77) | RUN(0x7c, 0x7f),
	0,
	BIT(0xc2) | RUN(0xc4, 0xc6) | RUN(0xd0, 0xff),
};

static unsigned two_bytes(uint8_t second, unsigned classes)
{
	unsigned i = second >> 6;

	if (plain[i] & BIT(second))
		return 0;
	return (classes & SCAN_OLD) || !(vectors[i] & BIT(second)) ? 2 : 0;
}

unsigned scan_exact(const uint8_t *p, unsigned classes)
{
	unsigned reg = p[1] >> 3 & 7;

	switch (p[0]) {
	case 0x0f:
		return two_bytes(p[1], classes);
	/* Selectors, and descriptors by them: PUSH, POP and MOV of segment registers; far
	 * transfers. */
	case 0x06: case 0x07: case 0x0e: case 0x16: case 0x17: case 0x1e: case 0x1f:
	case 0x8c: case 0x8e: case 0x9a: case 0xea: case 0xca: case 0xcb: case 0xcf:
	/* LES and LDS, which are VEX in 64-bit code; BOUND, which is EVEX there. */
	case 0xc4: case 0xc5: case 0x62:
	/* Decimal adjustments, of which the manual leaves flags undefined, and SALC. */
	case 0x27: case 0x2f: case 0x37: case 0x3f: case 0xd4: case 0xd5: case 0xd6:
		return 1;
	/* x87: where the last instruction and its operand were, hosts keep or lose at will. */
	case 0xd8: case 0xd9: case 0xda: case 0xdb: case 0xdc: case 0xdd: case 0xde: case 0xdf:
		return 1;
	case 0x8f:		/* POP; XOP with any other register */
		return reg ? 2 : 0;
	case 0xff:
		return reg == 3 || reg == 5 ? 2 : 0;
	case 0xc6: case 0xc7:	/* XABORT, XBEGIN */
		return p[1] == 0xf8 ? 2 : 0;
	case 0xcd:		/* the host's own system call: half of RAX is lost */
		return p[1] == 0x80 || ((classes & SCAN_INTN) && (p[1] & 0xf0) == 0x10) ? 2 : 0;
	case 0x9e: case 0x9f:	/* SAHF, LAHF in 64-bit code */
		return (classes & SCAN_OLD) && (classes & SCAN_REX) ? 1 : 0;
	}
	return 0;
}

/* INT3, INT1 and INTO stop behind the instruction, which is one byte long but for its prefixes. */
bool scan_exact_prefixed(uint8_t opcode)
{
	return opcode == 0xcc || opcode == 0xce || opcode == 0xf1;
}

unsigned scan_classes(unsigned needs, bool strict, bool old)
{
	unsigned all = SCAN_DEFAULT,
		 more = strict ? SCAN_STRICT | SCAN_EXACT | (old ? SCAN_OLD : 0) : 0;

	if (!(needs & SINK_GUARD_VMCALL))
		all &= ~(unsigned)SCAN_VMCALL;
	if (!(needs & SINK_GUARD_INTN))
		all &= ~(unsigned)SCAN_INTN;
	if (needs & SINK_GUARD_NOTHING)
		return (all & (SCAN_VMCALL | SCAN_INTN)) | (strict ? more | SCAN_LSL : 0);
	if (needs & SINK_OWN_SEGMENTS)
		all &= ~(unsigned)(SCAN_LSL | SCAN_FSGS);
	if (!(needs & SINK_GUARD_SYSCALL))
		all &= ~(unsigned)SCAN_SYSCALL;
	if (!(needs & SINK_GUARD_SYSENTER))
		all &= ~(unsigned)SCAN_SYSENTER;
	if (!(needs & SINK_GUARD_CPUID))
		all &= ~(unsigned)SCAN_CPUID;
	return all | more;
}

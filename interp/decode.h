/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From bytes to a neutral description of one instruction. The only user of
 * Zydis in the interpreter; lower.c turns the description into an operation.
 */
#ifndef INTERP_DECODE_H
#define INTERP_DECODE_H

#include "interp/core.h"
#include "interp/mnem.h"

enum opnd_kind { OPD_NONE, OPD_GPR, OPD_SREG, OPD_CR, OPD_DR, OPD_ST, OPD_MMX, OPD_XMM, OPD_MEM,
		 OPD_IMM, OPD_REL, OPD_FAR };

struct opnd {
	uint8_t kind;
	uint8_t reg;		/* OPD_GPR: byte offset into cpu.gpr; else the number */
	uint8_t size;		/* bytes (80-bit: 10; environments: as Zydis says, clipped to 255) */
};

struct insn {
	uint16_t mnem;		/* enum mnem */
	uint16_t feature;	/* the CPU model must have it (enum feature), 0 = always there */
	uint8_t len;
	uint8_t osize, asize;	/* effective operand and address size in bytes */
	uint8_t nopnd;
	struct opnd o[4];
	uint8_t base, index, scale, seg;	/* of the memory operand, gpr numbers */
	bool rip_rel;
	bool lock, rep, repne, has_rex_w;
	bool far;		/* RET, JMP, CALL: inter-segment */
	bool x87;		/* D8 to DF */
	uint16_t fop;		/* of x87: low 3 bits of the opcode << 8 | ModRM */
	int64_t disp;
	uint64_t imm;		/* sign-extended; far pointers: sel << 32 | off */
	uint32_t fl_read, fl_write;	/* arithmetic flags, as EFLAGS bits */
};

struct decoder;
/* NULL: no memory. */
struct decoder *decoder_create(void);
void decoder_destroy(struct decoder *d);

enum decode_result { DECODE_OK, DECODE_MORE /* bytes end inside it */, DECODE_INVALID, DECODE_TOO_LONG };

/* Decodes the instruction at bytes[0..avail). hflags choose the mode. */
enum decode_result decode(struct decoder *d, uint32_t hflags, const uint8_t *bytes, unsigned avail,
			  struct insn *out);

#endif

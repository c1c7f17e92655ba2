/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the lowering share: the instruction in work, its operands, the families. */
#ifndef INTERP_LOWER_PARTS_H
#define INTERP_LOWER_PARTS_H

#include "interp/cpu_model.h"
#include "interp/fpu.h"
#include "interp/lower.h"
#include "interp/tables.h"

struct ctx {
	uint32_t hflags;
	unsigned off;
	bool single;
	const struct insn *in;
	struct op *op;
	struct lowered *out;
};

/* lower.c: the number of the memory operand, or -1; which handlers serve its address. */
int insn_memory_operand(const struct insn *in);
enum ea_form ea_form(const struct ctx *c);
void op_set_address(struct ctx *c);
/* The generic packing: registers in order into a and b, memory into the address. */
void op_pack(struct ctx *c);
void op_invalid(struct ctx *c);
/* MOV from and to segment, control and debug registers; NULL: it is none of these. */
op_fn *mov_system_handler(const struct insn *in);

/* Instructions with one handler for all their forms. */
#define PLAIN_LIST(X)									\
	X(SALC, salc) X(MUL, mul) X(DIV, div) X(IDIV, idiv) X(DAA, daa) X(DAS, das) X(AAA, aaa)	\
	X(AAS, aas) X(AAM, aam) X(AAD, aad) X(BSWAP, bswap) X(MOVBE, movbe) X(XLAT, xlat)	\
	X(LAHF, lahf) X(SAHF, sahf) X(CLC, clc) X(STC, stc) X(CMC, cmc) X(CLD, cld) X(STD, std)	\
	X(BSF, bsf) X(BSR, bsr) X(POPCNT, popcnt) X(LZCNT, lzcnt) X(TZCNT, tzcnt)		\
	X(CMPXCHG, cmpxchg) X(XADD, xadd) X(CMPXCHG8B, cmpxchg8b) X(CMPXCHG16B, cmpxchg16b)	\
	X(RDRAND, rdrand) X(PUSHA, pusha) X(POPA, popa) X(ENTER, enter) X(LEAVE, leave)		\
	X(BOUND, bound) X(MOVS, movs) X(CMPS, cmps) X(STOS, stos) X(LODS, lods) X(SCAS, scas)	\
	X(INS, ins) X(OUTS, outs)
enum {
#define PLAIN_ENUM(U, l) P_##U,
	PLAIN_LIST(PLAIN_ENUM)
};

/* The families: lower_int.c, lower_control.c. */
#define INT(m, fn, a)	void lower_##fn(struct ctx *c, unsigned arg);
#define STR(m, fn, a)	INT(m, fn, a)
#include "interp/ops_int.def"
#undef INT
#undef STR

#endif

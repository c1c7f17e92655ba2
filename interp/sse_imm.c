/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XMM instructions with an immediate that is part of the encoding: a table of the
 * instruction with each of the 256 values. A stub is a function in the host's calling
 * convention: operands in XMM0 and XMM1, the result in XMM0.
 */
#include "interp/sse_fp.h"

#define GEN(m, h)
#define GEN2(m, mmx, xmm)
#define GEN3(m, mmx, xmm, gpr)

typedef __m128i stub_fn(__m128i a, __m128i b);
#define STUB_SIZE	8

#define STUBS(name, bytes)						\
__asm__("	.pushsection .text\n"					\
	"	.balign 16\n"						\
	"stubs_" #name ":\n"						\
	"	.set k, 0\n"						\
	"	.rept 256\n"						\
	"	.byte " bytes ",k,0xc3\n"				\
	"	.balign 8, 0xcc\n"					\
	"	.set k, k + 1\n"					\
	"	.endr\n"						\
	"	.popsection\n");					\
extern const char stubs_##name[256][STUB_SIZE];

#define CALL_STUB(name, imm, a, b) ((stub_fn *)stubs_##name[(uint8_t)(imm)])(a, b)

#define IMM8(m, name, bytes)						\
STUBS(name, bytes)							\
HANDLER(h_xmm_##name)							\
{									\
	__m128i a;							\
									\
	SSE_ENTER(v, op);						\
	a = sse_source(v, op, true);					\
	a = CALL_STUB(name, op->imm, xmm_get(v, op->a), a);		\
	xmm_set(v, op->a, a);						\
	NEXT(v, op);							\
}
#define BOTH_IMM8(m, name, bytes)	IMM8(m, name, bytes)
#define FLOAT_IMM8(m, name, kind, bytes)				\
STUBS(name, bytes)							\
HANDLER(h_xmm_##name)							\
{									\
	__m128i a, b;							\
									\
	SSE_ENTER(v, op);						\
	b = sse_source(v, op, true);					\
	mxcsr_begin(v);							\
	a = CALL_STUB(name, op->imm, xmm_get(v, op->a), b);		\
	sse_report(v, mxcsr_end(), b, kind);				\
	xmm_set(v, op->a, a);						\
	NEXT(v, op);							\
}
#include "interp/ops_sse.def"

/* A memory operand is one element, whatever the immediate selects. */
STUBS(insertps, "0x66,0x0f,0x3a,0x21,0xc1")
HANDLER(h_xmm_insertps)
{
	unsigned imm = (uint8_t)op->imm;
	__m128i a;

	SSE_ENTER(v, op);
	a = sse_source(v, op, true);
	if (op->flags & OPF_MEM)
		imm &= 0x3f;
	a = CALL_STUB(insertps, imm, xmm_get(v, op->a), a);
	xmm_set(v, op->a, a);
	NEXT(v, op);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The string comparisons of SSE4.2 (SDM 1 12.9): run on the host, from tables with
 * every immediate, since they take and leave more registers than others do.
 */
#include "interp/fpu.h"

/* What x87-free host code exchanges with an instruction: operands, XMM0, EAX, EDX,
 * ECX, and the flags as cpu.arith has them. */
struct strings {
	__m128i a, b, xmm0;
	uint32_t eax, edx, ecx, flags;
};
_Static_assert(offsetof(struct strings, eax) == 48 && offsetof(struct strings, flags) == 60,
	       "sse_strings knows the layout");

__asm__(
"	.pushsection .text\n"
"	.balign 16\n"
"sse_strings:\n"		/* (struct strings *RDI, const void *stub RSI) */
"	movdqu (%rdi), %xmm1\n"
"	movdqu 16(%rdi), %xmm2\n"
"	movdqu 32(%rdi), %xmm0\n"
"	movl 48(%rdi), %eax\n"
"	movl 52(%rdi), %edx\n"
"	movl 56(%rdi), %ecx\n"
"	call *%rsi\n"
"	movdqu %xmm0, 32(%rdi)\n"
"	movl %ecx, 56(%rdi)\n"
"	lahf\n"
"	seto %al\n"
"	movzwl %ax, %eax\n"
"	movl %eax, 60(%rdi)\n"
"	ret\n"
"	.popsection\n");
void sse_strings(struct strings *s, const void *stub);

#define STUBS(name, opcode)						\
__asm__("	.pushsection .text\n"					\
	"	.balign 16\n"						\
	"stubs_" #name ":\n"						\
	"	.set k, 0\n"						\
	"	.rept 256\n"						\
	"	.byte 0x66,0x0f,0x3a," opcode ",0xca,k,0xc3,0xcc\n"	\
	"	.set k, k + 1\n"					\
	"	.endr\n"						\
	"	.popsection\n");					\
extern const char stubs_##name[256][8];
STUBS(pcmpestrm, "0x60")
STUBS(pcmpestri, "0x61")
STUBS(pcmpistrm, "0x62")
STUBS(pcmpistri, "0x63")

/* With REX.W lengths are 64 bits; they saturate at 8 or 16 anyhow. */
static uint32_t length(uint64_t reg, bool wide)
{
	int64_t n = (int64_t)reg;

	if (!wide)
		return (uint32_t)reg;
	return n > 16 ? 16 : n < -16 ? (uint32_t)-16 : (uint32_t)n;
}

static __attribute__((noinline)) void compare(struct interp *v, const struct op *op,
					      const void *stub, bool index)
{
	bool wide = op->imm & 0x100;
	struct strings s = {
		.a = xmm_get(v, op->a),
		.b = sse_source(v, op, false),
		.xmm0 = xmm_get(v, 0),
		.eax = length(v->cpu.gpr[RAX], wide),
		.edx = length(v->cpu.gpr[RDX], wide),
	};

	sse_strings(&s, stub);
	v->cpu.arith = (uint16_t)s.flags;
	if (index)
		v->cpu.gpr[RCX] = s.ecx;
	else
		xmm_set(v, 0, s.xmm0);
}

#define STRINGS(name, index)						\
HANDLER(h_##name)							\
{									\
	SSE_ENTER(v, op);						\
	compare(v, op, stubs_##name[(uint8_t)op->imm], index);		\
	NEXT(v, op);							\
}
STRINGS(pcmpestrm, false)
STRINGS(pcmpestri, true)
STRINGS(pcmpistrm, false)
STRINGS(pcmpistri, true)

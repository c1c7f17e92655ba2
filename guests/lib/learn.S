/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User code of the guests learn and learn64: pieces that ask what a program could learn of its
 * processor, each on a page of its own, and a table of them: learn_table32 and, where the guest has
 * it, learn_table64 (name, address; both 32 bits wide; ends in zero).
 */
	.macro	SNIP_END
	int	$0x80
	ud2
	.endm
	.macro	SNIP name
	SNIP_END
	.pushsection .rodata, 0
9999:	.asciz	"\name"
	.popsection
	.pushsection .rodata, 1
	.long	9999b, 9998f
	.popsection
	.balign	4096, 0xcc
9998:	mov	$0, %eax
	mov	$0, %ebx
	mov	$0, %ecx
	mov	$0, %edx
	.endm

	.section .user, "awx", @progbits
	.pushsection .rodata, 1
	.balign	4
	.globl	learn_table32
learn_table32:
	.popsection
	.code32
#define W	32
#define A	%eax
#define B	%ebx
#define C	%ecx
#define D	%edx
#define P	%esi
#define SP	%esp
#define BP	%ebp
#define MODRM_XSAVEC	0x25
#include "learn_code.inc"
#undef W
#undef A
#undef B
#undef C
#undef D
#undef P
#undef SP
#undef BP
#undef MODRM_XSAVEC
#undef UNDEF
	.pushsection .rodata, 1
	.long	0, 0
#ifdef __x86_64__
	.globl	learn_table64
learn_table64:
	.popsection
	.code64
#define W	64
#define A	%rax
#define B	%rbx
#define C	%rcx
#define D	%rdx
#define P	%rsi
#define SP	%rsp
#define BP	%rbp
#define MODRM_XSAVEC	0x24
#include "learn_code.inc"
	.pushsection .rodata, 1
	.long	0, 0
#endif
	.popsection

#undef W
#undef A
#undef SP

	.macro	PLACE label
	.globl	\label
\label:
	.endm
	.code32
#define N(label)	label##_32
#define W	32
#define A	%eax
#define SI	%esi
#define SP	%esp
#include "learn_loads.inc"
#ifdef __x86_64__
#undef N
#undef W
#undef A
#undef SI
#undef SP
	.code64
#define N(label)	label##_64
#define W	64
#define A	%rax
#define SI	%rsi
#define SP	%rsp
#include "learn_loads.inc"
#endif

	.balign	4096, 0xcc
	PLACE	landed			/* reads alike in every mode */
	mov	%cs, %ebx
	int	$0x80
	.balign	4096, 0xcc
	PLACE	written			/* the kernel writes here */
	.fill	4096, 1, 0x90
	PLACE	found
	.fill	4096, 1, 0
	PLACE	buf
	.fill	64, 1, 0
zeroes:	.fill	64, 1, 0
	.balign	64
	PLACE	area
	.fill	3072, 1, 0
	.balign	4096, 0

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loops: pure loops in ring 0, whose instructions are counted exactly, for bench/interp.
 * On the command line: loop=NAME (all, without), n=COUNT (1: about a million instructions of
 * each), bits=64 for the same in 64-bit mode.
 *
 * With bits=64 the machine goes to long mode, where all that prints and parses stays in
 * compatibility mode and only the bodies are 64-bit code (SDM 3A 9.8.5). There the IDT of
 * the library is of no use, but no body faults.
 */
#include "guest.inc"

#define CODE64	FREE_SEL
#define EFER	0xc0000080
#define EFER_LME 0x100
#define ROW	28		/* bytes of a row of the table */

	.text
kmain:
	OPTION	"n", $1
	mov	%eax, count
	OPTION	"loop", $1	/* a word is no number: 0 if there is one */
	mov	%eax, every
	OPTION	"bits", $32
	mov	%eax, bits
	cmp	$64, %eax
	jne	1f
	call	go_long
1:	mov	$loop_table, %esi
2:	cmpl	$0, every
	jne	3f
	mov	$1, %eax
	mov	(%esi), %edx
	call	option
	test	%eax, %eax
	jnz	4f		/* another one was asked for */
3:	call	one
4:	add	$ROW, %esi
	cmp	$loop_table_end, %esi
	jb	2b
	cmpl	$0, done
	jne	5f
	PRINT	"no such loop\n"
	jmp	guest_fail
5:	ret

/* one: ESI = row */
one:	incl	done
	push	%esi
	mov	(%esi), %eax
	add	$5, %eax		/* behind "loop=" */
	call	puts
	PRINT	" begin\n"
	mov	16(%esi), %ebp
	imul	count, %ebp
	xor	%eax, %eax
	xor	%ebx, %ebx
	xor	%ecx, %ecx
	xor	%edx, %edx
	mov	$loop_from, %edi	/* every run begins alike */
1:	mov	%eax, (%edi)
	add	$0x9e3779b1, %eax
	add	$4, %edi
	cmp	$loop_to + 4096, %edi
	jb	1b
	xor	%eax, %eax
	xor	%edi, %edi
	cmpl	$64, bits
	je	1f
	call	*4(%esi)
	jmp	2f
1:	lcall	*8(%esi)
2:	pop	%esi
	push	%eax
	mov	(%esi), %eax
	add	$5, %eax
	call	puts
	PRINT	" end: "
	mov	16(%esi), %eax
	imul	count, %eax
	PRINTD	%eax
	PRINT	" passes of "
	mov	20(%esi), %eax
	PRINTD	%eax
	PRINT	", "
	mov	24(%esi), %eax
	PRINTD	%eax
	PRINT	" bytes, sum "
	pop	%eax
	PRINTX	%eax
	PRINT	"\n"
	ret

/* The first GiB, identity, in pages of 2 MiB. */
go_long:
	mov	$0x80000000, %eax
	cpuid
	cmp	$0x80000001, %eax
	jb	9f
	mov	$0x80000001, %eax
	cpuid
	bt	$29, %edx
	jnc	9f
	GDT_SET	$CODE64, $0, $0xfffff, $0xa09b
	mov	$pdir, %edi
	mov	$PTE_P + PTE_W + PTE_PS, %eax
	mov	$512, %ecx
1:	mov	%eax, (%edi)
	add	$0x200000, %eax
	add	$8, %edi
	loop	1b
	movl	$pdir + PTE_P + PTE_W, pdpt
	movl	$pdpt + PTE_P + PTE_W, pml4
	mov	%cr0, %eax
	and	$~CR0_PG, %eax
	mov	%eax, %cr0
	mov	%cr4, %eax
	or	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$pml4, %eax
	mov	%eax, %cr3
	mov	$EFER, %ecx
	rdmsr
	or	$EFER_LME, %eax
	wrmsr
	mov	%cr0, %eax
	or	$CR0_PG, %eax
	mov	%eax, %cr0
	ljmp	$KCODE, $2f
2:	ret
9:	PRINT	"no long mode\n"
	jmp	guest_fail

#define A	%eax
#define B	%ebx
#define C	%ecx
#define D	%edx
#define SI	%esi
#define DI	%edi
#define LOOP(name) name##_32
#define RETURN	ret
#include "loops.inc"
#undef A
#undef B
#undef C
#undef D
#undef SI
#undef DI
#undef LOOP
#undef RETURN

	.code64
#define A	%rax
#define B	%rbx
#define C	%rcx
#define D	%rdx
#define SI	%rsi
#define DI	%rdi
#define LOOP(name) name##_64
#define RETURN	lretl
#include "loops.inc"
	.code32

/* Name; 32-bit body; 64-bit one as a far pointer; passes for n=1; instructions and bytes a pass */
	.macro	ROW_OF name, passes, bytes
	.pushsection .rodata
9999:	.asciz	"loop=\name"
	.popsection
	.long	9999b, \name\()_32, \name\()_64, CODE64, \passes, \name\()_per_32, \bytes
	.endm
	.data
	.align	4
loop_table:
	ROW_OF	register, 100000, 0
	ROW_OF	memory, 100000, 0
	ROW_OF	branchy, 30000, 0
	ROW_OF	random, 25000, 0
	ROW_OF	call, 60000, 0
	ROW_OF	string, 100000, 0
	ROW_OF	rep, 1000, 8192
	ROW_OF	straight, 100, 0
loop_table_end:

	.bss
	.align	4096
loop_from: .skip 4096
loop_to: .skip	4096
pml4:	.skip	4096
pdpt:	.skip	4096
pdir:	.skip	4096
count:	.skip	4
every:	.skip	4
bits:	.skip	4
done:	.skip	4

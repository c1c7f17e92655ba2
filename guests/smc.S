/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smc: code that changes is executed as changed, in ring 3 and ring 0: the very next instruction,
 * in loops, across a page end, through an alias (with the serializing
 * instruction that SDM 3A 8.1.3 and 11.6 ask for), by the kernel, by remapping.
 * Each line shows a number that any stale instruction would change.
 */
#include "guest.inc"
#include "cases.inc"

#define PAGE_A	0x40000000	/* two names of one page ... */
#define PAGE_B	0x40100000
#define PHYS_A	0x00800000
#define PAGE_C	0x40001000	/* ... and the page after the first name */
#define PHYS_C	0x00801000
#define PHYS_D	0x00802000
#define KALIAS	0x40200000	/* second name of the page of kernel code */

	.text
kmain:
	MAP	$PAGE_A, $(PHYS_A + PTE_P + PTE_W + PTE_U)
	MAP	$PAGE_B, $(PHYS_A + PTE_P + PTE_W + PTE_U)
	MAP	$PAGE_C, $(PHYS_C + PTE_P + PTE_W + PTE_U)
	MAP	$KALIAS, $(kpage + PTE_P + PTE_W)
	call	run_cases

	/* The kernel patches what the user runs. */
	xor	%edi, %edi
	mov	$200, %ecx
1:	mov	%ecx, upatched + 1
	mov	$upatched, %eax
	call	run_user
	add	trap + F_EBX, %edi
	loop	1b
	PRINT	"kernel patches user code: "
	PRINTD	%edi
	PRINT	"\n"

	/* ... through its own mapping, which the user does not have. */
	movl	$0xb8909090, PHYS_C	/* nop; nop; nop; mov $, %eax */
	movw	$0x80cd, PHYS_C + 8
	movl	$hook_leave, trap_hook
	xor	%edi, %edi
	mov	$200, %ecx
2:	mov	%ecx, PHYS_C + 4
	mov	$PAGE_C, %eax
	call	run_user
	add	trap + F_EAX, %edi
	loop	2b
	PRINT	"kernel patches through its alias: "
	PRINTD	%edi
	PRINT	"\n"

	/* Other pages take turns under one address. */
	movl	$0x003412b8, PHYS_C	/* mov $0x1234, %eax; int $0x80 */
	movl	$0x80cd0000, PHYS_C + 3
	movl	$0x000001b8, PHYS_D	/* mov $1, %eax; int $0x80 */
	movl	$0x80cd0000, PHYS_D + 3
	xor	%edi, %edi
	mov	$100, %ecx
3:	MAP	$PAGE_C, $(PHYS_C + PTE_P + PTE_U)
	invlpg	PAGE_C
	mov	$PAGE_C, %eax
	call	run_user
	add	trap + F_EAX, %edi
	MAP	$PAGE_C, $(PHYS_D + PTE_P + PTE_U)
	invlpg	PAGE_C
	mov	$PAGE_C, %eax
	call	run_user
	add	trap + F_EAX, %edi
	loop	3b
	PRINT	"pages take turns: "
	PRINTX	%edi
	PRINT	"\n"

	/* The same games in ring 0. */
	movb	$7, 4f + 1
4:	mov	$1, %al
	movzbl	%al, %edi
	PRINT	"kernel, next instruction: "
	PRINTD	%edi
	PRINT	"\n"

	mov	$100, %ecx
	xor	%edi, %edi
5:	mov	%ecx, 6f + 2
6:	add	$0x11111111, %edi
	loop	5b
	PRINT	"kernel, in a loop: "
	PRINTD	%edi
	PRINT	"\n"

	xor	%eax, %eax
	mov	$1f, %edi
	mov	$2f, %esi
	mov	$(3f - 2f), %ecx
	rep movsb			/* replaces what follows */
1:	.fill	3f - 2f, 1, 0xf4
	PRINT	"kernel, rep movsb over the next instructions: "
	PRINTD	%eax
	PRINT	"\n"

	mov	$1000, %ecx
	xor	%edi, %edi
7:	call	kcounted
	add	%eax, %edi
	loop	7b
	PRINT	"kernel, data beside code: "
	PRINTD	%edi
	PRINT	"\n"

	mov	$200, %ecx
	xor	%edi, %edi
8:	mov	%cl, KALIAS + 1
	mov	%cr3, %eax		/* serializes */
	mov	%eax, %cr3
	call	kpage
	add	%eax, %edi
	loop	8b
	PRINT	"kernel, through an alias: "
	PRINTD	%edi
	PRINT	"\n"
	ret

hook_leave:
	mov	$1, %eax
	ret
kcounted:
	incl	9f
	mov	9f, %eax
	ret
9:	.long	0

2:	inc	%eax
	shl	$4, %eax
	inc	%eax
	lea	3(%eax), %eax
3:
	.align	4096
kpage:	mov	$0, %eax
	ret
	.align	4096

	SECTION_USER
CASE "next instruction"
	xor	%ebx, %ebx
	movb	$7, 1f + 1
1:	mov	$1, %bl
	RESULT	%ebx
CASE "next instruction, opcode"
	mov	$1, %ebx
	movb	$0x4b, 1f		/* dec %ebx for inc %ebx */
1:	inc	%ebx
	RESULT	%ebx
CASE "the instruction after a jump becomes another length"
	mov	$0x10, %ebx
	movl	$0x9090c383, 1f		/* add $0x90, %ebx; nop */
	jmp	1f
	.align	4
1:	inc	%ebx
	nop
	nop
	nop
	RESULT	%ebx
CASE "in a loop"
	mov	$1000, %ecx
	xor	%ebx, %ebx
1:	mov	%ecx, 2f + 2
2:	add	$0x11111111, %ebx
	loop	1b
	RESULT	%ebx
CASE "an earlier instruction of the loop"
	mov	$1000, %ecx
	xor	%ebx, %ebx
1:	add	$0, %bx
	addb	$1, 1b + 3
	loop	1b
	RESULT	%ebx
CASE "by push"
	mov	%esp, %ebp
	mov	$(1f + 5), %esp
	push	$0x600d
1:	mov	$0xbad, %ebx
	mov	%ebp, %esp
	RESULT	%ebx
CASE "by rep stosb over what follows"
	mov	$0x40, %al		/* inc %eax */
	mov	$1f, %edi
	mov	$8, %ecx
	rep stosb
1:	.fill	8, 1, 0x90
	movzbl	%al, %ebx
	RESULT	%ebx
CASE "data beside code"
	mov	$20000, %ecx
1:	incl	2f
	loop	1b
	RESULT	2f
2:	.long	0
CASE "across the page end"
	mov	$PAGE_C - 2, %edi
	movl	$0x000000b8, (%edi)	/* mov $, %eax; ret */
	movw	$0xc300, 4(%edi)
	xor	%ebx, %ebx
	mov	$300, %ecx
1:	mov	%cx, PAGE_C
	call	*%edi
	add	%eax, %ebx
	loop	1b
	RESULT	%ebx
CASE "through an alias"
	movl	$0x000000b8, PAGE_A
	movw	$0xc300, PAGE_A + 4
	xor	%esi, %esi
	xor	%edi, %edi
1:	mov	%si, PAGE_B + 1
	xor	%eax, %eax
	cpuid				/* serializes */
	mov	$PAGE_A, %eax
	call	*%eax
	add	%eax, %edi
	inc	%esi
	cmp	$300, %esi
	jb	1b
	RESULT	%edi
CASE "a page rewritten 1000 times"
	xor	%ebx, %ebx
	mov	$1000, %edx
1:	mov	$0x40404040, %eax	/* inc %eax; the last odd word is inc or dec */
	mov	$PAGE_A, %edi
	mov	$1024, %ecx
	rep stosl
	movb	$0xc3, PAGE_A + 4095
	mov	%edx, %ecx
	and	$0xff, %ecx
	movb	$0x48, PAGE_A(%ecx)	/* dec %eax */
	test	$1, %dl
	jz	2f
	movb	$0xc3, PAGE_A(%ecx)	/* ret */
2:	xor	%eax, %eax
	mov	$PAGE_A, %ecx
	call	*%ecx
	add	%eax, %ebx
	dec	%edx
	jnz	1b
	RESULT	%ebx
CASE "a function copied about"
	xor	%ebx, %ebx
	mov	$2000, %edx
1:	mov	$9f, %esi
	mov	%edx, %edi
	and	$0xff0, %edi
	add	$PAGE_A, %edi
	push	%edi
	mov	$16, %ecx
	rep movsb
	pop	%edi
	mov	%edx, 1(%edi)
	call	*%edi
	dec	%edx
	jnz	1b
	RESULT	%ebx
9:	mov	$0, %eax
	add	%eax, %ebx
	ret
	.fill	8, 1, 0x90
upatched:
	mov	$0x11111111, %ebx
	USER_EXIT

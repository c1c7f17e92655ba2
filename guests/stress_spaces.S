/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stress_spaces: 300 address spaces one after another, four alive at a time, all made of 64 pages
 * that change roles at random: a page directory becomes data, data full of what
 * looks like entries becomes a table. Every other table was written by ring 3,
 * while it still was data of a dying space, and the kernel never touches it:
 * what anyone remembers of the old roles shows (SDM 3A 4.10.4, 4.10.5).
 */
#include "guest.inc"

#define SPACES	300
#define LIVE	4
#define PAGES	64
#define POOL	0x00800000
#define GVA	0x40000000	/* data pages 0-2, code page 3 */

#define S_PD	0
#define S_PT	4
#define S_DATA	8		/* four pages */
#define S_TAG	24
#define S_SIZE	32

	.text
kmain:
	xor	%ecx, %ecx
1:	mov	%ecx, %eax
	shl	$12, %eax
	add	$POOL, %eax
	mov	%eax, freelist(,%ecx,4)
	inc	%ecx
	cmp	$PAGES, %ecx
	jb	1b
	mov	%ecx, nfree

step:	mov	made, %eax
	cmp	$SPACES, %eax
	jae	done
	and	$(LIVE - 1), %eax
	imul	$S_SIZE, %eax
	lea	live(%eax), %ebp	/* EBP: the slot to be replaced */

	xor	%ecx, %ecx		/* pages of the next space, and its table as ring 3 shall write it */
2:	call	page_take
	mov	%eax, next_data(,%ecx,4)
	or	$(PTE_P | PTE_W | PTE_U), %eax
	mov	%eax, plan(,%ecx,4)
	inc	%ecx
	cmp	$4, %ecx
	jb	2b
	movl	$0, next_pt
	cmpl	$0, S_PD(%ebp)
	je	4f
	mov	S_PD(%ebp), %eax
	mov	%eax, %cr3
	mov	S_TAG(%ebp), %ecx
	mov	$u_check, %eax
	call	go
	testb	$1, made
	jz	3f
	mov	$u_prepare, %eax
	call	go
	mov	S_DATA + 8(%ebp), %eax
	mov	%eax, next_pt
	movl	$0, S_DATA + 8(%ebp)
3:	mov	$boot_pd, %eax
	mov	%eax, %cr3
	xor	%ecx, %ecx		/* free it all */
5:	mov	(%ebp,%ecx,4), %eax
	test	%eax, %eax
	jz	6f
	call	page_give
6:	inc	%ecx
	cmp	$6, %ecx
	jb	5b

4:	mov	next_pt, %eax		/* the new one */
	test	%eax, %eax
	jnz	7f
	call	page_take
	mov	%eax, %edi
	push	%eax
	xor	%eax, %eax
	mov	$1024, %ecx
	rep stosl
	pop	%eax
	mov	$plan, %esi
	mov	%eax, %edi
	mov	$4, %ecx
	rep movsl
7:	mov	%eax, S_PT(%ebp)
	lea	PTE_P + PTE_W + PTE_U(%eax), %edx
	call	page_take
	mov	%eax, S_PD(%ebp)
	mov	$boot_pd, %esi
	mov	%eax, %edi
	mov	$256, %ecx
	rep movsl
	push	%edi
	xor	%eax, %eax
	mov	$768, %ecx
	rep stosl
	pop	%edi
	mov	%edx, (%edi)
	mov	$next_data, %esi
	lea	S_DATA(%ebp), %edi
	mov	$4, %ecx
	rep movsl
	incl	made
	mov	made, %ecx
	mov	%ecx, S_TAG(%ebp)
	mov	S_PD(%ebp), %eax
	mov	%eax, %cr3
	mov	$u_fill, %eax
	call	go

	mov	$LIVE, %eax		/* and a look at another */
	call	rand_below
	imul	$S_SIZE, %eax
	lea	live(%eax), %ebp
	mov	S_PD(%ebp), %eax
	test	%eax, %eax
	jz	step
	mov	%eax, %cr3
	mov	S_TAG(%ebp), %ecx
	mov	$u_check, %eax
	call	go
	jmp	step

done:	PRINTD	made
	PRINT	" spaces, runs "
	PRINTD	runs
	PRINT	", wrong "
	PRINTD	wrong
	PRINT	"\n"
	cmpl	$0, wrong
	jne	guest_fail
	ret

go:	call	run_user
	cmpl	$0x80, trap + F_VEC
	jne	trap_panic
	mov	trap + F_EBX, %eax
	add	%eax, wrong
	incl	runs
	ret

page_take:				/* EAX: any of the free pages */
	push	%ecx
	mov	nfree, %eax
	call	rand_below
	decl	nfree
	mov	nfree, %ecx
	mov	freelist(,%ecx,4), %ecx
	xchg	freelist(,%eax,4), %ecx
	mov	%ecx, %eax
	pop	%ecx
	ret
page_give:				/* EAX */
	push	%ecx
	mov	nfree, %ecx
	mov	%eax, freelist(,%ecx,4)
	incl	nfree
	pop	%ecx
	ret

	.data
	.align	4
made:	.long	0
runs:	.long	0
wrong:	.long	0
	.bss
	.align	4
live:	.skip	LIVE * S_SIZE
freelist: .skip	PAGES * 4
nfree:	.skip	4
next_pt: .skip	4
next_data: .skip 16

	SECTION_USER
	.align	16
/* ECX = tag. Words that look like present entries: any page of the pool, all rights. */
	.macro	WORD_OF out
	imul	$61, %ecx, \out
	add	%edi, \out
	imul	$0x3000, \out
	and	$0x3f000, \out
	or	$(POOL + 7), \out
	.endm
u_fill:	mov	$GVA, %edi
1:	WORD_OF %eax
	mov	%eax, (%edi)
	add	$16, %edi
	cmp	$(GVA + 0x3000), %edi
	jb	1b
	movb	$0xb8, (%edi)		/* mov $tag, %eax; ret */
	mov	%ecx, 1(%edi)
	movb	$0xc3, 5(%edi)
u_check:
	xor	%ebx, %ebx
	mov	$GVA, %edi
2:	WORD_OF %eax
	cmp	%eax, (%edi)
	je	3f
	inc	%ebx
3:	add	$16, %edi
	cmp	$(GVA + 0x3000), %edi
	jb	2b
	call	*%edi
	cmp	%ecx, %eax
	je	4f
	inc	%ebx
4:	USER_EXIT
u_prepare:				/* the table of the next space, in our page 2 */
	mov	$(GVA + 0x2000), %edi
	mov	$plan, %esi
	mov	$4, %ecx
	rep movsl
	xor	%eax, %eax
	mov	$1020, %ecx
	rep stosl
	xor	%ebx, %ebx
	USER_EXIT
	.align	4
plan:	.long	0, 0, 0, 0

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cow: a page table is taken back what it gave. Copy-on-write after a fork-like copy of a space;
 * then rights withdrawn and given again, 50 times each way, by INVLPG and by a
 * CR3 load, in the table and in the directory; last, a user who writes his own
 * page table through an alias (SDM 3A 4.6, 4.10.4).
 */
#include "guest.inc"

#define GVA	0x40000000	/* four pages; the table itself at the fifth */
#define PAGES	4
#define SYS_INVLPG 0x20

	.text
kmain:
	movl	$hook_cow, trap_hook
	call	space_new
	mov	%eax, parent
	call	space_new
	mov	%eax, child
	mov	parent, %ecx
	mov	$GVA, %ebx
	mov	$PAGES, %edi
1:	call	page_alloc
	lea	PTE_P + PTE_W + PTE_U(%eax), %edx
	mov	%ebx, %eax
	call	map
	add	$4096, %ebx
	dec	%edi
	jnz	1b
	mov	parent, %eax
	mov	%eax, %cr3
	mov	$100, %ecx
	mov	$u_fill, %eax
	call	run_user
	call	tell
	PRINT	"parent fills\n"

	call	fork
	mov	$u_sum, %eax
	call	run_user
	call	tell
	PRINT	"parent reads after the fork\n"
	mov	child, %eax
	mov	%eax, %cr3
	mov	$u_sum, %eax
	call	run_user
	call	tell
	PRINT	"child reads\n"
	mov	$7000, %ecx
	mov	$u_write02, %eax
	call	run_user
	call	tell
	PRINT	"child writes pages 0 and 2\n"
	mov	parent, %eax
	mov	%eax, %cr3
	mov	$u_sum, %eax
	call	run_user
	call	tell
	PRINT	"parent has not seen it\n"
	mov	$50000, %ecx
	mov	$u_fill, %eax
	call	run_user
	call	tell
	PRINT	"parent writes all\n"
	mov	child, %eax
	mov	%eax, %cr3
	mov	$u_sum, %eax
	call	run_user
	call	tell
	PRINT	"child has not seen it\n"
	call	child_forks_again
	mov	parent, %eax
	mov	%eax, %cr3

	movl	$hook_default, trap_hook
	mov	$GVA, %eax
	mov	parent, %ecx
	call	pte_of
	mov	%eax, %ebp		/* EBP: entry of the first page */
	.irp	how, 0, 1
	movl	$\how, by_cr3
	.irp	right, PTE_W, PTE_U, PTE_P
	mov	$\right, %edx
	mov	%ebp, %ebx
	call	revoke
	.endr
	mov	parent, %ebx		/* the same in the directory */
	add	$((GVA >> 22) * 4), %ebx
	.irp	right, PTE_W, PTE_U, PTE_P
	mov	$\right, %edx
	call	revoke
	.endr
	.endr

	/* The user edits his own table. */
	mov	$PAGES, %ecx
1:	orb	$PTE_W, -4(%ebp,%ecx,4)
	loop	1b
	mov	%cr3, %eax
	mov	%eax, %cr3
	mov	%ebp, %edx
	and	$0xfffff000, %edx
	or	$(PTE_P | PTE_W | PTE_U), %edx
	mov	$(GVA + 0x4000), %eax
	mov	parent, %ecx
	call	map
	movl	$hook_invlpg, trap_hook
	mov	$u_selfmap, %eax
	call	run_user
	call	tell
	PRINT	"user maps for himself\n"
	ret

/* fork: the child gets a copy of the parent's table; pages become read-only on both sides */
fork:	mov	$GVA, %eax
	mov	parent, %ecx
	call	pte_of
	mov	%eax, %esi
	mov	$GVA, %eax
	mov	child, %ecx
	call	pte_of
	mov	%eax, %edi
	mov	$PAGES, %ecx
1:	andl	$~(PTE_W | PTE_D), (%esi)
	movsl
	loop	1b
	mov	%cr3, %eax
	mov	%eax, %cr3
	ret

/* A page shared by nobody any more is copied all the same: the simplest rule. */
child_forks_again:
	mov	child, %eax
	xchg	parent, %eax
	mov	%eax, child
	call	fork
	mov	$9, %ecx
	mov	$u_write02, %eax
	call	run_user
	call	tell
	PRINT	"forked back, first writes\n"
	mov	child, %eax
	mov	%eax, %cr3
	mov	$u_sum, %eax
	call	run_user
	call	tell
	PRINT	"the other side\n"
	ret

hook_cow:
	cmpl	$14, F_VEC(%ebx)
	jne	hook_default
	mov	F_ERR(%ebx), %eax
	cmp	$7, %eax
	jne	trap_panic
	incl	faults
	mov	trap + F_CR2, %eax
	and	$0xfffff000, %eax
	push	%eax
	mov	%cr3, %ecx
	call	pte_of
	mov	%eax, %edx
	call	page_alloc
	pop	%esi			/* copy through the user's own address */
	push	%esi
	mov	%eax, %edi
	mov	$1024, %ecx
	rep movsl
	or	$(PTE_P | PTE_W | PTE_U), %eax
	mov	%eax, (%edx)
	pop	%eax
	invlpg	(%eax)
	xor	%eax, %eax
	ret

/* revoke: EBX = entry, EDX = the right; 50 times: allowed, withdrawn, allowed */
revoke:
	movl	$0, allowed
	movl	$0, refused
	movl	$0, codes
	mov	$50, %ecx
1:	push	%ecx
	or	%edx, (%ebx)
	call	forget
	call	attempt
	not	%edx
	and	%edx, (%ebx)
	not	%edx
	call	forget
	call	attempt
	call	attempt
	pop	%ecx
	loop	1b
	or	%edx, (%ebx)
	call	forget
	PRINT	"withdraw "
	PRINTD	%edx
	cmpl	$0, by_cr3
	jne	2f
	PRINT	" by invlpg"
	jmp	3f
2:	PRINT	" by cr3"
3:	PRINT	": allowed "
	PRINTD	allowed
	PRINT	" refused "
	PRINTD	refused
	PRINT	" codes "
	PRINTX	codes
	PRINT	"\n"
	ret
forget:	cmpl	$0, by_cr3
	jne	1f
	invlpg	GVA
	ret
1:	mov	%cr3, %eax
	mov	%eax, %cr3
	ret
attempt:
	mov	$u_touch, %eax
	call	run_user
	cmpl	$0x80, trap + F_VEC
	jne	1f
	incl	allowed
	ret
1:	cmpl	$14, trap + F_VEC
	jne	trap_panic
	cmpl	$(GVA + 12), trap + F_CR2
	jne	trap_panic
	incl	refused
	mov	trap + F_ERR, %ecx
	mov	$1, %eax
	shl	%cl, %eax
	or	%eax, codes
	ret

hook_invlpg:
	cmpl	$SYS_INVLPG, F_EAX(%ebx)
	jne	hook_default
	mov	F_EBX(%ebx), %eax
	invlpg	(%eax)
	xor	%eax, %eax
	ret

tell:	cmpl	$0x80, trap + F_VEC
	jne	trap_panic
	PRINT	"sum "
	PRINTD	trap + F_EBX
	PRINT	", copies "
	PRINTD	faults
	PRINT	": "
	movl	$0, faults
	ret

	.bss
	.align	4
parent:	.skip	4
child:	.skip	4
faults:	.skip	4
allowed: .skip	4
refused: .skip	4
codes:	.skip	4
by_cr3:	.skip	4

	SECTION_USER
	.align	16
u_fill:	mov	$GVA, %edi		/* page n holds ECX + n */
	mov	$PAGES, %edx
1:	mov	%ecx, 16(%edi)
	mov	%ecx, 0xffc(%edi)
	inc	%ecx
	add	$4096, %edi
	dec	%edx
	jnz	1b
u_sum:	mov	$GVA, %edi
	mov	$PAGES, %edx
	xor	%ebx, %ebx
1:	mov	16(%edi), %eax
	cmp	0xffc(%edi), %eax
	jne	2f
	add	%eax, %ebx
	add	$4096, %edi
	dec	%edx
	jnz	1b
	USER_EXIT
2:	ud2
u_write02:
	add	%ecx, GVA + 16
	add	%ecx, GVA + 0xffc
	add	%ecx, GVA + 0x2010
	add	%ecx, GVA + 0x2ffc
	jmp	u_sum
u_touch:
	mov	%eax, GVA + 12
	USER_EXIT

/* Entries 8 up of his table, 300 times: absent to present (nothing owed), then another page (INVLPG). */
u_selfmap:
	movl	$0xa1, GVA + 32
	movl	$0xb2, GVA + 0x1000 + 32
	mov	GVA + 0x4000, %esi	/* PTEs of pages 0 and 1 */
	mov	GVA + 0x4004, %edi
	mov	$8, %ecx
	xor	%ebx, %ebx
1:	mov	%ecx, %edx
	shl	$12, %edx
	add	$GVA, %edx
	mov	%esi, GVA + 0x4000(,%ecx,4)
	add	32(%edx), %ebx
	mov	%edi, GVA + 0x4000(,%ecx,4)
	push	%ebx
	mov	%edx, %ebx
	mov	$SYS_INVLPG, %eax
	int	$0x80
	pop	%ebx
	add	32(%edx), %ebx
	incl	32(%edx)
	inc	%ecx
	cmp	$308, %ecx
	jb	1b
	USER_EXIT

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * adbits: accessed and dirty bits in the guest's own tables (SDM 3A 4.8): set by what ring 3 does,
 * not set by what it does not do; cleared with INVLPG or a CR3 load, and set
 * again. What a refused access does to A is not looked at. (A processor may also
 * set A ahead of need; that these lines never show it is more than 4.8 promises.)
 */
#include "guest.inc"

#define GVA	0x40000000	/* 4 KiB pages from here */
#define PHYS	0x00800000
#define BIG	0x48000000	/* a 4 MiB page */

	.macro	DO name, code
	.pushsection .rodata
9999:	.asciz	"\name"
	.popsection
	mov	$9999b, %edx
	mov	$\code, %eax
	call	probe
	.endm

	.text
kmain:
	xor	%ecx, %ecx
1:	mov	%ecx, %eax
	shl	$12, %eax
	lea	PHYS + PTE_P + PTE_W + PTE_U(%eax), %edx
	add	$GVA, %eax
	push	%ecx
	mov	$boot_pd, %ecx
	call	map
	pop	%ecx
	inc	%ecx
	cmp	$4, %ecx
	jb	1b
	movb	$0xc3, PHYS + 0x2000
	mov	$GVA, %eax
	mov	$boot_pd, %ecx
	call	pte_of
	mov	%eax, %ebp		/* EBP: the first of four entries */

	PRINT	"pages 0-3, D and A of each, then the directory's A\n"
	DO	"nothing", u_nothing
	DO	"read 0", u_read
	DO	"write 0", u_write
	DO	"read-modify-write 1", u_rmw
	DO	"cmpxchg 1, no match", u_cmpxchg
	DO	"execute 2", u_exec
	DO	"read across 0-1", u_across
	DO	"write across 2-3", u_wacross
	DO	"push 3", u_push
	DO	"rep movs 0 to 1", u_movs
	DO	"fnstcw 2", u_fpu
	DO	"movdqu 0 to 3", u_sse
	DO	"bts 1", u_bts
	DO	"bt 1", u_bt
	DO	"loop over 0-3", u_all
	movl	$1, use_cr3
	DO	"read 0, cleared by CR3", u_read
	DO	"write 0, cleared by CR3", u_write
	movl	$0, use_cr3

	/* read first, then write, without clearing between */
	mov	$u_read, %eax
	call	clear_and_run
	call	show
	mov	$u_write, %eax
	call	run_user
	call	show
	PRINT	"read 0, then write 0\n"

	/* only D is cleared */
	andb	$~PTE_D, (%ebp)
	invlpg	GVA
	mov	$u_read, %eax
	call	run_user
	call	show
	mov	$u_write, %eax
	call	run_user
	call	show
	PRINT	"D cleared, read 0, write 0\n"

	/* a write that is refused does not dirty */
	call	clear
	andb	$~PTE_W, (%ebp)
	invlpg	GVA
	mov	$u_write, %eax
	call	run_user
	PRINTB	trap + F_VEC
	PRINT	" "
	PRINTB	trap + F_ERR
	PRINT	" "
	testb	$PTE_D, (%ebp)
	call	bit
	PRINT	" D after a write to read-only\n"
	orb	$PTE_W, (%ebp)
	invlpg	GVA

	/* the supervisor's own accesses count as well */
	call	clear
	mov	GVA, %eax
	incl	GVA + 0x1000
	call	show
	PRINT	"kernel reads 0, writes 1\n"

	/* 1000 rounds: every round finds its bits */
	xor	%edi, %edi
	mov	$500, %ecx
2:	mov	$u_read, %eax
	call	clear_and_run
	call	sum
	mov	$u_wacross, %eax
	call	clear_and_run
	call	sum
	loop	2b
	PRINT	"sum over 1000 rounds "
	PRINTX	%edi
	PRINT	"\n"

	/* a large page keeps both bits in the directory */
	movl	$(0xc00000 + PTE_P + PTE_W + PTE_U + PTE_PS), boot_pd + (BIG >> 22) * 4
	mov	$u_bigread, %eax
	call	run_user
	PRINTB	boot_pd+(BIG>>22)*4
	PRINT	" "
	mov	$u_bigwrite, %eax
	call	run_user
	PRINTB	boot_pd+(BIG>>22)*4
	PRINT	" "
	andb	$~(PTE_A | PTE_D), boot_pd + (BIG >> 22) * 4
	invlpg	BIG + 0x5000
	mov	$u_bigread, %eax
	call	run_user
	PRINTB	boot_pd+(BIG>>22)*4
	PRINT	" 4 MiB page: read, write, cleared and read\n"
	ret

clear:	push	%ecx
	xor	%ecx, %ecx
1:	andb	$~(PTE_A | PTE_D), (%ebp,%ecx,4)
	inc	%ecx
	cmp	$4, %ecx
	jb	1b
	andb	$~PTE_A, boot_pd + (GVA >> 22) * 4
	cmpl	$0, use_cr3
	jne	2f
	invlpg	GVA
	invlpg	GVA + 0x1000
	invlpg	GVA + 0x2000
	invlpg	GVA + 0x3000
	pop	%ecx
	ret
2:	mov	%cr3, %ecx
	mov	%ecx, %cr3
	pop	%ecx
	ret
clear_and_run:
	call	clear
	jmp	run_user
probe:	call	clear_and_run
	cmpl	$0x80, trap + F_VEC
	jne	trap_panic
	call	show
	mov	%edx, %eax
	call	puts
	PRINT	"\n"
	ret
bit:	setnz	%al
	add	$'0', %al
	jmp	putc
show:	push	%ecx
	xor	%ecx, %ecx
1:	testb	$PTE_D, (%ebp,%ecx,4)
	call	bit
	testb	$PTE_A, (%ebp,%ecx,4)
	call	bit
	mov	$' ', %al
	call	putc
	inc	%ecx
	cmp	$4, %ecx
	jb	1b
	testb	$PTE_A, boot_pd + (GVA >> 22) * 4
	call	bit
	PRINT	"  "
	pop	%ecx
	ret
sum:	mov	(%ebp), %al
	and	$0x60, %eax
	add	%eax, %edi
	mov	12(%ebp), %al
	and	$0x60, %eax
	shl	$8, %eax
	add	%eax, %edi
	ret

	.bss
	.align	4
use_cr3: .skip	4

	SECTION_USER
	.align	16
u_nothing:
	USER_EXIT
u_read:	mov	GVA, %eax
	USER_EXIT
u_write:
	movb	$1, GVA + 5
	USER_EXIT
u_rmw:	lock incl GVA + 0x1004
	USER_EXIT
u_cmpxchg:
	movl	$1, %eax
	lock cmpxchg %ecx, GVA + 0x1ff8
	USER_EXIT
u_exec:	mov	$(GVA + 0x2000), %eax
	call	*%eax
	USER_EXIT
u_across:
	mov	GVA + 0xffe, %eax
	USER_EXIT
u_wacross:
	mov	%ax, GVA + 0x2fff
	USER_EXIT
u_push:	mov	$(GVA + 0x4000), %esp
	push	$1
	USER_EXIT
u_movs:	mov	$GVA, %esi
	mov	$(GVA + 0x1000), %edi
	mov	$100, %ecx
	rep movsl
	USER_EXIT
u_fpu:	fnstcw	GVA + 0x2800
	USER_EXIT
u_sse:	movdqu	GVA + 3, %xmm1
	movdqu	%xmm1, GVA + 0x3003
	USER_EXIT
u_bts:	mov	$77, %eax
	bts	%eax, GVA + 0x1000
	USER_EXIT
u_bt:	mov	$77, %eax
	bt	%eax, GVA + 0x1000
	USER_EXIT
u_all:	mov	$GVA, %esi
	mov	$4, %ecx
1:	mov	(%esi), %eax
	add	$4096, %esi
	loop	1b
	USER_EXIT
u_bigread:
	mov	BIG + 0x123456, %eax
	USER_EXIT
u_bigwrite:
	mov	%eax, BIG + 0x3fffc
	USER_EXIT

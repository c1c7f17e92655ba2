/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scattered: N resident user pages of which no two neighbours are neighbours in memory, all written,
 * read twice, then one pair in eight exchanged and all read twice again. An
 * engine that keeps one host mapping for each runs into the host's limits.
 *
 * Command line: pages=20000 (80 MiB of memory; 245000 for 1 GiB)
 */
#include "guest.inc"

#define GVA	0x40000000

	.text
kmain:
	OPTION	pages, $20000
	mov	%eax, npages
	mov	%eax, u_pages
	add	$1023, %eax		/* tables first, then the frames */
	shr	$10, %eax
	shl	$12, %eax
	add	page_next, %eax
	mov	%eax, base
	mov	npages, %edx
	shl	$12, %edx
	add	%edx, %eax
	mov	mb_info, %esi		/* mem_upper: KiB above 1 MiB */
	mov	8(%esi), %edx
	add	$1024, %edx
	shl	$10, %edx
	cmp	%edx, %eax
	ja	small

	mov	$7919, %ebx		/* a step that visits every frame */
	mov	npages, %eax
	xor	%edx, %edx
	div	%ebx
	test	%edx, %edx
	jnz	1f
	mov	$7907, %ebx
1:	xor	%edi, %edi		/* frame */
	xor	%esi, %esi		/* page */
	mov	$boot_pd, %ecx
2:	mov	%edi, %edx
	shl	$12, %edx
	add	base, %edx
	or	$(PTE_P | PTE_W | PTE_U), %edx
	mov	%esi, %eax
	shl	$12, %eax
	add	$GVA, %eax
	call	map
	add	%ebx, %edi
3:	cmp	npages, %edi
	jb	4f
	sub	npages, %edi
	jmp	3b
4:	inc	%esi
	cmp	npages, %esi
	jb	2b

	mov	$u_write, %eax
	call	go
	mov	$u_read, %eax
	call	go
	mov	$u_read, %eax
	call	go
	PRINT	"pages "
	PRINTD	npages
	PRINT	", sum "
	PRINTX	trap + F_EDX
	PRINT	", wrong "
	PRINTD	trap + F_EBX
	PRINT	"\n"

	xor	%esi, %esi		/* pairs 8n, 8n + 1 */
	mov	$boot_pd, %ecx
5:	lea	1(%esi), %eax
	cmp	npages, %eax
	jae	6f
	mov	%esi, %eax
	shl	$12, %eax
	add	$GVA, %eax
	push	%eax
	call	pte_of
	mov	%eax, %edi
	pop	%ebx
	mov	(%edi), %eax
	xchg	4(%edi), %eax
	mov	%eax, (%edi)
	invlpg	(%ebx)
	invlpg	4096(%ebx)
	incl	pairs
	add	$8, %esi
	jmp	5b
6:	movl	$1, u_swapped
	mov	$u_read, %eax
	call	go
	mov	$u_read, %eax
	call	go
	PRINTD	pairs
	PRINT	" pairs exchanged, sum "
	PRINTX	trap + F_EDX
	PRINT	", wrong "
	PRINTD	trap + F_EBX
	PRINT	"\n"
	cmpl	$0, trap + F_EBX
	jne	guest_fail
	ret
small:	PRINT	"too little memory\n"
	jmp	guest_fail
go:	call	run_user
	cmpl	$0x80, trap + F_VEC
	jne	trap_panic
	ret

	.bss
	.align	4
npages:	.skip	4
base:	.skip	4
pairs:	.skip	4

	SECTION_USER
	.align	16
u_pages: .long	0
u_swapped: .long 0
	.macro	WORD_OF
	imul	$0x9e3779b1, %ecx, %eax
	.endm
u_write:
	mov	$GVA, %edi
	xor	%ecx, %ecx
1:	WORD_OF
	mov	%eax, (%edi)
	mov	%eax, 4092(%edi)
	add	$4096, %edi
	inc	%ecx
	cmp	u_pages, %ecx
	jb	1b
	USER_EXIT
u_read:	mov	$GVA, %edi
	xor	%esi, %esi
	xor	%ebx, %ebx
	xor	%edx, %edx
2:	mov	%esi, %ecx
	cmpl	$0, u_swapped
	je	4f
	mov	%esi, %eax		/* in a group of eight, 0 and 1 have changed places */
	and	$7, %eax
	jz	3f
	dec	%eax
	jnz	4f
	dec	%ecx
	jmp	4f
3:	inc	%ecx
	cmp	u_pages, %ecx
	jb	4f
	dec	%ecx
4:	WORD_OF
	add	(%edi), %edx
	rol	$1, %edx
	cmp	%eax, (%edi)
	jne	5f
	cmp	%eax, 4092(%edi)
	je	6f
5:	inc	%ebx
6:	add	$4096, %edi
	inc	%esi
	cmp	u_pages, %esi
	jb	2b
	USER_EXIT

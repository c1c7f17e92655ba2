/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpuid_user: ring 3 sees the same processor as ring 0. CPUID in all positions that make it hard to
 * catch: across a page end, six on a page, as bytes within other instructions
 * (which must do what they always did) and jumped into there, written at run
 * time; then RDTSCP, RDPID, XGETBV, XSAVE where there are any, and LSL of a selector
 * that some hosts have (SDM 2A CPUID, LSL; 2B RDPID, RDTSCP; 2C XGETBV).
 *
 * Command line: strict=1 also compares SGDT, SIDT, SLDT, STR and SMSW.
 */
#include "guest.inc"

	.macro	ASK_USER text, entry
	PRINT	"\text: "
	mov	$\entry, %eax
	call	ask
	.endm

	.text
kmain:
	mov	$0, %esi		/* the kernel's view */
	mov	$answers, %edi
1:	call	one_leaf
	inc	%esi
	cmp	$LEAVES, %esi
	jb	1b
	PRINTD	$LEAVES
	PRINT	" leaves: "
	mov	$u_all, %eax
	call	ask

	ASK_USER "across the page end", u_straddle
	ASK_USER "six on a page", u_six
	ASK_USER "bytes of it in other instructions", u_middle
	ASK_USER "jumped into the middle", u_into
	ASK_USER "written at run time", u_written
	ASK_USER "1000 times", u_many
	ASK_USER "lsl 7bh", u_lsl

	mov	%cr4, %eax
	and	$~0x40000, %eax
	mov	%eax, %cr4
	mov	$u_xgetbv_ud, %eax	/* before OSXSAVE */
	call	run_user
	PRINT	"xgetbv without OSXSAVE:"
	call	print_trap
	PRINT	"\n"
	mov	$u_xsave_ud, %eax
	call	run_user
	PRINT	"xsave without OSXSAVE:"
	call	print_trap
	PRINT	"\n"

	mov	$1, %eax
	cpuid
	bt	$26, %ecx
	jnc	2f
	mov	%cr4, %eax
	or	$0x40000, %eax
	mov	%eax, %cr4
	xor	%ecx, %ecx
	xor	%edx, %edx
	mov	$3, %eax
	xsetbv
	xgetbv
	mov	%eax, k_xcr0
	movl	$1, k_xsave
2:	ASK_USER "xgetbv", u_xgetbv
	ASK_USER "xsave, xrstor", u_xsave

	mov	$0x80000001, %eax
	cpuid
	bt	$27, %edx
	jnc	3f
	movl	$1, k_rdtscp
	call	set_aux
3:	mov	$7, %eax
	xor	%ecx, %ecx
	cpuid
	bt	$22, %ecx
	jnc	4f
	xor	%eax, %eax		/* leaf 7 itself must exist */
	cpuid
	cmp	$7, %eax
	jb	4f
	movl	$1, k_rdpid
	call	set_aux
4:	ASK_USER "rdtscp, rdpid", u_aux
	ASK_USER "rdtsc does not go back", u_tsc

	OPTION	strict, $0
	test	%eax, %eax
	jz	9f
	sgdt	k_gdt
	sidt	k_idt
	sldt	%eax
	mov	%eax, k_ldt
	str	%eax
	mov	%eax, k_tr
	smsw	%eax
	mov	%eax, k_msw
	ASK_USER "sgdt sidt sldt str smsw", u_tables
9:	ret

set_aux:
	mov	$0xc0000103, %ecx
	mov	$0x00c0ffee, %eax
	xor	%edx, %edx
	wrmsr
	ret

ask:	call	run_user
	cmpl	$0x80, trap + F_VEC
	jne	trap_panic
	cmpl	$0, trap + F_EBX
	jne	1f
	PRINT	"equal\n"
	ret
1:	PRINT	"DIFFERENT "
	PRINTX	trap + F_EBX
	PRINT	"\n"
	ret

one_leaf:				/* ESI: number of the leaf, EDI: where to */
	mov	leaves(,%esi,4), %eax
	xor	%ecx, %ecx
	cpuid
	stosl
	mov	%ebx, %eax
	stosl
	mov	%ecx, %eax
	stosl
	mov	%edx, %eax
	stosl
	ret

	SECTION_USER
	.align	16
leaves:	.long	0, 1, 2, 4, 6, 7, 0xa, 0xb, 0xd, 0x80000000, 0x80000001, 0x80000002
	.long	0x80000003, 0x80000004, 0x80000005, 0x80000006, 0x80000007, 0x80000008
	.set	LEAVES, (. - leaves) / 4
answers: .fill	LEAVES * 4, 4, 0
k_xcr0:	.long	0
k_xsave: .long	0
k_rdtscp: .long	0
k_rdpid: .long	0
k_gdt:	.long	0, 0
k_idt:	.long	0, 0
k_ldt:	.long	0
k_tr:	.long	0
k_msw:	.long	0
got:	.long	0, 0

/* EAX, EBX, ECX, EDX against leaf 0; ZF if equal */
same0:	cmp	%eax, answers
	jne	1f
	cmp	%ebx, answers + 4
	jne	1f
	cmp	%ecx, answers + 8
	jne	1f
	cmp	%edx, answers + 12
1:	ret
bad:	mov	$1, %ebx
	USER_EXIT
good:	xor	%ebx, %ebx
	USER_EXIT

	.align	4096
u_all:	xor	%esi, %esi
	mov	$answers, %edi
	xor	%ebp, %ebp
1:	mov	leaves(,%esi,4), %eax
	xor	%ecx, %ecx
	cpuid
	cmp	%eax, (%edi)
	jne	2f
	cmp	%ebx, 4(%edi)
	jne	2f
	cmp	%ecx, 8(%edi)
	jne	2f
	cmp	%edx, 12(%edi)
	je	3f
2:	inc	%ebp
3:	add	$16, %edi
	inc	%esi
	cmp	$LEAVES, %esi
	jb	1b
	mov	%ebp, %ebx
	USER_EXIT

	.align	4096
u_straddle:
	xor	%eax, %eax
	xor	%ecx, %ecx
	jmp	1f
	.org	u_straddle + 4095
1:	cpuid
	call	same0
	jne	bad
	jmp	good

	.align	4096
u_six:	.rept	6
	xor	%eax, %eax
	xor	%ecx, %ecx
	cpuid
	call	same0
	jne	bad
	.endr
	jmp	good

	.align	4096
u_middle:
	mov	$200, %esi
1:	mov	$0x90a20f90, %eax
	cmp	$0x90a20f90, %eax
	jne	bad
	mov	$0x5a1, %ebx
	lea	0x00a20f00(%ebx), %ecx
	cmp	$(0x00a20f00 + 0x5a1), %ecx
	jne	bad
	mov	$0xa2, %dl
	mov	$0x0f, %dh
	cmp	$0x5a1, %ebx
	jne	bad
	mov	$0x0fc00000, %eax
	andl	$0x310fa20f, %eax	/* and RDTSC as well */
	cmp	$(0x310fa20f & 0x0fc00000), %eax
	jne	bad
	dec	%esi
	jnz	1b
	jmp	good

	.align	4096
u_into:	mov	$20, %esi
1:	xor	%eax, %eax
	xor	%ecx, %ecx
	jmp	2f + 1
2:	mov	$0x9090a20f, %edi	/* bf 0f a2 90 90 */
	call	same0
	jne	bad
	mov	$0, %edi
	push	$3f
	push	%edi
	jmp	2f			/* and once as what it is, elsewhere */
2:	mov	$0x9090a20f, %edi
	cmp	$0x9090a20f, %edi
	jne	bad
	pop	%edi
	ret
3:	dec	%esi
	jnz	1b
	jmp	good

	.align	4096
u_written:
	mov	$100, %esi
1:	movw	$0xa20f, 2f
	xor	%eax, %eax
	xor	%ecx, %ecx
	jmp	2f
2:	nop
	nop
	call	same0
	jne	bad
	movw	$0x9090, 2b
	mov	$0x77, %eax
	movb	$0xc3, 2b + 2		/* nop; nop; ret */
	call	2b
	movb	$0xe8, 2b + 2
	cmp	$0x77, %eax
	jne	bad
	dec	%esi
	jnz	1b
	jmp	good

	.align	4096
u_many:	mov	$1000, %esi
1:	xor	%eax, %eax
	xor	%ecx, %ecx
	cpuid
	call	same0
	jne	bad
	dec	%esi
	jnz	1b
	jmp	good

u_lsl:	mov	$0x7b, %ecx
	mov	$0x5555, %eax
	lsl	%ecx, %eax
	jz	bad
	cmp	$0x5555, %eax
	jne	bad
	mov	$UDATA, %ecx
	lsl	%ecx, %eax
	jnz	bad
	cmp	$-1, %eax
	jne	bad
	jmp	good

	.align	4096
u_xgetbv:
	xor	%ecx, %ecx
	cmpl	$0, k_xsave
	je	good
u_xgetbv_ud:
	xgetbv
	cmp	%eax, k_xcr0
	jne	bad
	jmp	good

/* Many states are asked for: those of XCR0 come, and nothing behind their area. */
	.align	4096
u_xsave:
	cmpl	$0, k_xsave
	je	good
u_xsave_ud:
	movl	$0, u_area		/* a fault of XSAVE itself would be the interpreter's */
	movl	$0, u_area
	mov	$0x2ff, %eax		/* what fits into a page: no AMX tiles */
	xor	%edx, %edx
	xsave	u_area
	mov	k_xcr0, %eax
	not	%eax
	test	%eax, u_area + 512
	jnz	bad
	cmpl	$0, u_area + 516
	jne	bad
	mov	$576, %esi
1:	cmpl	$0xa5a5a5a5, u_area(%esi)
	jne	bad
	add	$4, %esi
	cmp	$4096, %esi
	jb	1b
	mov	$0x2ff, %eax
	xrstor	u_area
	jmp	good
	.align	4096
u_area:	.fill	576, 1, 0
	.fill	4096 - 576, 1, 0xa5

	.align	4096
u_aux:	mov	$50, %esi
1:	cmpl	$0, k_rdtscp
	je	2f
	rdtscp
	cmp	$0x00c0ffee, %ecx
	jne	bad
2:	cmpl	$0, k_rdpid
	je	3f
	.byte	0xf3, 0x0f, 0xc7, 0xf8	/* rdpid %eax */
	cmp	$0x00c0ffee, %eax
	jne	bad
3:	dec	%esi
	jnz	1b
	jmp	good
u_tsc:	mov	$1000, %esi
	xor	%edi, %edi
	xor	%ebp, %ebp
1:	rdtsc
	cmp	%ebp, %edx
	jb	bad
	ja	2f
	cmp	%edi, %eax
	jb	bad
2:	mov	%eax, %edi
	mov	%edx, %ebp
	dec	%esi
	jnz	1b
	jmp	good
u_tables:
	sgdt	got
	mov	got, %eax
	mov	got + 4, %edx
	cmp	%eax, k_gdt
	jne	bad
	cmp	%dx, k_gdt + 4
	jne	bad
	sidt	got
	mov	got, %eax
	mov	got + 4, %edx
	cmp	%eax, k_idt
	jne	bad
	cmp	%dx, k_idt + 4
	jne	bad
	sldt	%eax
	cmp	%ax, k_ldt
	jne	bad
	str	%eax
	cmp	%ax, k_tr
	jne	bad
	smsw	%eax
	cmp	%ax, k_msw
	jne	bad
	jmp	good

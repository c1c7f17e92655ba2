/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From Multiboot 1 to long mode and kmain(); the way to ring 3 and back.
 *
 *	gva
 *	00000000-001fffff	identity, 4 KiB pages; .user is user-accessible
 *	00200000-3fffffff	identity, 2 MiB pages, supervisor only
 *	elsewhere		free for the guest
 *
 * run_user(u) loads all registers from *u and goes there by IRETQ. Every trap from ring 3,
 * SYSCALL (vector 100h) and SYSENTER (101h) store them in *u and return to the caller of
 * run_user. A trap in ring 0 goes on at krecover if that is set (once), or ends the guest.
 * SDM 3A 4.5, 6.14, 9.8.5; 2B SYSCALL.
 */
#define KCODE	0x08
#define KDATA	0x10
#define TSS_SEL	0x30
#define R_VEC	120
#define R_SIZE	176
#define P_W	0x003
#define P_W_U	0x007
#define P_W_PS	0x083

	.section .multiboot, "a"
	.align	4
	.long	0x1badb002, 2, -(0x1badb002 + 2)

	.text
	.code32
	.globl	_start
_start:
	cli
	cld
	mov	$kstack_top, %esp
	mov	%ebx, mb_info
	xor	%ecx, %ecx
1:	mov	%ecx, %eax
	shl	$12, %eax
	or	$P_W, %eax
	cmp	$__user_start, %eax
	jb	2f
	cmp	$__user_end, %eax
	jae	2f
	or	$P_W_U, %eax
2:	mov	%eax, boot_pt(,%ecx,8)
	mov	%ecx, %eax
	shl	$21, %eax
	or	$P_W_PS, %eax
	mov	%eax, boot_pd(,%ecx,8)
	inc	%ecx
	cmp	$512, %ecx
	jb	1b
	movl	$boot_pt + P_W_U, boot_pd
	movl	$boot_pd + P_W_U, boot_pdpt
	movl	$boot_pdpt + P_W_U, boot_pml4
	mov	%cr4, %eax
	or	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	mov	%eax, %cr4
	mov	$boot_pml4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx	/* EFER: SCE, LME, NXE */
	rdmsr
	or	$0x901, %eax
	wrmsr
	mov	%cr0, %eax
	and	$~0xc, %eax		/* EM, TS */
	or	$0x80010023, %eax	/* PG, WP, NE, MP */
	mov	%eax, %cr0
	lgdt	gdt_ptr
	ljmp	$KCODE, $3f
	.code64
3:	mov	$KDATA, %eax
	mov	%eax, %ss
	mov	%eax, %ds
	mov	%eax, %es
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	lldt	%ax
	fninit
	mov	$kstack_top, %esp
	mov	$tss, %eax		/* 64-bit TSS: 16 bytes, SDM 3A 7.2.3 */
	mov	%ax, gdt + TSS_SEL + 2
	shr	$16, %eax
	mov	%al, gdt + TSS_SEL + 4
	mov	%ah, gdt + TSS_SEL + 7
	movw	$104, tss + 102		/* no I/O bitmap within the limit */
	mov	$TSS_SEL, %eax
	ltr	%ax
	xor	%ecx, %ecx		/* all gates of DPL 0 but 3, 4 and 80h */
	mov	$stubs, %edx
	mov	$idt, %edi
4:	mov	%dx, (%rdi)
	movw	$KCODE, 2(%rdi)
	mov	$0x8e00, %eax
	cmp	$3, %ecx
	je	5f
	cmp	$4, %ecx
	je	5f
	cmp	$0x80, %ecx
	jne	6f
5:	mov	$0xee00, %eax
6:	mov	%ax, 4(%rdi)
	mov	%edx, %eax
	shr	$16, %eax
	mov	%eax, 6(%rdi)
	add	$16, %edx
	add	$16, %edi
	inc	%ecx
	cmp	$256, %ecx
	jb	4b
	lidt	idt_ptr
	mov	$0xff, %al
	out	%al, $0x21
	out	%al, $0xa1
	mov	$0x3fb, %edx		/* characters of 8 bits: a UART may begin with 5 */
	mov	$3, %al
	out	%al, %dx
	call	kmain
	call	guest_pass

	.align	16
stubs:	.set	vec, 0
	.rept	256
	.if	(vec != 8) && (vec < 10 || vec > 14) && (vec != 17)
	.byte	0x6a, 0
	.endif
	.byte	0x68
	.long	vec
	jmp	trap_common
	.align	16
	.set	vec, vec + 1
	.endr

	.globl	entry_syscall, entry_sysenter, entry_compat
entry_compat:
entry_syscall:
	mov	%rsp, scratch
	mov	run_rsp, %rsp
	push	$0			/* SS, as SYSCALL does not say */
	pushq	scratch
	push	%r11
	push	$0
	push	%rcx
	push	$0
	push	$0x100
	jmp	trap_common
entry_sysenter:
	mov	run_rsp, %rsp
	push	$0
	push	$0
	pushfq
	push	$0
	push	$0
	push	$0
	push	$0x101
trap_common:
	push	%rax
	push	%rbx
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%rbp
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	cld
	cmpq	$0x100, R_VEC(%rsp)
	jae	1f
	testb	$3, R_VEC + 24(%rsp)
	jz	trap_kernel
1:	mov	%rsp, %rsi
	mov	%rsp, trap_rsp
	mov	run_regs, %rdi
	mov	$R_SIZE / 8, %ecx
	rep movsq
	mov	run_rsp, %rsp
	mov	$KDATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	pop	%rbx
	pop	%rbp
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	ret
trap_kernel:
	mov	krecover, %rax
	test	%rax, %rax
	jz	2f
	movq	$0, krecover
	mov	%rax, R_VEC + 16(%rsp)
	mov	R_VEC(%rsp), %rax
	mov	%rax, kvector
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rbp
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rbx
	pop	%rax
	add	$16, %rsp
	iretq
2:	mov	%rsp, %rdi
	call	trap_panic

	.globl	run_user
run_user:
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbp
	push	%rbx
	mov	%rsp, run_rsp
	mov	%rsp, tss + 4		/* RSP0 */
	mov	%rdi, run_regs
	mov	$0x23, %eax		/* for 32-bit code: IRET takes ring 0's away */
	mov	%eax, %ds
	mov	%eax, %es
	pushq	R_VEC + 48(%rdi)
	pushq	R_VEC + 40(%rdi)
	pushq	R_VEC + 32(%rdi)
	pushq	R_VEC + 24(%rdi)
	pushq	R_VEC + 16(%rdi)
	mov	(%rdi), %r15
	mov	8(%rdi), %r14
	mov	16(%rdi), %r13
	mov	24(%rdi), %r12
	mov	32(%rdi), %r11
	mov	40(%rdi), %r10
	mov	48(%rdi), %r9
	mov	56(%rdi), %r8
	mov	64(%rdi), %rbp
	mov	80(%rdi), %rsi
	mov	88(%rdi), %rdx
	mov	96(%rdi), %rcx
	mov	104(%rdi), %rbx
	mov	112(%rdi), %rax
	mov	72(%rdi), %rdi
	iretq

	.globl	sysret64		/* as run_user, by SYSRET: RCX, R11, R10 = mode (0: compat) */
sysret64:
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbp
	push	%rbx
	mov	%rsp, run_rsp
	mov	%rsp, tss + 4
	mov	%rdi, run_regs
	mov	$0x23, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	R_VEC + 16(%rdi), %rcx
	mov	R_VEC + 32(%rdi), %r11
	mov	R_VEC + 40(%rdi), %rsp
	mov	40(%rdi), %r10
	mov	112(%rdi), %rax
	mov	72(%rdi), %rdi
	test	%r10, %r10
	jz	1f
	sysretq
1:	sysretl

	.data
	.globl	gdt
	.align	16
gdt:	.quad	0
	.quad	0x00af9b000000ffff	/* 08 kernel code */
	.quad	0x00cf93000000ffff	/* 10 kernel data */
	.quad	0x00cffb000000ffff	/* 18 user code, 32 bits: 1b */
	.quad	0x00cff3000000ffff	/* 20 user data: 23 */
	.quad	0x00affb000000ffff	/* 28 user code, 64 bits: 2b */
	.quad	0x0000890000000067	/* 30 TSS */
	.quad	0
	.fill	24, 8, 0		/* 40 ... free */
gdt_ptr: .word	32 * 8 - 1
	.quad	gdt
	.align	8
idt_ptr: .word	256 * 16 - 1
	.quad	idt
	.globl	krecover, kvector, trap_rsp, run_regs
	.align	8
krecover: .quad	0
kvector: .quad	0
trap_rsp: .quad	0
run_rsp: .quad	0
run_regs: .quad	0
scratch: .quad	0

	.bss
	.globl	idt, tss, mb_info, boot_pml4, boot_pdpt, boot_pd, boot_pt
	.align	4096
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd: .skip	4096
boot_pt: .skip	4096
idt:	.skip	4096
	.skip	16384
kstack_top:
tss:	.skip	104
mb_info: .skip	8

	.section .note.GNU-stack, "", @progbits

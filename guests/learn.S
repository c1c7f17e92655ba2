/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * learn: prints everything that a user program can learn of its machine, from 32-bit code under a 32-bit kernel
 * (see learn64.c). What C code needs of the assembler here has names of its own.
 */
#include "guest.inc"

kmain:
	movl	$hook_leave, trap_hook
	OPTION	sweep, $256
	mov	%eax, learn_sweep_n
	OPTION	tsd, $0
	shl	$2, %eax
	mov	%eax, %esi
	OPTION	umip, $0
	shl	$11, %eax
	or	%eax, %esi
	OPTION	osxsave, $0
	shl	$18, %eax
	or	%eax, %esi
	mov	%cr4, %eax
	or	%esi, %eax
	mov	%eax, %cr4
	OPTION	sep, $1
	test	%eax, %eax
	jz	1f
	mov	$1, %eax
	cpuid
	bt	$11, %edx
	jnc	1f
	mov	$0x174, %ecx
	mov	$KCODE, %eax
	xor	%edx, %edx
	wrmsr
	mov	$0x175, %ecx
	mov	$sysenter_stack, %eax
	wrmsr
	mov	$0x176, %ecx
	mov	$sysenter_entry, %eax
	wrmsr
1:	call	learn_main
	ret

/* learn_run(EAX: six words EIP, EBX, ECX, EDX, ESI, EDI) */
	.globl	learn_run, learn_trap, learn_puts, learn_putx
learn_run:
	push	%ebx
	push	%esi
	push	%edi
	push	%ebp
	mov	4(%eax), %ebx
	mov	8(%eax), %ecx
	mov	12(%eax), %edx
	mov	16(%eax), %esi
	mov	20(%eax), %edi
	mov	(%eax), %eax
	call	run_user
	pop	%ebp
	pop	%edi
	pop	%esi
	pop	%ebx
	ret
hook_leave:			/* no service: every trap is an answer */
	mov	$1, %eax
	ret
learn_puts:
	jmp	puts
learn_putx:			/* EAX: value, EDX: digits */
	push	%ecx
	mov	%edx, %ecx
	jmp	putdigits

/* SYSENTER saves nothing: what trap_common finds is made up. */
sysenter_entry:
	mov	$sysenter_stack, %esp
	push	$UDATA
	push	$0
	pushf
	push	$UCODE
	push	$0
	push	$0
	push	$0x101
	jmp	trap_common

	.set	learn_trap, trap
	.globl	learn_sweep_n
	.bss
	.align	16
	.skip	4096
sysenter_stack:
learn_sweep_n: .skip 4

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * endless: never ends by itself, in the way that case=N says; only whoever runs it can
 * end it. Prints that it starts. Cases 10 and 11 are the exception: HLT with IF clear waits
 * for nothing (SDM 2, HLT), which is how a guest says that it is done; in case 11 it says so
 * with an interrupt pending.
 */
#include "guest.inc"
#define LAST	11

	.text
kmain:
	movl	$hook_resume, trap_hook
	movl	$kernel_tick, kernel_hook
	OPTION	case, $1
	cmp	$LAST, %eax
	ja	guest_fail
	mov	%eax, %ebx
	PRINT	"endless "
	PRINTD	%ebx
	PRINT	"\n"
	jmp	*cases(,%ebx,4)

	.section .rodata
	.align	4
cases:	.long	guest_fail, user_jump, user_string, user_invalid, user_fault, user_call
	.long	kernel_jump, kernel_string, kernel_storm, kernel_idle, kernel_done
	.long	kernel_pending

	.text
user_jump:
	mov	$u_jump, %eax
	jmp	run_user
user_string:
	mov	$u_string, %eax
	jmp	run_user
user_invalid:
	mov	$u_invalid, %eax
	jmp	run_user
user_fault:
	mov	$u_fault, %eax
	jmp	run_user
user_call:
	mov	$u_call, %eax
	jmp	run_user
kernel_jump:
	cli
1:	jmp	1b
kernel_string:				/* a thousand million iterations, no interrupt */
	cli
	cld
1:	xor	%esi, %esi
	mov	$0x3f000000, %ecx
	rep lodsb
	mov	$0x80, %edx
	mov	$0x200000, %edi
	mov	$0x100000, %ecx
	rep insb
	jmp	1b
kernel_storm:				/* the timer at its highest rate, 596591 Hz */
	mov	$0x34, %al
	out	%al, $0x43
	mov	$2, %al
	out	%al, $0x40
	xor	%al, %al
	out	%al, $0x40
	mov	$0xfe, %al
	out	%al, $0x21
	mov	$u_jump, %eax
	jmp	run_user
kernel_idle:				/* all lines masked */
	mov	$0xff, %al
	out	%al, $0x21
	out	%al, $0xa1
	sti
1:	hlt
	jmp	1b
kernel_pending:				/* the timer's line is up, and nobody takes it */
	cli
	mov	$0x34, %al
	out	%al, $0x43
	mov	$0xa9, %al		/* 1193182 Hz / 1193 */
	out	%al, $0x40
	mov	$4, %al
	out	%al, $0x40
	mov	$0xfe, %al
	out	%al, $0x21
	mov	$0x0a, %al		/* OCW3: the 8259's IRR is read */
	out	%al, $0x20
1:	in	$0x20, %al
	test	$1, %al
	jz	1b
kernel_done:
	cli
	hlt
	jmp	guest_fail

/* The same instruction again, whatever it was. */
hook_resume:
	cmpl	$0x20, F_VEC(%ebx)
	jne	1f
	mov	$0x20, %al
	out	%al, $0x20
1:	xor	%eax, %eax
	ret
kernel_tick:
	cmpl	$0x20, F_VEC(%ebx)
	jne	trap_panic
	mov	$0x20, %al
	out	%al, $0x20
	ret

	SECTION_USER
u_jump:	jmp	u_jump
u_string:
	mov	$u_buf, %esi
	mov	$u_buf, %edi
	mov	$4096, %ecx
	rep movsb
	jmp	u_string
u_invalid:
	ud2
u_fault:
	mov	0xb0000000, %eax
u_call:	mov	$0x111, %eax
	int	$0x80
	jmp	u_call
	.align	4096
u_buf:	.fill	4096, 1, 0

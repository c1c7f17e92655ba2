/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * preempt: the timer (8254 channel 0 at 1000 Hz, 8259 line 0) interrupts loops that never give up
 * the processor by themselves, in ring 3 and in ring 0; HLT waits for it
 * (SDM 3A 6.3, 6.8.1). Nothing printed depends on speed.
 */
#include "guest.inc"
#define TICKS	20

	.text
kmain:
	movl	$hook_tick, trap_hook
	movl	$kernel_tick, kernel_hook
	mov	$0x34, %al		/* mode 2, 1193182 Hz / 1193 */
	out	%al, $0x43
	mov	$(1193 & 255), %al
	out	%al, $0x40
	mov	$(1193 >> 8), %al
	out	%al, $0x40
	mov	$0xfe, %al
	out	%al, $0x21

	movl	$act_eip, act
	mov	$user_endless, %eax
	call	go
	PRINT	"endless loop left by changing eip: "
	call	tell
	movl	$act_var, act
	mov	$user_poll, %eax
	call	go
	PRINT	"loop on a variable left by changing it: "
	call	tell
	movl	$act_reg, act
	mov	$user_count, %eax
	call	go
	PRINT	"loop on a register left by changing it: "
	call	tell
	movl	$act_var, act
	mov	$user_calls, %eax
	call	go
	PRINT	"loop of system calls: "
	call	tell
	movl	$act_var, act
	mov	$user_string, %eax
	call	go
	PRINT	"loop of string instructions: "
	call	tell
	movl	$act_var, act
	mov	$user_vain, %eax
	call	go
	PRINT	"loop in a page that direct execution may not enter: "
	call	tell

	movl	$0, ticks
	sti
1:	hlt
	cmpl	$TICKS, ticks
	jb	1b
	cli
	PRINT	"kernel, hlt: "
	PRINTD	ticks
	PRINT	" ticks\n"

	movl	$0, ticks
	sti
2:	cmpl	$TICKS, ticks
	jb	2b
	cli
	PRINT	"kernel, busy: at least "
	PRINTD	$TICKS
	PRINT	" ticks\n"

	movl	$0, ticks		/* the instruction after STI is still protected: no tick is lost */
3:	sti
	hlt
	cli
	cmpl	$TICKS, ticks
	jb	3b
	PRINT	"kernel, sti; hlt; cli: "
	PRINTD	ticks
	PRINT	" ticks\n"

	movl	$0, ticks		/* masked: nothing comes */
	mov	$0xff, %al
	out	%al, $0x21
	sti
	mov	$2000000, %ecx
4:	loop	4b
	cli
	PRINT	"kernel, masked: "
	PRINTD	ticks
	PRINT	" ticks\n"
	ret

go:	mov	$0x55aa55aa, %ebp
	movl	$0, ticks
	movl	$0, var
	movl	$0, bad
	jmp	run_user
tell:	cmpl	$0x80, trap + F_VEC
	jne	trap_panic
	cmpl	$TICKS, ticks
	jb	1f
	PRINT	"at least "
	PRINTD	$TICKS
	PRINT	" ticks, result "
	PRINTX	trap + F_EBX
	PRINT	", bad "
	PRINTD	bad
	PRINT	"\n"
	ret
1:	PRINT	"too few ticks\n"
	jmp	guest_fail

/* In ring 3 always IF=1, CPL 3; user code puts a mark in EBP that must survive. */
hook_tick:
	cmpl	$0x20, F_VEC(%ebx)
	jne	1f
	mov	$0x20, %al
	out	%al, $0x20
	incl	ticks
	testl	$EFL_IF, F_EFL(%ebx)
	jz	3f
	cmpl	$0x55aa55aa, F_EBP(%ebx)
	je	4f
3:	incl	bad
4:	cmpl	$TICKS, ticks
	jb	2f
	call	*act
2:	xor	%eax, %eax
	ret
1:	cmpl	$0x111, F_EAX(%ebx)
	je	2b
	jmp	hook_default
act_eip:
	movl	$user_left, F_EIP(%ebx)
	ret
act_var:
	movl	$1, var
	ret
act_reg:
	movl	$0xfedc, F_EDX(%ebx)
	ret
kernel_tick:
	cmpl	$0x20, F_VEC(%ebx)
	jne	trap_panic
	mov	$0x20, %al
	out	%al, $0x20
	incl	ticks
	ret

	.bss
	.align	4
ticks:	.skip	4
bad:	.skip	4
act:	.skip	4

	SECTION_USER
	.align	16
user_endless:
1:	jmp	1b
user_left:
	mov	$0x1ef7, %ebx
	USER_EXIT
user_poll:
	xor	%ecx, %ecx
1:	inc	%ecx
	cmpl	$0, var
	je	1b
	test	%ecx, %ecx
	setnz	%bl
	movzbl	%bl, %ebx
	USER_EXIT
user_count:
	xor	%edx, %edx
1:	test	%edx, %edx
	jz	1b
	mov	%edx, %ebx
	USER_EXIT
user_calls:
1:	mov	$0x111, %eax
	int	$0x80
	cmpl	$0, var
	je	1b
	mov	%eax, %ebx
	USER_EXIT
user_string:
1:	mov	$ubuf, %edi
	mov	$0x40000, %ecx
	mov	$0x7e, %al
2:	push	%edi
	push	%ecx
	mov	$4096, %ecx
	rep stosb			/* interrupted between iterations, and resumed */
	cmp	$ubuf + 4096, %edi
	pop	%ecx
	pop	%edi
	jne	3f
	cmpl	$0, var
	je	1b
	movzbl	ubuf + 4095, %ebx
	USER_EXIT
3:	mov	$0xbad, %ebx
	USER_EXIT
user_vain:				/* from code that runs directly */
	mov	$1000, %ecx
1:	loop	1b
	jmp	vain
var:	.long	0
	.align	4096
vain:
1:	cmpl	$0, var
	je	1b
	mov	$0x7a17, %ebx
	USER_EXIT
	.rept	5			/* more than can be guarded */
	mov	%eax, %gs
	nop
	.endr
	.align	4096
ubuf:	.fill	4096, 1, 0

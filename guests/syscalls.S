/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * syscalls: 1000 round trips by INT 80h and 1000 by SYSENTER/SYSEXIT; the result comes back, and all
 * that the instruction promises to keep is kept: registers, segments, and for
 * INT the flags (SDM 2A INT n, 2B SYSENTER, SYSEXIT; 3A 5.8.7).
 */
#include "guest.inc"

#define SYS_ADD	0x100		/* EBX + ESI + 1 */
#define SEL_TI	4		/* not compared: ring3 shows its own (docs/ring3.md) */

	.text
kmain:
	movl	$hook_add, trap_hook
	mov	$0x174, %ecx
	mov	$KCODE, %eax
	xor	%edx, %edx
	wrmsr
	inc	%ecx
	mov	$tstack_top, %eax
	wrmsr
	inc	%ecx
	mov	$sysenter_entry, %eax
	wrmsr
	GDT_SET	$0x33, $ugs, $0xfff, $0x40f2
	mov	$user_int, %eax
	call	go
	PRINT	"int 80h: "
	call	tell
	mov	$user_sysenter, %eax
	call	go
	PRINT	"sysenter: "
	call	tell
	mov	$user_mixed, %eax
	call	go
	PRINT	"both in turn: "
	call	tell
	ret

go:	movl	$0, calls
	movl	$0, enters
	movl	$0x33, u_gs
	jmp	run_user
tell:	cmpl	$0x80, trap + F_VEC
	jne	trap_panic
	PRINTD	calls
	PRINT	" int, "
	PRINTD	enters
	PRINT	" sysenter, sum "
	PRINTD	trap + F_EBX
	PRINT	", differences "
	PRINTD	trap + F_ECX
	PRINT	"\n"
	ret

hook_add:
	cmpl	$SYS_ADD, F_EAX(%ebx)
	jne	hook_default
	incl	calls
	mov	F_EBX(%ebx), %eax
	add	F_ESI(%ebx), %eax
	inc	%eax
	mov	%eax, F_EAX(%ebx)
	mov	$0x11111111, %ecx	/* what the kernel does to its own registers is no one's business */
	mov	%ecx, %edx
	std
	cld
	xor	%eax, %eax
	ret

/* EDX: user EIP, ECX: user ESP, by agreement; interrupts are off, DS is the user's. */
sysenter_entry:
	push	%ecx
	push	%edx
	mov	%cs, %ecx
	cmp	$KCODE, %cx
	jne	1f
	mov	%ss, %ecx
	cmp	$KDATA, %cx
	jne	1f
	pushf
	pop	%edx
	test	$(EFL_IF | EFL_VM), %edx
	jnz	1f
	incl	enters
	lea	1(%ebx,%esi), %eax
1:	pop	%edx
	pop	%ecx
	sti				/* effective after sysexit */
	sysexit

	.bss
	.align	4
calls:	.skip	4
enters:	.skip	4

	SECTION_USER
	.align	16
ugs:	.long	0x12345678

/* One call, all registers loaded with known values; EDI counts differences on the stack. */
	.macro	CALL_AND_CHECK how
	mov	$SYS_ADD, %eax
	mov	total, %ebx
	mov	rest, %esi
	mov	$0x0d0d0d0d, %edi
	mov	$0x0b0b0b0b, %ebp
	call	\how
	lea	1(%ebx,%esi), %edx
	cmp	%edx, %eax
	jne	8f
	cmp	total, %ebx
	jne	8f
	cmp	rest, %esi
	jne	8f
	cmp	$0x0d0d0d0d, %edi
	jne	8f
	cmp	$0x0b0b0b0b, %ebp
	jne	8f
	cmp	%esp, saved_esp
	jne	8f
	cmpl	$0x12345678, %gs:0
	jne	8f
	mov	%cs, %edx
	and	$~SEL_TI, %edx
	cmp	$UCODE, %dx
	jne	8f
	mov	%ss, %edx
	and	$~SEL_TI, %edx
	cmp	$UDATA, %dx
	jne	8f
	jmp	9f
8:	incl	differences
9:	mov	%eax, total
	.endm

user_int:
	call	prepare
1:	CALL_AND_CHECK by_int
	decl	rest
	jnz	1b
	jmp	finish
user_sysenter:
	call	prepare
1:	CALL_AND_CHECK by_sysenter
	decl	rest
	jnz	1b
	jmp	finish
user_mixed:
	call	prepare
1:	CALL_AND_CHECK by_int
	CALL_AND_CHECK by_sysenter
	CALL_AND_CHECK by_sysenter
	decl	rest
	jnz	1b
finish:	mov	total, %ebx
	mov	differences, %ecx
	USER_EXIT
prepare:
	movl	$0, total
	movl	$0, differences
	movl	$1000, rest
	pop	%eax
	mov	%esp, saved_esp
	jmp	*%eax

by_int:	mov	$0x0c0c0c0c, %ecx	/* CF, OF, SF, ZF and AC come back, too */
	mov	$0x0e0e0e0e, %edx
	push	$(EFL_AC | 0x8d7)
	popf
	int	$0x80
	pushf
	cmp	$0x0c0c0c0c, %ecx
	jne	1f
	cmp	$0x0e0e0e0e, %edx
	jne	1f
	pop	%edx
	and	$0x40dd7, %edx
	cmp	$(EFL_AC | 0x8d7), %edx
	jne	2f
	push	$0
	popf
	ret
1:	pop	%edx
2:	incl	differences
	push	$0
	popf
	ret

by_sysenter:
	mov	%esp, %ecx
	mov	$1f, %edx
	sysenter
	incl	differences		/* never returns here */
1:	pushf
	testl	$EFL_IF, (%esp)
	jnz	2f
	incl	differences
2:	popf
	ret
	.align	4
total:	.long	0
rest:	.long	0
differences: .long 0
saved_esp: .long 0

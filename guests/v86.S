/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * v86: a virtual-8086 task under a small monitor (SDM 3A 20.2, 20.3; IOPL 0, no VME): INT n, IRET,
 * PUSHF, POPF, CLI, STI trap as #GP(0) and are emulated, INT through the
 * interrupt vector table of the task; ports go through the I/O bitmap; what is
 * no business of V86 mode raises what the manual says.
 *
 * QEMU 7.2 does not check the 64 KiB limit of V86 segments.
 */
#include "guest.inc"
#include "iomap.inc"

#define SEG	0x800		/* the task's only segment: code, data, stack */
#define BASE	(SEG << 4)

	.macro	V86_CASE name, entry
	PRINT	"\name:"
	mov	$(\entry - v86_code), %eax
	call	run_v86
	call	tell
	.endm

	.text
kmain:
	call	iomap_init
	mov	$0x80, %eax
	call	io_allow
	mov	$8, %ecx		/* pages 8-17h belong to the task, to the end of its segment */
1:	orb	$PTE_U, boot_pt(,%ecx,4)
	inc	%ecx
	cmp	$0x18, %ecx
	jb	1b
	mov	%cr3, %eax
	mov	%eax, %cr3
	mov	$v86_code, %esi
	mov	$BASE, %edi
	mov	$(v86_end - v86_code), %ecx
	rep movsb
	movw	$(v86_int60 - v86_code), 0x60 * 4
	movw	$SEG, 0x60 * 4 + 2
	movl	$hook_v86, trap_hook

	V86_CASE "text through int 21h", v86_hello
	PRINT	"traps: "
	mov	$counts, %esi
	mov	$names, %edi
	mov	$COUNTS, %ecx
2:	mov	%edi, %eax
	call	puts
	PRINTD	(%esi)
	PRINT	" "
	add	$4, %esi
	add	$8, %edi
	loop	2b
	PRINT	"\n"
	V86_CASE "virtual IF", v86_flags
	V86_CASE "port allowed", v86_port80
	V86_CASE "16-bit arithmetic, string, far call", v86_work
	V86_CASE "divide by zero", v86_div
	V86_CASE "int3", v86_int3
	V86_CASE "into", v86_into
	V86_CASE "ud2", v86_ud
	V86_CASE "arpl", v86_arpl
	V86_CASE "sldt", v86_sldt
	V86_CASE "lar", v86_lar
	V86_CASE "mov cr0", v86_cr0
	V86_CASE "lgdt", v86_lgdt
	V86_CASE "page fault", v86_pf
	V86_CASE "word at ffff", v86_wrap
	V86_CASE "stack wraps at 0", v86_stack
	ret

tell:	call	print_trap
	PRINT	" ip "
	PRINTW	trap + F_EIP
	PRINT	" ax "
	PRINTW	trap + F_EAX
	testl	$EFL_VM, trap + F_EFL
	jz	trap_panic
	mov	trap + F_CS, %eax
	cmp	$SEG, %ax
	jne	trap_panic
	PRINT	"\n"
	ret

run_v86:
	pusha
	mov	%esp, kresume_esp
	mov	$SEG, %ecx
	push	%ecx			/* gs fs ds es ss */
	push	%ecx
	push	%ecx
	push	%ecx
	push	%ecx
	push	$0xf000
	push	$(EFL_VM | EFL_IF | 2)
	push	%ecx
	push	%eax
	movl	$EFL_IF, vif
	xor	%eax, %eax
	iret

/* The monitor. EBX: frame, ESI: linear address of the instruction, EDI: of the stack top. */
hook_v86:
	testl	$EFL_VM, F_EFL(%ebx)
	jz	trap_panic
	cmpl	$13, F_VEC(%ebx)
	jne	leave
	movzwl	F_CS(%ebx), %esi
	shl	$4, %esi
	add	F_EIP(%ebx), %esi
	movzwl	F_SS(%ebx), %edi
	shl	$4, %edi
	movzwl	F_ESP(%ebx), %eax
	add	%eax, %edi
	movzbl	(%esi), %eax
	mov	$opcodes, %ecx
1:	cmpb	$0, (%ecx)
	je	leave
	cmp	(%ecx), %al
	je	2f
	inc	%ecx
	jmp	1b
2:	sub	$opcodes, %ecx
	incl	counts(,%ecx,4)
	incl	F_EIP(%ebx)
	jmp	*actions(,%ecx,4)
leave:	mov	$1, %eax
	ret
resume:	xor	%eax, %eax
	ret

do_int:	incl	F_EIP(%ebx)
	movzbl	1(%esi), %eax
	cmp	$0x20, %al
	je	leave
	cmp	$0x21, %al
	je	3f
	call	flags_image		/* through the task's own vector */
	sub	$6, %edi
	subw	$6, F_ESP(%ebx)
	mov	%dx, 4(%edi)
	mov	F_CS(%ebx), %dx
	mov	%dx, 2(%edi)
	mov	F_EIP(%ebx), %dx
	mov	%dx, (%edi)
	movzwl	(,%eax,4), %edx
	mov	%edx, F_EIP(%ebx)
	movzwl	2(,%eax,4), %edx
	mov	%edx, F_CS(%ebx)
	movl	$0, vif
	jmp	resume
3:	mov	F_EDX(%ebx), %al
	call	putc
	jmp	resume
do_iret:
	movzwl	(%edi), %edx
	mov	%edx, F_EIP(%ebx)
	movzwl	2(%edi), %edx
	mov	%edx, F_CS(%ebx)
	mov	4(%edi), %dx
	addw	$6, F_ESP(%ebx)
	jmp	4f
do_popf:
	mov	(%edi), %dx
	addw	$2, F_ESP(%ebx)
4:	movzwl	%dx, %edx
	mov	%edx, %eax
	and	$EFL_IF, %eax
	mov	%eax, vif
	and	$0x0cd5, %edx
	andl	$~0xcd5, F_EFL(%ebx)
	or	%edx, F_EFL(%ebx)
	jmp	resume
do_pushf:
	call	flags_image
	mov	%dx, -2(%edi)
	subw	$2, F_ESP(%ebx)
	jmp	resume
do_cli:	movl	$0, vif
	jmp	resume
do_sti:	movl	$EFL_IF, vif
	jmp	resume
do_in:	movb	$0x5a, F_EAX(%ebx)
	jmp	resume
do_out:	mov	F_EAX(%ebx), %al
	mov	%al, F_EAX + 1(%ebx)
	jmp	resume
flags_image:
	mov	F_EFL(%ebx), %edx
	and	$~EFL_IF, %edx
	or	vif, %edx
	ret

	.section .rodata
opcodes: .byte	0xcd, 0xcf, 0x9c, 0x9d, 0xfa, 0xfb, 0xec, 0xee, 0
	.set	COUNTS, . - opcodes - 1
names:	.ascii	"int \0\0\0\0iret \0\0\0pushf \0\0popf \0\0\0cli \0\0\0\0sti \0\0\0\0in \0\0\0\0\0out \0\0\0\0"
	.align	4
actions: .long	do_int, do_iret, do_pushf, do_popf, do_cli, do_sti, do_in, do_out
	.bss
	.align	4
counts:	.skip	COUNTS * 4
vif:	.skip	4

/* The task, copied to 800:0. */
	.section .rodata
	.code16
v86_code:
v86_text: .asciz " hello from V86;"
v86_hello:
	xor	%si, %si
	cld
1:	lodsb
	test	%al, %al
	jz	2f
	mov	%al, %dl
	mov	$2, %ah
	int	$0x21
	jmp	1b
2:	cli
	sti
	pushf
	popf
	mov	$0x70, %dx
	out	%al, %dx
	in	%dx, %al
	int	$0x60
	int	$0x60
	int	$0x20
v86_int60:
	add	$0x1000, %ax
	iret
v86_flags:
	sti
	pushf
	cli
	pushf
	pop	%ax
	pop	%bx
	and	$0x200, %ax
	and	$0x200, %bx
	shr	$9, %ax
	shr	$8, %bx
	or	%bx, %ax		/* 2: IF was seen set, then clear */
	push	%ax
	push	$0xad5			/* all but IF (a virtual one is off) */
	popf
	lahf
	mov	%ah, %bl
	pop	%ax
	mov	%bl, %ah
	int	$0x20
v86_port80:
	mov	$0x11, %ax
	out	%al, $0x80
	mov	$0x1234, %ax
	int	$0x20
v86_work:
	push	%cs
	pop	%es
	mov	$(v86_end - v86_code + 64), %di
	mov	$5, %cx
	mov	$0x1111, %ax
	rep stosw
	lcall	$(SEG + 1), $(v86_far - v86_code - 16)
	mov	-2(%di), %bx
	add	%bx, %ax
	int	$0x20
v86_far:
	add	$0xf000, %ax		/* CF */
	sbb	$0, %ax
	lret
v86_div:
	xor	%cx, %cx
	mov	$7, %ax
	div	%cl
v86_int3:
	mov	$3, %ax
	int3
v86_into:
	mov	$0x7fff, %ax
	inc	%ax
	into
v86_ud:	ud2
v86_arpl:
	arpl	%ax, %bx
v86_sldt:
	sldt	%ax
v86_lar:
	lar	%ax, %bx
v86_cr0:
	mov	%cr0, %eax
v86_lgdt:
	lgdt	0
v86_pf:	mov	$0x1800, %ax
	mov	%ax, %ds
	mov	0x234, %ax
v86_wrap:
	mov	$0xffff, %bx
	mov	(%bx), %ax
	int	$0x20
v86_stack:
	mov	$2, %sp
	push	$0x1111			/* at 0 */
	push	$0x2222			/* at fffe */
	mov	$0xfffe, %bx
	mov	(%bx), %ax
	int	$0x20
v86_end:
	.code32

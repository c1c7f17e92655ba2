/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control: for those who control a machine from outside. It shows what it notices: keys ("key"
 * and the byte), characters on the serial port ("got"), the power button (on which it
 * powers off), and for the character 't' how late it is by the ACPI timer (in units of 4,096
 * ticks of 3.579545 MHz) and by the TSC (of 2^20). Meanwhile it spins in ring 3 (case=1) or in
 * ring 0 (case=2), or halts (case=3).
 */
#include "guest.inc"
#define PM	0xb000

	.text
kmain:
	movl	$irq_user, trap_hook
	movl	$irq, kernel_hook
	OPTION	case, $3
	mov	%eax, %ebx
	call	devices_init
	PRINT	"control "
	PRINTD	%ebx
	PRINT	"\n"
	cmp	$1, %ebx
	je	1f
	cmp	$2, %ebx
	je	2f
3:	sti
	hlt
	jmp	3b
2:	sti
4:	jmp	4b
1:	mov	$u_spin, %eax
	jmp	run_user

/* Address in EAX, value in ECX */
pci_write:
	mov	$0xcf8, %dx
	out	%eax, %dx
	mov	$0xcfc, %dx
	mov	%ecx, %eax
	out	%eax, %dx
	ret

devices_init:
	mov	$0x80000b40, %eax	/* 1.3: PMBASE, and its enable bit in PMREGMISC */
	mov	$(PM | 1), %ecx
	call	pci_write
	mov	$0x80000b80, %eax
	mov	$1, %ecx
	call	pci_write
	mov	$0xf1, %al		/* ACPI mode */
	out	%al, $0xb2
	mov	$(PM + 2), %dx		/* PWRBTN_EN */
	mov	$0x100, %ax
	out	%ax, %dx
	mov	$(PM + 8), %dx
	in	%dx, %eax
	mov	%eax, pm_last
	mov	$0x34, %al		/* 100 Hz */
	out	%al, $0x43
	mov	$(11932 & 255), %al
	out	%al, $0x40
	mov	$(11932 >> 8), %al
	out	%al, $0x40
	mov	$0x3f9, %dx		/* received data, and OUT2 */
	mov	$1, %al
	out	%al, %dx
	mov	$0x3fc, %dx
	mov	$0x0b, %al
	out	%al, %dx
	mov	$0xe8, %al		/* lines 0, 1, 2, 4; 9 */
	out	%al, $0x21
	mov	$0xfd, %al
	out	%al, $0xa1
	ret

irq_user:
	call	irq
	xor	%eax, %eax
	ret
irq:
	mov	$0x20, %al
	cmpl	$0x28, F_VEC(%ebx)
	jb	1f
	out	%al, $0xa0
1:	out	%al, $0x20
	mov	F_VEC(%ebx), %eax
	cmp	$0x20, %eax
	je	pm_update
	cmp	$0x21, %eax
	je	key
	cmp	$0x24, %eax
	je	serial
	cmp	$0x29, %eax
	je	button
	jmp	trap_panic

pm_update:
	mov	$(PM + 8), %dx
	in	%dx, %eax
	mov	%eax, %ecx
	sub	pm_last, %eax
	and	$0xffffff, %eax
	mov	%ecx, pm_last
	add	%eax, pm_ticks
	adcl	$0, pm_ticks + 4
	ret

key:	in	$0x60, %al
	movzbl	%al, %ecx
	PRINT	"key "
	PRINTB	%ecx
	PRINT	"\n"
	ret

serial:	mov	$0x3fd, %dx
	in	%dx, %al
	test	$1, %al
	jz	2f
	mov	$0x3f8, %dx
	in	%dx, %al
	cmp	$'t', %al
	je	1f
	movzbl	%al, %ecx
	PRINT	"got "
	PRINTB	%ecx
	PRINT	"\n"
	jmp	serial
1:	call	time
	jmp	serial
2:	ret

time:	call	pm_update
	rdtsc
	shrd	$20, %edx, %eax
	mov	%eax, %ebp
	PRINT	"time "
	mov	pm_ticks, %eax
	mov	pm_ticks + 4, %edx
	shrd	$12, %edx, %eax
	PRINTD	%eax
	PRINT	" "
	PRINTD	%ebp
	PRINT	"\n"
	ret

button:	mov	$PM, %dx
	in	%dx, %ax
	out	%ax, %dx
	test	$0x100, %ax
	jz	1f
	PRINT	"power button\n"
	mov	$(PM + 4), %dx		/* SLP_EN, type 0 */
	mov	$0x2001, %ax
	out	%ax, %dx
1:	ret

	.bss
	.align	4
pm_last: .skip	4
pm_ticks: .skip	8

	SECTION_USER
u_spin:	jmp	u_spin

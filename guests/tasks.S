/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tasks: hardware task switches (SDM 3A 7.2-7.4): JMP to a TSS and back, CALL with NT and back link,
 * from ring 3 through a task gate, a task that runs in ring 3 in another address
 * space, a software interrupt and the double fault through task gates, the T
 * bit, and what is wrong with a TSS.
 *
 * QEMU 7.2 does not know the T bit.
 */
#include "guest.inc"

#define TSS_A	0x30
#define TSS_B	0x38
#define TSS_U	0x40		/* runs in ring 3 */
#define TSS_DF	0x48
#define GATE_A	0x50		/* task gate, DPL 3, to TSS_A */
#define TSS_BAD	0x58		/* too short */
#define TSS_NP	0x60
#define TSS_T	0x68

#define GVA	0x40000000

	.macro	TSS_INIT sel, tss, eip
	GDT_SET	$\sel, $\tss, $103, $0x0089
	mov	$\tss, %edi
	mov	$\eip, %edx
	call	tss_init
	.endm
	.macro	TRY name, code:vararg
	movl	$9997f, krecover
	mov	%esp, %ebp
	movl	$0xff, trap + F_VEC
	\code
9997:	mov	%ebp, %esp
	PRINT	"\name:"
	call	print_trap
	PRINT	"\n"
	movl	$0, krecover
	.endm

	.text
kmain:
	mov	%cr3, %eax		/* CR3 is never saved by a switch */
	mov	%eax, tss + 28
	TSS_INIT TSS_A, tss_a, task_a
	TSS_INIT TSS_B, tss_b, task_b
	TSS_INIT TSS_U, tss_u, task_u
	TSS_INIT TSS_DF, tss_df, task_df
	TSS_INIT TSS_T, tss_t, task_t
	movb	$1, tss_t + 100
	GDT_SET	$TSS_BAD, $tss_t, $102, $0x0089
	GDT_SET	$TSS_NP, $tss_t, $103, $0x0009
	movl	$(TSS_A << 16), gdt + GATE_A
	movl	$0x0000e500, gdt + GATE_A + 4

	call	space_new		/* TSS_U: its own CR3, ring 3, general registers */
	mov	%eax, tss_u + 28
	mov	%eax, %ecx
	call	page_alloc
	movl	$0x13572468, (%eax)
	lea	PTE_P + PTE_W + PTE_U(%eax), %edx
	mov	$GVA, %eax
	call	map
	movl	$UCODE, tss_u + 76
	movl	$UDATA, tss_u + 72
	movl	$UDATA, tss_u + 80
	movl	$UDATA, tss_u + 84
	movl	$ustack_top, tss_u + 56
	movl	$(EFL_IF | 2), tss_u + 36
	movl	$0x1111, tss_u + 52	/* ebx */

	mov	$0x60, %ecx		/* INT 60h: task gate for ring 3 */
	movl	$(TSS_A << 16), idt + 0x60 * 8
	movl	$0x0000e500, idt + 0x60 * 8 + 4
	movl	$(TSS_DF << 16), idt + 8 * 8
	movl	$0x00008500, idt + 8 * 8 + 4

	/* JMP there, JMP back. */
	clts
	mov	$0x77, %ebx
	ljmp	$TSS_B, $0
	PRINT	"back in the first task: ebx "
	PRINTX	%ebx
	PRINT	" TS "
	call	ts
	call	busy
	ljmp	$TSS_B, $0		/* goes on where it was */
	PRINT	"back again\n"

	/* CALL: nested. */
	lcall	$TSS_A, $0
	PRINT	"returned from call"
	call	busy
	lcall	$GATE_A, $0
	PRINT	"returned from call by gate"
	call	busy
	int	$0x60
	PRINT	"returned from int by gate"
	call	busy

	/* A task in ring 3 of another address space; IRET there returns here. */
	mov	$0x2222, %ebx
	lcall	$TSS_U, $0
	mov	%cr3, %eax
	cmp	$boot_pd, %eax
	jne	guest_fail
	PRINT	"ring-3 task left: its eax "
	PRINTX	tss_u+40
	PRINT	" ebx "
	PRINTX	tss_u+52
	PRINT	" ours "
	PRINTX	%ebx
	PRINT	" cs "
	PRINTW	tss_u+76
	call	busy

	/* From ring 3 through the gate and the interrupt. */
	mov	$user, %eax
	call	run_user
	PRINT	"ring 3 called task A twice: user ebx "
	PRINTX	trap + F_EBX
	PRINT	" runs of A "
	PRINTD	runs_a
	call	busy

	/* Double fault: the stack for ring 0 is not there. */
	movl	$(GVA + 0x1000), tss + 4
	mov	$user_ud, %eax
	mov	%esp, df_esp
	call	run_user
	jmp	guest_fail
df_back:
	mov	df_esp, %esp
	movl	$tstack_top, tss + 4
	PRINT	"after the double fault, cr2 "
	mov	%cr2, %eax
	call	putx
	call	busy

	/* The T bit: #DB before the first instruction of the new task. */
	clts
	xor	%eax, %eax
	mov	%eax, %dr6
	movl	$hook_db, kernel_hook
	lcall	$TSS_T, $0
	PRINT	"T bit: dr6 "
	PRINTW	seen_dr6
	PRINT	" eip "
	PRINTD	seen_eip
	call	busy
	movl	$0, kernel_hook

	TRY	"jmp to a busy TSS", ljmp $TSS_SEL, $0
	TRY	"call a busy TSS", lcall $TSS_SEL, $0
	TRY	"jmp to a short TSS", ljmp $TSS_BAD, $0
	TRY	"jmp to a TSS not present", ljmp $TSS_NP, $0
	TRY	"ltr busy", call do_ltr
	TRY	"ltr of data", call do_ltr_data
	TRY	"iret with NT, link to a TSS not busy", call iret_bad
	push	$2
	popf
	mov	$user_nt, %eax
	movw	$0, tss
	call	run_user
	PRINT	"iret with NT in ring 3, null link:"
	call	print_trap
	PRINT	"\n"
	ret

do_ltr:	mov	$TSS_SEL, %eax
	ltr	%ax
	ret
do_ltr_data:
	mov	$KDATA, %eax
	ltr	%ax
	ret
iret_bad:
	movw	$TSS_B, tss
	pushf
	orl	$EFL_NT, (%esp)
	popf
	iret

hook_db:
	mov	%dr6, %eax
	and	$0xe00f, %eax
	mov	%eax, seen_dr6
	mov	F_EIP(%ebx), %eax
	sub	$task_t, %eax
	mov	%eax, seen_eip
	ret

/* tss_init: EDI = TSS, EDX = EIP: ring 0, own stack, this address space */
tss_init:
	movl	$KDATA, 8(%edi)
	movl	$tstack_top, 4(%edi)
	mov	%cr3, %eax
	mov	%eax, 28(%edi)
	mov	%edx, 32(%edi)
	movl	$2, 36(%edi)
	lea	2048(%edi), %eax
	mov	%eax, 56(%edi)
	movl	$KDATA, 72(%edi)
	movl	$KCODE, 76(%edi)
	movl	$KDATA, 80(%edi)
	movl	$KDATA, 84(%edi)
	movl	$(104 << 16), 100(%edi)
	ret

ts:	mov	%cr0, %eax
	shr	$3, %eax
	and	$1, %eax
	jmp	putd
/* Which descriptors are marked busy, and NT. */
busy:	PRINT	", busy"
	push	%eax
	push	%ecx
	mov	$TSS_SEL, %ecx
1:	testb	$2, gdt + 5(%ecx)
	jz	2f
	PRINT	" "
	PRINTB	%ecx
2:	add	$8, %ecx
	cmp	$TSS_DF, %ecx
	jbe	1b
	PRINT	", NT "
	pushf
	pop	%eax
	shr	$14, %eax
	and	$1, %eax
	call	putd
	PRINT	"\n"
	pop	%ecx
	pop	%eax
	ret

task_a:	incl	runs_a
	PRINT	"  task A, link "
	PRINTW	tss_a
	call	busy
	iret
	jmp	task_a			/* the next call goes on here */

task_b:	mov	$0xb, %ebx
	PRINT	"  task B"
	call	busy
	ljmp	$TSS_SEL, $0
	PRINT	"  task B again: ebx "
	PRINTX	%ebx
	call	busy
	ljmp	$TSS_SEL, $0
	jmp	task_b

task_df:				/* the error code is on our stack */
	pop	%eax
	PRINT	"  double fault task: code "
	PRINTX	%eax
	PRINT	" link "
	PRINTW	tss_df
	PRINT	" cs "
	PRINTW	tss+76
	PRINT	" eip of the user "
	mov	tss + 32, %eax
	sub	$user_ud, %eax
	call	putd
	call	busy
	movl	$df_back, tss + 32
	movl	$KCODE, tss + 76
	movl	$KDATA, tss + 80
	movl	$KDATA, tss + 72
	movl	$KDATA, tss + 84
	movl	$2, tss + 36
	iret
	jmp	task_df

task_t:	iret
	jmp	task_t

	.data
	.align	4
runs_a:	.long	0
df_esp:	.long	0
seen_dr6: .long	0
seen_eip: .long	99

	.bss
	.align	4096
tss_a:	.skip	2048
tss_b:	.skip	2048
tss_u:	.skip	2048
tss_df:	.skip	2048
tss_t:	.skip	2048

	SECTION_USER
	.align	16
task_u:	mov	GVA, %eax
	inc	%ebx
	iret				/* NT: back to the caller's task */
	ud2
user:	mov	$0x3333, %ebx
	lcall	$GATE_A, $0
	inc	%ebx
	int	$0x60
	inc	%ebx
	USER_EXIT
user_ud:
	nop
	ud2
user_nt:
	pushf
	orl	$EFL_NT, (%esp)
	popf
	iret

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * switch: three tasks in two address spaces (0 and 2 share one; 0 and 1 use the same gva for
 * different pages) yield 200 times; after every switch a task checks its memory,
 * stack, registers, x87, SSE, control words and the segment behind GS. First the
 * kernel saves the FPU at each switch, then lazily through CR0.TS and #NM
 * (SDM 3A 2.5, 4.10.4.1, 13.4).
 */
#include "guest.inc"

#define TASKS	3
#define SWITCHES 200
#define GVA	0x40000000
#define SYS_YIELD 0x10

#define T_FRAME	0
#define T_CR3	96
#define T_GS	100
#define T_DONE	104
#define T_FX	112		/* 512 bytes, 16-byte aligned */
#define T_SIZE	640

	.text
kmain:
	movl	$hook_switch, trap_hook
	fninit
	fxsave	clean_fx
	call	run_tasks
	PRINT	"eager: "
	call	tell
	movl	$1, lazy
	call	run_tasks
	PRINT	"lazy: "
	call	tell
	cmpl	$0, nm_count
	je	1f
	PRINT	"the FPU changed hands by #NM\n"
1:	ret

tell:	PRINTD	switches
	PRINT	" switches, checks "
	PRINTD	ok_checks
	PRINT	", wrong "
	PRINTD	wrong
	PRINT	"\n"
	ret

run_tasks:
	movl	$0, switches
	movl	$0, ok_checks
	movl	$0, wrong
	call	space_new
	mov	%eax, %esi
	call	space_new
	mov	%eax, %edi
	mov	%esi, task + T_CR3
	mov	%edi, task + T_SIZE + T_CR3
	mov	%esi, task + 2 * T_SIZE + T_CR3
	movl	$gs0, task + T_GS
	movl	$gs1, task + T_SIZE + T_GS
	movl	$gs2, task + 2 * T_SIZE + T_GS
	mov	$GVA, %ebx		/* each: a page of data and stack */
	mov	%esi, %ecx
	call	give_page
	mov	%edi, %ecx
	call	give_page
	add	$0x1000, %ebx
	mov	%esi, %ecx
	call	give_page

	xor	%ecx, %ecx
1:	imul	$T_SIZE, %ecx, %edx
	lea	task(%edx), %edx
	movl	$0, T_DONE(%edx)
	movl	$UDATA, F_DS(%edx)
	movl	$UDATA, F_ES(%edx)
	movl	$0, F_FS(%edx)
	movl	$0x33, F_GS(%edx)
	movl	$utask, F_EIP(%edx)
	movl	$UCODE, F_CS(%edx)
	movl	$0x202, F_EFL(%edx)
	movl	$UDATA, F_SS(%edx)
	mov	$GVA, %eax
	cmp	$2, %ecx
	jne	2f
	add	$0x1000, %eax
2:	mov	%eax, F_EBX(%edx)
	add	$0xff0, %eax
	mov	%eax, F_ESP(%edx)
	mov	%ecx, F_EBP(%edx)
	pusha
	mov	$clean_fx, %esi
	lea	T_FX(%edx), %edi
	mov	$128, %ecx
	rep movsl
	popa
	inc	%ecx
	cmp	$TASKS, %ecx
	jb	1b

	movl	$0, current
	movl	$-1, fpu_owner
	pusha				/* as run_user does, but into the first task */
	mov	%esp, kresume_esp
	sub	$76, %esp
	mov	%esp, %ebx
	mov	$task, %edx
	call	load_task
	jmp	trap_resume

give_page:				/* EBX: gva, ECX: directory */
	call	page_alloc
	lea	PTE_P + PTE_W + PTE_U(%eax), %edx
	mov	%ebx, %eax
	jmp	map

hook_switch:
	cmpl	$7, F_VEC(%ebx)
	je	lend_fpu
	cmpl	$0x80, F_VEC(%ebx)
	jne	trap_panic
	mov	F_EAX(%ebx), %eax
	mov	F_ECX(%ebx), %edx	/* ECX: what the checks found */
	test	%edx, %edx
	jz	1f
	incl	wrong
	or	%edx, wrong_bits
1:	incl	ok_checks
	imul	$T_SIZE, current, %edx
	lea	task(%edx), %edx
	cmp	$SYS_YIELD, %eax
	je	2f
	jmp	hook_default
2:	incl	switches
	cmpl	$SWITCHES, switches
	jae	9f
	mov	%ebx, %esi		/* save the frame, find the next */
	mov	%edx, %edi
	mov	$19, %ecx
	rep movsl
	cmpl	$0, lazy
	jne	3f
	fxsave	T_FX(%edx)
3:	mov	current, %eax
	inc	%eax
	cmp	$TASKS, %eax
	jb	4f
	xor	%eax, %eax
4:	mov	%eax, current
	imul	$T_SIZE, %eax, %edx
	lea	task(%edx), %edx
	call	load_task
	xor	%eax, %eax
	ret
9:	clts
	mov	$boot_pd, %eax
	mov	%eax, %cr3
	mov	$1, %eax
	ret

/* load_task: EDX = task, EBX = frame to fill */
load_task:
	lea	T_FRAME(%edx), %esi
	mov	%ebx, %edi
	mov	$19, %ecx
	rep movsl
	mov	T_CR3(%edx), %eax
	mov	%cr3, %ecx
	cmp	%eax, %ecx
	je	1f
	mov	%eax, %cr3
1:	push	%edx
	mov	T_GS(%edx), %edx
	mov	$0x33, %eax
	mov	$0xfff, %ecx
	push	$0x40f2
	call	gdt_set
	pop	%edx
	cmpl	$0, lazy
	jne	2f
	fxrstor	T_FX(%edx)
	ret
2:	mov	%cr0, %eax
	or	$CR0_TS, %eax
	mov	%eax, %cr0
	ret

lend_fpu:
	clts
	incl	nm_count
	mov	current, %eax
	cmp	fpu_owner, %eax
	je	1f
	xchg	fpu_owner, %eax
	cmp	$-1, %eax
	je	2f
	imul	$T_SIZE, %eax
	fxsave	task + T_FX(%eax)
2:	imul	$T_SIZE, current, %eax
	fxrstor	task + T_FX(%eax)
1:	xor	%eax, %eax
	ret

	.bss
	.align	16
task:	.skip	TASKS * T_SIZE
clean_fx: .skip	512
current: .skip	4
lazy:	.skip	4
fpu_owner: .skip 4
nm_count: .skip	4
switches: .skip	4
ok_checks: .skip 4
wrong:	.skip	4
wrong_bits: .skip 4

/* The task: EBX = its page, EBP = its number. */
	SECTION_USER
	.align	16
gs0:	.long	0x60
gs1:	.long	0x61
gs2:	.long	0x62
cws:	.word	0x37f, 0x77f, 0xb7f	/* rounding differs */
	.align	4
mxs:	.long	0x1f80, 0x3f80, 0x5f80
utask:
	fldcw	cws(,%ebp,2)
	ldmxcsr	mxs(,%ebp,4)
	fldz
	lea	0x1000(%ebp), %esi
	movd	%esi, %xmm7
	movl	$0, (%ebx)
	mov	%ebp, 4(%ebx)
	push	%ebp
	lea	0x500(%ebp), %edi
	xor	%ecx, %ecx
1:	mov	$SYS_YIELD, %eax
	int	$0x80
	xor	%ecx, %ecx
	incl	(%ebx)
	fld1
	faddp
	fistl	8(%ebx)
	mov	8(%ebx), %eax
	cmp	(%ebx), %eax
	je	2f
	or	$1, %ecx
2:	movd	%xmm7, %eax
	cmp	%esi, %eax
	je	2f
	or	$2, %ecx
2:	lea	0x1000(%ebp), %eax
	cmp	%esi, %eax
	je	2f
	or	$4, %ecx
2:	cmp	%ebp, 4(%ebx)
	je	2f
	or	$8, %ecx
2:	cmp	%ebp, (%esp)
	je	2f
	or	$16, %ecx
2:	lea	0x60(%ebp), %eax
	cmp	%eax, %gs:0
	je	2f
	or	$32, %ecx
2:	fnstcw	12(%ebx)
	mov	12(%ebx), %ax
	cmp	%ax, cws(,%ebp,2)
	je	2f
	or	$64, %ecx
2:	stmxcsr	12(%ebx)
	mov	12(%ebx), %eax
	cmp	%eax, mxs(,%ebp,4)
	je	2f
	or	$128, %ecx
2:	lea	0x500(%ebp), %eax
	cmp	%edi, %eax
	je	1b
	or	$256, %ecx
	jmp	1b

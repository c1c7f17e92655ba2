/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile: ring 3 tries to leave, and to disturb whoever runs it: calls of the host system in all modes,
 * far transfers to every selector, ports, all interrupts, all selectors in all
 * segment registers, the whole address space, floods of faults, bad stacks, all
 * two-byte opcodes. All that may happen is an exception of the guest, counted here
 * by vector, with a sum of error codes (SDM 3A chapters 5 and 6).
 *
 * Command line: walk=65536 (bytes a step), ports=65536, flood=20000
 */
#include "guest.inc"

#define WINDOW	0x40000000	/* 16 user pages, 64 KiB apart */
#define CODE6	0x33		/* the guest's own flat code, 64-bit on some hosts */
#define MAGIC	0x1ea7e		/* EDI in the INT 80h that really leaves */

	.macro	PHASE name, entry
	PRINT	"\name:"
	mov	$\entry, %eax
	call	phase
	.endm
	.macro	LEAVE
	mov	$MAGIC, %edi
	xor	%eax, %eax
	int	$0x80
	.endm

	.text
kmain:
	movl	$hook_hostile, trap_hook
	GDT_SET	$CODE6, $0, $0xfffff, $0xc0fb
	mov	$0x174, %ecx
	xor	%eax, %eax
	xor	%edx, %edx
	wrmsr
	xor	%esi, %esi
1:	call	page_alloc
	lea	PTE_P + PTE_W + PTE_U(%eax), %edx
	mov	%esi, %eax
	shl	$16, %eax
	add	$WINDOW, %eax
	mov	$boot_pd, %ecx
	call	map
	inc	%esi
	cmp	$16, %esi
	jb	1b
	OPTION	walk, $65536
	mov	%eax, u_walk_step
	OPTION	ports, $65536
	mov	%eax, u_nports
	OPTION	flood, $20000
	mov	%eax, u_nflood

	PHASE	"syscall", u_syscall
	PHASE	"int 80h, all numbers", u_int80
	PHASE	"sysenter, not set up", u_sysenter
	mov	$0x174, %ecx
	mov	$KCODE, %eax
	xor	%edx, %edx
	wrmsr
	inc	%ecx
	mov	$tstack_top, %eax
	wrmsr
	inc	%ecx
	mov	$k_sysenter, %eax
	wrmsr
	PHASE	"sysenter, set up", u_sysenter2
	PRINT	"  entered "
	PRINTD	entered
	PRINT	"\n"
	PHASE	"selector 33h by jmp, call, ret, iret", u_sel33
	PRINT	"  ran in 32 bits "
	PRINTD	ran32
	PRINT	", else "
	PRINTD	ran64
	PRINT	"\n"
	PHASE	"far jmp to selectors", u_jmp_all
	PHASE	"far call to selectors", u_call_all
	PHASE	"far ret to selectors", u_ret_all
	PHASE	"iret to selectors", u_iret_all
	PHASE	"int n", u_int_all
	PHASE	"in from all ports", u_in_all
	PHASE	"out to 0-fff", u_out_all
	PHASE	"all selectors in es", u_es_all
	PHASE	"all selectors in ds", u_ds_all
	PHASE	"all selectors in fs", u_fs_all
	PHASE	"all selectors in gs", u_gs_all
	PHASE	"0-7ff in ss", u_ss_all
	PHASE	"read everything", u_read_all
	PHASE	"write everything", u_write_all
	PHASE	"execute in all corners", u_exec_all
	PHASE	"flood of page faults", u_flood
	PHASE	"flood of ud2, div, int3, hlt", u_flood2
	PHASE	"bad stacks", u_stacks
	PHASE	"nothing written below the stack", u_redzone
	mov	$0x174, %ecx
	xor	%eax, %eax
	xor	%edx, %edx
	wrmsr
	PRINT	"two-byte opcodes:"
	movl	$1, quiet
	mov	$u_opcodes, %eax
	call	phase
	PRINT	" tried\n"
	ret

/* EAX = entry. Prints "ok N", each vector that came with its count, the sum of error codes. */
phase:	mov	%eax, %ebx
	mov	$counts, %edi
	xor	%eax, %eax
	mov	$(256 + 8 + 1), %ecx
	rep stosl
	mov	%ebx, %eax
	fninit
	call	run_user
	cmpl	$0, quiet
	jne	9f
	PRINT	" ok "
	PRINTD	trap + F_EBX
	xor	%esi, %esi
1:	cmpl	$0, counts(,%esi,4)
	je	2f
	PRINT	", vec "
	PRINTB	%esi
	PRINT	" "
	mov	counts(,%esi,4), %eax
	call	putd
2:	inc	%esi
	cmp	$256, %esi
	jb	1b
	xor	%esi, %esi
3:	cmpl	$0, pf_codes(,%esi,4)
	je	4f
	PRINT	", code "
	PRINTD	%esi
	PRINT	": "
	mov	pf_codes(,%esi,4), %eax
	call	putd
4:	inc	%esi
	cmp	$8, %esi
	jb	3b
	PRINT	", sum "
	PRINTX	code_sum
	PRINT	"\n"
9:	ret

hook_hostile:
	mov	F_VEC(%ebx), %eax
	cmp	$0x80, %eax
	jne	1f
	cmpl	$MAGIC, F_EDI(%ebx)
	jne	1f
	mov	$1, %eax
	ret
1:	incl	counts(,%eax,4)
	mov	F_ERR(%ebx), %ecx
	cmp	$14, %eax
	jne	2f
	mov	%ecx, %edx
	and	$7, %edx
	incl	pf_codes(,%edx,4)
	jmp	3f
2:	add	%ecx, code_sum
3:	cmp	$0x80, %eax
	jae	4f
	mov	u_next, %eax
	mov	%eax, F_EIP(%ebx)
	movl	$UCODE, F_CS(%ebx)
	andl	$~(EFL_TF | EFL_NT | EFL_AC | 0x10400), F_EFL(%ebx)
	movl	$UDATA, F_DS(%ebx)
	movl	$UDATA, F_ES(%ebx)
	movl	$UDATA, F_SS(%ebx)
	cmpl	$0, u_stack
	je	4f
	mov	u_stack, %eax
	mov	%eax, F_ESP(%ebx)
4:	xor	%eax, %eax
	ret

k_sysenter:
	incl	entered
	sti
	sysexit

	.bss
	.align	4
counts:	.skip	256 * 4
pf_codes: .skip	8 * 4
code_sum: .skip	4
entered: .skip	4
quiet:	.skip	4

#include "hostile.inc"

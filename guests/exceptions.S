/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exceptions: everything that an instruction in ring 3 can raise, with its error code, the EIP it
 * leaves (as an offset into the case, so faults and traps are told apart), CR2
 * and DR6 (SDM 3A 6.15; 2A-2C for each instruction).
 *
 * QEMU 7.2 differs from the manual: INT1 (ICEBP) stops its whole machine (icebp=0
 * leaves that case out); no #AC, no #XM; #MF only at FWAIT; null and read-only
 * segments are not checked; LOCK MOV and EMMS under EM run; a read-modify-write
 * faults as a read; P is clear when a reserved bit is at fault.
 */
#include "guest.inc"
#include "cases.inc"

#define NP_DATA	0x38
#define XONLY	0x40
#define NP_CODE	0x48

	.text
kmain:
	GDT_SET	$NP_DATA, $0, $0xfffff, $0xc073
	GDT_SET	$XONLY, $0, $0xfffff, $0xc0f9
	GDT_SET	$NP_CODE, $0, $0xfffff, $0xc07b
	MAP	$0x40001000, $(0x500000 + PTE_P + PTE_W + PTE_U)
	MAP	$0x40003000, $(0x501000 + PTE_P + PTE_U)
	MAP	$0x40004000, $(0x502000 + PTE_P + PTE_W)
	movl	$(0x600000 + PTE_P + PTE_W + PTE_U + PTE_PS), boot_pd + 0x120 * 4
	movb	$0xb8, 0x500ffe		/* mov $imm32: the rest is beyond the page */
	movb	$0x90, 0x501000
	mov	$0x20, %ecx		/* a gate for nobody but ring 0, and one not present */
	mov	$stubs, %edx
	mov	$0x8e00, %eax
	call	gate_set
	mov	$0x81, %ecx
	mov	$0x6e00, %eax
	call	gate_set
	mov	$0x174, %ecx		/* IA32_SYSENTER_CS */
	xor	%eax, %eax
	xor	%edx, %edx
	wrmsr
	OPTION	icebp, $1
	mov	%eax, want_icebp
	movl	$back_to_rule, case_reset
	jmp	run_cases

back_to_rule:				/* FPU usable, no alignment checks, no breakpoints */
	clts
	mov	%cr0, %eax
	and	$~(CR0_EM | CR0_AM), %eax
	mov	%eax, %cr0
	mov	%cr4, %eax
	and	$~CR4_TSD, %eax
	or	$CR4_OSXMM, %eax
	mov	%eax, %cr4
	fninit
	ldmxcsr	mxcsr_default
	xor	%eax, %eax
	mov	%eax, %dr7
	ret

	.section .rodata
	.align	4
mxcsr_default: .long 0x1f80
	.text
case_icebp:
	cmpl	$1, want_icebp
	sbb	%eax, %eax		/* -1: leave the case out */
	ret
set_ts:	mov	%cr0, %eax
	or	$CR0_TS, %eax
	mov	%eax, %cr0
	ret
set_em:	mov	%cr0, %eax
	or	$CR0_EM, %eax
	mov	%eax, %cr0
	ret
set_am:	mov	%cr0, %eax
	or	$CR0_AM, %eax
	mov	%eax, %cr0
	orl	$EFL_AC, u_efl
	ret
set_ac:	orl	$EFL_AC, u_efl
	ret
set_tf:	orl	$EFL_TF, u_efl
	ret
set_tf_rep:
	mov	$uvar, %edi
	mov	$3, %ecx
	jmp	set_tf
set_tsd: mov	%cr4, %eax
	or	$CR4_TSD, %eax
	mov	%eax, %cr4
	ret
no_xmm:	mov	%cr4, %eax
	and	$~CR4_OSXMM, %eax
	mov	%eax, %cr4
	ret
bp_exec:
	mov	$bp_here, %eax
	mov	%eax, %dr0
	mov	$0x401, %eax
	mov	%eax, %dr7
	ret
bp_data:
	mov	$uvar, %eax
	mov	%eax, %dr1
	mov	$0x00d00404, %eax
	mov	%eax, %dr7
	ret
rsvd_pde:				/* bit 21 of a 4 MiB page is reserved */
	movl	$(0x600000 + PTE_P + PTE_W + PTE_U + PTE_PS), boot_pd + 0x120 * 4
	ret
show_ecx:
	PRINT	", ecx "
	PRINTD	trap + F_ECX
	ret

/* A kernel that lends the FPU late: #NM clears TS and the instruction runs again. */
ts_lazy:
	movl	$hook_nm, trap_hook
	movl	$0, count
	jmp	set_ts
hook_nm:
	cmpl	$7, F_VEC(%ebx)
	jne	hook_default
	clts
	incl	count
	xor	%eax, %eax
	ret
/* A debugger that goes on: RF lets the instruction under the breakpoint run. */
bp_resume:
	movl	$hook_bp, trap_hook
	movl	$0, count
	mov	$bp_here2, %eax
	mov	%eax, %dr0
	mov	$0x401, %eax
	mov	%eax, %dr7
	ret
tf_count:
	movl	$hook_tf, trap_hook
	movl	$0, count
	jmp	set_tf
hook_tf:
hook_bp:
	cmpl	$1, F_VEC(%ebx)
	jne	hook_default
	orl	$0x10000, F_EFL(%ebx)
	incl	count
	xor	%eax, %eax
	ret
show_count:
	PRINT	", traps "
	PRINTD	count
	ret
	.bss
count:	.skip	4
want_icebp: .skip 4

	SECTION_USER
	.align	16
uvar:	.long	0, 0, 0, 0
uzero:	.long	0
cw_ze:	.word	0x37b
	.align	4
mx_ze:	.long	0x1d80

#include "exceptions.inc"

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring-0 code inside the VM, one page of it. It decides nothing: the monitor
 * prepares registers and the stack and points RIP at one of the first two.
 *
 *   enter	IRETQ to user code.
 *   edit	does the stores RSI[0 .. RCX) (address, value: page-table entries), loads
 *		CR3 from RDX, takes the five registers that it used from the stack, then
 *		enters. As a kernel would, so that a KVM without nested paging sees it.
 *   stubs	where the IDT leads: 16 bytes each; they complete the frame to
 *		vector, error code, RIP, CS, RFLAGS, RSP, SS, and tell the monitor.
 *   done	what `edit` enters when there is no user code to run.
 */
#include "direct/kvm_shim.h"

	.section .rodata
	.globl	kvm_shim_text, kvm_shim_text_end
	.globl	kvm_shim_at_enter, kvm_shim_at_edit, kvm_shim_at_stubs, kvm_shim_at_done
	.balign	16
	.code64
kvm_shim_text:
edit:
	test	%rcx, %rcx
	jz	2f
1:	mov	(%rsi), %rdi
	mov	8(%rsi), %rax
	mov	%rax, (%rdi)
	add	$16, %rsi
	dec	%rcx
	jnz	1b
2:	mov	%rdx, %cr3
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rsi
	pop	%rdi
enter:
	iretq
	.balign	16
stubs:
	.set	vector, 0
	.rept	KVM_VECTORS
	.balign	16
	.if	vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
	.else
	push	$0
	.endif
	push	$vector
	out	%al, $KVM_SHIM_PORT
	.set	vector, vector + 1
	.endr
	.balign	16
done:
	push	$KVM_VECTORS
	out	%al, $KVM_SHIM_PORT
kvm_shim_text_end:
	.balign	4
kvm_shim_at_enter: .long enter - kvm_shim_text
kvm_shim_at_edit:  .long edit - kvm_shim_text
kvm_shim_at_stubs: .long stubs - kvm_shim_text
kvm_shim_at_done:  .long done - kvm_shim_text

	.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole program of a stub process: an ELF executable of one page, written
 * out by hand so that it needs no linker, and carried in the monitor's read-only
 * data. It never runs by itself; the monitor points RIP at one of two routines.
 *
 *   batch   does the system calls at rbx .. rbp (number and six arguments each) and
 *           stops with INT3 after the last, or at the first that failed: rbx then
 *           tells which, rax why. Nothing is ever written to memory.
 *   flags   loads RFLAGS from (rsp): the one way to set the ID bit, which ptrace
 *           does not.
 *
 * There is exactly one SYSCALL instruction; the seccomp filter knows its address.
 */
#include "direct/stub.h"

#define EM_X86_64	62
#define PT_LOAD		1
#define PT_GNU_STACK	0x6474e551

	.section .rodata
	.globl	stub_image, stub_image_end
	.balign	16
stub_image:
	.byte	0x7f, 'E', 'L', 'F', 2, 1, 1, 0
	.quad	0
	.short	2, EM_X86_64		/* ET_EXEC */
	.long	1
	.quad	STUB_LINK + (stub_entry - stub_image)
	.quad	64, 0			/* program headers follow; no sections */
	.long	0
	.short	64, 56, 2, 0, 0, 0

	.long	PT_LOAD, 5		/* readable, executable */
	.quad	0, STUB_LINK, STUB_LINK
	.quad	stub_image_end - stub_image, stub_image_end - stub_image, 0x1000
	.long	PT_GNU_STACK, 6		/* without it old kernels make every mapping executable */
	.quad	0, 0, 0, 0, 0, 16

	/* Only reached if nobody traces the process: then it dies. */
stub_entry:
	ud2

stub_batch:
	cmp	%rbp, %rbx
	je	stub_done
	mov	(%rbx), %rax
	mov	8(%rbx), %rdi
	mov	16(%rbx), %rsi
	mov	24(%rbx), %rdx
	mov	32(%rbx), %r10
	mov	40(%rbx), %r8
	mov	48(%rbx), %r9
stub_syscall:
	syscall
stub_return:
	cmp	$-4095, %rax
	jae	stub_done
	add	$STUB_REQ_SIZE, %rbx
	jmp	stub_batch
stub_done:
	int3

stub_flags:
	popfq
	jmp	stub_done
stub_image_end:

	.globl	stub_at_batch, stub_at_syscall, stub_at_return, stub_at_done, stub_at_flags
	.balign	4
stub_at_batch:	 .long	stub_batch - stub_image
stub_at_syscall: .long	stub_syscall - stub_image
stub_at_return:	 .long	stub_return - stub_image
stub_at_done:	 .long	stub_done - stub_image
stub_at_flags:	 .long	stub_flags - stub_image

	.section .note.GNU-stack, "", @progbits

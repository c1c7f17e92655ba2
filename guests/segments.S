/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * segments: ring-3 segments that are not flat: bases, limits, expand-down, LDT, 16-bit code and
 * stacks, thread-local storage as 32-bit Linux does it, accessed bits (SDM 3A 3.4.5, 5.3, 5.5).
 * 33h is data with a base here; some hosts have flat code under the same selector.
 *
 * QEMU 7.2 checks neither limits nor read/write rights of segments on access.
 */
#include "guest.inc"
#include "cases.inc"

#define TLS	0x33		/* base utls, 4 KiB */
#define TLS_BIG	0x3b		/* base utls + 100h, wraps round */
#define SMALL	0x43		/* base ubuf, 100h bytes */
#define DOWN32	0x4b		/* expand-down, offsets from 1000h up are ubuf */
#define DOWN16	0x53		/* the same, but not above ffffh */
#define RONLY	0x5b
#define LDT_SEL	0x60
#define CODE_B	0x6b		/* code, base ucode, exact limit */
#define L_DATA	0x07		/* base ubuf + 10h */
#define L_CODE16 0x0f		/* base ucode16 */
#define L_STK16	0x17		/* 16-bit stack, base ustk */
#define L_XONLY	0x1f		/* base ucode, execute-only */
#define L_CONF	0x27		/* conforming, DPL 0 */
#define L_EDIT	0x2f		/* changed by the kernel between cases */

	.text
kmain:
	GDT_SET	$TLS, $utls, $0xfff, $0x40f2
	GDT_SET	$TLS_BIG, $(utls + 0x100), $0xfffff, $0xc0f2
	GDT_SET	$SMALL, $ubuf, $0xff, $0x40f2
	GDT_SET	$DOWN32, $(ubuf - 0x1000), $0xfff, $0x40f6
	GDT_SET	$DOWN16, $(ubuf - 0x1000), $0xfff, $0x00f6
	GDT_SET	$RONLY, $0, $0xfffff, $0xc0f0
	GDT_SET	$LDT_SEL, $ldt, $(6 * 8 - 1), $0x0082
	GDT_SET	$CODE_B, $ucode, $(ucode_end - ucode - 1), $0x40fa
	DESC_SET $ldt, $(ubuf + 0x10), $0xfff, $0x40f2
	DESC_SET $(ldt + 8), $ucode16, $0xffff, $0x00fa
	DESC_SET $(ldt + 16), $ustk, $0xfff, $0x00f2
	DESC_SET $(ldt + 24), $ucode, $0xffff, $0x40f8
	DESC_SET $(ldt + 32), $0, $0xfffff, $0xc09e
	DESC_SET $(ldt + 40), $ubuf, $0xfff, $0x40f2
	mov	$LDT_SEL, %eax
	lldt	%ax
	movl	$again, case_reset
	sgdt	gdt_now
	movw	gdt_now, %ax
	mov	%ax, gdt_limit
	jmp	run_cases
again:	movw	gdt_limit, %ax
	mov	%ax, gdt_now
	lgdt	gdt_now
	mov	$LDT_SEL, %eax
	lldt	%ax
	ret

/* The type nibbles of CODE_B, RONLY and L_EDIT, bit 0 of each says "accessed". */
show_accessed:
	PRINT	", types "
	PRINTB	gdt + (CODE_B & ~7) + 5
	PRINT	" "
	PRINTB	gdt + (RONLY & ~7) + 5
	PRINT	" "
	PRINTB	ldt + (L_EDIT & ~7) + 5
	ret
move_edit:
	DESC_SET $(ldt + 40), $(ubuf + 4), $0xfff, $0x40f2
	ret
readonly_edit:
	DESC_SET $(ldt + 40), $(ubuf + 4), $0xfff, $0x40f0
	ret
absent_edit:
	DESC_SET $(ldt + 40), $ubuf, $0xfff, $0x4072
	ret
no_ldt:	xor	%eax, %eax
	lldt	%ax
	ret
short_ldt:
	GDT_SET	$LDT_SEL, $ldt, $(5 * 8 - 1), $0x0082
	mov	$LDT_SEL, %eax
	lldt	%ax
	ret
short_gdt:			/* LDT_SEL is its last */
	movw	$(LDT_SEL | 7), gdt_now
	lgdt	gdt_now
	ret
shorter_gdt:			/* and now it is beyond it */
	movw	$(LDT_SEL - 1), gdt_now
	lgdt	gdt_now
	ret
hook_edit_live:
	call	hook_default
	cmpl	$9, F_EAX(%ebx)		/* move the segment under the user's feet */
	jne	1f
	call	move_edit
	xor	%eax, %eax
1:	ret
edit_live:
	DESC_SET $(ldt + 40), $ubuf, $0xfff, $0x40f2
	movl	$hook_edit_live, trap_hook
	ret
show_gs:
	PRINT	", gs "
	PRINTW	trap + F_GS
	ret
show_ecx:
	PRINT	", ecx "
	PRINTD	trap + F_ECX
	ret

	.data
	.align	8
ldt:	.fill	8, 8, 0
gdt_now: .word	0, 0, 0
gdt_limit: .word 0

	SECTION_USER
	.align	4096
ubuf:	.set	n, 0
	.rept	1024
	.long	0x10000 + n
	.set	n, n + 4
	.endr
utls:	.long	0xaaaa0000
	.fill	63, 4, 0x22220000
	.long	0xaaaa0100		/* 100h */
	.fill	1023 - 64, 4, 0x33330000
ustk:	.fill	1024, 4, 0

	.align	16
ucode:	mov	$0xc0de, %ebx		/* runs with base ucode */
	mov	%cs, %eax
	shl	$16, %eax
	or	%eax, %ebx
	mov	$SYS_RESULT, %eax
	int	$0x80
ucode_data:
	mov	%cs:(ucode_word - ucode), %ebx
	mov	$SYS_RESULT, %eax
	int	$0x80
ucode_word: .long 0x600df00d
ucode_off:				/* the last byte within the limit */
	nop
ucode_end:

	.align	16
	.code16
ucode16:				/* far call with 32-bit operand size */
	mov	$0x1234, %ax
	mov	$0xfffe, %bx
	add	$3, %bx			/* 16 bits: 0001 */
	push	%ax
	pop	%cx
	movl	$0x89ab, %edx
	call	1f
	lretl
1:	shl	$16, %edx
	mov	%bx, %dx
	ret
ucode16_lin:				/* 16-bit addressing, data through ds */
	mov	$0x10, %bx
	mov	$4, %si
	mov	(%bx,%si), %eax
	lretl
ucode16_int:				/* a trap from 16-bit code */
	mov	$SYS_RESULT, %eax
	mov	$0x16161616, %ebx
	int	$0x80
ucode16_ud:
	mov	$0x7fff, %ax
	ud2
	.code32

CASE "read gs:0 of 33h", , show_gs
	mov	$TLS, %eax
	mov	%eax, %gs
	RESULT	%gs:0
CASE "write gs, read flat", , show_gs
	mov	$TLS, %eax
	mov	%eax, %gs
	movl	$0x5555, %gs:8
	RESULT	utls + 8
CASE "last dword of 33h"
	mov	$TLS, %eax
	mov	%eax, %gs
	RESULT	%gs:0xffc
CASE "last dword and one", , show_gs
	mov	$TLS, %eax
	mov	%eax, %gs
	RESULT	%gs:0xffd
CASE "beyond 33h, write"
	mov	$TLS, %eax
	mov	%eax, %gs
	movb	$1, %gs:0x1000
CASE "gs and fs differ"
	mov	$TLS_BIG, %eax
	mov	%eax, %fs
	mov	$TLS, %eax
	mov	%eax, %gs
	mov	%fs:0, %ebx
	sub	%gs:0, %ebx
	RESULT	%ebx
CASE "negative offset wraps"
	mov	$TLS_BIG, %eax
	mov	%eax, %gs
	mov	$-0x100, %ecx
	RESULT	%gs:(%ecx)
CASE "push gs, pop fs, lfs, lgs", , show_gs
	mov	$TLS, %eax
	mov	%eax, %gs
	push	%gs
	pop	%fs
	mov	%fs:0, %ebx
	pushl	$TLS_BIG
	pushl	$0x20
	lgs	(%esp), %edx
	add	%gs:-0x20(%edx), %ebx
	RESULT	%ebx
CASE "call through gs"
	mov	$TLS, %eax
	mov	%eax, %gs
	movl	$1f, %gs:0x10
	call	*%gs:0x10
	RESULT	$0xbad
1:	RESULT	$0xca11
CASE "lea ignores the base"
	mov	$TLS, %eax
	mov	%eax, %gs
	.byte	0x65			/* gs: */
	lea	0x10, %ebx
	RESULT	%ebx

CASE "small ds, last dword"
	mov	$SMALL, %eax
	mov	%eax, %ds
	RESULT	0xfc
CASE "small ds, one too far"
	mov	$SMALL, %eax
	mov	%eax, %ds
	RESULT	0xfd
CASE "small ds, far beyond"
	mov	$SMALL, %eax
	mov	%eax, %ds
	RESULT	ubuf
CASE "small es, rep stosb to the limit", , show_ecx
	mov	$SMALL, %eax
	mov	%eax, %es
	mov	$0xf0, %edi
	mov	$0x20, %ecx
	rep stosb
CASE "movs from ds small to es flat", , show_ecx
	mov	$SMALL, %eax
	mov	%eax, %ds
	mov	$4, %esi
	mov	$utls + 0x20, %edi
	mov	$2, %ecx
	rep movsl
	RESULT	%es:utls + 0x24
CASE "small ss, push within"
	mov	$SMALL, %eax
	mov	%eax, %ss
	mov	$0x100, %esp
	pushl	$0x77
	RESULT	ubuf + 0xfc
CASE "small ss, push beyond"
	mov	$SMALL, %eax
	mov	%eax, %ss
	mov	$0x104, %esp
	pushl	$0x77
CASE "small ss, through ebp"
	mov	$SMALL, %eax
	mov	%eax, %ss
	mov	$0x100, %ebp
	mov	(%ebp), %eax
CASE "small ss, int returns to it", , show_gs
	mov	$SMALL, %eax
	mov	%eax, %ss
	mov	$0x80, %esp
	push	$0x1234
	mov	$SYS_PUTS, %eax
	mov	$1f, %ebx
	int	$0x80
	pop	%ebx
	RESULT	%ebx
1:	.byte	0

CASE "expand-down, first byte"
	mov	$DOWN32, %eax
	mov	%eax, %ds
	RESULT	0x1000
CASE "expand-down, below"
	mov	$DOWN32, %eax
	mov	%eax, %ds
	RESULT	0xfff
CASE "expand-down of 16 bits, last word"
	mov	$DOWN16, %eax
	mov	%eax, %es
	mov	$0x1004, %ecx
	RESULT	%es:(%ecx)
CASE "expand-down of 16 bits, beyond"
	mov	$DOWN16, %eax
	mov	%eax, %es
	mov	$0xfffe, %ecx
	RESULT	%es:(%ecx)

CASE "read-only, read"
	mov	$RONLY, %eax
	mov	%eax, %ds
	RESULT	ubuf + 8
CASE "read-only, write"
	mov	$RONLY, %eax
	mov	%eax, %ds
	movl	$0, ubuf + 8
CASE "read-only ss"
	mov	$RONLY, %eax
	mov	%eax, %ss

CASE "code with a base"
	ljmp	$CODE_B, $0
CASE "code with a base, read through cs"
	ljmp	$CODE_B, $(ucode_data - ucode)
CASE "execute-only, run"
	ljmp	$L_XONLY, $0
CASE "execute-only, read through cs"
	ljmp	$L_XONLY, $(ucode_data - ucode)
CASE "run off the limit"
	ljmp	$CODE_B, $(ucode_off - ucode)
CASE "far jump beyond the limit"
	ljmp	$CODE_B, $(ucode_end - ucode)
CASE "far call beyond the limit"
	lcall	$CODE_B, $0x1000
CASE "conforming code of DPL 0"
	ljmp	$L_CONF, $1f
1:	mov	%cs, %ebx
	ljmp	$UCODE, $2f
2:	RESULT	%ebx

CASE "LDT data"
	mov	$L_DATA, %eax
	mov	%eax, %es
	RESULT	%es:4
CASE "16-bit code by far call"
	lcall	$L_CODE16, $0
	movzwl	%ax, %eax
	add	%eax, %edx
	RESULT	%edx
CASE "16-bit code, 16-bit addressing"
	push	%ds
	mov	$L_DATA, %eax
	mov	%eax, %ds
	lcall	$L_CODE16, $(ucode16_lin - ucode16)
	pop	%ds
	RESULT	%eax
CASE "trap from 16-bit code"
	ljmp	$L_CODE16, $(ucode16_int - ucode16)
CASE "exception in 16-bit code"
	ljmp	$L_CODE16, $(ucode16_ud - ucode16)
CASE "16-bit stack: only sp moves"
	mov	$L_STK16, %eax
	mov	%eax, %ss
	mov	$0xabcd0100, %esp
	pushl	$0x4242
	mov	ustk + 0xfc, %ebx
	shl	$16, %ebx
	add	%esp, %ebx
	RESULT	%ebx
CASE "16-bit stack: sp wraps"
	mov	$L_STK16, %eax
	mov	%eax, %ss
	mov	$2, %esp
	pushl	$0x4242
CASE "16-bit stack and code"
	mov	%esp, %ebp
	mov	$L_STK16, %eax
	mov	%eax, %ss
	mov	$0x200, %esp
	lcall	$L_CODE16, $0
	mov	%esp, %ebx
	shl	$16, %ebx
	mov	%dx, %bx
	RESULT	%ebx

CASE "accessed bits", , show_accessed
	END
CASE "a segment that moves", edit_live
	mov	$L_EDIT, %eax
	mov	%eax, %gs
	mov	%gs:0, %ecx
	mov	$9, %eax
	int	$0x80			/* it takes effect on the reload on the way back */
	mov	%gs:0, %ebx
	shl	$16, %ebx
	mov	%cx, %bx
	RESULT	%ebx
CASE "the moved segment", move_edit
	mov	$L_EDIT, %eax
	mov	%eax, %fs
	RESULT	%fs:0
CASE "the same, read-only", readonly_edit
	mov	$L_EDIT, %eax
	mov	%eax, %fs
	movl	$0, %fs:0
CASE "the same, not present", absent_edit
	mov	$L_EDIT, %eax
	mov	%eax, %fs
CASE "no LDT", no_ldt
	mov	$L_DATA, %eax
	mov	%eax, %fs
CASE "no LDT, far call", no_ldt
	lcall	$L_CODE16, $0
CASE "short LDT", short_ldt
	mov	$L_EDIT, %eax
	mov	%eax, %fs
CASE "short GDT", short_gdt
	mov	$CODE_B, %eax
	mov	%eax, %fs
CASE "all of the GDT again"
	mov	$CODE_B, %eax
	mov	%eax, %fs
	RESULT	%fs:(ucode_word - ucode)
CASE "shorter GDT", shorter_gdt
	mov	$CODE_B, %eax
	mov	%eax, %fs

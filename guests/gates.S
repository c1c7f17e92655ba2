/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gates: call gates from ring 3 to rings 0 and 1, with parameters, of 32 and 16 bits, and what must be
 * refused; conforming code; RETF and IRET to outer rings, which clear segments that the
 * outer ring may not have; far pointers; ARPL, LAR, LSL, VERR, VERW
 * (SDM 3A 5.8, 5.10; 2A, 2B for the instructions).
 *
 * QEMU 7.2 gives conforming code that is called through a gate the ring of its DPL
 * (conf=0 leaves these cases out).
 *
 * ARPL ... VERW do not trap: an engine that runs them on the host shows here.
 */
#include "guest.inc"
#include "cases.inc"

#define G_RING0	0x33		/* 32-bit call gate, 3 parameters, DPL 3 */
#define G_RING1	0x3b		/* to ring 1 */
#define G_DPL0	0x43
#define G_NP	0x4b
#define G_DATA	0x53		/* leads to a data segment */
#define G_16	0x5b		/* 16-bit gate, 2 parameters */
#define G_CONF	0x63		/* to conforming code: no change of ring */
#define CODE1	0x69		/* ring 1 */
#define DATA1	0x71
#define CONF	0x7b		/* conforming code, DPL 0 */
#define SMALL	0x83		/* data, limit 1234h bytes */
#define BIGDATA	0x8b		/* data, 12345h pages, expand-down */
#define RONLY	0x93
#define XONLY	0x9b
#define LDT_SEL	0xa0
#define CODE16	0xa8		/* 16-bit code of ring 0 */
#define LOW	0xb3		/* user code, base u_low */

	.macro	GATE sel, code, off, params, type
	movl	$\off, %eax
	mov	%ax, gdt + (\sel & ~7)
	movw	$\code, gdt + (\sel & ~7) + 2
	movb	$\params, gdt + (\sel & ~7) + 4
	movb	$\type, gdt + (\sel & ~7) + 5
	shr	$16, %eax
	mov	%ax, gdt + (\sel & ~7) + 6
	.endm

	.text
kmain:
	GATE	G_RING0, KCODE, gate0, 3, 0xec
	GATE	G_RING1, CODE1, gate1, 1, 0xec
	GATE	G_DPL0, KCODE, gate0, 0, 0x8c
	GATE	G_NP, KCODE, gate0, 0, 0x6c
	GATE	G_DATA, KDATA, gate0, 0, 0xec
	GATE	G_CONF, CONF, gateconf, 0, 0xec
	GATE	G_16, CODE16, 0, 2, 0xe4
	movw	$0, gdt + (G_16 & ~7) + 6
	GDT_SET	$CODE1, $0, $0xfffff, $0xc0bb
	GDT_SET	$DATA1, $0, $0xfffff, $0xc0b3
	GDT_SET	$CONF, $0, $0xfffff, $0xc09f
	GDT_SET	$SMALL, $0x1000, $0x1234, $0x50f3
	GDT_SET	$BIGDATA, $0, $0x12345, $0xc0f7
	GDT_SET	$RONLY, $0, $0xfffff, $0xc0f1
	GDT_SET	$XONLY, $0, $0xfffff, $0xc0f9
	GDT_SET	$LDT_SEL, $0, $0, $0x0082
	GDT_SET	$CODE16, $gate16, $0xffff, $0x009b
	GDT_SET	$LOW, $u_low, $0xffff, $0x40fb
	movl	$DATA1, tss + 16
	movl	$stack1_top, tss + 12
	orb	$PTE_U, boot_pt + 15 * 4
	mov	%cr3, %eax
	mov	%eax, %cr3
	OPTION	conf, $1
	dec	%eax
	mov	%eax, no_conf
	call	run_cases

	/* RETF to ring 3: ES and FS hold what ring 3 may not have, GS may stay. */
	movl	$hook_default, trap_hook
	pusha
	mov	%esp, kresume_esp
	mov	$UDATA, %eax
	mov	%eax, %ds
	mov	%eax, %gs
	mov	$KDATA, %eax
	mov	%eax, %es
	mov	$DATA1, %eax
	mov	%eax, %fs
	push	$UDATA
	push	$(ustack_top - 8)
	push	$UCODE
	push	$u_outer
	lret
kmain_end:
	ret

/* Gate targets note what they see: CS, SS, parameters, the old stack. */
gate0:	mov	%cs, %ecx
	shl	$16, %ecx
	mov	%ss, %cx
	mov	8(%esp), %ebx
	shl	$8, %ebx
	add	12(%esp), %ebx
	shl	$8, %ebx
	add	16(%esp), %ebx
	mov	20(%esp), %edx		/* the caller's ESP, and SS above */
	mov	24(%esp), %esi
	mov	4(%esp), %edi		/* the caller's CS */
	mov	$(tstack_top - 28), %eax
	cmp	%eax, %esp
	je	1f
	mov	$0xbadbad, %ebx
1:	lret	$12
gate1:	mov	%cs, %ecx
	shl	$16, %ecx
	mov	%ss, %cx
	mov	8(%esp), %ebx
	mov	$DATA1, %eax		/* may be held here, but not further out */
	mov	%eax, %fs
	lret	$4
	.code16
gate16:	mov	%cs, %cx		/* 16-bit frame: IP CS p1 p2 SP SS */
	shll	$16, %ecx
	mov	%ss, %cx
	mov	%esp, %ebp
	movw	4(%ebp), %bx
	shll	$16, %ebx
	movw	6(%ebp), %bx
	lretw	$4
	.code32

want_conf:
	mov	no_conf, %eax
	ret
after_gate:
	PRINT	", cs:ss in the gate "
	PRINTX	trap + F_ECX
	ret
after_gate0:
	call	after_gate
	PRINT	", caller "
	PRINTW	trap + F_EDI
	PRINT	" "
	PRINTW	trap + F_ESI
	ret
show_edx:
	PRINT	", edx "
	PRINTX	trap + F_EDX
	ret
show_fs:
	call	after_gate
	PRINT	", fs "
	PRINTW	trap + F_FS
	ret

	.bss
	.align	16
	.skip	1024
stack1_top:
no_conf: .skip	4

	SECTION_USER
	.align	16
u_outer:
	mov	%es, %ebx
	shl	$8, %ebx
	mov	%fs, %ecx
	or	%ecx, %ebx
	shl	$8, %ebx
	mov	%gs, %ecx
	or	%ecx, %ebx
	mov	%cs, %ecx
	and	$3, %ecx
	shl	$24, %ecx
	or	%ecx, %ebx
	USER_PUTS "retf to ring 3: cpl es fs gs "
	mov	$SYS_PUTX, %eax
	int	$0x80
	USER_PUTS "\n"
	USER_EXIT

gateconf:
	mov	%cs, %ecx
	mov	%esp, %edx
	lret

CASE "gate to ring 0, parameters", , after_gate0
	push	$3
	push	$2
	push	$1
	lcall	$G_RING0, $0x12345678	/* the offset is ignored */
	cmp	$ustack_top, %esp
	jne	1f
	add	$12, %edx
	cmp	%esp, %edx
	jne	1f
	RESULT	%ebx
1:	RESULT	$0xbad
CASE "gate to ring 1", , show_fs
	push	$0x4321
	lcall	$G_RING1, $0
	cmp	$ustack_top, %esp
	jne	1f
	RESULT	%ebx
1:	RESULT	$0xbad
CASE "16-bit gate", , after_gate
	mov	$0xfff0, %esp		/* all that a 16-bit return restores */
	ljmp	$LOW, $0
u_low:	pushw	$0x22
	pushw	$0x11
	lcall	$G_16, $0		/* and IP */
	ljmp	$UCODE, $1f
1:	RESULT	%ebx
CASE "gate to conforming code", want_conf
	mov	%esp, %esi
	lcall	$G_CONF, $0
	sub	%edx, %esi		/* same stack */
	shl	$16, %esi
	or	%ecx, %esi
	RESULT	%esi
CASE "call of conforming code"
	lcall	$CONF, $gateconf2
	RESULT	%ecx
gateconf2:
	mov	%cs, %ecx
	lret
CASE "jmp through a gate inwards"
	ljmp	$G_RING0, $0
CASE "jmp through a gate to conforming code", want_conf
	push	$UCODE
	push	$1f
	ljmp	$G_CONF, $0
1:	RESULT	%ecx
CASE "indirect far call of a gate", , after_gate0
	push	$9
	push	$8
	push	$7
	lcall	*1f
	RESULT	%ebx
1:	.long	0
	.word	G_RING0
CASE "gate of DPL 0"
	lcall	$G_DPL0, $0
CASE "gate of DPL 0, RPL 0"
	lcall	$(G_DPL0 & ~3), $0
CASE "gate not present"
	lcall	$G_NP, $0
CASE "gate to data"
	lcall	$G_DATA, $0
CASE "call of ring-1 code"
	lcall	$CODE1, $0
CASE "retf inwards"
	push	$CODE1
	push	$0
	lret
CASE "indirect far jump"
	ljmp	*1f
	ud2
1:	.long	2f
	.word	UCODE
2:	RESULT	$0x1
CASE "indirect far call and back"
	lcall	*1f
	RESULT	%edx
1:	.long	2f
	.word	UCODE
2:	mov	4(%esp), %edx
	lret
CASE "retf with a pop count"
	mov	%esp, %esi
	push	$0
	push	$0
	push	%cs
	push	$1f
	lret	$8
1:	sub	%esp, %esi
	RESULT	%esi
CASE "les, lds, lss, lfs, lgs"
	les	1f, %eax
	lfs	2f, %ecx
	lgs	1f, %edx
	lss	3f, %esp
	lds	1f, %ebx
	add	%eax, %ebx
	add	%ecx, %ebx
	add	%edx, %ebx
	mov	%fs, %ecx
	shl	$16, %ecx
	add	%ecx, %ebx
	RESULT	%ebx
1:	.long	0x11
	.word	UDATA
2:	.long	0x1000
	.word	SMALL
3:	.long	ustack_top - 4
	.word	UDATA
CASE "iret to the same ring"
	pushf
	push	%cs
	push	$1f
	iret
	ud2
1:	RESULT	$0x2
CASE "popf does not change IF and IOPL"
	push	$0x3002
	popf
	pushf
	pop	%ebx
	and	$0x3200, %ebx
	RESULT	%ebx
CASE "iret does not either"
	push	$0x3003
	push	%cs
	push	$1f
	iret
1:	pushf
	pop	%ebx
	and	$0x3201, %ebx
	RESULT	%ebx

/* ZF in bit 31 and the register: one line for each selector. */
	.macro	LOOK insn, name, sel
CASE "\insn \name"
	mov	$0x5555, %ebx
	mov	$\sel, %ecx
	\insn	%ecx, %ebx
	setz	%al
	.ifc	\insn, lar
	and	$0x00f0ffff, %ebx	/* bits 19:16 are undefined */
	.endif
	shl	$31, %eax
	or	%eax, %ebx
	RESULT	%ebx
	.endm
	.macro	ASK insn, name, sel
CASE "\insn \name"
	mov	$\sel, %ecx
	\insn	%cx
	setz	%bl
	movzbl	%bl, %ebx
	RESULT	%ebx
	.endm
	.macro	LOOK_ALL how, insn
	\how	\insn, "null", 0
	\how	\insn, "kernel code", KCODE
	\how	\insn, "kernel data", KDATA
	\how	\insn, "user code", UCODE
	\how	\insn, "user data", UDATA
	\how	\insn, "user data, RPL 0", UDATA & ~3
	\how	\insn, "TSS, DPL 0", TSS_SEL + 3
	\how	\insn, "call gate", G_RING0
	\how	\insn, "conforming code", CONF
	\how	\insn, "byte limit", SMALL
	\how	\insn, "expand-down pages", BIGDATA
	\how	\insn, "read-only", RONLY
	\how	\insn, "execute-only", XONLY
	\how	\insn, "empty slot", 0x1fb
	\how	\insn, "beyond the table", 0xfffb
	\how	\insn, "LDT without LDT", 0x0f
	.endm
	LOOK_ALL LOOK, lar
	LOOK_ALL LOOK, lsl
	LOOK_ALL ASK, verr
	LOOK_ALL ASK, verw
CASE "arpl raises RPL", , show_edx
	mov	$0x10, %ecx
	mov	$0x23, %edx
	arpl	%dx, %cx
	setz	%bl
	movzbl	%bl, %ebx
	mov	%ecx, %edx
	RESULT	%ebx
CASE "arpl leaves RPL", , show_edx
	mov	$0x13, %ecx
	mov	$0x22, %edx
	arpl	%dx, %cx
	setz	%bl
	movzbl	%bl, %ebx
	mov	%ecx, %edx
	RESULT	%ebx

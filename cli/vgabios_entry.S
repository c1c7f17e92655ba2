/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a VGA BIOS is entered, before its own first instruction: gives DS, ES, FS and GS limits
 * of 4 GiB if the processor is in real mode, and changes nothing else. The PCI firmware
 * specification (3.0, 5.2.1) has option ROMs started like that, and SeaBIOS's reads its
 * card's registers at 32-bit addresses; U-Boot and coreboot start it with limits of 64 KiB, where a
 * processor must raise a general protection fault.
 *
 * It knows nothing of where it lies. The jump at its end is filled in by vgabios_wrap.c.
 */
	.section .rodata
	.globl	vgabios_entry, vgabios_entry_end
	.code16
vgabios_entry:
	pushfw
	cli
	pushl	%eax
	pushl	%ebx
	movl	%cr0, %eax
	testb	$1, %al			/* protected or virtual-8086 mode: not ours to change */
	jnz	3f
	/* The caller's table must be there again afterwards. */
	subw	$8, %sp
	movw	%sp, %bx
	sgdtl	%ss:(%bx)
	callw	1f
1:	popw	%bx
	addw	$table - 1b, %bx
	movw	%cs, %ax
	movzwl	%ax, %eax
	shll	$4, %eax
	movzwl	%bx, %ebx
	addl	%ebx, %eax
	pushl	%eax
	pushw	$table_end - table - 1
	movw	%sp, %bx
	lgdtl	%ss:(%bx)
	addw	$6, %sp
	pushw	%ds
	pushw	%es
	pushw	%fs
	pushw	%gs
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	jmp	2f
2:	movw	$flat - table, %bx
	movw	%bx, %ds
	movw	%bx, %es
	movw	%bx, %fs
	movw	%bx, %gs
	andb	$0xfe, %al
	movl	%eax, %cr0
	jmp	4f
4:	popw	%gs			/* loads bases; limits stay */
	popw	%fs
	popw	%es
	popw	%ds
	movw	%sp, %bx
	lgdtl	%ss:(%bx)
	addw	$8, %sp
3:	popl	%ebx
	popl	%eax
	popfw
	jmp	5f
table:
	.quad	0
flat:
	.word	0xffff, 0, 0x9300, 0x008f
table_end:
5:	.byte	0xe9			/* jmp: the displacement follows */
vgabios_entry_end:

	.section .note.GNU-stack, "", %progbits

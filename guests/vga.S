/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vga: the display adapter, from ring 0 and, through a user page, from ring 3: text with every
 * character and every pair of colours, then the mode that mode= names, with a picture
 * that tells whether every pixel is where it belongs (IBM VGA; Bochs DISPI).
 *
 *	mode=3	text (default)		mode=13	320 x 200 of 256 colours, mode 13h
 *	mode=12	640 x 480 of 16, mode 12h	mode=32	640 x 480 of 32 bits, linear
 *	ninth=0	the ninth dot of every character is of its background
 *	stay=1	halts at the end instead of leaving, so that somebody can look; 2: and can
 *		still be interrupted
 *
 * What it reads back goes to the serial port.
 */
#include "guest.inc"

#define SEQ	0x3c4
#define DAC	0x3c8
#define GFX	0x3ce
#define CRTC	0x3d4
#define TEXT	0xb8000
#define WINDOW	0xa0000
#define DISPI	0x1ce
#define UTEXT	0x40000000	/* user page on TEXT */

	.macro	OUTW port, val
	mov	$\port, %edx
	mov	$\val, %eax
	out	%ax, %dx
	.endm
	.macro	DISPI_SET index, val
	OUTW	DISPI, \index
	inc	%edx
	mov	$\val, %eax
	out	%ax, %dx
	.endm

kmain:
	OUTW	CRTC, 0x200a		/* no cursor: it would blink */
	OPTION	ninth, $1
	test	%eax, %eax
	jnz	1f
	mov	$0x3da, %edx
	in	%dx, %al
	mov	$0x3c0, %edx
	mov	$0x30, %al
	out	%al, %dx
	mov	$0x08, %al
	out	%al, %dx
1:	call	text
	PRINT	"text: first "
	PRINTW	TEXT
	PRINT	", last "
	PRINTW	TEXT+3998
	PRINT	"\n"
	mov	$boot_pd, %ecx
	mov	$UTEXT, %eax
	call	pte_of
	movl	$(TEXT + PTE_P + PTE_W + PTE_U), (%eax)
	mov	$user, %eax
	call	run_user
	cmpl	$0x80, trap + F_VEC
	jne	trap_panic
	PRINT	"ring 3: "
	PRINTX	TEXT+160*24
	PRINT	"\n"
	OPTION	mode, $3
	cmp	$13, %eax
	je	mode_13h
	cmp	$12, %eax
	je	mode_12h
	cmp	$32, %eax
	je	linear
done:
	OPTION	stay, $0
	test	%eax, %eax
	jz	1f
	PRINT	"staying\n"
	cmp	$2, %eax
	jne	2f
	mov	$0xff, %al
	out	%al, $0x21
	out	%al, $0xa1
	sti
0:	hlt
	jmp	0b
2:	cli
	hlt
1:	ret

/* Rows 0-3 have all characters, rows 5-20 all colours but the blinking ones. */
text:	mov	$TEXT, %edi
	mov	$0x07200720, %eax
	mov	$1000, %ecx
	rep stosl
	mov	$TEXT, %edi
	mov	$0x0700, %eax
1:	stosw
	inc	%al
	jnz	1b
	mov	$TEXT + 160 * 5, %edi
	xor	%ecx, %ecx
2:	mov	%cl, %ah
	mov	$'X', %al
	stosw
	inc	%ecx
	test	$15, %cl
	jnz	3f
	add	$160 - 32, %edi
3:	cmp	$128, %ecx
	jb	2b
	movw	$0x0f2e, TEXT + 3998
	ret

	SECTION_USER
user:	movl	$0x1f331f52, UTEXT + 160 * 24		/* "R3" */
	mov	UTEXT + 160 * 24, %eax
	addl	$0x00010000, UTEXT + 160 * 24
	USER_EXIT
	.previous

/* --- Graphics ------------------------------------------------------------------------ */

/* ESI = table: misc, 5 sequencer, 25 CRT controller, 9 graphics, 21 attribute registers */
set_mode:
	lodsb
	mov	$0x3c2, %edx
	out	%al, %dx
	mov	$SEQ, %edx
	mov	$5, %ecx
	call	set_block
	mov	$CRTC, %edx
	mov	$0x0011, %eax
	out	%ax, %dx
	mov	$25, %ecx
	call	set_block
	mov	$GFX, %edx
	mov	$9, %ecx
	call	set_block
	mov	$0x3da, %edx
	in	%dx, %al
	mov	$0x3c0, %edx
	xor	%ecx, %ecx
1:	mov	%cl, %al
	out	%al, %dx
	lodsb
	out	%al, %dx
	inc	%ecx
	cmp	$21, %ecx
	jb	1b
	mov	$0x20, %al
	out	%al, %dx
	/* Colour i is (i / 4, i % 64, 63 - i / 4). */
	mov	$DAC, %edx
	xor	%eax, %eax
	out	%al, %dx
	inc	%edx
	xor	%ecx, %ecx
2:	mov	%cl, %al
	shr	$2, %al
	out	%al, %dx
	mov	%cl, %al
	and	$63, %al
	out	%al, %dx
	mov	%cl, %al
	shr	$2, %al
	xor	$63, %al
	out	%al, %dx
	inc	%cl
	jnz	2b
	ret
/* ECX registers from 0 on at EDX */
set_block:
	xor	%ebx, %ebx
1:	mov	%bl, %al
	mov	(%esi), %ah
	out	%ax, %dx
	inc	%esi
	inc	%ebx
	loop	1b
	ret

/* Pixel (x, y) is x ^ y. */
mode_13h:
	mov	$table13, %esi
	call	set_mode
	mov	$WINDOW, %edi
	xor	%edx, %edx
1:	xor	%ecx, %ecx
2:	mov	%ecx, %eax
	xor	%edx, %eax
	stosb
	inc	%ecx
	cmp	$320, %ecx
	jb	2b
	inc	%edx
	cmp	$200, %edx
	jb	1b
	PRINT	"mode 13h: "
	PRINTX	WINDOW+320*100+52
	PRINT	"\n"
	jmp	done

/* Bars of all colours by write mode 2; over them a box by set/reset and XOR. */
mode_12h:
	mov	$table12, %esi
	call	set_mode
	mov	$WINDOW, %edi
	OUTW	GFX, 0x0205		/* write mode 2 */
	xor	%ecx, %ecx
1:	mov	%ecx, %eax
	shr	$2, %eax
	and	$15, %eax
	stosb
	inc	%ecx
	cmp	$80 * 480, %ecx
	jb	1b
	OUTW	GFX, 0x0005
	OUTW	GFX, 0x0900		/* set/reset: 9 */
	OUTW	GFX, 0x0f01
	OUTW	GFX, 0x1803		/* XOR */
	OUTW	GFX, 0x7e08		/* but the outer dots of each byte */
	mov	$200, %ecx
	mov	$WINDOW + 80 * 140 + 20, %edi
2:	push	%ecx
	mov	$40, %ecx
3:	mov	(%edi), %al
	stosb
	loop	3b
	add	$40, %edi
	pop	%ecx
	loop	2b
	OUTW	GFX, 0x0805		/* read mode 1: where is colour 12? */
	OUTW	GFX, 0x0c02
	PRINT	"mode 12h: colour 12 at "
	PRINTX	WINDOW+80*140+20
	PRINT	" and "
	PRINTX	WINDOW+80*10+48
	PRINT	"\n"
	jmp	done

/* Pixel (x, y) is x << 16 | y << 8 | (x ^ y) & 255; the frame is in BAR 0 of the first display
 * controller on the bus. */
linear:
	mov	$0x80000008, %ebx	/* class and revision */
1:	mov	%ebx, %eax
	mov	$0xcf8, %edx
	out	%eax, %dx
	add	$4, %edx
	in	%dx, %eax
	shr	$16, %eax
	cmp	$0x0300, %eax
	je	2f
	add	$0x800, %ebx
	cmp	$0x80010000, %ebx
	jb	1b
	PRINT	"no display controller\n"
	jmp	guest_fail
2:	lea	8(%ebx), %eax		/* BAR 0: where nobody is */
	mov	$0xcf8, %edx
	out	%eax, %dx
	add	$4, %edx
	mov	$0xe0000000, %eax
	out	%eax, %dx
	lea	-4(%ebx), %eax		/* command: memory and ports */
	mov	$0xcf8, %edx
	out	%eax, %dx
	add	$4, %edx
	mov	$3, %eax
	out	%ax, %dx
	DISPI_SET 4, 0
	DISPI_SET 1, 640
	DISPI_SET 2, 480
	DISPI_SET 3, 32
	DISPI_SET 4, 0x41
	/* 4 MiB of it in user space, for ring 3 to draw */
	mov	$0x50000000, %eax
	mov	$0xe0000000, %esi
3:	push	%eax
	mov	$boot_pd, %ecx
	call	pte_of
	lea	PTE_P + PTE_W + PTE_U(%esi), %ecx
	mov	%ecx, (%eax)
	pop	%eax
	add	$0x1000, %eax
	add	$0x1000, %esi
	cmp	$0x50400000, %eax
	jb	3b
	mov	$draw, %eax
	call	run_user
	cmpl	$0x80, trap + F_VEC
	jne	trap_panic
	mov	$boot_pd, %ecx
	mov	$0x50000000 + 4 * (640 * 100 + 300), %eax
	mov	(%eax), %eax
	PRINT	"linear: "
	PRINTX	%eax
	PRINT	"\n"
	jmp	done

	SECTION_USER
draw:	mov	$0x50000000, %edi
	xor	%edx, %edx
1:	xor	%ecx, %ecx
2:	mov	%ecx, %eax
	xor	%edx, %eax
	and	$255, %eax
	mov	%edx, %ebx
	shl	$8, %ebx
	and	$0xff00, %ebx
	or	%ebx, %eax
	mov	%ecx, %ebx
	shl	$16, %ebx
	and	$0xff0000, %ebx
	or	%ebx, %eax
	stosl
	inc	%ecx
	cmp	$640, %ecx
	jb	2b
	inc	%edx
	cmp	$480, %edx
	jb	1b
	USER_EXIT
	.previous

	.section .rodata
table13:
	.byte	0x63
	.byte	0x03, 0x01, 0x0f, 0x00, 0x0e
	.byte	0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00
	.byte	0x9c, 0x0e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff
	.byte	0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0f, 0xff
	.byte	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x41, 0x00, 0x0f, 0x00, 0x00
table12:
	.byte	0xe3
	.byte	0x03, 0x01, 0x0f, 0x00, 0x06
	.byte	0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00
	.byte	0xea, 0x0c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff
	.byte	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x0f, 0xff
	.byte	0, 9, 18, 27, 36, 45, 54, 63, 7, 14, 21, 28, 35, 42, 49, 56, 0x01, 0x00, 0x0f, 0x00, 0x00

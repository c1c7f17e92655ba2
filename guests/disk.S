/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk: writes sectors of the primary master and reads them back, without interrupts
 * (ATA/ATAPI-6, 9.5 and 9.6). Whoever runs it looks at the image afterwards, or takes it away meanwhile.
 *
 *	count=N	so many sectors from sector first=N on (2048 from 0), in each round
 *	rounds=N	0: until something fails, which is then what is expected
 *	seed=N	of the first round's contents: word i of sector n holds
 *		(n * 128 + i) * 2654435761 + seed; each round adds 1 to the seed
 *	verify=1	the first round's contents are there already: only reads
 */
#include "guest.inc"

#define ST_ERR	0x01
#define ST_DRQ	0x08
#define ST_DF	0x20
#define ST_BSY	0x80
#define READ	0x20
#define WRITE	0x30
#define FLUSH	0xe7

	.text
kmain:
	mov	$2, %al			/* no interrupts */
	mov	$0x3f6, %edx
	out	%al, %dx
	OPTION	count, $2048
	mov	%eax, count
	OPTION	first, $0
	mov	%eax, first
	OPTION	rounds, $1
	mov	%eax, rounds
	OPTION	seed, $1
	mov	%eax, seed
	OPTION	verify, $0
	test	%eax, %eax
	jnz	only_read

	xor	%ebp, %ebp		/* rounds that are done */
1:	mov	$write_one, %eax
	call	all
	jc	failed
	mov	$FLUSH, %al
	call	command
	jc	failed
	mov	$read_one, %eax
	call	all
	jc	failed
	inc	%ebp
	cmp	$1, %ebp
	jne	2f
	PRINT	"one round\n"
2:	cmp	%ebp, rounds
	je	3f
	incl	seed
	jmp	1b
3:	PRINT	"rounds without an error: "
	PRINTD	%ebp
	PRINT	"\n"
	ret
only_read:
	mov	$read_one, %eax
	call	all
	jc	failed
	PRINT	"as written\n"
	ret

/* Carry: status and error register are in AX, or 0 if the contents differ. */
failed:
	test	%eax, %eax
	jz	1f
	PRINT	"failed: status "
	PRINTB	%eax
	mov	%ah, %al
	PRINT	", error "
	PRINTB	%eax
	PRINT	"\n"
	cmpl	$0, rounds
	je	guest_pass
	jmp	guest_fail
1:	PRINT	"other contents in sector "
	PRINTD	lba
	PRINT	"\n"
	jmp	guest_fail

/* all: EAX = what to do with each sector, which is in lba */
all:	push	%ecx
	mov	%eax, todo
	mov	first, %eax
	mov	%eax, lba
	mov	count, %ecx
1:	push	%ecx
	call	*todo
	pop	%ecx
	jc	2f
	incl	lba
	loop	1b
	clc
2:	pop	%ecx
	ret

/* make: the sector's contents into buffer */
make:	pusha
	mov	$buffer, %edi
	mov	lba, %ebx
	shl	$7, %ebx
	mov	$128, %ecx
1:	imul	$2654435761, %ebx, %eax
	add	seed, %eax
	stosl
	inc	%ebx
	loop	1b
	popa
	ret

write_one:
	call	make
	mov	$WRITE, %al
	call	sector_command
	jc	1f
	mov	$buffer, %esi
	mov	$256, %ecx
	mov	$0x1f0, %edx
	rep outsw
	call	wait
1:	ret

read_one:
	call	make
	mov	$READ, %al
	call	sector_command
	jc	1f
	mov	$back, %edi
	mov	$256, %ecx
	mov	$0x1f0, %edx
	rep insw
	mov	$buffer, %esi
	mov	$back, %edi
	mov	$128, %ecx
	repe cmpsl
	je	1f
	xor	%eax, %eax
	stc
	ret
1:	ret

/* sector_command: AL, for the sector in lba */
sector_command:
	push	%eax
	mov	$0x1f2, %edx
	mov	$1, %al
	out	%al, %dx
	mov	lba, %eax
	inc	%edx
	out	%al, %dx
	shr	$8, %eax
	inc	%edx
	out	%al, %dx
	shr	$8, %eax
	inc	%edx
	out	%al, %dx
	shr	$8, %eax
	or	$0xe0, %al
	inc	%edx
	out	%al, %dx
	pop	%eax
command:
	mov	$0x1f7, %edx
	out	%al, %dx
/* wait: until the drive is not busy; carry with status and error in AX if it failed */
wait:	mov	$0x3f6, %edx
1:	in	%dx, %al
	test	$ST_BSY, %al
	jnz	1b
	test	$ST_ERR | ST_DF, %al
	jnz	2f
	clc
	ret
2:	mov	%al, %cl
	mov	$0x1f1, %edx
	in	%dx, %al
	movzbl	%al, %eax
	shl	$8, %eax
	mov	%cl, %al
	stc
	ret

	.bss
	.align	4
count:	.long	0
first:	.long	0
rounds:	.long	0
seed:	.long	0
lba:	.long	0
todo:	.long	0
buffer:	.fill	512, 1, 0
back:	.fill	512, 1, 0

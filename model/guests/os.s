; SPDX-License-Identifier: BSD-2-Clause
; A tiny operating system with two processes, which take turns by asking for it. A process
; sees its own memory only, from address 0. It asks for a service by SVC:
;	SVC 0	print the character in its cell 0	SVC 1	end
;	SVC 2	let the other process run
; A process that traps for any other reason is ended, and an exclamation mark printed.

	.word	0			; old PSW
	.psw	supervisor, trap, 0, size
	LPSW	turn0			; cell 2: here the machine starts

trap:	MOV	saved, 0
	SHR	cause, saved, 48
	AND	cause, cause, byte
	EQ	t, cause, svc
	JZ	t, kill
	SHR	home, saved, 16		; the base of its R
	AND	home, home, half
	AND	at, saved, half		; its P
	ADD	at, at, home
	LOAD	insn, at
	SHR	insn, insn, 32
	AND	insn, insn, half	; the operand of SVC
	ADD	saved, saved, one	; go on after it
	JZ	insn, print
	EQ	t, insn, one
	JNZ	t, end
	EQ	t, insn, two
	JNZ	t, yield
kill:	SET	char, '!'
	SET	after, end
	JMP	put

print:	LOAD	char, home		; its cell 0
	SET	after, back
put:	ADD	console, console, one	; a character more
	ADD	at, console, buffer
	STORE	at, char
	JMPI	after
back:	LPSW	saved

; turn0 is the PSW of the process that runs, turn1 that of the other; 0 if it has ended.
end:	SET	saved, 0
yield:	MOV	t, turn1
	MOV	turn1, saved
	MOV	turn0, t
	JNZ	turn0, go
	MOV	turn0, turn1		; the other has ended: go on, if there is any
	SET	turn1, 0
	JZ	turn0, stop
go:	LPSW	turn0
stop:	HALT

turn0:	.psw	user, first, one_at, one_size
turn1:	.psw	user, second, two_at, two_size
saved:	.word	0
cause:	.word	0
home:	.word	0
at:	.word	0
insn:	.word	0
char:	.word	0
after:	.word	0
t:	.word	0
byte:	.word	255
half:	.word	65535
one:	.word	1
two:	.word	2
svc:	.word	4			; the cause
buffer:	.word	console			; one below the first character
console: .word	0
	.fill	40

; The first process prints its text, a character a turn.
one_at:
	.base
	.word	0			; the character to print
first:	LOAD	0, next
	JZ	0, out
	ADD	next, next, inc
	SVC	0
	SVC	2
	JMP	first
out:	SVC	1
next:	.word	text
inc:	.word	1
text:	.word	'h','e','l','l','o',0
bound1:
	.base	0
	.equ	one_size, bound1

; The second counts down, and then tries what it must not.
two_at:
	.base
	.word	0
second:	ADD	0, digit, zero
	SVC	0
	SUB	digit, digit, dec
	SVC	2
	JNZ	digit, second
	SETR	zero
	SVC	0			; never done
digit:	.word	3
dec:	.word	1
zero:	.word	48
bound2:
	.base	0
	.equ	two_size, bound2
size:

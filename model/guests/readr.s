; SPDX-License-Identifier: BSD-2-Clause
; A process that reads its R without a trap (hemi model run --with=readr), and finds it where its
; kernel has put it, or the monitor's kernel.

	.word	0
	.psw	supervisor, trap, 0, size
	LPSW	go
trap:	LOAD	t, answer		; what the process has read
	EQ	t, t, mine
	SET	letter, 'y'
	JNZ	t, stop
	SET	letter, 'n'
stop:	HALT
go:	.psw	user, 1, process, 3
t:	.word	0
answer:	.word	process
mine:	.psw	supervisor, 0, process, 3
console: .word	1
letter:	.word	0
process:
	.word	0
	READR	0
	SVC	0
size:

; SPDX-License-Identifier: BSD-2-Clause
; Reads the mode without a trap (hemi model run --with=readm): 0 on the bare machine.

	.word	0
	.psw	supervisor, stop, 0, size
	READM	mode
	SET	letter, 's'
	JZ	mode, stop
	SET	letter, 'u'
stop:	HALT
mode:	.word	0
console: .word	1
letter:	.word	0
size:

; SPDX-License-Identifier: BSD-2-Clause
; The PDP-10's JRST 1 (hemi model run --with=jrst1): into user mode, where HALT must trap. Under
; the monitor of Theorem 1 the virtual machine stays in supervisor mode, and halts.

	.word	0
	.psw	supervisor, trap, 0, size
	JRST1	user
trap:	SET	console, 2
	HALT
user:	HALT
console: .word	0
	.word	'o', 'k'
size:

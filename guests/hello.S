/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hello: ring 3 is reached and can call back. The shortest guest: everything
 * else depends on what it shows (SDM 3A 5.8.1, 6.12.1).
 */
#include "guest.inc"
kmain:
	mov	$user, %eax
	call	run_user
	cmpl	$0x80, trap + F_VEC
	jne	trap_panic
	PRINT	"hello from ring "
	PRINTD	$0
	PRINT	"\n"
	ret

	SECTION_USER
user:
	mov	%cs, %eax
	and	$3, %eax
	add	%al, 1f
	USER_PUTS "hello from ring "
	mov	$SYS_PUTS, %eax
	mov	$1f, %ebx
	int	$0x80
	USER_EXIT
1:	.asciz	"0\n"

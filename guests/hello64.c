/* SPDX-License-Identifier: BSD-2-Clause */
/* hello64: 64-bit ring 3 is reached and calls back. Every other 64-bit guest builds on it. */
#include "guest64.h"

UASM("user:	mov %cs, %eax\n"
     "	and $3, %eax\n"
     "	mov $0x123456789abcdef0, %r15\n"
     "	int $0x80\n");
extern const char user[];

void kmain(void)
{
	struct regs u = user_at(user);

	run_user(&u);
	say("hello from ring ", u.rax);
	sayx(", vector ", u.vec);
	sayx(", r15 ", u.r15);
	puts("\n");
}

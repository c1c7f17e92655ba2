/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smc64: 64-bit ring 3 changes code that it runs, in place, through an alias at the very top of
 * user space, and from page to page; and pages that were made read-only are copied when they
 * are written (copy on write), with the code in them. SDM 3A 11.6, 4.10.4.
 */
#include "guest64.h"

#define CODE	0x2aaaaaaab000ull
#define ALIAS	0x7fffffffe000ull
#define ROUNDS	500

/* RDI: code, RSI: where to write it, R13: rounds. mov $imm64, %rax; ret */
UASM("m_self: xor %r12d, %r12d\n"
     "	movw $0xb848, (%rsi)\n"
     "	movb $0xc3, 10(%rsi)\n"
     "1:	mov %r13, %rax\n"
     "	mov $0x9e3779b97f4a7c15, %rcx\n"
     "	imul %rcx, %rax\n"
     "	mov %rax, 2(%rsi)\n"
     "	mov %rax, %rbx\n"
     "	call *%rdi\n"
     "	cmp %rax, %rbx\n"
     "	je 2f\n"
     "	inc %r12\n"
     "2:	xorl $0x55, 4(%rsi)\n"		/* and only a part of it */
     "	mov $0x550000, %ecx\n"
     "	xor %rcx, %rbx\n"
     "	call *%rdi\n"
     "	cmp %rax, %rbx\n"
     "	je 3f\n"
     "	inc %r12\n"
     "3:	dec %r13\n"
     "	jnz 1b\n"
     "	int $0x80\n"
     /* The instruction that comes next, in the same page. */
     "m_next: xor %r12d, %r12d\n"
     "1:	mov %r13d, m_imm+1\n"
     "m_imm: mov $0, %eax\n"
     "	cmp %r13d, %eax\n"
     "	je 2f\n"
     "	inc %r12\n"
     "2:	dec %r13\n"
     "	jnz 1b\n"
     "	int $0x80\n"
     "m_call: call *%rdi\n"
     "	int $0x80\n");
extern const char m_self[], m_next[], m_call[];

static uint64_t *first, *root;

static struct regs go(const char *entry, uint64_t rdi, uint64_t rsi)
{
	struct regs u = user_at(entry);

	u.rdi = rdi;
	u.rsi = rsi;
	u.r13 = ROUNDS;
	run_user(&u);
	return u;
}

static void tell(const char *what, struct regs u)
{
	puts(what);
	say(": vec ", u.vec);
	say(", wrong ", u.r12);
	sayx(", rax ", u.rax);
	puts("\n");
}

/* Each space gets its own copy once it writes: as fork does. */
static void cow(void)
{
	uint64_t spaces[8], wrong = 0, copies = 0;

	for (unsigned i = 0; i < 8; i++) {
		uint64_t *r = page_alloc();

		r[0] = root[0];
		map(r, CODE, (uint64_t)(uintptr_t)first | PTE_P | PTE_U);
		spaces[i] = (uint64_t)(uintptr_t)r;
	}
	for (unsigned turn = 0; turn < 3; turn++)
		for (unsigned i = 0; i < 8; i++) {
			struct regs u = user_at(m_self);

			set_cr3(spaces[i]);
			u.rdi = u.rsi = CODE;
			u.r13 = i + 3;
			for (;;) {
				uint64_t *copy;

				run_user(&u);
				if (u.vec != 14)
					break;
				copies++;
				copy = page_alloc();
				memcpy(copy, first, 4096);
				map((uint64_t *)spaces[i], CODE, (uint64_t)(uintptr_t)copy | PTE_P | PTE_W | PTE_U);
				invlpg(CODE);
			}
			wrong += u.r12 + (u.vec != 0x80);
		}
	set_cr3((uint64_t)(uintptr_t)root);
	say("copies ", copies);
	say(", wrong ", wrong);
	sayx(", the original ", go(m_call, CODE, 0).rax);
	puts("\n");
}

void kmain(void)
{
	root = boot_pml4;
	first = page_alloc();
	map(root, CODE, (uint64_t)(uintptr_t)first | PTE_P | PTE_W | PTE_U);
	map(root, ALIAS, (uint64_t)(uintptr_t)first | PTE_P | PTE_W | PTE_U);
	tell("in place", go(m_self, CODE, CODE));
	tell("through an alias", go(m_self, CODE, ALIAS));
	tell("the alias runs", go(m_self, ALIAS, CODE));
	tell("the next instruction", go(m_next, 0, 0));
	cow();
}

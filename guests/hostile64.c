/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile64: 64-bit ring 3 tries to leave, and to disturb whoever runs it: calls of the host
 * system by all doors and in both modes, the vsyscall page, far transfers, segment bases, the
 * whole address space, floods of faults. All that may happen is an exception of the guest,
 * counted here by vector, with a sum of error codes. Arguments of would-be calls are harmless
 * even if a host took them. SDM 3A chapters 5 and 6.
 *
 * Command line: flood=20000, walk=4096 (pages of each walk)
 */
#include "guest64.h"

#define MAGIC	0x1ea7e		/* R15 in the INT 80h that really leaves */

USER uint64_t u_next, u_flood, u_walk;
USER char u_text[] = "ESCAPED";
static struct regs u;
static uint64_t counts[0x102], code_sum;

/*
 * Each entry counts what went through in R12; a fault, and a call that the kernel does not
 * know, goes on at u_next. ARGS: both conventions of write(1, text, 7).
 */
UASM("	.macro ARGS\n"
     "	mov $1, %edi\n"
     "	mov $u_text, %esi\n"
     "	mov %rsi, %rcx\n"
     "	mov $7, %edx\n"
     "	mov $1, %ebx\n"
     "	.endm\n"
     "	.macro NEXT_IS label\n"
     "	movq $\\label, u_next\n"
     "	.endm\n"
     "	.macro LEAVE\n"
     "	mov $0x1ea7e, %r15d\n"
     "	int $0x80\n"
     "	.endm\n"
     "	.macro NUMBERS how:vararg\n"	/* 0-511, and the x32 ones */
     "	xor %r12d, %r12d\n"
     "	xor %ebp, %ebp\n"
     "	NEXT_IS 2f\n"
     "1:	mov %ebp, %eax\n"
     "	ARGS\n"
     "	\\how\n"
     "	inc %r12\n"
     "2:	inc %ebp\n"
     "	cmp $512, %ebp\n"
     "	jne 3f\n"
     "	mov $0x40000000, %ebp\n"
     "3:	cmp $0x40000220, %ebp\n"
     "	jb 1b\n"
     "	LEAVE\n"
     "	.endm\n"

     "h_syscall: NUMBERS syscall\n"
     "h_int80:	NUMBERS int $0x80\n"
     "h_sysenter: NUMBERS sysenter\n"
     "h_vsyscall:\n"			/* gettimeofday, time, getcpu, and what lies between */
     "	xor %r12d, %r12d\n"
     "	mov $0xffffffffff600000, %rbp\n"
     "	NEXT_IS 2f\n"
     "1:	mov $u_text, %edi\n"
     "	xor %esi, %esi\n"
     "	xor %edx, %edx\n"
     "	call *%rbp\n"
     "	inc %r12\n"
     "2:	mov $h_stack, %esp\n"
     "	NEXT_IS 3f\n"
     "	mov (%rbp), %rax\n"
     "	inc %r12\n"
     "3:	NEXT_IS 2b\n"
     "	NEXT_IS 4f\n"
     "	mov %rax, (%rbp)\n"
     "	inc %r12\n"
     "4:	NEXT_IS 2b\n"
     "	add $0x100, %rbp\n"
     "	cmp $-0x9ff000, %rbp\n"
     "	jb 1b\n"
     "	LEAVE\n"

     /* 64 -> 32 -> 64 bits by far jump through memory, RETF and IRETQ, and calls there */
     "	.macro CALLS32\n"
     "	.code32\n"
     "	mov $4, %eax\n"
     "	mov $1, %ebx\n"
     "	mov $u_text, %ecx\n"
     "	mov $7, %edx\n"
     "	int $0x80\n"
     "	.code64\n"
     "	.endm\n"
     "h_modes:\n"
     "	xor %r12d, %r12d\n"
     "	mov $100, %ebp\n"
     "1:	NEXT_IS 9f\n"
     "	mov $h_stack, %esp\n"
     "	ljmpl *h_far32\n"
     "h_in32:\n"
     "	.code32\n"
     "	NOP\n"
     "	mov %cs, %eax\n"
     "	ljmp $0x2b, $2f\n"
     "	.code64\n"
     "2:	inc %r12\n"
     "	push $0x1b\n"
     "	push $3f\n"
     "	lretq\n"
     "3:	.code32\n"
     "	push $0x2b\n"
     "	push $4f\n"
     "	lret\n"
     "	.code64\n"
     "4:	inc %r12\n"
     "	mov %rsp, %rax\n"
     "	push $0x23\n"
     "	push %rax\n"
     "	pushfq\n"
     "	push $0x1b\n"
     "	push $5f\n"
     "	iretq\n"
     "5:	.code32\n"
     "	pushfl\n"
     "	push $0x2b\n"
     "	push $6f\n"
     "	iret\n"
     "	.code64\n"
     "6:	inc %r12\n"
     "	jmp 10f\n"
     "9:	add $1000000, %r12\n"
     "10:	dec %ebp\n"
     "	jnz 1b\n"
     "	LEAVE\n"
     "	.align 8\n"
     "h_far32: .long h_in32\n"
     "	.word 0x1b\n"

     "h_compat:\n"			/* INT 80h of 32-bit code, all numbers; entered with CS = 1b */
     "	.code32\n"
     "	xor %ebp, %ebp\n"
     "	movl $2f, u_next\n"
     "1:	mov %ebp, %eax\n"
     "	mov $1, %ebx\n"
     "	mov $u_text, %ecx\n"
     "	mov $7, %edx\n"
     "	int $0x80\n"
     "	ud2\n"
     "2:	inc %ebp\n"
     "	cmp $512, %ebp\n"
     "	jb 1b\n"
     "	ljmp $0x2b, $3f\n"
     "	.code64\n"
     "3:	xor %r12d, %r12d\n"
     "	LEAVE\n"
     "h_compat_enter:\n"		/* SYSENTER of 32-bit code: up to the maker of the processor */
     "	.code32\n"
     "	xor %ebp, %ebp\n"
     "	movl $2f, u_next\n"
     "1:	mov %ebp, %eax\n"
     "	mov %esp, %ebp\n"
     "	xchg %eax, %ebp\n"
     "	mov %ebp, %eax\n"
     "	sysenter\n"
     "	ud2\n"
     "2:	inc %ebp\n"
     "	cmp $512, %ebp\n"
     "	jb 1b\n"
     "	ljmp $0x2b, $3f\n"
     "	.code64\n"
     "3:	xor %r12d, %r12d\n"
     "	LEAVE\n"

     /* All 65536 selectors into each data register; what may be loaded is counted. */
     "	.macro LOAD reg\n"
     "	NEXT_IS 2f\n"
     "	xor %ebp, %ebp\n"
     "1:	mov %ebp, %\\reg\n"
     "	inc %r12\n"
     "2:	inc %ebp\n"
     "	cmp $0x200, %ebp\n"
     "	jbe 3f\n"
     "	add $60, %ebp\n"
     "3:	cmp $0x10000, %ebp\n"
     "	jb 1b\n"
     "	.endm\n"
     "h_selectors:\n"
     "	xor %r12d, %r12d\n"
     "	LOAD es\n"
     "	LOAD ds\n"
     "	LOAD fs\n"
     "	LOAD gs\n"
     "	xor %eax, %eax\n"
     "	mov %eax, %es\n"
     "	mov %eax, %ds\n"
     "	mov %eax, %fs\n"
     "	mov %eax, %gs\n"
     "	LEAVE\n"

     "h_fsgs:	xor %r12d, %r12d\n"	/* CR4.FSGSBASE is clear: #UD, though the host may have it */
     "	NEXT_IS 1f\n"
     "	mov $0x7fffffffd000, %rax\n"
     "	wrfsbase %rax\n"
     "	inc %r12\n"
     "1:	NEXT_IS 2f\n"
     "	wrgsbase %rax\n"
     "	inc %r12\n"
     "2:	NEXT_IS 3f\n"
     "	rdfsbase %rax\n"
     "	inc %r12\n"
     "3:	NEXT_IS 4f\n"
     "	rdgsbase %rax\n"
     "	inc %r12\n"
     "4:	NEXT_IS 5f\n"
     "	swapgs\n"
     "	inc %r12\n"
     "5:	LEAVE\n"

     /* The address space: each power of two, both halves, its neighbours; then page by page
      * downwards from the top of the user half. RBX: 0 reads, 1 writes, 2 executes. */
     "h_touch:\n"
     "	cmp $1, %ebx\n"
     "	jb 1f\n"
     "	ja 2f\n"
     "	movq $-1, (%rbp)\n"
     "	ret\n"
     "1:	mov (%rbp), %rax\n"
     "	ret\n"
     "2:	jmp *%rbp\n"
     "h_space:\n"
     "	xor %r12d, %r12d\n"
     "	mov $22, %r13d\n"
     "1:	mov $1, %eax\n"
     "	mov %r13d, %ecx\n"
     "	shl %cl, %rax\n"
     "	lea -4096(%rax), %r14\n"
     "2:	mov $h_stack, %esp\n"
     "	NEXT_IS 3f\n"
     "	mov %r14, %rbp\n"
     "	call h_touch\n"
     "	inc %r12\n"
     "3:	mov $h_stack, %esp\n"
     "	NEXT_IS 4f\n"
     "	mov %r14, %rbp\n"
     "	neg %rbp\n"
     "	call h_touch\n"
     "	inc %r12\n"
     "4:	mov $1, %eax\n"
     "	mov %r13d, %ecx\n"
     "	shl %cl, %rax\n"
     "	add $4096, %r14\n"
     "	add $4096, %rax\n"
     "	cmp %rax, %r14\n"
     "	jbe 2b\n"
     "	inc %r13d\n"
     "	cmp $64, %r13d\n"
     "	jb 1b\n"
     "	mov $0x800000000000, %rbp\n"
     "	mov u_walk, %r13\n"
     "5:	mov $h_stack, %esp\n"
     "	NEXT_IS 6f\n"
     "	sub $4096, %rbp\n"
     "	call h_touch\n"
     "	inc %r12\n"
     "6:	dec %r13\n"
     "	jnz 5b\n"
     "	mov $h_stack, %esp\n"
     "	LEAVE\n"

     "h_floods:\n"
     "	xor %r12d, %r12d\n"
     "	mov u_flood, %rbp\n"
     "1:	NEXT_IS 2f\n"
     "	mov 0x40000000, %eax\n"
     "2:	NEXT_IS 3f\n"
     "	ud2\n"
     "3:	NEXT_IS 4f\n"
     "	hlt\n"
     "4:	NEXT_IS 5f\n"
     "	xor %eax, %eax\n"
     "	div %eax\n"
     "5:	NEXT_IS 6f\n"
     "	mov $0x8000000000000000, %rax\n"
     "	mov (%rax), %eax\n"
     "6:	NEXT_IS 7f\n"
     "	int3\n"
     "7:	inc %r12\n"
     "	sub $8, %rbp\n"
     "	ja 1b\n"
     "	LEAVE\n"

     "h_stacks:\n"			/* the stack pointer is the user's own affair */
     "	xor %r12d, %r12d\n"
     "	mov $63, %r13d\n"
     "1:	mov $1, %eax\n"
     "	mov %r13d, %ecx\n"
     "	shl %cl, %rax\n"
     "	mov %rax, %rsp\n"
     "	mov %rax, %rbp\n"
     "	NEXT_IS 2f\n"
     "	ud2\n"
     "2:	cmp %rbp, %rsp\n"
     "	jne 3f\n"
     "	inc %r12\n"
     "3:	NEXT_IS 4f\n"
     "	push %rax\n"
     "4:	cmp %rbp, %rsp\n"
     "	jne 5f\n"
     "	inc %r12\n"
     "5:	dec %r13d\n"
     "	cmp $22, %r13d\n"
     "	ja 1b\n"
     "	mov $h_stack, %esp\n"
     "	LEAVE\n"
     "	.align 16\n"
     "	.fill 4096, 1, 0\n"
     "h_stack: .quad 0\n");
extern const char h_syscall[], h_int80[], h_sysenter[], h_vsyscall[], h_modes[], h_compat[],
	h_compat_enter[], h_selectors[], h_fsgs[], h_space[], h_floods[], h_stacks[], h_stack[];

static void phase(const char *name, const char *entry, uint16_t cs, uint64_t rbx)
{
	memset(counts, 0, sizeof(counts));
	code_sum = 0;
	u = user_at(entry);
	u.cs = cs;
	u.rbx = rbx;
	u.rsp = (uint64_t)(uintptr_t)h_stack;
	for (;;) {
		run_user(&u);
		if (u.vec == 0x80 && u.r15 == MAGIC && u.cs == UCODE64)
			break;
		counts[u.vec]++;
		code_sum += u.err;
		if (u.vec >= VEC_SYSCALL) {
			u.cs = cs;
			u.ss = UDATA;
			u.rfl = 0x202;
			if (u.vec == VEC_SYSENTER)
				u.rsp = (uint64_t)(uintptr_t)h_stack;
		} else if (u.vec != 0x80) {
			u.cs = cs;
			u.ss = UDATA;
			u.rfl &= ~0x14500ull;
		}
		u.rip = u_next;
	}
	puts(name);
	say(": ok ", u.r12);
	for (unsigned i = 0; i < 0x102; i++)
		if (counts[i]) {
			puts(", vec ");
			putx(i, 3);
			say(" ", counts[i]);
		}
	sayx(", sum ", code_sum);
	puts("\n");
}

void kmain(void)
{
	u_flood = option("flood", 20000);
	u_walk = option("walk", 4096);
	phase("syscall, EFER.SCE clear", (wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~1ull), h_syscall), UCODE64, 0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1);
	wrmsr(MSR_STAR, 0x0018000800000000);
	wrmsr(MSR_LSTAR, (uint64_t)(uintptr_t)entry_syscall);
	wrmsr(MSR_CSTAR, (uint64_t)(uintptr_t)entry_compat);
	wrmsr(MSR_FMASK, 0x47700);
	phase("syscall", h_syscall, UCODE64, 0);
	phase("int 80h", h_int80, UCODE64, 0);
	phase("vsyscall page", h_vsyscall, UCODE64, 0);
	phase("to 32 bits and back", h_modes, UCODE64, 0);
	phase("int 80h of 32-bit code", h_compat, UCODE32, 0);
	phase("sysenter of 32-bit code, not set up", h_compat_enter, UCODE32, 0);
	phase("sysenter, not set up", h_sysenter, UCODE64, 0);
	phase("all selectors", h_selectors, UCODE64, 0);
	phase("segment bases", h_fsgs, UCODE64, 0);
	phase("read everything", h_space, UCODE64, 0);
	phase("write everything", h_space, UCODE64, 1);
	phase("execute everything", h_space, UCODE64, 2);
	phase("floods", h_floods, UCODE64, 0);
	phase("bad stacks", h_stacks, UCODE64, 0);
	/* One page everywhere: the tables lead back to themselves, so the whole user half is there. */
	{
		uint64_t *pt = page_alloc(), *pd = page_alloc(), *pdpt = page_alloc();
		uint64_t page = (uint64_t)(uintptr_t)page_alloc() | PTE_P | PTE_W | PTE_U;

		for (unsigned i = 0; i < 512; i++) {
			pt[i] = page;
			pd[i] = (uint64_t)(uintptr_t)pt | PTE_P | PTE_W | PTE_U;
			pdpt[i] = (uint64_t)(uintptr_t)pd | PTE_P | PTE_W | PTE_U;
		}
		for (unsigned i = 1; i < 256; i++)
			boot_pml4[i] = (uint64_t)(uintptr_t)pdpt | PTE_P | PTE_W | PTE_U;
		set_cr3(cr3());
	}
	u_walk = 64;
	phase("read what is everywhere", h_space, UCODE64, 0);
	phase("write what is everywhere", h_space, UCODE64, 1);
}

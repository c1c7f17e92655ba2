/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exceptions64: what 64-bit (and some compatibility) code of ring 3 can raise: vector, error
 * code, RIP as an offset into the case, CR2; non-canonical addresses, the last page of the user
 * half, interrupt stacks by IST. SDM 3A 3.3.7.1, 6.14.5, 6.15; 2A-2D for each instruction.
 */
#include "guest64.h"

#define CASES \
	CASE(div, "xor %ecx, %ecx; div %rcx") \
	CASE(idiv, "mov $0x8000000000000000, %rax; cqo; mov $-1, %rcx; idiv %rcx") \
	CASE(int3, "int3") \
	CASE(int3_long, ".byte 0xcd, 3") \
	CASE(int4, "int $4") \
	CASE(into, ".byte 0xce") \
	CASE(bound, ".byte 0x62, 0x05, 0, 0, 0, 0") \
	CASE(aam, ".byte 0xd4, 10") \
	CASE(daa, ".byte 0x27") \
	CASE(pusha, ".byte 0x60") \
	CASE(push_cs, ".byte 0x0e") \
	CASE(pop_ds, ".byte 0x1f") \
	CASE(les, ".byte 0xc4, 0x00") \
	CASE(ljmp_direct, ".byte 0xea, 0, 0, 0, 0, 0x2b, 0") \
	CASE(lcall_direct, ".byte 0x9a, 0, 0, 0, 0, 0x2b, 0") \
	CASE(ud2, "ud2") \
	CASE(lock_reg, ".byte 0xf0, 0x48, 0x01, 0xc0") \
	CASE(mov_cs, ".byte 0x8e, 0xc8") \
	CASE(hlt, "hlt") \
	CASE(cli, "cli") \
	CASE(in, "in $0x70, %al") \
	CASE(out, "out %al, $0x80") \
	CASE(mov_cr8, "mov %cr8, %rax") \
	CASE(mov_cr3, "mov %rax, %cr3") \
	CASE(mov_dr7, "mov %dr7, %rax") \
	CASE(rdmsr, "mov $0xc0000080, %ecx; rdmsr") \
	CASE(wrmsr, "mov $0xc0000100, %ecx; wrmsr") \
	CASE(swapgs, "swapgs") \
	CASE(sysretq, "sysretq") \
	CASE(invlpg, "invlpg (%rax)") \
	CASE(lgdt, "lgdt (%rsp)") \
	CASE(int_kernel, "int $0x20") \
	CASE(long_insn, ".fill 15, 1, 0x66; nop") \
	CASE(read_high, "mov $0x800000000000, %rax; mov (%rax), %eax") \
	CASE(write_high, "mov $0xffff7fffffffffff, %rax; mov %al, (%rax)") \
	CASE(read_high_stack, "mov $0x8000000000000000, %rbp; mov (%rbp), %eax") \
	CASE(push_high, "mov $0x800000000008, %rsp; push %rax") \
	CASE(push_edge, "mov $0x800000000000, %rsp; push %rax") \
	CASE(pop_high, "mov $0x800000000000, %rsp; pop %rax") \
	CASE(call_high, "mov $0x800000000000, %rax; call *%rax") \
	CASE(jmp_high, "mov $0x800000000000, %rax; jmp *%rax") \
	CASE(ret_high, "mov $0x8000000000000000, %rax; push %rax; ret") \
	CASE(straddle_high, "mov $0x7ffffffffffd, %rax; mov (%rax), %eax") \
	CASE(run_to_edge, "mov $0x7fffffffffff, %rax; jmp *%rax") \
	CASE(run_at_edge, "mov $0x7ffffffffffe, %rax; jmp *%rax") \
	CASE(kernel_half, "mov $0xffff800000000000, %rax; mov (%rax), %eax") \
	CASE(vsyscall, "mov $0xffffffffff600000, %rax; call *%rax") \
	CASE(read_absent, "mov $0x123456789000, %rax; mov 8(%rax), %eax") \
	CASE(write_absent, "mov $0x123456789000, %rax; mov %eax, 8(%rax)") \
	CASE(run_absent, "mov $0x123456789000, %rax; jmp *%rax") \
	CASE(run_nx, "mov $0x40001000, %eax; jmp *%rax") \
	CASE(write_ro, "mov $0x40002000, %eax; mov %eax, (%rax)") \
	CASE(read_super, "mov 0x200000, %eax") \
	CASE(read_reserved, "mov $0x40003000, %eax; mov (%rax), %eax") \
	CASE(movaps, "movaps ustart+4(%rip), %xmm0") \
	CASE(cmpxchg16b, "lea ustart+8(%rip), %rdi; cmpxchg16b (%rdi)") \
	CASE(mov_ss_null, "xor %eax, %eax; mov %eax, %ss") \
	CASE(mov_ds_kernel, "mov $0x10, %eax; mov %eax, %ds") \
	CASE(mov_ds_null, "xor %eax, %eax; mov %eax, %ds; mov ustart, %eax; int $0x80") \
	CASE(ljmp_kernel, "push $8; push $0; lretq") \
	CASE(lret_high, "push $0x2b; mov $0x800000000000, %rax; push %rax; lretq") \
	CASE(iretq_kernel, "push $0x10; push %rsp; pushfq; push $8; push $0; iretq") \
	CASE(iretq_null_ss, "mov %rsp, %rax; push $0; push %rax; pushfq; push $0x2b; push $1f; iretq; 1: int $0x80") \
	CASE(iretq_null_ss3, "mov %rsp, %rax; push $3; push %rax; pushfq; push $0x2b; push $1f; iretq; 1: int $0x80") \
	CASE(code_l_and_d, "push $0x43; push $1f; lretq; 1: int $0x80") \
	CASE(trap_flag, "pushfq; orl $0x100, (%rsp); popfq; nop; nop; int $0x80") \
	CASE(ac, "pushfq; orl $0x40000, (%rsp); popfq; mov ustart+1(%rip), %eax; int $0x80") \
	CASE(fdiv, "fldcw ucw(%rip); fld1; fldz; fdivrp; fwait; int $0x80") \
	CASE(divps, "ldmxcsr umx(%rip); xorps %xmm0, %xmm0; divps %xmm0, %xmm0; int $0x80") \
	CASE(int80, "int $0x80")

UASM("ustart: .quad 0, 0, 0, 0\nucw: .word 0x37b, 0\numx: .long 0\n");
#define CASE(name, code) UASM(".align 16\ncase_" #name ":\n" code "\n");
CASES
#undef CASE
#define CASE(name, code) extern const char case_##name[];
CASES
#undef CASE
static const struct { const char *name, *entry; } cases[] = {
#define CASE(name, code) { #name, case_##name },
	CASES
#undef CASE
};
static uint8_t ist_stack[2][4096] __attribute__((aligned(16)));
extern uint16_t idt[];

static void show(const char *name, const char *entry, const struct regs *u)
{
	uint64_t at = u->rip - (uint64_t)(uintptr_t)entry;

	putx(u->vec, 2);
	puts(" ");
	putx(u->err, 8);
	if (at < 256) {
		puts(" +");
		putx(at, 2);
		puts("          ");
	} else {
		sayx(" ", u->rip);
	}
	puts("  ");
	puts(name);
	if (u->vec == 14)
		sayx(", cr2 ", cr2());
	puts("\n");
}

/* Where the frame was pushed: IST stacks 1 and 2, or the TSS's for ring 0. */
static void ist(const char *name, const char *entry)
{
	struct regs u = user_at(entry);

	run_user(&u);
	puts(name);
	for (unsigned i = 0; i < 2; i++)
		if (trap_rsp - (uint64_t)(uintptr_t)ist_stack[i] < sizeof(ist_stack[i])) {
			say(": IST ", i + 1);
			say(", frame ends ", (uint64_t)(uintptr_t)ist_stack[i + 1] - trap_rsp);
			puts("\n");
			return;
		}
	puts(": RSP0\n");
}

void kmain(void)
{
	asm volatile("mov %%cr0, %%rax; or $0x40000, %%rax; mov %%rax, %%cr0" : : : "rax");
	gdt[8] = 0x00effb000000ffff;	/* 40: code with L and D */
	map(boot_pml4, 0x40001000, (uint64_t)(uintptr_t)page_alloc() | PTE_P | PTE_U | PTE_NX);
	map(boot_pml4, 0x40002000, (uint64_t)(uintptr_t)page_alloc() | PTE_P | PTE_U);
	map(boot_pml4, 0x40003000, (uint64_t)(uintptr_t)page_alloc() | PTE_P | PTE_U | 1ull << 51);
	uint8_t *last = (uint8_t *)page_alloc();

	map(boot_pml4, 0x7ffffffff000, (uint64_t)(uintptr_t)last | PTE_P | PTE_W | PTE_U);
	puts("vec err  rip           what\n");
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct regs u = user_at(cases[i].entry);

		memset(last, 0x90, 4096);	/* NOP up to the end of the user half */
		run_user(&u);
		show(cases[i].name, cases[i].entry, &u);
		asm volatile("fninit; mov %0, %%dr6" : : "r"(0ull));
	}
	for (unsigned i = 0; i < 2; i++)
		*(uint64_t *)(tss + 36 + 8 * i) = (uint64_t)(uintptr_t)ist_stack[i] + 4096;
	idt[6 * 8 + 2] |= 1;
	idt[14 * 8 + 2] |= 2;
	idt[0x80 * 8 + 2] |= 2;
	ist("ud2", case_ud2);
	ist("page fault", case_read_absent);
	ist("int 80h", case_int80);
	ist("hlt", case_hlt);
}

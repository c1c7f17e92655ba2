/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * segments64: what is left of segmentation in long mode. FS and GS bases by MSR and by selector,
 * limits that count in compatibility mode alone, an LDT, null SS at CPL 3, code of all
 * widths, 32-bit code just below 4 GiB. SDM 3A 3.4.4, 5.2.1, 5.8.3.1.
 */
#include "guest64.h"

/* 43: 32-bit data, base 0xfffff000; 4b: limit 0xf; 0f: the same in the LDT */
#define SEL16		0x53	/* 16-bit code */
#define SEL_LDT		0x60	/* 16 bytes */

UASM("g_bases: mov %fs:0, %rax\n"
     "	mov %gs:8, %rbx\n"
     "	int $0x80\n"
     "g_far:	mov %fs:-8, %rax\n"		/* the offset wraps within 64 bits */
     "	int $0x80\n"
     "g_sel:	mov $0x4b, %eax\n"		/* limits do not count in 64-bit code */
     "	mov %eax, %ds\n"
     "	mov g_data+24, %rax\n"
     "	mov $0x4b, %ecx\n"
     "	mov %ecx, %fs\n"
     "	mov %fs:24, %rbx\n"
     "	int $0x80\n"
     "g_selfs: mov $0x23, %eax\n"		/* a load replaces what the MSR held */
     "	mov %eax, %fs\n"
     "	mov %fs:g_data+16, %rax\n"
     "	xor %ebx, %ebx\n"
     "	int $0x80\n"
     "g_ldt:	mov $0x0f, %eax\n"
     "	mov %eax, %gs\n"
     "	mov %gs:8, %rax\n"
     "	int $0x80\n"
     "g_ss:	mov %rsp, %rdi\n"
     "	mov $0x23, %eax\n"
     "	mov %eax, %ss\n"
     "	push %rax\n"
     "	pop %rbx\n"
     "	int $0x80\n"
     "	.code32\n"
     "s_small: mov $0x4b, %eax\n"
     "	mov %eax, %fs\n"
     "	mov %fs:12, %ebx\n"
     "	mov %fs:13, %ebx\n"
     "	int $0x80\n"
     "s_high: mov $0x43, %eax\n"		/* base + offset wraps at 4 GiB */
     "	mov %eax, %es\n"
     "	mov %es:g_data+0x1000, %eax\n"
     "	int $0x80\n"
     "s_null: xor %eax, %eax\n"
     "	mov %eax, %es\n"
     "	mov %es:g_data, %eax\n"
     "	int $0x80\n"
     "s_gs:	mov %gs:8, %eax\n"
     "	int $0x80\n"
     "s_ldt: mov $0x0f, %eax\n"
     "	mov %eax, %gs\n"
     "	mov %gs:8, %eax\n"
     "	mov %gs:16, %ebx\n"
     "	int $0x80\n"
     "s_ss0: xor %eax, %eax\n"
     "	mov %eax, %ss\n"
     "	int $0x80\n"
     "s_rex: xor %eax, %eax\n"			/* 40h: INC here, a prefix in 64-bit code */
     "	.byte 0x40\n"
     "	nop\n"
     "	int $0x80\n"
     "	.code16\n"
     "s_16:	mov $0x1234, %ax\n"
     "	int $0x80\n"
     "	.code64\n"
     "	.align 16\n"
     "g_data: .quad 0x1111, 0x2222, 0x3333, 0x4444\n");
extern const char g_bases[], g_far[], g_sel[], g_selfs[], g_ldt[], g_ss[], s_small[], s_high[], s_null[], s_gs[],
	s_ldt[], s_ss0[], s_rex[], s_16[], g_data[];

static uint64_t ldt[2];

static void once(const char *what, uint64_t entry, uint16_t cs, uint16_t ss)
{
	struct regs u = user_at((const void *)(uintptr_t)entry);

	u.cs = cs;
	u.ss = ss;
	run_user(&u);
	puts(what);
	puts(": vec ");
	putx(u.vec, 2);
	puts(" err ");
	putx(u.err, 4);
	puts(" at +");
	putx(u.rip - entry, 3);
	sayx(" rax ", u.rax);
	sayx(" rbx ", u.rbx);
	puts(" cs ");
	putx(u.cs, 2);
	puts("\n");
	wrmsr(MSR_FS, (uint64_t)(uintptr_t)g_data);
	wrmsr(MSR_GS, (uint64_t)(uintptr_t)g_data);
}

static uint64_t desc(uint32_t base, uint32_t limit, uint32_t attr)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attr & 0xff) << 40 |
	       (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)(attr >> 12 & 15) << 52 |
	       (uint64_t)(base >> 24) << 56;
}

#define AT(label) ((uint64_t)(uintptr_t)(label))

void kmain(void)
{
	uint64_t *high = page_alloc();

	gdt[8] = desc(0xfffff000, 0xfffff, 0xc0f3);
	gdt[9] = desc((uint32_t)AT(g_data), 0xf, 0x40f3);
	gdt[10] = desc(0, 0xfffff, 0x80fb);
	gdt[12] = desc((uint32_t)AT(ldt), 15, 0x0082);
	gdt[13] = 0;
	ldt[1] = desc((uint32_t)AT(g_data), 0xf, 0x40f3);
	asm volatile("lldt %w0" : : "r"(SEL_LDT));
	wrmsr(MSR_FS, AT(g_data));
	wrmsr(MSR_GS, AT(g_data));
	once("bases", AT(g_bases), UCODE64, UDATA);
	wrmsr(MSR_FS, AT(g_data) + 16);
	once("negative offset", AT(g_far), UCODE64, UDATA);
	wrmsr(MSR_FS, 0x7ffffffff000);
	once("base at the end of the user half", AT(g_bases), UCODE64, UDATA);
	wrmsr(MSR_FS, 0xffff888000000000);
	once("base in the kernel's half", AT(g_bases), UCODE64, UDATA);
	once("limits ignored", AT(g_sel), UCODE64, UDATA);
	once("fs by selector", AT(g_selfs), UCODE64, UDATA);
	once("gs from the LDT", AT(g_ldt), UCODE64, UDATA);
	once("ss loaded", AT(g_ss), UCODE64, UDATA);
	once("32-bit: limit of fs", AT(s_small), UCODE32, UDATA);
	once("32-bit: wraps at 4 GiB", AT(s_high), UCODE32, UDATA);
	once("32-bit: null es", AT(s_null), UCODE32, UDATA);
	once("32-bit: base of gs by MSR", AT(s_gs), UCODE32, UDATA);
	once("32-bit: LDT and its limit", AT(s_ldt), UCODE32, UDATA);
	once("32-bit: null ss", AT(s_ss0), UCODE32, UDATA);
	once("32-bit: inc", AT(s_rex), UCODE32, UDATA);
	once("64-bit: the same bytes", AT(s_rex), UCODE64, UDATA);
	once("16-bit code", AT(s_16), SEL16, UDATA);
	/* The last page below 4 GiB, of 32-bit code, and what runs off its end. */
	map(boot_pml4, 0xfffff000, AT(high) | PTE_P | PTE_W | PTE_U);
	memset(high, 0x90, 4096);
	memcpy(high, s_rex, 8);
	once("32-bit: last page", 0xfffff000, UCODE32, UDATA);
	memset(high, 0x90, 4096);
	once("32-bit: off the end of 4 GiB", 0xfffff000, UCODE32, UDATA);
	map(boot_pml4, 0x100000000, AT(high) | PTE_P | PTE_W | PTE_U);
	memcpy(high, s_rex, 8);
	once("64-bit: across 4 GiB", 0xffffffff, UCODE64, UDATA);
}

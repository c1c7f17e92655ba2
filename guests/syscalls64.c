/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * syscalls64: what SYSCALL, SYSRET, SWAPGS, INT 80h and SYSENTER promise, from 64-bit and from
 * compatibility code: RCX, R11, FMASK, the selectors, the bases; what must be kept is kept.
 * Not compared, as ring3 shows its own (QUIRKS): bit 2 of selectors read, bits 63:32 of RAX at
 * INT 80h, RCX and R11 at a SYSCALL that is #UD.
 * SDM 2B SYSCALL, SYSENTER, SYSRET; 3A 5.8.7, 5.8.8.
 */
#include "guest64.h"

UASM("s_many:	mov $1000, %ebp\n"
     "	xor %r15d, %r15d\n"
     "1:	mov $0x1111222233334444, %rbx\n"
     "	mov $0x5555666677778888, %rdx\n"
     "	mov %rsp, %r12\n"
     "	mov %ebp, %eax\n"
     "	push $0x8d7\n"			/* CF PF AF ZF SF OF */
     "	popfq\n"
     "	syscall\n"
     "2:	pushfq\n"
     "	pop %r13\n"
     "	cmp $2b, %rcx\n"
     "	jne 8f\n"
     "	cmp %r11, %r13\n"
     "	jne 8f\n"
     "	cmp $0xad7, %r13\n"
     "	jne 8f\n"
     "	lea 1(%rbp), %r14\n"
     "	cmp %r14, %rax\n"
     "	jne 8f\n"
     "	cmp %rsp, %r12\n"
     "	jne 8f\n"
     "	mov $0x1111222233334444, %r14\n"
     "	cmp %r14, %rbx\n"
     "	jne 8f\n"
     "	mov $0x5555666677778888, %r14\n"
     "	cmp %r14, %rdx\n"
     "	je 9f\n"
     "8:	inc %r15\n"
     "9:	dec %ebp\n"
     "	jnz 1b\n"
     "	int $0x80\n"

     "s_once: mov $0x1234567890abcdef, %rax\n"
     "	mov $-1, %rcx\n"
     "	mov $-1, %r11\n"
     "	syscall\n"
     "s_after: mov %cs, %eax\n"
     "	mov %ss, %ebx\n"
     "	int $0x80\n"
     "s_int80: mov $0x1234567890abcdef, %rax\n"
     "	mov $0xfedcba0987654321, %rcx\n"
     "	mov $0x1122334455667788, %r11\n"
     "	int $0x80\n"
     "s_swapgs: swapgs\n"
     "	int $0x80\n"
     "s_gs:	mov %gs:8, %rax\n"
     "	mov %fs:16, %rbx\n"
     "	int $0x80\n"
     "s_sysenter: mov $0x99, %ecx\n"
     "	sysenter\n"
     "	int $0x80\n"
     /* A page of its own, which is found to hold 32-bit code when it first runs: hosts may lose
      * the address of a SYSCALL there, which needs a guard, and guards in 64-bit code none. */
     "	.balign 4096\n"
     "	.code32\n"
     "c_int80: mov $0xffffffff, %eax\n"
     "	mov $0x87654321, %ecx\n"
     "	int $0x80\n"
     "c_syscall: mov $0x55, %eax\n"
     "	mov $0x66, %ecx\n"
     "	syscall\n"
     "	int $0x80\n"
     "c_sysenter: mov $0x77, %eax\n"
     "	mov %esp, %ebp\n"
     "	sysenter\n"
     "	int $0x80\n"
     "c_after: mov %cs, %eax\n"
     "	mov %ss, %ebx\n"
     "	int $0x80\n"
     "	.balign 4096\n"
     "	.code64\n");
extern const char s_many[], s_once[], s_after[], s_int80[], s_swapgs[], s_gs[], s_sysenter[],
	c_int80[], c_syscall[], c_sysenter[], c_after[];

USER static uint64_t ugs[4] = { 10, 11, 12, 13 }, ufs[4] = { 20, 21, 22, 23 };

static void show(const char *what, const struct regs *u, const char *from)
{
	puts(what);
	puts(": vec ");
	putx(u->vec, 3);
	say(" err ", u->err);
	if (u->vec < VEC_SYSENTER)
		say(" at +", u->rip - (uint64_t)(uintptr_t)from);
	puts(" eax ");
	putx(u->rax, 8);
	if (u->vec != 6) {
		sayx(" rcx ", u->vec == VEC_SYSCALL ? u->rcx - (uint64_t)(uintptr_t)from : u->rcx);
		sayx(" r11 ", u->r11);
	}
	sayx(" flags ", u->rfl);
	puts(" cs ");
	putx(u->cs, 2);
	puts(" ss ");
	putx(u->ss, 2);
	puts("\n");
}

static void once(const char *what, const char *entry, uint16_t cs)
{
	struct regs u = user_at(entry);

	u.cs = cs;
	run_user(&u);
	show(what, &u, entry);
}

static void many(void)
{
	struct regs u = user_at(s_many);
	unsigned calls = 0;

	for (;;) {
		run_user(&u);
		if (u.vec != VEC_SYSCALL)
			break;
		calls++;
		u.rax++;
		u.cs = UCODE64;
		u.ss = UDATA;
	}
	say("syscall: ", calls);
	say(" calls, vec ", u.vec);
	say(", differences ", u.r15);
	puts("\n");
}

static void by_sysret(const char *what, const char *entry, uint64_t wide, uint64_t flags)
{
	struct regs u = user_at(entry);

	u.rfl = flags;
	u.r10 = wide;
	sysret64(&u);
	puts(what);
	puts(": cs ");
	putx(u.rax & ~4ull, 4);
	puts(" ss ");
	putx(u.rbx & ~4ull, 4);
	sayx(" flags ", u.rfl);
	puts(" frame ");
	putx(u.cs, 2);
	puts(" ");
	putx(u.ss, 2);
	puts("\n");
}

void kmain(void)
{
	once("syscall, SCE set, nothing else", (wrmsr(MSR_LSTAR, (uint64_t)(uintptr_t)entry_syscall),
		wrmsr(MSR_STAR, 0x0018000800000000), wrmsr(MSR_FMASK, 0), s_once), UCODE64);
	wrmsr(MSR_FMASK, 0x47700);
	many();
	by_sysret("sysret to 64 bits", s_after, 1, 0x202);
	by_sysret("sysret to 32 bits", c_after, 0, 0x202);
	by_sysret("sysret, all flags it may set", s_after, 1, 0x240ed7);
	once("int 80h", s_int80, UCODE64);
	once("int 80h of 32-bit code", c_int80, UCODE32);
	once("swapgs", s_swapgs, UCODE64);
	wrmsr(MSR_GS, (uint64_t)(uintptr_t)ugs);
	wrmsr(MSR_FS, (uint64_t)(uintptr_t)ufs);
	wrmsr(MSR_KGS, 0xffff888000000000);
	once("gs:8, fs:16", s_gs, UCODE64);
	asm volatile("swapgs");
	sayx("after swapgs: gs ", rdmsr(MSR_GS));
	puts(rdmsr(MSR_KGS) == (uint64_t)(uintptr_t)ugs ? ", kernel gs is the user's\n" : ", kernel gs lost\n");
	asm volatile("swapgs");
	wrmsr(MSR_CSTAR, (uint64_t)(uintptr_t)entry_compat);
	once("syscall of 32-bit code", c_syscall, UCODE32);
	once("sysenter, not set up", s_sysenter, UCODE64);
	once("sysenter of 32-bit code, not set up", c_sysenter, UCODE32);
	wrmsr(0x174, KCODE);
	wrmsr(0x175, (uint64_t)(uintptr_t)tss + 104);
	wrmsr(0x176, (uint64_t)(uintptr_t)entry_sysenter);
	once("sysenter", s_sysenter, UCODE64);
	once("sysenter of 32-bit code", c_sysenter, UCODE32);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~1ull);
	once("syscall, SCE clear", s_once, UCODE64);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * switch64: three tasks in two address spaces, which share code and map different pages at the
 * same addresses; all registers, XMM0, x87 and the FS base are switched, first eagerly, then
 * the FPU lazily by CR0.TS (SDM 3A 13.4). A task that meets another's state counts it.
 */
#include "guest64.h"

#define DATA	0x7f1234567000ull	/* one page for each space */
#define TOP	0x7fffffffe000ull	/* and another */
#define TASKS	3
#define TURNS	600

/* R12: the task's own number, R13: turns to go. R14 counts what is wrong. */
UASM("t_task: mov $0x7f1234567000, %rbx\n"
     "	mov $0x7fffffffe000, %rbp\n"
     "	movq %r12, %xmm0\n"
     "	push %r12\n"
     "	fildq (%rsp)\n"
     "1:	incq 8(%rbx)\n"
     "	incq 8(%rbp)\n"
     "	mov %r13, %rax\n"
     "	syscall\n"
     "	movq %xmm0, %rax\n"
     "	cmp %rax, %r12\n"
     "	jne 8f\n"
     "	fld %st(0)\n"
     "	fistpq (%rsp)\n"
     "	cmp (%rsp), %r12\n"
     "	jne 8f\n"
     "	cmp %fs:0, %r12\n"
     "	jne 8f\n"
     "	cmp (%rbx), %r15\n"
     "	jne 8f\n"
     "	cmp (%rbp), %r15\n"
     "	je 9f\n"
     "8:	inc %r14\n"
     "9:	dec %r13\n"
     "	jnz 1b\n"
     "	int $0x80\n");
extern const char t_task[];

USER static uint8_t stacks[TASKS][1024] __attribute__((aligned(16)));
USER static uint64_t fs_area[TASKS];
static struct { struct regs u; uint64_t cr3; uint8_t fpu[512] __attribute__((aligned(16))); } task[TASKS];
static uint64_t *space_of[2], *page[2][2];

static void fpu_save(unsigned t) { asm volatile("fxsave64 %0" : "=m"(task[t].fpu)); }
static void fpu_load(unsigned t) { asm volatile("fxrstor64 %0" : : "m"(task[t].fpu)); }
static void stts(void) { asm volatile("mov %%cr0, %%rax; or $8, %%rax; mov %%rax, %%cr0" : : : "rax"); }

static void run_all(unsigned lazy)
{
	unsigned left = TASKS, t = 0, owner = TASKS, switches = 0, nm = 0;
	uint64_t wrong = 0;

	for (unsigned i = 0; i < TASKS; i++) {
		task[i].u = user_at(t_task);
		task[i].u.rsp = (uint64_t)(uintptr_t)stacks[i + 1] - 64;
		task[i].u.r12 = fs_area[i] = i + 100;
		task[i].u.r13 = TURNS;
		task[i].u.r15 = (i & 1) + 7;
		task[i].cr3 = (uint64_t)(uintptr_t)space_of[i & 1];
		asm volatile("fninit");
		fpu_save(i);
	}
	for (unsigned i = 0; i < 4; i++)
		page[i >> 1][i & 1][1] = 0;
	while (left) {
		struct regs *u = &task[t].u;

		set_cr3(task[t].cr3);
		wrmsr(MSR_FS, (uint64_t)(uintptr_t)&fs_area[t]);
		if (!lazy)
			fpu_load(t);
		else if (owner == t)
			asm volatile("clts");
		else
			stts();
		switches++;
		run_user(u);
		while (u->vec == 7) {	/* lent late */
			asm volatile("clts");
			if (owner < TASKS)
				fpu_save(owner);
			fpu_load(t);
			owner = t;
			nm++;
			run_user(u);
		}
		if (!lazy)
			fpu_save(t);
		if (u->vec == VEC_SYSCALL) {
			u->cs = UCODE64;
			u->ss = UDATA;
		} else if (u->vec == 0x80) {
			wrong += u->r14;
			u->vec = 0;
			left--;
		} else {
			trap_panic(u);
		}
		for (unsigned i = 0; left && i < TASKS; i++) {
			t = (t + 1) % TASKS;
			if (task[t].u.vec || !task[t].u.rcx)
				break;
		}
	}
	asm volatile("clts");
	say(lazy ? "lazily: " : "eagerly: ", switches);
	say(" switches, wrong ", wrong);
	puts(!lazy == !nm ? "" : ", no #NM as there should be");
	for (unsigned i = 0; i < 4; i++)
		say(i ? " " : ", counted ", page[i >> 1][i & 1][1]);
	puts("\n");
}

void kmain(void)
{
	wrmsr(MSR_STAR, 0x0018000800000000);
	wrmsr(MSR_LSTAR, (uint64_t)(uintptr_t)entry_syscall);
	wrmsr(MSR_FMASK, 0x47700);
	for (unsigned i = 0; i < 2; i++) {
		space_of[i] = page_alloc();
		space_of[i][0] = boot_pml4[0];
		for (unsigned k = 0; k < 2; k++) {
			page[i][k] = page_alloc();
			page[i][k][0] = i + 7;
			map(space_of[i], k ? TOP : DATA, (uint64_t)(uintptr_t)page[i][k] | PTE_P | PTE_W | PTE_U);
		}
	}
	run_all(0);
	run_all(1);
}

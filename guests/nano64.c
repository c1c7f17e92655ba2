/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nano64: the seven nanobenchmarks of Adams and Agesen (2006, 6.3), one operation that a
 * monitor must do something about each, in a loop:
 *
 *	syscall	SYSCALL from ring 3 and SYSRET, nothing between
 *	in	IN from port 80h, where no device answers
 *	cr8wr	MOV to CR8 while no interrupt waits
 *	callret	CALL and RET
 *	pgfault	a page fault of the guest's own, whose handler steps over the instruction
 *	divzero	the same for a division by zero, which has nothing to do with paging
 *	ptemod	a store to a page-table entry in use, INVLPG left out
 *
 * All but the first in ring 0. What a monitor may treat otherwise for user code is here
 * again in ring 3 (callret3, pgfault3, divzero3), and remap3 is what ptemod leads to: a system
 * call that changes the entry, INVLPG, and ring 3 reads through it. loop is the empty loop; a
 * row has a sixteenth of it in each operation.
 *
 * The clock is the time-stamp counter, whose rate is taken from the interval timer at the
 * start. Who stands outside can check it: a row does its work between its two lines.
 * Options: ms=100 (for each row, about), row=1 to row=12 (only this one).
 */
#include "guest64.h"
#include "nano.h"

#define TIMES(text) ".rept 16\n" text "\n.endr\n"
#define PIT_HZ	1193182ull
#define WINDOW	0x4000000000ull		/* where the page is whose entry changes */
#define TRIES	3

/* Each: RBX times sixteen of the operation. Ring 0 returns, ring 3 traps. */
#define LOOP(name, text) name ": 1: " TIMES(text) "dec %rbx\n jnz 1b\n"

asm(LOOP("k_loop", "") "ret\n"
    LOOP("k_in", "in $0x80, %al") "ret\n"
    LOOP("k_cr8wr", "mov %rax, %cr8") "ret\n"
    LOOP("k_callret", "call f_ret") "ret\n"
    "f_ret: ret\n"
    LOOP("k_pgfault", "mov (%rdi), %eax") "ret\n"
    LOOP("k_divzero", "div %ecx") "ret\n"
    "k_ptemod: 1:\n"
    ".rept 8\n mov %rax, (%rdi)\n mov %rdx, (%rdi)\n .endr\n"
    "dec %rbx\n jnz 1b\n ret\n"
    /* Handlers. The instructions that fault have two bytes each. */
    "t_divzero: addq $2, (%rsp)\n iretq\n"
    "t_pgfault: add $8, %rsp\n addq $2, (%rsp)\n iretq\n"
    "t_sysret: sysretq\n"
    "t_remap: xor %r13, %r12\n mov %r12, (%rdi)\n invlpg (%rsi)\n sysretq\n");

UASM(LOOP("u_syscall", "syscall") "int $0x80\n"
     LOOP("u_callret", "call u_ret") "int $0x80\n"
     "u_ret: ret\n"
     LOOP("u_pgfault", "mov (%rdi), %eax") "int $0x80\n"
     LOOP("u_divzero", "div %ecx") "int $0x80\n"
     LOOP("u_remap", "syscall\n mov (%rsi), %eax\n add %rax, %r15") "int $0x80\n");

extern char k_loop[], k_in[], k_cr8wr[], k_callret[], k_pgfault[], k_divzero[], k_ptemod[],
	t_divzero[], t_pgfault[], t_sysret[], t_remap[],
	u_syscall[], u_callret[], u_pgfault[], u_divzero[], u_remap[];
extern uint64_t idt[512];

static uint64_t *window_pte, frame[2], tsc_khz, user_sum;

static const struct row {
	const char *name;
	char *code, *syscall;		/* the handler, or NULL */
	int user;
} rows[] = {
	{ "loop", k_loop, 0, 0 },
	{ "syscall", u_syscall, t_sysret, 1 },
	{ "in", k_in, 0, 0 },
	{ "cr8wr", k_cr8wr, 0, 0 },
	{ "callret", k_callret, 0, 0 },
	{ "pgfault", k_pgfault, 0, 0 },
	{ "divzero", k_divzero, 0, 0 },
	{ "ptemod", k_ptemod, 0, 0 },
	{ "callret3", u_callret, 0, 1 },
	{ "pgfault3", u_pgfault, 0, 1 },
	{ "divzero3", u_divzero, 0, 1 },
	{ "remap3", u_remap, t_remap, 1 },
};

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* --- The clock ----------------------------------------------------------------------- */

/* Ticks of the counter while the interval timer's channel 2 counts n down (8254, mode 0). */
static uint64_t tsc_ticks(unsigned n)
{
	uint64_t start, end;

	outb(0x61, (uint8_t)((inb(0x61) & ~2) | 1));
	outb(0x43, 0xb0);
	outb(0x42, (uint8_t)n);
	outb(0x42, (uint8_t)(n >> 8));
	start = rdtsc();
	while (!(inb(0x61) & 0x20))
		if (rdtsc() - start > 1000000000000ull)
			return 0;
	end = rdtsc();
	return end - start;
}

/* The least of some tries: whatever comes between makes them longer. */
static uint64_t tsc_rate(void)
{
	const unsigned n = 59659;	/* 50 ms */
	uint64_t least = ~0ull;

	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t t = tsc_ticks(n);

		least = t < least ? t : least;
	}
	return least * PIT_HZ / n / 1000;
}

/* --- The rows ------------------------------------------------------------------------ */

static void gate_set(unsigned vector, const char *handler)
{
	uint64_t at = (uint64_t)(uintptr_t)handler;

	idt[2 * vector] = (at & 0xffff) | KCODE << 16 | 0x8e00ull << 32 | (at >> 16 & 0xffff) << 48;
	idt[2 * vector + 1] = at >> 32;
}

static uint64_t pte(unsigned i)
{
	return frame[i] | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
}

/* RDI is for faults an address where nothing is, else the entry. */
static void run_kernel(const struct row *r, uint64_t n)
{
	uint64_t rax = pte(0), rdx = pte(1);
	void *rdi = r->code == k_pgfault ? (void *)(WINDOW + 4096) : window_pte;

	if (r->code == k_cr8wr)
		rax = 0;
	if (r->code == k_divzero)
		rax = 1, rdx = 0;
	asm volatile("call *%4" : "+a"(rax), "+b"(n), "+d"(rdx), "+D"(rdi)
		     : "r"(r->code), "c"(0) : "memory", "cc");
}

static void run_ring3(const struct row *r, uint64_t n)
{
	struct regs u = user_at(r->code);

	u.rbx = n;
	u.rax = 1;
	u.rdi = r->code == u_pgfault ? WINDOW + 4096 : (uint64_t)window_pte;
	u.rsi = WINDOW;
	u.r12 = pte(0);
	u.r13 = pte(0) ^ pte(1);
	if (r->syscall)
		wrmsr(MSR_LSTAR, (uint64_t)r->syscall);
	run_user(&u);
	user_sum = u.r15;
}

static uint64_t run(const struct row *r, uint64_t n)
{
	uint64_t start = rdtsc();

	if (r->user)
		run_ring3(r, n);
	else
		run_kernel(r, n);
	return rdtsc() - start;
}

static void emit(const char *s)
{
	puts(s);
}

static void emit_number(uint64_t v)
{
	putd(v);
}

static void measure(const struct row *r, uint64_t ms)
{
	uint64_t n = nano_count(r, tsc_khz * ms), t;

	nano_begin(r->name);
	t = run(r, n);
	nano_end(r->name, n, t * 1000000 / tsc_khz, t);
	if (r->code == u_remap && user_sum != n * UNROLL / 2 * 3) {
		say("remap3: ring 3 read a sum of ", user_sum);
		puts("\n");
		guest_fail();
	}
}

/* The window shows frame 0 or frame 1, in which are the numbers 1 and 2. */
static void window_make(void)
{
	uint64_t *table = boot_pml4;

	for (unsigned i = 0; i < 2; i++) {
		frame[i] = (uint64_t)page_alloc();
		*(uint64_t *)frame[i] = i + 1;
	}
	map(boot_pml4, WINDOW, pte(0));
	for (unsigned shift = 39; shift > 12; shift -= 9)
		table = (uint64_t *)(table[WINDOW >> shift & 511] & PTE_ADDR);
	window_pte = &table[WINDOW >> 12 & 511];
}

void kmain(void)
{
	uint64_t ms = option("ms", 100), only = option("row", 0);

	wrmsr(MSR_STAR, 0x18ull << 48 | (uint64_t)KCODE << 32);
	wrmsr(MSR_FMASK, 0x700);
	gate_set(0, t_divzero);
	gate_set(14, t_pgfault);
	window_make();
	tsc_khz = tsc_rate();
	if (!tsc_khz || !ms) {
		puts("nano64: no clock, or ms=0\n");
		guest_fail();
	}
	say("clock: ", tsc_khz);
	puts(" kHz\n");
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!only || only == i + 1)
			measure(&rows[i], ms);
	puts("nano64: done\n");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every 64-bit guest includes: printing, options, random numbers, ring 3. start.S has
 * the map of memory. User code is assembler in the section .user, as is all that it touches.
 */
#ifndef GUEST64_H
#define GUEST64_H

#include <stdint.h>

#define KCODE	0x08
#define UCODE32	0x1b
#define UDATA	0x23
#define UCODE64	0x2b
#define PTE_P	0x001ull
#define PTE_W	0x002ull
#define PTE_U	0x004ull
#define PTE_A	0x020ull
#define PTE_D	0x040ull
#define PTE_PS	0x080ull
#define PTE_NX	(1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull
#define VEC_SYSCALL 0x100
#define VEC_SYSENTER 0x101
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_FMASK 0xc0000084
#define MSR_FS	0xc0000100
#define MSR_GS	0xc0000101
#define MSR_KGS	0xc0000102

#define USER	__attribute__((section(".user.data")))
/* Assembler for ring 3. */
#define UASM(text) asm(".pushsection .user, \"awx\", @progbits\n" text "\n.popsection")

struct regs {			/* start.S stores it */
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vec, err, rip, cs, rfl, rsp, ss;
};

extern uint64_t gdt[], krecover, kvector, trap_rsp;
extern uint64_t boot_pml4[512], boot_pdpt[512], boot_pd[512], boot_pt[512];
extern uint32_t mb_info;
extern uint8_t tss[104];
extern char entry_syscall[], entry_sysenter[], entry_compat[];
void run_user(struct regs *u);
void sysret64(struct regs *u);
void kmain(void);

/* The compiler may ask for these by itself. */
void *memset(void *p, int c, unsigned long n);
void *memcpy(void *to, const void *from, unsigned long n);
void *memset(void *p, int c, unsigned long n)
{
	void *to = p;

	asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return p;
}
void *memcpy(void *p, const void *from, unsigned long n)
{
	void *to = p;

	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return p;
}

static inline void outb(uint16_t port, uint8_t v) { asm volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline void wrmsr(uint32_t msr, uint64_t v)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}
static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}
static inline uint64_t cr2(void) { uint64_t v; asm volatile("mov %%cr2, %0" : "=r"(v)); return v; }
static inline uint64_t cr3(void) { uint64_t v; asm volatile("mov %%cr3, %0" : "=r"(v)); return v; }
static inline void set_cr3(uint64_t v) { asm volatile("mov %0, %%cr3" : : "r"(v) : "memory"); }
static inline void invlpg(uint64_t v) { asm volatile("invlpg (%0)" : : "r"(v) : "memory"); }

__attribute__((unused)) static void putch(char c)
{
	while (!(inb(0x3fd) & 0x20))
		;
	outb(0x3f8, (uint8_t)c);
}
__attribute__((unused)) static void puts(const char *s)
{
	while (*s)
		putch(*s++);
}
__attribute__((unused)) static void putx(uint64_t v, unsigned digits)
{
	while (digits--)
		putch("0123456789abcdef"[v >> digits * 4 & 15]);
}
__attribute__((unused)) static void putd(uint64_t v)
{
	if (v >= 10)
		putd(v / 10);
	putch((char)('0' + v % 10));
}
/* A label and a number. */
__attribute__((unused)) static void say(const char *s, uint64_t v)
{
	puts(s);
	putd(v);
}
__attribute__((unused)) static void sayx(const char *s, uint64_t v)
{
	puts(s);
	putx(v, 16);
}

static inline void guest_end(uint8_t v)
{
	outb(0xf4, v);
	for (;;)
		asm volatile("cli; hlt");
}
__attribute__((unused)) void guest_pass(void);
void guest_pass(void) { guest_end(0x10); }
static inline void guest_fail(void) { guest_end(0x11); }

void trap_panic(struct regs *u);
void trap_panic(struct regs *u)
{
	sayx("unexpected trap in ring 0: vec ", u->vec);
	sayx(" err ", u->err);
	sayx(" rip ", u->rip);
	sayx(" cr2 ", cr2());
	puts("\n");
	guest_fail();
}

/* A number from the command line ("seed=7 rounds=200"). */
__attribute__((unused)) static uint64_t option(const char *name, uint64_t v)
{
	const uint32_t *info = (const uint32_t *)(uintptr_t)mb_info;
	const char *s = info[0] & 4 ? (const char *)(uintptr_t)info[4] : "";

	while (*s) {
		const char *n = name;

		while (*n && *s == *n)
			s++, n++;
		if (!*n && *s == '=') {
			for (v = 0, s++; *s >= '0' && *s <= '9'; s++)
				v = v * 10 + (uint64_t)(*s - '0');
			return v;
		}
		while (*s && *s != ' ')
			s++;
		while (*s == ' ')
			s++;
	}
	return v;
}

static uint64_t rng = 0x9e3779b97f4a7c15;
__attribute__((unused)) static uint32_t rnd(uint32_t below)
{
	rng = rng * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((rng >> 32) * below >> 32);
}

USER __attribute__((aligned(16), unused)) static uint8_t ustack[8192];
#define USTACK	((uint64_t)(uintptr_t)ustack + sizeof(ustack) - 64)

__attribute__((unused)) static struct regs user_at(const void *rip)
{
	return (struct regs){ .rip = (uint64_t)(uintptr_t)rip, .cs = UCODE64, .rfl = 0x202,
			      .rsp = USTACK, .ss = UDATA };
}

/* Free memory, upwards from 4 MiB, zeroed. */
static uint64_t page_next = 0x400000;
__attribute__((unused)) static uint64_t *page_alloc(void)
{
	uint64_t *p = (uint64_t *)page_next;

	for (unsigned i = 0; i < 512; i++)
		p[i] = 0;
	page_next += 4096;
	return p;
}

/* Maps a page in the tables at root; tables on the way allow everything. */
__attribute__((unused)) static void map(uint64_t *root, uint64_t gva, uint64_t pte)
{
	for (unsigned shift = 39; shift > 12; shift -= 9) {
		uint64_t *e = &root[gva >> shift & 511];

		if (!(*e & PTE_P))
			*e = (uint64_t)page_alloc() | PTE_P | PTE_W | PTE_U;
		root = (uint64_t *)(*e & PTE_ADDR);
	}
	root[gva >> 12 & 511] = pte;
}

#endif

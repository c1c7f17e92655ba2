/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * learn64: prints everything that a user program can learn of its machine, from 64-bit and from
 * 32-bit code: descriptor tables, selectors, CPUID, instruction sets, software interrupts,
 * undefined flags. There is no expected text: two engines must print the same. Options: sce=0
 * (SYSCALL is invalid), sep=0 (no SYSENTER entry), tsd=1, osxsave=1, fsgsbase=1, umip=1 (bits of
 * CR4), sweep=N (selectors asked one crossing each), linux=1 (its selectors).
 */
#include "guest64.h"
#include "learn.h"

NAMED(64);

static uint16_t code, data = UDATA, code32 = UCODE32, code64 = UCODE64;
static uint64_t old_efer;

static void text(const char *s) { puts(s); }
static void hex(uint64_t v, unsigned digits) { putx(v, digits); }

static void ask64(struct saw *s, uint64_t entry, uint64_t si, uint64_t di)
{
	struct regs u = user_at((const void *)(uintptr_t)entry);

	u.cs = code;
	u.ss = data;
	u.rsi = si;
	u.rdi = di;
	run_user(&u);
	*s = (struct saw){ u.vec, u.err, u.rip, u.cs,  u.rfl, u.rax,
			   u.rbx, u.rcx, u.rdx, u.rsi, u.rsp, u.r11 };
}

static void cr4_set(uint64_t bits)
{
	uint64_t v;

	asm volatile("mov %%cr4, %0" : "=r"(v));
	asm volatile("mov %0, %%cr4" : : "r"(v | bits));
}

/* User code goes on behind the 2 MiB that start.S has mapped in small pages. */
static void map_second(void)
{
	extern char __user_end[];
	uint64_t *table = page_alloc();

	for (uint64_t i = 0; i < 512; i++)
		table[i] = 0x200000 + i * 4096 + PTE_P + PTE_W +
			   (0x200000 + i * 4096 < AT(__user_end) ? PTE_U : 0);
	boot_pd[1] = AT(table) | PTE_P | PTE_W | PTE_U;
	set_cr3(cr3());
}

/* Linux's selectors, the only ones that some engines can show. The TSS moves from 30h to 40h. */
static void gdt_linux(void)
{
	uint64_t *t = page_alloc();
	struct { uint16_t limit; uint64_t base; } __attribute__((packed)) r = { 0x5f, AT(t) };

	t[1] = gdt[1];
	t[2] = gdt[2];
	t[4] = gdt[3];
	t[5] = gdt[4];
	t[6] = gdt[5];
	t[8] = gdt[6] & ~(2ull << 40);		/* not busy */
	t[9] = gdt[7];
	asm volatile("lgdt %0" : : "m"(r));
	asm volatile("ltr %w0" : : "r"(0x40));
	code32 = 0x23;
	data = 0x2b;
	code64 = 0x33;
}

void kmain(void)
{
	static const struct places places32 = PLACES(32, pop_ds_32, les_32),
				   places64 = PLACES(64, 0, 0);
	uint32_t sweep = (uint32_t)option("sweep", 256);

	map_second();
	cr4_set(option("tsd", 0) << 2 | option("umip", 0) << 11 | option("fsgsbase", 0) << 16 |
		option("osxsave", 0) << 18);
	old_efer = rdmsr(MSR_EFER);
	wrmsr(MSR_STAR, (uint64_t)0x13 << 48 | (uint64_t)KCODE << 32);
	wrmsr(MSR_LSTAR, AT(entry_syscall));
	wrmsr(MSR_CSTAR, AT(entry_compat));
	wrmsr(MSR_FMASK, 0x200);
	if (!option("sce", 1))
		wrmsr(MSR_EFER, old_efer & ~1ull);
	if (option("sep", 1)) {
		wrmsr(0x174, KCODE);
		wrmsr(0x176, AT(entry_sysenter));
	}
	if (option("linux", 0))
		gdt_linux();
	code = code64;
	learn_all(ask64, &places64, 64, sweep);
	code = code32;
	learn_all(ask64, &places32, 32, sweep);
}

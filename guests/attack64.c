/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attack64: 64-bit ring 3 at every door of the machine that may be below it: all
 * addresses that a monitor in the same address space could have, all gates, all selectors by
 * all kinds of transfer and load, all ports, all privileged instructions. Nothing may happen but
 * the exception that the manual names; they are counted by vector, with a sum of error codes and,
 * for page faults, of CR2. Its selectors are those of 64-bit Linux, 33 and 2b, so that
 * engines which can show no others run it too. SDM 3A chapters 5 and 6, 2 "Protected Mode Exceptions".
 *
 * Command line: step=N looks at every N-th page, port and selector only (1: all); parts=BITS:
 * 1 gates, 2 instructions, 4 SYSCALL, 8 selectors, 16 ports, 32 addresses, 64 what must survive
 */
#include "guest64.h"

#define CS64	0x33
#define CS32	0x1b
#define SS64	0x2b
#define LDT_SEL	0x60
#define SHIM	0xffffff8000000000ull	/* where KVM_SHIM_GVA of direct/kvm_shim.h is */
#define SHIM_PAGES	28
#define TABLE_PAGES	32768

/* Each snippet is an instruction and INT 80h, which says that it went through. */
UASM("	.macro S text, insn:vararg\n"
     "	.balign 16\n"
     "s\\@:	\\insn\n"
     "	int $0x80\n"
     "	.pushsection .rodata, 2\n"
     "t\\@:	.asciz \"\\text\"\n"
     "	.popsection\n"
     "	.pushsection .rodata, 1\n"
     "	.quad s\\@, t\\@\n"
     "	.popsection\n"
     "	.endm\n"
     "	.balign 4096\n"
     "	.pushsection .rodata, 1\n"
     "	.balign 8\n"
     "	.globl privileged, privileged_end\n"
     "privileged:\n"
     "	.popsection\n"
     "	S \"mov cr0,r\", mov %rax, %cr0\n"
     "	S \"mov r,cr0\", mov %cr0, %rax\n"
     "	S \"mov cr2,r\", mov %rax, %cr2\n"
     "	S \"mov r,cr2\", mov %cr2, %rax\n"
     "	S \"mov cr3,r\", mov %rax, %cr3\n"
     "	S \"mov r,cr3\", mov %cr3, %rax\n"
     "	S \"mov cr4,r\", mov %rax, %cr4\n"
     "	S \"mov r,cr4\", mov %cr4, %rax\n"
     "	S \"mov cr8,r\", mov %rax, %cr8\n"
     "	S \"mov r,cr8\", mov %cr8, %rax\n"
     "	S \"mov cr1,r\", .byte 0x0f, 0x22, 0xc8\n"
     "	S \"mov dr0,r\", mov %rax, %dr0\n"
     "	S \"mov r,dr0\", mov %dr0, %rax\n"
     "	S \"mov dr6,r\", mov %rax, %dr6\n"
     "	S \"mov dr7,r\", mov %rax, %dr7\n"
     "	S \"mov r,dr7\", mov %dr7, %rax\n"
     "	S \"mov dr4,r\", .byte 0x0f, 0x23, 0xe0\n"
     "	S \"lgdt\", lgdt (%rsp)\n"
     "	S \"lidt\", lidt (%rsp)\n"
     "	S \"lldt\", lldt %ax\n"
     "	S \"ltr\", ltr %ax\n"
     "	S \"lmsw\", lmsw %ax\n"
     "	S \"clts\", clts\n"
     "	S \"invlpg\", invlpg (%rax)\n"
     "	S \"invd\", invd\n"
     "	S \"wbinvd\", wbinvd\n"
     "	S \"hlt\", hlt\n"
     "	S \"swapgs\", swapgs\n"
     "	S \"sysretq\", sysretq\n"
     "	S \"sysretl\", sysretl\n"
     "	S \"sysexit\", sysexitl\n"
     "	S \"sysexitq\", sysexitq\n"
     "	S \"rsm\", rsm\n"
     "	S \"cli\", cli\n"
     "	S \"sti\", sti\n"
     "	S \"rdmsr\", rdmsr\n"
     "	S \"wrmsr\", wrmsr\n"
     "	S \"rdpmc\", rdpmc\n"
     "	S \"vmcall\", vmcall\n"
     "	S \"vmmcall\", vmmcall\n"
     "	S \"vmlaunch\", vmlaunch\n"
     "	S \"vmresume\", vmresume\n"
     "	S \"vmxoff\", vmxoff\n"
     "	S \"vmxon\", vmxon (%rsp)\n"
     "	S \"vmread\", vmread %rax, %rax\n"
     "	S \"vmfunc\", vmfunc\n"
     "	S \"vmrun\", vmrun\n"
     "	S \"vmload\", vmload\n"
     "	S \"vmsave\", vmsave\n"
     "	S \"stgi\", stgi\n"
     "	S \"clgi\", clgi\n"
     "	S \"skinit\", skinit %eax\n"
     "	S \"invlpga\", invlpga %rax, %ecx\n"
     "	S \"invept\", invept (%rsp), %rax\n"
     "	S \"invvpid\", invvpid (%rsp), %rax\n"
     "	S \"invpcid\", invpcid (%rsp), %rax\n"
     "	S \"monitor\", monitor\n"
     "	S \"mwait\", mwait\n"
     "	S \"xsetbv\", xsetbv\n"
     "	S \"wrpkru\", wrpkru\n"
     "	S \"rdpkru\", rdpkru\n"
     "	S \"stac\", stac\n"
     "	S \"clac\", clac\n"
     "	S \"encls\", encls\n"
     "	S \"wrfsbase\", wrfsbase %rax\n"
     "	S \"rdgsbase\", rdgsbase %rax\n"
     "	S \"into\", .byte 0xce\n"
     "	S \"lds\", .byte 0xc5, 0x00\n"
     "	S \"call far direct\", .byte 0x9a, 0, 0, 0, 0, 0, 0\n"
     "	S \"jmp far direct\", .byte 0xea, 0, 0, 0, 0, 0, 0\n"
     "	S \"ud0\", .byte 0x0f, 0xff, 0xc0\n"
     "	S \"int1\", .byte 0xf1\n"
     "	S \"int3\", int3\n"
     "	.pushsection .rodata, 1\n"
     "privileged_end:\n"
     "	.popsection\n"
     "	.macro E name\n"
     "	.balign 16\n"
     "	.globl \\name\n"
     "\\name:\n"
     "	.endm\n"
     "	.macro L2 insn:vararg\n"
     "	\\insn\n"
     "	int $0x80\n"
     "	.endm\n"
     "	.macro L name, insn:vararg\n"
     "	E \\name\n"
     "	L2 \\insn\n"
     "	.endm\n"
     "	.balign 4096\n"
     "	L a_read, mov (%rbp), %al\n"
     "	L a_write, movb $0x5a, (%rbp)\n"
     "	L a_add, lock incq (%rbp)\n"
     "	L a_run, jmp *%rbp\n"
     "	E a_push\n	mov %rbp, %rsp\n	L2 push %rax\n"
     "	E a_call\n	mov %rbp, %rsp\n	L2 call a_read\n"
     "	L a_fxsave, fxsave (%rbp)\n"
     "	E a_stos\n	mov %rbp, %rdi\n	mov $8192, %ecx\n	L2 rep stosb\n"
     "	L a_inb, in %dx, %al\n"
     "	L a_inw, in %dx, %ax\n"
     "	L a_inl, in %dx, %eax\n"
     "	L a_outb, out %al, %dx\n"
     "	L a_outw, out %ax, %dx\n"
     "	L a_outl, out %eax, %dx\n"
     "	L a_insb, rep insb\n"
     "	L a_outsb, rep outsb\n"
     "	L a_syscall, syscall\n"
     "	L a_lds, mov %ebp, %ds\n"
     "	L a_les, mov %ebp, %es\n"
     "	L a_lss, mov %ebp, %ss\n"
     "	L a_lfs, mov %ebp, %fs\n"
     "	L a_lgs, mov %ebp, %gs\n"
     "	L a_lfs_mem, .byte 0x48, 0x0f, 0xb4, 0x44, 0x24, 0x40\n"
     "	L a_ljmp, rex.w ljmp *64(%rsp)\n"
     "	L a_lcall, rex.w lcall *64(%rsp)\n"
     "	E a_lret\n	add $64, %rsp\n	L2 lretq\n"
     "	E a_iret\n	add $64, %rsp\n	L2 iretq\n"
     "	.balign 16\n"
     "	.globl a_back32\n"
     "a_back32: .code32\n"	/* where far transfers go: any width ends here */
     "	int $0x80\n"
     "	.code64\n"
     /* All registers in use, and a trap now and then that is passed over. */
     "	.balign 16\n"
     "	.globl a_state\n"
     "a_state:\n"
     "	fninit\n"
     "	fld1\n"
     "	fldpi\n"
     "	cvtsi2sd %rcx, %xmm0\n"
     "	cvtsi2sd %rcx, %xmm15\n"
     "1:	imul $0x5851f42d, %rax, %rax\n"
     "	lea 1(%rax,%r15), %rax\n"
     "	add %rax, %rbx\n"
     "	adc %rbx, %rdx\n"
     "	adc %rdx, %rsi\n"
     "	rcl $3, %rdi\n"
     "	xor %rsi, %rbp\n"
     "	add %rbp, %r8\n"
     "	adc %r8, %r9\n"
     "	sbb %r9, %r10\n"
     "	adc %r10, %r11\n"
     "	adc %r11, %r12\n"
     "	adc %r12, %r13\n"
     "	adc %r13, %r14\n"
     "	adc %r14, %r15\n"
     "	fadd %st, %st(1)\n"
     "	fxch\n"
     "	fsqrt\n"
     "	addsd %xmm0, %xmm15\n"
     "	sqrtsd %xmm15, %xmm0\n"
     "	push %r15\n"
     "	pop %r14\n"
     "	test $63, %cl\n"
     "	jnz 2f\n"
     "	int $0x40\n"
     "2:	dec %rcx\n"
     "	jnz 1b\n"
     "	fstpl -8(%rsp)\n"
     "	add -8(%rsp), %rax\n"
     "	movq %xmm15, %rcx\n"
     "	xor %rax, %rcx\n"	/* INT 80h may lose RAX (QUIRKS) */
     "	xor %eax, %eax\n"
     "	int $0x80\n"
     "	.balign 4096\n"
     "	.globl a_ints\n"
     "a_ints:\n"
     "	.set n, 0\n"
     "	.rept 256\n"
     "	.byte 0xcd, n\n"
     "	int $0x80\n"
     "	.set n, n + 1\n"
     "	.endr\n");

struct snippet { const char *code, *text; };
extern const struct snippet privileged[], privileged_end[];
extern const char a_read[], a_write[], a_add[], a_run[], a_push[], a_call[], a_fxsave[], a_stos[];
extern const char a_inb[], a_inw[], a_inl[], a_outb[], a_outw[], a_outl[], a_insb[], a_outsb[];
extern const char a_syscall[], a_lds[], a_les[], a_lss[], a_lfs[], a_lgs[], a_lfs_mem[];
extern const char a_ljmp[], a_lcall[], a_lret[], a_iret[], a_back32[], a_ints[], a_state[];

USER __attribute__((aligned(4096))) static uint64_t stack[512];
static struct regs u;
static uint64_t counts[0x102], code_sum, cr2_sum, rip_sum, tries, step;

static struct regs start(const char *code)
{
	struct regs r = user_at(code);

	r.cs = CS64;
	r.ss = SS64;
	r.rsp = (uint64_t)(uintptr_t)&stack[256];
	return r;
}

static void go(void)
{
	uint64_t at = u.rip;

	run_user(&u);
	tries++;
	counts[u.vec]++;
	code_sum += u.err;
	if (u.vec == 14)
		cr2_sum += cr2();
	if (u.vec < VEC_SYSCALL)
		rip_sum += u.rip - at;
}

static void begin(void)
{
	memset(counts, 0, sizeof(counts));
	code_sum = cr2_sum = rip_sum = tries = 0;
}

static void end(const char *name)
{
	puts(name);
	say(": ", tries);
	for (unsigned i = 0; i < 0x102; i++)
		if (counts[i]) {
			puts(i == 0x80 ? ", through" : ", vec ");
			if (i != 0x80)
				putx(i, 3);
			say(" ", counts[i]);
		}
	sayx(", codes ", code_sum);
	sayx(", cr2 ", cr2_sum);
	sayx(", rip ", rip_sum);
	puts("\n");
}

/* --- Addresses -------------------------------------------------------------------------- */

static const struct { const char *name, *code; } ways[] = {
	{ "read", a_read }, { "write", a_write }, { "locked", a_add }, { "execute", a_run },
	{ "push", a_push }, { "call", a_call }, { "fxsave", a_fxsave }, { "rep stos", a_stos },
};

static void touch(unsigned way, uint64_t at)
{
	u = start(ways[way].code);
	u.rbp = at;
	go();
}

static void addresses(void)
{
	for (unsigned way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
		begin();
		for (uint64_t i = 0; i < SHIM_PAGES; i++) {	/* its pages, aliases that bits 47 up tell apart */
			touch(way, SHIM + (i << 12));
			touch(way, SHIM + (i << 12) + 0xff0);
			touch(way, (SHIM + (i << 12)) & 0x0000ffffffffffff);
			touch(way, (SHIM + (i << 12)) & 0x00007fffffffffff);
		}
		for (uint64_t i = 0; i < TABLE_PAGES; i += way < 4 ? step : step * 16)
			touch(way, SHIM + ((SHIM_PAGES + i) << 12) + 8 * (i & 511));
		touch(way, SHIM - 16);
		for (unsigned bit = 21; bit < 64; bit++)	/* all sizes, both halves, and the hole */
			for (uint64_t d = 0; d < 3; d++) {
				touch(way, (1ull << bit) - 4096 + 4096 * d);
				touch(way, -(1ull << bit) - 4096 + 4096 * d);
			}
		touch(way, (uint64_t)(uintptr_t)gdt);		/* the guest's own kernel */
		touch(way, (uint64_t)(uintptr_t)boot_pml4);
		touch(way, 0);
		touch(way, ~15ull);
		end(ways[way].name);
	}
}

/* --- Gates, selectors, ports ------------------------------------------------------------- */

static void gates(void)
{
	begin();
	for (unsigned i = 0; i < 256; i++) {
		u = start(a_ints + 4 * i);
		go();
		if (u.vec == 0x80 && u.rip != (uint64_t)(uintptr_t)a_ints + 4 * i + 2)
			say("passed over: int ", i), puts("\n");
	}
	end("int n");
}

static const struct { const char *name, *code; } loads[] = {
	{ "mov ds", a_lds }, { "mov es", a_les }, { "mov ss", a_lss }, { "mov fs", a_lfs },
	{ "mov gs", a_lgs }, { "lfs", a_lfs_mem },
};
static const struct { const char *name, *code; } transfers[] = {
	{ "jmp far", a_ljmp }, { "call far", a_lcall }, { "ret far", a_lret }, { "iret", a_iret },
};

/* All of the tables' first entries, then samples. */
static unsigned selector_after(unsigned sel)
{
	return sel < 0x200 || step == 1 ? sel + 1 : sel + 1 + 13 * (unsigned)step;
}

static void selectors(void)
{
	for (unsigned k = 0; k < sizeof(loads) / sizeof(loads[0]); k++) {
		begin();
		for (unsigned sel = 0; sel < 0x10000; sel = selector_after(sel)) {
			u = start(loads[k].code);
			u.rbp = sel;
			stack[256 + 8] = 0;
			stack[256 + 9] = sel;
			go();
		}
		end(loads[k].name);
	}
	for (unsigned k = 0; k < sizeof(transfers) / sizeof(transfers[0]); k++) {
		begin();
		for (unsigned sel = 0; sel < 0x10000; sel = selector_after(sel)) {
			u = start(transfers[k].code);
			stack[256 + 8] = (uint64_t)(uintptr_t)a_back32;
			stack[256 + 9] = sel;
			stack[256 + 10] = 0x202;
			stack[256 + 11] = (uint64_t)(uintptr_t)&stack[200];
			stack[256 + 12] = SS64;
			go();
		}
		end(transfers[k].name);
	}
	begin();
	for (unsigned sel = 0; sel < 0x10000; sel = selector_after(sel)) {
		u = start(a_iret);
		stack[256 + 8] = (uint64_t)(uintptr_t)a_back32;
		stack[256 + 9] = CS64;
		stack[256 + 10] = 0x3202;			/* IOPL 3, which it may not set */
		stack[256 + 11] = SHIM + 8 * sel;
		stack[256 + 12] = sel;
		go();
		counts[0x101] += !!(u.rfl & 0x3000);
	}
	end("iret, all SS");
}

static const struct { const char *name, *code; } io[] = {
	{ "in b", a_inb }, { "in w", a_inw }, { "in d", a_inl }, { "out b", a_outb }, { "out w", a_outw },
	{ "out d", a_outl }, { "ins", a_insb }, { "outs", a_outsb },
};

static void ports(void)
{
	for (unsigned k = 0; k < sizeof(io) / sizeof(io[0]); k++) {
		begin();
		for (unsigned port = 0; port < 0x10000; port += (unsigned)(k < 6 ? step : 64 * step)) {
			u = start(io[k].code);
			u.rdx = port;
			u.rcx = 1;
			u.rsi = u.rdi = (uint64_t)(uintptr_t)stack;
			go();
		}
		u = start(io[k].code);
		u.rdx = 0x80;		/* where a shim may speak to its monitor */
		u.rcx = 1;
		u.rsi = u.rdi = SHIM;
		go();
		end(io[k].name);
	}
}

/* --- Instructions ------------------------------------------------------------------------ */

static const uint64_t values[] = {
	0, ~0ull, 0x80050033, SHIM, 0xc0000080, 0xc0000082, 0xc0000101, 0x174, 0x10, 0x1b, 0x8000000000000000,
};

static void instructions(void)
{
	for (const struct snippet *s = privileged; s < privileged_end; s++) {
		begin();
		for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			u = start(s->code);
			u.rax = u.rcx = u.rdx = u.r11 = values[i];
			stack[256] = SHIM << 16 | 0xffff;
			stack[257] = SHIM >> 48;
			go();
			if (u.rax != values[i] && u.vec != 0x80)
				counts[0x101]++;
		}
		end(s->text);
	}
}

static void syscalls(void)
{
	static const uint64_t rsps[] = { 0, SHIM, SHIM + 0x4000, 0x8000000000000000, ~0ull, 0x7ffffffff000 };

	begin();
	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		for (unsigned k = 0; k < sizeof(rsps) / sizeof(rsps[0]); k++) {
			u = start(a_syscall);
			u.rcx = u.r11 = u.rax = values[i];
			u.rsp = rsps[k];
			u.rfl = 0x202 | (i & 1 ? 0xcd5 : 0);
			go();
			code_sum += u.rsp + u.r11 + u.rcx;
		}
	end("syscall");
}

/* Long-lived state across many traps. */
static void state(void)
{
	const uint64_t *r = (const uint64_t *)&u;

	begin();
	u = start(a_state);
	u.rcx = 20000;
	for (;;) {
		go();
		if (u.vec == 0x80)
			break;
		u.rip += 2;
	}
	for (unsigned i = 0; i < 15; i++)
		code_sum = code_sum * 31 + r[i];
	end("state");
}

void kmain(void)
{
	static uint64_t ldt[8];
	uint64_t parts = option("parts", 127);

	step = option("step", 61);
	gdt[5] = 0x00cff3000000ffff;
	gdt[6] = 0x00affb000000ffff;
	gdt[7] = 0;
	ldt[0] = ldt[4] = 0x00cff3000000ffff;
	ldt[1] = 0x00affb000000ffff;
	ldt[2] = 0x00af9b000000ffff;
	gdt[LDT_SEL >> 3] = 0x0000820000000000 | (sizeof(ldt) - 1) | ((uint64_t)(uintptr_t)ldt & 0xffffff) << 16;
	gdt[(LDT_SEL >> 3) + 1] = 0;
	asm volatile("lldt %0" : : "r"((uint16_t)LDT_SEL));
	wrmsr(MSR_STAR, 0x0018000800000000);
	wrmsr(MSR_LSTAR, (uint64_t)(uintptr_t)entry_syscall);
	wrmsr(MSR_CSTAR, (uint64_t)(uintptr_t)entry_compat);
	wrmsr(MSR_FMASK, 0x47700);
	static void (*const all[])(void) = { gates, instructions, syscalls, selectors, ports, addresses, state };

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (parts >> i & 1)
			all[i]();
}

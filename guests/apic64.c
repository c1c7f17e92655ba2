/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apic64: the local APIC (priorities, TPR and CR8, commands to itself, the timer, NMI), the
 * I/O APIC with the 8254 and a level-triggered serial port, and the 8259 through LINT0; in
 * ring 0, in ring 3 and in HLT (SDM 3A chapter 10, 82093AA data sheet). Nothing printed
 * depends on speed.
 */
#include <stdbool.h>

#include "guest64.h"

#define LAPIC	0xfee00000ull
#define IOAPIC	0xfec00000ull
#define PTE_MMIO (PTE_P | PTE_W | 0x18)		/* not cached */
#define MSR_APIC_BASE 0x1b
#define TICKS	10

enum { ID = 0x20, VERSION = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, SVR = 0xf0, ISR = 0x100,
       TMR = 0x180, IRR = 0x200, ICR = 0x300, ICR_HIGH = 0x310, TIMER = 0x320, LINT0 = 0x350,
       INITIAL = 0x380, CURRENT = 0x390, DIVIDE = 0x3e0 };
#define MASKED	0x10000u
#define PERIODIC 0x20000u
#define EXTINT	0x700u
#define SELF	0x40000u
#define LEVEL	0x8000u

enum { V_PIC = 0x20, V_LOW = 0x41, V_MIDDLE = 0x52, V_HIGH = 0x63, V_TIMER = 0x84, V_PIT = 0x95,
       V_UART = 0xa6, V_SPURIOUS = 0xff };

struct frame { uint64_t rip, cs, rfl, rsp, ss; };

static volatile uint32_t counts[256], from_user[256];
static volatile char order[16];
static volatile unsigned norder;
static volatile uint32_t nested_ppr, spin;
extern const char user_loop[], user_left[];

static uint32_t apic(unsigned reg) { return *(volatile uint32_t *)(LAPIC + reg); }
static void apic_set(unsigned reg, uint32_t v) { *(volatile uint32_t *)(LAPIC + reg) = v; }
static uint32_t io(unsigned reg)
{
	*(volatile uint32_t *)IOAPIC = reg;
	return *(volatile uint32_t *)(IOAPIC + 0x10);
}
static void io_set(unsigned reg, uint32_t v)
{
	*(volatile uint32_t *)IOAPIC = reg;
	*(volatile uint32_t *)(IOAPIC + 0x10) = v;
}
static void pin_set(unsigned pin, uint32_t low)
{
	io_set(0x11 + 2 * pin, apic(ID));
	io_set(0x10 + 2 * pin, low);
}
static bool apic_bit(unsigned set, unsigned v) { return apic(set + v / 32 * 16) >> v % 32 & 1; }
static void self_ipi(unsigned v) { apic_set(ICR, SELF | v); }
static uint64_t cr8(void) { uint64_t v; asm volatile("mov %%cr8, %0" : "=r"(v)); return v; }
static void set_cr8(uint64_t v) { asm volatile("mov %0, %%cr8" : : "r"(v) : "memory"); }
static void sti(void) { asm volatile("sti; nop" : : : "memory"); }
static void cli(void) { asm volatile("cli" : : : "memory"); }
static void sti_hlt(void) { asm volatile("sti; hlt; cli" : : : "memory"); }
static void note(char c)
{
	if (norder < sizeof(order) - 1)
		order[norder++] = c;
}

/* --- Handlers ------------------------------------------------------------------- */

/* Ring 3 loops for ever: its tenth interrupt puts it elsewhere. */
static void took(struct frame *f, unsigned v)
{
	counts[v]++;
	if ((f->cs & 3) == 3 && ++from_user[v] >= TICKS)
		f->rip = (uint64_t)(uintptr_t)user_left;
}

#define HANDLER(name, vector, ...) \
	static __attribute__((interrupt)) void name(struct frame *f) \
	{ took(f, vector); __VA_ARGS__; apic_set(EOI, 0); }
HANDLER(h_low, V_LOW, note('l'))
HANDLER(h_high, V_HIGH, note('h'))
HANDLER(h_timer, V_TIMER)
HANDLER(h_pit, V_PIT)
/* The port asks until it is told not to: the third time. */
HANDLER(h_uart, V_UART, if (counts[V_UART] == 3) outb(0x3f9, 0))
/* While it is served, a lower one waits and a higher one does not. */
HANDLER(h_middle, V_MIDDLE, note('('); nested_ppr = apic(PPR); self_ipi(V_LOW); self_ipi(V_HIGH);
	sti(); note(')'); cli())
static __attribute__((interrupt)) void h_pic(struct frame *f)
{
	took(f, V_PIC);
	outb(0x20, 0x20);
}
static __attribute__((interrupt)) void h_nmi(struct frame *f) { took(f, 2); }
static __attribute__((interrupt)) void h_spurious(struct frame *f) { took(f, V_SPURIOUS); }

static void gate(unsigned v, void (*handler)(struct frame *))
{
	struct { uint16_t limit; uint64_t base; } __attribute__((packed)) idtr;
	uint64_t at = (uint64_t)(uintptr_t)handler, *g;

	asm volatile("sidt %0" : "=m"(idtr));
	g = (uint64_t *)idtr.base + 2 * v;
	g[0] = (at & 0xffff) | KCODE << 16 | 0x8e0000000000 | (at & 0xffff0000) << 32;
	g[1] = at >> 32;
}

/* --- What is tried --------------------------------------------------------------- */

static uint32_t cpuid1(void)
{
	uint32_t a = 1, b, c = 0, d;

	asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return d >> 9 & 1;
}

static void tell(const char *what)
{
	order[norder] = '\0';
	puts(what);
	puts((const char *)order);
	puts("\n");
	norder = 0;
}

static void priorities(void)
{
	sti();
	self_ipi(V_LOW);
	tell("self: ");
	cli();
	self_ipi(V_LOW);
	self_ipi(V_HIGH);
	self_ipi(V_LOW);
	say("two wait: ", apic_bit(IRR, V_LOW) + apic_bit(IRR, V_HIGH));
	sti();
	tell(", in the order of their priority: ");
	self_ipi(V_MIDDLE);
	tell("nested: ");
	say("ppr meanwhile ", nested_ppr);
	say(", now ", apic(PPR));
	say(", in service ", apic_bit(ISR, V_MIDDLE));
	puts("\n");
}

static void task_priority(void)
{
	set_cr8(V_LOW >> 4);
	say("cr8 4, tpr ", apic(TPR));
	say(", ppr ", apic(PPR));
	self_ipi(V_LOW);
	self_ipi(V_HIGH);
	say(", low one waits ", apic_bit(IRR, V_LOW));
	tell(", high one does not: ");
	set_cr8(V_LOW / 16 - 1);
	tell("cr8 3: ");
	apic_set(TPR, 0xf5);
	say("tpr f5, cr8 ", cr8());
	self_ipi(V_HIGH);
	tell(", none: ");
	apic_set(TPR, 0);
	tell("tpr 0: ");
}

static void wait_for(unsigned v, uint32_t n)
{
	while (counts[v] < n)
		sti_hlt();
}

static void ring3(const char *what, unsigned v)
{
	struct regs u = user_at(user_loop);

	from_user[v] = 0;
	run_user(&u);
	puts(what);
	say(": at least ", TICKS);
	puts(from_user[v] >= TICKS && u.vec == 0x80 && u.rbx == 0x1234 ? " interrupts\n" :
	     " interrupts: no\n");
}

static void timer(void)
{
	uint32_t a, b;

	cli();
	apic_set(DIVIDE, 0xb);
	apic_set(TIMER, V_TIMER);
	apic_set(INITIAL, 1000000);
	wait_for(V_TIMER, 1);
	say("timer, once: ", counts[V_TIMER]);
	say(", count ", apic(CURRENT));
	say(" of ", apic(INITIAL));
	apic_set(TIMER, V_TIMER | MASKED);
	apic_set(DIVIDE, 0xa);
	apic_set(INITIAL, ~0u);
	a = apic(CURRENT);
	for (spin = 0; spin < 10000; spin = spin + 1)
		;
	b = apic(CURRENT);
	say(", falls ", b < a && a - b < 0x40000000);
	apic_set(INITIAL, 0);
	say(", stopped ", apic(CURRENT) == 0);
	puts("\n");
	apic_set(DIVIDE, 3);
	apic_set(TIMER, V_TIMER | PERIODIC);
	apic_set(INITIAL, 60000);		/* of 16 */
	counts[V_TIMER] = 0;
	wait_for(V_TIMER, TICKS);
	say("again and again, hlt: at least ", TICKS);
	puts("\n");
	sti();
	for (counts[V_TIMER] = 0; counts[V_TIMER] < TICKS;)
		;
	cli();
	ring3("ring 3", V_TIMER);
	apic_set(TIMER, V_TIMER | PERIODIC | MASKED);
	sti();
	a = counts[V_TIMER];
	for (spin = 0; spin < 1000000; spin = spin + 1)
		;
	say("masked: ", counts[V_TIMER] - a);
	puts("\n");
	apic_set(INITIAL, 0);
	cli();
}

static void pit_start(unsigned divisor)
{
	outb(0x43, 0x34);
	outb(0x40, divisor & 0xff);
	outb(0x40, (uint8_t)(divisor >> 8));
}

static void io_apic(void)
{
	say("i/o apic: pins ", (io(1) >> 16 & 0xff) + 1);
	say(", masked ", io(0x10 + 4) >> 16 & 1);
	puts("\n");
	pin_set(2, V_PIT);
	pit_start(1193);
	wait_for(V_PIT, TICKS);
	say("pit, pin 2, hlt: at least ", TICKS);
	puts("\n");
	ring3("ring 3", V_PIT);
	pin_set(2, V_PIT | MASKED);
	sti();
	uint32_t a = counts[V_PIT];
	for (spin = 0; spin < 1000000; spin = spin + 1)
		;
	say("masked: ", counts[V_PIT] - a);
	puts("\n");
	cli();

	while ((inb(0x3fd) & 0x60) != 0x60)
		;
	inb(0x3fa);
	outb(0x3fc, 8);				/* OUT2 lets the interrupt through */
	pin_set(4, V_UART | LEVEL);
	outb(0x3f9, 2);				/* transmitter empty, which it stays */
	uint32_t waits = apic_bit(IRR, V_UART), irr = io(0x10 + 8) >> 14 & 1;
	wait_for(V_UART, 3);
	for (spin = 0; spin < 100000; spin = spin + 1)
		sti();
	cli();
	say("level, pin 4: waits ", waits);
	say(", remote irr ", irr);
	say(", times ", counts[V_UART]);
	say(", tmr ", apic_bit(TMR, V_UART));
	say(", remote irr ", io(0x10 + 8) >> 14 & 1);
	puts("\n");
	pin_set(4, MASKED);
}

static void pic_init(void)
{
	static const uint8_t words[][2] = { { 0x20, 0x11 }, { 0x21, V_PIC }, { 0x21, 4 }, { 0x21, 1 },
		{ 0xa0, 0x11 }, { 0xa1, V_PIC + 8 }, { 0xa1, 2 }, { 0xa1, 1 }, { 0x21, 0xfe },
		{ 0xa1, 0xff } };

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		outb(words[i][0], words[i][1]);
}

static void virtual_wire(void)
{
	uint32_t a;

	pic_init();
	apic_set(LINT0, EXTINT);
	wait_for(V_PIC, TICKS);
	say("8259, lint0, hlt: at least ", TICKS);
	puts("\n");
	apic_set(TPR, 0xff);
	ring3("ring 3, tpr ff", V_PIC);
	apic_set(TPR, 0);
	outb(0x21, 0xff);		/* QEMU cannot mask what is on its way */
	apic_set(LINT0, EXTINT | MASKED);
	outb(0x21, 0xfe);
	sti();
	a = counts[V_PIC];
	for (spin = 0; spin < 1000000; spin = spin + 1)
		;
	say("masked: ", counts[V_PIC] - a);
	puts("\n");
	cli();
}

static void off(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	apic_set(ICR_HIGH, apic(ID));
	apic_set(ICR, 0x400);
	for (spin = 0; spin < 100000 && !counts[2]; spin = spin + 1)
		;
	say("nmi: ", counts[2]);
	puts("\n");
	outb(0x21, 0xff);
	apic_set(LINT0, EXTINT);	/* which QEMU asks even then */
	wrmsr(MSR_APIC_BASE, base & ~0x800ull);
	counts[V_PIC] = 0;
	outb(0x21, 0xfe);
	wait_for(V_PIC, TICKS);
	say("apic off: in cpuid ", cpuid1());
	say(", 8259: at least ", TICKS);
	say(", spurious ", counts[V_SPURIOUS]);
	puts("\n");
}

void kmain(void)
{
	map(boot_pml4, LAPIC, LAPIC | PTE_MMIO);
	map(boot_pml4, IOAPIC, IOAPIC | PTE_MMIO);
	set_cr3(cr3());
	gate(2, h_nmi);
	gate(V_PIC, h_pic);
	gate(V_LOW, h_low);
	gate(V_MIDDLE, h_middle);
	gate(V_HIGH, h_high);
	gate(V_TIMER, h_timer);
	gate(V_PIT, h_pit);
	gate(V_UART, h_uart);
	gate(V_SPURIOUS, h_spurious);
	say("cpuid ", cpuid1());
	sayx(", base ", rdmsr(MSR_APIC_BASE));
	say(", integrated ", apic(VERSION) >> 4 & 1);
	say(", entries ", (apic(VERSION) >> 16 & 0xff) + 1);
	puts("\n");
	apic_set(LINT0, EXTINT | MASKED);
	apic_set(SVR, 0x100 | V_SPURIOUS);
	priorities();
	task_priority();
	timer();
	io_apic();
	virtual_wire();
	off();
}

UASM("user_loop: mov $0x1234, %ebx\n"
     "1:	inc %rax\n"
     "	cmp $0x1234, %ebx\n"
     "	je 1b\n"
     "user_left: int $0x80\n");

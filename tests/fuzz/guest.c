/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "machine/paging.h"
#include "tests/fuzz/guest.h"

#define ROOT	0x1000u		/* page directory, or PML4 with the tables of 64-bit code behind it */
#define LEAF	0x4000u
#define GDT	0x5000u
#define IDT	0x6000u
#define TSS	0x8000u
#define LDT	0x8800u
#define STACK0	0xa000u
#define RAM	(4u << 20)
/* Selectors as 64-bit Linux has them, so that a program that reads them sees its own. */
#define SEL_CODE32 0x23u
#define SEL_DATA   0x2bu
#define SEL_CODE64 0x33u
#define SEL_TSS	   0x40u
/* In the LDT, where ring3 has them at the same index. */
#define SEL_CODE16 0x0fu
#define SEL_DATA16 0x17u
#define DATA16_LIMIT (DATA_SIZE + 0x2000u - 1)	/* with READ_GVA, and a page that is not there */

static void put(struct guest *g, gpa_t at, uint64_t x, unsigned size)
{
	memcpy(g->m.mem.ram + at, &x, size);
}

static uint64_t descriptor(unsigned attr, uint32_t base, uint32_t limit20)
{
	return (uint64_t)attr << 40 | (uint64_t)(limit20 & 0xf0000) << 32 | (limit20 & 0xffff) |
	       (uint64_t)(base & 0xffffff) << 16;
}

static void paging_make(struct guest *g)
{
	const unsigned size = g->wide ? 8 : 4, all = PTE_P | PTE_W | PTE_U | 0x20;

	put(g, ROOT, (g->wide ? ROOT + 0x1000 : LEAF) | all, size);
	if (g->wide) {
		put(g, ROOT + 0x1000, (ROOT + 0x2000) | all, 8);
		put(g, ROOT + 0x2000, LEAF | all, 8);
	}
	for (uint32_t gva = 0; gva <= READ_GVA; gva += PAGE_SIZE) {
		unsigned bits = gva < 0x10000 ? PTE_P | PTE_W : 0;

		if (gva - CODE_GVA < CODE_SIZE || gva - DATA_GVA < DATA_SIZE)
			bits = PTE_P | PTE_W | PTE_U;
		if (gva == READ_GVA)
			bits = PTE_P | PTE_U;
		put(g, LEAF + size * (gva >> PAGE_SHIFT), bits ? gva | bits | 0x60 : 0, size);
	}
}

static void tables_make(struct guest *g)
{
	const unsigned kernel = g->wide ? 0xa09b : 0xc09b;

	put(g, GDT + 0x08, descriptor(kernel, 0, 0xfffff), 8);
	put(g, GDT + 0x10, descriptor(0xc093, 0, 0xfffff), 8);
	put(g, GDT + 0x20, descriptor(0xc0fb, 0, 0xfffff), 8);
	put(g, GDT + 0x28, descriptor(0xc0f3, 0, 0xfffff), 8);
	put(g, GDT + 0x30, descriptor(0xa0fb, 0, 0xfffff), 8);
	put(g, LDT + (SEL_CODE16 & ~7u), descriptor(0x00fb, CODE_GVA, CODE_SIZE - 1), 8);
	put(g, LDT + (SEL_DATA16 & ~7u), descriptor(0x00f3, DATA_GVA, DATA16_LIMIT), 8);
	put(g, GDT + 0x40, descriptor(0x008b, TSS, 0x67), 8);
	for (unsigned i = 0; i < 256; i++)
		put(g, IDT + (g->wide ? 16 : 8) * i, 0x8e0000080000ull | HANDLER(i), 8);
	put(g, TSS + 4, STACK0, g->wide ? 8 : 4);
	put(g, TSS + 0x66, 0xffff, 2);		/* no I/O permission map */
	if (!g->wide)
		put(g, TSS + 8, 0x10, 4);
}

void guest_map(struct guest *g, gva_t gva, gpa_t gpa)
{
	const unsigned size = g->wide ? 8 : 4;

	put(g, LEAF + size * (gva >> PAGE_SHIFT), gpa | PTE_P | PTE_W | PTE_U | 0x60, size);
	interp_flush(g->interp);
}

static struct segment flat(uint16_t sel, uint16_t attr)
{
	return (struct segment){ .sel = sel, .attr = attr, .limit = 0xffffffffu };
}

void guest_reset(struct guest *g)
{
	struct cpu *c = g->m.cpu;

	cpu_reset(c);
	memset(c->gpr, 0, sizeof(c->gpr));
	c->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP | CR0_MP;
	c->cr3 = ROOT;
	c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | (g->wide ? CR4_PAE : 0);
	c->efer = g->wide ? EFER_LME | EFER_LMA : 0;
	c->cpl = 3;
	c->rip = CODE_GVA;
	cpu_set_eflags(c, FL_IF | FL_1);
	c->seg[SEG_CS] = g->wide ? flat(SEL_CODE64, 0xa0fb) : flat(SEL_CODE32, 0xc0fb);
	c->seg[SEG_SS] = c->seg[SEG_DS] = c->seg[SEG_ES] = flat(SEL_DATA, 0xc0f3);
	c->seg[SEG_FS] = c->seg[SEG_GS] = c->seg[SEG_LDTR] = (struct segment){ 0 };
	c->seg[SEG_TR] = (struct segment){ .sel = SEL_TSS, .attr = 0x8b, .limit = 0x67, .base = TSS };
	if (g->narrow) {
		c->seg[SEG_LDTR] = (struct segment){ .sel = 0x38, .attr = 0x82, .limit = 0x1f, .base = LDT };
		c->seg[SEG_CS] = (struct segment){ .sel = SEL_CODE16, .attr = 0x00fb, .limit = CODE_SIZE - 1,
						   .base = CODE_GVA };
		c->seg[SEG_SS] = (struct segment){ .sel = SEL_DATA16, .attr = 0x00f3, .limit = DATA16_LIMIT,
						   .base = DATA_GVA };
		c->seg[SEG_DS] = c->seg[SEG_ES] = c->seg[SEG_SS];
		c->rip = 0;
	}
	c->gdtr = (struct dtable){ .base = GDT, .limit = 0x4f };
	c->idtr = (struct dtable){ .base = IDT, .limit = g->wide ? 0xfff : 0x7ff };
	c->fpu.cw = 0x37f;
	c->fpu.mxcsr = 0x1f80;
	g->m.power = POWER_ON;
}

void guest_mode(struct guest *g, unsigned bits)
{
	struct cpu *c = g->m.cpu;
	bool wide_code = g->wide && bits & 1;

	if (bits & 2) {
		c->cpl = 0;
		c->seg[SEG_CS].sel = 8;
		c->seg[SEG_CS].attr = wide_code ? 0xa09b : 0xc09b;
		c->seg[SEG_SS].sel = 0x10;
		c->seg[SEG_SS].attr = 0xc093;
	} else if (g->wide && !wide_code) {
		c->seg[SEG_CS].sel = 0x23;
		c->seg[SEG_CS].attr = 0xc0fb;
	}
	if (bits & 4 && !(c->seg[SEG_CS].attr & SEG_L))
		c->seg[SEG_CS].attr &= (uint16_t)~SEG_D;
	if (!g->wide && (bits & 0x18) == 0) {	/* real mode, code in a segment of its own */
		c->cr0 &= ~(uint64_t)(CR0_PE | CR0_PG);
		c->cpl = 0;
		for (unsigned s = 0; s <= SEG_GS; s++)
			c->seg[s] = (struct segment){ .sel = DATA_GVA >> 4 & 0xffff, .base = DATA_GVA,
						      .limit = 0xffff, .attr = 0x93 };
		c->seg[SEG_CS].base = CODE_GVA;
	} else if (!g->wide && (bits & 0x18) == 8) {
		c->eflags |= FL_VM;
		for (unsigned s = 0; s <= SEG_GS; s++)
			c->seg[s] = (struct segment){ .sel = 0xf000, .base = 0xf0000, .limit = 0xffff,
						      .attr = 0xf3 };
		c->seg[SEG_CS].base = CODE_GVA;
	}
}

static int guest_make(struct guest *g, bool wide)
{
	memset(g, 0, sizeof(*g));
	g->wide = wide;
	g->cfg = (struct config){ .memory = RAM, .serial = "none", .cpu_model = "x86-64-v2",
				  .lockstep = LOCKSTEP_STOP };
	if (machine_create(&g->m, &g->cfg)) {
		printf("cannot make a machine\n");
		return 1;
	}
	return 0;
}

int guest_open(struct guest *g, bool wide)
{
	char why[128] = "";

	if (guest_make(g, wide))
		return 1;
	if (vmm_create(&g->vmm, &g->m, why)) {
		printf("no direct execution on this host: %s\n", why);
		machine_destroy(&g->m);
		return 77;
	}
	paging_make(g);
	tables_make(g);
	guest_reset(g);
	vmm_flush(g->vmm);
	return 0;
}

int guest_open_interp(struct guest *g, bool wide)
{
	if (guest_make(g, wide))
		return 1;
	if (interp_create(&g->interp, &g->m)) {
		printf("cannot make an interpreter\n");
		machine_destroy(&g->m);
		return 1;
	}
	paging_make(g);
	tables_make(g);
	guest_reset(g);
	interp_flush(g->interp);
	return 0;
}

void guest_close(struct guest *g)
{
	if (g->vmm)
		vmm_destroy(g->vmm);
	if (g->interp)
		interp_destroy(g->interp);
	machine_destroy(&g->m);
}

/* Five words of RIP, CS, flags, RSP, SS, and an error code below for some vectors. */
uint64_t guest_return(struct guest *g)
{
	struct cpu *c = g->m.cpu;
	unsigned size = g->wide ? 8 : 4;
	uint64_t at = c->gpr[RSP], frame[5] = { 0 };

	if (STACK0 - at == 6 * size)
		at += size;
	for (unsigned i = 0; i < 5; i++)
		memcpy(&frame[i], g->m.mem.ram + at + i * size, size);

	struct cpu user = *c;

	guest_reset(g);
	memcpy(c->gpr, user.gpr, sizeof(c->gpr));
	c->gpr[RSP] = frame[3];
	c->rip = frame[0];
	cpu_set_eflags(c, (uint32_t)frame[2] & ~FL_RF);
	c->fpu = user.fpu;
	return frame[0];
}

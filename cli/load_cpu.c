/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vCPU as boot protocols want it: flat segments, no interrupts, in protected
 * mode without paging or in 64-bit mode on an identity map.
 */
#include <string.h>

#include "cli/load.h"

#define ATTR_CODE32	(SEG_G | SEG_D | SEG_P | SEG_S | SEG_CODE | SEG_R | SEG_A)
#define ATTR_CODE64	(SEG_G | SEG_L | SEG_P | SEG_S | SEG_CODE | SEG_R | SEG_A)
#define ATTR_DATA32	(SEG_G | SEG_D | SEG_P | SEG_S | SEG_W | SEG_A)

/* A flat descriptor: limit 0xfffff pages, base 0 (SDM 3A 3.4.5). */
static uint64_t flat_descriptor(uint16_t attr)
{
	return 0x0000ffffull | (uint64_t)attr << 40 | 0xfull << 48;
}

static void load_cpu(struct machine *m, uint32_t entry, uint16_t code, uint16_t code_attr,
		     uint16_t data, gpa_t gdt)
{
	struct cpu *c = m->cpu;
	uint8_t table[64] = { 0 };
	uint16_t last = code > data ? code : data;
	const struct segment ds = { .sel = data, .attr = ATTR_DATA32, .limit = UINT32_MAX };

	bug_on(last + 8u > sizeof(table));
	put_le(table + code, flat_descriptor(code_attr), 8);
	put_le(table + data, flat_descriptor(ATTR_DATA32), 8);
	bug_on(!load_copy(m, gdt, table, last + 8u));

	memset(c->gpr, 0, sizeof(c->gpr));
	c->rip = entry;
	c->cpl = 0;
	cpu_set_eflags(c, 0);
	c->cr0 = CR0_PE | CR0_ET;
	c->gdtr = (struct dtable){ gdt, (uint16_t)(last + 7) };
	c->idtr = (struct dtable){ 0, 0 };
	for (unsigned s = SEG_ES; s <= SEG_GS; s++)
		c->seg[s] = ds;
	c->seg[SEG_CS] = (struct segment){ .sel = code, .attr = code_attr, .limit = UINT32_MAX };
	c->halted = false;
}

void load_cpu_flat(struct machine *m, uint32_t entry, uint16_t code, uint16_t data, gpa_t gdt)
{
	load_cpu(m, entry, code, ATTR_CODE32, data, gdt);
}

/* PML4, PDPT and one page directory for each of the 4 GiB, of 2 MiB pages (SDM 3A 4.5). */
static void identity_map(struct machine *m, gpa_t tables)
{
	enum { PRESENT_WRITE = 3, LARGE = 0x80, ENTRIES = 512 };

	bug_on(!load_copy(m, tables, NULL, IDENTITY_MAP_SIZE));
	phys_write(&m->mem, tables, (tables + PAGE_SIZE) | PRESENT_WRITE, 8);
	for (unsigned dir = 0; dir < 4; dir++) {
		gpa_t at = tables + (2 + dir) * PAGE_SIZE;

		phys_write(&m->mem, tables + PAGE_SIZE + 8 * dir, at | PRESENT_WRITE, 8);
		for (unsigned i = 0; i < ENTRIES; i++)
			phys_write(&m->mem, at + 8 * i, (uint64_t)(dir * ENTRIES + i) << 21 |
				   LARGE | PRESENT_WRITE, 8);
	}
}

/* What a loader has set before the jump to 64-bit code, SDM 3A 9.8.5. */
void load_cpu_long(struct machine *m, uint32_t entry, uint16_t code, uint16_t data, gpa_t gdt,
		   gpa_t tables)
{
	struct cpu *c = m->cpu;

	load_cpu(m, entry, code, ATTR_CODE64, data, gdt);
	identity_map(m, tables);
	c->cr3 = tables;
	c->cr4 |= CR4_PAE;
	c->efer |= EFER_LME | EFER_LMA;
	c->cr0 |= CR0_PG;
}

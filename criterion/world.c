/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine and its tables, and one instruction in it. */
#include <errno.h>
#include <string.h>

#include "criterion/world.h"
#include "machine/paging.h"

#define ROOT(b)		((b) ? 0x5000u : 0x1000u)	/* page directory or PML4; three pages behind it */
#define LEAF(w, b)	(ROOT(b) + ((w)->of->kind == WORLD_L64 ? 0x3000u : 0x1000u))
#define GDT(b)		((b) ? 0x9800u : 0x9000u)
#define LDT(b)		(GDT(b) + 0x200)
#define TSS(b)		(GDT(b) + 0x400)
#define IDT(b)		((b) ? 0xb000u : 0xa000u)
#define STACK0		0xd000u
#define HANDLER(v)	(0xe000u + 8 * (v))
#define FRAMES(b)	((b) ? 0x18000u : 0x10000u)
#define RAM		(4u << 20)

#define SEL_KERNEL_CODE	0x08u
#define SEL_KERNEL_DATA	0x10u
#define SEL_CODE	0x1bu
#define SEL_DATA	0x23u
#define SEL_LDT(b)	((b) ? 0x90u : 0x80u)
#define SEL_TSS(b)	((b) ? 0xb0u : 0xa0u)
#define GDT_LIMIT	0xffu
#define LDT_LIMIT	0x1fu

const uint16_t world_selectors[SELECTORS] = {
	SEL_CODE, SEL_DATA, 0x2b, 0x0f, 0x17, 0x6b, 0x33, 0xd3, 0x18, 0x73, 0x7b, SEL_KERNEL_CODE,
	SEL_KERNEL_DATA, 0, 3, 0x83,
};

/* --- Tables ------------------------------------------------------------------------ */

static void put(struct world *w, unsigned at, uint64_t x, unsigned size)
{
	memcpy(w->image + at, &x, size);
}

static uint64_t descriptor(unsigned attr, uint32_t base, uint32_t limit20)
{
	return (uint64_t)attr << 40 | (uint64_t)(limit20 & 0xf0000) << 32 | (limit20 & 0xffff) |
	       (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(base & 0xff000000) << 32;
}

static void paging_make(struct world *w, bool b)
{
	const bool wide = w->of->kind == WORLD_L64;
	const unsigned size = wide ? 8 : 4, all = PTE_P | PTE_W | PTE_U | PTE_A;

	put(w, ROOT(b), (wide ? ROOT(b) + 0x1000 : LEAF(w, b)) | all, size);
	if (wide) {
		put(w, ROOT(b) + 0x1000, (ROOT(b) + 0x2000) | all, 8);
		put(w, ROOT(b) + 0x2000, LEAF(w, b) | all, 8);
	}
	for (unsigned i = 0; i < 16; i++)
		put(w, LEAF(w, b) + size * i, i << PAGE_SHIFT | PTE_P | PTE_W | PTE_A | PTE_D, size);
	for (unsigned i = 0; i < USER_PAGES; i++) {
		put(w, LEAF(w, b) + size * ((USER_GVA >> PAGE_SHIFT) + i),
		    (FRAMES(b) + i * PAGE_SIZE) | all | PTE_D, size);
		put(w, LEAF(w, b) + size * (((USER_GVA + MOVED) >> PAGE_SHIFT) + i),
		    (FRAMES(true) + i * PAGE_SIZE) | all | PTE_D, size);
	}
}

static void descriptors_make(struct world *w, bool b)
{
	const bool wide = w->of->kind == WORLD_L64;
	const unsigned code = wide ? 0xa09b : 0xc09b;

	put(w, GDT(b) + 0x08, descriptor(code, 0, 0xfffff), 8);
	put(w, GDT(b) + 0x10, descriptor(0xc093, 0, 0xfffff), 8);
	put(w, GDT(b) + 0x18, descriptor(code | 0x60, 0, 0xfffff), 8);
	put(w, GDT(b) + 0x20, descriptor(0xc0f3, 0, 0xfffff), 8);
	put(w, GDT(b) + 0x28, descriptor(0x40f3, 0, 0x3ffff), 8);
	put(w, GDT(b) + 0x30, descriptor(code | 4, 0, 0xfffff), 8);	/* conforming */
	put(w, GDT(b) + 0x68, descriptor(0x40f1, 0, 0x2ffff), 8);	/* read-only */
	put(w, GDT(b) + 0x70, descriptor(0xc0b3, 0, 0xfffff), 8);	/* DPL 1 */
	put(w, GDT(b) + 0x78, descriptor(0xc073, 0, 0xfffff), 8);	/* not present */
	for (unsigned i = 0; i < 2; i++) {
		put(w, GDT(b) + SEL_LDT(i), descriptor(0x0082, LDT(i), LDT_LIMIT), 8);
		put(w, GDT(b) + SEL_TSS(i), descriptor(0x008b, TSS(i), 0x67), 8);
	}
	put(w, GDT(b) + 0xc0, descriptor(0x0089, TSS(false), 0x67), 8);	/* an available one */
	put(w, GDT(b) + 0xd0, (uint64_t)0xec00 << 32 | SEL_KERNEL_CODE << 16 | HANDLER(0x80), 8);
	put(w, LDT(b) + 0x08, descriptor(0x40f3, 0, 0x1ffff), 8);
	put(w, LDT(b) + 0x10, descriptor(code | 0x60, 0, 0xfffff), 8);
	put(w, TSS(b) + 4, STACK0, wide ? 8 : 4);
	if (!wide)
		put(w, TSS(b) + 8, SEL_KERNEL_DATA, 4);
	put(w, TSS(b) + 0x66, 0xffff, 2);	/* no I/O permission map */
	/* Most vectors may be called by INT n from user mode. */
	for (unsigned v = 0; v < 256; v++)
		put(w, IDT(b) + (wide ? 16 : 8) * v,
		    (uint64_t)(v % 5 == 2 ? 0x8e00 : 0xee00) << 32 | SEL_KERNEL_CODE << 16 | HANDLER(v), 8);
}

/* --- The device ---------------------------------------------------------------------- */

static uint32_t device_in(void *dev, uint16_t port, unsigned size)
{
	struct world *w = dev;

	(void)port;
	w->result->port_count++;
	return size == 4 ? w->running->port : w->running->port & ((1u << 8 * size) - 1);
}

static void device_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct world *w = dev;

	(void)size;
	w->result->port_count++;
	w->result->written = w->result->written * 31 + val + port;
}

static const struct device_ops device = { .name = "criterion", .in = device_in, .out = device_out };

/* --- Open and close ------------------------------------------------------------------- */

static int machine_make(struct world *w, unsigned i, const char *model)
{
	int err;

	w->cfg[i] = (struct config){ .memory = RAM, .serial = "none", .cpu_model = model, .clock_instructions = true };
	err = machine_create(&w->m[i], &w->cfg[i]);
	if (!err)
		err = interp_create(&w->v[i], &w->m[i]);
	if (err)
		return err;
	w->m[i].clock.retired = interp_retired(w->v[i]);
	bus_claim(w->m[i].bus, PORT, 4, 4, &device, w);
	return 0;
}

int world_open(struct world *w, const struct criterion_case *of)
{
	int err;

	memset(w, 0, sizeof(*w));
	w->of = of;
	w->decoder = decoder_create();
	err = w->decoder ? machine_make(w, 0, of->cpu) : -ENOMEM;
	if (!err && of->other_cpu)
		err = machine_make(w, 1, of->other_cpu);
	for (unsigned v = 0; v < 256; v++)	/* real mode's vectors */
		put(w, 4 * v, HANDLER(v), 4);
	for (unsigned b = 0; b < 2; b++) {
		paging_make(w, b);
		descriptors_make(w, b);
	}
	return err;
}

void world_close(struct world *w)
{
	for (unsigned i = 0; i < 2; i++)
		if (w->v[i]) {
			interp_destroy(w->v[i]);
			machine_destroy(&w->m[i]);
		}
	if (w->decoder)
		decoder_destroy(w->decoder);
}

unsigned world_bits(const struct world *w)
{
	return w->of->kind == WORLD_L64 ? 64 : w->of->kind == WORLD_V86 ? 16 : 32;
}

uint32_t world_hflags(const struct world *w)
{
	switch (w->of->kind) {
	case WORLD_L64: return HF_PE | HF_CS64;
	case WORLD_V86: return HF_VM;
	default: return HF_PE | HF_CS32 | HF_SS32;
	}
}

/* --- One instruction ------------------------------------------------------------------- */

/* Limits and rights of descriptors that are not loaded. */
static void patch(const struct state *s, uint8_t *ram)
{
	for (unsigned b = 0; b < 2; b++) {
		uint8_t *gdt = ram + GDT(b), *ldt = ram + LDT(b);

		if (s->bounds_b) {
			gdt[0x28] ^= 0x10;
			gdt[0x68] ^= 0x10;
			ldt[0x08] ^= 0x10;
		}
		if (s->rights_b) {
			gdt[0x28 + 5] ^= 0x02;	/* writable or not */
			gdt[0x68 + 6] ^= 0x10;	/* the bit for the system's use */
			gdt[0x30 + 5] ^= 0x02;	/* readable or not */
			ldt[0x08 + 5] ^= 0x02;
			ldt[0x10 + 5] ^= 0x02;	/* readable or not */
		}
	}
}

void world_run(struct world *w, const struct state *s, struct outcome *o)
{
	struct machine *m = &w->m[s->cpu_b];
	struct interp *v = w->v[s->cpu_b];
	struct interp_counts before, after;
	uint8_t *ram = m->mem.ram;
	int64_t start = *interp_retired(v) + m->clock.skipped;

	o->written = o->port_count = 0;
	w->running = (struct state *)s;
	w->result = o;
	pages_copy(ram, w->image, sizeof(w->image));
	patch(s, ram);
	pages_copy(ram + FRAMES(s->frames_b), s->user, USER_SIZE);
	if (w->frames_b[s->cpu_b] != s->frames_b)
		memset(ram + FRAMES(!s->frames_b), 0, USER_SIZE);
	w->frames_b[s->cpu_b] = s->frames_b;
	*m->cpu = s->cpu;
	m->cpu->tsc_offset = s->tsc - (uint64_t)start;
	m->power = POWER_ON;
	interp_flush(v);
	interp_counts(v, &before);
	interp_run(v, 1, RUN_ONE);
	interp_counts(v, &after);
	o->how = m->power != POWER_ON ? ENDED_SHUTDOWN : after.faults != before.faults ? ENDED_TRAP : ENDED_WELL;
	o->vector = after.last_fault;
	o->power = m->power;
	o->after.cpu = *m->cpu;
	o->after.tsc = m->cpu->tsc_offset + (uint64_t)start;
	pages_copy(o->after.user, ram + FRAMES(s->frames_b), USER_SIZE);
	memcpy(o->tables, ram + GDT(s->gdt_b), 0x200);
	memcpy(o->tables + 0x200, ram + LDT(s->ldt_b), 0x200);
	memcpy(o->tables + 0x400, ram + TSS(s->tss_b), 0x400);
	memset(o->tables + 0x400 + 0x68, 0, 0x400 - 0x68);
	for (unsigned i = 0; i < 0x10; i += 8)	/* the places of the two, which differ by themselves */
		memset(o->tables + SEL_LDT(0) + i, 0, 8), memset(o->tables + SEL_LDT(1) + i, 0, 8);
}

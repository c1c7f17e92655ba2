/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as code, in every mode, user or supervisor: decoder, traces and handlers. The first
 * bytes choose the mode and the registers; the others are the code. Nothing may crash, and what
 * comes out must be a processor's state that a snapshot would take back.
 */
#include "machine/cpu_state.h"
#include "machine/snapshot.h"
#include "tests/fuzz/guest.h"
#include "tests/fuzz/target.h"

#define HEAD		4
#define BUDGET		300

static uint64_t registers(uint32_t x, unsigned i)
{
	switch ((x >> i) & 3) {
	case 0: return DATA_GVA + (x >> 4 & 0x1ff8);
	case 1: return i;
	case 2: return ~0ull << (x & 63);
	default: return x * 0x9e3779b97f4a7c15ull;
	}
}

/* A kernel has its own traps, and may halt or switch off: then it goes on behind that. */
static void run(struct guest *g)
{
	for (unsigned i = 0; i < 3; i++) {
		interp_run(g->interp, BUDGET, RUN_UNTIL_USER);
		interp_run(g->interp, BUDGET, 0);
		g->m.cpu->halted = false;
		g->m.power = POWER_ON;
	}
}

static void check_state(struct guest *g)
{
	struct state s;
	struct cpu c = *g->m.cpu;

	state_init(&s);
	cpu_save(g->m.cpu, &s);
	if (cpu_restore(&c, &s))
		fuzz_failed("a state that a snapshot refuses");
	state_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Perhaps across the end of a page. */
	size_t at = size && data[0] & 0x20 ? PAGE_SIZE - 8 : 0, room = CODE_SIZE - at;
	static struct guest g;
	uint32_t x;

	if (size <= HEAD || size > HEAD + CODE_SIZE)
		return 0;
	x = (uint32_t)(data[1] | data[2] << 8 | data[3] << 16);
	if (guest_open_interp(&g, data[0] & 0x80))
		fuzz_failed("no guest");
	g.narrow = !g.wide && data[0] & 0x40;
	guest_reset(&g);
	for (unsigned i = 0; i < 16; i++)
		g.m.cpu->gpr[i] = registers(x, i);
	g.m.cpu->gpr[RSP] = g.narrow ? 0x2000 : DATA_GVA + 0x2000;
	if (!g.narrow)
		guest_mode(&g, data[0] & 0x1f);
	g.m.cpu->rip = g.m.cpu->seg[SEG_CS].base ? 0 : CODE_GVA;
	g.m.cpu->rip += at;
	if (size - HEAD < room)
		room = size - HEAD;
	memcpy(g.m.mem.ram + CODE_GVA + at, data + HEAD, room);
	interp_flush(g.interp);
	run(&g);
	check_state(&g);
	guest_close(&g);
	return 0;
}

/* Some of everything, so that mutations have something to begin with. */
size_t fuzz_seed(unsigned i, uint8_t *to)
{
	static const uint8_t code[] = {
		0x01, 0xd8, 0x11, 0xd1, 0x29, 0xc8, 0x0f, 0xaf, 0xc3, 0xf7, 0xf1, 0x0f, 0xa4,
		0xc8, 0x05, 0xd1, 0xe0, 0x0f, 0xb6, 0x00, 0x89, 0x08, 0xf0, 0x0f, 0xb1, 0x10,
		0x50, 0x9c, 0x9d, 0x58, 0xf3, 0xa4, 0xf2, 0xae, 0xd9, 0xe8, 0xd9, 0xfa, 0xdb,
		0x38, 0x0f, 0x28, 0xc1, 0x66, 0x0f, 0x6f, 0x00, 0xf3, 0x0f, 0x58, 0xc8, 0x0f,
		0xa2, 0x0f, 0x31, 0x0f, 0x00, 0xd8, 0x0f, 0x01, 0xe0, 0x0f, 0x20, 0xc0, 0x0f,
		0x22, 0xc0, 0x0f, 0x32, 0xcd, 0x80, 0xcf, 0xc8, 0x10, 0x00, 0x02, 0xc9, 0xe8,
		0x00, 0x00, 0x00, 0x00, 0xc3, 0x8e, 0xd8, 0x0f, 0xb2, 0x20, 0xea, 0x00, 0x00,
		0x10, 0x00, 0x23, 0x00, 0x0f, 0xae, 0x00, 0x0f, 0xae, 0x08, 0x0f, 0xc7, 0x08,
		0x62,
	};

	if (i == 72)
		return 0;
	to[0] = (uint8_t)(i < 32 ? i : i < 64 ? 0x80 | i : 0x40 | i << 5);
	to[1] = (uint8_t)(i * 37);
	to[2] = (uint8_t)(i * 101);
	to[3] = (uint8_t)i;
	for (unsigned k = 0; k < sizeof(code); k++)
		to[HEAD + k] = code[(k + 13 * i) % sizeof(code)];
	return HEAD + sizeof(code);
}

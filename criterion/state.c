/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random states, and the second one of a pair. Registers and memory are biased towards what
 * instructions can do something with: addresses of the program, selectors, the device's
 * port, frames on the stack.
 */
#include <string.h>

#include "criterion/world.h"

/* The same places as in world.c. */
#define GDT(b)		((b) ? 0x9800u : 0x9000u)
#define LDT(b)		(GDT(b) + 0x200)
#define TSS(b)		(GDT(b) + 0x400)
#define IDT(b)		((b) ? 0xb000u : 0xa000u)
#define ROOT(b)		((b) ? 0x5000u : 0x1000u)
#define SEL_LDT(b)	((b) ? 0x90u : 0x80u)
#define SEL_TSS(b)	((b) ? 0xb0u : 0xa0u)

static uint32_t origin(const struct world *w)
{
	return w->of->kind == WORLD_V86 ? 0 : USER_GVA;
}

/* A word that some instruction can use. */
static uint64_t useful(const struct world *w, uint64_t *seed)
{
	uint32_t data = w->of->kind == WORLD_V86 ? 0x100 : DATA_GVA;

	switch (rnd_below(seed, 8)) {
	case 0: case 1: return data + rnd_below(seed, 0x1800);
	case 2: return origin(w) + CODE_AT;
	case 3: case 4: return w->of->kind == WORLD_V86 ? 0x1000 + 0x100 * rnd_below(seed, 4) :
				world_selectors[rnd_below(seed, rnd_below(seed, 2) ? SELECTORS_USER : SELECTORS)];
	case 5: return PORT;
	case 6: return rnd_below(seed, 256);
	default: return rnd(seed) >> 32;
	}
}

static struct segment segment(uint16_t sel, uint16_t attr)
{
	return (struct segment){ .sel = sel, .attr = attr, .limit = 0xffffffffu };
}

static void segments(const struct world *w, struct cpu *c, bool user)
{
	const uint16_t dpl = user ? 0x60 : 0, rpl = user ? 3 : 0;

	if (w->of->kind == WORLD_V86) {
		static const uint16_t at[] = { 0x1200, 0x1000, 0x1300, 0x1100, 0x1100, 0x1200 };

		for (unsigned i = 0; i < 6; i++)
			c->seg[i] = (struct segment){ .sel = at[i], .base = at[i] << 4, .limit = 0xffff,
						      .attr = i == SEG_CS && !user ? 0x9b : 0x93 | dpl };
		return;
	}
	c->seg[SEG_CS] = segment(0x18 | rpl, (w->of->kind == WORLD_L64 ? 0xa09b : 0xc09b) | dpl);
	c->seg[SEG_SS] = segment(0x20 | rpl, 0xc093 | dpl);
	c->seg[SEG_DS] = c->seg[SEG_ES] = c->seg[SEG_FS] = c->seg[SEG_GS] = segment(0x23, 0xc0f3);
}

static void control(const struct world *w, struct cpu *c, bool user)
{
	const struct criterion_case *of = w->of;
	bool wide = of->kind == WORLD_L64, real = of->kind == WORLD_V86 && !user;

	cpu_reset(c);
	c->cr0 = real ? CR0_ET : CR0_PE | CR0_PG | CR0_ET;
	c->cr3 = ROOT(false);
	c->cr4 = of->only_386 || real ? 0 : (wide ? CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT : 0) |
		 (of->umip ? CR4_UMIP : 0) | (of->tsd ? CR4_TSD : 0);
	c->msr_misc_features = of->faulting && !real;
	c->efer = wide ? EFER_LME | EFER_LMA | EFER_SCE : 0;
	c->cpl = user ? 3 : 0;
	c->gdtr = (struct dtable){ .base = GDT(false), .limit = 0xff };
	c->idtr = (struct dtable){ .base = real ? 0 : IDT(false), .limit = real ? 0x3ff : wide ? 0xfff : 0x7ff };
	c->seg[SEG_LDTR] = (struct segment){ .sel = SEL_LDT(0), .attr = 0x82, .limit = 0x1f, .base = LDT(false) };
	c->seg[SEG_TR] = (struct segment){ .sel = SEL_TSS(0), .attr = 0x8b, .limit = 0x67, .base = TSS(false) };
	c->msr_sysenter_cs = c->msr_star = 0;
	if (!of->only_386) {
		c->msr_sysenter_cs = 0x08;
		c->msr_sysenter_esp = 0xd000;
		c->msr_sysenter_eip = 0xe000;
		c->msr_star = 0x0013000800000000ull;
		c->msr_lstar = c->msr_cstar = 0xe000;
	}
}

static uint32_t random_flags(const struct world *w, uint64_t *seed, bool user)
{
	uint32_t fl = FL_1 | ((uint32_t)rnd(seed) & (FL_ARITH | FL_DF | FL_IF));
	unsigned iopl = rnd_below(seed, 4);

	switch (w->of->iopl) {
	case IOPL_ANY: break;
	case IOPL_0: iopl = 0; break;
	case IOPL_3: iopl = 3; break;
	case IOPL_GATE: iopl = 0; fl |= FL_IF; break;
	}
	return fl | iopl << 12 | (w->of->kind == WORLD_V86 && user ? FL_VM : 0);
}

static void fill(const struct world *w, uint64_t *seed, uint8_t *at, unsigned size, unsigned word)
{
	for (unsigned i = 0; i + word <= size; i += word) {
		uint64_t x = useful(w, seed);

		memcpy(at + i, &x, word);
	}
}

/* What IRET and far RET take from the stack, in words as wide as the instruction has them. */
static void frame(const struct world *w, uint64_t *seed, struct state *s, const uint8_t *bytes)
{
	const unsigned word = world_bits(w) / 8;
	const bool v86 = word == 2, wide = word == 8 && bytes[0] == 0x48;
	const unsigned size = wide ? 8 : v86 != (bytes[0] == 0x66) ? 2 : 4;
	const uint64_t f[] = {
		origin(w) + CODE_AT + 0x20, v86 ? 0x1000 : world_selectors[rnd_below(seed, SELECTORS_USER)],
		random_flags(w, seed, false) & ~FL_VM, STACK_GVA + 0x900,
		world_selectors[rnd_below(seed, SELECTORS_USER)],
	};

	for (unsigned i = 0; i < ARRAY_LEN(f); i++)
		memcpy(s->user + 3 * PAGE_SIZE + 0x800 + i * size, &f[i], size);
}

void state_random(const struct world *w, struct state *s, uint64_t seed, bool user, const uint8_t *bytes,
		  unsigned length)
{
	const unsigned word = world_bits(w) / 8;
	struct cpu *c = &s->cpu;

	memset(s, 0, sizeof(*s));
	control(w, c, user);
	segments(w, c, user);
	for (unsigned i = 0; i < (word == 8 ? 16u : 8u); i++)
		c->gpr[i] = word == 8 ? useful(w, &seed) : (uint32_t)useful(w, &seed);
	c->gpr[RSP] = word == 2 ? 0x800 : STACK_GVA + 0x800;
	c->gpr[RBP] = c->gpr[RSP] + 0x40;
	if (rnd_below(&seed, 2))
		c->gpr[RDI] = word == 2 ? 0x200 : DATA_GVA + 0x200;
	if (rnd_below(&seed, 2))
		c->gpr[RBX] = word == 2 ? 0x300 : DATA_GVA + 0x300;
	if (rnd_below(&seed, 2))
		c->gpr[RSI] = word == 2 ? 0x400 : DATA_GVA + 0x400;
	if (!rnd_below(&seed, 3))
		c->gpr[RDX] = PORT;
	/* Leaves of CPUID, counters, XCR0. */
	if (!rnd_below(&seed, 3))
		c->gpr[RAX] = rnd_below(&seed, 3);
	if (!rnd_below(&seed, 4))
		c->gpr[RCX] = 0;
	c->rip = origin(w) + CODE_AT;
	cpu_set_eflags(c, random_flags(w, &seed, user));
	c->fpu.cw = 0x37f;
	c->fpu.mxcsr = 0x1f80;
	/* The data that addresses lead to, and the stack around its pointer. */
	fill(w, &seed, s->user + PAGE_SIZE, 0x1a00, word == 2 ? 2 : 4);
	fill(w, &seed, s->user + 3 * PAGE_SIZE + 0x7c0, 0x100, word);
	if (rnd_below(&seed, 2))
		frame(w, &seed, s, bytes);
	memcpy(s->user + CODE_AT, bytes, length);
	s->port = (uint32_t)rnd(&seed);
	s->tsc = rnd(&seed) >> 20;
}

/* --- Pairs --------------------------------------------------------------------------- */

static bool pair_mode(const struct world *w, struct state *b)
{
	struct cpu user = b->cpu;
	uint32_t fl = cpu_eflags(&user);

	control(w, &b->cpu, false);
	segments(w, &b->cpu, false);
	memcpy(b->cpu.gpr, user.gpr, sizeof(user.gpr));
	b->cpu.rip = user.rip;
	b->cpu.fpu = user.fpu;
	cpu_set_eflags(&b->cpu, fl & ~FL_VM);
	return user.cpl == 3;
}

bool state_pair(const struct world *w, const struct state *a, struct state *b, unsigned pair)
{
	static const char *const worlds[PAIRS] = {
#define PAIR(id, worlds, ...)	worlds,
#include "criterion/pairs.def"
#undef PAIR
	};
	struct cpu *c = &b->cpu;
	bool real = !(a->cpu.cr0 & CR0_PE);

	if (!strchr(worlds[pair], "PVL"[w->of->kind]))
		return false;
	memcpy(b, a, offsetof(struct state, user));
	pages_copy(b->user, a->user, USER_SIZE);
	switch ((enum pair_kind)pair) {
	case PAIR_MODE:
		return pair_mode(w, b);
	case PAIR_CR3:
		b->frames_b = true;
		c->cr3 = ROOT(true);
		return true;
	case PAIR_BASE:
		b->frames_b = true;
		for (unsigned i = 0; i < 6; i++)
			c->seg[i].base += MOVED;
		return true;
	case PAIR_FSBASE:
		c->seg[SEG_FS].base = c->seg[SEG_GS].base = 0x1000;
		return true;
	case PAIR_BOUNDS:
		return b->bounds_b = true;
	case PAIR_RIGHTS:
		return b->rights_b = true;
	case PAIR_IF:
		cpu_set_eflags(c, cpu_eflags(c) ^ FL_IF);
		return w->of->iopl != IOPL_GATE || c->cpl == 0;
	case PAIR_IOPL:
		cpu_set_eflags(c, cpu_eflags(c) ^ FL_IOPL);
		return w->of->iopl == IOPL_ANY || c->cpl == 0;
	case PAIR_GDTR:
		c->gdtr.base = GDT(true);
		return b->gdt_b = true;
	case PAIR_IDTR:
		c->idtr.base = IDT(true);
		return (b->idt_b = true) && !real;
	case PAIR_LDTR:
		c->seg[SEG_LDTR].sel = SEL_LDT(1);
		c->seg[SEG_LDTR].base = LDT(true);
		return b->ldt_b = true;
	case PAIR_TR:
		c->seg[SEG_TR].sel = SEL_TSS(1);
		c->seg[SEG_TR].base = TSS(true);
		return b->tss_b = true;
	case PAIR_CR0:
		c->cr0 ^= CR0_NE;
		return true;
	case PAIR_CR2:
		c->cr2 ^= 0x1234000;
		return true;
	case PAIR_CR4:
		c->cr4 ^= CR4_MCE;
		return !w->of->only_386;
	case PAIR_DEBUG:
		for (unsigned i = 0; i < 4; i++)
			c->dr[i] ^= 0x5550 + i;
		return true;
	case PAIR_TSC:
		b->tsc ^= 0x123456789ull;
		return true;
	case PAIR_MSR:
		c->msr_sysenter_esp ^= 0x100;
		c->msr_kernel_gs_base ^= 0x4000;
		c->msr_tsc_aux ^= 5;
		c->msr_pat ^= 0x0100;
		return !w->of->only_386;
	case PAIR_PORT:
		b->port ^= 0x5a5a5a5a;
		return true;
	case PAIR_CPU:
		b->cpu_b = true;
		return w->of->other_cpu;
	case PAIRS:
		break;
	}
	return false;
}

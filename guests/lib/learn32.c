/* SPDX-License-Identifier: BSD-2-Clause */
/* The C part of the guest learn. */
#include "learn.h"

#define BY_REGISTER	__attribute__((regparm(3)))
void BY_REGISTER learn_run(const uint32_t *regs);
void BY_REGISTER learn_puts(const char *s);
void BY_REGISTER learn_putx(uint32_t v, uint32_t digits);
void learn_main(void);
extern uint32_t learn_trap[], learn_sweep_n;

static void text(const char *s) { learn_puts(s); }
static void hex(uint64_t v, unsigned digits) { learn_putx((uint32_t)v, digits); }

/* lib/trap.inc: where the trap's frame has what. */
static void ask32(struct saw *s, uint64_t entry, uint64_t si, uint64_t di)
{
	const uint32_t regs[] = { (uint32_t)entry, 0, 0, 0, (uint32_t)si, (uint32_t)di };
	const uint32_t *t = learn_trap;

	learn_run(regs);
	s->vec = t[12];
	s->err = t[13];
	s->rip = t[14];
	s->cs = t[15];
	s->fl = t[16];
	s->ax = t[11];
	s->bx = t[8];
	s->cx = t[10];
	s->dx = t[9];
	s->si = t[5];
	s->sp = t[17];
	s->r11 = 0;
}

void learn_main(void)
{
	static const struct places places = PLACES(32, pop_ds_32, les_32);

	learn_all(ask32, &places, 32, learn_sweep_n);
}

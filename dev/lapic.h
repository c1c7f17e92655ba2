/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the local APIC (SDM 3A chapter 10):
 *
 *	lapic.c		which interrupt is next; the device
 *	lapic_regs.c	the page of registers
 *	lapic_timer.c	the timer
 */
#ifndef DEV_LAPIC_H
#define DEV_LAPIC_H

#include "machine/machine.h"

enum lvt { LVT_TIMER, LVT_THERMAL, LVT_COUNTERS, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVTS };
#define LVT_VECTOR	0xffu
#define LVT_MODE(e)	((e) >> 8 & 7)	/* enum delivery */
#define LVT_MASKED	0x10000u
#define LVT_PERIODIC	0x20000u

#define SVR_ENABLED	0x100u
#define SVR_FOCUS	0x200u

/* ESR, SDM 3A 10.5.3. */
#define ERR_SENT_VECTOR	0x20u
#define ERR_GOT_VECTOR	0x40u
#define ERR_REGISTER	0x80u

struct lapic {
	struct machine *m;
	struct range *range;
	struct timer timer;
	uint32_t irr[8], isr[8], tmr[8];	/* a bit a vector */
	uint32_t lvt[LVTS];
	uint32_t svr, dfr, icr[2];
	uint32_t errors, esr;		/* since the last write of ESR; what reads get */
	uint8_t id, ldr;
	uint8_t tpr_low;		/* the upper half of the TPR is cpu->cr8 */
	bool lint0;			/* level at the last look */
	/* The timer: counts from `initial` since guest time `started`, while running. */
	uint32_t initial;
	uint8_t divide;			/* the register */
	bool running;
	int64_t started;
};

/* lapic.c */
uint8_t lapic_tpr(const struct lapic *l);
uint8_t lapic_ppr(const struct lapic *l);
/* What follows from a change: machine->intr. */
void lapic_update(struct lapic *l);
/* An interrupt of the APIC's own goes where its entry says. */
void lapic_local(struct lapic *l, enum lvt source);
void lapic_error(struct lapic *l, uint32_t bit);
void lapic_eoi(struct lapic *l);

/* lapic_regs.c: the range's accesses */
uint64_t lapic_read(void *dev, uint64_t off, unsigned size);
void lapic_write(void *dev, uint64_t off, uint64_t val, unsigned size);

/* lapic_timer.c */
void lapic_timer_fire(void *arg, int64_t now);
uint32_t lapic_timer_count(const struct lapic *l);
void lapic_timer_start(struct lapic *l, uint32_t initial);
void lapic_timer_divide(struct lapic *l, uint8_t reg);
void lapic_timer_entry(struct lapic *l, uint32_t entry);	/* into lvt[LVT_TIMER] */
void lapic_timer_arm(struct lapic *l);

#endif

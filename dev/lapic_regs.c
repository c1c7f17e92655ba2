/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC's page of registers (SDM 3A table 10-1), each the first four bytes of sixteen.
 * There is one processor: commands to others reach nobody.
 */
#include "dev/apic.h"
#include "dev/lapic.h"

/* That of a Pentium 4 and later, with six entries in the LVT. */
#define VERSION		((LVTS - 1u) << 16 | 0x14u)

enum reg {
	R_ID = 0x02, R_VERSION, R_TPR = 0x08, R_APR, R_PPR, R_EOI, R_RRD, R_LDR, R_DFR, R_SVR,
	R_ISR = 0x10, R_TMR = 0x18, R_IRR = 0x20, R_ESR = 0x28, R_ICR = 0x30, R_ICR_HIGH,
	R_LVT = 0x32, R_INITIAL = 0x38, R_CURRENT, R_DIVIDE = 0x3e,
};

static const uint32_t lvt_writable[LVTS] = {
	[LVT_TIMER] = LVT_PERIODIC | LVT_MASKED | LVT_VECTOR,
	[LVT_THERMAL] = LVT_MASKED | 0x700 | LVT_VECTOR,
	[LVT_COUNTERS] = LVT_MASKED | 0x700 | LVT_VECTOR,
	/* Level or edge, active low, delivery mode. */
	[LVT_LINT0] = LVT_MASKED | 0xa700 | LVT_VECTOR,
	[LVT_LINT1] = LVT_MASKED | 0xa700 | LVT_VECTOR,
	[LVT_ERROR] = LVT_MASKED | LVT_VECTOR,
};

static uint32_t register_read(struct lapic *l, unsigned reg)
{
	switch (reg) {
	case R_ID:
		return (uint32_t)l->id << 24;
	case R_VERSION:
		return VERSION;
	case R_TPR:
		return lapic_tpr(l);
	case R_PPR:
		return lapic_ppr(l);
	case R_APR: case R_EOI: case R_RRD:
		return 0;
	case R_LDR:
		return (uint32_t)l->ldr << 24;
	case R_DFR:
		return l->dfr;
	case R_SVR:
		return l->svr;
	case R_ISR ... R_ISR + 7:
		return l->isr[reg - R_ISR];
	case R_TMR ... R_TMR + 7:
		return l->tmr[reg - R_TMR];
	case R_IRR ... R_IRR + 7:
		return l->irr[reg - R_IRR];
	case R_ESR:
		return l->esr;
	case R_ICR: case R_ICR_HIGH:
		return l->icr[reg - R_ICR];
	case R_LVT ... R_LVT + LVTS - 1:
		return l->lvt[reg - R_LVT];
	case R_INITIAL:
		return l->initial;
	case R_CURRENT:
		return lapic_timer_count(l);
	case R_DIVIDE:
		return l->divide;
	}
	lapic_error(l, ERR_REGISTER);
	return 0;
}

uint64_t lapic_read(void *dev, uint64_t off, unsigned size)
{
	(void)size;
	return (off & 0xf) < 4 ? register_read(dev, (unsigned)(off >> 4)) >> 8 * (off & 3) : 0;
}

/* SDM 3A 10.6.1. A level of 0 would synchronise arbitration IDs, which there are none of. */
static void command(struct lapic *l)
{
	uint32_t icr = l->icr[0];
	struct apic_message msg = { .vector = icr & 0xff, .mode = icr >> 8 & 7,
		.logical = icr >> 11 & 1, .destination = (uint8_t)(l->icr[1] >> 24) };

	if (msg.mode <= DELIVER_LOWEST && msg.vector < 16) {
		lapic_error(l, ERR_SENT_VECTOR);
		return;
	}
	switch (icr >> 18 & 3) {		/* shorthand for the destination */
	case 1:					/* itself, which takes fixed ones alone */
		if (msg.mode != DELIVER_FIXED)
			return;
		/* fall through */
	case 2:					/* all */
		msg.logical = false;
		msg.destination = 0xff;
		break;
	case 3:					/* all others */
		return;
	}
	lapic_take(l->m, &msg);
}

/* While the APIC is off by SVR, all entries are masked and stay so (SDM 3A 10.4.7.2). */
static void lvt_write(struct lapic *l, enum lvt n, uint32_t val)
{
	val &= lvt_writable[n];
	if (!(l->svr & SVR_ENABLED))
		val |= LVT_MASKED;
	if (n == LVT_TIMER)
		lapic_timer_entry(l, val);
	else
		l->lvt[n] = val;
}

static void svr_write(struct lapic *l, uint32_t val)
{
	l->svr = val & (SVR_ENABLED | SVR_FOCUS | 0xff);
	if (!(l->svr & SVR_ENABLED))
		for (unsigned i = 0; i < LVTS; i++)
			lvt_write(l, i, l->lvt[i]);
	ioapic_retry(l->m);
}

static void register_write(struct lapic *l, unsigned reg, uint32_t val)
{
	switch (reg) {
	case R_ID:
		l->id = (uint8_t)(val >> 24);
		ioapic_retry(l->m);
		break;
	case R_TPR:
		l->tpr_low = val & 0xf;
		l->m->cpu->cr8 = val >> 4 & 0xf;
		break;
	case R_EOI:
		lapic_eoi(l);
		break;
	case R_LDR:
		l->ldr = (uint8_t)(val >> 24);
		ioapic_retry(l->m);
		break;
	case R_DFR:
		l->dfr = val | 0x0fffffff;
		ioapic_retry(l->m);
		break;
	case R_SVR:
		svr_write(l, val);
		break;
	case R_ESR:
		l->esr = l->errors;
		l->errors = 0;
		break;
	case R_ICR:			/* never busy: bit 12 reads as 0 */
		l->icr[0] = val & 0xccfff & ~(1u << 12);
		command(l);
		break;
	case R_ICR_HIGH:
		l->icr[1] = val & 0xff000000;
		break;
	case R_LVT ... R_LVT + LVTS - 1:
		lvt_write(l, reg - R_LVT, val);
		break;
	case R_INITIAL:
		lapic_timer_start(l, val);
		break;
	case R_DIVIDE:
		lapic_timer_divide(l, (uint8_t)val);
		break;
	case R_VERSION: case R_APR: case R_PPR: case R_RRD: case R_ISR ... R_IRR + 7: case R_CURRENT:
		break;			/* read only */
	default:
		lapic_error(l, ERR_REGISTER);
	}
	lapic_update(l);
}

/* Whole registers alone can be written: SDM 3A 10.4.1. */
void lapic_write(void *dev, uint64_t off, uint64_t val, unsigned size)
{
	if (size == 4 && !(off & 0xf))
		register_write(dev, (unsigned)(off >> 4), (uint32_t)val);
}

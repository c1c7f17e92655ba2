/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processor's local APIC (SDM 3A chapter 10), without x2APIC mode. It decides which
 * interrupt the processor gets next: one of its own, or what the 8259s have, which come in
 * at LINT0 ("virtual wire", MultiProcessor Specification 1.4, 3.6.2.2). Nothing is
 * connected to LINT1; NMIs come by command and from the I/O APIC.
 *
 * IA32_APIC_BASE turns it off and moves it; then the 8259s speak to the processor directly.
 */
#include "dev/apic.h"
#include "dev/lapic.h"
#include "dev/table.h"
#include "machine/snapshot.h"

#include <errno.h>

#define LAPIC_VERSION	1
#define LAPIC_AT	0xfee00000u
#define FLAT		0xfu		/* the upper half of the DFR's byte; else clusters */

/* Whoever loads a kernel without a BIOS leaves what a BIOS would have: virtual wire. */
static void power_on(struct lapic *l, bool firmware)
{
	struct lapic new = { .m = l->m, .range = l->range, .timer = l->timer, .lint0 = l->lint0,
			     .dfr = ~0u, .svr = 0xff };

	for (unsigned i = 0; i < LVTS; i++)
		new.lvt[i] = LVT_MASKED;
	if (!firmware) {
		new.svr |= SVR_ENABLED;
		new.lvt[LVT_LINT0] = DELIVER_EXTINT << 8;
		new.lvt[LVT_LINT1] = DELIVER_NMI << 8;
	}
	*l = new;
	clock_disarm(&l->m->clock, &l->timer);
}

static bool is_on(const struct lapic *l)
{
	return l->m->cpu->msr_apic_base & APIC_BASE_ENABLE;
}

/* --- Priority --------------------------------------------------------------------- */

/* The highest vector of a set, or -1. */
static int highest(const uint32_t bits[8])
{
	for (int i = 7; i >= 0; i--)
		if (bits[i])
			return i * 32 + 31 - __builtin_clz(bits[i]);
	return -1;
}

static void bit_set(uint32_t bits[8], unsigned n)
{
	bits[n / 32] |= 1u << n % 32;
}

static void bit_clear(uint32_t bits[8], unsigned n)
{
	bits[n / 32] &= ~(1u << n % 32);
}

uint8_t lapic_tpr(const struct lapic *l)
{
	return (uint8_t)(l->m->cpu->cr8 << 4 | l->tpr_low);
}

/* SDM 3A 10.8.3.1 */
uint8_t lapic_ppr(const struct lapic *l)
{
	int serving = highest(l->isr);
	uint8_t tpr = lapic_tpr(l);

	return serving < 0 || tpr >> 4 >= serving >> 4 ? tpr : serving & 0xf0;
}

/* The vector that can be delivered now, or -1. */
static int pending(const struct lapic *l)
{
	int n = highest(l->irr);

	return n >= 0 && n >> 4 > lapic_ppr(l) >> 4 ? n : -1;
}

static bool has_extint(const struct lapic *l)
{
	uint32_t e = l->lvt[LVT_LINT0];

	return l->m->pic_intr && !(e & LVT_MASKED) && LVT_MODE(e) == DELIVER_EXTINT;
}

void lapic_update(struct lapic *l)
{
	l->m->intr = is_on(l) ? pending(l) >= 0 || has_extint(l) : l->m->pic_intr;
}

static int lapic_acknowledge(void *self)
{
	struct lapic *l = self;
	struct machine *m = l->m;
	int n = is_on(l) ? pending(l) : -1;

	if (n < 0)
		return m->irqc.acknowledge(m->irqc.self);
	bit_clear(l->irr, (unsigned)n);
	bit_set(l->isr, (unsigned)n);
	lapic_update(l);
	return n;
}

void lapic_eoi(struct lapic *l)
{
	int n = highest(l->isr);

	if (n < 0)
		return;
	bit_clear(l->isr, (unsigned)n);
	if (l->tmr[n / 32] >> n % 32 & 1)
		ioapic_ended(l->m, (uint8_t)n);
}

/* --- What comes in ------------------------------------------------------------------- */

static bool take_vector(struct lapic *l, uint8_t vector, bool level)
{
	if (!(l->svr & SVR_ENABLED))
		return false;
	if (vector < 16) {
		lapic_error(l, ERR_GOT_VECTOR);
		return false;
	}
	bit_set(l->irr, vector);
	if (level)
		bit_set(l->tmr, vector);
	else
		bit_clear(l->tmr, vector);
	lapic_update(l);
	return true;
}

/* SDM 3A 10.6.2. All ones is everybody; a cluster's number is above four single bits. */
static bool is_meant(const struct lapic *l, const struct apic_message *msg)
{
	uint8_t d = msg->destination;

	if (!msg->logical)
		return d == l->id || d == 0xff;
	if (l->dfr >> 28 == FLAT || d == 0xff)
		return d & l->ldr;
	return (d >> 4 == l->ldr >> 4 || d >> 4 == 0xf) && d & l->ldr & 0xf;
}

/* INIT and start-up messages are for processors that wait, and there is no SMM. */
bool lapic_take(struct machine *m, const struct apic_message *msg)
{
	struct lapic *l = m->apic.self;

	if (!l || !is_on(l) || !is_meant(l, msg))
		return false;
	switch (msg->mode) {
	case DELIVER_FIXED:
	case DELIVER_LOWEST:
		return take_vector(l, msg->vector, msg->level);
	case DELIVER_NMI:
		m->cpu->nmi_pending = true;
		return true;
	default:
		return false;
	}
}

void lapic_local(struct lapic *l, enum lvt source)
{
	uint32_t e = l->lvt[source];

	if (e & LVT_MASKED)
		return;
	if (LVT_MODE(e) == DELIVER_FIXED)
		take_vector(l, e & LVT_VECTOR, false);
	else if (LVT_MODE(e) == DELIVER_NMI)
		l->m->cpu->nmi_pending = true;
}

/* The error's own vector may be the next error: that one is noted and makes no third. */
void lapic_error(struct lapic *l, uint32_t bit)
{
	bool again = l->errors & bit;

	l->errors |= bit;
	if (!again)
		lapic_local(l, LVT_ERROR);
}

/* The 8259s' output has changed. Other modes than ExtINT see its rising edge. */
static void lapic_set_intr(void *self)
{
	struct lapic *l = self;
	bool rises = l->m->pic_intr && !l->lint0;

	l->lint0 = l->m->pic_intr;
	if (rises && is_on(l))
		lapic_local(l, LVT_LINT0);
	lapic_update(l);
}

static void lapic_tpr_written(void *self)
{
	struct lapic *l = self;

	l->tpr_low = 0;
	lapic_update(l);
}

/* SDM 3A 10.4.3: turned on again it is as after a reset. */
static void lapic_base_written(void *self)
{
	struct lapic *l = self;
	bool was_on = !l->range->off;

	memory_move_range(l->range, l->m->cpu->msr_apic_base & PAGE_MASK, is_on(l));
	if (is_on(l) != was_on)
		power_on(l, true);
	lapic_update(l);
}

/* --- The device -------------------------------------------------------------------------- */

static int lapic_init(void *dev, struct machine *m)
{
	struct lapic *l = dev;

	l->m = m;
	if (!m->config->apic)
		return 0;
	l->timer = (struct timer){ .fire = lapic_timer_fire, .arg = l, .name = "apic" };
	clock_add(&m->clock, &l->timer);
	l->range = memory_add_range(&m->mem, &(struct range){ .base = LAPIC_AT, .size = PAGE_SIZE,
		.kind = RANGE_DEVICE, .name = "lapic", .read = lapic_read, .write = lapic_write,
		.dev = l });
	m->apic = (struct local_apic){ lapic_set_intr, lapic_acknowledge, lapic_base_written,
				       lapic_tpr_written, l };
	return 0;
}

static void lapic_reset(void *dev)
{
	struct lapic *l = dev;

	if (!l->m->apic.self)
		return;
	power_on(l, l->m->mem.legacy);
	memory_move_range(l->range, l->m->cpu->msr_apic_base & PAGE_MASK, is_on(l));
	lapic_update(l);
}

static void lapic_save(void *dev, struct state *s)
{
	const struct lapic *l = dev;
	const uint32_t words[] = { l->svr, l->dfr, l->icr[0], l->icr[1], l->errors, l->esr, l->id,
				   l->ldr, l->tpr_low, l->lint0, l->initial, l->divide, l->running };

	state_begin(s, lapic_device.name, LAPIC_VERSION);
	state_put_u64(s, l->m->config->apic);
	if (!l->m->config->apic)
		return;
	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		state_put_u64(s, words[i]);
	for (unsigned i = 0; i < LVTS; i++)
		state_put_u64(s, l->lvt[i]);
	for (unsigned i = 0; i < 8; i++) {
		state_put_u64(s, l->irr[i]);
		state_put_u64(s, l->isr[i]);
		state_put_u64(s, l->tmr[i]);
	}
	state_put_u64(s, (uint64_t)l->started);
}

/* The timer has not begun in the future, nor longer ago than it can count twice. */
static int64_t past(const struct lapic *l, uint64_t when)
{
	int64_t now = clock_now(&l->m->clock), t = (int64_t)when;

	return t > now ? now : t < now - (1ll << 41) ? now - (1ll << 41) : t;
}

static int lapic_restore(void *dev, struct state *s)
{
	struct lapic *l = dev;
	uint32_t w[13];

	if (state_enter(s, lapic_device.name) != LAPIC_VERSION ||
	    state_get_u64(s) != l->m->config->apic || s->bad)
		return -EINVAL;
	if (!l->m->config->apic)
		return 0;
	for (unsigned i = 0; i < ARRAY_LEN(w); i++)
		w[i] = (uint32_t)state_get_u64(s);
	l->svr = w[0] & (SVR_ENABLED | SVR_FOCUS | 0xff);
	l->dfr = w[1] | 0x0fffffff, l->icr[0] = w[2], l->icr[1] = w[3];
	l->errors = w[4] & 0xff, l->esr = w[5] & 0xff, l->id = (uint8_t)w[6], l->ldr = (uint8_t)w[7];
	l->tpr_low = w[8] & 0xf, l->lint0 = w[9];
	l->initial = w[10], l->divide = w[11] & 0xb, l->running = w[12] && l->initial;
	for (unsigned i = 0; i < LVTS; i++)
		l->lvt[i] = state_get_u64(s) & (LVT_PERIODIC | LVT_MASKED | 0xa700 | LVT_VECTOR);
	for (unsigned i = 0; i < 8; i++) {
		uint32_t real = i ? ~0u : 0xffff0000;	/* vectors 0-15 are never taken */

		l->irr[i] = state_get_u64(s) & real;
		l->isr[i] = state_get_u64(s) & real;
		l->tmr[i] = state_get_u64(s) & real;
	}
	l->started = past(l, state_get_u64(s));
	if (s->bad)
		return -EINVAL;
	memory_move_range(l->range, l->m->cpu->msr_apic_base & PAGE_MASK, is_on(l));
	lapic_timer_arm(l);
	lapic_update(l);
	return 0;
}

static void lapic_fini(void *dev)
{
	struct lapic *l = dev;

	if (l->m->apic.self)
		clock_remove(&l->m->clock, &l->timer);
	l->m->apic = (struct local_apic){ 0 };
}

const struct device_ops lapic_device = {
	.name = "lapic", .state_size = sizeof(struct lapic),
	.init = lapic_init, .reset = lapic_reset,
	.save = lapic_save, .restore = lapic_restore, .fini = lapic_fini,
};

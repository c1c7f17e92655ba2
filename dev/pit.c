/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AT's interval timer: an 8254 at 0x40-0x43 and the port 0x61 that gates its
 * counter 2. It decides when IRQ 0 rises. Counts come exactly from the guest's
 * clock: tick = ns * 1193182 / 10^9.
 *
 * The IRQ 0 line falls just before it rises, rather than when OUT of modes 2 and 3
 * does, so that a guest that was slow to look does not lose its request. A
 * monitor that was kept from running owes the guest ticks: up to OWED_MAX are
 * given, spaced by half a period at least, and the rest are dropped. A guest that
 * asks for a period below PERIOD_MIN gets fewer interrupts, not a busy monitor.
 */
#include "dev/pit_counter.h"
#include "dev/table.h"
#include "machine/machine.h"

#include <errno.h>

#define PIT_VERSION	2
#define PIT_HZ		1193182
#define NS_PER_S	1000000000ll
#define PERIOD_MIN	60		/* ticks: 50 us */
#define OWED_MAX	16
#define REFRESH_TICKS	18		/* counter 1 of the AT: one DRAM refresh in 15 us */

#define ISA_CYCLE_NS	1000
#define CONTROL		0x43
#define PORT_B		0x61
#define PB_GATE2	0x01
#define PB_WRITABLE	0x0f		/* gate, speaker, parity and channel check enables */
#define PB_REFRESH	0x10
#define PB_OUT2		0x20

struct pit {
	struct machine *m;
	struct timer timer;
	struct counter counter[3];
	uint8_t port_b;
	int64_t due;		/* tick of the next rise of OUT 0 */
	unsigned owed;		/* interrupts that were due and not given */
	int64_t last_read;	/* ns */
};

static int64_t pit_ticks(struct pit *p)
{
	return (int64_t)((__int128)clock_now(&p->m->clock) * PIT_HZ / NS_PER_S);
}

/* The first ns at which pit_ticks() is t. */
static int64_t tick_ns(int64_t t)
{
	return (int64_t)(((__int128)t * NS_PER_S + PIT_HZ - 1) / PIT_HZ);
}

/* The next interrupt: when it is due, or owed, but not before `earliest`. */
static void pit_arm(struct pit *p, int64_t earliest)
{
	int64_t at = p->owed || p->due < earliest ? earliest : p->due;

	if (at == TICK_NEVER)
		clock_disarm(&p->m->clock, &p->timer);
	else
		clock_arm(&p->m->clock, &p->timer, tick_ns(at));
}

/* After the guest touched counter 0: its OUT may move the line, and the plan is new. */
static void pit_replan(struct pit *p, int64_t t)
{
	bool out = counter_out(&p->counter[0], t);

	if (out || p->counter[0].mode == PIT_TERMINAL)
		irq_set(p->m, 0, out);
	p->owed = 0;
	p->due = counter_next_rise(&p->counter[0], t);
	pit_arm(p, t);
}

/* How many rises of OUT 0 lie in [due, t]; moves due behind t. */
static int64_t pit_rises(struct pit *p, int64_t t)
{
	int64_t n = 0;

	/* The first rise may end the old period and load a new count. */
	for (unsigned i = 0; i < 2 && p->due <= t; i++, n++) {
		counter_out(&p->counter[0], p->due);
		p->due = counter_next_rise(&p->counter[0], p->due);
	}
	if (p->due <= t) {
		n += (t - p->due) / p->counter[0].reload + 1;
		p->due = counter_next_rise(&p->counter[0], t);
	}
	return n;
}

static void pit_fire(void *arg, int64_t now)
{
	struct pit *p = arg;
	int64_t t = pit_ticks(p);
	int64_t n = p->owed + pit_rises(p, t);

	(void)now;
	if (n) {
		irq_set(p->m, 0, false);
		irq_set(p->m, 0, true);
		n--;
	}
	p->owed = n > OWED_MAX ? OWED_MAX : (unsigned)n;
	if (p->counter[0].reload < PERIOD_MIN) {
		p->owed = 0;
		pit_arm(p, t + PERIOD_MIN);
	} else {
		pit_arm(p, t + p->counter[0].reload / 2);
	}
}

static uint8_t port_b_read(struct pit *p, int64_t t)
{
	return p->port_b | (t / REFRESH_TICKS & 1 ? PB_REFRESH : 0) |
	       (counter_out(&p->counter[2], t) ? PB_OUT2 : 0);
}

/*
 * A cycle on the ISA bus takes about a microsecond. Systems that measure another clock by
 * polling here count on it: a poll that is ten times as long as the shortest one is taken for
 * a system management interrupt (Linux: pit_calibrate_tsc), and looks at the clock, decoding
 * and the host's own interrupts are that much longer than a few interpreted instructions.
 */
static void bus_cycle(struct pit *p)
{
	struct clock *k = &p->m->clock;
	int64_t now = clock_now(k);

	if (!k->by_instructions && now >= p->last_read)
		while (now < p->last_read + ISA_CYCLE_NS)
			now = clock_now(k);
	p->last_read = now;
}

static uint32_t pit_in(void *dev, uint16_t port, unsigned size)
{
	struct pit *p = dev;
	int64_t t;

	(void)size;
	bus_cycle(p);
	t = pit_ticks(p);
	if (port == PORT_B)
		return port_b_read(p, t);
	return port == CONTROL ? ~0u : counter_read(&p->counter[port & 3], t);
}

/* Read-back: bits 1-3 choose counters, clear bits 4 and 5 latch status and count. */
static void pit_read_back(struct pit *p, int64_t t, uint8_t word)
{
	for (unsigned i = 0; i < 3; i++) {
		if (!(word & 2 << i))
			continue;
		if (!(word & 0x20))
			counter_latch(&p->counter[i], t);
		if (!(word & 0x10))
			counter_latch_status(&p->counter[i], t);
	}
}

static void pit_control(struct pit *p, int64_t t, uint8_t word)
{
	unsigned i = word >> 6;

	if (i == 3) {
		pit_read_back(p, t, word);
	} else if ((word >> 4 & 3) == PIT_LATCH) {
		counter_latch(&p->counter[i], t);
	} else {
		counter_control(&p->counter[i], t, word);
		if (i == 0)
			pit_replan(p, t);
	}
}

static void pit_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct pit *p = dev;
	int64_t t = pit_ticks(p);

	(void)size;
	if (port == PORT_B) {
		p->port_b = val & PB_WRITABLE;
		counter_gate(&p->counter[2], t, val & PB_GATE2);
	} else if (port == CONTROL) {
		pit_control(p, t, (uint8_t)val);
	} else {
		counter_write(&p->counter[port & 3], t, (uint8_t)val);
		if ((port & 3) == 0)
			pit_replan(p, t);
	}
}

static int pit_init(void *dev, struct machine *m)
{
	struct pit *p = dev;

	p->m = m;
	p->timer = (struct timer){ .fire = pit_fire, .arg = p, .name = "pit" };
	clock_add(&m->clock, &p->timer);
	bus_claim(m->bus, 0x40, 4, 1, &pit_device, p);
	bus_claim(m->bus, PORT_B, 1, 1, &pit_device, p);
	return 0;
}

static void pit_fini(void *dev)
{
	struct pit *p = dev;

	clock_remove(&p->m->clock, &p->timer);
}

/* The mode of a real counter is undefined until programmed; here nothing counts. */
static void pit_reset(void *dev)
{
	struct pit *p = dev;

	p->port_b = 0;
	for (unsigned i = 0; i < 3; i++)
		counter_init(&p->counter[i], i != 2);
	pit_replan(p, pit_ticks(p));
}

static void pit_save(void *dev, struct state *s)
{
	struct pit *p = dev;

	state_begin(s, pit_device.name, PIT_VERSION);
	state_put_u64(s, p->port_b);
	state_put_u64(s, p->owed);
	state_put_u64(s, (uint64_t)p->due);
	state_put_u64(s, (uint64_t)p->timer.when);
	for (unsigned i = 0; i < 3; i++)
		counter_save(&p->counter[i], s);
}

static int pit_restore(void *dev, struct state *s)
{
	struct pit *p = dev;
	uint64_t owed, due, when;

	if (state_enter(s, pit_device.name) != PIT_VERSION)
		return -EINVAL;
	p->port_b = state_get_u64(s) & PB_WRITABLE;
	owed = state_get_u64(s);
	due = state_get_u64(s);
	when = state_get_u64(s);
	for (unsigned i = 0; i < 3; i++)
		counter_restore(&p->counter[i], s);
	if (s->bad || owed > OWED_MAX)
		return -EINVAL;
	p->owed = (unsigned)owed;
	/* One rise may be in the past already; it is not to be planned anew. */
	p->due = counter_next_rise(&p->counter[0], pit_ticks(p));
	if ((int64_t)due >= 0 && (int64_t)due < p->due)
		p->due = (int64_t)due;
	pit_arm(p, pit_ticks(p));
	/* What is owed comes when it was to come. */
	if (p->timer.when != INT64_MAX && when < (uint64_t)INT64_MAX / 2)
		clock_arm(&p->m->clock, &p->timer, (int64_t)when);
	return 0;
}

const struct device_ops pit_device = {
	.name = "pit", .state_size = sizeof(struct pit),
	.init = pit_init, .reset = pit_reset, .in = pit_in, .out = pit_out,
	.save = pit_save, .restore = pit_restore, .fini = pit_fini,
};

/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "vmexit/burst.h"

/* Until it is measured: about 15 us of interpretation. */
#define PRICE_DEFAULT	6000
#define PRICE_MIN	1000
#define PRICE_MAX	15000	/* less than a slice of the run loop */
/* How many times slower interpreted code is, all in all (docs/crossing.md). */
#define SLOWDOWN	10

void bursts_init(struct bursts *b, enum gate_policy policy)
{
	memset(b, 0, sizeof(*b));
	b->policy = policy;
	b->price = PRICE_DEFAULT;
}

void bursts_price(struct bursts *b, double crossing_ns, double insn_ns)
{
	double price = crossing_ns / insn_ns;

	b->price = price < PRICE_MIN ? PRICE_MIN : price > PRICE_MAX ? PRICE_MAX : (int64_t)price;
}

/* By address alone: the processes of one program share what was learnt. */
static unsigned slot(uint64_t rip)
{
	return (unsigned)(rip * 0x9e3779b97f4a7c15ull >> 52) & (BURST_TABLE - 1);
}

int64_t burst_allowance(const struct bursts *b, uint64_t rip)
{
	switch (b->policy) {
	case GATE_ALWAYS: return 0;
	case GATE_NEVER: return INT64_MAX;
	default: return b->counter[slot(rip)] >= 2 ? 0 : b->price;
	}
}

static void learn(struct bursts *b, uint64_t rip, bool was_long)
{
	uint8_t *c = &b->counter[slot(rip)];

	if (was_long && *c < 3)
		++*c;
	else if (!was_long && *c > 0)
		--*c;
}

void burst_interpreted(struct bursts *b, uint64_t rip)
{
	learn(b, rip, false);
	b->right++;
}

void burst_crossed(struct bursts *b, uint64_t rip, bool at_once, int64_t useful_ns, int64_t overhead_ns)
{
	bool paid = useful_ns * SLOWDOWN > overhead_ns;

	learn(b, rip, paid);
	if (!paid) {
		b->early++;
		b->lost_ns += overhead_ns - useful_ns * SLOWDOWN;
	} else if (at_once) {
		b->right++;
	} else {
		b->late++;
	}
}

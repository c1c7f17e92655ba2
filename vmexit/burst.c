/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "vmexit/burst.h"

/* Until it is measured: about 10 us of interpretation (docs/crossing.md). */
#define PRICE_DEFAULT	4000

void bursts_init(struct bursts *b, enum gate_policy policy)
{
	memset(b, 0, sizeof(*b));
	b->policy = policy;
	b->price = PRICE_DEFAULT;
}

static unsigned slot(uint64_t cr3, uint64_t rip)
{
	uint64_t x = (rip ^ cr3 >> 5) * 0x9e3779b97f4a7c15ull;

	return (unsigned)(x >> 52) & (BURST_TABLE - 1);
}

int64_t burst_allowance(const struct bursts *b, uint64_t cr3, uint64_t rip)
{
	switch (b->policy) {
	case GATE_ALWAYS: return 0;
	case GATE_NEVER: return INT64_MAX;
	default: return b->counter[slot(cr3, rip)] >= 2 ? 0 : b->price;
	}
}

void burst_done(struct bursts *b, uint64_t cr3, uint64_t rip, bool crossed, int64_t length)
{
	uint8_t *c = &b->counter[slot(cr3, rip)];
	bool was_long = length > b->price;

	if (was_long && *c < 3)
		++*c;
	else if (!was_long && *c > 0)
		--*c;
	if (crossed == was_long)
		b->right++;
	else if (crossed)
		b->early++;
	else
		b->late++;
}

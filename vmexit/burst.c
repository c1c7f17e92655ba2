/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two things can be known of a burst: how many instructions it had, if it was interpreted
 * to its end; how long it took, if it crossed. The time has noise of the size of a
 * crossing (the host's own page faults, cold caches), so it is believed only where it says
 * much more than that. Elsewhere a burst that outlived the price is followed by one that is
 * measured: interpreted up to several times the price. Long entries are measured again from
 * time to time, the more rarely the longer they have been so.
 */
#include <string.h>

#include "vmexit/burst.h"

/* Until it is measured: about 15 us of interpretation. */
#define PRICE_DEFAULT	6000
#define PRICE_MIN	1000
#define PRICE_MAX	60000
/* How many times slower interpreted code is, all in all (docs/crossing.md). */
#define SLOWDOWN	10
#define MEASURE		4	/* multiples of the price that a measured burst is interpreted */
#define SURE_MIN	3
#define SURE_MAX	7
#define UP		4	/* overhead_ns follows what is dearer at once, */
#define DOWN		32	/* what is cheaper slowly, */
#define RELAX		256	/* and comes down by itself where nobody pays it */
#define CLEAR		2	/* multiples of the overhead that noise never reaches */

void bursts_init(struct bursts *b, enum gate_policy policy)
{
	memset(b, 0, sizeof(*b));
	b->policy = policy;
	b->price = b->bare = PRICE_DEFAULT;
}

static int64_t clamp(double price)
{
	return price < PRICE_MIN ? PRICE_MIN : price > PRICE_MAX ? PRICE_MAX : (int64_t)price;
}

void bursts_price(struct bursts *b, double crossing_ns, double insn_ns)
{
	b->bare = clamp(crossing_ns / insn_ns);
	b->price = b->overhead_ns > crossing_ns ? clamp(b->overhead_ns / insn_ns) : b->bare;
}

/* By address alone: the processes of one program share what was learnt. */
static struct burst_entry *entry_of(struct bursts *b, uint64_t rip)
{
	return &b->entry[(rip * 0x9e3779b97f4a7c15ull >> 52) & (BURST_TABLE - 1)];
}

static bool is_long(const struct bursts *b, const struct burst_entry *e)
{
	return e->counter >= 2 && e->length > b->price;
}

int64_t burst_allowance(struct bursts *b, uint64_t rip)
{
	struct burst_entry *e;

	if (b->policy != GATE_ADAPTIVE)
		return b->policy == GATE_ALWAYS ? 0 : INT64_MAX;
	e = entry_of(b, rip);
	if (is_long(b, e) && ++e->since >> e->sure)
		e->measure = true;
	return e->measure ? b->price * MEASURE : is_long(b, e) ? 0 : b->price;
}

/* It is known to have this length, or at least this. */
static void learn(const struct bursts *b, struct burst_entry *e, int64_t length)
{
	if (length > b->price && is_long(b, e))
		e->sure += e->sure < SURE_MAX;
	else
		e->sure = SURE_MIN;
	e->length = (int32_t)(length < INT32_MAX ? length : INT32_MAX);
	e->counter = length > b->price ? 3 : 0;
	e->by_time = e->measure = false;
	e->since = 0;
}

void burst_interpreted(struct bursts *b, uint64_t rip, int64_t length)
{
	struct burst_entry *e = entry_of(b, rip);

	b->right++;
	learn(b, e, length);
	/* At a lower price it would have crossed; perhaps that is the price by now. */
	if (length > b->bare && b->price > b->bare) {
		b->price -= (b->price - b->bare + RELAX - 1) / RELAX;
		b->overhead_ns -= b->overhead_ns / RELAX;
	}
}

void burst_crossed(struct bursts *b, uint64_t rip, int64_t allowed, int64_t useful_ns, int64_t overhead_ns)
{
	struct burst_entry *e = entry_of(b, rip);
	bool clear = useful_ns > overhead_ns * CLEAR, paid = useful_ns * SLOWDOWN > overhead_ns;

	b->overhead_ns += ((double)overhead_ns - b->overhead_ns) /
			  (b->overhead_ns <= 0 ? 1 : (double)overhead_ns > b->overhead_ns ? UP : DOWN);
	if (!paid) {
		b->early++;
		b->lost_ns += overhead_ns - useful_ns * SLOWDOWN;
	} else if (allowed) {
		b->late++;
	} else {
		b->right++;
	}
	if (clear) {	/* perhaps the next one is short all the same: nothing tells yet */
		unsigned counter = e->counter;

		learn(b, e, b->price * CLEAR * SLOWDOWN);
		e->by_time = true;
		e->counter = counter >= 2 ? 3 : 2;
	} else if (e->measure) {
		learn(b, e, b->price * MEASURE);
	} else if (allowed) {
		e->measure = true;
	} else if (!paid || e->by_time) {
		e->counter--;
	}
}

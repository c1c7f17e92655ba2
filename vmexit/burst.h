/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long will this burst of user code be? A crossing has a price; a burst that
 * is cheaper to interpret than to cross for is interpreted. User code starts in the
 * interpreter and crosses when it has outlived the price (ski rental: never worse
 * than twice the optimum); per entry address a small counter remembers how bursts
 * ended, so that the long ones cross at once.
 */
#ifndef VMEXIT_BURST_H
#define VMEXIT_BURST_H

#include "machine/config.h"
#include "machine/types.h"

#define BURST_TABLE	4096

struct bursts {
	enum gate_policy policy;
	int64_t price;			/* instructions that pay for one crossing */
	uint8_t counter[BURST_TABLE];	/* 0-3: 2 and 3 predict a long burst */
	uint64_t right, early, late;	/* decisions, in hindsight */
};

void bursts_init(struct bursts *b, enum gate_policy policy);
/* Instructions to interpret before crossing at this entry; 0: cross at once. */
int64_t burst_allowance(const struct bursts *b, uint64_t cr3, uint64_t rip);
/* How the burst that began there went: instructions it had (or was worth). */
void burst_done(struct bursts *b, uint64_t cr3, uint64_t rip, bool crossed, int64_t length);

#endif

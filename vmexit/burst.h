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
	int64_t lost_ns;		/* by those that crossed in vain */
};

void bursts_init(struct bursts *b, enum gate_policy policy);
/* A crossing costs crossing_ns, an interpreted instruction insn_ns. */
void bursts_price(struct bursts *b, double crossing_ns, double insn_ns);
/* Instructions to interpret before crossing at this entry; 0: cross at once. */
int64_t burst_allowance(const struct bursts *b, uint64_t rip);
/* The burst that began there ended in the interpreter. */
void burst_interpreted(struct bursts *b, uint64_t rip);
/* It crossed (at once, or after its allowance), ran natively for useful_ns and cost
 * overhead_ns besides. */
void burst_crossed(struct bursts *b, uint64_t rip, bool at_once, int64_t useful_ns,
		   int64_t overhead_ns);

#endif

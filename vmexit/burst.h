/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long will this burst of user code be? A crossing has a price; a burst that
 * is cheaper to interpret than to cross for is interpreted. User code starts in the
 * interpreter and crosses when it has outlived the price (ski rental: never worse
 * than twice the optimum); what happened then is remembered per entry address, so that the
 * long ones cross at once and those that end soon after the price are interpreted to the end.
 */
#ifndef VMEXIT_BURST_H
#define VMEXIT_BURST_H

#include "machine/config.h"
#include "machine/types.h"

#define BURST_TABLE	4096

/* What is known of one entry address. */
struct burst_entry {
	int32_t length;		/* instructions, when last measured; at least so many if it crossed */
	uint8_t counter;	/* 0-3: 2 and 3 predict a long burst */
	bool by_time;		/* which it was called long by; otherwise by instructions */
	bool measure;		/* the next one is interpreted further, to know how long it is */
	uint8_t sure;		/* log2 of the crossings at once between two that are measured */
	uint8_t since;		/* and how many there were since the last */
};

struct bursts {
	enum gate_policy policy;
	int64_t price;		/* instructions that pay for one crossing and what comes with it */
	int64_t bare;		/* and for the crossing alone */
	double overhead_ns;	/* of a burst, moving average; 0: none yet */
	struct burst_entry entry[BURST_TABLE];
	uint64_t right, early, late;	/* decisions, in hindsight */
	int64_t lost_ns;	/* by those that crossed in vain */
};

/* Nothing learnt, the price a guess until bursts_price(). */
void bursts_init(struct bursts *b, enum gate_policy policy);
/* A crossing costs crossing_ns, an interpreted instruction insn_ns. */
void bursts_price(struct bursts *b, double crossing_ns, double insn_ns);
/* Instructions to interpret before crossing at this entry; 0: cross at once. */
int64_t burst_allowance(struct bursts *b, uint64_t rip);
/* The burst that began there ended in the interpreter, after so many instructions. */
void burst_interpreted(struct bursts *b, uint64_t rip, int64_t length);
/* It crossed after `allowed` of them (0: at once), ran natively for about useful_ns and cost
 * overhead_ns besides. */
void burst_crossed(struct bursts *b, uint64_t rip, int64_t allowed, int64_t useful_ns,
		   int64_t overhead_ns);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One counter of an 8254, as a function of its CLK tick number. It knows neither
 * nanoseconds nor interrupts. Calls must come with ticks (t) that do not go back. Intel 231164,
 * "8254 Programmable Interval Timer".
 */
#ifndef DEV_PIT_COUNTER_H
#define DEV_PIT_COUNTER_H

#include "machine/snapshot.h"

enum pit_mode { PIT_TERMINAL, PIT_ONE_SHOT, PIT_RATE, PIT_SQUARE, PIT_SOFT_STROBE,
		PIT_HARD_STROBE };
enum pit_access { PIT_LATCH, PIT_LOW, PIT_HIGH, PIT_BOTH };

#define TICK_NEVER	INT64_MAX

struct counter {
	uint8_t mode, access;
	bool bcd, gate;
	bool running;		/* the counting element was loaded since the control word */
	bool stopped;		/* by GATE: elapsed ticks are held */
	uint32_t reload;	/* the count that is running, 1 to 65536 */
	uint32_t next;		/* a count that waits to be loaded, 0: none */
	bool next_low;		/* mode 3: loaded as OUT falls, not as it rises */
	int64_t next_at;	/* tick of that load; TICK_NEVER: at the next trigger */
	int64_t start;		/* tick at which `reload` was loaded */
	int64_t held;		/* ticks elapsed when stopped */
	uint16_t idle;		/* what reads as the count while not running */
	uint8_t write_low;	/* first byte of a 16-bit write */
	bool write_second, read_second;
	uint16_t latch;
	uint8_t status;
	bool latched, status_latched;
};

/* As it is before the first control word; gate: the level of its GATE input. */
void counter_init(struct counter *c, bool gate);
/* A byte to the control port 43h that selects this counter; a latch command is not for here. */
void counter_control(struct counter *c, int64_t t, uint8_t word);
/* The counter's own port: one byte of a count, as its access mode has it. */
void counter_write(struct counter *c, int64_t t, uint8_t val);
uint8_t counter_read(struct counter *c, int64_t t);
/* The counter latch command, and the read-back command's two. The next read tells, status first. */
void counter_latch(struct counter *c, int64_t t);
void counter_latch_status(struct counter *c, int64_t t);
/* GATE goes to that level, which starts or holds counting as the mode has it. */
void counter_gate(struct counter *c, int64_t t, bool level);
/* The level of OUT. */
bool counter_out(struct counter *c, int64_t t);
/* The first tick after t at which OUT rises, TICK_NEVER if it will not. */
int64_t counter_next_rise(const struct counter *c, int64_t t);

void counter_save(const struct counter *c, struct state *s);
/* Takes any bytes: what no counter could be in becomes what one could be in. */
void counter_restore(struct counter *c, struct state *s);

#endif

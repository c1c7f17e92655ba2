/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine for tests of devices: no engine, 4 MiB of RAM, and a clock that the
 * test turns. Time is counted by instructions, and the test is the counter.
 */
#ifndef TESTS_PC_H
#define TESTS_PC_H

#include <stdlib.h>
#include <string.h>

#include "dev/table.h"
#include "machine/machine.h"
#include "machine/snapshot.h"
#include "tests/suite.h"

#define MS	1000000ll
#define SECOND	(1000 * MS)

static struct machine pc;
static struct cpu pc_cpu;
static int64_t pc_ns;
static struct config pc_config;
static void (*pc_prepare)(void);	/* after machine_create(), before the devices */

static inline void pc_setup_with(uint64_t memory, struct chardev *console)
{
	pc_ns = 0;
	pc_config.memory = memory;
	pc_config.clock_instructions = true;
	ck_assert_int_eq(machine_create(&pc, &pc_config), 0);
	pc.cpu = &pc_cpu;
	pc.clock.retired = &pc_ns;
	pc.console = console;
	if (pc_prepare)
		pc_prepare();
	ck_assert_int_eq(machine_add_devices(&pc, device_table), 0);
	machine_reset(&pc);
}

static inline void pc_setup(void)
{
	pc_setup_with(4 << 20, NULL);
}

static inline void pc_teardown(void)
{
	machine_destroy(&pc);
}

static inline uint8_t in(uint16_t port)
{
	return (uint8_t)bus_in(pc.bus, port, 1);
}

static inline void out(uint16_t port, uint8_t val)
{
	bus_out(pc.bus, port, val, 1);
}

/* Guest time becomes ns; everything due on the way happens when it is due. */
static inline void pc_run_to(int64_t ns)
{
	while (pc.clock.next <= ns) {
		if (pc.clock.next > pc_ns)
			pc_ns = pc.clock.next;
		clock_run(&pc.clock);
	}
	pc_ns = ns;
}

static inline void pc_run_for(int64_t ns)
{
	pc_run_to(pc_ns + ns);
}

/* ICW1-4 as every BIOS writes them: vectors 08h and 70h, nothing masked. */
static inline void pc_init_pics(void)
{
	static const uint8_t words[][2] = { { 0x20, 0x11 }, { 0x21, 0x08 }, { 0x21, 0x04 },
		{ 0x21, 0x01 }, { 0xa0, 0x11 }, { 0xa1, 0x70 }, { 0xa1, 0x02 }, { 0xa1, 0x01 } };

	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		out(words[i][0], words[i][1]);
}

/* Acknowledges and ends an interrupt, if there is one; its vector or -1. */
static inline int pc_take(void)
{
	int vector;

	if (!pc.intr)
		return -1;
	vector = irq_acknowledge(&pc);
	if (vector >= 0x70)
		out(0xa0, 0x20);
	out(0x20, 0x20);
	return vector;
}

/* Saves one device, wrecks it by a reset, and restores it. */
static inline void pc_round_trip(const struct device_ops *ops)
{
	struct state s;

	state_init(&s);
	for (unsigned i = 0; i < pc.ndevices; i++) {
		const struct device_slot *d = &pc.devices[i];

		if (d->ops != ops)
			continue;
		ops->save(d->dev, &s);
		ops->reset(d->dev);
		ck_assert_int_eq(ops->restore(d->dev, &s), 0);
		ck_assert(!s.bad);
		ck_assert_uint_eq(s.pos, s.len);
		/* A stream that ends anywhere early is refused. */
		for (size_t len = 0; len < s.len; len++) {
			struct state cut = { .buf = s.buf, .len = len };
			void *copy = malloc(ops->state_size);

			memcpy(copy, d->dev, ops->state_size);
			ck_assert_int_lt(ops->restore(d->dev, &cut), 0);
			memcpy(d->dev, copy, ops->state_size);
			free(copy);
		}
		s.pos = 0;
		ck_assert_int_eq(ops->restore(d->dev, &s), 0);
		state_free(&s);
		return;
	}
	ck_abort_msg("no device %s", ops->name);
}

#endif

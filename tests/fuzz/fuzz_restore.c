/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A snapshot that anybody may have written. The bytes either are one (after 0xff), or say how
 * one that was taken here is changed: so many deeds before, so many places, perhaps an early
 * end. What was restored, or reset when it was refused, must be a machine that works on.
 */
#include "machine/cpu_state.h"
#include "machine/snapshot.h"
#include "tests/fuzz/deeds.h"
#include "tests/fuzz/target.h"

#define DEEDS_MAX	60

static void snapshot_change(struct state *s)
{
	for (unsigned n = deeds_below(16); n; n--) {
		size_t at = (deeds_below(65536) | (size_t)deeds_below(4) << 16) % s->len;

		s->buf[at] = (uint8_t)deeds_below(256);
	}
	if (deeds_below(16) == 1)
		s->len = deeds_below(65536) % s->len;
}

/* Another snapshot of it reads back. */
static void snapshot_again(struct machine *m)
{
	struct state s;

	state_init(&s);
	machine_save(m, &s);
	if (machine_restore(m, &s))
		fuzz_failed("its own snapshot is refused");
	state_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine *m = deeds_machine();
	const char *bad;
	struct state s;

	if (!size)
		return 0;
	state_init(&s);
	deeds_bytes(data + 1, size - 1);
	if (!deeds_open())
		fuzz_failed("no machine");
	if (data[0] == 0xff) {
		state_put(&s, data + 1, size - 1);
	} else {
		for (unsigned i = data[0] % DEEDS_MAX; i; i--)
			deeds_do(DEEDS_ANY);
		machine_save(m, &s);
		snapshot_change(&s);
	}
	if (machine_restore(m, &s))
		machine_reset(m);	/* as whoever restores must */
	state_free(&s);
	snapshot_again(m);
	for (unsigned i = 0; i < DEEDS_MAX && deeds_left(); i++)
		deeds_do(DEEDS_ANY);
	bad = deeds_close(false);
	/* Which pages are ROM or RAM is part of a snapshot. */
	if (bad && strcmp(bad, "the ROM has changed"))
		fuzz_failed(bad);
	return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *to)
{
	if (i == 12)
		return 0;
	fuzz_noise(to, 600, i + 100);
	to[0] = (uint8_t)(3 * i);
	return 600;
}

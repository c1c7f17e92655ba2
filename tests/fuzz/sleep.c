/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every device saves all that it has: a machine is saved after any number of deeds
 * (tests/fuzz/deeds.h), and made anew from that. What comes of it after the same further deeds
 * must be, to the last bit, what came of the one that went on.
 *
 *	sleep [--count N] [--seed FIRST]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/disk.h"
#include "machine/snapshot.h"
#include "tests/fuzz/deeds.h"

#define DEEDS		3000

/* All that a machine is. */
struct whole {
	struct state devices;
	uint8_t *ram, *disk, *second;
	size_t nram, ndisk, nsecond;
};

/* Removable media may be taken out. */
static size_t size_of(struct disk *d)
{
	return d ? disk_size(d) : 0;
}

static void whole_take(struct whole *w)
{
	struct machine *m = deeds_machine();

	state_init(&w->devices);
	machine_save(m, &w->devices);
	w->nram = m->mem.low_size + m->mem.high_size;
	w->ndisk = size_of(m->virtio_disks[0]);
	w->nsecond = size_of(m->disks[0]);
	w->ram = malloc(w->nram);
	w->disk = malloc(w->ndisk + 1);
	w->second = malloc(w->nsecond + 1);
	if (!w->ram || !w->disk || !w->second)
		abort();
	memcpy(w->ram, m->mem.ram, w->nram);
	disk_read(m->virtio_disks[0], 0, w->disk, w->ndisk);
	disk_read(m->disks[0], 0, w->second, w->nsecond);
}

static bool whole_put(struct whole *w)
{
	struct machine *m = deeds_machine();

	memcpy(m->mem.ram, w->ram, w->nram);
	disk_write(m->virtio_disks[0], 0, w->disk, w->ndisk);
	disk_write(m->disks[0], 0, w->second, w->nsecond);
	w->devices.pos = 0;
	return machine_restore(m, &w->devices) == 0;
}

static void whole_free(struct whole *w)
{
	state_free(&w->devices);
	free(w->ram);
	free(w->disk);
	free(w->second);
}

/* What is not the same, or NULL. Sections begin with "HS". */
static const char *difference(const struct whole *a, const struct whole *b)
{
	static char text[96];
	const struct state *x = &a->devices, *y = &b->devices;
	size_t at = 0, section = 0;

	if (memcmp(a->ram, b->ram, a->nram))
		return "RAM";
	if (memcmp(a->disk, b->disk, a->ndisk) || memcmp(a->second, b->second, a->nsecond))
		return "a disk";
	while (at < x->len && at < y->len && x->buf[at] == y->buf[at]) {
		if (!memcmp(x->buf + at, "HS", 2))
			section = at;
		at++;
	}
	if (at == x->len && at == y->len)
		return NULL;
	snprintf(text, sizeof(text), "%.*s, byte %zu", x->buf[section + 4],
		 (const char *)x->buf + section + 5, at - section - 5 - x->buf[section + 4]);
	return text;
}

/* The same machine each time. */
static bool open_or_say(uint64_t seed)
{
	deeds_seed(seed);
	if (deeds_open())
		return true;
	fputs("sleep: no machine\n", stderr);
	return false;
}

static void deeds(unsigned n)
{
	while (n--)
		deeds_do(DEEDS_ANY);
}

static bool one(uint64_t seed)
{
	struct whole before, awake, slept;
	const char *what = "it cannot be restored";
	const struct disk *cd, *floppy;
	unsigned until, then;

	if (!open_or_say(seed))
		return false;
	cd = deeds_machine()->disks[2];
	floppy = deeds_machine()->floppies[0];
	until = deeds_below(DEEDS);
	then = deeds_below(DEEDS / 4);
	deeds(until);
	/* With other media it is another machine. */
	if (deeds_machine()->disks[2] != cd || deeds_machine()->floppies[0] != floppy) {
		deeds_close(false);
		return true;
	}
	whole_take(&before);
	deeds_seed(~seed);
	deeds(then);
	whole_take(&awake);
	deeds_close(false);
	if (!open_or_say(seed))
		return false;
	if (whole_put(&before)) {
		deeds_seed(~seed);
		deeds(then);
		whole_take(&slept);
		what = difference(&awake, &slept);
		whole_free(&slept);
	}
	deeds_close(false);
	whole_free(&before);
	whole_free(&awake);
	if (what)
		fprintf(stderr, "sleep: seed %" PRIu64 ", asleep after %u, then %u deeds: %s\n",
			seed, until, then, what);
	return !what;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, count = 100, done = 0;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--count"))
			count = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], NULL, 0);
	}
	for (; done < count; seed++, done++)
		if (!one(seed))
			return EXIT_FAILURE;
	printf("sleep: %" PRIu64 " machines woke up as they were\n", done);
	return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream of named, versioned sections for saving and restoring devices and
 * CPU. Scalars are little-endian. Reading past the end or a wrong tag sets
 * `bad`, after which reads give zeros, so that restore code needs one check.
 */
#ifndef MACHINE_SNAPSHOT_H
#define MACHINE_SNAPSHOT_H

#include "machine/types.h"

struct state {
	uint8_t *buf;
	size_t len, cap, pos;
	bool bad;
};

/* Empty, for writing; state_free() gives the bytes back. Writing without memory sets bad. */
void state_init(struct state *s);
void state_free(struct state *s);
/* Writing. */
void state_begin(struct state *s, const char *section, uint16_t version);
void state_put(struct state *s, const void *p, size_t n);
void state_put_u64(struct state *s, uint64_t v);
/* Reading: returns the section's version, or -EINVAL and sets bad. */
int state_enter(struct state *s, const char *section);
void state_get(struct state *s, void *p, size_t n);
uint64_t state_get_u64(struct state *s);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* What is large and mostly empty in a state file: RAM, and what snapshots of disks hold. */
#ifndef CLI_STATE_PAGES_H
#define CLI_STATE_PAGES_H

#include "cli/state_chunk.h"

/* Stops early when the machine is asked to end: -EINTR in w->err. */
void state_save_ram(struct chunk_writer *w, struct machine *m);
void state_save_disks(struct chunk_writer *w, struct machine *m);

/* Before the first chunk of RAM: what no chunk says is zero. 0 or -errno. */
int state_clear_ram(struct machine *m);
/* A chunk's contents into RAM, or into the snapshot of a disk. -EINVAL: nothing that could have
 * been saved of this machine; or -errno of a write. */
int state_load_ram(struct machine *m, const struct chunk *c);
int state_load_disk(struct machine *m, const struct chunk *c);

#endif

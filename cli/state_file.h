/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine put to sleep in a file, and one made from it (docs/state.md): configuration,
 * firmware, RAM, what disks' snapshots hold, processor, devices, and guest time.
 */
#ifndef CLI_STATE_FILE_H
#define CLI_STATE_FILE_H

#include "cli/load.h"
#include "cli/options.h"

/* Between two instructions, on the vCPU thread, as ATT_SAVE and timers are. The file
 * is there as a whole or, if anything goes wrong, as it was before: 0, or -errno and one line. */
int state_file_save(struct machine *m, const char *path, char why[static WHY_SIZE]);

/* --- Waking up, in this order ------------------------------------------------------ */

struct state_file;

/* Checks all of the file. */
int state_file_open(struct state_file **out, const char *path, char why[static WHY_SIZE]);
void state_file_close(struct state_file *f);		/* NULL is allowed */
/* Before options are converted: what the user did not say is as in the file. OPTIONS_RUN, or
 * the exit status after one line about what contradicts it. */
int state_file_options(struct state_file *f, struct options *o);
/* The firmware that the machine had; *image NULL if none, else to be freed. */
int state_file_firmware(struct state_file *f, bool vga, uint8_t **image, size_t *size,
			char why[static WHY_SIZE]);
/* Into a machine with all its media and devices, after its reset. What has changed about the
 * media is told on stderr. The caller flushes what was derived. */
int state_file_load(struct state_file *f, struct machine *m, char why[static WHY_SIZE]);

#endif

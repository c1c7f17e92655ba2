/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration of a machine as text: a key file, which people may read. */
#ifndef CLI_STATE_CONFIG_H
#define CLI_STATE_CONFIG_H

#include <glib.h>

#include "cli/load.h"
#include "cli/options.h"

/* Groups of drives: IDE's, floppies, virtio's, and their slots in struct machine. */
#define STATE_DRIVES	(2 * MACHINE_DISKS + MACHINE_FLOPPIES)
#define STATE_VIRTIO	(MACHINE_DISKS + MACHINE_FLOPPIES)
extern const char *const state_drives[STATE_DRIVES];
struct disk **state_drive(struct machine *m, unsigned i);

/* To be freed with g_free(). */
char *state_config_text(struct machine *m, size_t *len);
/* Never NULL: what is no key file is an empty one. */
GKeyFile *state_config_parse(const char *text, size_t len);
/* state_options.c: under what the user said. OPTIONS_RUN, or the exit status after one line;
 * path is that of the state file, for messages. */
int state_config_apply(const char *path, const char *text, size_t len, struct options *o);
/* The media of m against what the text says of them. */
int state_config_media(const char *path, const char *text, size_t len, struct machine *m,
		       char why[static WHY_SIZE]);
/* A number for what CPUID says: the same guest processor has the same. */
uint64_t state_config_cpuid(struct machine *m);
bool state_config_same_cpu(const char *text, size_t len, struct machine *m);

#endif

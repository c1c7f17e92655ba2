/* SPDX-License-Identifier: BSD-2-Clause */
/* Sub-commands: one file each, listed in the table of main.c. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

/* Exit statuses, besides what isa-debug-exit and signals give (docs/hemi.1). */
enum exit_status {
	EXIT_OK = 0, EXIT_HOST = 1, EXIT_USAGE = 2, EXIT_TRIPLE = 3, EXIT_DIFFERENCE = 4,
	EXIT_TIMEOUT = 124,
	EXIT_SIGNAL = 128,
};

struct command {
	const char *name, *summary;
	/* argv[0] is the sub-command's name. Returns the exit status. */
	int (*run)(int argc, char **argv);
};

int command_run(int argc, char **argv);
int command_probe(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_criterion(int argc, char **argv);
int command_model(int argc, char **argv);

#endif

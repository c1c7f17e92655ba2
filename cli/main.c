/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line's first word chooses a sub-command. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "machine/types.h"

static int command_version(int argc, char **argv);
static int command_help(int argc, char **argv);

static const struct command commands[] = {
	{ "run", "boot a kernel", command_run },
	{ "probe", "tell what this host can do", command_probe },
	{ "trace", "show the crossings that hemi run --trace-file recorded", command_trace },
	{ "criterion", "tell which instructions are sensitive, and why", command_criterion },
	{ "model", "the machine of Popek and Goldberg (1974) and its monitors", command_model },
	{ "version", "print the version", command_version },
	{ "help", "list the sub-commands, or explain one", command_help },
};

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int unexpected(const char *argv0, const char *arg)
{
	fprintf(stderr, "hemi %s: unexpected argument '%s'; see hemi help\n", argv0, arg);
	return EXIT_USAGE;
}

static int command_version(int argc, char **argv)
{
	if (argc > 1)
		return unexpected(argv[0], argv[1]);
	puts(PACKAGE_STRING);
	return EXIT_OK;
}

static void usage(FILE *f)
{
	fputs("Usage: hemi COMMAND [OPTION...]\n\nCommands:\n", f);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fputs("\nhemi COMMAND --help tells the options of a command.\n", f);
}

static int command_help(int argc, char **argv)
{
	char help[] = "--help", *sub[] = { NULL, help, NULL };
	const struct command *c;

	if (argc < 2) {
		usage(stdout);
		return EXIT_OK;
	}
	if (argc > 2)
		return unexpected(argv[0], argv[2]);
	c = command_find(argv[1]);
	if (!c) {
		fprintf(stderr, "hemi: unknown command '%s'; see hemi help\n", argv[1]);
		return EXIT_USAGE;
	}
	if (c->run == command_version || c->run == command_help) {
		printf("hemi %s: %s\n", c->name, c->summary);
		return EXIT_OK;
	}
	sub[0] = argv[1];
	return c->run(2, sub);
}

/* What was printed may not have arrived: a closed or full standard output is a failure. */
static int flush_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "hemi: standard output: %s\n", strerror(errno ? errno : EIO));
	return status ? status : EXIT_HOST;
}

int main(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		c = command_find("help");
	else if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		c = command_find("version");
	else
		c = command_find(argv[1]);
	if (!c) {
		fprintf(stderr, "hemi: unknown command '%s'; see hemi help\n", argv[1]);
		return EXIT_USAGE;
	}
	return flush_output(c->run(argc - 1, argv + 1));
}

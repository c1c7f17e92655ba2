/* SPDX-License-Identifier: BSD-2-Clause */
/* The options that put a machine into a file, and take one out of it. */
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/state_file.h"

int options_restore(struct options *o)
{
	char why[WHY_SIZE];

	if (!o->text.restore)
		return OPTIONS_RUN;
	if (!*o->text.restore)
		return usage_error("--restore: no file is named");
	if (state_file_open(&o->state, o->text.restore, why)) {
		fprintf(stderr, "hemi: %s\n", why);
		return EXIT_HOST;
	}
	return state_file_options(o->state, o);
}

int options_target(const char *option, const char *file)
{
	char *folder;
	bool there;

	if (!*file)
		return usage_error("--%s: no file is named", option);
	if (g_file_test(file, G_FILE_TEST_IS_DIR))
		return usage_error("--%s=%s: is a directory", option, file);
	folder = g_path_get_dirname(file);
	there = access(folder, W_OK) == 0 || access(file, W_OK) == 0;
	g_free(folder);
	return there ? OPTIONS_RUN :
		usage_error("--%s=%s: nothing can be written to its folder", option, file);
}

/* What would make a save fail in the end is said in the beginning. */
int options_save(struct options *o)
{
	struct config *c = &o->config;
	char *folder;
	bool there;

	c->save = o->text.save;
	if (!c->save && c->save_after != 0)
		return usage_error("--save-after: say --save=FILE too");
	if (!c->save)
		return OPTIONS_RUN;
	if (!*c->save)
		return usage_error("--save: no file is named");
	if (!(c->save_after >= 0))
		return usage_error("--save-after: less than nothing; say a number of seconds");
	if (c->engine == ENGINE_FULL || c->lockstep)
		return usage_error("--save goes with neither --engine=full nor --lockstep");
	if (g_file_test(c->save, G_FILE_TEST_IS_DIR))
		return usage_error("--save=%s: is a directory", c->save);
	folder = g_path_get_dirname(c->save);
	there = access(folder, W_OK) == 0;
	g_free(folder);
	return there ? OPTIONS_RUN :
		usage_error("--save=%s: nothing can be written to its folder", c->save);
}

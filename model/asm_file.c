/* SPDX-License-Identifier: BSD-2-Clause */
/* A program's text from a file. */
#include "model/asm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int model_assemble_file(struct model_program *p, const char *path, char *error, unsigned size)
{
	size_t max = 1 << 20, n;
	FILE *f = fopen(path, "r");
	char *text;
	int err;

	if (!f) {
		err = -errno;
		snprintf(error, size, "%s: %s", path, strerror(-err));
		return err;
	}
	text = malloc(max + 1);
	if (!text) {
		fclose(f);
		snprintf(error, size, "%s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	errno = 0;
	n = fread(text, 1, max, f);
	err = ferror(f) ? -(errno ? errno : EIO) : n == max ? -EFBIG : 0;
	fclose(f);
	text[n] = '\0';
	if (!err && strlen(text) != n)
		err = -EILSEQ;
	if (err)
		snprintf(error, size, "%s: %s", path, strerror(-err));
	else
		err = model_assemble(p, path, text, error, size);
	free(text);
	return err;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Our own bug: one line, the vCPU if there is one, and abort for a core dump. */
#include "machine/cpu.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct cpu *dumped;

void hemi_bug_cpu(const struct cpu *c)
{
	dumped = c;
}

void hemi_bug(const char *file, int line, const char *fmt, ...)
{
	const struct cpu *c = dumped;
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "hemi: bug at %s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	dumped = NULL;	/* a bug found while dumping must not come back here */
	if (c)
		cpu_dump(c, stderr);
	abort();
}

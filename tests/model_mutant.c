/* SPDX-License-Identifier: BSD-2-Clause */
/* Run by model-mutants.test for each mutant: status 0 if every monitor keeps to the map. */
#include <stdio.h>

#include "model/check.h"

int main(void)
{
	static const struct { enum monitor_kind kind; unsigned depth; } rows[] = {
		{ MONITOR_VMM, 1 }, { MONITOR_VMM, 2 },
		{ MONITOR_HYBRID, 1 }, { MONITOR_HYBRID, 2 },
	};
	unsigned diverged = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct check c = { .kind = rows[i].kind, .depth = rows[i].depth, .seed = 3 };

		/* One is enough: a monitor that has lost its guest takes long to say so. */
		while (c.programs < 1000 && !c.diverged) {
			c.programs++;
			if (check_run(&c))
				return 99;
		}
		diverged += c.diverged > 0;
		printf(" %lu", (unsigned long)c.done);
	}
	return diverged ? 4 : 0;
}

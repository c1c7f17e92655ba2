/* SPDX-License-Identifier: BSD-2-Clause */
/* hemi criterion --host: what this host does with the instructions that matter. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/criterion.h"

static void print_bytes(const struct host_verdict *v)
{
	for (unsigned i = 0; i < v->length; i++)
		printf("%s%02x", i ? " " : "", v->bytes[i]);
}

void host_print_text(const struct host_report *r)
{
	static const char *const says[HOST_KINDS] = {
		[HOST_TRAPPED] = "Every state trapped: safe as it is",
		[HOST_AGREED] = "Went on, and did as the guest's processor does",
		[HOST_SPOOFED] = "Trapped, and the host's kernel answered instead",
		[HOST_SILENT] = "Went on, and did something else: the scanner's business",
	};

	printf("\n%s, as user code of this host on %s: %u instructions, %u runs, %.1f s\n",
	       r->of->of->name, r->engine, r->n, r->runs, r->seconds);
	if (r->why[0]) {
		printf("There is no direct execution here: %s\n", r->why);
		return;
	}
	if (r->refused)
		printf("%u states it does not run: %s\n", r->refused, r->why_refused);
	if (r->refused == r->runs)
		return;
	printf("%-12s %8s %8s %8s %8s %8s %8s  %s\n", "", host_kind_names[0], host_kind_names[1],
	       host_kind_names[2], host_kind_names[3], "held", "strict",
	       "an example: guest's processor, this host");
	for (int k = HOST_KINDS - 1; k >= 0; k--) {
		bool first = true;

		for (unsigned i = 0; i < r->n; i++) {
			const struct host_verdict *v = &r->v[i];

			if ((int)host_worst(v) != k)
				continue;
			if (first)
				printf("%s:\n", says[k]);
			first = false;
			printf("  %-10s %8u %8u %8u %8u", v->of->name, v->count[0], v->count[1],
			       v->count[2], v->count[3]);
			if (k >= HOST_SPOOFED) {
				printf(" %8u %8u  ", v->held[0], v->held[1]);
				print_bytes(v);
				printf(": %s %" PRIx64 ", %" PRIx64, v->what, v->interp, v->host);
			}
			putchar('\n');
		}
	}
	puts("held, strict: of the spoofed and silent states, those that the scanner finds by "
	     "default and "
	     "with --strict");
}

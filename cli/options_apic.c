/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --apic is a feature of the CPU, in other words: yes is --cpu MODEL,+apic, no is
 * --cpu MODEL,-apic, and what comes later counts. Without it, a machine with a BIOS has
 * what its CPU model has. A kernel that is loaded without one gets no APIC unless somebody asks: it
 * finds its way by the 8259s as well, and starts sooner.
 */
#include <glib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"
#include "interp/cpu_model.h"

/* "MODEL" and what follows it, from its comma on. */
static char *with_feature(const char *cpu, const char *word, bool last)
{
	const char *model = cpu ? cpu : cpu_model_name(0, NULL);
	size_t n = last ? strlen(model) : strcspn(model, ",");

	return g_strdup_printf("%.*s,%s%s", (int)n, model, word, model + n);
}

int options_apic(struct options *o)
{
	struct config *c = &o->config;
	struct option_text *t = &o->text;
	const char *word = c->kernel ? "-apic" : NULL;
	struct cpu_model model;
	char why[256];
	char *cpu;

	if (t->apic) {
		if (strcmp(t->apic, "yes") && strcmp(t->apic, "no"))
			return usage_error("--apic=%s: unknown; say yes or no", t->apic);
		word = strcmp(t->apic, "yes") ? "-apic" : "+apic";
	}
	if (word) {
		cpu = with_feature(t->cpu, word, t->apic);
		g_free(t->cpu);
		c->cpu_model = t->cpu = cpu;
	}
	if (!cpu_model_parse(&model, c->cpu_model, why, sizeof(why)))
		return usage_error("--cpu=%s: %s", c->cpu_model, why);
	c->apic = cpu_model_has(&model, F_APIC);
	return OPTIONS_RUN;
}

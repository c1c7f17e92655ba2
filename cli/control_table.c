/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands, and how to find one. */
#include <string.h>

#include "cli/control.h"

#define ARG(n, k, ...)	{ .name = n, .kind = k, ##__VA_ARGS__ }
#define OPT(n, k, ...)	{ .name = n, .kind = k, .optional = true, ##__VA_ARGS__ }

const struct verb verbs[] = {
	{ "help", "?", NULL, "lists the commands, or says what one does",
	  { OPT("command", ARG_COMMAND) }, .at_once = true, .run = verb_help },
	{ "info status", NULL, "query-status", "whether the machine runs", .run = verb_status },
	{ "info version", NULL, "query-version", "of hemi", .at_once = true, .run = verb_version },
	{ "info name", NULL, "query-name", "of the machine", .at_once = true, .run = verb_name },
	{ "info registers", NULL, NULL, "the processor's state", .run = verb_registers },
	{ "info mem", NULL, NULL, "what the guest has mapped where", .run = verb_mem },
	{ "info stats", NULL, "x-hemi-stats", "where time went and why", .run = verb_stats },
	{ "info devices", NULL, NULL, "devices, their ports, and what is on the PCI bus",
	  .run = verb_devices },
	{ "info block", NULL, "query-block", "drives and the images in them", .run = verb_block },
	{ "info kvm", NULL, "query-kvm", "whether KVM runs everything", .at_once = true,
	  .run = verb_kvm },
	{ "info cpus", NULL, "query-cpus-fast", "the processor and its thread", .run = verb_cpus },
	{ "stop", NULL, "stop", "stops the machine; its time stands still", .run = verb_stop },
	{ "cont", "c", "cont", "lets it go on", .run = verb_cont },
	{ "system_reset", NULL, "system_reset", "resets the machine", .run = verb_reset },
	{ "system_powerdown", NULL, "system_powerdown", "presses the power button (ACPI)",
	  .run = verb_powerdown },
	{ "screendump", NULL, "screendump",
	  "writes the screen to a file: PNG or text by its name, otherwise PPM",
	  { ARG("filename", ARG_FILE),
	    OPT("format", ARG_TEXT, .choices = "ppm|png|txt") },
	  .run = verb_screendump, .finish = verb_screendump_finish },
	{ "sendkey", NULL, "send-key", "presses keys together, for so many ms of guest time (100)",
	  { ARG("keys", ARG_KEYS), OPT("hold-time", ARG_NUMBER) },
	  .run = verb_sendkey },
	{ "eject", NULL, "eject", "takes the medium out; -f: even if the guest has locked it",
	  { OPT("force", ARG_FLAG), ARG("device", ARG_DEVICE, .other = "id") },
	  .run = verb_eject },
	{ "change", NULL, "blockdev-change-medium", "puts another medium into a drive",
	  { OPT("force", ARG_FLAG), ARG("device", ARG_DEVICE, .other = "id"),
	    ARG("filename", ARG_FILE),
	    OPT("format", ARG_TEXT, .choices = "raw"),
	    OPT("read-only-mode", ARG_TEXT, .choices = "retain|read-only|read-write") },
	  .run = verb_change },
	{ NULL, NULL, "change", NULL,
	  { OPT("force", ARG_FLAG), ARG("device", ARG_DEVICE),
	    ARG("target", ARG_FILE) },
	  .run = verb_change },
	{ "x", NULL, NULL, "shows guest memory: COUNT, one of x d u o c i, a size of b h w g; the "
	  "address is linear, for instance 0x7c00, $rip, $rsp+8",
	  { OPT("format", ARG_FORMAT), ARG("address", ARG_REST) },
	  .run = verb_x },
	{ "xp", NULL, NULL, "the same by physical address",
	  { OPT("format", ARG_FORMAT), ARG("address", ARG_REST) },
	  .run = verb_xp },
	{ "quit", "q", "quit", "ends the run", .at_once = true, .run = verb_quit },
	{ NULL, NULL, "query-commands", NULL, .at_once = true, .run = verb_commands },
	{ NULL, NULL, "query-events", NULL, .at_once = true, .run = verb_events },
	{ NULL, NULL, "query-memory-size-summary", NULL, .at_once = true,
	  .run = verb_memory_size },
	{ NULL, NULL, "human-monitor-command", NULL,
	  { ARG("command-line", ARG_REST), OPT("cpu-index", ARG_NUMBER) },
	  .line = true },
};
const unsigned nverbs = ARRAY_LEN(verbs);

const struct verb *verb_find(const char *name)
{
	for (unsigned i = 0; i < nverbs; i++)
		if ((verbs[i].name && strcmp(verbs[i].name, name) == 0) ||
		    (verbs[i].alias && strcmp(verbs[i].alias, name) == 0))
			return &verbs[i];
	return NULL;
}

const struct verb *verb_find_qmp(const char *name)
{
	for (unsigned i = 0; i < nverbs; i++)
		if (verbs[i].qmp && strcmp(verbs[i].qmp, name) == 0)
			return &verbs[i];
	return NULL;
}

char *verb_usage(const struct verb *verb)
{
	GString *s = g_string_new(verb->name);

	for (unsigned i = 0; i < CALL_ARGS && verb->args[i].name; i++) {
		const struct arg *a = &verb->args[i];
		char *shown = a->choices ? g_strdup(a->choices) : g_ascii_strup(a->name, -1);

		if (a->kind == ARG_FLAG)
			g_string_append_printf(s, " [-%c]", *a->name);
		else if (a->kind == ARG_FORMAT)
			g_string_append(s, " [/FMT]");
		else if (a->kind == ARG_KEYS)
			g_string_append(s, " KEY[-KEY...]");
		else
			g_string_append_printf(s, a->optional ? " [%s]" : " %s", shown);
		g_free(shown);
	}
	return g_string_free(s, FALSE);
}

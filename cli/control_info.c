/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that tell something about the machine and about hemi; x and info mem are in
 * cli/control_memory.c, info block is in cli/control_media.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/control.h"
#include "cli/stats.h"
#include "dev/pci.h"

static JsonNode *array_node(JsonArray *a)
{
	JsonNode *n = json_node_new(JSON_NODE_ARRAY);

	json_node_take_array(n, a);
	return n;
}

/* --- Hemi ---------------------------------------------------------------------------------- */

static void help_one(struct call *c, const struct verb *v)
{
	char *usage = verb_usage(v);

	call_printf(c, "%s%s%s -- %s\n", usage, v->alias ? ", or " : "", v->alias ? v->alias : "",
		    v->help);
	g_free(usage);
}

void verb_help(struct call *c)
{
	const char *what = c->args[0].text;
	const struct verb *v = what ? verb_find(what) : NULL;
	bool info = what && strcmp(what, "info") == 0;

	if (v) {
		help_one(c, v);
		return;
	}
	for (unsigned i = 0; i < nverbs; i++)
		if (verbs[i].name && (!what || (info && g_str_has_prefix(verbs[i].name, "info "))))
			help_one(c, &verbs[i]);
	if (what && !info)
		call_fail(c, "'%s' is no command; help lists them", what);
}

void verb_version(struct call *c)
{
	JsonObject *o = json_object_new(), *number = json_object_new();
	int major = 0, minor = 0;

	sscanf(PACKAGE_VERSION, "%d.%d", &major, &minor);
	call_printf(c, "hemi %s\n", PACKAGE_VERSION);
	json_object_set_int_member(number, "major", major);
	json_object_set_int_member(number, "minor", minor);
	json_object_set_int_member(number, "micro", 0);
	json_object_set_object_member(o, "qemu", number);
	json_object_set_string_member(o, "package", "hemi " PACKAGE_VERSION);
	call_return_object(c, o);
}

void verb_commands(struct call *c)
{
	JsonArray *a = json_array_new();

	for (unsigned i = 0; i < nverbs; i++) {
		JsonObject *o;

		if (!verbs[i].qmp)
			continue;
		o = json_object_new();
		json_object_set_string_member(o, "name", verbs[i].qmp);
		json_array_add_object_element(a, o);
	}
	call_return(c, array_node(a));
}

void verb_events(struct call *c)
{
	static const char *const names[] = { "SHUTDOWN", "RESET", "STOP", "RESUME", "POWERDOWN" };
	JsonArray *a = json_array_new();

	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		JsonObject *o = json_object_new();

		json_object_set_string_member(o, "name", names[i]);
		json_array_add_object_element(a, o);
	}
	call_return(c, array_node(a));
}

/* --- The machine --------------------------------------------------------------------------- */

void verb_status(struct call *c)
{
	struct machine *m = call_machine(c);
	JsonObject *o = json_object_new();
	const char *status = !m->stopped ? "running" : m->stopped_tsc ? "paused" : "prelaunch";

	call_printf(c, "VM status: %s%s, guest time %.3f s\n", status,
		    m->cpu->halted && !m->stopped ? " (the processor waits for an interrupt)" : "",
		    (double)clock_now(&m->clock) / 1e9);
	json_object_set_boolean_member(o, "running", !m->stopped);
	json_object_set_boolean_member(o, "singlestep", FALSE);
	json_object_set_string_member(o, "status", status);
	call_return_object(c, o);
}

/* Nothing gives a machine a name. */
void verb_name(struct call *c)
{
	call_return_object(c, json_object_new());
}

void verb_kvm(struct call *c)
{
	bool full = call_machine(c)->config->engine == ENGINE_FULL;
	JsonObject *o = json_object_new();

	call_printf(c, "kvm support: %s\n", full ? "enabled" : "disabled");
	json_object_set_boolean_member(o, "enabled", full);
	json_object_set_boolean_member(o, "present", access("/dev/kvm", R_OK | W_OK) == 0);
	call_return_object(c, o);
}

/* On the vCPU thread, whose number this is. */
void verb_cpus(struct call *c)
{
	JsonArray *a = json_array_new();
	JsonObject *o = json_object_new();
	long tid = syscall(SYS_gettid);

	call_printf(c, "* CPU #0: thread_id=%ld\n", tid);
	json_object_set_int_member(o, "cpu-index", 0);
	json_object_set_int_member(o, "thread-id", tid);
	json_object_set_string_member(o, "qom-path", "/machine/unattached/device[0]");
	json_object_set_string_member(o, "target", "x86_64");
	json_array_add_object_element(a, o);
	call_return(c, array_node(a));
}

void verb_memory_size(struct call *c)
{
	JsonObject *o = json_object_new();

	json_object_set_int_member(o, "base-memory", (gint64)call_machine(c)->config->memory);
	call_return_object(c, o);
}

void verb_registers(struct call *c)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return;
	cpu_dump(call_machine(c)->cpu, f);
	fclose(f);
	g_string_append_len(c->text, text, (gssize)n);
	free(text);
}

void verb_stats(struct call *c)
{
	struct stats s = { 0 };
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return;
	vmm_stats(call_vmm(c), &s);
	stats_print(&s, f);
	fclose(f);
	g_string_append_len(c->text, text, (gssize)n);
	free(text);
	call_return(c, stats_node(&s));
}

/* --- Devices ------------------------------------------------------------------------------- */

static void ports_print(struct call *c, const struct device_ops *ops)
{
	const struct bus *b = call_machine(c)->bus;
	const char *between = "ports ";
	unsigned first = 0;

	while (first < 0x10000) {
		unsigned end = first;

		while (end < 0x10000 && bus_owner(b, (uint16_t)end) == ops)
			end++;
		if (end == first) {
			first++;
			continue;
		}
		call_printf(c, end - first == 1 ? "%s%x" : "%s%x-%x", between, first, end - 1);
		between = ", ";
		first = end;
	}
}

static void function_print(struct call *c, const struct pci_function *f)
{
	call_printf(c, "%02x.%x  %04x:%04x class %02x%02x", f->devfn >> 3, f->devfn & 7,
		    pci_get16(f, PCI_VENDOR), pci_get16(f, PCI_VENDOR + 2),
		    f->config[PCI_CLASS + 2], f->config[PCI_CLASS + 1]);
	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = &f->bars[i];

		if (bar->size && bar->on)
			call_printf(c, "  %s %x-%x", bar->io ? "ports" : "memory", bar->base,
				    bar->base + bar->size - 1);
	}
	if (f->config[PCI_PIN])
		call_printf(c, "  pin %c, line %u", '@' + f->config[PCI_PIN], f->config[PCI_LINE]);
	call_printf(c, "\n");
}

void verb_devices(struct call *c)
{
	struct machine *m = call_machine(c);
	const struct pci_function *f;

	for (unsigned i = 0; i < m->ndevices; i++) {
		call_printf(c, "%-12s ", m->devices[i].ops->name);
		ports_print(c, m->devices[i].ops);
		call_printf(c, "\n");
	}
	for (unsigned i = 0; i < m->mem.nranges; i++) {
		const struct range *r = &m->mem.ranges[i];

		if (!r->off)
			call_printf(c, "%-12s %s %llx-%llx\n", r->name ? r->name : "",
				    r->kind == RANGE_ROM ? "ROM" : "memory",
				    (unsigned long long)r->base,
				    (unsigned long long)(r->base + r->size - 1));
	}
	if (pci_function_at(m, 0))
		call_printf(c, "On the PCI bus:\n");
	for (unsigned i = 0; (f = pci_function_at(m, i)); i++)
		function_print(c, f);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a user or a program can ask of a running machine: one table of commands, for the
 * monitor's prompt (cli/monitor.h) and for the control socket (cli/control_socket.h).
 *
 * A command is made into a call by whoever was asked (cli/control_line.c from a line of text,
 * cli/qmp.c from JSON), waits in a queue, and is run on the vCPU thread, which alone knows
 * the machine. The caller does not wait: done() tells it.
 */
#ifndef CLI_CONTROL_H
#define CLI_CONTROL_H

#include <glib.h>
#include <json-glib/json-glib.h>

#include "cli/console.h"
#include "dev/screen.h"
#include "vmexit/vmm.h"

#define CALL_ARGS	5
#define CALL_KEYS	16		/* that are down together */

struct control;

enum arg_kind {
	ARG_TEXT, ARG_FILE, ARG_DEVICE, ARG_COMMAND, ARG_NUMBER, ARG_KEYS,
	ARG_FLAG,		/* true or false; -LETTER at the prompt */
	ARG_FORMAT,		/* "/..." at the prompt */
	ARG_REST,		/* all that is left of the line */
};

struct arg {
	const char *name;
	enum arg_kind kind;
	bool optional;
	const char *other;	/* another name that programs give it, or NULL */
	const char *choices;	/* "one|two", or NULL: anything */
};

struct call;
struct verb {
	const char *name;	/* at the prompt; of two words where the first is "info"; or NULL */
	const char *alias;
	const char *qmp;	/* for programs, or NULL */
	const char *help;
	struct arg args[CALL_ARGS];
	bool at_once;		/* any thread may run it, and it does not wait for the machine */
	bool line;		/* programs: the argument is a line for the prompt */
	void (*run)(struct call *c);
	/* Afterwards, on the caller's thread: what may have to wait for a file. */
	void (*finish)(struct call *c);
};
extern const struct verb verbs[];
extern const unsigned nverbs;

struct value {
	char *text;		/* NULL: not given */
	int64_t number;
	uint8_t keys[CALL_KEYS];
	unsigned nkeys;
};

struct call {
	struct control *control;
	const struct verb *verb;
	struct value args[CALL_ARGS];
	bool as_text;		/* a program that wants what the prompt would show */
	/* The answer: for people and for programs; or why there is none. */
	GString *text;
	JsonNode *result;
	char *error;
	const char *class;
	struct screen screen;	/* between run() and finish() */
	void (*done)(void *arg);	/* any thread */
	void *arg;
	struct call *next;	/* in the queue */
};

/* --- Life ------------------------------------------------------------------------------ */

/* 0 or -ENOMEM. ATT_CONTROL of that machine is its from then on. */
int control_create(struct control **out, struct machine *m, struct vmm *vmm);
/* After the machine has stopped and all callers have gone. NULL is allowed. */
void control_destroy(struct control *k);
/* Who hears "quit"; before anybody calls. */
void control_set_console(struct control *k, struct console *c);
/* Who is told of events, each a line of JSON; any thread. */
void control_set_listener(struct control *k, void (*hear)(void *arg, const char *line), void *arg);
/* vCPU thread: the guest has reset the machine, or the user has. */
void control_was_reset(struct control *k);
/* vCPU thread, after the run: tells listeners why, and fails calls that nobody will run. */
void control_end(struct control *k, enum power why);
/* For completion; any thread. */
struct machine *control_machine(struct control *k);

/* --- Calls ----------------------------------------------------------------------------- */

/* A call without arguments, still of nobody; who submitted it frees it after done(). */
struct call *call_new(struct control *k, const struct verb *verb);
void call_free(struct call *c);
/* Runs it, now or later, on this thread or another; then done(). */
void call_submit(struct call *c);
/* After done(), on the caller's thread. */
void call_finish(struct call *c);

/* From a line of the prompt; NULL: the line is empty, or *why (to be freed) says what is
 * wrong. */
struct call *call_from_line(struct control *k, const char *line, char **why);
/* What could stand where the word before `at` begins, which is stored in *from: strings, each
 * ending in a space if it is complete. To be freed. */
GPtrArray *line_complete(struct control *k, const char *line, size_t at, size_t *from);
/* One of a->choices. */
bool arg_accepts(const struct arg *a, const char *word);
const struct verb *verb_find(const char *name);
const struct verb *verb_find_qmp(const char *name);
/* "eject [-f] DEVICE" */
char *verb_usage(const struct verb *verb);

/* Keys by QEMU's names ("ctrl-alt-f1") or set 1 codes (0x1d). False: no such key. */
bool key_parse(const char *name, size_t len, uint8_t *key);
bool key_number(int64_t code, uint8_t *key);
bool keys_parse(const char *names, struct value *out);
const char *keys_name(unsigned i);		/* NULL: there are no more */

/* --- For the commands: cli/control_*.c ------------------------------------------------- */

/* On the vCPU thread, while it runs. call_printf() adds to the text for people. */
struct machine *call_machine(struct call *c);
struct vmm *call_vmm(struct call *c);
void call_printf(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* fmt is a sentence for people without a full stop. The class is GenericError, or as said. */
void call_fail(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void call_fail_class(struct call *c, const char *class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Takes the reference. */
void call_return(struct call *c, JsonNode *result);
void call_return_object(struct call *c, JsonObject *o);
/* data is taken, or NULL. */
void control_event(struct control *k, const char *name, JsonObject *data);
void control_quit(struct control *k);
void control_reset(struct control *k);
/* vCPU thread: presses keys, for so long; false: too many are waiting. */
bool control_press(struct control *k, const struct value *keys, int64_t hold_ms);

void verb_help(struct call *c);
void verb_status(struct call *c);
void verb_version(struct call *c);
void verb_name(struct call *c);
void verb_commands(struct call *c);
void verb_events(struct call *c);
void verb_kvm(struct call *c);
void verb_cpus(struct call *c);
void verb_memory_size(struct call *c);
void verb_registers(struct call *c);
void verb_mem(struct call *c);
void verb_stats(struct call *c);
void verb_devices(struct call *c);
void verb_block(struct call *c);
void verb_eject(struct call *c);
void verb_change(struct call *c);
void verb_stop(struct call *c);
void verb_cont(struct call *c);
void verb_reset(struct call *c);
void verb_powerdown(struct call *c);
void verb_save(struct call *c);
void verb_screendump(struct call *c);
void verb_screendump_finish(struct call *c);
void verb_sendkey(struct call *c);
void verb_x(struct call *c);
void verb_xp(struct call *c);
void verb_quit(struct call *c);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue between those who ask and the vCPU thread, and events in the other direction.
 * What the commands do is elsewhere.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/control.h"
#include "dev/input.h"

#define GROUPS		64		/* of keys that wait to be pressed; a power of two */
#define RETRY_NS	10000000ll	/* while the machine does not take its keys */

struct keys {
	uint8_t codes[CALL_KEYS];
	unsigned n;
	int64_t hold_ns;
};

struct control {
	struct machine *m;
	struct vmm *vmm;
	struct console *console;
	void (*hear)(void *arg, const char *line);
	void *hear_arg;
	pthread_mutex_t lock;		/* for what follows */
	struct call *first, **last;
	bool ended;
	bool quit_asked;
	/* The vCPU thread's. */
	bool reset_asked;
	struct timer timer;		/* for keys: guest time */
	struct keys groups[GROUPS];
	unsigned next, ngroups;
	unsigned pressed, released;	/* keys of the group at hand */
	int64_t release_at;
};

/* --- Calls ----------------------------------------------------------------------------- */

struct call *call_new(struct control *k, const struct verb *verb)
{
	struct call *c = g_new0(struct call, 1);

	c->control = k;
	c->verb = verb;
	c->text = g_string_new(NULL);
	return c;
}

void call_free(struct call *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < CALL_ARGS; i++)
		g_free(c->args[i].text);
	g_string_free(c->text, TRUE);
	g_clear_pointer(&c->result, json_node_unref);
	g_free(c->error);
	screen_free(&c->screen);
	g_free(c);
}

void call_submit(struct call *c)
{
	struct control *k = c->control;
	bool queued = false;

	if (c->verb->at_once) {
		c->verb->run(c);
		c->done(c->arg);
		return;
	}
	pthread_mutex_lock(&k->lock);
	if (!k->ended) {
		c->next = NULL;
		*k->last = c;
		k->last = &c->next;
		queued = true;
	}
	pthread_mutex_unlock(&k->lock);
	if (queued) {
		machine_request(k->m, ATT_CONTROL);
		return;
	}
	call_fail(c, "The machine has ended");
	c->done(c->arg);
}

void call_finish(struct call *c)
{
	if (c->verb->finish && !c->error)
		c->verb->finish(c);
}

/* All that wait. */
static struct call *calls_take(struct control *k)
{
	struct call *all;

	pthread_mutex_lock(&k->lock);
	all = k->first;
	k->first = NULL;
	k->last = &k->first;
	pthread_mutex_unlock(&k->lock);
	return all;
}

/* Not those that come meanwhile: whoever asks without end must leave time to the guest. */
static void control_serve(void *arg)
{
	struct control *k = arg;
	struct call *c = calls_take(k), *next;

	for (; c; c = next) {
		next = c->next;		/* done() gives c away */
		c->verb->run(c);
		c->done(c->arg);
	}
}

struct machine *call_machine(struct call *c)
{
	return c->control->m;
}

struct vmm *call_vmm(struct call *c)
{
	return c->control->vmm;
}

void call_printf(struct call *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	g_string_append_vprintf(c->text, fmt, ap);
	va_end(ap);
}

static void fail(struct call *c, const char *class, const char *fmt, va_list ap)
{
	if (c->error)
		return;
	c->class = class;
	c->error = g_strdup_vprintf(fmt, ap);
}

void call_fail(struct call *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(c, "GenericError", fmt, ap);
	va_end(ap);
}

void call_fail_class(struct call *c, const char *class, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(c, class, fmt, ap);
	va_end(ap);
}

void call_return(struct call *c, JsonNode *result)
{
	g_clear_pointer(&c->result, json_node_unref);
	c->result = result;
}

void call_return_object(struct call *c, JsonObject *o)
{
	JsonNode *n = json_node_new(JSON_NODE_OBJECT);

	json_node_take_object(n, o);
	call_return(c, n);
}

/* --- Events ---------------------------------------------------------------------------- */

void control_event(struct control *k, const char *name, JsonObject *data)
{
	JsonObject *o = json_object_new(), *stamp = json_object_new();
	JsonNode *n = json_node_new(JSON_NODE_OBJECT);
	gint64 now = g_get_real_time();
	char *line;

	json_object_set_int_member(stamp, "seconds", now / G_USEC_PER_SEC);
	json_object_set_int_member(stamp, "microseconds", now % G_USEC_PER_SEC);
	json_object_set_object_member(o, "timestamp", stamp);
	json_object_set_string_member(o, "event", name);
	if (data)
		json_object_set_object_member(o, "data", data);
	json_node_take_object(n, o);
	line = json_to_string(n, FALSE);
	if (k->hear)
		k->hear(k->hear_arg, line);
	g_free(line);
	json_node_unref(n);
}

void control_quit(struct control *k)
{
	pthread_mutex_lock(&k->lock);
	k->quit_asked = true;
	pthread_mutex_unlock(&k->lock);
	if (k->console)
		console_quit(k->console);
}

void control_reset(struct control *k)
{
	k->reset_asked = true;
	k->m->power = POWER_RESET;
}

static JsonObject *by_whom(bool guest, const char *reason)
{
	JsonObject *o = json_object_new();

	json_object_set_boolean_member(o, "guest", guest);
	json_object_set_string_member(o, "reason", reason);
	return o;
}

void control_was_reset(struct control *k)
{
	control_event(k, "RESET", k->reset_asked ? by_whom(false, "host-qmp-system-reset") :
		      by_whom(true, "guest-reset"));
	k->reset_asked = false;
}

static JsonObject *end_reason(struct control *k, enum power why)
{
	switch (why) {
	case POWER_OFF:
	case POWER_DEBUG_EXIT:
		return by_whom(true, "guest-shutdown");
	case POWER_RESET:
		return k->reset_asked ? by_whom(false, "host-qmp-system-reset") :
			by_whom(true, "guest-reset");
	case POWER_TRIPLE:
		return by_whom(true, "guest-panic");
	case POWER_TIMEOUT:
		return by_whom(false, "host-signal");
	case POWER_QUIT:
		return by_whom(false, k->quit_asked ? "host-qmp-quit" :
			       k->m->quit_signal ? "host-signal" : "host-ui");
	default:
		return by_whom(false, "host-error");
	}
}

void control_end(struct control *k, enum power why)
{
	struct call *c, *next;

	pthread_mutex_lock(&k->lock);
	k->ended = true;
	pthread_mutex_unlock(&k->lock);
	for (c = calls_take(k); c; c = next) {
		next = c->next;
		call_fail(c, "The machine has ended");
		c->done(c->arg);
	}
	control_event(k, "SHUTDOWN", end_reason(k, why));
}

/* --- Keys ------------------------------------------------------------------------------ */

static void keys_wait(struct control *k, int64_t when)
{
	clock_arm(&k->m->clock, &k->timer, when);
}

/* All of a group go down; after its time they come up, the last one first; then the next. */
static void keys_step(struct control *k)
{
	int64_t now = clock_now(&k->m->clock);

	for (; k->ngroups; k->next++, k->ngroups--) {
		const struct keys *g = &k->groups[k->next % GROUPS];

		for (; k->pressed < g->n; k->pressed++)
			if (!input_key(k->m, g->codes[k->pressed], true)) {
				keys_wait(k, now + RETRY_NS);
				return;
			}
		if (!k->release_at)
			k->release_at = now + g->hold_ns;
		if (now < k->release_at) {
			keys_wait(k, k->release_at);
			return;
		}
		for (; k->released < g->n; k->released++)
			if (!input_key(k->m, g->codes[g->n - 1 - k->released], false)) {
				keys_wait(k, now + RETRY_NS);
				return;
			}
		k->pressed = k->released = 0;
		k->release_at = 0;
	}
}

static void keys_fire(void *arg, int64_t now)
{
	(void)now;
	keys_step(arg);
}

bool control_press(struct control *k, const struct value *keys, int64_t hold_ms)
{
	struct keys *g = &k->groups[(k->next + k->ngroups) % GROUPS];

	if (k->ngroups == GROUPS)
		return false;
	memcpy(g->codes, keys->keys, sizeof(g->codes));
	g->n = keys->nkeys;
	g->hold_ns = hold_ms * 1000000;
	k->ngroups++;
	if (k->ngroups == 1)
		keys_step(k);
	return true;
}

/* --- Life ------------------------------------------------------------------------------ */

int control_create(struct control **out, struct machine *m, struct vmm *vmm)
{
	struct control *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->m = m;
	k->vmm = vmm;
	k->last = &k->first;
	pthread_mutex_init(&k->lock, NULL);
	k->timer = (struct timer){ .fire = keys_fire, .arg = k, .name = "keys" };
	clock_add(&m->clock, &k->timer);
	m->control = control_serve;
	m->control_arg = k;
	*out = k;
	return 0;
}

void control_destroy(struct control *k)
{
	if (!k)
		return;
	k->m->control = NULL;
	clock_remove(&k->m->clock, &k->timer);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

void control_set_console(struct control *k, struct console *c)
{
	k->console = c;
}

void control_set_listener(struct control *k, void (*hear)(void *arg, const char *line), void *arg)
{
	k->hear = hear;
	k->hear_arg = arg;
}

struct machine *control_machine(struct control *k)
{
	return k->m;
}

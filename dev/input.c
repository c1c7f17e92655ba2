/* SPDX-License-Identifier: BSD-2-Clause */
#include "dev/input.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS	256		/* a power of two */

struct input {
	pthread_mutex_t lock;		/* for those who put */
	_Atomic unsigned head, tail;	/* ever put, ever taken */
	struct input_event events[EVENTS];
	void (*ready)(void *arg);
	void *arg;
};

int input_create(struct machine *m, void (*ready)(void *arg), void *arg)
{
	m->input = calloc(1, sizeof(*m->input));
	if (!m->input)
		return -ENOMEM;
	pthread_mutex_init(&m->input->lock, NULL);
	m->input->ready = ready;
	m->input->arg = arg;
	return 0;
}

void input_destroy(struct machine *m)
{
	if (m->input)
		pthread_mutex_destroy(&m->input->lock);
	free(m->input);
	m->input = NULL;
}

bool input_put(struct machine *m, const struct input_event *e)
{
	struct input *in = m->input;
	unsigned head;
	bool room;

	pthread_mutex_lock(&in->lock);
	head = atomic_load_explicit(&in->head, memory_order_relaxed);
	room = head - atomic_load_explicit(&in->tail, memory_order_acquire) != EVENTS;
	if (room) {
		in->events[head % EVENTS] = *e;
		atomic_store_explicit(&in->head, head + 1, memory_order_release);
	}
	pthread_mutex_unlock(&in->lock);
	if (room)
		machine_request(m, ATT_INPUT);
	return room;
}

bool input_key(struct machine *m, unsigned key, bool down)
{
	return input_put(m, &(struct input_event){ .kind = INPUT_KEY, .code = (uint8_t)key,
						   .down = down });
}

const struct input_event *input_peek(struct machine *m)
{
	struct input *in = m->input;
	unsigned tail = atomic_load_explicit(&in->tail, memory_order_relaxed);

	return tail == atomic_load_explicit(&in->head, memory_order_acquire) ? NULL :
		&in->events[tail % EVENTS];
}

void input_next(struct machine *m)
{
	atomic_fetch_add_explicit(&m->input->tail, 1, memory_order_release);
}

void input_deliver(struct machine *m)
{
	if (m->input)
		m->input->ready(m->input->arg);
}

/* --- Typing ------------------------------------------------------------------------------ */

/* Rows of keys from the code of their first one on: without and with Shift. */
static const struct { uint8_t first; const char *plain, *shifted; } rows[] = {
	{ 0x02, "1234567890-=", "!@#$%^&*()_+" },
	{ 0x10, "qwertyuiop[]", "QWERTYUIOP{}" },
	{ 0x1e, "asdfghjkl;'`", "ASDFGHJKL:\"~" },
	{ 0x2b, "\\zxcvbnm,./", "|ZXCVBNM<>?" },
	{ PC_SPACE, " ", " " },
};

unsigned input_typing(unsigned char c)
{
	switch (c) {
	case '\r': case '\n': return PC_ENTER;
	case '\t': return PC_TAB;
	case 0x08: case 0x7f: return PC_BACKSPACE;
	case 0x1b: return PC_ESC;
	case 0x00: return PC_SPACE | TYPE_CTRL;
	case 0x1c: return 0x2b | TYPE_CTRL;
	case 0x1d: return 0x1b | TYPE_CTRL;
	case 0x1e: return 0x07 | TYPE_CTRL;
	case 0x1f: return 0x0c | TYPE_CTRL;
	}
	if (c < 0x20)
		return input_typing(c | 0x60) | TYPE_CTRL;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		const char *p = strchr(rows[i].plain, c), *s = strchr(rows[i].shifted, c);

		if (p)
			return rows[i].first + (unsigned)(p - rows[i].plain);
		if (s)
			return (rows[i].first + (unsigned)(s - rows[i].shifted)) | TYPE_SHIFT;
	}
	return 0;
}

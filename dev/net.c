/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two rings of frames and who wakes whom. What is in a frame it must never know.
 *
 * A record is its length and the frame, both from a multiple of 8 on; one that does not fit
 * before the end of the ring begins at its start, after a record that says SKIP.
 */
#include "dev/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RING_SIZE	(1u << 20)	/* a power of two */
#define RECORD		8u
#define SKIP		(~0u)

struct ring {
	_Atomic size_t head;		/* bytes ever put; the producer's */
	_Atomic size_t tail;		/* bytes ever taken; the consumer's */
	atomic_bool starved;		/* set by the producer, cleared by the consumer */
	_Alignas(RECORD) uint8_t buf[RING_SIZE];
};

struct net {
	struct machine *m;
	void (*ready)(void *arg);
	void *ready_arg;
	int wake;			/* eventfd of the host's end */
	atomic_bool asleep;		/* the host's end: wake it */
	atomic_bool told;		/* the vCPU has been asked and has not looked yet */
	struct ring to_host, to_guest;
};

/* --- A ring ---------------------------------------------------------------------- */

static size_t record_size(size_t len)
{
	return RECORD + ((len + RECORD - 1) & ~(size_t)(RECORD - 1));
}

static void length_set(struct ring *r, size_t at, uint32_t len)
{
	memcpy(r->buf + at % RING_SIZE, &len, sizeof(len));
}

static size_t ring_used(struct ring *r)
{
	return atomic_load(&r->head) - atomic_load(&r->tail);
}

static uint8_t *ring_try(struct ring *r, size_t len)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	size_t size = record_size(len), rest = RING_SIZE - head % RING_SIZE;
	size_t skip = size > rest ? rest : 0;

	if (ring_used(r) + skip + size > RING_SIZE)
		return NULL;
	if (skip) {
		length_set(r, head, SKIP);
		head += skip;
		atomic_store_explicit(&r->head, head, memory_order_release);
	}
	return r->buf + head % RING_SIZE + RECORD;
}

/* Tried again after `starved` is set: the consumer may have looked at that just before. */
static uint8_t *ring_room(struct ring *r, size_t len)
{
	uint8_t *p = ring_try(r, len);

	bug_on(len > NET_FRAME_MAX);
	if (p)
		return p;
	atomic_store(&r->starved, true);
	return ring_try(r, len);
}

static void ring_put(struct ring *r, size_t len)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	length_set(r, head, (uint32_t)len);
	atomic_store(&r->head, head + record_size(len));
}

static const uint8_t *ring_peek(struct ring *r, size_t *len)
{
	for (;;) {
		size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
		uint32_t n;

		if (tail == atomic_load(&r->head))
			return NULL;
		memcpy(&n, r->buf + tail % RING_SIZE, sizeof(n));
		if (n != SKIP) {
			*len = n;
			return r->buf + tail % RING_SIZE + RECORD;
		}
		atomic_store(&r->tail, tail + (RING_SIZE - tail % RING_SIZE));
	}
}

/* True: the producer waits for the room that there is now. */
static bool ring_next(struct ring *r)
{
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint32_t n;

	memcpy(&n, r->buf + tail % RING_SIZE, sizeof(n));
	atomic_store(&r->tail, tail + record_size(n));
	return atomic_load(&r->starved) && ring_used(r) <= RING_SIZE / 2 &&
	       atomic_exchange(&r->starved, false);
}

/* --- Making ---------------------------------------------------------------------- */

int net_create(struct net **out, struct machine *m)
{
	struct net *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return -ENOMEM;
	n->m = m;
	n->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (n->wake < 0) {
		err = -errno;
		free(n);
		return err;
	}
	*out = n;
	return 0;
}

void net_destroy(struct net *n)
{
	if (!n)
		return;
	close(n->wake);
	free(n);
}

/* --- The interface's end ----------------------------------------------------------- */

void net_attach(struct net *n, void (*ready)(void *arg), void *arg)
{
	n->ready = ready;
	n->ready_arg = arg;
}

void net_deliver(struct machine *m)
{
	struct net *n = m->net;

	if (!n)
		return;
	atomic_store(&n->told, false);
	if (n->ready)
		n->ready(n->ready_arg);
}

uint8_t *net_room(struct net *n, size_t len)
{
	return ring_room(&n->to_host, len);
}

void net_put(struct net *n, size_t len)
{
	ring_put(&n->to_host, len);
}

void net_host_wake(struct net *n)
{
	uint64_t one = 1;

	if (write(n->wake, &one, sizeof(one)) < 0)
		return;		/* the counter is full: it wakes all the same */
}

void net_flush(struct net *n)
{
	if (atomic_load(&n->asleep) && atomic_exchange(&n->asleep, false))
		net_host_wake(n);
}

const uint8_t *net_peek(struct net *n, size_t *len)
{
	return ring_peek(&n->to_guest, len);
}

void net_next(struct net *n)
{
	if (ring_next(&n->to_guest))
		net_host_wake(n);
}

/* --- The host's end ---------------------------------------------------------------- */

static void tell_guest(struct net *n)
{
	if (!atomic_exchange(&n->told, true))
		machine_request(n->m, ATT_INPUT);
}

uint8_t *net_host_room(struct net *n, size_t len)
{
	return ring_room(&n->to_guest, len);
}

void net_host_put(struct net *n, size_t len)
{
	ring_put(&n->to_guest, len);
}

void net_host_flush(struct net *n)
{
	tell_guest(n);
}

const uint8_t *net_host_peek(struct net *n, size_t *len)
{
	return ring_peek(&n->to_host, len);
}

void net_host_next(struct net *n)
{
	if (ring_next(&n->to_host))
		tell_guest(n);
}

bool net_host_crowded(struct net *n)
{
	if (ring_used(&n->to_guest) <= RING_SIZE / 2)
		return false;
	atomic_store(&n->to_guest.starved, true);
	return ring_used(&n->to_guest) > RING_SIZE / 2;
}

int net_host_fd(const struct net *n)
{
	return n->wake;
}

bool net_host_sleeps(struct net *n)
{
	size_t len;

	atomic_store(&n->asleep, true);
	if (!ring_peek(&n->to_host, &len))
		return true;
	atomic_store(&n->asleep, false);
	return false;
}

void net_host_wakes(struct net *n)
{
	uint64_t count;

	atomic_store(&n->asleep, false);
	while (read(n->wake, &count, sizeof(count)) > 0)
		;
}

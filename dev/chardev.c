/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host side of a serial port: an output buffer that knows when to give up, and
 * an input ring. It must never know registers, baud rates, or escape keys.
 *
 * Writing must not hold the vCPU for ever (a stalled pipe, a stopped terminal):
 * before each piece the file is polled, and a request to end the run wins.
 */
#include "dev/chardev.h"
#include "dev/chardev_open.h"
#include "machine/snapshot.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUT_SIZE	4096		/* <= PIPE_BUF: a writable pipe takes it whole */
#define IN_SIZE		4096		/* a power of two */
#define POLL_MS		50

_Static_assert(OUT_SIZE <= PIPE_BUF, "a piece must fit a pipe that polls writable");

struct chardev {
	struct machine *m;
	struct chardev_host host;
	ssize_t (*write)(void *arg, const uint8_t *p, size_t n);
	void *write_arg;
	void (*ready)(void *arg);
	void *ready_arg;
	bool failed;			/* reported; output is dropped from then on */
	size_t out_len;
	uint8_t out[OUT_SIZE];
	_Atomic unsigned head;		/* bytes ever fed; the producer's */
	_Atomic unsigned tail;		/* bytes ever taken; the consumer's */
	uint8_t in[IN_SIZE];
};

/* Waits until the file takes more; false if the run is to end first. */
static bool host_wait(struct chardev *c)
{
	const unsigned ending = ATT_QUIT | ATT_TIMEOUT;
	struct pollfd p = { .fd = c->host.out_fd, .events = POLLOUT };

	for (;;) {
		if (poll(&p, 1, c->host.lossy ? 0 : POLL_MS) > 0)
			return true;
		if (c->host.lossy || (c->m && atomic_load(&c->m->attention) & ending))
			return false;
	}
}

/* -EAGAIN: the rest is to be dropped. */
static ssize_t host_write(void *arg, const uint8_t *p, size_t n)
{
	struct chardev *c = arg;
	ssize_t done;

	if (c->host.out_fd < 0)
		return (ssize_t)n;
	if (!host_wait(c))
		return -EAGAIN;
	do {
		done = write(c->host.out_fd, p, n);
	} while (done < 0 && errno == EINTR);
	if (done < 0 && errno == EAGAIN)
		return c->host.lossy ? -EAGAIN : 0;
	return done < 0 ? -errno : done;
}

int chardev_open(struct chardev **out, struct machine *m, const char *spec, char why[static 160])
{
	struct chardev *c = calloc(1, sizeof(*c));
	int err;

	if (!c) {
		snprintf(why, 160, "serial port: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = chardev_host_open(&c->host, spec, why);
	if (err) {
		free(c);
		return err;
	}
	signal(SIGPIPE, SIG_IGN);
	c->m = m;
	c->write = host_write;
	c->write_arg = c;
	*out = c;
	return 0;
}

void chardev_close(struct chardev *c)
{
	if (!c)
		return;
	chardev_flush(c);
	chardev_host_close(&c->host);
	free(c);
}

const char *chardev_name(const struct chardev *c)
{
	return c ? c->host.name : "none";
}

int chardev_input_fd(const struct chardev *c)
{
	return c ? c->host.in_fd : -1;
}

static void chardev_fail(struct chardev *c, int err)
{
	c->failed = true;
	fprintf(stderr, "hemi: serial port: write to %s: %s\n", c->host.name, strerror(err));
	if (c->m && c->m->power == POWER_ON)
		c->m->power = POWER_HOST_FAILURE;
}

void chardev_flush(struct chardev *c)
{
	size_t done = 0;

	if (!c)
		return;
	while (done < c->out_len && !c->failed) {
		ssize_t n = c->write(c->write_arg, c->out + done, c->out_len - done);

		if (n == -EAGAIN)
			break;
		if (n < 0)
			chardev_fail(c, (int)-n);
		else
			done += (size_t)n;
	}
	c->out_len = 0;
}

bool chardev_unflushed(const struct chardev *c)
{
	return c && c->out_len;
}

void chardev_write(struct chardev *c, const uint8_t *p, size_t n)
{
	if (!c || c->failed)
		return;
	for (size_t i = 0; i < n; i++) {
		c->out[c->out_len++] = p[i];
		if (p[i] == '\n' || c->out_len == OUT_SIZE)
			chardev_flush(c);
	}
}

void chardev_set_output(struct chardev *c, ssize_t (*write)(void *arg, const uint8_t *p, size_t n),
			void *arg)
{
	c->write = write;
	c->write_arg = arg;
}

size_t chardev_feed(struct chardev *c, const uint8_t *p, size_t n)
{
	unsigned head = atomic_load_explicit(&c->head, memory_order_relaxed);
	unsigned tail = atomic_load_explicit(&c->tail, memory_order_acquire);
	size_t room = IN_SIZE - (head - tail);

	n = n < room ? n : room;
	for (size_t i = 0; i < n; i++)
		c->in[head++ % IN_SIZE] = p[i];
	atomic_store_explicit(&c->head, head, memory_order_release);
	if (n && c->m)
		machine_request(c->m, ATT_INPUT);
	return n;
}

ssize_t chardev_pump(struct chardev *c)
{
	unsigned used = atomic_load(&c->head) - atomic_load(&c->tail);
	uint8_t buf[256];
	size_t room = IN_SIZE - used < sizeof(buf) ? IN_SIZE - used : sizeof(buf);
	ssize_t n;

	if (c->host.in_fd < 0)
		return 0;
	if (!room)
		return -EAGAIN;
	n = read(c->host.in_fd, buf, room);
	if (n < 0)
		return errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return (ssize_t)chardev_feed(c, buf, (size_t)n);
}

bool chardev_get(struct chardev *c, uint8_t *byte)
{
	unsigned tail;

	if (!c)
		return false;
	tail = atomic_load_explicit(&c->tail, memory_order_relaxed);
	if (tail == atomic_load_explicit(&c->head, memory_order_acquire))
		return false;
	*byte = c->in[tail % IN_SIZE];
	atomic_store_explicit(&c->tail, tail + 1, memory_order_release);
	return true;
}

void chardev_save_input(struct chardev *c, struct state *s)
{
	unsigned tail = c ? atomic_load_explicit(&c->tail, memory_order_relaxed) : 0;
	unsigned head = c ? atomic_load_explicit(&c->head, memory_order_acquire) : 0;

	state_put_u64(s, head - tail);
	for (; tail != head; tail++)
		state_put(s, &c->in[tail % IN_SIZE], 1);
}

void chardev_restore_input(struct chardev *c, struct state *s)
{
	uint64_t n = state_get_u64(s);
	uint8_t byte;

	if (n > IN_SIZE)
		s->bad = true;
	while (chardev_get(c, &byte))
		;
	for (; n && !s->bad; n--) {
		state_get(s, &byte, 1);
		if (c && !s->bad)
			chardev_feed(c, &byte, 1);
	}
}

void chardev_set_receiver(struct chardev *c, void (*ready)(void *arg), void *arg)
{
	if (!c)
		return;
	c->ready = ready;
	c->ready_arg = arg;
}

void chardev_deliver(struct chardev *c)
{
	if (c && c->ready)
		c->ready(c->ready_arg);
}

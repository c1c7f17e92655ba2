/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread and one poll(): a few clients, each with one command under way at most. A client is
 * not read from while its command runs or while it does not take its answers, so that it cannot
 * make hemi hold more than a bounded heap of its bytes; nothing here ever waits for a client.
 *
 * A client that has gone while its command runs leaves a slot that is freed when the vCPU
 * thread has let go of the call.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/control_socket.h"
#include "cli/qmp.h"

#define CLIENTS		8
#define READ_SIZE	4096
#define OUT_PAUSE	(256u << 10)	/* no more commands are read until it has taken some */
#define OUT_MAX		(4u << 20)	/* no more events are kept for it */
#define EVENTS_MAX	1024
#define LOCK_TRIES	100
#define LOCK_US		10000
#define REST_MS		1000
#define LINGER_MS	500		/* at the end, for clients that are slow */

struct client {
	int fd;				/* -1: free, or gone with a call under way */
	struct qmp_session session;
	struct qmp_scanner scanner;
	GString *in, *out;
	bool ended;			/* it will say no more */
	struct call *call;		/* under way */
	JsonNode *id;
	atomic_bool done;		/* call is; any thread */
	struct control_socket *socket;
};

struct control_socket {
	struct control *control;
	int listener, wake;
	bool resting;			/* the host has no more files: nobody is taken for a while */
	struct stat node;		/* the file that is ours */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	pthread_t thread;
	atomic_bool stop;
	struct client clients[CLIENTS];
	pthread_mutex_t lock;		/* for events */
	GQueue events;
};

/* For control_socket_abandon(). */
static char abandoned[sizeof(((struct sockaddr_un *)0)->sun_path)];

static void wake(struct control_socket *s)
{
	uint64_t one = 1;

	if (write(s->wake, &one, sizeof(one)) < 0)
		return;		/* the counter is full: it wakes all the same */
}

/* --- Clients ------------------------------------------------------------------------------ */

static void client_say(struct client *c, char *line)
{
	g_string_append(c->out, line);
	g_free(line);
}

static void client_free(struct client *c)
{
	qmp_scanner_free(&c->scanner);
	g_string_free(c->in, TRUE);
	g_string_free(c->out, TRUE);
	c->in = c->out = NULL;
}

static bool client_used(const struct client *c)
{
	return c->in;
}

/* The vCPU thread may still have the call. */
static void client_drop(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	if (!c->call)
		client_free(c);
}

static void client_take(struct control_socket *s, int fd)
{
	for (struct client *c = s->clients; c < s->clients + CLIENTS; c++) {
		if (client_used(c))
			continue;
		*c = (struct client){ .fd = fd, .socket = s, .session = { .control = s->control } };
		qmp_scanner_init(&c->scanner);
		c->in = g_string_new(NULL);
		c->out = g_string_new(NULL);
		client_say(c, qmp_greeting());
		return;
	}
	close(fd);
}

static bool has_room(const struct control_socket *s)
{
	for (const struct client *c = s->clients; c < s->clients + CLIENTS; c++)
		if (!client_used(c))
			return true;
	return false;
}

/* --- Commands ----------------------------------------------------------------------------- */

/* Any thread. */
static void call_is_done(void *arg)
{
	struct client *c = arg;
	struct control_socket *s = c->socket;

	atomic_store(&c->done, true);
	wake(s);
}

static void client_finish(struct client *c)
{
	struct call *call = c->call;

	atomic_store(&c->done, false);
	c->call = NULL;
	call_finish(call);
	client_say(c, qmp_answer(call, c->id));
	call_free(call);
	g_clear_pointer(&c->id, json_node_unref);
	if (c->fd < 0)
		client_free(c);
}

static void client_request(struct client *c)
{
	char *line;
	struct call *call = qmp_request(&c->session, c->scanner.text->str, c->scanner.text->len,
					&c->id, &line);

	if (!call) {
		client_say(c, line);
		g_clear_pointer(&c->id, json_node_unref);
		return;
	}
	call->done = call_is_done;
	call->arg = c;
	c->call = call;
	call_submit(call);
}

static bool client_listens(const struct client *c)
{
	return !c->call && c->out->len < OUT_PAUSE;
}

/* What has been read, as far as commands may be taken from it. */
static void client_work(struct client *c)
{
	enum qmp_scanned what;
	size_t done = 0;

	while (client_listens(c) && done < c->in->len) {
		done += qmp_scan(&c->scanner, c->in->str + done, c->in->len - done, &what);
		if (what == QMP_OBJECT)
			client_request(c);
		else if (what == QMP_GARBAGE)
			client_say(c, qmp_error("GenericError", c->scanner.why, NULL));
		if (c->call && atomic_load(&c->done))
			client_finish(c);
	}
	g_string_erase(c->in, 0, (gssize)done);
}

/* --- The socket ---------------------------------------------------------------------------- */

static void client_read(struct client *c)
{
	char buf[READ_SIZE];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		g_string_append_len(c->in, buf, n);
	else
		c->ended = true;
}

/* False: it has gone. */
static bool client_write(struct client *c)
{
	ssize_t n;

	if (!c->out->len)
		return true;
	n = send(c->fd, c->out->str, c->out->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	g_string_erase(c->out, 0, n);
	return true;
}

static void client_step(struct client *c, short revents)
{
	if (c->call && atomic_load(&c->done))
		client_finish(c);
	if (!client_used(c) || c->fd < 0)
		return;
	if (revents & (POLLIN | POLLHUP | POLLERR) && client_listens(c) && !c->in->len)
		client_read(c);
	do {
		client_work(c);
		if (!client_write(c)) {
			client_drop(c);
			return;
		}
	} while (client_listens(c) && c->in->len);
	if (revents & POLLERR || (c->ended && !c->call && !c->in->len && !c->out->len))
		client_drop(c);
}

/* Only after negotiation, as QEMU does. */
static void events_deliver(struct control_socket *s)
{
	char *line;

	for (;;) {
		pthread_mutex_lock(&s->lock);
		line = g_queue_pop_head(&s->events);
		pthread_mutex_unlock(&s->lock);
		if (!line)
			return;
		for (struct client *c = s->clients; c < s->clients + CLIENTS; c++)
			if (client_used(c) && c->fd >= 0 && c->session.negotiated &&
			    c->out->len < OUT_MAX)
				g_string_append_printf(c->out, "%s\r\n", line);
		g_free(line);
	}
}

/* Any thread. */
static void event_heard(void *arg, const char *line)
{
	struct control_socket *s = arg;
	bool room;

	pthread_mutex_lock(&s->lock);
	room = g_queue_get_length(&s->events) < EVENTS_MAX;
	if (room)
		g_queue_push_tail(&s->events, g_strdup(line));
	pthread_mutex_unlock(&s->lock);
	wake(s);
}

static void accept_client(struct control_socket *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		client_take(s, fd);
	else
		s->resting = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
}

/* One that sends no more is looked at only when there is something to say to it. */
static short client_events(const struct client *c)
{
	return (short)((client_listens(c) && !c->ended && !c->in->len ? POLLIN : 0) |
		       (c->out->len ? POLLOUT : 0));
}

static int poll_all(struct control_socket *s, struct pollfd *p)
{
	int timeout = s->resting ? REST_MS : -1;

	p[0] = (struct pollfd){ s->wake, POLLIN, 0 };
	p[1] = (struct pollfd){ has_room(s) && !s->resting ? s->listener : -1, POLLIN, 0 };
	s->resting = false;
	for (unsigned i = 0; i < CLIENTS; i++) {
		const struct client *c = &s->clients[i];
		short events = client_used(c) ? client_events(c) : 0;

		/* A hang-up is told whether it is asked for or not: it would be told for ever. */
		p[2 + i] = (struct pollfd){ events ? c->fd : -1, events, 0 };
	}
	return poll(p, 2 + CLIENTS, timeout);
}

static void *socket_loop(void *arg)
{
	struct control_socket *s = arg;
	struct pollfd p[2 + CLIENTS];
	uint64_t n;

	pthread_setname_np(pthread_self(), "hemi-control");
	while (!atomic_load(&s->stop)) {
		if (poll_all(s, p) < 0) {
			bug_on(errno != EINTR);
			continue;
		}
		if (p[0].revents && read(s->wake, &n, sizeof(n)) < 0)
			continue;
		events_deliver(s);
		for (unsigned i = 0; i < CLIENTS; i++)
			if (client_used(&s->clients[i]))
				client_step(&s->clients[i], p[2 + i].revents);
		if (p[1].revents)
			accept_client(s);
	}
	return NULL;
}

/* The last words, for as long as clients take them. */
static void socket_drain(struct control_socket *s)
{
	gint64 end = g_get_monotonic_time() + LINGER_MS * 1000;
	bool left = true;

	events_deliver(s);
	while (left && g_get_monotonic_time() < end) {
		struct pollfd p[CLIENTS];

		left = false;
		for (unsigned i = 0; i < CLIENTS; i++) {
			struct client *c = &s->clients[i];

			if (client_used(c) && c->call && atomic_load(&c->done))
				client_finish(c);
			if (client_used(c) && c->fd >= 0 && !client_write(c))
				client_drop(c);
			p[i] = (struct pollfd){ -1, POLLOUT, 0 };
			if (client_used(c) && c->fd >= 0 && c->out->len)
				p[i].fd = c->fd;
			left = left || p[i].fd >= 0;
		}
		if (left)
			poll(p, CLIENTS, LINGER_MS / 10);
	}
}

/* --- The file ------------------------------------------------------------------------------ */

static int socket_bind(int fd, const struct sockaddr_un *at)
{
	/* The mode is there before the name is. */
	if (fchmod(fd, 0600) < 0)
		return -errno;
	return bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 ? -errno : 0;
}

/* Somebody's file has our name: may it go? */
static int stale_remove(const struct sockaddr_un *at, char why[static WHY_SIZE])
{
	struct stat st;
	int fd, err;

	if (lstat(at->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : load_fail(why, -errno, "control socket %s: %s",
						       at->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return load_fail(why, -EEXIST, "control socket %s: there is a file of this name "
				 "that is no socket; say another name", at->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return load_fail(why, -errno, "control socket: %s", strerror(errno));
	err = connect(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 ? errno : 0;
	close(fd);
	if (!err || err == EAGAIN)
		return load_fail(why, -EADDRINUSE, "control socket %s: in use by another program; "
				 "say another name", at->sun_path);
	if (err != ECONNREFUSED)
		return load_fail(why, -err, "control socket %s: %s", at->sun_path, strerror(err));
	return unlink(at->sun_path) == 0 || errno == ENOENT ? 0 :
		load_fail(why, -errno, "control socket %s: left over, and cannot be removed: %s",
			  at->sun_path, strerror(errno));
}

/* Two that find the same stale socket take turns: the second finds the first's. */
static int dir_lock(const char *path)
{
	char *dir = g_path_get_dirname(path);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	g_free(dir);
	for (unsigned i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
		usleep(LOCK_US);
	return fd;
}

static int socket_make(struct control_socket *s, const char *path, char why[static WHY_SIZE])
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int lock, err;

	if (!*path || strlen(path) >= sizeof(at.sun_path))
		return load_fail(why, -ENAMETOOLONG, "control socket %.60s%s: a name of 1 to %zu "
				 "bytes is possible", path, strlen(path) > 60 ? "..." : "",
				 sizeof(at.sun_path) - 1);
	strcpy(at.sun_path, path);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0)
		return load_fail(why, -errno, "control socket: %s", strerror(errno));
	lock = dir_lock(path);
	err = socket_bind(s->listener, &at);
	if (err == -EADDRINUSE) {
		err = stale_remove(&at, why);
		if (!err)
			err = socket_bind(s->listener, &at);
		else
			at.sun_path[0] = '\0';	/* said already */
	}
	if (!err && (listen(s->listener, CLIENTS) < 0 || lstat(path, &s->node) < 0))
		err = -errno;
	if (lock >= 0)
		close(lock);
	if (!err) {
		strcpy(s->path, path);
		strcpy(abandoned, path);
	}
	return err && at.sun_path[0] ? load_fail(why, err, "control socket %s: %s", path,
						 strerror(-err)) : err;
}

void control_socket_abandon(void)
{
	if (*abandoned)
		unlink(abandoned);
}

/* Unless it is somebody else's by now. */
static void socket_remove(struct control_socket *s)
{
	struct stat st;

	if (*s->path && lstat(s->path, &st) == 0 && st.st_dev == s->node.st_dev &&
	    st.st_ino == s->node.st_ino)
		unlink(s->path);
	*abandoned = '\0';
}

/* --- Life ----------------------------------------------------------------------------------- */

static void socket_free(struct control_socket *s)
{
	for (struct client *c = s->clients; c < s->clients + CLIENTS; c++) {
		if (!client_used(c))
			continue;
		if (c->call) {
			call_free(c->call);
			c->call = NULL;
			g_clear_pointer(&c->id, json_node_unref);
		}
		client_drop(c);
	}
	if (s->listener >= 0)
		close(s->listener);
	if (s->wake >= 0)
		close(s->wake);
	g_queue_clear_full(&s->events, g_free);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int control_socket_open(struct control_socket **out, struct control *k, const char *path,
			char why[static WHY_SIZE])
{
	struct control_socket *s = calloc(1, sizeof(*s));
	int err = 0;

	if (!s)
		return load_fail(why, -ENOMEM, "control socket: %s", strerror(ENOMEM));
	s->control = k;
	s->listener = -1;
	for (unsigned i = 0; i < CLIENTS; i++)
		s->clients[i].fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	g_queue_init(&s->events);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0)
		err = load_fail(why, -errno, "control socket: %s", strerror(errno));
	if (!err)
		err = socket_make(s, path, why);
	if (!err) {
		control_set_listener(k, event_heard, s);
		err = -pthread_create(&s->thread, NULL, socket_loop, s);
		if (err)
			load_fail(why, err, "control socket: %s", strerror(-err));
	}
	if (err) {
		control_set_listener(k, NULL, NULL);
		socket_remove(s);
		socket_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void control_socket_close(struct control_socket *s)
{
	if (!s)
		return;
	atomic_store(&s->stop, true);
	wake(s);
	pthread_join(s->thread, NULL);
	socket_drain(s);
	control_set_listener(s->control, NULL, NULL);
	socket_remove(s);
	socket_free(s);
}

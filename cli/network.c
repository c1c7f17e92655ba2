/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libslirp's loop: frames from the guest, sockets, and back. Only this thread calls libslirp
 * once it has begun, so that there is no lock; frames pass through the rings of dev/net.h.
 *
 *	10.0.2.2 the host (its loopback, too)  10.0.2.3 its name server  10.0.2.15 the guest
 *
 * While the guest does not take what it was sent, sockets are not read, and whoever sends to it
 * is held up by their own TCP. The number of sockets that a guest can make us open has a limit,
 * since the files of the whole process do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "cli/network.h"
#include "dev/net.h"

#define NETWORK		0x0a000200u	/* 10.0.2.0 */
#define NETMASK		0xffffff00u
#define HOST		(NETWORK + 2)
#define NAME_SERVER	(NETWORK + 3)
#define GUEST		(NETWORK + 15)

#define CROWD		64	/* sockets whose memory is worth giving back */
#define FRAMES_A_TURN	64	/* from the guest, before sockets have theirs */
#define FILES		4096	/* that the process may have open, if the host agrees */
/* LibVNCServer waits with select(), which knows files up to 1023. */
#define SOCKETS_VNC	512

struct network {
	struct machine *m;
	struct net *net;
	Slirp *slirp;
	pthread_t thread;
	bool running;
	atomic_bool stop;
	/* The thread's. */
	struct pollfd *fds;
	unsigned nfds, room;
	unsigned sockets, limit;
	unsigned most;			/* sockets, since memory was given back */
	bool sent;			/* to the guest, since it was last told */
	bool complained;
};

/* --- What libslirp asks for ------------------------------------------------------------ */

static ssize_t send_packet(const void *buf, size_t len, void *arg)
{
	struct network *n = arg;
	uint8_t *to = len >= NET_HEADER && len <= NET_FRAME_MAX ? net_host_room(n->net, len) : NULL;

	if (!to)
		return (ssize_t)len;	/* lost, as on a wire */
	memcpy(to, buf, len);
	net_host_put(n->net, len);
	n->sent = true;
	return (ssize_t)len;
}

static void guest_error(const char *msg, void *arg)
{
	struct network *n = arg;

	if (!n->complained)
		fprintf(stderr, "hemi: network: the guest: %s (said once)\n", msg);
	n->complained = true;
}

static int64_t clock_ns(void *arg)
{
	struct timespec t;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void socket_opened(int fd, void *arg)
{
	struct network *n = arg;

	(void)fd;
	n->sockets++;
}

static void socket_closed(int fd, void *arg)
{
	struct network *n = arg;

	(void)fd;
	n->sockets--;
}

/* More can be received: the loop asks before it sleeps anyway. */
static void notify(void *arg)
{
	(void)arg;
}

/* Timers are for IPv6's router advertisements alone, and there is no IPv6. */
static const SlirpCb callbacks = {
	.send_packet = send_packet, .guest_error = guest_error, .clock_get_ns = clock_ns,
	.register_poll_fd = socket_opened, .unregister_poll_fd = socket_closed, .notify = notify,
};

/* --- The loop ---------------------------------------------------------------------------- */

static int poll_add(int fd, int events, void *arg)
{
	struct network *n = arg;
	int wanted = (events & SLIRP_POLL_IN ? POLLIN : 0) | (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
		     (events & SLIRP_POLL_PRI ? POLLPRI : 0);

	if (n->nfds == n->room) {
		struct pollfd *more = realloc(n->fds, 2 * n->room * sizeof(*more));

		if (!more)
			return 0;	/* as if nothing had happened there */
		n->fds = more;
		n->room *= 2;
	}
	n->fds[n->nfds] = (struct pollfd){ .fd = fd, .events = (short)wanted };
	return (int)n->nfds++;
}

/* Entry 0 is our own. */
static int poll_result(int i, void *arg)
{
	const struct network *n = arg;
	int r = i > 0 && (unsigned)i < n->nfds ? n->fds[i].revents : 0;

	return (r & POLLIN ? SLIRP_POLL_IN : 0) | (r & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (r & POLLPRI ? SLIRP_POLL_PRI : 0) | (r & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (r & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static void take_frames(struct network *n)
{
	const uint8_t *frame;
	size_t len;

	for (unsigned i = 0; i < FRAMES_A_TURN && (frame = net_host_peek(n->net, &len)); i++) {
		enum frame_verdict v = frame_look(frame, len);

		if (v == FRAME_PASS || (v == FRAME_OPENS && n->sockets < n->limit))
			slirp_input(n->slirp, frame, (int)len);
		net_host_next(n->net);
	}
}

static void turn(struct network *n)
{
	uint32_t timeout = UINT32_MAX;
	bool crowded, failed = false;

	take_frames(n);
	n->fds[0] = (struct pollfd){ .fd = net_host_fd(n->net), .events = POLLIN };
	n->nfds = 1;
	crowded = net_host_crowded(n->net);
	if (!crowded)
		slirp_pollfds_fill(n->slirp, &timeout, poll_add, n);
	if (n->sent)
		net_host_flush(n->net);
	n->sent = false;
	if (!net_host_sleeps(n->net) || atomic_load(&n->stop))
		timeout = 0;
	failed = poll(n->fds, n->nfds, timeout > INT32_MAX ? -1 : (int)timeout) < 0;
	net_host_wakes(n->net);
	if (!crowded)
		slirp_pollfds_poll(n->slirp, failed, poll_result, n);
}

/* Each connection has had buffers of a quarter MiB, which free() keeps for the next: when most of
 * them are gone, so are the buffers. */
static void give_back(struct network *n)
{
	if (n->sockets > n->most)
		n->most = n->sockets;
	if (n->most < CROWD || n->sockets > n->most / 4)
		return;
#ifdef __GLIBC__
	malloc_trim(0);
#endif
	n->most = n->sockets;
}

static void *loop(void *arg)
{
	struct network *n = arg;

	pthread_setname_np(pthread_self(), "hemi-net");
	while (!atomic_load(&n->stop)) {
		turn(n);
		give_back(n);
	}
	return NULL;
}

/* --- Making ------------------------------------------------------------------------------ */

static struct in_addr address(uint32_t a)
{
	return (struct in_addr){ htonl(a) };
}

static Slirp *slirp_make(struct network *n, const struct config_net *c)
{
	const SlirpConfig config = {
		.version = 1, .restricted = c->restricted, .in_enabled = true,
		.vnetwork = address(NETWORK), .vnetmask = address(NETMASK), .vhost = address(HOST),
		.vdhcp_start = address(GUEST), .vnameserver = address(NAME_SERVER),
		.if_mtu = NET_MTU, .if_mru = NET_MTU,
	};

	return slirp_new(&config, &callbacks, n);
}

static int forward(struct network *n, const struct config_forward *f, char why[static WHY_SIZE])
{
	struct in_addr host = address(f->host), guest = address(f->guest ? f->guest : GUEST);
	char text[INET_ADDRSTRLEN];

	errno = 0;
	if (slirp_add_hostfwd(n->slirp, f->udp, host, f->host_port, guest, f->guest_port) == 0)
		return 0;
	return load_fail(why, -EADDRINUSE, "--net: hostfwd cannot listen at %s:%s:%u: %s",
			 f->udp ? "udp" : "tcp", inet_ntop(AF_INET, &host, text, sizeof(text)),
			 f->host_port, errno ? strerror(errno) : "no socket");
}

/* Half of the files that the process may have are for sockets. */
static unsigned sockets_limit(const struct config *c)
{
	struct rlimit r;
	unsigned limit;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return SOCKETS_VNC / 2;
	if (r.rlim_cur < FILES && c->display != DISPLAY_VNC) {
		r.rlim_cur = r.rlim_max < FILES ? r.rlim_max : FILES;
		setrlimit(RLIMIT_NOFILE, &r);
		getrlimit(RLIMIT_NOFILE, &r);
	}
	limit = r.rlim_cur < FILES ? (unsigned)r.rlim_cur / 2 : FILES / 2;
	return c->display == DISPLAY_VNC && limit > SOCKETS_VNC ? SOCKETS_VNC : limit;
}

int network_open(struct network **out, struct machine *m, char why[static WHY_SIZE])
{
	const struct config_net *c = &m->config->net;
	struct network *n;
	int err = 0;

	*out = NULL;
	if (c->model == NIC_NONE)
		return 0;
	n = calloc(1, sizeof(*n));
	if (!n)
		return load_fail(why, -ENOMEM, "network: %s", strerror(ENOMEM));
	n->m = m;
	n->room = 64;
	n->limit = sockets_limit(m->config);
	n->fds = calloc(n->room, sizeof(*n->fds));
	err = n->fds ? net_create(&n->net, m) : -ENOMEM;
	if (err)
		load_fail(why, err, "network: %s", strerror(-err));
	if (!err && !(n->slirp = slirp_make(n, c)))
		err = load_fail(why, -EINVAL, "network: libslirp %s refuses", slirp_version_string());
	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; !err && i < c->nforwards; i++)
		err = forward(n, &c->forwards[i], why);
	if (err) {
		network_close(n);
		return err;
	}
	m->net = n->net;
	*out = n;
	return 0;
}

int network_start(struct network *n)
{
	int err = n ? -pthread_create(&n->thread, NULL, loop, n) : 0;

	if (n)
		n->running = !err;
	return err;
}

void network_stop(struct network *n)
{
	if (!n || !n->running)
		return;
	atomic_store(&n->stop, true);
	net_host_wake(n->net);
	pthread_join(n->thread, NULL);
	n->running = false;
}

void network_close(struct network *n)
{
	if (!n)
		return;
	if (n->slirp)
		slirp_cleanup(n->slirp);
	n->m->net = NULL;
	net_destroy(n->net);
	free(n->fds);
	free(n);
}

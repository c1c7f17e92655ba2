/* SPDX-License-Identifier: BSD-2-Clause */
/* The user-mode network, with a guest that is a few frames made by hand. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/network.h"
#include "tests/frames.h"

#define HOST	0x0a000202u
#define GUEST	0x0a00020fu

static struct network *network;
static char why[WHY_SIZE];
static const uint8_t host_mac[6] = { 0x52, 0x55, 10, 0, 2, 2 };

static void setup(void)
{
	memset(&pc_config.net, 0, sizeof(pc_config.net));
	pc_config.net.model = NIC_VIRTIO;
	pc_config.memory = 4 << 20;
	ck_assert_int_eq(machine_create(&pc, &pc_config), 0);
}

static void open_network(void)
{
	ck_assert_msg(!network_open(&network, &pc, why), "%s", why);
	ck_assert_ptr_nonnull(pc.net);
	ck_assert_int_eq(network_start(network), 0);
}

static void teardown(void)
{
	network_stop(network);
	machine_destroy(&pc);
	network_close(network);
	network = NULL;
}

/* --- Frames ------------------------------------------------------------------------------ */

static void be16(uint8_t *p, unsigned val)
{
	p[0] = (uint8_t)(val >> 8);
	p[1] = (uint8_t)val;
}

static void be32(uint8_t *p, uint32_t val)
{
	be16(p, val >> 16);
	be16(p + 2, val & 0xffff);
}

static uint32_t from32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t add(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put(const uint8_t *f, size_t len)
{
	uint8_t *to = net_room(pc.net, len);

	ck_assert_ptr_nonnull(to);
	memcpy(to, f, len);
	net_put(pc.net, len);
	net_flush(pc.net);
}

static size_t get(uint8_t *f, unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		size_t len;
		const uint8_t *p;

		if (atomic_exchange(&pc.attention, 0))
			net_deliver(&pc);
		p = net_peek(pc.net, &len);
		if (p) {
			memcpy(f, p, len);
			net_next(pc.net);
			return len;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return 0;
}

static void arp(unsigned op, uint32_t to)
{
	uint8_t f[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	memcpy(f + 6, frames_mac, 6);
	be16(f + 12, 0x0806);
	be32(f + 14, 0x00010800);
	be32(f + 18, 0x06040000 | op);
	memcpy(f + 22, frames_mac, 6);
	be32(f + 28, GUEST);
	be32(f + 38, to);
	put(f, sizeof(f));
}

static void tcp(uint16_t from, uint32_t to, uint16_t port, uint8_t flags, uint32_t seq, uint32_t ack)
{
	uint8_t f[60] = { 0 }, pseudo[12] = { 0 };

	memcpy(f, host_mac, 6);
	memcpy(f + 6, frames_mac, 6);
	be16(f + 12, 0x0800);
	be32(f + 14, 0x45000028);
	be32(f + 22, 0x40060000);
	be32(f + 26, GUEST);
	be32(f + 30, to);
	be16(f + 24, fold(add(f + 14, 20, 0)));
	be16(f + 34, from);
	be16(f + 36, port);
	be32(f + 38, seq);
	be32(f + 42, ack);
	be16(f + 46, 0x5000 | flags);
	be16(f + 48, 0x2000);
	memcpy(pseudo, f + 26, 8);
	pseudo[9] = 6;
	pseudo[11] = 20;
	be16(f + 50, fold(add(f + 34, 20, add(pseudo, 12, 0))));
	put(f, sizeof(f));
}

/* The next TCP segment to the guest; questions of ARP on the way are answered. 0: none. */
static size_t segment(uint8_t *f, unsigned ms)
{
	size_t len;

	while ((len = get(f, ms))) {
		if (f[12] == 0x08 && f[13] == 0x06 && f[21] == 1)
			arp(2, HOST);
		else if (f[12] == 0x08 && f[13] == 0 && f[23] == 6)
			return len;
	}
	return 0;
}

/* A listener on the host's loopback, at a port that was free. */
static int listener(uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(fd, 600), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &size), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static bool accepted(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* --- Tests --------------------------------------------------------------------------------- */

START_TEST(none)
{
	struct network *n;

	pc_config.net.model = NIC_NONE;
	ck_assert_int_eq(network_open(&n, &pc, why), 0);
	ck_assert_ptr_null(n);
	ck_assert_ptr_null(pc.net);
	ck_assert_int_eq(network_start(n), 0);
	network_stop(n);
	network_close(n);
}
END_TEST

START_TEST(answers_arp)
{
	uint8_t f[NET_FRAME_MAX];

	open_network();
	arp(1, HOST);
	ck_assert_uint_ge(get(f, 5000), 42);
	ck_assert_mem_eq(f, frames_mac, 6);
	ck_assert_uint_eq(f[21], 2);
	ck_assert_mem_eq(f + 22, host_mac, 6);
}
END_TEST

static void connect_out(bool restricted)
{
	uint8_t f[NET_FRAME_MAX];
	uint16_t port;
	int fd = listener(&port);

	pc_config.net.restricted = restricted;
	open_network();
	arp(1, HOST);
	get(f, 5000);
	tcp(1234, HOST, port, 0x02, 1000, 0);
	ck_assert_int_eq(accepted(fd, restricted ? 500 : 5000), !restricted);
	if (!restricted) {
		ck_assert_uint_ge(segment(f, 5000), 54);
		ck_assert_uint_eq(f[47] & 0x3f, 0x12);
		ck_assert_uint_eq(from32(f + 42), 1001);
	}
	close(fd);
}

START_TEST(connects)
{
	connect_out(false);
}
END_TEST

START_TEST(restricted)
{
	connect_out(true);
}
END_TEST

/* A connection from the host comes to the guest; the port is on loopback. */
START_TEST(forwards)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint8_t f[NET_FRAME_MAX];
	uint16_t port;
	int fd = listener(&port), out;

	close(fd);
	pc_config.net.restricted = true;
	pc_config.net.nforwards = 1;
	pc_config.net.forwards[0] = (struct config_forward){ .host = INADDR_LOOPBACK, .host_port = port,
							     .guest_port = 80 };
	open_network();
	a.sin_port = htons(port);
	out = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(out, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_uint_ge(segment(f, 5000), 54);
	ck_assert_uint_eq(f[47] & 0x3f, 0x02);
	ck_assert_uint_eq(from32(f + 30), GUEST);
	ck_assert_uint_eq((unsigned)f[36] << 8 | f[37], 80);
	close(out);
}
END_TEST

START_TEST(port_in_use)
{
	char want[32];
	uint16_t port;
	int fd = listener(&port);

	pc_config.net.nforwards = 1;
	pc_config.net.forwards[0] = (struct config_forward){ .host = INADDR_LOOPBACK, .host_port = port,
							     .guest_port = 80 };
	ck_assert_int_lt(network_open(&network, &pc, why), 0);
	ck_assert_ptr_null(network);
	ck_assert_ptr_null(pc.net);
	snprintf(want, sizeof(want), "127.0.0.1:%u", port);
	ck_assert_msg(strstr(why, want) && strstr(why, "in use"), "%s", why);
	close(fd);
}
END_TEST

/* However many connections it opens: there is a limit, and what is there goes on. */
START_TEST(too_many)
{
	uint8_t f[NET_FRAME_MAX];
	unsigned answers = 0;
	uint16_t port;
	int fd = listener(&port), spare;

	pc_config.display = DISPLAY_VNC;		/* the limit is low */
	open_network();
	pc_config.display = DISPLAY_NONE;
	arp(1, HOST);
	get(f, 5000);
	for (unsigned i = 0; i < 1000; i++)
		tcp((uint16_t)(2000 + i), HOST, port, 0x02, 1000, 0);
	while (segment(f, 1000))
		answers += (f[47] & 0x3f) == 0x12;
	ck_assert_uint_ge(answers, 100);
	ck_assert_uint_le(answers, 512);
	spare = open("/dev/null", O_RDONLY);
	ck_assert_int_ge(spare, 0);
	ck_assert_int_lt(spare, 1024);
	close(spare);
	arp(1, HOST);
	ck_assert_uint_ge(get(f, 5000), 42);
	close(fd);
}
END_TEST

/* Nothing that a guest can put on the wire ends the process. */
START_TEST(nonsense)
{
	uint64_t x = 88172645463325252ull;
	uint8_t f[2048], answer[NET_FRAME_MAX];

	open_network();
	for (unsigned n = 0; n < 20000; n++) {
		size_t len;

		for (unsigned i = 0; i < sizeof(f); i += 8) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			memcpy(f + i, &x, 8);
		}
		len = 1 + x % sizeof(f);
		memcpy(f, host_mac, 6);
		memcpy(f + 6, frames_mac, 6);
		be16(f + 12, n % 8 == 7 ? 0x0806 : n % 8 == 6 ? 0x86dd : 0x0800);
		f[14] = 0x45 + (n % 16 == 3);
		be16(f + 16, n & 16 ? (unsigned)len - 14 : (unsigned)(x >> 20 & 0xffff));
		if (n & 32)
			be16(f + 20, 0);
		f[23] = (uint8_t)(n % 3 == 0 ? 6 : n % 3 == 1 ? 1 : 0);
		be32(f + 30, n & 64 ? HOST : 0x0a000200u + (uint32_t)(x >> 8 & 0xff));
		be16(f + 24, 0);
		be16(f + 24, fold(add(f + 14, 20, 0)));
		for (unsigned i = 0; !net_room(pc.net, len) && i < 5000; i++)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		put(f, len);
	}
	while (get(answer, 200))
		;
	arp(1, HOST);
	ck_assert_uint_ge(get(answer, 5000), 42);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("network");
	TCase *t = tcase_create("user"), *e = tcase_create("errors");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, answers_arp);
	tcase_add_test(t, connects);
	tcase_add_test(t, restricted);
	tcase_add_test(t, forwards);
	tcase_add_test(t, too_many);
	tcase_add_test(t, nonsense);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(e, setup, teardown);
	tcase_add_test(e, none);
	tcase_add_test(e, port_in_use);
	suite_add_tcase(s, e);
	return pc_main(s);
}

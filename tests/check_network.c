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

static uint64_t seed = 88172645463325252ull;

static unsigned random_below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 20) % n;
}

static uint16_t own_port;	/* and no other of this host's: nobody is to be bothered */

/* What is behind the IP header: ports that somebody listens at, lengths and sums that agree. */
static void payload_make(uint8_t *f, unsigned n)
{
	const uint16_t ports[] = { 67, 68, 69, own_port };
	uint8_t pseudo[12] = { 0 };

	memcpy(pseudo, f + 26, 8);
	pseudo[9] = f[23];
	be16(pseudo + 10, n);
	be16(f + 36, ports[random_below(ARRAY_LEN(ports))]);
	if (f[23] == 17) {
		be16(f + 38, random_below(4) ? n : random_below(n + 4));
		be16(f + 40, 0);
	} else if (f[23] == 6) {
		f[46] = random_below(4) ? 0x50 : (uint8_t)random_below(256);
		be16(f + 50, 0);
		be16(f + 50, fold(add(f + 34, n, add(pseudo, 12, 0))));
	} else {
		static const uint8_t types[] = { 0, 3, 4, 5, 8, 11, 13, 15, 17 };

		f[34] = types[random_below(ARRAY_LEN(types))];
		be16(f + 36, 0);
		be16(f + 36, fold(add(f + 34, n, 0)));
	}
}

static size_t nonsense_make(uint8_t *f, size_t size)
{
	static const uint8_t protocols[] = { 6, 6, 17, 17, 1, 2, 47 };
	size_t len = 1 + random_below(random_below(4) ? 100 : (unsigned)size - 1);

	for (size_t i = 0; i < size; i++)
		f[i] = (uint8_t)random_below(random_below(3) ? 256 : 3);
	memcpy(f, host_mac, 6);
	memcpy(f + 6, frames_mac, 6);
	be16(f + 12, random_below(9) ? 0x0800 : random_below(2) ? 0x0806 : random_below(65536));
	if (!random_below(8) || len < 60)
		return len;
	f[14] = random_below(16) ? 0x45 : 0x46;
	be16(f + 16, random_below(16) ? (unsigned)len - 14 : random_below(65536));
	if (random_below(8))
		be16(f + 20, 0);
	f[22] = (uint8_t)random_below(random_below(4) ? 255 : 3);
	f[23] = protocols[random_below(ARRAY_LEN(protocols))];
	be32(f + 26, random_below(8) ? GUEST : 0);
	be32(f + 30, 0x0a000200u + (random_below(8) ? random_below(5) : 255));
	be16(f + 24, 0);
	be16(f + 24, fold(add(f + 14, 20, 0)));
	payload_make(f, (unsigned)len - 34);
	return len;
}

/* Nothing that a guest can put on the wire ends the process. NONSENSE: how often. */
START_TEST(nonsense)
{
	const char *often = getenv("NONSENSE");
	uint8_t f[2048], answer[NET_FRAME_MAX];
	int fd = listener(&own_port);

	open_network();
	for (long n = often ? atol(often) : 20000; n; n--) {
		size_t len = nonsense_make(f, sizeof(f));

		while (!net_room(pc.net, len))
			get(answer, 1);
		put(f, len);
		if (n % 64 == 0)
			while (get(answer, 1))
				;
	}
	while (get(answer, 200))
		;
	arp(1, HOST);
	ck_assert_uint_ge(get(answer, 5000), 42);
	close(fd);
}
END_TEST

static enum frame_verdict verdict(unsigned at, uint8_t val, size_t len)
{
	uint8_t f[128] = { 0 };

	be16(f + 12, 0x0800);
	be32(f + 14, 0x45000028);
	f[23] = 6;
	f[46] = 0x50;
	f[47] = 0x10;
	f[at] = val;
	return frame_look(f, len);
}

START_TEST(filter)
{
	ck_assert_int_eq(verdict(0, 0, 60), FRAME_PASS);
	ck_assert_int_eq(verdict(0, 0, 54), FRAME_PASS);
	ck_assert_int_eq(verdict(0, 0, 53), FRAME_DROP);	/* the packet is longer */
	ck_assert_int_eq(verdict(0, 0, 13), FRAME_DROP);
	ck_assert_int_eq(verdict(47, 0x02, 60), FRAME_OPENS);
	ck_assert_int_eq(verdict(47, 0x12, 60), FRAME_PASS);
	ck_assert_int_eq(verdict(46, 0x40, 60), FRAME_DROP);	/* TCP's header: too short, too long */
	ck_assert_int_eq(verdict(46, 0x60, 60), FRAME_DROP);
	ck_assert_int_eq(verdict(17, 0x27, 60), FRAME_DROP);
	ck_assert_int_eq(verdict(17, 0x13, 60), FRAME_DROP);
	ck_assert_int_eq(verdict(16, 0x01, 60), FRAME_DROP);
	ck_assert_int_eq(verdict(14, 0x46, 60), FRAME_DROP);	/* options */
	ck_assert_int_eq(verdict(14, 0x65, 60), FRAME_DROP);
	ck_assert_int_eq(verdict(20, 0x20, 60), FRAME_DROP);	/* more fragments */
	ck_assert_int_eq(verdict(21, 0x01, 60), FRAME_DROP);	/* one of them */
	ck_assert_int_eq(verdict(20, 0x40, 60), FRAME_PASS);	/* "do not" */
	ck_assert_int_eq(verdict(23, 1, 60), FRAME_OPENS);
	ck_assert_int_eq(verdict(23, 2, 60), FRAME_DROP);
	ck_assert_int_eq(verdict(23, 17, 60), FRAME_DROP);	/* a length of 0 */
	ck_assert_int_eq(verdict(13, 0x06, 42), FRAME_PASS);
	ck_assert_int_eq(verdict(13, 0x06, 41), FRAME_DROP);
	ck_assert_int_eq(verdict(12, 0x86, 60), FRAME_DROP);
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
	tcase_add_test(e, filter);
	tcase_add_test(e, port_in_use);
	suite_add_tcase(s, e);
	return suite_run(s);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a guest's frames reaches libslirp: ARP, and IPv4 with TCP, UDP or ICMP in it whose
 * lengths agree with each other. Nobody else's parser is to be tried by a guest with more than
 * that: fragments crash the reassembly of libslirp 4.7 (they are lost here; TCP makes none), and
 * options of IP are not needed.
 *
 * Ethernet: type at 12. IPv4 from 14: version and length of header | ... | 16 total length
 * | 20 fragment | 23 protocol. TCP from 34: offset of data at 46, flags at 47.
 */
#include <netinet/in.h>

#include "cli/network.h"
#include "dev/net.h"

#define IP		NET_HEADER
#define PAYLOAD		(IP + 20u)

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static enum frame_verdict tcp_look(const uint8_t *f, size_t n)
{
	unsigned header = n < 20 ? 0 : 4u * (f[PAYLOAD + 12] >> 4);

	if (header < 20 || header > n)
		return FRAME_DROP;
	return (f[PAYLOAD + 13] & 0x12) == 0x02 ? FRAME_OPENS : FRAME_PASS;	/* SYN, no ACK */
}

static enum frame_verdict udp_look(const uint8_t *f, size_t n)
{
	if (n < 8 || be16(f + PAYLOAD + 4) < 8 || be16(f + PAYLOAD + 4) > n)
		return FRAME_DROP;
	return FRAME_OPENS;
}

static enum frame_verdict ip_look(const uint8_t *f, size_t len)
{
	size_t n;

	if (len < PAYLOAD || f[IP] != 0x45 || be16(f + IP + 2) < 20 || be16(f + IP + 2) > len - IP ||
	    be16(f + IP + 6) & 0x3fff)
		return FRAME_DROP;
	n = be16(f + IP + 2) - 20;
	switch (f[IP + 9]) {
	case IPPROTO_TCP: return tcp_look(f, n);
	case IPPROTO_UDP: return udp_look(f, n);
	case IPPROTO_ICMP: return n < 8 ? FRAME_DROP : FRAME_OPENS;
	default: return FRAME_DROP;
	}
}

enum frame_verdict frame_look(const uint8_t *f, size_t len)
{
	if (len < NET_HEADER)
		return FRAME_DROP;
	switch (be16(f + 12)) {
	case 0x0806: return len < NET_HEADER + 28 ? FRAME_DROP : FRAME_PASS;
	case 0x0800: return ip_look(f, len);
	default: return FRAME_DROP;
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* A machine with a network interface, and the host's end of its cable in the test's hands. */
#ifndef TESTS_FRAMES_H
#define TESTS_FRAMES_H

#include "dev/net.h"
#include "tests/pc.h"

static struct net *cable;
static const uint8_t frames_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

static inline void frames_cable(void)
{
	ck_assert_int_eq(net_create(&cable, &pc), 0);
	pc.net = cable;
}

static inline void frames_setup(enum nic_model model)
{
	pc_config.net.model = model;
	memcpy(pc_config.net.mac, frames_mac, 6);
	pc_prepare = frames_cable;
	pc_setup();
	pc_init_pics();
}

static inline void frames_teardown(void)
{
	pc_teardown();
	net_destroy(cable);
}

/* To the guest: its address, then bytes that say where they are. */
static inline void frame_make(uint8_t *f, size_t len, uint8_t seed)
{
	for (size_t i = 0; i < len; i++)
		f[i] = (uint8_t)(i * 7 + seed);
	memcpy(f, frames_mac, len < 6 ? len : 6);
}

static inline void frame_send_raw(const uint8_t *f, size_t len)
{
	uint8_t *to = net_host_room(cable, len);

	ck_assert_ptr_nonnull(to);
	memcpy(to, f, len);
	net_host_put(cable, len);
	net_host_flush(cable);
}

static inline void frame_send(size_t len, uint8_t seed)
{
	uint8_t f[NET_FRAME_MAX];

	frame_make(f, len, seed);
	frame_send_raw(f, len);
}

/* From the guest: the next frame's length, 0 if there is none. */
static inline size_t frame_take(uint8_t *f)
{
	size_t len;
	const uint8_t *p = net_host_peek(cable, &len);

	if (!p)
		return 0;
	memcpy(f, p, len);
	net_host_next(cable);
	return len;
}

static inline void frames_deliver(void)
{
	atomic_store(&pc.attention, 0);
	net_deliver(&pc);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cable between a network interface and what is at its other end on the host: a ring of
 * Ethernet frames in each direction. The interface is on the vCPU thread, the host's end on
 * one thread of its own; each ring has one producer and one consumer, and no lock.
 *
 * Nobody is woken who is awake: the host's end says before it sleeps (net_host_sleeps()), and
 * the vCPU, once it was asked for attention, is not asked again before it has looked. Who
 * finds no room is called when there is half a ring of it.
 */
#ifndef DEV_NET_H
#define DEV_NET_H

#include "machine/machine.h"

#define NET_MTU		1500u
#define NET_HEADER	14u			/* addresses and type */
#define NET_FRAME_MIN	60u			/* without check sequence */
#define NET_FRAME_MAX	(NET_HEADER + 65535u)	/* a whole IP packet in one frame */

struct net;

/* For machine->net. 0 or -errno: memory, or the descriptor that net_host_fd() gives. */
int net_create(struct net **out, struct machine *m);
void net_destroy(struct net *n);	/* when neither thread uses it; NULL is allowed */

/* --- The interface's end: vCPU thread ------------------------------------------------ */

/* ready() is called when frames wait, or when there is room again. */
void net_attach(struct net *n, void (*ready)(void *arg), void *arg);
void net_deliver(struct machine *m);	/* ATT_INPUT: calls ready() */
/* Room for a frame, to be filled and put; NULL: none for now. */
uint8_t *net_room(struct net *n, size_t len);	/* len: bytes, 1 to NET_FRAME_MAX */
void net_put(struct net *n, size_t len);
void net_flush(struct net *n);		/* after some net_put(): the host's end looks */
/* The frame that came first, or NULL; it stays until net_next(). */
const uint8_t *net_peek(struct net *n, size_t *len);
void net_next(struct net *n);

/* --- The host's end: its thread ------------------------------------------------------ */

/* As net_room() to net_next(), in the other direction; net_host_flush() has the vCPU look. */
uint8_t *net_host_room(struct net *n, size_t len);
void net_host_put(struct net *n, size_t len);
void net_host_flush(struct net *n);
const uint8_t *net_host_peek(struct net *n, size_t *len);
void net_host_next(struct net *n);
/* Is less than half of the ring to the guest free? Then the fd becomes readable later. */
bool net_host_crowded(struct net *n);
/* This becomes readable when there is something to do while one sleeps. */
int net_host_fd(const struct net *n);
/* Before poll(): false if there is something to do already. After it: net_host_wakes(). */
bool net_host_sleeps(struct net *n);
void net_host_wakes(struct net *n);
/* Any thread: the host's end does not sleep through this. */
void net_host_wake(struct net *n);

#endif

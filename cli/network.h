/* SPDX-License-Identifier: BSD-2-Clause */
/* The network at the other end of the cable: user-mode, by libslirp, on a thread of its own. */
#ifndef CLI_NETWORK_H
#define CLI_NETWORK_H

#include "cli/load.h"
#include "machine/machine.h"

struct network;

#ifdef HAVE_SLIRP
/* As m->config->net says: the cable, in m->net, and the forwarded ports, which are listened at
 * from now on. *out is NULL for none. 0, or -errno with a line in why. */
int network_open(struct network **out, struct machine *m, char why[static WHY_SIZE]);
/* Its thread begins, and ends; the vCPU is asked for attention in between. NULL is allowed. */
int network_start(struct network *n);
void network_stop(struct network *n);
/* After the machine's devices are gone. */
void network_close(struct network *n);
#else
/* Who asks for a network is told so with the options. */
static inline int network_open(struct network **out, struct machine *m, char why[static WHY_SIZE])
{
	(void)m;
	(void)why;
	*out = NULL;
	return 0;
}
static inline int network_start(struct network *n) { (void)n; return 0; }
static inline void network_stop(struct network *n) { (void)n; }
static inline void network_close(struct network *n) { (void)n; }
#endif

/* network_filter.c: what to do with a frame from the guest. */
enum frame_verdict {
	FRAME_DROP,
	FRAME_PASS,
	FRAME_OPENS,		/* passes, but may make a socket */
};
enum frame_verdict frame_look(const uint8_t *f, size_t len);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the monitor and the stub's assembly agree on. The stub is one page of
 * code and one exchange page in the middle of what else are the guest's linear addresses:
 *
 *	home + 0x1000	text: stub.S, readable and executable
 *	home		exchange: requests, written by the monitor, read by the stub
 *
 * Home is a random page of a window that systems leave empty (stacks and libraries are
 * at the top, programs at the bottom), and another one once the guest wants that page.
 */
#ifndef DIRECT_STUB_H
#define DIRECT_STUB_H

#ifdef __ASSEMBLER__
#define STUB_ADDR(x)	x
#else
#define STUB_ADDR(x)	x##ull
#endif

#define STUB_LINK	STUB_ADDR(0x200000000000) /* where execve puts the text at first */
#define STUB_LOW	STUB_ADDR(0x100000000000) /* the window of homes */
#define STUB_HIGH	STUB_ADDR(0x500000000000)
#define USER_TOP	STUB_ADDR(0x7ffffffff000) /* of a host process with 4-level tables */
#define STUB_TEXT_AT	0x1000		/* from home */
#define STUB_RAM_FD	0		/* guest RAM, the only descriptor that stays */
#define STUB_IMAGE_FD	1		/* closed by execve */
#define STUB_XCHG_FD	2		/* closed when the exchange page is mapped */
#define STUB_REQ_SIZE	56

#ifndef __ASSEMBLER__
#include "machine/types.h"

extern const uint8_t stub_image[], stub_image_end[];
/* Distances from the start of the page. */
extern const uint32_t stub_at_batch, stub_at_syscall, stub_at_return, stub_at_done, stub_at_flags;
#endif

#endif

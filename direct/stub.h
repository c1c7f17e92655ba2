/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the monitor and the stub's assembly agree on. The stub is one page of
 * code and one exchange page, at the top of the 47-bit user space:
 *
 *	0x7fffffffe000	text: stub.S, readable and executable
 *	0x7fffffffd000	exchange: requests, written by the monitor, read by the stub
 *	0 .. 		the guest's linear addresses
 */
#ifndef DIRECT_STUB_H
#define DIRECT_STUB_H

#ifdef __ASSEMBLER__
#define STUB_ADDR(x)	x
#else
#define STUB_ADDR(x)	x##ull
#endif

#define STUB_LINK	STUB_ADDR(0x200000000000) /* where execve puts the text at first */
#define STUB_TEXT	STUB_ADDR(0x7fffffffe000)
#define STUB_XCHG	STUB_ADDR(0x7fffffffd000) /* end of what a guest can have mapped */
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

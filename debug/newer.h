/* SPDX-License-Identifier: BSD-2-Clause */
/* Encodings that a host may know and the guest's model need not. */
#ifndef DEBUG_NEWER_H
#define DEBUG_NEWER_H

#include "machine/types.h"

/* Is this one of those that came after SSE4.2, or an invalid one that processors are at
 * liberty to find too long (over 15 bytes with its operand) before they find it invalid? */
bool newer_encoding(const uint8_t *bytes, unsigned n, unsigned bits);

/* REP BSF and REP BSR, which newer processors take for TZCNT and LZCNT. */
bool newer_meaning(const uint8_t *bytes, unsigned n);

/* What this host's vendor lets mean something else than Intel, whom hemi follows: to AMD's
 * processors a prefix 66 makes near branches of 64-bit code 16 bits wide (APM 3 1.2.2), REP
 * turns the condition of LOOPE and LOOPNE, PAUSE with REX.B is XCHG, REX.W means
 * nothing to LSS, LFS and LGS, and prefetching a register is invalid. */
bool vendor_meaning(const uint8_t *bytes, unsigned n, unsigned bits);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rewrite: random edits of two-level page tables (SDM 3A 4.3), each followed by exactly the
 * invalidation that 4.10.4 asks for, then accesses from ring 3, compared with a
 * model. The work is in lib/rewrite.inc.
 *
 * Command line: seed=1 rounds=200 ops=12 checks=60 pages=16
 */
#include "guest.inc"
#include "rewrite.inc"

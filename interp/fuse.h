/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pairs and runs of operations that one handler does. The operations stay where they
 * are: a fused handler reads the operands of those behind its own, and its slow form is
 * the unfused one, after which they run by themselves.
 */
#ifndef INTERP_FUSE_H
#define INTERP_FUSE_H

#include "interp/thread.h"

/* Gives operations of a finished trace their fused handlers; s[i].span tells how many
 * operations each does. */
void fuse(struct op *ops, unsigned n, struct stride *s);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our own numbering of instructions, made from the .def files, so that only
 * decode.c knows Zydis. One row there = one M_ constant here = one row of the
 * lowering table in lower.c. Legends are at the head of each .def file.
 */
#ifndef INTERP_MNEM_H
#define INTERP_MNEM_H

enum mnem {
	M_INVALID,
#define INT(m, lower, arg)	M_##m,
#define STR(m, lower, arg)	M_##m,
#define SYS(m, handler, end)	M_##m,
#define GEN(m, handler)		M_##m,
#define GEN2(m, mmx, xmm)	M_##m,
#define GEN3(m, mmx, xmm, gpr)	M_##m,
#include "interp/ops_int.def"
#include "interp/ops_sys.def"
#include "interp/ops_x87.def"
#include "interp/ops_sse.def"
#undef INT
#undef STR
#undef SYS
#undef GEN
#undef GEN2
#undef GEN3
	M_COUNT
};

#endif

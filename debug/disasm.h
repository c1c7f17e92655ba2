/* SPDX-License-Identifier: BSD-2-Clause */
/* Disassembly for people: the only user of Capstone. */
#ifndef DEBUG_DISASM_H
#define DEBUG_DISASM_H

#include <stdio.h>

#include "machine/machine.h"

/* One instruction at bytes[0..n) that runs at rip, in `bits`-bit code (16, 32, 64), as
 * text; returns its length, 0 if it is none. */
unsigned disasm(const uint8_t *bytes, unsigned n, uint64_t rip, unsigned bits, char *text, size_t size);

/* One line on stderr: address, instruction and registers before it. Reads guest
 * memory without side effects. */
void trace_instruction(struct machine *m, const struct cpu *c);

/* One line on stderr if the user asked for `what` (enum trace_what); nothing at all in
 * builds without --enable-trace. */
#ifdef ENABLE_TRACE
#define trace_line(m, what, ...) do {						\
	if ((m)->config && (m)->config->trace & (what))				\
		fprintf(stderr, __VA_ARGS__);					\
	} while (0)
#else
#define trace_line(m, what, ...) ((void)(m))
#endif

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bytecode loop: a small stack machine in a switch. Much user time of real
 * systems looks like this: short blocks, indirect branches that are hard to
 * predict, values that go through memory.
 */
#include "guests/workloads/workloads.h"

enum op { PUSH, LOAD, STORE, ADD, MUL, AND, XOR, SHR, DEC, DUP, JZ, JMP, HALT };
enum { X, TOTAL, LEFT, VARIABLES };

struct insn {
	uint8_t op, arg;
};

/* x becomes 5x + 1 or x / 2, whichever its lowest bit says; total mixes all x. */
static const struct insn program[] = {
	/*  0 */ { LOAD, LEFT },  { JZ, 26 },
	/*  2 */ { LOAD, LEFT },  { DEC, 0 }, { STORE, LEFT },
	/*  5 */ { LOAD, X },	  { PUSH, 1 }, { AND, 0 }, { JZ, 15 },
	/*  9 */ { LOAD, X },	  { PUSH, 5 }, { MUL, 0 }, { PUSH, 1 }, { ADD, 0 }, { JMP, 18 },
	/* 15 */ { LOAD, X },	  { PUSH, 1 }, { SHR, 0 },
	/* 18 */ { DUP, 0 },	  { STORE, X },
	/* 20 */ { LOAD, TOTAL }, { XOR, 0 }, { PUSH, 33 }, { MUL, 0 }, { STORE, TOTAL },
	/* 25 */ { JMP, 0 },
	/* 26 */ { HALT, 0 },
};

static uint32_t execute(uint32_t x, uint32_t steps)
{
	uint32_t stack[8], *sp = stack, var[VARIABLES] = { x, 0, steps };
	const struct insn *pc = program;

	for (;;) {
		const struct insn *i = pc++;

		switch ((enum op)i->op) {
		case PUSH: *sp++ = i->arg; break;
		case LOAD: *sp++ = var[i->arg]; break;
		case STORE: var[i->arg] = *--sp; break;
		case ADD: sp--; sp[-1] += sp[0]; break;
		case MUL: sp--; sp[-1] *= sp[0]; break;
		case AND: sp--; sp[-1] &= sp[0]; break;
		case XOR: sp--; sp[-1] ^= sp[0]; break;
		case SHR: sp--; sp[-1] >>= sp[0] & 31; break;
		case DEC: sp[-1]--; break;
		case DUP: *sp = sp[-1]; sp++; break;
		case JZ: if (!*--sp) pc = program + i->arg; break;
		case JMP: pc = program + i->arg; break;
		case HALT: return var[TOTAL];
		}
	}
}

uint64_t run_bytecode(long n)
{
	uint64_t s = SUM_START;

	for (long k = 0; k < n; k++)
		s = sum(s, execute(k + 27, 100000));
	return s;
}

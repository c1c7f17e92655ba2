/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The third-generation machine of Popek and Goldberg (1974), section 2: its state is
 *
 *	S = (E, M, P, R)	memory, mode, program counter, relocation-bounds register
 *
 * and nothing else: no register, no clock, no device. An instruction is a function from
 * state to state. (M, P, R) is the program status word, which fits into one cell of E:
 *
 *	 63   62    56 55   48 47      32 31      16 15       0
 *	+---+---------+-------+----------+----------+----------+
 *	| M |    0    | cause | R bound  | R base   |    P     |
 *	+---+---------+-------+----------+----------+----------+
 *
 * M is 1 in user mode. An address a means E[base + a]; it traps unless a < bound and
 * base + a < q, the size of E. A trap stores the PSW, P still at the instruction, in E[0],
 * with the cause, and loads that in E[1]; it changes nothing else.
 *
 * An instruction is a cell as well:
 *
 *	 63    56 55   48 47      32 31      16 15       0
 *	+--------+-------+----------+----------+----------+
 *	| opcode |   0   |    a     |    b     |    c     |
 *	+--------+-------+----------+----------+----------+
 */
#ifndef MODEL_PG_H
#define MODEL_PG_H

#include <stdbool.h>
#include <stdint.h>

#define PG_OLD		0	/* E[0]: the PSW that a trap leaves */
#define PG_NEW		1	/* E[1]: the PSW that a trap takes */
#define PG_START	2	/* P of a machine that is switched on */
#define PG_Q_MIN	3u
#define PG_Q_MAX	60000u

struct pg_psw {
	bool user;
	uint16_t p, base, bound;
};

enum pg_trap { PG_NONE, PG_MEMORY, PG_PRIVILEGED, PG_ILLEGAL, PG_SVC, PG_TRAPS };
extern const char *const pg_trap_names[PG_TRAPS];

enum pg_class {
	PG_ANY = 0, PG_PRIV = 1, PG_JRST1 = 2, PG_READM = 4, PG_READR = 8,
	PG_EXTRAS = PG_JRST1 | PG_READM | PG_READR,
};

enum {
#define INSN(op, name, operands, class, what)	PG_##name##_OP = op,
#include "model/insn.def"
#undef INSN
	PG_CONTROL_OP = 0x7f,	/* the body of a monitor (model/monitor.h) */
};

struct pg_insn {
	uint8_t op;
	const char *name, *operands;
	enum pg_class class;
	const char *what;
};
extern const struct pg_insn pg_insns[];
extern const unsigned pg_ninsns;

struct pg;
/*
 * What gives the instruction PG_CONTROL_OP a meaning, at the cells where it has one: answers
 * false elsewhere. Like any innocuous instruction it may use E through R and set P.
 */
struct pg_control {
	bool (*run)(const struct pg_control *c, struct pg *m, const uint64_t *cell);
};

struct pg {
	uint64_t *e;
	unsigned q;
	struct pg_psw psw;
	unsigned with;	/* classes of added instructions */
	const struct pg_control *control;
};

/* The cell that holds a PSW and the cause of a trap, and what such a cell says. */
uint64_t pg_psw_word(struct pg_psw psw, enum pg_trap cause);
struct pg_psw pg_psw_load(uint64_t word);
enum pg_trap pg_psw_cause(uint64_t word);
bool pg_psw_equal(struct pg_psw a, struct pg_psw b);
/* The PSW of a machine of q cells that is switched on. */
struct pg_psw pg_psw_start(unsigned q);

/* The cell of an instruction. */
uint64_t pg_word(uint8_t op, uint16_t a, uint16_t b, uint16_t c);
/* Operand n, 0 to 2, of an instruction. */
uint16_t pg_field(uint64_t word, unsigned n);
/* NULL for an opcode that no machine has. */
const struct pg_insn *pg_insn_find(uint8_t op);
const struct pg_insn *pg_insn_named(const char *name);

/* The cell that an address means now; NULL if it would trap. */
uint64_t *pg_cell(const struct pg *m, uint16_t a);
/* The instruction that P is at; false if fetching it would trap. */
bool pg_fetch(const struct pg *m, uint64_t *word);
void pg_take_trap(struct pg *m, enum pg_trap cause);
/* One instruction, with its trap if there is one, the cause of which is the answer. */
enum pg_trap pg_step(struct pg *m);

#endif

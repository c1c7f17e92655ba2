/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The meaning of every instruction, once: the bare machine runs by it, and so does whoever
 * interprets one. Operands are resolved before anything is done, so an instruction that
 * traps has no other effect.
 */
#include "model/pg.h"

#include <stddef.h>
#include <strings.h>

const char *const pg_trap_names[PG_TRAPS] = {
	"none", "memory", "privileged", "illegal", "svc",
};

const struct pg_insn pg_insns[] = {
#define INSN(op, name, operands, class, what)	{ op, #name, operands, PG_##class, what },
#include "model/insn.def"
#undef INSN
};
const unsigned pg_ninsns = sizeof(pg_insns) / sizeof(pg_insns[0]);

uint64_t pg_psw_word(struct pg_psw psw, enum pg_trap cause)
{
	return (uint64_t)psw.user << 63 | (uint64_t)cause << 48 | (uint64_t)psw.bound << 32 |
	       (uint64_t)psw.base << 16 | psw.p;
}

struct pg_psw pg_psw_load(uint64_t word)
{
	return (struct pg_psw){ .user = word >> 63, .p = (uint16_t)word,
		.base = (uint16_t)(word >> 16), .bound = (uint16_t)(word >> 32) };
}

enum pg_trap pg_psw_cause(uint64_t word)
{
	return (enum pg_trap)(word >> 48 & 0xff);
}

bool pg_psw_equal(struct pg_psw a, struct pg_psw b)
{
	return pg_psw_word(a, PG_NONE) == pg_psw_word(b, PG_NONE);
}

struct pg_psw pg_psw_start(unsigned q)
{
	return (struct pg_psw){ .p = PG_START, .bound = (uint16_t)q };
}

uint64_t pg_word(uint8_t op, uint16_t a, uint16_t b, uint16_t c)
{
	return (uint64_t)op << 56 | (uint64_t)a << 32 | (uint64_t)b << 16 | c;
}

uint16_t pg_field(uint64_t word, unsigned n)
{
	return (uint16_t)(word >> (32 - 16 * n));
}

const struct pg_insn *pg_insn_find(uint8_t op)
{
	for (unsigned i = 0; i < pg_ninsns; i++)
		if (pg_insns[i].op == op)
			return &pg_insns[i];
	return NULL;
}

const struct pg_insn *pg_insn_named(const char *name)
{
	for (unsigned i = 0; i < pg_ninsns; i++)
		if (strcasecmp(pg_insns[i].name, name) == 0)
			return &pg_insns[i];
	return NULL;
}

uint64_t *pg_cell(const struct pg *m, uint16_t a)
{
	unsigned at = (unsigned)m->psw.base + a;

	return a < m->psw.bound && at < m->q ? m->e + at : NULL;
}

bool pg_fetch(const struct pg *m, uint64_t *word)
{
	const uint64_t *cell = pg_cell(m, m->psw.p);

	if (cell)
		*word = *cell;
	return cell != NULL;
}

void pg_take_trap(struct pg *m, enum pg_trap cause)
{
	m->e[PG_OLD] = pg_psw_word(m->psw, cause);
	m->psw = pg_psw_load(m->e[PG_NEW]);
}

/* cell[] and imm[] as the letters of insn.def say; false if one of the addresses traps. */
static bool operands(const struct pg *m, const char *letters, uint64_t word, uint64_t *cell[3],
		     uint16_t imm[3])
{
	for (unsigned n = 0; letters[n]; n++) {
		imm[n] = pg_field(word, n);
		cell[n] = NULL;
		if (letters[n] == 'i')
			continue;
		cell[n] = pg_cell(m, imm[n]);
		if (cell[n] && letters[n] == 'p')
			cell[n] = pg_cell(m, (uint16_t)*cell[n]);
		if (!cell[n])
			return false;
	}
	return true;
}

/* The bits of a PSW that are R. */
static uint64_t r_word(struct pg_psw psw)
{
	return pg_psw_word((struct pg_psw){ .base = psw.base, .bound = psw.bound }, PG_NONE);
}

static enum pg_trap execute(struct pg *m, uint8_t op, uint64_t *const cell[3],
			    const uint16_t imm[3])
{
	struct pg_psw psw = m->psw;

	psw.p++;
	switch (op) {
	case PG_SET_OP: *cell[0] = imm[1]; break;
	case PG_MOV_OP:
	case PG_LOAD_OP:
	case PG_STORE_OP: *cell[0] = *cell[1]; break;
	case PG_ADD_OP: *cell[0] = *cell[1] + *cell[2]; break;
	case PG_SUB_OP: *cell[0] = *cell[1] - *cell[2]; break;
	case PG_MUL_OP: *cell[0] = *cell[1] * *cell[2]; break;
	case PG_AND_OP: *cell[0] = *cell[1] & *cell[2]; break;
	case PG_OR_OP: *cell[0] = *cell[1] | *cell[2]; break;
	case PG_XOR_OP: *cell[0] = *cell[1] ^ *cell[2]; break;
	case PG_SHL_OP: *cell[0] = *cell[1] << (imm[2] & 63); break;
	case PG_SHR_OP: *cell[0] = *cell[1] >> (imm[2] & 63); break;
	case PG_LT_OP: *cell[0] = *cell[1] < *cell[2]; break;
	case PG_EQ_OP: *cell[0] = *cell[1] == *cell[2]; break;
	case PG_JMP_OP: psw.p = imm[0]; break;
	case PG_JZ_OP: psw.p = *cell[0] ? psw.p : imm[1]; break;
	case PG_JNZ_OP: psw.p = *cell[0] ? imm[1] : psw.p; break;
	case PG_JMPI_OP: psw.p = (uint16_t)*cell[0]; break;
	case PG_SVC_OP: return PG_SVC;
	case PG_LPSW_OP: psw = pg_psw_load(*cell[0]); break;
	case PG_SETR_OP:
		psw.base = pg_psw_load(*cell[0]).base;
		psw.bound = pg_psw_load(*cell[0]).bound;
		break;
	case PG_GETR_OP:
	case PG_READR_OP: *cell[0] = r_word(psw); break;
	case PG_GETM_OP:
	case PG_READM_OP: *cell[0] = psw.user; break;
	case PG_HALT_OP: psw.p--; break;
	case PG_JRST1_OP:
		psw.user = true;
		psw.p = imm[0];
		break;
	}
	m->psw = psw;
	return PG_NONE;
}

static enum pg_trap attempt(struct pg *m)
{
	const uint64_t *at = pg_cell(m, m->psw.p);
	const struct pg_insn *insn;
	uint64_t *cell[3] = { NULL };
	uint16_t imm[3] = { 0 };

	if (!at)
		return PG_MEMORY;
	if (*at >> 56 == PG_CONTROL_OP && m->control && m->control->run(m->control, m, at))
		return PG_NONE;
	insn = pg_insn_find((uint8_t)(*at >> 56));
	if (!insn || (insn->class & PG_EXTRAS & ~m->with))
		return PG_ILLEGAL;
	if (insn->class == PG_PRIV && m->psw.user)
		return PG_PRIVILEGED;
	if (!operands(m, insn->operands, *at, cell, imm))
		return PG_MEMORY;
	return execute(m, insn->op, cell, imm);
}

enum pg_trap pg_step(struct pg *m)
{
	enum pg_trap cause = attempt(m);

	if (cause != PG_NONE)
		pg_take_trap(m, cause);
	return cause;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Lowering: arithmetic, moves, shifts, strings and whatever else has general registers. */
#include "interp/lower_parts.h"

static op_fn *const plain_handlers[] = {
#define PLAIN_ROW(U, l) [P_##U] = h_##l,
	PLAIN_LIST(PLAIN_ROW)
};

/* Widths and forms of a binary_row; registers of a memory form go where the row
 * wants them. */
static void binary(struct ctx *c, const struct binary_row rows[4], bool writes_flags)
{
	const struct insn *in = c->in;
	const struct binary_row *r = &rows[width_index(in->o[0].size)];
	struct op *op = c->op;

	op->osize = in->o[0].size;
	op->imm = in->imm;
	if (in->o[0].kind == OPD_MEM) {
		op_set_address(c);
		op->b = in->o[1].reg;
		op->fn = in->o[1].kind == OPD_IMM ? r->mi[ea_form(c)] : r->mr[ea_form(c)];
		c->out->straight = rows == alu_rows[ALU_CMP] || rows == alu_rows[ALU_TEST];
		return;
	}
	op->a = in->o[0].reg;
	c->out->straight = true;
	if (in->o[1].kind == OPD_MEM) {
		op_set_address(c);
		op->fn = r->rm[ea_form(c)];
		return;
	}
	c->out->pure = true;
	if (writes_flags)
		c->out->kills = in->fl_write;
	if (in->o[1].kind == OPD_IMM) {
		op->fn = r->ri;
		c->out->no_flags = r->ri_nf != r->ri ? r->ri_nf : NULL;
	} else {
		op->b = in->o[1].reg;
		op->fn = r->rr;
		c->out->no_flags = r->rr_nf != r->rr ? r->rr_nf : NULL;
	}
}

void lower_alu(struct ctx *c, unsigned alu)
{
	binary(c, alu_rows[alu], true);
}

void lower_mov(struct ctx *c, unsigned arg)
{
	const struct insn *in = c->in;
	op_fn *sys = mov_system_handler(in);

	(void)arg;
	if (sys) {
		op_pack(c);
		c->op->osize = in->osize;
		c->op->fn = sys;
		return;
	}
	binary(c, mov_rows, false);
	/* A 64-bit absolute address does not fit: the imm field is free for it, and no
	 * register takes part in the address. */
	if (insn_memory_operand(in) >= 0 && in->asize == 8 && in->disp != (int32_t)in->disp && !in->rip_rel) {
		op_pack(c);
		c->op->imm = (uint64_t)in->disp;
		c->op->osize = in->o[0].size;
		c->op->fn = h_mov_moffs;
	}
}

void lower_extend(struct ctx *c, unsigned sgn)
{
	const struct insn *in = c->in;
	const struct extend_row *r = &extend_rows[sgn][width_index(in->o[1].size)]
						 [width_index(in->o[0].size)];

	c->op->a = in->o[0].reg;
	c->out->straight = true;
	if (in->o[1].kind == OPD_MEM) {
		op_set_address(c);
		c->op->fn = r->m[ea_form(c)];
		return;
	}
	c->op->b = in->o[1].reg;
	c->op->fn = r->r;
	c->out->pure = true;
}

void lower_unary(struct ctx *c, unsigned un)
{
	const struct insn *in = c->in;
	const struct unary_row *r = &unary_rows[un][width_index(in->o[0].size)];

	if (in->o[0].kind == OPD_MEM) {
		op_set_address(c);
		c->op->fn = r->m[ea_form(c)];
		return;
	}
	c->op->a = in->o[0].reg;
	c->op->fn = r->r;
	c->out->pure = true;
	c->out->kills = in->fl_write;
	c->out->no_flags = r->r_nf;
}

void lower_shift(struct ctx *c, unsigned sh)
{
	const struct insn *in = c->in;
	const struct shift_row *r = &shift_rows[sh][width_index(in->o[0].size)];
	bool by_cl = in->o[1].kind == OPD_GPR;
	unsigned count = by_cl ? 0 : in->imm & (in->o[0].size == 8 ? 63 : 31);
	bool keeps = count > 1 && r->r_keep && rotate_keeps_of();

	c->op->osize = in->o[0].size;
	c->op->imm = in->imm & 0xff;
	if (in->o[0].kind == OPD_MEM) {
		op_set_address(c);
		c->op->fn = by_cl ? r->m_cl : r->m_imm;
		return;
	}
	c->op->a = in->o[0].reg;
	c->op->fn = by_cl ? r->r_cl : keeps ? r->r_keep : r->r_imm;
	c->out->pure = true;
	/* A count that masks to 0 leaves the flags alone; rotates leave most. */
	if (sh >= SH_SHL && count) {
		c->out->kills = FL_ARITH;
		c->out->no_flags = r->r_imm_nf;
	}
}

void lower_shxd(struct ctx *c, unsigned right)
{
	op_pack(c);
	c->op->osize = c->in->o[0].size;
	c->op->imm = (c->in->imm & 0xff) | right << 8 | (c->in->o[2].kind == OPD_GPR ? 1u << 9 : 0);
	if (c->op->flags & OPF_MEM)
		c->op->b = c->in->o[1].reg;
	c->op->fn = h_shxd;
}

/* Those of 32 and 64 bits have a row; `other` does the rest. */
static void multiply(struct ctx *c, const struct unary_row *r, op_fn *other)
{
	c->out->straight = true;
	if (c->op->flags & OPF_MEM) {
		c->op->fn = r->r ? r->m[ea_form(c)] : other;
		return;
	}
	c->op->fn = r->r ? r->r : other;
	c->out->pure = true;
	c->out->kills = FL_CF | FL_OF;
	c->out->open = FL_ARITH & ~(FL_CF | FL_OF);
	c->out->no_flags = r->r_nf != r->r ? r->r_nf : NULL;
}

void lower_imul(struct ctx *c, unsigned arg)
{
	const struct insn *in = c->in;
	unsigned n = 0;

	(void)arg;
	op_pack(c);
	c->op->osize = in->o[0].size;
	for (int i = 0; i < in->nopnd; i++)	/* the one-operand form shows AL or rAX too */
		n += in->o[i].kind != OPD_NONE;
	if (n < 2) {
		multiply(c, &mul_rows[1][width_index(c->op->osize)], h_imul1);
	} else if (n >= 3 && in->o[2].kind == OPD_IMM) {
		multiply(c, &imul_rows[1][width_index(c->op->osize)], h_imul3);
	} else {
		multiply(c, &imul_rows[0][width_index(c->op->osize)], h_imul2);
	}
}

void lower_plain(struct ctx *c, unsigned p)
{
	op_pack(c);
	c->op->osize = c->in->nopnd && c->in->o[0].kind == OPD_GPR ? c->in->o[0].size : c->in->osize;
	if (c->in->nopnd && c->in->o[0].kind == OPD_MEM && c->in->o[0].size <= 8 && p != P_CMPXCHG8B)
		c->op->osize = c->in->o[0].size;
	if (p == P_MUL) {
		multiply(c, &mul_rows[0][width_index(c->op->osize)], h_mul);
		return;
	}
	if (p == P_CMPXCHG && (c->op->flags & OPF_MEM) && cmpxchg_m[width_index(c->op->osize)][ea_form(c)]) {
		c->op->fn = cmpxchg_m[width_index(c->op->osize)][ea_form(c)];
		return;
	}
	if (p == P_XLAT || p == P_PUSHA || p == P_POPA || p == P_ENTER || p == P_LEAVE)
		c->op->osize = c->in->osize;
	c->op->fn = plain_handlers[p];
}

void lower_string(struct ctx *c, unsigned p)
{
	static const uint8_t ones[] = {
		[P_MOVS] = STRING_MOVS, [P_CMPS] = STRING_CMPS, [P_STOS] = STRING_STOS,
		[P_LODS] = STRING_LODS, [P_SCAS] = STRING_SCAS,
	};
	const struct insn *in = c->in;
	bool long64 = c->hflags & HF_CS64;
	bool flat = in->seg == SEG_DS && (long64 ? in->asize == 8 : in->asize == 4 && c->hflags & HF_DS_FLAT);

	/* The source's segment may be overridden, the destination's is ES. */
	c->op->seg = in->seg;
	c->op->fn = plain_handlers[p];
	c->op->osize = in->osize;
	if (flat && !in->rep && !in->repne && p != P_INS && p != P_OUTS)
		c->op->fn = string_one[ones[p]][width_index(in->osize)][long64];
}

void lower_nop(struct ctx *c, unsigned arg)
{
	(void)arg;
	c->op->fn = h_nop;
	c->out->pure = true;
}

void lower_cbw(struct ctx *c, unsigned osize)
{
	c->op->osize = (uint8_t)osize;
	c->op->fn = h_cbw;
	c->out->pure = true;
}

void lower_cwd(struct ctx *c, unsigned osize)
{
	c->op->osize = (uint8_t)osize;
	c->op->fn = h_cwd;
	c->out->pure = true;
}

void lower_lea(struct ctx *c, unsigned arg)
{
	const struct insn *in = c->in;

	(void)arg;
	c->op->a = in->o[0].reg;
	c->op->osize = in->o[0].size;
	op_set_address(c);
	c->out->pure = true;
	if (in->asize == 2 || (in->rip_rel && in->asize == 4))
		c->op->fn = h_lea_slow;
	else
		c->op->fn = lea_forms[width_index(c->op->osize)][in->asize == 8];
}

void lower_xchg(struct ctx *c, unsigned arg)
{
	(void)arg;
	op_pack(c);
	c->op->osize = c->in->o[0].size;
	c->op->fn = c->op->flags & OPF_MEM ? xchg_m[width_index(c->op->osize)][ea_form(c)] : h_xchg_r;
	if (!c->op->fn)
		c->op->fn = h_xchg_m;
	c->out->pure = !(c->op->flags & OPF_MEM);
}

void lower_bt(struct ctx *c, unsigned kind)
{
	const struct insn *in = c->in;

	op_pack(c);
	c->op->osize = in->o[0].size;
	c->op->imm = (in->imm & 0xff) | kind << 8 | (in->o[1].kind == OPD_IMM ? 1u << 10 : 0);
	c->op->fn = c->op->flags & OPF_MEM ? h_bt_m : h_bt_r;
	c->out->pure = !(c->op->flags & OPF_MEM);
}

void lower_crc32(struct ctx *c, unsigned arg)
{
	(void)arg;
	op_pack(c);
	c->op->imm = c->in->o[1].size;
	c->op->fn = h_crc32;
}

void lower_setcc(struct ctx *c, unsigned cc)
{
	op_pack(c);
	c->op->fn = c->op->flags & OPF_MEM ? setcc_m[cc] : setcc_r[cc];
	c->out->pure = !(c->op->flags & OPF_MEM);
}

void lower_cmov(struct ctx *c, unsigned cc)
{
	op_pack(c);
	c->op->osize = c->in->o[0].size;
	c->out->pure = !(c->op->flags & OPF_MEM);
	c->out->straight = true;
	c->op->fn = c->out->pure ? cmov_r[cc][width_index(c->op->osize)]
				 : cmov_m[cc][width_index(c->op->osize)][ea_form(c)];
}

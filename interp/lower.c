/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lowering table: one row a mnemonic, made from the .def files, each naming a
 * small function that picks a handler by operand form, width and address form.
 * Decides nothing about meaning; that is the handlers'.
 */
#include <string.h>

#include "interp/cpu_model.h"
#include "interp/fpu.h"
#include "interp/lower.h"
#include "interp/tables.h"

struct ctx {
	uint32_t hflags;
	unsigned off;
	bool single;
	const struct insn *in;
	struct op *op;
	struct lowered *out;
};

/* Instructions with one handler for all their forms. */
#define PLAIN_LIST(X)									\
	X(SALC, salc) X(MUL, mul) X(DIV, div) X(IDIV, idiv) X(DAA, daa) X(DAS, das) X(AAA, aaa)	\
	X(AAS, aas) X(AAM, aam) X(AAD, aad) X(BSWAP, bswap) X(MOVBE, movbe) X(XLAT, xlat)	\
	X(LAHF, lahf) X(SAHF, sahf) X(CLC, clc) X(STC, stc) X(CMC, cmc) X(CLD, cld) X(STD, std)	\
	X(BSF, bsf) X(BSR, bsr) X(POPCNT, popcnt) X(LZCNT, lzcnt) X(TZCNT, tzcnt)		\
	X(CMPXCHG, cmpxchg) X(XADD, xadd) X(CMPXCHG8B, cmpxchg8b) X(CMPXCHG16B, cmpxchg16b)	\
	X(RDRAND, rdrand) X(PUSHA, pusha) X(POPA, popa) X(ENTER, enter) X(LEAVE, leave)		\
	X(BOUND, bound) X(MOVS, movs) X(CMPS, cmps) X(STOS, stos) X(LODS, lods) X(SCAS, scas)	\
	X(INS, ins) X(OUTS, outs)
enum {
#define PLAIN_ENUM(U, l) P_##U,
	PLAIN_LIST(PLAIN_ENUM)
};
static op_fn *const plain_handlers[] = {
#define PLAIN_ROW(U, l) [P_##U] = h_##l,
	PLAIN_LIST(PLAIN_ROW)
};

#define SYS(m, handler, end)	HANDLER(handler);
#define GEN(m, handler)		HANDLER(handler);
#define GEN2(m, mmx, xmm)	HANDLER(mmx); HANDLER(xmm);
#define GEN3(m, mmx, xmm, gpr)	HANDLER(mmx); HANDLER(xmm); HANDLER(gpr);
#define INT(m, lower, arg)
#define STR(m, lower, arg)
#include "interp/ops_sys.def"
#include "interp/ops_x87.def"
#include "interp/ops_sse.def"
#undef SYS
#undef GEN
#undef GEN2
#undef GEN3

/* --- Operands ---------------------------------------------------------------- */

static int memory_operand(const struct insn *in)
{
	for (int i = 0; i < in->nopnd; i++)
		if (in->o[i].kind == OPD_MEM)
			return i;
	return -1;
}

static enum ea_form ea_form(const struct ctx *c)
{
	const struct insn *in = c->in;
	bool index = in->index != R_ZERO && !in->rip_rel;

	if (c->hflags & HF_CS64) {
		if (in->asize != 8)
			return EA_SLOW;
		if (in->seg == SEG_FS || in->seg == SEG_GS)
			return index ? EA_B64 : EA_S64;
		return index ? EA_F64 : EA_D64;
	}
	if (in->asize != 4 || in->seg == SEG_CS)
		return EA_SLOW;
	if (in->seg != SEG_SS && in->seg != SEG_DS && in->seg != SEG_ES)
		return EA_B32;
	if (!(c->hflags & (in->seg == SEG_SS ? HF_SS_FLAT : HF_DS_FLAT)))
		return EA_B32;
	return index ? EA_F32 : EA_D32;
}

static void set_address(struct ctx *c)
{
	const struct insn *in = c->in;
	struct op *op = c->op;

	op->base = in->base;
	op->index = in->index;
	op->scale = in->scale;
	op->seg = in->seg;
	op->disp = (int32_t)in->disp;
	if (in->rip_rel) {
		op->base = R_PAGE;
		op->disp = (int32_t)(in->disp + c->off + in->len);
	}
}

/* The generic packing: registers in order into a and b, memory into the address. */
static void pack(struct ctx *c)
{
	const struct insn *in = c->in;
	struct op *op = c->op;
	unsigned nregs = 0;
	int m = memory_operand(in);

	op->seg = in->seg;
	for (int i = 0; i < in->nopnd; i++) {
		if (in->o[i].kind < OPD_GPR || in->o[i].kind > OPD_XMM)
			continue;
		if (nregs == 0)
			op->a = in->o[i].reg;
		else if (nregs == 1)
			op->b = in->o[i].reg;
		nregs++;
	}
	op->imm = in->imm;
	if (m >= 0) {
		op->flags |= OPF_MEM;
		if (m == 0)
			op->flags |= OPF_MEM_DST;
		set_address(c);
	}
}

static void invalid(struct ctx *c)
{
	c->op->fn = h_invalid;
	c->out->end = true;
}

/* --- Families ------------------------------------------------------------------ */

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
		set_address(c);
		op->b = in->o[1].reg;
		op->fn = in->o[1].kind == OPD_IMM ? r->mi[ea_form(c)] : r->mr[ea_form(c)];
		c->out->straight = rows == alu_rows[ALU_CMP] || rows == alu_rows[ALU_TEST];
		return;
	}
	op->a = in->o[0].reg;
	c->out->straight = true;
	if (in->o[1].kind == OPD_MEM) {
		set_address(c);
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

static void lower_alu(struct ctx *c, unsigned alu)
{
	binary(c, alu_rows[alu], true);
}

static op_fn *mov_system_handler(const struct insn *in);

static void lower_mov(struct ctx *c, unsigned arg)
{
	const struct insn *in = c->in;
	op_fn *sys = mov_system_handler(in);

	(void)arg;
	if (sys) {
		pack(c);
		c->op->osize = in->osize;
		c->op->fn = sys;
		return;
	}
	binary(c, mov_rows, false);
	/* A 64-bit absolute address does not fit: the imm field is free for it, and no
	 * register takes part in the address. */
	if (memory_operand(in) >= 0 && in->asize == 8 && in->disp != (int32_t)in->disp && !in->rip_rel) {
		pack(c);
		c->op->imm = (uint64_t)in->disp;
		c->op->osize = in->o[0].size;
		c->op->fn = h_mov_moffs;
	}
}

static void lower_extend(struct ctx *c, unsigned sgn)
{
	const struct insn *in = c->in;
	const struct extend_row *r = &extend_rows[sgn][width_index(in->o[1].size)]
						 [width_index(in->o[0].size)];

	c->op->a = in->o[0].reg;
	c->out->straight = true;
	if (in->o[1].kind == OPD_MEM) {
		set_address(c);
		c->op->fn = r->m[ea_form(c)];
		return;
	}
	c->op->b = in->o[1].reg;
	c->op->fn = r->r;
	c->out->pure = true;
}

static void lower_unary(struct ctx *c, unsigned un)
{
	const struct insn *in = c->in;
	const struct unary_row *r = &unary_rows[un][width_index(in->o[0].size)];

	if (in->o[0].kind == OPD_MEM) {
		set_address(c);
		c->op->fn = r->m[ea_form(c)];
		return;
	}
	c->op->a = in->o[0].reg;
	c->op->fn = r->r;
	c->out->pure = true;
	c->out->kills = in->fl_write;
	c->out->no_flags = r->r_nf;
}

static void lower_shift(struct ctx *c, unsigned sh)
{
	const struct insn *in = c->in;
	const struct shift_row *r = &shift_rows[sh][width_index(in->o[0].size)];
	bool by_cl = in->o[1].kind == OPD_GPR;
	unsigned count = by_cl ? 0 : in->imm & (in->o[0].size == 8 ? 63 : 31);
	bool keeps = count > 1 && r->r_keep && rotate_keeps_of();

	c->op->osize = in->o[0].size;
	c->op->imm = in->imm & 0xff;
	if (in->o[0].kind == OPD_MEM) {
		set_address(c);
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

static void lower_shxd(struct ctx *c, unsigned right)
{
	pack(c);
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

static void lower_imul(struct ctx *c, unsigned arg)
{
	const struct insn *in = c->in;
	unsigned n = 0;

	(void)arg;
	pack(c);
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

static void lower_plain(struct ctx *c, unsigned p)
{
	pack(c);
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

static void lower_string(struct ctx *c, unsigned p)
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

static void lower_nop(struct ctx *c, unsigned arg)
{
	(void)arg;
	c->op->fn = h_nop;
	c->out->pure = true;
}

static void lower_cbw(struct ctx *c, unsigned osize)
{
	c->op->osize = (uint8_t)osize;
	c->op->fn = h_cbw;
	c->out->pure = true;
}

static void lower_cwd(struct ctx *c, unsigned osize)
{
	c->op->osize = (uint8_t)osize;
	c->op->fn = h_cwd;
	c->out->pure = true;
}

static void lower_lea(struct ctx *c, unsigned arg)
{
	const struct insn *in = c->in;

	(void)arg;
	c->op->a = in->o[0].reg;
	c->op->osize = in->o[0].size;
	set_address(c);
	c->out->pure = true;
	if (in->asize == 2 || (in->rip_rel && in->asize == 4))
		c->op->fn = h_lea_slow;
	else
		c->op->fn = lea_forms[width_index(c->op->osize)][in->asize == 8];
}

static void lower_xchg(struct ctx *c, unsigned arg)
{
	(void)arg;
	pack(c);
	c->op->osize = c->in->o[0].size;
	c->op->fn = c->op->flags & OPF_MEM ? xchg_m[width_index(c->op->osize)][ea_form(c)] : h_xchg_r;
	if (!c->op->fn)
		c->op->fn = h_xchg_m;
	c->out->pure = !(c->op->flags & OPF_MEM);
}

static void lower_bt(struct ctx *c, unsigned kind)
{
	const struct insn *in = c->in;

	pack(c);
	c->op->osize = in->o[0].size;
	c->op->imm = (in->imm & 0xff) | kind << 8 | (in->o[1].kind == OPD_IMM ? 1u << 10 : 0);
	c->op->fn = c->op->flags & OPF_MEM ? h_bt_m : h_bt_r;
	c->out->pure = !(c->op->flags & OPF_MEM);
}

static void lower_crc32(struct ctx *c, unsigned arg)
{
	(void)arg;
	pack(c);
	c->op->imm = c->in->o[1].size;
	c->op->fn = h_crc32;
}

static void lower_setcc(struct ctx *c, unsigned cc)
{
	pack(c);
	c->op->fn = c->op->flags & OPF_MEM ? setcc_m[cc] : setcc_r[cc];
	c->out->pure = !(c->op->flags & OPF_MEM);
}

static void lower_cmov(struct ctx *c, unsigned cc)
{
	pack(c);
	c->op->osize = c->in->o[0].size;
	c->out->pure = !(c->op->flags & OPF_MEM);
	c->out->straight = true;
	c->op->fn = c->out->pure ? cmov_r[cc][width_index(c->op->osize)]
				 : cmov_m[cc][width_index(c->op->osize)][ea_form(c)];
}

/* --- Stack and control ------------------------------------------------------------ */

static enum stack_kind stack_kind(const struct ctx *c, unsigned osize)
{
	if (c->hflags & HF_CS64)
		return osize == 8 ? STK_64 : STK_SLOW;
	return (c->hflags & HF_SS_FLAT) && (c->hflags & HF_SS32) && osize == 4 ? STK_FLAT32 : STK_SLOW;
}

static void lower_push(struct ctx *c, unsigned arg)
{
	const struct insn *in = c->in;

	(void)arg;
	pack(c);
	c->op->osize = in->osize;
	switch (in->o[0].kind) {
	case OPD_SREG: c->op->fn = h_push_sreg; break;
	case OPD_MEM:
		c->op->fn = ea_form(c) == EA_D32 || ea_form(c) == EA_D64 ? push_m[stack_kind(c, in->osize)]
									 : h_push_m;
		break;
	case OPD_IMM: c->op->fn = push_i[stack_kind(c, in->osize)]; break;
	default: c->op->fn = push_r[stack_kind(c, in->osize)]; break;
	}
}

static void lower_pop(struct ctx *c, unsigned arg)
{
	const struct insn *in = c->in;

	(void)arg;
	pack(c);
	c->op->osize = in->osize;
	switch (in->o[0].kind) {
	case OPD_SREG: c->op->fn = h_pop_sreg; break;
	case OPD_MEM: c->op->fn = h_pop_m; break;
	default:
		c->op->fn = pop_r[stack_kind(c, in->osize)];
		c->out->straight = true;
		break;
	}
}

enum branch_kind { BR_NEAR, BR_FAR, BR_SLOW };

/* Where a direct branch goes; fills disp, and imm (the width mask) or link. */
static enum branch_kind direct_target(struct ctx *c)
{
	const struct insn *in = c->in;
	bool flat = c->hflags & (HF_CS_FLAT | HF_CS64);
	unsigned osize = c->hflags & HF_CS64 ? 8 : in->osize;
	int64_t target = (int64_t)c->off + in->len + (int64_t)in->imm;

	c->op->osize = (uint8_t)osize;
	c->op->disp = (int32_t)in->imm;
	c->op->imm = osize == 8 ? ~0ull : osize == 4 ? 0xffffffffu : 0xffffu;
	if (!flat || osize == 2 || target != (int32_t)target)
		return BR_SLOW;
	c->op->disp = (int32_t)target;
	c->op->link = &no_trace;
	if (c->single || target < 0 || target >= (int64_t)PAGE_SIZE)
		return BR_FAR;
	c->op->flags |= OPF_NEAR;
	return BR_NEAR;
}

static void lower_jmp(struct ctx *c, unsigned arg)
{
	static op_fn *const direct[] = { [BR_NEAR] = h_jmp_near, [BR_FAR] = h_goto_linked, [BR_SLOW] = h_jmp_slow };
	const struct insn *in = c->in;

	(void)arg;
	c->out->end = true;
	if (in->o[0].kind == OPD_REL) {
		c->op->fn = direct[direct_target(c)];
		return;
	}
	pack(c);
	c->op->osize = in->osize;
	switch (in->o[0].kind) {
	case OPD_FAR: c->op->fn = h_jmp_far_imm; break;
	case OPD_GPR: c->op->fn = h_jmp_r; break;
	default:
		c->op->fn = in->far ? h_jmp_far_mem : h_jmp_m;
		if (!in->far && (c->hflags & (HF_CS_FLAT | HF_CS64)) && in->osize != 2 && jmp_m[ea_form(c)])
			c->op->fn = jmp_m[ea_form(c)];
		break;
	}
}

static void lower_call(struct ctx *c, unsigned arg)
{
	const struct insn *in = c->in;

	(void)arg;
	c->out->end = true;
	if (in->o[0].kind == OPD_REL) {
		switch (direct_target(c)) {
		case BR_NEAR: c->op->fn = call_near[stack_kind(c, c->op->osize)]; break;
		case BR_FAR: c->op->fn = call_far[stack_kind(c, c->op->osize)]; break;
		default: c->op->fn = h_call_slow; break;
		}
		return;
	}
	pack(c);
	c->op->osize = in->osize;
	switch (in->o[0].kind) {
	case OPD_FAR: c->op->fn = h_call_far_imm; break;
	case OPD_GPR:
		c->op->fn = call_r[c->hflags & (HF_CS_FLAT | HF_CS64) ? stack_kind(c, in->osize) : STK_SLOW];
		break;
	default: c->op->fn = in->far ? h_call_far_mem : h_call_m; break;
	}
}

static void lower_ret(struct ctx *c, unsigned arg)
{
	(void)arg;
	pack(c);
	c->out->end = true;
	c->op->osize = c->in->osize;
	if (c->in->far)
		c->op->fn = h_ret_far;
	else
		c->op->fn = c->hflags & (HF_CS_FLAT | HF_CS64)
			  ? ret_near[stack_kind(c, c->in->osize)] : h_ret_slow;
}

static void lower_jcc(struct ctx *c, unsigned cc)
{
	switch (direct_target(c)) {
	case BR_NEAR: c->op->fn = jcc_near[cc]; break;
	case BR_FAR: c->op->fn = jcc_far[cc]; break;
	default: c->op->fn = jcc_slow[cc]; break;
	}
}

static void counted_branch(struct ctx *c, op_fn *fn, unsigned a)
{
	direct_target(c);
	c->op->disp = (int32_t)c->in->imm;
	c->op->imm = c->op->osize == 8 ? ~0ull : c->op->osize == 4 ? 0xffffffffu : 0xffffu;
	c->op->a = (uint8_t)a;
	c->op->fn = fn;
}
static void lower_loop(struct ctx *c, unsigned kind) { counted_branch(c, h_loop, kind); }
static void lower_jcxz(struct ctx *c, unsigned width) { counted_branch(c, h_jcxz, width); }

/* --- System, x87, SSE: generic packing ------------------------------------------- */

static op_fn *mov_system_handler(const struct insn *in)
{
	switch (in->o[0].kind) {
	case OPD_SREG: return h_mov_to_sreg;
	case OPD_CR: return h_mov_to_cr;
	case OPD_DR: return h_mov_to_dr;
	}
	switch (in->o[1].kind) {
	case OPD_SREG: return h_mov_from_sreg;
	case OPD_CR: return h_mov_from_cr;
	case OPD_DR: return h_mov_from_dr;
	}
	return NULL;
}

static void lower_system(struct ctx *c, op_fn *fn, bool end)
{
	pack(c);
	c->op->osize = c->in->osize;
	c->op->fn = fn;
	c->out->end = end;
}

/* x87, MMX, SSE: packed as the legends of ops_x87.def and ops_sse.def say. */
static void lower_vector(struct ctx *c, op_fn *mmx, op_fn *xmm, op_fn *gpr)
{
	const struct insn *in = c->in;
	bool has_mmx = false, has_xmm = false, has_gpr = false;
	int m = memory_operand(in);

	pack(c);
	for (int i = 0; i < in->nopnd; i++) {
		has_mmx |= in->o[i].kind == OPD_MMX;
		has_xmm |= in->o[i].kind == OPD_XMM;
		has_gpr |= in->o[i].kind == OPD_GPR;
		if (m < 0 && in->o[i].kind == OPD_GPR && !c->op->osize)
			c->op->osize = in->o[i].size;
	}
	if (m >= 0) {
		c->op->osize = in->o[m].size;
	} else {	/* no address: room for what the operands are (legend of ops_sse.def) */
		c->op->base = in->o[0].kind;
		c->op->index = in->o[1].kind;
	}
	c->op->imm = in->x87 ? in->fop : (in->imm & 0xff) | (in->has_rex_w ? 1u << 8 : 0);
	if (gpr && has_gpr)
		c->op->fn = gpr;
	else
		c->op->fn = has_mmx && !has_xmm ? mmx : xmm;
	if (in->x87)
		c->op->fn = x87_handler(in->fop);
}

/* --- The table ------------------------------------------------------------------------ */

static const struct row {
	void (*lower)(struct ctx *c, unsigned arg);
	unsigned arg;
	op_fn *handler, *xmm, *gpr;
	bool system, end;
} rows[M_COUNT] = {
#undef INT
#undef STR
#define END true
#define INT(m, fn, a)		[M_##m] = { .lower = lower_##fn, .arg = a },
#define STR(m, fn, a)		[M_##m] = { .lower = lower_##fn, .arg = a },
#define SYS(m, h, e)		[M_##m] = { .handler = h, .system = true, .end = e },
#define GEN(m, h)		[M_##m] = { .handler = h, .xmm = h },
#define GEN2(m, mmx_, xmm_)	[M_##m] = { .handler = mmx_, .xmm = xmm_ },
#define GEN3(m, mmx_, xmm_, g)	[M_##m] = { .handler = mmx_, .xmm = xmm_, .gpr = g },
#include "interp/ops_int.def"
#include "interp/ops_sys.def"
#include "interp/ops_x87.def"
#include "interp/ops_sse.def"
};

void lower(const struct cpu_model *model, uint32_t hflags, const struct insn *in, unsigned off,
	   bool single, struct op *op, struct lowered *out)
{
	struct ctx c = { hflags, off, single, in, op, out };
	const struct row *r = &rows[in->mnem];

	memset(op, 0, sizeof(*op));
	memset(out, 0, sizeof(*out));
		op->base = op->index = R_ZERO;
	op->seg = SEG_DS;
	op->len = in->len;
	op->off = (uint16_t)off;
	op->flags = (uint8_t)((in->asize == 8 ? OPF_A64 : in->asize == 2 ? OPF_A16 : 0) |
			      (in->rep ? OPF_REP : 0) | (in->repne ? OPF_REPNE : 0) |
			      (in->lock ? OPF_LOCK : 0));
	if (!cpu_model_has(model, in->feature)) {
		invalid(&c);
		return;
	}
	if (r->lower)
		r->lower(&c, r->arg);
	else if (r->system)
		lower_system(&c, r->handler, r->end);
	else if (r->handler || r->xmm)
		lower_vector(&c, r->handler, r->xmm, r->gpr);
	if (!op->fn)
		invalid(&c);
	out->reads = in->fl_read;
	out->straight |= out->pure;
}

void lower_goto(uint32_t hflags, unsigned off, struct op *op)
{
	memset(op, 0, sizeof(*op));
	op->off = (uint16_t)off;
	op->fn = hflags & (HF_CS_FLAT | HF_CS64) ? h_goto_linked : h_goto;
	op->disp = (int32_t)off;
	op->link = &no_trace;
}

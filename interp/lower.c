/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lowering table: one row a mnemonic, made from the .def files, each naming a
 * small function that picks a handler by operand form, width and address form.
 * Decides nothing about meaning; that is the handlers'.
 */
#include <string.h>

#include "interp/lower_parts.h"

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

int insn_memory_operand(const struct insn *in)
{
	for (int i = 0; i < in->nopnd; i++)
		if (in->o[i].kind == OPD_MEM)
			return i;
	return -1;
}

enum ea_form ea_form(const struct ctx *c)
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

void op_set_address(struct ctx *c)
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

void op_pack(struct ctx *c)
{
	const struct insn *in = c->in;
	struct op *op = c->op;
	unsigned nregs = 0;
	int m = insn_memory_operand(in);

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
		op_set_address(c);
	}
}

void op_invalid(struct ctx *c)
{
	c->op->fn = h_invalid;
	c->out->end = true;
}

/* --- System, x87, SSE: generic packing ------------------------------------------- */

op_fn *mov_system_handler(const struct insn *in)
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
	op_pack(c);
	c->op->osize = c->in->osize;
	c->op->fn = fn;
	c->out->end = end;
}

/* x87, MMX, SSE: packed as the legends of ops_x87.def and ops_sse.def say. */
static void lower_vector(struct ctx *c, op_fn *mmx, op_fn *xmm, op_fn *gpr)
{
	const struct insn *in = c->in;
	bool has_mmx = false, has_xmm = false, has_gpr = false;
	int m = insn_memory_operand(in);

	op_pack(c);
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
		op_invalid(&c);
		return;
	}
	if (r->lower)
		r->lower(&c, r->arg);
	else if (r->system)
		lower_system(&c, r->handler, r->end);
	else if (r->handler || r->xmm)
		lower_vector(&c, r->handler, r->xmm, r->gpr);
	if (!op->fn)
		op_invalid(&c);
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

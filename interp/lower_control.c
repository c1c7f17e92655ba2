/* SPDX-License-Identifier: BSD-2-Clause */
/* Lowering: the stack, branches and calls. */
#include "interp/lower_parts.h"

static enum stack_kind stack_kind(const struct ctx *c, unsigned osize)
{
	if (c->hflags & HF_CS64)
		return osize == 8 ? STK_64 : STK_SLOW;
	return (c->hflags & HF_SS_FLAT) && (c->hflags & HF_SS32) && osize == 4 ? STK_FLAT32 : STK_SLOW;
}

void lower_push(struct ctx *c, unsigned arg)
{
	const struct insn *in = c->in;

	(void)arg;
	op_pack(c);
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

void lower_pop(struct ctx *c, unsigned arg)
{
	const struct insn *in = c->in;

	(void)arg;
	op_pack(c);
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

void lower_jmp(struct ctx *c, unsigned arg)
{
	static op_fn *const direct[] = { [BR_NEAR] = h_jmp_near, [BR_FAR] = h_goto_linked, [BR_SLOW] = h_jmp_slow };
	const struct insn *in = c->in;

	(void)arg;
	c->out->end = true;
	if (in->o[0].kind == OPD_REL) {
		c->op->fn = direct[direct_target(c)];
		return;
	}
	op_pack(c);
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

void lower_call(struct ctx *c, unsigned arg)
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
	op_pack(c);
	c->op->osize = in->osize;
	switch (in->o[0].kind) {
	case OPD_FAR: c->op->fn = h_call_far_imm; break;
	case OPD_GPR:
		c->op->fn = call_r[c->hflags & (HF_CS_FLAT | HF_CS64) ? stack_kind(c, in->osize) : STK_SLOW];
		break;
	default: c->op->fn = in->far ? h_call_far_mem : h_call_m; break;
	}
}

void lower_ret(struct ctx *c, unsigned arg)
{
	(void)arg;
	op_pack(c);
	c->out->end = true;
	c->op->osize = c->in->osize;
	if (c->in->far)
		c->op->fn = h_ret_far;
	else
		c->op->fn = c->hflags & (HF_CS_FLAT | HF_CS64)
			  ? ret_near[stack_kind(c, c->in->osize)] : h_ret_slow;
}

void lower_jcc(struct ctx *c, unsigned cc)
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
void lower_loop(struct ctx *c, unsigned kind) { counted_branch(c, h_loop, kind); }
void lower_jcxz(struct ctx *c, unsigned width) { counted_branch(c, h_jcxz, width); }

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers that transfer control between segments and privilege levels: far
 * JMP, CALL, RET, INT, IRET, SYSENTER, SYSCALL and their returns. The rules are in
 * far.c, far_ret.c, iret.c and event.c; here is only how an instruction reaches
 * them and where it goes on. SDM 2; SDM 3A 5.8.7, 5.8.8.
 */
#include "interp/system_ops.h"

/* --- Far transfers -------------------------------------------------------------- */

static uint16_t far_operand(struct interp *v, const struct op *op, uint64_t *off)
{
	uint64_t ea = ea_offset(v, op), mask = ~0ull;

	if (!(op->flags & OPF_A64))
		mask = op->flags & OPF_A16 ? 0xffff : 0xffffffff;
	*off = mem_read(v, op->seg, ea, op->osize);
	return (uint16_t)mem_read(v, op->seg, (ea + op->osize) & mask, 2);
}

HANDLER(h_jmp_far_imm)
{
	SYNC(v, op);
	far_jump(v, (uint16_t)(op->imm >> 32), (uint32_t)op->imm, op->osize, next_rip(v, op));
	return resume(v, op);
}

HANDLER(h_jmp_far_mem)
{
	uint64_t off;

	SYNC(v, op);
	uint16_t sel = far_operand(v, op, &off);

	far_jump(v, sel, off, op->osize, next_rip(v, op));
	return resume(v, op);
}

HANDLER(h_call_far_imm)
{
	SYNC(v, op);
	far_call(v, (uint16_t)(op->imm >> 32), (uint32_t)op->imm, op->osize, next_rip(v, op));
	return resume(v, op);
}

HANDLER(h_call_far_mem)
{
	uint64_t off;

	SYNC(v, op);
	uint16_t sel = far_operand(v, op, &off);

	far_call(v, sel, off, op->osize, next_rip(v, op));
	return resume(v, op);
}

HANDLER(h_ret_far)
{
	SYNC(v, op);
	far_ret(v, op->osize, op->imm & 0xffff);
	return resume(v, op);
}

HANDLER(h_iret)
{
	struct cpu *c = &v->cpu;

	SYNC(v, op);
	far_iret(v, op->osize, next_rip(v, op));
	/* RF holds off instruction breakpoints for one instruction; without any it has
	 * done its work already. */
	if (c->eflags & FL_RF) {
		if (c->dr[7] & 0xff)
			v->set_rf = true;
		else
			c->eflags &= ~FL_RF;
	}
	return resume(v, op);
}

/* --- Software interrupts --------------------------------------------------------- */

static const struct op *software_event(struct interp *v, const struct op *op, unsigned vector,
				       enum event_kind kind)
{
	SYNC(v, op);
	v->cpu.rip = next_rip(v, op);
	event_deliver(v, vector, kind, false, 0);
	/* The handler is entered with TF clear, and the step's trap is not taken. */
	v->tf_step = false;
	return resume(v, op);
}

HANDLER(h_int) { return software_event(v, op, op->imm & 0xff, EV_SOFT); }
HANDLER(h_int3) { return software_event(v, op, VEC_BP, EV_INT3_INTO); }
HANDLER(h_int1) { return software_event(v, op, VEC_DB, EV_ICEBP); }

HANDLER(h_into)
{
	if (!(v->cpu.arith & AR_OF))
		NEXT(v, op);
	return software_event(v, op, VEC_OF, EV_INT3_INTO);
}

/* --- Fast system calls ------------------------------------------------------------- */

/* Flat segments as the fast calls load them, without looking at a table. */
static void load_flat(struct cpu *c, uint16_t code, uint16_t stack, bool code64)
{
	unsigned rpl = code & 3;
	uint16_t common = (uint16_t)(SEG_G | SEG_P | rpl << 5 | SEG_S | SEG_A);

	c->seg[SEG_CS] = (struct segment){ .sel = code, .limit = 0xffffffff,
		.attr = (uint16_t)(common | (code64 ? SEG_L : SEG_D) | SEG_CODE | SEG_R) };
	c->seg[SEG_SS] = (struct segment){ .sel = stack, .limit = 0xffffffff,
		.attr = (uint16_t)(common | SEG_D | SEG_W) };
	c->cpl = (uint8_t)rpl;
}

void sysenter(struct interp *v)
{
	struct cpu *c = &v->cpu;
	uint16_t cs = (uint16_t)c->msr_sysenter_cs & 0xfffc;
	bool lm = cpu_long_mode(c);

	if (!(c->cr0 & CR0_PE) || !cs)
		raise_gp0(v);
	flags_merge(c, 0, FL_VM | FL_IF | FL_RF);
	load_flat(c, cs, (uint16_t)(cs + 8), lm);
	c->gpr[RSP] = lm ? c->msr_sysenter_esp : (uint32_t)c->msr_sysenter_esp;
	c->rip = lm ? c->msr_sysenter_eip : (uint32_t)c->msr_sysenter_eip;
}

HANDLER(h_sysenter)
{
	SYNC(v, op);
	sysenter(v);
	return resume(v, op);
}

HANDLER(h_sysexit)
{
	struct cpu *c = &v->cpu;
	uint16_t base = (uint16_t)c->msr_sysenter_cs & 0xfffc;
	bool to64 = op->osize == 8;
	uint64_t rip = c->gpr[RDX], rsp = c->gpr[RCX];

	SYNC(v, op);
	if (!(c->cr0 & CR0_PE) || !base || c->cpl != 0)
		raise_gp0(v);
	if (to64 && (!canonical(rip) || !canonical(rsp)))
		raise_gp0(v);
	base = (uint16_t)((base + (to64 ? 32 : 16)) | 3);
	load_flat(c, base, (uint16_t)(base + 8), to64);
	c->gpr[RSP] = to64 ? rsp : (uint32_t)rsp;
	c->rip = to64 ? rip : (uint32_t)rip;
	return resume(v, op);
}

/* Intel's: SYSCALL and SYSRET exist in 64-bit code only. */
HANDLER(h_syscall)
{
	struct cpu *c = &v->cpu;
	uint16_t cs = (uint16_t)(c->msr_star >> 32) & 0xfffc;

	SYNC(v, op);
	if (!cpu_code64(c) || !(c->efer & EFER_SCE))
		raise_ud(v);
	c->gpr[RCX] = next_rip(v, op);
	c->gpr[R11] = cpu_eflags(c) & ~FL_RF;
	c->rip = c->msr_lstar;
	flags_merge(c, 0, (uint32_t)c->msr_sfmask | FL_RF);
	load_flat(c, cs, (uint16_t)(cs + 8), true);
	if (!(c->eflags & FL_TF))
		v->tf_step = false;
	return resume(v, op);
}

HANDLER(h_sysret)
{
	struct cpu *c = &v->cpu;
	uint16_t base = (uint16_t)(c->msr_star >> 48);
	bool to64 = op->osize == 8;

	SYNC(v, op);
	if (!cpu_code64(c) || !(c->efer & EFER_SCE))
		raise_ud(v);
	if (c->cpl != 0 || (to64 && !canonical(c->gpr[RCX])))
		raise_gp0(v);
	c->rip = to64 ? c->gpr[RCX] : (uint32_t)c->gpr[RCX];
	cpu_set_eflags(c, (c->gpr[R11] & 0x3c7fd7) | FL_1);
	load_flat(c, (uint16_t)((base + (to64 ? 16 : 0)) | 3), (uint16_t)((base + 8) | 3), to64);
	return resume(v, op);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers around EFLAGS and I/O: PUSHF, POPF, CLI, STI (with the virtual
 * interrupt flag of VME and PVI), CLAC, STAC, IN, OUT. INS and OUTS are string
 * instructions. SDM 2; SDM 3B 20.3, 20.4.
 */
#include "debug/disasm.h"
#include "interp/system_ops.h"

static unsigned iopl_of(const struct cpu *c)
{
	return (c->eflags & FL_IOPL) >> 12;
}

HANDLER(h_pushf)
{
	struct cpu *c = &v->cpu;
	uint32_t fl = cpu_eflags(c) & ~(FL_VM | FL_RF);
	uint64_t sp = (c->gpr[RSP] - op->osize) & stack_mask(c);

	SYNC(v, op);
	if ((c->eflags & FL_VM) && iopl_of(c) < 3) {
		if (!(c->cr4 & CR4_VME) || op->osize != 2)
			raise_gp0(v);
		fl = (fl & ~FL_IF) | FL_IOPL | (fl & FL_VIF ? FL_IF : 0);
	}
	mem_write(v, SEG_SS, sp, op->osize, fl);
	stack_drop(v, -op->osize);
	NEXT_CHECKED(v, op);
}

HANDLER(h_popf)
{
	struct cpu *c = &v->cpu;
	uint32_t old = c->eflags;

	SYNC(v, op);
	flags_write(v, (uint32_t)stack_peek(v, 0, op->osize), op->osize);
	stack_drop(v, op->osize);
	/* TF and AC change how to go on, IF whether to. */
	if (unlikely((c->eflags ^ old) & (FL_TF | FL_AC)) || unlikely(must_leave(v)))
		return resume_next(v, op);
	NEXT(v, op);
}

/* May this code touch the virtual interrupt flag instead of the real one? */
static bool virtual_if(struct interp *v)
{
	const struct cpu *c = &v->cpu;

	if (!(c->cr0 & CR0_PE) || iopl_of(c) >= c->cpl)
		return false;
	if (c->eflags & FL_VM ? !(c->cr4 & CR4_VME) : !(c->cr4 & CR4_PVI) || c->cpl != 3)
		raise_gp0(v);
	return true;
}

HANDLER(h_cli)
{
	SYNC(v, op);
	v->cpu.eflags &= virtual_if(v) ? ~FL_VIF : ~FL_IF;
	NEXT(v, op);
}

HANDLER(h_sti)
{
	struct cpu *c = &v->cpu;
	uint32_t old = c->eflags;

	SYNC(v, op);
	if (virtual_if(v)) {
		if (c->eflags & FL_VIP)
			raise_gp0(v);
		c->eflags |= FL_VIF;
		NEXT(v, op);
	}
	c->eflags |= FL_IF;
	if (unlikely(must_leave(v))) {
		/* A step's trap is not held off, and comes before any interrupt. */
		c->int_shadow = !(old & FL_IF) && !v->tf_step;
		return op_leave_after(v, op);
	}
	NEXT(v, op);
}

static const struct op *set_ac(struct interp *v, const struct op *op, uint32_t ac)
{
	SYNC(v, op);
	if (!(v->cpu.cr4 & CR4_SMAP) || v->cpu.cpl != 0)
		raise_ud(v);
	v->cpu.eflags = (v->cpu.eflags & ~FL_AC) | ac;
	tlb_flush(v);	/* AC decides what supervisor accesses may reach */
	return resume_next(v, op);
}

HANDLER(h_clac) { return set_ac(v, op, 0); }
HANDLER(h_stac) { return set_ac(v, op, FL_AC); }

/* --- Ports ----------------------------------------------------------------------- */

/* The device may have raised an interrupt, or turned the machine off. */
static const struct op *after_io(struct interp *v, const struct op *op)
{
	if (unlikely(v->m->power != POWER_ON || must_leave(v)))
		return op_leave_after(v, op);
	NEXT_CHECKED(v, op);
}

/* A port in DX shows as a register operand; an immediate one leaves AL's number. */
static uint16_t port_operand(struct interp *v, const struct op *op, unsigned reg)
{
	return reg == 8 * RDX ? REG16(v, 8 * RDX) : op->imm & 0xff;
}

HANDLER(h_in)
{
	uint16_t port = port_operand(v, op, op->b);

	SYNC(v, op);
	io_check(v, port, op->osize);
	clock_sync(v);
	uint32_t x = bus_in(v->m->bus, port, op->osize);

	trace_line(v->m, TRACE_IO, "in  %04x %u: %x\n", port, op->osize, x);
	reg_set(v, 8 * RAX, op->osize, x);
	return after_io(v, op);
}

HANDLER(h_out)
{
	uint16_t port = port_operand(v, op, op->a);

	SYNC(v, op);
	io_check(v, port, op->osize);
	uint32_t x = (uint32_t)reg_get(v, 8 * RAX, op->osize);

	trace_line(v->m, TRACE_IO, "out %04x %u: %x\n", port, op->osize, x);
	clock_sync(v);
	bus_out(v->m->bus, port, x, op->osize);
	return after_io(v, op);
}

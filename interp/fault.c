/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raising a guest fault: the state is rolled back to the current instruction's
 * start (RIP; handlers change nothing else before their last possible fault) and
 * the run loop delivers it. SDM 3A 6.
 */
#include "interp/fast.h"

static _Noreturn void escape(struct interp *v, int vec, bool has_code, uint32_t code)
{
	if (v->op) {
		v->cpu.rip = OP_RIP(v, v->op);
		if (!(v->hflags & HF_CS64))
			v->cpu.rip = (uint32_t)v->cpu.rip;
		v->budget -= v->op->done - 1;
		v->op = NULL;
	}
	v->fault = (struct fault){ .vec = (int8_t)vec, .has_code = has_code, .code = code };
	bug_on(!v->escape);
	longjmp(*v->escape, ESCAPE_FAULT);
}

_Noreturn void raise_fault(struct interp *v, int vec)
{
	escape(v, vec, false, 0);
}

_Noreturn void raise_code(struct interp *v, int vec, uint32_t code)
{
	escape(v, vec, true, code);
}

_Noreturn void raise_pf(struct interp *v, gva_t gva, uint32_t code)
{
	v->cpu.cr2 = gva;
	escape(v, VEC_PF, true, code);
}

const struct op *op_leave_at(struct interp *v, const struct op *op, uint64_t rip)
{
	v->cpu.rip = v->hflags & HF_CS64 ? rip : (uint32_t)rip;
	v->budget -= op->done;
	v->op = NULL;
	return NULL;
}

const struct op *op_leave_after(struct interp *v, const struct op *op)
{
	return op_leave_at(v, op, OP_NEXT_RIP(v, op));
}

/* An encoding that is none, or that the CPU model does not have. */
HANDLER(h_invalid)
{
	SYNC(v, op);
	raise_ud(v);
}

/* More than 15 bytes (SDM 2 2.3.11), or past the end of the code segment. */
HANDLER(h_too_long)
{
	SYNC(v, op);
	raise_gp0(v);
}

/* The end of a single step. */
HANDLER(h_stop)
{
	return op_leave_at(v, op, OP_RIP(v, op));
}

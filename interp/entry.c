/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Doors into the interpreter for events that direct code met and that no
 * instruction stands for any more, and the delivery of a fault with what may
 * follow from it (SDM 3A 6.15, #DF). RIP is right when these are called.
 */
#include "interp/descriptor.h"

void fault_deliver(struct interp *v)
{
	struct fault f = v->fault;

	v->op = NULL;
	if (v->delivering == VEC_DF) {
		v->delivering = -1;
		v->m->power = POWER_TRIPLE;
		return;
	}
	if (event_double_fault(v->delivering, f.vec))
		f = (struct fault){ .vec = VEC_DF, .has_code = true };
	v->delivering = f.vec;
	v->counts.faults++;
	v->counts.last_fault = (uint8_t)f.vec;
	v->counts.user_page_faults += f.vec == VEC_PF && v->cpu.cpl == 3;
	event_deliver(v, (unsigned)f.vec, EV_FAULT, f.has_code, f.code);
	v->delivering = -1;
	interp_update(v);
}

/* Runs what follows with faults delivered; any of them restarts at the setjmp. */
#define GUARDED(v, action)				\
	do {						\
		jmp_buf escape_, *old_ = (v)->escape;	\
		(v)->escape = &escape_;			\
		(v)->op = NULL;				\
		if (setjmp(escape_))			\
			fault_deliver(v);		\
		else					\
			action;				\
		(v)->escape = old_;			\
		interp_update(v);			\
	} while (0)

void interp_raise_soft(struct interp *v, unsigned vector, bool has_code, uint32_t code)
{
	v->delivering = -1;
	v->fault = (struct fault){ .vec = (int8_t)vector, .has_code = has_code, .code = code };
	GUARDED(v, fault_deliver(v));
}

void interp_sysenter(struct interp *v)
{
	v->delivering = -1;
	GUARDED(v, sysenter(v));
}

void interp_load_segment(struct interp *v, enum segreg s, uint16_t sel)
{
	v->delivering = -1;
	GUARDED(v, seg_load(v, s, sel));
}

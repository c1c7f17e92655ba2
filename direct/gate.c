/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate decides from the vCPU's state alone; what the code is, the scanner asks, and
 * whether it pays, the mode manager. The states admitted are those in which PUSHF,
 * POPF, CLI and STI mean the same at CPL 3 of the host as at CPL 3 of the guest: IF=1
 * and IOPL<3, so that POPF changes neither and CLI traps (SDM 2, POPF, CLI; 3A 6.8.1).
 *
 * Admitted on purpose: EFLAGS.AC without CR0.AM (the host's #AC sends the access to the
 * interpreter, which knows that it is none), CR4.TSD and a TSC offset (the engine makes
 * RDTSC trap), a cleared CR4.OSXMMEXCPT (SIGFPE, the interpreter raises #UD).
 */
#include "direct/gate.h"

#define DR7_ENABLED	0xffu	/* L0, G0 .. L3, G3 */

enum gate_reason gate_refuses(const struct machine *m, const struct direct_engine *e, void *self,
			      bool strict)
{
	const struct cpu *c = m->cpu;

	if (!(c->cr0 & CR0_PE))
		return GATE_REAL;
	if (c->eflags & FL_VM)
		return GATE_V86;
	if (c->cpl != 3)
		return GATE_SUPERVISOR;
	if (c->halted)
		return GATE_HALTED;
	if (!(c->eflags & FL_IF))
		return GATE_NOT_IF;
	if ((c->eflags & FL_IOPL) == FL_IOPL)
		return GATE_IOPL;
	if (c->eflags & FL_TF)
		return GATE_TF;
	if (c->eflags & (FL_VIF | FL_VIP))
		return GATE_VIRTUAL_IF;
	if (c->int_shadow)
		return GATE_SHADOW;
	if (c->pending_dbg)
		return GATE_DEBUG_TRAP;
	if (c->nmi_pending && !c->nmi_blocked)
		return GATE_NMI;
	if (m->intr)
		return GATE_INTERRUPT;
	if (c->dr[7] & DR7_ENABLED)
		return GATE_BREAKPOINT;
	if (c->cr0 & CR0_EM)
		return GATE_FPU_EM;
	/* Guest code that uses SSE without OSFXSR expects #UD: only one that looks. */
	if (strict && !(c->cr4 & CR4_OSFXSR))
		return GATE_SSE;
	if (e->refuses(self, c))
		return GATE_SEGMENT;
	if (c->cr0 & CR0_TS)
		return GATE_FPU_TS;
	return GATE_OK;
}

const char *gate_reason_name(enum gate_reason r)
{
	static const char *const names[GATE_REASONS] = {
		[GATE_OK] = "ok",
#define GATE(name, text) [GATE_##name] = text,
#include "direct/gate.def"
#undef GATE
	};

	return r < GATE_REASONS ? names[r] : "?";
}

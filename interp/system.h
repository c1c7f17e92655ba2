/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segmentation, privilege and events: what the protected-mode half of the manual
 * (SDM 3A ch. 5-8) says. All functions raise guest faults through raise_*() with
 * the state as it was before the instruction, unless they say otherwise, and
 * all leave derived state to be recomputed by interp_update() (their callers do).
 */
#ifndef INTERP_SYSTEM_H
#define INTERP_SYSTEM_H

#include "interp/core.h"

/* Data segment registers: MOV, POP, LxS (SDM 2 MOV; real, V86, protected, long). */
void seg_load(struct interp *v, enum segreg s, uint16_t sel);
/* LLDT, LTR. */
void seg_load_ldtr(struct interp *v, uint16_t sel);
void seg_load_tr(struct interp *v, uint16_t sel);

/* Far transfers. Each sets CS:RIP (and SS:RSP, CPL, the stack contents); next is
 * the RIP after the instruction, osize 2, 4 or 8. */
void far_jump(struct interp *v, uint16_t sel, uint64_t off, unsigned osize, uint64_t next);
void far_call(struct interp *v, uint16_t sel, uint64_t off, unsigned osize, uint64_t next);
void far_ret(struct interp *v, unsigned osize, unsigned pop_bytes);
void far_iret(struct interp *v, unsigned osize, uint64_t next);

/* Events. kind: how the vector came about decides DPL checks, the error code's
 * EXT bit and what is pushed as RIP (the caller sets cpu.rip to it first). */
enum event_kind { EV_FAULT, EV_EXTERNAL, EV_SOFT /* INT n */, EV_INT3_INTO, EV_ICEBP, EV_TRAP_DB };
void event_deliver(struct interp *v, unsigned vector, enum event_kind kind, bool has_code,
		   uint32_t code);

/* Delivers v->fault, or the double fault it becomes while v->delivering; a triple
 * fault stops the machine. May raise again: the caller comes back with that. */
void fault_deliver(struct interp *v);

/* Hardware task switch (SDM 3A 7.3). */
enum task_how { TASK_JMP, TASK_CALL, TASK_IRET, TASK_EVENT };
void task_switch(struct interp *v, uint16_t sel, enum task_how how, uint64_t next,
		 bool has_code, uint32_t code);

/* Is this port access allowed (IOPL, VM, TSS bitmap)? Raises #GP if not. */
void io_check(struct interp *v, uint16_t port, unsigned size);

/* Control registers and MSRs: the write checks of SDM 2 MOV CR and SDM 4. Raise
 * #GP for reserved bits and forbidden combinations; flush and reload what follows. */
void cr_write(struct interp *v, unsigned n, uint64_t val);
uint64_t msr_read(struct interp *v, uint32_t index);
void msr_write(struct interp *v, uint32_t index, uint64_t val);
/* POPF-like change of EFLAGS by code at CPL: which bits change (SDM 2 POPF). */
void flags_write(struct interp *v, uint32_t fl, unsigned osize);

/* CPUID leaf as the model says (cpuid.c). */
struct cpuid_regs { uint32_t eax, ebx, ecx, edx; };
/* machine->cpuid. */
void interp_cpuid(void *self, uint32_t leaf, uint32_t sub, uint32_t out[4]);
void model_cpuid(struct interp *v, uint32_t leaf, uint32_t sub, struct cpuid_regs *out);
bool model_has(const struct interp *v, unsigned feature);	/* enum feature, cpu_model.h */

#endif

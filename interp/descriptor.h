/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors and stacks as far transfers, events and task switches share them.
 * Private to the protected-mode half: nothing else includes it.
 *
 *   31      24 23 22 21 20 19   16 15 14 13 12 11   8 7       0
 *   | base   | G| D| L|AVL| limit | P| DPL | S| type | base    |  hi
 *   | base 15..0                  | limit 15..0                |  lo
 *
 *   | offset 31..16               | P| DPL | 0| type | count/0 |  hi, a gate
 *   | selector                    | offset 15..0               |  lo
 *
 * ext is the EXT bit of error codes: 1 while an event that is not the program's
 * own doing is delivered (SDM 3A 6.13).
 */
#ifndef INTERP_DESCRIPTOR_H
#define INTERP_DESCRIPTOR_H

#include "interp/system.h"

struct desc {
	uint32_t lo, hi;
	uint32_t lo2, hi2;	/* second half of a 16-byte descriptor, else 0 */
	gva_t at;
};

/* System descriptor types, SDM 3A table 3-2. */
enum { SYS_TSS16 = 1, SYS_LDT, SYS_TSS16_BUSY, SYS_CALL16, SYS_TASK_GATE, SYS_INT16, SYS_TRAP16,
       SYS_TSS32 = 9, SYS_TSS32_BUSY = 11, SYS_CALL32, SYS_INT32 = 14, SYS_TRAP32 };
#define SYS_BUSY	2u
#define SYS_IS32	8u

static inline uint16_t desc_attr(const struct desc *d) { return (d->hi >> 8) & 0xf0ff; }
static inline unsigned desc_type(const struct desc *d) { return d->hi >> 8 & 15; }
static inline unsigned desc_dpl(const struct desc *d) { return d->hi >> 13 & 3; }
static inline bool desc_present(const struct desc *d) { return d->hi >> 15 & 1; }
static inline bool desc_is_segment(const struct desc *d) { return d->hi >> 12 & 1; }
static inline bool desc_is_code(const struct desc *d) { return (d->hi >> 11 & 3) == 3; }
static inline bool desc_conforming(const struct desc *d) { return d->hi >> 10 & 1; }
static inline bool desc_is_writable_data(const struct desc *d)
{
	return (d->hi >> 8 & (SEG_S | SEG_CODE | SEG_W)) == (SEG_S | SEG_W);
}
static inline bool desc_is_readable(const struct desc *d)
{
	return desc_is_segment(d) && (d->hi >> 8 & (SEG_CODE | SEG_R)) != SEG_CODE;
}
static inline bool desc_long(const struct desc *d) { return d->hi >> 21 & 1; }
static inline bool desc_big(const struct desc *d) { return d->hi >> 22 & 1; }
static inline uint16_t gate_sel(const struct desc *d) { return d->lo >> 16; }
static inline uint64_t gate_off(const struct desc *d)
{
	return (uint64_t)d->lo2 << 32 | (d->hi & 0xffff0000) | (d->lo & 0xffff);
}
static inline bool sel_null(uint16_t sel) { return !(sel & 0xfffc); }
static inline bool canonical(uint64_t a) { return (uint64_t)((int64_t)(a << 16) >> 16) == a; }
static inline bool cpu_protected(const struct cpu *c)
{
	return (c->cr0 & CR0_PE) && !(c->eflags & FL_VM);
}

/* --- segment.c ---------------------------------------------------------- */

/* Raises vec with the error code of a selector: its index and TI, and ext (SDM 3A 6.13). */
_Noreturn void sel_fault(struct interp *v, int vec, uint16_t sel, unsigned ext);

/* Reads the descriptor of a selector that is not null; false if it is outside its table. */
bool desc_find(struct interp *v, uint16_t sel, struct desc *d);
/* The same, raising vec(sel) if it is outside. */
void desc_fetch(struct interp *v, uint16_t sel, int vec, unsigned ext, struct desc *d);
/* Second half of a 16-byte descriptor of long mode; vec(sel) if there is none. */
void desc_fetch_high(struct interp *v, uint16_t sel, int vec, unsigned ext, struct desc *d);
/* Sets the accessed bit in the table if it is clear. May raise #PF. */
void desc_touch(struct interp *v, struct desc *d);
/* Rewrites the type field (the busy bit of a TSS) in the table. */
void desc_set_type(struct interp *v, struct desc *d, unsigned type);

/* The hidden part from a descriptor; or as a null selector, real mode (base alone), or
 * virtual-8086 mode (SDM 3A 20.1) leaves it. Nothing is checked, nothing raised. */
void seg_set(struct segment *s, uint16_t sel, const struct desc *d);
void seg_set_null(struct segment *s, uint16_t sel);
void seg_set_real(struct segment *s, uint16_t sel);
void seg_set_v86(struct segment *s, uint16_t sel);
/* A stack segment that long mode loads as null selector on the way to level dpl. */
void seg_set_null_ss(struct segment *s, uint16_t sel, unsigned dpl);
/* After a return to an outer level: data segments that it may not keep become null. */
void seg_drop_inner(struct interp *v);
/* Does [off, off + n) lie inside the segment? */
bool seg_limit_ok(const struct segment *s, uint64_t off, unsigned n);

/* Raises #GP(ext) unless rip is inside the code segment (or canonical in 64-bit code). */
void rip_check(struct interp *v, const struct segment *cs, uint64_t rip, unsigned ext);

/* --- stack_frame.c --------------------------------------------------------- */

/*
 * A stack that is about to be pushed on, the current one or that of an inner
 * level. First stack_room() (limits), then stack_probe() (paging), then pushes,
 * which cannot fail any more; the caller commits sp.
 */
struct stack {
	struct segment ss;
	uint64_t sp, mask;	/* mask: of the stack-address size */
	unsigned size;		/* bytes a push */
	unsigned access;	/* ACC_USER or 0 */
	uint32_t code;		/* of the #SS */
	bool flat64;		/* 64-bit: no limits, base 0 */
};

/* SS:RSP for pushes of size bytes; code: the error code of a #SS. */
void stack_current(struct interp *v, unsigned size, uint32_t code, struct stack *st);
/* The stack that the TSS holds for level dpl (16- or 32-bit TSS), all checks of SDM 3A
 * 6.12.1 and CALL done; *d is its descriptor, to be touched. */
void stack_inner(struct interp *v, unsigned dpl, unsigned size, unsigned ext, struct stack *st,
		 struct desc *d);
/* The same in long mode: RSP of level dpl, or an IST entry if ist != 0. */
void stack_inner64(struct interp *v, unsigned dpl, unsigned ist, unsigned ext, struct stack *st);
void stack_room(struct interp *v, const struct stack *st, unsigned pushes);
void stack_probe(struct interp *v, const struct stack *st, unsigned pushes);
void stack_push(struct interp *v, struct stack *st, uint64_t val);
/* RSP = st->sp, leaving bits outside the stack-address size alone. */
void stack_commit(struct interp *v, const struct stack *st);

/* The current stack as a source: slot i above RSP + skip bytes. */
uint64_t stack_mask(const struct cpu *c);
uint64_t stack_peek(struct interp *v, unsigned skip, unsigned size);
/* RSP += bytes within the stack-address size of the current stack. */
void stack_drop(struct interp *v, int bytes);

/* --- far_ret.c, task.c, event.c, control.c ----------------------------------- */

/* Return addresses: the checks that RETF and IRET share. Fetches and checks CS. */
void far_return_cs(struct interp *v, uint16_t sel, struct desc *cs);
/* Finishes a return to CS:RIP: to the same level (skip bytes are dropped) or to an outer
 * one, whose SS:RSP are at skip; release is added to the new RSP as well. */
void far_return_same(struct interp *v, uint16_t sel, struct desc *cs, uint64_t rip, unsigned skip);
void far_return_outer(struct interp *v, uint16_t sel, struct desc *cs, uint64_t rip,
		      unsigned osize, unsigned skip, unsigned release);

/* rf: FL_RF if the old task's saved flags are to have it (an event that is a fault). */
struct task_error { bool present; uint32_t code, rf; };
void task_enter(struct interp *v, uint16_t sel, enum task_how how, uint64_t next,
		struct task_error err, unsigned ext);

/* #DF instead of second while first is delivered (SDM 3A table 6-5)? */
bool event_double_fault(int first, int second);
/* EFLAGS = the bits of fl in mask, the old ones elsewhere. */
void flags_merge(struct cpu *c, uint32_t fl, uint32_t mask);
/* CR3 for a task switch or MOV: raises #GP(0) for reserved bits. */
void cr3_load(struct interp *v, uint64_t val);

/* The guest's time stamp counter now (msr.c). */
uint64_t tsc_read(const struct interp *v);

/* SYSENTER without a decoded instruction: cpu.rip is not looked at. */
void sysenter(struct interp *v);

#endif

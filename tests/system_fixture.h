/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine around the protected-mode half of the interpreter (segment.c, far.c, event.c, task.c,
 * control.c and what they are made of): memory is a flat array, without paging, and faults
 * come back by longjmp. Every fault must leave CPU and memory as they were: try_*() check that.
 */
#ifndef TESTS_SYSTEM_FIXTURE_H
#define TESTS_SYSTEM_FIXTURE_H

#include <setjmp.h>

#include "interp/descriptor.h"

#define MEM_SIZE	0x10000u
#define IDT		0x1000u
#define GDT		0x2000u
#define LDT		0x3000u
#define TSS_A		0x4000u
#define TSS_B		0x4400u
#define TSS_16		0x4800u
#define TSS_IOMAP	0x100u
#define STACK(ring)	(0x9000u + 0x1000u * (ring))

enum { CODE0 = 0x08, DATA0 = 0x10, CODE3 = 0x38, DATA3 = 0x40, SEL_LDT = 0x48, SEL_TSS = 0x50,
       SEL_TSS_B = 0x58, SLOT = 0x60, SLOT2 = 0x68, SEL_TSS_16 = 0x70, CODE64 = 0x78,
       SEL_TSS_64 = 0x80 };
#define CODE(ring)	(CODE0 + 0x10 * (ring))
#define DATA(ring)	(DATA0 + 0x10 * (ring))

/* attr as in struct segment. */
#define CODE_ATTR(dpl)	(SEG_G | SEG_D | SEG_P | (dpl) << 5 | SEG_S | SEG_CODE | SEG_R | SEG_A)
#define DATA_ATTR(dpl)	(SEG_G | SEG_D | SEG_P | (dpl) << 5 | SEG_S | SEG_W | SEG_A)

#define MAX(a, b)	((a) > (b) ? (a) : (b))

extern uint8_t mem[MEM_SIZE];
extern struct interp vm;
extern int absent;		/* number of the page that is not there, or -1 */
extern jmp_buf escape;		/* where a fault goes; vm.fault says which */

/* Flat protected mode at the given level, stack pointer at its stack's top, memory cleared. */
void setup(unsigned cpl);

uint32_t get(unsigned at, unsigned size);
void put(unsigned at, unsigned size, uint64_t val);
/* A descriptor of the GDT or LDT at that address; a gate, n being its parameters or its stack. */
void describe(unsigned at, uint32_t base, uint32_t limit, unsigned attr);
void gate(unsigned at, unsigned type, unsigned dpl, uint16_t sel, uint32_t off, unsigned n);
/* A segment register from the GDT, without a check. */
void load_raw(enum segreg s, uint16_t sel);

/* Is it one of the types named, a hexadecimal digit each? */
bool in(unsigned type, const char *set);

/* try_x(): the vector that x raises, -1 for none; the state must not change if it does. */
int try_seg_load(enum segreg s, uint16_t sel);
int try_seg_load_ldtr(uint16_t sel);
int try_seg_load_tr(uint16_t sel);
int try_far_jump(uint16_t sel, uint64_t off, unsigned osize, uint64_t next);
int try_far_call(uint16_t sel, uint64_t off, unsigned osize, uint64_t next);
int try_far_ret(unsigned osize, unsigned pop);
int try_far_iret(unsigned osize, uint64_t next);
int try_event_deliver(unsigned vector, enum event_kind kind, bool has_code, uint32_t code);
int try_io_check(uint16_t port, unsigned size);
int try_cr_write(unsigned n, uint64_t val);
int try_msr_write(uint32_t index, uint64_t val);
int try_msr_read(uint32_t index);

#endif

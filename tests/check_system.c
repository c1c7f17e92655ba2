/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The protected-mode half of the interpreter against the manual's tables: which
 * selectors may be loaded, which far transfers are allowed, what frames look
 * like, what a task switch leaves behind. Memory is a flat array and faults come
 * back by longjmp; each rule is written a second time here, as a predicate over
 * CPL, RPL, DPL and type. Every fault must leave CPU and memory as they were.
 */
#include <string.h>

#include "interp/cpu_model.h"
#include "interp/descriptor.h"
#include "tests/suite.h"

/* --- The machine around the code under test -------------------------------------- */

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

static uint8_t mem[MEM_SIZE];
static struct interp vm;
static struct machine machine;
static struct config config;
static int absent = -1;		/* page that is not there */
static jmp_buf escape;

static _Noreturn void fault(struct interp *v, int vec, bool has, uint32_t code)
{
	v->fault = (struct fault){ .vec = (int8_t)vec, .has_code = has, .code = code };
	longjmp(escape, 1);
}
void raise_fault(struct interp *v, int vec) { fault(v, vec, false, 0); }
void raise_code(struct interp *v, int vec, uint32_t code) { fault(v, vec, true, code); }
void raise_pf(struct interp *v, gva_t gva, uint32_t code)
{
	(void)gva;
	fault(v, VEC_PF, true, code);
}

static void present(struct interp *v, gva_t gva, unsigned n)
{
	if (gva + n > MEM_SIZE || gva + n < gva || (int)(gva >> 12) == absent ||
	    (int)((gva + n - 1) >> 12) == absent)
		raise_pf(v, gva, 0);
}
uint64_t lin_read(struct interp *v, gva_t gva, unsigned size, unsigned access)
{
	uint64_t x = 0;

	(void)access;
	present(v, gva, size);
	memcpy(&x, mem + gva, size);
	return x;
}
void lin_write(struct interp *v, gva_t gva, unsigned size, uint64_t val, unsigned access)
{
	(void)access;
	present(v, gva, size);
	memcpy(mem + gva, &val, size);
}
void lin_probe(struct interp *v, gva_t gva, unsigned n, unsigned access)
{
	(void)access;
	present(v, gva, n);
}
uint64_t mem_read(struct interp *v, unsigned seg, uint64_t off, unsigned size)
{
	if (!cpu_code64(&v->cpu) && !seg_limit_ok(&v->cpu.seg[seg], off, size))
		raise_code(v, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
	return lin_read(v, v->cpu.seg[seg].base + off, size, 0);
}
void tlb_flush(struct interp *v) { (void)v; }
void tlb_flush_local(struct interp *v) { (void)v; }
bool paging_load_pdpte(struct memory *m, struct cpu *c, uint64_t cr3)
{
	(void)m; (void)c; (void)cr3;
	return true;
}

static uint32_t get(unsigned at, unsigned size)
{
	uint32_t x = 0;

	memcpy(&x, mem + at, size);
	return x;
}
static void put(unsigned at, unsigned size, uint64_t val)
{
	memcpy(mem + at, &val, size);
}

/* attr as in struct segment. */
static void describe(unsigned at, uint32_t base, uint32_t limit, unsigned attr)
{
	put(at, 4, (limit & 0xffff) | base << 16);
	put(at + 4, 4, (base >> 16 & 0xff) | (base & 0xff000000) | attr << 8 | (limit & 0xf0000));
}
static void gate(unsigned at, unsigned type, unsigned dpl, uint16_t sel, uint32_t off, unsigned n)
{
	put(at, 4, (off & 0xffff) | (uint32_t)sel << 16);
	put(at + 4, 4, (off & 0xffff0000) | 0x8000 | dpl << 13 | type << 8 | n);
}

#define CODE_ATTR(dpl)	(SEG_G | SEG_D | SEG_P | (dpl) << 5 | SEG_S | SEG_CODE | SEG_R | SEG_A)
#define DATA_ATTR(dpl)	(SEG_G | SEG_D | SEG_P | (dpl) << 5 | SEG_S | SEG_W | SEG_A)

static void load_raw(enum segreg s, uint16_t sel)
{
	struct desc d = { .lo = get(GDT + (sel & ~7u), 4), .hi = get(GDT + (sel & ~7u) + 4, 4) };

	seg_set(&vm.cpu.seg[s], sel, &d);
}

/* Flat protected mode at the given level, stack pointer at its stack's top. */
static void setup(unsigned cpl)
{
	struct cpu *c = &vm.cpu;
	static const uint8_t segs[] = { SEG_DS, SEG_ES, SEG_FS, SEG_GS };

	memset(mem, 0, sizeof(mem));
	memset(&vm, 0, sizeof(vm));
	vm.m = &machine;
	machine.config = &config;
	vm.model = cpu_model_find("x86-64-v2");
	absent = -1;
	c->gdtr = (struct dtable){ GDT, 0x9f };
	c->idtr = (struct dtable){ IDT, 0x7ff };
	for (unsigned r = 0; r < 4; r++) {
		describe(GDT + CODE(r), 0, 0xfffff, CODE_ATTR(r));
		describe(GDT + DATA(r), 0, 0xfffff, DATA_ATTR(r));
		if (r < 3) {
			put(TSS_A + 4 + 8 * r, 4, STACK(r));
			put(TSS_A + 8 + 8 * r, 2, DATA(r) | r);
		}
	}
	describe(GDT + SEL_LDT, LDT, 0xff, SEG_P | SYS_LDT);
	describe(GDT + SEL_TSS, TSS_A, 0x3ff, SEG_P | SYS_TSS32_BUSY);
	describe(GDT + SEL_TSS_B, TSS_B, 0x67, SEG_P | SYS_TSS32);
	describe(GDT + SEL_TSS_16, TSS_16, 0x2b, SEG_P | SYS_TSS16);
	put(TSS_A + 102, 2, TSS_IOMAP);
	load_raw(SEG_LDTR, SEL_LDT);
	load_raw(SEG_TR, SEL_TSS);
	load_raw(SEG_CS, (uint16_t)(CODE(cpl) | cpl));
	load_raw(SEG_SS, (uint16_t)(DATA(cpl) | cpl));
	for (unsigned i = 0; i < 4; i++)
		load_raw(segs[i], DATA3 | 3);
	c->cr0 = CR0_PE | CR0_ET;
	c->cpl = (uint8_t)cpl;
	c->rip = 0x1234;
	c->gpr[RSP] = STACK(cpl);
	cpu_set_eflags(c, FL_IF);
}

/* try_x(): the vector that x raises, -1 for none; the state must not change if it does. */
static struct cpu before_cpu;
static uint8_t before_mem[MEM_SIZE];

static int raised(void)
{
	before_cpu.nmi_blocked = vm.cpu.nmi_blocked;
	ck_assert(!memcmp(&before_cpu, &vm.cpu, sizeof(vm.cpu)));
	ck_assert(!memcmp(before_mem, mem, MEM_SIZE));
	return vm.fault.vec;
}

#define TRY(name, params, ...)				\
	static int try_##name params			\
	{						\
		before_cpu = vm.cpu;			\
		memcpy(before_mem, mem, MEM_SIZE);	\
		if (setjmp(escape))			\
			return raised();		\
		name(&vm, __VA_ARGS__);			\
		return -1;				\
	}
TRY(seg_load, (enum segreg s, uint16_t sel), s, sel)
TRY(seg_load_ldtr, (uint16_t sel), sel)
TRY(seg_load_tr, (uint16_t sel), sel)
TRY(far_jump, (uint16_t sel, uint64_t off, unsigned osize, uint64_t next), sel, off, osize, next)
TRY(far_call, (uint16_t sel, uint64_t off, unsigned osize, uint64_t next), sel, off, osize, next)
TRY(far_ret, (unsigned osize, unsigned pop), osize, pop)
TRY(far_iret, (unsigned osize, uint64_t next), osize, next)
TRY(event_deliver, (unsigned vector, enum event_kind kind, bool has_code, uint32_t code), vector,
    kind, has_code, code)
TRY(io_check, (uint16_t port, unsigned size), port, size)
TRY(cr_write, (unsigned n, uint64_t val), n, val)
TRY(msr_write, (uint32_t index, uint64_t val), index, val)
TRY(msr_read, (uint32_t index), index)

#define MAX(a, b)	((a) > (b) ? (a) : (b))

/* --- Segment loads ------------------------------------------------------------------ */

static bool in(unsigned type, const char *set)
{
	for (; *set; set++)
		if (type == (unsigned)(*set <= '9' ? *set - '0' : *set - 'a' + 10))
			return true;
	return false;
}

static void check_load(enum segreg s, unsigned cpl, unsigned rpl, unsigned dpl, unsigned s_type,
		       bool p)
{
	unsigned type = s_type & 15, is_seg = s_type >> 4;
	uint16_t sel = (uint16_t)(SLOT | rpl);
	int expect = -1, got;
	uint32_t code = SLOT;

	setup(cpl);
	describe(GDT + SLOT, 0x5000, 0x1234, (p ? SEG_P : 0) | dpl << 5 | is_seg << 4 | type);
	if (s == SEG_SS) {
		if (!is_seg || !in(type, "2367") || rpl != cpl || dpl != cpl)
			expect = VEC_GP;
		else if (!p)
			expect = VEC_SS;
	} else {
		if (!is_seg || !in(type, "01234567abef"))
			expect = VEC_GP;
		else if (!in(type, "ef") && MAX(cpl, rpl) > dpl)
			expect = VEC_GP;
		else if (!p)
			expect = VEC_NP;
	}
	got = try_seg_load(s, sel);
	ck_assert_msg(got == expect, "seg %d cpl %u rpl %u dpl %u type %#x p %d: %d, not %d", s,
		      cpl, rpl, dpl, s_type, p, got, expect);
	if (got >= 0) {
		ck_assert_uint_eq(vm.fault.code, code);
		return;
	}
	ck_assert_uint_eq(vm.cpu.seg[s].sel, sel);
	ck_assert_uint_eq(vm.cpu.seg[s].base, 0x5000);
	ck_assert_uint_eq(vm.cpu.seg[s].limit, 0x1234);
	ck_assert(mem[GDT + SLOT + 5] & 1);
	ck_assert(vm.cpu.seg[s].attr & SEG_A);
}

START_TEST(segment_loads)
{
	for (unsigned i = 0; i < 4 * 4 * 4 * 32 * 2; i++) {
		check_load(SEG_DS, i & 3, i >> 2 & 3, i >> 4 & 3, i >> 6 & 31, i >> 11);
		check_load(SEG_SS, i & 3, i >> 2 & 3, i >> 4 & 3, i >> 6 & 31, i >> 11);
	}
}
END_TEST

START_TEST(segment_edges)
{
	setup(0);
	ck_assert_int_eq(try_seg_load(SEG_SS, 0), VEC_GP);
	ck_assert_uint_eq(vm.fault.code, 0);
	ck_assert_int_eq(try_seg_load(SEG_FS, 3), -1);
	ck_assert_uint_eq(vm.cpu.seg[SEG_FS].sel, 3);
	ck_assert(!(vm.cpu.seg[SEG_FS].attr & SEG_P));
	ck_assert_int_eq(try_seg_load(SEG_ES, 0xa0), VEC_GP);	/* the GDT ends at 0x9f */
	ck_assert_uint_eq(vm.fault.code, 0xa0);
	describe(LDT + 0x10, 0x77000, 0xfffff, DATA_ATTR(3));
	ck_assert_int_eq(try_seg_load(SEG_ES, 0x17), -1);
	ck_assert_uint_eq(vm.cpu.seg[SEG_ES].base, 0x77000);
	ck_assert_uint_eq(vm.cpu.seg[SEG_ES].limit, 0xffffffff);
	ck_assert_int_eq(try_seg_load_ldtr(0), -1);
	ck_assert_int_eq(try_seg_load(SEG_ES, 0x17), VEC_GP);
	ck_assert_uint_eq(vm.fault.code, 0x14);
	ck_assert_int_eq(try_seg_load_tr(SEL_TSS), VEC_GP);		/* busy */
	ck_assert_int_eq(try_seg_load_tr(SEL_TSS_B), -1);
	ck_assert_uint_eq(mem[GDT + SEL_TSS_B + 5], 0x8b);

	vm.cpu.cr0 = 0;
	vm.cpu.seg[SEG_DS].limit = 0xffffffff;
	seg_load(&vm, SEG_DS, 0x1234);
	ck_assert_uint_eq(vm.cpu.seg[SEG_DS].base, 0x12340);
	ck_assert_uint_eq(vm.cpu.seg[SEG_DS].limit, 0xffffffff);
}
END_TEST

/* --- Far transfers -------------------------------------------------------------------- */

START_TEST(far_code)
{
	for (unsigned i = 0; i < 4 * 4 * 4 * 32 * 2 * 2; i++) {
		unsigned cpl = i & 3, rpl = i >> 2 & 3, dpl = i >> 4 & 3, type = i >> 6 & 15;
		bool is_seg = i >> 10 & 1, p = i >> 11 & 1, call = i >> 12 & 1;
		uint16_t sel = (uint16_t)(SLOT | rpl);
		int expect = -1, got;

		if (!is_seg && in(type, "1459c"))
			continue;	/* gates and tasks have tests of their own */
		setup(cpl);
		describe(GDT + SLOT, 0, 0xfffff,
			 SEG_G | SEG_D | (p ? SEG_P : 0) | dpl << 5 | is_seg << 4 | type);
		if (!is_seg || type < 8)
			expect = VEC_GP;
		else if (type >= 12 ? dpl > cpl : rpl > cpl || dpl != cpl)
			expect = VEC_GP;
		else if (!p)
			expect = VEC_NP;
		if (call)
			got = try_far_call(sel, 0x4567, 4, 0x1111);
		else
			got = try_far_jump(sel, 0x4567, 4, 0x1111);
		ck_assert_msg(got == expect, "cpl %u rpl %u dpl %u type %#x p %d: %d, not %d", cpl,
			      rpl, dpl, type, p, got, expect);
		if (got >= 0) {
			ck_assert_uint_eq(vm.fault.code, SLOT);
			continue;
		}
		ck_assert_uint_eq(vm.cpu.seg[SEG_CS].sel, SLOT | cpl);
		ck_assert_uint_eq(vm.cpu.cpl, cpl);
		ck_assert_uint_eq(vm.cpu.rip, 0x4567);
		ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(cpl) - (call ? 8 : 0));
		if (call) {
			ck_assert_uint_eq(get(STACK(cpl) - 4, 4), CODE(cpl) | cpl);
			ck_assert_uint_eq(get(STACK(cpl) - 8, 4), 0x1111);
		}
	}
}
END_TEST

static void check_call_gate(unsigned i)
{
	unsigned cpl = i & 3, rpl = i >> 2 & 3, gdpl = i >> 4 & 3, cdpl = i >> 6 & 3;
	bool conforming = i >> 8 & 1, call = i >> 9 & 1, wide = i >> 10 & 1;
	unsigned size = wide ? 4 : 2, top;
	int expect = -1, got;
	uint32_t code = 0;

	setup(cpl);
	gate(GDT + SLOT, wide ? SYS_CALL32 : SYS_CALL16, gdpl, SLOT2 | 3, 0x4567, 2);
	describe(GDT + SLOT2, 0, 0xfffff, CODE_ATTR(cdpl) | (conforming ? SEG_C : 0));
	vm.cpu.gpr[RSP] -= 2 * size;
	put(STACK(cpl) - size, size, 0x2222);
	put(STACK(cpl) - 2 * size, size, 0x3333);

	if (MAX(cpl, rpl) > gdpl)
		expect = VEC_GP, code = SLOT;
	else if (cdpl > cpl || (!call && !conforming && cdpl != cpl))
		expect = VEC_GP, code = SLOT2;
	if (call)
		got = try_far_call((uint16_t)(SLOT | rpl), 0, 4, 0x1111);
	else
		got = try_far_jump((uint16_t)(SLOT | rpl), 0, 4, 0x1111);
	ck_assert_msg(got == expect, "cpl %u rpl %u gate %u code %u c %d call %d: %d, not %d", cpl,
		      rpl, gdpl, cdpl, conforming, call, got, expect);
	if (got >= 0) {
		ck_assert_uint_eq(vm.fault.code, code);
		return;
	}
	unsigned level = call && !conforming ? cdpl : cpl;

	ck_assert_uint_eq(vm.cpu.cpl, level);
	ck_assert_uint_eq(vm.cpu.seg[SEG_CS].sel, SLOT2 | level);
	ck_assert_uint_eq(vm.cpu.rip, 0x4567);
	if (!call)
		return;
	top = level < cpl ? STACK(level) : STACK(cpl) - 2 * size;
	if (level < cpl) {
		ck_assert_uint_eq(vm.cpu.seg[SEG_SS].sel, DATA(level) | level);
		ck_assert_uint_eq(get(top - size, size), DATA(cpl) | cpl);
		ck_assert_uint_eq(get(top - 2 * size, size), STACK(cpl) - 2 * size);
		ck_assert_uint_eq(get(top - 3 * size, size), 0x2222);
		ck_assert_uint_eq(get(top - 4 * size, size), 0x3333);
		top -= 4 * size;
	}
	ck_assert_uint_eq(get(top - size, size), CODE(cpl) | cpl);
	ck_assert_uint_eq(get(top - 2 * size, size), 0x1111);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], top - 2 * size);

	/* And back, releasing the parameters. */
	ck_assert_int_eq(try_far_ret(size, 2 * size), -1);
	ck_assert_uint_eq(vm.cpu.cpl, cpl);
	ck_assert_uint_eq(vm.cpu.seg[SEG_CS].sel, CODE(cpl) | cpl);
	ck_assert_uint_eq(vm.cpu.seg[SEG_SS].sel, DATA(cpl) | cpl);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(cpl));
	ck_assert_uint_eq(vm.cpu.rip, 0x1111);
}

START_TEST(call_gates)
{
	for (unsigned i = 0; i < 1u << 11; i++)
		check_call_gate(i);
}
END_TEST

START_TEST(far_returns)
{
	for (unsigned i = 0; i < 1u << 8; i++) {
		unsigned cpl = i & 3, rpl = i >> 2 & 3, dpl = i >> 4 & 3;
		bool conforming = i >> 6 & 1, p = i >> 7 & 1;
		int expect = -1, got;

		setup(cpl);
		describe(GDT + SLOT, 0, 0xfffff,
			 (CODE_ATTR(dpl) | (conforming ? SEG_C : 0)) & ~(p ? 0 : SEG_P));
		vm.cpu.gpr[RSP] -= 16;
		put(STACK(cpl) - 16, 4, 0x7777);
		put(STACK(cpl) - 12, 4, SLOT | rpl);
		put(STACK(cpl) - 8, 4, STACK(rpl) - 0x100);
		put(STACK(cpl) - 4, 4, DATA(rpl) | rpl);
		load_raw(SEG_ES, DATA0);
		load_raw(SEG_GS, DATA(3) | 3);
		if (rpl < cpl || (conforming ? dpl > rpl : dpl != rpl))
			expect = VEC_GP;
		else if (!p)
			expect = VEC_NP;
		got = try_far_ret(4, 0);
		ck_assert_msg(got == expect, "cpl %u rpl %u dpl %u c %d: %d, not %d", cpl, rpl,
			      dpl, conforming, got, expect);
		if (got >= 0)
			continue;
		ck_assert_uint_eq(vm.cpu.cpl, rpl);
		ck_assert_uint_eq(vm.cpu.rip, 0x7777);
		ck_assert_uint_eq(vm.cpu.gpr[RSP], rpl > cpl ? STACK(rpl) - 0x100 : STACK(cpl) - 8);
		ck_assert_uint_eq(vm.cpu.seg[SEG_ES].sel, rpl > cpl ? 0 : DATA0);
		ck_assert_uint_eq(vm.cpu.seg[SEG_GS].sel, DATA3 | 3);
	}
}
END_TEST

/* --- Events ------------------------------------------------------------------------------ */

#define ARMED(kind)	((kind) != EV_SOFT && (kind) != EV_INT3_INTO)

START_TEST(gate_privilege)
{
	static const enum event_kind kinds[] = { EV_FAULT, EV_EXTERNAL, EV_SOFT, EV_INT3_INTO,
						 EV_ICEBP };

	for (unsigned i = 0; i < 5u << 9; i++) {
		unsigned cpl = i & 3, gdpl = i >> 2 & 3, cdpl = i >> 4 & 3;
		bool conforming = i >> 6 & 1, p = i >> 7 & 1, trap = i >> 8 & 1;
		enum event_kind kind = kinds[i >> 9];
		unsigned ext = ARMED(kind), level, top;
		int expect = -1, got;
		uint32_t code = 0x80 * 8 + 2 + ext;

		setup(cpl);
		gate(IDT + 0x80 * 8, trap ? SYS_TRAP32 : SYS_INT32, gdpl, SLOT2, 0x4567, 0);
		mem[IDT + 0x80 * 8 + 5] &= p ? 0xff : 0x7f;
		describe(GDT + SLOT2, 0, 0xfffff, CODE_ATTR(cdpl) | (conforming ? SEG_C : 0));
		if (!ARMED(kind) && cpl > gdpl)
			expect = VEC_GP;
		else if (!p)
			expect = VEC_NP;
		else if (cdpl > cpl)
			expect = VEC_GP, code = SLOT2 | ext;
		got = try_event_deliver(0x80, kind, false, 0);
		ck_assert_msg(got == expect, "kind %d cpl %u gate %u code %u c %d p %d: %d, not %d",
			      kind, cpl, gdpl, cdpl, conforming, p, got, expect);
		if (got >= 0) {
			ck_assert_uint_eq(vm.fault.code, code);
			continue;
		}
		level = conforming ? cpl : cdpl;
		top = STACK(level);
		ck_assert_uint_eq(vm.cpu.cpl, level);
		ck_assert_uint_eq(vm.cpu.rip, 0x4567);
		ck_assert_int_eq(!!(vm.cpu.eflags & FL_IF), trap);
		if (level < cpl) {
			ck_assert_uint_eq(get(top - 4, 4), DATA(cpl) | cpl);
			ck_assert_uint_eq(get(top - 8, 4), STACK(cpl));
			top -= 8;
		}
		ck_assert_uint_eq(get(top - 4, 4), FL_IF | FL_1 | (kind == EV_FAULT ? FL_RF : 0));
		ck_assert_uint_eq(get(top - 8, 4), CODE(cpl) | cpl);
		ck_assert_uint_eq(get(top - 12, 4), 0x1234);
		ck_assert_uint_eq(vm.cpu.gpr[RSP], top - 12);
		ck_assert_int_eq(try_far_iret(4, 0), -1);
		ck_assert_uint_eq(vm.cpu.cpl, cpl);
		ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(cpl));
		ck_assert_uint_eq(vm.cpu.rip, 0x1234);
		ck_assert(vm.cpu.eflags & FL_IF || level > 0);
	}
}
END_TEST

/* Faults inside delivery: each with its code, and nothing changed. */
START_TEST(delivery_faults)
{
	setup(3);
	gate(IDT + 14 * 8, SYS_INT32, 0, CODE0, 0x4567, 0);
	absent = (STACK(0) - 1) >> 12;
	ck_assert_int_eq(try_event_deliver(14, EV_FAULT, true, 6), VEC_PF);
	absent = -1;
	put(TSS_A + 8, 2, DATA(1) | 1);
	ck_assert_int_eq(try_event_deliver(14, EV_FAULT, true, 6), VEC_TS);
	ck_assert_uint_eq(vm.fault.code, DATA(1) | 1);
	put(TSS_A + 8, 2, 0);
	ck_assert_int_eq(try_event_deliver(14, EV_FAULT, true, 6), VEC_TS);
	ck_assert_uint_eq(vm.fault.code, 1);
	put(TSS_A + 8, 2, DATA0);
	mem[GDT + DATA0 + 5] &= 0x7f;
	ck_assert_int_eq(try_event_deliver(14, EV_EXTERNAL, false, 0), VEC_SS);
	ck_assert_uint_eq(vm.fault.code, DATA0 | 1);
	mem[GDT + DATA0 + 5] |= 0x80;
	describe(GDT + DATA0, 0, STACK(0) - 13, DATA_ATTR(0) & ~SEG_G);
	ck_assert_int_eq(try_event_deliver(14, EV_FAULT, true, 6), VEC_SS);
	ck_assert_uint_eq(vm.fault.code, DATA0 | 1);
	vm.cpu.seg[SEG_TR].limit = 8;
	ck_assert_int_eq(try_event_deliver(14, EV_FAULT, true, 6), VEC_TS);
	ck_assert_uint_eq(vm.fault.code, SEL_TSS | 1);
	vm.cpu.idtr.limit = 14 * 8 + 6;
	ck_assert_int_eq(try_event_deliver(14, EV_FAULT, true, 6), VEC_GP);
	ck_assert_uint_eq(vm.fault.code, 14 * 8 + 3);
}
END_TEST

START_TEST(v86_and_back)
{
	static const uint8_t order[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	struct cpu saved;

	setup(3);
	gate(IDT + 13 * 8, SYS_INT32, 0, CODE0, 0x4567, 0);
	vm.cpu.eflags |= FL_VM;
	for (unsigned s = 0; s < 6; s++)
		seg_set_v86(&vm.cpu.seg[s], (uint16_t)(0x100 + s));
	vm.cpu.gpr[RSP] = 0x800;
	vm.cpu.rip = 0x321;
	saved = vm.cpu;
	ck_assert_int_eq(try_event_deliver(13, EV_FAULT, true, 0x55), -1);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(0) - 40);
	ck_assert_uint_eq(get(STACK(0) - 40, 4), 0x55);
	ck_assert_uint_eq(get(STACK(0) - 36, 4), 0x321);
	ck_assert_uint_eq(get(STACK(0) - 32, 4), 0x100 + SEG_CS);
	ck_assert_uint_eq(get(STACK(0) - 28, 4), FL_VM | FL_IF | FL_1 | FL_RF);
	ck_assert_uint_eq(get(STACK(0) - 24, 4), 0x800);
	ck_assert_uint_eq(get(STACK(0) - 20, 4), 0x100 + SEG_SS);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(get(STACK(0) - 16 + 4 * i, 4), 0x100u + order[i]);
		ck_assert_uint_eq(vm.cpu.seg[order[i]].sel, 0);
	}
	ck_assert(!(vm.cpu.eflags & (FL_VM | FL_IF)));
	ck_assert_uint_eq(vm.cpu.cpl, 0);
	vm.cpu.gpr[RSP] += 4;
	ck_assert_int_eq(try_far_iret(4, 0), -1);
	vm.cpu.eflags &= ~FL_RF;
	ck_assert(!memcmp(&saved, &vm.cpu, sizeof(saved)));

	/* INT n: IOPL decides, the redirection bitmap under VME. */
	gate(IDT + 0x21 * 8, SYS_INT32, 3, CODE0, 0x4567, 0);
	ck_assert_int_eq(try_event_deliver(0x21, EV_SOFT, false, 0), VEC_GP);
	ck_assert_uint_eq(vm.fault.code, 0);
	put(0x21 * 4, 4, 0x0200u << 16 | 0x44);
	vm.cpu.cr4 = CR4_VME;
	vm.cpu.eflags |= FL_VIF;
	ck_assert_int_eq(try_event_deliver(0x21, EV_SOFT, false, 0), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0x44);
	ck_assert_uint_eq(vm.cpu.seg[SEG_CS].base, 0x2000);
	ck_assert(!(vm.cpu.eflags & FL_VIF));
	ck_assert(vm.cpu.eflags & FL_VM);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], 0x800 - 6);
	ck_assert_uint_eq(get(saved.seg[SEG_SS].base + 0x800 - 2, 2), FL_IF | FL_IOPL | FL_1);
	ck_assert_int_eq(try_far_iret(2, 0), -1);
	ck_assert(vm.cpu.eflags & FL_VIF);
	ck_assert_uint_eq(vm.cpu.eflags & FL_IOPL, 0);
	ck_assert_uint_eq(vm.cpu.rip, 0x321);
}
END_TEST

START_TEST(real_mode)
{
	setup(0);
	vm.cpu.cr0 = CR0_ET;
	vm.cpu.idtr = (struct dtable){ 0, 0x3ff };
	for (unsigned s = 0; s < 6; s++) {
		seg_set_v86(&vm.cpu.seg[s], 0x300);
		vm.cpu.seg[s].attr &= (uint16_t)~(3u << 5);
	}
	put(0x10 * 4, 4, 0x0400u << 16 | 0x88);
	vm.cpu.gpr[RSP] = 2;		/* the frame wraps around the segment's end */
	ck_assert_int_eq(try_event_deliver(0x10, EV_SOFT, false, 0), VEC_PF);
	vm.cpu.gpr[RSP] = 0x800;
	ck_assert_int_eq(try_event_deliver(0x10, EV_FAULT, true, 9), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0x88);
	ck_assert_uint_eq(vm.cpu.seg[SEG_CS].base, 0x4000);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], 0x800 - 6);
	ck_assert_uint_eq(get(0x3000 + 0x7fa, 2), 0x1234);
	ck_assert_uint_eq(get(0x3000 + 0x7fc, 2), 0x300);
	ck_assert_int_eq(try_far_iret(2, 0), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0x1234);
	ck_assert_int_eq(try_far_jump(0x500, 0x10000, 4, 0), VEC_GP);
	ck_assert_int_eq(try_far_call(0x500, 0x123, 2, 0x999), -1);
	ck_assert_int_eq(try_far_ret(2, 4), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0x999);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], 0x804);
}
END_TEST

START_TEST(long_mode)
{
	struct cpu saved;

	setup(3);
	describe(GDT + CODE64, 0, 0, (CODE_ATTR(0) & ~SEG_D) | SEG_L);
	describe(GDT + SLOT2, 0, 0, (CODE_ATTR(3) & ~SEG_D) | SEG_L);
	vm.cpu.cr0 |= CR0_PG;
	vm.cpu.cr4 = CR4_PAE;
	vm.cpu.efer = EFER_LME | EFER_LMA | EFER_SCE;
	load_raw(SEG_CS, SLOT2 | 3);
	vm.cpu.gpr[RSP] = STACK(3) - 4;		/* misaligned on purpose */
	put(TSS_A + 4, 8, STACK(0));
	put(TSS_A + 0x24, 8, STACK(1) - 8);	/* IST 1 */
	gate(IDT + 14 * 16, SYS_INT32, 0, CODE64, 0x4567, 0);
	gate(IDT + 2 * 16, SYS_INT32, 0, CODE64, 0x4567, 1);
	put(IDT + 2 * 16 + 8, 4, 0xffff8000);
	saved = vm.cpu;
	ck_assert_int_eq(try_event_deliver(14, EV_FAULT, true, 7), -1);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(0) - 48);
	ck_assert_uint_eq(get(STACK(0) - 48, 4), 7);
	ck_assert_uint_eq(get(STACK(0) - 16, 4), STACK(3) - 4);
	ck_assert_uint_eq(get(STACK(0) - 8, 4), DATA3 | 3);
	ck_assert_uint_eq(vm.cpu.seg[SEG_SS].sel, 0);
	ck_assert_uint_eq(vm.cpu.cpl, 0);
	/* An NMI in the handler: another stack, same level, aligned. */
	ck_assert_int_eq(try_event_deliver(2, EV_EXTERNAL, false, 0), -1);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(1) - 16 - 40);
	ck_assert_uint_eq(vm.cpu.rip, 0xffff800000004567ull);
	ck_assert_int_eq(try_far_iret(8, 0), -1);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(0) - 48);
	vm.cpu.gpr[RSP] += 8;
	ck_assert_int_eq(try_far_iret(8, 0), -1);
	vm.cpu.eflags &= ~FL_RF;
	ck_assert(!memcmp(&saved, &vm.cpu, sizeof(saved)));

	/* A null SS is for inner levels only, and only with the right RPL. */
	ck_assert_int_eq(try_seg_load(SEG_SS, 0), VEC_GP);
	vm.cpu.cpl = 0;
	ck_assert_int_eq(try_seg_load(SEG_SS, 1), VEC_GP);
	ck_assert_int_eq(try_seg_load(SEG_SS, 0), -1);
	/* FS keeps its base when an outer return drops its selector. */
	vm.cpu.seg[SEG_FS] = (struct segment){ .base = 0x123456789abc };
	vm.cpu.cpl = 3;
	seg_drop_inner(&vm);
	ck_assert_uint_eq(vm.cpu.seg[SEG_FS].base, 0x123456789abcull);
}
END_TEST

/* --- Tasks --------------------------------------------------------------------------------- */

static void task_b(uint32_t eflags, unsigned cpl)
{
	put(TSS_B + 0x20, 4, 0xabcd);
	put(TSS_B + 0x24, 4, eflags | FL_1);
	for (unsigned i = 0; i < 8; i++)
		put(TSS_B + 0x28 + 4 * i, 4, i == RSP ? STACK(cpl) - 0x200 : 0x1000 + i);
	for (unsigned i = 0; i < 6; i++)
		put(TSS_B + 0x48 + 4 * i, 2, DATA(cpl) | cpl);
	put(TSS_B + 0x4c, 2, CODE(cpl) | cpl);
	put(TSS_B + 0x60, 2, SEL_LDT);
}

START_TEST(task_jump)
{
	setup(0);
	task_b(FL_IF, 3);
	vm.cpu.gpr[RBX] = 0xbbbb;
	ck_assert_int_eq(try_far_jump(SEL_TSS_B, 0, 4, 0x1239), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0xabcd);
	ck_assert_uint_eq(vm.cpu.cpl, 3);
	ck_assert_uint_eq(vm.cpu.gpr[RBX], 0x1003);
	ck_assert_uint_eq(vm.cpu.seg[SEG_TR].sel, SEL_TSS_B);
	ck_assert_uint_eq(vm.cpu.seg[SEG_LDTR].base, LDT);
	ck_assert(vm.cpu.cr0 & CR0_TS);
	ck_assert(!(vm.cpu.eflags & FL_NT));
	ck_assert_uint_eq(mem[GDT + SEL_TSS + 5], 0x89);
	ck_assert_uint_eq(mem[GDT + SEL_TSS_B + 5], 0x8b);
	ck_assert_uint_eq(get(TSS_A + 0x20, 4), 0x1239);
	ck_assert_uint_eq(get(TSS_A + 0x34, 4), 0xbbbb);
	ck_assert_uint_eq(get(TSS_A + 0x4c, 2), CODE0);
}
END_TEST

START_TEST(task_call_and_return)
{
	setup(0);
	task_b(FL_IF, 0);
	gate(GDT + SLOT, SYS_TASK_GATE, 0, SEL_TSS_B, 0, 0);
	vm.cpu.gpr[RSI] = 0x5151;
	ck_assert_int_eq(try_far_call(SLOT, 0, 4, 0x1239), -1);
	ck_assert(vm.cpu.eflags & FL_NT);
	ck_assert_uint_eq(get(TSS_B, 2), SEL_TSS);
	ck_assert_uint_eq(mem[GDT + SEL_TSS + 5], 0x8b);
	ck_assert_uint_eq(mem[GDT + SEL_TSS_B + 5], 0x8b);
	ck_assert_int_eq(try_far_jump(SEL_TSS, 0, 4, 0), VEC_GP);	/* busy */
	vm.cpu.gpr[RSI] = 0;
	ck_assert_int_eq(try_far_iret(4, 0x4444), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0x1239);
	ck_assert_uint_eq(vm.cpu.gpr[RSI], 0x5151);
	ck_assert_uint_eq(vm.cpu.seg[SEG_TR].sel, SEL_TSS);
	ck_assert_uint_eq(mem[GDT + SEL_TSS_B + 5], 0x89);
	ck_assert_uint_eq(get(TSS_B + 0x20, 4), 0x4444);
	ck_assert(!(get(TSS_B + 0x24, 4) & FL_NT));
}
END_TEST

START_TEST(task_event)
{
	setup(3);
	task_b(0, 0);
	gate(IDT + 8 * 8, SYS_TASK_GATE, 0, SEL_TSS_B, 0, 0);
	ck_assert_int_eq(try_event_deliver(8, EV_SOFT, false, 0), VEC_GP);
	ck_assert_int_eq(try_event_deliver(8, EV_FAULT, true, 0), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0xabcd);
	ck_assert_uint_eq(vm.cpu.gpr[RSP], STACK(0) - 0x204);
	ck_assert_uint_eq(get(TSS_A + 0x20, 4), 0x1234);
	ck_assert_uint_eq(vm.cpu.cpl, 0);

	/* A bad SS is found when the new task is the running one. */
	setup(3);
	task_b(0, 0);
	put(TSS_B + 0x50, 2, DATA3 | 3);
	gate(IDT + 9 * 8, SYS_TASK_GATE, 0, SEL_TSS_B, 0, 0);
	if (!setjmp(escape)) {
		event_deliver(&vm, 9, EV_EXTERNAL, false, 0);
		ck_abort();
	}
	ck_assert_int_eq(vm.fault.vec, VEC_TS);
	ck_assert_uint_eq(vm.fault.code, DATA3 | 1);
	ck_assert_uint_eq(vm.cpu.rip, 0xabcd);
	ck_assert_uint_eq(vm.cpu.seg[SEG_TR].sel, SEL_TSS_B);
	ck_assert_ptr_null(vm.op);

	/* Limit of the TSS, and a debug trap on entry. */
	setup(0);
	task_b(0, 0);
	describe(GDT + SEL_TSS_B, TSS_B, 0x66, SEG_P | SYS_TSS32);
	ck_assert_int_eq(try_far_jump(SEL_TSS_B, 0, 4, 0), VEC_TS);
	ck_assert_uint_eq(vm.fault.code, SEL_TSS_B);
	describe(GDT + SEL_TSS_B, TSS_B, 0x67, SEG_P | SYS_TSS32);
	put(TSS_B + 0x64, 2, 1);
	ck_assert_int_eq(try_far_jump(SEL_TSS_B, 0, 4, 0), -1);
	ck_assert_uint_eq(vm.cpu.pending_dbg, 1u << 15);
}
END_TEST

START_TEST(task_16)
{
	setup(0);
	put(TSS_16 + 0x0e, 2, 0xabcd);
	put(TSS_16 + 0x10, 2, FL_1);
	for (unsigned i = 0; i < 8; i++)
		put(TSS_16 + 0x12 + 2 * i, 2, 0x2000 + i);
	put(TSS_16 + 0x22, 2, DATA3 | 3);
	put(TSS_16 + 0x24, 2, CODE0);
	put(TSS_16 + 0x26, 2, DATA0);
	put(TSS_16 + 0x28, 2, DATA0);
	ck_assert_int_eq(try_far_call(SEL_TSS_16, 0, 4, 0x1239), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0xabcd);
	ck_assert_uint_eq(vm.cpu.gpr[RDI], 0x2007);
	ck_assert_uint_eq(vm.cpu.seg[SEG_FS].sel, 0);
	ck_assert_int_eq(try_far_iret(4, 0x4444), -1);
	ck_assert_uint_eq(vm.cpu.rip, 0x1239);
	ck_assert_uint_eq(get(TSS_16 + 0x0e, 2), 0x4444);
	ck_assert_uint_eq(vm.cpu.seg[SEG_FS].sel, DATA3 | 3);
}
END_TEST

/* --- Flags, ports, control registers ---------------------------------------------------------- */

START_TEST(popf_and_iret_flags)
{
	const uint32_t plain = FL_ARITH | FL_TF | FL_DF | FL_NT, wide = FL_AC | FL_ID;

	for (unsigned i = 0; i < 32; i++) {
		unsigned cpl = i & 3, iopl = i >> 2 & 3, osize = i >> 4 ? 4 : 2;
		uint32_t may = plain | (osize == 4 ? wide : 0);

		if (cpl <= iopl)
			may |= FL_IF;
		if (cpl == 0)
			may |= FL_IOPL;
		setup(cpl);
		cpu_set_eflags(&vm.cpu, iopl << 12);
		flags_write(&vm, 0xffffffff, osize);
		ck_assert_uint_eq(cpu_eflags(&vm.cpu) & ~FL_1, may | iopl << 12);
		cpu_set_eflags(&vm.cpu, (0x3f7fd5 & ~(FL_VM | FL_IOPL | FL_RF)) | iopl << 12);
		uint32_t old = cpu_eflags(&vm.cpu);

		flags_write(&vm, 0, osize);
		ck_assert_uint_eq(cpu_eflags(&vm.cpu), (old & ~may) | FL_1);

		setup(cpl);
		cpu_set_eflags(&vm.cpu, iopl << 12);
		vm.cpu.gpr[RSP] -= 3 * osize;
		put(STACK(cpl) - 3 * osize, osize, 0x777);
		put(STACK(cpl) - 2 * osize, osize, CODE(cpl) | cpl);
		put(STACK(cpl) - osize, osize, 0xffffffff & ~FL_VM);
		ck_assert_int_eq(try_far_iret(osize, 0), -1);
		if (osize == 4)
			may |= FL_RF | (cpl == 0 ? FL_VIF | FL_VIP : 0);
		ck_assert_uint_eq(cpu_eflags(&vm.cpu) & 0x3f7fd5, may | iopl << 12);
	}
}
END_TEST

START_TEST(io_permission)
{
	setup(3);
	ck_assert_int_eq(try_io_check(0x3f8, 1), -1);	/* the map is all zeroes */
	mem[TSS_A + TSS_IOMAP + 0x3f8 / 8] = 0x04;
	ck_assert_int_eq(try_io_check(0x3f8, 2), -1);
	ck_assert_int_eq(try_io_check(0x3f8, 4), VEC_GP);
	ck_assert_int_eq(try_io_check(0x3fa, 1), VEC_GP);
	ck_assert_int_eq(try_io_check(0x3f7, 4), VEC_GP);	/* across bytes */
	ck_assert_int_eq(try_io_check(0x3fb, 4), -1);
	ck_assert_int_eq(try_io_check(0x1800, 1), VEC_GP);	/* past the limit */
	vm.cpu.eflags |= FL_IOPL;
	ck_assert_int_eq(try_io_check(0x3fa, 1), -1);
	vm.cpu.eflags |= FL_VM;
	ck_assert_int_eq(try_io_check(0x3fa, 1), VEC_GP);
}
END_TEST

START_TEST(control_registers)
{
	setup(0);
	ck_assert_int_eq(try_cr_write(0, CR0_PG), VEC_GP);
	ck_assert_int_eq(try_cr_write(0, CR0_PE | CR0_NW), VEC_GP);
	ck_assert_int_eq(try_cr_write(0, 1ull << 32 | CR0_PE), VEC_GP);
	ck_assert_int_eq(try_cr_write(4, 1u << 31), VEC_GP);
	ck_assert_int_eq(try_cr_write(8, 16), VEC_GP);
	ck_assert_int_eq(try_cr_write(5, 0), VEC_UD);
	/* Into long mode and out of it. */
	ck_assert_int_eq(try_msr_write(0xc0000080, EFER_LME | EFER_NXE), -1);
	ck_assert_int_eq(try_cr_write(0, CR0_PE | CR0_PG), VEC_GP);
	ck_assert_int_eq(try_cr_write(4, CR4_PAE), -1);
	ck_assert_int_eq(try_cr_write(0, CR0_PE | CR0_PG), -1);
	ck_assert(vm.cpu.efer & EFER_LMA);
	ck_assert_int_eq(try_msr_write(0xc0000080, 0), VEC_GP);
	ck_assert_int_eq(try_cr_write(4, 0), VEC_GP);
	ck_assert_int_eq(try_cr_write(0, CR0_PE), -1);
	ck_assert(!(vm.cpu.efer & EFER_LMA));
	ck_assert_uint_eq(vm.cpu.cr0, CR0_PE | CR0_ET);

	ck_assert_int_eq(try_msr_read(0x12345), VEC_GP);
	ck_assert_int_eq(try_msr_write(0x176, 1ull << 60), VEC_GP);
	ck_assert_int_eq(try_msr_write(0x277, 2), VEC_GP);
	ck_assert_int_eq(try_msr_write(0x20f, 0x42), -1);
	ck_assert_uint_eq(vm.cpu.msr_mtrr_var[15], 0x42);
	vm.model = cpu_model_find("pentium");
	ck_assert_int_eq(try_msr_read(0xc0000080), VEC_GP);
	ck_assert_int_eq(try_cr_write(4, CR4_PAE), VEC_GP);
}
END_TEST

START_TEST(cpu_models)
{
	struct cpuid_regs r;

	setup(0);
	vm.model = cpu_model_find("hemi32");
	model_cpuid(&vm, 0, 0, &r);
	ck_assert_uint_eq(r.ebx, 0x756e6547);
	ck_assert_uint_eq(r.edx, 0x49656e69);
	ck_assert_uint_eq(r.ecx, 0x6c65746e);
	model_cpuid(&vm, 1, 0, &r);
	ck_assert_uint_eq(r.eax >> 8 & 15, 6);
	ck_assert_uint_eq(r.edx & (1u << 9), 0);
	ck_assert_uint_eq(r.edx >> 26 & 1, model_has(&vm, F_SSE2));
	model_cpuid(&vm, 0x80000001, 0, &r);
	ck_assert_uint_eq(r.edx, 1u << 20);
	ck_assert_ptr_null(cpu_model_find("8086"));
	for (unsigned i = 0; cpu_model_name(i, NULL); i++)
		ck_assert_ptr_nonnull(cpu_model_find(cpu_model_name(i, NULL)));
}
END_TEST

/* What a feature builds on comes and goes with it. */
START_TEST(cpu_features)
{
	struct cpu_model m;
	char why[128];

	ck_assert(cpu_model_parse(&m, "pentium3,+SSE4_1", why, sizeof(why)));
	ck_assert(cpu_model_has(&m, F_SSE41) && cpu_model_has(&m, F_SSSE3) && cpu_model_has(&m, F_SSE2));
	ck_assert(!cpu_model_has(&m, F_SSE42));
	ck_assert(cpu_model_parse(&m, "core2,-sse2,nx=off", why, sizeof(why)));
	ck_assert(!cpu_model_has(&m, F_SSSE3) && !cpu_model_has(&m, F_LM) && !cpu_model_has(&m, F_NX));
	ck_assert(cpu_model_has(&m, F_SSE) && cpu_model_has(&m, F_SYSCALL));
	ck_assert(!cpu_model_has(cpu_model_find("pentium3"), F_SSE41));
	ck_assert(!cpu_model_parse(&m, "core2,+avx", why, sizeof(why)));
	ck_assert_ptr_nonnull(strstr(why, "does not implement avx"));
	ck_assert(!cpu_model_parse(&m, "core2,nx=maybe", why, sizeof(why)));
	ck_assert(!cpu_model_parse(&m, "core2,", why, sizeof(why)));
	ck_assert(!cpu_model_parse(&m, "", why, sizeof(why)));
}
END_TEST

/* SDM 3A table 6-5. */
START_TEST(double_faults)
{
	static const int contributory[] = { VEC_DE, VEC_TS, VEC_NP, VEC_SS, VEC_GP };

	for (int a = -1; a < 32; a++)
		for (int b = 0; b < 32; b++) {
			bool ca = false, cb = false, expect;

			for (size_t i = 0; i < ARRAY_LEN(contributory); i++) {
				ca |= a == contributory[i];
				cb |= b == contributory[i];
			}
			expect = (ca && cb) || (a == VEC_PF && (cb || b == VEC_PF));
			ck_assert_int_eq(event_double_fault(a, b), expect);
		}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("system");
	TCase *t = tcase_create("rules");

	tcase_add_test(t, segment_loads);
	tcase_add_test(t, segment_edges);
	tcase_add_test(t, far_code);
	tcase_add_test(t, call_gates);
	tcase_add_test(t, far_returns);
	tcase_add_test(t, gate_privilege);
	tcase_add_test(t, delivery_faults);
	tcase_add_test(t, v86_and_back);
	tcase_add_test(t, real_mode);
	tcase_add_test(t, long_mode);
	tcase_add_test(t, task_jump);
	tcase_add_test(t, task_call_and_return);
	tcase_add_test(t, task_event);
	tcase_add_test(t, task_16);
	tcase_add_test(t, popf_and_iret_flags);
	tcase_add_test(t, io_permission);
	tcase_add_test(t, control_registers);
	tcase_add_test(t, cpu_models);
	tcase_add_test(t, cpu_features);
	tcase_add_test(t, double_faults);
	suite_add_tcase(s, t);
	return suite_run(s);
}

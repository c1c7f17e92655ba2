/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "interp/cpu_model.h"
#include "tests/suite.h"
#include "tests/system_fixture.h"

uint8_t mem[MEM_SIZE];
struct interp vm;
static struct machine machine;
static struct config config;
int absent = -1;
jmp_buf escape;

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

uint32_t get(unsigned at, unsigned size)
{
	uint32_t x = 0;

	memcpy(&x, mem + at, size);
	return x;
}
void put(unsigned at, unsigned size, uint64_t val)
{
	memcpy(mem + at, &val, size);
}

void describe(unsigned at, uint32_t base, uint32_t limit, unsigned attr)
{
	put(at, 4, (limit & 0xffff) | base << 16);
	put(at + 4, 4, (base >> 16 & 0xff) | (base & 0xff000000) | attr << 8 | (limit & 0xf0000));
}
void gate(unsigned at, unsigned type, unsigned dpl, uint16_t sel, uint32_t off, unsigned n)
{
	put(at, 4, (off & 0xffff) | (uint32_t)sel << 16);
	put(at + 4, 4, (off & 0xffff0000) | 0x8000 | dpl << 13 | type << 8 | n);
}

void load_raw(enum segreg s, uint16_t sel)
{
	struct desc d = { .lo = get(GDT + (sel & ~7u), 4), .hi = get(GDT + (sel & ~7u) + 4, 4) };

	seg_set(&vm.cpu.seg[s], sel, &d);
}

void setup(unsigned cpl)
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
	int try_##name params				\
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

bool in(unsigned type, const char *set)
{
	for (; *set; set++)
		if (type == (unsigned)(*set <= '9' ? *set - '0' : *set - 'a' + 10))
			return true;
	return false;
}

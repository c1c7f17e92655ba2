/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XSAVE, XSAVEOPT and XRSTOR: the same state and area by the interpreter's handlers and by
 * the host (where it has them), and the rules of SDM 1 13 that need no host. The handlers
 * are called directly; memory is the host's own.
 */
#include <cpuid.h>
#include <setjmp.h>
#include <string.h>

#include "interp/fpu.h"
#include "machine/machine.h"
#include "tests/suite.h"

#define AREA	XSAVE_SIZE

HANDLER(h_xsave64); HANDLER(h_xsaveopt64); HANDLER(h_xrstor64); HANDLER(h_xsave); HANDLER(h_xrstor);

static uint8_t area[AREA + 64] __attribute__((aligned(64)));
static struct interp *vm;
static jmp_buf guest_fault;
static int guest_vector;
static unsigned denied;		/* mem_probe_write() faults */

/* --- What is around the handlers ---------------------------------------------------- */

void raise_fault(struct interp *v, int vec)
{
	(void)v;
	guest_vector = vec;
	longjmp(guest_fault, 1);
}
void raise_code(struct interp *v, int vec, uint32_t err) { (void)err; raise_fault(v, vec); }
gva_t seg_linear(struct interp *v, unsigned seg, uint64_t off, unsigned size, unsigned access)
{
	(void)v; (void)seg; (void)size; (void)access;
	return off;
}
void mem_read_bytes(struct interp *v, unsigned seg, uint64_t off, void *p, unsigned n)
{
	(void)v; (void)seg;
	memcpy(p, (void *)off, n);
}
void mem_write_bytes(struct interp *v, unsigned seg, uint64_t off, const void *p, unsigned n)
{
	(void)v; (void)seg;
	memcpy((void *)off, p, n);
}
void mem_probe_write(struct interp *v, unsigned seg, uint64_t off, unsigned n)
{
	(void)seg; (void)off; (void)n;
	if (denied)
		raise_fault(v, VEC_PF);
}
uint64_t mem_read(struct interp *v, unsigned seg, uint64_t off, unsigned size)
{
	uint64_t x = 0;

	mem_read_bytes(v, seg, off, &x, size);
	return x;
}
void mem_write(struct interp *v, unsigned seg, uint64_t off, unsigned size, uint64_t val)
{
	mem_write_bytes(v, seg, off, &val, size);
}
const struct op *op_leave_at(struct interp *v, const struct op *op, uint64_t rip)
{
	(void)v; (void)op; (void)rip;
	return NULL;
}
const struct op *op_leave_after(struct interp *v, const struct op *op)
{
	(void)v; (void)op;
	return NULL;
}

static HANDLER(h_end)
{
	(void)v; (void)op;
	return NULL;
}

/* The vector raised, or -1. */
static int run_at(op_fn *fn, void *at, uint64_t rfbm)
{
	struct op trace[2] = {
		{ .fn = fn, .seg = SEG_DS, .flags = OPF_A64 | OPF_MEM, .base = RBX, .index = R_ZERO },
		{ .fn = h_end },
	};
	const struct op *volatile next = trace;

	vm->cpu.gpr[RAX] = (uint32_t)rfbm;
	vm->cpu.gpr[RDX] = rfbm >> 32;
	vm->cpu.gpr[RBX] = (uintptr_t)at;
	if (setjmp(guest_fault))
		return guest_vector;
	while (next)
		next = next->fn(vm, next);
	return -1;
}

static int run(op_fn *fn, uint64_t rfbm) { return run_at(fn, area, rfbm); }

static void setup(void)
{
	struct cpu *c;

	vm = aligned_alloc(64, (sizeof(*vm) + 63) & ~(size_t)63);
	memset(vm, 0, sizeof(*vm));
	for (unsigned i = 0; i < TLB_SIZE; i++)
		vm->tlb_never[i].rd = vm->tlb_never[i].wr = TLB_NONE;
	vm->hflags = HF_PE | HF_CS64;
	c = &vm->cpu;
	c->cr4 = CR4_OSFXSR | CR4_OSXSAVE;
	c->xcr0 = XCR0_X87 | XCR0_SSE;
	c->fpu.cw = CW_INIT;
	c->fpu.mxcsr = MXCSR_INIT;
	memset(area, 0, sizeof(area));
	denied = 0;
}

static void teardown(void) { free(vm); }

static uint64_t seed = 1;
static uint8_t rnd(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint8_t)(seed >> 40);
}

/* A state that both sides can hold: no x87 exception pending, no reserved bit of MXCSR.
 * Answers which of the two are not initial. */
static uint64_t random_state(struct fpu *f)
{
	uint64_t used = 0;

	memset(f, 0, sizeof(*f));
	f->cw = CW_INIT;
	f->mxcsr = MXCSR_INIT;
	if (rnd() & 1) {
		used |= XCR0_X87;
		f->fop = 1;
		f->sw = (uint16_t)((rnd() & 7) << SW_TOP_SHIFT);
		f->tags = rnd();
		for (unsigned i = 0; i < 8; i++)
			for (unsigned k = 0; k < 10; k++)
				f->st[i].b[k] = rnd();
	}
	if (rnd() & 1) {
		used |= XCR0_SSE;
		for (unsigned i = 0; i < 16; i++)
			for (unsigned k = 0; k < 2; k++)
				f->xmm[i].q[k] = seed ^ (uint64_t)rnd() << 56;
		f->mxcsr = MXCSR_MASKS | (unsigned)(rnd() & 3) << 13;
	}
	return used;
}

/* --- Against the host ----------------------------------------------------------------- */

static bool host_has(unsigned leaf1_ecx, unsigned leaf_d_eax)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || (c & leaf1_ecx) != leaf1_ecx)
		return false;
	__cpuid_count(0xd, 1, a, b, c, d);
	return (a & leaf_d_eax) == leaf_d_eax;
}

enum how { XSAVE_, XSAVEOPT_, XRSTOR_ };

/* The state in `fx` and the area through one instruction of the host. The state comes by
 * XRSTOR: a processor knows of no initial configuration after FXRSTOR. */
static void host(enum how how, uint8_t fx[AREA], uint64_t used, uint8_t *at, uint32_t rfbm)
{
	uint8_t own[512] __attribute__((aligned(64)));

	memset(fx + 512, 0, AREA - 512);
	memcpy(fx + 512, &used, 8);
	__asm__ volatile("fxsave64 %0" : "=m"(own));
	__asm__ volatile("xrstor64 (%0)" : : "r"(fx), "a"(3), "d"(0) : "memory");
	switch (how) {
	case XSAVE_:
		__asm__ volatile("xsave64 (%0)" : : "r"(at), "a"(rfbm), "d"(0) : "memory");
		break;
	case XSAVEOPT_:
		__asm__ volatile("xsaveopt64 (%0)" : : "r"(at), "a"(rfbm), "d"(0) : "memory");
		break;
	case XRSTOR_:
		__asm__ volatile("xrstor64 (%0)" : : "r"(at), "a"(rfbm), "d"(0) : "memory");
		break;
	}
	__asm__ volatile("fxsave64 (%0)\n\tfxrstor64 %1" : : "r"(fx), "m"(own) : "memory");
}

/* Images of FXSAVE, but for the end that is the system's, and on AMD hosts for FOP, FIP and FDP,
 * saved only while an exception is pending, and MXCSR_MASK (QUIRKS). */
static void same_image(const uint8_t *a, const uint8_t *b, unsigned round)
{
	bool all = __builtin_cpu_is("intel");

	for (unsigned i = 0; memcmp(a, b, 416) && i < 416; i++)
		if (a[i] != b[i] && (all || !((i >= 6 && i < 24) || (i >= 28 && i < 32))))
			ck_abort_msg("round %u, byte %u: %02x, host %02x", round, i, a[i], b[i]);
}

START_TEST(agrees)
{
	static const uint32_t osxsave = 1u << 27;
	static uint8_t fx[AREA] __attribute__((aligned(64))), theirs[AREA] __attribute__((aligned(64)));
	static uint8_t mine[512];
	static op_fn *const fn[] = { h_xsave64, h_xsaveopt64, h_xrstor64 };

	if (!host_has(osxsave, 1))
		return;		/* the other tests do without */
	for (unsigned round = 0; round < 20000; round++) {
		enum how how = (enum how)(round % 3);
		uint32_t rfbm = rnd() & 3;
		struct fpu mem;
		uint64_t bv = rnd() & 3, host_bv, my_bv, used;

		used = random_state(&vm->cpu.fpu);
		fpu_to_fxsave(&vm->cpu.fpu, fx, true);
		random_state(&mem);
		fpu_to_fxsave(&mem, area, true);
		memset(area + 512, 0, 64);
		memcpy(area + 512, &bv, 8);
		memcpy(theirs, area, AREA);
		host(how, fx, used, theirs, rfbm);
		ck_assert_int_eq(run(fn[how], rfbm), -1);
		fpu_to_fxsave(&vm->cpu.fpu, mine, true);
		same_image(mine, fx, round);
		memcpy(&host_bv, theirs + 512, 8);
		memcpy(&my_bv, area + 512, 8);
		/* A processor may call a state in use that is not (SDM 1 13.6); then it is written. */
		ck_assert_uint_eq(my_bv & ~host_bv, 0);
		if (my_bv == host_bv)
			same_image(area, theirs, round);
		ck_assert(!memcmp(area + 520, theirs + 520, 56));
	}
}
END_TEST

/* --- Rules ------------------------------------------------------------------------------ */

START_TEST(availability)
{
	static op_fn *const fn[] = { h_xsave, h_xsave64, h_xsaveopt64, h_xrstor, h_xrstor64 };

	for (size_t i = 0; i < ARRAY_LEN(fn); i++) {
		struct cpu *c = &vm->cpu;

		ck_assert_int_eq(run(fn[i], 3), -1);
		c->cr0 = CR0_TS;
		ck_assert_int_eq(run(fn[i], 3), VEC_NM);
		c->cr4 &= ~(uint64_t)CR4_OSXSAVE;	/* goes before */
		ck_assert_int_eq(run(fn[i], 3), VEC_UD);
		c->cr0 = CR0_EM;			/* does not count */
		c->cr4 = CR4_OSXSAVE;
		ck_assert_int_eq(run(fn[i], 3), -1);
		c->cr0 = 0;
		c->fpu.sw = SW_ES | SW_B | SW_IE;	/* nor does a pending x87 exception */
		c->fpu.cw = 0x37e;
		ck_assert_int_eq(run(fn[i], 2), -1);
		c->fpu.sw = 0;
		c->fpu.cw = CW_INIT;
		for (unsigned k = 1; k < 64; k++)
			ck_assert_int_eq(run_at(fn[i], area + k, 3), VEC_GP);
	}
}
END_TEST

START_TEST(bad_headers)
{
	struct fpu before;

	random_state(&vm->cpu.fpu);
	before = vm->cpu.fpu;
	for (unsigned bit = 0; bit < 64 * 8; bit++) {
		/* XSTATE_BV's two, and what is beyond byte 24, are free. */
		bool bad = bit >= 2 && bit < 24 * 8;

		memset(area, 0, sizeof(area));
		area[512 + bit / 8] = (uint8_t)(1u << bit % 8);
		vm->cpu.fpu = before;
		ck_assert_int_eq(run(h_xrstor64, 0), bad ? VEC_GP : -1);
		ck_assert(!memcmp(&vm->cpu.fpu, &before, sizeof(before)));
	}
	/* A state that XCR0 has not is not one. */
	memset(area, 0, sizeof(area));
	area[512] = 2;
	vm->cpu.xcr0 = XCR0_X87;
	ck_assert_int_eq(run(h_xrstor64, 1), VEC_GP);
	vm->cpu.xcr0 = XCR0_X87 | XCR0_SSE;
	/* MXCSR counts if SSE is asked for, whatever XSTATE_BV says; nothing is loaded then. */
	memset(area + 24, 0xff, 4);
	area[512] = 0;
	vm->cpu.fpu = before;
	ck_assert_int_eq(run(h_xrstor64, 3), VEC_GP);
	ck_assert(!memcmp(&vm->cpu.fpu, &before, sizeof(before)));
	ck_assert_int_eq(run(h_xrstor64, 1), -1);
	ck_assert_uint_eq(vm->cpu.fpu.mxcsr, before.mxcsr);
}
END_TEST

START_TEST(saving)
{
	uint64_t bv;

	/* Nothing is written before the whole area is known to be writable. */
	memset(area, 0xa5, sizeof(area));
	denied = 1;
	ck_assert_int_eq(run(h_xsave64, 3), VEC_PF);
	for (unsigned i = 0; i < AREA; i++)
		ck_assert_uint_eq(area[i], 0xa5);
	denied = 0;
	/* The bits that were not asked for stay, and so does what is not XSAVE's. */
	ck_assert_int_eq(run(h_xsave64, 2), -1);
	memcpy(&bv, area + 512, 8);
	ck_assert_uint_eq(bv, 0xa5a5a5a5a5a5a5a5ull & ~2ull);
	for (unsigned i = 0; i < 24; i++)
		ck_assert_uint_eq(area[i], 0xa5);
	for (unsigned i = 520; i < AREA; i++)
		ck_assert_uint_eq(area[i], 0xa5);
	/* Outside 64-bit code the upper eight XMM registers are neither saved nor lost. */
	vm->hflags = HF_PE;
	vm->cpu.fpu.xmm[12].q[0] = 7;
	memset(area, 0, sizeof(area));
	ck_assert_int_eq(run(h_xsave, 3), -1);
	memcpy(&bv, area + 512, 8);
	ck_assert_uint_eq(bv & XCR0_SSE, 0);
	ck_assert_int_eq(run(h_xrstor, 3), -1);
	ck_assert_uint_eq(vm->cpu.fpu.xmm[12].q[0], 7);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("xsave");
	TCase *t = tcase_create("xsave");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, agrees);
	tcase_add_test(t, availability);
	tcase_add_test(t, bad_headers);
	tcase_add_test(t, saving);
	suite_add_tcase(s, t);
	return suite_run(s);
}

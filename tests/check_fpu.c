/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every x87, MMX and SSE encoding, on the interpreter's handlers and on the host
 * CPU, from the same random state: all registers, flags, memory and faults must
 * agree, with exceptions masked and unmasked, all roundings and precisions, full and
 * empty stacks. The handlers are called directly; memory is the host's own.
 */
#include <check.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "interp/decode.h"
#include "interp/fpu.h"
#include "machine/machine.h"

#define BUF_SIZE	1024u
#define GPRS		8	/* RAX to RDI take part */

struct state {
	uint8_t fx[512] __attribute__((aligned(64)));
	uint64_t gpr[GPRS];
	uint64_t arith;
	uint8_t mem[BUF_SIZE];
	int fault;		/* vector, or -1 */
};

static uint8_t *code;		/* one instruction and a RET */
static uint8_t buffer[BUF_SIZE] __attribute__((aligned(64)));
static struct interp *vm;
static sigjmp_buf host_fault;
static struct state *host_state;
static jmp_buf guest_fault;
static int guest_vector;
static int irq_line;		/* raised by irq_set(), else -1 */
static uint64_t left_at;	/* where op_leave_at() was told to continue */

/* --- The host --------------------------------------------------------------------- */

/* host_exec(state RDI, code RSI): R15 holds the state meanwhile. */
__asm__(
"	.text\n"
"host_exec:\n"
"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n"
"	sub $8, %rsp\n"
"	mov %rdi, %r15\n"
"	mov %rsi, %r14\n"
"	fxrstor64 (%r15)\n"
"	mov 576(%r15), %rax\n"
"	addb $0x7f, %al\n"
"	sahf\n"
"	mov 512(%r15), %rax\n	mov 520(%r15), %rcx\n	mov 528(%r15), %rdx\n"
"	mov 536(%r15), %rbx\n	mov 560(%r15), %rsi\n	mov 568(%r15), %rdi\n"
"	call *%r14\n"
"	mov %rax, 512(%r15)\n	mov %rcx, 520(%r15)\n	mov %rdx, 528(%r15)\n"
"	mov %rbx, 536(%r15)\n	mov %rsi, 560(%r15)\n	mov %rdi, 568(%r15)\n"
"	mov $0, %eax\n	lahf\n	seto %al\n"
"	mov %rax, 576(%r15)\n"
"	fxsave64 (%r15)\n"
"	fninit\n"
"	add $8, %rsp\n"
"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbp\n	pop %rbx\n"
"	ret\n");
void host_exec(struct state *s, void *insn);

static const int host_regs[GPRS] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI,
				     REG_RDI };

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;
	struct state *s = host_state;

	memcpy(s->fx, uc->uc_mcontext.fpregs, 464);
	for (int i = 0; i < GPRS; i++)
		if (i != RSP && i != RBP)
			s->gpr[i] = (uint64_t)uc->uc_mcontext.gregs[host_regs[i]];
	s->arith = flags_to_arith((uint32_t)uc->uc_mcontext.gregs[REG_EFL]) | 0x200;
	if (sig == SIGFPE)	/* trap number: which of the two */
		s->fault = (int)uc->uc_mcontext.gregs[REG_TRAPNO];
	else
		s->fault = sig == SIGSEGV ? VEC_GP : VEC_UD;
	(void)si;
	siglongjmp(host_fault, 1);
}

static void run_host(struct state *s)
{
	static const uint32_t mxcsr = MXCSR_INIT;

	host_state = s;
	s->fault = -1;
	memcpy(buffer, s->mem, BUF_SIZE);
	if (!sigsetjmp(host_fault, 1))
		host_exec(s, code);
	__asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
	memcpy(s->mem, buffer, BUF_SIZE);
}

/* --- The interpreter's surroundings -------------------------------------------------- */

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
	(void)v; (void)seg; (void)off; (void)n;
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
	(void)v; (void)op;
	left_at = rip;
	return NULL;
}
const struct op *op_leave_after(struct interp *v, const struct op *op)
{
	(void)v; (void)op;
	return NULL;
}
void irq_set(struct machine *m, unsigned line, bool level)
{
	(void)m;
	irq_line = level ? (int)line : -1;
}

static HANDLER(h_end)
{
	(void)v; (void)op;
	return NULL;
}

/* --- Lowering, as the legends of the .def files say -------------------------------------- */

#define INT(m, lower, arg)
#define STR(m, lower, arg)
#define SYS(m, handler, end)
#define GEN(m, h)		HANDLER(h);
#define GEN2(m, h, x)		HANDLER(h); HANDLER(x);
#define GEN3(m, h, x, g)	HANDLER(h); HANDLER(x); HANDLER(g);
#include "interp/ops_x87.def"
#include "interp/ops_sse.def"
#undef GEN
#undef GEN2
#undef GEN3
static const struct row { op_fn *mmx, *xmm, *gpr; const char *name; } rows[M_COUNT] = {
#define GEN(m, h)		[M_##m] = { h, h, NULL, #m },
#define GEN2(m, h, x)		[M_##m] = { h, x, NULL, #m },
#define GEN3(m, h, x, g)	[M_##m] = { h, x, g, #m },
#include "interp/ops_x87.def"
#include "interp/ops_sse.def"
};

static void lower_one(const struct insn *in, const uint8_t *bytes, struct op *op)
{
	const struct row *r = &rows[in->mnem];
	bool mmx = false, xmm = false, gpr = false;
	unsigned nregs = 0;
	int m = -1;

	memset(op, 0, sizeof(*op));
	op->seg = in->seg;
	op->len = in->len;
	op->flags = OPF_A64;
	op->imm = (in->imm & 0xff) | (in->has_rex_w ? 0x100 : 0);
	op->base = op->index = R_ZERO;
	for (int i = 0; i < in->nopnd; i++) {
		const struct opnd *o = &in->o[i];

		mmx |= o->kind == OPD_MMX;
		xmm |= o->kind == OPD_XMM;
		gpr |= o->kind == OPD_GPR;
		if (o->kind == OPD_MEM)
			m = i;
		if (o->kind >= OPD_GPR && o->kind <= OPD_XMM)
			*(nregs++ ? &op->b : &op->a) = o->reg;
		if (o->kind == OPD_GPR && m < 0 && !op->osize)
			op->osize = o->size;
	}
	if (m >= 0) {
		op->flags |= (uint8_t)(OPF_MEM | (m == 0 ? OPF_MEM_DST : 0));
		op->osize = in->o[m].size;
		op->base = in->base;
		op->index = in->index;
		op->disp = (int32_t)in->disp;
	} else {
		op->base = in->o[0].kind;
		op->index = in->nopnd > 1 ? in->o[1].kind : 0;
	}
	op->fn = r->gpr && gpr ? r->gpr : mmx && !xmm ? r->mmx : r->xmm;
	if (*bytes == 0x66)
		bytes++;
	if ((bytes[0] & 0xf8) == 0xd8) {
		op->imm = (unsigned)(bytes[0] & 7) << 8 | bytes[1];
		op->fn = x87_handler((unsigned)op->imm);
	}
}

/* The vector raised, or -1. */
static int run_op(const struct op *op)
{
	struct op trace[2] = { *op, { .fn = h_end } };
	const struct op *volatile next = trace;

	if (setjmp(guest_fault))
		return guest_vector;
	while (next)
		next = next->fn(vm, next);
	return -1;
}

static void run_guest(struct state *s, const struct op *op)
{
	struct interp *v = vm;

	memcpy(buffer, s->mem, BUF_SIZE);
	fpu_from_fxsave(&v->cpu.fpu, s->fx, true);
	memcpy(v->cpu.gpr, s->gpr, sizeof(s->gpr));
	v->cpu.gpr[R_PAGE] = (uintptr_t)code;
	v->cpu.arith = (uint16_t)s->arith;
	s->fault = run_op(op);
	fpu_to_fxsave(&v->cpu.fpu, s->fx, true);
	memcpy(s->gpr, v->cpu.gpr, sizeof(s->gpr));
	s->arith = v->cpu.arith;
	memcpy(s->mem, buffer, BUF_SIZE);
}

/* --- Random states -------------------------------------------------------------------------- */

static uint64_t rnd_state = 88172645463325252ull;
static uint64_t rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state * 0x2545f4914f6cdd1dull;
}

static uint64_t rnd_bits(void)
{
	switch (rnd() >> 33 & 7) {
	case 0: return 0;
	case 1: return ~0ull;
	case 2: return 1ull << (rnd() & 63);
	case 3: return ~0ull << (rnd() & 63);
	case 4: return rnd() & 0xff;
	case 5: return rnd() & 0x00ff00ff00ff00ff;
	default: return rnd();
	}
}

/* A sign, an exponent near an end, near the middle or anywhere, and a fraction of
 * some shape; ebits and fbits are the format's. */
static uint64_t rnd_float(unsigned ebits, unsigned fbits)
{
	uint64_t emax = (1ull << ebits) - 1, e, f = rnd_bits() & ((1ull << fbits) - 1);

	switch (rnd() >> 33 & 7) {
	case 0: e = 0; break;
	case 1: e = emax; break;
	case 2: e = rnd() & 3; break;
	case 3: e = emax - (rnd() & 3); break;
	case 4: e = rnd() & emax; break;
	default: e = (emax >> 1) + (rnd() & 15) - 7; break;
	}
	return (rnd() >> 40 & 1) << (ebits + fbits) | e << fbits | f;
}

static uint64_t rnd_quad(void)
{
	switch (rnd() >> 33 & 3) {
	case 0: return rnd_bits();
	case 1: return rnd_float(11, 52);
	default: return rnd_float(8, 23) | rnd_float(8, 23) << 32;
	}
}

static void rnd_extended(uint8_t *p)
{
	uint64_t se = rnd_float(15, 0), frac = rnd_bits();
	unsigned kind = rnd() >> 33 & 15;

	if (kind < 3)		/* small integers, for conversions and remainders */
		se = 0x3fff + (rnd() & 63), frac = rnd();
	if (kind < 14 && (se & 0x7fff))	/* else unsupported */
		frac |= 1ull << 63;
	memcpy(p, &frac, 8);
	memcpy(p + 8, &se, 2);
}

static void set16(uint8_t *p, unsigned x) { uint16_t w = (uint16_t)x; memcpy(p, &w, 2); }

/* How much of the state is unusual. */
struct variety { bool unmasked, stack, pending, unaligned; };

static void rnd_state_make(struct state *s, const struct variety *y)
{
	struct fpu t = { 0 };
	uint64_t q;

	memset(s, 0, sizeof(*s));
	t.cw = (uint16_t)(CW_FIXED | CW_MASKS | (rnd() & 0x1f00));
	if (!(rnd() & 3))
		t.cw = CW_INIT;
	if (y->unmasked)
		t.cw &= (uint16_t)~(rnd() & rnd() & CW_MASKS);
	t.sw = (uint16_t)(rnd() & (SW_CC | SW_TOP));
	if (!(rnd() & 3))
		t.sw |= (uint16_t)(rnd() & (SW_FLAGS | SW_SF));
	if (!y->pending)
		t.sw &= (uint16_t)~(~t.cw & CW_MASKS);
	x87_summarize(&t);
	t.tags = y->stack ? (uint8_t)rnd() : (uint8_t)~(1u << ((x87_top(&t) - 1) & 7));
	set16(s->fx, t.cw);
	set16(s->fx + 2, t.sw);
	s->fx[4] = t.tags;
	set16(s->fx + 6, rnd() & 0x7ff);
	q = rnd() & 0xffffffff;
	memcpy(s->fx + 8, &q, 8);
	q = rnd() & 0xffffffff;
	memcpy(s->fx + 16, &q, 8);
	t.mxcsr = MXCSR_MASKS | (rnd() & (rnd() & 1 ? 0xe040 : 0xe07f));
	if (!(rnd() & 3))
		t.mxcsr = MXCSR_INIT;
	if (y->unmasked)
		t.mxcsr &= ~(uint32_t)(rnd() & rnd() & MXCSR_MASKS);
	memcpy(s->fx + 24, &t.mxcsr, 4);
	for (int i = 0; i < 8; i++)
		rnd_extended(s->fx + 32 + 16 * i);
	for (int i = 0; i < 32; i++) {
		q = rnd_quad();
		memcpy(s->fx + 160 + 8 * i, &q, 8);
	}
	for (unsigned i = 0; i < BUF_SIZE / 8; i++) {
		q = rnd_quad();
		memcpy(s->mem + 8 * i, &q, 8);
	}
	if (rnd() & 1)
		rnd_extended(s->mem + 64);
	if (rnd() & 1)	/* a valid MXCSR where FXRSTOR and LDMXCSR look */
		memset(s->mem + 64 + 26, 0, 2);
	if (rnd() & 1)
		memset(s->mem + 66, 0, 2);
	s->mem[64 + 26] &= 0xfd;	/* bit 17 is AMD's alone */
	s->mem[66] &= 0xfd;
	for (int i = 0; i < GPRS; i++)
		s->gpr[i] = rnd_quad();
	s->gpr[RSP] = s->gpr[RBP] = 0;
	s->gpr[RSI] = s->gpr[RDI] = (uintptr_t)buffer + 64;
	if (y->unaligned)
		s->gpr[RSI] += 4;
	s->arith = flags_to_arith((uint32_t)rnd() & FL_ARITH) | 0x200;
}

/* --- Comparison ------------------------------------------------------------------------------- */

static unsigned differences;
static bool verbose;

static void hex(const char *what, const uint8_t *p, unsigned n)
{
	fprintf(stderr, "  %-8s", what);
	for (unsigned i = n; i-- > 0;)
		fprintf(stderr, "%02x%s", p[i], i && !(i & 3) ? "." : "");
	fputc('\n', stderr);
}

static bool report(const char *what, const void *in, const void *host, const void *guest,
		   unsigned n)
{
	if (memcmp(host, guest, n) == 0)
		return false;
	fprintf(stderr, " %s:\n", what);
	hex("before", in, n);
	hex("host", host, n);
	hex("interp", guest, n);
	return true;
}

#define ST(i)		(32 + 16 * (i))
#define XMM_AT(i)	(160 + 16 * (i))

static bool compare(const struct state *in, const struct state *h, const struct state *g)
{
	char name[16];
	bool d = false;

	if (h->fault != g->fault) {
		fprintf(stderr, " fault: host %d, interp %d\n", h->fault, g->fault);
		d = true;
	}
	d |= report("cw sw tags fop fip fdp", in->fx, h->fx, g->fx, 24);
	d |= report("mxcsr", in->fx + 24, h->fx + 24, g->fx + 24, 4);
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "st%d", i);
		d |= report(name, in->fx + ST(i), h->fx + ST(i), g->fx + ST(i), 10);
	}
	for (int i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "xmm%d", i);
		d |= report(name, in->fx + XMM_AT(i), h->fx + XMM_AT(i), g->fx + XMM_AT(i), 16);
	}
	for (int i = 0; i < GPRS; i++)
		if (i != RSP && i != RBP) {
			snprintf(name, sizeof(name), "gpr%d", i);
			d |= report(name, &in->gpr[i], &h->gpr[i], &g->gpr[i], 8);
		}
	d |= report("flags", &in->arith, &h->arith, &g->arith, 2);
	for (unsigned i = 0; i < BUF_SIZE; i += 16) {
		snprintf(name, sizeof(name), "mem+%d", (int)i - 64);
		d |= report(name, in->mem + i, h->mem + i, g->mem + i, 16);
	}
	return d;
}

/* Processors differ in when they keep the last instruction's and operand's address:
 * all do when an unmasked exception is pending, unless a switch of context came
 * between. */
static void forget_pointers(unsigned mnem, struct state *h, struct state *g)
{
	static const uint8_t none[18];
	uint16_t sw;

	memcpy(&sw, h->fx + 2, 2);
	if (!(sw & SW_ES) || memcmp(h->fx + 6, none, sizeof(none)) == 0)
		memcpy(h->fx + 6, g->fx + 6, 18);
	else if (memcmp(h->fx + 16, none, 8) == 0)	/* it came before the instruction */
		memcpy(h->fx + 16, g->fx + 16, 8);
	/* Made canonical: of 48 bits like the model's, or 57 where the host has five levels. */
	if (mnem == M_FXRSTOR64)
		for (unsigned at = 8; at <= 16; at += 8) {
			int64_t a;

			memcpy(&a, h->fx + at, 8);
			a = (int64_t)((uint64_t)a << 16) >> 16;
			memcpy(h->fx + at, &a, 8);
		}
	if (mnem == M_FNSTENV || mnem == M_FNSAVE)
		memcpy(h->mem + 64 + 12, g->mem + 64 + 12, 16);
	if (mnem == M_FXSAVE || mnem == M_FXSAVE64)
		memcpy(h->mem + 64 + 6, g->mem + 64 + 6, 26);	/* and MXCSR_MASK */
}

static void try_one(const struct insn *in, const uint8_t *bytes, const struct variety *y)
{
	static struct state before, host, guest;
	struct op op;

	lower_one(in, bytes, &op);
	rnd_state_make(&before, y);
	memcpy(code, bytes, in->len);
	code[in->len] = 0xc3;
	host = guest = before;
	run_host(&host);
	run_guest(&guest, &op);
	forget_pointers(in->mnem, &host, &guest);
	if (!compare(&before, &host, &guest))
		return;
	differences++;
	fprintf(stderr, "%s, bytes", rows[in->mnem].name);
	for (unsigned i = 0; i < in->len; i++)
		fprintf(stderr, " %02x", bytes[i]);
	hex("; state", before.fx, 28);
	hex("st0", before.fx + 32, 10);
	hex("memory", before.mem + 64, 16);
}

/* Encodings to try: every opcode of the maps that these units live in. */
static void for_encodings(bool x87, unsigned times, const struct variety *y)
{
	static const char *const prefixes[] = { "", "\x66", "\xf3", "\xf2" };
	static const char *const maps[] = { "\x0f", "\x0f\x38", "\x0f\x3a" };
	struct decoder *d = decoder_create();
	struct insn in;
	uint8_t b[16];
	const char *only = getenv("FPU_ONLY");

	for (unsigned t = 0; t < times; t++)
	for (unsigned p = 0; p < (x87 ? 2 : 4); p++)
	for (unsigned rex = 0; rex < (x87 ? 1 : 2); rex++)
	for (unsigned m = 0; m < (x87 ? 1 : 3); m++)
	for (unsigned opcode = 0; opcode < (x87 ? 8 : 256); opcode++)
	for (unsigned modrm = 0; modrm < 256; modrm++) {
		unsigned n = 0, mod = modrm >> 6, rm = modrm & 7;
		unsigned before = differences;

		if (mod == 1 || mod == 2 || (mod == 0 && rm != 6))
			continue;
		if (!x87 && m == 0 && (opcode == 0x38 || opcode == 0x3a))
			continue;	/* these are the other maps */
		/* x87: all; else one of the registers that matter, chosen at random. */
		if (!x87 && (modrm & 0x20 || (mod == 3 && rm > 3)) && opcode != 0xae &&
		    (opcode < 0x71 || opcode > 0x73))
			continue;
		memset(b, 0, sizeof(b));
		for (const char *c = prefixes[p]; *c; c++)
			b[n++] = (uint8_t)*c;
		if (rex)
			b[n++] = 0x48;
		for (const char *c = maps[m]; !x87 && *c; c++)
			b[n++] = (uint8_t)*c;
		b[n++] = (uint8_t)(x87 ? 0xd8 + opcode : opcode);
		b[n++] = (uint8_t)modrm;
		b[n] = (uint8_t)rnd();
		if (decode(d, HF_CS64 | HF_PE, b, 15, &in) != DECODE_OK || !rows[in.mnem].name ||
		    in.feature == F_XSAVE || in.feature == F_XSAVEOPT)	/* check_xsave.c's */
			continue;
		if (only && strcmp(only, rows[in.mnem].name))
			continue;
		try_one(&in, b, y);
		if (differences != before && !verbose)
			break;
		if (differences > 20 && !verbose)
			goto out;
	}
out:
	decoder_destroy(d);
}

static void setup(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	static const int sigs[] = { SIGFPE, SIGSEGV, SIGILL };

	for (size_t i = 0; i < ARRAY_LEN(sigs); i++)
		sigaction(sigs[i], &sa, NULL);
	code = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(code != MAP_FAILED);
	vm = calloc(1, sizeof(*vm));
	ck_assert_ptr_nonnull(vm);
	vm->hflags = HF_CS64 | HF_PE;
	vm->cpu.cr0 = CR0_PE | CR0_NE | CR0_MP;
	vm->cpu.cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
	for (unsigned i = 0; i < TLB_SIZE; i++)
		vm->tlb_never[i].rd = vm->tlb_never[i].wr = TLB_NONE;
	vm->tlb = vm->tlb_never;
	verbose = getenv("FPU_VERBOSE") != NULL;
}

static void teardown(void)
{
	free(vm);
	munmap(code, PAGE_SIZE);
}

/* FPU_TIMES=n in the environment makes the comparison n times as long. */
static unsigned times(void)
{
	const char *n = getenv("FPU_TIMES");

	return n ? (unsigned)atoi(n) : 1;
}

static const struct variety varieties[] = {
	{ 0 },
	{ .unmasked = true },
	{ .stack = true },
	{ .unmasked = true, .stack = true },
	{ .unmasked = true, .pending = true },
	{ .unaligned = true },
};

START_TEST(x87_agrees)
{
	differences = 0;
	for_encodings(true, 30 * times(), &varieties[_i]);
	ck_assert_uint_eq(differences, 0);
}
END_TEST

START_TEST(sse_agrees)
{
	differences = 0;
	for_encodings(false, 6 * times(), &varieties[_i]);
	ck_assert_uint_eq(differences, 0);
}
END_TEST

/* --- What a process cannot show: control registers and real-mode formats -------------- */

static void decode_one(const char *bytes, struct op *op)
{
	struct decoder *d = decoder_create();
	uint8_t b[16] = { 0 };
	struct insn in;

	memcpy(b, bytes, strlen(bytes));	/* none of them holds a zero */
	ck_assert_int_eq(decode(d, HF_CS64 | HF_PE, b, 15, &in), DECODE_OK);
	lower_one(&in, b, op);
	decoder_destroy(d);
}

static const struct gate {
	const char *name, *bytes;
	uint32_t cr0, cr4;	/* changed from the usual */
	bool pending;
	int vector;
} gates[] = {
	{ "fadd, EM", "\xd8\xc1", CR0_EM, 0, false, VEC_NM },
	{ "fadd, TS", "\xd8\xc1", CR0_TS, 0, false, VEC_NM },
	{ "fadd, pending", "\xd8\xc1", 0, 0, true, VEC_MF },
	{ "fnstsw, TS", "\xdf\xe0", CR0_TS, 0, false, VEC_NM },
	{ "fnstsw, pending", "\xdf\xe0", 0, 0, true, -1 },
	{ "fnclex, pending", "\xdb\xe2", 0, 0, true, -1 },
	{ "fnsave, pending", "\xdd\x36", 0, 0, true, -1 },
	{ "frstor, pending", "\xdd\x26", 0, 0, true, VEC_MF },
	{ "fwait, EM", "\x9b", CR0_EM, 0, false, -1 },
	{ "fwait, TS", "\x9b", CR0_TS, 0, false, VEC_NM },
	{ "fwait, TS without MP", "\x9b", CR0_TS | CR0_MP, 0, false, -1 },
	{ "fwait, pending", "\x9b", 0, 0, true, VEC_MF },
	{ "paddb mm, EM", "\x0f\xfc\xc1", CR0_EM | CR0_TS, 0, false, VEC_UD },
	{ "paddb mm, TS", "\x0f\xfc\xc1", CR0_TS, 0, true, VEC_NM },
	{ "paddb mm, pending", "\x0f\xfc\xc1", 0, 0, true, VEC_MF },
	{ "paddb xmm, EM", "\x66\x0f\xfc\xc1", CR0_EM, 0, false, VEC_UD },
	{ "paddb xmm, TS", "\x66\x0f\xfc\xc1", CR0_TS, 0, true, VEC_NM },
	{ "paddb xmm, no OSFXSR", "\x66\x0f\xfc\xc1", CR0_TS, CR4_OSFXSR, false, VEC_UD },
	{ "paddb xmm, pending", "\x66\x0f\xfc\xc1", 0, 0, true, -1 },
	{ "movq2dq, pending", "\xf3\x0f\xd6\xc1", 0, 0, true, VEC_MF },
	{ "divss, unmasked", "\xf3\x0f\x5e\xc1", 0, 0, false, VEC_XM },
	{ "divss, no OSXMMEXCPT", "\xf3\x0f\x5e\xc1", 0, CR4_OSXMMEXCPT, false, VEC_UD },
	{ "ldmxcsr, no OSFXSR", "\x0f\xae\x16", 0, CR4_OSFXSR, false, VEC_UD },
	{ "fxsave, TS", "\x0f\xae\x06", CR0_TS, 0, false, VEC_NM },
	{ "fxsave, no OSFXSR", "\x0f\xae\x06", 0, CR4_OSFXSR, true, -1 },
	{ "emms, EM", "\x0f\x77", CR0_EM, 0, false, VEC_UD },
	{ "movnti, TS", "\x0f\xc3\x06", CR0_TS | CR0_EM, CR4_OSFXSR, false, -1 },
	{ "sfence, TS", "\x0f\xae\xf8", CR0_TS | CR0_EM, CR4_OSFXSR, false, -1 },
};

/* One divided by zero in XMM, and a pending invalid operation in x87 if asked. */
static void plain_state(struct state *s, bool pending)
{
	struct fpu f = { .cw = 0x37e, .tags = 0xff, .mxcsr = MXCSR_INIT & ~(SW_ZE << 7) };

	if (pending)
		f.sw = SW_IE;
	x87_summarize(&f);
	f.xmm[0].d[0] = 0x3f800000;
	memset(s, 0, sizeof(*s));
	fpu_to_fxsave(&f, s->fx, true);
	s->gpr[RSI] = s->gpr[RDI] = (uintptr_t)buffer + 64;
}

START_TEST(control_registers)
{
	const struct gate *g = &gates[_i];
	struct state s;
	struct op op;

	decode_one(g->bytes, &op);
	plain_state(&s, g->pending);
	vm->cpu.cr0 ^= g->cr0;
	vm->cpu.cr4 ^= g->cr4;
	run_guest(&s, &op);
	ck_assert_msg(s.fault == g->vector, "%s: %d, not %d", g->name, s.fault, g->vector);
}
END_TEST

/* CR0.NE clear: FERR# drives IRQ 13, and the instruction waits. */
START_TEST(external_error)
{
	struct state s;
	struct op op;

	decode_one("\xd8\xc1", &op);
	plain_state(&s, true);
	vm->cpu.cr0 &= ~(uint64_t)CR0_NE;
	irq_line = -1;
	left_at = 0;
	run_guest(&s, &op);
	ck_assert_int_eq(s.fault, -1);
	ck_assert_int_eq(irq_line, 13);
	ck_assert_uint_eq(left_at, (uintptr_t)code);
}
END_TEST

/* Linear addresses 0x56789 and 0xf9876, opcode 0x123; 20 bits of them in 16-bit form. */
START_TEST(real_mode_environment)
{
	static const uint32_t wide[7] = { 0xffff037f, 0xffff3800, 0xffff7fff, 0xffff6789,
					  0x00005123, 0xffff9876, 0x0000f000 };
	static const uint16_t narrow[7] = { 0x037f, 0x3800, 0x7fff, 0x6789, 0x5123, 0x9876,
					    0xf000 };
	struct fpu *f = &vm->cpu.fpu;
	struct state s;
	struct op op;

	vm->hflags &= ~(uint32_t)HF_PE;
	for (int i = 0; i < 2; i++) {
		plain_state(&s, false);
		memset(f, 0, sizeof(*f));
		f->cw = CW_INIT;
		f->sw = 7 << SW_TOP_SHIFT;
		f->tags = 0x80;		/* and its register holds zero */
		f->fop = 0x123;
		f->fcs = 0x5000;
		f->fip = 0x6789;
		f->fds = 0xf000;
		f->fdp = 0x9876;
		memcpy(vm->cpu.gpr, s.gpr, sizeof(s.gpr));
		decode_one("\xd9\x36", &op);
		op.osize = i ? sizeof(narrow) : sizeof(wide);
		run_op(&op);
		ck_assert_mem_eq(buffer + 64, i ? (const void *)narrow : wide, op.osize);
		memset(f, 0, sizeof(*f));
		decode_one("\xd9\x26", &op);
		op.osize = i ? sizeof(narrow) : sizeof(wide);
		run_op(&op);
		ck_assert_uint_eq(f->fip, 0x56789);
		ck_assert_uint_eq(f->fdp, 0xf9876);
		ck_assert_uint_eq(f->fop, 0x123);
		ck_assert_uint_eq(f->tags, 0x80);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fpu");
	TCase *tc = tcase_create("host");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, x87_agrees, 0, ARRAY_LEN(varieties));
	tcase_add_loop_test(tc, sse_agrees, 0, ARRAY_LEN(varieties));
	tcase_add_loop_test(tc, control_registers, 0, ARRAY_LEN(gates));
	tcase_add_test(tc, external_error);
	tcase_add_test(tc, real_mode_environment);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}

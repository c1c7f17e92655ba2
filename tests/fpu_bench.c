/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One x87, MMX or SSE instruction on the interpreter's handlers and on the host CPU.
 * The handlers are called directly; memory is the host's own.
 */
#include <check.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "interp/fpu.h"
#include "machine/machine.h"
#include "tests/fpu_bench.h"

uint8_t *code;
uint8_t buffer[BUF_SIZE] __attribute__((aligned(64)));
struct interp *vm;
static sigjmp_buf host_fault;
static struct state *host_state;
static jmp_buf guest_fault;
static int guest_vector;
int irq_line;
uintptr_t unwritable;
uint64_t left_at;

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

void run_host(struct state *s)
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
	(void)seg;
	if (unwritable && off < unwritable && off + n > unwritable)
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

void lower_one(const struct insn *in, const uint8_t *bytes, struct op *op)
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
int run_op(const struct op *op)
{
	struct op trace[2] = { *op, { .fn = h_end } };
	const struct op *volatile next = trace;

	if (setjmp(guest_fault))
		return guest_vector;
	while (next)
		next = next->fn(vm, next);
	return -1;
}

void run_guest(struct state *s, const struct op *op)
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

/* --- Comparison ------------------------------------------------------------------------------- */

void hex(const char *what, const uint8_t *p, unsigned n)
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

bool compare(const struct state *in, const struct state *h, const struct state *g)
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
void forget_pointers(unsigned mnem, struct state *h, struct state *g)
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

/* --- Opening ---------------------------------------------------------------------------------- */

const char *fpu_name(unsigned mnem)
{
	return rows[mnem].name;
}

void fpu_bench_open(void)
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
}

void fpu_bench_close(void)
{
	free(vm);
	munmap(code, PAGE_SIZE);
}

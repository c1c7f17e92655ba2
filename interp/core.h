/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the interpreter: its state, the operation, the dispatch macros.
 *
 * In a nutshell. The code of a physical page is decoded once into *traces* of
 * fixed-size *operations* (trace_build.c, decode.c, lower.c). A handler is a C
 * function that does one instruction and ends in NEXT (the following operation
 * of the trace), in JUMP (a control transfer: linked trace, jump cache, or the
 * slow look-up), or in LEAVE (back to the run loop, which delivers interrupts
 * and recomputes what depends on the processor's mode).
 *
 * RIP is not kept up to date: inside a trace it is gpr[R_PAGE] + op->off, where
 * gpr[R_PAGE] is the RIP that corresponds to offset 0 of the current code page.
 * A handler that may raise a guest fault therefore begins with SYNC(v, op),
 * and everything it changes before its last possible fault must be restartable.
 */
#ifndef INTERP_CORE_H
#define INTERP_CORE_H

#include <setjmp.h>

#include "interp/cpu_model.h"
#include "interp/interp.h"
#include "machine/paging.h"

struct op;
struct trace;
typedef const struct op *op_fn(struct interp *v, const struct op *op);

/*
 * One decoded instruction. Register operands are *byte offsets* into cpu.gpr for
 * general registers (8 * number, +1 for AH..BH), and plain numbers for segment,
 * control, debug, x87, MMX and XMM registers.
 */
struct op {
	op_fn *fn;
	uint8_t a, b;		/* first and second register operand, in Intel's operand order */
	uint8_t base, index;	/* address: gpr numbers, R_ZERO if absent, R_PAGE for RIP-relative */
	uint8_t scale;		/* address: shift 0-3 */
	uint8_t seg;		/* address: enum segreg */
	uint8_t len;		/* bytes of the instruction */
	uint8_t done;		/* instructions of the trace up to and including this one */
	int32_t disp;		/* address; linked branches: target, counted from the page's start */
	uint16_t off;		/* page offset of the first byte */
	uint8_t osize;		/* operand width in bytes: 1, 2, 4, 8 (x87, SSE: of the memory operand) */
	uint8_t flags;		/* OPF_* */
	union {
		uint64_t imm;		/* sign-extended immediate; far pointers: sel << 32 | off */
		struct trace *link;	/* linked branches: target, or &no_trace */
	};
};
_Static_assert(sizeof(struct op) == 32, "two operations a cache line");

enum op_flags {
	OPF_A16 = 1, OPF_A64 = 2,	/* address size; neither: 32 */
	OPF_MEM = 4,			/* the r/m operand is memory */
	OPF_REP = 8, OPF_REPNE = 16,
	OPF_LOCK = 32,
	OPF_NEAR = 64,			/* linked branches: the target lies in the same page */
	OPF_MEM_DST = 128,		/* the memory operand is the first (destination) operand */
};

/* --- State ------------------------------------------------------------- */

#define TLB_BITS	10
#define TLB_SIZE	(1u << TLB_BITS)
#define JC_BITS		14
#define JC_SIZE		(1u << JC_BITS)

/* A soft TLB entry: tags are page-aligned gva, or TLB_NONE. hva = gva + add. wr
 * is TLB_NONE for pages whose stores must be noted (PG_*), or not dirty yet. */
struct tlb_entry { uint64_t rd, wr; uintptr_t add; gpa_t page /* | TLB_GLOBAL */; };
#define TLB_NONE	1ull	/* never equal to a page-aligned address */
#define TLB_GLOBAL	1ull	/* survives a load of CR3 */

/* Entries filled since they were last looked through that MOV CR3 must take out: by
 * privilege and number; more than fit, and all are looked through. */
struct tlb_locals { unsigned n; uint16_t at[256]; };

struct itlb_entry { uint64_t tag; gpa_t page /* | TLB_GLOBAL */; };
#define ITLB_SIZE	64

/*
 * Where code runs: traces may be entered by linear address only in the context in which
 * that was checked. A context is forgotten when its mapping may have changed; its number
 * is never given again.
 */
struct code_context {
	uint64_t cs_base, cs_limit;	/* 0 for flat segments and 64-bit code */
	uint64_t gen;			/* 0: forgotten */
	uint32_t hflags;
	bool user;
};
#define CONTEXTS	8
#define GEN_NEVER	1ull	/* no trace is valid: single steps */

/* What code means depends on these: they are part of a trace's key. */
enum hflags {
	HF_CS32 = 1, HF_CS64 = 2,	/* CS.D; 64-bit code */
	HF_SS32 = 4,			/* stack pointer is ESP, not SP (64-bit: RSP) */
	HF_CS_FLAT = 8,			/* base 0, limit 4 GiB */
	HF_DS_FLAT = 16,		/* DS and ES: flat, writable data */
	HF_SS_FLAT = 32,
	HF_PE = 64,			/* protected mode, not V86 */
	HF_VM = 128,
};

struct interp {
	struct cpu cpu;			/* must stay first: handlers address it directly */

	int64_t budget;			/* instructions until the run loop wants to look */
	struct trace *trace;		/* running now; for RIP and counts */
	const struct op *op;		/* SYNC: the instruction that may fault */
	struct tlb_entry *tlb;		/* of the current privilege */
	uint64_t gen;			/* of the current context */
	uint32_t hflags;
	bool broke;			/* the running trace was changed under us: leave after this op */
	bool user;			/* CPL == 3 */
	/* Segments usable without limit or type checks: 0 no, 1 readable, 2 writable. */
	uint8_t plain[8];

	struct machine *m;
	jmp_buf *escape;		/* raise goes here, with one of enum escape */
	struct fault { int8_t vec; bool has_code; bool is_soft; uint32_t code; } fault;
	int8_t delivering;		/* vector being delivered, -1: none (double faults) */

	int64_t retired;		/* before the current slice */
	int64_t slice;			/* budget at the slice's start */
	struct interp_counts counts;

	uint64_t random;		/* state of the guest's RDRAND */
	uint64_t large_seen[64];	/* filters of tlb_flush_page(): where large pages may be */
	uint64_t code_seen[64];		/* and where code came from that a context knows */
	bool local_code;		/* supervisor code came from pages that are not global */
	uint64_t last_gen;
	struct code_context contexts[CONTEXTS];
	unsigned next_context;
	bool special;			/* single steps, breakpoints, or a stop at a privilege change */
	unsigned how;			/* RUN_* of this run */
	unsigned stepped;		/* single steps done in this run */
	int64_t held;			/* budget held back during a single step */
	struct user_watch watch;
	bool in_burst;			/* RUN_BURSTS: user code runs on what the watch allowed */
	int64_t kept;			/* budget beyond that */
	int64_t allowed;		/* and what is left of it beyond the budget */
	bool tf_step;			/* the step began with TF set; cleared by what drops the trap */
	bool set_rf;			/* IRET loaded RF: it holds for the next instruction */

	struct decoder *decoder;
	struct traces *traces;
	struct threads *threads;	/* rows of calls, if the host allows them */
	const struct cpu_model *model;
	struct cpu_model own_model;	/* what the configuration asks for */

	struct tlb_entry tlbs[2][TLB_SIZE];	/* [user] */
	struct tlb_locals locals;
	struct tlb_entry tlb_never[TLB_SIZE];	/* all empty: every access goes the slow way */
	struct itlb_entry itlb[2][ITLB_SIZE];
	struct trace *jc[JC_SIZE];	/* jump cache: the trace entered last at such an address */
};

enum escape { ESCAPE_FAULT = 1 /* v->fault */, ESCAPE_FLUSHED /* no trace is left to go on with */ };

uint64_t interp_random(struct interp *v);
/* Brings the counters of retired instructions up to date (the trace counts as done). */
void interp_settle(struct interp *v);
/* Is there something that only the run loop can do at this boundary? Single steps and
 * breakpoints need no question: no transfer passes them by. */
static inline bool must_leave(const struct interp *v)
{
	const struct cpu *c = &v->cpu;

	return (v->m->intr && (c->eflags & FL_IF)) || c->pending_dbg ||
	       (c->nmi_pending && !c->nmi_blocked);
}

/* Guest time may be the count of instructions, and a device may show it. */
static inline void clock_sync(struct interp *v)
{
	if (unlikely(v->m->clock.by_instructions))
		interp_settle(v);
}

/* --- Dispatch ----------------------------------------------------------- */

/*
 * DISPATCH_LOOP: handlers return the next operation to a loop (portable, and
 * what sanitizer builds use). DISPATCH_ROWS: to a row of calls, thread.h. Otherwise
 * they call it in tail position.
 */
#if defined(DISPATCH_LOOP) || defined(DISPATCH_ROWS)
#define DISPATCH(v, next)	return (void)(v), (next)
#else
#define DISPATCH(v, next)	do { const struct op *n_ = (next); asm("" : "+r"(n_)); \
	return n_->fn((v), n_); } while (0)
#endif

#define SYNC(v, op_)	((v)->op = (op_))
#define NEXT(v, op)	DISPATCH(v, (op) + 1)
/* The operation after n others, which a fused handler did as well. */
#define NEXT_AFTER(v, op, n)	DISPATCH(v, (op) + (n) + 1)
/* NEXT for handlers that stored through the slow path: the store may have
 * changed this very trace. */
#define NEXT_CHECKED(v, op) do { if (unlikely((v)->broke)) return op_leave_after(v, op); NEXT(v, op); } while (0)
/* Control transfer to a RIP already truncated to its width and limit-checked. */
#define JUMP(v, op_, rip_)	DISPATCH(v, trace_jump(v, op_, rip_))
#define JUMP_FLAT(v, op_, rip_)	DISPATCH(v, trace_jump_flat(v, op_, rip_))

/* RIP of an operation, and of the one after it. */
#define OP_RIP(v, op)		((v)->cpu.gpr[R_PAGE] + (op)->off)
#define OP_NEXT_RIP(v, op)	(OP_RIP(v, op) + (op)->len)

/* LEAVE: back to the run loop with RIP = rip, counting this instruction as done. */
const struct op *op_leave_at(struct interp *v, const struct op *op, uint64_t rip);
const struct op *op_leave_after(struct interp *v, const struct op *op);	/* rip = next */

/* --- Registers ---------------------------------------------------------- */

#define REG8(v, o)	(*(uint8_t *)((char *)(v)->cpu.gpr + (o)))
#define REG16(v, o)	(*(uint16_t *)((char *)(v)->cpu.gpr + (o)))
#define REG32(v, o)	(*(uint32_t *)((char *)(v)->cpu.gpr + (o)))	/* reading only */
#define REG64(v, o)	(*(uint64_t *)((char *)(v)->cpu.gpr + (o)))
/* 32-bit results zero-extend (SDM 1 3.4.1.1); in 32-bit code the upper half stays 0. */
#define SET32(v, o, x)	(REG64(v, o) = (uint32_t)(x))

static inline uint64_t reg_get(struct interp *v, unsigned off, unsigned size)
{
	switch (size) {
	case 1: return REG8(v, off);
	case 2: return REG16(v, off);
	case 4: return REG32(v, off);
	default: return REG64(v, off);
	}
}
static inline void reg_set(struct interp *v, unsigned off, unsigned size, uint64_t x)
{
	switch (size) {
	case 1: REG8(v, off) = (uint8_t)x; break;
	case 2: REG16(v, off) = (uint16_t)x; break;
	case 4: SET32(v, off, x); break;
	default: REG64(v, off) = x;
	}
}

/* --- Faults (fault.c) ---------------------------------------------------- */

/* Raise a guest exception at the current instruction (SYNC'ed); never return. */
_Noreturn void raise_fault(struct interp *v, int vec);			/* no error code */
_Noreturn void raise_code(struct interp *v, int vec, uint32_t code);
_Noreturn void raise_pf(struct interp *v, gva_t gva, uint32_t code);	/* sets CR2 */
#define raise_ud(v)	raise_fault(v, VEC_UD)
#define raise_gp0(v)	raise_code(v, VEC_GP, 0)

/* --- Memory (mem.c): every function may raise #PF, #GP, #SS, #AC ------------ */

/* Effective address: the offset in the segment, truncated to the address size. */
static inline uint64_t ea_offset(const struct interp *v, const struct op *op)
{
	uint64_t ea = v->cpu.gpr[op->base] + (v->cpu.gpr[op->index] << op->scale) + (int64_t)op->disp;
	if (op->flags & OPF_A64)
		return ea;
	return op->flags & OPF_A16 ? (uint16_t)ea : (uint32_t)ea;
}
/* Segment, limit, type and canonical checks; the linear address. access: ACC_READ
 * or ACC_WRITE. */
gva_t seg_linear(struct interp *v, unsigned seg, uint64_t off, unsigned size, unsigned access);

/* By segment and offset. size 1, 2, 4, 8. */
uint64_t mem_read(struct interp *v, unsigned seg, uint64_t off, unsigned size);
void mem_write(struct interp *v, unsigned seg, uint64_t off, unsigned size, uint64_t val);
/* As for a read-modify-write: write permission is checked first. */
uint64_t mem_read_rmw(struct interp *v, unsigned seg, uint64_t off, unsigned size);
/* Host address of the longest run of plain memory from off on, at most *len bytes
 * and one page; NULL where every access must be made singly. Raises like an access to
 * the first `unit` bytes; *len becomes a multiple of unit. */
uint8_t *mem_span(struct interp *v, unsigned seg, uint64_t off, unsigned unit, unsigned *len,
		  unsigned access);
/* n <= 4096 bytes; nothing is stored unless all of it can be. */
void mem_read_bytes(struct interp *v, unsigned seg, uint64_t off, void *buf, unsigned n);
void mem_write_bytes(struct interp *v, unsigned seg, uint64_t off, const void *buf, unsigned n);
/* Raises what writing n bytes would raise, and stores nothing. */
void mem_probe_write(struct interp *v, unsigned seg, uint64_t off, unsigned n);

/* By linear address, with an explicit privilege: access is ACC_* bits; with
 * ACC_USER a user access, without it a supervisor one (descriptor tables, TSS,
 * interrupt frames of inner stacks). */
uint64_t lin_read(struct interp *v, gva_t gva, unsigned size, unsigned access);
void lin_write(struct interp *v, gva_t gva, unsigned size, uint64_t val, unsigned access);
void lin_probe(struct interp *v, gva_t gva, unsigned n, unsigned access);

/* TLB maintenance. */
void tlb_note_large(struct interp *v, gva_t gva, unsigned page_shift);
void tlb_protect(struct interp *v, gpa_t page);		/* stores to it must be noted from now on */
/* A context will know code at gva. */
void tlb_note_code(struct interp *v, gva_t gva, bool global);
void tlb_flush(struct interp *v);			/* everything: CR0, CR4, EFER changes */
void tlb_flush_local(struct interp *v);			/* all but global pages: CR3 */
void tlb_flush_page(struct interp *v, gva_t gva);	/* INVLPG */

/* --- Mode ---------------------------------------------------------------- */

/* Recomputes hflags, user, tlb and gen from the CPU state: after any change of a
 * segment register, CR0/CR4/EFER, CPL, EFLAGS.VM/AC, DR7. */
void interp_update(struct interp *v);
/* The same after a change of DS, ES, FS or GS alone. */
void interp_update_data(struct interp *v, unsigned s);
/* No trace may be entered any more by the linear address that it had; global false:
 * those on global pages excepted. */
void contexts_forget(struct interp *v, bool global);

/* --- Traces (trace.c) ------------------------------------------------------ */

/*
 * The second half is what an entry looks at, beside the first operations. A trace is
 * valid at one linear address at a time: where the jump cache or a link last checked it.
 */
struct trace {
	struct trace *hash_next;
	struct trace *page_next[2];	/* in the lists of its first and second page */
	struct trace *forward;		/* what took a dead one's place, or NULL */
	gpa_t gpa, gpa2;	/* of the first byte; of the second page if it straddles, else 0 */
	uint16_t count;		/* instructions */
	uint16_t bytes;
	uint32_t hflags;
	bool dead;
	uint64_t nops;		/* what follows shares a cache line with the first operation */
	gva_t lip;		/* linear address at which it is valid in context `gen` */
	uint64_t gen;
	void *code;		/* with rows of calls (thread.h): its own, or what does without */
	struct op ops[];
};
extern struct trace no_trace;	/* valid nowhere */

/* Enters the trace at rip (budget, jump cache, look-up, decoding): what to run
 * next, never NULL. May raise the fetch's fault, with RIP = rip. */
const struct op *trace_jump_slow(struct interp *v, uint64_t rip);

static inline bool trace_valid(const struct interp *v, const struct trace *t, gva_t lip)
{
	return t->lip == lip && t->gen == v->gen;
}

static inline struct trace **jc_slot(struct interp *v, gva_t lip)
{
	return &v->jc[(lip ^ lip >> JC_BITS) & (JC_SIZE - 1)];
}

static inline const struct op *trace_enter(struct interp *v, struct trace *t, uint64_t page_rip)
{
	v->cpu.gpr[R_PAGE] = page_rip;
	v->trace = t;
	return t->ops;
}

/* Any transfer. Instructions are paid for where a trace is left. */
static inline const struct op *trace_jump(struct interp *v, const struct op *op, uint64_t rip)
{
	gva_t lip = rip + v->cpu.seg[SEG_CS].base;
	if (!(v->hflags & HF_CS64))
		lip = (uint32_t)lip;
	struct trace *t = *jc_slot(v, lip);

	v->budget -= op->done;
	if (likely(trace_valid(v, t, lip) && v->budget > 0))
		return trace_enter(v, t, rip - (lip & ~PAGE_MASK));
	return trace_jump_slow(v, rip);
}

/* The same in flat or 64-bit code, where RIP is the linear address. */
static inline const struct op *trace_jump_flat(struct interp *v, const struct op *op, uint64_t rip)
{
	struct trace *t = *jc_slot(v, rip);

	v->budget -= op->done;
	if (likely(trace_valid(v, t, rip) && v->budget > 0))
		return trace_enter(v, t, rip & PAGE_MASK);
	return trace_jump_slow(v, rip);
}

/*
 * A linked branch, taken: near ones stay in the page, so they need no look at the
 * address; far ones are good where their target still is. What does not fit goes to
 * h_branch_slow, which looks the target up and links the operation to it.
 */
op_fn h_branch_slow;
#define BRANCH_NEAR(v, op) do {								\
	struct trace *t_ = (op)->link;							\
	int64_t left_ = (v)->budget - (op)->done;					\
	if (unlikely(t_ == &no_trace || left_ <= 0))					\
		return h_branch_slow(v, op);						\
	(v)->budget = left_;								\
	DISPATCH(v, t_->ops); } while (0)
#define BRANCH_FAR(v, op) do {								\
	struct trace *t_ = (op)->link;							\
	uint64_t rip_ = (v)->cpu.gpr[R_PAGE] + (uint64_t)(int64_t)(op)->disp;		\
	int64_t left_ = (v)->budget - (op)->done;					\
	if (unlikely(!trace_valid(v, t_, rip_) || left_ <= 0))				\
		return h_branch_slow(v, op);						\
	(v)->budget = left_;								\
	DISPATCH(v, trace_enter(v, t_, rip_ & PAGE_MASK)); } while (0)
#define BRANCH(v, op) do {								\
	if ((op)->flags & OPF_NEAR)							\
		BRANCH_NEAR(v, op);							\
	BRANCH_FAR(v, op); } while (0)

#endif

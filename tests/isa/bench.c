/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest of isa.h, and one instruction in it on either engine. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "tests/isa/isa.h"

#define PD	0x1000u
#define PT	0x2000u
#define GDT	0x3000u
#define IDT	0x4000u
#define GATES	0x5000u		/* 16 bytes a vector */
#define TSS	0x7000u
#define STACK0	0x9000u
#define PDPT	0xa000u		/* 64-bit: PD is the PML4, PT has entries of 8 bytes */
#define PDIR	0xb000u
#define RAM	(4u << 20)
/* Selectors: as 64-bit Linux has them where 64-bit code may read its own. */
#define SEL_CODE(wide)	((wide) ? 0x33u : 0x1bu)
#define SEL_DATA(wide)	((wide) ? 0x2bu : 0x23u)
#define SEL_TSS(wide)	((wide) ? 0x40u : 0x28u)

uint64_t isa_seed = 1;

uint64_t rnd(void)
{
	isa_seed ^= isa_seed >> 12;
	isa_seed ^= isa_seed << 25;
	isa_seed ^= isa_seed >> 27;
	return isa_seed * 0x2545f4914f6cdd1dull;
}

static void put64(struct bench *b, gpa_t at, uint64_t x)
{
	memcpy(b->m.mem.ram + at, &x, 8);
}

static uint64_t descriptor(uint32_t base, uint32_t limit20, unsigned attr)
{
	return (uint64_t)(base & 0xff000000u) << 32 | (uint64_t)(attr & 0xf000) << 40 |
	       (uint64_t)(limit20 & 0xf0000) << 32 | (uint64_t)(attr & 0xff) << 40 |
	       (uint64_t)(base & 0xffffff) << 16 | (limit20 & 0xffff);
}

static void put_entry(struct bench *b, unsigned i, uint64_t entry)
{
	memcpy(b->m.mem.ram + PT + (b->wide ? 8 : 4) * i, &entry, b->wide ? 8 : 4);
}

/* What user code must not reach does not exist for it. */
static void paging_make(struct bench *b)
{
	const unsigned all = PTE_P | PTE_W | PTE_U | 0x20;

	put64(b, PD, (b->wide ? PDPT : PT) | all);
	put64(b, PDPT, PDIR | all);
	put64(b, PDIR, PT | all);
	for (uint32_t gva = 0; gva < 0x200000; gva += PAGE_SIZE) {
		unsigned bits = gva < 0x10000 ? PTE_P | PTE_W : 0;

		if (gva - CODE_GVA < 0x2000)
			bits = PTE_P | PTE_U;
		else if (gva - DATA_GVA < DATA_SIZE)
			bits = PTE_P | PTE_W | PTE_U;
		put_entry(b, gva >> PAGE_SHIFT, bits ? gva | bits | 0x60 : 0);
	}
}

static void tables_make(struct bench *b)
{
	const unsigned gate = b->wide ? 16 : 8;

	paging_make(b);
	put64(b, GDT + 0x08, descriptor(0, 0xfffff, b->wide ? 0xa09b : 0xc09b));
	put64(b, GDT + 0x10, descriptor(0, 0xfffff, 0xc093));
	put64(b, GDT + 0x18, descriptor(0, 0xfffff, 0xc0fb));
	put64(b, GDT + 0x20, descriptor(0, 0xfffff, 0xc0f3));
	put64(b, GDT + (SEL_DATA(b->wide) & ~3u), descriptor(0, 0xfffff, 0xc0f3));
	put64(b, GDT + (SEL_CODE(b->wide) & ~3u), descriptor(0, 0xfffff, b->wide ? 0xa0fb : 0xc0fb));
	put64(b, GDT + SEL_TSS(b->wide), descriptor(TSS, 0x67, 0x008b));
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t at = GATES + 16 * i;

		put64(b, IDT + gate * i, (uint64_t)(at & 0xffff0000u) << 32 | 0x8e0000000000ull |
		      0x08ull << 16 | (at & 0xffff));
	}
	memcpy(b->m.mem.ram + TSS + 4, &(uint64_t){ STACK0 }, b->wide ? 8 : 4);
	if (!b->wide)
		memcpy(b->m.mem.ram + TSS + 8, &(uint32_t){ 0x10 }, 4);
}

static void segment_set(struct segment *s, uint16_t sel, uint16_t attr)
{
	*s = (struct segment){ .sel = sel, .attr = attr, .limit = 0xffffffffu };
}

void bench_user_state(const struct bench *b, struct cpu *c, uint32_t rip)
{
	memset(c, 0, sizeof(*c));
	cpu_reset(c);
	c->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP | CR0_MP;
	c->cr3 = PD;
	c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | (b->wide ? CR4_PAE : 0);
	c->efer = b->wide ? EFER_LME | EFER_LMA : 0;
	c->cpl = 3;
	c->rip = rip;
	cpu_set_eflags(c, FL_IF | FL_1);
	segment_set(&c->seg[SEG_CS], SEL_CODE(b->wide), b->wide ? 0xa0fb : 0xc0fb);
	segment_set(&c->seg[SEG_SS], SEL_DATA(b->wide), 0xc0f3);
	segment_set(&c->seg[SEG_DS], SEL_DATA(b->wide), 0xc0f3);
	segment_set(&c->seg[SEG_ES], SEL_DATA(b->wide), 0xc0f3);
	c->seg[SEG_FS] = c->seg[SEG_GS] = c->seg[SEG_LDTR] = (struct segment){ 0 };
	c->seg[SEG_TR] = (struct segment){ .sel = SEL_TSS(b->wide), .attr = 0x008b, .limit = 0x67, .base = TSS };
	c->gdtr = (struct dtable){ .base = GDT, .limit = 0x4f };
	c->idtr = (struct dtable){ .base = IDT, .limit = 0xfff };
	c->fpu.cw = 0x37f;
	c->fpu.mxcsr = 0x1f80;
}

/* A branch may have made a loop: then the host never comes back by itself. */
#define TICK_US		20000
#define PATIENCE	3
static volatile sig_atomic_t ticks;
static void *kicked;

static void on_tick(int sig)
{
	(void)sig;
	if (++ticks >= PATIENCE)
		direct_ring3.kick(kicked);
}

static void ticks_start(void *engine)
{
	struct itimerval it = { { 0, TICK_US }, { 0, TICK_US } };

	kicked = engine;
	signal(SIGALRM, on_tick);
	setitimer(ITIMER_REAL, &it, NULL);
}

int bench_open(struct bench *b, bool wide)
{
	const struct sink_op ops[] = {
		{ CODE_GVA, 2, CODE_GVA, SINK_R | SINK_X },
		{ DATA_GVA, DATA_SIZE >> PAGE_SHIFT, DATA_GVA, SINK_R | SINK_W },
	};
	char why[128] = "";
	int err;

	memset(b, 0, sizeof(*b));
	b->wide = wide;
	b->cfg.memory = RAM;
	b->cfg.serial = "none";
	b->cfg.cpu_model = ISA_MODEL;
	err = machine_create(&b->m, &b->cfg);
	if (!err)
		err = interp_create(&b->v, &b->m);
	if (err) {
		printf("cannot make a machine: %s\n", strerror(-err));
		return 1;
	}
	b->decoder = decoder_create();
	err = direct_ring3.open(&b->direct, &b->m, why);
	if (err) {
		printf("no direct execution on this host: %s\n", why);
		return 77;
	}
	ticks_start(b->direct);
	tables_make(b);
	b->code = b->m.mem.ram + CODE_GVA;
	b->data = b->m.mem.ram + DATA_GVA;
	b->sink = direct_ring3.sink(b->direct);
	b->space = b->sink.space_create(b->sink.engine, &err);
	if (b->space)
		err = b->sink.apply(b->sink.engine, b->space, ops, ARRAY_LEN(ops));
	if (!b->space || err) {
		printf("cannot make an address space: %s\n", strerror(-err));
		return 1;
	}
	return 0;
}

void bench_close(struct bench *b)
{
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	if (b->space)
		b->sink.space_destroy(b->sink.engine, b->space);
	if (b->direct)
		direct_ring3.close(b->direct);
	decoder_destroy(b->decoder);
	interp_destroy(b->v);
	machine_destroy(&b->m);
}

void bench_host(struct bench *b, const struct state_all *in, struct outcome *out)
{
	struct direct_exit x;

	memcpy(b->data, in->data, DATA_SIZE);
	out->s.cpu = in->cpu;
	ticks = 0;
	do {
		memset(&x, 0, sizeof(x));
		direct_ring3.run(b->direct, b->space, &out->s.cpu, &x);
	} while (x.kind == DEXIT_KICK && ticks < PATIENCE);
	out->endless = x.kind == DEXIT_KICK;
	if (x.kind == DEXIT_HOST) {
		cpu_dump(&in->cpu, stderr);
		bug("the host failed to run this state");
	}
	out->vector = -1;
	out->page_fault = x.kind == DEXIT_FAULT;
	out->refused = x.kind == DEXIT_TRAP && (x.vectors & (1u << VEC_GP | 1u << VEC_SS));
	out->fault_gva = out->page_fault ? x.gva : 0;
	out->faulted = out->s.cpu.rip == in->cpu.rip;
	memcpy(out->s.data, b->data, DATA_SIZE);
}

void bench_interp(struct bench *b, const struct state_all *in, bool repeated, struct outcome *out)
{
	struct cpu *c = b->m.cpu;

	memcpy(b->data, in->data, DATA_SIZE);
	*c = in->cpu;
	b->m.power = POWER_ON;
	do {
		interp_run(b->v, 1, RUN_ONE);
	} while (repeated && c->cpl == 3 && c->rip == in->cpu.rip);
	out->s.cpu = *c;
	out->vector = -1;
	out->fault_gva = 0;
	out->page_fault = out->faulted = false;
	if (c->cpl == 0) {	/* a fault was delivered: take the user state from its frame */
		uint64_t frame[5] = { 0 };	/* RIP, CS, flags, RSP, SS */
		unsigned skip, size = b->wide ? 8 : 4;

		out->vector = (int)((c->rip - GATES) / 16);
		skip = (0x27d00u >> out->vector) & 1;	/* vectors with an error code */
		for (unsigned i = 0; i < 5; i++)
			memcpy(&frame[i], b->m.mem.ram + c->gpr[RSP] + size * (skip + i), size);
		out->faulted = true;
		out->page_fault = out->vector == VEC_PF;
		out->fault_gva = out->page_fault ? c->cr2 : 0;
		out->s.cpu.rip = frame[0];
		cpu_set_eflags(&out->s.cpu, (uint32_t)frame[2] & ~FL_RF);
		out->s.cpu.gpr[RSP] = frame[3];
		out->s.cpu.cpl = 3;
	}
	memcpy(out->s.data, b->data, DATA_SIZE);
}

#define DIFFER(...) do { snprintf(text, size, __VA_ARGS__); return true; } while (0)

static bool fpu_differs(const struct fpu *h, const struct fpu *i, char *text, size_t size)
{
	if (h->cw != i->cw || h->sw != i->sw || h->tags != i->tags)
		DIFFER("x87 cw/sw/tags host %04x %04x %02x interp %04x %04x %02x", h->cw, h->sw, h->tags,
		       i->cw, i->sw, i->tags);
	for (int k = 0; k < 8; k++)
		if (memcmp(h->st[k].b, i->st[k].b, 10))
			DIFFER("R%d host %04x:%016" PRIx64 " interp %04x:%016" PRIx64, k, h->st[k].w[4],
			       h->st[k].q[0], i->st[k].w[4], i->st[k].q[0]);
	if (h->mxcsr != i->mxcsr)
		DIFFER("mxcsr host %x interp %x", h->mxcsr, i->mxcsr);
	for (int k = 0; k < 16; k++)
		if (memcmp(h->xmm[k].b, i->xmm[k].b, 16))
			DIFFER("xmm%d host %016" PRIx64 "%016" PRIx64 " interp %016" PRIx64 "%016" PRIx64, k,
			       h->xmm[k].q[1], h->xmm[k].q[0], i->xmm[k].q[1], i->xmm[k].q[0]);
	return false;
}

bool outcome_differs(const struct outcome *h, const struct outcome *i, uint32_t fl_undefined,
		     char *text, size_t size)
{
	const struct cpu *a = &h->s.cpu, *c = &i->s.cpu;
	uint32_t fa = cpu_eflags(a) & ~fl_undefined & ~FL_RF, fc = cpu_eflags(c) & ~fl_undefined & ~FL_RF;

	if (h->faulted != i->faulted)
		DIFFER("host %s, interp %s (vector %d), rip %" PRIx64 " %" PRIx64,
		       h->faulted ? "faulted" : "went on", i->faulted ? "faulted" : "went on", i->vector,
		       a->rip, c->rip);
	if (a->rip != c->rip)
		DIFFER("rip host %" PRIx64 " interp %" PRIx64, a->rip, c->rip);
	for (int k = 0; k < 16; k++)
		if (a->gpr[k] != c->gpr[k])
			DIFFER("gpr %d host %" PRIx64 " interp %" PRIx64, k, a->gpr[k], c->gpr[k]);
	if (fa != fc)
		DIFFER("eflags host %x interp %x", fa, fc);
	if (h->faulted && h->page_fault != i->page_fault)
		DIFFER("host page fault at %" PRIx64 ", interp vector %d at %" PRIx64, h->fault_gva, i->vector,
		       i->fault_gva);
	if (h->faulted && h->fault_gva != i->fault_gva)
		DIFFER("fault address host %" PRIx64 " interp %" PRIx64, h->fault_gva, i->fault_gva);
	if (fpu_differs(&a->fpu, &c->fpu, text, size))
		return true;
	for (unsigned k = 0; k < DATA_SIZE; k++)
		if (h->s.data[k] != i->s.data[k])
			DIFFER("memory %x host %02x interp %02x", DATA_GVA + k, h->s.data[k], i->s.data[k]);
	return false;
}

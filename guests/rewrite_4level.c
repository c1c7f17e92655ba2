/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rewrite_4level: random edits of four-level page tables (SDM 3A 4.5), each followed by what
 * 4.10.4 asks for, then accesses from ring 3, compared with a model. In a nutshell: ROOTS
 * values of CR3; the entries that the window's addresses use lead to tables of the next level
 * (shared freely), to 2 MiB or 4 KiB pages of the pool, or nowhere; P, R/W, U/S, XD, A and D
 * vary at every level. The addresses lie all over the user half, up to its last page. The
 * model holds every entry without A; D of leaves is predicted.
 *
 * Command line: seed=1 rounds=200 ops=12 checks=60
 */
#include "guest64.h"

#define ROOTS	3
#define TABLES	6			/* of each lower level */
#define LEVELS	4
#define POOL	0x1000000ull
#define POOL_PAGES 2048u
#define CHECKS	256u
#define FAULT	0xf0000000u
#define TAG	0x5a5a0000u
#define USED	8u

/* Indices in use at each level, PML4 first. 64: the middle; 255, 511, 511, 511: the last page. */
static const uint16_t used[LEVELS][USED] = {
	{ 1, 32, 64, 97, 128, 159, 254, 255 },
	{ 0, 1, 255, 511, 0, 1, 510, 511 },
	{ 0, 1, 256, 511, 0, 511, 510, 511 },
	{ 0, 1, 2, 200, 201, 509, 510, 511 },
};

static uint64_t tables[LEVELS][TABLES][512] __attribute__((aligned(4096)));
static uint64_t model[LEVELS][TABLES][512];
static uint32_t word[POOL_PAGES];
static unsigned current, step;
static uint64_t seed, total, allowed;

USER static struct check { uint64_t gva; uint32_t kind, value, got, pad; } checks[CHECKS];
static uint32_t expected[CHECKS];
extern const char uchecker[], uread[], uwrite[], unext[];

/* RSI: check, RCX: how many */
UASM("uchecker:\n"
     "1:	mov (%rsi), %rdi\n"
     "	mov 8(%rsi), %eax\n"
     "	dec %eax\n"
     "	jz 2f\n"
     "	jns 3f\n"
     "uread:	mov 8(%rdi), %eax\n"
     "	jmp unext\n"
     "2:	mov 12(%rsi), %eax\n"
     "uwrite: mov %eax, 16(%rdi)\n"
     "	xor %eax, %eax\n"
     "	jmp unext\n"
     "3:	call *%rdi\n"
     "unext:	mov %eax, 16(%rsi)\n"
     "	add $24, %rsi\n"
     "	dec %ecx\n"
     "	jnz 1b\n"
     "	int $0x80\n");

static uint64_t table_addr(unsigned level, unsigned t) { return (uint64_t)(uintptr_t)tables[level][t]; }

static uint64_t random_gva(void)
{
	uint64_t gva = 0;

	for (unsigned l = 0; l < LEVELS; l++)
		gva |= (uint64_t)used[l][rnd(USED)] << (39 - 9 * l);
	return gva;
}

static unsigned index_of(uint64_t gva, unsigned level) { return gva >> (39 - 9 * level) & 511; }

/* The model's entries on the way; the number of levels, or 0 and the rights so far. */
static unsigned walk(uint64_t gva, uint64_t *path[LEVELS], uint64_t *memory[LEVELS])
{
	unsigned t = current;

	for (unsigned l = 0; l < LEVELS; l++) {
		uint64_t e;

		path[l] = &model[l][t][index_of(gva, l)];
		memory[l] = &tables[l][t][index_of(gva, l)];
		e = *path[l];
		if (!(e & PTE_P))
			return 0;
		if (l == 3 || (l == 2 && (e & PTE_PS)))
			return l + 1;
		t = (unsigned)(((e & PTE_ADDR) - table_addr(l + 1, 0)) >> 12);
	}
	return 0;
}

static uint64_t page_of(uint64_t gva, uint64_t leaf, unsigned depth)
{
	uint64_t page = leaf & PTE_ADDR;

	return depth == 3 ? (page & ~0x1fffffull) | (gva & 0x1ff000) : page;
}

static uint32_t predict(const struct check *c)
{
	static const uint32_t bits[] = { 4, 6, 0x14 };
	uint64_t *path[LEVELS], *memory[LEVELS], all = ~0ull, any = 0;
	unsigned depth = walk(c->gva, path, memory), page;

	if (!depth)
		return FAULT | bits[c->kind];
	for (unsigned l = 0; l < depth; l++) {
		all &= *path[l];
		any |= *path[l];
	}
	if (!(all & PTE_U) || (c->kind == 1 && !(all & PTE_W)) || (c->kind == 2 && (any & PTE_NX)))
		return FAULT | bits[c->kind] | 1;
	page = (unsigned)((page_of(c->gva, *path[depth - 1], depth) - POOL) >> 12);
	if (c->kind == 0)
		return page;
	if (c->kind == 2)
		return page ^ TAG;
	*path[depth - 1] |= PTE_D;
	word[page] = c->value;
	return 0;
}

static void mismatch(const struct check *c, const char *why, uint64_t want, uint64_t got)
{
	say("MISMATCH seed ", seed);
	say(" step ", step);
	say(" space ", current);
	say(" kind ", c->kind);
	sayx(" gva ", c->gva);
	puts(" ");
	puts(why);
	sayx(": expected ", want);
	sayx(" got ", got);
	puts("\n");
	guest_fail();
}

static void compare(const struct check *c, uint32_t want)
{
	uint64_t *path[LEVELS], *memory[LEVELS];
	unsigned depth;

	total++;
	if (c->got != want)
		mismatch(c, "result", want, c->got);
	if (want >= FAULT)
		return;
	allowed++;
	depth = walk(c->gva, path, memory);
	for (unsigned l = 0; l < depth; l++) {
		uint64_t e = *memory[l];

		if (!(e & PTE_A))
			mismatch(c, "not accessed", *path[l], e);
		if ((e & ~PTE_A) != *path[l])
			mismatch(c, "entry", *path[l], e);
	}
	if (c->kind == 1) {
		uint64_t page = page_of(c->gva, *path[depth - 1], depth);

		/* Another check may have written there since: the model has the last. */
		if (*(volatile uint32_t *)(page + 16) != word[(page - POOL) >> 12])
			mismatch(c, "page not written", word[(page - POOL) >> 12],
				 *(volatile uint32_t *)(page + 16));
	}
}

/* --- Edits ------------------------------------------------------------------------ */

static uint64_t flags(void)
{
	uint64_t f = PTE_P;

	f |= rnd(8) ? PTE_U : 0;
	f |= rnd(4) ? PTE_W : 0;
	f |= rnd(6) ? 0 : PTE_NX;
	return f;
}

static void put(unsigned l, unsigned t, unsigned i, uint64_t e)
{
	volatile uint64_t *p = &tables[l][t][i];

	model[l][t][i] = e & ~PTE_A;
	switch (rnd(3)) {
	case 0: *p = e; break;
	case 1: asm volatile("xchg %0, %1" : "+r"(e), "+m"(*p)); break;
	default:	/* in halves, absent meanwhile */
		*(volatile uint32_t *)p = 0;
		((volatile uint32_t *)p)[1] = (uint32_t)(e >> 32);
		*(volatile uint32_t *)p = (uint32_t)e;
	}
}

static uint64_t random_entry(unsigned l)
{
	uint64_t f = flags();

	if (!rnd(l < 2 ? 16 : 7))
		return rnd(2) ? 0 : (f & ~PTE_P);
	if (l == 3)
		return f | (POOL + ((uint64_t)rnd(POOL_PAGES) << 12)) | (rnd(3) ? PTE_A : 0) |
		       (rnd(2) ? PTE_D : 0);
	if (l == 2 && !rnd(4))
		return f | PTE_PS | (POOL + ((uint64_t)rnd(POOL_PAGES / 512) << 21)) |
		       (rnd(2) ? PTE_A | PTE_D : 0);
	return (rnd(4) ? f | PTE_U | PTE_W : f) | table_addr(l + 1, rnd(TABLES)) |
	       (rnd(2) ? PTE_A : 0);
}

static void invalidate(void)
{
	if (rnd(6)) {
		set_cr3(cr3());
		return;
	}
	for (unsigned a = 0; a < USED; a++)	/* or one by one, all that are ever looked at */
		for (unsigned b = 0; b < USED; b++)
			for (unsigned c = 0; c < USED; c++)
				for (unsigned d = 0; d < USED; d++)
					invlpg((uint64_t)used[0][a] << 39 | (uint64_t)used[1][b] << 30 |
					       (uint64_t)used[2][c] << 21 | (uint64_t)used[3][d] << 12);
}

static void edit(void)
{
	static const uint8_t how_often[16] = { 0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3 };
	unsigned l = how_often[rnd(16)], t = l ? rnd(TABLES) : rnd(ROOTS);
	unsigned i = used[l][rnd(USED)];
	uint64_t old = tables[l][t][i], e = random_entry(l);

	switch (rnd(8)) {
	case 0:		/* A and D cleared, or rights changed, of what is there */
		if (old & PTE_P)
			e = old & ~(PTE_A | PTE_D);
		break;
	case 1:
		if (old & PTE_P)
			e = (old & (PTE_ADDR | PTE_PS | PTE_A | PTE_D)) | flags();
		break;
	case 2:		/* a table wiped or copied whole; A comes along, D as it is */
		if (l < 2)
			break;
		t = rnd(TABLES);
		for (unsigned from = rnd(TABLES), wipe = !rnd(4), k = 0; k < 512; k++) {
			model[l][t][k] = wipe ? 0 : model[l][from][k];
			((volatile uint64_t *)tables[l][t])[k] = wipe ? 0 : tables[l][from][k];
		}
		set_cr3(cr3());
		return;
	}
	put(l, t, i, e);
	/* What was absent is in no TLB; of others, spaces that are not current get a CR3 load. */
	if ((old & PTE_P) && !(l == 0 && t != current))
		invalidate();
}

static void space(unsigned n)
{
	current = n;
	set_cr3(table_addr(0, n));
}

/* --- Rounds ------------------------------------------------------------------------ */

static void run_checks(unsigned n)
{
	struct regs u = user_at(uchecker);

	u.rsi = (uint64_t)(uintptr_t)checks;
	u.rcx = n;
	for (;;) {
		struct check *c;
		uint64_t at;

		run_user(&u);
		if (u.vec == 0x80)
			return;
		if (u.vec != 14)
			trap_panic(&u);
		c = (struct check *)u.rsi;
		at = c->kind == 0 ? c->gva + 8 : c->kind == 1 ? c->gva + 16 : c->gva;
		u.rax = FAULT | u.err;
		if (cr2() != at || u.rip != (c->kind == 0 ? (uint64_t)(uintptr_t)uread :
					    c->kind == 1 ? (uint64_t)(uintptr_t)uwrite : c->gva))
			u.rax = 0xbadc0000;	/* right fault, wrong place */
		u.rip = (uint64_t)(uintptr_t)unext;
		u.rsp = USTACK;
	}
}

void kmain(void)
{
	uint64_t rounds = option("rounds", 200), ops = option("ops", 12);
	uint64_t n = option("checks", 60);

	seed = option("seed", 1);
	rng ^= seed * 0x2545f4914f6cdd1d;
	if (n > CHECKS)
		n = CHECKS;
	for (unsigned i = 0; i < POOL_PAGES; i++) {	/* mov $tag, %eax; ret; at 8 the number */
		volatile uint8_t *p = (volatile uint8_t *)(POOL + (uint64_t)i * 4096);

		p[0] = 0xb8;
		*(volatile uint32_t *)(p + 1) = i ^ TAG;
		p[5] = 0xc3;
		*(volatile uint32_t *)(p + 8) = i;
		*(volatile uint32_t *)(p + 16) = 0;
	}
	for (unsigned r = 0; r < ROOTS; r++)
		tables[0][r][0] = boot_pml4[0];
	space(0);
	for (unsigned l = 0; l < LEVELS; l++)	/* something to begin with */
		for (unsigned t = 0; t < (l ? TABLES : ROOTS); t++)
			for (unsigned i = 0; i < USED; i++)
				put(l, t, used[l][i], random_entry(l));
	space(0);
	for (step = 0; step < rounds; step++) {
		if (!rnd(4))
			space(rnd(ROOTS));
		for (uint64_t i = 0; i < ops; i++)
			edit();
		for (uint64_t i = 0; i < n; i++) {
			checks[i] = (struct check){ .gva = random_gva(), .kind = rnd(3),
						    .value = rnd(~0u), .got = 0xdeaddead };
			expected[i] = predict(&checks[i]);
		}
		run_checks((unsigned)n);
		for (uint64_t i = 0; i < n; i++)
			compare(&checks[i], expected[i]);
	}
	say("seed ", seed);
	say(", rounds ", step);
	say(", checks ", total);
	say(", allowed ", allowed);
	puts(": all as the model says\n");
}

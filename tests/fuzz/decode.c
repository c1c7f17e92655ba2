/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any 15 bytes: they run on the interpreter as on the host's processor, or raise what
 * it raises.
 *
 *   decode [--width 16|32|64] [--bare] [--seconds N | --count N] [--seed FIRST]
 *
 * A seed makes fifty such instructions (program_make_noise()), and a state that each of
 * them starts from. --bare: the interpreter alone, supervisor code too, in every mode;
 * nothing is compared, but nothing may crash it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "debug/disasm.h"
#include "debug/newer.h"
#include "tests/fuzz/generate.h"

/* An instruction as it is in memory when it runs: others before it may have stored there. */
struct noise {
	uint64_t seed;
	unsigned number, at, bits;	/* at: offset in the code */
	uint8_t bytes[16];		/* the longest, and one to look at */
};

static void show(const struct noise *n)
{
	char text[96] = "?";

	disasm(n->bytes, 15, CODE_GVA + n->at, n->bits, text, sizeof(text));
	fprintf(stderr, "decode: width %u, seed %" PRIu64 ", number %u:", n->bits, n->seed,
	 n->number);
	for (unsigned k = 0; k < 15 && n->at + k < CODE_SIZE; k++)
		fprintf(stderr, " %02x", n->bytes[k]);
	fprintf(stderr, "  %s\n", text);
}

/* --- Compared ----------------------------------------------------------------------------- */

#define BIT(vector)	(1u << (vector))
#define ANY_ACCESS	(BIT(VEC_PF) | BIT(VEC_GP) | BIT(VEC_SS) | BIT(VEC_AC))

/* The opcode behind prefixes, 0F?? for the second map; *length: with the prefixes. */
static unsigned opcode(const uint8_t *b, bool wide, unsigned *length)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0xf0 };

	unsigned i = 0;

	while (i < 14 && (memchr(prefixes, b[i], sizeof(prefixes)) || (wide && (b[i] & 0xf0) == 0x40)))
		i++;
	*length = b[i] == 0x0f ? i + 2 : i + 1;
	return b[i] == 0x0f ? 0x0f00u | b[i + 1] : b[i];
}

/* The interpreter raised `raised`, the host one of `host`: is the architecture open, or is
 * the host not what answers? */
static bool may_differ(const struct noise *n, uint32_t raised, const struct lockstep_counts *host)
{
	bool at_end = n->at + 15 > CODE_SIZE;
	unsigned length, op = opcode(n->bytes, n->bits == 64, &length);

	/* The host's kernel emulates them (UMIP), or is entered by them. */
	if (op == 0x0f00 || op == 0x0f01 || op == 0x0f05 || op == 0x0f34)
		return true;
	if (raised == BIT(VEC_UD) && newer_encoding(n->bytes, 15, n->bits))
		return true;
	if (vendor_meaning(n->bytes, 15, n->bits))
		return true;
	/* Of two operands that both fault, either may come first: MOVS, CMPS. So may RET's
	 * selector and the words behind what it takes from the stack. */
	if (((op >= 0xa4 && op <= 0xa7) || (op & 0xfe) == 0xca) && (raised & ANY_ACCESS) &&
	    (host->vectors & ANY_ACCESS))
		return true;
	/* An invalid opcode whose operand is not there to be fetched: the page, or the segment. */
	if (at_end && ((raised | host->vectors) & BIT(VEC_UD)) &&
	    ((raised | host->vectors) & BIT(n->bits == 16 ? VEC_GP : VEC_PF)))
		return true;
	/* Across the end of a segment of 4 GiB (SDM 3A 5.3). */
	if (n->bits != 64 && (raised & (BIT(VEC_GP) | BIT(VEC_SS))) && host->vectors == BIT(VEC_PF) &&
	    (host->gva >= 0xfffff000u || host->gva < PAGE_SIZE))
		return true;
	/* Too long only with its operand (of up to 8 bytes, INSERTQ's), which it does not have for
	 * who does not know it: 0F 0F, 0F 78. */
	if (length <= 15 && length + 8 > 15 && raised == BIT(VEC_GP) && host->vectors == BIT(VEC_UD) &&
	    newer_encoding(n->bytes, 15, n->bits))
		return true;
	/* Misaligned, and by way of RBP or RSP not canonical or across the end of 4 GiB. */
	return op >= 0x0f00 && raised == BIT(VEC_SS) && (host->vectors & BIT(VEC_GP));
}

/* The exception that the interpreter raised is one that the host may have meant. */
static bool same_exception(struct guest *g, const struct noise *n)
{
	struct lockstep_counts host;
	unsigned vector = (unsigned)((g->m.cpu->rip - HANDLER(0)) / 8);
	uint32_t raised = vector < 32 ? BIT(vector) : 0;

	vmm_lockstep_counts(g->vmm, &host);
	if (!host.vectors || (host.vectors & raised) ||
	    may_differ(n, raised, &host))
		return true;
	fprintf(stderr, "decode: exception %u; the host's is one of %#x (%" PRIx64 ")\n", vector,
		host.vectors, host.gva);
	show(n);
	return false;
}

static unsigned guest_bits(const struct guest *g)
{
	return g->wide ? 64 : g->narrow ? 16 : 32;
}

static unsigned compare(struct guest *g, uint64_t seed)
{
	static struct program p;
	unsigned bad = 0;
	struct cpu start;

	program_make_noise(&p, guest_bits(g), seed);
	program_load(g, &p, true);
	start = *g->m.cpu;
	for (unsigned i = 0; i < p.n && g->m.power != POWER_HOST_FAILURE; i++) {
		struct noise n = { .seed = seed, .number = i, .at = p.at[i],
				   .bits = guest_bits(g) };

		memcpy(n.bytes, g->m.mem.ram + CODE_GVA + n.at, sizeof(n.bytes));
		*g->m.cpu = start;
		g->m.cpu->rip = guest_origin(g) + n.at;
		g->m.power = POWER_ON;
		vmm_lockstep_steps(g->vmm, 1);
		if (g->m.power == POWER_DIFFERENCE) {
			unsigned length;

			/* Where it does not trap, breakpoints guard it where the scanner takes it for
			 * an instruction, which it rarely is among random bytes (docs/scanner.md). */
			if (opcode(n.bytes, n.bits == 64, &length) == 0x0fa2)
				continue;
			show(&n);
			bad++;
		} else if (g->m.cpu->cpl == 0 && !same_exception(g, &n)) {
			bad++;
		}
	}
	return bad;
}

/* --- The interpreter alone ------------------------------------------------------------------ */

/* Any mode: real, protected, V86, compatibility, 64-bit; user or supervisor. */
static void run_bare(struct guest *g, uint64_t seed)
{
	static struct program p;

	program_make_noise(&p, guest_bits(g), seed);
	program_load(g, &p, true);
	interp_flush(g->interp);
	for (unsigned i = 0; i < p.n; i++) {
		guest_reset(g);
		memcpy(g->m.cpu->gpr, p.gpr, sizeof(p.gpr));
		cpu_set_eflags(g->m.cpu, p.flags);
		g->m.cpu->fpu = p.fpu;
		guest_mode(g, (unsigned)((seed * INSNS_MAX + i) * 0x9e3779b97f4a7c15ull >> 32));
		g->m.cpu->rip = (g->m.cpu->seg[SEG_CS].base ? 0 : CODE_GVA) + p.at[i];
		interp_flush(g->interp);
		interp_run(g->interp, 20, RUN_UNTIL_USER);
		interp_run(g->interp, 20, 0);
	}
}

/* --- The command line ------------------------------------------------------------------------ */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, count = 0, ran = 0, bad = 0, skipped = 0, compared = 0;
	double seconds = 0, until;
	struct lockstep_counts n;
	static struct guest g;
	unsigned width = 32;
	bool bare = false;

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(argv[i], "--bare")) {
			bare = true;
			continue;
		}
		if (!strcmp(argv[i], "--width"))
			width = (unsigned)atoi(value);
		else if (!strcmp(argv[i], "--seconds"))
			seconds = atof(value);
		else if (!strcmp(argv[i], "--count"))
			count = strtoull(value, NULL, 0);
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoull(value, NULL, 0);
		else
			width = 0;
		i++;
	}
	if ((width != 16 && width != 32 && width != 64) || (!count && !(seconds > 0))) {
		fprintf(stderr, "usage: decode [--width 16|32|64] [--bare] [--seconds N | --count N]"
			" [--seed FIRST]\n");
		return 2;
	}
	/* A new guest for each: a shadow gives up on pages that change often. */
	for (until = now() + seconds; (count ? ran < count : now() < until) && bad < 20; ran++, seed++) {
		int r = bare ? guest_open_interp(&g, width == 64) : guest_open(&g, width == 64);

		if (r)
			return r;
		g.narrow = width == 16;
		if (bare) {
			run_bare(&g, seed);
		} else {
			bad += compare(&g, seed);
			vmm_lockstep_counts(g.vmm, &n);
			compared += n.compared;
			skipped += n.skipped;
			bad += g.m.power == POWER_HOST_FAILURE;
		}
		guest_close(&g);
	}
	if (bare)
		printf("%u-bit: %" PRIu64 " instructions\n", width, ran * INSNS_MAX);
	else
		printf("%u-bit: %" PRIu64 " instructions compared, %" PRIu64 " not comparable, %" PRIu64 " differ\n",
		       width, compared, skipped, bad);
	return bad || !ran || (!bare && !compared);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* A witness as a story: the instruction, the two states, what came of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "criterion/world.h"
#include "debug/disasm.h"

static const char *mode_text(const struct world *w, bool user)
{
	if (w->of->kind == WORLD_V86)
		return user ? "virtual-8086 mode" : "real mode";
	return user ? "user mode (CPL 3)" : "supervisor mode (CPL 0)";
}

static void show_state(const struct world *w, const struct state *s)
{
	static const char *const names[] = { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di" };
	const struct cpu *c = &s->cpu;
	char p = w->of->kind == WORLD_L64 ? 'r' : 'e';

	printf("   ");
	for (unsigned i = 0; i < 8; i++)
		printf(" %c%s %" PRIx64, p, names[i], c->gpr[i]);
	printf("\n    flags %x (IF %u, IOPL %u), CR0 %" PRIx64 ", CR3 %" PRIx64 ", GDTR %" PRIx64 ", IDTR %" PRIx64 "\n",
	       cpu_eflags(c), cpu_eflags(c) >> 9 & 1, cpu_eflags(c) >> 12 & 3, c->cr0, c->cr3, c->gdtr.base, c->idtr.base);
}

static const char *ended(const struct outcome *o)
{
	return o->how == ENDED_TRAP ? "trapped" : o->how == ENDED_SHUTDOWN ? "stopped the machine" : "went on";
}

void criterion_explain(const struct criterion_case *of, const struct witness *how)
{
	struct { struct world w; struct state a, b; struct outcome ra, rb; } *r = calloc(1, sizeof(*r));
	char text[96] = "?";

	if (!r)
		return;
	if (world_open(&r->w, of)) {
		world_close(&r->w);
		free(r);
		return;
	}
	disasm(how->bytes, how->length, CODE_AT, world_bits(&r->w), text, sizeof(text));
	state_random(&r->w, &r->a, how->seed, how->user, how->bytes, how->length);
	printf("  %s  (", text);
	for (unsigned i = 0; i < how->length; i++)
		printf("%s%02x", i ? " " : "", how->bytes[i]);
	printf(") runs in %s:\n", mode_text(&r->w, how->user));
	show_state(&r->w, &r->a);
	world_run(&r->w, &r->a, &r->ra);
	if (how->pair == PAIRS) {
		printf("  It %s, without a trap, and changed %s from %" PRIx64 " to %" PRIx64 ".\n", ended(&r->ra),
		       how->what, how->value[0], how->value[1]);
	} else if (state_pair(&r->w, &r->a, &r->b, how->pair)) {
		world_run(&r->w, &r->b, &r->rb);
		printf("  Once more, and only this is otherwise: %s.\n", pair_text(how->pair));
		show_state(&r->w, &r->b);
		printf("  The first %s, the second %s; but in %s they differ: %" PRIx64 " and %" PRIx64 ".\n",
		       ended(&r->ra), ended(&r->rb), how->what, how->value[0], how->value[1]);
	}
	world_close(&r->w);
	free(r);
}

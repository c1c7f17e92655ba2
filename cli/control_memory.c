/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking into guest memory: x, xp and info mem. Only RAM and ROM are shown, never a device,
 * and the guest's page tables are walked without a trace in them. A guest may have built tables
 * that never end: what is shown is bounded.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/control.h"
#include "debug/disasm.h"
#include "machine/paging.h"

#define COUNT_MAX	4096
#define INSN_MAX	15
#define WALKS_MAX	(1u << 20)
#define LINES_MAX	2000

/* --- Addresses ----------------------------------------------------------------------------- */

static const char gprs[16][4] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
				  "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };

/* Where the next instruction is; a segment may not begin at 0. */
static uint64_t linear_rip(const struct cpu *c)
{
	return cpu_code64(c) ? c->rip : (uint32_t)(c->rip + c->seg[SEG_CS].base);
}

static bool register_value(const struct cpu *c, const char *name, size_t n, uint64_t *out)
{
	char want[8];

	if (n >= sizeof(want))
		return false;
	memcpy(want, name, n);
	want[n] = '\0';
	if (!strcmp(want, "pc") || !strcmp(want, "rip") || !strcmp(want, "eip"))
		*out = linear_rip(c);
	else if (!strcmp(want, "cr2"))
		*out = c->cr2;
	else if (!strcmp(want, "cr3"))
		*out = c->cr3;
	else {
		for (unsigned i = 0; i < ARRAY_LEN(gprs); i++) {
			bool wide = strcmp(want, gprs[i]) == 0;

			if (!wide && (i >= 8 || want[0] != 'e' || strcmp(want + 1, gprs[i] + 1)))
				continue;
			*out = wide ? c->gpr[i] : (uint32_t)c->gpr[i];
			return true;
		}
		return false;
	}
	return true;
}

static bool term_take(const struct cpu *c, const char **p, uint64_t *out)
{
	const char *q = *p;
	char *end;
	size_t n;

	if (*q == '$') {
		n = strspn(q + 1, "abcdefghijklmnopqrstuvwxyz0123456789");
		*p = q + 1 + n;
		return register_value(c, q + 1, n, out);
	}
	if (*q < '0' || *q > '9')
		return false;
	*out = strtoull(q, &end, 0);
	*p = end;
	return true;
}

/* Terms with + and - between them. */
static bool address_parse(const struct cpu *c, const char *p, uint64_t *out)
{
	uint64_t term;
	char sign = '+';

	*out = 0;
	for (;;) {
		p += strspn(p, " ");
		if (!term_take(c, &p, &term))
			return false;
		*out += sign == '+' ? term : -term;
		p += strspn(p, " ");
		if (!*p)
			return true;
		if (*p != '+' && *p != '-')
			return false;
		sign = *p++;
	}
}

/* --- Formats -------------------------------------------------------------------------------- */

struct format { unsigned count; char kind; unsigned size; };

/* "/4xw" and parts of it. */
static bool format_parse(const char *s, struct format *f)
{
	static const char sizes[] = "bhwg";
	char *end;

	*f = (struct format){ 1, 'x', 4 };
	if (!s)
		return true;
	s++;
	if (*s >= '0' && *s <= '9') {
		unsigned long n = strtoul(s, &end, 10);

		if (!n || n > COUNT_MAX)
			return false;
		f->count = (unsigned)n;
		s = end;
	}
	for (; *s; s++) {
		const char *size = strchr(sizes, *s);

		if (size)
			f->size = 1u << (size - sizes);
		else if (strchr("xduoci", *s))
			f->kind = *s;
		else
			return false;
	}
	if (f->kind == 'c')
		f->size = 1;
	return true;
}

/* --- Memory --------------------------------------------------------------------------------- */

struct look { struct machine *m; bool physical; };

/* How many of n bytes there are. */
static unsigned bytes_read(const struct look *l, uint64_t at, uint8_t *to, unsigned n)
{
	const struct cpu *c = l->m->cpu;
	unsigned done = 0;

	while (done < n) {
		uint64_t gva = at + done;
		unsigned part = (unsigned)(PAGE_SIZE - (gva & ~PAGE_MASK));
		struct walk w = { .gpa = gva };

		if (!l->physical && !cpu_long_mode(c))
			gva = (uint32_t)gva;
		if (part > n - done)
			part = n - done;
		if (!l->physical && paging_walk(&l->m->mem, c, gva, &w))
			break;
		if (!phys_read_bulk(&l->m->mem, w.gpa, to + done, part))
			break;
		done += part;
	}
	return done;
}

static void value_print(struct call *c, const struct format *f, const uint8_t *bytes)
{
	uint64_t val = 0;
	unsigned bits = f->size * 8;

	memcpy(&val, bytes, f->size);
	switch (f->kind) {
	case 'd':
		call_printf(c, " %" PRId64, (int64_t)(val << (64 - bits)) >> (64 - bits));
		break;
	case 'u':
		call_printf(c, " %" PRIu64, val);
		break;
	case 'o':
		call_printf(c, " %#" PRIo64, val);
		break;
	case 'c':
		call_printf(c, val >= 0x20 && val < 0x7f ? " '%c'" : " '\\x%02x'", (int)val);
		break;
	default:
		call_printf(c, " 0x%0*" PRIx64, (int)f->size * 2, val);
	}
}

static int address_width(const struct call *c, const struct look *l)
{
	(void)c;
	return l->physical || cpu_long_mode(l->m->cpu) ? 16 : 8;
}

static void cannot(struct call *c, uint64_t at)
{
	call_fail(c, "There is no memory at %#" PRIx64, at);
}

static void values_print(struct call *c, const struct look *l, const struct format *f, uint64_t at)
{
	static const unsigned columns[] = { [1] = 8, [2] = 8, [4] = 4, [8] = 2 };
	uint8_t bytes[8];

	for (unsigned i = 0; i < f->count; i++, at += f->size) {
		if (bytes_read(l, at, bytes, f->size) < f->size) {
			if (i % columns[f->size])
				call_printf(c, "\n");
			cannot(c, at);
			return;
		}
		if (i % columns[f->size] == 0)
			call_printf(c, "%s%0*" PRIx64 ":", i ? "\n" : "", address_width(c, l), at);
		value_print(c, f, bytes);
	}
	call_printf(c, "\n");
}

static unsigned code_bits(const struct cpu *c)
{
	if (cpu_code64(c))
		return 64;
	return c->seg[SEG_CS].attr & SEG_D && !(c->eflags & FL_VM) ? 32 : 16;
}

static void code_print(struct call *c, const struct look *l, unsigned count, uint64_t at)
{
	uint8_t bytes[INSN_MAX];
	char text[128];

	while (count--) {
		unsigned n = bytes_read(l, at, bytes, INSN_MAX), len;

		if (!n) {
			cannot(c, at);
			return;
		}
		len = disasm(bytes, n, at, code_bits(l->m->cpu), text, sizeof(text));
		call_printf(c, "%0*" PRIx64 ":  ", address_width(c, l), at);
		for (unsigned i = 0; i < (len ? len : 1); i++)
			call_printf(c, "%02x", bytes[i]);
		call_printf(c, "%*s  %s\n", (int)(2 * (10 - (len < 10 ? len : 10))), "", text);
		at += len ? len : 1;
	}
}

static void examine(struct call *c, bool physical)
{
	struct look l = { call_machine(c), physical };
	struct format f;
	uint64_t at;

	if (!format_parse(c->args[0].text, &f))
		call_fail(c, "'%s' is no format: say /, a count up to %u, one of x d u o c i, one "
			  "of b h w g", c->args[0].text, COUNT_MAX);
	else if (!address_parse(l.m->cpu, c->args[1].text, &at))
		call_fail(c, "'%s' is no address: say for instance 0x7c00, $rip or $rsp+8",
			  c->args[1].text);
	else if (f.kind == 'i')
		code_print(c, &l, f.count, at);
	else
		values_print(c, &l, &f, at);
}

void verb_x(struct call *c)
{
	examine(c, false);
}

void verb_xp(struct call *c)
{
	examine(c, true);
}

/* --- info mem ------------------------------------------------------------------------------- */

/* Pages next to each other with the same rights. */
struct run { uint64_t first, size; bool user, write, exec; };

static bool run_print(struct call *c, const struct run *r, unsigned *lines)
{
	if (!r->size)
		return true;
	call_printf(c, "%016" PRIx64 "-%016" PRIx64 " %016" PRIx64 " %c%c%c\n", r->first,
		    r->first + r->size, r->size, r->user ? 'u' : '-', r->write ? 'w' : 'r',
		    r->exec ? 'x' : '-');
	return ++*lines < LINES_MAX;
}

static void mappings_print(struct call *c, enum paging_mode mode)
{
	struct machine *m = call_machine(c);
	uint64_t at = 0, end = mode == PAGING_4LEVEL ? 1ull << 48 : 1ull << 32, gva;
	unsigned lines = 0, walks = 0;
	struct run run = { 0 };
	bool whole = true;

	while (at < end && whole && walks++ < WALKS_MAX) {
		struct walk w = { 0 };
		uint64_t step;
		bool there;

		gva = at >> 47 & 1 ? at | 0xffffull << 48 : at;
		there = !paging_walk(&m->mem, m->cpu, gva, &w);
		step = 1ull << w.page_shift;	/* of the page, or of the entry that is not there */
		step -= at & (step - 1);
		if (!there || w.user != run.user || w.write != run.write || w.exec != run.exec ||
		    run.first + run.size != gva) {
			whole = run_print(c, &run, &lines);
			run = (struct run){ gva, 0, w.user, w.write, w.exec };
		}
		run.size += there ? step : 0;
		at += step;
	}
	if (whole)
		run_print(c, &run, &lines);
	if (!whole || at < end)
		call_printf(c, "(and so on)\n");
}

void verb_mem(struct call *c)
{
	static const char *const modes[] = { [PAGING_NONE] = "off", [PAGING_32] = "32-bit",
		[PAGING_PAE] = "PAE", [PAGING_4LEVEL] = "4 levels" };
	struct machine *m = call_machine(c);
	enum paging_mode mode = paging_mode(m->cpu);

	call_printf(c, "RAM %" PRIu64 " MiB, paging %s, cr3 %" PRIx64 "\n",
		    (m->mem.low_size + m->mem.high_size) >> 20, modes[mode], m->cpu->cr3);
	if (mode != PAGING_NONE)
		mappings_print(c, mode);
}

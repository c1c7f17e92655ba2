/* SPDX-License-Identifier: BSD-2-Clause */
#include <capstone/capstone.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "debug/disasm.h"
#include "machine/paging.h"

#define INSN_MAX 15

static csh handle_for(unsigned bits)
{
	static csh handles[3];
	unsigned i = bits == 16 ? 0 : bits == 32 ? 1 : 2;
	static const cs_mode modes[3] = { CS_MODE_16, CS_MODE_32, CS_MODE_64 };

	if (!handles[i] && cs_open(CS_ARCH_X86, modes[i], &handles[i]) != CS_ERR_OK)
		handles[i] = 0;
	return handles[i];
}

unsigned disasm(const uint8_t *bytes, unsigned n, uint64_t rip, unsigned bits, char *text, size_t size)
{
	csh h = handle_for(bits);
	cs_insn *insn = NULL;
	unsigned len = 0;

	snprintf(text, size, "(bad)");
	if (h && cs_disasm(h, bytes, n, rip, 1, &insn) == 1) {
		snprintf(text, size, "%s %s", insn->mnemonic, insn->op_str);
		len = insn->size;
	}
	if (insn)
		cs_free(insn, 1);
	return len;
}

static unsigned code_bytes(struct machine *m, const struct cpu *c, uint8_t *buf)
{
	gva_t lip = c->rip + c->seg[SEG_CS].base;
	struct walk w;
	unsigned n = 0;

	for (; n < INSN_MAX; n++) {
		gva_t gva = cpu_code64(c) ? lip + n : (uint32_t)(lip + n);

		if ((n == 0 || !(gva & ~PAGE_MASK)) && paging_walk(&m->mem, c, gva, &w))
			break;
		buf[n] = (uint8_t)phys_read(&m->mem, (w.gpa & PAGE_MASK) | (gva & ~PAGE_MASK), 1);
	}
	return n;
}

void trace_instruction(struct machine *m, const struct cpu *c)
{
	uint8_t buf[INSN_MAX];
	char text[96];
	unsigned bits = cpu_code64(c) ? 64 : c->seg[SEG_CS].attr & SEG_D ? 32 : 16;
	unsigned n = code_bytes(m, c, buf);

	if (c->eflags & FL_VM)
		bits = 16;
	disasm(buf, n, c->rip, bits, text, sizeof(text));
	fprintf(stderr, "%04x:%08" PRIx64 " %u %-36s", c->seg[SEG_CS].sel, c->rip, c->cpl, text);
	for (int i = 0; i < (bits == 64 ? 16 : 8); i++)
		fprintf(stderr, " %" PRIx64, c->gpr[i]);
	fprintf(stderr, " %x\n", cpu_eflags(c));
}

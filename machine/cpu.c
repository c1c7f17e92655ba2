/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vCPU's state as a whole: how it is after power-on (SDM 3A 9.1), how a person
 * reads it, and FXSAVE images (SDM 1 10.5.1).
 */
#include "machine/cpu.h"

#include <stdio.h>
#include <string.h>

#define DATA16	{ .attr = SEG_P | SEG_S | SEG_W | SEG_A, .limit = 0xffff }

/*
 * SDM 3A table 9-1, power-up column. RDX holds the processor's signature, which
 * is the CPU model's affair; the TSC is machine_reset's. TSS and LDT types are as
 * the processor leaves them: busy 32-bit TSS, LDT.
 */
static const struct cpu power_on = {
	.rip = 0xfff0,
	.eflags = FL_1,
	.seg = {
		[SEG_ES] = DATA16, [SEG_SS] = DATA16, [SEG_DS] = DATA16,
		[SEG_FS] = DATA16, [SEG_GS] = DATA16,
		[SEG_CS] = { .sel = 0xf000, .base = 0xffff0000u, .limit = 0xffff,
			     .attr = SEG_P | SEG_S | SEG_CODE | SEG_R | SEG_A },
		[SEG_LDTR] = { .attr = SEG_P | 2, .limit = 0xffff },
		[SEG_TR] = { .attr = SEG_P | 11, .limit = 0xffff },
	},
	.gdtr.limit = 0xffff,
	.idtr.limit = 0xffff,
	.cr0 = CR0_CD | CR0_NW | CR0_ET,
	.xcr0 = 1,
	.dr = { [6] = 0xffff0ff0u, [7] = 0x400 },
	.msr_pat = 0x0007040600070406ull,
	.msr_apic_base = 0xfee00100u,	/* bootstrap processor, APIC off */
	.msr_misc_enable = 1,		/* fast strings */
	/* All x87 registers hold +0.0 and are not empty (FTW 5555H). */
	.fpu = { .cw = 0x40, .tags = 0xff, .mxcsr = 0x1f80 },
};

void cpu_reset(struct cpu *c)
{
	*c = power_on;
}

static const char gpr_names[][4] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15",
};
static const char seg_names[SEG_COUNT][3] = { "es", "cs", "ss", "ds", "fs", "gs", "ld", "tr" };

static void flags_format(uint32_t fl, char out[static 32])
{
	static const struct { uint32_t bit; char letter; } names[] = {
		{ FL_ID, 'I' }, { FL_AC, 'a' }, { FL_VM, 'V' }, { FL_RF, 'R' }, { FL_NT, 'N' },
		{ FL_OF, 'O' }, { FL_DF, 'D' }, { FL_IF, 'i' }, { FL_TF, 'T' }, { FL_SF, 'S' },
		{ FL_ZF, 'Z' }, { FL_AF, 'A' }, { FL_PF, 'P' }, { FL_CF, 'C' },
	};
	unsigned n = 0;

	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		out[n++] = fl & names[i].bit ? names[i].letter : '-';
	out[n] = '\0';
}

static void fpu_dump(const struct fpu *f, FILE *out)
{
	unsigned top = f->sw >> 11 & 7;

	fprintf(out, "fcw %04x fsw %04x tags %02x mxcsr %08x\n", f->cw, f->sw, f->tags, f->mxcsr);
	for (unsigned i = 0; i < 8; i++) {
		const union fpreg *r = &f->st[(top + i) & 7];

		fprintf(out, "st%u %04x:%016llx%s", i, r->w[4], (unsigned long long)r->q[0],
			i & 1 ? "\n" : "  ");
	}
	for (unsigned i = 0; i < 16; i++) {
		if (f->xmm[i].q[0] | f->xmm[i].q[1])
			fprintf(out, "xmm%-2u %016llx%016llx\n", i,
				(unsigned long long)f->xmm[i].q[1],
				(unsigned long long)f->xmm[i].q[0]);
	}
}

void cpu_dump(const struct cpu *c, void *file)
{
	FILE *out = file ? file : stderr;
	unsigned ngpr = cpu_long_mode(c) ? 16 : 8;
	char fl[32];

	flags_format(cpu_eflags(c), fl);
	for (unsigned i = 0; i < ngpr; i++)
		fprintf(out, "%s %016llx%s", gpr_names[i], (unsigned long long)c->gpr[i],
			i % 4 == 3 ? "\n" : " ");
	fprintf(out, "rip %016llx eflags %08x %s iopl %u cpl %u%s%s%s%s\n",
		(unsigned long long)c->rip, cpu_eflags(c), fl, c->eflags >> 12 & 3, c->cpl,
		c->halted ? " halted" : "", c->int_shadow ? " shadow" : "",
		c->nmi_blocked ? " nmi-blocked" : "", c->nmi_pending ? " nmi" : "");
	for (unsigned i = 0; i < SEG_COUNT; i++)
		fprintf(out, "%s %04x base %016llx limit %08x attr %04x\n", seg_names[i],
			c->seg[i].sel, (unsigned long long)c->seg[i].base, c->seg[i].limit,
			c->seg[i].attr);
	fprintf(out, "gdt %016llx %04x  idt %016llx %04x\n", (unsigned long long)c->gdtr.base,
		c->gdtr.limit, (unsigned long long)c->idtr.base, c->idtr.limit);
	fprintf(out, "cr0 %08llx cr2 %016llx cr3 %016llx cr4 %08llx efer %04llx\n",
		(unsigned long long)c->cr0, (unsigned long long)c->cr2,
		(unsigned long long)c->cr3, (unsigned long long)c->cr4,
		(unsigned long long)c->efer);
	fprintf(out, "dr0 %llx dr1 %llx dr2 %llx dr3 %llx dr6 %llx dr7 %llx\n",
		(unsigned long long)c->dr[0], (unsigned long long)c->dr[1],
		(unsigned long long)c->dr[2], (unsigned long long)c->dr[3],
		(unsigned long long)c->dr[6], (unsigned long long)c->dr[7]);
	fpu_dump(&c->fpu, out);
}

/* FXSAVE: offsets of the fields. ST(i) are in stack order, tags by register. */
enum { FX_CW = 0, FX_SW = 2, FX_TAGS = 4, FX_OP = 6, FX_IP = 8, FX_CS = 12, FX_DP = 16, FX_DS = 20,
       FX_MXCSR = 24, FX_MXCSR_MASK = 28, FX_ST = 32, FX_XMM = 160 };

void fpu_to_fxsave(const struct fpu *f, uint8_t image[512], bool wide)
{
	const uint32_t mxcsr_mask = 0xffff;
	unsigned top = f->sw >> 11 & 7;

	memset(image, 0, 512);
	memcpy(image + FX_CW, &f->cw, 2);
	memcpy(image + FX_SW, &f->sw, 2);
	image[FX_TAGS] = f->tags;
	memcpy(image + FX_OP, &f->fop, 2);
	memcpy(image + FX_IP, &f->fip, wide ? 8 : 4);
	memcpy(image + FX_DP, &f->fdp, wide ? 8 : 4);
	if (!wide) {
		memcpy(image + FX_CS, &f->fcs, 2);
		memcpy(image + FX_DS, &f->fds, 2);
	}
	memcpy(image + FX_MXCSR, &f->mxcsr, 4);
	memcpy(image + FX_MXCSR_MASK, &mxcsr_mask, 4);
	for (unsigned i = 0; i < 8; i++)
		memcpy(image + FX_ST + 16 * i, f->st[(top + i) & 7].b, 10);
	memcpy(image + FX_XMM, f->xmm, wide ? 256 : 128);
}

void fpu_from_fxsave(struct fpu *f, const uint8_t image[512], bool wide)
{
	unsigned top;

	memcpy(&f->cw, image + FX_CW, 2);
	memcpy(&f->sw, image + FX_SW, 2);
	f->tags = image[FX_TAGS];
	memcpy(&f->fop, image + FX_OP, 2);
	f->fip = f->fdp = 0;
	f->fcs = f->fds = 0;
	memcpy(&f->fip, image + FX_IP, wide ? 8 : 4);
	memcpy(&f->fdp, image + FX_DP, wide ? 8 : 4);
	if (!wide) {
		memcpy(&f->fcs, image + FX_CS, 2);
		memcpy(&f->fds, image + FX_DS, 2);
	}
	memcpy(&f->mxcsr, image + FX_MXCSR, 4);
	top = f->sw >> 11 & 7;
	for (unsigned i = 0; i < 8; i++) {
		union fpreg *r = &f->st[(top + i) & 7];

		memset(r, 0, sizeof(*r));
		memcpy(r->b, image + FX_ST + 16 * i, 10);
	}
	memcpy(f->xmm, image + FX_XMM, wide ? 256 : 128);
}

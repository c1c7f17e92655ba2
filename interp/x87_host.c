/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any x87 instruction, exactly: the guest's whole x87 state is loaded into the host,
 * the same opcode is executed there from a table of all of them, and the state is
 * taken back. So masked and unmasked exceptions, empty and full stacks and unsupported
 * encodings are what a processor makes of them. Costs two hundred cycles; x87.c has the
 * short way for what programs do all day.
 *
 * Not for instructions that load or store control words or environments: those name
 * addresses and formats of the guest (fpu_env.c).
 */
#include <string.h>

#include "interp/fpu.h"

/*
 * x87_exec(image, mem, stub, arith): arguments in RDI, RSI, RDX, ECX; the flags come
 * back in AX. Each stub is one instruction and a RET, four bytes apart; the
 * memory forms address (%rsi). FNINIT leaves the host's x87 as its ABI has it.
 */
__asm__(
"	.pushsection .text\n"
"	.balign 16\n"
"x87_exec:\n"
"	movl %ecx, %eax\n"
"	fxrstor (%rdi)\n"
"	addb $0x7f, %al\n"
"	sahf\n"
"	call *%rdx\n"
"	lahf\n"
"	seto %al\n"
"	fxsave (%rdi)\n"
"	fninit\n"
"	ret\n"
"	.balign 16\n"
"x87_register_stubs:\n"
"	.set k, 0\n"
"	.rept 512\n"
"	.byte 0xd8 + (k >> 6), 0xc0 + (k & 63), 0xc3, 0xcc\n"
"	.set k, k + 1\n"
"	.endr\n"
"x87_memory_stubs:\n"
"	.set k, 0\n"
"	.rept 64\n"
"	.byte 0xd8 + (k >> 3), (k & 7) << 3 | 6, 0xc3, 0xcc\n"
"	.set k, k + 1\n"
"	.endr\n"
"	.popsection\n");

#define STUB_SIZE	4
extern const char x87_register_stubs[512][STUB_SIZE], x87_memory_stubs[64][STUB_SIZE];
uint16_t x87_exec(void *image, void *mem, const void *stub, unsigned arith);

/* The part of an FXSAVE image that matters here, SDM 1 table 10-2. */
struct image {
	uint16_t cw, sw;
	uint8_t tags, r0;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	union fpreg st[8];
	uint8_t xmm_and_rest[512 - 160];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct image) == 512, "FXSAVE image");

uint16_t x87_host_flags;

void x87_host_run(struct fpu *f, unsigned fop, void *mem, uint16_t *arith)
{
	static struct image im = { .mxcsr = MXCSR_INIT };
	unsigned top = x87_top(f);
	bool is_reg = (fop & 0xc0) == 0xc0;
	const void *stub = is_reg ? x87_register_stubs[(fop >> 8) << 6 | (fop & 63)]
				  : x87_memory_stubs[(fop >> 8) << 3 | (fop >> 3 & 7)];

	im.cw = f->cw;
	im.sw = f->sw;
	im.tags = f->tags;
	for (unsigned i = 0; i < 8; i++)
		im.st[i] = f->st[(top + i) & 7];
	*arith = x87_exec(&im, mem, stub, *arith);
	x87_host_flags = 0;
	f->sw = im.sw;
	f->tags = im.tags;
	top = x87_top(f);
	for (unsigned i = 0; i < 8; i++)
		f->st[(top + i) & 7] = im.st[i];
}

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_FPU_BENCH_H
#define TESTS_FPU_BENCH_H

#include "interp/core.h"
#include "interp/decode.h"

#define BUF_SIZE	1024u
#define GPRS		8	/* RAX to RDI take part */

struct state {
	uint8_t fx[512] __attribute__((aligned(64)));
	uint64_t gpr[GPRS];
	uint64_t arith;
	uint8_t mem[BUF_SIZE];
	int fault;		/* vector, or -1 */
};

#define ST(i)		(32 + 16 * (i))
#define XMM_AT(i)	(160 + 16 * (i))

extern uint8_t *code;		/* one instruction and a RET */
extern uint8_t buffer[BUF_SIZE];	/* the memory it sees; RSI and RDI: at 64 */
extern struct interp *vm;
extern uintptr_t unwritable;	/* mem_probe_write() faults if it reaches that; 0: never */
extern int irq_line;		/* raised by irq_set(), else -1 */
extern uint64_t left_at;	/* where op_leave_at() was told to continue */

void fpu_bench_open(void);
void fpu_bench_close(void);
/* The operation for an instruction of ops_x87.def or ops_sse.def; NULL: it is none of them. */
const char *fpu_name(unsigned mnem);
void lower_one(const struct insn *in, const uint8_t *bytes, struct op *op);
/* The instruction in `code`; its operation. */
void run_host(struct state *s);
void run_guest(struct state *s, const struct op *op);
/* On vm as it is: the vector raised, or -1. */
int run_op(const struct op *op);
/* Makes the same what processors keep differently: addresses of the last instruction. */
void forget_pointers(unsigned mnem, struct state *h, struct state *g);
/* Do they differ? Says how on stderr. */
bool compare(const struct state *in, const struct state *h, const struct state *g);
void hex(const char *what, const uint8_t *p, unsigned n);

#endif

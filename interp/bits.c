/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bit tests and scans, compare-and-exchange, and the flag instructions. Where the
 * manual leaves flags undefined the host's own instruction decides, with the
 * guest's flags loaded before.
 */
#include "interp/cpu_model.h"
#include "interp/system.h"
#include "interp/tables.h"

enum { BT, BTS, BTR, BTC };	/* imm >> 8 & 3; imm bit 10: bit number is imm's low byte */

static uint64_t bit_op(unsigned kind, uint64_t d, unsigned bit)
{
	switch (kind) {
	case BTS: return d | 1ull << bit;
	case BTR: return d & ~(1ull << bit);
	case BTC: return d ^ 1ull << bit;
	default: return d;
	}
}

static void set_cf(struct interp *v, bool cf)
{
	v->cpu.arith = (uint16_t)((v->cpu.arith & ~AR_CF) | (cf ? AR_CF : 0));
}

HANDLER(h_bt_r)
{
	unsigned kind = op->imm >> 8 & 3, mask = 8 * op->osize - 1;
	unsigned bit = (op->imm >> 10 & 1 ? (unsigned)(op->imm & 0xff)
					  : (unsigned)reg_get(v, op->b, op->osize)) & mask;
	uint64_t d = reg_get(v, op->a, op->osize);

	set_cf(v, d >> bit & 1);
	if (kind != BT)
		reg_set(v, op->a, op->osize, bit_op(kind, d, bit));
	NEXT(v, op);
}

/* With a register bit number the operand is a bit string: the number, signed,
 * reaches beyond the addressed word (SDM 2 BT, SDM 1 3.1.1.9). */
HANDLER(h_bt_m)
{
	SYNC(v, op);
	unsigned kind = op->imm >> 8 & 3, bits = 8 * op->osize;
	uint64_t off = ea_offset(v, op);
	unsigned bit;

	if (op->imm >> 10 & 1) {
		bit = (op->imm & 0xff) & (bits - 1);
	} else {
		int64_t n = (int64_t)(reg_get(v, op->a, op->osize) << (64 - bits)) >> (64 - bits);

		bit = (unsigned)n & (bits - 1);
		off += (uint64_t)((n >> (op->osize == 2 ? 4 : op->osize == 4 ? 5 : 6)) * op->osize);
		off = op->flags & OPF_A64 ? off : op->flags & OPF_A16 ? (uint16_t)off : (uint32_t)off;
	}
	if (kind == BT) {
		set_cf(v, mem_read(v, op->seg, off, op->osize) >> bit & 1);
		NEXT(v, op);
	}
	uint64_t d = mem_read_rmw(v, op->seg, off, op->osize);

	mem_write(v, op->seg, off, op->osize, bit_op(kind, d, bit));
	set_cf(v, d >> bit & 1);
	NEXT_CHECKED(v, op);
}

static inline uint64_t rm_value(struct interp *v, const struct op *op)
{
	return op->flags & OPF_MEM ? mem_read(v, op->seg, ea_offset(v, op), op->osize)
				   : reg_get(v, op->b, op->osize);
}

/* r = INSN(r/m) by the host; r keeps its old value where the host keeps it (BSF, BSR of 0). */
#define SCAN(name, insn, zero_keeps)							\
	HANDLER(name)									\
	{ SYNC(v, op); uint64_t s = rm_value(v, op), d = reg_get(v, op->a, op->osize);	\
	  uint16_t f = v->cpu.arith;							\
	  switch (op->osize) {								\
	  case 2: asm(ASM_LOAD insn "w %w2, %w0" ASM_SAVE : "+r"(d), "+a"(f) : "r"(s) : "cc"); break; \
	  case 4: asm(ASM_LOAD insn "l %k2, %k0" ASM_SAVE : "+r"(d), "+a"(f) : "r"(s) : "cc"); break; \
	  default: asm(ASM_LOAD insn "q %2, %0" ASM_SAVE : "+r"(d), "+a"(f) : "r"(s) : "cc"); break; \
	  }										\
	  v->cpu.arith = f;								\
	  if (!(zero_keeps && (f & AR_ZF)))						\
		reg_set(v, op->a, op->osize, d);					\
	  NEXT(v, op); }
SCAN(h_bsf, "bsf", true)
SCAN(h_bsr, "bsr", true)
SCAN(h_popcnt, "popcnt", false)

/* Without the host's LZCNT/TZCNT these would be BSR/BSF: computed, not executed. */
static const struct op *count_zeros(struct interp *v, const struct op *op, bool leading)
{
	SYNC(v, op);
	unsigned bits = 8 * op->osize, n = bits;
	uint64_t s = rm_value(v, op);

	if (s)
		n = leading ? bits - 64 + (unsigned)__builtin_clzll(s) : (unsigned)__builtin_ctzll(s);
	reg_set(v, op->a, op->osize, n);
	v->cpu.arith = (uint16_t)((v->cpu.arith & ~(AR_CF | AR_ZF)) | (s ? 0 : AR_CF) | (n ? 0 : AR_ZF));
	NEXT(v, op);
}
HANDLER(h_lzcnt) { return count_zeros(v, op, true); }
HANDLER(h_tzcnt) { return count_zeros(v, op, false); }

/* CRC32 r32, r/m (SSE4.2); the source width is in imm. */
HANDLER(h_crc32)
{
	SYNC(v, op);
	unsigned n = (unsigned)op->imm;
	uint64_t s = op->flags & OPF_MEM ? mem_read(v, op->seg, ea_offset(v, op), n) : reg_get(v, op->b, n);
	uint32_t c = REG32(v, op->a);

	for (unsigned i = 0; i < n; i++) {
		c ^= (uint8_t)(s >> 8 * i);
		for (int k = 0; k < 8; k++)
			c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0);
	}
	REG64(v, op->a) = c;
	NEXT(v, op);
}

/* --- Compare and exchange ------------------------------------------------------ */

#define CMP_FLAGS(sfx, T, x, y)	asm("cmp" #sfx " %2, %1" ASM_SAVE : "=&a"(f) : "q"((T)(x)), "q"((T)(y)) : "cc")
static uint16_t compare(uint64_t x, uint64_t y, unsigned size)
{
	uint16_t f;

	switch (size) {
	case 1: CMP_FLAGS(b, uint8_t, x, y); break;
	case 2: CMP_FLAGS(w, uint16_t, x, y); break;
	case 4: CMP_FLAGS(l, uint32_t, x, y); break;
	default: CMP_FLAGS(q, uint64_t, x, y); break;
	}
	return f;
}

/* The destination is written in either case (SDM 2 CMPXCHG). */
HANDLER(h_cmpxchg)
{
	SYNC(v, op);
	unsigned n = op->osize;
	uint64_t acc = reg_get(v, 8 * RAX, n);

	if (!(op->flags & OPF_MEM)) {
		uint64_t d = reg_get(v, op->a, n);
		uint64_t s = reg_get(v, op->b, n);

		if (d == acc)
			reg_set(v, op->a, n, s);
		else
			reg_set(v, 8 * RAX, n, d);
		v->cpu.arith = compare(acc, d, n);
		NEXT(v, op);
	}
	uint64_t off = ea_offset(v, op), d = mem_read_rmw(v, op->seg, off, n);

	mem_write(v, op->seg, off, n, d == acc ? reg_get(v, op->a, n) : d);
	if (d != acc)
		reg_set(v, 8 * RAX, n, d);
	v->cpu.arith = compare(acc, d, n);
	NEXT_CHECKED(v, op);
}

/* The same where the page is at hand; one processor makes LOCK free. */
#define CMPXCHG_M(W, sfx, form, SET)							\
	static HANDLER(cmpxchg##W##_m_##form)						\
	{ GUEST(uint##W##_t, p, wr, ea_##form(v, op), 1, return h_cmpxchg(v, op));	\
	  uint##W##_t d = *p, acc = REG##W(v, 8 * RAX);					\
	  uint16_t f;									\
	  asm("cmp" #sfx " %2, %1" ASM_SAVE : "=&a"(f) : "q"(acc), "q"(d) : "cc");	\
	  v->cpu.arith = f;								\
	  if (d == acc) *p = REG##W(v, op->a); else SET;				\
	  NEXT(v, op); }
CMPXCHG_M(32, l, d32, SET32(v, 8 * RAX, d))
CMPXCHG_M(32, l, d64, SET32(v, 8 * RAX, d))
CMPXCHG_M(64, q, d64, REG64(v, 8 * RAX) = d)
op_fn *const cmpxchg_m[4][EA_FORMS] = {
	[2] = { [EA_D32] = cmpxchg32_m_d32, [EA_D64] = cmpxchg32_m_d64 },
	[3] = { [EA_D64] = cmpxchg64_m_d64 },
};

static void set_zf(struct interp *v, bool zf)
{
	v->cpu.arith = (uint16_t)((v->cpu.arith & ~AR_ZF) | (zf ? AR_ZF : 0));
}

HANDLER(h_cmpxchg8b)
{
	SYNC(v, op);
	uint64_t off = ea_offset(v, op), d = mem_read_rmw(v, op->seg, off, 8);
	uint64_t want = (uint64_t)REG32(v, 8 * RDX) << 32 | REG32(v, 8 * RAX);
	uint64_t s = (uint64_t)REG32(v, 8 * RCX) << 32 | REG32(v, 8 * RBX);

	mem_write(v, op->seg, off, 8, d == want ? s : d);
	if (d != want) {
		SET32(v, 8 * RAX, d);
		SET32(v, 8 * RDX, d >> 32);
	}
	set_zf(v, d == want);
	NEXT_CHECKED(v, op);
}

HANDLER(h_cmpxchg16b)
{
	SYNC(v, op);
	uint64_t off = ea_offset(v, op), d[2], s[2] = { v->cpu.gpr[RBX], v->cpu.gpr[RCX] };

	if (seg_linear(v, op->seg, off, 16, ACC_WRITE) & 15)
		raise_gp0(v);
	mem_probe_write(v, op->seg, off, 16);
	mem_read_bytes(v, op->seg, off, d, 16);
	bool equal = d[0] == v->cpu.gpr[RAX] && d[1] == v->cpu.gpr[RDX];

	mem_write_bytes(v, op->seg, off, equal ? s : d, 16);
	if (!equal) {
		v->cpu.gpr[RAX] = d[0];
		v->cpu.gpr[RDX] = d[1];
	}
	set_zf(v, equal);
	NEXT_CHECKED(v, op);
}

static uint16_t add_flags(uint64_t x, uint64_t y, unsigned size, uint64_t *sum)
{
	uint16_t f;

#define ADD(n, T, sfx)	case n: { T d_ = (T)x; asm("add" #sfx " %2, %0" ASM_SAVE			\
		: "+q"(d_), "=&a"(f) : "q"((T)y) : "cc"); *sum = d_; return f; }
	switch (size) {
	ADD(1, uint8_t, b) ADD(2, uint16_t, w) ADD(4, uint32_t, l)
	default: ADD(8, uint64_t, q)
	}
#undef ADD
}

HANDLER(h_xadd)
{
	SYNC(v, op);
	unsigned n = op->osize;
	uint64_t sum;

	if (!(op->flags & OPF_MEM)) {
		uint64_t d = reg_get(v, op->a, n);
		uint16_t f = add_flags(d, reg_get(v, op->b, n), n, &sum);

		reg_set(v, op->b, n, d);
		reg_set(v, op->a, n, sum);
		v->cpu.arith = f;
		NEXT(v, op);
	}
	uint64_t off = ea_offset(v, op), d = mem_read_rmw(v, op->seg, off, n);
	uint16_t f = add_flags(d, reg_get(v, op->a, n), n, &sum);

	mem_write(v, op->seg, off, n, sum);
	reg_set(v, op->a, n, d);
	v->cpu.arith = f;
	NEXT_CHECKED(v, op);
}

/* --- Flags ------------------------------------------------------------------------ */

HANDLER(h_clc) { set_cf(v, false); NEXT(v, op); }
HANDLER(h_stc) { set_cf(v, true); NEXT(v, op); }
HANDLER(h_cmc) { v->cpu.arith ^= AR_CF; NEXT(v, op); }
HANDLER(h_cld) { v->cpu.eflags &= ~FL_DF; NEXT(v, op); }
HANDLER(h_std) { v->cpu.eflags |= FL_DF; NEXT(v, op); }
HANDLER(h_lahf) { REG8(v, 1) = (uint8_t)(arith_to_flags(v->cpu.arith) | FL_1); NEXT(v, op); }
HANDLER(h_sahf)
{
	v->cpu.arith = (uint16_t)((REG8(v, 1) & 0xd5) << 8 | (v->cpu.arith & 0xff));
	NEXT(v, op);
}
HANDLER(h_salc) { REG8(v, 0) = v->cpu.arith & AR_CF ? 0xff : 0; NEXT(v, op); }

/* RDRAND, RDSEED: CF = 1, the others 0. */
HANDLER(h_rdrand)
{
	reg_set(v, op->a, op->osize, interp_random(v));
	v->cpu.arith = AR_CF;
	NEXT(v, op);
}

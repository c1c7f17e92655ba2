/* SPDX-License-Identifier: BSD-2-Clause */
/* The handler tables that lowering picks from; each is defined by its family. */
#ifndef INTERP_TABLES_H
#define INTERP_TABLES_H

#include "interp/fast.h"

/* Width index of an operand size: 1, 2, 4, 8 -> 0..3. */
static inline unsigned width_index(unsigned size)
{
	return size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
}

/* Two-operand families: register/immediate forms, with and without flags, and
 * memory as source (rm), as destination with register (mr) or immediate (mi). */
struct binary_row {
	op_fn *rr, *ri, *rr_nf, *ri_nf;
	op_fn *rm[EA_FORMS], *mr[EA_FORMS], *mi[EA_FORMS];
};
enum alu_op { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP, ALU_TEST,
	      ALU_OPS };
extern const struct binary_row alu_rows[ALU_OPS][4];
extern const struct binary_row mov_rows[4];

/* One-operand families, register or memory. */
struct unary_row { op_fn *r, *r_nf; op_fn *m[EA_FORMS]; };
enum unary_op { UN_INC, UN_DEC, UN_NEG, UN_NOT, UNARY_OPS };
extern const struct unary_row unary_rows[UNARY_OPS][4];

/* MUL, IMUL with one operand: [signed][width 2-3]; IMUL with two, three: [three][width 2-3]. */
extern const struct unary_row mul_rows[2][4], imul_rows[2][4];

/* Shifts: by immediate (count already masked, not 0) or by CL; r_keep: rotates by more than one
 * where rotate_keeps_of(). */
struct shift_row { op_fn *r_imm, *r_imm_nf, *r_cl, *m_imm, *m_cl, *r_keep; };
enum shift_op { SH_ROL, SH_ROR, SH_RCL, SH_RCR, SH_SHL, SH_SHR, SH_SAR, SHIFT_OPS };
extern const struct shift_row shift_rows[SHIFT_OPS][4];
/* Does this host leave OF alone in ROL and ROR of a register by an immediate above 1? It is undefined (SDM 2). */
bool rotate_keeps_of(void);

/* Zero- and sign-extending loads: [signed][source width 0-2][dest width index]. */
struct extend_row { op_fn *r; op_fn *m[EA_FORMS]; };
extern const struct extend_row extend_rows[2][3][4];

extern op_fn *const lea_forms[4][2];		/* [dest width][address: 0 = 32, 1 = 64; 16: slow] */
extern op_fn *const setcc_r[16], *const setcc_m[16];
extern op_fn *const cmov_r[16][4], *const cmov_m[16][4][EA_FORMS];

/* Branches. */
extern op_fn *const jcc_near[16], *const jcc_far[16], *const jcc_slow[16];

/* Stack forms by operand size and stack kind. */
enum stack_kind { STK_SLOW, STK_FLAT32, STK_64, STACK_KINDS };
extern op_fn *const push_r[STACK_KINDS], *const push_i[STACK_KINDS], *const pop_r[STACK_KINDS];
extern op_fn *const call_near[STACK_KINDS], *const call_far[STACK_KINDS];
extern op_fn *const call_r[STACK_KINDS], *const ret_near[STACK_KINDS];
/* With a memory operand that has no index register; the jump in flat or 64-bit code. */
extern op_fn *const push_m[STACK_KINDS];
extern op_fn *const jmp_m[EA_FORMS], *const cmpxchg_m[4][EA_FORMS], *const xchg_m[4][EA_FORMS];

/* String instructions without a prefix over flat segments: [which][width index][32- or 64-bit addresses]. */
enum string_op { STRING_MOVS, STRING_CMPS, STRING_STOS, STRING_LODS, STRING_SCAS, STRINGS };
extern op_fn *const string_one[STRINGS][4][2];

/* Stack by its width (SP, ESP, RSP); raise #SS and #PF. */
static inline uint64_t sp_mask(const struct interp *v)
{
	return v->hflags & HF_CS64 ? ~0ull : v->hflags & HF_SS32 ? 0xffffffffu : 0xffffu;
}
static inline void sp_set(struct interp *v, uint64_t sp)
{
	uint64_t m = sp_mask(v);

	if (m == 0xffff)
		v->cpu.gpr[RSP] = (v->cpu.gpr[RSP] & ~m) | (sp & m);
	else
		v->cpu.gpr[RSP] = sp & m;
}
static inline void sp_push(struct interp *v, unsigned size, uint64_t val)
{
	uint64_t sp = (v->cpu.gpr[RSP] - size) & sp_mask(v);

	mem_write(v, SEG_SS, sp, size, val);
	sp_set(v, sp);
}
/* Reads the top without moving the pointer; n: bytes already looked at. */
static inline uint64_t sp_peek(struct interp *v, unsigned n, unsigned size)
{
	return mem_read(v, SEG_SS, (v->cpu.gpr[RSP] + n) & sp_mask(v), size);
}

#define DECLARE(name) HANDLER(name);
DECLARE(h_invalid) DECLARE(h_too_long) DECLARE(h_goto) DECLARE(h_stop) DECLARE(h_dead)
DECLARE(h_nop)
DECLARE(h_lea_slow)
DECLARE(h_mul) DECLARE(h_imul1) DECLARE(h_imul2) DECLARE(h_imul3) DECLARE(h_div) DECLARE(h_idiv)
DECLARE(h_bt_r) DECLARE(h_bt_m) DECLARE(h_shxd)
DECLARE(h_bsf) DECLARE(h_bsr) DECLARE(h_popcnt) DECLARE(h_lzcnt) DECLARE(h_tzcnt) DECLARE(h_bswap)
DECLARE(h_xchg_r) DECLARE(h_xchg_m) DECLARE(h_cmpxchg) DECLARE(h_xadd) DECLARE(h_cmpxchg8b)
DECLARE(h_cmpxchg16b) DECLARE(h_movbe) DECLARE(h_crc32)
DECLARE(h_cbw) DECLARE(h_cwd) DECLARE(h_lahf) DECLARE(h_sahf) DECLARE(h_salc) DECLARE(h_xlat)
DECLARE(h_daa) DECLARE(h_das) DECLARE(h_aaa) DECLARE(h_aas) DECLARE(h_aam) DECLARE(h_aad)
DECLARE(h_clc) DECLARE(h_stc) DECLARE(h_cmc) DECLARE(h_cld) DECLARE(h_std)
DECLARE(h_push_m) DECLARE(h_pop_m) DECLARE(h_pusha) DECLARE(h_popa) DECLARE(h_enter) DECLARE(h_leave)
DECLARE(h_jmp_near) DECLARE(h_goto_linked) DECLARE(h_jmp_slow) DECLARE(h_jmp_r) DECLARE(h_jmp_m)
DECLARE(h_call_slow) DECLARE(h_call_m) DECLARE(h_ret_slow) DECLARE(h_loop) DECLARE(h_jcxz)
DECLARE(h_bound) DECLARE(h_rdrand)
DECLARE(h_movs) DECLARE(h_cmps) DECLARE(h_stos) DECLARE(h_lods) DECLARE(h_scas) DECLARE(h_ins)
DECLARE(h_outs)
DECLARE(h_jmp_far_imm) DECLARE(h_jmp_far_mem) DECLARE(h_call_far_imm) DECLARE(h_call_far_mem)
DECLARE(h_ret_far)
DECLARE(h_mov_moffs)
DECLARE(h_mov_to_sreg) DECLARE(h_mov_from_sreg) DECLARE(h_push_sreg) DECLARE(h_pop_sreg)
DECLARE(h_mov_to_cr) DECLARE(h_mov_from_cr) DECLARE(h_mov_to_dr) DECLARE(h_mov_from_dr)
#undef DECLARE

#endif

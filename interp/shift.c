/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ROL ROR RCL RCR SHL SHR SAR and SHLD SHRD. The guest's flags are loaded into
 * the host before the host's own instruction, so that a count of zero keeps
 * them, rotates keep what they must, and OF for counts above 1 is the host's: some of
 * Intel's processors compute it, and keep it where an immediate rotates a register.
 */
#include "interp/tables.h"

#define SET_8(o, x)	(REG8(v, o) = (x))
#define SET_16(o, x)	(REG16(v, o) = (x))
#define SET_32(o, x)	SET32(v, o, x)
#define SET_64(o, x)	(REG64(v, o) = (x))
#define GET_8(o)	REG8(v, o)
#define GET_16(o)	REG16(v, o)
#define GET_32(o)	REG32(v, o)
#define GET_64(o)	REG64(v, o)

#define DO_SHIFT(insn, sfx, d, n) do { uint16_t f_ = v->cpu.arith;				\
	asm(ASM_LOAD insn #sfx " %%cl, %0" ASM_SAVE : "+r"(d), "+a"(f_) : "c"((uint8_t)(n)) : "cc"); \
	v->cpu.arith = f_; } while (0)

#define SHIFT(name, W, sfx)								\
	static HANDLER(name##W##_r_imm)							\
	{ uint##W##_t d = GET_##W(op->a); DO_SHIFT(#name, sfx, d, op->imm);		\
	  SET_##W(op->a, d); NEXT(v, op); }						\
	static HANDLER(name##W##_r_cl)							\
	{ uint##W##_t d = GET_##W(op->a); DO_SHIFT(#name, sfx, d, REG8(v, 8 * RCX));	\
	  SET_##W(op->a, d); NEXT(v, op); }						\
	static HANDLER(name##W##_m_imm)							\
	{ SYNC(v, op); uint64_t off = ea_offset(v, op);					\
	  uint##W##_t d = (uint##W##_t)mem_read_rmw(v, op->seg, off, W / 8);		\
	  DO_SHIFT(#name, sfx, d, op->imm);						\
	  mem_write(v, op->seg, off, W / 8, d); NEXT_CHECKED(v, op); }			\
	static HANDLER(name##W##_m_cl)							\
	{ SYNC(v, op); uint64_t off = ea_offset(v, op);					\
	  uint##W##_t d = (uint##W##_t)mem_read_rmw(v, op->seg, off, W / 8);		\
	  DO_SHIFT(#name, sfx, d, REG8(v, 8 * RCX));					\
	  mem_write(v, op->seg, off, W / 8, d); NEXT_CHECKED(v, op); }
#define ROTATE_KEEP(name, W, sfx)							\
	static HANDLER(name##W##_r_keep)						\
	{ uint##W##_t d = GET_##W(op->a); uint16_t of = v->cpu.arith & 0xff;		\
	  DO_SHIFT(#name, sfx, d, op->imm);						\
	  v->cpu.arith = (v->cpu.arith & 0xff00) | of; SET_##W(op->a, d); NEXT(v, op); }
#define SHIFT_NF(name, W, C)								\
	static HANDLER(name##W##_r_imm_nf)						\
	{ SET_##W(op->a, (uint##W##_t)(C)); NEXT(v, op); }
#define SHIFT_WIDTH(W, sfx)								\
	SHIFT(rol, W, sfx) SHIFT(ror, W, sfx) SHIFT(rcl, W, sfx) SHIFT(rcr, W, sfx)	\
	SHIFT(shl, W, sfx) SHIFT(shr, W, sfx) SHIFT(sar, W, sfx)			\
	ROTATE_KEEP(rol, W, sfx) ROTATE_KEEP(ror, W, sfx)				\
	SHIFT_NF(shl, W, (uint64_t)GET_##W(op->a) << (op->imm & (W == 64 ? 63 : 31)))	\
	SHIFT_NF(shr, W, (uint64_t)GET_##W(op->a) >> (op->imm & (W == 64 ? 63 : 31)))	\
	SHIFT_NF(sar, W, (int64_t)(int##W##_t)GET_##W(op->a) >> (op->imm & (W == 64 ? 63 : 31)))

SHIFT_WIDTH(8, b)
SHIFT_WIDTH(16, w)
SHIFT_WIDTH(32, l)
SHIFT_WIDTH(64, q)

#define ROW(name, W, nf) .r_imm = name##W##_r_imm, .r_imm_nf = name##W##_r_imm##nf, .r_cl = name##W##_r_cl, \
	.m_imm = name##W##_m_imm, .m_cl = name##W##_m_cl
#define ROWS(name, nf) { { ROW(name, 8, nf) }, { ROW(name, 16, nf) }, { ROW(name, 32, nf) }, { ROW(name, 64, nf) } }
#define ROTATE_ROW(name, W) { ROW(name, W, ), .r_keep = name##W##_r_keep }
#define ROTATE_ROWS(name) { ROTATE_ROW(name, 8), ROTATE_ROW(name, 16), ROTATE_ROW(name, 32), ROTATE_ROW(name, 64) }
const struct shift_row shift_rows[SHIFT_OPS][4] = {
	[SH_ROL] = ROTATE_ROWS(rol), [SH_ROR] = ROTATE_ROWS(ror), [SH_RCL] = ROWS(rcl, ), [SH_RCR] = ROWS(rcr, ),
	[SH_SHL] = ROWS(shl, _nf), [SH_SHR] = ROWS(shr, _nf), [SH_SAR] = ROWS(sar, _nf),
};

/* Nothing rotated by 2 is nothing, with OF clear if it is computed. */
bool rotate_keeps_of(void)
{
	uint8_t x = 0, of = 0x7f;

	asm("addb $1, %1\n\trolb $2, %0\n\tseto %1" : "+q"(x), "+q"(of) : : "cc");
	return of;
}

#define DO_SHXD(insn, sfx, T, d, s, n, f)						\
	do { T d_ = (T)d, s_ = (T)s;							\
	asm(ASM_LOAD insn #sfx " %%cl, %2, %0" ASM_SAVE					\
	    : "+r"(d_), "+a"(f) : "r"(s_), "c"((uint8_t)(n)) : "cc");			\
	d = d_; } while (0)

/* SHLD, SHRD r/m, r, imm8 or CL. scale of the register form: 0 left, 1 right;
 * lowering puts direction | by_cl << 1 in the upper bits of imm. */
HANDLER(h_shxd)
{
	SYNC(v, op);
	bool mem = op->flags & OPF_MEM, right = op->imm >> 8 & 1;
	uint8_t n = op->imm >> 9 & 1 ? REG8(v, 8 * RCX) : (uint8_t)op->imm;
	uint64_t off = mem ? ea_offset(v, op) : 0;
	uint64_t d = mem ? mem_read_rmw(v, op->seg, off, op->osize) : reg_get(v, op->a, op->osize);
	uint64_t s = reg_get(v, op->b, op->osize);
	uint16_t f = v->cpu.arith;

	switch (op->osize << 1 | right) {
	case 4: DO_SHXD("shld", w, uint16_t, d, s, n, f); break;
	case 5: DO_SHXD("shrd", w, uint16_t, d, s, n, f); break;
	case 8: DO_SHXD("shld", l, uint32_t, d, s, n, f); break;
	case 9: DO_SHXD("shrd", l, uint32_t, d, s, n, f); break;
	case 16: DO_SHXD("shld", q, uint64_t, d, s, n, f); break;
	case 17: DO_SHXD("shrd", q, uint64_t, d, s, n, f); break;
	}
	if (!mem) {
		reg_set(v, op->a, op->osize, d);
		v->cpu.arith = f;
		NEXT(v, op);
	}
	mem_write(v, op->seg, off, op->osize, d);
	v->cpu.arith = f;
	NEXT_CHECKED(v, op);
}

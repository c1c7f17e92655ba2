/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * To a guest without them these raise #UD. A host that has them runs them, and ring3
 * cannot stop it (QUIRKS.md): who compares the two must know them. By opcode, since
 * disassemblers are older than some.
 */
#include "debug/newer.h"

#include <string.h>

#define ANY	0xffffu		/* any ModRM */
#define MEM(reg)	(1u << (reg))		/* memory forms of that /reg */
#define REG(reg)	(0x100u << (reg))	/* register forms */

static const struct range { uint8_t map, first, last; uint16_t modrm; } ranges[] = {
	{ 1, 0x01, 0x01, REG(0) | REG(1) | REG(2) | REG(3) | REG(5) | REG(7) | MEM(5) },	/* XGETBV and many others */
	{ 1, 0x05, 0x07, ANY },			/* SYSCALL, SYSRET: the host's are switched on */
	{ 1, 0x09, 0x09, ANY },			/* WBNOINVD */
	{ 1, 0x0d, 0x0f, ANY },			/* PREFETCHW, 3DNow! */
	{ 1, 0x1a, 0x1f, ANY },			/* MPX, CLDEMOTE, CET: hints to who has not */
	{ 1, 0x34, 0x37, ANY },			/* SYSENTER, GETSEC */
	{ 1, 0x78, 0x79, ANY },			/* VMX */
	{ 1, 0xae, 0xae, MEM(4) | MEM(5) | MEM(6) | MEM(7) | REG(0) | REG(1) | REG(2) | REG(3) |
	  REG(4) | REG(5) | REG(6) },		/* XSAVE, CLWB, FSGSBASE, PTWRITE, UMONITOR */
	{ 1, 0xb8, 0xb8, ANY },			/* POPCNT */
	{ 1, 0xbc, 0xbd, ANY },			/* TZCNT, LZCNT */
	{ 1, 0xc7, 0xc7, MEM(3) | MEM(4) | MEM(5) | MEM(6) | MEM(7) | REG(6) | REG(7) },
	{ 2, 0x80, 0x82, ANY },			/* INVEPT, INVVPID, INVPCID */
	{ 2, 0xc8, 0xcf, ANY },			/* SHA, GFNI */
	{ 2, 0xd8, 0xdf, ANY },			/* AES, key locker */
	{ 2, 0xf0, 0xff, ANY },			/* MOVBE, CRC32, CET, ADX, MOVDIR, ENQCMD */
	{ 3, 0xcc, 0xcf, ANY },			/* SHA, GFNI */
	{ 3, 0x44, 0x44, ANY },			/* PCLMULQDQ */
	{ 3, 0xdf, 0xdf, ANY },			/* AESKEYGENASSIST */
	{ 0, 0xc6, 0xc7, REG(7) },		/* XABORT, XBEGIN */
	{ 0, 0x8f, 0x8f, REG(1) | REG(2) | REG(3) | REG(4) | REG(5) | REG(6) | REG(7) | MEM(1) |
	  MEM(2) | MEM(3) | MEM(4) | MEM(5) | MEM(6) | MEM(7) },	/* XOP */
};

/* Bytes of ModRM, SIB and displacement. */
static unsigned operand_length(const uint8_t *b, unsigned n, unsigned asize)
{
	unsigned mod, rm, len = 1;

	if (!n)
		return 1;
	mod = *b >> 6;
	rm = *b & 7;
	if (mod == 3)
		return 1;
	if (asize == 2)
		return mod == 1 ? 2 : mod == 2 || rm == 6 ? 3 : 1;
	if (rm == 4) {
		len++;
		if (n > 1 && mod == 0 && (b[1] & 7) == 5)
			return len + 4;
	}
	return len + (mod == 1 ? 1 : mod == 2 || rm == 5 ? 4 : 0);
}

static bool is_prefix(uint8_t b, unsigned bits)
{
	static const uint8_t legacy[] = { 0x66, 0x67, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0xf0 };

	return memchr(legacy, b, sizeof(legacy)) || (bits == 64 && (b & 0xf0) == 0x40);
}

bool newer_meaning(const uint8_t *bytes, unsigned n)
{
	bool rep = false;
	unsigned at = 0;

	for (; at < n && is_prefix(bytes[at], 64); at++)
		rep |= bytes[at] == 0xf3;
	return rep && at + 1 < n && bytes[at] == 0x0f && (bytes[at + 1] & 0xfe) == 0xbc;
}

bool vendor_meaning(const uint8_t *bytes, unsigned n, unsigned bits)
{
	bool rep = false, narrow = false;
	unsigned at = 0, rex = 0, op, next, reg;

	if (__builtin_cpu_is("intel"))
		return false;
	for (; at < n && is_prefix(bytes[at], bits); at++) {
		rep |= (bytes[at] & 0xfe) == 0xf2;
		narrow |= bytes[at] == 0x66;
		rex = bits == 64 && (bytes[at] & 0xf0) == 0x40 ? bytes[at] : 0;
	}
	if (at >= n)
		return false;
	op = bytes[at];
	next = at + 1 < n ? bytes[at + 1] : 0;
	reg = next >> 3 & 7;
	if (op == 0x0f && next == 0x0d && at + 2 < n && bytes[at + 2] >> 6 == 3)
		return true;
	if (rep && ((op & 0xfe) == 0xe0 || (op == 0x90 && (rex & 1))))
		return true;
	if (op == 0x0f && (rex & 8) && (next == 0xb2 || next == 0xb4 || next == 0xb5))
		return true;
	return bits == 64 && narrow && !(rex & 8) &&
	       ((op & 0xf0) == 0x70 || (op & 0xfe) == 0xc2 || (op & 0xfc) == 0xe0 || op == 0xe8 ||
		op == 0xe9 || op == 0xeb || (op == 0xff && (reg == 2 || reg == 4)) ||
		(op == 0x0f && (next & 0xf0) == 0x80));
}

bool newer_encoding(const uint8_t *bytes, unsigned n, unsigned bits)
{
	unsigned at = 0, map = 0, asize = bits / 8, op, modrm;
	bool rep = false, lock = false;

	for (; at < n && is_prefix(bytes[at], bits); at++) {
		if (bytes[at] == 0x67)
			asize = bits == 32 ? 2 : 4;
		rep |= (bytes[at] & 0xfe) == 0xf2;
		lock |= bytes[at] == 0xf0;
	}
	/* VEX and EVEX. */
	if (at + 1 < n && (bytes[at] == 0xc4 || bytes[at] == 0xc5 || bytes[at] == 0x62) &&
	    (bits == 64 || bytes[at + 1] >= 0xc0))
		return true;
	if (at < n && bytes[at] == 0x0f) {
		map = 1;
		at++;
		/* 0F 38 ... 0F 3F are all reserved for maps of their own. */
		if (at < n && (bytes[at] & 0xf8) == 0x38) {
			map = bytes[at] == 0x38 ? 2 : bytes[at] == 0x3a ? 3 : 4;
			at++;
		}
	}
	if (at + 1 >= n)
		return at >= 14;
	op = bytes[at++];
	modrm = 1u << ((bytes[at] >> 6 == 3 ? 8 : 0) + (bytes[at] >> 3 & 7));
	/* MOVNTSS, MOVNTSD of SSE4A; LOCK MOV CR0 is CR8 where there is ALTMOVCR8. */
	if (map == 1 && ((rep && op == 0x2b) || (lock && (op & 0xfd) == 0x20)))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		if (ranges[i].map == map && op >= ranges[i].first && op <= ranges[i].last &&
		    (ranges[i].modrm & modrm))
			return true;
	/* With the largest immediate that it may have. */
	return at + operand_length(bytes + at, n - at, asize) + (map ? 1 : 6) > 15;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fputest: bits of floating-point results. One hash for each group is printed,
 * so that a difference can be placed: x87 instructions (80 bits), SSE2
 * instructions, state moved by FXSAVE, and libm. All must be the same natively and in
 * the guest; a 32-bit and a 64-bit program differ.
 *
 * libm chooses code by what CPUID says (FMA, AVX2), and rounds differently with
 * it. The machine's CPUID may say less than the host's, so the program must have
 * been started with that choice turned off: fputest_environment() sees to it.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guests/workloads/workloads.h"

static const double arguments[] = {
	0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 3.14159265358979, 1e-5, 123.456, 1e10, -2.75, 0.1,
	DBL_MIN / 4, 1e-310, DBL_MAX, 7e22, 0.9999999999999999, 88.7, -708.5, 1e-300, INFINITY,
};

#define ARGUMENTS (sizeof(arguments) / sizeof(arguments[0]))

/* The sign of a NaN that an operation makes is the processor's choice. */
static uint64_t hash(uint64_t s, double v)
{
	uint64_t bits;

	if (isnan(v))
		return sum(s, 0x7ff8);
	memcpy(&bits, &v, sizeof(bits));
	return sum(s, bits);
}

static uint64_t hash80(uint64_t s, long double v)
{
	uint64_t low = 0;
	uint16_t high = 0;

	memcpy(&low, &v, 8);
	memcpy(&high, (char *)&v + 8, 2);
	return sum(sum(s, low), high);
}

#define X87_1(insn) \
	do { \
		long double r_; \
		__asm__ volatile(insn : "=t"(r_) : "0"(x)); \
		s = hash80(s, r_); \
	} while (0)
#define X87_2(insn) \
	do { \
		long double r_; \
		__asm__ volatile(insn : "=t"(r_) : "0"(x), "u"(y)); \
		s = hash80(s, r_); \
	} while (0)
#define X87_POP(insn) \
	do { \
		long double r_; \
		__asm__ volatile(insn : "=t"(r_) : "0"(x), "u"(y) : "st(1)"); \
		s = hash80(s, r_); \
	} while (0)

static uint64_t x87(uint64_t s)
{
	static const uint16_t controls[] = { 0x37f, 0x27f, 0x07f, 0x77f, 0xb7f, 0xf7f };

	for (size_t c = 0; c < sizeof(controls) / sizeof(controls[0]); c++) {
		__asm__ volatile("fninit\n\tfldcw %0" ::"m"(controls[c]));
		for (size_t i = 0; i < ARGUMENTS; i++) {
			long double x = arguments[i], y = arguments[(i + c + 1) % ARGUMENTS];
			uint16_t status, tag[14];
			char decimal[10];

			X87_1("fsqrt");
			X87_1("frndint");
			X87_1("fsin");
			X87_1("fcos");
			X87_1("fabs");
			X87_1("fchs");
			if (fabsl(x) <= 1)
				X87_1("f2xm1");
			X87_2("fadd %%st(1), %0");
			X87_2("fmul %%st(1), %0");
			X87_2("fdiv %%st(1), %0");
			X87_2("fdivr %%st(1), %0");
			X87_2("fsub %%st(1), %0");
			X87_2("fprem");
			X87_2("fprem1");
			X87_2("fscale");
			X87_POP("fpatan");
			if (x > 0)
				X87_POP("fyl2x");
			__asm__ volatile("fld %1\n\tfbstp %0" : "=m"(decimal) : "f"(x));
			s = sum(s, decimal[0] | decimal[8] << 8 | decimal[9] << 16);
			__asm__ volatile("fcom %2\n\tfnstsw %0" : "=a"(status) : "t"(x), "u"(y));
			s = sum(s, status & 0x47ff);
			__asm__ volatile("fnstenv %0\n\tfldenv %0" : "=m"(tag));
			s = sum(sum(s, tag[0]), tag[4]);
		}
	}
	__asm__ volatile("fninit");
	return s;
}

/* 32-bit code is compiled without SSE: the compiler then neither uses these
 * registers nor lets them be named as changed. */
#ifdef __SSE__
#define CHANGES_XMM : "xmm3"
#else
#define CHANGES_XMM
#endif

#define SSE(insn, width, t, a, b) \
	do { \
		t r_ = a, b_ = b; \
		__asm__ volatile("movs" width " %0, %%xmm3\n\t" insn "s" width " %1, %%xmm3\n\t" \
				 "movs" width " %%xmm3, %0" : "+m"(r_) : "m"(b_) CHANGES_XMM); \
		s = hash(s, r_); \
	} while (0)

static uint64_t sse(uint64_t s)
{
	for (unsigned rounding = 0; rounding < 4; rounding++) {
		unsigned control = 0x1f80 | rounding << 13, usual = 0x1f80;

		__asm__ volatile("ldmxcsr %0" ::"m"(control));
		for (size_t i = 0; i < ARGUMENTS; i++) {
			double x = arguments[i], y = arguments[(i + rounding + 1) % ARGUMENTS];
			int32_t integer;

			SSE("add", "d", double, x, y);
			SSE("mul", "d", double, x, y);
			SSE("div", "d", double, x, y);
			SSE("sub", "d", double, x, y);
			SSE("sqrt", "d", double, x, y);
			SSE("min", "d", double, x, y);
			SSE("max", "d", double, x, y);
			SSE("cmple", "d", double, x, y);
			SSE("div", "s", float, (float)x, (float)y);
			SSE("sqrt", "s", float, (float)x, (float)y);
			__asm__ volatile("cvtsd2si %1, %0" : "=r"(integer) : "m"(x));
			s = sum(s, (uint32_t)integer);
			__asm__ volatile("cvttsd2si %1, %0" : "=r"(integer) : "m"(x));
			s = sum(s, (uint32_t)integer);
		}
		__asm__ volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(control) : "m"(usual));
		s = sum(s, control);
	}
	return s;
}

/* What the registers hold must come through FXSAVE unchanged, also when the
 * process has slept in between. */
static uint64_t state(uint64_t s)
{
	static uint8_t image[512] __attribute__((aligned(16)));

	for (int k = 0; k < 20; k++) {
		double d = k + 0.25;

		__asm__ volatile("fninit\n\tfldpi\n\tfldl2e\n\tfldl %0\n\tmovsd %0, %%xmm3" :
				 : "m"(d) CHANGES_XMM);
		usleep(1000);
		__asm__ volatile("fxsave %0\n\tfninit" : "=m"(image));
		s = sum(s, image[0] | image[1] << 8);		/* control */
		s = sum(s, image[2] | image[3] << 8);		/* status */
		s = sum(s, image[4]);				/* tags */
		for (int r = 0; r < 3; r++)
			for (int i = 0; i < 10; i++)
				s = sum(s, image[32 + 16 * r + i]);
	}
	return s;
}

static uint64_t libm(uint64_t s)
{
	static double (*const one[])(double) = {
		sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, asinh, acosh, atanh, exp, exp2,
		expm1, log, log2, log10, log1p, sqrt, cbrt, erf, erfc, lgamma, tgamma, ceil, floor,
		round, trunc, rint, nearbyint, logb, j0, y1,
	};
	static double (*const two[])(double, double) = {
		atan2, pow, fmod, hypot, remainder, nextafter, copysign, fdim, fmax, fmin,
	};
	static float (*const single[])(float) = { sinf, cosf, tanf, expf, logf, exp2f, log2f, sqrtf };

	for (size_t i = 0; i < ARGUMENTS; i++) {
		volatile double x = arguments[i];

		for (size_t f = 0; f < sizeof(one) / sizeof(one[0]); f++)
			s = hash(s, one[f](x));
		for (size_t f = 0; f < sizeof(single) / sizeof(single[0]); f++)
			s = hash(s, single[f](x));
		for (size_t j = 0; j < ARGUMENTS; j++)
			for (size_t f = 0; f < sizeof(two) / sizeof(two[0]); f++)
				s = hash(s, two[f](x, arguments[j]));
	}
	return s;
}

void fputest_environment(char **argv)
{
	if (getenv("GLIBC_TUNABLES"))
		return;
	setenv("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-AVX,-FMA,-FMA4,-AVX512F", 1);
	execv("/proc/self/exe", argv);
	fail("fputest: exec");
}

uint64_t run_fputest(long n)
{
	static const struct {
		const char *name;
		uint64_t (*run)(uint64_t);
	} groups[] = { { "x87", x87 }, { "sse", sse }, { "state", state }, { "libm", libm } };
	uint64_t s = SUM_START;

	for (long k = 0; k < n; k++)
		for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
			uint64_t h = groups[g].run(SUM_START);

			if (k == 0)
				printf("fputest.%s %016llx\n", groups[g].name, (unsigned long long)h);
			s = sum(s, h);
		}
	return s;
}

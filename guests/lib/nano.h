/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the nanobenchmarks of a guest (guests/nano64.c) and of a process of the host (bench/nano.c)
 * have in common: how often a row does its operation, and the two lines between which it does
 * so, which bench/compare reads. Whoever includes this defines run(), emit() and emit_number().
 */
#ifndef GUESTS_LIB_NANO_H
#define GUESTS_LIB_NANO_H

#define UNROLL	16

struct row;

/* Does n times UNROLL of the row's operation; the time that took, in the caller's unit. */
static uint64_t run(const struct row *r, uint64_t n);
static void emit(const char *s);
static void emit_number(uint64_t v);

/* The lesser of two: a host that was busy meanwhile is no reason to do less. */
static uint64_t nano_try(const struct row *r, uint64_t n)
{
	uint64_t a = run(r, n), b = run(r, n);

	return a < b ? a : b;
}

/* The n with which run() takes about as long as wanted. Times are scaled so that the product
 * has room in 64 bits. */
static uint64_t nano_count(const struct row *r, uint64_t want)
{
	uint64_t n = 1, t;

	while ((t = nano_try(r, n)) < want / 8 && n < 1ull << 32)
		n *= 2;
	n = n * (want >> 10) / ((t >> 10) + 1);
	return n ? n : 1;
}

static void nano_begin(const char *name)
{
	emit(name);
	emit(" begin\n");
}

/* v / 1000, with three digits behind the point. */
static void emit_thousandths(uint64_t v)
{
	char digits[] = { '.', (char)('0' + v / 100 % 10), (char)('0' + v / 10 % 10), (char)('0' + v % 10), '\0' };

	emit_number(v / 1000);
	emit(digits);
}

static void nano_end(const char *name, uint64_t n, uint64_t ns, uint64_t ticks)
{
	uint64_t operations = n * UNROLL;

	emit(name);
	emit(" end: ");
	emit_number(operations);
	emit(" operations, ");
	emit_number(ns / 1000);
	emit(" us, ");
	emit_thousandths(ns * 1000 / operations);
	emit(" ns, ");
	emit_thousandths(ticks * 1000 / operations);
	emit(" ticks\n");
}

#endif

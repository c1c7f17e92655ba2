/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Computation: integer, memory and floating-point loops that make no system
 * call, so a hybrid machine should run them at native speed.
 */
#include <string.h>

#include "guests/workloads/workloads.h"

#define SIEVE (1 << 20)

uint64_t run_sieve(long n)
{
	static uint8_t composite[SIEVE];
	uint64_t s = SUM_START;

	for (long k = 0; k < n; k++) {
		uint32_t count = 0, last = 0;

		memset(composite, 0, sizeof(composite));
		for (uint32_t i = 2; i < SIEVE; i++) {
			if (composite[i])
				continue;
			count++;
			last = i;
			for (uint64_t j = (uint64_t)i * i; j < SIEVE; j += i)
				composite[j] = 1;
		}
		s = sum(sum(s, count), last);
	}
	return s;
}

#define CRC_BYTES (256 * 1024)

uint64_t run_crc32(long n)
{
	static uint8_t data[CRC_BYTES];
	static uint32_t table[256];
	uint64_t s = SUM_START, seed = 1;

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
		table[i] = c;
	}
	for (long i = 0; i < CRC_BYTES; i++)
		data[i] = rnd(&seed);
	for (long k = 0; k < n; k++) {
		uint32_t crc = ~0u;

		for (long i = 0; i < CRC_BYTES; i++)
			crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
		s = sum(s, ~crc);
		data[k % CRC_BYTES]++;
	}
	return s;
}

#define ORDER 160

uint64_t run_imatrix(long n)
{
	static uint32_t a[ORDER][ORDER], b[ORDER][ORDER], c[ORDER][ORDER];
	uint64_t s = SUM_START, seed = 2;

	for (int i = 0; i < ORDER; i++)
		for (int j = 0; j < ORDER; j++) {
			a[i][j] = rnd(&seed);
			b[i][j] = rnd(&seed);
		}
	for (long k = 0; k < n; k++) {
		for (int i = 0; i < ORDER; i++)
			for (int j = 0; j < ORDER; j++) {
				uint32_t t = 0;

				for (int l = 0; l < ORDER; l++)
					t += a[i][l] * b[l][j];
				c[i][j] = t;
			}
		s = sum(s, c[k % ORDER][ORDER / 2]);
		memcpy(a[k % ORDER], c[k % ORDER], sizeof(a[0]));
	}
	return s;
}

/* The elements are small integers, so every product is exact: the x87's 80 bits
 * and SSE's 64 give the same sum. */
uint64_t run_dmatrix(long n)
{
	static double a[ORDER][ORDER], b[ORDER][ORDER], c[ORDER][ORDER];
	uint64_t s = SUM_START, seed = 3;

	for (int i = 0; i < ORDER; i++)
		for (int j = 0; j < ORDER; j++) {
			a[i][j] = rnd(&seed) % 1000;
			b[i][j] = (rnd(&seed) % 1000) * 0.25;
		}
	for (long k = 0; k < n; k++) {
		double total = 0;

		for (int i = 0; i < ORDER; i++)
			for (int j = 0; j < ORDER; j++) {
				double t = 0;

				for (int l = 0; l < ORDER; l++)
					t += a[i][l] * b[l][j];
				c[i][j] = t;
			}
		for (int i = 0; i < ORDER; i++)
			total += c[i][i];
		s = sum(s, (uint64_t)(total * 4));
		a[k % ORDER][k % ORDER] += 1;
	}
	return s;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the unprivileged user-sensitive encodings of a page, at any offset: the
 * premise of Theorem 3, enforced page by page. Knows bytes, not mappings.
 */
#ifndef SHADOW_SCAN_H
#define SHADOW_SCAN_H

#include "machine/types.h"

enum scan_class {
	SCAN_CPUID = 1, SCAN_RDTSCP = 2, SCAN_XGETBV = 4, SCAN_RDPID = 8, SCAN_LSL = 16,
	SCAN_FSGS = 32, SCAN_STRICT = 64,
	SCAN_REX = 128,		/* 40-4F are prefixes: 64-bit code may run here */
	SCAN_ENTRY = 256,	/* SYSCALL and SYSENTER in 32-bit code */
	SCAN_DEFAULT = 63 | SCAN_ENTRY,
};

/* More than there are breakpoints: the page cannot be guarded. */
#define SCAN_MAX	4

/*
 * Offsets at which a sensitive instruction may *start*, prefixes included, of the
 * classes in `classes`; at most SCAN_MAX are stored, the true number is returned. A
 * pattern that begins in the last bytes and could be completed by whatever page
 * follows counts.
 */
unsigned scan_page(const uint8_t page[PAGE_SIZE], unsigned classes, uint16_t at[SCAN_MAX]);

#endif

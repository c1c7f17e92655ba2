/* SPDX-License-Identifier: BSD-2-Clause */
/* Does the host's processor have a feature of interp/features.def? What it has not cannot be
 * compared with it. */
#ifndef TESTS_HOST_HAS_H
#define TESTS_HOST_HAS_H

#include <cpuid.h>

#include "interp/cpu_model.h"

static inline bool host_has(unsigned feature)
{
	enum { EAX, EBX, ECX, EDX };
	static const struct { uint32_t leaf; uint8_t reg, bit; } at[F_COUNT] = {
#define FEATURE(id, kind, name, leaf, reg, bit, ...)	[F_##id] = { leaf, reg, bit },
#include "interp/features.def"
#undef FEATURE
	};
	uint32_t r[4] = { 0 };

	if (feature == F_NONE)
		return true;
	__cpuid_count(at[feature].leaf, at[feature].leaf == 0xd, r[EAX], r[EBX], r[ECX], r[EDX]);
	return r[at[feature].reg] >> at[feature].bit & 1;
}

#endif

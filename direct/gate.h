/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate: may this vCPU state run directly, on this engine? Every refusal has a
 * name; vmexit/ counts them.
 */
#ifndef DIRECT_GATE_H
#define DIRECT_GATE_H

#include "direct/direct.h"

enum gate_reason {
	GATE_OK,
#define GATE(name, text) GATE_##name,
#include "direct/gate.def"
#undef GATE
	GATE_REASONS
};

/* strict: also refuse where the guest could only notice a difference by looking for
 * one. GATE_FPU_TS, which the caller may resolve by handing the guest its exception, is
 * asked last: there is no other reason then. */
enum gate_reason gate_refuses(const struct machine *m, const struct direct_engine *e, void *self,
			      bool strict);
const char *gate_reason_name(enum gate_reason r);

#endif

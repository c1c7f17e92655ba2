/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --trace-file: what is recorded of a crossing. Reads guest memory without side effects. Budget:
 * one page walk and 72 bytes, 200 ns beside the tens of microseconds that a crossing takes.
 */
#include <stdio.h>
#include <string.h>

#include "debug/crossings.h"
#include "machine/paging.h"
#include "vmexit/internal.h"

/* Short ones, for hemi trace show --reason. By enum direct_exit_kind. */
static const char *const reasons[DEXIT_KINDS + 1] = {
	[DEXIT_FAULT] = "pf",  [DEXIT_INTN] = "int",	[DEXIT_SYSCALL] = "syscall",
	[DEXIT_TRAP] = "trap", [DEXIT_GUARD] = "guard", [DEXIT_SEGMENT] = "segment",
	[DEXIT_KICK] = "kick", [DEXIT_STEP] = "step",	[DEXIT_HOST] = "host",
};
static const char *const engines[] = { "ring3", "kvm", NULL };

int record_open(struct vmm *vmm, const char *file, char why[static 128])
{
	int err = crossings_create(&vmm->record, file, CROSSINGS_MAX, reasons, engines);

	if (err)
		snprintf(why, 128, "trace file %.80s: %s", file, strerror(-err));
	return err;
}

void record_close(struct vmm *vmm)
{
	int err = crossings_close(vmm->record);

	vmm->record = NULL;
	if (err)
		fprintf(stderr, "hemi: trace file %s: %s\n", vmm->m->config->trace_file,
			strerror(-err));
}

/* As many of the code's bytes as lie in RAM that the guest has mapped. */
static unsigned code_bytes(struct machine *m, gva_t at, uint8_t *to)
{
	unsigned n = 0;

	while (n < CROSSING_BYTES) {
		unsigned room = (unsigned)(PAGE_SIZE - ((at + n) & ~PAGE_MASK)),
			 want = CROSSING_BYTES - n;
		struct walk w;

		if (paging_walk(&m->mem, m->cpu, at + n, &w) || memory_offset(&m->mem, w.gpa) < 0)
			break;
		want = want < room ? want : room;
		memcpy(to + n, memory_hva(&m->mem, w.gpa), want);
		n += want;
	}
	return n;
}

void record_crossing(struct vmm *vmm, uint64_t entered, const struct direct_exit *x, int64_t left,
		     int64_t took)
{
	const struct cpu *c = vmm->m->cpu;
	struct crossing *r = crossings_next(vmm->record);
	struct interp_counts n;
	uint64_t interpreted;

	interp_counts(vmm->interp, &n);
	interpreted = (uint64_t)(n.supervisor + n.user);
	*r = (struct crossing){
		.time = left - vmm->started,
		.entered = entered,
		.left = cpu_linear_rip(c),
		.cr3 = c->cr3,
		.address = x->kind == DEXIT_FAULT ? x->gva : 0,
		.interpreted = interpreted - vmm->recorded,
		.direct_ns = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took,
		.reason = (uint8_t)x->kind,
		.engine = vmm->engine == &direct_kvm,
		.bits = cpu_code64(c)		      ? 64
			: c->seg[SEG_CS].attr & SEG_D ? 32
						      : 16,
	};
	r->length = (uint8_t)code_bytes(vmm->m, r->left, r->bytes);
	vmm->recorded = interpreted;
}

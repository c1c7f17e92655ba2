/* SPDX-License-Identifier: BSD-2-Clause */
/* What trace.c (the cache) and trace_build.c (what fills it) share, and nobody else. */
#ifndef INTERP_TRACE_PARTS_H
#define INTERP_TRACE_PARTS_H

#include "interp/thread.h"
#include "interp/trace.h"

#define HASH_BITS	16

/* What is decoded in a page: traces, and a bit for each granule of GRANULE bytes. */
#define GRANULE_SHIFT	5
struct codepage {
	struct trace *traces;
	uint64_t granules[2];
};

struct traces {
	uint8_t *arena;
	size_t arena_size, used;
	struct trace *hash[1u << HASH_BITS];
	struct codepage **pages;	/* by RAM page number */
	size_t npages;
	struct trace_counts counts;
	/* One instruction and what follows it, for steps and uncached code. */
	struct trace *scratch;
	/* Nothing more to run now: the state is synced. */
	struct trace *leave;
	struct threads *threads;	/* or NULL */
};

/* trace.c: room for a trace of nops operations; when the arena is full, out of the running
 * trace with everything dropped. */
struct trace *trace_alloc(struct interp *v, unsigned nops);
_Noreturn void trace_start_over(struct interp *v);
/* trace.c: t, complete, can be found from now on, and stores to its code drop it. */
void trace_add(struct interp *v, struct trace *t);

/* trace_build.c: the trace for code at gpa (lip is its linear address), or NULL: run singly. */
struct trace *trace_build(struct interp *v, gva_t lip, gpa_t gpa);
/* trace_build.c: the translation of lip, into its place in the instruction TLB. */
void itlb_fill(struct interp *v, gva_t lip, struct itlb_entry *e);

/* Physical address of code at lip, which a context will know; raises #PF. */
static inline gpa_t fetch_translate(struct interp *v, gva_t lip)
{
	struct itlb_entry *e = &v->itlb[v->user][lip >> PAGE_SHIFT & (ITLB_SIZE - 1)];

	if (unlikely(e->tag != (lip & PAGE_MASK)))
		itlb_fill(v, lip, e);
	tlb_note_code(v, lip, e->page & TLB_GLOBAL);
	return (e->page & PAGE_MASK) | (lip & ~PAGE_MASK);
}

#endif


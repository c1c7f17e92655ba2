/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shadow's data, shared by the files of this folder alone.
 *
 *	root	one address space: what is mapped, by chunks of 1024 pages
 *	use	"this table page serves that region of that root": the way back from a
 *		store to what it changes
 *	page	for each RAM page how often it is mapped writable and executable, and
 *		what the scanner said of it
 */
#ifndef SHADOW_INTERNAL_H
#define SHADOW_INTERNAL_H

#include <string.h>

#include "machine/paging.h"
#include "shadow/scan.h"
#include "shadow/shadow.h"

#define CHUNK_SHIFT	22
#define CHUNK_PAGES	1024
#define CHUNK_HASH	256
#define USE_HASH	4096
#define RING_SIZE	2048
#define SPILLED_MAX	64
#define BATCH_SIZE	256
#define GUARDS		4
#define SIDES		2
#define CHUNKS_MAX	2048	/* of a root: 16 MiB of the monitor's memory */
#define PTE_ADDR	0xffffffffff000ull
#define SEEN		8
#define USES_MAX	65536
/* Every so many pages that would be prefilled, one is left out: whether it is missed tells
 * what share of the others is used. */
#define PREFILL_SAMPLE	64

/* One mapped page; prot 0: not mapped. */
struct entry {
	uint32_t page;		/* RAM page number (file offset >> 12) */
	uint8_t prot;
	bool stale;		/* must be compared with the guest's tables before the next entry */
	bool sample;		/* not mapped: would it be missed? (PREFILL_SAMPLE) */
};

struct chunk {
	gva_t base;
	struct chunk *next;
	unsigned mapped, stale;
	struct entry e[CHUNK_PAGES];
};

/* A page that is executable in this root while breakpoints guard it: RAM page `page`, as
 * its scan number `version` asked for. */
struct guarded {
	gva_t gva;
	bool used;
	uint8_t hard, n;
	uint16_t at[SCAN_MAX];
	uint32_t page, version;
	uint64_t stamp;
};

/* sink: whose address space it is. */
struct root_key { uint64_t cr3, cr4, efer, cr0, pdpte[4], sink; };

struct side {
	struct sink sink;
	unsigned guards_max;		/* of one page */
};

struct root {
	struct root_key key;
	struct space *space;
	uint64_t stamp;			/* of last use; 0: free */
	struct chunk *chunks[CHUNK_HASH];
	struct use *uses;
	unsigned nchunks, mapped, stale, runs;
	unsigned spilled;		/* stores to its tables when the ring was full */
	bool all_stale;			/* to be cleared before it runs: nothing is added */
	struct guarded guarded[GUARDS];
	bool guards_changed;
	unsigned thrash;		/* guard evictions, decaying */
};

struct use {
	struct use *next;		/* of the same hash of table */
	struct use *next_of_root;
	gpa_t table;
	struct root *root;
	gva_t base;
	uint8_t level;
};

struct page {
	uint32_t writable, executable;	/* mappings that are not stale, over all roots */
	uint32_t version;		/* counts scans */
	uint8_t flips;			/* user stores after execution */
	bool ran;			/* was fetched from since it was scanned */
	bool rex;			/* scanned for 64-bit code too */
	uint32_t below;			/* of what was in front of it then, 0: not known */
	struct scan scan;		/* valid while PG_EXEC */
};

struct shadow {
	struct machine *m;
	struct side sides[SIDES];
	unsigned nsides, side;		/* the one that is entered next */
	bool exact_engine;		/* one of them: SINK_GUARD_NOTHING */
	struct root *roots;
	unsigned max_roots;
	struct root *current;
	uint64_t clock;			/* stamps */
	struct page *pages;
	size_t npages;
	struct use *uses[USE_HASH];
	unsigned nuses;

	gpa_t ring[RING_SIZE];
	unsigned ring_len;
	bool in_walk;			/* stores of A and D by our own walks */
	bool scan_ahead;		/* filling around a fetch */
	bool protect_all;		/* a page got flags while it was mapped writable */
	bool unscan_any;		/* an executable page was stored to */

	struct sink_op batch[BATCH_SIZE];
	unsigned nbatch;
	unsigned max_runs;
	struct scan_how scan;

	gva_t last_rip, seen[SEEN];	/* against endless retries */
	unsigned nseen, repeats;
	unsigned prefills;
	bool sampled;			/* the fault being answered is that of a sample */
	int failed;			/* -errno met inside a callback */
	struct shadow_counts counts;
};

/* map.c: what is mapped where */
struct entry *root_entry(struct root *r, gva_t gva, bool make);
/* Where the host has no room for it the root becomes all_stale instead. */
int map_set(struct shadow *s, struct root *r, gva_t gva, uint32_t page, unsigned prot);
int map_drop(struct shadow *s, struct root *r, gva_t gva);
int map_flush(struct shadow *s, struct root *r);	/* sends the batch */
int root_clear(struct shadow *s, struct root *r);
/* Calls fn for every mapped entry of r in [base, base+size). */
typedef void entry_fn(struct shadow *, struct root *, gva_t, struct entry *);
void root_each(struct root *r, gva_t base, uint64_t size, entry_fn *fn, struct shadow *s);
void root_each_stale(struct root *r, entry_fn *fn, struct shadow *s);
void entry_mark_stale(struct shadow *s, struct root *r, gva_t gva, struct entry *e);

/* root.c */
void root_cpu(const struct root *r, struct cpu *c);	/* the fields a page walk needs */
struct root *root_get(struct shadow *s, int *err);

/* track.c: from stores to what they change */
void track_walk(struct shadow *s, struct root *r, gva_t gva, const struct walk *w);
void track_forget(struct shadow *s, struct root *r);
int track_drain(struct shadow *s);
int revalidate(struct shadow *s, struct root *r, gva_t gva, bool prefill);
void shadow_stored(void *self, gpa_t gpa, unsigned len, unsigned flags);
void shadow_protect(void *self, gpa_t page, unsigned flags);

enum paging_mode root_mode(const struct root *r);
/* Size of the region that one entry serves, by mode and level (root first). */
extern const struct paging_shape {
	uint8_t levels, entry_size, shift[4], index_bits;
} paging_shapes[];

/* populate.c */
int root_populate(struct shadow *s, struct root *r);

/* exec.c: executable pages and their guards */
bool exec_allow(struct shadow *s, struct root *r, gva_t gva, const struct walk *w, uint32_t page);
void exec_revoke(struct shadow *s, uint32_t page);
void exec_unguard(struct root *r, gva_t gva);
int exec_guards_apply(struct shadow *s, struct root *r);
/* Permissions that this page may have, of those the guest's tables give. */
unsigned page_prot(struct shadow *s, struct root *r, gva_t gva, const struct walk *w, uint32_t page);

static inline const struct sink *root_sink(const struct shadow *s, const struct root *r)
{
	return &s->sides[r->key.sink].sink;
}

static inline gpa_t page_gpa(const struct shadow *s, uint32_t page)
{
	uint64_t off = (uint64_t)page << PAGE_SHIFT;

	return off < s->m->mem.low_size ? off : off - s->m->mem.low_size + 0x100000000ull;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file of crossings (hemi run --trace-file): one record for each time that user code ran
 * directly, the last CROSSINGS_MAX of them.
 *
 *	0	struct crossings_head
 *	512	records, 72 bytes each; number i in place i % slots
 *
 * All numbers are little-endian, as the host's. The head is renewed with each batch of
 * records, so a run that is killed loses the last batch at most.
 */
#ifndef DEBUG_CROSSINGS_H
#define DEBUG_CROSSINGS_H

#include "machine/types.h"

#define CROSSINGS_MAX	(1u << 20)
#define CROSSINGS_MAGIC	"HEMICROS"
#define CROSSINGS_VERSION 1u
#define CROSSING_BYTES	15
#define CROSSING_REASONS 16
#define CROSSING_ENGINES 4

/* How often a reason or an engine was met is not in here: older records are overwritten. */
struct crossings_head {
	char magic[8];
	uint32_t version, record_size, slots, zero;
	uint64_t total;			/* records ever made */
	int64_t started;		/* seconds since 1970 */
	char reasons[CROSSING_REASONS][20];
	char engines[CROSSING_ENGINES][12];
	uint8_t unused[104];
};
_Static_assert(sizeof(struct crossings_head) == 512, "format");

/* Into direct execution at `entered`, out of it at `left`. */
struct crossing {
	int64_t time;			/* of leaving, ns since the run began */
	uint64_t entered, left;		/* linear addresses */
	uint64_t cr3, address;		/* address: of a page fault, else 0 */
	uint64_t interpreted;		/* instructions since the crossing before */
	uint32_t direct_ns;		/* in direct execution, the crossing itself included */
	uint8_t reason, engine, bits;	/* bits of the code that was left: 16, 32, 64 */
	uint8_t length;			/* of bytes[] that are known */
	uint8_t bytes[CROSSING_BYTES];	/* of code at `left` */
	uint8_t zero;
};
_Static_assert(sizeof(struct crossing) == 72, "format");

/* --- Writing --------------------------------------------------------------------------- */

struct crossings;
/* NULL ends each list of names. -errno. */
int crossings_create(struct crossings **out, const char *file, unsigned slots,
		     const char *const reasons[], const char *const engines[]);
/* Next record, to be filled in; it counts when the one after it is asked for, or at the end. */
struct crossing *crossings_next(struct crossings *c);
/* 0, or -errno of the first write that failed. */
int crossings_close(struct crossings *c);

/* --- Reading --------------------------------------------------------------------------- */

struct crossings_file {
	struct crossings_head head;
	uint64_t first, n; /* number of the oldest record that is there, and how many */
	bool truncated;			/* the head promises more */
	int fd;
};
/* -1: why[] has one line. */
int crossings_open(struct crossings_file *f, const char *file, char why[static 160]);
/* Record number i of [first, first + n). False: it cannot be read. */
bool crossings_read(const struct crossings_file *f, uint64_t i, struct crossing *out);
void crossings_done(struct crossings_file *f);

#endif

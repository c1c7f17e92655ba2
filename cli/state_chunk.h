/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The container of a state file (docs/state.md): a header, then chunks that are packed
 * and checked one by one, each checksum continuing the one before. What is in them
 * it does not know.
 */
#ifndef CLI_STATE_CHUNK_H
#define CLI_STATE_CHUNK_H

#include "cli/load.h"

#define STATE_FILE_VERSION	1u
#define CHUNK_MAX		(256ull << 20)	/* of one chunk, unpacked */

#define CHUNK_TAG(a, b, c, d)	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | \
				 (uint32_t)(d) << 24)
#define CHUNK_CONFIG	CHUNK_TAG('C', 'O', 'N', 'F')
#define CHUNK_BIOS	CHUNK_TAG('B', 'I', 'O', 'S')
#define CHUNK_VGABIOS	CHUNK_TAG('V', 'R', 'O', 'M')
#define CHUNK_RAM	CHUNK_TAG('R', 'A', 'M', ' ')
#define CHUNK_DISK	CHUNK_TAG('D', 'I', 'S', 'K')
#define CHUNK_DEVICES	CHUNK_TAG('D', 'E', 'V', 'S')
#define CHUNK_END	CHUNK_TAG('E', 'N', 'D', ' ')

/* CRC-64 (of xz: ECMA-182, reflected) of more bytes; begins with 0. */
uint64_t crc64(uint64_t crc, const void *p, size_t n);

/* --- Writing: the first failure stays in err, and nothing is written after it ------ */

struct chunk_writer {
	int fd;
	int err;		/* -errno */
	uint64_t crc, size;	/* of the last chunk; bytes so far */
	uint8_t *packed;
	size_t room;
	void *zstd;
};

void chunk_writer_open(struct chunk_writer *w, int fd);		/* writes the header */
void chunk_write(struct chunk_writer *w, uint32_t tag, const void *p, size_t n, bool pack);
int chunk_writer_close(struct chunk_writer *w);			/* writes the end; 0 or -errno */

/* --- Reading ----------------------------------------------------------------------- */

struct chunk_reader {
	int fd;
	const char *path;	/* borrowed, for messages */
	uint64_t size, pos;
	uint64_t crc;
	uint8_t *stored, *plain;
	size_t room_stored, room_plain;
};

struct chunk {
	uint32_t tag;
	const uint8_t *data;	/* until the next call; NULL if it was only checked */
	size_t size;
};

/* 0, or -errno and one line in why, which names the file. */
int chunk_reader_open(struct chunk_reader *r, const char *path, char why[static WHY_SIZE]);
void chunk_reader_rewind(struct chunk_reader *r);
/* The next chunk, unpacked if asked for. After CHUNK_END there must be nothing more. */
int chunk_read(struct chunk_reader *r, bool unpack, struct chunk *out, char why[static WHY_SIZE]);
void chunk_reader_close(struct chunk_reader *r);

#endif

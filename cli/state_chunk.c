/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The container of a state file.
 *
 *	header	0 "hemi state\n" 1a | 12 version (u32)
 *	chunk	0 tag | 4 packing (u32) | 8 bytes stored (u64) | 16 bytes unpacked (u64)
 *		24 CRC-64 of the chunk before, of these 24 bytes, and of what is stored (u64)
 *		32 what is stored
 *
 * Numbers are little-endian. Anybody may have written the file: nothing here trusts a
 * length, and what a checksum does not vouch for is not unpacked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "cli/state_chunk.h"

static const char magic[12] = "hemi state\n\x1a";
#define FILE_HEAD	16u
#define CHUNK_HEAD	32u
#define CHECKED		24u		/* bytes of the head that the checksum is of */

enum packing { PLAIN, ZSTD, ZLIB };

static uint64_t get_le(const uint8_t *at, unsigned size)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < size; i++)
		val |= (uint64_t)at[i] << 8 * i;
	return val;
}

/* --- The checksum: eight bytes at a time ("slicing by 8") -------------------------- */

#define CRC_POLY	0xc96c5795d7870f42ull

static uint64_t crc_table[8][256];

static void crc_prepare(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t c = i;

		for (unsigned k = 0; k < 8; k++)
			c = c >> 1 ^ (c & 1 ? CRC_POLY : 0);
		crc_table[0][i] = c;
	}
	for (unsigned t = 1; t < 8; t++) {
		for (unsigned i = 0; i < 256; i++) {
			uint64_t c = crc_table[t - 1][i];

			crc_table[t][i] = c >> 8 ^ crc_table[0][c & 0xff];
		}
	}
}

uint64_t crc64(uint64_t crc, const void *data, size_t n)
{
	const uint8_t *p = data;
	uint64_t x;

	if (!crc_table[0][1])
		crc_prepare();
	crc = ~crc;
	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&x, p, 8);
		crc ^= x;
		x = 0;
		for (unsigned i = 0; i < 8; i++)
			x ^= crc_table[7 - i][crc >> 8 * i & 0xff];
		crc = x;
	}
	for (; n; n--)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *p++) & 0xff];
	return ~crc;
}

/* --- Packing ----------------------------------------------------------------------- */

static bool make_room(uint8_t **at, size_t *have, size_t n)
{
	uint8_t *p;

	if (n <= *have)
		return true;
	p = realloc(*at, n);
	if (!p)
		return false;
	*at = p;
	*have = n;
	return true;
}

/* Bytes that it takes packed, and how; 0: it gets no smaller, or there is nothing to do it with. */
static size_t pack(struct chunk_writer *w, const void *p, size_t n, enum packing *how)
{
	size_t size = 0;

	if (n < 64)
		return 0;
#if defined HAVE_ZSTD
	*how = ZSTD;
	if (!w->zstd)
		w->zstd = ZSTD_createCCtx();
	if (!w->zstd || !make_room(&w->packed, &w->room, ZSTD_compressBound(n)))
		return 0;
	size = ZSTD_compressCCtx(w->zstd, w->packed, w->room, p, n, 1);
	if (ZSTD_isError(size))
		return 0;
#elif defined HAVE_ZLIB
	uLongf got = compressBound(n);

	*how = ZLIB;
	if (!make_room(&w->packed, &w->room, got) || compress2(w->packed, &got, p, n, 1) != Z_OK)
		return 0;
	size = got;
#else
	(void)w, (void)p, (void)how;
#endif
	return size < n ? size : 0;
}

/* 0, -EBADMSG, or -ENOTSUP. */
static int unpack(enum packing how, const uint8_t *p, size_t n, uint8_t *to, size_t size)
{
	switch (how) {
	case PLAIN:
		if (n != size)
			return -EBADMSG;
		memcpy(to, p, n);
		return 0;
	case ZSTD:
#ifdef HAVE_ZSTD
		return ZSTD_decompress(to, size, p, n) == size ? 0 : -EBADMSG;
#else
		return -ENOTSUP;
#endif
	case ZLIB:
#ifdef HAVE_ZLIB
		{
			uLongf got = size;

			return uncompress(to, &got, p, n) == Z_OK && got == size ? 0 : -EBADMSG;
		}
#else
		return -ENOTSUP;
#endif
	}
	return -EBADMSG;
}

/* --- Writing ----------------------------------------------------------------------- */

static void put(struct chunk_writer *w, const void *p, size_t n)
{
	const uint8_t *from = p;

	w->size += n;
	while (n && !w->err) {
		ssize_t done = write(w->fd, from, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			w->err = done < 0 ? -errno : -EIO;
			return;
		}
		from += done;
		n -= (size_t)done;
	}
}

void chunk_writer_open(struct chunk_writer *w, int fd)
{
	uint8_t head[FILE_HEAD];

	*w = (struct chunk_writer){ .fd = fd };
	memcpy(head, magic, sizeof(magic));
	put_le(head + sizeof(magic), STATE_FILE_VERSION, 4);
	put(w, head, sizeof(head));
}

void chunk_write(struct chunk_writer *w, uint32_t tag, const void *p, size_t n, bool packed)
{
	enum packing how = PLAIN;
	size_t size = packed ? pack(w, p, n, &how) : 0;
	uint8_t head[CHUNK_HEAD];
	const void *stored = p;

	bug_on(n > CHUNK_MAX);
	if (size)
		stored = w->packed;
	else
		how = PLAIN, size = n;
	put_le(head, tag, 4);
	put_le(head + 4, how, 4);
	put_le(head + 8, size, 8);
	put_le(head + 16, n, 8);
	w->crc = crc64(crc64(w->crc, head, CHECKED), stored, size);
	put_le(head + CHECKED, w->crc, 8);
	put(w, head, sizeof(head));
	put(w, stored, size);
}

int chunk_writer_close(struct chunk_writer *w)
{
	chunk_write(w, CHUNK_END, NULL, 0, false);
	free(w->packed);
#ifdef HAVE_ZSTD
	ZSTD_freeCCtx(w->zstd);
#endif
	w->packed = NULL;
	w->zstd = NULL;
	return w->err;
}

/* --- Reading ----------------------------------------------------------------------- */

/* Reads all of it, or says why not. */
static int get(struct chunk_reader *r, void *p, size_t n, char why[static WHY_SIZE])
{
	uint8_t *to = p;

	if (n > r->size - r->pos)
		return load_fail(why, -ENODATA, "state file %s: truncated: it ends after %llu "
				 "bytes", r->path, (unsigned long long)r->size);
	while (n) {
		ssize_t got = pread(r->fd, to, n, (off_t)r->pos);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return load_fail(why, -errno, "state file %s: %s", r->path,
					 strerror(errno));
		if (!got)
			return load_fail(why, -ENODATA, "state file %s: it became shorter while "
					 "it was read", r->path);
		to += got;
		r->pos += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int damaged(const struct chunk_reader *r, uint64_t at, char why[static WHY_SIZE])
{
	return load_fail(why, -EBADMSG, "state file %s: damaged, behind byte %llu", r->path,
			 (unsigned long long)at);
}

static int header_check(struct chunk_reader *r, char why[static WHY_SIZE])
{
	uint8_t head[FILE_HEAD];
	struct stat st;
	uint64_t version;
	int err;

	if (fstat(r->fd, &st) < 0)
		return load_fail(why, -errno, "state file %s: %s", r->path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return load_fail(why, -EISDIR, "state file %s: is a directory", r->path);
	if (!S_ISREG(st.st_mode))
		return load_fail(why, -EINVAL, "state file %s: not a regular file", r->path);
	r->size = (uint64_t)st.st_size;
	if (r->size < FILE_HEAD)
		return load_fail(why, -EINVAL, "state file %s: too short to be one", r->path);
	err = get(r, head, sizeof(head), why);
	if (err)
		return err;
	if (memcmp(head, magic, sizeof(magic)) != 0)
		return load_fail(why, -EINVAL, "state file %s: not one that hemi --save has made",
				 r->path);
	version = get_le(head + sizeof(magic), 4);
	if (version != STATE_FILE_VERSION)
		return load_fail(why, -ENOTSUP, "state file %s: of version %llu; this hemi knows "
				 "version %u", r->path, (unsigned long long)version,
				 STATE_FILE_VERSION);
	return 0;
}

int chunk_reader_open(struct chunk_reader *r, const char *path, char why[static WHY_SIZE])
{
	int err;

	*r = (struct chunk_reader){ .path = path };
	r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (r->fd < 0)
		return load_fail(why, -errno, "state file %s: %s", path, strerror(errno));
	err = header_check(r, why);
	if (err)
		chunk_reader_close(r);
	return err;
}

void chunk_reader_rewind(struct chunk_reader *r)
{
	r->pos = FILE_HEAD;
	r->crc = 0;
}

static int chunk_unpack(struct chunk_reader *r, const uint8_t *head, size_t stored, size_t size,
			uint64_t at, char why[static WHY_SIZE])
{
	enum packing how = (enum packing)get_le(head + 4, 4);
	int err = make_room(&r->plain, &r->room_plain, size + 1) ?
		unpack(how, r->stored, stored, r->plain, size) : -ENOMEM;

	if (err == -EBADMSG)
		return damaged(r, at, why);
	if (err == -ENOTSUP)
		return load_fail(why, err, "state file %s: packed in a way that this build of "
				 "hemi, for want of zstd or zlib, cannot unpack", r->path);
	return err ? load_fail(why, err, "state file %s: %s", r->path, strerror(-err)) : 0;
}

int chunk_read(struct chunk_reader *r, bool unpacked, struct chunk *out, char why[static WHY_SIZE])
{
	uint64_t at = r->pos, stored, size;
	uint8_t head[CHUNK_HEAD];
	int err = get(r, head, sizeof(head), why);

	if (err)
		return err;
	out->tag = (uint32_t)get_le(head, 4);
	stored = get_le(head + 8, 8);
	size = get_le(head + 16, 8);
	if (size > CHUNK_MAX || stored > size)
		return damaged(r, at, why);
	if (!make_room(&r->stored, &r->room_stored, stored + 1))
		return load_fail(why, -ENOMEM, "state file %s: %s", r->path, strerror(ENOMEM));
	err = get(r, r->stored, stored, why);
	if (err)
		return err;
	r->crc = crc64(crc64(r->crc, head, CHECKED), r->stored, stored);
	if (r->crc != get_le(head + CHECKED, 8) || (out->tag == CHUNK_END && r->pos != r->size))
		return damaged(r, at, why);
	out->data = NULL;
	out->size = size;
	if (!unpacked)
		return 0;
	err = chunk_unpack(r, head, stored, size, at, why);
	out->data = r->plain;
	return err;
}

void chunk_reader_close(struct chunk_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->stored);
	free(r->plain);
	r->stored = r->plain = NULL;
	r->fd = -1;
}

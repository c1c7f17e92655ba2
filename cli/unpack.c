/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The formats of Linux' scripts/Makefile.lib. Each decoder gets exactly the room
 * that the stream says it needs, so none can be made to write or allocate more.
 * Knows nothing of what is inside.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/unpack.h"

#ifdef HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef HAVE_LZMA
#include <lzma.h>
#endif
#ifdef HAVE_BZIP2
#include <bzlib.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#include <zstd_errors.h>
#endif
#ifdef HAVE_LZ4
#include <lz4.h>
#endif
#ifdef HAVE_LZO
#include <lzo/lzo1x.h>
#endif

/* From src into exactly size bytes at dst; 0, -ENODATA, -EBADMSG, -ENOMEM or -EINTR. Bytes
 * after the end of the stream do not matter, as they do not to the kernel. */
typedef int unpack_fn(const uint8_t *src, size_t len, uint8_t *dst, size_t size,
		      const struct unpack_stop *stop);

/* Output between two questions whether to go on: a second of the slowest decoder on the
 * slowest host, an emulated one. */
#define PIECE	(256u << 10)

static size_t piece(size_t left)
{
	return left < PIECE ? left : PIECE;
}

static bool stopped(const struct unpack_stop *stop)
{
	return stop && stop->asked(stop->arg);
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The stream has ended, with left bytes of room unused. */
static int ended(size_t left)
{
	return left ? -EBADMSG : 0;
}

static int unpack_plain(const uint8_t *src, size_t len, uint8_t *dst, size_t size,
			const struct unpack_stop *stop)
{
	bug_on(len > size);
	if (stopped(stop))
		return -EINTR;
	memcpy(dst, src, len);
	return ended(size - len);
}

#ifdef HAVE_ZLIB
static int unpack_gzip(const uint8_t *src, size_t len, uint8_t *dst, size_t size,
		       const struct unpack_stop *stop)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)src, .avail_in = (uInt)len,
		       .next_out = dst };
	bool stop_now;
	int r;

	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)	/* 16: with gzip's header and CRC */
		return -ENOMEM;
	do {
		z.avail_out = (uInt)piece(size - z.total_out);
		r = inflate(&z, Z_NO_FLUSH);
		stop_now = r == Z_OK && stopped(stop);
	} while (r == Z_OK && !stop_now);
	inflateEnd(&z);
	if (stop_now)
		return -EINTR;
	if (r == Z_STREAM_END)
		return ended(size - z.total_out);
	if (r == Z_MEM_ERROR)
		return -ENOMEM;
	return r == Z_BUF_ERROR && !z.avail_in ? -ENODATA : -EBADMSG;
}
#else
#define unpack_gzip NULL
#endif

#ifdef HAVE_LZMA
/* Dictionaries of 64 MiB are the largest that xz -9 makes. */
#define LZMA_LIMIT	(256ull << 20)

static int lzma_drain(lzma_stream *s, const uint8_t *src, size_t len, uint8_t *dst, size_t size,
		      const struct unpack_stop *stop)
{
	bool stop_now;
	lzma_ret r;

	s->next_in = src;
	s->avail_in = len;
	s->next_out = dst;
	do {
		s->avail_out = piece((size_t)(dst + size - s->next_out));
		r = lzma_code(s, LZMA_FINISH);
		stop_now = r == LZMA_OK && stopped(stop);
	} while (r == LZMA_OK && !stop_now);
	lzma_end(s);
	if (stop_now)
		return -EINTR;
	if (r == LZMA_STREAM_END)
		return ended((size_t)(dst + size - s->next_out));
	if (r == LZMA_MEM_ERROR || r == LZMA_MEMLIMIT_ERROR)
		return -ENOMEM;
	return r == LZMA_BUF_ERROR && !s->avail_in ? -ENODATA : -EBADMSG;
}

static int unpack_xz(const uint8_t *src, size_t len, uint8_t *dst, size_t size,
		     const struct unpack_stop *stop)
{
	lzma_stream s = LZMA_STREAM_INIT;

	if (lzma_stream_decoder(&s, LZMA_LIMIT, 0) != LZMA_OK)
		return -ENOMEM;
	return lzma_drain(&s, src, len, dst, size, stop);
}

static int unpack_lzma(const uint8_t *src, size_t len, uint8_t *dst, size_t size,
		       const struct unpack_stop *stop)
{
	lzma_stream s = LZMA_STREAM_INIT;

	if (lzma_alone_decoder(&s, LZMA_LIMIT) != LZMA_OK)
		return -ENOMEM;
	return lzma_drain(&s, src, len, dst, size, stop);
}
#else
#define unpack_xz NULL
#define unpack_lzma NULL
#endif

#ifdef HAVE_BZIP2
static int unpack_bzip2(const uint8_t *src, size_t len, uint8_t *dst, size_t size,
			const struct unpack_stop *stop)
{
	bz_stream z = { .next_in = (char *)(uintptr_t)src, .avail_in = (unsigned)len,
			.next_out = (char *)dst };
	char *const end = (char *)dst + size;
	bool stop_now;
	unsigned in;
	char *out;
	int r;

	if (BZ2_bzDecompressInit(&z, 0, 0) != BZ_OK)
		return -ENOMEM;
	do {
		in = z.avail_in;
		out = z.next_out;
		z.avail_out = (unsigned)piece((size_t)(end - out));
		r = BZ2_bzDecompress(&z);
		stop_now = r == BZ_OK && stopped(stop);
	} while (r == BZ_OK && !stop_now && (in != z.avail_in || out != z.next_out));
	BZ2_bzDecompressEnd(&z);
	if (stop_now)
		return -EINTR;
	if (r == BZ_STREAM_END)
		return ended((size_t)(end - z.next_out));
	if (r == BZ_MEM_ERROR)
		return -ENOMEM;
	return r == BZ_OK && !z.avail_in ? -ENODATA : -EBADMSG;
}
#else
#define unpack_bzip2 NULL
#endif

#ifdef HAVE_ZSTD
/* The kernel's build packs with windows of up to 128 MiB, its decoder takes any; a frame
 * can name no larger one than it has contents, if it tells its size. */
static int zstd_drain(ZSTD_DStream *z, ZSTD_inBuffer *in, uint8_t *dst, size_t size,
		      const struct unpack_stop *stop)
{
	ZSTD_outBuffer out = { dst, 0, 0 };
	size_t r;

	do {
		size_t was_in = in->pos, was_out = out.pos;

		out.size = out.pos + piece(size - out.pos);
		r = ZSTD_decompressStream(z, &out, in);
		if (ZSTD_isError(r))
			return ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation ? -ENOMEM : -EBADMSG;
		if (r && in->pos == was_in && out.pos == was_out)
			return in->pos == in->size ? -ENODATA : -EBADMSG;
		if (r && stopped(stop))
			return -EINTR;
	} while (r);
	return ended(size - out.pos);
}

static int unpack_zstd(const uint8_t *src, size_t len, uint8_t *dst, size_t size,
		       const struct unpack_stop *stop)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	ZSTD_inBuffer in = { src, len, 0 };
	int err = -ENOMEM;

	if (z) {
		ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax,
				       ZSTD_dParam_getBounds(ZSTD_d_windowLogMax).upperBound);
		err = zstd_drain(z, &in, dst, size, stop);
	}
	ZSTD_freeDStream(z);
	return err;
}
#else
#define unpack_zstd NULL
#endif

#ifdef HAVE_LZ4
/* The legacy frame: after the magic number, blocks behind their length. */
static int unpack_lz4(const uint8_t *src, size_t len, uint8_t *dst, size_t size,
		      const struct unpack_stop *stop)
{
	size_t at = 4, done = 0;

	while (done < size) {
		uint32_t block;
		int n;

		if (stopped(stop))
			return -EINTR;
		if (len - at < 4)
			return -ENODATA;
		block = le32(src + at);
		at += 4;
		if (block > LZ4_COMPRESSBOUND(8u << 20))
			return -EBADMSG;
		if (block > len - at)
			return -ENODATA;
		n = LZ4_decompress_safe((const char *)src + at, (char *)dst + done, (int)block,
					(int)(size - done < INT32_MAX ? size - done : INT32_MAX));
		if (n <= 0)
			return -EBADMSG;
		at += block;
		done += (size_t)n;
	}
	return at == len ? 0 : -EBADMSG;
}
#else
#define unpack_lz4 NULL
#endif

#ifdef HAVE_LZO
static uint32_t be32(const uint8_t *p)
{
	return __builtin_bswap32(le32(p));
}

/* lzop's header: up to the first block, or 0. Its optional fields are those of
 * lzop's own source, version 0x0940 being the one that added some. */
static size_t lzop_header(const uint8_t *src, size_t len, uint32_t *flags)
{
	enum { MAGIC_SIZE = 9, FILTER = 0x800 };
	bool newer = len > MAGIC_SIZE + 1 && (src[MAGIC_SIZE] << 8 | src[MAGIC_SIZE + 1]) >= 0x0940;
	size_t at = MAGIC_SIZE + 2 + 2 + (newer ? 2 : 0) + 1 + (newer ? 1 : 0);

	if (len < at + 4)
		return 0;
	*flags = be32(src + at);
	at += 4 + (*flags & FILTER ? 4 : 0) + 4 + 4 + (newer ? 4 : 0);
	return len > at && len - at > src[at] + 5u ? at + src[at] + 5u : 0;
}

static int unpack_lzo(const uint8_t *src, size_t len, uint8_t *dst, size_t size,
		      const struct unpack_stop *stop)
{
	enum { ADLER_D = 1, ADLER_C = 2, CRC_D = 0x100, CRC_C = 0x200 };
	uint32_t flags = 0;
	size_t done = 0, at = lzop_header(src, len, &flags);
	unsigned sums = 4u * (!!(flags & ADLER_D) + !!(flags & CRC_D));
	unsigned packed_sums = 4u * (!!(flags & ADLER_C) + !!(flags & CRC_C));

	if (!at)
		return -ENODATA;
	for (;;) {
		uint32_t raw, packed;
		unsigned skip;

		if (stopped(stop))
			return -EINTR;
		if (len - at < 4)
			return -ENODATA;
		raw = be32(src + at);
		if (!raw)
			return ended(size - done);
		if (len - at < 8)
			return -ENODATA;
		packed = be32(src + at + 4);
		skip = 8 + sums + (packed < raw ? packed_sums : 0);
		if (packed > raw || raw > size - done)
			return -EBADMSG;
		if (skip > len - at || packed > len - at - skip)
			return -ENODATA;
		at += skip;
		if (packed == raw) {
			memcpy(dst + done, src + at, raw);
		} else {
			lzo_uint n = raw;

			if (lzo1x_decompress_safe(src + at, packed, dst + done, &n, NULL) != LZO_E_OK ||
			    n != raw)
				return -EBADMSG;
		}
		at += packed;
		done += raw;
	}
}
#else
#define unpack_lzo NULL
#endif

static const struct format {
	const char *name;
	uint8_t magic[6], nmagic;
	uint8_t tail;		/* bytes after the stream: the size */
	unpack_fn *unpack;	/* NULL: not in this build */
} formats[] = {
	{ "gzip", { 0x1f, 0x8b }, 2, 0, unpack_gzip },
	{ "xz", { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, 4, unpack_xz },
	{ "lzma", { 0x5d, 0, 0 }, 3, 4, unpack_lzma },
	{ "bzip2", { 'B', 'Z', 'h' }, 3, 4, unpack_bzip2 },
	{ "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4, 4, unpack_zstd },
	{ "lz4", { 0x02, 0x21, 0x4c, 0x18 }, 4, 4, unpack_lz4 },
	{ "lzo", { 0x89, 'L', 'Z', 'O', 0, 0x0d }, 6, 4, unpack_lzo },
	{ "ELF", { 0x7f, 'E', 'L', 'F' }, 4, 0, unpack_plain },
};

const char *unpack_format(unsigned i)
{
	for (size_t f = 0; f < ARRAY_LEN(formats); f++)
		if (formats[f].unpack && i-- == 0)
			return formats[f].name;
	return NULL;
}

int unpack_payload(const uint8_t *src, size_t len, size_t limit, const struct unpack_stop *stop,
		   uint8_t **out, size_t *size, const char **format)
{
	const struct format *f = NULL;
	int err;

	*format = NULL;
	for (size_t i = 0; i < ARRAY_LEN(formats) && !f; i++)
		if (len >= formats[i].nmagic && !memcmp(src, formats[i].magic, formats[i].nmagic))
			f = &formats[i];
	if (!f)
		return -ENOTSUP;
	*format = f->name;
	if (!f->unpack)
		return -ENOTSUP;
	if (len < f->nmagic + 4u)
		return -ENODATA;
	/* gzip ends with the same field, RFC 1952 2.3.1. */
	*size = f->unpack == unpack_plain ? len : le32(src + len - 4);
	if (*size > limit)
		return -EFBIG;
	*out = malloc(*size + !*size);
	if (!*out)
		return -ENOMEM;
	err = f->unpack(src, len - f->tail, *out, *size, stop);
	if (err) {
		free(*out);
		*out = NULL;
	}
	return err;
}

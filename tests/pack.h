/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packs as the kernel's build does, with the libraries that this build has: what
 * the loader unpacks is made here, not kept as files.
 */
#ifndef TESTS_PACK_H
#define TESTS_PACK_H

#include <string.h>

#include "machine/types.h"
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
#endif
#ifdef HAVE_LZ4
#include <lz4.h>
#endif
#ifdef HAVE_LZO
#include <lzo/lzo1x.h>
#endif

/* Bytes written to dst, which has cap; 0: failed. */
typedef size_t pack_fn(const uint8_t *src, size_t len, uint8_t *dst, size_t cap);

static inline size_t pack_put(uint8_t *dst, uint64_t val, unsigned size, bool big)
{
	for (unsigned i = 0; i < size; i++)
		dst[i] = (uint8_t)(val >> 8 * (big ? size - 1 - i : i));
	return size;
}

#ifdef HAVE_ZLIB
static size_t pack_gzip(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)src, .avail_in = (uInt)len,
		       .next_out = dst, .avail_out = (uInt)cap };

	deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
	deflate(&z, Z_FINISH);
	deflateEnd(&z);
	return cap - z.avail_out;
}
#endif

#ifdef HAVE_LZMA
static size_t pack_xz(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	lzma_options_lzma opt;
	lzma_filter filters[] = {
		{ LZMA_FILTER_X86, NULL }, { LZMA_FILTER_LZMA2, &opt }, { LZMA_VLI_UNKNOWN, NULL },
	};
	size_t pos = 0;

	lzma_lzma_preset(&opt, 6);
	if (lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, src, len, dst, &pos,
				      cap) != LZMA_OK)
		return 0;
	return pos;
}

static size_t pack_lzma(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_options_lzma opt;

	lzma_lzma_preset(&opt, 6);
	if (lzma_alone_encoder(&s, &opt) != LZMA_OK)
		return 0;
	s.next_in = src;
	s.avail_in = len;
	s.next_out = dst;
	s.avail_out = cap;
	while (lzma_code(&s, LZMA_FINISH) == LZMA_OK)
		;
	lzma_end(&s);
	return cap - s.avail_out;
}
#endif

#ifdef HAVE_BZIP2
static size_t pack_bzip2(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	unsigned n = (unsigned)cap;

	return BZ2_bzBuffToBuffCompress((char *)dst, &n, (char *)(uintptr_t)src, (unsigned)len, 9,
					0, 0) == BZ_OK ? n : 0;
}
#endif

#ifdef HAVE_ZSTD
static size_t pack_zstd(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t n;

	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	n = ZSTD_compress2(c, dst, cap, src, len);
	ZSTD_freeCCtx(c);
	return ZSTD_isError(n) ? 0 : n;
}
#endif

enum { PACK_BLOCK = 8192 };	/* small, so that there are several */

#ifdef HAVE_LZ4
static size_t pack_lz4(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	size_t at = pack_put(dst, 0x184c2102, 4, false);

	for (size_t n; len; src += n, len -= n) {
		int size;

		n = len < PACK_BLOCK ? len : PACK_BLOCK;
		size = LZ4_compress_default((const char *)src, (char *)dst + at + 4, (int)n,
					    (int)(cap - at - 4));
		if (size <= 0)
			return 0;
		at += pack_put(dst + at, (uint64_t)size, 4, false) + (size_t)size;
	}
	return at;
}
#endif

#ifdef HAVE_LZO
static size_t pack_lzo(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	static const uint8_t magic[] = { 0x89, 'L', 'Z', 'O', 0, 0x0d, 0x0a, 0x1a, 0x0a };
	static uint8_t room[LZO1X_1_MEM_COMPRESS] __attribute__((aligned(16)));
	size_t at = sizeof(magic);

	(void)cap;
	memcpy(dst, magic, at);
	at += pack_put(dst + at, 0x1030, 2, true);	/* version, of the library, needed */
	at += pack_put(dst + at, 0x20a0, 2, true);
	at += pack_put(dst + at, 0x0940, 2, true);
	at += pack_put(dst + at, 0x0305, 2, true);	/* method, level */
	at += pack_put(dst + at, 1, 4, true);		/* flags: a checksum of what is unpacked */
	at += pack_put(dst + at, 0x81a4, 4, true);	/* mode */
	at += pack_put(dst + at, 0, 8, true);		/* time */
	at += pack_put(dst + at, 1, 1, true) + pack_put(dst + at + 1, 'k', 1, true);
	at += pack_put(dst + at, 0, 4, true);		/* the header's checksum */
	for (size_t n; len; src += n, len -= n) {
		lzo_uint size = 0;
		uint8_t *sizes = dst + at;

		n = len < PACK_BLOCK ? len : PACK_BLOCK;
		lzo1x_1_compress(src, n, dst + at + 12, &size, room);
		if (size >= n) {	/* stored */
			size = n;
			memcpy(dst + at + 12, src, n);
		}
		pack_put(sizes, n, 4, true);
		pack_put(sizes + 4, size, 4, true);
		pack_put(sizes + 8, 0, 4, true);
		at += 12 + size;
	}
	return at + pack_put(dst + at, 0, 4, true);
}
#endif

static inline size_t pack_plain(const uint8_t *src, size_t len, uint8_t *dst, size_t cap)
{
	if (len > cap)
		return 0;
	memcpy(dst, src, len);
	return len;
}

static const struct packer {
	const char *name;
	pack_fn *pack;
	unsigned tail;		/* bytes that the kernel's build adds: the unpacked size */
	bool checked;		/* has a checksum that is verified */
} packers[] = {
#ifdef HAVE_ZLIB
	{ "gzip", pack_gzip, 0, true },
#endif
#ifdef HAVE_LZMA
	{ "xz", pack_xz, 4, true },
	{ "lzma", pack_lzma, 4, false },
#endif
#ifdef HAVE_BZIP2
	{ "bzip2", pack_bzip2, 4, true },
#endif
#ifdef HAVE_ZSTD
	{ "zstd", pack_zstd, 4, true },
#endif
#ifdef HAVE_LZ4
	{ "lz4", pack_lz4, 4, false },
#endif
#ifdef HAVE_LZO
	{ "lzo", pack_lzo, 4, false },
#endif
	{ "ELF", pack_plain, 0, false },
};

/* As linked into a bzImage. */
static inline size_t pack(const struct packer *p, const uint8_t *src, size_t len, uint8_t *dst,
			  size_t cap)
{
	size_t n = p->pack(src, len, dst, cap);

	bug_on(n == 0);
	return p->tail ? n + pack_put(dst + n, len, 4, false) : n;
}

#endif

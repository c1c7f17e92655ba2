/* SPDX-License-Identifier: BSD-2-Clause */
/* The compressed part of a kernel image, unpacked by the libraries of the build. */
#ifndef CLI_UNPACK_H
#define CLI_UNPACK_H

#include "machine/types.h"

/*
 * Unpacks what Linux calls its payload: a stream of one of the formats that its
 * build knows, followed (but for gzip, which has it anyway) by the size that it
 * unpacks to, 32 bits. *format is set to the format's name, or NULL for an unknown
 * one. *out is to be freed.
 *
 *	-ENOTSUP	an unknown format, or this build has no library for it
 *	-ENODATA	the stream ends too early
 *	-EBADMSG	it is damaged, or does not unpack to the size that it tells
 *	-EFBIG		that size is more than limit
 *	-ENOMEM		the host has no memory for it
 *	-EINTR		stop->asked() said so: it is asked every now and then (stop may be NULL)
 */
struct unpack_stop { bool (*asked)(const void *arg); const void *arg; };
int unpack_payload(const uint8_t *src, size_t len, size_t limit, const struct unpack_stop *stop,
		   uint8_t **out, size_t *size, const char **format);

/* Names of the formats that this build unpacks, NULL after the last one. */
const char *unpack_format(unsigned i);

#endif

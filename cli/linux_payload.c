/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a bzImage to the kernel proper without running its decompressor: fields
 * payload_offset and payload_length of Documentation/arch/x86/boot.rst, since
 * protocol 2.08. What cannot be unpacked here unpacks itself; what is damaged is
 * refused, because the kernel could only say so on a screen.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/linux.h"
#include "cli/unpack.h"

unsigned linux_setup_bytes(const struct blob *k)
{
	unsigned sects = blob_u8(k, SETUP_SECTS);

	return ((sects ? sects : 4) + 1) * 512;
}

static void note(const struct machine *m, const struct blob *k, const char *what)
{
	if (m->config->verbose)
		fprintf(stderr, "hemi: kernel %s: %s: its own decompressor is run\n", k->name, what);
}

static int unpack_failed(const struct blob *k, const char *format, int err, size_t size,
			 char why[static WHY_SIZE])
{
	switch (err) {
	case -EINTR:
		return err;
	case -ENODATA:
		return load_fail(why, -ENOEXEC, "kernel %s: truncated: the %s data in it ends too "
				 "early", k->name, format);
	case -EBADMSG:
		return load_fail(why, -ENOEXEC, "kernel %s: damaged: the %s data in it does not "
				 "unpack", k->name, format);
	case -EFBIG:
		return load_fail(why, -ENOMEM, "kernel %s: the %s data in it unpacks to %zu MiB: it is "
				 "damaged, or needs more guest memory (--memory)", k->name, format,
				 size >> 20);
	}
	return load_fail(why, err, "kernel %s: no memory to unpack the %s data in it", k->name,
			 format);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* The run is to end before it has begun. */
static bool ending(const void *m)
{
	return atomic_load(&((const struct machine *)m)->attention) & (ATT_QUIT | ATT_TIMEOUT);
}

static int payload_unpack(const struct blob *k, const struct machine *m, const uint8_t *src,
			  size_t len, struct blob *out, char why[static WHY_SIZE])
{
	const struct unpack_stop stop = { ending, m };
	const char *format;
	double start = now_ms();
	int err = unpack_payload(src, len, m->mem.low_size, &stop, &out->data, &out->size, &format);

	if (err == -ENOTSUP) {
		note(m, k, format ? "packed in a format that this build lacks the library for"
				  : "packed in an unknown format");
		return 0;
	}
	if (err)
		return unpack_failed(k, format, err, out->size, why);
	if (m->config->verbose)
		fprintf(stderr, "hemi: kernel %s: %zu KiB of %s unpacked to %zu KiB in %.0f ms\n",
			k->name, len >> 10, format, out->size >> 10, now_ms() - start);
	return 0;
}

int linux_payload(const struct blob *k, const struct machine *m, struct vmlinux *v,
		  char why[static WHY_SIZE])
{
	uint64_t at = linux_setup_bytes(k) + (uint64_t)blob_u32(k, PAYLOAD_OFFSET);
	uint32_t len = blob_u32(k, PAYLOAD_LENGTH);
	struct blob out = { .name = k->name };
	int err;

	*v = (struct vmlinux){ 0 };
	if (blob_u16(k, VERSION) < 0x208 || len == 0)
		return 0;
	if (!blob_has(k, at, len))
		return load_fail(why, -ENOEXEC, "kernel %s: truncated: %zu of at least %llu bytes",
				 k->name, k->size, (unsigned long long)at + len);
	if (!m->config->kernel_unpack)
		return 0;
	err = payload_unpack(k, m, k->data + at, len, &out, why);
	if (err || !out.data)
		return err;
	if (vmlinux_detect(&out)) {
		err = vmlinux_parse(v, &out, why);
	} else {
		note(m, k, "what it packs is no ELF file");
		err = 1;
	}
	if (err) {
		free(out.data);
		v->file.data = NULL;
	}
	return err < 0 ? err : 0;
}

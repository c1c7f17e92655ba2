/* SPDX-License-Identifier: BSD-2-Clause */
/* Formats of image files: their names, how their bytes tell them, and whom they refer to. */
#ifndef DEV_IMAGE_FORMAT_H
#define DEV_IMAGE_FORMAT_H

#include "machine/config.h"

/* "qcow2" and so on, also raw and auto; false if there is none of that name. */
bool format_parse(const char *name, enum image_format *out);
const char *format_name(enum image_format f);
/* The i-th name, NULL after the last. */
const char *format_list(unsigned i);
/* What QEMU calls it; NULL: no format of QEMU's. */
const char *format_driver(enum image_format f);

/* What the file itself says: by its first bytes; with at_end, also by its last ones (a fixed
 * VHD). FORMAT_RAW if it says nothing. */
enum image_format format_probe(int fd, uint64_t size, bool at_end);
/* What the file is if it is certainly no format of ours: "gzip", or NULL. */
const char *format_foreign(int fd, uint64_t size);
/* Does the image name another file that its contents would be taken from? Where the header
 * cannot be understood, too: whoever trusts the image can name its format. */
bool format_refers(int fd, uint64_t size, enum image_format f);
/* Is the file shorter than its header says? Only where the server would not notice. */
bool format_truncated(int fd, uint64_t size, enum image_format f);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* How much memory the host can still give this process. */
#ifndef MACHINE_HOSTMEM_H
#define MACHINE_HOSTMEM_H

#include <stdbool.h>
#include <stdint.h>

/* 0, or why size bytes of shared memory are too many: -ENOMEM (more than is free
 * or than the control group allows), -EFBIG (RLIMIT_FSIZE), -EAGAIN (RLIMIT_AS). */
int hostmem_check(uint64_t size);

#endif

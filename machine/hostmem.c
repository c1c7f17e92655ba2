/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Can the host give the guest this much memory? Asked before the memfd is made,
 * because the kernel promises any size and kills later. Sources: the resource
 * limits, MemAvailable and SwapFree of /proc/meminfo, and the control groups
 * from our own up to the root (version 2, or the memory controller of version 1).
 */
#include "machine/hostmem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static uint64_t meminfo_free(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long available = 0, swap = 0;
	char line[128];

	if (!f)
		return UINT64_MAX;
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "MemAvailable: %llu kB", &available);
		sscanf(line, "SwapFree: %llu kB", &swap);
	}
	fclose(f);
	return available ? (available + swap) * 1024 : UINT64_MAX;
}

/* The number in a control file; "max", or no such file, is no limit. */
static uint64_t cgroup_number(const char *root, const char *group, const char *file)
{
	unsigned long long n = UINT64_MAX;
	char path[512];
	FILE *f;

	if (snprintf(path, sizeof(path), "%s%s/%s", root, group, file) >= (int)sizeof(path))
		return UINT64_MAX;
	f = fopen(path, "re");
	if (!f)
		return UINT64_MAX;
	if (fscanf(f, "%llu", &n) != 1)
		n = UINT64_MAX;
	fclose(f);
	return n;
}

/* Page cache counts as usage but gives way, so only the limit itself is compared. */
static uint64_t cgroup_limit(void)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	uint64_t least = UINT64_MAX;
	char line[300];

	if (!f)
		return least;
	while (fgets(line, sizeof(line), f)) {
		bool v2 = strncmp(line, "0::", 3) == 0;
		char *group = strrchr(line, ':');

		if (!group || (!v2 && !strstr(line, ":memory:")))
			continue;
		group++;
		group[strcspn(group, "\n")] = '\0';
		for (;;) {
			uint64_t n = v2 ? cgroup_number("/sys/fs/cgroup", group, "memory.max")
					: cgroup_number("/sys/fs/cgroup/memory", group,
							"memory.limit_in_bytes");
			char *slash = strrchr(group, '/');

			if (n < least)
				least = n;
			if (!slash)
				break;
			*slash = '\0';
		}
	}
	fclose(f);
	return least;
}

static uint64_t limit(int resource)
{
	struct rlimit r;

	return getrlimit(resource, &r) || r.rlim_cur == RLIM_INFINITY ? UINT64_MAX : r.rlim_cur;
}

int hostmem_check(uint64_t size)
{
	if (size > limit(RLIMIT_FSIZE))
		return -EFBIG;
	if (size > limit(RLIMIT_AS))
		return -EAGAIN;
	if (size > meminfo_free() || size > cgroup_limit())
		return -ENOMEM;
	return 0;
}

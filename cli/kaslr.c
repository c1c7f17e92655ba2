/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the unpacked kernel goes: where it prefers to be or, if it is built for it,
 * to a random place, as its own decompressor would choose one
 * (arch/x86/boot/compressed/kaslr.c): physical and virtual address independently for
 * a 64-bit kernel, one offset for a 32-bit one, in steps of its alignment.
 */
#include <string.h>
#include <sys/random.h>

#include "cli/linux.h"

/* The kernel's mapping of itself ends here (KERNEL_IMAGE_SIZE of a kernel with
 * CONFIG_RANDOMIZE_BASE); its decompressor keeps to the same. */
#define IMAGE_MAX_32	(512ull << 20)
#define IMAGE_MAX_64	(1024ull << 20)
#define ALIGN_MIN_64	(2ull << 20)

uint64_t linux_need(const struct blob *k, const struct vmlinux *v)
{
	uint64_t need = v->end - v->lowest;

	if (blob_u16(k, VERSION) >= 0x20a && blob_u32(k, INIT_SIZE) > need)
		need = blob_u32(k, INIT_SIZE);
	return v->is64 ? (need + ALIGN_MIN_64 - 1) & ~(ALIGN_MIN_64 - 1) : need;
}

/* As a word of its own, like the kernel's cmdline_find_option_bool(). */
static bool has_word(const char *line, const char *word)
{
	size_t n = strlen(word);

	for (const char *s = line; *s; s += strcspn(s, " \t\n")) {
		s += strspn(s, " \t\n");
		if (strncmp(s, word, n) == 0 && strchr(" \t\n", s[n]))
			return true;
	}
	return false;
}

/*
 * Relocations alone do not tell: a 32-bit kernel has them for crash dumps as well.
 * But only a decompressor that randomises looks for this word.
 */
static bool randomises(const struct boot *b, const struct vmlinux *v)
{
	static const char word[] = "nokaslr";
	const struct blob *k = &b->kernel;

	return v->table && blob_u16(k, VERSION) >= 0x205 && blob_u8(k, RELOCATABLE_KERNEL) &&
	       memmem(k->data, k->size, word, sizeof(word)) && !has_word(b->append, word);
}

/* Uniform enough: there are a few thousand places at most. */
static uint64_t choose(const struct machine *m, uint64_t places, uint64_t nth)
{
	uint64_t r = 0x9e3779b97f4a7c15ull * nth;

	/* With --clock=instructions a run can be repeated exactly. */
	if (m->config->clock_instructions || getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		r ^= r >> 32;
	return r % places;
}

static uint64_t offset(const struct machine *m, uint64_t lowest, uint64_t need, uint64_t limit,
		       uint64_t align, uint64_t nth)
{
	if (limit < need || limit - need < lowest)
		return 0;
	return align * choose(m, (limit - need - lowest) / align + 1, nth);
}

struct kaslr linux_kaslr(const struct boot *b, const struct machine *m, const struct vmlinux *v,
			 uint64_t top)
{
	uint64_t need = linux_need(&b->kernel, v);
	uint64_t align = blob_u32(&b->kernel, KERNEL_ALIGNMENT);
	struct kaslr where = { 0 };

	if (!randomises(b, v) || (align & (align - 1)) || align < (v->is64 ? ALIGN_MIN_64 : PAGE_SIZE))
		return where;
	where.on = true;
	if (v->is64) {
		where.phys = offset(m, v->lowest, need, top, align, 1);
		where.virt = offset(m, v->lowest, need, IMAGE_MAX_64, align, 2);
	} else {
		where.phys = offset(m, v->lowest, need, top < IMAGE_MAX_32 ? top : IMAGE_MAX_32,
				    align, 1);
		where.virt = where.phys;
	}
	return where;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading and relocating vmlinux as the kernel's own decompressor does
 * (arch/x86/boot/compressed/misc.c, arch/x86/tools/relocs.c). Where to is decided
 * elsewhere. The file comes from anywhere, so every offset in it is checked.
 *
 * Relocations follow the ELF file: lists of 32-bit addresses, each list behind a
 * zero. An address is virtual, sign-extended, as linked.
 *
 *	32-bit kernel	0 add32...
 *	64-bit kernel	0 add64... 0 sub32... 0 add32...	with per-CPU data at 0
 *			0 add64... 0 add32...			without
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "cli/vmlinux.h"

struct segment_header { uint32_t type; uint64_t offset, vaddr, paddr, filesz, memsz; };

static uint64_t get64(const struct blob *b, size_t off)
{
	return blob_u32(b, off) | (uint64_t)blob_u32(b, off + 4) << 32;
}

/* Header fields of either class. */
#define EHDR(v, field)								\
	((v)->is64 ? field64(&(v)->file, offsetof(Elf64_Ehdr, field),		\
			     sizeof(((Elf64_Ehdr *)0)->field))			\
		   : field64(&(v)->file, offsetof(Elf32_Ehdr, field),		\
			     sizeof(((Elf32_Ehdr *)0)->field)))
#define PHDR(v, at, field)							\
	((v)->is64 ? field64(&(v)->file, (at) + offsetof(Elf64_Phdr, field),	\
			     sizeof(((Elf64_Phdr *)0)->field))			\
		   : field64(&(v)->file, (at) + offsetof(Elf32_Phdr, field),	\
			     sizeof(((Elf32_Phdr *)0)->field)))

static uint64_t field64(const struct blob *b, size_t off, size_t size)
{
	return size == 8 ? get64(b, off) : blob_get(b, off, (unsigned)size);
}

static bool segment_get(const struct vmlinux *v, unsigned i, struct segment_header *s)
{
	size_t size = v->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	size_t at;

	if (i >= EHDR(v, e_phnum))
		return false;
	at = EHDR(v, e_phoff) + i * size;
	*s = (struct segment_header){
		(uint32_t)PHDR(v, at, p_type), PHDR(v, at, p_offset), PHDR(v, at, p_vaddr),
		PHDR(v, at, p_paddr), PHDR(v, at, p_filesz), PHDR(v, at, p_memsz),
	};
	return true;
}

bool vmlinux_detect(const struct blob *file)
{
	return blob_has(file, 0, EI_NIDENT) && !memcmp(file->data, ELFMAG, SELFMAG);
}

static int header_check(const struct vmlinux *v, char why[static WHY_SIZE])
{
	const struct blob *f = &v->file;
	size_t phsize = v->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	if (blob_u8(f, EI_DATA) != ELFDATA2LSB || EHDR(v, e_type) != ET_EXEC ||
	    EHDR(v, e_machine) != (v->is64 ? EM_X86_64 : EM_386))
		return load_fail(why, -ENOEXEC, "kernel %s: what it packs is no x86 kernel", f->name);
	if (EHDR(v, e_phentsize) != phsize ||
	    !blob_has(f, EHDR(v, e_phoff), EHDR(v, e_phnum) * phsize))
		return load_fail(why, -ENOEXEC, "kernel %s: what it packs has no program headers",
				 f->name);
	return 0;
}

static int segments_check(struct vmlinux *v, char why[static WHY_SIZE])
{
	struct segment_header s;

	for (unsigned i = 0; segment_get(v, i, &s); i++) {
		if (s.type != PT_LOAD || !s.memsz)
			continue;
		if (s.filesz > s.memsz || !blob_has(&v->file, s.offset, s.filesz) ||
		    s.paddr > UINT32_MAX || s.memsz > UINT32_MAX)
			return load_fail(why, -ENOEXEC, "kernel %s: a segment of what it packs makes "
					 "no sense", v->file.name);
		if (s.paddr < v->lowest) {
			v->lowest = s.paddr;
			v->link = s.vaddr - s.paddr;
		}
		if (s.paddr + s.memsz > v->end)
			v->end = s.paddr + s.memsz;
	}
	v->entry = EHDR(v, e_entry);
	if (v->entry - v->lowest >= v->end - v->lowest)
		v->entry -= v->link;	/* some linker scripts give the virtual address */
	if (v->lowest >= v->end || v->entry - v->lowest >= v->end - v->lowest)
		return load_fail(why, -ENOEXEC, "kernel %s: the entry point of what it packs lies in "
				 "no segment", v->file.name);
	return 0;
}

int vmlinux_parse(struct vmlinux *v, const struct blob *file, char why[static WHY_SIZE])
{
	uint64_t end;
	int err;

	*v = (struct vmlinux){ .file = *file, .lowest = UINT64_MAX };
	v->is64 = blob_u8(file, EI_CLASS) == ELFCLASS64;
	err = header_check(v, why);
	if (!err)
		err = segments_check(v, why);
	if (err)
		return err;
	/* The section headers, stripped as it is, are the last of the ELF file. */
	end = EHDR(v, e_shoff) + EHDR(v, e_shnum) * EHDR(v, e_shentsize);
	if (EHDR(v, e_shoff) && EHDR(v, e_shoff) < end && blob_has(file, end, 8) && !blob_u32(file, end) &&
	    (file->size - end) % 4 == 0)
		v->table = end;
	return 0;
}

static int segments_load(const struct vmlinux *v, struct machine *m, uint64_t phys,
			 char why[static WHY_SIZE])
{
	struct segment_header s;

	for (unsigned i = 0; segment_get(v, i, &s); i++) {
		uint64_t at = s.paddr + phys;

		if (s.type != PT_LOAD || !s.memsz)
			continue;
		if (!load_fits(m, at, s.memsz))
			return load_fail(why, -ENOMEM, "kernel %s: a segment of what it packs, at "
					 "%#llx-%#llx, is outside of guest RAM (--memory)",
					 v->file.name, (unsigned long long)at,
					 (unsigned long long)(at + s.memsz));
		load_copy(m, at, v->file.data + s.offset, s.filesz);
		load_copy(m, at + s.filesz, NULL, s.memsz - s.filesz);
	}
	return 0;
}

/* --- Relocations ----------------------------------------------------------------- */

enum how { ADD32, SUB32, ADD64 };

static bool relocate_one(const struct vmlinux *v, struct machine *m, uint32_t word, enum how how,
			 uint64_t phys, uint64_t virt)
{
	unsigned size = how == ADD64 ? 8 : 4;
	uint64_t vaddr = v->is64 ? (uint64_t)(int32_t)word : word;
	uint64_t at = v->is64 ? vaddr - v->link : (uint32_t)(vaddr - v->link);
	uint8_t *p;
	uint64_t val = 0;

	if (at < v->lowest || at >= v->end || v->end - at < size)
		return false;
	p = memory_hva(&m->mem, at + phys);
	if (!p || !memory_hva(&m->mem, at + phys + size - 1))
		return false;
	memcpy(&val, p, size);
	val += how == SUB32 ? -virt : virt;
	memcpy(p, &val, size);
	return true;
}

/* The lists from the end on: what each means depends on how many there are. */
static int relocate(const struct vmlinux *v, struct machine *m, uint64_t phys, uint64_t virt,
		    char why[static WHY_SIZE])
{
	static const enum how of[4][3] = {
		[1] = { ADD32 }, [2] = { ADD64, ADD32 }, [3] = { ADD64, SUB32, ADD32 },
	};
	const struct blob *f = &v->file;
	unsigned lists = 0, list = 0;

	for (size_t at = v->table; at < f->size; at += 4)
		lists += blob_u32(f, at) == 0;
	if (lists > 3 || (lists == 1) == v->is64)
		return load_fail(why, -ENOEXEC, "kernel %s: its relocations make no sense", f->name);
	for (size_t at = v->table; at < f->size; at += 4) {
		uint32_t word = blob_u32(f, at);

		if (!word)
			list++;
		else if (!relocate_one(v, m, word, of[lists][list - 1], phys, virt))
			return load_fail(why, -ENOEXEC, "kernel %s: a relocation at %#x is outside of "
					 "the kernel", f->name, word);
	}
	return 0;
}

int vmlinux_load(const struct vmlinux *v, struct machine *m, uint64_t phys, uint64_t virt,
		 char why[static WHY_SIZE])
{
	int err = segments_load(v, m, phys, why);

	bug_on(virt && !v->table);
	return err || !virt ? err : relocate(v, m, phys, virt, why);
}

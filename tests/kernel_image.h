/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Linux kernel small enough to make in a test: an ELF file of one segment, its relocations behind
 * it, packed, in a bzImage (Linux' Documentation/arch/x86/boot.rst; the lists of
 * relocations: cli/vmlinux.c).
 */
#ifndef TESTS_KERNEL_IMAGE_H
#define TESTS_KERNEL_IMAGE_H

#include <elf.h>
#include <string.h>

#include "cli/linux.h"
#include "tests/pack.h"

#define LINK32	0xc0000000ull
#define LINK64	0xffffffff80000000ull
/* AT: its physical address. TEXT to TABLE: in the ELF file. SETUP, PAYLOAD: in the bzImage. */
enum { AT = 0x400000, TEXT = 0x1000, TEXT_SIZE = 0x200, BSS = 0x1000, SECTIONS = TEXT + TEXT_SIZE,
       TABLE = SECTIONS + 64, KERNEL_ELF_SIZE = TABLE + 64, SETUP = 1024, PAYLOAD = 0x100 };
/* What is to be relocated, in the text: each word of it holds its own address as linked. */
enum { ADD32_AT = 0x40, SUB32_AT = 0x48, ADD64_AT = 0x50, KEPT_AT = 0x60 };

static inline void kernel_elf_headers(uint8_t *to, bool wide)
{
	const uint8_t ident[EI_NIDENT] = { 0x7f, 'E', 'L', 'F', wide ? ELFCLASS64 : ELFCLASS32,
					   ELFDATA2LSB, EV_CURRENT };

	if (wide) {
		Elf64_Ehdr eh = { .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_entry = AT + 8,
				  .e_phoff = sizeof(eh), .e_shoff = SECTIONS, .e_shnum = 1,
				  .e_shentsize = 64, .e_phnum = 1, .e_phentsize = sizeof(Elf64_Phdr) };
		Elf64_Phdr ph = { .p_type = PT_LOAD, .p_offset = TEXT, .p_vaddr = LINK64 + AT,
				  .p_paddr = AT, .p_filesz = TEXT_SIZE, .p_memsz = BSS };

		memcpy(to, &eh, sizeof(eh));
		memcpy(to + sizeof(eh), &ph, sizeof(ph));
	} else {
		Elf32_Ehdr eh = { .e_type = ET_EXEC, .e_machine = EM_386, .e_entry = AT + 8,
				  .e_phoff = sizeof(eh), .e_shoff = SECTIONS, .e_shnum = 1,
				  .e_shentsize = 64, .e_phnum = 1, .e_phentsize = sizeof(Elf32_Phdr) };
		Elf32_Phdr ph = { .p_type = PT_LOAD, .p_offset = TEXT, .p_vaddr = LINK32 + AT,
				  .p_paddr = AT, .p_filesz = TEXT_SIZE, .p_memsz = BSS };

		memcpy(to, &eh, sizeof(eh));
		memcpy(to + sizeof(eh), &ph, sizeof(ph));
	}
	memcpy(to, ident, EI_NIDENT);
}

/* Up to KERNEL_ELF_SIZE bytes; their number. lists: 0 no relocations, else how many lists. */
static inline size_t kernel_elf(uint8_t *to, bool wide, unsigned lists)
{
	uint64_t base = (wide ? LINK64 : LINK32) + AT;
	size_t at = TABLE;

	memset(to, 0, KERNEL_ELF_SIZE);
	kernel_elf_headers(to, wide);
	for (unsigned i = 0; i < TEXT_SIZE; i += 8)
		pack_put(to + TEXT + i, base + i, 8, false);
	if (lists > 1) {
		at += pack_put(to + at, 0, 4, false);
		at += pack_put(to + at, base + ADD64_AT, 4, false);
	}
	if (lists > 2) {
		at += pack_put(to + at, 0, 4, false);
		at += pack_put(to + at, base + SUB32_AT, 4, false);
	}
	if (lists) {
		at += pack_put(to + at, 0, 4, false);
		at += pack_put(to + at, base + ADD32_AT, 4, false);
	}
	return at;
}

/* The bzImage around it, cap bytes at most; the length of its payload, which begins at SETUP + PAYLOAD.
 * kaslr: its decompressor knows the word. */
static inline size_t kernel_image(uint8_t *to, size_t cap, const struct packer *p, const uint8_t *elf, size_t n,
				  bool wide, bool kaslr)
{
	memset(to, 0, cap);
	pack_put(to + SETUP_SECTS, 1, 1, false);
	pack_put(to + BOOT_FLAG, 0xaa55, 2, false);
	pack_put(to + JUMP, 0x66, 1, false);
	memcpy(to + MAGIC, "HdrS", 4);
	pack_put(to + VERSION, 0x20f, 2, false);
	pack_put(to + LOADFLAGS, LOADED_HIGH, 1, false);
	pack_put(to + XLOADFLAGS, wide ? XLF_KERNEL_64 : 0, 2, false);
	pack_put(to + INITRD_ADDR_MAX, 0x7fffffff, 4, false);
	pack_put(to + CMDLINE_SIZE, 255, 4, false);
	pack_put(to + RELOCATABLE_KERNEL, 1, 1, false);
	pack_put(to + KERNEL_ALIGNMENT, 2 << 20, 4, false);
	pack_put(to + PREF_ADDRESS, AT, 8, false);
	pack_put(to + INIT_SIZE, 1 << 20, 4, false);
	n = pack(p, elf, n, to + SETUP + PAYLOAD, cap - SETUP - PAYLOAD);
	pack_put(to + PAYLOAD_OFFSET, PAYLOAD, 4, false);
	pack_put(to + PAYLOAD_LENGTH, n, 4, false);
	if (kaslr)
		memcpy(to + SETUP + 16, "nokaslr", 8);
	return n;
}

#endif

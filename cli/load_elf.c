/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF executables for 32-bit x86 (System V ABI, chapters 4 and 5): program headers only,
 * loaded by physical address. Also the loading half of Multiboot kernels.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "cli/load.h"

#define ELF_MAGIC	0x464c457fu

static bool elf_detect(const struct blob *k)
{
	return blob_has(k, 0, EI_NIDENT) && blob_u32(k, 0) == ELF_MAGIC;
}

static const char *machine_name(unsigned machine)
{
	static const struct { unsigned machine; const char *name; } names[] = {
		{ EM_ARM, "ARM" }, { EM_AARCH64, "64-bit ARM" }, { EM_RISCV, "RISC-V" },
		{ EM_PPC, "PowerPC" }, { EM_PPC64, "64-bit PowerPC" }, { EM_MIPS, "MIPS" },
		{ EM_S390, "S/390" }, { EM_SPARC, "SPARC" }, { EM_SPARCV9, "64-bit SPARC" },
		{ EM_IA_64, "Itanium" }, { EM_68K, "68000" }, { EM_PARISC, "PA-RISC" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].machine == machine)
			return names[i].name;
	return "another processor";
}

static int elf_check(const struct blob *k, char why[static WHY_SIZE])
{
	bool little = blob_u8(k, EI_DATA) == ELFDATA2LSB;
	unsigned type = blob_u16(k, offsetof(Elf32_Ehdr, e_type));
	unsigned machine = blob_u16(k, offsetof(Elf32_Ehdr, e_machine));

	if (blob_u8(k, EI_DATA) == ELFDATA2MSB)
		machine = (machine >> 8 | machine << 8) & 0xffff;
	if (!blob_has(k, 0, sizeof(Elf32_Ehdr)))
		return load_fail(why, -ENOEXEC, "kernel %s: truncated ELF header", k->name);
	if (little && machine == EM_X86_64)
		return load_fail(why, -ENOEXEC, "kernel %s: a 64-bit ELF file; boot a 64-bit "
				 "kernel as a Linux bzImage", k->name);
	if (!little || blob_u8(k, EI_CLASS) != ELFCLASS32 || machine != EM_386)
		return load_fail(why, -ENOEXEC, "kernel %s: an ELF file for %s, not for 32-bit x86",
				 k->name, machine_name(machine));
	if (type != ET_EXEC)
		return load_fail(why, -ENOEXEC, "kernel %s: an ELF file, but not an executable",
				 k->name);
	return 0;
}

/* The entry point is a virtual address if a segment covers it as such. Kernels
 * linked high but started low often give a physical one at once. */
static bool elf_entry(const struct blob *k, uint32_t phoff, unsigned phnum, unsigned phsize,
		      uint32_t *entry)
{
	uint32_t e = blob_u32(k, offsetof(Elf32_Ehdr, e_entry));
	bool physical = false;

	for (unsigned i = 0; i < phnum; i++) {
		size_t ph = phoff + (size_t)i * phsize;
		uint32_t vaddr = blob_u32(k, ph + offsetof(Elf32_Phdr, p_vaddr));
		uint32_t paddr = blob_u32(k, ph + offsetof(Elf32_Phdr, p_paddr));
		uint32_t memsz = blob_u32(k, ph + offsetof(Elf32_Phdr, p_memsz));

		if (blob_u32(k, ph + offsetof(Elf32_Phdr, p_type)) != PT_LOAD)
			continue;
		if (e - vaddr < memsz) {
			*entry = paddr + (e - vaddr);
			return true;
		}
		physical |= e - paddr < memsz;
	}
	*entry = e;
	return physical;
}

static int segment_load(const struct blob *k, size_t ph, struct machine *m,
			struct elf_image *out, char why[static WHY_SIZE])
{
	uint32_t off = blob_u32(k, ph + offsetof(Elf32_Phdr, p_offset));
	uint64_t paddr = blob_u32(k, ph + offsetof(Elf32_Phdr, p_paddr));
	uint32_t filesz = blob_u32(k, ph + offsetof(Elf32_Phdr, p_filesz));
	uint32_t memsz = blob_u32(k, ph + offsetof(Elf32_Phdr, p_memsz));

	if (filesz > memsz)
		return load_fail(why, -ENOEXEC, "kernel %s: a segment is larger in the file than "
				 "in memory", k->name);
	if (!blob_has(k, off, filesz))
		return load_fail(why, -ENOEXEC, "kernel %s: truncated: a segment ends at byte %llu "
				 "of %zu", k->name, (unsigned long long)off + filesz, k->size);
	if (!load_copy(m, paddr, k->data + off, filesz) ||
	    !load_copy(m, paddr + filesz, NULL, memsz - filesz))
		return load_fail(why, -ENOMEM, "kernel %s: its segment at %#llx-%#llx is outside of "
				 "guest RAM (--memory)", k->name, (unsigned long long)paddr,
				 (unsigned long long)paddr + memsz);
	if (memsz && paddr < out->lowest)
		out->lowest = paddr;
	if (paddr + memsz > out->end)
		out->end = paddr + memsz;
	return 0;
}

int elf_load(const struct blob *k, struct machine *m, struct elf_image *out,
	     char why[static WHY_SIZE])
{
	uint32_t phoff = blob_u32(k, offsetof(Elf32_Ehdr, e_phoff));
	unsigned phsize = blob_u16(k, offsetof(Elf32_Ehdr, e_phentsize));
	unsigned phnum = blob_u16(k, offsetof(Elf32_Ehdr, e_phnum));
	int err = elf_check(k, why);

	if (err)
		return err;
	if (phsize < sizeof(Elf32_Phdr) || phnum == 0)
		return load_fail(why, -ENOEXEC, "kernel %s: an ELF file without program headers",
				 k->name);
	if (!blob_has(k, phoff, (uint64_t)phsize * phnum))
		return load_fail(why, -ENOEXEC, "kernel %s: truncated: no room for its program "
				 "headers", k->name);
	*out = (struct elf_image){ .lowest = UINT64_MAX };
	for (unsigned i = 0; i < phnum && !err; i++) {
		size_t ph = phoff + (size_t)i * phsize;

		if (blob_u32(k, ph + offsetof(Elf32_Phdr, p_type)) == PT_LOAD)
			err = segment_load(k, ph, m, out, why);
	}
	if (err)
		return err;
	if (!elf_entry(k, phoff, phnum, phsize, &out->entry))
		return load_fail(why, -ENOEXEC, "kernel %s: its entry point %#x lies in no segment",
				 k->name, out->entry);
	return 0;
}

/* No protocol: flat protected mode at the entry point, as Multiboot has it. */
static int elf_boot(const struct boot *b, struct machine *m, bool long_mode,
		    char why[static WHY_SIZE])
{
	struct elf_image image;
	int err = elf_load(&b->kernel, m, &image, why);
	gpa_t gdt = 0x1000;

	(void)long_mode;
	if (err)
		return err;
	if (b->initrd.data || b->nmodules)
		return load_fail(why, -EINVAL, "kernel %s: a plain ELF file takes no --initrd or "
				 "--module; a Multiboot header would", b->kernel.name);
	if (image.lowest < gdt + 64 && load_fits(m, image.end, 64))
		gdt = image.end;
	load_cpu_flat(m, image.entry, 0x08, 0x10, gdt);
	return 0;
}

const struct kernel_format load_elf = { "elf", elf_detect, elf_boot };

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel files: bzImage, packed and not, Multiboot, ELF (cli/load*.c and what they use). The first
 * byte says what else there is; the others are the kernel.
 */
#include <elf.h>

#include "cli/linux.h"
#include "tests/fuzz/target.h"
#include "tests/pack.h"

#define RAM		(16u << 20)
enum { LONG = 1, INITRD = 2, MODULE = 4, APPEND = 8, KEEP = 16 };	/* the first byte's bits */
enum { AT = 0x400000, TEXT = 0x1000, TEXT_SIZE = 0x100, TABLE = TEXT + TEXT_SIZE + 64,
       ELF_SIZE = TABLE + 24, SETUP = 1024, PAYLOAD = 0x100 };

static struct config cfg = { .kernel = "test", .memory = RAM, .clock_instructions = true };
static struct machine m;
static struct cpu cpu;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char name[] = "kernel", string[] = "module with arguments", why[WHY_SIZE];
	static uint8_t more[5000] = "more";
	struct boot_module module = { { name, more, 100 }, string };
	struct boot b = { .append = "" };
	uint8_t *kernel;

	if (size < 2)
		return 0;
	if (!m.mem.ram) {
		if (machine_create(&m, &cfg))
			fuzz_failed("no machine");
		m.cpu = &cpu;
	}
	kernel = malloc(size - 1);
	if (!kernel)
		return 0;
	memcpy(kernel, data + 1, size - 1);
	machine_reset(&m);
	cfg.kernel_unpack = !(data[0] & KEEP);
	b.kernel = (struct blob){ name, kernel, size - 1 };
	if (data[0] & INITRD)
		b.initrd = (struct blob){ name, more, sizeof(more) };
	if (data[0] & MODULE) {
		b.modules = &module;
		b.nmodules = 1;
	}
	if (data[0] & APPEND)
		b.append = "console=ttyS0 root=/dev/sda1 quiet";
	why[0] = '\0';
	if (boot_load(&b, &m, data[0] & LONG, why) && !*why)
		fuzz_failed("refused, and no word why");
	free(kernel);
	return 0;
}

/* --- Seeds -------------------------------------------------------------------------------- */

static void put(uint8_t *buf, size_t at, uint64_t val, unsigned size)
{
	pack_put(buf + at, val, size, false);
}

/* An ELF file with one segment; in a bzImage, behind it, one list of relocations. */
static size_t make_elf(uint8_t *to, bool wide)
{
	const uint8_t ident[EI_NIDENT] = { 0x7f, 'E', 'L', 'F', wide ? ELFCLASS64 : ELFCLASS32,
					   ELFDATA2LSB, EV_CURRENT };
	uint64_t link = wide ? 0xffffffff80000000ull : 0xc0000000ull, end = TEXT + TEXT_SIZE;

	memset(to, 0, ELF_SIZE);
	if (wide) {
		Elf64_Ehdr eh = { .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_entry = AT + 8,
				  .e_phoff = sizeof(eh), .e_shoff = end, .e_shnum = 1,
				  .e_shentsize = 64, .e_phnum = 1,
				  .e_phentsize = sizeof(Elf64_Phdr) };
		Elf64_Phdr ph = { .p_type = PT_LOAD, .p_offset = TEXT, .p_vaddr = link + AT,
				  .p_paddr = AT, .p_filesz = TEXT_SIZE, .p_memsz = 0x1000 };

		memcpy(to, &eh, sizeof(eh));
		memcpy(to + sizeof(eh), &ph, sizeof(ph));
	} else {
		Elf32_Ehdr eh = { .e_type = ET_EXEC, .e_machine = EM_386, .e_entry = AT + 8,
				  .e_phoff = sizeof(eh), .e_shoff = end, .e_shnum = 1,
				  .e_shentsize = 64, .e_phnum = 1,
				  .e_phentsize = sizeof(Elf32_Phdr) };
		Elf32_Phdr ph = { .p_type = PT_LOAD, .p_offset = TEXT, .p_vaddr = 0xc0000000u + AT,
				  .p_paddr = AT, .p_filesz = TEXT_SIZE, .p_memsz = 0x1000 };

		memcpy(to, &eh, sizeof(eh));
		memcpy(to + sizeof(eh), &ph, sizeof(ph));
	}
	memcpy(to, ident, EI_NIDENT);
	if (wide)
		put(to, TABLE + 4, link + AT + 0x50, 4);
	put(to, TABLE + 12, link + AT + 0x40, 4);
	return TABLE + 16;
}

static size_t make_linux(uint8_t *to, const struct packer *p, bool wide)
{
	static uint8_t elf[ELF_SIZE];
	size_t n = make_elf(elf, wide);

	memset(to, 0, SETUP + PAYLOAD);
	put(to, SETUP_SECTS, 1, 1);
	put(to, BOOT_FLAG, 0xaa55, 2);
	put(to, JUMP, 0x66, 1);
	memcpy(to + MAGIC, "HdrS", 4);
	put(to, VERSION, 0x20f, 2);
	put(to, LOADFLAGS, LOADED_HIGH, 1);
	put(to, XLOADFLAGS, wide ? XLF_KERNEL_64 : 0, 2);
	put(to, INITRD_ADDR_MAX, 0x7fffffff, 4);
	put(to, CMDLINE_SIZE, 255, 4);
	put(to, RELOCATABLE_KERNEL, 1, 1);
	put(to, KERNEL_ALIGNMENT, 2 << 20, 4);
	put(to, PREF_ADDRESS, AT, 8);
	put(to, INIT_SIZE, 1 << 20, 4);
	n = pack(p, elf, n, to + SETUP + PAYLOAD, SEED_MAX - SETUP - PAYLOAD - 1);
	put(to, PAYLOAD_OFFSET, PAYLOAD, 4);
	put(to, PAYLOAD_LENGTH, n, 4);
	memcpy(to + SETUP + 16, "nokaslr", 8);
	return SETUP + PAYLOAD + n;
}

/* Flag 16: the addresses are in the header. */
static size_t make_multiboot(uint8_t *to, uint32_t flags)
{
	memset(to, 0, 256);
	put(to, 0, 0x1badb002, 4);
	put(to, 4, flags, 4);
	put(to, 8, -(0x1badb002u + flags), 4);
	put(to, 12, 0x100000, 4);
	put(to, 16, 0x100000, 4);
	put(to, 28, 0x100020, 4);
	return 256;
}

size_t fuzz_seed(unsigned i, uint8_t *to)
{
	static const uint32_t multiboot[] = { 0x10000, 0x10003, 0x10007 };
	unsigned packed = 2 * ARRAY_LEN(packers), kind = i;

	to[0] = i % 2 ? LONG | INITRD : MODULE | APPEND;
	to++;
	if (kind < packed)
		return 1 + make_linux(to, &packers[kind / 2], kind % 2);
	kind -= packed;
	if (kind < ARRAY_LEN(multiboot))
		return 1 + make_multiboot(to, multiboot[kind]);
	kind -= ARRAY_LEN(multiboot);
	if (kind < 2)
		return 1 + make_elf(to, kind);
	if (kind == 2) {
		size_t n = make_elf(to, false);

		make_multiboot(to + 0x200, 3);
		return 1 + n;
	}
	return 0;
}

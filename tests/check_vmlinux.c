/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packed kernels: small ones of both kinds, made here, are unpacked, moved,
 * relocated and entered as their own decompressor would; those that cannot be are
 * left to unpack themselves; damaged ones are refused and touch nothing outside RAM.
 */
#include <check.h>
#include <elf.h>
#include <stdlib.h>

#include "cli/linux.h"
#include "tests/kernel_image.h"
#include "tests/suite.h"

#define RAM	(64ull << 20)

static struct config cfg;
static struct machine m;
static struct cpu cpu;
static struct boot boot;
static uint8_t elf[KERNEL_ELF_SIZE], image[32 << 10];
static size_t elf_size, npayload;
static char name[] = "test", why[WHY_SIZE];
static bool is64;

static void put(uint8_t *buf, size_t at, uint64_t val, unsigned size)
{
	pack_put(buf + at, val, size, false);
}

static uint64_t link_base(void)
{
	return is64 ? LINK64 : LINK32;
}

static void make_elf(bool wide, unsigned lists)
{
	is64 = wide;
	elf_size = kernel_elf(elf, wide, lists);
}

static void make_image(const struct packer *p, bool kaslr)
{
	npayload = kernel_image(image, sizeof(image), p, elf, elf_size, is64, kaslr);
	boot = (struct boot){ .kernel = { name, image, SETUP + PAYLOAD + npayload }, .append = "" };
}

static void setup(void)
{
	cfg = (struct config){ .kernel = "test", .memory = RAM, .kernel_unpack = true };
	ck_assert_int_eq(machine_create(&m, &cfg), 0);
	m.cpu = &cpu;
	machine_reset(&m);
}

static void teardown(void)
{
	machine_destroy(&m);
}

static int load(bool long_mode)
{
	why[0] = '\0';
	cpu_reset(&cpu);
	return boot_load(&boot, &m, long_mode, why);
}

static void boots(bool long_mode)
{
	ck_assert_msg(load(long_mode) == 0, "%s", why);
}

static void refused(const char *part)
{
	ck_assert_int_lt(load(true), 0);
	ck_assert_msg(strstr(why, part), "'%s' does not say '%s'", why, part);
	ck_assert_ptr_null(strchr(why, '\n'));
}

static uint64_t ram(gpa_t at, unsigned size)
{
	return phys_read(&m.mem, at, size);
}

/* The 4-level walk of an identity map with large pages. */
static gpa_t walk(uint64_t va)
{
	gpa_t table = cpu.cr3;

	for (int level = 3; level > 0; level--) {
		uint64_t e = ram((table & PAGE_MASK) + 8 * (va >> (12 + 9 * level) & 511), 8);

		ck_assert_uint_eq(e & 3, 3);
		if (e & 0x80) {
			ck_assert_int_eq(level, 1);
			return (e & ~0x1fffffull) | (va & 0x1fffff);
		}
		table = e;
	}
	ck_abort_msg("no large page");
}

static void entered(uint64_t at)
{
	ck_assert_uint_eq(cpu.rip, at);
	ck_assert_uint_eq(cpu_eflags(&cpu) & FL_IF, 0);
	ck_assert_uint_eq(cpu.seg[SEG_CS].sel, 0x10);
	ck_assert_uint_eq(cpu.seg[SEG_SS].sel, 0x18);
	ck_assert_uint_eq(ram(cpu.gpr[RSI] + MAGIC, 4), 0x53726448);
	ck_assert_int_eq(cpu_code64(&cpu), is64);
	ck_assert_uint_eq(!!(cpu.cr0 & CR0_PG), is64);
	if (!is64)
		return;
	ck_assert_uint_eq(cpu.cr4 & CR4_PAE, CR4_PAE);
	ck_assert_uint_eq(cpu.efer & (EFER_LME | EFER_LMA), EFER_LME | EFER_LMA);
	ck_assert_uint_eq(walk(at), at);
	ck_assert_uint_eq(walk(cpu.gpr[RSI]), cpu.gpr[RSI]);
	ck_assert_uint_eq(walk(0xfffff123), 0xfffff123);
	/* Long-mode code, SDM 3A 3.4.5: L set and D clear, in the table as well. */
	ck_assert_uint_eq(ram(cpu.gdtr.base + 0x10, 8), 0x00af9b000000ffff);
}

/* The text, moved in memory by phys and relocated by virt. */
static void relocated(uint64_t phys, uint64_t virt, unsigned lists)
{
	uint64_t at = AT + phys, word = link_base() + AT;

	ck_assert_uint_eq(ram(at + KEPT_AT, 8), word + KEPT_AT);
	ck_assert_uint_eq(ram(at + ADD32_AT, 4), (uint32_t)(word + ADD32_AT + (lists ? virt : 0)));
	ck_assert_uint_eq(ram(at + ADD32_AT + 4, 4), (word + ADD32_AT) >> 32);
	ck_assert_uint_eq(ram(at + SUB32_AT, 4), (uint32_t)(word + SUB32_AT - (lists > 2 ? virt : 0)));
	ck_assert_uint_eq(ram(at + ADD64_AT, 8), word + ADD64_AT + (lists > 1 ? virt : 0));
}

START_TEST(every_format)
{
	for (int wide = 0; wide < 2; wide++) {
		make_elf(wide, 0);
		make_image(&packers[_i], false);
		phys_write(&m.mem, AT + BSS - 8, ~0ull, 8);
		boots(wide);
		entered(AT + 8);
		relocated(0, 0, 0);
		ck_assert_uint_eq(ram(AT + BSS - 8, 8), 0);
		ck_assert_uint_eq(ram(cpu.gpr[RSI] + LOADFLAGS, 1) & KASLR_FLAG, 0);
	}
}
END_TEST

static uint64_t virt_seen(uint64_t phys)
{
	return (uint32_t)(ram(AT + phys + ADD32_AT, 4) - link_base() - AT - ADD32_AT);
}

START_TEST(kaslr)
{
	static const struct { bool wide; unsigned lists; } kinds[] = {
		{ false, 1 }, { true, 2 }, { true, 3 },
	};
	bool wide = kinds[_i].wide;
	uint64_t moved_phys = 0, moved_virt = 0;

	make_elf(wide, kinds[_i].lists);
	make_image(&packers[0], true);
	for (unsigned i = 0; i < 40; i++) {
		uint64_t phys, virt;

		boots(wide);
		phys = cpu.rip - 8 - AT;
		virt = virt_seen(phys);
		ck_assert_uint_eq((phys | virt) % (2 << 20), 0);
		ck_assert_uint_le(AT + phys + (1 << 20), RAM);
		ck_assert_uint_le(AT + virt + (1 << 20), 1 << 30);
		if (!wide)
			ck_assert_uint_eq(phys, virt);
		entered(AT + phys + 8);
		relocated(phys, virt, kinds[_i].lists);
		ck_assert_uint_ne(ram(cpu.gpr[RSI] + LOADFLAGS, 1) & KASLR_FLAG, 0);
		moved_phys |= phys;
		moved_virt |= virt;
	}
	/* Once in 29^40 runs neither would be. */
	ck_assert_uint_ne(moved_phys, 0);
	ck_assert_uint_ne(moved_virt, 0);
}
END_TEST

static void stays(void)
{
	for (unsigned i = 0; i < 10; i++) {
		boots(true);
		entered(AT + 8);
		relocated(0, 0, 3);
		ck_assert_uint_eq(ram(cpu.gpr[RSI] + LOADFLAGS, 1) & KASLR_FLAG, 0);
	}
}

START_TEST(kaslr_only_where_asked_for)
{
	make_elf(true, 3);
	make_image(&packers[0], true);
	boot.append = "quiet nokaslr";
	stays();
	make_image(&packers[0], false);
	stays();
	make_image(&packers[0], true);
	put(image, RELOCATABLE_KERNEL, 0, 1);
	stays();
	make_image(&packers[0], true);
	put(image, KERNEL_ALIGNMENT, 0x300000, 4);
	stays();
	make_elf(true, 0);
	make_image(&packers[0], true);
	boots(true);
	entered(AT + 8);
	/* Another word. */
	make_elf(true, 3);
	make_image(&packers[0], true);
	boot.append = "xnokaslr nokaslr=1";
	boots(true);
	ck_assert_uint_ne(ram(cpu.gpr[RSI] + LOADFLAGS, 1) & KASLR_FLAG, 0);
}
END_TEST

START_TEST(kaslr_is_repeatable)
{
	uint64_t phys, virt;

	cfg.clock_instructions = true;
	make_elf(true, 3);
	make_image(&packers[0], true);
	boots(true);
	phys = cpu.rip - 8 - AT;
	virt = virt_seen(phys);
	ck_assert_uint_ne(phys | virt, 0);
	for (unsigned i = 0; i < 10; i++) {
		boots(true);
		ck_assert_uint_eq(cpu.rip - 8 - AT, phys);
		ck_assert_uint_eq(virt_seen(phys), virt);
	}
}
END_TEST

START_TEST(kaslr_leaves_the_initrd_alone)
{
	static uint8_t data[40 << 20];

	memset(data, 0x5a, sizeof(data));
	make_elf(false, 1);
	make_image(&packers[0], true);
	boot.initrd = (struct blob){ name, data, sizeof(data) };
	for (unsigned i = 0; i < 20; i++) {
		uint64_t at;

		boots(false);
		at = ram(cpu.gpr[RSI] + RAMDISK_IMAGE, 4);
		ck_assert_uint_eq(at, RAM - sizeof(data));
		ck_assert_uint_le(cpu.rip - 8 + (1 << 20), at);
		ck_assert_int_eq(memcmp(memory_hva(&m.mem, at), data, sizeof(data)), 0);
	}
}
END_TEST

static void own_way(void)
{
	boots(true);
	ck_assert_uint_eq(cpu.rip, 0x100000);
	ck_assert_uint_eq(cpu.cr0 & CR0_PG, 0);
	ck_assert_int_eq(memcmp(memory_hva(&m.mem, 0x100000), image + SETUP, PAYLOAD + npayload), 0);
}

START_TEST(own_decompressor)
{
	make_elf(true, 3);
	make_image(&packers[0], true);
	cfg.kernel_unpack = false;
	own_way();
	cfg.kernel_unpack = true;
	/* An unknown format; no ELF file; a protocol that does not say. */
	memcpy(image + SETUP + PAYLOAD, "????", 4);
	own_way();
	memcpy(elf, "XELF", 4);
	make_image(&packers[0], true);
	own_way();
	make_elf(true, 3);
	make_image(&packers[0], true);
	put(image, VERSION, 0x207, 2);
	own_way();
	put(image, VERSION, 0x20f, 2);
	put(image, PAYLOAD_LENGTH, 0, 4);
	own_way();
}
END_TEST

START_TEST(damaged_payloads)
{
	make_elf(true, 3);
	make_image(&packers[0], true);
	boot.kernel.size--;
	refused("truncated");
	boot.kernel.size = SETUP + PAYLOAD;
	refused("truncated");
	boot.kernel.size = SETUP + 1;
	refused("truncated");
	cfg.kernel_unpack = false;
	refused("truncated");
	cfg.kernel_unpack = true;
	make_image(&packers[0], true);
	put(image, PAYLOAD_OFFSET, 0xfffffff0, 4);
	refused("truncated");
	for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
		if (!packers[i].checked)
			continue;
		make_image(&packers[i], true);
		image[SETUP + PAYLOAD + npayload / 2] ^= 0x10;
		refused("damaged");
		make_image(&packers[i], true);
		put(image, SETUP + PAYLOAD + npayload - 4, 0x7fffffff, 4);
		refused("--memory");
		make_image(&packers[i], true);
		put(image, SETUP + PAYLOAD + npayload - 4, elf_size + 1, 4);
		refused(packers[i].name);
		/* The stream stops early, but the file does not. */
		make_image(&packers[i], true);
		put(image, SETUP + PAYLOAD + npayload - 8, elf_size, 4);
		put(image, PAYLOAD_LENGTH, npayload - (packers[i].tail ? 4 : 12), 4);
		if (packers[i].tail)
			refused("truncated");
	}
}
END_TEST

#define EH64(field)	offsetof(Elf64_Ehdr, field)
#define PH64(field)	(sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, field))

static void refuses(size_t at, uint64_t val, unsigned size, const char *part)
{
	make_elf(true, 3);
	put(elf, at, val, size);
	make_image(&packers[ARRAY_LEN(packers) - 1], true);
	cfg.clock_instructions = true;		/* moved, so relocated */
	refused(part);
}

START_TEST(damaged_kernels)
{
	refuses(EH64(e_machine), EM_386, 2, "no x86 kernel");
	refuses(EH64(e_type), ET_DYN, 2, "no x86 kernel");
	refuses(EH64(e_phnum), 0xffff, 2, "no program headers");
	refuses(EH64(e_phoff), ~0ull, 8, "no program headers");
	refuses(EH64(e_phentsize), 8, 2, "no program headers");
	refuses(EH64(e_entry), 0x1234, 8, "entry point");
	refuses(PH64(p_type), PT_NOTE, 4, "entry point");
	refuses(PH64(p_offset), 0x10000, 8, "no sense");
	refuses(PH64(p_filesz), BSS + 1, 8, "no sense");
	refuses(PH64(p_memsz), 1ull << 40, 8, "no sense");
	refuses(PH64(p_paddr), 1ull << 60, 8, "no sense");
	refuses(PH64(p_memsz), 80 << 20, 8, "guest memory");
	refuses(TABLE + 4, LINK64 + AT - 4, 4, "outside of the kernel");
	refuses(TABLE + 4, LINK64 + AT + BSS - 4, 4, "outside of the kernel");
	refuses(TABLE + 12, 0x1000, 4, "outside of the kernel");
	refuses(TABLE + 4, 0, 4, "relocations make no sense");
	make_elf(true, 1);
	make_image(&packers[0], true);
	refused("relocations make no sense");
	make_elf(false, 2);
	make_image(&packers[0], true);
	refused("relocations make no sense");
}
END_TEST

START_TEST(needs_long_mode)
{
	make_elf(true, 3);
	make_image(&packers[0], true);
	ck_assert_int_lt(load(false), 0);
	ck_assert(strstr(why, "64-bit CPU model"));
	/* A protocol that is too old to say so. */
	put(image, VERSION, 0x20a, 2);
	ck_assert_int_lt(load(false), 0);
	ck_assert(strstr(why, "64-bit CPU model"));
	boots(true);
}
END_TEST

START_TEST(damaged_at_random)
{
	uint32_t x = 88172645u;
	unsigned loaded = 0;

	for (unsigned i = 0; i < 20000; i++) {
		uint8_t *copy;

		make_elf(i & 1, i & 2 ? 0 : i & 1 ? 3 : 1);
		for (unsigned n = i % 3; n; n--) {
			x = x * 1664525u + 1013904223u;
			put(elf, x >> 8 & 1 ? (x >> 16) % 128 : TABLE + (x >> 16) % 32,
			    x >> 9 & 1 ? x >> 12 : -1ull << (x >> 12) % 32, 1u << (x >> 10) % 4);
		}
		make_image(&packers[ARRAY_LEN(packers) - 1], i & 4);
		copy = malloc(boot.kernel.size);
		memcpy(copy, image, boot.kernel.size);
		boot.kernel.data = copy;
		if (load(true) == 0)
			loaded++;
		else
			ck_assert(why[0]);
		free(copy);
	}
	ck_assert_uint_gt(loaded, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		kaslr_only_where_asked_for, kaslr_is_repeatable, kaslr_leaves_the_initrd_alone,
		own_decompressor, damaged_payloads, damaged_kernels, needs_long_mode,
		damaged_at_random,
	};
	Suite *s = suite_create("vmlinux");
	TCase *tc = tcase_create("vmlinux");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, every_format, 0, ARRAY_LEN(packers));
	tcase_add_loop_test(tc, kaslr, 0, 3);
	for (size_t i = 0; i < ARRAY_LEN(tests); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	return suite_run(s);
}

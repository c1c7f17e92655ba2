/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loaders: small images of each format land where they should; damaged ones
 * of every kind are refused or loaded, but never touch anything outside RAM (the
 * sanitizer build watches).
 */
#include <check.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "cli/load.h"
#include "tests/suite.h"

#define RAM	(8ull << 20)

static struct config cfg = { .kernel = "test", .memory = RAM };
static struct machine m;
static struct cpu cpu;
static struct boot boot;
static uint8_t image[32 << 10];
static char name[] = "test", why[WHY_SIZE];

static void setup(void)
{
	ck_assert_int_eq(machine_create(&m, &cfg), 0);
	m.cpu = &cpu;
	machine_reset(&m);
	memset(image, 0, sizeof(image));
	boot = (struct boot){ .kernel = { name, image, sizeof(image) }, .append = "" };
}

static void teardown(void)
{
	machine_destroy(&m);
}

static void u16(size_t at, unsigned val) { put_le(image + at, val, 2); }
static void u32(size_t at, uint32_t val) { put_le(image + at, val, 4); }

static uint32_t ram32(gpa_t at)
{
	return (uint32_t)phys_read(&m.mem, at, 4);
}

static void ram_is(gpa_t at, const char *text)
{
	char buf[128];

	ck_assert(phys_read_bulk(&m.mem, at, buf, strlen(text) + 1));
	ck_assert_str_eq(buf, text);
}

static int load(bool long_mode)
{
	why[0] = '\0';
	return boot_load(&boot, &m, long_mode, why);
}

static void refused(const char *part)
{
	ck_assert_int_lt(load(false), 0);
	ck_assert_msg(strstr(why, part), "'%s' does not say '%s'", why, part);
	ck_assert_ptr_null(strchr(why, '\n'));
}

static void flat(uint32_t entry)
{
	ck_assert_uint_eq(cpu.rip, entry);
	ck_assert_uint_eq(cpu.cr0 & (CR0_PE | CR0_PG), CR0_PE);
	ck_assert_uint_eq(cpu_eflags(&cpu) & (FL_IF | FL_VM), 0);
	ck_assert_uint_eq(cpu.seg[SEG_CS].limit, UINT32_MAX);
	ck_assert(cpu.seg[SEG_CS].attr & SEG_CODE);
	ck_assert(cpu.seg[SEG_SS].attr & SEG_W);
	/* The table in memory says the same as the hidden part. */
	ck_assert_uint_eq(ram32(cpu.gdtr.base + cpu.seg[SEG_CS].sel), 0xffff);
	ck_assert_uint_eq(ram32(cpu.gdtr.base + cpu.seg[SEG_CS].sel + 4), 0xcf9b00);
	ck_assert_uint_eq(ram32(cpu.gdtr.base + cpu.seg[SEG_DS].sel + 4), 0xcf9300);
}

/* --- Linux ----------------------------------------------------------------------- */

static void make_linux(void)
{
	image[0x1f1] = 1;
	u16(0x1fe, 0xaa55);
	image[0x201] = 0x66;
	memcpy(image + 0x202, "HdrS", 4);
	u16(0x206, 0x20f);
	image[0x211] = 1;
	u32(0x22c, 0x7fffffff);
	u32(0x238, 2047);
	u32(0x258, 0x200000);
	u32(0x260, 0x100000);
	u32(0x400, 0x12345678);
}

START_TEST(linux_boots)
{
	static uint8_t initrd[] = "initrd";

	make_linux();
	boot.append = "console=ttyS0";
	boot.initrd = (struct blob){ name, initrd, sizeof(initrd) };
	ck_assert_int_eq(load(false), 0);
	flat(0x100000);
	ck_assert_uint_eq(cpu.seg[SEG_CS].sel, 0x10);
	ck_assert_uint_eq(cpu.seg[SEG_DS].sel, 0x18);
	ck_assert_uint_eq(ram32(0x100000), 0x12345678);
	ck_assert_uint_eq(cpu.gpr[RBP] | cpu.gpr[RDI] | cpu.gpr[RBX], 0);

	gpa_t zp = cpu.gpr[RSI];

	ck_assert_uint_eq(phys_read(&m.mem, zp + 0x210, 1), 0xff);
	ram_is(ram32(zp + 0x228), "console=ttyS0");
	ram_is(ram32(zp + 0x218), "initrd");
	ck_assert_uint_eq(ram32(zp + 0x218), RAM - 4096);
	ck_assert_uint_eq(ram32(zp + 0x21c), sizeof(initrd));
	ck_assert_uint_eq(phys_read(&m.mem, zp + 0x1e8, 1), 4);
	ck_assert_uint_eq(ram32(zp + 0x2d0 + 3 * 20), 0x100000);
	ck_assert_uint_eq(ram32(zp + 0x2d0 + 3 * 20 + 8), RAM - 0x100000);
}
END_TEST

START_TEST(linux_initrd_below_its_limit)
{
	static uint8_t initrd[5000] = "x";

	make_linux();
	u32(0x22c, 0x37ffff);
	boot.initrd = (struct blob){ name, initrd, sizeof(initrd) };
	ck_assert_int_eq(load(false), 0);
	ck_assert_uint_eq(ram32(cpu.gpr[RSI] + 0x218), 0x380000 - 8192);
	u32(0x22c, 0x300fff);
	refused("do not fit between");
}
END_TEST

START_TEST(linux_refuses)
{
	static char longline[4096];

	make_linux();
	u16(0x206, 0x201);
	refused("older than 2.02");
	make_linux();
	image[0x211] = 0;
	refused("zImage");
	make_linux();
	u32(0x260, 0x800000);
	refused("MiB of guest memory");
	make_linux();
	u32(0x260, 0xffffffff);
	refused("MiB of guest memory");
	make_linux();
	image[0x1f1] = 0xff;
	refused("truncated");
	make_linux();
	u32(0x1f4, (sizeof(image) - 1024) / 16 + 1);
	refused("truncated");
	make_linux();
	u32(0x1f4, (sizeof(image) - 1024) / 16);
	ck_assert_int_eq(load(false), 0);
	make_linux();
	image[0x236] = 1;
	u32(0x260, 0x100000);
	image[0x1f1] = 1;
	refused("64-bit CPU");
	ck_assert_int_eq(load(true), 0);
	memset(longline, 'x', 2048);
	boot.append = longline;
	ck_assert_int_lt(load(true), 0);
	ck_assert(strstr(why, "--append"));
}
END_TEST

/* --- Multiboot ------------------------------------------------------------------- */

static void make_multiboot(size_t at, uint32_t flags)
{
	u32(at, 0x1badb002);
	u32(at + 4, flags);
	u32(at + 8, -(0x1badb002 + flags));
}

static void make_kludge(size_t at)
{
	make_multiboot(at, 0x10003);
	u32(at + 12, 0x200000 + (uint32_t)at);
	u32(at + 16, 0x200000);
	u32(at + 20, 0x201000);
	u32(at + 24, 0x202000);
	u32(at + 28, 0x200020);
}

START_TEST(multiboot_boots)
{
	static uint8_t data[] = "module";
	static char string[] = "first one";
	struct boot_module mod = { { name, data, sizeof(data) }, string };

	make_kludge(0x40);
	u32(0x20, 0xfeedface);
	boot.append = "a b";
	boot.modules = &mod;
	boot.nmodules = 1;
	phys_write(&m.mem, 0x201ffc, ~0u, 4);
	ck_assert_int_eq(load(false), 0);
	flat(0x200020);
	ck_assert_uint_eq(ram32(0x200020), 0xfeedface);
	ck_assert_uint_eq(ram32(0x201ffc), 0);
	ck_assert_uint_eq(cpu.gpr[RAX], 0x2badb002);

	gpa_t info = cpu.gpr[RBX], mods = ram32(info + 24), map = ram32(info + 48);

	ck_assert_uint_eq(ram32(info), 1 | 4 | 8 | 64 | 512);
	ck_assert_uint_eq(ram32(info + 4), 639);
	ck_assert_uint_eq(ram32(info + 8), (RAM >> 10) - 1024);
	ram_is(ram32(info + 16), "test a b");
	ck_assert_uint_eq(ram32(info + 20), 1);
	ck_assert_uint_eq(ram32(mods) & 0xfff, 0);
	ck_assert_uint_ge(ram32(mods), 0x202000);
	ram_is(ram32(mods), "module");
	ck_assert_uint_eq(ram32(mods + 4) - ram32(mods), sizeof(data));
	ram_is(ram32(mods + 8), "first one");
	ck_assert_uint_eq(ram32(info + 44), 4 * 24);
	ck_assert_uint_eq(ram32(map), 20);
	ck_assert_uint_eq(ram32(map + 3 * 24 + 4), 0x100000);
}
END_TEST

START_TEST(multiboot_refuses)
{
	make_kludge(0x40);
	make_multiboot(0x40, 0x10013);
	refused("features 0x10");
	make_kludge(0x40);
	u32(0x40 + 16, 0x300000);
	refused("make no sense");
	make_kludge(0x40);
	u32(0x40 + 20, 0x240000);
	refused("truncated");
	make_kludge(0x40);
	u32(0x40 + 24, 0xfffff000);
	refused("outside of guest RAM");
	make_kludge(0x40);
	u32(0x40 + 28, 0x1fffff);
	refused("entry point");
	make_multiboot(0x40, 3);
	refused("not for 32-bit x86");
}
END_TEST

START_TEST(multiboot_header_is_searched_in_8_kib)
{
	make_kludge(8192 - 32);
	u32(8192 - 32 + 20, 0x203000);
	ck_assert_int_eq(load(false), 0);
	memset(image, 0, sizeof(image));
	make_kludge(8192);
	refused("neither");
}
END_TEST

/* --- ELF --------------------------------------------------------------------------- */

static void make_elf(void)
{
	Elf32_Ehdr eh = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC, .e_machine = EM_386, .e_version = EV_CURRENT,
		.e_entry = 0xc0100010, .e_phoff = sizeof(eh), .e_ehsize = sizeof(eh),
		.e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 2,
	};
	Elf32_Phdr ph[2] = {
		{ .p_type = PT_LOAD, .p_offset = 0x1000, .p_vaddr = 0xc0100000, .p_paddr = 0x100000,
		  .p_filesz = 0x20, .p_memsz = 0x1000 },
		{ .p_type = PT_NOTE, .p_offset = 0xffffff00, .p_filesz = 0x7fffffff },
	};

	memcpy(image, &eh, sizeof(eh));
	memcpy(image + sizeof(eh), ph, sizeof(ph));
	u32(0x1010, 0xfeedface);
}

#define PH(field)	(sizeof(Elf32_Ehdr) + offsetof(Elf32_Phdr, field))

START_TEST(elf_boots)
{
	make_elf();
	ck_assert_int_eq(load(false), 0);
	flat(0x100010);
	ck_assert_uint_eq(ram32(0x100010), 0xfeedface);
	/* Started low by a physical entry point. */
	make_elf();
	u32(offsetof(Elf32_Ehdr, e_entry), 0x100014);
	ck_assert_int_eq(load(false), 0);
	flat(0x100014);
	/* The same file with a Multiboot header. */
	make_elf();
	make_multiboot(0x800, 3);
	ck_assert_int_eq(load(false), 0);
	flat(0x100010);
	ck_assert_uint_eq(cpu.gpr[RAX], 0x2badb002);
}
END_TEST

START_TEST(elf_refuses)
{
	make_elf();
	u16(offsetof(Elf32_Ehdr, e_machine), EM_ARM);
	refused("for ARM");
	make_elf();
	u16(offsetof(Elf32_Ehdr, e_machine), EM_X86_64);
	image[EI_CLASS] = ELFCLASS64;
	refused("64-bit ELF");
	make_elf();
	u16(offsetof(Elf32_Ehdr, e_type), ET_REL);
	refused("not an executable");
	make_elf();
	u16(offsetof(Elf32_Ehdr, e_phnum), 0xffff);
	refused("truncated");
	make_elf();
	u32(offsetof(Elf32_Ehdr, e_phoff), 0xfffffff0);
	refused("truncated");
	make_elf();
	u32(PH(p_offset), 0xfffffff0);
	refused("truncated");
	make_elf();
	u32(PH(p_filesz), 0x2000);
	refused("larger in the file");
	make_elf();
	u32(PH(p_paddr), 0xfffff800);
	refused("outside of guest RAM");
	make_elf();
	u32(PH(p_paddr), 0x9f800);
	refused("outside of guest RAM");
	make_elf();
	u32(PH(p_memsz), 0xffffffff);
	refused("outside of guest RAM");
	make_elf();
	u32(offsetof(Elf32_Ehdr, e_entry), 0x90000000);
	refused("entry point");
	make_elf();
	boot.kernel.size = 40;
	refused("truncated");
}
END_TEST

/* --- Damage ------------------------------------------------------------------------- */

static uint32_t noise(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

/* Headers are where damage matters; extreme values are what overflows. */
static void damage(size_t size)
{
	static const uint32_t extremes[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffff000 };

	for (unsigned n = noise() % 4 + 1; n; n--) {
		size_t at = noise() % (noise() & 1 ? 0x60 : 0x280);

		switch (noise() % 3) {
		case 0: image[at] = (uint8_t)noise(); break;
		case 1: u32(at, extremes[noise() % ARRAY_LEN(extremes)]); break;
		default: u32(at, noise() >> noise() % 32);
		}
	}
	boot.kernel.size = noise() & 3 ? size : noise() % (size + 1);
}

START_TEST(damaged_images)
{
	static uint8_t data[6000];
	static char string[] = "m";
	struct boot_module mod = { { name, data, sizeof(data) }, string };
	unsigned loaded = 0;

	for (unsigned i = 0; i < 20000; i++) {
		uint8_t *copy;

		memset(image, 0, 0x2000);
		switch (i % 4) {
		case 0: make_linux(); break;
		case 1: make_kludge(0); break;
		case 2: make_elf(); break;
		default: make_elf(); make_multiboot(0x70, 3); break;
		}
		boot.modules = i % 4 == 1 || i % 4 == 3 ? &mod : NULL;
		boot.nmodules = boot.modules != NULL;
		boot.initrd = i & 8 ? mod.file : (struct blob){ 0 };
		damage(0x2000);
		/* An allocation of exactly this size, so that overreading is seen. */
		copy = malloc(boot.kernel.size + !boot.kernel.size);
		memcpy(copy, image, boot.kernel.size);
		boot.kernel.data = copy;
		if (load(i & 16) == 0) {
			loaded++;
			ck_assert_uint_lt(cpu.rip, m.mem.low_size);
		} else {
			ck_assert(why[0]);
		}
		free(copy);
	}
	ck_assert_uint_gt(loaded, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		linux_boots, linux_initrd_below_its_limit, linux_refuses, multiboot_boots,
		multiboot_refuses, multiboot_header_is_searched_in_8_kib, elf_boots, elf_refuses,
		damaged_images,
	};
	Suite *s = suite_create("load");
	TCase *tc = tcase_create("load");

	tcase_add_checked_fixture(tc, setup, teardown);
	for (size_t i = 0; i < ARRAY_LEN(tests); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	return suite_run(s);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel files: bzImage, packed and not, Multiboot, ELF (cli/load*.c and what they use). The first
 * byte says what else there is; the others are the kernel.
 */
#include "cli/linux.h"
#include "tests/fuzz/target.h"
#include "tests/kernel_image.h"

#define RAM		(16u << 20)
enum { LONG = 1, INITRD = 2, MODULE = 4, APPEND = 8, KEEP = 16 };	/* the first byte's bits */

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

/* Of two lists of relocations, or of one. */
static size_t make_elf(uint8_t *to, bool wide)
{
	return kernel_elf(to, wide, wide ? 2 : 1);
}

static size_t make_linux(uint8_t *to, const struct packer *p, bool wide)
{
	static uint8_t elf[KERNEL_ELF_SIZE];

	return SETUP + PAYLOAD + kernel_image(to, SEED_MAX - 1, p, elf, make_elf(elf, wide), wide, true);
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

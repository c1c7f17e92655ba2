/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dev/drive.h"
#include "dev/net.h"
#include "dev/pci.h"
#include "dev/table.h"
#include "machine/legacy.h"
#include "machine/snapshot.h"
#include "tests/fuzz/deeds.h"

#define RAM		(4u << 20)
#define IMAGE		(1u << 20)
#define FLOPPY		(1440u << 10)
#define BIOS		(128u << 10)
#define STDERR_PORT	0xe9		/* would write to our standard error */

static struct machine m;
static struct cpu cpu;
static struct config config;
static uint8_t bios[BIOS];
static int64_t ns;
static int disk_file = -1, floppy_file = -1;
static const char *deed = "";

/* --- Where decisions come from --------------------------------------------------------- */

static uint64_t state;
static const uint8_t *bytes;		/* or NULL: the generator */
static size_t nbytes;

void deeds_seed(uint64_t seed)
{
	bytes = NULL;
	state = seed * 0x9e3779b97f4a7c15ull + 1;
}

void deeds_bytes(const uint8_t *p, size_t n)
{
	bytes = p;
	nbytes = n;
}

size_t deeds_left(void)
{
	return nbytes;
}

/* After the last one come zeros. */
static uint32_t next(unsigned n)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < n && nbytes; i++, nbytes--)
		v |= (uint32_t)*bytes++ << 8 * i;
	return v;
}

static uint64_t rnd(void)
{
	if (bytes) {
		uint64_t v = next(4);

		return v | v << 32;
	}
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

unsigned deeds_below(unsigned n)
{
	if (bytes)
		return next(n <= 256 ? 1 : n <= 65536 ? 2 : 4) % n;
	return (unsigned)(rnd() >> 20) % n;
}
#define below(n) deeds_below(n)
#define value	 deeds_value
#define address	 deeds_address

/* Small numbers, single bits and ends are where mistakes live. */
uint32_t deeds_value(void)
{
	switch (below(5)) {
	case 0: return below(16);
	case 1: return 1u << below(32);
	case 2: return ~0u << below(32);
	default: return (uint32_t)rnd();
	}
}

/* RAM, its end, the area below 1 MiB, what PCI has, the end of 4 GiB, anything. */
uint64_t deeds_address(void)
{
	switch (below(8)) {
	case 6: return (below(2) ? 0xfee00000u : 0xfec00000u) + below(PAGE_SIZE);
	case 0: return below(RAM);
	case 1: return RAM - 64 + below(128);
	case 2: return 0xa0000 + below(0x60000);
	case 3: return 0xe0000000u + below(1 << 25);
	case 4: return 0xffffffffu - below(BIOS + 4096);
	case 5: return rnd() >> below(64);
	default: return below(64) * PAGE_SIZE;
	}
}

/* --- Ports ----------------------------------------------------------------------- */

static uint16_t port(void)
{
	static const struct { uint16_t first, count; } places[] = {
		{ 0x00, 0x100 }, { 0x170, 8 }, { 0x1f0, 8 }, { 0x376, 2 }, { 0x3b0, 0x30 },
		{ 0x3f0, 16 }, { 0x402, 1 }, { 0x480, 16 }, { 0x4d0, 2 }, { 0x510, 12 }, { 0x600, 64 },
		{ 0xaf00, 256 },
		{ 0xcf8, 8 }, { 0xc000, 32 }, { 0x1ce, 4 }, { NIC_PORTS, 32 }, { BLK_PORTS, 32 },
	};
	unsigned i = below(ARRAY_LEN(places) + 1);

	return i == ARRAY_LEN(places) ? (uint16_t)rnd() :
		(uint16_t)(places[i].first + below(places[i].count));
}

void deeds_access(uint16_t at)
{
	unsigned size = 1u << below(3);

	if (at <= STDERR_PORT && at + size > STDERR_PORT)
		return;
	if (below(2))
		bus_in(m.bus, at, size);
	else
		bus_out(m.bus, at, value(), size);
}

static void any_port(void)
{
	deeds_access(port());
}

/* A byte register many times over, as a string instruction does. */
static void same_port(void)
{
	uint16_t at = port();

	for (unsigned i = below(600); i; i--)
		deeds_access(at);
}

static void any_memory(void)
{
	uint64_t at = address();
	unsigned size = 1 + below(8);

	if ((at & ~PAGE_MASK) + size > PAGE_SIZE)
		return;
	if (below(2))
		phys_read(&m.mem, at, size);
	else
		phys_write(&m.mem, at, rnd(), size);
}

/* --- Plausible deeds ------------------------------------------------------------- */

static void configuration(void)
{
	static const uint8_t functions[] = { 0x00, 0x08, 0x09, 0x0b, 0x10, 0x18, 0x20 };
	static const uint8_t regs[] = { 0x04, 0x10, 0x14, 0x18, 0x20, 0x30, 0x3c, 0x40, 0x44, 0x58,
					0x5c, 0x60, 0x70, 0x80, 0x90 };
	uint32_t f = (uint32_t)functions[below(ARRAY_LEN(functions))] << 8;
	uint32_t reg = below(2) ? regs[below(ARRAY_LEN(regs))] : below(256) & 0xfc;

	bus_out(m.bus, 0xcf8, 0x80000000u | f | reg, 4);
	deeds_access((uint16_t)(0xcfc + below(4)));
	if (!below(3)) {		/* and mostly back in order */
		deeds_place();
		bus_out(m.bus, 0xcf8, 0x80000904, 4);
		bus_out(m.bus, 0xcfc, 5, 2);
		bus_out(m.bus, 0xcf8, 0x80000920, 4);
		bus_out(m.bus, 0xcfc, 0xc000, 4);
		bus_out(m.bus, 0xcf8, 0x80000940, 4);
		bus_out(m.bus, 0xcfc, 0x80008000, 4);
		bus_out(m.bus, 0xcf8, 0x80000b40, 4);
		bus_out(m.bus, 0xcfc, 0x600, 4);
	}
}

static void firmware_dma(void)
{
	uint8_t d[16];
	uint64_t at = below(4) ? below(RAM / 2) : address(), to = address();
	uint32_t n = below(4) ? below(5000) : value();

	memset(d, 0, sizeof(d));
	d[1] = (uint8_t)(below(3) ? below(0x28) : value());
	d[3] = (uint8_t)(below(3) ? 0x0a : value());
	for (unsigned i = 0; i < 4; i++)
		d[4 + i] = (uint8_t)(n >> (24 - 8 * i));
	for (unsigned i = 0; i < 8; i++)
		d[8 + i] = (uint8_t)(to >> (56 - 8 * i));
	phys_write_bulk(&m.mem, at, d, sizeof(d));
	bus_out(m.bus, 0x514, __builtin_bswap32((uint32_t)(at >> 32)), 4);
	bus_out(m.bus, 0x518, __builtin_bswap32((uint32_t)at), 4);
}

static void shadowing(void)
{
	bus_out(m.bus, 0xcf8, 0x80000000u | (0x58 + 4 * below(2)), 4);
	bus_out(m.bus, (uint16_t)(0xcfc + below(4)), value(), 1);
	bus_out(m.bus, 0xcf8, 0x80000070u, 4);
	if (!below(4))
		bus_out(m.bus, 0xcfe, value(), 1);
}

/* What is done outside: another medium, or none, and the power button. */
static void user(void)
{
	struct drive *d = drive_find(&m, below(2) ? "cdrom" : "floppy");
	struct config_disk c = { .file = "/nowhere" };
	char path[64], why[512];

	switch (below(4)) {
	case 0:
		m.power_button(m.power_button_self);
		break;
	case 1:
		drive_eject(d, below(2));
		break;
	default:
		snprintf(path, sizeof(path), "/proc/self/fd/%d", d->cd && below(4) ? disk_file : floppy_file);
		if (below(8))
			c = (struct config_disk){ .file = path, .readonly = d->cd, .snapshot = !d->cd };
		drive_load(d, &c, below(2), why);
	}
}

/* Registers of the two APICs, and what the processor does to its own. */
static void apic(void)
{
	static const uint16_t regs[] = { 0x20, 0x80, 0xb0, 0xd0, 0xe0, 0xf0, 0x280, 0x300, 0x310, 0x320,
					 0x350, 0x360, 0x370, 0x380, 0x390, 0x3e0 };
	unsigned reg = below(2) ? regs[below(ARRAY_LEN(regs))] : below(256) << 4;

	switch (below(8)) {
	case 0:
		cpu.cr8 = below(16);
		irq_tpr_written(&m);
		break;
	case 1:
		if (below(4))
			break;
		cpu.msr_apic_base = below(2) ? 0xfee00900 : rnd() >> below(64) & 0xfffffff900;
		irq_apic_base_written(&m);
		break;
	case 2: case 3:
		phys_write(&m.mem, 0xfec00000, 0x10 + below(48), 4);
		phys_write(&m.mem, 0xfec00010, value() & (below(2) ? ~0u : 0xffff98ff), 4);
		break;
	case 4:
		phys_read(&m.mem, 0xfee00000u + reg, 4);
		break;
	default:
		phys_write(&m.mem, 0xfee00000u + reg, below(2) ? value() : value() & 0x1f8ff, 4);
		if (!below(4))
			phys_write(&m.mem, 0xfee000f0, 0x1ff, 4);
	}
}

/* --- Rarer ones ------------------------------------------------------------------ */

static void pass_time(void)
{
	ns += (int64_t)(rnd() >> (24 + below(40)));
	clock_run(&m.clock);
	for (unsigned i = 0; i < 4 && m.intr; i++)
		irq_acknowledge(&m);
}

static void save_and_restore(void)
{
	struct state s;

	state_init(&s);
	machine_save(&m, &s);
	if (below(2))
		s.buf[(rnd() >> 8) % s.len] ^= (uint8_t)rnd();
	if (below(4) == 0)
		s.len = (rnd() >> 8) % s.len;
	if (machine_restore(&m, &s))
		machine_reset(&m);	/* as whoever restores must */
	state_free(&s);
}

/* --- Which, and how often -------------------------------------------------------------- */

static const struct deed {
	const char *name;
	unsigned weight[DEEDS_KINDS];
	void (*run)(void);
} deeds[] = {
	{ "port", { 30, 0 }, any_port }, { "same port", { 2, 0 }, same_port },
	{ "memory", { 20, 0 }, any_memory }, { "configuration", { 8, 1 }, configuration },
	{ "ata", { 12, 12 }, deed_ata }, { "packet", { 8, 8 }, deed_packet }, { "data", { 8, 8 }, deed_data },
	{ "bus master", { 10, 10 }, deed_bus_master }, { "fw_cfg", { 4, 0 }, firmware_dma },
	{ "floppy", { 6, 8 }, deed_floppy }, { "drive's port", { 0, 8 }, deed_drive_port },
	{ "user", { 1, 1 }, user },
	{ "frames", { 3, 0 }, deed_frames }, { "ne2000", { 6, 0 }, deed_ne2000 },
	{ "virtio", { 3, 1 }, deed_virtio }, { "queue", { 12, 6 }, deed_queue },
	{ "shadowing", { 4, 0 }, shadowing }, { "apic", { 10, 0 }, apic }, { "time", { 6, 1 }, pass_time },
};

void deeds_do(enum deeds_kind kind)
{
	unsigned total = 0, at, i = 0;

	for (unsigned k = 0; k < ARRAY_LEN(deeds); k++)
		total += deeds[k].weight[kind];
	at = below(total);
	while (at >= deeds[i].weight[kind])
		at -= deeds[i++].weight[kind];
	deed = deeds[i].name;
	deeds[i].run();
	deed = "snapshot";
	if (!bytes && !below(500))
		save_and_restore();
	if (m.power != POWER_ON && !below(4))
		machine_reset(&m);
	m.power = POWER_ON;
	deed = "the end";
}

const char *deeds_name(void)
{
	return deed;
}

/* --- A machine ------------------------------------------------------------------- */

static int image(size_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	uint8_t page[4096];

	for (size_t off = 0; off < size; off += sizeof(page)) {
		memset(page, (int)(off >> 12) + 1, sizeof(page));
		if (write(fd, page, sizeof(page)) != (ssize_t)sizeof(page))
			return -1;
	}
	return fd;
}

static bool image_unchanged(int fd, size_t size)
{
	uint8_t page[4096];

	for (size_t off = 0; off < size; off += sizeof(page)) {
		if (pread(fd, page, sizeof(page), (off_t)off) != (ssize_t)sizeof(page))
			return false;
		for (unsigned i = 0; i < sizeof(page); i++)
			if (page[i] != (uint8_t)((off >> 12) + 1))
				return false;
	}
	return lseek(fd, 0, SEEK_END) == (off_t)size;
}

static struct disk *drive(int fd, bool readonly)
{
	char path[64], why[512];
	struct config_disk c = { .file = path, .readonly = readonly, .snapshot = !readonly };
	struct disk *d;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!disk_open(&d, "disk", &c, 512, 0, why))
		return d;
	fprintf(stderr, "devices: %s\n", why);
	exit(99);
}

static bool start(int disk, int floppy)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 0, 0, 1 };

	config.net.model = below(2) ? NIC_VIRTIO : NIC_NE2K_PCI;
	memcpy(config.net.mac, mac, sizeof(mac));
	config.memory = RAM;
	config.clock_instructions = true;
	config.apic = below(4);
	ns = 0;
	if (machine_create(&m, &config))
		return false;
	m.cpu = &cpu;
	m.clock.retired = &ns;
	m.debugcon = open("/dev/null", O_WRONLY | O_CLOEXEC);
	m.disks[0] = drive(disk, false);
	m.disks[1] = drive(disk, true);
	m.disks[2] = drive(disk, true);
	m.disk_is_cd[2] = true;
	m.floppies[0] = drive(floppy, false);
	m.virtio_disks[0] = drive(disk, false);
	if (net_create(&m.net, &m))
		return false;
	if (legacy_set_bios(&m.mem, bios, sizeof(bios)))
		return false;
	memory_add_range(&m.mem, &(struct range){ .base = (1ull << 32) - BIOS, .size = BIOS,
			 .kind = RANGE_ROM, .name = "bios", .rom = bios });
	if (machine_add_devices(&m, device_table))
		return false;
	machine_reset(&m);
	return true;
}

static void stop(void)
{
	machine_destroy(&m);
	net_destroy(m.net);
	disk_close(m.virtio_disks[0]);
	for (unsigned i = 0; i < MACHINE_DISKS; i++)
		disk_close(m.disks[i]);
	disk_close(m.floppies[0]);
	close(m.debugcon);
}

/* The machine can still be reset, and its ROM is what it was. */
static bool rom_holds(unsigned step)
{
	machine_reset(&m);
	for (unsigned i = 0; i < BIOS; i += step) {
		uint32_t want;

		memcpy(&want, bios + i, 4);
		if (phys_read(&m.mem, 0xe0000 + i, 4) != want ||
		    phys_read(&m.mem, (1ull << 32) - BIOS + i, 4) != want)
			return false;
	}
	return true;
}

bool deeds_open(void)
{
	if (disk_file < 0)
		disk_file = image(IMAGE);
	if (floppy_file < 0)
		floppy_file = image(FLOPPY);
	for (unsigned i = 0; !bios[1] && i < BIOS; i++)
		bios[i] = (uint8_t)(i * 73 + (i >> 8));
	return disk_file >= 0 && floppy_file >= 0 && start(disk_file, floppy_file);
}

struct machine *deeds_machine(void)
{
	return &m;
}

const char *deeds_close(bool thorough)
{
	bool rom = rom_holds(thorough ? 4 : 1028);

	stop();
	if (!rom)
		return "the ROM has changed";
	if (thorough &&
	    (!image_unchanged(disk_file, IMAGE) || !image_unchanged(floppy_file, FLOPPY)))
		return "an image has changed";
	return NULL;
}

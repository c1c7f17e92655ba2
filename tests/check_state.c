/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * State files: a machine comes back as it was, and nothing else does: not from a file that
 * was cut off, changed, or made up. A save that fails leaves the folder as it was.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/state_chunk.h"
#include "cli/state_config.h"
#include "cli/state_file.h"
#include "dev/input.h"
#include "tests/image.h"
#include "tests/pc.h"

static char folder[64], path[96];
static char why[WHY_SIZE];

static void no_cpuid(void *self, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
	(void)self;
	out[0] = leaf, out[1] = sub, out[2] = 1, out[3] = 2;
}

static void machine_start(void)
{
	pc_setup();
	pc.cpuid = no_cpuid;
}

static void setup(void)
{
	strcpy(folder, "/tmp/hemi-state.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/machine", folder);
	pc_config.serial = "none";
	machine_start();
	pc_init_pics();
}

static unsigned files(void)
{
	DIR *d = opendir(folder);
	unsigned n = 0;

	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
	closedir(d);
	return n;
}

static void teardown(void)
{
	pc_teardown();
	unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void save(void)
{
	ck_assert_msg(!state_file_save(&pc, path, why), "%s", why);
}

static int load(void)
{
	struct state_file *f;
	int err = state_file_open(&f, path, why);

	if (err)
		return err;
	err = state_file_load(f, &pc, why);
	state_file_close(f);
	return err;
}

static uint8_t *contents(size_t *n)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	uint8_t *p;

	ck_assert_int_ge(fd, 0);
	fstat(fd, &st);
	p = malloc((size_t)st.st_size + 1);
	*n = (size_t)read(fd, p, (size_t)st.st_size);
	ck_assert_int_eq(*n, st.st_size);
	close(fd);
	return p;
}

static void put(const uint8_t *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
	close(fd);
}

static uint32_t noise(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16);
}

/* --- What comes back --------------------------------------------------------------- */

START_TEST(comes_back)
{
	static uint8_t ram[4 << 20];
	struct state before, after;

	for (unsigned i = 0; i < 300; i++)
		memset(pc.mem.ram + noise() % (4u << 20) / 64 * 64, (int)noise(), 64);
	memcpy(ram, pc.mem.ram, sizeof(ram));
	pc_cpu.gpr[RBX] = 0x1234;
	pc_cpu.seg[SEG_GS] = (struct segment){ .sel = 8, .attr = 0x93, .limit = 0xffffffff,
					       .base = 7 };	/* "unreal mode" */
	out(0x43, 0x34);
	out(0x40, 0x00);
	out(0x40, 0x10);
	out(0x64, 0xd1);		/* a command that waits for its data */
	pc_run_for(3 * MS + 17);
	state_init(&before);
	state_init(&after);
	machine_save(&pc, &before);
	save();
	pc_teardown();
	machine_start();
	memset(pc.mem.ram + 0x200000, 0x55, 0x3000);	/* must become what it was, zeros too */
	ck_assert_msg(!load(), "%s", why);
	machine_save(&pc, &after);
	ck_assert_uint_eq(before.len, after.len);
	ck_assert_mem_eq(before.buf, after.buf, before.len);
	ck_assert_mem_eq(ram, pc.mem.ram, sizeof(ram));
	state_free(&before);
	state_free(&after);
}
END_TEST

START_TEST(nobody_else_reads_it)
{
	struct stat st;

	umask(0);
	save();
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_uint_eq(files(), 1);
}
END_TEST

/* What the guest has not taken yet is not lost. */
START_TEST(input_waits)
{
	const struct input_event *e;

	out(0x64, 0xad);			/* the keyboard's clock is off */
	for (unsigned i = 0; i < 40; i++)
		input_key(&pc, PC_ENTER, i & 1);
	save();
	pc_teardown();
	machine_start();
	ck_assert_msg(!load(), "%s", why);
	e = input_peek(&pc);
	ck_assert_ptr_nonnull(e);
	ck_assert_uint_eq(e->code, PC_ENTER);
}
END_TEST

/* --- Disks ------------------------------------------------------------------------- */

static const char *disk_flags = "s";

static void prepare_disk(void)
{
	pc.disks[0] = image_disk(disk_flags);
}

static void disk_start(void)
{
	pc_prepare = prepare_disk;
	machine_start();
	pc_prepare = NULL;
}

static void disk_stop(void)
{
	struct disk *d = pc.disks[0];

	pc_teardown();
	disk_close(d);
}

/* The image is of a size that is no multiple of a page. */
START_TEST(snapshot_of_a_disk)
{
	uint8_t buf[1024], want[1024];

	pc_teardown();
	image_make(3 * 1024 * 1024 + 1536);
	disk_start();
	memset(want, 0xee, sizeof(want));
	ck_assert_int_eq(disk_write(pc.disks[0], 2048, want, 1024), 0);
	ck_assert_int_eq(disk_write(pc.disks[0], disk_size(pc.disks[0]) - 512, want, 512), 0);
	save();
	disk_stop();
	disk_start();
	ck_assert_msg(!load(), "%s", why);
	disk_read(pc.disks[0], 2048, buf, 1024);
	ck_assert_mem_eq(buf, want, 1024);
	disk_read(pc.disks[0], disk_size(pc.disks[0]) - 512, buf, 512);
	ck_assert_mem_eq(buf, want, 512);
	disk_read(pc.disks[0], 3072, buf, 1024);
	ck_assert(image_is(buf, 3072, 1024));
	disk_stop();
	/* Never into the image itself, and not into one of another size. */
	disk_flags = "";
	disk_start();
	ck_assert_int_eq(load(), -EINVAL);
	disk_read(pc.disks[0], 2048, buf, 1024);
	ck_assert(image_is(buf, 2048, 1024));
	disk_stop();
	disk_flags = "s";
	ck_assert_int_eq(truncate(image_path, 1 << 20), 0);
	disk_start();
	ck_assert_int_eq(load(), -EINVAL);
	disk_stop();
	machine_start();
	ck_assert_int_eq(load(), -EINVAL);		/* and the disk must be there */
	image_remove();
}
END_TEST

/* --- Files that are none ----------------------------------------------------------- */

START_TEST(truncated)
{
	size_t n;
	uint8_t *p;

	save();
	p = contents(&n);
	for (size_t i = n; i-- > 0;) {
		struct state_file *f;

		ck_assert_int_eq(truncate(path, (off_t)i), 0);
		ck_assert_int_lt(state_file_open(&f, path, why), 0);
		ck_assert_ptr_nonnull(strstr(why, path));
		ck_assert_ptr_null(strchr(why, '\n'));
	}
	put(p, n);
	ck_assert_int_eq(load(), 0);
	p[n] = 0;			/* and nothing may come after it */
	put(p, n + 1);
	ck_assert_int_lt(load(), 0);
	free(p);
}
END_TEST

START_TEST(one_bit)
{
	size_t n;
	uint8_t *p;
	int fd;

	save();
	p = contents(&n);
	fd = open(path, O_WRONLY);
	for (size_t i = 0; i < 8 * n; i += 1 + i / 4096) {
		uint8_t b = p[i / 8] ^ (uint8_t)(1u << i % 8);
		struct state_file *f;

		ck_assert_int_eq(pwrite(fd, &b, 1, (off_t)(i / 8)), 1);
		ck_assert_msg(state_file_open(&f, path, why) < 0, "bit %zu", i);
		ck_assert_int_eq(pwrite(fd, p + i / 8, 1, (off_t)(i / 8)), 1);
	}
	close(fd);
	ck_assert_int_eq(load(), 0);
	free(p);
}
END_TEST

static void rejected(const char *says)
{
	ck_assert_int_lt(load(), 0);
	ck_assert_msg(strstr(why, says) != NULL, "%s", why);
}

START_TEST(other_files)
{
	size_t n;
	uint8_t *p;

	rejected("No such file");
	save();
	p = contents(&n);
	p[12] = 2;
	put(p, n);
	rejected("version 2");
	p[0] = 'H';
	put(p, n);
	rejected("not one that");
	put(p, 0);
	rejected("too short");
	free(p);
	strcpy(path, folder);
	rejected("is a directory");
	ck_assert_int_lt(state_file_save(&pc, path, why), 0);
	ck_assert_ptr_nonnull(strstr(why, "directory"));
	snprintf(path, sizeof(path), "%s/machine", folder);
}
END_TEST

/* A file whose checksums are right and that nobody has saved. */
static void forge(const uint8_t *devices, size_t ndevices, const uint8_t *ram, size_t nram,
		  const char *config)
{
	struct chunk_writer w;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	chunk_writer_open(&w, fd);
	chunk_write(&w, CHUNK_CONFIG, config, strlen(config), false);
	if (nram)
		chunk_write(&w, CHUNK_RAM, ram, nram, true);
	if (ndevices)
		chunk_write(&w, CHUNK_DEVICES, devices, ndevices, noise() & 1);
	ck_assert_int_eq(chunk_writer_close(&w), 0);
	close(fd);
}

/* Whatever it is, it is refused, or it is a machine that runs. */
START_TEST(made_up)
{
	size_t nconfig;
	char *config = state_config_text(&pc, &nconfig);
	static uint8_t junk[48 + 4096 * 4];
	unsigned good = 0;
	struct state s;

	state_init(&s);
	machine_save(&pc, &s);
	for (unsigned i = 0; i < 3000; i++) {
		uint8_t *copy = malloc(s.len);
		size_t len = noise() % 8 ? s.len : noise() % s.len;

		memcpy(copy, s.buf, s.len);
		for (unsigned k = noise() % 12; k; k--)
			copy[noise() % s.len] = (uint8_t)noise();
		for (unsigned k = 0; k < sizeof(junk); k++)
			junk[k] = (uint8_t)noise();
		if (noise() & 1) {
			put_le(junk + 8, (uint64_t)(noise() % 1024) << 12, 8);
			memset(junk + 16, 0, 32);
			junk[16 + noise() % 32] = (uint8_t)noise();
		}
		forge(copy, len, junk, noise() & 1 ? 48 + 4096 * (noise() % 5) : noise() % 48,
		      config);
		free(copy);
		if (load() == 0) {
			good++;
			for (unsigned k = 0; k < 40; k++) {
				pc_ns += 100000;
				clock_run(&pc.clock);
				bus_in(pc.bus, (uint16_t)(noise() % 0x400), 1);
				if (pc.intr)
					irq_acknowledge(&pc);
			}
		}
		machine_reset(&pc);
	}
	ck_assert_uint_gt(good, 0);
	state_free(&s);
	free(config);
}
END_TEST

START_TEST(made_up_text)
{
	static const char *const texts[] = { "", "[", "no key file", "[machine]\nmemory=-1\n",
		"[machine]\ncpuid=zz\n", "[drive 0]\n", "[floppy 1]\nsize=99999999999999999999\n" };

	for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
		struct options o = { 0 };
		struct state_file *f;

		forge((const uint8_t *)"HS", 2, NULL, 0, texts[i]);
		ck_assert_int_lt(load(), 0);
		ck_assert_int_eq(state_file_open(&f, path, why), 0);
		state_file_options(f, &o);
		o.state = f;
		options_free(&o);
	}
}
END_TEST

/* --- Saves that fail --------------------------------------------------------------- */

/* There is room for so many bytes. What was there before is there still, and nothing else. */
START_TEST(no_room)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit limit = none;
	size_t n, again;
	uint8_t *p, *q;
	int err;

	save();
	p = contents(&n);
	pc.mem.ram[0x1000] = 1;
	for (limit.rlim_cur = 0; limit.rlim_cur < n; limit.rlim_cur += 97) {
		setrlimit(RLIMIT_FSIZE, &limit);	/* which goes for Check's files, too */
		err = state_file_save(&pc, path, why);
		setrlimit(RLIMIT_FSIZE, &none);
		ck_assert_int_eq(err, -EFBIG);
		ck_assert_uint_eq(files(), 1);
	}
	q = contents(&again);
	ck_assert_uint_eq(n, again);
	ck_assert_mem_eq(p, q, n);
	free(p);
	free(q);
	/* A request to end comes first, too. */
	pc.attention = ATT_QUIT;
	ck_assert_int_eq(state_file_save(&pc, path, why), -EINTR);
	pc.attention = 0;
	ck_assert_uint_eq(files(), 1);
	save();
	ck_assert_uint_eq(files(), 1);
}
END_TEST

START_TEST(no_folder)
{
	ck_assert_int_eq(state_file_save(&pc, "/nowhere/at/all", why), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "/nowhere/at/all"));
}
END_TEST

/* The polynomial of xz. */
START_TEST(checksum)
{
	ck_assert_uint_eq(crc64(0, "123456789", 9), 0x995dc9bbdf1939faull);
	ck_assert_uint_eq(crc64(crc64(0, "12345678", 8), "9", 1), 0x995dc9bbdf1939faull);
	ck_assert_uint_eq(crc64(crc64(0, "123", 3), "456789", 6), 0x995dc9bbdf1939faull);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("state");
	TCase *t = tcase_create("state");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, comes_back);
	tcase_add_test(t, nobody_else_reads_it);
	tcase_add_test(t, input_waits);
	tcase_add_test(t, snapshot_of_a_disk);
	tcase_add_test(t, truncated);
	tcase_add_test(t, one_bit);
	tcase_add_test(t, other_files);
	tcase_add_test(t, made_up);
	tcase_add_test(t, made_up_text);
	tcase_add_test(t, no_room);
	tcase_add_test(t, no_folder);
	tcase_add_test(t, checksum);
	suite_add_tcase(s, t);
	return suite_run(s);
}

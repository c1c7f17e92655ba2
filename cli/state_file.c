/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole machine into a file and back: which chunks there are and in which order. A save
 * goes to a file without a name, or with one of its own, in the same folder; when all of
 * it is on the disk it takes the place of the old one at once.
 *
 *	CONF  configuration, as text	BIOS, VROM  firmware, if there is any
 *	RAM   pages			DISK  what snapshots hold
 *	DEVS  processor, devices, guest time (machine_save())
 *	END
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/state_chunk.h"
#include "cli/state_config.h"
#include "cli/state_file.h"
#include "cli/state_pages.h"
#include "dev/disk.h"
#include "machine/snapshot.h"

/* --- The file that is being written ------------------------------------------------ */

struct target {
	const char *path;
	char *folder, *temporary;
	int fd;
	bool named;		/* temporary is there */
};

/* A file that nobody sees needs no tidying up, whatever happens. */
static int target_open(struct target *t, const char *path)
{
	char *base = g_path_get_basename(path);

	*t = (struct target){ .path = path, .folder = g_path_get_dirname(path) };
	t->temporary = g_strdup_printf("%s/.%s.%d", t->folder, base, getpid());
	g_free(base);
	t->fd = open(t->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (t->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;
	t->fd = open(t->temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	t->named = t->fd >= 0;
	return t->named ? 0 : -errno;
}

static int target_name(struct target *t)
{
	char self[64];

	if (t->named)
		return 0;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", t->fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, t->temporary, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	t->named = true;
	return 0;
}

/* All of it, the name too, is on the disk when this is done. */
static int target_commit(struct target *t)
{
	int err = fsync(t->fd) < 0 && errno != EINVAL ? -errno : target_name(t), folder;

	if (err)
		return err;
	if (rename(t->temporary, t->path) < 0)
		return -errno;
	t->named = false;
	folder = open(t->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder >= 0) {
		fsync(folder);
		close(folder);
	}
	return 0;
}

static void target_close(struct target *t)
{
	if (t->fd >= 0)
		close(t->fd);
	if (t->named)
		unlink(t->temporary);
	g_free(t->temporary);
	g_free(t->folder);
}

/* --- Saving ------------------------------------------------------------------------ */

static const struct range *bios_range(const struct machine *m)
{
	for (unsigned i = 0; i < m->mem.nranges; i++)
		if (m->mem.ranges[i].kind == RANGE_ROM && !strcmp(m->mem.ranges[i].name, "bios"))
			return &m->mem.ranges[i];
	return NULL;
}

static int flush_disks(struct machine *m)
{
	int err = 0;

	for (unsigned i = 0; i < STATE_DRIVES && !err; i++)
		err = *state_drive(m, i) ? disk_flush(*state_drive(m, i)) : 0;
	return err;
}

static void write_chunks(struct chunk_writer *w, struct machine *m, const struct state *s)
{
	const struct range *bios = bios_range(m);
	size_t len;
	char *config = state_config_text(m, &len);

	chunk_write(w, CHUNK_CONFIG, config, len, false);
	g_free(config);
	if (bios)
		chunk_write(w, CHUNK_BIOS, bios->rom, bios->size, true);
	if (m->vga_rom)
		chunk_write(w, CHUNK_VGABIOS, m->vga_rom, m->vga_rom_size, true);
	state_save_ram(w, m);
	state_save_disks(w, m);
	chunk_write(w, CHUNK_DEVICES, s->buf, s->len, true);
}

static int why_not(const char *path, int err, char why[static WHY_SIZE])
{
	if (err == -EINTR)
		return load_fail(why, err, "state file %s: saving was interrupted", path);
	return load_fail(why, err, "state file %s: %s", path, strerror(-err));
}

static int save_to(struct target *t, struct machine *m, const struct state *s)
{
	struct chunk_writer w;
	int err;

	chunk_writer_open(&w, t->fd);
	write_chunks(&w, m, s);
	err = chunk_writer_close(&w);
	return err ? err : target_commit(t);
}

int state_file_save(struct machine *m, const char *path, char why[static WHY_SIZE])
{
	struct target t;
	struct state s;
	int err;

	if (m->config->engine == ENGINE_FULL)
		return load_fail(why, -ENOTSUP, "a machine that --engine=full runs cannot be "
				 "saved; one of hybrid or interp can");
	if (g_file_test(path, G_FILE_TEST_IS_DIR))
		return why_not(path, -EISDIR, why);
	signal(SIGXFSZ, SIG_IGN);	/* a limit of size is an error of write() */
	state_init(&s);
	machine_save(m, &s);
	err = s.bad || s.len > CHUNK_MAX ? -ENOMEM : flush_disks(m);
	if (!err) {
		err = target_open(&t, path);
		if (!err)
			err = save_to(&t, m, &s);
		target_close(&t);
	}
	state_free(&s);
	return err ? why_not(path, err, why) : 0;
}

/* --- Waking up --------------------------------------------------------------------- */

struct state_file {
	struct chunk_reader r;
	char *path;
	char *config;
	size_t config_size;
};

static int wrong(const struct state_file *f, char why[static WHY_SIZE])
{
	return load_fail(why, -EINVAL, "state file %s: its contents are not those of a machine",
			 f->path);
}

/* The checksums of all chunks, and the first one's text. */
static int check_all(struct state_file *f, char why[static WHY_SIZE])
{
	struct chunk c;
	int err;

	chunk_reader_rewind(&f->r);
	err = chunk_read(&f->r, true, &c, why);
	if (err)
		return err;
	if (c.tag != CHUNK_CONFIG)
		return wrong(f, why);
	f->config = g_strndup((const char *)c.data, c.size);
	f->config_size = strlen(f->config);
	while (!err && c.tag != CHUNK_END)
		err = chunk_read(&f->r, false, &c, why);
	return err;
}

int state_file_open(struct state_file **out, const char *path, char why[static WHY_SIZE])
{
	struct state_file *f = g_new0(struct state_file, 1);
	int err;

	f->path = g_strdup(path);
	err = chunk_reader_open(&f->r, f->path, why);
	if (!err)
		err = check_all(f, why);
	if (err) {
		state_file_close(f);
		return err;
	}
	*out = f;
	return 0;
}

void state_file_close(struct state_file *f)
{
	if (!f)
		return;
	chunk_reader_close(&f->r);
	g_free(f->config);
	g_free(f->path);
	g_free(f);
}

int state_file_options(struct state_file *f, struct options *o)
{
	return state_config_apply(f->path, f->config, f->config_size, o);
}

int state_file_firmware(struct state_file *f, bool vga, uint8_t **image, size_t *size,
			char why[static WHY_SIZE])
{
	uint32_t tag = vga ? CHUNK_VGABIOS : CHUNK_BIOS;
	struct chunk c = { 0 };
	int err = 0;

	*image = NULL;
	*size = 0;
	chunk_reader_rewind(&f->r);
	while (!err && c.tag != CHUNK_END && c.tag != tag)
		err = chunk_read(&f->r, true, &c, why);
	if (err || c.tag != tag)
		return err;
	if (!c.size || posix_memalign((void **)image, PAGE_SIZE, c.size))
		return load_fail(why, -ENOMEM, "state file %s: firmware: %s", f->path,
				 strerror(ENOMEM));
	memcpy(*image, c.data, c.size);
	*size = c.size;
	return 0;
}

static int load_devices(const struct state_file *f, struct machine *m, const struct chunk *c,
			char why[static WHY_SIZE])
{
	struct state s = { .buf = (uint8_t *)(uintptr_t)c->data, .len = c->size };

	if (machine_restore(m, &s))
		return load_fail(why, -EINVAL, "state file %s: this hemi's devices are not those "
				 "that it was made of", f->path);
	return 0;
}

static int load_chunk(const struct state_file *f, struct machine *m, const struct chunk *c,
		      char why[static WHY_SIZE])
{
	int err = 0;

	switch (c->tag) {
	case CHUNK_RAM: err = state_load_ram(m, c); break;
	case CHUNK_DISK: err = state_load_disk(m, c); break;
	case CHUNK_DEVICES: return load_devices(f, m, c, why);
	case CHUNK_CONFIG: case CHUNK_BIOS: case CHUNK_VGABIOS: case CHUNK_END: break;
	default: err = -EINVAL;
	}
	if (err == -EINVAL)
		return wrong(f, why);
	return err ? load_fail(why, err, "state file %s: %s", f->path, strerror(-err)) : 0;
}

int state_file_load(struct state_file *f, struct machine *m, char why[static WHY_SIZE])
{
	int err = state_config_media(f->path, f->config, f->config_size, m, why);
	struct chunk c = { 0 };
	bool devices = false;

	if (err)
		return err;
	err = state_clear_ram(m);
	if (err)
		return load_fail(why, err, "guest memory: %s", strerror(-err));
	chunk_reader_rewind(&f->r);
	while (!err && c.tag != CHUNK_END) {
		err = chunk_read(&f->r, true, &c, why);
		if (!err)
			err = load_chunk(f, m, &c, why);
		devices |= c.tag == CHUNK_DEVICES;
	}
	if (!err && !devices)
		return wrong(f, why);
	if (!err && !state_config_same_cpu(f->config, f->config_size, m))
		return load_fail(why, -EINVAL, "state file %s: its processor is not quite what "
				 "this hemi shows under that name", f->path);
	return err;
}

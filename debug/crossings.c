/* SPDX-License-Identifier: BSD-2-Clause */
/* The file of crossings: a ring on the disk, written in batches. */
#include "debug/crossings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH	512u	/* divides the number of slots */

struct crossings {
	int fd, err;
	struct crossings_head head;
	unsigned n;		/* in batch, the one that is being filled included */
	struct crossing batch[BATCH];
};

static int write_all(int fd, const void *from, size_t n, off_t at)
{
	const uint8_t *p = from;

	while (n) {
		ssize_t k = pwrite(fd, p, n, at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k ? -errno : -EIO;
		p += k;
		at += k;
		n -= (size_t)k;
	}
	return 0;
}

static off_t place(const struct crossings_head *h, uint64_t i)
{
	return (off_t)(sizeof(*h) + i % h->slots * sizeof(struct crossing));
}

/* First the records, then the head that tells of them. */
static void batch_write(struct crossings *c)
{
	if (c->err)
		return;
	c->err = write_all(c->fd, c->batch, c->n * sizeof(c->batch[0]),
			   place(&c->head, c->head.total));
	c->head.total += c->n;
	if (!c->err)
		c->err = write_all(c->fd, &c->head, sizeof(c->head), 0);
}

int crossings_create(struct crossings **out, const char *file, unsigned slots,
		     const char *const reasons[], const char *const engines[])
{
	struct crossings *c = calloc(1, sizeof(*c));
	struct crossings_head *h;
	int err;

	if (!c)
		return -ENOMEM;
	h = &c->head;
	memcpy(h->magic, CROSSINGS_MAGIC, sizeof(h->magic));
	h->version = CROSSINGS_VERSION;
	h->record_size = sizeof(struct crossing);
	h->slots = (slots + BATCH - 1) / BATCH * BATCH;
	h->started = time(NULL);
	for (unsigned i = 0; i < CROSSING_REASONS && reasons[i]; i++)
		snprintf(h->reasons[i], sizeof(h->reasons[i]), "%s", reasons[i]);
	for (unsigned i = 0; i < CROSSING_ENGINES && engines[i]; i++)
		snprintf(h->engines[i], sizeof(h->engines[i]), "%s", engines[i]);
	c->fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	err = c->fd < 0 ? -errno : write_all(c->fd, h, sizeof(*h), 0);
	if (err) {
		if (c->fd >= 0)
			close(c->fd);
		free(c);
		return err;
	}
	*out = c;
	return 0;
}

struct crossing *crossings_next(struct crossings *c)
{
	if (c->n == BATCH) {
		batch_write(c);
		c->n = 0;
	}
	return &c->batch[c->n++];
}

int crossings_close(struct crossings *c)
{
	int err;

	if (!c)
		return 0;
	if (c->n)
		batch_write(c);
	err = c->err;
	if (close(c->fd) && !err)
		err = -errno;
	free(c);
	return err;
}

/* --- Reading --------------------------------------------------------------------------- */

static bool names_end(const struct crossings_head *h)
{
	for (unsigned i = 0; i < CROSSING_REASONS; i++)
		if (h->reasons[i][sizeof(h->reasons[i]) - 1])
			return false;
	for (unsigned i = 0; i < CROSSING_ENGINES; i++)
		if (h->engines[i][sizeof(h->engines[i]) - 1])
			return false;
	return true;
}

static const char *head_wrong(const struct crossings_head *h)
{
	if (memcmp(h->magic, CROSSINGS_MAGIC, sizeof(h->magic)))
		return "no file of crossings; hemi run --trace-file makes one";
	if (h->version != CROSSINGS_VERSION || h->record_size != sizeof(struct crossing))
		return "made by another version of hemi";
	if (!h->slots || h->slots > CROSSINGS_MAX || !names_end(h))
		return "damaged: its head makes no sense";
	return NULL;
}

int crossings_open(struct crossings_file *f, const char *file, char why[static 160])
{
	const char *wrong = NULL;
	uint64_t there, kept;
	struct stat st;
	ssize_t n;

	memset(f, 0, sizeof(*f));
	f->fd = open(file, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st)) {
		snprintf(why, 160, "%.100s: %s", file, strerror(errno));
		crossings_done(f);
		return -1;
	}
	n = pread(f->fd, &f->head, sizeof(f->head), 0);
	if (n < 0)
		wrong = strerror(errno);
	else if ((size_t)n < sizeof(f->head))
		wrong = "too short to be a file of crossings";
	else
		wrong = head_wrong(&f->head);
	if (wrong) {
		snprintf(why, 160, "%.90s: %s", file, wrong);
		crossings_done(f);
		return -1;
	}
	there = ((uint64_t)st.st_size - sizeof(f->head)) / sizeof(struct crossing);
	kept = f->head.total < f->head.slots ? f->head.total : f->head.slots;
	f->first = f->head.total - kept;
	f->truncated = there < kept;
	/* What is cut off at the end of a ring are records from its middle: only one that has not
	 * gone round yet can be read as far as it goes. */
	if (f->truncated)
		kept = f->first ? 0 : there;
	f->n = kept;
	return 0;
}

bool crossings_read(const struct crossings_file *f, uint64_t i, struct crossing *out)
{
	return i >= f->first && i - f->first < f->n &&
	       pread(f->fd, out, sizeof(*out), place(&f->head, i)) == sizeof(*out) &&
	       out->reason < CROSSING_REASONS && out->engine < CROSSING_ENGINES &&
	       out->length <= CROSSING_BYTES &&
	       (out->bits == 16 || out->bits == 32 || out->bits == 64);
}

void crossings_done(struct crossings_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

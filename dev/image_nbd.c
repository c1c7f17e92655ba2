/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images that are not raw, by way of qemu-nbd, which knows their formats. In a nutshell: a
 * socket is made and connected to, its name is taken away again, and the listening end is
 * handed to a qemu-nbd of our own (as systemd would): nobody else can reach it, nothing is
 * left behind, and when we are gone the server sees the end of its only connection, brings
 * the file into order and ends. Each call here is one request, and the wait for its answer: a
 * flush is answered when the host has written everything down.
 *
 * qemu-nbd is told the driver and the file in so many words: it guesses no format, and
 * takes no file's name for a protocol's.
 */
#include "dev/image.h"
#include "dev/image_format.h"
#include "dev/server.h"

#include <errno.h>
#include <libnbd.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/machine.h"

#define CHUNK		(1u << 20)	/* of a request: far below every server's limit */
#define TICK_MS		250
#define LAST_WAIT_MS	5000		/* for a server that says nothing, once we are to end */
#define END_WAIT_MS	30000		/* for it to write down what it knows of the file */

struct image_nbd {
	struct image image;
	struct nbd_handle *nbd;
	struct server server;
	char options[2 * PATH_MAX + 64];	/* the image, as the programs want it named */
	bool dead;
};

static struct image_nbd *nbd_of(struct image *i)
{
	return (struct image_nbd *)i;
}

static void quiet(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

/* --- Waiting ---------------------------------------------------------------------------- */

/* A signal that would end us is blocked while images are opened. */
static bool end_wanted(const struct image_nbd *n)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t set;

	if (n->image.closing)
		return true;
	if (n->image.attention && atomic_load(n->image.attention) & (ATT_QUIT | ATT_TIMEOUT))
		return true;
	if (sigpending(&set) == 0)
		for (unsigned i = 0; i < ARRAY_LEN(ends); i++)
			if (sigismember(&set, ends[i]))
				return true;
	return false;
}

/* From now on there is no server. how: what it did, or NULL where its end has to tell. */
static int nbd_lost(struct image_nbd *n, const char *how)
{
	const size_t size = sizeof(n->image.trouble);
	char *trouble = n->image.trouble, said[96];

	n->dead = true;
	if (!how && !server_ended(&n->server, 1000))
		how = "hung up";
	if (how) {
		snprintf(trouble, size, "qemu-nbd %s", how);
	} else if (WIFSIGNALED(n->server.status)) {
		snprintf(trouble, size, "qemu-nbd was ended by signal %d",
			 WTERMSIG(n->server.status));
	} else {
		server_words(&n->server, said, sizeof(said));
		quiet(said);
		snprintf(trouble, size, "qemu-nbd has ended%s%s", *said ? ": " : "", said);
	}
	return -EIO;
}

/* Until done() says so, the connection is dead, or nobody has the patience any more. */
static int nbd_wait(struct image_nbd *n, int (*done)(struct image_nbd *n, int64_t cookie),
		    int64_t cookie)
{
	int patience = n->image.closing ? END_WAIT_MS : LAST_WAIT_MS, r;

	while ((r = done(n, cookie)) == 0) {
		if (nbd_aio_is_dead(n->nbd) || nbd_aio_is_closed(n->nbd))
			return nbd_lost(n, NULL);
		if (nbd_poll(n->nbd, TICK_MS) == 0 && end_wanted(n) && (patience -= TICK_MS) <= 0)
			return nbd_lost(n, "does not answer");
	}
	return r < 0 ? r : 0;
}

static int connected(struct image_nbd *n, int64_t cookie)
{
	(void)cookie;
	return nbd_aio_is_ready(n->nbd) == 1;
}

static int completed(struct image_nbd *n, int64_t cookie)
{
	int r = nbd_aio_command_completed(n->nbd, (uint64_t)cookie), err;

	if (r >= 0)
		return r;
	err = nbd_get_errno();
	if (nbd_aio_is_dead(n->nbd) || nbd_aio_is_closed(n->nbd))
		return nbd_lost(n, NULL);
	return err > 0 ? -err : -EIO;
}

static int nbd_answer(struct image_nbd *n, int64_t cookie)
{
	if (cookie >= 0)
		return nbd_wait(n, completed, cookie);
	return nbd_aio_is_ready(n->nbd) == 1 ? -EIO : nbd_lost(n, NULL);
}

/* --- A disk's requests ------------------------------------------------------------------ */

static int nbd_image_read(struct image *i, uint64_t off, void *buf, size_t len)
{
	struct image_nbd *n = nbd_of(i);
	uint8_t *to = buf;
	int err = n->dead ? -EIO : 0;

	while (len && !err) {
		size_t part = len < CHUNK ? len : CHUNK;

		err = nbd_answer(n, nbd_aio_pread(n->nbd, to, part, off, NBD_NULL_COMPLETION, 0));
		to += part;
		off += part;
		len -= part;
	}
	return err;
}

static int nbd_image_write(struct image *i, uint64_t off, const void *buf, size_t len)
{
	struct image_nbd *n = nbd_of(i);
	const uint8_t *from = buf;
	int err = n->dead ? -EIO : 0;

	while (len && !err) {
		size_t part = len < CHUNK ? len : CHUNK;

		err = nbd_answer(n, nbd_aio_pwrite(n->nbd, from, part, off,
						   NBD_NULL_COMPLETION, 0));
		from += part;
		off += part;
		len -= part;
	}
	return err;
}

static int nbd_image_flush(struct image *i)
{
	struct image_nbd *n = nbd_of(i);

	if (n->dead)
		return -EIO;
	return nbd_answer(n, nbd_aio_flush(n->nbd, NBD_NULL_COMPLETION, 0));
}

/* The server's end is waited for: then the file is what the next user of it expects. */
static void nbd_image_close(struct image *i)
{
	struct image_nbd *n = nbd_of(i);

	if (n->nbd && !n->dead && nbd_aio_is_ready(n->nbd) == 1)
		nbd_aio_disconnect(n->nbd, 0);
	nbd_close(n->nbd);
	server_stop(&n->server, n->dead ? 0 : END_WAIT_MS);
	free(n);
}

static const struct image_ops nbd_ops = {
	nbd_image_read, nbd_image_write, nbd_image_flush, nbd_image_close, true,
};

/* --- Before a server is started ---------------------------------------------------------- */

/* QEMU's syntax for options doubles a comma in a value. */
static int name_image(struct image_nbd *n, const char *path, const char *driver, bool block)
{
	size_t at = (size_t)snprintf(n->options, sizeof(n->options),
				     "driver=%s,file.driver=%s,file.filename=", driver,
				     block ? "host_device" : "file");

	for (; *path; path++) {
		if (at + 3 > sizeof(n->options))
			return -ENAMETOOLONG;
		if (*path == ',')
			n->options[at++] = ',';
		n->options[at++] = *path;
	}
	n->options[at] = '\0';
	return 0;
}

static int no_program(const char *name, enum image_format f, int err, char why[static WHY_SIZE])
{
	if (err == -ENOENT)
		snprintf(why, WHY_SIZE, "%s images are read and written by %s, which this host "
			 "does not have: install qemu-utils", format_name(f), name);
	else
		snprintf(why, WHY_SIZE, "%s: %s", name, strerror(-err));
	return err;
}

/* Behind the image's name, where the line begins with it: ours is before it already. */
static const char *reason(const struct image_nbd *n, char *said)
{
	char *name, *end;

	quiet(said);
	name = strstr(said, n->options);
	end = name ? strstr(name + strlen(n->options), ": ") : NULL;
	return end ? end + 2 : said;
}

/* A file that has lost a part, or whose tables contradict each other, may be served as if
 * nothing were wrong until the guest comes to the place. 2: it is damaged; 63: there is no
 * such check for the format, whose driver looks when it opens the file. 1: that failed. */
static int image_check(struct image_nbd *n, enum image_format f, char why[static WHY_SIZE])
{
	char program[] = "qemu-img", check[] = "check", images[] = "--image-opts", said[300];
	char *argv[] = { program, check, images, n->options, NULL };
	struct server s;
	int err = server_start(&s, argv, -1), status;

	if (err)
		return no_program(program, f, err, why);
	while (!server_ended(&s, TICK_MS))
		if (end_wanted(n))
			server_stop(&s, 0);
	server_words(&s, said, sizeof(said));
	status = WIFEXITED(s.status) ? WEXITSTATUS(s.status) : -1;
	server_stop(&s, 0);
	if (status != 1 && status != 2 && status != -1)
		return 0;
	snprintf(why, WHY_SIZE, "not %s %s image: %s", status == 2 ? "a sound" : "usable as a",
		 format_name(f), *said ? reason(n, said) : "qemu-img was ended");
	return -EINVAL;
}

/* QEMU itself mends a file that says that it was not closed. */
static bool qcow2_dirty(int fd, enum image_format f)
{
	uint8_t head[80];

	return f == FORMAT_QCOW2 && pread(fd, head, sizeof(head), 0) == sizeof(head) &&
	       memcmp(head, "QFI\xfb\0\0\0\3", 8) == 0 && head[79] & 1;
}

/* --- Connecting ------------------------------------------------------------------------- */

/* Both ends of a connection that nobody has accepted yet. The name exists for that moment
 * only, in a folder that nobody else may enter. */
static int socket_pair(int *listener, int *ours)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *tmp = getenv("TMPDIR");
	char dir[sizeof(a.sun_path) - 8];
	int err = 0;

	*listener = *ours = -1;
	if (!tmp || !*tmp || strlen(tmp) > sizeof(dir) - 20)
		tmp = "/tmp";
	snprintf(dir, sizeof(dir), "%s/hemi.XXXXXX", tmp);
	if (!mkdtemp(dir))
		return -errno;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/nbd", dir);
	*listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*ours = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*listener < 0 || *ours < 0 || bind(*listener, (struct sockaddr *)&a, sizeof(a)) ||
	    listen(*listener, 1) || connect(*ours, (struct sockaddr *)&a, sizeof(a)))
		err = -errno;
	unlink(a.sun_path);
	rmdir(dir);
	return err;
}

static int server_run(struct image_nbd *n, enum image_format f, bool write, int listener,
		      char why[static WHY_SIZE])
{
	char program[] = "qemu-nbd", images[] = "--image-opts", readonly[] = "--read-only";
	char *argv[] = { program, images, n->options, write ? NULL : readonly, NULL };
	int err = server_start(&n->server, argv, listener);

	if (err)
		return no_program(program, f, err, why);
	n->server.name = "qemu-nbd";
	return 0;
}

/* One line of why there is no connection: what the server has said, if anything. */
static int refused(struct image_nbd *n, int err, char why[static WHY_SIZE])
{
	char said[300];

	server_ended(&n->server, 1000);
	server_words(&n->server, said, sizeof(said));
	snprintf(why, WHY_SIZE, "qemu-nbd: %s", *said ? reason(n, said) : n->image.trouble);
	return err;
}

static int nbd_start(struct image_nbd *n, int listener, int *ours, enum image_format f, bool write,
		     char why[static WHY_SIZE])
{
	int err = server_run(n, f, write, listener, why), fd = *ours;
	int64_t size;

	close(listener);	/* so the server's death ends the connection */
	if (err)
		return err;
	n->nbd = nbd_create();
	if (!n->nbd) {
		snprintf(why, WHY_SIZE, "libnbd: %s", nbd_get_error());
		return -ENOMEM;
	}
	*ours = -1;
	if (nbd_aio_connect_socket(n->nbd, fd) && !nbd_aio_is_dead(n->nbd))
		return refused(n, -EIO, why);
	err = nbd_wait(n, connected, 0);
	if (err)
		return refused(n, err, why);
	size = nbd_get_size(n->nbd);
	if (size < 0 || (write && (nbd_is_read_only(n->nbd) || nbd_can_flush(n->nbd) != 1))) {
		snprintf(why, WHY_SIZE, "qemu-nbd does not offer to %s the image",
			 size < 0 ? "read" : "write and flush");
		return -EIO;
	}
	n->image.size = (uint64_t)size;
	return 0;
}

int image_nbd_open(struct image **out, const char *path, int fd, enum image_format format,
		   bool write, char why[static WHY_SIZE])
{
	struct image_nbd *n = calloc(1, sizeof(*n));
	int listener = -1, ours = -1, err;
	struct stat st;

	if (!n || fstat(fd, &st) < 0) {
		snprintf(why, WHY_SIZE, "%s", strerror(n ? errno : ENOMEM));
		free(n);
		return -ENOMEM;
	}
	n->image.ops = &nbd_ops;
	n->server.words = -1;
	err = name_image(n, path, format_driver(format), S_ISBLK(st.st_mode));
	if (err)
		snprintf(why, WHY_SIZE, "%s", strerror(-err));
	if (!err && !qcow2_dirty(fd, format))
		err = image_check(n, format, why);
	if (!err) {
		err = socket_pair(&listener, &ours);
		if (err)
			snprintf(why, WHY_SIZE, "a socket for qemu-nbd: %s", strerror(-err));
	}
	if (!err)
		err = nbd_start(n, listener, &ours, format, write, why);
	else if (listener >= 0)
		close(listener);
	if (ours >= 0)
		close(ours);
	if (err)
		nbd_image_close(&n->image);
	else
		*out = &n->image;
	return err;
}
